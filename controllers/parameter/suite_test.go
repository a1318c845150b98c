package parameter_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/envelope"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/test/environment"
)

func TestParameterController(t *testing.T) {
	environment.Specs(t, "Parameter controller")
}

var (
	ctx   = context.Background()
	world *environment.World
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() { world.Fresh() })

// create makes the usual Parameter, changed as the test wants.
func create(name string, changes ...func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
	GinkgoHelper()
	p := environment.Parameter(world.Namespace, name, changes...)
	world.Create(p)
	return p
}

// reconcile makes one pass and reads the Parameter again.
func reconcile(p *v1alpha1.Parameter) {
	GinkgoHelper()
	_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(p)
	world.Seen(p)
}

func ready(name string, changes ...func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
	GinkgoHelper()
	p := create(name, changes...)
	reconcile(p)
	Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue), "%+v", condition(p))
	return p
}

func condition(p *v1alpha1.Parameter) *metav1.Condition {
	return meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
}

func valued(value string) func(*v1alpha1.Parameter) {
	return func(p *v1alpha1.Parameter) { p.Spec.Value = value }
}

// secure makes a generated SecureString of it, under a key and shown in a core Secret.
func secure(key string) func(*v1alpha1.Parameter) {
	return func(p *v1alpha1.Parameter) {
		p.Spec.Type, p.Spec.Value = v1alpha1.ParameterSecureString, ""
		p.Spec.Generate = &v1alpha1.SecretGenerator{Password: &v1alpha1.PasswordGenerator{}}
		p.Spec.Target = &v1alpha1.ParameterTarget{Secret: &v1alpha1.ParameterTargetKey{Key: "password"}}
		if key != "" {
			p.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: key}
		}
	}
}

func configMap(name string) *corev1.ConfigMap {
	GinkgoHelper()
	config := &corev1.ConfigMap{}
	Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: name}, config)).To(Succeed())
	return config
}

func coreSecret(name string) *corev1.Secret {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: name}, secret)).To(Succeed())
	return secret
}

// stored opens a version.
func stored(p *v1alpha1.Parameter, number int) string {
	GinkgoHelper()
	s := world.Services.Parameters
	b, err := s.Versions().Value(ctx, s.SubjectOf(p), parameterstore.IndexOf(p)[number-1])
	Expect(err).NotTo(HaveOccurred())
	return string(b.Reveal())
}

// sweep makes one pass of the controller of Envelopes.
func sweep(name string) {
	GinkgoHelper()
	_, err := world.Envelope.Reconcile(ctx, envelope.Owner{Kind: "Parameter", Namespace: world.Namespace, Name: name})
	Expect(err).NotTo(HaveOccurred())
}
