package ssm_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

func expiration(at time.Time) string {
	return fmt.Sprintf(`{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"%s"}}`, at.UTC().Format("2006-01-02T15:04:05.000Z"))
}

func inOneHour() string { return expiration(world.Clock.Now().Add(time.Hour)) }

const (
	twoHoursAhead = `{"Type":"ExpirationNotification","Version":"1.0","Attributes":{"Before":"2","Unit":"Hours"}}`
	twentyDays    = `{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Days"}}`
)

// policed puts an advanced parameter with policies.
func policed(policies ...string) func(*sdk.PutParameterInput) {
	return func(in *sdk.PutParameterInput) {
		in.Tier, in.Policies = types.ParameterTierAdvanced, ptr.To("["+strings.Join(policies, ",")+"]")
	}
}

func describedAs(name string) types.ParameterMetadata {
	GinkgoHelper()
	all := must[sdk.DescribeParametersOutput]("DescribeParameters", &sdk.DescribeParametersInput{
		ParameterFilters: []types.ParameterStringFilter{filter("Name", "", name)},
	}).Parameters
	Expect(all).To(HaveLen(1))
	return all[0]
}

// passOver makes a pass of the controller over the only object of the namespace.
func passOver() {
	GinkgoHelper()
	p := onlyObject()
	_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(p)
	world.Seen(p)
}

func onlyObject() *v1alpha1.Parameter {
	GinkgoHelper()
	var list v1alpha1.ParameterList
	Expect(world.ControlPlane.Client.List(ctx, &list)).To(Succeed())
	for i := range list.Items {
		if list.Items[i].Namespace == world.Namespace {
			return &list.Items[i]
		}
	}
	Fail("there is no Parameter")
	return nil
}

func advance(d time.Duration) { world.Clock.Set(world.Clock.Now().Add(d)) }

var _ = Describe("Parameter policies, by AWS's own client", func() {
	var client *sdk.Client
	BeforeEach(func() {
		client = sdk.NewFromConfig(world.Open(service).Config(home, `"Action":["ssm:*","kms:*"],"Resource":"*"`))
	})
	put := func(name string, changes ...func(*sdk.PutParameterInput)) (*sdk.PutParameterOutput, error) {
		in := &sdk.PutParameterInput{Name: &name, Value: ptr.To("v"), Type: types.ParameterTypeString}
		for _, c := range changes {
			c(in)
		}
		return client.PutParameter(ctx, in)
	}

	It("are put, told with what has become of them, kept by an overwrite that says nothing of them, and taken away", func() {
		expires := inOneHour()
		out, err := put("/a", policed(expires, twoHoursAhead, twentyDays))
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Tier).To(Equal(types.ParameterTierAdvanced))
		told := func() []types.ParameterInlinePolicy {
			out, err := client.DescribeParameters(ctx, &sdk.DescribeParametersInput{})
			Expect(err).NotTo(HaveOccurred())
			return out.Parameters[0].Policies
		}
		policy := func(text, kind, status string) types.ParameterInlinePolicy {
			return types.ParameterInlinePolicy{PolicyText: &text, PolicyType: &kind, PolicyStatus: &status}
		}
		Expect(told()).To(Equal([]types.ParameterInlinePolicy{
			policy(expires, "Expiration", "Pending"), policy(twoHoursAhead, "ExpirationNotification", "Pending"), policy(twentyDays, "NoChangeNotification", "Pending"),
		}))
		passOver()
		Expect(told()[1]).To(Equal(policy(twoHoursAhead, "ExpirationNotification", "Finished")))
		_, err = put("/a", overwrite)
		Expect(err).NotTo(HaveOccurred())
		Expect(told()).To(HaveLen(3))
		history, err := client.GetParameterHistory(ctx, &sdk.GetParameterHistoryInput{Name: ptr.To("/a")})
		Expect(err).NotTo(HaveOccurred())
		Expect(history.Parameters[0].Policies).To(BeEmpty(), "of an earlier version they are not kept")
		Expect(history.Parameters[1].Policies).To(Equal(told()))
		for _, none := range []string{"[{}]", "[]"} {
			_, err = put("/a", overwrite, policed(twentyDays))
			Expect(err).NotTo(HaveOccurred())
			_, err = put("/a", overwrite, func(in *sdk.PutParameterInput) { in.Policies = &none })
			Expect(err).NotTo(HaveOccurred())
			Expect(told()).To(BeEmpty(), none)
		}
	})

	It("that are wrong are refused by the types that AWS has, and nothing is made", func() {
		var (
			kind      *types.InvalidPolicyTypeException
			attribute *types.InvalidPolicyAttributeException
			many      *types.PoliciesLimitExceededException
			conflict  *types.IncompatiblePolicyException
		)
		_, err := put("a", policed(`{"Type":"Death","Version":"1.0","Attributes":{}}`))
		Expect(errors.As(err, &kind)).To(BeTrue(), "%v", err)
		Expect(kind.ErrorMessage()).To(ContainSubstring("supports the following policy types"))
		_, err = put("a", policed(`{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"soon"}}`))
		Expect(errors.As(err, &attribute)).To(BeTrue(), "%v", err)
		_, err = put("a", policed(expiration(world.Clock.Now().Add(-time.Second))))
		Expect(errors.As(err, &attribute)).To(BeTrue(), "%v", err)
		Expect(attribute.ErrorMessage()).To(ContainSubstring("in the past"))
		_, err = put("a", policed(strings.Split(strings.Repeat(twentyDays+"|", 11), "|")[:11]...))
		Expect(errors.As(err, &many)).To(BeTrue(), "%v", err)
		_, err = put("a", policed(inOneHour(), inOneHour()))
		Expect(errors.As(err, &conflict)).To(BeTrue(), "%v", err)
		_, err = put("a", policed(twoHoursAhead))
		Expect(errors.As(err, &conflict)).To(BeTrue(), "%v", err)
		for _, text := range []string{inOneHour(), "x", "[" + strings.Repeat(" ", 4096) + "]", ""} {
			_, err = put("a", policed(), func(in *sdk.PutParameterInput) { in.Policies = &text })
			be(err, "ValidationException")
		}
		for _, tier := range []types.ParameterTier{"", types.ParameterTierStandard} {
			_, err = put("a", policed(twentyDays), func(in *sdk.PutParameterInput) { in.Tier = tier })
			be(err, "ValidationException")
			Expect(err).To(MatchError(ContainSubstring("advanced tier")))
		}
		_, err = client.GetParameter(ctx, &sdk.GetParameterInput{Name: ptr.To("a")})
		be(err, "ParameterNotFound")
	})

	It("make a parameter of Intelligent-Tiering an advanced one", func() {
		intelligent := func(in *sdk.PutParameterInput) { in.Tier = types.ParameterTierIntelligentTiering }
		out, err := put("a", intelligent)
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Tier).To(Equal(types.ParameterTierStandard))
		out, err = put("a", overwrite, policed(twentyDays), intelligent)
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Tier).To(Equal(types.ParameterTierAdvanced))
	})
})

var _ = Describe("A parameter that has expired", func() {
	notThere := func(name string) {
		GinkgoHelper()
		_, err := get(name, true)
		be(err, "ParameterNotFound")
		Expect(must[sdk.GetParametersOutput]("GetParameters", &sdk.GetParametersInput{Names: []string{name}}).InvalidParameters).To(Equal([]string{name}))
		Expect(must[sdk.GetParametersByPathOutput]("GetParametersByPath", &sdk.GetParametersByPathInput{Path: ptr.To("/p")}).Parameters).To(BeEmpty())
		Expect(must[sdk.DescribeParametersOutput]("DescribeParameters", &sdk.DescribeParametersInput{}).Parameters).To(BeEmpty())
		_, err = do[sdk.GetParameterHistoryOutput](administrator, "GetParameterHistory", &sdk.GetParameterHistoryInput{Name: &name})
		be(err, "ParameterNotFound")
		_, err = do[sdk.DeleteParameterOutput](administrator, "DeleteParameter", &sdk.DeleteParameterInput{Name: &name})
		be(err, "ParameterNotFound")
	}

	It("is not served from that moment on, be it deleted yet or not, and its name is free once it is", func() {
		mustPut("/p/a", "v", policed(inOneHour()))
		advance(time.Hour - time.Minute)
		Expect(*mustGet("/p/a").Value).To(Equal("v"))
		advance(time.Minute)
		notThere("/p/a")
		_, err := put("/p/a", "w")
		be(err, "TooManyUpdates")
		p := onlyObject()
		_, err = world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		notThere("/p/a")
		Eventually(func() error { _, err := put("/p/a", "w"); return err }).Should(Succeed())
		Expect(mustGet("/p/a").Version).To(Equal(int64(1)))
	})

	It("and is not deleted yet is kept by another expiry", func() {
		mustPut("/p/a", "v", policed(inOneHour()))
		advance(2 * time.Hour)
		Expect(mustPut("/p/a", "w", overwrite, policed(inOneHour())).Version).To(Equal(int64(2)))
		passOver()
		Expect(*mustGet("/p/a").Value).To(Equal("w"))
		Expect(onlyObject().Annotations).NotTo(HaveKey(v1alpha1.ForceDeleteAnnotation))
	})

	It("when a manifest said so is neither served nor overwritten, until its expiry is another", func() {
		p := environment.Parameter(world.Namespace, "declared", func(p *v1alpha1.Parameter) {
			p.Spec.Name, p.Spec.Value, p.Spec.Tier = "/p/a", "", v1alpha1.TierAdvanced
		})
		world.Create(p)
		passOver()
		mustPut("/p/a", "v")
		p = onlyObject()
		world.Update(p, func() {
			p.Spec.Policies = []v1alpha1.ParameterPolicy{{Type: "Expiration", Timestamp: world.Clock.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}}
		})
		passOver()
		notThere("/p/a")
		_, err := put("/p/a", "w", overwrite)
		be(err, "ValidationException")
		Expect(err).To(MatchError(And(ContainSubstring("spec.policies"), ContainSubstring("declared"))))
		_, err = put("/p/a", "w", overwrite, policed(inOneHour()))
		be(err, "ValidationException")
		Expect(err).To(MatchError(ContainSubstring("manifest")), "which has the policies")
		p = onlyObject()
		world.Update(p, func() {
			p.Spec.Policies = []v1alpha1.ParameterPolicy{{Type: "Expiration", Timestamp: world.Clock.Now().Add(time.Hour).UTC().Format(time.RFC3339)}}
		})
		passOver()
		mustPut("/p/a", "w", overwrite)
		passOver()
		Expect(*mustGet("/p/a:1").Value).To(Equal("v"), "nothing was deleted")
		Expect(describedAs("/p/a").Policies).To(HaveLen(1))
	})

	It("asks for the data key of an advanced SecureString when it is put", func() {
		key := world.ReadyKey("mine", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/mine"} })
		in := &sdk.PutParameterInput{
			Name: ptr.To("a"), Value: ptr.To("v"), Type: types.ParameterTypeSecureString, KeyId: ptr.To("alias/mine"),
			Tier: types.ParameterTierIntelligentTiering, Policies: ptr.To("[" + twentyDays + "]"),
		}
		who := func(action string) caller {
			return allowed("ssm:PutParameter", "*") + "," + allowed(action, key.Status.ARN)
		}
		_, err := do[sdk.PutParameterOutput](who("kms:Encrypt"), "PutParameter", in)
		be(err, "AccessDeniedException")
		_, err = do[sdk.PutParameterOutput](who("kms:GenerateDataKey"), "PutParameter", in)
		Expect(err).NotTo(HaveOccurred())
	})
})
