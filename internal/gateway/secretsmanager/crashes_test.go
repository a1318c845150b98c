package secretsmanager_test

import (
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/gateway/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

// The operations that change a secret which is there: each dies at each of its writes, before it is done and after it, and is made
// again. In between the secret has to be whole: readable, with one current version.
var _ = Describe("A crash at any write of a change", func() {
	for name, tt := range map[string]struct {
		writes int
		do     func(first, second *string) any
		after  func(d *sdk.DescribeSecretOutput, value string)
	}{
		"UpdateSecret": {3, func(_, _ *string) any {
			return &sdk.UpdateSecretInput{SecretId: ptr.To("db"), ClientRequestToken: token(), Description: ptr.To("new"), SecretString: ptr.To("three")}
		}, func(d *sdk.DescribeSecretOutput, value string) {
			Expect(value).To(Equal("three"))
			Expect(d.Description).To(HaveValue(Equal("new")))
			Expect(d.VersionIdsToStages).To(HaveLen(2), "and one without a stage")
		}},
		"TagResource": {1, func(_, _ *string) any {
			return &sdk.TagResourceInput{SecretId: ptr.To("db"), Tags: []types.Tag{{Key: ptr.To("a"), Value: ptr.To("1")}}}
		}, func(d *sdk.DescribeSecretOutput, _ string) { Expect(d.Tags).To(HaveLen(2)) }},
		"UntagResource": {1, func(_, _ *string) any {
			return &sdk.UntagResourceInput{SecretId: ptr.To("db"), TagKeys: []string{"old"}}
		}, func(d *sdk.DescribeSecretOutput, _ string) { Expect(d.Tags).To(BeEmpty()) }},
		"UpdateSecretVersionStage": {1, func(first, _ *string) any {
			return &sdk.UpdateSecretVersionStageInput{SecretId: ptr.To("db"), VersionStage: ptr.To("mine"), MoveToVersionId: first}
		}, func(d *sdk.DescribeSecretOutput, value string) {
			Expect(value).To(Equal("two"))
			Expect(d.VersionIdsToStages).To(ContainElement([]string{"AWSPREVIOUS", "mine"}))
		}},
	} {
		for _, after := range []bool{false, true} {
			It(fmt.Sprintf("%s leaves a whole secret, and is carried out when it is asked again (answer lost: %t)", name, after), func() {
				working := service
				_, writes := world.Faulty()
				broken := secretsmanager.New(secretsmanager.Dependencies{Secrets: world.SecretsOver(writes)})
				for n := 1; ; n++ {
					first := create("db", "one", func(in *sdk.CreateSecretInput) { in.Tags = []types.Tag{{Key: ptr.To("old"), Value: ptr.To("x")}} }).VersionId
					second := put("db", "two").VersionId
					in := tt.do(first, second)
					writes.FailAt(n, after)
					service = broken
					err := invokeAny(administrator, name, in)
					service = working
					reached := writes.Writes() >= n
					if reached {
						Expect(err).To(MatchError(environment.ErrInjected))
					} else {
						Expect(err).NotTo(HaveOccurred())
						Expect(n).To(Equal(tt.writes + 1))
					}
					Expect(*get("db").SecretString).To(Or(Equal("two"), Equal("three")))
					current := 0
					for _, stages := range describe("db").VersionIdsToStages {
						for _, stage := range stages {
							if stage == "AWSCURRENT" {
								current++
							}
						}
					}
					Expect(current).To(Equal(1))
					Expect(invokeAny(administrator, name, in)).To(Succeed())
					tt.after(describe("db"), *get("db").SecretString)
					reconcile(object(*describe("db").ARN))
					tt.after(describe("db"), *get("db").SecretString)
					_, err = remove("db", nil, ptr.To(true))
					Expect(err).NotTo(HaveOccurred())
					if !reached {
						return
					}
				}
			})
		}
	}
})
