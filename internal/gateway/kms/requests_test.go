package kms_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	servicekms "strongroom.dev/strongroom/internal/service/kms"
)

// stock is keys and what they made, for requests of every operation. It is made once for the specs of a container.
type stock struct {
	alice *caller // who asks by way of the SDK

	// The ids of keys: two symmetric ones, one of each other usage, one that waits for its material, one that has imported material, and a multi-Region one.
	symmetric, other, signer, codes, agreement, kem, empty, imported, multi *string

	ciphertext, signature, mac, public, encapsulated []byte
}

func newStock() *stock {
	GinkgoHelper()
	made := func(changes ...func(*awskms.CreateKeyInput)) *string { return createKey(admin(), changes...).KeyId }
	t := &stock{
		alice:     person(world.Namespace, "alice", everything),
		symmetric: made(), other: made(), signer: made(signing(types.KeySpecEccNistP256)), codes: made(makesCodes), agreement: made(agrees), kem: made(encapsulates),
		empty: aws.String(external()), imported: aws.String(external()), multi: multiRegion().KeyId,
	}
	imported(*t.imported, secret32())
	t.ciphertext = encrypt(admin(), *t.symmetric, "x", nil)
	t.signature = sign(admin(), t.signer, p256, raw, []byte("x"))
	t.public = publicKey(t.signer)
	t.encapsulated = encapsulate(admin(), t.kem).SharedSecretCiphertextBlob
	t.mac = must[awskms.GenerateMacOutput](admin(), "GenerateMac", &awskms.GenerateMacInput{KeyId: t.codes, Message: []byte("x"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256}).Mac
	return t
}

// request is one of an operation that succeeds once, of operations on keys, aliases and grants; nil for an operation on custom key stores.
func (t *stock) request(name string) any {
	GinkgoHelper()
	for _, requests := range []func(string) any{t.symmetrically, t.asymmetrically, t.managing, t.rotating, t.granting, t.importing, t.naming} {
		if in := requests(name); in != nil {
			return in
		}
	}
	return nil
}

// fresh is a key of which anything may become.
func (t *stock) fresh() *string { return createKey(admin()).KeyId }

func (t *stock) symmetrically(name string) any {
	switch name {
	case "Encrypt":
		return &awskms.EncryptInput{KeyId: t.symmetric, Plaintext: []byte("x")}
	case "Decrypt":
		return &awskms.DecryptInput{KeyId: t.symmetric, CiphertextBlob: t.ciphertext}
	case "ReEncrypt":
		return &awskms.ReEncryptInput{SourceKeyId: t.symmetric, CiphertextBlob: t.ciphertext, DestinationKeyId: t.other}
	case "GenerateDataKey":
		return &awskms.GenerateDataKeyInput{KeyId: t.symmetric, KeySpec: types.DataKeySpecAes256}
	case "GenerateDataKeyWithoutPlaintext":
		return &awskms.GenerateDataKeyWithoutPlaintextInput{KeyId: t.symmetric, KeySpec: types.DataKeySpecAes256}
	case "GenerateDataKeyPair":
		return &awskms.GenerateDataKeyPairInput{KeyId: t.symmetric, KeyPairSpec: types.DataKeyPairSpecEccNistP256}
	case "GenerateDataKeyPairWithoutPlaintext":
		return &awskms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: t.symmetric, KeyPairSpec: types.DataKeyPairSpecEccNistP256}
	case "GenerateRandom":
		return &awskms.GenerateRandomInput{NumberOfBytes: aws.Int32(32)}
	case "GenerateMac":
		return &awskms.GenerateMacInput{KeyId: t.codes, Message: []byte("x"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256}
	case "VerifyMac":
		return &awskms.VerifyMacInput{KeyId: t.codes, Message: []byte("x"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256, Mac: t.mac}
	}
	return nil
}

func (t *stock) asymmetrically(name string) any {
	switch name {
	case "Sign":
		return &awskms.SignInput{KeyId: t.signer, Message: []byte("x"), SigningAlgorithm: p256}
	case "Verify":
		return &awskms.VerifyInput{KeyId: t.signer, Message: []byte("x"), SigningAlgorithm: p256, Signature: t.signature}
	case "GetPublicKey":
		return &awskms.GetPublicKeyInput{KeyId: t.signer}
	case "DeriveSharedSecret":
		return &awskms.DeriveSharedSecretInput{KeyId: t.agreement, KeyAgreementAlgorithm: types.KeyAgreementAlgorithmSpecEcdh, PublicKey: t.public}
	case "Encapsulate":
		return &awskms.EncapsulateInput{KeyId: t.kem, EncapsulationAlgorithm: mlkemAlgorithm}
	case "Decapsulate":
		return decapsulating(t.kem, t.encapsulated)
	}
	return nil
}

func (t *stock) managing(name string) any {
	switch name {
	case "CreateKey":
		return &awskms.CreateKeyInput{}
	case "DescribeKey":
		return &awskms.DescribeKeyInput{KeyId: t.symmetric}
	case "ListKeys":
		return &awskms.ListKeysInput{}
	case "EnableKey":
		return &awskms.EnableKeyInput{KeyId: t.fresh()}
	case "DisableKey":
		return &awskms.DisableKeyInput{KeyId: t.fresh()}
	case "UpdateKeyDescription":
		return &awskms.UpdateKeyDescriptionInput{KeyId: t.fresh(), Description: s("x")}
	case "GetKeyPolicy":
		return &awskms.GetKeyPolicyInput{KeyId: t.symmetric}
	case "PutKeyPolicy":
		return &awskms.PutKeyPolicyInput{KeyId: t.fresh(), Policy: aws.String(servicekms.PolicyDocument(object(*t.symmetric)))}
	case "ListKeyPolicies":
		return &awskms.ListKeyPoliciesInput{KeyId: t.symmetric}
	case "ScheduleKeyDeletion":
		return &awskms.ScheduleKeyDeletionInput{KeyId: t.fresh()}
	case "CancelKeyDeletion":
		id := t.fresh()
		schedule(id, nil)
		return &awskms.CancelKeyDeletionInput{KeyId: id}
	case "TagResource":
		return &awskms.TagResourceInput{KeyId: t.fresh(), Tags: []types.Tag{{TagKey: s("team"), TagValue: s("a")}}}
	case "UntagResource":
		return &awskms.UntagResourceInput{KeyId: t.fresh(), TagKeys: []string{"team"}}
	case "ListResourceTags":
		return &awskms.ListResourceTagsInput{KeyId: t.symmetric}
	case "GetKeyLastUsage":
		return &awskms.GetKeyLastUsageInput{KeyId: t.symmetric}
	}
	return nil
}

func (t *stock) rotating(name string) any {
	switch name {
	case "EnableKeyRotation":
		return &awskms.EnableKeyRotationInput{KeyId: t.fresh()}
	case "DisableKeyRotation":
		return &awskms.DisableKeyRotationInput{KeyId: t.fresh()}
	case "GetKeyRotationStatus":
		return &awskms.GetKeyRotationStatusInput{KeyId: t.symmetric}
	case "RotateKeyOnDemand":
		return &awskms.RotateKeyOnDemandInput{KeyId: t.fresh()}
	case "ListKeyRotations":
		return &awskms.ListKeyRotationsInput{KeyId: t.symmetric}
	case "ReplicateKey":
		return &awskms.ReplicateKeyInput{KeyId: multiRegion().KeyId, ReplicaRegion: s(there)}
	case "UpdatePrimaryRegion":
		id := multiRegion().KeyId
		replicate(*id, there)
		return &awskms.UpdatePrimaryRegionInput{KeyId: id, PrimaryRegion: s(there)}
	}
	return nil
}

// granting are requests about grants; each ends a grant of its own.
func (t *stock) granting(name string) any {
	made := func() *string {
		return must[awskms.CreateGrantOutput](admin(), "CreateGrant", &awskms.CreateGrantInput{
			KeyId: t.symmetric, GranteePrincipal: s(t.alice.arn()), RetiringPrincipal: s(t.alice.arn()), Operations: []types.GrantOperation{"Decrypt"},
		}).GrantId
	}
	switch name {
	case "CreateGrant":
		return &awskms.CreateGrantInput{KeyId: t.symmetric, GranteePrincipal: s(t.alice.arn()), Operations: []types.GrantOperation{"Decrypt"}}
	case "ListGrants":
		return &awskms.ListGrantsInput{KeyId: t.symmetric}
	case "ListRetirableGrants":
		return &awskms.ListRetirableGrantsInput{RetiringPrincipal: s(t.alice.arn())}
	case "RetireGrant":
		return &awskms.RetireGrantInput{KeyId: aws.String(keyARN(*t.symmetric, region)), GrantId: made()}
	case "RevokeGrant":
		return &awskms.RevokeGrantInput{KeyId: t.symmetric, GrantId: made()}
	}
	return nil
}

func (t *stock) importing(name string) any {
	switch name {
	case "GetParametersForImport":
		return &awskms.GetParametersForImportInput{KeyId: t.empty, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: types.WrappingKeySpecRsa2048}
	case "ImportKeyMaterial":
		return importing(external(), secret32())
	case "DeleteImportedKeyMaterial":
		id := external()
		imported(id, secret32())
		return &awskms.DeleteImportedKeyMaterialInput{KeyId: &id}
	}
	return nil
}

// naming are requests about aliases; each is about a key of its own.
func (t *stock) naming(name string) any {
	named := func() *string {
		id := t.fresh()
		alias(admin(), "alias/"+*id, *id)
		return aws.String("alias/" + *id)
	}
	switch name {
	case "CreateAlias":
		id := t.fresh()
		return &awskms.CreateAliasInput{AliasName: aws.String("alias/" + *id), TargetKeyId: id}
	case "UpdateAlias":
		return &awskms.UpdateAliasInput{AliasName: named(), TargetKeyId: t.other}
	case "DeleteAlias":
		return &awskms.DeleteAliasInput{AliasName: named()}
	case "ListAliases":
		return &awskms.ListAliasesInput{KeyId: t.other}
	}
	return nil
}

// keyMember is the member of a request that names the key, empty if none does.
func keyMember(in any) string {
	for _, member := range []string{"KeyId", "TargetKeyId", "DestinationKeyId"} {
		if has(in, member) {
			return member
		}
	}
	return ""
}

// ofUsage is a key of the stock that another usage than a request's is for.
func (t *stock) ofAnotherUsage(name string) *string {
	switch name {
	case "Sign", "Verify", "GenerateMac", "VerifyMac", "Encapsulate", "Decapsulate", "DeriveSharedSecret":
		return t.symmetric
	}
	return t.codes
}

// onStores are requests about a custom key store: of a cluster that is one, disconnected, and of another that is none.
func onStores(store, cluster *v1alpha1.HSMCluster) map[string]any {
	return map[string]any{
		"CreateCustomKeyStore":     storing(cluster),
		"DescribeCustomKeyStores":  &awskms.DescribeCustomKeyStoresInput{CustomKeyStoreId: storeID(store)},
		"ConnectCustomKeyStore":    &awskms.ConnectCustomKeyStoreInput{CustomKeyStoreId: storeID(store)},
		"DisconnectCustomKeyStore": &awskms.DisconnectCustomKeyStoreInput{CustomKeyStoreId: storeID(store)},
		"UpdateCustomKeyStore":     &awskms.UpdateCustomKeyStoreInput{CustomKeyStoreId: storeID(store), NewCustomKeyStoreName: s("renamed")},
		"DeleteCustomKeyStore":     &awskms.DeleteCustomKeyStoreInput{CustomKeyStoreId: storeID(store)},
	}
}

var _ = Describe("The stock of requests", func() {
	It("has one of each operation", func() {
		t := newStock()
		stores := onStores(&v1alpha1.HSMCluster{}, &v1alpha1.HSMCluster{})
		for name := range operations {
			if stores[name] == nil {
				Expect(t.request(name)).NotTo(BeNil(), name)
			}
		}
	})
})
