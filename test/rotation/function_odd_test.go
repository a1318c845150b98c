package rotation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	gatewaysecrets "strongroom.dev/strongroom/internal/gateway/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

// invocation is the event as a function sees it.
type invocation struct {
	Step, SecretId, ClientRequestToken string
}

var _ = Describe("A rotation function that does not do what it should", func() {
	var (
		l     *lambda
		s     *v1alpha1.Secret
		mu    sync.Mutex
		steps []string
		// does is what the function does at a step; nothing if nil.
		does func(invocation)
	)
	// serves has a server of the test's be the function.
	serves := func(start func(*httptest.Server)) {
		GinkgoHelper()
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer GinkgoRecover()
			var in invocation
			Expect(json.NewDecoder(r.Body).Decode(&in)).To(Succeed())
			mu.Lock()
			steps = append(steps, in.Step)
			mu.Unlock()
			if does != nil {
				does(in)
			}
			_, _ = w.Write([]byte("null"))
		}))
		server.Config.ErrorLog = nil
		start(server)
		DeferCleanup(server.Close)
		_, port, err := net.SplitHostPort(server.Listener.Addr().String())
		Expect(err).NotTo(HaveOccurred())
		l.port = port
		world.Secret.Rotations.Dial = l.dial
		DeferCleanup(func() { world.Secret.Rotations.Dial = nil })
	}
	// putsPending is what createSecret does.
	putsPending := func(in invocation) {
		GinkgoHelper()
		_, err := l.user.PutSecretValue(ctx, &sdk.PutSecretValueInput{
			SecretId: &in.SecretId, ClientRequestToken: &in.ClientRequestToken, SecretString: ptr.To(`{"username":"shop","password":"next"}`), VersionStages: []string{"AWSPENDING"},
		})
		Expect(err).NotTo(HaveOccurred())
	}
	// brings is what finishSecret does in AWS's first functions: AWSPENDING stays where it is.
	brings := func(in invocation) {
		GinkgoHelper()
		_, err := l.user.UpdateSecretVersionStage(ctx, &sdk.UpdateSecretVersionStageInput{
			SecretId: &in.SecretId, VersionStage: ptr.To("AWSCURRENT"), MoveToVersionId: &in.ClientRequestToken, RemoveFromVersionId: &s.Status.CurrentVersionID,
		})
		Expect(err).NotTo(HaveOccurred())
	}
	well := func(in invocation) {
		switch in.Step {
		case "createSecret":
			putsPending(in)
		case "finishSecret":
			brings(in)
		}
	}
	BeforeEach(func() {
		world.ReadyKey("shop", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} })
		l = &lambda{door: world.Open(gatewaysecrets.New(gatewaysecrets.Dependencies{Secrets: world.Services.Secrets})), log: &log{}}
		l.user = sdk.NewFromConfig(l.door.Config(environment.Region, `"Action":"*","Resource":"*"`))
		steps, does = nil, nil
		s = l.made()
		l.service()
	})

	It("but ends without error has rotated nothing, and is asked for all of it again", func() {
		serves((*httptest.Server).Start)
		l.rotate(s)
		before := s.Status.CurrentVersionID
		reconcile(s)
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonFunctionFailed), HaveField("Message", ContainSubstring("has not got AWSCURRENT"))))
		Expect(s.Status).To(And(HaveField("CurrentVersionID", before), HaveField("Rotation.Step", "createSecret"), HaveField("Rotation.Attempts", int32(1))))
		does = well
		world.Clock.Advance(6 * time.Second)
		reconcile(s)
		Expect(steps).To(Equal([]string{"createSecret", "setSecret", "testSecret", "finishSecret", "createSecret", "setSecret", "testSecret", "finishSecret"}))
		Expect(failing(s)).To(BeNil())
		Expect(s.Status.CurrentVersionID).NotTo(Equal(before))
	})

	It("and leaves AWSPENDING on the version that is in force has it taken away", func() {
		serves((*httptest.Server).Start)
		does = well
		token, first := l.rotate(s), s.Status.CurrentVersionID
		reconcile(s)
		Expect(l.described(s).VersionIdsToStages).To(Equal(map[string][]string{first: {"AWSPREVIOUS"}, token: {"AWSCURRENT"}}))
		Expect(projected(s)).To(Equal(login{"shop", "next"}))
	})

	It("and takes its time has a pass for each step that does not fit in", func() {
		serves((*httptest.Server).Start)
		does = well
		token := l.rotate(s)
		for n := range 4 {
			Expect(steps).To(HaveLen(n))
			short, cancel := context.WithTimeout(ctx, 20*time.Second)
			_, err := world.Secret.Reconcile(short, environment.Request(s))
			cancel()
			Expect(err).NotTo(HaveOccurred())
			world.Refresh(s)
			world.Seen(s)
		}
		Expect(s.Status.CurrentVersionID).To(Equal(token))
		Expect(steps).To(Equal([]string{"createSecret", "setSecret", "testSecret", "finishSecret"}))
	})

	It("is left alone when the rotation is cancelled while it runs", func() {
		serves((*httptest.Server).Start)
		does = func(in invocation) {
			well(in)
			if in.Step == "setSecret" {
				_, err := l.user.CancelRotateSecret(ctx, &sdk.CancelRotateSecretInput{SecretId: &in.SecretId})
				Expect(err).NotTo(HaveOccurred())
			}
		}
		token, first := l.rotate(s), s.Status.CurrentVersionID
		for range 3 {
			_, _ = world.Secret.Reconcile(ctx, environment.Request(s))
			world.Refresh(s)
			world.Seen(s)
		}
		Expect(steps).To(Equal([]string{"createSecret", "setSecret"}))
		Expect(s.Status).To(And(HaveField("CurrentVersionID", first), HaveField("Rotation", BeNil())))
		Expect(l.described(s).VersionIdsToStages).To(HaveKeyWithValue(token, []string{"AWSPENDING"}))
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(failing(s)).To(BeNil())
	})

	It("goes on by the new spec when that is changed while it runs", func() {
		serves((*httptest.Server).Start)
		does = func(in invocation) {
			well(in)
			if in.Step == "createSecret" {
				changed := s.DeepCopy()
				world.Update(changed, func() { changed.Spec.Description = "changed" })
			}
		}
		token := l.rotate(s)
		_, err := world.Secret.Reconcile(ctx, environment.Request(s))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(s)
		Expect(s.Status.ObservedGeneration).To(BeNumerically("<", s.Generation), "it claims to have seen what it has not")
		world.Seen(s)
		does = well
		reconcile(s)
		Expect(s.Status).To(And(HaveField("CurrentVersionID", token), HaveField("ObservedGeneration", s.Generation)))
		Expect(steps[:2]).To(Equal([]string{"createSecret", "createSecret"}), "the step in flight is repeated, and no other")
		Expect(steps).To(HaveLen(5))
	})

	It("or has another's certificate is called by HTTPS with the authorities that are named, and no others", func() {
		certificate, authority := certified("rotate-shop." + world.Namespace + ".svc")
		serves(func(s *httptest.Server) {
			s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
			s.StartTLS()
		})
		does = well
		token := l.rotate(s)
		trusts := func(reason, name string) {
			GinkgoHelper()
			world.Update(s, func() {
				s.Spec.Rotation.Function.TLS = &v1alpha1.FunctionTLS{CASecretRef: v1alpha1.SecretKeyReference{Name: name, Key: "ca.crt"}}
			})
			reconcile(s)
			Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", reason)))
		}
		trusts(v1alpha1.ReasonTLSFailed, "missing")
		core("none", "ca.crt", []byte("no certificate"))
		trusts(v1alpha1.ReasonTLSFailed, "none")
		_, other := certified("rotate-shop." + world.Namespace + ".svc")
		core("other", "ca.crt", other)
		trusts(v1alpha1.ReasonTLSFailed, "other")
		Expect(steps).To(BeEmpty())
		core("right", "ca.crt", authority)
		world.Update(s, func() { s.Spec.Rotation.Function.TLS.CASecretRef.Name = "right" })
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(s.Status.CurrentVersionID).To(Equal(token))
	})
})

// certified is a certificate for a name, and its authority's in PEM, which is itself.
func certified(name string) (tls.Certificate, []byte) {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	Expect(err).NotTo(HaveOccurred())
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
