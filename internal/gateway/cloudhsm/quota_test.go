package cloudhsm_test

import (
	"sync"
	"sync/atomic"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	service "strongroom.dev/strongroom/internal/service/cloudhsm"
)

// https://docs.aws.amazon.com/cloudhsm/latest/userguide/limits.html
var _ = Describe("An account", func() {
	BeforeEach(func() {
		was := world.Services.CloudHSM.Quotas
		world.Services.CloudHSM.Quotas = service.Quotas{}
		DeferCleanup(func() { world.Services.CloudHSM.Quotas = was })
	})
	one := func(id *string) error {
		_, err := admin.CreateHsm(ctx, &sdk.CreateHsmInput{ClusterId: id, AvailabilityZone: ptr.To("us-east-1a")})
		return err
	}

	It("has four clusters at most, those of manifests among them, and as many again when one is gone", func() {
		world.Create(&v1alpha1.HSMCluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "manifest"}, Spec: v1alpha1.HSMClusterSpec{SoftHSM: &v1alpha1.SoftHSM{}},
		})
		last := created()
		created()
		created()
		for range 2 {
			_, err := admin.CreateCluster(ctx, creating())
			is(err, "CloudHsmServiceException", "it exceeds an AWS CloudHSM limit: the account has as many clusters as it may: 4.")
		}
		Expect(described(nil)).To(HaveLen(4))
		_, err := removed(last.ClusterId)
		Expect(err).NotTo(HaveOccurred())
		created()
		is(second(admin.CreateCluster(ctx, creating())), "CloudHsmServiceException", "limit")
	})

	It("has four clusters though eight requests come at once", func() {
		var all sync.WaitGroup
		var made atomic.Int32
		for range 8 {
			all.Go(func() {
				if _, err := admin.CreateCluster(ctx, creating()); err == nil {
					made.Add(1)
				}
			})
		}
		all.Wait()
		Expect(made.Load()).To(BeEquivalentTo(4))
	})

	It("has six HSMs at most, in all its clusters together", func() {
		a, b := created(), created()
		for range 4 {
			Expect(one(a.ClusterId)).To(Succeed())
		}
		Expect(one(b.ClusterId)).To(Succeed())
		Expect(one(b.ClusterId)).To(Succeed())
		for _, id := range []*string{a.ClusterId, b.ClusterId} {
			is(one(id), "CloudHsmServiceException", "it exceeds an AWS CloudHSM limit: the account has as many HSMs in all its clusters as it may: 6.")
		}
		Expect(object(a.ClusterId).Spec.Size).To(BeEquivalentTo(4))
		Expect(removeHSM(a.ClusterId, ptr.To(service.HSMID(world.Namespace, object(a.ClusterId).Name, 3)))).To(Succeed())
		Expect(one(b.ClusterId)).To(Succeed())
	})

	It("is not held by what other accounts have", func() {
		for range 4 {
			created()
		}
		world.Fresh()
		created()
	})

	It("has as many as the operator lets it", func() {
		world.Services.CloudHSM.Quotas = service.Quotas{Clusters: 1, HSMs: 1}
		made := created()
		is(second(admin.CreateCluster(ctx, creating())), "CloudHsmServiceException", "as it may: 1.")
		Expect(one(made.ClusterId)).To(Succeed())
		is(one(made.ClusterId), "CloudHsmServiceException", "as it may: 1.")
	})
})
