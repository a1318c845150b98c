package kms_test

import (
	"fmt"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/test/environment"
)

func moveAlias(name, key string) error {
	GinkgoHelper()
	return invoke(admin(), "UpdateAlias", &awskms.UpdateAliasInput{AliasName: &name, TargetKeyId: &key})
}

func dropAlias(name string) error {
	GinkgoHelper()
	return invoke(admin(), "DeleteAlias", &awskms.DeleteAliasInput{AliasName: &name})
}

// claimants are the ids of the keys whose spec has an alias.
func claimants(alias string) (ids []string) {
	GinkgoHelper()
	var list v1alpha1.KMSKeyList
	Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
	for i := range list.Items {
		for _, a := range list.Items[i].Spec.Aliases {
			if a == alias {
				ids = append(ids, list.Items[i].Status.KeyID)
			}
		}
	}
	return ids
}

var _ = Describe("An alias that is moved", func() {
	It("encrypts under its new key from the next request on, and what it encrypted before is still read by that name's ciphertext", func() {
		one, two := createKey(admin()), createKey(admin())
		alias(admin(), "alias/shop", *one.KeyId)
		before := encrypt(admin(), "alias/shop", "before", nil)
		Expect(moveAlias("alias/shop", *two.KeyId)).To(Succeed())
		after := must[awskms.EncryptOutput](admin(), "Encrypt", &awskms.EncryptInput{KeyId: s("alias/shop"), Plaintext: []byte("after")})
		Expect(*after.KeyId).To(Equal(*two.Arn))
		Expect(decrypt(admin(), before, nil)).To(Equal("before"), "the ciphertext names its key")
		Expect(opened("alias/shop", before, nil)).To(Equal(incorrect), "the alias names another now")
	})

	It("to the key that has it stays there, and nothing is written", func() {
		key := createKey(admin())
		alias(admin(), "alias/shop", *key.KeyId)
		before := object(*key.KeyId)
		Expect(moveAlias("alias/shop", *key.KeyId)).To(Succeed())
		Expect(object(*key.KeyId)).To(Equal(before))
	})

	It("does not go to a key of another type or usage, for which it must be made anew", func() {
		symmetric, signer := createKey(admin()), createKey(admin(), signing(types.KeySpecEccNistP256))
		rsa := createKey(admin(), signing(types.KeySpecRsa2048))
		alias(admin(), "alias/shop", *symmetric.KeyId)
		alias(admin(), "alias/signer", *signer.KeyId)
		for name, target := range map[string]string{"alias/shop": *signer.KeyId, "alias/signer": *symmetric.KeyId} {
			code, message := refused[any](admin(), "UpdateAlias", &awskms.UpdateAliasInput{AliasName: &name, TargetKeyId: &target})
			Expect(code).To(Equal("ValidationException"), name)
			Expect(message).To(ContainSubstring("of one type, symmetric or asymmetric, and usage"))
		}
		opener := createKey(admin(), func(in *awskms.CreateKeyInput) {
			in.KeySpec, in.KeyUsage = types.KeySpecRsa2048, types.KeyUsageTypeEncryptDecrypt
		})
		code, message := refused[any](admin(), "UpdateAlias", &awskms.UpdateAliasInput{AliasName: s("alias/shop"), TargetKeyId: opener.KeyId})
		Expect(code).To(Equal("ValidationException"))
		Expect(message).To(And(ContainSubstring("key spec SYMMETRIC_DEFAULT"), ContainSubstring("key spec RSA_2048"), ContainSubstring("ENCRYPT_DECRYPT")), "it says what differs")
		Expect(aliasesOf()).To(Equal(map[string]string{"alias/shop": *symmetric.KeyId, "alias/signer": *signer.KeyId}))
		Expect(moveAlias("alias/signer", *rsa.KeyId)).To(Succeed(), "a curve and RSA both sign")
		Expect(dropAlias("alias/shop")).To(Succeed())
		alias(admin(), "alias/shop", *signer.KeyId)
	})

	It("goes away from a key that is being deleted, and to none", func() {
		dying, other := inState(held, encrypts, "alias/shop"), createKey(admin())
		Expect(moveAlias("alias/shop", *other.KeyId)).To(Succeed())
		Expect(claimants("alias/shop")).To(Equal([]string{*other.KeyId}))
		Expect(moveAlias("alias/shop", dying.Name)).To(MatchError(ContainSubstring("KMSInvalidStateException")))
		Expect(claimants("alias/shop")).To(Equal([]string{*other.KeyId}))
	})

	It("goes to no key that has 50 others, and stays where it was", func() {
		full, other := createKey(admin()), createKey(admin())
		k := object(*full.KeyId)
		world.Update(k, func() {
			for i := range 50 {
				k.Spec.Aliases = append(k.Spec.Aliases, fmt.Sprintf("alias/%02d", i))
			}
		})
		alias(admin(), "alias/shop", *other.KeyId)
		Expect(moveAlias("alias/shop", *full.KeyId)).To(MatchError(ContainSubstring("LimitExceededException")))
		Expect(claimants("alias/shop")).To(Equal([]string{*other.KeyId}))
		Expect(dropAlias("alias/07")).To(Succeed())
		Expect(moveAlias("alias/shop", *full.KeyId)).To(Succeed())
	})

	It("needs the permission of the alias and of both keys", func() {
		one, two := createKey(admin()), createKey(admin())
		alias(admin(), "alias/shop", *one.KeyId)
		account := arn.DeriveAccount(world.Namespace)
		resources := []string{arn.KMSAlias(region, account, "alias/shop"), *one.Arn, *two.Arn}
		for without := range resources {
			some := append(append([]string{}, resources[:without]...), resources[without+1:]...)
			who := user(world.Namespace, `{"Effect":"Allow","Action":"kms:UpdateAlias","Resource":["`+strings.Join(some, `","`)+`"]}`)
			err := invoke(who, "UpdateAlias", &awskms.UpdateAliasInput{AliasName: s("alias/shop"), TargetKeyId: two.KeyId})
			Expect(err).To(MatchError(ContainSubstring("AccessDenied")), "without %s", resources[without])
			Expect(claimants("alias/shop")).To(Equal([]string{*one.KeyId}))
		}
		who := user(world.Namespace, `{"Effect":"Allow","Action":"kms:UpdateAlias","Resource":["`+strings.Join(resources, `","`)+`"]}`)
		Expect(invoke(who, "UpdateAlias", &awskms.UpdateAliasInput{AliasName: s("alias/shop"), TargetKeyId: two.KeyId})).To(Succeed())
	})

	for _, after := range []bool{false, true} {
		It(fmt.Sprintf("and dies at any write is with a key all the time, and moves when it is asked again (answer lost: %t)", after), func() {
			for write := 1; ; write++ {
				one, two := createKey(admin()), createKey(admin())
				name := fmt.Sprintf("alias/crash-%d", write)
				alias(admin(), name, *one.KeyId)
				faulty, fault := world.Faulty()
				broken := map[string]func() error{}
				for _, o := range kms.New(kms.Dependencies{KMS: faulty.KMSKey.KMS, Authorities: world.Services.Authorities}).Operations {
					broken[o.Name] = func() error {
						call := admin().call
						call.Operation = o.Name
						_, err := o.Invoke(ctx, &call, &awskms.UpdateAliasInput{AliasName: &name, TargetKeyId: two.KeyId})
						return err
					}
				}
				fault.FailAt(write, after)
				err := broken["UpdateAlias"]()
				if fault.Writes() < write {
					Expect(err).NotTo(HaveOccurred())
					Expect(write).To(Equal(3), "two writes: to the new key, from the old one")
					return
				}
				Expect(err).To(MatchError(environment.ErrInjected))
				for _, id := range []string{*one.KeyId, *two.KeyId} {
					world.Seen(object(id))
				}
				Expect(claimants(name)).NotTo(BeEmpty(), "never on no key")
				encrypt(admin(), name, "x", nil)
				Expect(moveAlias(name, *two.KeyId)).To(Succeed())
				Expect(claimants(name)).To(Equal([]string{*two.KeyId}))
			}
		})
	}

	It("by many at once is of one key in the end, and never of none", func() {
		var ids []string
		for range 4 {
			ids = append(ids, *createKey(admin()).KeyId)
		}
		alias(admin(), "alias/shop", ids[0])
		var movers, watcher sync.WaitGroup
		stop := make(chan struct{})
		watcher.Go(func() {
			defer GinkgoRecover()
			for {
				select {
				case <-stop:
					return
				default:
					encrypt(admin(), "alias/shop", "x", nil)
				}
			}
		})
		for i := range 16 {
			movers.Go(func() {
				defer GinkgoRecover()
				Expect(moveAlias("alias/shop", ids[i%len(ids)])).To(Succeed())
			})
		}
		movers.Wait()
		close(stop)
		watcher.Wait()
		Expect(claimants("alias/shop")).To(HaveLen(1))
	})
})

var _ = Describe("An alias that 32 want at once", func() {
	It("is made once, and the others are told that it exists", func() {
		var ids []string
		for range 8 {
			ids = append(ids, *createKey(admin()).KeyId)
		}
		outcomes := make([]error, 32)
		var wait sync.WaitGroup
		for i := range outcomes {
			wait.Go(func() {
				defer GinkgoRecover()
				outcomes[i] = invoke(admin(), "CreateAlias", &awskms.CreateAliasInput{AliasName: s("alias/one"), TargetKeyId: &ids[i%len(ids)]})
			})
		}
		wait.Wait()
		won := 0
		for _, err := range outcomes {
			if err == nil {
				won++
				continue
			}
			Expect(err).To(MatchError(ContainSubstring("AlreadyExistsException")))
		}
		Expect(won).To(Equal(1))
		Expect(claimants("alias/one")).To(HaveLen(1))
	})

	It("of different names for one key are all there", func() {
		key := *createKey(admin()).KeyId
		var wait sync.WaitGroup
		for i := range 32 {
			wait.Go(func() {
				defer GinkgoRecover()
				alias(admin(), fmt.Sprintf("alias/n%02d", i), key)
			})
		}
		wait.Wait()
		Expect(object(key).Spec.Aliases).To(HaveLen(32))
	})
})

var _ = Describe("An alias of AWS's own", func() {
	It("is neither made, moved nor taken away, not even where there is none", func() {
		world.ReadyKey("aws-ssm", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/aws/ssm"} })
		key := createKey(admin())
		for _, name := range []string{"alias/aws/ssm", "alias/aws/none", "alias/aws/"} {
			for operation, in := range map[string]any{
				"CreateAlias": &awskms.CreateAliasInput{AliasName: &name, TargetKeyId: key.KeyId},
				"UpdateAlias": &awskms.UpdateAliasInput{AliasName: &name, TargetKeyId: key.KeyId},
				"DeleteAlias": &awskms.DeleteAliasInput{AliasName: &name},
			} {
				code, _ := refused[any](admin(), operation, in)
				Expect(code).To(Equal("NotAuthorizedException"), "%s %s", operation, name)
				code, _ = refused[any](nobody(), operation, in)
				Expect(code).To(Equal("AccessDeniedException"), "permission comes first")
			}
		}
		Expect(claimants("alias/aws/ssm")).To(HaveLen(1))
		alias(admin(), "alias/awsome", *key.KeyId)
	})
})

var _ = Describe("The aliases of two regions and two accounts", func() {
	It("do not meet", func() {
		here := createKey(admin())
		abroad := createKey(admin().in("eu-west-1"))
		other := user(world.NewNamespace(), everything)
		theirs := createKey(other)
		alias(admin(), "alias/shop", *here.KeyId)
		alias(admin().in("eu-west-1"), "alias/shop", *abroad.KeyId)
		alias(other, "alias/shop", *theirs.KeyId)
		for who, want := range map[*caller]string{admin(): *here.KeyId, admin().in("eu-west-1"): *abroad.KeyId, other: *theirs.KeyId} {
			listed := must[awskms.ListAliasesOutput](who, "ListAliases", &awskms.ListAliasesInput{}).Aliases
			Expect(listed).To(HaveLen(1))
			Expect(*listed[0].TargetKeyId).To(Equal(want))
			described := must[awskms.DescribeKeyOutput](who, "DescribeKey", &awskms.DescribeKeyInput{KeyId: s("alias/shop")})
			Expect(*described.KeyMetadata.KeyId).To(Equal(want))
		}
		Expect(dropAlias("alias/shop")).To(Succeed())
		must[awskms.DescribeKeyOutput](other, "DescribeKey", &awskms.DescribeKeyInput{KeyId: s("alias/shop")})
		must[awskms.DescribeKeyOutput](admin().in("eu-west-1"), "DescribeKey", &awskms.DescribeKeyInput{KeyId: s("alias/shop")})
	})

	It("are listed for one key on demand, and for none that is not the account's", func() {
		key, other := createKey(admin()), createKey(user(world.NewNamespace(), everything))
		alias(admin(), "alias/a", *key.KeyId)
		for _, name := range []string{*key.KeyId, *key.Arn} {
			Expect(must[awskms.ListAliasesOutput](admin(), "ListAliases", &awskms.ListAliasesInput{KeyId: &name}).Aliases).To(HaveLen(1))
		}
		for _, name := range []string{*other.KeyId, *other.Arn, absent, "alias/a"} {
			code, _ := refused[any](admin(), "ListAliases", &awskms.ListAliasesInput{KeyId: &name})
			Expect(code).To(Equal("NotFoundException"), name)
		}
		code, _ := refused[any](admin(), "ListAliases", &awskms.ListAliasesInput{KeyId: s("arn:aws:s3:::bucket")})
		Expect(code).To(Equal("InvalidArnException"))
	})
})
