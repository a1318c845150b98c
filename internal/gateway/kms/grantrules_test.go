package kms_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/core/arn"
)

var _ = Describe("CreateGrant", func() {
	It("takes every operation of a symmetric key, and lists the grant as it was asked for", func() {
		key, bob, carol := createKey(admin()), person(world.Namespace, "bob", ""), person(world.Namespace, "carol", "")
		constraints := &types.GrantConstraints{
			EncryptionContextEquals: map[string]string{"a": "b"}, EncryptionContextSubset: map[string]string{"a": "b"},
		}
		out := must[awskms.CreateGrantOutput](admin(), "CreateGrant", &awskms.CreateGrantInput{
			KeyId: key.Arn, GranteePrincipal: s(bob.arn()), RetiringPrincipal: s(carol.arn()), Operations: grantable, Constraints: constraints,
			Name: s("it:a/b_c-d"),
		})
		entry := listed(admin(), *key.KeyId)
		Expect(entry).To(HaveLen(1))
		Expect(entry[0].CreationDate).NotTo(BeNil())
		entry[0].CreationDate = nil
		Expect(entry[0]).To(Equal(types.GrantListEntry{
			KeyId: key.Arn, GrantId: out.GrantId, Name: s("it:a/b_c-d"), GranteePrincipal: s(bob.arn()), RetiringPrincipal: s(carol.arn()),
			IssuingAccount: s("arn:aws:iam::" + arn.DeriveAccount(world.Namespace) + ":root"), Operations: grantable, Constraints: constraints,
		}))
	})

	It("makes one grant of one name and the same parameters, with a token of its own each time, and another of any other", func() {
		key, bob := createKey(admin()), person(world.Namespace, "bob", "")
		ask := func(name *string, operations ...types.GrantOperation) *awskms.CreateGrantOutput {
			return must[awskms.CreateGrantOutput](admin(), "CreateGrant", &awskms.CreateGrantInput{
				KeyId: key.KeyId, GranteePrincipal: s(bob.arn()), Operations: operations, Name: name,
			})
		}
		first, again := ask(s("n"), "Encrypt", "Decrypt"), ask(s("n"), "Decrypt", "Encrypt", "Encrypt")
		Expect(again.GrantId).To(Equal(first.GrantId))
		Expect(again.GrantToken).NotTo(Equal(first.GrantToken))
		Expect(ask(s("n"), "Encrypt").GrantId).NotTo(Equal(first.GrantId))
		Expect(ask(s("m"), "Encrypt", "Decrypt").GrantId).NotTo(Equal(first.GrantId))
		Expect(ask(nil, "Encrypt").GrantId).NotTo(Equal(ask(nil, "Encrypt").GrantId))
		Expect(listed(admin(), *key.KeyId)).To(HaveLen(5))
	})

	It("only tries in a dry run", func() {
		key, bob := createKey(admin()), person(world.Namespace, "bob", "")
		in := &awskms.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: s(bob.arn()), Operations: grantable, DryRun: aws.Bool(true)}
		code, _ := refused[any](admin(), "CreateGrant", in)
		Expect(code).To(Equal("DryRunOperationException"))
		out := grant(admin(), *key.KeyId, bob.arn(), "Encrypt", "RetireGrant")
		code, _ = refused[any](admin(), "RevokeGrant", &awskms.RevokeGrantInput{KeyId: key.KeyId, GrantId: out.GrantId, DryRun: aws.Bool(true)})
		Expect(code).To(Equal("DryRunOperationException"))
		code, _ = refused[any](bob, "RetireGrant", &awskms.RetireGrantInput{GrantToken: out.GrantToken, DryRun: aws.Bool(true)})
		Expect(code).To(Equal("DryRunOperationException"))
		Expect(listed(admin(), *key.KeyId)).To(HaveLen(1))
	})

	DescribeTable("refuses", func(change func(in *awskms.CreateGrantInput), wanted, says string) {
		key, bob := createKey(admin()), person(world.Namespace, "bob", "")
		in := &awskms.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: s(bob.arn()), Operations: []types.GrantOperation{"Encrypt"}}
		change(in)
		code, message := refused[any](admin(), "CreateGrant", in)
		Expect(code).To(Equal(wanted))
		Expect(message).To(ContainSubstring(says))
		Expect(listed(admin(), *key.KeyId)).To(BeEmpty())
	},
		Entry("a principal that is not there", func(in *awskms.CreateGrantInput) { in.GranteePrincipal = s(*in.GranteePrincipal + "by") },
			"InvalidArnException", "ARN does not refer to a valid principal"),
		Entry("a retiring principal that is not there", func(in *awskms.CreateGrantInput) { in.RetiringPrincipal = s(*in.GranteePrincipal + "by") },
			"InvalidArnException", "bobby"),
		Entry("a group", func(in *awskms.CreateGrantInput) { in.GranteePrincipal = s("arn:aws:iam::111122223333:group/g") }, "InvalidArnException", "group/g"),
		Entry("everybody", func(in *awskms.CreateGrantInput) { in.GranteePrincipal = s("*") }, "InvalidArnException", "*"),
		Entry("nobody", func(in *awskms.CreateGrantInput) { in.GranteePrincipal = nil }, "ValidationException", "GranteePrincipal"),
		Entry("a service", func(in *awskms.CreateGrantInput) { in.GranteeServicePrincipal = s("sns.amazonaws.com") }, "UnsupportedOperationException", "Service"),
		Entry("an operation of other keys", func(in *awskms.CreateGrantInput) { in.Operations = append(in.Operations, "Sign") }, "ValidationException", "Sign"),
		Entry("no operation", func(in *awskms.CreateGrantInput) { in.Operations = nil }, "ValidationException", "it has none"),
		Entry("a source ARN", func(in *awskms.CreateGrantInput) {
			in.Constraints = &types.GrantConstraints{SourceArn: s("arn:aws:sns:us-east-1:111122223333:t")}
		}, "UnsupportedOperationException", "SourceArn"),
		Entry("a constraint over the limit", func(in *awskms.CreateGrantInput) {
			in.Constraints = &types.GrantConstraints{EncryptionContextSubset: map[string]string{"a": strings.Repeat("x", 384)}}
		}, "ValidationException", "384 are the most"),
		Entry("a constraint with a key of two cases", func(in *awskms.CreateGrantInput) {
			in.Constraints = &types.GrantConstraints{EncryptionContextEquals: map[string]string{"a": "", "A": ""}}
		}, "ValidationException", "differ in case alone"),
		Entry("an alias", func(in *awskms.CreateGrantInput) { in.KeyId = s("alias/x") }, "NotFoundException", "alias/x"),
		Entry("a token of nobody's", func(in *awskms.CreateGrantInput) { in.GrantTokens = []string{"t"} }, "InvalidGrantTokenException", ""),
	)

	It("refuses a constraint on keys that have no encryption context", func() {
		key := createKey(admin(), func(in *awskms.CreateKeyInput) {
			in.KeySpec, in.KeyUsage = types.KeySpecHmac256, types.KeyUsageTypeGenerateVerifyMac
		})
		in := &awskms.CreateGrantInput{
			KeyId: key.KeyId, GranteePrincipal: s("111122223333"), Operations: []types.GrantOperation{"GenerateMac"},
			Constraints: &types.GrantConstraints{EncryptionContextSubset: map[string]string{"a": "b"}},
		}
		code, _ := refused[any](admin(), "CreateGrant", in)
		Expect(code).To(Equal("ValidationException"))
		in.Constraints = nil
		Expect(invoke(admin(), "CreateGrant", in)).To(Succeed())
	})

	It("by way of a grant makes no wider one", func() {
		key, bob, carol := createKey(admin()), person(world.Namespace, "bob", ""), person(world.Namespace, "carol", "")
		must[awskms.CreateGrantOutput](admin(), "CreateGrant", &awskms.CreateGrantInput{
			KeyId: key.KeyId, GranteePrincipal: s(bob.arn()), Operations: []types.GrantOperation{"Encrypt", "CreateGrant"},
			Constraints: &types.GrantConstraints{EncryptionContextSubset: map[string]string{"app": "shop"}},
		})
		in := func(ec map[string]string, operations ...types.GrantOperation) *awskms.CreateGrantInput {
			return &awskms.CreateGrantInput{
				KeyId: key.KeyId, GranteePrincipal: s(carol.arn()), Operations: operations, Constraints: &types.GrantConstraints{EncryptionContextSubset: ec},
			}
		}
		denied(bob, "CreateGrant", in(map[string]string{"app": "shop"}, "Encrypt", "Decrypt"))
		denied(bob, "CreateGrant", in(map[string]string{"app": "db"}, "Encrypt"))
		denied(bob, "CreateGrant", in(nil, "Encrypt"))
		Expect(invoke(bob, "CreateGrant", in(map[string]string{"app": "shop", "user": "1"}, "Encrypt"))).To(Succeed())
		encrypt(carol, *key.KeyId, "x", map[string]string{"app": "shop", "user": "1"})
		denied(carol, "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x"), EncryptionContext: map[string]string{"app": "shop"}})
	})

	It("is asked about by the condition keys of grants", func() {
		key, bob := createKey(admin()), person(world.Namespace, "bob", "")
		condition := func(operator, key, value string) string {
			return fmt.Sprintf(`{"Effect":"Allow","Action":"kms:CreateGrant","Resource":"*","Condition":{%q:{%q:%q}}}`, operator, key, value)
		}
		in := &awskms.CreateGrantInput{
			KeyId: key.KeyId, GranteePrincipal: s(bob.arn()), RetiringPrincipal: s(bob.arn()), Operations: []types.GrantOperation{"Encrypt", "Decrypt"},
			Constraints: &types.GrantConstraints{EncryptionContextEquals: map[string]string{"app": "shop"}}, DryRun: aws.Bool(true),
		}
		for _, tt := range []struct {
			statement string
			allowed   bool
		}{
			{condition("StringEquals", "kms:GranteePrincipal", bob.arn()), true},
			{condition("StringEquals", "kms:GranteePrincipal", bob.arn()+"by"), false},
			{condition("StringEquals", "kms:RetiringPrincipal", bob.arn()), true},
			{condition("ForAnyValue:StringEquals", "kms:GrantOperations", "Decrypt"), true},
			{condition("ForAllValues:StringEquals", "kms:GrantOperations", "Decrypt"), false},
			{condition("StringEquals", "kms:GrantConstraintType", "EncryptionContextEquals"), true},
			{condition("StringEquals", "kms:GrantConstraintType", "EncryptionContextSubset"), false},
			{condition("Bool", "kms:GrantIsForAWSResource", "true"), false},
			{condition("Bool", "kms:GrantIsForAWSResource", "false"), true},
			{condition("StringEquals", "kms:EncryptionContext:app", "shop"), true},
			{condition("StringEquals", "kms:EncryptionContext:app", "db"), false},
			{condition("ForAllValues:StringEquals", "kms:EncryptionContextKeys", "app"), true},
		} {
			code, _ := refused[any](user(world.Namespace, tt.statement), "CreateGrant", in)
			Expect(code == "DryRunOperationException").To(Equal(tt.allowed), tt.statement)
		}
	})
})

var _ = Describe("A list of grants", func() {
	It("has pages, and is filtered by grant and grantee", func() {
		key, bob, carol := createKey(admin()), person(world.Namespace, "bob", ""), person(world.Namespace, "carol", "")
		for range 3 {
			grant(admin(), *key.KeyId, bob.arn(), "Encrypt")
		}
		one := grant(admin(), *key.KeyId, carol.arn(), "Encrypt")
		var ids []string
		in := &awskms.ListGrantsInput{KeyId: key.KeyId, Limit: aws.Int32(3)}
		for more := true; more; more = in.Marker != nil {
			out := must[awskms.ListGrantsOutput](admin(), "ListGrants", in)
			Expect(out.Truncated).To(Equal(out.NextMarker != nil))
			for _, g := range out.Grants {
				ids = append(ids, *g.GrantId)
			}
			in.Marker = out.NextMarker
		}
		Expect(ids).To(HaveLen(4))
		Expect(ids).To(ContainElement(*one.GrantId))
		only := func(in *awskms.ListGrantsInput) []types.GrantListEntry {
			in.KeyId = key.KeyId
			return must[awskms.ListGrantsOutput](admin(), "ListGrants", in).Grants
		}
		Expect(only(&awskms.ListGrantsInput{GranteePrincipal: s(bob.arn())})).To(HaveLen(3))
		Expect(only(&awskms.ListGrantsInput{GrantId: one.GrantId})).To(HaveLen(1))
		Expect(only(&awskms.ListGrantsInput{GrantId: one.GrantId, GranteePrincipal: s(bob.arn())})).To(BeEmpty())
		code, _ := refused[any](admin(), "ListGrants", &awskms.ListGrantsInput{KeyId: key.KeyId, Limit: aws.Int32(101)})
		Expect(code).To(Equal("ValidationException"))
		code, _ = refused[any](admin(), "ListGrants", &awskms.ListGrantsInput{KeyId: key.KeyId, Marker: s("x")})
		Expect(code).To(Equal("InvalidMarkerException"))
	})

	It("is of no grant whose id is not one, which is told from one that is not there", func() {
		key := *createKey(admin()).KeyId
		for id, want := range map[string]string{
			"zz": "InvalidGrantIdException", strings.Repeat("z", 64): "InvalidGrantIdException", strings.Repeat("a", 63): "InvalidGrantIdException",
			strings.Repeat("a", 66): "InvalidGrantIdException", strings.Repeat("a", 64): "NotFoundException",
		} {
			for name, in := range map[string]any{
				"RevokeGrant": &awskms.RevokeGrantInput{KeyId: &key, GrantId: &id}, "RetireGrant": &awskms.RetireGrantInput{KeyId: &key, GrantId: &id},
			} {
				code, _ := refused[any](admin(), name, in)
				Expect(code).To(Equal(want), "%s of %s", name, id)
			}
			err := invoke(admin(), "ListGrants", &awskms.ListGrantsInput{KeyId: &key, GrantId: &id})
			if want == "NotFoundException" {
				Expect(err).NotTo(HaveOccurred(), "a list of none")
				continue
			}
			Expect(err).To(MatchError(ContainSubstring(want)), id)
		}
	})

	It("of those that a principal may retire has those on keys of other accounts, and of one's own principals alone", func() {
		other := world.NewNamespace()
		bob := person(other, "bob", `{"Effect":"Allow","Action":"kms:ListRetirableGrants","Resource":"arn:aws:iam::*:user/bob"}`)
		key := createKey(admin())
		out := must[awskms.CreateGrantOutput](admin(), "CreateGrant", &awskms.CreateGrantInput{
			KeyId: key.KeyId, GranteePrincipal: s(arn.DeriveAccount(other)), RetiringPrincipal: s(bob.arn()), Operations: []types.GrantOperation{"Encrypt"},
		})
		in := &awskms.ListRetirableGrantsInput{RetiringPrincipal: s(bob.arn())}
		found := must[awskms.ListRetirableGrantsOutput](bob, "ListRetirableGrants", in).Grants
		Expect(found).To(HaveLen(1))
		Expect(found[0].GrantId).To(Equal(out.GrantId))
		Expect(found[0].KeyId).To(Equal(key.Arn))
		Expect(must[awskms.ListRetirableGrantsOutput](bob.in("eu-west-1"), "ListRetirableGrants", in).Grants).To(BeEmpty())
		code, _ := refused[any](admin(), "ListRetirableGrants", in)
		Expect(code).To(Equal("InvalidArnException"))
		denied(bob, "ListRetirableGrants", &awskms.ListRetirableGrantsInput{RetiringPrincipal: s(strings.ReplaceAll(bob.arn(), "/bob", "/carol"))})
		code, _ = refused[any](bob, "ListRetirableGrants", &awskms.ListRetirableGrantsInput{})
		Expect(code).To(Equal("ValidationException"))
	})
})
