package kms_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	servicekms "strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

const encrypts = v1alpha1.KeyUsageEncryptDecrypt

// states are those that keys get into, in the order of the columns of stateTable.
var states = []v1alpha1.KeyState{
	v1alpha1.KeyStateEnabled, v1alpha1.KeyStateDisabled, v1alpha1.KeyStatePendingDeletion, v1alpha1.KeyStateUnavailable,
	v1alpha1.KeyStateCreating, held, v1alpha1.KeyStatePendingImport,
}

// held is the state of a key whose KMSKey was deleted and is held back by what it encrypts: PendingDeletion to AWS's clients.
const held v1alpha1.KeyState = "held"

// told is a state as AWS names it.
func told(state v1alpha1.KeyState) v1alpha1.KeyState {
	if state == held {
		return v1alpha1.KeyStatePendingDeletion
	}
	return state
}

// stateTable is AWS's table for the operations that are served: . allowed, D DisabledException, S KMSInvalidStateException, U
// UnsupportedOperationException. The last column but one is not AWS's: such a key decrypts, because it is held back by what it encrypts. Nor is
// a key of imported material Unavailable in AWS: here, it takes it again.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html#key-state-table
var stateTable = map[string]string{
	"CreateAlias":                         "..S..S.",
	"CreateGrant":                         ".DS.SSS",
	"Decrypt":                             ".DSSS.S",
	"DeleteAlias":                         ".......",
	"DescribeKey":                         ".......",
	"DisableKey":                          "..S.SSS",
	"DisableKeyRotation":                  ".DSSSSU",
	"EnableKey":                           "..S.SSS",
	"EnableKeyRotation":                   ".DSSSSU",
	"Encrypt":                             ".DSSSSS",
	"GenerateDataKey":                     ".DSSSSS",
	"DeriveSharedSecret":                  ".DSSSSS",
	"Encapsulate":                         ".DSSSSS",
	"Decapsulate":                         ".DSSSSS",
	"GenerateDataKeyPair":                 ".DSSSSS",
	"GenerateDataKeyPairWithoutPlaintext": ".DSSSSS",
	"GenerateDataKeyWithoutPlaintext":     ".DSSSSS",
	"GenerateMac":                         ".DSSSSS",
	"VerifyMac":                           ".DSSSSS",
	"GetKeyPolicy":                        ".......",
	"GetKeyLastUsage":                     ".......",
	"GetKeyRotationStatus":                "......U",
	"GetPublicKey":                        ".DSSSSS",
	"ListGrants":                          ".......",
	"ListKeyPolicies":                     ".......",
	"RetireGrant":                         ".......",
	"RevokeGrant":                         ".......",
	"ListKeyRotations":                    ".......",
	"ListResourceTags":                    ".......",
	"PutKeyPolicy":                        ".......",
	"ReEncrypt":                           ".DSSSSS",
	"RotateKeyOnDemand":                   ".DSSSSU",
	"Sign":                                ".DSSSSS",
	"TagResource":                         "..S..S.",
	"UntagResource":                       "..S..S.",
	"UpdateAlias":                         "..S..S.",
	"UpdateKeyDescription":                "..S..S.",
	"Verify":                              ".DSSSSS",
	"ScheduleKeyDeletion":                 "..S.SS.",
	"CancelKeyDeletion":                   "SS.SSSS",
	"GetParametersForImport":              "..S.SS.",
	"ImportKeyMaterial":                   "..S.SS.",
	"DeleteImportedKeyMaterial":           "..SSSS.",
	"ReplicateKey":                        ".DSSSSU",
	"UpdatePrimaryRegion":                 ".DSSSSU",
}

// inState makes a key and brings it into a state as it gets there in life. Its spec has the aliases.
func inState(state v1alpha1.KeyState, usage v1alpha1.KeyUsage, aliases ...string) *v1alpha1.KMSKey {
	GinkgoHelper()
	return inStateOf("", state, usage, aliases...)
}

// inStateOf is inState for a key of an origin.
func inStateOf(origin v1alpha1.KeyOrigin, state v1alpha1.KeyState, usage v1alpha1.KeyUsage, aliases ...string) *v1alpha1.KMSKey {
	GinkgoHelper()
	if state == v1alpha1.KeyStatePendingImport {
		origin = v1alpha1.KeyOriginExternal
	}
	return inStateAs(v1alpha1.KMSKeySpec{Aliases: aliases, KeyUsage: usage, Origin: origin}, state)
}

// inStateAs is inState for a key of a spec, which needs no keySpec.
func inStateAs(spec v1alpha1.KMSKeySpec, state v1alpha1.KeyState) *v1alpha1.KMSKey {
	GinkgoHelper()
	key, origin := servicekms.New(world.Namespace, spec), spec.Origin
	switch spec.KeyUsage {
	case v1alpha1.KeyUsageSignVerify, v1alpha1.KeyUsageKeyAgreement:
		key.Spec.KeySpec = v1alpha1.KeySpecECCNISTP256
	case v1alpha1.KeyUsageEncapsulateDecapsulate:
		key.Spec.KeySpec = v1alpha1.KeySpecMLKEM768
	case v1alpha1.KeyUsageGenerateVerifyMac:
		key.Spec.KeySpec = v1alpha1.KeySpecHMAC256
	}
	world.Create(key)
	if state == v1alpha1.KeyStateCreating { // the controller died between the id and the material
		key.Status.KeyID, key.Status.KeyState = key.Name, state
		key.Status.ARN = arn.KMSKey(region, arn.DeriveAccount(world.Namespace), key.Name)
		Expect(world.ControlPlane.Client.Status().Update(ctx, key)).To(Succeed())
		world.Seen(key)
		return key
	}
	world.ReconcileKey(key)
	if origin == v1alpha1.KeyOriginExternal && state != v1alpha1.KeyStatePendingImport {
		imported(key.Name, secret32())
	}
	switch state {
	case v1alpha1.KeyStateDisabled:
		must[awskms.DisableKeyOutput](admin(), "DisableKey", &awskms.DisableKeyInput{KeyId: &key.Name})
	case v1alpha1.KeyStatePendingDeletion:
		must[awskms.ScheduleKeyDeletionOutput](admin(), "ScheduleKeyDeletion", &awskms.ScheduleKeyDeletionInput{KeyId: &key.Name})
	case held:
		Expect(world.ControlPlane.Client.Delete(ctx, key)).To(Succeed())
	case v1alpha1.KeyStateUnavailable:
		world.Exchange(materialEnvelope(key), func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })
		world.ReconcileKey(key)
	}
	world.Refresh(key)
	world.Seen(key)
	return key
}

// materialEnvelope is the Envelope of a key's first material.
func materialEnvelope(key *v1alpha1.KMSKey) *v1alpha1.Envelope {
	GinkgoHelper()
	for _, e := range world.Envelopes(v1alpha1.EnvelopeKeyMaterial) {
		if e.Spec.Subject == key.Status.ARN && e.Spec.Sequence == 1 {
			return &e
		}
	}
	Fail("there is no material of " + key.Name)
	return nil
}

var _ = Describe("The table of key states, by way of AWS's SDK,", func() {
	const own, others = "alias/own", "alias/others"
	var blob, signature, public []byte
	var symmetric, signer string
	var asked remote
	BeforeEach(func() {
		asked = byWayOf(open(), region)
		symmetric, signer = *createKey(admin()).KeyId, *createKey(admin(), signing(types.KeySpecEccNistP256)).KeyId
		blob = encrypt(admin(), symmetric, "x", nil)
		signature = sign(admin(), &signer, p256, raw, []byte("x"))
		public = must[awskms.GetPublicKeyOutput](admin(), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: &signer}).PublicKey
	})

	// input is one that an Enabled key would let through.
	input := func(name string, key *v1alpha1.KMSKey) any {
		GinkgoHelper()
		id := &key.Name
		switch name {
		case "CreateAlias":
			return &awskms.CreateAliasInput{AliasName: s("alias/new"), TargetKeyId: id}
		case "DeleteAlias":
			return &awskms.DeleteAliasInput{AliasName: s(own)}
		case "UpdateAlias":
			alias(admin(), others, symmetric)
			return &awskms.UpdateAliasInput{AliasName: s(others), TargetKeyId: id}
		case "Decrypt":
			return &awskms.DecryptInput{KeyId: id, CiphertextBlob: blob}
		case "ReEncrypt":
			return &awskms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: id}
		case "GenerateDataKey":
			return &awskms.GenerateDataKeyInput{KeyId: id, KeySpec: types.DataKeySpecAes256}
		case "GenerateDataKeyWithoutPlaintext":
			return &awskms.GenerateDataKeyWithoutPlaintextInput{KeyId: id, KeySpec: types.DataKeySpecAes256}
		case "GenerateDataKeyPair":
			return &awskms.GenerateDataKeyPairInput{KeyId: id, KeyPairSpec: types.DataKeyPairSpecEccNistP256}
		case "GenerateDataKeyPairWithoutPlaintext":
			return &awskms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: id, KeyPairSpec: types.DataKeyPairSpecEccNistP256}
		case "GenerateMac":
			return &awskms.GenerateMacInput{KeyId: id, Message: []byte("x"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256}
		case "VerifyMac":
			return &awskms.VerifyMacInput{KeyId: id, Message: []byte("x"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256, Mac: []byte("x")}
		case "DeriveSharedSecret":
			return &awskms.DeriveSharedSecretInput{KeyId: id, KeyAgreementAlgorithm: types.KeyAgreementAlgorithmSpecEcdh, PublicKey: public}
		case "Encapsulate":
			return &awskms.EncapsulateInput{KeyId: id, EncapsulationAlgorithm: types.EncapsulationAlgorithmSpecMlKem}
		case "Decapsulate": // of another key: implicit rejection
			return &awskms.DecapsulateInput{KeyId: id, EncapsulationAlgorithm: types.EncapsulationAlgorithmSpecMlKem, SharedSecretCiphertextBlob: make([]byte, 1088)}
		case "Sign":
			return &awskms.SignInput{KeyId: id, Message: []byte("x"), SigningAlgorithm: p256}
		case "Verify":
			return &awskms.VerifyInput{KeyId: id, Message: []byte("x"), SigningAlgorithm: p256, Signature: signature}
		case "PutKeyPolicy":
			return &awskms.PutKeyPolicyInput{KeyId: id, Policy: aws.String(servicekms.PolicyDocument(key))}
		case "UpdateKeyDescription":
			return &awskms.UpdateKeyDescriptionInput{KeyId: id, Description: s("x")}
		case "TagResource":
			return &awskms.TagResourceInput{KeyId: id, Tags: []types.Tag{{TagKey: s("team"), TagValue: s("a")}}}
		case "UntagResource":
			return &awskms.UntagResourceInput{KeyId: id, TagKeys: []string{"team"}}
		}
		return onKeys[name](key.Name)
	}

	// What an allowed operation comes to, where it is about a ciphertext or signature of another key, or a grant that is not there.
	allowed := map[string]string{
		"Decrypt": "IncorrectKeyException", "Verify": "KMSInvalidSignatureException", "VerifyMac": "KMSInvalidMacException",
		"RetireGrant": "NotFoundException", "RevokeGrant": "NotFoundException", "ImportKeyMaterial": "InvalidImportTokenException",
		"UpdatePrimaryRegion": "NotFoundException",
	}
	words := map[v1alpha1.KeyState]string{
		v1alpha1.KeyStatePendingDeletion: "pending deletion", v1alpha1.KeyStateUnavailable: "unavailable", v1alpha1.KeyStateCreating: "creating",
		v1alpha1.KeyStateEnabled: "enabled", v1alpha1.KeyStateDisabled: "disabled", held: "pending deletion",
		v1alpha1.KeyStatePendingImport: "pending import",
	}

	for column, state := range states {
		It("of a key that is "+string(state)+" is what every operation goes by, and a refusal changes nothing", func() {
			shared, asymmetric := inState(state, encrypts, own), inState(state, v1alpha1.KeyUsageSignVerify)
			for name, row := range stateTable {
				By(name)
				key := shared
				switch name {
				case "EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion":
					key = inState(state, encrypts)
				case "GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial":
					key = inStateOf(v1alpha1.KeyOriginExternal, state, encrypts)
				case "Sign", "Verify", "GetPublicKey":
					key = asymmetric
				case "ReplicateKey", "UpdatePrimaryRegion":
					if state != v1alpha1.KeyStatePendingImport { // there are none
						key = inStateAs(v1alpha1.KMSKeySpec{MultiRegion: true}, state)
					}
				case "GenerateMac", "VerifyMac":
					key = inState(state, v1alpha1.KeyUsageGenerateVerifyMac)
				case "DeriveSharedSecret":
					key = inState(state, v1alpha1.KeyUsageKeyAgreement)
				case "Encapsulate", "Decapsulate":
					key = inState(state, v1alpha1.KeyUsageEncapsulateDecapsulate)
				}
				in := input(name, key)
				before := object(key.Name)
				code, message := asked.code(name, in)
				switch row[column] {
				case '.':
					Expect(code).To(Equal(allowed[name]), message)
				case 'D':
					Expect(code+" "+message).To(Equal("DisabledException "+key.Status.ARN+" is disabled."), name)
				case 'U':
					Expect(code).To(Equal("UnsupportedOperationException"), name)
				case 'S':
					if state == held && name == "CancelKeyDeletion" { // which says how
						Expect(code + " " + message).To(HavePrefix("KMSInvalidStateException " + key.Status.ARN + " is being deleted"))
						break
					}
					Expect(code+" "+message).To(Equal("KMSInvalidStateException "+key.Status.ARN+" is "+words[state]+"."), name)
				}
				if row[column] != '.' {
					Expect(object(key.Name)).To(Equal(before), name)
				}
			}
		})
	}

	It("has a row for every operation on one key", func() {
		rows := map[string]bool{}
		for name := range stateTable {
			rows[name] = true
		}
		for name := range operations {
			if onNone[name] != nil && !strings.HasSuffix(name, "Alias") { // about no key
				continue
			}
			Expect(rows).To(HaveKey(name))
			delete(rows, name)
		}
		Expect(rows).To(BeEmpty())
	})

	It("asks for permission before it tells the state", func() {
		for _, state := range states {
			key := inState(state, encrypts)
			for name, in := range onKeys {
				code, message := refused[any](nobody(), name, in(key.Name))
				Expect(code).To(Equal("AccessDeniedException"), name)
				Expect(strings.ToLower(message)).NotTo(ContainSubstring(strings.ToLower(string(told(state)))), name)
			}
		}
	})

	It("is what DescribeKey tells, and a key is Enabled in one state alone", func() {
		for _, state := range states {
			key := inState(state, encrypts)
			described := must[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: &key.Name}).KeyMetadata
			Expect(described.KeyState).To(Equal(types.KeyState(told(state))))
			Expect(described.Enabled).To(Equal(state == v1alpha1.KeyStateEnabled), string(state))
		}
	})

	It("counts from the moment that a spec is written, whether or not the controller has looked", func() {
		key := inState(v1alpha1.KeyStateEnabled, encrypts)
		world.Update(key, func() { key.Spec.Enabled = aws.Bool(false) })
		code, _ := refused[any](admin(), "Encrypt", &awskms.EncryptInput{KeyId: &key.Name, Plaintext: []byte("x")})
		Expect(code).To(Equal("DisabledException"))
		world.Update(key, func() { key.Spec.Enabled = nil })
		encrypt(admin(), key.Name, "x", nil)
	})
})

var _ = Describe("A key that is being deleted", func() {
	It("opens what holds it, from the source's side of ReEncrypt too, and is not let go by a wait", func() {
		holder := environment.Secret(world.Namespace, "holder", func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef.Name = "held" })
		key := world.ReadyKey("held")
		blob := encrypt(admin(), key.Status.KeyID, "kept", nil)
		world.Create(holder)
		_, err := world.Secret.Reconcile(ctx, environment.Request(holder))
		Expect(err).NotTo(HaveOccurred())
		Expect(world.ControlPlane.Client.Delete(ctx, key)).To(Succeed())
		world.Refresh(key)
		world.Seen(key)
		world.ReconcileKey(key)
		world.Clock.Advance(40 * 24 * 3600e9)
		world.ReconcileKey(key)
		Expect(decrypt(admin(), blob, nil)).To(Equal("kept"))
		to := createKey(admin())
		out := must[awskms.ReEncryptOutput](admin(), "ReEncrypt", &awskms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: to.KeyId})
		Expect(decrypt(admin(), out.CiphertextBlob, nil)).To(Equal("kept"))
	})

	It("whose last holder is gone opens nothing more, in the words for a key that never was", func() {
		key := world.ReadyKey("gone")
		blob := encrypt(admin(), key.Status.KeyID, "x", nil)
		Expect(world.ControlPlane.Client.Delete(ctx, key)).To(Succeed())
		world.Refresh(key)
		world.Seen(key)
		_, err := world.KMSKey.Reconcile(ctx, environment.Request(key))
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error { // the cache has it a moment longer
			_, err := decrypt(admin(), blob, nil)
			return err
		}).Should(MatchError(ContainSubstring("The ciphertext refers to a customer master key that does not exist")))
		code, message := refused[any](admin(), "Encrypt", &awskms.EncryptInput{KeyId: &key.Status.KeyID, Plaintext: []byte("x")})
		Expect(code + " " + message).To(Equal("NotFoundException Key '" + key.Status.ARN + "' does not exist"))

		again := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "gone"}}
		world.Create(again)
		world.ReconcileKey(again)
		Expect(again.Status.ARN).To(Equal(key.Status.ARN))
		Expect(decrypt(admin(), blob, nil)).To(Equal("x"), "applied again within its window it is the same key")
	})
})
