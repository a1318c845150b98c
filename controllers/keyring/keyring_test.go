package keyring_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers"
	"strongroom.dev/strongroom/controllers/keyring"
	"strongroom.dev/strongroom/internal/core/keyimport"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("The Keyring", func() {
	It("is made when it is missing, with nothing in its spec, and says what the domain keys are", func() {
		records(2)
		k := made()
		Expect(k.Spec).To(Equal(v1alpha1.KeyringSpec{}))
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(condition(k, v1alpha1.ConditionRewrapped)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(k.Status.CurrentEpoch).To(Equal(int64(len(domainKeys()))))
		Expect(k.Status.DomainKeys).To(BeEquivalentTo(len(domainKeys())))
		Expect(k.Status.LastRotatedTime).NotTo(BeNil())
		Expect(k.Status.NextRotationTime).To(BeNil(), "nothing is rotated that nobody asked for")
		Expect(k.Status.Epochs).To(HaveLen(1))
		Expect(k.Status.Epochs[0]).To(And(HaveField("Epoch", k.Status.CurrentEpoch), HaveField("Envelopes", BeEquivalentTo(2))))
		Expect(pass(k)).To(Equal(time.Hour))
	})

	It("that is deleted is made again, and no domain key goes with it", func() {
		before := domainKeys()
		world.Remove(made())
		k := made()
		Expect(domainKeys()).To(Equal(before))
		Expect(k.Status.CurrentEpoch).To(BeEquivalentTo(len(before)))
	})

	DescribeTable("that is another is heeded by nobody, and says so", func(own bool, name string) {
		k := named(world.Namespace, name)
		if own {
			k.Namespace = environment.OperatorNamespace
		}
		k.Annotations = map[string]string{v1alpha1.RotateAnnotation: "now"}
		world.Create(k)
		before := len(domainKeys())
		pass(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonOtherKeyring), HaveField("Message", ContainSubstring("strongroom-system/strongroom"))))
		Expect(condition(k, v1alpha1.ConditionStalled)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(domainKeys()).To(HaveLen(before))
		world.Remove(k)
	},
		Entry("in another namespace", false, v1alpha1.KeyringName),
		Entry("under another name", true, "another"),
	)

	It("costs no write when there is nothing new", func() {
		k := made()
		faulty, writes := world.Faulty()
		_, err := passBy(faulty.Keyring, k)
		Expect(err).NotTo(HaveOccurred())
		Expect(writes.Writes()).To(BeZero())
	})

	It("says Sealed while nothing can be opened, and goes on afterwards", func() {
		k := made()
		rewrapped := condition(k, v1alpha1.ConditionRewrapped)
		open := world.Seal(fmt.Errorf("the root is away"))
		ask(k, "sealed")
		Expect(pass(k)).To(BeNumerically("<", time.Minute))
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonSealed))
		Expect(condition(k, v1alpha1.ConditionRewrapped).Reason).To(Equal(rewrapped.Reason), "what is not known is not changed")
		Expect(k.Status.LastHandledRotateAt).To(BeEmpty())
		open()
		before := len(domainKeys())
		pass(k)
		Expect(domainKeys()).To(HaveLen(before+1), "the request still stands")
	})
})

var _ = Describe("A rotation", func() {
	It("that is asked for makes one domain key, once, and says when", func() {
		k := made()
		before := k.Status.CurrentEpoch
		ask(k, "now")
		world.DrainEvents()
		pass(k)
		Expect(k.Status.CurrentEpoch).To(Equal(before + 1))
		Expect(k.Status.LastHandledRotateAt).To(Equal("now"))
		Expect(k.Status.LastRotatedTime.Time).To(BeTemporally("~", world.Clock.Now(), time.Second))
		Expect(world.DrainEvents()).To(ConsistOf(ContainSubstring(v1alpha1.ReasonRotated)))
		pass(k)
		pass(k)
		Expect(k.Status.CurrentEpoch).To(Equal(before + 1))
		Expect(domainKeys()).To(HaveLen(int(before) + 1))
		ring, err := world.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		Expect(ring.CurrentEpoch()).To(Equal(before + 1))
	})

	It("comes by itself at the end of its period, and an asked one begins the period anew", func() {
		k := made()
		rotated(k)
		finished(k)
		world.Update(k, func() { k.Spec.Rotation = &v1alpha1.DomainKeyRotation{Enabled: true, PeriodInDays: 7} })
		wait := pass(k)
		next := k.Status.NextRotationTime.Time
		Expect(next).To(BeTemporally("~", k.Status.LastRotatedTime.AddDate(0, 0, 7), time.Hour))
		Expect(wait).To(Equal(time.Hour), "it is looked at more often than that")
		world.Clock.Set(next.Add(-time.Minute))
		before := k.Status.CurrentEpoch
		Expect(pass(k)).To(Equal(time.Minute))
		Expect(k.Status.CurrentEpoch).To(Equal(before))
		world.Clock.Set(next)
		pass(k)
		Expect(k.Status.CurrentEpoch).To(Equal(before + 1))
		Expect(k.Status.NextRotationTime.Time).To(BeTemporally("~", next.AddDate(0, 0, 7), 2*time.Hour))
		world.Clock.Advance(3 * 24 * time.Hour)
		rotated(k)
		Expect(k.Status.NextRotationTime.Time).To(BeTemporally("~", world.Clock.Now().AddDate(0, 0, 7), 2*time.Hour))
		world.Update(k, func() { k.Spec.Rotation.Enabled, k.Spec.Rotation.PeriodInDays = false, 0 })
		world.Clock.Advance(365 * 24 * time.Hour)
		pass(k)
		Expect(k.Status.NextRotationTime).To(BeNil())
		Expect(k.Status.CurrentEpoch).To(Equal(before + 2))
	})

	It("that is asked for between another and its status is made, too", func() {
		k := made()
		before := k.Status.CurrentEpoch
		ask(k, "first")
		faulty, writes := world.Faulty()
		writes.FailAt(2, false)
		_, err := passBy(faulty.Keyring, k)
		Expect(err).To(MatchError(environment.ErrInjected))
		Expect(domainKeys()).To(HaveLen(int(before)+1), "the first was made and not noted")
		ask(k, "second")
		pass(k)
		Expect(k.Status.CurrentEpoch).To(Equal(before + 2))
		Expect(k.Status.LastHandledRotateAt).To(Equal("second"))
		pass(k)
		Expect(k.Status.CurrentEpoch).To(Equal(before + 2))
	})

	It("that another manager makes first, for another request, is the answer to that one", func() {
		k := made()
		before := k.Status.CurrentEpoch
		ask(k, "mine")
		overtaken := *world.Keyring
		overtaken.DomainKeys = faster{world.Keyring.DomainKeys}
		result, err := passBy(&overtaken, k)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeNumerically("<=", time.Second))
		world.Refresh(k)
		world.Seen(k)
		Expect(k.Status.CurrentEpoch).To(Equal(before + 1))
		Expect(k.Status.LastHandledRotateAt).To(Equal("another's"))
		pass(k)
		Expect(k.Status.CurrentEpoch).To(Equal(before + 2))
		Expect(k.Status.LastHandledRotateAt).To(Equal("mine"))
	})

	It("whose status is lost is known by its domain keys, and not made again", func() {
		k := made()
		rotated(k)
		world.Refresh(k)
		epoch := k.Status.CurrentEpoch
		k.Status = v1alpha1.KeyringStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, k)).To(Succeed())
		world.Seen(k)
		pass(k)
		Expect(k.Status.CurrentEpoch).To(Equal(epoch))
		Expect(domainKeys()).To(HaveLen(int(epoch)))
	})
})

type stored = keyring.DomainKeys // under a name that is none of its methods

// faster has another manager rotate just before this one does.
type faster struct{ stored }

func (f faster) Rotate(ctx context.Context, s *store.Store, after int64, request string) error {
	if err := f.stored.Rotate(ctx, s, after, "another's"); err != nil {
		return err
	}
	return f.stored.Rotate(ctx, s, after, request)
}

// everything is one of each kind of what a domain key wraps, and what tells that it can be used.
func everything() (uses map[string]func() error) {
	GinkgoHelper()
	uses = map[string]func() error{}
	s := world.Services.KMS
	symmetric := world.ReadyKey("symmetric")
	blob, _, err := s.Encrypt(ctx, symmetric, keys.Encrypt, nil, secretbytes.Copy([]byte("hunter2")))
	Expect(err).NotTo(HaveOccurred())
	world.Rotate(symmetric, "once")
	uses["the former material of a key"] = func() error {
		plaintext, err := s.Decrypt(ctx, symmetric, nil, blob)
		if err == nil && string(plaintext.Reveal()) != "hunter2" {
			err = fmt.Errorf("it is %q", plaintext.Reveal())
		}
		return err
	}
	signing := world.ReadyKey("signing", func(k *v1alpha1.KMSKey) {
		k.Spec.KeySpec, k.Spec.KeyUsage = "ECC_NIST_P256", "SIGN_VERIFY"
	})
	public, err := s.PublicKey(ctx, signing)
	Expect(err).NotTo(HaveOccurred())
	message := keys.Message{Bytes: []byte("m"), Type: keys.Raw}
	uses["a private key"] = func() error {
		signature, err := s.Sign(ctx, signing, keys.ECDSASHA256, message)
		if err != nil {
			return err
		}
		return public.Verify(keys.ECDSASHA256, message, signature)
	}
	imported := environment.KMSKey(world.Namespace, "imported", func(k *v1alpha1.KMSKey) { k.Spec.Origin = v1alpha1.KeyOriginExternal })
	world.Create(imported)
	world.ReconcileKey(imported)
	id := importInto(imported)
	world.ReconcileKey(imported)
	sealed, _, err := s.Encrypt(ctx, imported, keys.Encrypt, nil, secretbytes.Copy([]byte("hunter2")))
	Expect(err).NotTo(HaveOccurred())
	uses["imported material"] = func() error { _, err := s.Decrypt(ctx, imported, nil, sealed); return err }
	uses["the id of imported material"] = func() error {
		if again := importInto(imported); again != id { // which hangs on the digests of the first domain key
			return fmt.Errorf("%s is %s now", id, again)
		}
		return nil
	}
	parameter := environment.Parameter(world.Namespace, "level")
	world.Create(parameter)
	_, err = world.Parameter.Reconcile(ctx, environment.Request(parameter))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(parameter)
	newest := parameterstore.IndexOf(parameter)
	uses["a parameter"] = func() error {
		value, err := world.Services.Parameters.Versions().Value(ctx, world.Services.Parameters.SubjectOf(parameter), newest[len(newest)-1])
		if err == nil && string(value.Reveal()) != "info" {
			err = fmt.Errorf("it is %q", value.Reveal())
		}
		return err
	}
	user := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "ada"}, Spec: v1alpha1.IAMUserSpec{AccessKeys: []v1alpha1.AccessKey{{Name: "laptop"}}}}
	world.Create(user)
	_, err = world.IAMUser.Reconcile(ctx, environment.Request(user))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(user)
	Expect(user.Status.AccessKeys).To(HaveLen(1))
	uses["an access key"] = func() error {
		_, err := world.Services.IAM.OpenAccessKey(ctx, user, &user.Status.AccessKeys[0])
		return err
	}
	for _, e := range records(1) {
		uses["a tombstone"] = func() error { _, err := store.OpenTombstone(world.Services.Keyring, live(e)); return err }
	}
	return uses
}

// importInto imports 32 bytes, always the same, and answers their id.
func importInto(key *v1alpha1.KMSKey) string {
	GinkgoHelper()
	s := world.Services.KMS
	p, err := s.ParametersForImport(ctx, key, keyimport.OAEPSHA256, keys.RSA2048)
	Expect(err).NotTo(HaveOccurred())
	public, err := x509.ParsePKIXPublicKey(p.PublicKey)
	Expect(err).NotTo(HaveOccurred())
	material, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), []byte(strings.Repeat("k", 32)), nil)
	Expect(err).NotTo(HaveOccurred())
	id, err := s.ImportMaterial(ctx, key, kms.Wrapped{Token: p.Token, Material: material}, kms.Import{}, func(*v1alpha1.KMSKey) error { return nil })
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(key)
	world.Seen(key)
	return id
}

var _ = Describe("A rewrap", func() {
	It("begins a minute after the domain key was made, so that other managers have it, and takes all that is under former ones", func() {
		uses := everything()
		k := made()
		before := underDomainKeys()
		ask(k, "now")
		wait := pass(k)
		Expect(wait).To(Equal(time.Minute))
		Expect(condition(k, v1alpha1.ConditionRewrapped)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonRewrapping)))
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue), "the spec is in force")
		Expect(k.Status.Rewrap).To(And(HaveField("Total", BeEquivalentTo(len(before))), HaveField("Done", BeZero()), HaveField("CompletedTime", BeNil())))
		Expect(k.Status.Epochs).To(HaveLen(2))
		Expect(k.Status.Epochs[1]).To(And(HaveField("Epoch", k.Status.CurrentEpoch-1), HaveField("Envelopes", BeEquivalentTo(len(before)))))
		world.Clock.Advance(59 * time.Second)
		Expect(pass(k)).To(Equal(time.Second))
		Expect(underDomainKeys()).To(Equal(before), "too early")
		world.Clock.Advance(time.Second)
		pass(k)
		for _, was := range before {
			is := live(&was)
			Expect(is.UID).To(Equal(was.UID), "another has taken its place")
			Expect(store.Epoch(is.Spec.KeyARN)).To(Equal(k.Status.CurrentEpoch), was.Name)
			is.Spec.KeyARN, is.Spec.Ciphertext = was.Spec.KeyARN, was.Spec.Ciphertext
			Expect(is.Spec).To(Equal(was.Spec), "more has changed than its wrapping")
		}
		allOpenUnder(k.Status.CurrentEpoch)
		Expect(k.Status.Rewrap).To(And(HaveField("Done", BeEquivalentTo(len(before))), HaveField("CompletedTime", Not(BeNil()))))
		Expect(condition(k, v1alpha1.ConditionRewrapped)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(k.Status.Epochs).To(HaveLen(1))
		Expect(k.Status.Epochs[0].Envelopes).To(BeEquivalentTo(len(before)))
		world.Services.KMS.Materials.Clear()
		for what, use := range uses {
			Expect(use()).To(Succeed(), what)
		}
	})

	It("is not held back by a domain key that a clock ahead made, and neither is the next rotation", func() {
		records(3)
		k := made()
		world.Clock.Advance(10 * 365 * 24 * time.Hour)
		ask(k, "ahead")
		pass(k)
		world.Clock.Set(time.Now().Truncate(time.Second))
		pass(k) // which finds that it was noted in the future, too
		Expect(pass(k)).To(BeNumerically("<=", time.Minute))
		Expect(k.Status.LastRotatedTime.Time).To(BeTemporally("~", time.Now(), time.Minute))
		world.Clock.Advance(time.Minute)
		finished(k)
		allOpenUnder(k.Status.CurrentEpoch)
		world.Update(k, func() { k.Spec.Rotation = &v1alpha1.DomainKeyRotation{Enabled: true, PeriodInDays: 1} })
		pass(k)
		Expect(k.Status.NextRotationTime.Time).To(BeTemporally("<", time.Now().AddDate(0, 0, 2)))
	})

	It("goes at most 100 Envelopes a pass, and says how far it has come", func() {
		records(230)
		k := made()
		rotated(k)
		Expect(pass(k)).To(Equal(2 * time.Second))
		Expect(k.Status.Rewrap).To(And(HaveField("Total", BeEquivalentTo(230)), HaveField("Done", BeEquivalentTo(100))))
		Expect(k.Status.Epochs[0].Envelopes + k.Status.Epochs[1].Envelopes).To(BeEquivalentTo(230))
		finished(k)
		Expect(k.Status.Rewrap).To(And(HaveField("Total", BeEquivalentTo(230)), HaveField("Done", BeEquivalentTo(230))))
		allOpenUnder(k.Status.CurrentEpoch)
	})

	It("goes on under the newest domain key when there is another rotation in the middle", func() {
		records(150)
		k := made()
		rotated(k)
		pass(k)
		rotated(k)
		Expect(k.Status.Rewrap).To(And(HaveField("Epoch", k.Status.CurrentEpoch), HaveField("Done", BeZero())))
		Expect(k.Status.Epochs).To(HaveLen(3))
		finished(k)
		allOpenUnder(k.Status.CurrentEpoch)
	})

	It("takes what comes late, from a manager that was behind or from a backup", func() {
		late := records(3)
		k := made()
		rotated(k)
		finished(k)
		for _, e := range late {
			back := e.DeepCopy()
			back.ResourceVersion, back.UID = "", ""
			world.Remove(live(e))
			world.Create(back)
		}
		pass(k)
		finished(k)
		Expect(k.Status.Rewrap).To(And(HaveField("Total", BeEquivalentTo(6)), HaveField("Done", BeEquivalentTo(6))))
		allOpenUnder(k.Status.CurrentEpoch)
	})

	It("passes over what does not open, says which that is, once as an event, and takes it when it is restored", func() {
		all := records(5)
		good := live(all[2])
		world.Exchange(good, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })
		k := made()
		rotated(k)
		world.DrainEvents()
		Expect(pass(k)).To(Equal(10 * time.Minute))
		Expect(condition(k, v1alpha1.ConditionRewrapped)).To(And(HaveField("Reason", v1alpha1.ReasonEnvelopeTampered),
			HaveField("Message", And(ContainSubstring("1 Envelopes"), ContainSubstring(world.Namespace+"/"+good.Name)))))
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(k.Status.Rewrap).To(And(HaveField("Total", BeEquivalentTo(5)), HaveField("Done", BeEquivalentTo(4))))
		Expect(world.DrainEvents()).To(ConsistOf(ContainSubstring(v1alpha1.ReasonEnvelopeTampered)))
		pass(k)
		Expect(world.DrainEvents()).To(BeEmpty())
		world.Exchange(live(good), func(e *v1alpha1.Envelope) { e.Spec = good.Spec })
		finished(k)
		allOpenUnder(k.Status.CurrentEpoch)
	})

	It("tells of an Envelope that does not open once, however many passes, rotations and managers meet it, and again when it is another that does not open", func() {
		all := records(120)
		good := live(all[2])
		spoil := func(at int) {
			world.Exchange(live(good), func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-at] ^= 1 })
		}
		spoil(1)
		k := made()
		rotated(k)
		world.DrainEvents()
		told := func() (n int) {
			for _, event := range world.DrainEvents() {
				if strings.Contains(event, v1alpha1.ReasonEnvelopeTampered) {
					n++
				}
			}
			return n
		}
		for range 4 {
			pass(k)
		}
		Expect(told()).To(Equal(1))
		rotated(k)
		Expect(condition(k, v1alpha1.ConditionRewrapped)).To(HaveField("Reason", v1alpha1.ReasonEnvelopeTampered), "it still does not, while the others wait")
		for range 4 {
			pass(k)
		}
		Expect(told()).To(BeZero())
		another := events.NewFakeRecorder(100)
		_, err := passBy(controllers.NewKeyring(world.Services, another), k)
		Expect(err).NotTo(HaveOccurred())
		Expect(another.Events).To(BeEmpty(), "the next leader")
		spoil(2)
		pass(k)
		Expect(told()).To(Equal(1))
		world.Exchange(live(good), func(e *v1alpha1.Envelope) { e.Spec = good.Spec })
		finished(k)
	})

	It("leaves what is being erased alone, and takes it when it is absolved", func() {
		all := records(2)
		k := made()
		condemned := live(all[0])
		world.Update(condemned, func() {
			metav1.SetMetaDataAnnotation(&condemned.ObjectMeta, v1alpha1.CondemnedAnnotation, world.Clock.Now().Format(time.RFC3339))
		})
		rotated(k)
		Expect(pass(k)).To(Equal(15 * time.Second))
		Expect(live(condemned).Spec).To(Equal(condemned.Spec))
		Expect(condition(k, v1alpha1.ConditionRewrapped)).To(HaveField("Reason", v1alpha1.ReasonRewrapping))
		Expect(world.Services.Store.Absolve(ctx, condemned)).To(Succeed())
		finished(k)
		allOpenUnder(k.Status.CurrentEpoch)
	})

	It("stores a domain key again that was lost while a manager has it open, whether or not anything is to be rewrapped", func() {
		records(3)
		k := made()
		rotated(k)
		finished(k)
		world.DrainEvents()
		for _, e := range domainKeys() { // former ones, on which digests and backups hang, as well
			world.Remove(e.DeepCopy())
			pass(k)
			again := live(&e)
			Expect(again.UID).NotTo(Equal(e.UID))
			Expect(again.Spec).To(Equal(e.Spec))
			Expect(again.Annotations).To(Equal(e.Annotations), "which request it answers")
			Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
			Expect(world.DrainEvents()).To(ConsistOf(And(ContainSubstring(v1alpha1.ReasonRestored), ContainSubstring(e.Name))))
			world.Seen(again)
		}
		pass(k)
		Expect(world.DrainEvents()).To(BeEmpty())
	})

	It("makes no other domain key of an epoch that is in use and missing, as its status tells, or an Envelope in its namespace, or any as long as nothing is noted of the Keyring", func() {
		one := records(1)[0]
		k := made()
		missing := func() {
			GinkgoHelper()
			before := len(domainKeys())
			world.Update(k, func() {
				metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.RotateAnnotation, "missing-"+k.ResourceVersion)
			})
			pass(k)
			Expect(domainKeys()).To(HaveLen(before))
			Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonEnvelopeMissing))
			Expect(k.Status.LastHandledRotateAt).NotTo(HavePrefix("missing"))
			Expect(condition(k, v1alpha1.ConditionStalled)).To(HaveField("Status", metav1.ConditionTrue))
		}
		known := k.Status.CurrentEpoch
		k.Status.CurrentEpoch = known + 1
		Expect(world.ControlPlane.Client.Status().Update(ctx, k)).To(Succeed())
		world.Seen(k)
		missing()
		world.Refresh(k)
		k.Status.CurrentEpoch = known
		Expect(world.ControlPlane.Client.Status().Update(ctx, k)).To(Succeed())
		world.Seen(k)

		own := live(one)
		own.ObjectMeta = metav1.ObjectMeta{Namespace: environment.OperatorNamespace, Name: one.Name}
		own.Spec.KeyARN = fmt.Sprintf("strongroom:domain-key/%d", known+1)
		world.Create(own)
		missing()
		world.Remove(own)

		claim(one, known+3)
		world.Remove(k)
		_, err := passBy(world.Keyring, k) // makes it anew
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(k)
		world.Seen(k)
		missing()
		Expect(condition(k, v1alpha1.ConditionReady).Message).To(And(ContainSubstring(world.Namespace+"/"+one.Name), ContainSubstring("restore")))
		Expect(k.Status.CurrentEpoch).To(BeZero())
		world.Remove(live(one))
		Expect(pass(k)).To(BeNumerically(">", time.Minute)) // what was asked for meanwhile is done
		Expect(k.Status.CurrentEpoch).To(Equal(known+1), "%v", k.Status.Conditions)
	})

	It("believes no Envelope of another namespace that names a domain key which there never was: it rotates, rewraps, and tells of it, once as an event", func() {
		all := records(4)
		k := made()
		known := k.Status.CurrentEpoch
		for n, epoch := range []int64{known + 1, known + 2, known + 77777} {
			claim(all[n], epoch)
		}
		names := func(n int) string { return world.Namespace + "/" + all[n].Name }
		world.DrainEvents()
		for range 2 {
			Expect(pass(k)).To(Equal(30*time.Second), "what is gone is seen soon")
			Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
			Expect(condition(k, v1alpha1.ConditionRewrapped)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonEnvelopeTampered),
				HaveField("Message", And(ContainSubstring("3 Envelopes"), ContainSubstring("3 of them"), ContainSubstring(names(0)), ContainSubstring(names(1)), ContainSubstring(names(2))))))
		}
		Expect(world.DrainEvents()).To(ConsistOf(And(ContainSubstring(v1alpha1.ReasonEnvelopeTampered), ContainSubstring(names(2)))))
		Expect(damaged()).To(BeEquivalentTo(3))

		rotated(k) // which is of the epoch that the first names
		world.DrainEvents()
		pass(k)
		Expect(k.Status.Rewrap).To(And(HaveField("Total", BeEquivalentTo(1)), HaveField("Done", BeEquivalentTo(1))))
		Expect(store.Epoch(live(all[3]).Spec.KeyARN)).To(Equal(known + 1))
		Expect(condition(k, v1alpha1.ConditionRewrapped).Message).To(And(ContainSubstring("2 Envelopes"), Not(ContainSubstring(names(0)))))
		rotated(k) // under the next, the first is of a former one, and does not open
		pass(k)
		Expect(condition(k, v1alpha1.ConditionRewrapped).Message).To(And(ContainSubstring(names(0)), ContainSubstring(names(2)), ContainSubstring("1 of them")))
		for n := range 3 {
			world.Remove(live(all[n]))
		}
		world.Clock.Advance(time.Minute)
		finished(k)
		Expect(pass(k)).To(BeNumerically(">", time.Minute))
		Expect(damaged()).To(BeZero())
		allOpenUnder(known + 2)
	})

	It("keeps nobody from erasing, and brings nothing back", func() {
		all := records(3)
		k := made()
		stale, owner := make([]v1alpha1.Envelope, 0, 3), &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "o0"}}
		for _, e := range all {
			stale = append(stale, *live(e))
		}
		rotated(k)
		finished(k)
		// Who erases has them as they were before; to that they are what they were.
		back, err := world.Services.Store.Erase(ctx, owner, stale[:1], world.Clock.Now())
		Expect(err).NotTo(HaveOccurred())
		Expect(back).To(BeFalse())
		Expect(world.Services.Store.Delete(ctx, &stale[1])).To(Succeed())
		Expect(gone(all[0])).To(BeTrue())
		Expect(gone(all[1])).To(BeTrue())
		ring, err := world.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		for i := range stale {
			done, err := world.Services.Store.Rewrap(ctx, ring, &stale[i])
			Expect(err).NotTo(HaveOccurred())
			Expect(done).To(BeFalse(), "an old look at it was enough")
		}
		Expect(gone(all[0])).To(BeTrue())
		Expect(gone(all[1])).To(BeTrue())
		// Who took it over since is not overlooked by a deletion that did not see it.
		seen := live(all[2])
		Expect(world.Services.Store.Take(ctx, "somebody", seen)).To(Succeed())
		rotated(k)
		finished(k)
		Expect(world.Services.Store.Delete(ctx, seen)).NotTo(Succeed())
		Expect(client.IgnoreNotFound(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(seen), seen))).To(Succeed())
		Expect(seen.Annotations).To(HaveKeyWithValue(v1alpha1.TakenAnnotation, "somebody"))
	})
})

var _ = Describe("While the root of trust is away", func() {
	It("nothing is rotated or rewrapped, and the Keyring says so, and both are done when it is back", func() {
		all := records(3)
		k := made()
		rotated(k)
		root := environment.RootSecret()
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
		back := root.DeepCopy()
		back.ResourceVersion, back.UID = "", ""
		Expect(world.ControlPlane.Client.Delete(ctx, root)).To(Succeed())
		away := true
		bring := func() {
			if away {
				away = false
				Expect(world.ControlPlane.Client.Create(ctx, back)).To(Succeed())
			}
		}
		DeferCleanup(bring)

		before := len(domainKeys())
		Expect(pass(k)).To(Equal(15 * time.Second))
		Expect(condition(k, v1alpha1.ConditionRewrapped)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonRootUnavailable),
			HaveField("Message", ContainSubstring("core Secret"))))
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(k.Status.Rewrap).To(And(HaveField("Total", BeEquivalentTo(3)), HaveField("Done", BeZero()), HaveField("CompletedTime", BeNil())))
		for _, e := range all {
			Expect(live(e).Spec).To(Equal(e.Spec))
		}
		ask(k, "away")
		Expect(pass(k)).To(BeNumerically("~", 15*time.Second, 2*time.Second))
		Expect(condition(k, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonRootUnavailable)))
		Expect(k.Status.LastHandledRotateAt).NotTo(Equal("away"))
		Expect(domainKeys()).To(HaveLen(before))

		bring()
		pass(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(k.Status.LastHandledRotateAt).To(Equal("away"))
		Expect(domainKeys()).To(HaveLen(before + 1))
		world.Clock.Advance(time.Minute)
		finished(k)
		allOpenUnder(k.Status.CurrentEpoch)
	})
})
