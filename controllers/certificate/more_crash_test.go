package certificate_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/test/environment"
)

// withLog is a context whose log goes into a text, at each level.
func withLog(to io.StringWriter) context.Context {
	return logr.NewContext(ctx, funcr.New(func(prefix, args string) { _, _ = to.WriteString(prefix + " " + args + "\n") }, funcr.Options{Verbosity: 10}))
}

// canaries are parts of a private key as they would be shown: in each encoding, and without what all keys begin with.
func canaries(der []byte) []string {
	tail := der[len(der)-48:]
	out := []string{hex.EncodeToString(tail[:16]), string(tail)}
	for shift := range 3 {
		out = append(out, base64.StdEncoding.EncodeToString(tail[shift:])[4:28])
	}
	return out
}

// life is a step in a certificate's life that is made to die at each of its writes.
type life struct {
	name   string
	writes []string
	begin  func(name string) *v1alpha1.Certificate
	check  func(c, before *v1alpha1.Certificate)
}

// named gives the sample's certificate and its target a name.
func named(name string) func(*v1alpha1.Certificate) {
	return func(c *v1alpha1.Certificate) { c.Name, c.Spec.Target = name, &v1alpha1.CertificateTarget{Name: name} }
}

// theirs puts a key with its certificate into a core Secret, as somebody does who has it from elsewhere.
func theirs(name string) *corev1.Secret {
	GinkgoHelper()
	signer, err := pki.GenerateKey(pki.ECPrime256v1)
	Expect(err).NotTo(HaveOccurred())
	in := pki.AuthorityRequest{NotBefore: env.Clock.Now().Add(-day), NotAfter: env.Clock.Now().Add(100 * day)}
	in.Subject.CommonName = "theirs"
	root, err := pki.NewRoot(signer, in, nil)
	Expect(err).NotTo(HaveOccurred())
	issuer, err := pki.NewAuthority([]*x509.Certificate{root}, signer)
	Expect(err).NotTo(HaveOccurred())
	leafKey, err := pki.GenerateKey(pki.ECPrime256v1)
	Expect(err).NotTo(HaveOccurred())
	names, err := pki.ParseNames([]string{"shop.example.com"})
	Expect(err).NotTo(HaveOccurred())
	leaf, err := issuer.Issue(leafKey.Public(), pki.LeafRequest{Names: names, NotBefore: env.Clock.Now().Add(-day / 2), NotAfter: env.Clock.Now().Add(90 * day)})
	Expect(err).NotTo(HaveOccurred())
	der, err := pki.MarshalKey(leafKey)
	Expect(err).NotTo(HaveOccurred())
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		"tls.crt": pki.CertificatesPEM([]*x509.Certificate{leaf}), "tls.key": pki.KeyPEM(der).Reveal(), "ca.crt": pki.CertificatesPEM([]*x509.Certificate{root}),
	}}
}

func follows(name string) *v1alpha1.Certificate {
	c := &v1alpha1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	c.Spec.ImportFrom = &v1alpha1.CertificateSource{SecretRef: v1alpha1.LocalReference{Name: name + "-source"}, Policy: v1alpha1.ImportFollow}
	c.Spec.Target = &v1alpha1.CertificateTarget{}
	return c
}

// deployment is a workload to restart.
func deployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}}},
	}}
}

var lives = []life{
	{
		name: "an import", writes: []string{"create", "create", "status"},
		begin: func(name string) *v1alpha1.Certificate {
			Expect(cp.Client.Create(ctx, theirs(name+"-source"))).To(Succeed())
			c := follows(name)
			create(c)
			return c
		},
		check: func(c, _ *v1alpha1.Certificate) {
			Expect(c.Status.Versions).To(HaveLen(1))
			Expect(c.Status.Type).To(Equal(v1alpha1.CertificateImported))
		},
	},
	{
		name: "an import of what the source has now", writes: []string{"create", "apply", "status"},
		begin: func(name string) *v1alpha1.Certificate {
			source := theirs(name + "-source")
			Expect(cp.Client.Create(ctx, source)).To(Succeed())
			c := follows(name)
			create(c)
			reconcile(c)
			source.Data = theirs("x").Data
			Expect(cp.Client.Update(ctx, source)).To(Succeed())
			return c
		},
		check: func(c, before *v1alpha1.Certificate) {
			Expect(c.Status.Versions).To(HaveLen(2))
			Expect(c.Status.Fingerprint).NotTo(Equal(before.Status.Fingerprint))
		},
	},
	{
		name: "an issue for other names, which restarts a workload", writes: []string{"create", "create", "apply", "apply", "status"},
		begin: func(name string) *v1alpha1.Certificate {
			Expect(cp.Client.Create(ctx, deployment(name))).To(Succeed())
			c := shop(named(name), func(c *v1alpha1.Certificate) {
				c.Spec.Target.Restart = []v1alpha1.RestartTarget{{Kind: v1alpha1.RestartDeployment, Name: name}}
			})
			create(c)
			reconcile(c)
			update(c, func() { c.Spec.SubjectAlternativeNames = []string{"new.example.com"} })
			return c
		},
		check: func(c, _ *v1alpha1.Certificate) {
			Expect(c.Status.Names).To(Equal([]string{"shop.example.com", "new.example.com"}))
			Expect(c.Status.Versions).To(HaveLen(2))
			workload := deployment(c.Name)
			refresh(workload)
			Expect(workload.Generation).To(Equal(int64(2)), "the Deployment was not restarted exactly once")
		},
	},
	{
		name: "a renewal that lets one version go", writes: []string{"create", "create", "apply", "status", "delete"},
		begin: func(name string) *v1alpha1.Certificate {
			c := shop(named(name))
			create(c)
			reconcile(c)
			annotate(c, v1alpha1.RotateAnnotation, "once")
			reconcile(c)
			annotate(c, v1alpha1.RotateAnnotation, "now")
			return c
		},
		check: func(c, before *v1alpha1.Certificate) {
			Expect(c.Status.Versions[0].VersionID).To(Equal(before.Status.Versions[1].VersionID))
			Expect(c.Status.LastHandledRotateAt).To(Equal("now"))
		},
	},
	{
		name: "the return of a deleted one", writes: []string{"patch", "patch", "apply", "status"}, // the second takes its version over: no tombstone names it
		begin: func(name string) *v1alpha1.Certificate {
			c := shop(named(name))
			create(c)
			reconcile(c)
			former := c.Status.DeepCopy()
			remove(c)
			again := shop(named(name))
			create(again)
			again.Status = *former
			return again
		},
		check: func(c, before *v1alpha1.Certificate) {
			Expect(c.Status.ARN).To(Equal(before.Status.ARN))
			Expect(c.Status.Fingerprint).To(Equal(before.Status.Fingerprint))
		},
	},
}

// Every write of every step is made to fail in turn, before it is done and after it. At no point are a key and a certificate shown that do
// not match, and the next passes bring all to where it would be without that.
var _ = Describe("A manager that dies at any write of", func() {
	for _, l := range lives {
		It(l.name+" shows no key with another's certificate, loses nothing and does nothing twice", func() {
			readyRoot()
			faulty, writes := env.Faulty()
			for _, after := range []bool{false, true} {
				for n := 1; n <= len(l.writes); n++ {
					c := l.begin(fmt.Sprintf("dies-%d-%t", n, after))
					before := c.DeepCopy()
					By(fmt.Sprintf("dying at write %d, done=%t", n, after))
					writes.FailAt(n, after)
					_, err := faulty.Certificate.Reconcile(ctx, environment.Request(c))
					Expect(err).To(MatchError(environment.ErrInjected))
					Expect(writes.Log()[:n]).To(Equal(l.writes[:n]))
					if targetOf(c.TargetName()) != nil {
						projected(c.TargetName())
					}
					refresh(c)
					seen(c)
					for range 3 {
						reconcile(c)
					}
					isReady(c)
					l.check(c, before)
					leaf := verified(c.TargetName(), "shop.example.com")
					Expect(pki.FormatSerial(leaf.SerialNumber)).To(Equal(c.Status.Serial), "another certificate is shown than is in force")
					stored := 0
					for _, e := range envelopes(v1alpha1.EnvelopePrivateKey) {
						if e.Spec.Owner.Name == c.Name {
							stored++
						}
					}
					if !strings.HasSuffix(l.name, "go") { // what a crash leaves between commit and deletion is swept
						Expect(stored).To(Equal(len(c.Status.Versions)), "an Envelope was lost or left over")
					}
				}
			}
		})
	}
})

var _ = Describe("Two managers that both think they lead", func() {
	It("issue one certificate between them, and what is shown is what is in force", func() {
		readyRoot()
		other, _ := env.Faulty()
		for _, renewal := range []bool{false, true} {
			c := shop(named(fmt.Sprintf("raced-%t", renewal)))
			create(c)
			want := 1
			if renewal {
				reconcile(c)
				annotate(c, v1alpha1.RotateAnnotation, "now")
				want = 2
			}
			for range 3 {
				var wg sync.WaitGroup
				for _, r := range []*environment.Reconcilers{env, other} {
					wg.Go(func() { _, _ = r.Certificate.Reconcile(ctx, environment.Request(c)) }) // one of them may come second, and looks again
				}
				wg.Wait()
				projected(c.Name)
				refresh(c)
				seen(c)
			}
			reconcile(c)
			isReady(c)
			Expect(c.Status.Versions).To(HaveLen(want))
			leaf := verified(c.Name, "shop.example.com")
			Expect(pki.FormatSerial(leaf.SerialNumber)).To(Equal(c.Status.Serial))
		}
	})
})
