package server_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/trail"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/audit"
)

// materials are the key materials of the spec's account, of which every key has one.
func materials() []v1alpha1.Envelope { return world.Envelopes(v1alpha1.EnvelopeKeyMaterial) }

var _ = Describe("A record", func() {
	It("is made of every request, in CloudTrail's form", func() {
		key, err := kmsClient(adminKey, secretKey).CreateKey(ctx, &awskms.CreateKeyInput{Description: aws.String("shop")})
		Expect(err).NotTo(HaveOccurred())
		record := records.last()
		Expect(record).To(And(
			HaveKeyWithValue("eventVersion", "1.11"), HaveKeyWithValue("eventSource", "kms.amazonaws.com"), HaveKeyWithValue("eventName", "CreateKey"),
			HaveKeyWithValue("awsRegion", region), HaveKeyWithValue("sourceIPAddress", "127.0.0.1"), HaveKeyWithValue("readOnly", false),
			HaveKeyWithValue("eventType", "AwsApiCall"), HaveKeyWithValue("eventCategory", "Management"), HaveKeyWithValue("managementEvent", true),
			HaveKeyWithValue("apiVersion", "2014-11-01"), HaveKeyWithValue("requestParameters", HaveKeyWithValue("description", "shop")),
			HaveKeyWithValue("responseElements", HaveKeyWithValue("keyMetadata", HaveKeyWithValue("arn", *key.KeyMetadata.Arn))),
			HaveKeyWithValue("tlsDetails", HaveKeyWithValue("tlsVersion", "TLSv1.3")), HaveKeyWithValue("userAgent", HavePrefix("aws-sdk-go-v2/")),
		))
		Expect(record["userIdentity"]).To(And(
			HaveKeyWithValue("type", "IAMUser"), HaveKeyWithValue("accessKeyId", adminKey), HaveKeyWithValue("userName", "alice"),
			HaveKeyWithValue("principalId", "AIDAEXAMPLE"), HaveKeyWithValue("arn", HaveSuffix(":user/alice")),
		))
		Expect(record).NotTo(HaveKey("errorCode"))
	})

	It("names the resource that was asked for, of a refused request too", func() {
		key, err := kmsClient(adminKey, secretKey).CreateKey(ctx, &awskms.CreateKeyInput{})
		Expect(err).NotTo(HaveOccurred())
		_, err = kmsClient(nobodyKey, secretKey).DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: key.KeyMetadata.KeyId})
		Expect(err).To(HaveOccurred())
		Expect(records.last()).To(And(
			HaveKeyWithValue("errorCode", "AccessDeniedException"),
			HaveKeyWithValue("resources", ConsistOf(HaveKeyWithValue("ARN", *key.KeyMetadata.Arn))),
			HaveKeyWithValue("responseElements", BeNil()), HaveKeyWithValue("readOnly", true),
		))
	})

	It("names the operation whose body was too large to be read, if the head names it", func() {
		large := strings.Repeat(" ", 1<<20) + "{}"
		for _, tt := range []struct {
			request      raw
			source, name string
		}{
			{raw{target: "TrentService.Encrypt", body: large}, "kms.amazonaws.com", "Encrypt"},
			{raw{rpc: "TrentService/Encrypt", body: large}, "kms.amazonaws.com", "Encrypt"},
			{raw{target: "secretsmanager.PutSecretValue", body: large, service: "secretsmanager"}, "secretsmanager.amazonaws.com", "PutSecretValue"},
		} {
			Expect(send(tt.request.make()).status).To(Equal(http.StatusRequestEntityTooLarge))
			Expect(records.last()).To(And(
				HaveKeyWithValue("eventSource", tt.source), HaveKeyWithValue("eventName", tt.name),
				HaveKeyWithValue("errorCode", "RequestEntityTooLargeException"), HaveKeyWithValue("requestParameters", BeNil()),
			))
		}
	})

	It("holds no plaintext and no ciphertext", func() {
		client := kmsClient(adminKey, secretKey)
		key, err := client.CreateKey(ctx, &awskms.CreateKeyInput{})
		Expect(err).NotTo(HaveOccurred())
		sealed, err := client.Encrypt(ctx, &awskms.EncryptInput{KeyId: key.KeyMetadata.KeyId, Plaintext: []byte(plaintext)})
		Expect(err).NotTo(HaveOccurred())
		_, err = client.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
		Expect(err).NotTo(HaveOccurred())
		data, err := client.GenerateDataKey(ctx, &awskms.GenerateDataKeyInput{KeyId: key.KeyMetadata.KeyId, KeySpec: "AES_256"})
		Expect(err).NotTo(HaveOccurred())
		sm := smClient(adminKey)
		_, err = sm.CreateSecret(ctx, &awssm.CreateSecretInput{Name: aws.String("a"), SecretString: aws.String(plaintext)})
		Expect(err).NotTo(HaveOccurred())
		_, err = sm.PutSecretValue(ctx, &awssm.PutSecretValueInput{SecretId: aws.String("a"), SecretBinary: []byte(plaintext)})
		Expect(err).NotTo(HaveOccurred())
		_, err = sm.GetSecretValue(ctx, &awssm.GetSecretValueInput{SecretId: aws.String("a")})
		Expect(err).NotTo(HaveOccurred())

		all := records.all()
		Expect(all).To(HaveLen(7))
		Expect(all[4]["requestParameters"]).To(And(HaveKeyWithValue("name", "a"), HaveKeyWithValue("secretString", audit.Hidden)))
		for _, secret := range [][]byte{[]byte(plaintext), sealed.CiphertextBlob, data.Plaintext, data.CiphertextBlob} {
			Expect(records.text()).NotTo(ContainSubstring(string(secret)))
			Expect(records.text()).NotTo(ContainSubstring(base64.StdEncoding.EncodeToString(secret)))
		}
		Expect(records.text()).NotTo(ContainSubstring(secretKey))
	})

	It("names the secret that was made by the ARN that it got, and one that was not by what is known of it", func() {
		sm := smClient(adminKey)
		for _, value := range []*string{aws.String(plaintext), nil} {
			name := aws.String("with")
			if value == nil {
				name = aws.String("without")
			}
			out, err := sm.CreateSecret(ctx, &awssm.CreateSecretInput{Name: name, SecretString: value, Tags: []smtypes.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
			Expect(err).NotTo(HaveOccurred())
			Expect(records.last()).To(And(
				HaveKeyWithValue("resources", ConsistOf(HaveKeyWithValue("ARN", *out.ARN))),
				HaveKeyWithValue("responseElements", And(HaveKeyWithValue("arn", *out.ARN), Not(HaveKey("aRN")))),
			))
		}
		_, err := smClient(nobodyKey).CreateSecret(ctx, &awssm.CreateSecretInput{Name: aws.String("denied"), SecretString: aws.String(plaintext)})
		Expect(err).To(HaveOccurred())
		Expect(records.last()["resources"]).To(ConsistOf(HaveKeyWithValue("ARN", HaveSuffix(":secret:denied-??????"))))
	})

	It("names every secret that a batch read", func() {
		sm := smClient(adminKey)
		for _, name := range []string{"one", "two"} {
			_, err := sm.CreateSecret(ctx, &awssm.CreateSecretInput{Name: &name, SecretString: aws.String(plaintext)})
			Expect(err).NotTo(HaveOccurred())
		}
		out, err := sm.BatchGetSecretValue(ctx, &awssm.BatchGetSecretValueInput{SecretIdList: []string{"one", "two"}})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.SecretValues).To(HaveLen(2))
		Expect(records.last()["resources"]).To(ConsistOf(
			HaveKeyWithValue("ARN", *out.SecretValues[0].ARN), HaveKeyWithValue("ARN", *out.SecretValues[1].ARN)))
	})

	It("that cannot be written fails its request, and nothing is changed until one can", func() {
		records.fail(errors.New("no space left on device"))
		DeferCleanup(func() { records.fail(nil) })
		read := send(raw{target: listKeys, body: "{}"}.make())
		Expect(read.status).To(Equal(http.StatusInternalServerError))
		Expect(read.kind).To(Equal("InternalFailure"))
		Expect(read.body).NotTo(ContainSubstring("Keys\":"))

		before := len(materials())
		refused := send(raw{target: createKey, body: "{}"}.make())
		Expect(refused.status).To(Equal(http.StatusInternalServerError))
		Expect(materials()).To(HaveLen(before))

		records.fail(nil)
		Expect(send(raw{target: listKeys, body: "{}"}.make()).status).To(Equal(http.StatusOK))
		Expect(send(raw{target: createKey, body: `{"Description":"again"}`}.make()).status).To(Equal(http.StatusOK))
	})
})

var _ = Describe("An operation that panics", func() {
	It("fails its own request alone, tells nothing, and is recorded", func() {
		none := func(context.Context, *gateway.Call, *awssts.GetCallerIdentityInput) (gateway.Resource[struct{}], error) {
			return gateway.Resource[struct{}]{ARN: "*"}, nil
		}
		broken := func(context.Context, *gateway.Call, *awssts.GetCallerIdentityInput, struct{}) (*awssts.GetCallerIdentityOutput, error) {
			panic(plaintext)
		}
		other := open(trail.NewWriter(records), gateway.Service{Name: "sts", Operations: []gateway.Operation{
			gateway.Op("GetCallerIdentity", none, broken, gateway.ReadOnly, gateway.Unauthorized),
		}})
		former := door
		door = other
		DeferCleanup(func() {
			door = former
			other.Close()
		})
		for range 2 {
			got := send(raw{service: "sts", contentType: "application/x-www-form-urlencoded", body: "Action=GetCallerIdentity&Version=2011-06-15"}.make())
			Expect(got.status).To(Equal(http.StatusInternalServerError))
			Expect(got.body).To(ContainSubstring("<Type>Receiver</Type><Code>InternalFailure</Code>"))
			Expect(got.body).NotTo(ContainSubstring(plaintext))
			Expect(records.last()).To(And(HaveKeyWithValue("errorCode", "InternalFailure"), HaveKeyWithValue("eventName", "GetCallerIdentity")))
		}
		By("reading of a form no more than its operation before it is known who sent it")
		for key, want := range map[string]string{"AKIAUNKNOWN000000000": "<Code>InvalidClientTokenId</Code>", adminKey: "<Code>MalformedInput</Code>"} {
			for _, rest := range []string{"x=%zz", "a=1&a=2", "%41ction=Other", strings.Repeat("a&", 10_000)} {
				got := send(raw{service: "sts", key: key, contentType: "application/x-www-form-urlencoded",
					body: "Action=GetCallerIdentity&Version=2011-06-15&" + rest}.make())
				Expect(got.body).To(ContainSubstring(want), rest)
				Expect(records.last()).To(HaveKeyWithValue("eventName", "GetCallerIdentity"))
			}
		}
		Expect(records.text()).NotTo(ContainSubstring(plaintext))
		Expect(send(raw{target: listKeys, body: "{}"}.make()).status).To(Equal(http.StatusOK))
	})
})
