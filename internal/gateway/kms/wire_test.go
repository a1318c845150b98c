package kms_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

const allKMS = `"Action":"kms:*","Resource":"*"`

var _ = Describe("By way of AWS's SDK", func() {
	var (
		door   *environment.Door
		config aws.Config
		remote *awskms.Client
	)
	BeforeEach(func() {
		door = world.Open(kms.New(kms.Dependencies{KMS: world.Services.KMS, Authorities: world.Services.Authorities}))
		config = door.Config(environment.Region, allKMS)
		remote = awskms.NewFromConfig(config)
	})

	It("refusals are the SDK's own types of error", func() {
		key, err := remote.CreateKey(ctx, &awskms.CreateKeyInput{})
		Expect(err).NotTo(HaveOccurred())
		id := key.KeyMetadata.KeyId
		out, err := remote.Encrypt(ctx, &awskms.EncryptInput{KeyId: id, Plaintext: []byte("x"), EncryptionContext: map[string]string{"é": "日本"}})
		Expect(err).NotTo(HaveOccurred())
		_, err = remote.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: out.CiphertextBlob, EncryptionContext: map[string]string{"é": "日本"}})
		Expect(err).NotTo(HaveOccurred(), "a context is any text")

		_, err = remote.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: out.CiphertextBlob})
		var invalid *types.InvalidCiphertextException
		Expect(errors.As(err, &invalid)).To(BeTrue(), "%v", err)
		_, err = remote.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: s(absent)})
		var missing *types.NotFoundException
		Expect(errors.As(err, &missing)).To(BeTrue(), "%v", err)
		_, err = remote.Encrypt(ctx, &awskms.EncryptInput{KeyId: id, Plaintext: []byte("x"), DryRun: aws.Bool(true)})
		var dry *types.DryRunOperationException
		Expect(errors.As(err, &dry)).To(BeTrue(), "%v", err)
		_, err = remote.DisableKey(ctx, &awskms.DisableKeyInput{KeyId: id})
		Expect(err).NotTo(HaveOccurred())
		_, err = remote.Encrypt(ctx, &awskms.EncryptInput{KeyId: id, Plaintext: []byte("x")})
		var disabled *types.DisabledException
		Expect(errors.As(err, &disabled)).To(BeTrue(), "%v", err)
	})

	It("a key is replicated, used in the other region, made the primary there, and its last use is the one of the audit record", func() {
		away := awskms.NewFromConfig(door.Config(there, allKMS))
		made, err := remote.CreateKey(ctx, &awskms.CreateKeyInput{MultiRegion: aws.Bool(true)})
		Expect(err).NotTo(HaveOccurred())
		id := made.KeyMetadata.KeyId
		replica, err := remote.ReplicateKey(ctx, &awskms.ReplicateKeyInput{KeyId: id, ReplicaRegion: s(there)})
		Expect(err).NotTo(HaveOccurred())
		Expect(*replica.ReplicaKeyMetadata.MultiRegionConfiguration.PrimaryKey.Arn).To(Equal(*made.KeyMetadata.Arn))
		_, err = remote.ReplicateKey(ctx, &awskms.ReplicateKeyInput{KeyId: id, ReplicaRegion: s(there)})
		var exists *types.AlreadyExistsException
		Expect(errors.As(err, &exists)).To(BeTrue(), "%v", err)
		world.ReconcileKey(replicaOf(*id, there))

		blob, err := remote.Encrypt(ctx, &awskms.EncryptInput{KeyId: id, Plaintext: []byte("x")})
		Expect(err).NotTo(HaveOccurred())
		out, err := away.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: blob.CiphertextBlob})
		Expect(err).NotTo(HaveOccurred())
		Expect(*out.KeyId).To(Equal(*replica.ReplicaKeyMetadata.Arn))
		last, err := away.GetKeyLastUsage(ctx, &awskms.GetKeyLastUsageInput{KeyId: id})
		Expect(err).NotTo(HaveOccurred())
		Expect(last.KeyLastUsage.Operation).To(Equal(types.KeyLastUsageTrackingOperationDecrypt))
		Expect(door.Text()).To(MatchRegexp(`"eventName":"Decrypt".*"requestID":"` + *last.KeyLastUsage.KmsRequestId + `".*"eventID":"` + *last.KeyLastUsage.CloudTrailEventId + `"`))

		_, err = remote.UpdatePrimaryRegion(ctx, &awskms.UpdatePrimaryRegionInput{KeyId: id, PrimaryRegion: s(there)})
		Expect(err).NotTo(HaveOccurred())
		_, err = remote.UpdatePrimaryRegion(ctx, &awskms.UpdatePrimaryRegionInput{KeyId: id, PrimaryRegion: s(there)})
		var unsupported *types.UnsupportedOperationException
		Expect(errors.As(err, &unsupported)).To(BeTrue(), "%v", err)
		described, err := away.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: id})
		Expect(err).NotTo(HaveOccurred())
		Expect(described.KeyMetadata.MultiRegionConfiguration.MultiRegionKeyType).To(Equal(types.MultiRegionKeyTypePrimary))
	})

	It("a write is seen by the next request, and lists page as the SDK's paginator has it", func() {
		want := map[string]bool{}
		for i := range 7 {
			key, err := remote.CreateKey(ctx, &awskms.CreateKeyInput{Description: aws.String(fmt.Sprint(i))})
			Expect(err).NotTo(HaveOccurred())
			described, err := remote.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: key.KeyMetadata.Arn})
			Expect(err).NotTo(HaveOccurred())
			Expect(*described.KeyMetadata.Description).To(Equal(fmt.Sprint(i)))
			want[*key.KeyMetadata.KeyId] = true
		}
		pages, seen := awskms.NewListKeysPaginator(remote, &awskms.ListKeysInput{Limit: aws.Int32(3)}), 0
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			Expect(err).NotTo(HaveOccurred())
			for _, k := range page.Keys {
				Expect(want).To(HaveKey(*k.KeyId))
				seen++
			}
		}
		Expect(seen).To(Equal(7))
	})

	It("a list that is paged while keys are made and go shows each that was there all the time once", func() {
		stay := map[string]int{}
		for range 12 {
			stay[*createKey(admin()).KeyId] = 0
		}
		stop := make(chan struct{})
		var busy sync.WaitGroup
		busy.Go(func() {
			defer GinkgoRecover()
			for {
				select {
				case <-stop:
					return
				default:
					createKey(admin())
				}
			}
		})
		pages := awskms.NewListKeysPaginator(remote, &awskms.ListKeysInput{Limit: aws.Int32(2)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			Expect(err).NotTo(HaveOccurred())
			for _, k := range page.Keys {
				if _, ok := stay[*k.KeyId]; ok {
					stay[*k.KeyId]++
				}
			}
		}
		close(stop)
		busy.Wait()
		Expect(stay).To(HaveEach(1))
	})

	It("an encryption context with one key twice is refused: parsers differ in which of the two they take", func() {
		key := *createKey(admin()).KeyId
		body := `{"KeyId":"` + key + `","Plaintext":"eA==","EncryptionContext":{"a":"1","a":"2"}}`
		post := func(body string) (int, string) {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, door.URL, strings.NewReader(body))
			Expect(err).NotTo(HaveOccurred())
			request.Header.Set("Content-Type", "application/x-amz-json-1.1")
			request.Header.Set("X-Amz-Target", "TrentService.Encrypt")
			credentials, err := config.Credentials.Retrieve(ctx)
			Expect(err).NotTo(HaveOccurred())
			sum := sha256.Sum256([]byte(body))
			Expect(v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), "kms", environment.Region, time.Now())).To(Succeed())
			response, err := door.Client().Do(request)
			Expect(err).NotTo(HaveOccurred())
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			Expect(err).NotTo(HaveOccurred())
			return response.StatusCode, string(text)
		}
		status, text := post(body)
		Expect(status).To(Equal(http.StatusBadRequest))
		Expect(text).To(ContainSubstring("SerializationException"))
		status, _ = post(strings.Replace(body, `,"a":"2"`, "", 1))
		Expect(status).To(Equal(http.StatusOK), "once is fine")
	})

	It("nothing of plaintexts, messages and data keys is in audit records, logs or errors, whatever becomes of a request", func() {
		const canary = "CANARY-attack-at-dawn-CANARY"
		var logged bytes.Buffer
		GinkgoWriter.TeeTo(&logged)
		defer GinkgoWriter.ClearTeeWriters()
		key, signer := createKey(admin()).KeyId, createKey(admin(), signing(types.KeySpecEccNistP256)).KeyId
		out, err := remote.Encrypt(ctx, &awskms.EncryptInput{KeyId: key, Plaintext: []byte(canary)})
		Expect(err).NotTo(HaveOccurred())
		_, err = remote.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: out.CiphertextBlob})
		Expect(err).NotTo(HaveOccurred())
		made, err := remote.GenerateDataKey(ctx, &awskms.GenerateDataKeyInput{KeyId: key, KeySpec: types.DataKeySpecAes256})
		Expect(err).NotTo(HaveOccurred())
		random, err := remote.GenerateRandom(ctx, &awskms.GenerateRandomInput{NumberOfBytes: aws.Int32(32)})
		Expect(err).NotTo(HaveOccurred())
		_, err = remote.Sign(ctx, &awskms.SignInput{KeyId: signer, Message: []byte(canary), SigningAlgorithm: p256})
		Expect(err).NotTo(HaveOccurred())
		var failures []string
		failed := func(err error) {
			GinkgoHelper()
			Expect(err).To(HaveOccurred())
			failures = append(failures, fmt.Sprintf("%v %+v %#v", err, err, err))
		}
		_, err = remote.Encrypt(ctx, &awskms.EncryptInput{KeyId: s(absent), Plaintext: []byte(canary)})
		failed(err)
		_, err = remote.Encrypt(ctx, &awskms.EncryptInput{KeyId: key, Plaintext: []byte(strings.Repeat(canary, 200))})
		failed(err)
		_, err = remote.Encrypt(ctx, &awskms.EncryptInput{KeyId: key, Plaintext: []byte(canary), DryRun: aws.Bool(true)})
		failed(err)
		_, err = remote.Sign(ctx, &awskms.SignInput{KeyId: signer, Message: []byte(canary), MessageType: digest, SigningAlgorithm: p256})
		failed(err)
		nobody := awskms.NewFromConfig(door.Config(environment.Region, `"Action":"sqs:*","Resource":"*"`))
		_, err = nobody.Encrypt(ctx, &awskms.EncryptInput{KeyId: key, Plaintext: []byte(canary)})
		failed(err)
		world.Seal(errors.New("sealed"))
		_, err = remote.Encrypt(ctx, &awskms.EncryptInput{KeyId: key, Plaintext: []byte(canary)})
		failed(err)

		Expect(strings.Count(door.Text(), "\n")).To(Equal(11), "a record of each request")
		shown := strings.Join(append(failures, door.Text(), logged.String()), "\n")
		for _, secret := range [][]byte{[]byte("attack-at-dawn"), made.Plaintext, random.Plaintext} {
			for _, form := range []string{string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret)} {
				Expect(shown).NotTo(ContainSubstring(form))
			}
		}
		encoded := base64.StdEncoding.EncodeToString([]byte(canary))
		Expect(shown).NotTo(ContainSubstring(encoded[:20]))
		Expect(shown).NotTo(ContainSubstring(base64.StdEncoding.EncodeToString(out.CiphertextBlob)), "nor ciphertexts, as in CloudTrail")
	})
})

var _ = Describe("Two replicas", Ordered, func() {
	var second *environment.Operator
	BeforeAll(func() {
		var err error
		second, err = environment.RunOperator(ctx, world.ControlPlane.Config, operator.Options{WithoutControllers: true})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(second.Stop()).To(Succeed()) })
	})

	It("serve one state: what one has written the other has within a second, and both use the same keys", func() {
		there := map[string]gateway.Operation{}
		for _, o := range kms.New(kms.Dependencies{KMS: second.Services.KMS, Authorities: second.Services.Authorities}).Operations {
			there[o.Name] = o
		}
		at := func(name string, in any) (any, error) {
			call := admin().call
			call.Operation = name
			operation := there[name]
			return operation.Invoke(ctx, &call, in)
		}
		soon := func(name string, in any, is gomegatypes.GomegaMatcher) {
			GinkgoHelper()
			Eventually(func() error { _, err := at(name, in); return err }, "1s", "5ms").Should(is)
		}
		for range 5 {
			key := createKey(admin()).KeyId
			blob := encrypt(admin(), *key, "x", nil)
			soon("Decrypt", &awskms.DecryptInput{CiphertextBlob: blob}, Succeed())
			alias(admin(), "alias/shop", *key)
			soon("Encrypt", &awskms.EncryptInput{KeyId: s("alias/shop"), Plaintext: []byte("x")}, Succeed())
			must[awskms.DisableKeyOutput](admin(), "DisableKey", &awskms.DisableKeyInput{KeyId: key})
			code, _ := refused[any](admin(), "Encrypt", &awskms.EncryptInput{KeyId: key, Plaintext: []byte("x")})
			Expect(code).To(Equal("DisabledException"), "at once through the replica that wrote it")
			soon("Encrypt", &awskms.EncryptInput{KeyId: key, Plaintext: []byte("x")}, MatchError(ContainSubstring("DisabledException")))
			_, err := at("EnableKey", &awskms.EnableKeyInput{KeyId: key})
			Expect(err).NotTo(HaveOccurred())
			_, err = at("Encrypt", &awskms.EncryptInput{KeyId: key, Plaintext: []byte("x")})
			Expect(err).NotTo(HaveOccurred(), "and the other way round")
			Expect(dropAlias("alias/shop")).To(Succeed())
			soon("Encrypt", &awskms.EncryptInput{KeyId: s("alias/shop"), Plaintext: []byte("x")}, MatchError(ContainSubstring("NotFoundException")))
		}
	})

	It("that change one key at once lose neither's change", func() {
		key := *createKey(admin()).KeyId
		services := []gateway.Service{kms.New(kms.Dependencies{KMS: world.Services.KMS, Authorities: world.Services.Authorities}), kms.New(kms.Dependencies{KMS: second.Services.KMS, Authorities: second.Services.Authorities})}
		Eventually(func() error { return second.GetClient().Get(ctx, client.ObjectKeyFromObject(object(key)), object(key)) }).Should(Succeed())
		var wait sync.WaitGroup
		for i, service := range services {
			wait.Go(func() {
				defer GinkgoRecover()
				for n := range 8 {
					for _, o := range service.Operations {
						if o.Name != "TagResource" {
							continue
						}
						call := admin().call
						call.Operation = o.Name
						_, err := o.Invoke(ctx, &call, &awskms.TagResourceInput{KeyId: &key, Tags: []types.Tag{{TagKey: s(fmt.Sprintf("t%d-%d", i, n)), TagValue: s("x")}}})
						Expect(err).NotTo(HaveOccurred())
					}
				}
			})
		}
		wait.Wait()
		Expect(object(key).Spec.Tags).To(HaveLen(16))
	})
})
