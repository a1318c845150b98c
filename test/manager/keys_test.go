package manager_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

// Nobody touches the Secret: that it says so, and that it is Ready again, is the watch of keys alone.
var _ = Describe("The key that no Secret names, as it is deleted", func() {
	It("is said by the Secrets that need it next, and they are Ready again when it is back", func() {
		run(operator.Options{})
		s := environment.Secret(namespace, "db", func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef = nil })
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		Eventually(isReady(s)).Should(BeTrue())

		key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secretsmanager.DefaultKeyName}}
		Expect(cp.Client.Delete(ctx, key)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			g.Expect(meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)).To(And(
				HaveField("Reason", v1alpha1.ReasonKeyUnusable), HaveField("Message", ContainSubstring("being deleted"))))
		}).WithTimeout(10 * time.Second).Should(Succeed())

		Eventually(func() error { // what docs/kmskey.md says to do to keep it
			if err := cp.Client.Get(ctx, client.ObjectKeyFromObject(key), key); err != nil {
				return err
			}
			key.Finalizers = nil
			return cp.Client.Update(ctx, key)
		}).Should(Succeed())
		again := environment.KMSKey(namespace, secretsmanager.DefaultKeyName)
		Eventually(func() error { return cp.Client.Create(ctx, again) }).Should(Succeed())
		Eventually(isReady(s)).Should(BeTrue())
	})
})
