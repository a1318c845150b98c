package kms_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
)

var _ = Describe("An account id that another namespace has now", func() {
	relabel := func(namespace, id string) {
		GinkgoHelper()
		ns := &corev1.Namespace{}
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Name: namespace}, ns)).To(Succeed())
		metav1.SetMetaDataLabel(&ns.ObjectMeta, v1alpha1.AccountIDLabel, id)
		Expect(world.ControlPlane.Client.Update(ctx, ns)).To(Succeed())
	}

	It("does not open what was encrypted under the former one's keys", func() {
		account := arn.DeriveAccount(world.Namespace)
		key := createKey(admin())
		blob := encrypt(admin(), *key.KeyId, "secret of the victim", nil)
		Expect(decrypt(admin(), blob, nil)).To(Equal("secret of the victim"))

		other := world.NewNamespace()
		relabel(world.Namespace, "999988887777")
		relabel(other, account)
		thief := user(other, everything)
		thief.call.Identity.Principal.Account, thief.call.Identity.Principal.ARN = account, "arn:aws:iam::"+account+":user/alice"
		Eventually(func() error {
			_, err := decrypt(thief, blob, nil)
			return err
		}).Should(MatchError(ContainSubstring("AccessDenied")))
		Consistently(func() error {
			_, err := decrypt(thief, blob, nil)
			return err
		}, "200ms").ShouldNot(Succeed())
	})
})
