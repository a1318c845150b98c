package secretsmanager_test

import (
	"errors"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

// Every write of an operation is made to fail in turn, before it is done and after it, as if the process had died there. The
// request made again by the client, with the same token, must then succeed, and what the controller does in between must be
// harmless.
var _ = Describe("A crash at any write", func() {
	var (
		writes  *environment.FaultyClient
		broken  gateway.Service
		working gateway.Service
	)
	BeforeEach(func() {
		_, writes = world.Faulty()
		working = service
		broken = secretsmanager.New(secretsmanager.Dependencies{Secrets: world.SecretsOver(writes)})
	})
	// crash carries out an operation that fails at the nth write, and tells whether it came so far.
	crash := func(n int, after bool, do func() error) bool {
		GinkgoHelper()
		writes.FailAt(n, after)
		service = broken
		err := do()
		service = working
		if writes.Writes() < n {
			Expect(err).NotTo(HaveOccurred())
			return false
		}
		Expect(errors.Is(err, environment.ErrInjected)).To(BeTrue(), "%v", err)
		return true
	}
	pass := func(name string) {
		_, _ = world.Secret.Reconcile(ctx, environment.Request(&v1alpha1.Secret{ObjectMeta: object0(name)}))
	}

	for _, after := range []bool{false, true} {
		where := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[after]
		for _, between := range []bool{false, true} {
			what := map[bool]string{false: "", true: ", with a pass of the controller in between"}[between]

			It("of CreateSecret, "+where+what+", ends in one secret with one version", func() {
				for n := 1; ; n++ {
					in := &sdk.CreateSecretInput{Name: ptr.To("db"), ClientRequestToken: token(), SecretString: ptr.To("value")}
					create := func() error {
						_, err := do[sdk.CreateSecretOutput](administrator, "CreateSecret", in)
						return err
					}
					if !crash(n, after, create) {
						Expect(n).To(BeNumerically(">", 3), "object, Envelope, status")
						return
					}
					if between {
						pass("db")
					}
					Expect(create()).To(Succeed())
					Expect(*get("db").SecretString).To(Equal("value"))
					Expect(describe("db").VersionIdsToStages).To(HaveLen(1))
					Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(1))
					_, err := remove("db", nil, ptr.To(true))
					Expect(err).NotTo(HaveOccurred())
				}
			})

			It("of PutSecretValue, "+where+what+", ends in one new version", func() {
				create("db", "old")
				for n := 1; ; n++ {
					in := &sdk.PutSecretValueInput{SecretId: ptr.To("db"), ClientRequestToken: token(), SecretString: ptr.To("new")}
					put := func() error {
						_, err := do[sdk.PutSecretValueOutput](administrator, "PutSecretValue", in)
						return err
					}
					count := len(describe("db").VersionIdsToStages)
					if !crash(n, after, put) {
						Expect(n).To(BeNumerically(">", 2), "Envelope, status")
						return
					}
					if between {
						pass("db")
					}
					Expect(put()).To(Succeed())
					value := get("db")
					Expect(value.VersionId).To(Equal(in.ClientRequestToken))
					Expect(*value.SecretString).To(Equal("new"))
					Expect(object(*value.ARN).Status.Versions).To(HaveLen(n + 1))
					Expect(count).To(BeNumerically("<=", 2))
				}
			})
		}

		It("of PutSecretValue, "+where+", and then another put loses neither", func() {
			create("db", "old")
			lost := &sdk.PutSecretValueInput{SecretId: ptr.To("db"), ClientRequestToken: token(), SecretString: ptr.To("lost")}
			Expect(crash(2, after, func() error { // the Envelope is made
				_, err := do[sdk.PutSecretValueOutput](administrator, "PutSecretValue", lost)
				return err
			})).To(BeTrue())
			put("db", "next")
			Expect(*get("db").SecretString).To(Equal("next"))
			previous := must[sdk.GetSecretValueOutput](administrator, "GetSecretValue",
				&sdk.GetSecretValueInput{SecretId: ptr.To("db"), VersionId: lost.ClientRequestToken})
			Expect(previous).To(And(HaveField("SecretString", HaveValue(Equal("lost"))), HaveField("VersionStages", []string{"AWSPREVIOUS"})))
		})

		It("of DeleteSecret, "+where+", leaves the secret or its tombstone", func() {
			for n := 1; ; n++ {
				made := create("db", "value")
				reached := crash(n, after, func() error {
					_, err := do[sdk.DeleteSecretOutput](administrator, "DeleteSecret",
						&sdk.DeleteSecretInput{SecretId: ptr.To("db"), RecoveryWindowInDays: ptr.To[int64](9)})
					return err
				})
				sweep("db")
				if err := getError("db"); err != nil {
					be(err, "InvalidRequestException", marked)
					must[sdk.RestoreSecretOutput](administrator, "RestoreSecret", &sdk.RestoreSecretInput{SecretId: ptr.To("db")})
				}
				Expect(get("db").ARN).To(Equal(made.ARN))
				_, err := remove("db", nil, ptr.To(true))
				Expect(err).NotTo(HaveOccurred())
				if !reached {
					Expect(n).To(BeNumerically(">", 3), "spec, object, tombstone")
					return
				}
			}
		})

		It("of RestoreSecret, "+where+", restores when made again, or by the controller", func() {
			for n := 1; ; n++ {
				made := create("db", "one")
				put("db", "two", "mine")
				stages := describe("db").VersionIdsToStages
				_, err := remove("db", nil, nil)
				Expect(err).NotTo(HaveOccurred())
				reached := crash(n, after, func() error {
					_, err := do[sdk.RestoreSecretOutput](administrator, "RestoreSecret", &sdk.RestoreSecretInput{SecretId: ptr.To("db")})
					return err
				})
				if n%2 == 0 {
					pass("db")
				}
				must[sdk.RestoreSecretOutput](administrator, "RestoreSecret", &sdk.RestoreSecretInput{SecretId: ptr.To("db")})
				pass("db")
				sweep("db")
				Expect(get("db")).To(And(HaveField("ARN", made.ARN), HaveField("SecretString", HaveValue(Equal("one")))))
				Expect(describe("db").VersionIdsToStages).To(Equal(stages))
				Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
				_, err = remove("db", nil, ptr.To(true))
				Expect(err).NotTo(HaveOccurred())
				if !reached {
					Expect(n).To(BeNumerically(">", 3), "object, status, tombstone")
					return
				}
			}
		})
	}
})

var _ = Describe("What an operation costs", func() {
	It("is three writes for a secret with its value, two for a value, two for a deletion, none for a read", func() {
		_, writes := world.Faulty()
		service = secretsmanager.New(secretsmanager.Dependencies{Secrets: world.SecretsOver(writes)})
		cost := func(do func()) []string {
			writes.FailAt(0, false)
			do()
			return writes.Log()
		}
		Expect(cost(func() { create("db", "value") })).To(Equal([]string{"create", "create", "status"}))
		Expect(cost(func() { get("db"); describe("db") })).To(BeEmpty())
		Expect(cost(func() { put("db", "next") })).To(Equal([]string{"create", "status"}))
		Expect(cost(func() { _, _ = remove("db", nil, nil) })).To(Equal([]string{"delete", "create"}))
	})
})
