package ssm_test

import (
	"errors"
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway/ssm"
	"strongroom.dev/strongroom/test/environment"
)

const (
	defaultTier = "/ssm/parameter-store/default-parameter-tier"
	throughput  = "/ssm/parameter-store/high-throughput-enabled"
)

func settingARN(id string) string { return arn.ServiceSetting(home, account, id) }

func setting(id string) *types.ServiceSetting {
	GinkgoHelper()
	return must[sdk.GetServiceSettingOutput]("GetServiceSetting", &sdk.GetServiceSettingInput{SettingId: &id}).ServiceSetting
}

func set(id, value string) error {
	GinkgoHelper()
	_, err := do[sdk.UpdateServiceSettingOutput](administrator, "UpdateServiceSetting", &sdk.UpdateServiceSettingInput{SettingId: &id, SettingValue: &value})
	return err
}

func settingsMap() *corev1.ConfigMap {
	GinkgoHelper()
	out := &corev1.ConfigMap{}
	Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: "strongroom-parameter-store"}, out)).To(Succeed())
	return out
}

var _ = Describe("Service settings, by AWS's own client", func() {
	var door *environment.Door
	var client *sdk.Client
	BeforeEach(func() {
		door = world.Open(service)
		client = sdk.NewFromConfig(door.Config(home, `"Action":"ssm:*","Resource":"*"`))
	})
	read := func(id string) *types.ServiceSetting {
		GinkgoHelper()
		out, err := client.GetServiceSetting(ctx, &sdk.GetServiceSettingInput{SettingId: &id})
		Expect(err).NotTo(HaveOccurred())
		return out.ServiceSetting
	}

	It("have AWS's defaults, are set, told by id and by ARN, and given their defaults again", func() {
		for id, value := range map[string]string{defaultTier: "Standard", throughput: "false"} {
			Expect(*read(id)).To(And(
				HaveField("SettingId", HaveValue(Equal(id))), HaveField("SettingValue", HaveValue(Equal(value))), HaveField("Status", HaveValue(Equal("Default"))),
				HaveField("ARN", HaveValue(Equal(settingARN(id)))), HaveField("LastModifiedUser", HaveValue(Equal("System"))), HaveField("LastModifiedDate", BeNil()),
			))
		}
		for id, value := range map[string]string{settingARN(defaultTier): "Intelligent-Tiering", throughput: "true"} {
			_, err := client.UpdateServiceSetting(ctx, &sdk.UpdateServiceSettingInput{SettingId: &id, SettingValue: &value})
			Expect(err).NotTo(HaveOccurred())
			Expect(*read(id)).To(And(HaveField("SettingValue", HaveValue(Equal(value))), HaveField("Status", HaveValue(Equal("Customized"))),
				HaveField("LastModifiedDate", HaveValue(BeTemporally("~", world.Clock.Now(), 2e9)))))
		}
		Expect(*read(defaultTier).SettingValue).To(Equal("Intelligent-Tiering"))
		for range 2 {
			out, err := client.ResetServiceSetting(ctx, &sdk.ResetServiceSettingInput{SettingId: ptr.To(defaultTier)})
			Expect(err).NotTo(HaveOccurred())
			Expect(*out.ServiceSetting.SettingValue).To(Equal("Standard"))
			Expect(*out.ServiceSetting.Status).To(Equal("Default"))
		}
		Expect(*read(throughput).SettingValue).To(Equal("true"), "the other one is reset, too")
	})

	It("are of one region", func() {
		Expect(set(defaultTier, "Advanced")).To(Succeed())
		elsewhere := sdk.NewFromConfig(door.Config(environment.OtherRegion, `"Action":"ssm:*","Resource":"*"`))
		out, err := elsewhere.GetServiceSetting(ctx, &sdk.GetServiceSettingInput{SettingId: ptr.To(defaultTier)})
		Expect(err).NotTo(HaveOccurred())
		Expect(*out.ServiceSetting.SettingValue).To(Equal("Standard"))
		var none *types.ServiceSettingNotFound
		_, err = elsewhere.GetServiceSetting(ctx, &sdk.GetServiceSettingInput{SettingId: ptr.To(settingARN(defaultTier))})
		Expect(errors.As(err, &none)).To(BeTrue(), "%v", err)
	})

	It("that there are none of are ServiceSettingNotFound, and values that are none a ValidationException", func() {
		var none *types.ServiceSettingNotFound
		for _, id := range []string{"/ssm/automation/enable-adaptive-concurrency", "default-parameter-tier", settingARN("/ssm/parameter-store/x")} {
			_, err := client.GetServiceSetting(ctx, &sdk.GetServiceSettingInput{SettingId: &id})
			Expect(errors.As(err, &none)).To(BeTrue(), "%s: %v", id, err)
			Expect(none.ErrorMessage()).To(ContainSubstring("was not found"))
			_, err = client.UpdateServiceSetting(ctx, &sdk.UpdateServiceSettingInput{SettingId: &id, SettingValue: ptr.To("Advanced")})
			Expect(errors.As(err, &none)).To(BeTrue(), "%s: %v", id, err)
			_, err = client.ResetServiceSetting(ctx, &sdk.ResetServiceSettingInput{SettingId: &id})
			Expect(errors.As(err, &none)).To(BeTrue(), "%s: %v", id, err)
		}
		for _, id := range []string{"arn:aws:ssm", "arn:aws:sqs:us-east-1:111122223333:servicesetting/ssm/x", strings.Replace(settingARN(defaultTier), "servicesetting", "parameter", 1), ""} {
			_, err := client.GetServiceSetting(ctx, &sdk.GetServiceSettingInput{SettingId: &id})
			be(err, "ValidationException")
		}
		for id, value := range map[string]string{defaultTier: "standard", throughput: "yes"} {
			be(set(id, value), "ValidationException")
		}
	})
})

var _ = Describe("The default tier", func() {
	large := strings.Repeat("v", 5000)

	DescribeTable("is that of a parameter that names none", func(tier, value string, want types.ParameterTier) {
		Expect(set(defaultTier, tier)).To(Succeed())
		out, err := put("a", value)
		if want == "" {
			be(err, "ValidationException")
			return
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Tier).To(Equal(want))
	},
		Entry(nil, "Standard", "v", types.ParameterTierStandard),
		Entry(nil, "Standard", large, types.ParameterTier("")),
		Entry(nil, "Advanced", "v", types.ParameterTierAdvanced),
		Entry(nil, "Advanced", large, types.ParameterTierAdvanced),
		Entry(nil, "Intelligent-Tiering", "v", types.ParameterTierStandard),
		Entry(nil, "Intelligent-Tiering", large, types.ParameterTierAdvanced),
	)

	It("does not overrule a request, nor a parameter that has a tier", func() {
		Expect(set(defaultTier, "Advanced")).To(Succeed())
		standard := func(in *sdk.PutParameterInput) { in.Tier = types.ParameterTierStandard }
		Expect(mustPut("a", "v", standard).Tier).To(Equal(types.ParameterTierStandard))
		Expect(mustPut("a", "w", overwrite).Tier).To(Equal(types.ParameterTierStandard))
	})

	It("lets a parameter that was made without one grow", func() {
		mustPut("a", "v")
		Expect(set(defaultTier, "Intelligent-Tiering")).To(Succeed())
		Expect(mustPut("a", large, overwrite).Tier).To(Equal(types.ParameterTierAdvanced))
	})

	It("asks for the data key of an advanced parameter", func() {
		Expect(set(defaultTier, "Advanced")).To(Succeed())
		key := world.ReadyKey("mine", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/mine"} })
		in := &sdk.PutParameterInput{Name: ptr.To("a"), Value: ptr.To("v"), Type: types.ParameterTypeSecureString, KeyId: ptr.To("alias/mine")}
		_, err := do[sdk.PutParameterOutput](allowed("ssm:PutParameter", "*")+","+allowed("kms:Encrypt", key.Status.ARN), "PutParameter", in)
		be(err, "AccessDeniedException")
		_, err = do[sdk.PutParameterOutput](allowed("ssm:PutParameter", "*")+","+allowed("kms:GenerateDataKey", key.Status.ARN), "PutParameter", in)
		Expect(err).NotTo(HaveOccurred())
	})
})

var _ = Describe("Service settings", func() {
	It("are permitted by the setting's ARN, which tells strangers nothing of what there is", func() {
		mine := allowed("ssm:UpdateServiceSetting", settingARN(defaultTier))
		try := func(who caller, id string) error {
			_, err := do[sdk.UpdateServiceSettingOutput](who, "UpdateServiceSetting", &sdk.UpdateServiceSettingInput{SettingId: &id, SettingValue: ptr.To("Advanced")})
			return err
		}
		Expect(try(mine, defaultTier)).To(Succeed())
		Expect(try(mine, settingARN(defaultTier))).To(Succeed())
		be(try(mine, throughput), "AccessDeniedException")
		be(try(stranger, defaultTier), "AccessDeniedException")
		be(try(stranger, "/ssm/none"), "AccessDeniedException")
		be(try(administrator, strings.Replace(settingARN(defaultTier), account, "111122223333", 1)), "AccessDeniedException")
		_, err := do[sdk.GetServiceSettingOutput](mine, "GetServiceSetting", &sdk.GetServiceSettingInput{SettingId: ptr.To(defaultTier)})
		be(err, "AccessDeniedException")
		_, err = do[sdk.ResetServiceSettingOutput](mine, "ResetServiceSetting", &sdk.ResetServiceSettingInput{SettingId: ptr.To(defaultTier)})
		be(err, "AccessDeniedException")
	})

	It("are entries of a ConfigMap, which a manifest may have: what is none there is the default", func() {
		Expect(set(defaultTier, "Advanced")).To(Succeed())
		stored := settingsMap()
		Expect(stored.Data).To(HaveKeyWithValue("us-east-1.default-parameter-tier", "Advanced"))
		for value, want := range map[string]string{"Intelligent-Tiering": "Intelligent-Tiering", "Free": "Standard", "": "Standard"} {
			stored.Data = map[string]string{"us-east-1.default-parameter-tier": value, "note": "ours", "us-east-1.default-parameter-tier.last-modified": "yesterday"}
			Expect(world.ControlPlane.Client.Update(ctx, stored)).To(Succeed())
			Expect(*setting(defaultTier).SettingValue).To(Equal(want))
			Expect(setting(defaultTier).LastModifiedDate).To(BeNil())
		}
		Expect(set(throughput, "true")).To(Succeed())
		must[sdk.ResetServiceSettingOutput]("ResetServiceSetting", &sdk.ResetServiceSettingInput{SettingId: ptr.To(defaultTier)})
		Expect(settingsMap().Data).To(And(HaveKeyWithValue("note", "ours"), HaveKeyWithValue("us-east-1.high-throughput-enabled", "true"),
			Not(HaveKey("us-east-1.default-parameter-tier"))), "what is another's is left alone")
	})

	It("are nobody's target, by any policy", func() {
		Expect(set(throughput, "true")).To(Succeed())
		before := settingsMap()
		for i, policy := range []v1alpha1.CreationPolicy{"", v1alpha1.CreationPolicyAdopt, v1alpha1.CreationPolicyMerge} {
			p := environment.Parameter(world.Namespace, fmt.Sprintf("settings-%d", i), func(p *v1alpha1.Parameter) {
				t := p.Spec.Target.ConfigMap
				t.Name, t.Key, t.CreationPolicy, p.Spec.Value = before.Name, "us-east-1.default-parameter-tier", policy, "Advanced"
			})
			world.Create(p)
			_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
			Expect(err).NotTo(HaveOccurred())
			world.Refresh(p)
			Expect(meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonConflict))
		}
		Expect(settingsMap().ResourceVersion).To(Equal(before.ResourceVersion))
		Expect(*setting(defaultTier).SettingValue).To(Equal("Standard"))
		Expect(set(defaultTier, "Advanced")).To(Succeed())
	})

	It("are not looked for in what somebody controls, and not written over it", func() {
		Expect(world.ControlPlane.Client.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: world.Namespace, Name: "strongroom-parameter-store",
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Widget", Name: "w", UID: "w", Controller: ptr.To(true)}},
			},
			Data: map[string]string{"us-east-1.default-parameter-tier": "Advanced"},
		})).To(Succeed())
		Expect(*setting(defaultTier).SettingValue).To(Equal("Standard"))
		be(set(defaultTier, "Advanced"), "InternalServerError")
		Expect(settingsMap().Data).To(HaveLen(1))
	})

	It("are written by one write, which may be made again", func() {
		_, writes := world.Faulty()
		for _, after := range []bool{false, true} {
			for _, change := range []func() error{
				func() error { return set(defaultTier, "Advanced") },
				func() error {
					_, err := do[sdk.ResetServiceSettingOutput](administrator, "ResetServiceSetting", &sdk.ResetServiceSettingInput{SettingId: ptr.To(defaultTier)})
					return err
				},
			} {
				writes.FailAt(1, after)
				service = ssm.New(ssm.Dependencies{Parameters: world.ParametersOver(writes)})
				Expect(errors.Is(change(), environment.ErrInjected)).To(BeTrue())
				writes.FailAt(0, false)
				Expect(change()).To(Succeed())
				Expect(writes.Writes()).To(Equal(1))
			}
			Expect(*setting(defaultTier).Status).To(Equal("Default"))
		}
	})
})
