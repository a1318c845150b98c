package secretsmanager_test

import (
	"errors"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

// denyAll is a resource policy of so many characters.
func denyAll(characters int, letter string) string {
	const text = `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:secretsmanager:*:*:secret:"}}`
	return strings.Replace(text, `secret:"`, `secret:`+strings.Repeat(letter, characters-len(text))+`"`, 1)
}

func policyDocument(text string) *v1alpha1.PolicyDocument {
	d := &v1alpha1.PolicyDocument{}
	d.Raw = []byte(text)
	return d
}

var _ = Describe("A resource policy", func() {
	It("has at most 20,480 characters, whatever their bytes, and 32 KiB", func() {
		for text, want := range map[string]bool{
			denyAll(20480, "a"): true, denyAll(20481, "a"): false,
			strings.Replace(denyAll(12000, "a"), strings.Repeat("a", 8000), strings.Repeat("\u00e4", 8000), 1):   true,
			strings.Replace(denyAll(20480, "a"), strings.Repeat("a", 20000), strings.Repeat("\u00e4", 20000), 1): false, // of two bytes each
		} {
			_, err := secretsmanager.ParsePolicy([]byte(text))
			Expect(err == nil).To(Equal(want), "%d bytes: %v", len(text), err)
			Expect(err == nil || errors.Is(err, iam.ErrMalformed)).To(BeTrue())
		}
	})

	It("is kept as the Kubernetes API keeps it, so that what is checked is what will be in force", func() {
		text := ` { "Statement" : [ {"Sid":"a", "Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/a":"<&>"}}} ] } `
		kept, policy, err := service().CheckPolicy(ctx, text, accountID())
		Expect(err).NotTo(HaveOccurred())
		Expect(policy.Statements()).To(Equal(1))
		Expect(kept.Raw).To(MatchJSON(text))
		secret := holding("db", "x")
		Expect(service().PutPolicy(ctx, secret, kept, "1")).To(Succeed())
		world.Refresh(secret)
		Expect(len(secret.Spec.ResourcePolicy.Raw)).To(BeNumerically("<=", len(kept.Raw)))
		Expect(secret.Spec.ResourcePolicy.Raw).To(MatchJSON(text))
	})

	It("that would be too long as it is kept is refused and not kept: it would let nobody in", func() {
		_, _, err := service().CheckPolicy(ctx, denyAll(10000, "&"), accountID())
		Expect(err).To(MatchError(iam.ErrMalformed))
	})

	It("of no secret is nil, and one that cannot be understood denies everything to everybody", func() {
		secret := &v1alpha1.Secret{}
		Expect(service().Policy(secret)).To(BeNil())
		Expect(secretsmanager.EntombedPolicy(secret)).To(BeNil())
		secret.UID, secret.Spec.ResourcePolicy = "broken", policyDocument(`{"Statement":[]}`)
		all, err := iam.Parse([]byte(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`), iam.Identity)
		Expect(err).NotTo(HaveOccurred())
		for _, who := range []iam.Principal{
			{Account: "111122223333", ARN: "arn:aws:iam::111122223333:root"}, {Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/a"}, {Service: "lambda.amazonaws.com"},
		} {
			for _, policy := range []*iam.Policy{service().Policy(secret), secretsmanager.EntombedPolicy(secret)} {
				d := iam.Evaluate(&iam.Request{Principal: who, Action: "secretsmanager:GetSecretValue", Resource: subject, Context: iam.Map{}},
					&iam.Policies{Identity: []*iam.Policy{all}, Resource: policy, ResourceAccount: "111122223333"})
				Expect(d.Reason).To(Equal(iam.ExplicitDeny), "%+v", who)
			}
		}
	})

	It("is compiled once for each generation, and anew for another", func() {
		secret := &v1alpha1.Secret{}
		secret.UID, secret.Generation, secret.Spec.ResourcePolicy = "cached", 1, policyDocument(denyAll(200, "a"))
		first := service().Policy(secret)
		Expect(service().Policy(secret)).To(BeIdenticalTo(first))
		secret.Generation = 2
		Expect(service().Policy(secret)).NotTo(BeIdenticalTo(first))
	})
})

var _ = Describe("A tombstone", func() {
	It("keeps whom the policy names, for a secret that is restored under another UID, and for no other policy", func() {
		secret := holding("db", "x")
		Expect(service().PutPolicy(ctx, secret, policyDocument(denyAll(200, "a")), "1")).To(Succeed())
		world.Refresh(secret)
		digest := secret.Spec.ResourcePolicy
		named := []v1alpha1.BoundPrincipal{{ARN: "arn:aws:iam::111122223333:user/a", UniqueID: "AIDAOLD"}}
		secret.Status.PolicyBinding = &v1alpha1.PolicyBinding{PolicyDigest: "another", Principals: named}
		Expect(secretsmanager.TombstoneOf(secret).PolicyBinding).To(BeNil(), "the policy is not bound yet")
		secret.Status.PolicyBinding = nil
		other := &v1alpha1.Secret{}
		other.UID, other.Spec.ResourcePolicy = "other", policyDocument(denyAll(201, "a"))
		secretsmanager.Rebind(other, &v1alpha1.PolicyBinding{PolicyDigest: string(digest.Raw), Principals: named})
		Expect(other.Status.PolicyBinding).To(BeNil())
	})

	It("keeps who may do what of a spec that is too long for it, and leaves out what can be applied again", func() {
		secret := &v1alpha1.Secret{}
		secret.Spec = v1alpha1.SecretSpec{
			Name: "prod/db", ResourcePolicy: policyDocument(denyAll(20000, "a")), Sealed: "srs1." + strings.Repeat("a", 98000),
			Tags: []v1alpha1.Tag{{Key: "team", Value: "shop"}}, Target: &v1alpha1.SecretTarget{Template: &v1alpha1.TargetTemplate{Data: map[string]string{}}},
		}
		for _, key := range []string{"a", "b", "c"} {
			secret.Spec.Target.Template.Data[key] = strings.Repeat("x", 16000)
		}
		content := secretsmanager.TombstoneOf(secret)
		Expect(store.SpecOf(secret.Spec)).To(BeNil(), "it is too long")
		Expect(string(content.Spec)).To(And(ContainSubstring("resourcePolicy"), ContainSubstring("shop"), ContainSubstring("srs1."), Not(ContainSubstring("xxx"))))
		secret.Spec.ResourcePolicy = policyDocument(denyAll(20480, "a"))
		secret.Spec.Generate = &v1alpha1.SecretGenerator{JSON: &v1alpha1.JSONGenerator{Template: strings.Repeat("y", 16000)}}
		Expect(string(secretsmanager.TombstoneOf(secret).Spec)).To(And(ContainSubstring("resourcePolicy"), Not(ContainSubstring("srs1."))))
	})
})

var _ = Describe("A secret of another account", func() {
	It("is found by its ARN alone, complete or not, in its region, as long as it is there", func() {
		secret := holding("db", "x")
		complete := service().ARNOf(secret)
		elsewhere := world.NewNamespace()
		findFrom := func(given string) secretsmanager.Found {
			id, err := secretsmanager.ParseID(given)
			Expect(err).NotTo(HaveOccurred())
			found, err := service().Find(ctx, elsewhere, home, arn.DeriveAccount(elsewhere), &id)
			Expect(err).NotTo(HaveOccurred())
			return found
		}
		for given, there := range map[string]bool{
			complete: true, complete[:len(complete)-7]: true, "db": false, complete[:len(complete)-6] + "0O0O0O": false,
			strings.Replace(complete, accountID(), "999999999999", 1): false, strings.Replace(complete, home, abroad, 1): false,
			strings.Replace(complete, accountID(), arn.DeriveAccount(elsewhere), 1): false,
		} {
			Expect(findFrom(given).Secret != nil).To(Equal(there), given)
		}
		_, err := service().Delete(ctx, secret, 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(findFrom(complete)).To(And(HaveField("Secret", BeNil()), HaveField("Tombstone", Not(BeNil()))))
	})
})
