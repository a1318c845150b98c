package secretsmanager_test

import (
	"fmt"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

func describe(id string) *sdk.DescribeSecretOutput {
	GinkgoHelper()
	return must[sdk.DescribeSecretOutput](administrator, "DescribeSecret", &sdk.DescribeSecretInput{SecretId: &id})
}

func moveStage(id, stage string, from, to *string) error {
	GinkgoHelper()
	_, err := do[sdk.UpdateSecretVersionStageOutput](administrator, "UpdateSecretVersionStage",
		&sdk.UpdateSecretVersionStageInput{SecretId: &id, VersionStage: &stage, RemoveFromVersionId: from, MoveToVersionId: to})
	return err
}

var _ = Describe("A version that the API puts", func() {
	It("has its token for an id and takes AWSCURRENT, which leaves AWSPREVIOUS behind", func() {
		first := create("db", "one")
		in := &sdk.PutSecretValueInput{SecretId: ptr.To("db"), ClientRequestToken: token(), SecretString: ptr.To("two")}
		out := must[sdk.PutSecretValueOutput](administrator, "PutSecretValue", in)
		Expect(out.VersionId).To(Equal(in.ClientRequestToken))
		Expect(out.VersionStages).To(Equal([]string{"AWSCURRENT"}))
		Expect(describe("db").VersionIdsToStages).To(Equal(map[string][]string{
			*first.VersionId: {"AWSPREVIOUS"}, *out.VersionId: {"AWSCURRENT"},
		}))
		old := must[sdk.GetSecretValueOutput](administrator, "GetSecretValue",
			&sdk.GetSecretValueInput{SecretId: ptr.To("db"), VersionStage: ptr.To("AWSPREVIOUS")})
		Expect(*old.SecretString).To(Equal("one"))

		Expect(must[sdk.PutSecretValueOutput](administrator, "PutSecretValue", in)).To(Equal(out), "made again, it is the same version")
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(2))
		in.SecretString = ptr.To("three")
		_, err := do[sdk.PutSecretValueOutput](administrator, "PutSecretValue", in)
		be(err, "ResourceExistsException", "You can't use ClientRequestToken "+*in.ClientRequestToken+
			" because that value is already in use for a version of secret "+*first.ARN+".")
	})

	It("with stages of its own leaves AWSCURRENT alone, but for a first version", func() {
		create("db", "")
		first := put("db", "one", "mine")
		Expect(first.VersionStages).To(Equal([]string{"AWSCURRENT", "mine"}))
		second := put("db", "two", "mine", "yours")
		Expect(second.VersionStages).To(Equal([]string{"mine", "yours"}))
		Expect(*get("db").SecretString).To(Equal("one"))
		Expect(describe("db").VersionIdsToStages).To(Equal(map[string][]string{
			*first.VersionId: {"AWSCURRENT"}, *second.VersionId: {"mine", "yours"},
		}))
	})

	It("is read by id and stage together only if they agree, and what is not there is told in AWS's words", func() {
		first := create("db", "one")
		second := put("db", "two")
		read := func(id, stage *string) error {
			_, err := do[sdk.GetSecretValueOutput](administrator, "GetSecretValue",
				&sdk.GetSecretValueInput{SecretId: ptr.To("db"), VersionId: id, VersionStage: stage})
			return err
		}
		Expect(read(first.VersionId, nil)).To(Succeed())
		Expect(read(second.VersionId, ptr.To("AWSCURRENT"))).To(Succeed())
		be(read(first.VersionId, ptr.To("AWSCURRENT")), "InvalidRequestException",
			"You provided a VersionStage that is not associated to the provided VersionId.")
		unknown := token()
		be(read(unknown, nil), "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+*unknown)
		be(read(nil, ptr.To("AWSPENDING")), "ResourceNotFoundException",
			"Secrets Manager can't find the specified secret value for staging label: AWSPENDING")
	})

	It("goes into a generated secret too, whose schedule goes on, but not into one that follows another", func() {
		world.ReadyKey("key")
		s := environment.Secret(world.Namespace, "generated", func(s *v1alpha1.Secret) {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(30 days)"}
		})
		world.Create(s)
		reconcile(s)
		put("generated", "by hand")
		Expect(*get("generated").SecretString).To(Equal("by hand"))
		world.Refresh(s)
		Expect(s.Status.Versions).To(HaveLen(2))
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2), "the controller takes it as it is")
		Expect(s.Status.NextRotationTime).NotTo(BeNil())
		Expect(describe("generated")).To(And(HaveField("RotationEnabled", HaveValue(BeTrue())),
			HaveField("RotationRules.AutomaticallyAfterDays", HaveValue(BeEquivalentTo(30)))))

		follower := environment.Secret(world.Namespace, "follower", func(s *v1alpha1.Secret) {
			s.Annotations = map[string]string{v1alpha1.SubjectAnnotation: "arn:aws:secretsmanager:us-east-1:" + account + ":secret:follower-AbCdEf"}
			s.Spec.Generate = nil
			s.Spec.ValueFrom = &v1alpha1.SecretValueSource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: "source", Key: "k"}, Policy: v1alpha1.ImportFollow,
			}
		})
		world.Create(follower)
		_, err := do[sdk.PutSecretValueOutput](administrator, "PutSecretValue",
			&sdk.PutSecretValueInput{SecretId: ptr.To("follower"), ClientRequestToken: token(), SecretString: ptr.To("x")})
		Expect(err).To(MatchError(And(ContainSubstring("InvalidRequestException"), ContainSubstring("follows another"))))
	})

	It("of many at once gets a place of its own each, and none is lost", func() {
		create("race", "first")
		const writers = 12
		var wait sync.WaitGroup
		tokens := make([]*string, writers)
		failures := make([]error, writers)
		for n := range writers {
			tokens[n] = token()
			wait.Go(func() {
				defer GinkgoRecover()
				_, failures[n] = do[sdk.PutSecretValueOutput](administrator, "PutSecretValue", &sdk.PutSecretValueInput{
					SecretId: ptr.To("race"), ClientRequestToken: tokens[n], SecretString: ptr.To(fmt.Sprint("value ", n)),
				})
			})
			wait.Go(func() { // the controller, all the while; its conflicts are its queue's
				defer GinkgoRecover()
				_, _ = world.Secret.Reconcile(ctx, environment.Request(&v1alpha1.Secret{ObjectMeta: object0("race")}))
			})
		}
		wait.Wait()
		for n := range writers {
			Expect(failures[n]).NotTo(HaveOccurred())
			value := must[sdk.GetSecretValueOutput](administrator, "GetSecretValue",
				&sdk.GetSecretValueInput{SecretId: ptr.To("race"), VersionId: tokens[n]})
			Expect(*value.SecretString).To(Equal(fmt.Sprint("value ", n)))
		}
		versions := object(*describe("race").ARN).Status.Versions
		Expect(versions).To(HaveLen(writers + 1))
		for i := range versions {
			Expect(versions[i].Sequence).To(BeEquivalentTo(i + 1))
		}
	})

	It("of one token from many at once is one version", func() {
		create("race", "first")
		in := sdk.PutSecretValueInput{SecretId: ptr.To("race"), ClientRequestToken: token(), SecretString: ptr.To("same")}
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				defer GinkgoRecover()
				mine := in
				_ = must[sdk.PutSecretValueOutput](administrator, "PutSecretValue", &mine)
			})
		}
		wait.Wait()
		Expect(object(*describe("race").ARN).Status.Versions).To(HaveLen(2))
	})
})

var _ = Describe("A staging label", func() {
	var first, second *string
	BeforeEach(func() {
		first = create("db", "one").VersionId
		second = put("db", "two").VersionId
	})

	It("AWSCURRENT moves back, and AWSPREVIOUS with it", func() {
		Expect(moveStage("db", "AWSCURRENT", second, first)).To(Succeed())
		Expect(*get("db").SecretString).To(Equal("one"))
		Expect(describe("db").VersionIdsToStages).To(Equal(map[string][]string{*first: {"AWSCURRENT"}, *second: {"AWSPREVIOUS"}}))
		Expect(object(*describe("db").ARN).Status.CurrentVersionID).To(Equal(*first))
	})

	It("is moved only by who names its version, and AWSCURRENT stays on one", func() {
		be(moveStage("db", "AWSCURRENT", nil, first), "InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. "+
			"Staging label AWSCURRENT is currently attached to version "+*second+", so you must explicitly reference that version in RemoveFromVersionId.")
		be(moveStage("db", "AWSCURRENT", second, nil), "InvalidParameterException",
			"You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
		Expect(moveStage("db", "AWSCURRENT", first, second)).To(MatchError(ContainSubstring("InvalidParameterException")))
		Expect(moveStage("db", "mine", nil, token())).To(MatchError(ContainSubstring("ResourceNotFoundException")))
		Expect(moveStage("db", "mine", nil, nil)).To(MatchError(ContainSubstring("InvalidParameterException")))
	})

	It("of one's own comes and goes, and a version without any is deprecated", func() {
		Expect(moveStage("db", "mine", nil, first)).To(Succeed())
		Expect(moveStage("db", "AWSPREVIOUS", first, nil)).To(Succeed())
		Expect(describe("db").VersionIdsToStages).To(HaveKeyWithValue(*first, []string{"mine"}))
		Expect(moveStage("db", "mine", first, nil)).To(Succeed())
		Expect(describe("db").VersionIdsToStages).NotTo(HaveKey(*first))
		list := func(deprecated *bool) []string {
			out := must[sdk.ListSecretVersionIdsOutput](administrator, "ListSecretVersionIds",
				&sdk.ListSecretVersionIdsInput{SecretId: ptr.To("db"), IncludeDeprecated: deprecated})
			var ids []string
			for _, v := range out.Versions {
				Expect(v.KmsKeyIds).To(Equal([]string{"DefaultEncryptionKey"}))
				ids = append(ids, *v.VersionId)
			}
			return ids
		}
		Expect(list(nil)).To(Equal([]string{*second}))
		Expect(list(ptr.To(true))).To(Equal([]string{*first, *second}))
	})
})
