//go:build cgo

package hsmcluster_test

import (
	"crypto/sha256"
	"errors"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

// What AWS's clients see of a key whose HSMs are all gone.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
var _ = Describe("A key in an HSMCluster, through the gateway", Ordered, func() {
	var (
		hc               *v1alpha1.HSMCluster
		cipher, signer   *v1alpha1.KMSKey
		door             *environment.Door
		kms, nobody      *awskms.Client
		encrypted        []byte
		digest           = sha256.Sum256([]byte("message"))
		release          func()
		encrypt, decrypt func() error
		sign             func() error
	)

	BeforeAll(func() {
		Expect(cp.Namespace(ctx, "counter", nil)).To(Succeed())
		hc = cluster("counter", "till", 1)
		ready(hc)
		cipher, signer = inModule("counter", "cipher", v1alpha1.KeySpecSymmetricDefault, hc), inModule("counter", "signer", v1alpha1.KeySpecECCNISTP256, hc)
		ready(cipher)
		ready(signer)
		world := &environment.World{Reconcilers: &environment.Reconcilers{Operator: op}, ControlPlane: cp, Namespace: "counter"}
		door = world.Open(operator.GatewayServices(op.Services)...)
		kms = awskms.NewFromConfig(door.Config(environment.Region, `"Action":"kms:*","Resource":"*"`))
		nobody = awskms.NewFromConfig(door.Config(environment.Region, `"Action":"kms:ListKeys","Resource":"*"`))
		encrypt = func() error {
			out, err := kms.Encrypt(ctx, &awskms.EncryptInput{KeyId: &cipher.Status.ARN, Plaintext: []byte("plaintext-CANARY"), EncryptionContext: map[string]string{"a": "b"}})
			if err == nil {
				encrypted = out.CiphertextBlob
			}
			return err
		}
		decrypt = func() error {
			out, err := kms.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: encrypted, EncryptionContext: map[string]string{"a": "b"}})
			if err == nil && string(out.Plaintext) != "plaintext-CANARY" {
				err = errors.New("another plaintext")
			}
			return err
		}
		sign = func() error {
			_, err := kms.Sign(ctx, &awskms.SignInput{KeyId: &signer.Status.ARN, Message: digest[:], MessageType: types.MessageTypeDigest, SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256})
			return err
		}
	})
	// fails wants an error of AWS's, with the status of HTTP that it has there, and without a word of addresses, nodes or secrets.
	fails := func(err error, code string, status int) {
		GinkgoHelper()
		var known smithy.APIError
		Expect(errors.As(err, &known)).To(BeTrue(), "%v", err)
		Expect(known.ErrorCode()).To(Equal(code), "%v", err)
		var answer *smithyhttp.ResponseError
		Expect(errors.As(err, &answer)).To(BeTrue())
		Expect(answer.HTTPStatusCode()).To(Equal(status))
		for _, secret := range []string{"127.0.0.1", "CANARY", "PIN", directory, hc.Name + "/"} {
			Expect(known.ErrorMessage()).NotTo(ContainSubstring(secret))
		}
	}

	It("is described with its custom key store, and works as any other", func() {
		out, err := kms.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &cipher.Status.ARN})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.KeyMetadata.Origin).To(Equal(types.OriginTypeAwsCloudhsm))
		Expect(out.KeyMetadata.KeyState).To(Equal(types.KeyStateEnabled))
		Expect(aws.ToString(out.KeyMetadata.CloudHsmClusterId)).To(Equal(hc.Status.ClusterID))
		Expect(aws.ToString(out.KeyMetadata.CustomKeyStoreId)).To(Equal(cloudhsm.KeyStoreID("counter", "till")))
		Expect(encrypt()).To(Succeed())
		Expect(decrypt()).To(Succeed())
		Expect(sign()).To(Succeed())
		_, err = kms.GenerateDataKey(ctx, &awskms.GenerateDataKeyInput{KeyId: &cipher.Status.ARN, KeySpec: types.DataKeySpecAes256})
		Expect(err).NotTo(HaveOccurred())
	})

	It("whose HSMs are all gone is a KeyUnavailableException in the moment before that is known", func() {
		release = hold(hc, 0)
		kill(hc, 0)
		fails(sign(), "KeyUnavailableException", 500)
	})

	It("and a KMSInvalidStateException from then on, for whatever uses it", func() {
		for _, key := range []*v1alpha1.KMSKey{cipher, signer} {
			Eventually(func(g Gomega) {
				is(key, v1alpha1.ConditionReady, metav1.ConditionFalse)(g)
				g.Expect(key.Status.KeyState).To(Equal(v1alpha1.KeyStateUnavailable))
			}).Should(Succeed())
		}
		generate := func() error {
			_, err := kms.GenerateDataKey(ctx, &awskms.GenerateDataKeyInput{KeyId: &cipher.Status.ARN, KeySpec: types.DataKeySpecAes256})
			return err
		}
		reencrypt := func() error {
			_, err := kms.ReEncrypt(ctx, &awskms.ReEncryptInput{CiphertextBlob: encrypted, SourceEncryptionContext: map[string]string{"a": "b"}, DestinationKeyId: &cipher.Status.ARN})
			return err
		}
		for _, use := range []func() error{encrypt, decrypt, sign, generate, reencrypt} {
			Eventually(func() string { // the cache of the gateway hears of it a moment later
				var known smithy.APIError
				errors.As(use(), &known)
				return known.ErrorCode()
			}).Should(Equal("KMSInvalidStateException"))
			fails(use(), "KMSInvalidStateException", 400)
		}
		Expect(encrypt()).To(MatchError(ContainSubstring(cipher.Status.ARN + " is unavailable.")))
	})

	It("is described as Unavailable, and shown, tagged and named as before", func() {
		out, err := kms.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &cipher.Status.ARN})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.KeyMetadata.KeyState).To(Equal(types.KeyStateUnavailable))
		Expect(out.KeyMetadata.Enabled).To(BeFalse())
		_, err = kms.GetKeyPolicy(ctx, &awskms.GetKeyPolicyInput{KeyId: &cipher.Status.ARN})
		Expect(err).NotTo(HaveOccurred())
		_, err = kms.ListResourceTags(ctx, &awskms.ListResourceTagsInput{KeyId: &cipher.Status.ARN})
		Expect(err).NotTo(HaveOccurred())
	})

	It("is no news to whoever has no permission: the state is told after that", func() {
		_, err := nobody.Encrypt(ctx, &awskms.EncryptInput{KeyId: &cipher.Status.ARN, Plaintext: []byte("p")})
		fails(err, "AccessDeniedException", 400)
		_, err = nobody.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &cipher.Status.ARN})
		fails(err, "AccessDeniedException", 400)
	})

	It("works again when an HSM is back, also for what was encrypted before", func() {
		release()
		ready(hc)
		ready(cipher)
		ready(signer)
		Eventually(decrypt).Should(Succeed())
		Eventually(sign).Should(Succeed())
		Expect(encrypt()).To(Succeed())
	})

	It("is in the records with its errors, and with no plaintext", func() {
		text := door.Text()
		for _, want := range []string{`"errorCode":"KeyUnavailableException"`, `"errorCode":"KMSInvalidStateException"`, `"errorCode":"AccessDenied`} {
			Expect(text).To(ContainSubstring(want))
		}
		Expect(text).NotTo(ContainSubstring("CANARY"))
		Expect(strings.Count(text, "\n")).To(BeNumerically(">", 10))
	})
})
