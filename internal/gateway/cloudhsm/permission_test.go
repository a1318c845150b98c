package cloudhsm_test

import (
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudhsmv2/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
)

var _ = Describe("Permission", func() {
	// asks is every operation, about a cluster.
	asks := map[string]func(c *sdk.Client, id *string) error{
		"CreateCluster": func(c *sdk.Client, _ *string) error { return second(c.CreateCluster(ctx, creating())) },
		"CreateHsm": func(c *sdk.Client, id *string) error {
			return second(c.CreateHsm(ctx, &sdk.CreateHsmInput{ClusterId: id, AvailabilityZone: ptr.To("us-east-1a")}))
		},
		"DeleteHsm": func(c *sdk.Client, id *string) error {
			return second(c.DeleteHsm(ctx, &sdk.DeleteHsmInput{ClusterId: id, HsmId: ptr.To("hsm-aaaaaaaaaaa")}))
		},
		"DeleteCluster": func(c *sdk.Client, id *string) error {
			return second(c.DeleteCluster(ctx, &sdk.DeleteClusterInput{ClusterId: id}))
		},
		"DescribeClusters": func(c *sdk.Client, _ *string) error {
			return second(c.DescribeClusters(ctx, &sdk.DescribeClustersInput{}))
		},
		"ListTags": func(c *sdk.Client, id *string) error {
			return second(c.ListTags(ctx, &sdk.ListTagsInput{ResourceId: id}))
		},
		"TagResource": func(c *sdk.Client, id *string) error {
			return second(c.TagResource(ctx, &sdk.TagResourceInput{ResourceId: id, TagList: []types.Tag{{Key: ptr.To("a"), Value: ptr.To("b")}}}))
		},
		"UntagResource": func(c *sdk.Client, id *string) error {
			return second(c.UntagResource(ctx, &sdk.UntagResourceInput{ResourceId: id, TagKeyList: []string{"a"}}))
		},
	}

	It("comes before existence: who may not is told the same of a cluster that is there and of one that is not", func() {
		made := created()
		stranger := as(`"Action":"cloudhsm:None","Resource":"*"`)
		for name, ask := range asks {
			for _, id := range []*string{made.ClusterId, ptr.To("cluster-aaaaaaaaaaa")} {
				says := "is not authorized to perform: cloudhsm:" + name
				switch name {
				case "CreateCluster", "DeleteHsm", "DescribeClusters": // policies have no resource for these
				default:
					says += fmt.Sprintf(" on resource: arn:aws:cloudhsm:us-east-1:%s:cluster/%s", account, *id)
				}
				is(ask(stranger, id), "AccessDeniedException", says)
			}
		}
		Expect(described(nil)).To(HaveLen(1))
		Expect(object(made.ClusterId).Spec.Size).To(BeZero())
		Expect(object(made.ClusterId).Spec.Tags).To(BeEmpty())
	})

	It("is for the cluster that a policy names, and by its tags", func() {
		mine, other := created(), created(func(in *sdk.CreateClusterInput) {
			in.TagList = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("shop")}}
		})
		owner := as(`"Action":"cloudhsm:*","Resource":"arn:aws:cloudhsm:us-east-1:` + account + `:cluster/` + *mine.ClusterId + `"`)
		Expect(asks["TagResource"](owner, mine.ClusterId)).To(Succeed())
		is(asks["TagResource"](owner, other.ClusterId), "AccessDeniedException", "TagResource")
		is(asks["DescribeClusters"](owner, nil), "AccessDeniedException", "DescribeClusters") // it has no resource, as in AWS
		shop := as(`"Action":"cloudhsm:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"shop"}}`)
		Expect(asks["ListTags"](shop, other.ClusterId)).To(Succeed())
		is(asks["ListTags"](shop, mine.ClusterId), "AccessDeniedException", "ListTags")
	})

	It("asks for the tags of the request, and for TagResource when a cluster is made with any", func() {
		tagged := func(in *sdk.CreateClusterInput) {
			in.TagList = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("shop")}}
		}
		maker := as(`"Action":"cloudhsm:CreateCluster","Resource":"*"`)
		Expect(second(maker.CreateCluster(ctx, creating()))).To(Succeed())
		is(second(maker.CreateCluster(ctx, creating(tagged))), "AccessDeniedException", "cloudhsm:TagResource")
		shop := as(`"Action":"cloudhsm:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"shop"}}`)
		Expect(second(shop.CreateCluster(ctx, creating(tagged)))).To(Succeed())
		is(second(shop.CreateCluster(ctx, creating())), "AccessDeniedException", "cloudhsm:CreateCluster")
		id := created().ClusterId
		some := as(`"Action":"cloudhsm:*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["a"]}}`)
		Expect(asks["TagResource"](some, id)).To(Succeed())
		Expect(asks["UntagResource"](some, id)).To(Succeed())
		is(second(some.UntagResource(ctx, &sdk.UntagResourceInput{ResourceId: id, TagKeyList: []string{"a", "b"}})), "AccessDeniedException", "UntagResource")
		valued := as(`"Action":"cloudhsm:*","Resource":"*","Condition":{"Null":{"aws:RequestTag/a":"false"}}`)
		is(asks["UntagResource"](valued, id), "AccessDeniedException", "UntagResource") // it has keys and no values
	})

	It("is what AWS's own policies of CloudHSM give", func() {
		made := created()
		Expect(asks["CreateHsm"](as(`"Action":"cloudhsm:*","Resource":"*"`), made.ClusterId)).To(Succeed()) // AWSCloudHSMFullAccess
		reader := as(`"Action":["cloudhsm:Get*","cloudhsm:List*","cloudhsm:Describe*"],"Resource":"*"`)     // AWSCloudHSMReadOnlyAccess
		Expect(asks["DescribeClusters"](reader, nil)).To(Succeed())
		Expect(asks["ListTags"](reader, made.ClusterId)).To(Succeed())
		is(asks["CreateHsm"](reader, made.ClusterId), "AccessDeniedException", "CreateHsm")
	})

	It("leaves records that name the cluster, and of reads none", func() {
		made := created()
		addHSM(made.ClusterId, "us-east-1a")
		text := door.Text()
		Expect(text).To(ContainSubstring(`"eventSource":"cloudhsm.amazonaws.com","eventName":"CreateHsm"`))
		Expect(text).To(ContainSubstring("arn:aws:cloudhsm:us-east-1:" + account + ":cluster/" + *made.ClusterId))
	})
})

func second[A any](_ A, err error) error { return err }
