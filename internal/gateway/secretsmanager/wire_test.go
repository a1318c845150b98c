package secretsmanager_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/secretsmanager"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("By way of AWS's SDK", func() {
	var door *environment.Door
	var remote *sdk.Client
	BeforeEach(func() {
		door = world.Open(service)
		remote = sdk.NewFromConfig(door.Config(home, `"Action":["secretsmanager:*","kms:*"],"Resource":"*"`))
	})

	It("a value comes back byte for byte, text as text and bytes as bytes", func() {
		every := make([]byte, 256)
		for i := range every {
			every[i] = byte(i)
		}
		for name, in := range map[string]*sdk.CreateSecretInput{
			"text":  {SecretString: aws.String("p\u00e4ssw\u00f6rd \"{}\\ \u2028 \U0001F511\n")},
			"bytes": {SecretBinary: every},
			"most":  {SecretBinary: bytes.Repeat([]byte{0xff}, 65536)},
			"JSON":  {SecretString: aws.String(`{"username":"u","password":"\u0000"}`)},
		} {
			in.Name = &name
			made, err := remote.CreateSecret(ctx, in)
			Expect(err).NotTo(HaveOccurred(), name)
			got, err := remote.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: made.ARN})
			Expect(err).NotTo(HaveOccurred(), name)
			Expect(got.SecretString).To(Equal(in.SecretString), name)
			Expect(bytes.Equal(got.SecretBinary, in.SecretBinary)).To(BeTrue(), name)
			Expect(got.VersionId).To(Equal(made.VersionId), name)
		}
		_, err := remote.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: ptr.To("most"), SecretBinary: make([]byte, 65537)})
		Expect(err).To(HaveOccurred())
		got, err := remote.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: ptr.To("most")})
		Expect(err).NotTo(HaveOccurred())
		Expect(got.SecretBinary).To(HaveLen(65536))
	})

	It("refusals are the SDK's own types of error", func() {
		create("db", "x")
		_, err := remote.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: ptr.To("none")})
		var missing *types.ResourceNotFoundException
		Expect(errors.As(err, &missing)).To(BeTrue(), "%v", err)
		_, err = remote.CreateSecret(ctx, &sdk.CreateSecretInput{Name: ptr.To("db")})
		var exists *types.ResourceExistsException
		Expect(errors.As(err, &exists)).To(BeTrue(), "%v", err)
		_, err = remote.DeleteSecret(ctx, &sdk.DeleteSecretInput{SecretId: ptr.To("db"), RecoveryWindowInDays: aws.Int64(6)})
		var parameter *types.InvalidParameterException
		Expect(errors.As(err, &parameter)).To(BeTrue(), "%v", err)
		_, err = remote.DeleteSecret(ctx, &sdk.DeleteSecretInput{SecretId: ptr.To("db")})
		Expect(err).NotTo(HaveOccurred())
		_, err = remote.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: ptr.To("db")})
		var request *types.InvalidRequestException
		Expect(errors.As(err, &request)).To(BeTrue(), "%v", err)
		_, err = remote.ListSecrets(ctx, &sdk.ListSecretsInput{NextToken: ptr.To("x")})
		var token *types.InvalidNextTokenException
		Expect(errors.As(err, &token)).To(BeTrue(), "%v", err)
	})

	It("a secret that is deleted and restored is what it was", func() {
		made := create("db", "x")
		_, err := remote.RestoreSecret(ctx, &sdk.RestoreSecretInput{SecretId: ptr.To("none")})
		var missing *types.ResourceNotFoundException
		Expect(errors.As(err, &missing)).To(BeTrue(), "%v", err)
		_, err = remote.DeleteSecret(ctx, &sdk.DeleteSecretInput{SecretId: ptr.To("db")})
		Expect(err).NotTo(HaveOccurred())
		restored, err := remote.RestoreSecret(ctx, &sdk.RestoreSecretInput{SecretId: ptr.To("db")})
		Expect(err).NotTo(HaveOccurred())
		Expect(restored.ARN).To(Equal(made.ARN))
		got, err := remote.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: ptr.To("db")})
		Expect(err).NotTo(HaveOccurred())
		Expect(*got.SecretString).To(Equal("x"))
	})

	It("a batch has at most 20 ids, an error for each that cannot be read, and all the others' values", func() {
		var ids []string
		for n := range 20 {
			name := fmt.Sprintf("s%02d", n)
			if n%2 == 0 {
				create(name, fmt.Sprint("value ", n))
			}
			ids = append(ids, name)
		}
		out, err := remote.BatchGetSecretValue(ctx, &sdk.BatchGetSecretValueInput{SecretIdList: ids})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.SecretValues).To(HaveLen(10))
		Expect(out.Errors).To(HaveLen(10))
		for _, e := range out.Errors {
			Expect(*e.ErrorCode).To(Equal("ResourceNotFoundException"))
		}
		_, err = remote.BatchGetSecretValue(ctx, &sdk.BatchGetSecretValueInput{SecretIdList: append(ids, "more")})
		Expect(err).To(MatchError(ContainSubstring("20")))
	})

	It("a list that is paged while secrets are made and go shows each that was there all the time once", func() {
		stay := map[string]int{}
		for n := range 9 {
			name := fmt.Sprintf("stay/%d", n)
			create(name, "")
			stay[name] = 0
		}
		stop := make(chan struct{})
		var busy sync.WaitGroup
		busy.Go(func() {
			defer GinkgoRecover()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					name := fmt.Sprintf("come-and-go/%d", n)
					create(name, "")
					_, err := remove(name, nil, ptr.To(true))
					Expect(err).NotTo(HaveOccurred())
				}
			}
		})
		for _, by := range []types.SortByType{types.SortByTypeName, types.SortByTypeCreatedDate} {
			for name := range stay {
				stay[name] = 0
			}
			pages := sdk.NewListSecretsPaginator(remote, &sdk.ListSecretsInput{MaxResults: aws.Int32(2), SortBy: by})
			for pages.HasMorePages() {
				page, err := pages.NextPage(ctx)
				Expect(err).NotTo(HaveOccurred())
				for _, s := range page.SecretList {
					if _, ok := stay[*s.Name]; ok {
						stay[*s.Name]++
					}
				}
			}
			Expect(stay).To(HaveEach(1), string(by))
		}
		close(stop)
		busy.Wait()
	})

	It("versions are listed oldest first, in pages, and those without a label on demand", func() {
		var want []string
		made := create("db", "0")
		want = append(want, *made.VersionId)
		for n := range 6 {
			want = append(want, *put("db", fmt.Sprint(n+1)).VersionId)
		}
		list := func(deprecated bool) (ids []string) {
			pages := sdk.NewListSecretVersionIdsPaginator(remote, &sdk.ListSecretVersionIdsInput{
				SecretId: made.ARN, MaxResults: aws.Int32(3), IncludeDeprecated: &deprecated,
			})
			for pages.HasMorePages() {
				page, err := pages.NextPage(ctx)
				Expect(err).NotTo(HaveOccurred())
				Expect(page.ARN).To(Equal(made.ARN))
				for _, v := range page.Versions {
					ids = append(ids, *v.VersionId)
					Expect(v.KmsKeyIds).To(Equal([]string{"DefaultEncryptionKey"}))
				}
			}
			return ids
		}
		Expect(list(true)).To(Equal(want))
		Expect(list(false)).To(Equal(want[len(want)-2:]), "AWSPREVIOUS and AWSCURRENT")
		first, err := remote.ListSecretVersionIds(ctx, &sdk.ListSecretVersionIdsInput{SecretId: made.ARN, MaxResults: aws.Int32(1), IncludeDeprecated: aws.Bool(true)})
		Expect(err).NotTo(HaveOccurred())
		create("other", "x")
		_, err = remote.ListSecretVersionIds(ctx, &sdk.ListSecretVersionIdsInput{SecretId: ptr.To("other"), NextToken: first.NextToken})
		Expect(err).To(MatchError(ContainSubstring("InvalidNextTokenException")), "a token is of one secret's list")
	})

	It("no value is in audit records, logs, events, errors or objects, whatever becomes of a request", func() {
		const canary = "CANARY-hunter2-CANARY"
		var logged bytes.Buffer
		GinkgoWriter.TeeTo(&logged)
		defer GinkgoWriter.ClearTeeWriters()
		world.DrainEvents()
		var failures []string
		failed := func(err error) {
			GinkgoHelper()
			Expect(err).To(HaveOccurred())
			failures = append(failures, fmt.Sprintf("%v %+v %#v", err, err, err))
		}
		made, err := remote.CreateSecret(ctx, &sdk.CreateSecretInput{Name: ptr.To("db"), SecretString: ptr.To(canary)})
		Expect(err).NotTo(HaveOccurred())
		_, err = remote.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: made.ARN})
		Expect(err).NotTo(HaveOccurred())
		_, err = remote.BatchGetSecretValue(ctx, &sdk.BatchGetSecretValueInput{SecretIdList: []string{"db"}})
		Expect(err).NotTo(HaveOccurred())
		password, err := remote.GetRandomPassword(ctx, &sdk.GetRandomPasswordInput{ExcludePunctuation: aws.Bool(true)})
		Expect(err).NotTo(HaveOccurred())
		_, err = remote.CreateSecret(ctx, &sdk.CreateSecretInput{Name: ptr.To("db"), SecretString: ptr.To(canary + "2")})
		failed(err)
		_, err = remote.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: ptr.To("none"), SecretString: ptr.To(canary)})
		failed(err)
		_, err = remote.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: made.ARN, SecretString: ptr.To(strings.Repeat(canary, 4000))})
		failed(err)
		_, err = remote.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: made.ARN, SecretString: ptr.To(canary), SecretBinary: []byte(canary)})
		failed(err)
		_, err = remote.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: made.ARN, SecretString: ptr.To(canary + "3"), ClientRequestToken: made.VersionId})
		failed(err)
		stranger := sdk.NewFromConfig(door.Config(home, `"Action":"sqs:*","Resource":"*"`))
		_, err = stranger.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: made.ARN, SecretString: ptr.To(canary)})
		failed(err)
		reconcile(object(*made.ARN))
		unseal := world.Seal(errors.New("sealed"))
		_, err = remote.UpdateSecret(ctx, &sdk.UpdateSecretInput{SecretId: made.ARN, SecretString: ptr.To(canary)})
		failed(err)
		unseal()

		Expect(strings.Count(door.Text(), "\n")).To(BeNumerically(">=", 11), "a record of each request")
		shown := strings.Join(append(failures, door.Text(), logged.String(), fmt.Sprint(world.DrainEvents()), fmt.Sprintf("%+v", object(*made.ARN))), "\n")
		for _, e := range world.Envelopes(v1alpha1.EnvelopeSecretVersion) {
			shown += fmt.Sprintf("%s %+v", e.Spec.Ciphertext, e)
		}
		Expect(shown).NotTo(ContainSubstring("hunter2"))
		Expect(shown).NotTo(ContainSubstring(*password.RandomPassword))
		Expect(shown).NotTo(ContainSubstring(base64.StdEncoding.EncodeToString([]byte(canary))[:24]))
		Expect(shown).NotTo(ContainSubstring(hex.EncodeToString([]byte("hunter2"))))
	})
})

var _ = Describe("Two replicas", func() {
	It("serve one state: a write is read at once through the one that made it, and within a second through the other", func() {
		second, err := environment.RunOperator(ctx, world.ControlPlane.Config, operator.Options{WithoutControllers: true})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(second.Stop()).To(Succeed()) })
		here, there := service, secretsmanager.New(secretsmanager.Dependencies{Secrets: second.Services.Secrets})
		through := func(s gateway.Service, do func()) {
			service = s
			defer func() { service = here }()
			do()
		}
		value := func() string {
			out, err := do[sdk.GetSecretValueOutput](administrator, "GetSecretValue", &sdk.GetSecretValueInput{SecretId: ptr.To("db")})
			if err != nil {
				return err.Error()
			}
			return *out.SecretString
		}
		soon := func(s gateway.Service, is gomegatypes.GomegaMatcher) {
			GinkgoHelper()
			through(s, func() { Eventually(value, time.Second, 5*time.Millisecond).Should(is) })
		}
		create("db", "0")
		soon(there, Equal("0"))
		for n := 1; n < 8; n++ {
			want := fmt.Sprint(n)
			writer, reader := here, there
			if n%2 == 0 {
				writer, reader = there, here
			}
			through(writer, func() {
				put("db", want)
				Expect(value()).To(Equal(want), "through the replica that wrote it, at once")
			})
			soon(reader, Equal(want))
		}
		_, err = remove("db", nil, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(value()).To(ContainSubstring("marked for deletion"))
		soon(there, ContainSubstring("marked for deletion"))
		through(there, func() {
			must[sdk.RestoreSecretOutput](administrator, "RestoreSecret", &sdk.RestoreSecretInput{SecretId: ptr.To("db")})
			Expect(value()).To(Equal("7"))
		})
		soon(here, Equal("7"))
	})
})

var _ = Describe("A secret of another account", func() {
	It("is not to be had by any operation, whatever the own policies say, and it is not told whether it is there", func() {
		made := create("db", "theirs")
		mine := world.NewNamespace()
		outsider := administrator
		for name, input := range inputs {
			if name == "CreateSecret" || name == "BatchGetSecretValue" || strings.HasPrefix(name, "List") && name != "ListSecretVersionIds" || name == "GetRandomPassword" {
				continue
			}
			told := map[string]bool{}
			for _, id := range []string{*made.ARN, strings.Replace(*made.ARN, ":db-", ":no-", 1), (*made.ARN)[:len(*made.ARN)-7]} {
				call := outsider.call(name)
				call.Identity.Namespace = mine
				call.Identity.Principal.Account, call.Identity.Principal.ARN = "999999999999", "arn:aws:iam::999999999999:user/mallory"
				for i := range service.Operations {
					if service.Operations[i].Name == name {
						_, err := service.Operations[i].Invoke(ctx, call, input(&id))
						be(err, "AccessDeniedException", err.Error()[strings.Index(err.Error(), "User: "):])
						told[strings.ReplaceAll(err.Error(), id, "ID")] = true
					}
				}
			}
			Expect(told).To(HaveLen(1), name)
		}
		Expect(*get("db").SecretString).To(Equal("theirs"))
	})
})
