package kms_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/core/arn"
)

const (
	retiring   = `{"Effect":"Allow","Action":"kms:RetireGrant","Resource":"*"}`
	unretiring = `{"Effect":"Deny","Action":"kms:RetireGrant","Resource":"*"}`
)

var _ = Describe("RetireGrant", func() {
	// retirable is a grant to bob of the spec's account that a user of another account may retire.
	type retirable struct {
		key        *types.KeyMetadata
		out        *awskms.CreateGrantOutput
		bob, carol *caller
	}
	made := func(other, carols string, operations ...types.GrantOperation) retirable {
		GinkgoHelper()
		r := retirable{key: createKey(admin()), bob: person(world.Namespace, "bob", ""), carol: person(other, "carol", carols)}
		r.out = must[awskms.CreateGrantOutput](admin(), "CreateGrant", &awskms.CreateGrantInput{
			KeyId: r.key.KeyId, GranteePrincipal: s(r.bob.arn()), RetiringPrincipal: s(r.carol.arn()), Operations: operations,
		})
		return r
	}
	left := func(r retirable) int { return len(listed(admin(), *r.key.KeyId)) }

	It("is for the retiring principal, of another account too, by the token or by the ids, and without a policy", func() {
		other := world.NewNamespace()
		r := made(other, "", "Encrypt")
		byIDs := &awskms.RetireGrantInput{KeyId: r.key.Arn, GrantId: r.out.GrantId}
		denied(r.bob, "RetireGrant", byIDs)
		denied(r.bob, "RetireGrant", &awskms.RetireGrantInput{GrantToken: r.out.GrantToken})
		Expect(invoke(r.carol, "RetireGrant", byIDs)).To(Succeed())
		Expect(left(r)).To(BeZero())
		denied(r.bob, "Encrypt", &awskms.EncryptInput{KeyId: r.key.KeyId, Plaintext: []byte("x"), GrantTokens: []string{*r.out.GrantToken}})
		denied(r.carol, "RetireGrant", byIDs)
		again := must[awskms.CreateGrantOutput](admin(), "CreateGrant", &awskms.CreateGrantInput{
			KeyId: r.key.KeyId, GranteePrincipal: s(r.bob.arn()), RetiringPrincipal: s(r.carol.arn()), Operations: []types.GrantOperation{"Encrypt"},
		})
		Expect(invoke(r.carol, "RetireGrant", &awskms.RetireGrantInput{GrantToken: again.GrantToken})).To(Succeed())
		Expect(left(r)).To(BeZero())
	})

	It("is for the grantee if the grant says so", func() {
		r := made(world.NewNamespace(), "", "Encrypt", "RetireGrant")
		Expect(invoke(r.bob, "RetireGrant", &awskms.RetireGrantInput{GrantToken: r.out.GrantToken})).To(Succeed())
		Expect(left(r)).To(BeZero())
	})

	It("is for those of the issuing account whom its policies let, and for nobody by a policy alone", func() {
		other := world.NewNamespace()
		r := made(other, unretiring, "Encrypt")
		in := &awskms.RetireGrantInput{KeyId: r.key.Arn, GrantId: r.out.GrantId}
		denied(r.carol, "RetireGrant", in) // a Deny counts for the retiring principal too
		denied(person(other, "dave", retiring), "RetireGrant", in)
		denied(nobody(), "RetireGrant", in)
		Expect(invoke(user(world.Namespace, retiring), "RetireGrant", in)).To(Succeed())
		Expect(left(r)).To(BeZero())
		code, _ := refused[any](user(world.Namespace, retiring), "RetireGrant", in)
		Expect(code).To(Equal("NotFoundException"))
		code, _ = refused[any](user(world.Namespace, retiring), "RetireGrant", &awskms.RetireGrantInput{GrantToken: r.out.GrantToken})
		Expect(code).To(Equal("NotFoundException"))
	})

	It("names a grant in one way", func() {
		r := made(world.NewNamespace(), "", "Encrypt")
		for _, in := range []*awskms.RetireGrantInput{
			{}, {KeyId: r.key.Arn}, {GrantId: r.out.GrantId}, {KeyId: r.key.Arn, GrantId: r.out.GrantId, GrantToken: r.out.GrantToken},
			{KeyId: r.key.Arn, GrantToken: r.out.GrantToken},
		} {
			code, _ := refused[any](r.carol, "RetireGrant", in)
			Expect(code).To(Equal("ValidationException"))
		}
		for _, token := range []string{"x", *r.out.GrantToken + "A", "_" + (*r.out.GrantToken)[1:]} {
			code, _ := refused[any](r.carol, "RetireGrant", &awskms.RetireGrantInput{GrantToken: &token})
			Expect(code).To(Equal("InvalidGrantTokenException"))
		}
		for _, in := range []*awskms.RetireGrantInput{{GrantToken: r.out.GrantToken}, {KeyId: r.key.Arn, GrantId: r.out.GrantId}} {
			code, _ := refused[any](r.carol.in("eu-west-1"), "RetireGrant", in) // a policy may keep one out of a region
			Expect(code).To(Or(Equal("InvalidGrantTokenException"), Equal("NotFoundException")))
		}
		Expect(left(r)).To(Equal(1))
	})
})

var _ = Describe("RevokeGrant", func() {
	It("is for whom the policies let, and of a grant that is there", func() {
		key, bob := createKey(admin()), person(world.Namespace, "bob", "")
		out := grant(admin(), *key.KeyId, bob.arn(), "Encrypt")
		in := &awskms.RevokeGrantInput{KeyId: key.KeyId, GrantId: out.GrantId}
		denied(nobody(), "RevokeGrant", in)
		code, _ := refused[any](admin(), "RevokeGrant", &awskms.RevokeGrantInput{KeyId: createKey(admin()).KeyId, GrantId: out.GrantId})
		Expect(code).To(Equal("NotFoundException"))
		other := user(world.NewNamespace(), everything)
		denied(other, "RevokeGrant", &awskms.RevokeGrantInput{KeyId: key.Arn, GrantId: out.GrantId})
		encrypt(bob, *key.KeyId, "x", nil)
		Expect(invoke(admin(), "RevokeGrant", in)).To(Succeed())
		denied(bob, "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
		code, _ = refused[any](admin(), "RevokeGrant", in)
		Expect(code).To(Equal("NotFoundException"))
	})

	It("of another account's key is for whom that account's policy lets too", func() {
		other := world.NewNamespace()
		key := withPolicy(other, statement("Allow", "ROOT", "*"), statement("Allow", "OTHER", "*Grant*"))
		stranger := user(other, everything)
		out := grant(stranger, key, arn.DeriveAccount(other), "Encrypt")
		Expect(*listed(stranger, key)[0].IssuingAccount).To(ContainSubstring(arn.DeriveAccount(other)))
		Expect(invoke(stranger, "RevokeGrant", &awskms.RevokeGrantInput{KeyId: &key, GrantId: out.GrantId})).To(Succeed())
		Expect(listed(admin(), key)).To(BeEmpty())
	})
})
