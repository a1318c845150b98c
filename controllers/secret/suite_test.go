package secret_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

func TestSecretController(t *testing.T) {
	environment.Specs(t, "Secret controller")
}

var (
	ctx context.Context
	cp  *environment.ControlPlane
	env *environment.Reconcilers
	// namespace is each spec's own; it has a KMSKey "key" that is Ready.
	namespace string
	key       *v1alpha1.KMSKey
)

var _ = BeforeSuite(func() {
	ctx = context.Background()
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	env, err = environment.RunReconcilers(ctx, cp)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(env.Stop()).To(Succeed()) })
})

var _ = BeforeEach(func() {
	var err error
	namespace, err = cp.NewNamespace(ctx)
	Expect(err).NotTo(HaveOccurred())
	key = environment.KMSKey(namespace, "key")
	create(key)
	reconcileKey(key)
	env.DrainEvents()
	env.Clock.Set(time.Now()) // a spec before may have moved it
})

// create makes an object as a user does, and waits until the cache has it.
func create(obj client.Object) {
	GinkgoHelper()
	Expect(cp.Client.Create(ctx, obj)).To(Succeed())
	seen(obj)
}

// update changes an object as a user does, and waits until the cache has it.
func update(obj client.Object, change func()) {
	GinkgoHelper()
	refresh(obj)
	change()
	Expect(cp.Client.Update(ctx, obj)).To(Succeed())
	seen(obj)
}

// seen waits until the cache has an object as it is, if it is one that the cache keeps.
func seen(obj client.Object) {
	GinkgoHelper()
	if s, ok := obj.(*corev1.Secret); ok && s.Labels[v1alpha1.ManagedLabel] == "" {
		return
	}
	cached := obj.DeepCopyObject().(client.Object)
	Eventually(func() string {
		if err := env.GetClient().Get(ctx, client.ObjectKeyFromObject(obj), cached); err != nil {
			return err.Error()
		}
		return cached.GetResourceVersion()
	}).Should(Equal(obj.GetResourceVersion()))
}

// remove deletes an object and waits until the cache has it no more.
func remove(obj client.Object) {
	GinkgoHelper()
	Expect(cp.Client.Delete(ctx, obj)).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(env.GetClient().Get(ctx, client.ObjectKeyFromObject(obj), obj.DeepCopyObject().(client.Object)))
	}).Should(BeTrue())
}

func refresh(obj client.Object) {
	GinkgoHelper()
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
}

func reconcileKey(k *v1alpha1.KMSKey) {
	GinkgoHelper()
	_, err := env.KMSKey.Reconcile(ctx, environment.Request(k))
	Expect(err).NotTo(HaveOccurred())
	refresh(k)
	seen(k)
}

// reconcile makes one pass and reads the Secret again.
func reconcile(s *v1alpha1.Secret) ctrl.Result {
	GinkgoHelper()
	result, err := env.Secret.Reconcile(ctx, environment.Request(s))
	Expect(err).NotTo(HaveOccurred())
	refresh(s)
	seen(s)
	return result
}

// ready makes a Secret and brings it to Ready.
func ready(changes ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
	GinkgoHelper()
	s := environment.Secret(namespace, "db", changes...)
	create(s)
	reconcile(s)
	Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	return s
}

func condition(s *v1alpha1.Secret, conditionType string) *metav1.Condition {
	return meta.FindStatusCondition(s.Status.Conditions, conditionType)
}

// projected reads the data of a core Secret.
func projected(name string) map[string]string {
	GinkgoHelper()
	target := &corev1.Secret{}
	Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, target)).To(Succeed())
	out := map[string]string{}
	for k, v := range target.Data {
		out[k] = string(v)
	}
	return out
}

// envelopes lists the Envelopes of a class.
func envelopes(class v1alpha1.EnvelopeClass) []v1alpha1.Envelope {
	GinkgoHelper()
	var list v1alpha1.EnvelopeList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	var out []v1alpha1.Envelope
	for i := range list.Items {
		if list.Items[i].Spec.Class == class {
			out = append(out, list.Items[i])
		}
	}
	return out
}

func annotate(key, value string) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[key] = value
	}
}
