package parameter_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
)

var _ = Describe("A Parameter with a value", func() {
	It("is Ready at its first version, under AWS's ARN, and shown in its ConfigMap", func() {
		p := ready("log-level", func(p *v1alpha1.Parameter) { p.Spec.Name = "/prod/shop/log-level" })
		Expect(p.Status.ARN).To(Equal("arn:aws:ssm:us-east-1:" + arn.DeriveAccount(world.Namespace) + ":parameter/prod/shop/log-level"))
		Expect(p.Status.Version).To(Equal(int64(1)))
		Expect(p.Status.Tier).To(Equal(v1alpha1.TierStandard))
		Expect(p.Status.LastModifiedTime).NotTo(BeNil())
		Expect(stored(p, 1)).To(Equal("info"))
		Expect(configMap("log-level").Data).To(Equal(map[string]string{"LOG_LEVEL": "info"}))
	})

	It("makes the next version when spec has another value, and none when it has the same", func() {
		p := ready("a")
		world.Update(p, func() { p.Spec.Value = "debug" })
		reconcile(p)
		reconcile(p)
		Expect(p.Status.Version).To(Equal(int64(2)))
		Expect(stored(p, 1)).To(Equal("info"))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "debug"))
	})

	It("keeps a hundred versions, and makes none while the oldest has a label", func() {
		p := ready("a", valued("0"))
		for i := range 100 {
			world.Update(p, func() { p.Spec.Value = fmt.Sprint(i + 1) })
			reconcile(p)
		}
		Expect(p.Status.Version).To(Equal(int64(101)))
		Expect(p.Status.Versions).To(HaveLen(100))
		Expect(p.Status.Versions[0].Version).To(Equal(int64(2)))
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(100))

		_, _, err := world.Services.Parameters.Label(ctx, p, 2, []string{"keep"})
		Expect(err).NotTo(HaveOccurred())
		world.Update(p, func() { p.Spec.Value = "one more" })
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonTooManyVersions))
		Expect(p.Status.Version).To(Equal(int64(101)))
	})

	It("is in the tier that its value needs, if that is left to it, and stays there", func() {
		p := ready("a", func(p *v1alpha1.Parameter) { p.Spec.Tier, p.Spec.Value = v1alpha1.TierIntelligent, long(4097) })
		Expect(p.Status.Tier).To(Equal(v1alpha1.TierAdvanced))
		world.Update(p, func() { p.Spec.Value = "short" })
		reconcile(p)
		Expect(p.Status.Tier).To(Equal(v1alpha1.TierAdvanced))
	})

	It("wins over a version that got behind its back", func() {
		p := ready("a")
		world.Update(p, func() { p.Spec.Value = "" })
		reconcile(p)
		Expect(p.Status.Version).To(Equal(int64(1)), "a value that is left out is the API's to put")
		world.Update(p, func() { p.Spec.Value = "warn" })
		reconcile(p)
		Expect(stored(p, 2)).To(Equal("warn"))
	})

	It("without a value says where one comes from", func() {
		p := create("a", valued(""))
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonNoValue))
	})

	It("of a name that an older one has is a NameConflict, with or without the slash", func() {
		ready("a", func(p *v1alpha1.Parameter) { p.Spec.Name = "/x" })
		time.Sleep(1100 * time.Millisecond) // age is in seconds
		p := create("b", func(p *v1alpha1.Parameter) { p.Spec.Name = "x" })
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonNameConflict))
	})

	It("while suspended changes nothing", func() {
		p := ready("a")
		world.Update(p, func() { p.Spec.Value, p.Spec.Suspend = "debug", true })
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonSuspended))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "info"))
	})
})

func long(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}

var _ = Describe("A SecureString", func() {
	It("is generated, encrypted under its KMSKey with AWS's context, and shown in its core Secret", func() {
		key := world.ReadyKey("key")
		p := ready("a", secure("key"))
		value := coreSecret("a").Data["password"]
		Expect(value).To(HaveLen(32))
		Expect(stored(p, 1)).To(Equal(string(value)))
		e := world.Envelopes(v1alpha1.EnvelopeParameterVersion)[0]
		Expect(e.Spec.KeyARN).To(Equal(key.Status.ARN))
		_, err := world.Services.KMS.Decrypt(ctx, key, map[string]string{"PARAMETER_ARN": p.Status.ARN}, e.Spec.EncryptedDataKey)
		Expect(err).NotTo(HaveOccurred())
	})

	It("without a key has the account's own made, and waits for it", func() {
		p := create("a", secure(""))
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonKeyUnusable))
		key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "aws-ssm"}}
		world.ReconcileKey(key)
		Expect(key.Spec.Aliases).To(ConsistOf("alias/aws/ssm"))
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("is generated anew when the annotation asks for it, once", func() {
		world.ReadyKey("key")
		p := ready("a", secure("key"))
		world.Update(p, func() { metav1.SetMetaDataAnnotation(&p.ObjectMeta, v1alpha1.RotateAnnotation, "now") })
		reconcile(p)
		reconcile(p)
		Expect(p.Status.Version).To(Equal(int64(2)))
		Expect(p.Status.LastHandledRotateAt).To(Equal("now"))
		Expect(coreSecret("a").Data["password"]).To(BeEquivalentTo(stored(p, 2)))
	})

	It("follows a core Secret", func() {
		world.ReadyKey("key")
		source := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: world.Namespace, Name: "source", Labels: map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedSource},
			},
			Data: map[string][]byte{"k": []byte("one")},
		}
		world.Create(source)
		p := ready("a", secure("key"), func(p *v1alpha1.Parameter) {
			p.Spec.Generate = nil
			p.Spec.ValueFrom = &v1alpha1.SecretValueSource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: "source", Key: "k"}, Policy: v1alpha1.ImportFollow,
			}
		})
		Expect(p.Status.ImportedFrom).To(Equal("source/k"))
		world.Update(source, func() { source.Data["k"] = []byte("two") })
		reconcile(p)
		Expect(stored(p, 2)).To(Equal("two"))
	})
})

var _ = Describe("A target", func() {
	It("that somebody edits or deletes is healed", func() {
		p := ready("a")
		config := configMap("a")
		world.Update(config, func() { config.Data["LOG_LEVEL"] = "hacked" })
		reconcile(p)
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "info"))
		Expect(world.DrainEvents()).To(ContainElement(ContainSubstring("Healed")))
		world.Remove(config)
		reconcile(p)
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "info"))
	})

	It("that somebody else made is a Conflict that names the way out, and is not touched", func() {
		Expect(world.ControlPlane.Client.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "a"}, Data: map[string]string{"LOG_LEVEL": "theirs"},
		})).To(Succeed())
		p := create("a")
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonConflict))
		Expect(condition(p).Message).To(And(ContainSubstring("ConfigMap a"), ContainSubstring("creationPolicy")))
		Expect(configMap("a").Data).To(Equal(map[string]string{"LOG_LEVEL": "theirs"}))
	})

	It("is shared by parameters that merge their keys into it", func() {
		a := ready("a")
		b := ready("b", func(p *v1alpha1.Parameter) {
			p.Spec.Target.ConfigMap = &v1alpha1.ParameterTargetKey{Name: "a", Key: "B", CreationPolicy: v1alpha1.CreationPolicyMerge}
		})
		Expect(configMap("a").Data).To(Equal(map[string]string{"LOG_LEVEL": "info", "B": "info"}))
		world.Seen(configMap("a"))
		reconcile(a)
		Expect(configMap("a").Data).To(HaveLen(2))
		world.Update(b, func() { b.Spec.Target = nil })
		reconcile(b)
		Expect(configMap("a").Data).To(Equal(map[string]string{"LOG_LEVEL": "info"}), "the key of a former target stays")
	})

	It("of another name takes the former one's place", func() {
		p := ready("a")
		world.Update(p, func() { p.Spec.Target.ConfigMap.Name = "other" })
		reconcile(p)
		Expect(configMap("other").Data).To(HaveKeyWithValue("LOG_LEVEL", "info"))
		Expect(world.ControlPlane.Client.Get(ctx, keyOf("a"), &corev1.ConfigMap{})).NotTo(Succeed())
	})
})

var _ = Describe("A deleted Parameter", func() {
	It("leaves a tombstone, and comes back with its versions and labels when it is applied again", func() {
		p := ready("a")
		_, _, err := world.Services.Parameters.Label(ctx, p, 1, []string{"stable"})
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(p)
		world.Seen(p)
		world.Remove(p)
		sweepUntilEntombed("a")
		back := create("a", valued("debug"))
		reconcile(back)
		Expect(back.Status.Version).To(Equal(int64(2)))
		Expect(stored(back, 1)).To(Equal("info"))
		Expect(world.DrainEvents()).To(ContainElement(ContainSubstring("Restored")))
	})

	It("holds its name against an object of another name", func() {
		world.Remove(ready("a", func(p *v1alpha1.Parameter) { p.Spec.Name = "/x" }))
		sweepUntilEntombed("a")
		p := create("b", func(p *v1alpha1.Parameter) { p.Spec.Name = "/x" })
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonNameConflict))
		Expect(condition(p).Message).To(ContainSubstring("apply that one again"))
	})

	It("has its index rebuilt when only its status was lost", func() {
		p := ready("a")
		world.Refresh(p)
		p.Status = v1alpha1.ParameterStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, p)).To(Succeed())
		world.Seen(p)
		reconcile(p)
		Expect(p.Status.Version).To(Equal(int64(1)))
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(1))
	})
})
