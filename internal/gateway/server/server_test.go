package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
)

func sum(body string) string {
	digest := sha256.Sum256([]byte(body))
	return hex.EncodeToString(digest[:])
}

const (
	plaintext = "correct horse battery staple"
	listKeys  = "TrentService.ListKeys"
	createKey = "TrentService.CreateKey"
)

var _ = Describe("An unmodified SDK", func() {
	It("makes a key, encrypts with it and decrypts", func() {
		client := kmsClient(adminKey, secretKey)
		key, err := client.CreateKey(ctx, &awskms.CreateKeyInput{Description: aws.String("shop")})
		Expect(err).NotTo(HaveOccurred())
		ec := map[string]string{"app": "shop"}
		sealed, err := client.Encrypt(ctx, &awskms.EncryptInput{KeyId: key.KeyMetadata.KeyId, Plaintext: []byte(plaintext), EncryptionContext: ec})
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Contains(sealed.CiphertextBlob, []byte(plaintext))).To(BeFalse())
		opened, err := client.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: ec})
		Expect(err).NotTo(HaveOccurred())
		Expect(string(opened.Plaintext)).To(Equal(plaintext))
		Expect(*opened.KeyId).To(Equal(*key.KeyMetadata.Arn))
	})

	It("keeps a secret and reads it, twice the same: what is overwritten after an answer is the answer's own", func() {
		client := smClient(adminKey)
		_, err := client.CreateSecret(ctx, &awssm.CreateSecretInput{Name: aws.String("shop/db"), SecretBinary: []byte(plaintext)})
		Expect(err).NotTo(HaveOccurred())
		for range 3 {
			got, err := client.GetSecretValue(ctx, &awssm.GetSecretValueInput{SecretId: aws.String("shop/db")})
			Expect(err).NotTo(HaveOccurred())
			Expect(string(got.SecretBinary)).To(Equal(plaintext))
		}
	})

	It("gets AWS's error types", func() {
		_, err := smClient(adminKey).GetSecretValue(ctx, &awssm.GetSecretValueInput{SecretId: aws.String("nothing")})
		var notFound *smtypes.ResourceNotFoundException
		Expect(errors.As(err, &notFound)).To(BeTrue(), "%v", err)
		Expect(notFound.ErrorMessage()).To(Equal("Secrets Manager can't find the specified secret."))

		_, err = kmsClient(adminKey, secretKey).Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: []byte("no ciphertext at all")})
		var invalid *types.InvalidCiphertextException
		Expect(errors.As(err, &invalid)).To(BeTrue(), "%v", err)
	})

	It("is told what is wrong with its input in AWS's words", func() {
		_, err := kmsClient(adminKey, secretKey).CreateKey(ctx, &awskms.CreateKeyInput{Description: aws.String(strings.Repeat("x", 8193))})
		var api smithy.APIError
		Expect(errors.As(err, &api)).To(BeTrue())
		Expect(api.ErrorCode()).To(Equal("ValidationException"))
		Expect(api.ErrorMessage()).To(HavePrefix("1 validation error detected: Value '"))
		Expect(api.ErrorMessage()).To(HaveSuffix("' at 'description' failed to satisfy constraint: Member must have length less than or equal to 8192"))
	})

	It("may do nothing without a policy, and is told the same whether or not the key exists", func() {
		key, err := kmsClient(adminKey, secretKey).CreateKey(ctx, &awskms.CreateKeyInput{})
		Expect(err).NotTo(HaveOccurred())
		told := func(id string) string {
			_, err := kmsClient(nobodyKey, secretKey).DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &id})
			var api smithy.APIError
			Expect(errors.As(err, &api)).To(BeTrue(), "%v", err)
			Expect(api.ErrorCode()).To(Equal("AccessDeniedException"))
			return strings.ReplaceAll(api.ErrorMessage(), id, "ID")
		}
		Expect(told(*key.KeyMetadata.KeyId)).To(Equal(told("00000000-0000-4000-8000-000000000000")))
	})

	It("speaks HTTP/1.1 and HTTP/2", func() {
		for _, major := range []int{1, 2} {
			req := raw{target: listKeys, body: "{}"}.make()
			client := door.Client()
			if major == 1 {
				transport := client.Transport.(*http.Transport).Clone()
				transport.ForceAttemptHTTP2, transport.TLSNextProto = false, nil
				transport.Protocols = new(http.Protocols)
				transport.Protocols.SetHTTP1(true)
				transport.TLSClientConfig.NextProtos = nil
				client = &http.Client{Transport: transport}
			}
			res, err := client.Do(req)
			Expect(err).NotTo(HaveOccurred())
			Expect(res.Body.Close()).To(Succeed())
			Expect(res.ProtoMajor).To(Equal(major))
			Expect(res.StatusCode).To(Equal(http.StatusOK))
		}
	})

	It("finds the request's id, the date and the length in the answer", func() {
		got := send(raw{target: listKeys, body: "{}"}.make())
		Expect(got.status).To(Equal(http.StatusOK))
		Expect(got.header.Get("x-amzn-RequestId")).To(MatchRegexp(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`))
		date, err := http.ParseTime(got.header.Get("Date"))
		Expect(err).NotTo(HaveOccurred())
		Expect(date).To(BeTemporally("~", time.Now(), 5*time.Second))
		Expect(got.header.Get("Content-Type")).To(Equal("application/x-amz-json-1.1"))
		Expect(got.header.Get("Content-Length")).To(Equal(fmt.Sprint(len(got.body))))
		Expect(got.header.Get("Cache-Control")).To(Equal("no-store"))
	})
})

var _ = DescribeTable("A request is refused", func(r raw, status int, kind string, message string) {
	got := send(r.make())
	Expect(got.kind).To(Equal(kind), got.body)
	Expect(got.message).To(ContainSubstring(message))
	Expect(got.status).To(Equal(status))
	record := records.last()
	Expect(record).To(HaveKeyWithValue("errorCode", kind))
	Expect(record).To(HaveKeyWithValue("requestID", got.header.Get("x-amzn-RequestId")))
},
	Entry("without a signature", raw{target: listKeys, unsigned: true}, 400, "MissingAuthenticationTokenException", "Missing Authentication Token"),
	Entry("with half a signature", raw{target: listKeys, tamper: func(r *http.Request) {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x")
	}}, 400, "IncompleteSignatureException", "Authorization header requires"),
	Entry("by a secret that is wrong", raw{target: listKeys, secret: "wrong"}, 400, "InvalidSignatureException", "does not match"),
	Entry("by an access key that nobody has", raw{target: listKeys, key: "AKIAUNKNOWN000000000"}, 400, "UnrecognizedClientException",
		"The security token included in the request is invalid."),
	Entry("by a session that is over", raw{target: listKeys, key: expiredKey}, 400, "ExpiredTokenException", "is expired"),
	Entry("signed for another region, naming those served", raw{target: listKeys, region: "ap-south-1"}, 400, "InvalidSignatureException",
		"us-east-1, eu-west-1"),
	Entry("signed for another service", raw{target: listKeys, service: "secretsmanager"}, 400, "InvalidSignatureException", "'kms'"),
	Entry("signed long ago", raw{target: listKeys, at: time.Now().Add(-6 * time.Minute)}, 400, "InvalidSignatureException", "Signature expired"),
	Entry("signed in the future", raw{target: listKeys, at: time.Now().Add(6 * time.Minute)}, 400, "InvalidSignatureException", "not yet current"),
	Entry("with another body than was signed", raw{target: listKeys, body: "{}", tamper: func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"Limit":1}`)), 11
	}}, 400, "InvalidSignatureException", "does not match"),
	Entry("with another target than was signed", raw{target: listKeys, body: "{}", tamper: func(r *http.Request) {
		r.Header.Set("X-Amz-Target", createKey)
	}}, 400, "InvalidSignatureException", "does not match"),
	Entry("with a header that is not signed", raw{target: listKeys, body: "{}", tamper: func(r *http.Request) {
		r.Header.Set("X-Amz-Security-Token", "abc")
	}}, 400, "InvalidSignatureException", ""),
	Entry("of a target that is nobody's", raw{target: "Nobody.Do"}, 400, "UnknownOperationException", "Nobody.Do"),
	Entry("of an operation that is nobody's", raw{target: "TrentService.Explode"}, 400, "UnknownOperationException", "KMS has no operation Explode."),
	Entry("of an operation that is AWS's and not served, by name", raw{target: "TrentService.ReplicateKey"}, 400,
		"UnsupportedOperationException", "Strongroom does not serve ReplicateKey"),
	Entry("of another content type", raw{target: listKeys, contentType: "application/json"}, 400, "UnknownOperationException", "application/x-amz-json-1.1"),
	Entry("by another method", raw{target: listKeys, method: "PUT"}, 400, "UnknownOperationException", "by POST"),
	Entry("at another path", raw{target: listKeys, path: "/x"}, 400, "UnknownOperationException", "at the path /"),
	Entry("with a body that is no JSON", raw{target: listKeys, body: "{"}, 400, "SerializationException", "not valid JSON"),
	Entry("with a member twice", raw{target: listKeys, body: `{"Limit":1,"Limit":2}`}, 400, "SerializationException", "twice"),
	Entry("with a member of another type", raw{target: listKeys, body: `{"Limit":"1"}`}, 400, "SerializationException", "STRING_VALUE can not be converted to an Integer"),
	Entry("that is deep", raw{target: listKeys, body: `{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}"}, 400, "SerializationException", "deep"),
	Entry("that is null", raw{target: listKeys, body: "null"}, 400, "SerializationException", "not a JSON object"),
	Entry("that is too large for KMS", raw{target: listKeys, body: strings.Repeat(" ", 256<<10) + "{}"}, 413, "RequestEntityTooLargeException", ""),
	Entry("that is too large for Secrets Manager", raw{target: "secretsmanager.ListSecrets", service: "secretsmanager", body: strings.Repeat(" ", 1<<20) + "{}"},
		413, "RequestEntityTooLargeException", ""),
	Entry("out of its range", raw{target: listKeys, body: `{"Limit":1001}`}, 400, "ValidationException",
		"1 validation error detected: Value '1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000"),
	Entry("without a required member", raw{target: "TrentService.DescribeKey", body: `{}`}, 400, "ValidationException",
		"1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null"),
)

var _ = Describe("A refusal before authentication", func() {
	It("does not tell which access keys there are but by AWS's own two codes", func() {
		wrong := send(raw{target: listKeys, secret: "wrong"}.make())
		unknown := send(raw{target: listKeys, key: "AKIAUNKNOWN000000000", secret: "wrong"}.make())
		Expect([]string{wrong.kind, unknown.kind}).To(Equal([]string{"InvalidSignatureException", "UnrecognizedClientException"}))
	})

	It("answers a request that names no service in XML, as query services do", func() {
		got := send(raw{contentType: "text/plain", body: "x"}.make())
		Expect(got.status).To(Equal(http.StatusBadRequest))
		Expect(got.header.Get("Content-Type")).To(Equal("text/xml"))
		Expect(got.body).To(HavePrefix("<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction</Code>"))
	})
})

var _ = Describe("A request that changes something", func() {
	It("is carried out once: the same signature later is refused, also over another connection", func() {
		DeferCleanup(func() { ahead.Store(0) })
		r := raw{target: createKey, body: "{}", at: time.Now().Add(time.Second)}
		first := send(r.make())
		Expect(first.status).To(Equal(http.StatusOK), first.body)
		door.Client().CloseIdleConnections()
		ahead.Store(int64(time.Minute))
		again := send(r.make())
		Expect(again.kind).To(Equal("InvalidSignatureException"))
		Expect(again.message).To(ContainSubstring("was received before"))
	})

	It("that changes nothing may come again", func() {
		r := raw{target: listKeys, body: "{}", at: time.Now()}
		for range 2 {
			Expect(send(r.make()).status).To(Equal(http.StatusOK))
		}
	})
})

var _ = Describe("A region", func() {
	It("is its own: a key of one is not found in another", func() {
		key, err := kmsClient(adminKey, secretKey).CreateKey(ctx, &awskms.CreateKeyInput{})
		Expect(err).NotTo(HaveOccurred())
		elsewhere := kmsClient(adminKey, secretKey, func(o *awskms.Options) { o.Region = "eu-west-1" })
		_, err = elsewhere.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: key.KeyMetadata.KeyId})
		var notFound *types.NotFoundException
		Expect(errors.As(err, &notFound)).To(BeTrue(), "%v", err)
	})
})
