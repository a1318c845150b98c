package cloudhsm_test

import (
	"context"
	"errors"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudhsmv2/types"
	"github.com/aws/smithy-go"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway/cloudhsm"
	service "strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

func TestCloudHSM(t *testing.T) {
	environment.Specs(t, "CloudHSM API")
}

var (
	ctx     = context.Background()
	world   *environment.World
	door    *environment.Door
	admin   *sdk.Client
	account string
)

var _ = BeforeSuite(func() {
	world = environment.NewWorld(ctx)
	world.Services.CloudHSM.Quotas = service.Quotas{Clusters: 100, HSMs: 100} // for what is not about them
	door = world.Open(cloudhsm.New(cloudhsm.Dependencies{Clusters: world.Services.CloudHSM}))
	admin = as(`"Action":"*","Resource":"*"`)
})

var _ = BeforeEach(func() {
	world.Fresh()
	account = arn.DeriveAccount(world.Namespace)
})

// as is a client of a user with statements.
func as(statements ...string) *sdk.Client {
	return sdk.NewFromConfig(door.Config(environment.Region, statements...))
}

// created makes a cluster. No controller of HSMClusters runs here: its nodes are in controllers/hsmcluster.
func created(changes ...func(*sdk.CreateClusterInput)) *types.Cluster {
	GinkgoHelper()
	out, err := admin.CreateCluster(ctx, creating(changes...))
	Expect(err).NotTo(HaveOccurred())
	return out.Cluster
}

func creating(changes ...func(*sdk.CreateClusterInput)) *sdk.CreateClusterInput {
	in := &sdk.CreateClusterInput{HsmType: ptr.To("hsm2m.medium"), SubnetIds: []string{"subnet-0a1b2c3d4e5f60718", "subnet-11111111"}}
	for _, change := range changes {
		change(in)
	}
	return in
}

// object is the HSMCluster of an id, as it is.
func object(id *string) *v1alpha1.HSMCluster {
	GinkgoHelper()
	found, err := world.Services.CloudHSM.Find(ctx, world.Namespace, environment.Region, *id)
	Expect(err).NotTo(HaveOccurred())
	Expect(found).NotTo(BeNil(), "%s", *id)
	hc := found.DeepCopy()
	world.Refresh(hc)
	return hc
}

// looked writes a status as the controller does when nodes are as they say.
func looked(hc *v1alpha1.HSMCluster, change func(*v1alpha1.HSMClusterStatus)) {
	GinkgoHelper()
	world.Refresh(hc)
	change(&hc.Status)
	Expect(world.ControlPlane.Client.Status().Update(ctx, hc)).To(Succeed())
	world.Seen(hc)
}

// serving is a status of a cluster whose nodes all serve.
func serving(nodes int) func(*v1alpha1.HSMClusterStatus) {
	return func(s *v1alpha1.HSMClusterStatus) {
		s.State, s.Nodes = v1alpha1.HSMClusterActive, nil
		for i := range nodes {
			s.Nodes = append(s.Nodes, v1alpha1.HSMNode{Name: "node-" + string(rune('0'+i)), State: v1alpha1.HSMActive})
		}
	}
}

func described(filters map[string][]string) []types.Cluster {
	GinkgoHelper()
	out, err := admin.DescribeClusters(ctx, &sdk.DescribeClustersInput{Filters: filters})
	Expect(err).NotTo(HaveOccurred())
	Expect(out.NextToken).To(BeNil())
	return out.Clusters
}

// one is the cluster of an id as it is described.
func one(id *string) types.Cluster {
	GinkgoHelper()
	found := described(map[string][]string{"clusterIds": {*id}})
	Expect(found).To(HaveLen(1))
	return found[0]
}

// is expects AWS's error of a code, and what its text says.
func is(err error, code, says string) {
	GinkgoHelper()
	var api smithy.APIError
	Expect(errors.As(err, &api)).To(BeTrue(), "%v is no error of AWS", err)
	Expect(api.ErrorCode()).To(Equal(code), "%v", err)
	Expect(api.ErrorMessage()).To(ContainSubstring(says))
}

func addHSM(id *string, zone string) *types.Hsm {
	GinkgoHelper()
	out, err := admin.CreateHsm(ctx, &sdk.CreateHsmInput{ClusterId: id, AvailabilityZone: &zone})
	Expect(err).NotTo(HaveOccurred())
	return out.Hsm
}

func removeHSM(cluster, hsm *string) error {
	_, err := admin.DeleteHsm(ctx, &sdk.DeleteHsmInput{ClusterId: cluster, HsmId: hsm})
	return err
}

func removed(id *string) (*types.Cluster, error) {
	out, err := admin.DeleteCluster(ctx, &sdk.DeleteClusterInput{ClusterId: id})
	if err != nil {
		return nil, err
	}
	return out.Cluster, nil
}
