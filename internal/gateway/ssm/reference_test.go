package ssm_test

import (
	"encoding/json"
	"strings"

	sdksecrets "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/secretsmanager"
	"strongroom.dev/strongroom/internal/gateway/ssm"
)

var _ = Describe("A parameter that refers to a secret", func() {
	const name = "/aws/reference/secretsmanager/prod/shop/db"
	var (
		secrets gateway.Service
		made    *sdksecrets.CreateSecretOutput
	)
	asked := func(operation string, in any) any {
		GinkgoHelper()
		call := callOf(administrator, operation)
		call.Service = secrets.Name
		o := secrets.Operation(operation)
		out, err := o.Invoke(ctx, call, in)
		Expect(err).NotTo(HaveOccurred())
		return out
	}
	token := func(letter string) *string { return ptr.To(strings.Repeat(letter, 32)) }
	BeforeEach(func() {
		secrets = secretsmanager.New(secretsmanager.Dependencies{Secrets: world.Services.Secrets})
		service = ssm.New(ssm.Dependencies{Parameters: world.Services.Parameters, SecretValue: secrets.Operation("GetSecretValue")})
		world.ReadyKey("aws-secretsmanager")
		made = asked("CreateSecret", &sdksecrets.CreateSecretInput{
			Name: ptr.To("prod/shop/db"), SecretString: ptr.To(`{"password":"<hunter2>"}`), ClientRequestToken: token("a"),
		}).(*sdksecrets.CreateSecretOutput)
	})

	It("has the secret's value, and the answer of Secrets Manager with it", func() {
		p := mustGet(name)
		value := asked("GetSecretValue", &sdksecrets.GetSecretValueInput{SecretId: made.ARN}).(*sdksecrets.GetSecretValueOutput)
		Expect(p).To(And(HaveField("Name", HaveValue(Equal(name))), HaveField("ARN", made.ARN), HaveField("Type", types.ParameterTypeSecureString),
			HaveField("Value", HaveValue(Equal(`{"password":"<hunter2>"}`))), HaveField("Version", int64(0)), HaveField("Selector", BeNil()),
			HaveField("LastModifiedDate", HaveValue(BeTemporally("==", *value.CreatedDate)))))
		var source map[string]any
		Expect(json.Unmarshal([]byte(*p.SourceResult), &source)).To(Succeed())
		Expect(source).To(Equal(map[string]any{
			"ARN": *made.ARN, "Name": "prod/shop/db", "VersionId": *made.VersionId, "SecretString": *p.Value,
			"VersionStages": []any{"AWSCURRENT"}, "CreatedDate": float64(value.CreatedDate.UnixMilli()) / 1000,
		}))
	})

	It("chooses a version by its stage or its id", func() {
		asked("PutSecretValue", &sdksecrets.PutSecretValueInput{SecretId: made.ARN, SecretString: ptr.To("second"), ClientRequestToken: token("b")})
		Expect(*mustGet(name).Value).To(Equal("second"))
		for _, selector := range []string{"AWSPREVIOUS", *made.VersionId} {
			Expect(mustGet(name+":"+selector)).To(And(HaveField("Value", HaveValue(ContainSubstring("hunter2"))),
				HaveField("Selector", HaveValue(Equal(":"+selector)))), selector)
		}
		_, err := get(name+":AWSPENDING", true)
		be(err, "ParameterNotFound")
	})

	It("is read by whatever name a secret can have", func() {
		for _, secret := range []string{"we+ird@x=1", "a_b.c-d/e", "=", "+/@"} {
			asked("CreateSecret", &sdksecrets.CreateSecretInput{Name: &secret, SecretString: ptr.To("of " + secret), ClientRequestToken: token("d")})
			given := "/aws/reference/secretsmanager/" + secret
			Expect(mustGet(given)).To(And(HaveField("Value", HaveValue(Equal("of "+secret))), HaveField("Name", HaveValue(Equal(given)))))
			Expect(mustGet(given + ":AWSCURRENT")).To(HaveField("Value", HaveValue(Equal("of "+secret))))
			out := must[sdk.GetParametersOutput]("GetParameters", &sdk.GetParametersInput{Names: []string{given}, WithDecryption: ptr.To(true)})
			Expect(out.Parameters).To(HaveLen(1))
			_, err := put(given, "x")
			Expect(err).To(HaveOccurred(), "it is the name of no parameter")
		}
	})

	It("is read with decryption alone", func() {
		_, err := get(name, false)
		be(err, "ValidationException")
		Expect(err).To(MatchError(ContainSubstring("WithDecryption flag must be True for retrieving a Secret Manager secret.")))
	})

	It("takes the permission of both services, and both resources are recorded", func() {
		in := &sdk.GetParameterInput{Name: ptr.To(name), WithDecryption: ptr.To(true)}
		parameter := allowed("ssm:GetParameter", arnOf(name))
		secret := allowed("secretsmanager:GetSecretValue", *made.ARN)
		for who, lacks := range map[caller]string{parameter: "secretsmanager:GetSecretValue", secret: "ssm:GetParameter", stranger: "ssm:GetParameter"} {
			_, err := do[sdk.GetParameterOutput](who, "GetParameter", in)
			be(err, "AccessDeniedException")
			Expect(err).To(MatchError(And(ContainSubstring(lacks), Not(ContainSubstring("hunter2")))))
		}
		call := callOf(parameter+","+secret, "GetParameter")
		_, err := invoke(call, in)
		Expect(err).NotTo(HaveOccurred())
		Expect(call.Resources).To(ConsistOf(HaveField("ARN", arnOf(name)), HaveField("ARN", *made.ARN)))
		Expect(call.Service).To(Equal("ssm"))
	})

	It("is not read under a name that is none, which nobody was asked about", func() {
		who := allowed("ssm:GetParameters", arnOf("/plain")) + "," + allowed("secretsmanager:*", "*")
		mustPut("/plain", "x")
		for _, bad := range []string{name + ":", name + ":a:b", name + "!x", name + "é"} {
			out, err := do[sdk.GetParametersOutput](who, "GetParameters", &sdk.GetParametersInput{Names: []string{"/plain", bad}, WithDecryption: ptr.To(true)})
			Expect(err).NotTo(HaveOccurred())
			Expect(out.InvalidParameters).To(Equal([]string{bad}))
			Expect(out.Parameters).To(HaveExactElements(HaveField("Name", HaveValue(Equal("/plain")))))
		}
	})

	It("is not there if the secret is not, which those are told who may ask", func() {
		_, err := get("/aws/reference/secretsmanager/nobody", true)
		be(err, "ParameterNotFound")
		Expect(err).To(MatchError(ContainSubstring("when referencing Secrets Manager: Secret aws/reference/secretsmanager/nobody not found.")))
		mustPut("/plain", "x")
		out := must[sdk.GetParametersOutput]("GetParameters", &sdk.GetParametersInput{
			Names: []string{"/aws/reference/secretsmanager/nobody", "/plain", name}, WithDecryption: ptr.To(true),
		})
		Expect(out.InvalidParameters).To(Equal([]string{"/aws/reference/secretsmanager/nobody"}))
		Expect(out.Parameters).To(HaveExactElements(HaveField("Name", HaveValue(Equal("/plain"))), HaveField("Name", HaveValue(Equal(name)))))
	})

	It("says why a secret cannot be had: it is binary, or on its way out", func() {
		asked("CreateSecret", &sdksecrets.CreateSecretInput{Name: ptr.To("bytes"), SecretBinary: []byte("hunter2"), ClientRequestToken: token("c")})
		_, err := get("/aws/reference/secretsmanager/bytes", true)
		be(err, "ValidationException")
		Expect(err).To(MatchError(And(ContainSubstring("binary"), Not(ContainSubstring("hunter2")))))
		asked("DeleteSecret", &sdksecrets.DeleteSecretInput{SecretId: made.ARN})
		_, err = get(name, true)
		be(err, "ValidationException")
		Expect(err).To(MatchError(ContainSubstring("An error occurred (InvalidRequestException) when referencing Secrets Manager: ")))
	})

	It("is read by GetParameter and GetParameters alone", func() {
		_, err := put(name, "x", overwrite)
		be(err, "AccessDeniedException")
		for _, f := range []func() error{
			func() error {
				_, err := do[sdk.DeleteParameterOutput](administrator, "DeleteParameter", &sdk.DeleteParameterInput{Name: ptr.To(name)})
				return err
			},
			func() error {
				_, err := do[sdk.GetParameterHistoryOutput](administrator, "GetParameterHistory", &sdk.GetParameterHistoryInput{Name: ptr.To(name)})
				return err
			},
			func() error {
				_, err := do[sdk.LabelParameterVersionOutput](administrator, "LabelParameterVersion", &sdk.LabelParameterVersionInput{Name: ptr.To(name), Labels: []string{"a"}})
				return err
			},
		} {
			be(f(), "ParameterNotFound")
		}
		out := must[sdk.GetParametersByPathOutput]("GetParametersByPath", &sdk.GetParametersByPathInput{
			Path: ptr.To("/aws/reference/secretsmanager"), Recursive: ptr.To(true), WithDecryption: ptr.To(true),
		})
		Expect(out.Parameters).To(BeEmpty())
	})
})
