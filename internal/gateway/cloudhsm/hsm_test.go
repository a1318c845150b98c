package cloudhsm_test

import (
	"fmt"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudhsmv2/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("HSMs", func() {
	It("are nodes more, and are told of at once", func() {
		made := created()
		first := addHSM(made.ClusterId, "us-east-1b")
		Expect(*first.HsmId).To(MatchRegexp(`^hsm-[2-7a-z]{11}$`))
		Expect(first.State).To(Equal(types.HsmStateCreateInProgress))
		second := addHSM(made.ClusterId, "us-east-1a")
		Expect(object(made.ClusterId).Spec.Size).To(BeEquivalentTo(2))
		shown := one(made.ClusterId).Hsms
		Expect(shown).To(HaveLen(2))
		Expect(*shown[0].HsmId).To(Equal(*first.HsmId))
		Expect(*shown[0].AvailabilityZone).To(Equal("us-east-1b"))
		Expect(*shown[1].HsmId).To(Equal(*second.HsmId))
		Expect(*shown[1].SubnetId).To(Equal("subnet-0a1b2c3d4e5f60718"))
	})

	It("are added one each when many ask at once, and ten at most", func() {
		made := created()
		var mu sync.Mutex
		ids := map[string]bool{}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				defer GinkgoRecover()
				h := addHSM(made.ClusterId, "us-east-1a")
				mu.Lock()
				defer mu.Unlock()
				ids[*h.HsmId] = true
			})
		}
		all.Wait()
		Expect(ids).To(HaveLen(10), "none was told the HSM of another")
		Expect(object(made.ClusterId).Spec.Size).To(BeEquivalentTo(10))
		_, err := admin.CreateHsm(ctx, &sdk.CreateHsmInput{ClusterId: made.ClusterId, AvailabilityZone: ptr.To("us-east-1a")})
		is(err, "CloudHsmInvalidRequestException", "at most 10 HSMs")
		Expect(object(made.ClusterId).Spec.Size).To(BeEquivalentTo(10))
	})

	It("go from the last, and the one that must go first is named", func() {
		made := created()
		first, second := addHSM(made.ClusterId, "us-east-1a"), addHSM(made.ClusterId, "us-east-1b")
		looked(object(made.ClusterId), serving(2))
		err := removeHSM(made.ClusterId, first.HsmId)
		is(err, "CloudHsmInvalidRequestException", "delete "+*second.HsmId+" first")
		Expect(object(made.ClusterId).Spec.Size).To(BeEquivalentTo(2), "no other HSM goes than the one that was named")
		Expect(removeHSM(made.ClusterId, second.HsmId)).To(Succeed())
		Expect(one(made.ClusterId).State).To(Equal(types.ClusterStateUpdateInProgress))
		Expect(one(made.ClusterId).Hsms[1].State).To(Equal(types.HsmStateDeleteInProgress))
		Expect(removeHSM(made.ClusterId, second.HsmId)).To(Succeed(), "who asks again takes no other away")
		Expect(object(made.ClusterId).Spec.Size).To(BeEquivalentTo(1))
		looked(object(made.ClusterId), serving(1))
		is(removeHSM(made.ClusterId, second.HsmId), "CloudHsmResourceNotFoundException", *second.HsmId)
		Expect(removeHSM(made.ClusterId, first.HsmId)).To(Succeed())
		Expect(object(made.ClusterId).Spec.Size).To(BeZero())
		again := addHSM(made.ClusterId, "us-east-1c")
		Expect(*again.HsmId).To(Equal(*first.HsmId), "the node that gets the volume again is the same HSM")
		Expect(*again.AvailabilityZone).To(Equal("us-east-1c"))
		Expect(again.State).To(Equal(types.HsmStateCreateInProgress))
	})

	It("are named by their ids alone, in a cluster that is there", func() {
		made := created()
		_, err := admin.CreateHsm(ctx, &sdk.CreateHsmInput{ClusterId: made.ClusterId, AvailabilityZone: ptr.To("us-east-1a"), IpAddress: ptr.To("10.0.0.1")})
		is(err, "CloudHsmInvalidRequestException", "IpAddress")
		for _, in := range []*sdk.DeleteHsmInput{{EniId: ptr.To("eni-12345678")}, {EniIp: ptr.To("10.0.0.1")}, {}} {
			in.ClusterId = made.ClusterId
			_, err := admin.DeleteHsm(ctx, in)
			is(err, "CloudHsmInvalidRequestException", "HsmId is needed")
		}
		nowhere := ptr.To("cluster-aaaaaaaaaaa")
		is(removeHSM(nowhere, ptr.To("hsm-aaaaaaaaaaa")), "CloudHsmResourceNotFoundException", *nowhere)
		_, err = admin.CreateHsm(ctx, &sdk.CreateHsmInput{ClusterId: nowhere, AvailabilityZone: ptr.To("us-east-1a")})
		is(err, "CloudHsmResourceNotFoundException", *nowhere)
	})
})

var _ = Describe("DescribeClusters", func() {
	It("shows what passes all filters, any value of each", func() {
		a, b := created(), created()
		looked(object(b.ClusterId), serving(0))
		ids := func(filters map[string][]string) (out []string) {
			GinkgoHelper()
			for _, c := range described(filters) {
				out = append(out, *c.ClusterId)
			}
			return out
		}
		Expect(ids(nil)).To(ConsistOf(*a.ClusterId, *b.ClusterId))
		Expect(ids(map[string][]string{"clusterIds": {*a.ClusterId, "cluster-aaaaaaaaaaa"}})).To(ConsistOf(*a.ClusterId))
		Expect(ids(map[string][]string{"states": {"ACTIVE", "DEGRADED"}})).To(ConsistOf(*b.ClusterId))
		Expect(ids(map[string][]string{"states": {"ACTIVE"}, "clusterIds": {*a.ClusterId}})).To(BeEmpty())
		Expect(ids(map[string][]string{"states": {}})).To(BeEmpty())
		Expect(ids(map[string][]string{"vpcIds": {"vpc-12345678"}})).To(BeEmpty(), "there are no VPCs")
		_, err := admin.DescribeClusters(ctx, &sdk.DescribeClustersInput{Filters: map[string][]string{"clusterIDs": {*a.ClusterId}}})
		is(err, "CloudHsmInvalidRequestException", "Unknown filter clusterIDs")
	})

	It("shows all of them in pages, each once, and takes no token of another list", func() {
		want := map[string]bool{}
		for range 5 {
			want[*created().ClusterId] = true
		}
		got := map[string]bool{}
		pages := sdk.NewDescribeClustersPaginator(admin, &sdk.DescribeClustersInput{MaxResults: ptr.To[int32](2)})
		var token *string
		for n := 0; pages.HasMorePages(); n++ {
			out, err := pages.NextPage(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(len(out.Clusters)).To(BeNumerically("<=", 2))
			for _, c := range out.Clusters {
				Expect(got).NotTo(HaveKey(*c.ClusterId))
				got[*c.ClusterId] = true
			}
			if n == 0 {
				token = out.NextToken
			}
		}
		Expect(got).To(Equal(want))
		for _, in := range []*sdk.DescribeClustersInput{
			{NextToken: ptr.To("nonsense")}, {NextToken: token, Filters: map[string][]string{"states": {"ACTIVE"}}},
		} {
			_, err := admin.DescribeClusters(ctx, in)
			is(err, "CloudHsmInvalidRequestException", "NextToken")
		}
	})

	It("shows the account's own in the home region", func() {
		created()
		elsewhere, err := sdk.NewFromConfig(door.Config(environment.OtherRegion, `"Action":"*","Resource":"*"`)).DescribeClusters(ctx, &sdk.DescribeClustersInput{})
		Expect(err).NotTo(HaveOccurred())
		Expect(elsewhere.Clusters).To(BeEmpty())
		world.Namespace = world.NewNamespace()
		Expect(described(nil)).To(BeEmpty())
	})
})

var _ = Describe("Tags", func() {
	tag := func(id *string, pairs ...string) error {
		in := &sdk.TagResourceInput{ResourceId: id}
		for i := 0; i < len(pairs); i += 2 {
			in.TagList = append(in.TagList, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		_, err := admin.TagResource(ctx, in)
		return err
	}
	listed := func(id *string, most int32) (out []string) {
		GinkgoHelper()
		pages := sdk.NewListTagsPaginator(admin, &sdk.ListTagsInput{ResourceId: id, MaxResults: &most})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(len(page.TagList)).To(BeNumerically("<=", most))
			for _, t := range page.TagList {
				out = append(out, *t.Key+"="+*t.Value)
			}
		}
		return out
	}

	It("are put on, changed, listed in order, and taken off", func() {
		id := created().ClusterId
		Expect(tag(id, "team", "shop", "a", "1")).To(Succeed())
		Expect(tag(id, "team", "bank")).To(Succeed())
		Expect(listed(id, 100)).To(Equal([]string{"a=1", "team=bank"}))
		_, err := admin.UntagResource(ctx, &sdk.UntagResourceInput{ResourceId: id, TagKeyList: []string{"team", "not there"}})
		Expect(err).NotTo(HaveOccurred())
		Expect(listed(id, 100)).To(Equal([]string{"a=1"}))
		Expect(object(id).Spec.Tags).To(HaveLen(1))
	})

	It("are at most fifty, and of keys that policies can tell apart", func() {
		id := created().ClusterId
		for i := range 50 {
			Expect(tag(id, fmt.Sprintf("key-%02d", i), "")).To(Succeed())
		}
		is(tag(id, "one more", ""), "CloudHsmResourceLimitExceededException", "50 tags")
		Expect(tag(id, "key-00", "again")).To(Succeed())
		Expect(listed(id, 7)).To(HaveLen(50))
		is(tag(id, "aws:a", ""), "CloudHsmTagException", "aws:")
		is(tag(id, "x", "1", "X", "2"), "CloudHsmTagException", "case")
	})

	It("are paged whatever their keys are: a token has at most 256 characters", func() {
		id := created().ClusterId
		long := ""
		for range 127 {
			long += "漢"
		}
		Expect(tag(id, long+"1", "", long+"2", "", long+"3", "")).To(Succeed())
		got := listed(id, 1)
		Expect(got).To(ConsistOf(long+"1=", long+"2=", long+"3="))
	})

	It("of a backup, or of a cluster that is not there, are not found", func() {
		for _, id := range []string{"backup-aaaaaaaaaaa", "cluster-aaaaaaaaaaa"} {
			is(tag(&id, "a", "b"), "CloudHsmResourceNotFoundException", id)
			_, err := admin.ListTags(ctx, &sdk.ListTagsInput{ResourceId: &id})
			is(err, "CloudHsmResourceNotFoundException", id)
			_, err = admin.UntagResource(ctx, &sdk.UntagResourceInput{ResourceId: &id, TagKeyList: []string{"a"}})
			is(err, "CloudHsmResourceNotFoundException", id)
		}
		id := created().ClusterId
		Expect(tag(id, "a", "b")).To(Succeed())
		_, err := admin.ListTags(ctx, &sdk.ListTagsInput{ResourceId: id, NextToken: ptr.To("nonsense")})
		is(err, "CloudHsmInvalidRequestException", "NextToken")
	})
})
