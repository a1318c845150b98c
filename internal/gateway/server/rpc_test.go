package server_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmsschemas "github.com/aws/aws-sdk-go-v2/service/kms/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smschemas "github.com/aws/aws-sdk-go-v2/service/secretsmanager/schemas"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/transport/http/protocol/rpcv2"
	"github.com/fxamacker/cbor/v2"

	"strongroom.dev/strongroom/internal/gateway/audit"
)

// kmsInCBOR and smInCBOR have the SDK's clients speak RPC v2.
func kmsInCBOR(o *awskms.Options) { o.Protocol = rpcv2.NewCBOR(kmsschemas.TrentService) }
func smInCBOR(o *awssm.Options)   { o.Protocol = rpcv2.NewCBOR(smschemas.Secretsmanager) }

// inCBOR is a document of CBOR.
func inCBOR(v any) string {
	GinkgoHelper()
	document, err := cbor.Marshal(v)
	Expect(err).NotTo(HaveOccurred())
	return string(document)
}

const (
	listKeysRPC = "TrentService/ListKeys"
	inCommon    = "com.amazon.coral.service#"
)

var _ = Describe("An SDK that speaks RPC v2 in CBOR", func() {
	It("makes a key, encrypts with it and decrypts; what was encrypted in one protocol is decrypted in the other", func() {
		client := kmsClient(adminKey, secretKey, kmsInCBOR)
		key, err := client.CreateKey(ctx, &awskms.CreateKeyInput{Description: aws.String("shop"), Tags: []types.Tag{{TagKey: aws.String("a"), TagValue: aws.String("é")}}})
		Expect(err).NotTo(HaveOccurred())
		Expect(*key.KeyMetadata.CreationDate).To(BeTemporally("~", time.Now(), time.Minute))
		Expect(key.KeyMetadata.Enabled).To(BeTrue())
		ec := map[string]string{"app": "shop"}
		sealed, err := client.Encrypt(ctx, &awskms.EncryptInput{KeyId: key.KeyMetadata.KeyId, Plaintext: []byte(plaintext), EncryptionContext: ec})
		Expect(err).NotTo(HaveOccurred())
		for _, other := range []*awskms.Client{client, kmsClient(adminKey, secretKey)} {
			opened, err := other.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: ec})
			Expect(err).NotTo(HaveOccurred())
			Expect(string(opened.Plaintext)).To(Equal(plaintext))
		}
	})

	It("keeps a secret, and is answered an operation that gives nothing", func() {
		sm := smClient(adminKey, smInCBOR)
		_, err := sm.CreateSecret(ctx, &awssm.CreateSecretInput{Name: aws.String("shop/db"), SecretBinary: []byte(plaintext)})
		Expect(err).NotTo(HaveOccurred())
		got, err := sm.GetSecretValue(ctx, &awssm.GetSecretValueInput{SecretId: aws.String("shop/db")})
		Expect(err).NotTo(HaveOccurred())
		Expect(string(got.SecretBinary)).To(Equal(plaintext))
		_, err = sm.TagResource(ctx, &awssm.TagResourceInput{SecretId: aws.String("shop/db"), Tags: []smtypes.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
		Expect(err).NotTo(HaveOccurred())
	})

	It("gets AWS's error types, and the errors that are in no model", func() {
		_, err := smClient(adminKey, smInCBOR).GetSecretValue(ctx, &awssm.GetSecretValueInput{SecretId: aws.String("nothing")})
		var notFound *smtypes.ResourceNotFoundException
		Expect(errors.As(err, &notFound)).To(BeTrue(), "%v", err)
		Expect(notFound.ErrorMessage()).To(Equal("Secrets Manager can't find the specified secret."))
		for code, err := range map[string]error{
			"AccessDeniedException":     last(kmsClient(nobodyKey, secretKey, kmsInCBOR).ListKeys(ctx, nil)),
			"InvalidSignatureException": last(kmsClient(adminKey, "wrong", kmsInCBOR).ListKeys(ctx, nil)),
			"ValidationException":       last(kmsClient(adminKey, secretKey, kmsInCBOR).ListKeys(ctx, &awskms.ListKeysInput{Limit: aws.Int32(1001)})),
		} {
			var api smithy.APIError
			Expect(errors.As(err, &api)).To(BeTrue(), "%v", err)
			Expect(api.ErrorCode()).To(Equal(code))
			Expect(api.ErrorMessage()).NotTo(BeEmpty())
		}
	})

	It("is recorded as in JSON, and no more of its secrets", func() {
		var made []map[string]any
		for _, options := range [][]func(*awssm.Options){nil, {smInCBOR}} {
			world.Fresh()
			world.ReadyKey("aws-secretsmanager")
			records.reset()
			_, err := smClient(adminKey, options...).CreateSecret(ctx, &awssm.CreateSecretInput{
				Name: aws.String("a"), SecretString: aws.String(plaintext), ClientRequestToken: aws.String("7b98bb5f-0000-4000-8000-000000000000"),
			})
			Expect(err).NotTo(HaveOccurred())
			record := records.last()
			Expect(record["requestParameters"]).To(HaveKeyWithValue("secretString", audit.Hidden))
			for _, of := range []string{"requestID", "eventID", "eventTime", "resources", "responseElements", "userAgent", "userIdentity", "recipientAccountId"} {
				Expect(record).To(HaveKey(of))
				delete(record, of)
			}
			made = append(made, record)
			Expect(records.text()).NotTo(ContainSubstring(plaintext))
		}
		Expect(made[0]).To(Equal(made[1]))
	})
})

func last[T any](_ T, err error) error { return err }

var _ = Describe("An answer in RPC v2", func() {
	It("has the protocol's header and its type, and the rest as in JSON", func() {
		got := send(raw{rpc: listKeysRPC, body: inCBOR(map[string]any{})}.make())
		Expect(got.status).To(Equal(http.StatusOK))
		Expect(got.header).To(And(
			HaveKeyWithValue("Smithy-Protocol", []string{"rpc-v2-cbor"}), HaveKeyWithValue("Content-Type", []string{"application/cbor"}),
			HaveKeyWithValue("Cache-Control", []string{"no-store"}), HaveKey("X-Amzn-Requestid"), HaveKey("Date"),
		))
		Expect(cbor.Wellformed([]byte(got.body))).To(Succeed())
		Expect(send(raw{target: listKeys, body: "{}"}.make()).header).NotTo(HaveKey("Smithy-Protocol"))
	})

	It("has neither a body nor a type if the operation has no output", func() {
		key, err := kmsClient(adminKey, secretKey).CreateKey(ctx, &awskms.CreateKeyInput{})
		Expect(err).NotTo(HaveOccurred())
		got := send(raw{rpc: "TrentService/DisableKey", body: inCBOR(map[string]any{"KeyId": *key.KeyMetadata.KeyId})}.make())
		Expect(got.status).To(Equal(http.StatusOK), got.body)
		Expect(got.body).To(BeEmpty())
		Expect(got.header).NotTo(HaveKey("Content-Type"))
		Expect(got.header).To(HaveKeyWithValue("Content-Length", []string{"0"}))
	})

	It("names an error by its shape's id: of the service, or of those that all have", func() {
		missing := send(raw{rpc: "TrentService/DescribeKey", body: inCBOR(map[string]any{"KeyId": "00000000-0000-4000-8000-000000000000"})}.make())
		Expect(missing.kind).To(Equal("com.amazonaws.kms#NotFoundException"))
		Expect(missing.status).To(Equal(http.StatusBadRequest))
		Expect(send(raw{rpc: listKeysRPC, key: nobodyKey}.make()).kind).To(Equal(inCommon + "AccessDeniedException"))
	})
})

var _ = DescribeTable("A request in RPC v2 is taken", func(r raw) {
	Expect(send(r.make()).status).To(Equal(http.StatusOK))
},
	Entry("without a body", raw{rpc: listKeysRPC}),
	Entry("without a body and without a type", raw{rpc: listKeysRPC, change: func(r *http.Request) { r.Header.Del("Content-Type") }}),
	Entry("with an empty map", raw{rpc: listKeysRPC, body: "\xa0"}),
	Entry("with an empty map of indefinite length", raw{rpc: listKeysRPC, body: "\xbf\xff"}),
	Entry("with parameters of its type", raw{rpc: listKeysRPC, contentType: "application/cbor; q=1", body: "\xa0"}),
	Entry("behind a prefix of the path", raw{rpc: listKeysRPC, path: "/v1/aws/service/TrentService/operation/ListKeys"}),
	Entry("by the absolute id of the service", raw{rpc: listKeysRPC, path: "/service/com.amazonaws.kms.TrentService/operation/ListKeys"}),
	Entry("with an Accept that asks for something else", raw{rpc: listKeysRPC, change: func(r *http.Request) { r.Header.Set("Accept", "text/plain") }}),
)

var _ = DescribeTable("A request in RPC v2 is refused", func(r raw, status int, kind, message string) {
	got := send(r.make())
	Expect(got.kind).To(Equal(inCommon+kind), got.body)
	Expect(got.message).To(ContainSubstring(message))
	Expect(got.status).To(Equal(status))
	Expect(got.header.Get("Smithy-Protocol")).To(Equal("rpc-v2-cbor"))
	Expect(got.header.Get("Content-Type")).To(Equal("application/cbor"))
	Expect(records.last()).To(And(HaveKeyWithValue("errorCode", kind), HaveKeyWithValue("requestID", got.header.Get("x-amzn-RequestId"))))
},
	Entry("with a target besides", raw{rpc: listKeysRPC, target: createKey}, 400, "UnknownOperationException", "has no X-Amz-Target"),
	Entry("with an empty target besides", raw{rpc: listKeysRPC, change: func(r *http.Request) { r.Header["X-Amz-Target"] = []string{""} }}, 400,
		"UnknownOperationException", "has no X-Amz-Target"),
	Entry("with the other target besides", raw{rpc: listKeysRPC, change: func(r *http.Request) { r.Header.Set("X-Amzn-Target", createKey) }}, 400,
		"UnknownOperationException", "has no X-Amz-Target"),
	Entry("in two protocols", raw{rpc: listKeysRPC, change: func(r *http.Request) { r.Header.Add("Smithy-Protocol", "rpc-v2-json") }}, 400,
		"UnknownOperationException", "more than once"),
	Entry("at another path", raw{rpc: listKeysRPC, path: "/"}, 400, "UnknownOperationException", "for a path such as /service/"),
	Entry("at a path that is too short", raw{rpc: listKeysRPC, path: "/service/TrentService/operation"}, 400, "UnknownOperationException", "for a path such as"),
	Entry("at a path with more behind it", raw{rpc: listKeysRPC, path: "/service/TrentService/operation/ListKeys/"}, 400, "UnknownOperationException", "for a path such as"),
	Entry("at a path whose slash is encoded", raw{rpc: listKeysRPC, path: "/service/TrentService/operation%2FListKeys"}, 400, "UnknownOperationException", "for a path such as"),
	Entry("of a service that is nobody's", raw{rpc: "Nobody/Do"}, 400, "UnknownOperationException", "No service here is called Nobody."),
	Entry("of a service in another namespace", raw{rpc: listKeysRPC, path: "/service/com.example.TrentService/operation/ListKeys"}, 400,
		"UnknownOperationException", "No service here is called com.example.TrentService."),
	Entry("of a query service", raw{rpc: "AWSSecurityTokenServiceV20110615/GetCallerIdentity", service: "sts"}, 400, "UnknownOperationException", "No service here"),
	Entry("of an operation that is nobody's", raw{rpc: "TrentService/Explode"}, 400, "UnknownOperationException", "KMS has no operation Explode."),
	Entry("of an operation by its absolute id", raw{rpc: "TrentService/com.amazonaws.kms.ListKeys"}, 400, "UnknownOperationException", "has no operation"),
	Entry("of an operation that is AWS's and not served", raw{rpc: "TrentService/ReplicateKey"}, 400, "UnsupportedOperationException", "does not serve"),
	Entry("by another method", raw{rpc: listKeysRPC, method: "PUT"}, 400, "UnknownOperationException", "by POST"),
	Entry("of another content type", raw{rpc: listKeysRPC, contentType: "application/x-amz-json-1.1", body: "{}"}, 400, "UnknownOperationException", "application/cbor"),
	Entry("with a body of no type", raw{rpc: listKeysRPC, body: "\xa0", change: func(r *http.Request) { r.Header.Del("Content-Type") }}, 400,
		"UnknownOperationException", "application/cbor"),
	Entry("without a signature", raw{rpc: listKeysRPC, unsigned: true}, 400, "MissingAuthenticationTokenException", "Missing Authentication Token"),
	Entry("by a secret that is wrong", raw{rpc: listKeysRPC, secret: "wrong"}, 400, "InvalidSignatureException", "does not match"),
	Entry("by an access key that nobody has", raw{rpc: listKeysRPC, key: "AKIAUNKNOWN000000000"}, 400, "UnrecognizedClientException", "security token"),
	Entry("by a session that is over", raw{rpc: listKeysRPC, key: expiredKey}, 400, "ExpiredTokenException", "is expired"),
	Entry("by a user without a policy", raw{rpc: listKeysRPC, key: nobodyKey}, 400, "AccessDeniedException", "is not authorized to perform: kms:ListKeys"),
	Entry("signed for another service", raw{rpc: listKeysRPC, service: "secretsmanager"}, 400, "InvalidSignatureException", "'kms'"),
	Entry("signed long ago", raw{rpc: listKeysRPC, at: time.Now().Add(-6 * time.Minute)}, 400, "InvalidSignatureException", "Signature expired"),
	Entry("at another operation's path than was signed", raw{rpc: listKeysRPC, tamper: func(r *http.Request) {
		r.URL.Path = "/service/TrentService/operation/CreateKey"
	}}, 400, "InvalidSignatureException", "does not match"),
	Entry("with another body than was signed", raw{rpc: listKeysRPC, body: "\xa0", tamper: func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("\xbf\xff")), 2
	}}, 400, "InvalidSignatureException", "does not match"),
	Entry("with a body that is JSON", raw{rpc: listKeysRPC, body: `{"Limit":1}`}, 400, "SerializationException", "not valid CBOR"),
	Entry("that is null", raw{rpc: listKeysRPC, body: "\xf6"}, 400, "SerializationException", "not a CBOR map"),
	Entry("with a member twice", raw{rpc: listKeysRPC, body: "\xa2eLimit\x01eLimit\x02"}, 400, "SerializationException", "/Limit: the member is there twice"),
	Entry("with a member of another type", raw{rpc: listKeysRPC, body: "\xa1eLimita1"}, 400, "SerializationException", "/Limit: TEXT_STRING can not be converted to an Integer"),
	Entry("that is deep", raw{rpc: listKeysRPC, body: "\xa1aa" + strings.Repeat("\x81", 40) + "\x00"}, 400, "SerializationException", "deep"),
	Entry("that is too large for KMS", raw{rpc: listKeysRPC, body: "\xa1aa\x5a\x00\x04\x00\x00" + strings.Repeat("a", 256<<10)}, 413, "RequestEntityTooLargeException", ""),
	Entry("that is too large for KMS, by its absolute id", raw{rpc: listKeysRPC, path: "/service/com.amazonaws.kms.TrentService/operation/ListKeys",
		body: "\xa1aa\x5a\x00\x04\x00\x00" + strings.Repeat("a", 256<<10)}, 413, "RequestEntityTooLargeException", ""),
	Entry("out of its range", raw{rpc: listKeysRPC, body: "\xa1eLimit\x19\x03\xe9"}, 400, "ValidationException",
		"1 validation error detected: Value '1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000"),
)

var _ = Describe("A request that is in no protocol spoken here", func() {
	It("is refused as a query, whatever protocol it names", func() {
		for _, name := range []string{"rpc-v2-json", "RPC-V2-CBOR", "rpc-v2-cbor,x", ""} {
			got := send(raw{path: "/service/TrentService/operation/ListKeys", contentType: "application/cbor", body: "\xa0",
				change: func(r *http.Request) { r.Header.Set("Smithy-Protocol", name) }}.make())
			Expect(got.status).To(Equal(http.StatusBadRequest), name)
			Expect(got.body).To(ContainSubstring("<Code>InvalidAction</Code>"), name)
			Expect(got.header).NotTo(HaveKey("Smithy-Protocol"))
		}
	})

	It("is not made another by a header on its way: JSON with the protocol's name added, and CBOR with it taken away, are refused", func() {
		before := len(materials())
		added := send(raw{target: createKey, body: "{}", tamper: func(r *http.Request) { r.Header.Set("Smithy-Protocol", "rpc-v2-cbor") }}.make())
		Expect(added.kind).To(Equal(inCommon + "UnknownOperationException"))
		taken := send(raw{rpc: "TrentService/CreateKey", body: "\xa0", tamper: func(r *http.Request) { r.Header.Del("Smithy-Protocol") }}.make())
		Expect(taken.body).To(ContainSubstring("<Code>InvalidAction</Code>"))
		Expect(materials()).To(HaveLen(before))
	})
})

var _ = Describe("A request in RPC v2 that changes something", func() {
	It("is carried out once: the same signature later is refused", func() {
		DeferCleanup(func() { ahead.Store(0) })
		r := raw{rpc: "TrentService/CreateKey", body: "\xa0", at: time.Now().Add(time.Second)}
		Expect(send(r.make()).status).To(Equal(http.StatusOK))
		ahead.Store(int64(time.Minute))
		again := send(r.make())
		Expect(again.kind).To(Equal(inCommon + "InvalidSignatureException"))
		Expect(again.message).To(ContainSubstring("was received before"))
	})
})
