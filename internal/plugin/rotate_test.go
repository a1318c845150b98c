package plugin

import (
	"encoding/json"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// awaitKeyring waits until the operator has made the Keyring and looked at it.
func awaitKeyring() {
	GinkgoHelper()
	k := &v1alpha1.Keyring{ObjectMeta: metav1.ObjectMeta{Namespace: environment.OperatorNamespace, Name: v1alpha1.KeyringName}}
	Eventually(func(g Gomega) {
		g.Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k)).To(Succeed())
		g.Expect(condition(k, v1alpha1.ConditionReady).Status).To(Equal(metav1.ConditionTrue))
	}, "30s").Should(Succeed())
}

var _ = Describe("rotate", func() {
	It("waits until a secret has another version, and names it", func() {
		s := secretAnd("db")
		before := s.Status.CurrentVersionID
		out, _, err := run("rotate", "prod/db")
		Expect(err).NotTo(HaveOccurred())
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		Expect(s.Status.CurrentVersionID).NotTo(Equal(before))
		Expect(out).To(Equal("Secret " + namespace + "/db: rotated, version " + s.Status.CurrentVersionID + "\n"))
	})

	It("rotates once a time it is typed", func() {
		s := secretAnd("db")
		for range 2 {
			_, _, err := run("rotate", "db")
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		Expect(s.Status.Versions).To(HaveLen(3))
	})

	It("keeps the annotations that others made", func() {
		s := secretAnd("db", func(s *v1alpha1.Secret) { s.Annotations = map[string]string{"others": "stay"} })
		_, _, err := run("rotate", "db", "--wait=false")
		Expect(err).NotTo(HaveOccurred())
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		Expect(s.Annotations).To(HaveKeyWithValue("others", "stay"))
		Expect(s.Annotations).To(HaveKey(v1alpha1.RotateAnnotation))
	})

	It("rotates a key by its alias", func() {
		secretAnd("db")
		out, _, err := run("rotate", "kmskey", "alias/shop")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(MatchRegexp("KMSKey .*/key: rotated, version [0-9a-f]{64}"))
		out, _, err = run("history", "kmskey/key")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(MatchRegexp(`(?m)^2 +[0-9a-f]{64} +CURRENT,ON_DEMAND `))
	})

	It("rotates the Keyring by its kind alone, in Strongroom's own namespace, and says which domain key there is now", func() {
		awaitKeyring()
		before := domainKeys(environment.OperatorNamespace)
		out, _, err := runAs(kubeconfig, "rotate", "keyring")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(Equal(fmt.Sprintf("Keyring strongroom-system/strongroom: rotated, version %d\n", len(before)+1)))
		Expect(domainKeys(environment.OperatorNamespace)).To(HaveLen(len(before) + 1))
		out, _, err = runAs(kubeconfig, "history", "keyring")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(MatchRegexp(`(?m)^%d +%d +[0-9]+ Envelopes,CURRENT `, len(before)+1, len(before)+1))
		_, _, err = run("rotate", "keyring")
		Expect(ExitCode(err)).To(Equal(ExitNotFound), "another namespace was named: %v", err)
	})

	It("tells a rotation that was refused by its cause, and not by the time", func() {
		k := environment.KMSKey(namespace, "signs", func(k *v1alpha1.KMSKey) { k.Spec.KeySpec, k.Spec.KeyUsage = "ECC_NIST_P256", "SIGN_VERIFY" })
		Expect(cp.Client.Create(ctx, k)).To(Succeed())
		Eventually(func() metav1.ConditionStatus {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k)).To(Succeed())
			return condition(k, v1alpha1.ConditionReady).Status
		}, "20s").Should(Equal(metav1.ConditionTrue))
		_, _, err := run("rotate", "kmskey/signs", "--timeout", "20s")
		Expect(err).To(MatchError(And(ContainSubstring("KMSKey "+namespace+"/signs"), ContainSubstring(v1alpha1.RotateAnnotation))))
		Expect(ExitCode(err)).To(Equal(ExitFailed))
	})

	It("says that nothing was rotated of a value that is not made here, and of one that is not to rotate", func() {
		secretAnd("db", func(s *v1alpha1.Secret) {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Enabled: new(false), Schedule: "rate(30 days)"}
		})
		_, _, err := run("rotate", "db", "--timeout", "20s")
		Expect(err).To(MatchError(ContainSubstring("nothing was rotated")))
		Expect(ExitCode(err)).To(Equal(ExitFailed))
	})

	It("says what holds a rotation up when the time is over", func() {
		secretAnd("db", func(s *v1alpha1.Secret) { s.Spec.Suspend = false })
		s := environment.Secret(namespace, "held", func(s *v1alpha1.Secret) { s.Spec.Suspend = true })
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		Eventually(func() string {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			return condition(s, v1alpha1.ConditionReady).Reason
		}, "20s").Should(Equal(v1alpha1.ReasonSuspended))
		_, _, err := run("rotate", "held", "--timeout", "1s")
		Expect(err).To(MatchError(ContainSubstring("spec.suspend is true")))
		Expect(ExitCode(err)).To(Equal(ExitTimeout))
	})
})

var _ = Describe("history", func() {
	It("shows the versions of a secret, newest first, with their stages", func() {
		s := secretAnd("db")
		_, _, err := run("rotate", "db")
		Expect(err).NotTo(HaveOccurred())
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		out, _, err := run("history", "prod/db")
		Expect(err).NotTo(HaveOccurred())
		lines := strings.Split(out, "\n")
		Expect(lines[0]).To(HavePrefix("NUMBER "))
		Expect(lines[1]).To(MatchRegexp(`^2 +` + s.Status.CurrentVersionID + ` +AWSCURRENT +`))
		Expect(lines[2]).To(MatchRegexp(`^1 +[-0-9a-f]+ +AWSPREVIOUS +`))

		out, _, err = run("history", "db", "-o", "json")
		Expect(err).NotTo(HaveOccurred())
		var got history
		Expect(json.Unmarshal([]byte(out), &got)).To(Succeed())
		Expect(got.ARN).To(Equal(s.Status.ARN))
		Expect(got.Versions).To(HaveLen(2))
		Expect(got.Versions[0].Labels).To(ConsistOf("AWSCURRENT"))
	})

	It("is an empty list of an object that has no version", func() {
		s := environment.Secret(namespace, "empty", func(s *v1alpha1.Secret) { s.Spec.Generate, s.Spec.Target = nil, nil })
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		out, _, err := run("history", "empty", "-o", "json")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(ContainSubstring(`"versions": []`))
	})
})

var _ = Describe("completion", func() {
	completed := func(command string, typed ...string) []string {
		for _, c := range Commands() {
			if c.Name() == command {
				Expect(c.ParseFlags([]string{"--kubeconfig", kubeconfig, "-n", namespace})).To(Succeed())
				c.SetContext(ctx)
				out, _ := c.ValidArgsFunction(c, typed[:len(typed)-1], typed[len(typed)-1])
				return out
			}
		}
		return nil
	}

	It("offers kinds and the names of objects", func() {
		secretAnd("db")
		Expect(completed("get", "")).To(ContainElements("secret", "hsmcluster", "db"))
		Expect(completed("get", "kmskey", "")).To(ConsistOf("key"))
		Expect(completed("get", "kmskey/")).To(ContainElement("kmskey/key"))
		Expect(completed("history", "")).NotTo(ContainElement("hsmcluster"))
		Expect(completed("rotate", "hsmcluster", "")).To(BeEmpty())
		Expect(completed("get", "secret", "db", "")).To(BeEmpty())
	})

	It("offers kinds when there is no cluster", func() {
		kubeconfig, was := "/missing", kubeconfig
		DeferCleanup(func() { kubeconfig = was })
		for _, c := range Commands() {
			if c.Name() == "get" {
				Expect(c.ParseFlags([]string{"--kubeconfig", kubeconfig})).To(Succeed())
				c.SetContext(ctx)
				out, _ := c.ValidArgsFunction(c, nil, "")
				Expect(out).To(ContainElement("secret"))
			}
		}
	})
})
