package kms_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/internal/core/arn"
)

var _ = Describe("A ResourceQuota of the account's namespace", func() {
	It("is answered as the limit that KMS documents, which SDKs do not try again, and its name is not told", func() {
		id := createKey(admin()).KeyId
		none := corev1.ResourceList{"count/kmskeys.strongroom.dev": resource.MustParse("0"), "count/kmsgrants.strongroom.dev": resource.MustParse("0")}
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
		Expect(world.ControlPlane.Client.Create(ctx, quota)).To(Succeed())
		quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none} // as its controller writes it
		Expect(world.ControlPlane.Client.Status().Update(ctx, quota)).To(Succeed())
		r := byWayOf(open(), region)
		for name, in := range map[string]any{
			"CreateKey": &awskms.CreateKeyInput{},
			"CreateGrant": &awskms.CreateGrantInput{
				KeyId: id, Operations: []types.GrantOperation{types.GrantOperationEncrypt}, GranteePrincipal: s(arn.DeriveAccount(world.Namespace)),
			},
		} {
			Eventually(func() string { // the API server looks for quotas by a watch
				code, message := r.code(name, in)
				return code + ": " + message
			}).Should(Equal("LimitExceededException: A quota of the account's namespace is exceeded."), name)
		}
	})
})
