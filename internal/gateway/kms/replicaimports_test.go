package kms_test

import (
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/test/environment"
)

// externalRegions makes a multi-Region key of imported material and replicas that have it, too.
func externalRegions(material []byte, regions ...string) string {
	GinkgoHelper()
	id := external(func(in *awskms.CreateKeyInput) { in.MultiRegion = aws.Bool(true) })
	imported(id, material)
	for _, in := range regions {
		replicate(id, in)
		must[awskms.ImportKeyMaterialOutput](admin().in(in), "ImportKeyMaterial", importingIn(in, id, material))
	}
	return id
}

// importingIn is importing in another region.
func importingIn(region, id string, material []byte, changes ...func(*awskms.ImportKeyMaterialInput)) *awskms.ImportKeyMaterialInput {
	GinkgoHelper()
	const algorithm = types.AlgorithmSpecRsaesOaepSha256
	p := must[awskms.GetParametersForImportOutput](admin().in(region), "GetParametersForImport", &awskms.GetParametersForImportInput{
		KeyId: &id, WrappingAlgorithm: algorithm, WrappingKeySpec: types.WrappingKeySpecRsa2048,
	})
	in := &awskms.ImportKeyMaterialInput{
		KeyId: &id, ImportToken: p.ImportToken, EncryptedKeyMaterial: judge{GinkgoT().TempDir()}.wrap(algorithm, p.PublicKey, material),
		ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire,
	}
	for _, change := range changes {
		change(in)
	}
	return in
}

// importedIn imports into the key of a region.
func importedIn(region, id string, material []byte, changes ...func(*awskms.ImportKeyMaterialInput)) string {
	GinkgoHelper()
	return *must[awskms.ImportKeyMaterialOutput](admin().in(region), "ImportKeyMaterial", importingIn(region, id, material, changes...)).KeyMaterialId
}

// waitsIn is the state of the material that is not current yet, in a region.
func waitsIn(region, id string) (out []types.KeyMaterialState) {
	GinkgoHelper()
	list := must[awskms.ListKeyRotationsOutput](admin().in(region), "ListKeyRotations", &awskms.ListKeyRotationsInput{
		KeyId: &id, IncludeKeyMaterial: types.IncludeKeyMaterialAllKeyMaterial,
	})
	for _, r := range list.Rotations {
		if r.KeyMaterialState != types.KeyMaterialStateCurrent && r.KeyMaterialState != types.KeyMaterialStateNonCurrent {
			Expect(r.ImportState).To(Equal(types.ImportStateImported))
			Expect(r.RotationDate).To(BeNil())
			out = append(out, r.KeyMaterialState)
		}
	}
	return out
}

var _ = Describe("A multi-Region key of imported material", func() {
	It("has replicas that wait for the same material, which has one id, and opens in each region what another has encrypted", func() {
		material := secret32()
		id := external(func(in *awskms.CreateKeyInput) { in.MultiRegion = aws.Bool(true) })
		Expect(id).To(MatchRegexp(`^mrk-[0-9a-f]{32}$`))
		code, message := refused[any](admin(), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(there)})
		Expect(code + " " + message).To(Equal("KMSInvalidStateException " + keyARN(id, region) + " is pending import."))
		first := imported(id, material)
		out := replicate(id, there)
		Expect(out.ReplicaKeyMetadata).To(And(HaveField("Origin", types.OriginTypeExternal), HaveField("KeyState", types.KeyStateCreating)))
		m := describe(admin().in(there), id)
		Expect(m).To(And(HaveField("KeyState", types.KeyStatePendingImport), HaveField("Enabled", false), HaveField("ExpirationModel", BeEmpty())))
		Expect(m.MultiRegionConfiguration.MultiRegionKeyType).To(Equal(types.MultiRegionKeyTypeReplica))
		Expect(stored(id+"-"+there, v1alpha1.ImportStateImported)).To(BeEmpty())

		blob := encrypt(admin(), id, "from here", nil)
		_, err := decrypt(admin().in(there), blob, nil)
		Expect(err).To(MatchError(ContainSubstring("is pending import.")))
		code, _ = refused[any](admin().in(there), "ImportKeyMaterial", importingIn(there, id, secret32()))
		Expect(code).To(Equal("IncorrectKeyMaterialException"))
		code, _ = refused[any](admin().in(there), "ImportKeyMaterial", importing(id, material))
		Expect(code).To(Equal("InvalidImportTokenException"), "the token is its primary's")

		end := world.Clock.Now().Add(day).Truncate(time.Second)
		Expect(importedIn(there, id, material, until(end))).To(Equal(*first))
		Expect(describe(admin().in(there), id)).To(And(HaveField("KeyState", types.KeyStateEnabled), HaveField("ValidTo", HaveValue(BeTemporally("==", end)))))
		Expect(describe(admin(), id).ValidTo).To(BeNil())
		Expect(decrypt(admin().in(there), blob, nil)).To(Equal("from here"))
		Expect(decrypt(admin(), encrypt(admin().in(there), id, "from there", nil), nil)).To(Equal("from there"))

		world.Clock.Set(end)
		_, err = decrypt(admin().in(there), blob, nil)
		Expect(err).To(MatchError(ContainSubstring("is pending import.")))
		Expect(decrypt(admin(), blob, nil)).To(Equal("from here"), "the end of one is none of the other")
	})

	It("is rotated when the new material is in each replica, and not before", func() {
		id := externalRegions(secret32(), there, farther)
		old, next := encrypt(admin(), id, "old", nil), secret32()
		code, _ := refused[any](admin().in(there), "ImportKeyMaterial", importingIn(there, id, next, as(types.ImportTypeNewKeyMaterial)))
		Expect(code).To(Equal("UnsupportedOperationException"))
		code, _ = refused[any](admin().in(there), "ImportKeyMaterial", importingIn(there, id, next))
		Expect(code).To(Equal("IncorrectKeyMaterialException"))

		second := imported(id, next, as(types.ImportTypeNewKeyMaterial))
		Expect(waitsIn(region, id)).To(Equal([]types.KeyMaterialState{types.KeyMaterialStatePendingMultiRegionImportAndRotation}))
		Expect(waitsIn(there, id)).To(BeEmpty())
		Expect(importedIn(there, id, next)).To(Equal(*second))
		Expect(waitsIn(there, id)).To(Equal(waitsIn(region, id)))
		code, message := refused[any](admin(), "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: &id})
		Expect(code).To(Equal("KMSInvalidStateException"))
		Expect(message).To(And(ContainSubstring(farther), Not(ContainSubstring(there))))
		Expect(importedIn(farther, id, next, as(types.ImportTypeExistingKeyMaterial))).To(Equal(*second))
		for _, in := range []string{region, there, farther} {
			Expect(waitsIn(in, id)).To(Equal([]types.KeyMaterialState{types.KeyMaterialStatePendingRotation}), in)
		}
		code, _ = refused[any](admin().in(there), "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: &id})
		Expect(code).To(Equal("UnsupportedOperationException"), "it is rotated at its primary")

		rotate(id)
		Expect(materialID(id)).To(Equal(*second))
		blob := encrypt(admin(), id, "new", nil)
		Expect(decrypt(admin().in(there), blob, nil)).To(Equal("new"), "also before the replica's controller has looked")
		for _, in := range []string{there, farther} {
			world.ReconcileKey(replicaOf(id, in))
			Expect(*describe(admin().in(in), id).CurrentKeyMaterialId).To(Equal(*second))
			Expect(decrypt(admin().in(in), old, nil)).To(Equal("old"))
			Expect(decrypt(admin(), encrypt(admin().in(in), id, in, nil), nil)).To(Equal(in))
			list := must[awskms.ListKeyRotationsOutput](admin().in(in), "ListKeyRotations", &awskms.ListKeyRotationsInput{KeyId: &id})
			Expect(list.Rotations).To(ConsistOf(And(HaveField("RotationType", types.RotationTypeOnDemand), HaveField("RotationDate", Not(BeNil())))))
		}
	})

	It("that is replicated while new material waits has that awaited in the new region, too, and such a replica needs all materials", func() {
		one, two, three := secret32(), secret32(), secret32()
		id := externalRegions(one)
		imported(id, two, as(types.ImportTypeNewKeyMaterial))
		rotate(id)
		imported(id, three, as(types.ImportTypeNewKeyMaterial))
		Expect(waitsIn(region, id)).To(Equal([]types.KeyMaterialState{types.KeyMaterialStatePendingRotation}))
		replicate(id, there)
		Expect(waitsIn(region, id)).To(Equal([]types.KeyMaterialState{types.KeyMaterialStatePendingMultiRegionImportAndRotation}))
		importedIn(there, id, two)
		Expect(describe(admin().in(there), id).KeyState).To(Equal(types.KeyStatePendingImport))
		importedIn(there, id, one)
		Expect(describe(admin().in(there), id).KeyState).To(Equal(types.KeyStateEnabled))
		importedIn(there, id, three)
		rotate(id)
		Expect(decrypt(admin().in(there), encrypt(admin(), id, "x", nil), nil)).To(Equal("x"))
	})

	It("has what waits deleted at the primary for all, and at a replica for that one", func() {
		id := externalRegions(secret32(), there)
		next := secret32()
		second := imported(id, next, as(types.ImportTypeNewKeyMaterial))
		importedIn(there, id, next)
		must[awskms.DeleteImportedKeyMaterialOutput](admin().in(there), "DeleteImportedKeyMaterial", &awskms.DeleteImportedKeyMaterialInput{KeyId: &id, KeyMaterialId: second})
		Expect(waitsIn(region, id)).To(Equal([]types.KeyMaterialState{types.KeyMaterialStatePendingMultiRegionImportAndRotation}))
		importedIn(there, id, next)
		unimport(id, second)
		Expect(waitsIn(there, id)).To(BeEmpty())
		Expect(stored(id+"-"+there, v1alpha1.ImportStateImported)).To(HaveLen(1), "at once")
		for _, in := range []string{region, there} {
			Expect(describe(admin().in(in), id).KeyState).To(Equal(types.KeyStateEnabled), in)
		}
	})

	It("has a replica made its primary that has all of the material, and no other", func() {
		id := externalRegions(secret32(), there, farther)
		next := secret32()
		imported(id, next, as(types.ImportTypeNewKeyMaterial))
		code, message := refused[any](admin(), "UpdatePrimaryRegion", &awskms.UpdatePrimaryRegionInput{KeyId: &id, PrimaryRegion: s(there)})
		Expect(code).To(Equal("KMSInvalidStateException"))
		Expect(message).To(ContainSubstring("does not have all of its imported key material"))
		must[awskms.DeleteImportedKeyMaterialOutput](admin().in(farther), "DeleteImportedKeyMaterial", &awskms.DeleteImportedKeyMaterialInput{KeyId: &id})
		code, _ = refused[any](admin(), "UpdatePrimaryRegion", &awskms.UpdatePrimaryRegionInput{KeyId: &id, PrimaryRegion: s(farther)})
		Expect(code).To(Equal("KMSInvalidStateException"))
		importedIn(there, id, next)
		must[awskms.UpdatePrimaryRegionOutput](admin(), "UpdatePrimaryRegion", &awskms.UpdatePrimaryRegionInput{KeyId: &id, PrimaryRegion: s(there)})
		Expect(*describe(admin(), id).MultiRegionConfiguration.PrimaryKey.Region).To(Equal(there))
		Expect(waitsIn(there, id)).To(Equal([]types.KeyMaterialState{types.KeyMaterialStatePendingMultiRegionImportAndRotation}), "it is awaited of the third")
		code, _ = refused[any](admin(), "ImportKeyMaterial", importing(id, secret32(), as(types.ImportTypeNewKeyMaterial)))
		Expect(code).To(Equal("UnsupportedOperationException"), "the former one is a replica")
	})

	It("is asked for as one of its origin, at its creation and in a replica's region", func() {
		deny := func(action string) *caller {
			return user(world.Namespace, everything+`,{"Effect":"Deny","Action":"kms:`+action+`","Resource":"*","Condition":{"StringEquals":{"kms:KeyOrigin":"EXTERNAL","kms:MultiRegionKeyType":"REPLICA"}}}`)
		}
		id := externalRegions(secret32())
		Expect(invoke(deny("CreateKey"), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(there)})).To(MatchError(ContainSubstring("AccessDenied")))
		plain := *multiRegion().KeyId
		Expect(invoke(deny("CreateKey"), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &plain, ReplicaRegion: s(there)})).To(Succeed())
	})

	It("keeps the id that the material of a key of one region has", func() {
		material := secret32()
		one := external()
		first := imported(one, material)
		k := object(one)
		Expect(k.Status.KeyMaterials[0].ID).To(Equal(*first))
		Expect(*imported(externalRegions(secret32()), material, as(types.ImportTypeNewKeyMaterial))).NotTo(Equal(*first))
	})
})

var _ = Describe("Imported key material of many regions, by way of AWS's SDK and of openssl,", func() {
	It("signs and makes codes in each region as its owner does, in the SDK's own types of answers and of errors", func() {
		door := world.Open(kms.New(kms.Dependencies{KMS: world.Services.KMS, KeyStores: world.Services.CloudHSM, Authorities: world.Services.Authorities}))
		here, away := awskms.NewFromConfig(door.Config(environment.Region, allKMS)), awskms.NewFromConfig(door.Config(there, allKMS))
		j := judge{GinkgoT().TempDir()}
		bring := func(c *awskms.Client, id *string, material []byte) error {
			GinkgoHelper()
			const algorithm = types.AlgorithmSpecRsaAesKeyWrapSha256
			p, err := c.GetParametersForImport(ctx, &awskms.GetParametersForImportInput{KeyId: id, WrappingAlgorithm: algorithm, WrappingKeySpec: types.WrappingKeySpecRsa2048})
			Expect(err).NotTo(HaveOccurred())
			_, err = c.ImportKeyMaterial(ctx, &awskms.ImportKeyMaterialInput{
				KeyId: id, ImportToken: p.ImportToken, EncryptedKeyMaterial: j.wrap(algorithm, p.PublicKey, material), ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire,
			})
			return err
		}
		private := func() []byte {
			j.must("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-outform", "DER", "-out", j.path("private.der"))
			j.must("pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-in", j.path("private.der"), "-outform", "DER", "-out", j.path("private.p8"))
			return j.read("private.p8")
		}
		other := private()
		material := private()
		j.must("pkey", "-inform", "DER", "-in", j.path("private.p8"), "-pubout", "-out", j.path("own.pem"))
		made, err := here.CreateKey(ctx, &awskms.CreateKeyInput{
			Origin: types.OriginTypeExternal, MultiRegion: aws.Bool(true), KeySpec: types.KeySpecEccNistP256, KeyUsage: types.KeyUsageTypeSignVerify,
		})
		Expect(err).NotTo(HaveOccurred())
		id := made.KeyMetadata.KeyId
		Expect(bring(here, id, material)).To(Succeed())
		_, err = here.ReplicateKey(ctx, &awskms.ReplicateKeyInput{KeyId: id, ReplicaRegion: aws.String(there)})
		Expect(err).NotTo(HaveOccurred())
		var state *types.KMSInvalidStateException
		_, err = away.GetParametersForImport(ctx, &awskms.GetParametersForImportInput{KeyId: id, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: types.WrappingKeySpecRsa2048})
		Expect(errors.As(err, &state)).To(BeTrue(), "it is Creating: %v", err)
		world.ReconcileKey(object(*id + "-" + there))

		var incorrect *types.IncorrectKeyMaterialException
		Expect(errors.As(bring(away, id, other), &incorrect)).To(BeTrue())
		Expect(bring(away, id, material)).To(Succeed())
		signed, err := away.Sign(ctx, &awskms.SignInput{KeyId: id, Message: []byte("m"), SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256})
		Expect(err).NotTo(HaveOccurred())
		Expect(j.verifies(j.path("own.pem"), types.SigningAlgorithmSpecEcdsaSha256, []byte("m"), signed.Signature)).To(BeTrue())
		verified, err := here.Verify(ctx, &awskms.VerifyInput{KeyId: id, Message: []byte("m"), SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256, Signature: signed.Signature})
		Expect(err).NotTo(HaveOccurred())
		Expect(verified.SignatureValid).To(BeTrue())
		deleted, err := away.DeleteImportedKeyMaterial(ctx, &awskms.DeleteImportedKeyMaterialInput{KeyId: id})
		Expect(err).NotTo(HaveOccurred())
		Expect(*deleted.KeyId).To(Equal(keyARN(*id, there)))
		_, err = here.Sign(ctx, &awskms.SignInput{KeyId: id, Message: []byte("m"), SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256})
		Expect(err).NotTo(HaveOccurred())
	})
})
