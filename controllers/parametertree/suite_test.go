package parametertree_test

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/test/environment"
)

func TestParameterTreeController(t *testing.T) {
	environment.Specs(t, "ParameterTree controller")
}

var errSealed = errors.New("the root is away")

var (
	ctx   = context.Background()
	world *environment.World
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() { world.Fresh() })

type (
	edit   = func(*v1alpha1.ParameterTree)
	filter = v1alpha1.ParameterTreeFilter
)

// tree makes the tree "tree" of /p and all below, shown in a ConfigMap, changed as the test wants.
func tree(changes ...edit) *v1alpha1.ParameterTree {
	GinkgoHelper()
	t := environment.ParameterTree(world.Namespace, "tree", "/p", changes...)
	world.Create(t)
	return t
}

// reconcile makes one pass and reads the tree again.
func reconcile(t *v1alpha1.ParameterTree) {
	GinkgoHelper()
	_, err := world.ParameterTree.Reconcile(ctx, environment.Request(t))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(t)
	world.Seen(t)
}

// ready makes a tree and brings it to Ready.
func ready(changes ...edit) *v1alpha1.ParameterTree {
	GinkgoHelper()
	t := tree(changes...)
	reconcile(t)
	inForce(t)
	return t
}

func inForce(t *v1alpha1.ParameterTree) {
	GinkgoHelper()
	Expect(condition(t)).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.ReasonSucceeded)), "%+v", condition(t))
	Expect(t.Status.ObservedGeneration).To(Equal(t.Generation))
}

// refused tells that a tree is not Ready for a reason, and names what is at fault.
func refused(t *v1alpha1.ParameterTree, reason string, names ...string) {
	GinkgoHelper()
	Expect(condition(t)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", reason)), "%+v", condition(t))
	for _, name := range names {
		Expect(condition(t).Message).To(ContainSubstring(name))
	}
}

func condition(t *v1alpha1.ParameterTree) *metav1.Condition {
	return meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
}

func stalled(t *v1alpha1.ParameterTree) bool {
	return meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionStalled)
}

// declare makes a Parameter of a name in AWS as a user does, without a value and a target.
func declare(object, name string, changes ...func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
	GinkgoHelper()
	p := environment.Parameter(world.Namespace, object, func(p *v1alpha1.Parameter) { p.Spec.Name, p.Spec.Value, p.Spec.Target = name, "", nil })
	for _, change := range changes {
		change(p)
	}
	world.Create(p)
	return p
}

func pass(p *v1alpha1.Parameter) {
	GinkgoHelper()
	_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(p)
	world.Seen(p)
}

// put makes a String of a value, and has it stored.
func put(object, name, value string, changes ...func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
	GinkgoHelper()
	p := declare(object, name, append(changes, func(p *v1alpha1.Parameter) { p.Spec.Value = value })...)
	pass(p)
	return p
}

// change gives a String another value.
func change(p *v1alpha1.Parameter, value string) {
	GinkgoHelper()
	world.Update(p, func() { p.Spec.Value = value })
	pass(p)
}

// secure makes a generated SecureString, under the account's own key.
func secure(object, name string) *v1alpha1.Parameter {
	GinkgoHelper()
	p := declare(object, name, func(p *v1alpha1.Parameter) {
		p.Spec.Type, p.Spec.Generate = v1alpha1.ParameterSecureString, &v1alpha1.SecretGenerator{UUID: &v1alpha1.UUIDGenerator{}}
	})
	for range 2 { // the first makes the key
		_, _ = world.Parameter.Reconcile(ctx, environment.Request(p))
		key := &v1alpha1.KMSKey{}
		Expect(world.ControlPlane.Client.Get(ctx, keyOf("aws-ssm"), key)).To(Succeed())
		world.ReconcileKey(key)
		world.Seen(key)
	}
	pass(p)
	Expect(p.Status.Versions).To(HaveLen(1))
	return p
}

// plain opens the latest version of a parameter.
func plain(p *v1alpha1.Parameter) string {
	GinkgoHelper()
	s := world.Services.Parameters
	latest, _ := parameterstore.Latest(parameterstore.IndexOf(p))
	value, err := s.Versions().Value(ctx, s.SubjectOf(p), latest)
	Expect(err).NotTo(HaveOccurred())
	return string(value.Reveal())
}

func keyOf(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: world.Namespace, Name: name}
}

func configMap(name string) *corev1.ConfigMap {
	GinkgoHelper()
	config := &corev1.ConfigMap{}
	Expect(world.ControlPlane.Client.Get(ctx, keyOf(name), config)).To(Succeed())
	return config
}

func coreSecret(name string) *corev1.Secret {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(world.ControlPlane.Client.Get(ctx, keyOf(name), secret)).To(Succeed())
	return secret
}

func gone(obj client.Object, name string) {
	GinkgoHelper()
	Expect(apierrors.IsNotFound(world.ControlPlane.Client.Get(ctx, keyOf(name), obj))).To(BeTrue(), "%s is there", name)
}

func filtered(f filter) edit { return func(t *v1alpha1.ParameterTree) { t.Spec.Filter = &f } }

func snake(t *v1alpha1.ParameterTree) {
	t.Spec.Keys = &v1alpha1.ParameterTreeKeys{Format: v1alpha1.KeyUpperSnake}
}

// secret has a tree be shown in a core Secret.
func secret(s v1alpha1.ParameterTreeSecret) edit {
	return func(t *v1alpha1.ParameterTree) { t.Spec.Target.ConfigMap, t.Spec.Target.Secret = nil, &s }
}

func config(c v1alpha1.ParameterTreeConfigMap) edit {
	return func(t *v1alpha1.ParameterTree) { t.Spec.Target.ConfigMap, t.Spec.Target.Secret = &c, nil }
}

func arnBelow(path string) string {
	return arn.Parameter(world.Services.Parameters.Region, arn.DeriveAccount(world.Namespace), path+"/*")
}
