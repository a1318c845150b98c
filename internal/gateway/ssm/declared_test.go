package ssm_test

import (
	"context"
	"errors"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/ssm"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// What has no version, or has expired, is there for PutParameter alone.
var _ = Describe("A denial of PutParameter", func() {
	denying := &v1alpha1.PolicyDocument{}
	denying.Raw = []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"ssm:*","Resource":"*"}]}`)

	DescribeTable("is the same for what is there, what is declared and what is not", func(who caller, tags []types.Tag) {
		declared := environment.Parameter(world.Namespace, "declared", func(p *v1alpha1.Parameter) {
			p.Spec.Name, p.Spec.Value, p.Spec.Tier, p.Spec.ResourcePolicy = "/p/one", "", v1alpha1.TierAdvanced, denying
			p.Spec.Tags = []v1alpha1.Tag{{Key: "team", Value: "x"}}
			p.Spec.Policies = []v1alpha1.ParameterPolicy{{Type: "NoChangeNotification", After: 1, Unit: "Days"}}
		})
		denial := func(name string) string {
			GinkgoHelper()
			_, err := do[sdk.PutParameterOutput](who, "PutParameter", &sdk.PutParameterInput{
				Name: &name, Value: ptr.To("v"), Type: types.ParameterTypeString, Tags: tags,
			})
			be(err, "AccessDeniedException")
			return strings.ReplaceAll(err.Error(), name, "NAME")
		}
		none := denial("/p/one")
		world.Create(declared)
		passOver()
		Expect(denial("/p/one")).To(Equal(none), "a declared one tells of itself")
		Expect(denial("/p/two")).To(Equal(none))
		world.Update(declared, func() { declared.Spec.Value = "v" })
		passOver()
		Expect(denial("/p/one")).To(Equal(none), "one with a value tells of itself")
		world.Update(declared, func() {
			declared.Spec.Policies = []v1alpha1.ParameterPolicy{{Type: "Expiration", Timestamp: world.Clock.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}}
		})
		passOver()
		Expect(denial("/p/one")).To(Equal(none), "one that has expired tells of itself")
	},
		Entry("to a stranger", stranger, nil),
		Entry("to one who may do something else", allowed("ssm:GetParameter", "*"), nil),
		Entry("to one who may not by a condition", allowed("ssm:PutParameter", "*", `{"StringEquals":{"aws:ResourceTag/none":"x"}}`), nil),
		Entry("to one who would tag it", stranger, []types.Tag{{Key: ptr.To("k"), Value: ptr.To("v")}}),
	)
})

// counting counts the reads of ConfigMaps that go to the API server.
type counting struct {
	client.Reader
	configMaps int
}

func (c *counting) Get(ctx context.Context, key client.ObjectKey, obj client.Object, options ...client.GetOption) error {
	if _, is := obj.(*corev1.ConfigMap); is {
		c.configMaps++
	}
	return c.Reader.Get(ctx, key, obj, options...)
}

var _ = Describe("The default tier of many puts", func() {
	It("is read once in ten seconds, and again when it was set", func() {
		reads := &counting{Reader: world.Services.Live}
		over := *world.Services.Parameters
		over.Store = &store.Store{Client: over.Client, Live: reads}
		service = ssm.New(ssm.Dependencies{Parameters: &over})
		for range 5 {
			mustPut("/p/a", "v", overwrite)
		}
		Expect(reads.configMaps).To(Equal(1))
		advance(9 * time.Second)
		mustPut("/p/b", "v")
		Expect(reads.configMaps).To(Equal(1))
		Expect(set(defaultTier, "Advanced")).To(Succeed())
		reads.configMaps = 0
		Expect(mustPut("/p/c", "v").Tier).To(Equal(types.ParameterTierAdvanced), "who set it is not served the former one")
		mustPut("/p/d", "v")
		Expect(reads.configMaps).To(Equal(1))
		by := settingsMap()
		by.Data["us-east-1.default-parameter-tier"] = "Standard"
		Expect(world.ControlPlane.Client.Update(ctx, by)).To(Succeed())
		advance(10 * time.Second)
		Expect(mustPut("/p/e", "v").Tier).To(Equal(types.ParameterTierStandard))
		advance(-time.Hour)
		mustPut("/p/f", "v")
		Expect(reads.configMaps).To(Equal(3), "a clock that is set back keeps nothing")
	})
})

var _ = Describe("A parameter of which a put left no more than the object", func() {
	// interrupted makes one with an expiry in an hour, and dies.
	interrupted := func() {
		GinkgoHelper()
		_, writes := world.Faulty()
		writes.FailAt(2, false)
		service = ssm.New(ssm.Dependencies{Parameters: world.ParametersOver(writes)})
		_, err := put("/p/a", "lost", policed(inOneHour()))
		Expect(errors.Is(err, environment.ErrInjected)).To(BeTrue(), "%v", err)
		service = ssm.New(ssm.Dependencies{Parameters: world.Services.Parameters})
		world.Seen(onlyObject())
	}

	DescribeTable("and that had expired before anybody saw it is made by the next one, with the policies of that", func(changes ...func(*sdk.PutParameterInput)) {
		interrupted()
		advance(2 * time.Hour)
		passOver()
		Expect(onlyObject().Status.Policies[0].Status).To(Equal("Failed"))
		Expect(mustPut("/p/a", "v", changes...).Version).To(Equal(int64(1)))
		Expect(*mustGet("/p/a").Value).To(Equal("v"))
	},
		Entry("none"),
		Entry("others", func(in *sdk.PutParameterInput) { policed(inOneHour())(in) }),
	)

	It("and that was seen to wait is deleted at its expiry, and its name is free", func() {
		interrupted()
		advance(time.Minute)
		passOver()
		Expect(onlyObject().Status.Policies).To(HaveLen(1))
		advance(2 * time.Hour)
		_, err := put("/p/a", "v")
		be(err, "TooManyUpdates")
		p := onlyObject()
		_, err = world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error { _, err := put("/p/a", "v"); return err }).Should(Succeed())
		Expect(*mustGet("/p/a").Value).To(Equal("v"))
	})

	It("and that has expired while it is suspended says so", func() {
		mustPut("/p/a", "v", policed(inOneHour()))
		p := onlyObject()
		world.Update(p, func() { p.Spec.Suspend = true })
		passOver()
		advance(2 * time.Hour)
		passOver()
		_, err := put("/p/a", "w", overwrite)
		be(err, "ValidationException")
		Expect(err).To(MatchError(And(ContainSubstring("spec.suspend"), ContainSubstring(p.Name))))
	})
})
