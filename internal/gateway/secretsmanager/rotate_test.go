package secretsmanager_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

// rotates asks for a rotation.
func rotates(id string, changes ...func(*sdk.RotateSecretInput)) (*sdk.RotateSecretOutput, error) {
	GinkgoHelper()
	in := &sdk.RotateSecretInput{SecretId: &id, ClientRequestToken: token()}
	for _, change := range changes {
		change(in)
	}
	return do[sdk.RotateSecretOutput](administrator, "RotateSecret", in)
}

// byFunction names the function of the spec's account.
func byFunction(name string) func(*sdk.RotateSecretInput) {
	return func(in *sdk.RotateSecretInput) { in.RotationLambdaARN = ptr.To(functionARN(name)) }
}

func functionARN(name string) string {
	return "arn:aws:lambda:us-east-1:" + account + ":function:" + name
}

func under(rules types.RotationRulesType) func(*sdk.RotateSecretInput) {
	return func(in *sdk.RotateSecretInput) { in.RotationRules = &rules }
}

func later(in *sdk.RotateSecretInput) { in.RotateImmediately = ptr.To(false) }

func as(id string) func(*sdk.RotateSecretInput) {
	return func(in *sdk.RotateSecretInput) { in.ClientRequestToken = &id }
}

// generated is a Secret whose value is generated, with its first version.
func generated(name string, changes ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
	GinkgoHelper()
	s := environment.Secret(world.Namespace, name, func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef = nil })
	for _, change := range changes {
		change(s)
	}
	world.Create(s)
	reconcile(s)
	return s
}

var _ = Describe("RotateSecret", func() {
	It("of a generated value makes the version of the token, once, and enables nothing that was not asked for", func() {
		s := generated("db")
		first, id := s.Status.CurrentVersionID, uuid.NewString()
		for range 2 {
			out, err := rotates("db", as(id))
			Expect(err).NotTo(HaveOccurred())
			Expect(out).To(And(HaveField("VersionId", HaveValue(Equal(id))), HaveField("ARN", HaveValue(Equal(s.Status.ARN))), HaveField("Name", HaveValue(Equal("db")))))
		}
		Expect(describe("db").VersionIdsToStages).To(Equal(map[string][]string{first: {"AWSCURRENT"}, id: {"AWSPENDING"}}))
		_, err := do[sdk.GetSecretValueOutput](administrator, "GetSecretValue", &sdk.GetSecretValueInput{SecretId: ptr.To("db"), VersionId: &id})
		be(err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+id)
		world.Refresh(s)
		world.Seen(s)
		for range 2 {
			reconcile(s)
			Expect(describe("db").VersionIdsToStages).To(Equal(map[string][]string{first: {"AWSPREVIOUS"}, id: {"AWSCURRENT"}}))
		}
		Expect(s.Status.Rotation).To(BeNil())
		Expect(s.Spec.Rotation).To(BeNil())
		target := &corev1.Secret{}
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(s), target)).To(Succeed())
		Expect(string(target.Data["value"])).To(Equal(*get("db").SecretString))
		_, err = rotates("db", as(id))
		Expect(err).NotTo(HaveOccurred(), "the token of a rotation that is done")
		reconcile(s)
		Expect(s.Status.CurrentVersionID).To(Equal(id))
		Expect(s.Status.Versions).To(HaveLen(2))
	})

	It("writes its rules into spec, as AWS has them", func() {
		s := generated("db")
		days := func(n int64) types.RotationRulesType { return types.RotationRulesType{AutomaticallyAfterDays: &n} }
		cron := func(schedule string, duration *string) types.RotationRulesType {
			return types.RotationRulesType{ScheduleExpression: &schedule, Duration: duration}
		}
		for _, step := range []struct {
			rules              types.RotationRulesType
			schedule, duration string
		}{
			{days(1), "rate(1 day)", ""},
			{days(999), "rate(999 days)", ""},
			{cron("cron(0 3 ? * SUN *)", ptr.To("3h")), "cron(0 3 ? * SUN *)", "3h"},
			{types.RotationRulesType{Duration: ptr.To("2h")}, "cron(0 3 ? * SUN *)", "2h"},
			{cron("cron(0 3 ? * SUN *)", nil), "cron(0 3 ? * SUN *)", ""}, // rules are replaced as a whole
			{days(30), "rate(30 days)", ""},
		} {
			out, err := rotates("db", under(step.rules), later)
			Expect(err).NotTo(HaveOccurred())
			Expect(out.VersionId).To(BeNil(), "no rotation has begun")
			world.Refresh(s)
			Expect(s.Spec.Rotation).To(Equal(&v1alpha1.SecretRotation{Schedule: step.schedule, Duration: step.duration}))
			Expect(s.Status.Rotation).To(BeNil())
		}
		world.Seen(s)
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(1), "RotateImmediately=false rotated")
		Expect(describe("db")).To(And(HaveField("RotationEnabled", HaveValue(BeTrue())), HaveField("NextRotationDate", HaveValue(BeTemporally(">", world.Clock.Now()))),
			HaveField("RotationRules.AutomaticallyAfterDays", HaveValue(Equal(int64(30)))), HaveField("RotationLambdaARN", BeNil())))
	})

	It("refuses rules that are none, and then changes nothing", func() {
		s := generated("db")
		before := object(s.Status.ARN)
		for says, rules := range map[string]types.RotationRulesType{
			"You can't specify both":                       {AutomaticallyAfterDays: ptr.To[int64](1), ScheduleExpression: ptr.To("rate(1 day)")},
			"at most 999":                                  {AutomaticallyAfterDays: ptr.To[int64](1000)},
			"You must specify either":                      {Duration: ptr.To("2h")},
			"Invalid RotationRules: ":                      {ScheduleExpression: ptr.To("rate(3 hours)")},
			"Invalid RotationRules: the rotation schedule": {ScheduleExpression: ptr.To("cron(5 3 ? * SUN *)")},
			"no such day":                                  {ScheduleExpression: ptr.To("cron(0 4 31 2 ? *)")},
			"window":                                       {ScheduleExpression: ptr.To("cron(0 23 * * ? *)"), Duration: ptr.To("2h")},
		} {
			_, err := rotates("db", under(rules))
			Expect(message(err)).To(And(HavePrefix("InvalidParameterException"), ContainSubstring(strings.TrimSuffix(says, "the rotation schedule"))))
		}
		Expect(object(s.Status.ARN)).To(Equal(before))
	})

	It("names a Service of the namespace by the ARN of a function, and no other", func() {
		create("db", "value")
		for _, arn := range []string{
			strings.Replace(functionARN("rotate-shop"), account, "999999999999", 1), strings.Replace(functionARN("rotate-shop"), "us-east-1", "eu-west-1", 1),
			functionARN("rotate-shop:1"), functionARN("rotate_shop"), functionARN("Rotate"), functionARN(""), functionARN("a.b"), functionARN("a/b"), functionARN("-a"),
			functionARN(strings.Repeat("a", 64)), "rotate-shop", "http://169.254.169.254/",
		} {
			_, err := rotates("db", func(in *sdk.RotateSecretInput) { in.RotationLambdaARN = &arn })
			be(err, "InvalidParameterException", "Invalid RotationLambdaARN: a rotation function is a Service of the secret's namespace, and its ARN "+
				functionARN("NAME")+", without a version or an alias.")
		}
		Expect(describe("db").RotationEnabled).To(BeNil())
		_, err := rotates("db", byFunction("rotate-shop"), later)
		Expect(err).NotTo(HaveOccurred())
		s := object(*describe("db").ARN)
		Expect(s.Spec.Rotation).To(Equal(&v1alpha1.SecretRotation{Function: &v1alpha1.FunctionRotator{ServiceRef: v1alpha1.ServiceReference{Name: "rotate-shop"}}}))
		Expect(describe("db")).To(And(HaveField("RotationLambdaARN", HaveValue(Equal(functionARN("rotate-shop")))), HaveField("RotationRules", BeNil())))
		list := must[sdk.ListSecretsOutput](administrator, "ListSecrets", &sdk.ListSecretsInput{})
		Expect(list.SecretList[0]).To(And(HaveField("RotationEnabled", HaveValue(BeTrue())), HaveField("RotationLambdaARN", HaveValue(Equal(functionARN("rotate-shop"))))))

		world.Update(s, func() { s.Spec.Rotation.Function.Port = 9000 })
		_, err = rotates("db", byFunction("rotate-shop"), under(types.RotationRulesType{AutomaticallyAfterDays: ptr.To[int64](3)}), later)
		Expect(err).NotTo(HaveOccurred())
		Expect(object(s.Status.ARN).Spec.Rotation.Function.Port).To(Equal(int32(9000)), "what the API cannot say is lost")
		_, err = rotates("db", byFunction("other"), later)
		Expect(err).NotTo(HaveOccurred())
		Expect(object(s.Status.ARN).Spec.Rotation).To(Equal(&v1alpha1.SecretRotation{
			Schedule: "rate(3 days)", Function: &v1alpha1.FunctionRotator{ServiceRef: v1alpha1.ServiceReference{Name: "other"}},
		}))
	})

	It("says what cannot be rotated so", func() {
		create("put", "value")
		_, err := rotates("put")
		be(err, "InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
		generated("made")
		_, err = rotates("made", byFunction("rotate-shop"))
		Expect(message(err)).To(And(HavePrefix("InvalidRequestException"), ContainSubstring("spec.generate")))
		empty := create("empty", "")
		s := object(*empty.ARN)
		world.Update(s, func() { s.Spec.Rotation = &v1alpha1.SecretRotation{Postgres: &v1alpha1.DatabaseRotator{}} })
		_, err = rotates("empty")
		be(err, "InvalidRequestException", "You can't rotate this secret because it has no value yet.")
		_, err = rotates("empty", byFunction("rotate-shop"))
		Expect(message(err)).To(And(HavePrefix("InvalidRequestException"), ContainSubstring("names a rotator")))
		_, err = rotates("never")
		be(err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		_, err = remove("put", nil, nil)
		Expect(err).NotTo(HaveOccurred())
		_, err = rotates("put", byFunction("rotate-shop"))
		be(err, "InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
		_, err = rotates("made", func(in *sdk.RotateSecretInput) {
			in.ExternalSecretRotationRoleArn = ptr.To("arn:aws:iam::123456789012:role/partner")
		})
		Expect(message(err)).To(And(HavePrefix("InvalidParameterException"), ContainSubstring("are not supported")))
		_, err = rotates("made", func(in *sdk.RotateSecretInput) { in.ClientRequestToken = nil })
		be(err, "InvalidRequestException", "You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	})

	It("while another rotation is in progress says AWS's words, and has changed the rules", func() {
		create("db", "value")
		_, err := rotates("db", byFunction("rotate-shop"))
		Expect(err).NotTo(HaveOccurred())
		_, err = rotates("db", under(types.RotationRulesType{AutomaticallyAfterDays: ptr.To[int64](5)}))
		be(err, "InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
		Expect(describe("db").RotationRules.AutomaticallyAfterDays).To(HaveValue(Equal(int64(5))))
		create("other", "value")
		put("other", "next", "AWSPENDING")
		_, err = rotates("other", byFunction("rotate-shop"))
		be(err, "InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
	})

	It("needs lambda:InvokeFunction on the function, and honours the condition keys of rotation", func() {
		create("db", "value")
		in := &sdk.RotateSecretInput{
			SecretId: ptr.To("db"), ClientRequestToken: token(), RotationLambdaARN: ptr.To(functionARN("rotate-shop")), RotateImmediately: ptr.To(false),
			RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: ptr.To[int64](1)},
		}
		may := func(more ...caller) error {
			_, err := invoke[sdk.RotateSecretOutput](more[0].call("RotateSecret", more[1:]...), in)
			return err
		}
		rotateSecret := allowed("secretsmanager:RotateSecret", "*")
		Expect(message(may(rotateSecret))).To(ContainSubstring("lambda:InvokeFunction on resource: " + functionARN("rotate-shop")))
		Expect(describe("db").RotationEnabled).To(BeNil())
		Expect(message(may(rotateSecret, allowed("lambda:InvokeFunction", functionARN("other"))))).To(ContainSubstring("AccessDenied"))
		invokes := allowed("lambda:InvokeFunction", functionARN("rotate-shop"))
		for condition, good := range map[string]bool{
			`{"ArnEquals":{"secretsmanager:RotationLambdaARN":"` + functionARN("rotate-shop") + `"}}`: true,
			`{"ArnEquals":{"secretsmanager:RotationLambdaARN":"` + functionARN("other") + `"}}`:       false,
			`{"Bool":{"secretsmanager:ModifyRotationRules":"true"}}`:                                  true,
			`{"Bool":{"secretsmanager:ModifyRotationRules":"false"}}`:                                 false,
			`{"Bool":{"secretsmanager:RotateImmediately":"false"}}`:                                   true,
			`{"Bool":{"secretsmanager:RotateImmediately":"true"}}`:                                    false,
		} {
			err := may(allowed("secretsmanager:RotateSecret", "*", condition), invokes)
			Expect(err == nil).To(Equal(good), "%s: %v", condition, err)
		}
		for arn, good := range map[string]bool{functionARN("rotate-shop"): true, functionARN("other"): false} {
			who := allowed("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"secretsmanager:resource/AllowRotationLambdaArn":"`+arn+`"}}`)
			_, err := do[sdk.GetSecretValueOutput](who, "GetSecretValue", &sdk.GetSecretValueInput{SecretId: ptr.To("db")})
			Expect(err == nil).To(Equal(good), "%s: %v", arn, err)
		}
	})
})

var _ = Describe("The version of a rotation in progress", func() {
	It("is put by its token under AWSPENDING alone, even as a secret's first", func() {
		create("db", "")
		id := uuid.NewString()
		_, err := rotates("db", byFunction("rotate-shop"), as(id))
		Expect(err).NotTo(HaveOccurred())
		out := must[sdk.PutSecretValueOutput](administrator, "PutSecretValue", &sdk.PutSecretValueInput{
			SecretId: ptr.To("db"), SecretString: ptr.To("next"), ClientRequestToken: &id, VersionStages: []string{"AWSPENDING"},
		})
		Expect(out.VersionStages).To(Equal([]string{"AWSPENDING"}))
		be(getError("db"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT")
		Expect(describe("db").VersionIdsToStages).To(Equal(map[string][]string{id: {"AWSPENDING"}}))
		create("other", "")
		Expect(put("other", "first", "AWSPENDING").VersionStages).To(Equal([]string{"AWSCURRENT", "AWSPENDING"}), "one that no rotation brings in")
	})

	It("takes AWSPENDING from the version that a former rotation left it on", func() {
		create("db", "value")
		done := put("db", "next", "AWSCURRENT", "AWSPENDING")
		id := uuid.NewString()
		_, err := rotates("db", byFunction("rotate-shop"), as(id))
		Expect(err).NotTo(HaveOccurred())
		Expect(describe("db").VersionIdsToStages).To(And(HaveKeyWithValue(*done.VersionId, []string{"AWSCURRENT"}), HaveKeyWithValue(id, []string{"AWSPENDING"})))
	})
})

var _ = Describe("A rotation that is given up by taking AWSPENDING away", func() {
	for name, made := range map[string]bool{"before its version is stored": false, "when its version is stored": true} {
		It(name+" is no longer in progress, and another may begin", func() {
			create("db", "value")
			id := uuid.NewString()
			_, err := rotates("db", byFunction("rotate-shop"), as(id))
			Expect(err).NotTo(HaveOccurred())
			if made {
				must[sdk.PutSecretValueOutput](administrator, "PutSecretValue", &sdk.PutSecretValueInput{
					SecretId: ptr.To("db"), SecretString: ptr.To("next"), ClientRequestToken: &id, VersionStages: []string{"AWSPENDING"},
				})
			}
			Expect(moveStage("db", "AWSPENDING", token(), nil)).NotTo(Succeed(), "another version than the one that has it")
			Expect(moveStage("db", "AWSPENDING", nil, nil)).NotTo(Succeed(), "no version at all")
			Expect(moveStage("db", "AWSPENDING", &id, nil)).To(Succeed())
			Expect(moveStage("db", "AWSPENDING", nil, nil)).NotTo(Succeed())
			Expect(describe("db").VersionIdsToStages).NotTo(HaveKey(id))
			next := uuid.NewString()
			_, err = rotates("db", as(next))
			Expect(err).NotTo(HaveOccurred())
			Expect(describe("db").VersionIdsToStages).To(HaveKeyWithValue(next, []string{"AWSPENDING"}))
		})
	}
})

var _ = Describe("CancelRotateSecret", func() {
	cancel := func(id string) (*sdk.CancelRotateSecretOutput, error) {
		return do[sdk.CancelRotateSecretOutput](administrator, "CancelRotateSecret", &sdk.CancelRotateSecretInput{SecretId: &id})
	}

	It("turns a schedule off, and RotateSecret turns it on again", func() {
		s := generated("db", func(s *v1alpha1.Secret) { s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(1 day)"} })
		Expect(describe("db")).To(And(HaveField("NextRotationDate", Not(BeNil())), HaveField("LastRotatedDate", BeNil())), "it was made, and not rotated")
		for range 2 {
			out, err := cancel("db")
			Expect(err).NotTo(HaveOccurred())
			Expect(out.VersionId).To(BeNil(), "no rotation was in progress")
		}
		world.Refresh(s)
		world.Seen(s)
		world.Clock.Advance(72 * time.Hour)
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(1))
		Expect(s.Status.NextRotationTime).To(BeNil())
		Expect(describe("db")).To(And(HaveField("RotationEnabled", HaveValue(BeFalse())), HaveField("RotationRules.ScheduleExpression", HaveValue(Equal("rate(1 day)"))),
			HaveField("NextRotationDate", BeNil()), HaveField("LastRotatedDate", BeNil())))
		_, err := rotates("db")
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(s)
		world.Seen(s)
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2))
		Expect(describe("db").LastRotatedDate).To(HaveValue(BeTemporally("==", s.Status.LastRotatedTime.Time)))
		Expect(s.Spec.Rotation.Enabled).To(BeNil())
		Expect(describe("db")).To(And(HaveField("RotationEnabled", HaveValue(BeTrue())), HaveField("NextRotationDate", Not(BeNil()))))
	})

	It("of a secret that does not rotate is refused", func() {
		create("db", "value")
		_, err := cancel("db")
		be(err, "InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
	})

	It("leaves AWSPENDING on the version that the rotation made", func() {
		create("db", "value")
		id := uuid.NewString()
		_, err := rotates("db", byFunction("rotate-shop"), as(id))
		Expect(err).NotTo(HaveOccurred())
		must[sdk.PutSecretValueOutput](administrator, "PutSecretValue", &sdk.PutSecretValueInput{
			SecretId: ptr.To("db"), SecretString: ptr.To("next"), ClientRequestToken: &id, VersionStages: []string{"AWSPENDING"},
		})
		out, err := cancel("db")
		Expect(err).NotTo(HaveOccurred())
		Expect(out.VersionId).To(HaveValue(Equal(id)))
		s := object(*out.ARN)
		world.Seen(s)
		reconcile(s)
		Expect(describe("db").VersionIdsToStages).To(HaveKeyWithValue(id, []string{"AWSPENDING"}))
		Expect(s.Status.Rotation).To(BeNil(), "the controller began it again")
	})
})

var _ = Describe("A crash at any write of a rotation's request", func() {
	for _, after := range []bool{false, true} {
		where := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[after]
		It(where+", ends in the version of the token, once, though the request is made again", func() {
			_, writes := world.Faulty()
			working := service
			broken := secretsmanager.New(secretsmanager.Dependencies{Secrets: world.SecretsOver(writes)})
			DeferCleanup(func() { service = working })
			for n := 1; ; n++ {
				s := generated(fmt.Sprint("db", n))
				id, rules := uuid.NewString(), under(types.RotationRulesType{AutomaticallyAfterDays: ptr.To[int64](9)})
				writes.FailAt(n, after)
				service = broken
				_, err := rotates(s.Name, as(id), rules)
				service = working
				reached := writes.Writes() >= n
				Expect(errors.Is(err, environment.ErrInjected)).To(Equal(reached), "%v", err)
				pass := func() {
					world.Refresh(s)
					world.Seen(s)
					reconcile(s)
				}
				pass()
				_, err = rotates(s.Name, as(id), rules)
				Expect(err).NotTo(HaveOccurred())
				pass()
				Expect(s.Status.CurrentVersionID).To(Equal(id))
				Expect(s.Status.Versions).To(HaveLen(2))
				Expect(s.Status.Rotation).To(BeNil())
				Expect(s.Spec.Rotation).To(Equal(&v1alpha1.SecretRotation{Schedule: "rate(9 days)"}))
				if !reached {
					Expect(n).To(Equal(3), "spec and status are two writes")
					return
				}
			}
		})
	}
})
