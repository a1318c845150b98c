package kms_test

import (
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/core/keys"
)

func rotate(id string) {
	GinkgoHelper()
	must[awskms.RotateKeyOnDemandOutput](admin(), "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: &id})
	world.ReconcileKey(object(id))
}

func rotationsOf(id string, change ...func(*awskms.ListKeyRotationsInput)) *awskms.ListKeyRotationsOutput {
	GinkgoHelper()
	in := &awskms.ListKeyRotationsInput{KeyId: &id}
	for _, c := range change {
		c(in)
	}
	return must[awskms.ListKeyRotationsOutput](admin(), "ListKeyRotations", in)
}

func materialID(id string) string {
	GinkgoHelper()
	return *must[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: &id}).KeyMetadata.CurrentKeyMaterialId
}

var _ = Describe("A key that is rotated", func() {
	It("opens the ciphertexts of each of its materials, says which one it was, and makes new ones under the last", func() {
		id := *createKey(admin()).KeyId
		type made struct {
			blob     []byte
			material string
		}
		var all []made
		for n := range 5 {
			if n > 0 {
				rotate(id)
			}
			blob := encrypt(admin(), id, fmt.Sprint("value ", n), map[string]string{"n": fmt.Sprint(n)})
			all = append(all, made{blob, materialID(id)})
		}
		for n, m := range all {
			out := must[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{
				CiphertextBlob: m.blob, EncryptionContext: map[string]string{"n": fmt.Sprint(n)},
			})
			Expect(string(out.Plaintext)).To(Equal(fmt.Sprint("value ", n)))
			Expect(*out.KeyMaterialId).To(Equal(m.material))
			Expect(slices.IndexFunc(all, func(o made) bool { return o.material == m.material })).To(Equal(n), "each material is another")
		}
	})

	It("moves a ciphertext to its last material by ReEncrypt under itself, and the caller sees no plaintext", func() {
		id := *createKey(admin()).KeyId
		old := encrypt(admin(), id, "x", nil)
		first := materialID(id)
		rotate(id)
		out := must[awskms.ReEncryptOutput](admin(), "ReEncrypt", &awskms.ReEncryptInput{CiphertextBlob: old, DestinationKeyId: &id})
		Expect(*out.SourceKeyMaterialId).To(Equal(first))
		Expect(*out.DestinationKeyMaterialId).To(Equal(materialID(id)))
		Expect(*out.DestinationKeyMaterialId).NotTo(Equal(first))
		Expect(*out.SourceKeyId).To(Equal(*out.KeyId))
		Expect(decrypt(admin(), out.CiphertextBlob, nil)).To(Equal("x"))
		Expect(decrypt(admin(), old, nil)).To(Equal("x"), "the old one stays good")
	})

	It("does not take a ciphertext of one material under the header of another", func() {
		id := *createKey(admin()).KeyId
		old := encrypt(admin(), id, "x", nil)
		rotate(id)
		now := encrypt(admin(), id, "x", nil)
		mixed := append(slices.Clone(now[:36]), old[36:]...)
		Expect(opened(id, mixed, nil)).To(Equal(invalid))
	})

	It("that was never rotated has a list of rotations, which is empty", func() {
		out := rotationsOf(*createKey(admin()).KeyId, func(*awskms.ListKeyRotationsInput) {})
		Expect(out.Rotations).To(And(Not(BeNil()), BeEmpty()), "an SDK reads the member whether there are any or not")
	})

	It("lists its rotations in order and in pages, the first material on demand alone", func() {
		id := *createKey(admin()).KeyId
		want := []string{}
		for range 5 {
			world.Clock.Advance(time.Hour)
			rotate(id)
			want = append(want, materialID(id))
		}
		var seen []string
		in := &awskms.ListKeyRotationsInput{KeyId: &id, Limit: aws.Int32(2)}
		for {
			out := must[awskms.ListKeyRotationsOutput](admin(), "ListKeyRotations", in)
			Expect(len(out.Rotations)).To(BeNumerically("<=", 2))
			for _, r := range out.Rotations {
				seen = append(seen, *r.KeyMaterialId)
				Expect(r.RotationType).To(Equal(types.RotationTypeOnDemand))
				Expect(r.RotationDate).NotTo(BeNil())
			}
			if in.Marker = out.NextMarker; !out.Truncated {
				break
			}
		}
		Expect(seen).To(Equal(want))
		all := rotationsOf(id, func(in *awskms.ListKeyRotationsInput) { in.IncludeKeyMaterial = types.IncludeKeyMaterialAllKeyMaterial }).Rotations
		Expect(all).To(HaveLen(6))
		Expect(all[0].RotationDate).To(BeNil())
		for i, r := range all {
			Expect(r.KeyMaterialState == types.KeyMaterialStateCurrent).To(Equal(i == 5), "the last one is current")
		}
		first := must[awskms.ListKeyRotationsOutput](admin(), "ListKeyRotations", &awskms.ListKeyRotationsInput{KeyId: &id, Limit: aws.Int32(1)})
		other := *createKey(admin()).KeyId
		rotate(other)
		code, _ := refused[any](admin(), "ListKeyRotations", &awskms.ListKeyRotationsInput{KeyId: &other, Marker: first.NextMarker})
		Expect(code).To(Equal("InvalidMarkerException"), "a marker is of one key's list")
		code, _ = refused[any](admin(), "ListKeyRotations", &awskms.ListKeyRotationsInput{KeyId: &id, Marker: first.NextMarker, IncludeKeyMaterial: types.IncludeKeyMaterialAllKeyMaterial})
		Expect(code).To(Equal("InvalidMarkerException"), "and of one that lists the same")
	})

	It("is rotated on demand 25 times and no more, and by its period still", func() {
		id := *createKey(admin()).KeyId
		must[awskms.EnableKeyRotationOutput](admin(), "EnableKeyRotation", &awskms.EnableKeyRotationInput{KeyId: &id, RotationPeriodInDays: aws.Int32(90)})
		blob := encrypt(admin(), id, "first", nil)
		for range 25 {
			rotate(id)
		}
		code, _ := refused[any](admin(), "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: &id})
		Expect(code).To(Equal("LimitExceededException"))
		Expect(rotationsOf(id).Rotations).To(HaveLen(25))
		last := materialID(id)
		world.Clock.Advance(91 * 24 * time.Hour)
		world.ReconcileKey(object(id))
		Expect(materialID(id)).NotTo(Equal(last))
		rotations := rotationsOf(id).Rotations
		Expect(rotations[len(rotations)-1].RotationType).To(Equal(types.RotationTypeAutomatic))
		Expect(decrypt(admin(), blob, nil)).To(Equal("first"))
	})

	It("by its period first rotates a period after that was turned on, however old it is", func() {
		DeferCleanup(func() { world.Clock.Set(time.Now()) })
		id := *createKey(admin()).KeyId
		world.Clock.Advance(400 * 24 * time.Hour)
		next := func() time.Time {
			GinkgoHelper()
			return *must[awskms.GetKeyRotationStatusOutput](admin(), "GetKeyRotationStatus", &awskms.GetKeyRotationStatusInput{KeyId: &id}).NextRotationDate
		}
		must[awskms.EnableKeyRotationOutput](admin(), "EnableKeyRotation", &awskms.EnableKeyRotationInput{KeyId: &id, RotationPeriodInDays: aws.Int32(90)})
		Expect(next()).To(BeTemporally("~", world.Clock.Now().AddDate(0, 0, 90), 2*time.Hour), "before the controller has looked")
		rotate(id)
		Expect(rotationsOf(id).Rotations).To(HaveExactElements(HaveField("RotationType", types.RotationTypeOnDemand)))
		settled := next()
		Expect(settled).To(BeTemporally("~", world.Clock.Now().AddDate(0, 0, 90), 2*time.Hour))
		world.Clock.Advance(24 * time.Hour)
		must[awskms.EnableKeyRotationOutput](admin(), "EnableKeyRotation", &awskms.EnableKeyRotationInput{KeyId: &id, RotationPeriodInDays: aws.Int32(90)})
		world.ReconcileKey(object(id))
		Expect(next()).To(BeTemporally("==", settled), "what was on is not turned on")
		must[awskms.DisableKeyRotationOutput](admin(), "DisableKeyRotation", &awskms.DisableKeyRotationInput{KeyId: &id})
		world.ReconcileKey(object(id))
		must[awskms.EnableKeyRotationOutput](admin(), "EnableKeyRotation", &awskms.EnableKeyRotationInput{KeyId: &id, RotationPeriodInDays: aws.Int32(90)})
		Expect(next()).To(BeTemporally("~", settled.Add(24*time.Hour), 2*time.Hour))
	})

	It("on demand says when that was asked for, until it is rotated", func() {
		id := *createKey(admin()).KeyId
		start := func() *time.Time {
			GinkgoHelper()
			return must[awskms.GetKeyRotationStatusOutput](admin(), "GetKeyRotationStatus", &awskms.GetKeyRotationStatusInput{KeyId: &id}).OnDemandRotationStartDate
		}
		Expect(start()).To(BeNil())
		asked := world.Clock.Now()
		for range 2 {
			must[awskms.RotateKeyOnDemandOutput](admin(), "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: &id})
			Expect(*start()).To(BeTemporally("~", asked, time.Second), "the second joins the first")
			world.Clock.Advance(time.Minute)
		}
		world.ReconcileKey(object(id))
		Expect(rotationsOf(id).Rotations).To(HaveLen(1))
		Expect(start()).To(BeNil())
	})

	It("twice before the controller has looked is rotated once, and again when it is asked again", func() {
		id := *createKey(admin()).KeyId
		for range 2 {
			must[awskms.RotateKeyOnDemandOutput](admin(), "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: &id})
		}
		world.ReconcileKey(object(id))
		world.ReconcileKey(object(id))
		Expect(rotationsOf(id).Rotations).To(HaveLen(1))
		rotate(id)
		Expect(rotationsOf(id).Rotations).To(HaveLen(2))
	})

	It("keeps its id, ARN, aliases, policy and tags", func() {
		key := createKey(admin(), func(in *awskms.CreateKeyInput) { in.Tags = []types.Tag{{TagKey: s("team"), TagValue: s("a")}} })
		alias(admin(), "alias/shop", *key.KeyId)
		before := object(*key.KeyId)
		rotate(*key.KeyId)
		after := object(*key.KeyId)
		Expect(after.Spec).To(Equal(before.Spec))
		Expect(after.Status.ARN).To(Equal(before.Status.ARN))
		Expect(after.Status.KeyID).To(Equal(before.Status.KeyID))
	})
})

var _ = DescribeTable("The period of rotation", func(days *int32, taken bool, effective int) {
	id := *createKey(admin()).KeyId
	err := invoke(admin(), "EnableKeyRotation", &awskms.EnableKeyRotationInput{KeyId: &id, RotationPeriodInDays: days})
	status := must[awskms.GetKeyRotationStatusOutput](admin(), "GetKeyRotationStatus", &awskms.GetKeyRotationStatusInput{KeyId: &id})
	Expect(status.KeyRotationEnabled).To(Equal(taken))
	if !taken {
		Expect(err).To(MatchError(ContainSubstring("Member must have value between 90 and 2560")))
		Expect(status.RotationPeriodInDays).To(BeNil())
		return
	}
	Expect(err).NotTo(HaveOccurred())
	Expect(status.RotationPeriodInDays).To(HaveValue(BeEquivalentTo(effective)))
	world.ReconcileKey(object(id))
	status = must[awskms.GetKeyRotationStatusOutput](admin(), "GetKeyRotationStatus", &awskms.GetKeyRotationStatusInput{KeyId: &id})
	next := world.Clock.Now().AddDate(0, 0, effective)
	Expect(*status.NextRotationDate).To(BeTemporally("~", next, 25*time.Hour))
	must[awskms.DisableKeyRotationOutput](admin(), "DisableKeyRotation", &awskms.DisableKeyRotationInput{KeyId: &id})
	world.Clock.Advance(time.Duration(effective+2) * 24 * time.Hour)
	world.ReconcileKey(object(id))
	Expect(rotationsOf(id).Rotations).To(BeEmpty(), "what is turned off does not rotate when its day comes")
},
	Entry("of 89 days is refused", aws.Int32(89), false, 0), Entry("of 90 days", aws.Int32(90), true, 90), Entry("of 91 days", aws.Int32(91), true, 91),
	Entry("of none is a year", nil, true, 365), Entry("of 2,560 days", aws.Int32(2560), true, 2560), Entry("of 2,561 days is refused", aws.Int32(2561), false, 0),
	Entry("of 0 days is refused", aws.Int32(0), false, 0), Entry("of -90 days is refused", aws.Int32(-90), false, 0),
)

var _ = Describe("Random bytes and data keys", func() {
	It("are as long as is asked for, at every length that counts, and a data key is what its ciphertext holds", func() {
		id := *createKey(admin()).KeyId
		for _, n := range []int32{1, 2, 15, 16, 17, 31, 32, 33, 1023, 1024} {
			random := must[awskms.GenerateRandomOutput](admin(), "GenerateRandom", &awskms.GenerateRandomInput{NumberOfBytes: &n})
			Expect(random.Plaintext).To(HaveLen(int(n)))
			key := must[awskms.GenerateDataKeyOutput](admin(), "GenerateDataKey", &awskms.GenerateDataKeyInput{KeyId: &id, NumberOfBytes: &n})
			Expect(key.Plaintext).To(HaveLen(int(n)))
			Expect(key.CiphertextBlob).To(HaveLen(int(n) + keys.Overhead))
			Expect(decrypt(admin(), key.CiphertextBlob, nil)).To(Equal(string(key.Plaintext)))
			blind := must[awskms.GenerateDataKeyWithoutPlaintextOutput](admin(), "GenerateDataKeyWithoutPlaintext",
				&awskms.GenerateDataKeyWithoutPlaintextInput{KeyId: &id, NumberOfBytes: &n})
			shown, err := decrypt(admin(), blind.CiphertextBlob, nil)
			Expect(err).NotTo(HaveOccurred())
			Expect(shown).To(HaveLen(int(n)))
			Expect(*blind.KeyMaterialId).To(Equal(materialID(id)))
		}
		for _, n := range []*int32{nil, aws.Int32(0), aws.Int32(-1), aws.Int32(1025)} {
			code, _ := refused[any](admin(), "GenerateRandom", &awskms.GenerateRandomInput{NumberOfBytes: n})
			Expect(code).To(Equal("ValidationException"))
		}
	})

	It("and enclaves and custom key stores go together in no operation, and nothing is made for them", func() {
		id := *createKey(admin()).KeyId
		recipient := &types.RecipientInfo{AttestationDocument: []byte("x")}
		for name, in := range map[string]any{
			"Decrypt":         &awskms.DecryptInput{CiphertextBlob: encrypt(admin(), id, "x", nil), Recipient: recipient},
			"GenerateDataKey": &awskms.GenerateDataKeyInput{KeyId: &id, KeySpec: types.DataKeySpecAes256, Recipient: recipient},
			"GenerateRandom":  &awskms.GenerateRandomInput{NumberOfBytes: aws.Int32(8), Recipient: recipient},
		} {
			code, message := refused[any](admin(), name, in)
			Expect(code).To(Equal("UnsupportedOperationException"), name)
			Expect(message).To(ContainSubstring("Nitro"), name)
		}
	})
})
