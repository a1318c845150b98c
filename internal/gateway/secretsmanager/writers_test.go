package secretsmanager_test

import (
	"fmt"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

const writers = 32

// all runs one writer beside the others, and returns what each was told.
func all(write func(n int) error) []error {
	told := make([]error, writers)
	start := make(chan struct{})
	var wait sync.WaitGroup
	for n := range writers {
		wait.Go(func() {
			defer GinkgoRecover()
			<-start
			told[n] = write(n)
		})
	}
	close(start)
	wait.Wait()
	return told
}

var _ = Describe("32 writers at once", func() {
	It("put a value each, of which none is lost, and one is current", func() {
		create("race", "first")
		tokens := make([]*string, writers)
		told := all(func(n int) error {
			tokens[n] = token()
			_, err := do[sdk.PutSecretValueOutput](administrator, "PutSecretValue", &sdk.PutSecretValueInput{
				SecretId: ptr.To("race"), ClientRequestToken: tokens[n], SecretString: ptr.To(fmt.Sprint("value ", n)),
			})
			return err
		})
		Expect(told).To(HaveEach(BeNil()))
		for n := range writers {
			value := must[sdk.GetSecretValueOutput](administrator, "GetSecretValue", &sdk.GetSecretValueInput{SecretId: ptr.To("race"), VersionId: tokens[n]})
			Expect(*value.SecretString).To(Equal(fmt.Sprint("value ", n)))
		}
		stages := map[string]int{}
		for _, held := range describe("race").VersionIdsToStages {
			for _, stage := range held {
				stages[stage]++
			}
		}
		Expect(stages).To(Equal(map[string]int{"AWSCURRENT": 1, "AWSPREVIOUS": 1}))
	})

	It("put a tag each, and all of them are there", func() {
		create("tags", "value")
		told := all(func(n int) error {
			_, err := do[sdk.TagResourceOutput](administrator, "TagResource", &sdk.TagResourceInput{
				SecretId: ptr.To("tags"), Tags: []types.Tag{{Key: ptr.To(fmt.Sprint("k", n)), Value: ptr.To("x")}},
			})
			return err
		})
		Expect(told).To(HaveEach(BeNil()))
		Expect(describe("tags").Tags).To(HaveLen(writers))
	})

	It("create one secret, which the first has made, and the others are told that it exists", func() {
		told := all(func(n int) error {
			_, err := do[sdk.CreateSecretOutput](administrator, "CreateSecret",
				&sdk.CreateSecretInput{Name: ptr.To("one"), ClientRequestToken: token(), SecretString: ptr.To(fmt.Sprint("value ", n))})
			return err
		})
		won := -1
		for n, err := range told {
			if err == nil {
				Expect(won).To(Equal(-1), "two have made it")
				won = n
				continue
			}
			be(err, "ResourceExistsException", "The operation failed because the secret one already exists.")
		}
		Expect(*get("one").SecretString).To(Equal(fmt.Sprint("value ", won)))
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(1))
	})

	It("create one secret by one token, as a client that retries, and all of them have made it", func() {
		once := token()
		told := all(func(int) error {
			_, err := do[sdk.CreateSecretOutput](administrator, "CreateSecret",
				&sdk.CreateSecretInput{Name: ptr.To("one"), ClientRequestToken: once, SecretString: ptr.To("value")})
			return err
		})
		Expect(told).To(HaveEach(BeNil()))
		Expect(describe("one").VersionIdsToStages).To(Equal(map[string][]string{*once: {"AWSCURRENT"}}))
	})

	It("use one token for different values, of which one is stored, and its writer alone is told so", func() {
		create("token", "first")
		once := token()
		told := all(func(n int) error {
			_, err := do[sdk.PutSecretValueOutput](administrator, "PutSecretValue",
				&sdk.PutSecretValueInput{SecretId: ptr.To("token"), ClientRequestToken: once, SecretString: ptr.To(fmt.Sprint("value ", n))})
			return err
		})
		stored := *get("token").SecretString
		for n, err := range told {
			if err == nil {
				Expect(stored).To(Equal(fmt.Sprint("value ", n)))
				continue
			}
			Expect(err).To(MatchError(ContainSubstring("ResourceExistsException")))
		}
		Expect(told).To(ContainElement(BeNil()))
		Expect(describe("token").VersionIdsToStages).To(HaveLen(2))
	})

	It("move a label back and forth, and it is on one version all the time", func() {
		versions := []*string{create("moving", "0").VersionId}
		for n := range 3 {
			versions = append(versions, put("moving", fmt.Sprint(n+1), fmt.Sprint("other", n)).VersionId)
		}
		Expect(moveStage("moving", "mine", nil, versions[0])).To(Succeed())
		told := all(func(n int) error { return moveStage("moving", "mine", versions[n%4], versions[(n+1)%4]) })
		moved := 0
		for _, err := range told {
			if err == nil {
				moved++
				continue
			}
			be(err, "InvalidParameterException", err.Error()[len("InvalidParameterException: "):])
		}
		Expect(moved).To(BeNumerically(">=", 1))
		holders := 0
		for _, stages := range describe("moving").VersionIdsToStages {
			for _, stage := range stages {
				if stage == "mine" {
					holders++
				}
			}
		}
		Expect(holders).To(Equal(1))
	})

	It("delete one secret, and it is deleted once, with one tombstone, and comes back whole", func() {
		create("gone", "value")
		told := all(func(int) error { _, err := remove("gone", ptr.To[int64](7), nil); return err })
		won := 0
		for _, err := range told {
			if err == nil {
				won++
				continue
			}
			Expect(err).To(MatchError(Or(ContainSubstring("already scheduled for deletion"), ContainSubstring("can't find the specified secret"))))
		}
		Expect(won).To(BeNumerically(">=", 1))
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(HaveLen(1))
		told = all(func(int) error {
			_, err := do[sdk.RestoreSecretOutput](administrator, "RestoreSecret", &sdk.RestoreSecretInput{SecretId: ptr.To("gone")})
			return err
		})
		Expect(told).To(HaveEach(BeNil()))
		Expect(*get("gone").SecretString).To(Equal("value"))
		Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
	})

	It("read while values are put see one that was current, and never none and never a mixture", func() {
		create("read", "value 0")
		stop := make(chan struct{})
		var putting sync.WaitGroup
		putting.Go(func() {
			defer GinkgoRecover()
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
					put("read", fmt.Sprint("value ", n))
				}
				_, _ = world.Secret.Reconcile(ctx, environment.Request(&v1alpha1.Secret{ObjectMeta: object0("read")}))
			}
		})
		told := all(func(int) error {
			last := -1
			for range 20 {
				value := get("read")
				var n int
				if _, err := fmt.Sscanf(*value.SecretString, "value %d", &n); err != nil || n < last {
					return fmt.Errorf("%q was read after value %d", *value.SecretString, last)
				}
				last = n
			}
			return nil
		})
		close(stop)
		putting.Wait()
		Expect(told).To(HaveEach(BeNil()))
	})
})
