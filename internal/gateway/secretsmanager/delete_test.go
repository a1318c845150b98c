package secretsmanager_test

import (
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func remove(id string, days *int64, force *bool) (*sdk.DeleteSecretOutput, error) {
	GinkgoHelper()
	return do[sdk.DeleteSecretOutput](administrator, "DeleteSecret",
		&sdk.DeleteSecretInput{SecretId: &id, RecoveryWindowInDays: days, ForceDeleteWithoutRecovery: force})
}

// sweep makes a pass of the controller of Envelopes over a Secret's.
func sweep(name string) {
	GinkgoHelper()
	world.Sweep("Secret", name)
}

const marked = "You can't perform this operation on the secret because it was marked for deletion."

var _ = Describe("A secret that is deleted", func() {
	It("is there for its window, says so to all that asks, and comes back whole", func() {
		made := create("db", "one", func(in *sdk.CreateSecretInput) { in.Description = ptr.To("kept") })
		put("db", "two")
		before := describe("db")
		out, err := remove("db", ptr.To[int64](7), nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(And(HaveField("ARN", made.ARN), HaveField("Name", HaveValue(Equal("db")))))
		Expect(*out.DeletionDate).To(BeTemporally("==", world.Clock.Now().Add(7*24*time.Hour).Truncate(time.Second)))

		for _, id := range []string{"db", *made.ARN, (*made.ARN)[:len(*made.ARN)-7]} {
			be(getError(id), "InvalidRequestException", marked)
		}
		_, err = do[sdk.PutSecretValueOutput](administrator, "PutSecretValue",
			&sdk.PutSecretValueInput{SecretId: ptr.To("db"), SecretString: ptr.To("x"), ClientRequestToken: token()})
		be(err, "InvalidRequestException", marked)
		_, err = do[sdk.CreateSecretOutput](administrator, "CreateSecret", &sdk.CreateSecretInput{Name: ptr.To("db"), ClientRequestToken: token()})
		be(err, "InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
		_, err = remove("db", nil, nil)
		be(err, "InvalidRequestException", "You can't perform this operation on the secret because it was already scheduled for deletion.")
		gone := describe("db")
		Expect(gone.DeletedDate).To(Equal(out.DeletionDate))
		Expect(gone.VersionIdsToStages).To(Equal(before.VersionIdsToStages))
		sweep("db")

		restored := must[sdk.RestoreSecretOutput](administrator, "RestoreSecret", &sdk.RestoreSecretInput{SecretId: ptr.To("db")})
		Expect(restored).To(And(HaveField("ARN", made.ARN), HaveField("Name", HaveValue(Equal("db")))))
		Expect(*get("db").SecretString).To(Equal("two"))
		after := describe("db")
		Expect(after.DeletedDate).To(BeNil())
		Expect(after.VersionIdsToStages).To(Equal(before.VersionIdsToStages))
		Expect(after.Description).To(HaveValue(Equal("kept")))
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
		reconcile(object(*made.ARN))
		Expect(*get("db").SecretString).To(Equal("two"))
	})

	It("is gone when its window ends, and its name is free", func() {
		made := create("db", "one")
		_, err := remove("db", ptr.To[int64](7), nil)
		Expect(err).NotTo(HaveOccurred())
		world.Clock.Advance(7*24*time.Hour + time.Second)
		be(getError("db"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		sweep("db")
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(BeEmpty())
		again := create("db", "new")
		Expect(again.ARN).NotTo(Equal(made.ARN))
		be(getError(*made.ARN), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	})

	It("by force is gone at once, is not brought back by its name, and may be missing", func() {
		made := create("db", "one")
		_, err := remove("db", nil, ptr.To(true))
		Expect(err).NotTo(HaveOccurred())
		be(getError("db"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(BeEmpty())
		sweep("db")
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
		again := create("db", "two")
		Expect(again.ARN).NotTo(Equal(made.ARN))
		reconcile(object(*again.ARN))
		Expect(*get("db").SecretString).To(Equal("two"))

		_, err = remove("missing", nil, ptr.To(true))
		Expect(err).NotTo(HaveOccurred())
		_, err = remove("missing", nil, nil)
		be(err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	})

	It("by force after it was scheduled is gone too", func() {
		create("db", "one")
		_, err := remove("db", nil, nil)
		Expect(err).NotTo(HaveOccurred())
		_, err = remove("db", nil, ptr.To(true))
		Expect(err).NotTo(HaveOccurred())
		be(getError("db"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
		create("db", "two")
	})

	It("without ever having had a value is scheduled all the same", func() {
		made := create("empty", "")
		_, err := remove("empty", nil, nil)
		Expect(err).NotTo(HaveOccurred())
		be(getError("empty"), "InvalidRequestException", marked)
		restored := must[sdk.RestoreSecretOutput](administrator, "RestoreSecret", &sdk.RestoreSecretInput{SecretId: made.ARN})
		Expect(restored.ARN).To(Equal(made.ARN))
		put("empty", "now")
		Expect(*get(*made.ARN).SecretString).To(Equal("now"))
	})

	DescribeTable("in a way that AWS does not know is refused", func(days *int64, force *bool, text string) {
		create("db", "one")
		_, err := remove("db", days, force)
		be(err, "InvalidParameterException", text)
		Expect(*get("db").SecretString).To(Equal("one"))
	},
		Entry("6 days", ptr.To[int64](6), nil, "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."),
		Entry("31 days", ptr.To[int64](31), nil, "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."),
		Entry("0 days", ptr.To[int64](0), nil, "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."),
		Entry("both", ptr.To[int64](7), ptr.To(true), "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."),
	)

	It("with kubectl is for the API what it deleted itself", func() {
		made := create("db", "one")
		world.Remove(object(*made.ARN))
		sweep("db")
		be(getError("db"), "InvalidRequestException", marked)
		must[sdk.RestoreSecretOutput](administrator, "RestoreSecret", &sdk.RestoreSecretInput{SecretId: ptr.To("db")})
		Expect(*get("db").SecretString).To(Equal("one"))
	})
})
