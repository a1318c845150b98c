package kms_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("A key of imported material", func() {
	It("takes its first material alone, if it is of a type that does not rotate, and takes that again", func() {
		id, material := external(spec(types.KeySpecHmac256, types.KeyUsageTypeGenerateVerifyMac)), secret32()
		Expect(imported(id, material)).To(BeNil(), "an id is told of symmetric keys alone")
		code, _ := refused[any](admin(), "ImportKeyMaterial", importing(id, secret32()))
		Expect(code).To(Equal("IncorrectKeyMaterialException"))
		unimport(id, nil)
		code, _ = refused[any](admin(), "ImportKeyMaterial", importing(id, secret32()))
		Expect(code).To(Equal("IncorrectKeyMaterialException"), "the first one is its own for ever")
		imported(id, material)
		Expect(described(&id).KeyState).To(Equal(types.KeyStateEnabled))
		for _, change := range []func(*awskms.ImportKeyMaterialInput){
			as(types.ImportTypeNewKeyMaterial), as(types.ImportTypeExistingKeyMaterial),
			func(in *awskms.ImportKeyMaterialInput) { in.KeyMaterialDescription = s("x") },
			func(in *awskms.ImportKeyMaterialInput) { in.KeyMaterialId = s(strings.Repeat("0", 64)) },
		} {
			code, _ = refused[any](admin(), "ImportKeyMaterial", importing(id, material, change))
			Expect(code).To(Equal("UnsupportedOperationException"))
		}
	})

	It("has an id for its material that depends on key and material, and is the same when it is imported again", func() {
		one, two, material := external(), external(), secret32()
		first := imported(one, material)
		Expect(*first).To(MatchRegexp("^[0-9a-f]{64}$"))
		Expect(*described(&one).CurrentKeyMaterialId).To(Equal(*first))
		Expect(*imported(two, material)).NotTo(Equal(*first))
		unimport(one, nil)
		Expect(*imported(one, material)).To(Equal(*first))
		Expect(*imported(one, material, func(in *awskms.ImportKeyMaterialInput) { in.KeyMaterialId = first })).To(Equal(*first))
		code, _ := refused[any](admin(), "ImportKeyMaterial", importing(one, material, func(in *awskms.ImportKeyMaterialInput) { in.KeyMaterialId = s(strings.Repeat("0", 64)) }))
		Expect(code).To(Equal("IncorrectKeyMaterialException"))
	})

	It("expires at its second by the clock, whether or not the controller has looked, and is then erased and had back", func() {
		id, material := external(), secret32()
		end := world.Clock.Now().Add(100 * day).Truncate(time.Second)
		first := imported(id, material, until(end))
		blob := encrypt(admin(), id, "kept", nil)
		Expect(described(&id)).To(And(HaveField("ExpirationModel", types.ExpirationModelTypeKeyMaterialExpires), HaveField("ValidTo", HaveValue(BeTemporally("==", end)))))
		world.Clock.Set(end.Add(-time.Nanosecond))
		Expect(decrypt(admin(), blob, nil)).To(Equal("kept"))

		world.Clock.Set(end)
		for _, in := range []any{&awskms.EncryptInput{KeyId: &id, Plaintext: []byte("x")}, &awskms.DecryptInput{KeyId: &id, CiphertextBlob: blob}} {
			code, message := refused[any](admin(), strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", in), "*kms."), "Input"), in)
			Expect(code + " " + message).To(Equal("KMSInvalidStateException " + object(id).Status.ARN + " is pending import."))
		}
		Expect(described(&id)).To(And(HaveField("KeyState", types.KeyStatePendingImport), HaveField("ValidTo", BeNil()), HaveField("ExpirationModel", BeEmpty())))
		Expect(materialsOf(id)).To(ConsistOf(And(HaveField("ImportState", types.ImportStatePendingImport), HaveField("KeyMaterialState", types.KeyMaterialStateCurrent))))
		Expect(object(id).Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled), "the controller has not looked yet")

		world.ReconcileKey(object(id))
		Expect(object(id).Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
		Expect(stored(id, v1alpha1.ImportStateImported)).To(BeEmpty(), "it is erased")
		Expect(*imported(id, material)).To(Equal(*first))
		Expect(decrypt(admin(), blob, nil)).To(Equal("kept"))
		Expect(described(&id).ExpirationModel).To(Equal(types.ExpirationModelTypeKeyMaterialDoesNotExpire))
	})

	It("has its end moved by importing the same material again, without a moment in which it does not work", func() {
		id, material := external(), secret32()
		imported(id, material, until(world.Clock.Now().Add(day)))
		later := world.Clock.Now().Add(365 * day).Truncate(time.Second)
		imported(id, material, until(later))
		Expect(*described(&id).ValidTo).To(BeTemporally("==", later))
		Expect(stored(id, v1alpha1.ImportStateImported)).To(HaveLen(1), "the former copy is gone")
		world.Clock.Advance(2 * day)
		encrypt(admin(), id, "x", nil)
	})

	It("asks for an end in the future, of a year at most, and for one if and only if it is to end", func() {
		id, material := external(), secret32()
		now := world.Clock.Now()
		for _, change := range []func(*awskms.ImportKeyMaterialInput){
			until(now.Add(-time.Second)), until(now), until(now.Add(365*day + time.Second)),
			func(in *awskms.ImportKeyMaterialInput) { in.ExpirationModel = "" },
			func(in *awskms.ImportKeyMaterialInput) {
				in.ExpirationModel = types.ExpirationModelTypeKeyMaterialExpires
			},
			func(in *awskms.ImportKeyMaterialInput) { in.ValidTo = aws.Time(now.Add(day)) },
		} {
			code, message := refused[any](admin(), "ImportKeyMaterial", importing(id, material, change))
			Expect(code).To(Equal("ValidationException"), message)
		}
		imported(id, material, until(now.Add(365*day)), func(in *awskms.ImportKeyMaterialInput) { in.ExpirationModel = "" })
	})

	It("is deleted without a trace in the API, and works again with the same material alone", func() {
		id, material := external(), secret32()
		first := imported(id, material)
		blob := encrypt(admin(), id, "kept", nil)
		deleted := unimport(id, nil)
		Expect(*deleted.KeyMaterialId).To(Equal(*first))
		Expect(described(&id).KeyState).To(Equal(types.KeyStatePendingImport))
		Expect(stored(id, v1alpha1.ImportStateImported)).To(BeEmpty())
		_, err := decrypt(admin(), blob, nil)
		Expect(err).To(MatchError(ContainSubstring("is pending import.")))
		Expect(*unimport(id, nil).KeyMaterialId).To(Equal(*first), "once more it has no effect")
		code, _ := refused[any](admin(), "ImportKeyMaterial", importing(id, secret32()))
		Expect(code).To(Equal("IncorrectKeyMaterialException"))
		imported(id, material)
		Expect(decrypt(admin(), blob, nil)).To(Equal("kept"))
		code, _ = refused[any](admin(), "DeleteImportedKeyMaterial", &awskms.DeleteImportedKeyMaterialInput{KeyId: &id, KeyMaterialId: s(strings.Repeat("0", 64))})
		Expect(code).To(Equal("NotFoundException"))
		Expect(unimport(external(), nil).KeyMaterialId).To(BeNil(), "there is nothing to delete")
	})

	It("rotates to the material that was imported for it, needs all that it ever had, and tells of each", func() {
		id, one, two := external(), secret32(), secret32()
		first := imported(id, one, func(in *awskms.ImportKeyMaterialInput) { in.KeyMaterialDescription = s("of 2026") })
		old := encrypt(admin(), id, "old", nil)
		code, _ := refused[any](admin(), "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: &id})
		Expect(code).To(Equal("KMSInvalidStateException"), "there is nothing to rotate to")
		code, _ = refused[any](admin(), "ImportKeyMaterial", importing(id, two))
		Expect(code).To(Equal("IncorrectKeyMaterialException"), "what is not said to be new is the material that it had")
		code, _ = refused[any](admin(), "ImportKeyMaterial", importing(id, one, as(types.ImportTypeNewKeyMaterial)))
		Expect(code).To(Equal("IncorrectKeyMaterialException"), "it is not new")

		end := world.Clock.Now().Add(300 * day).Truncate(time.Second)
		second := imported(id, two, as(types.ImportTypeNewKeyMaterial), until(end))
		Expect(*described(&id).CurrentKeyMaterialId).To(Equal(*first))
		Expect(described(&id).ValidTo).To(BeNil(), "the key does not need it yet")
		Expect(materialsOf(id)[1]).To(And(HaveField("KeyMaterialState", types.KeyMaterialStatePendingRotation), HaveField("RotationDate", BeNil()), HaveField("RotationType", BeEmpty())))
		code, _ = refused[any](admin(), "ImportKeyMaterial", importing(id, secret32(), as(types.ImportTypeNewKeyMaterial)))
		Expect(code).To(Equal("KMSInvalidStateException"), "one at a time")

		world.Clock.Advance(day)
		rotate(id)
		Expect(*described(&id).CurrentKeyMaterialId).To(Equal(*second))
		Expect(*described(&id).ValidTo).To(BeTemporally("==", end))
		all := materialsOf(id)
		Expect(all).To(HaveLen(2))
		Expect(all[0]).To(And(HaveField("KeyMaterialId", HaveValue(Equal(*first))), HaveField("KeyMaterialState", types.KeyMaterialStateNonCurrent),
			HaveField("ImportState", types.ImportStateImported), HaveField("KeyMaterialDescription", HaveValue(Equal("of 2026"))),
			HaveField("ExpirationModel", types.ExpirationModelTypeKeyMaterialDoesNotExpire), HaveField("ValidTo", BeNil())))
		Expect(all[1]).To(And(HaveField("KeyMaterialState", types.KeyMaterialStateCurrent), HaveField("RotationType", types.RotationTypeOnDemand),
			HaveField("RotationDate", HaveValue(BeTemporally("~", world.Clock.Now(), time.Second))), HaveField("ValidTo", HaveValue(BeTemporally("==", end)))))
		Expect(rotationsOf(id).Rotations).To(HaveLen(1))
		current := encrypt(admin(), id, "new", nil)
		Expect(decrypt(admin(), old, nil)).To(Equal("old"))

		unimport(id, first)
		_, err := decrypt(admin(), current, nil)
		Expect(err).To(MatchError(ContainSubstring("is pending import.")), "a key needs all of its materials")
		Expect(*imported(id, one)).To(Equal(*first))
		Expect(materialsOf(id)[0].KeyMaterialDescription).To(HaveValue(Equal("of 2026")), "it is kept")
		Expect(*described(&id).CurrentKeyMaterialId).To(Equal(*second), "it does not become current again")
		Expect(decrypt(admin(), current, nil)).To(Equal("new"))
		Expect(decrypt(admin(), old, nil)).To(Equal("old"))
	})

	It("goes on while material that waits for a rotation is deleted or expires, which leaves nothing", func() {
		id, one := external(), secret32()
		imported(id, one)
		second := imported(id, secret32(), as(types.ImportTypeNewKeyMaterial))
		Expect(*unimport(id, second).KeyMaterialId).To(Equal(*second))
		Expect(materialsOf(id)).To(HaveLen(1))
		encrypt(admin(), id, "x", nil)

		imported(id, secret32(), as(types.ImportTypeNewKeyMaterial), until(world.Clock.Now().Add(day)))
		world.Clock.Advance(day)
		encrypt(admin(), id, "x", nil)
		code, _ := refused[any](admin(), "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: &id})
		Expect(code).To(Equal("KMSInvalidStateException"))
		world.ReconcileKey(object(id))
		world.ReconcileKey(object(id))
		Expect(materialsOf(id)).To(HaveLen(1))
		Expect(world.Envelopes(v1alpha1.EnvelopeKeyMaterial)).To(HaveLen(1))
		imported(id, secret32(), as(types.ImportTypeNewKeyMaterial))
	})

	It("of which the Envelope is damaged takes the same material again, and works", func() {
		id, material := external(), secret32()
		imported(id, material)
		blob := encrypt(admin(), id, "kept", nil)
		damaged := stored(id, v1alpha1.ImportStateImported)[0]
		world.Exchange(&damaged, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })
		world.ReconcileKey(object(id))
		Expect(described(&id).KeyState).To(Equal(types.KeyStateUnavailable))
		imported(id, material)
		Expect(decrypt(admin(), blob, nil)).To(Equal("kept"))
		world.ReconcileKey(object(id))
		Expect(described(&id).KeyState).To(Equal(types.KeyStateEnabled))
		Expect(stored(id, v1alpha1.ImportStateImported)).To(HaveLen(1))
	})

	It("of which the Envelope of a former material is damaged takes that again, and what was encrypted under it opens", func() {
		id, former := external(), secret32()
		first := imported(id, former)
		blob := encrypt(admin(), id, "kept", nil)
		imported(id, secret32(), as(types.ImportTypeNewKeyMaterial))
		must[awskms.RotateKeyOnDemandOutput](admin(), "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: &id})
		world.ReconcileKey(object(id))
		damaged := slices.DeleteFunc(stored(id, v1alpha1.ImportStateImported), func(e v1alpha1.Envelope) bool { return e.Spec.Version != *first })
		Expect(damaged).To(HaveLen(1))
		world.Exchange(&damaged[0], func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })
		world.Services.KMS.Materials.Clear()
		code, _ := refused[any](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: blob})
		Expect(code).NotTo(BeEmpty())
		Expect(imported(id, former, as(types.ImportTypeExistingKeyMaterial))).To(Equal(first))
		Expect(decrypt(admin(), blob, nil)).To(Equal("kept"))
		world.ReconcileKey(object(id))
		Expect(described(&id).KeyState).To(Equal(types.KeyStateEnabled))
		Expect(stored(id, v1alpha1.ImportStateImported)).To(HaveLen(2))
	})

	It("has nothing left of deleted material when that is answered, be the deletion committed by somebody who died behind that", func() {
		id := external()
		imported(id, secret32())
		kept := stored(id, v1alpha1.ImportStateImported)[0]
		unimport(id, nil)
		kept.ObjectMeta = metav1.ObjectMeta{Namespace: kept.Namespace, Name: kept.Name}
		world.Create(&kept)
		unimport(id, nil)
		Expect(stored(id, v1alpha1.ImportStateImported)).To(BeEmpty())
	})

	It("is not rotated by the calendar, and no other key takes material", func() {
		id := external()
		imported(id, secret32())
		for _, name := range []string{"EnableKeyRotation", "DisableKeyRotation"} {
			code, _ := refused[any](admin(), name, onKeys[name](id))
			Expect(code).To(Equal("UnsupportedOperationException"), name)
		}
		Expect(must[awskms.GetKeyRotationStatusOutput](admin(), "GetKeyRotationStatus", &awskms.GetKeyRotationStatusInput{KeyId: &id}).KeyRotationEnabled).To(BeFalse())
		in := importing(id, secret32())
		in.KeyId = createKey(admin()).KeyId
		for _, try := range []struct {
			name string
			in   any
		}{
			{"ImportKeyMaterial", in}, {"DeleteImportedKeyMaterial", &awskms.DeleteImportedKeyMaterialInput{KeyId: in.KeyId}},
			{"GetParametersForImport", &awskms.GetParametersForImportInput{KeyId: in.KeyId, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: types.WrappingKeySpecRsa2048}},
		} {
			code, message := refused[any](admin(), try.name, try.in)
			Expect(code + " " + message).To(Equal("UnsupportedOperationException " + object(*in.KeyId).Status.ARN + " origin is AWS_KMS which is not valid for this operation."))
		}
	})

	It("does not take what was wrapped for another key", func() {
		in := importing(external(), secret32())
		in.KeyId = aws.String(external())
		code, _ := refused[any](admin(), "ImportKeyMaterial", in)
		Expect(code).To(Equal("InvalidImportTokenException"))
		Expect(described(in.KeyId).KeyState).To(Equal(types.KeyStatePendingImport))
	})

	It("is imported into by one of two parameters, with a token that any replica made, also after a restart", func() {
		id, material := external(), secret32()
		one, two := importing(id, material), importing(id, material)
		one.ImportToken = two.ImportToken
		code, _ := refused[any](admin(), "ImportKeyMaterial", one)
		Expect(code).To(Equal("InvalidCiphertextException"), "a token goes with its own public key")
		Expect(invoke(admin(), "ImportKeyMaterial", two)).To(Succeed(), "nothing was kept of it")
	})

	It("takes the material of one of many who import at the same time", func() {
		id := external()
		const many = 4
		inputs, results := make([]*awskms.ImportKeyMaterialInput, many), make(chan error, many)
		for i := range inputs {
			inputs[i] = importing(id, bytes.Repeat([]byte{byte(i + 1)}, 32))
		}
		for _, in := range inputs {
			go func() {
				defer GinkgoRecover()
				c := admin().call
				c.Operation, c.RequestID = "ImportKeyMaterial", "x"
				op := operations["ImportKeyMaterial"]
				_, err := op.Invoke(ctx, &c, in)
				results <- err
			}()
		}
		good := 0
		for range many {
			if err := <-results; err == nil {
				good++
			} else {
				Expect(err).To(MatchError(ContainSubstring("IncorrectKeyMaterial")))
			}
		}
		Expect(good).To(Equal(1))
		Expect(stored(id, v1alpha1.ImportStateImported)).To(HaveLen(1))
		encrypt(admin(), id, "x", nil)
	})
})

// stored are the Envelopes of a key's material in an import state.
func stored(id string, state v1alpha1.ImportState) (out []v1alpha1.Envelope) {
	GinkgoHelper()
	for _, e := range world.Envelopes(v1alpha1.EnvelopeKeyMaterial) {
		if e.Spec.Owner.Name == id && e.Spec.Import != nil && e.Spec.Import.State == state {
			out = append(out, e)
		}
	}
	return out
}

var _ = Describe("A policy about imported material", func() {
	statement := func(action, conditions string) string {
		return everything + `,{"Effect":"Deny","Action":"kms:` + action + `","Resource":"*","Condition":{` + conditions + `}}`
	}
	DescribeTable("decides by what is asked for", func(action, conditions string, refusedWith, permittedWith func(id string) any) {
		id := external()
		c := user(world.Namespace, statement(action, conditions))
		code, _ := refused[any](c, action, refusedWith(id))
		Expect(code).To(Equal("AccessDeniedException"))
		Expect(invoke(c, action, permittedWith(id))).To(Succeed())
	},
		Entry("by kms:WrappingAlgorithm", "GetParametersForImport", `"StringLike":{"kms:WrappingAlgorithm":"*SHA_1"}`,
			func(id string) any {
				return &awskms.GetParametersForImportInput{KeyId: &id, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha1, WrappingKeySpec: types.WrappingKeySpecRsa2048}
			},
			func(id string) any {
				return &awskms.GetParametersForImportInput{KeyId: &id, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: types.WrappingKeySpecRsa2048}
			}),
		Entry("by kms:WrappingKeySpec", "GetParametersForImport", `"StringNotEquals":{"kms:WrappingKeySpec":"RSA_3072"}`,
			func(id string) any {
				return &awskms.GetParametersForImportInput{KeyId: &id, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: types.WrappingKeySpecRsa2048}
			},
			func(id string) any {
				return &awskms.GetParametersForImportInput{KeyId: &id, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: types.WrappingKeySpecRsa3072}
			}),
		Entry("by kms:ExpirationModel", "ImportKeyMaterial", `"StringEquals":{"kms:ExpirationModel":"KEY_MATERIAL_DOES_NOT_EXPIRE"}`,
			func(id string) any { return importing(id, secret32()) },
			func(id string) any {
				return importing(id, secret32(), until(world.Clock.Now().Add(day)), func(in *awskms.ImportKeyMaterialInput) { in.ExpirationModel = "" })
			}),
		Entry("by kms:ValidTo", "ImportKeyMaterial", `"DateGreaterThan":{"kms:ValidTo":"`+time.Now().Add(100*day).UTC().Format(time.RFC3339)+`"}`,
			func(id string) any { return importing(id, secret32(), until(world.Clock.Now().Add(101*day))) },
			func(id string) any { return importing(id, secret32(), until(world.Clock.Now().Add(99*day))) }),
	)

	It("decides by kms:KeyOrigin, of a key that is made and of one that is there", func() {
		c := user(world.Namespace, statement("*", `"StringEquals":{"kms:KeyOrigin":"EXTERNAL"}`))
		code, _ := refused[any](c, "CreateKey", &awskms.CreateKeyInput{Origin: types.OriginTypeExternal})
		Expect(code).To(Equal("AccessDeniedException"))
		code, _ = refused[any](c, "DescribeKey", onKeys["DescribeKey"](external()))
		Expect(code).To(Equal("AccessDeniedException"))
		Expect(invoke(c, "CreateKey", &awskms.CreateKeyInput{})).To(Succeed())
	})
})
