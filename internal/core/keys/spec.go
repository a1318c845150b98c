package keys

import (
	_ "crypto/sha256" // the hashes of SigningAlgorithm
	_ "crypto/sha512"
	"errors"
	"fmt"
	"slices"
)

// Spec is the type of a KMS key's material, by AWS's name.
// https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
type Spec string

// The key specs that there are.
const (
	// SymmetricDefault is a 256-bit AES key.
	SymmetricDefault Spec = "SYMMETRIC_DEFAULT"
	// RSA keys, of 2048, 3072 and 4096 bits, with the public exponent 65537.
	RSA2048 Spec = "RSA_2048"
	RSA3072 Spec = "RSA_3072"
	RSA4096 Spec = "RSA_4096"
	// Keys on the curves of FIPS 186-5.
	NISTP256 Spec = "ECC_NIST_P256"
	NISTP384 Spec = "ECC_NIST_P384"
	NISTP521 Spec = "ECC_NIST_P521"
	// EDWARDS25519 keys are of Ed25519 (RFC 8032).
	EDWARDS25519 Spec = "ECC_NIST_EDWARDS25519"
	// SECGP256K1 keys are on the curve secp256k1 (SEC 2, section 2.4.1), that of cryptocurrencies. It is none of NIST's.
	SECGP256K1 Spec = "ECC_SECG_P256K1"
	// Keys of ML-DSA (FIPS 204), of the security categories 2, 3 and 5.
	MLDSA44 Spec = "ML_DSA_44"
	MLDSA65 Spec = "ML_DSA_65"
	MLDSA87 Spec = "ML_DSA_87"
	// Keys of ML-KEM (FIPS 203), of the security categories 3 and 5. AWS KMS has ML_KEM_512 too, which Go's module has not.
	MLKEM768  Spec = "ML_KEM_768"
	MLKEM1024 Spec = "ML_KEM_1024"
	// Keys of HMAC, as long as the digest: 28, 32, 48 and 64 bytes.
	HMAC224 Spec = "HMAC_224"
	HMAC256 Spec = "HMAC_256"
	HMAC384 Spec = "HMAC_384"
	HMAC512 Spec = "HMAC_512"
)

// Usage is what a KMS key is for, by AWS's name. A key has one, and for ever.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html#KMS-CreateKey-request-KeyUsage
type Usage string

// The usages that there are.
const (
	// EncryptDecrypt keys encrypt and decrypt. Symmetric ones make data keys, too.
	EncryptDecrypt Usage = "ENCRYPT_DECRYPT"
	// SignVerify keys sign and verify.
	SignVerify Usage = "SIGN_VERIFY"
	// GenerateVerifyMac keys make and check message authentication codes.
	GenerateVerifyMac Usage = "GENERATE_VERIFY_MAC"
	// KeyAgreement keys derive secrets that they share with the keys of others.
	KeyAgreement Usage = "KEY_AGREEMENT"
	// EncapsulateDecapsulate keys give secrets to who has the private key, by the public one.
	EncapsulateDecapsulate Usage = "ENCAPSULATE_DECAPSULATE"
)

// SigningAlgorithm is how a message is signed, by AWS's name.
// https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html#key-spec-rsa-sign
type SigningAlgorithm string

// The signing algorithms that there are. RSASSA is RFC 8017's; the salt of PSS is as long as the digest, and its mask generation
// function is MGF1 with the same hash. ECDSA is FIPS 186-5's, and its signatures are the DER of RFC 3279, section 2.2.3. Ed25519 and Ed25519ph are
// RFC 8032's, and ML-DSA is FIPS 204's, without a context.
const (
	PSSSHA256   SigningAlgorithm = "RSASSA_PSS_SHA_256"
	PSSSHA384   SigningAlgorithm = "RSASSA_PSS_SHA_384"
	PSSSHA512   SigningAlgorithm = "RSASSA_PSS_SHA_512"
	PKCS1SHA256 SigningAlgorithm = "RSASSA_PKCS1_V1_5_SHA_256"
	PKCS1SHA384 SigningAlgorithm = "RSASSA_PKCS1_V1_5_SHA_384"
	PKCS1SHA512 SigningAlgorithm = "RSASSA_PKCS1_V1_5_SHA_512"
	ECDSASHA256 SigningAlgorithm = "ECDSA_SHA_256"
	ECDSASHA384 SigningAlgorithm = "ECDSA_SHA_384"
	ECDSASHA512 SigningAlgorithm = "ECDSA_SHA_512"

	ED25519SHA512   SigningAlgorithm = "ED25519_SHA_512"
	ED25519PHSHA512 SigningAlgorithm = "ED25519_PH_SHA_512"
	MLDSASHAKE256   SigningAlgorithm = "ML_DSA_SHAKE_256"
)

var (
	// ErrKeyUsage says that a key's usage does not allow an operation. It is AWS KMS's InvalidKeyUsageException.
	ErrKeyUsage = errors.New("the key's usage does not allow this")
	// ErrAlgorithm says that a key spec has no such algorithm. It is AWS KMS's InvalidKeyUsageException too.
	ErrAlgorithm = errors.New("the key spec does not allow this algorithm")
)

// specification is what there is to know of a key spec.
type specification struct {
	usages  []Usage // the first one is that of keys that name none, if there is no other
	signing []SigningAlgorithm
	// encryption are the algorithms of keys that encrypt, in AWS's order.
	encryption []EncryptionAlgorithm
	// mac is that of keys that make such codes.
	mac MacAlgorithm
	// bits of an RSA modulus.
	bits int
	// secret is the length of a key that is one secret, in bytes.
	secret int
	// rotates tells that new material can take the place of older material, which goes on decrypting.
	rotates bool
	// outside tells that Go's FIPS 140-3 module has no such keys.
	outside bool
}

var (
	rsaSigning    = []SigningAlgorithm{PKCS1SHA256, PKCS1SHA384, PKCS1SHA512, PSSSHA256, PSSSHA384, PSSSHA512} // in AWS's order
	rsaEncryption = []EncryptionAlgorithm{OAEPSHA1, OAEPSHA256}
	rsaUsages     = []Usage{EncryptDecrypt, SignVerify}
	curveUsages   = []Usage{SignVerify, KeyAgreement}
	macUsages     = []Usage{GenerateVerifyMac}
	signUsages    = []Usage{SignVerify}
	kemUsages     = []Usage{EncapsulateDecapsulate}
	mldsaSigning  = []SigningAlgorithm{MLDSASHAKE256}

	// specifications has an entry for each Spec.
	specifications = map[Spec]specification{
		SymmetricDefault: {usages: []Usage{EncryptDecrypt}, encryption: []EncryptionAlgorithm{SymmetricEncryption}, secret: KeySize, rotates: true},
		RSA2048:          {usages: rsaUsages, signing: rsaSigning, encryption: rsaEncryption, bits: 2048},
		RSA3072:          {usages: rsaUsages, signing: rsaSigning, encryption: rsaEncryption, bits: 3072},
		RSA4096:          {usages: rsaUsages, signing: rsaSigning, encryption: rsaEncryption, bits: 4096},
		NISTP256:         {usages: curveUsages, signing: []SigningAlgorithm{ECDSASHA256}},
		NISTP384:         {usages: curveUsages, signing: []SigningAlgorithm{ECDSASHA384}},
		NISTP521:         {usages: curveUsages, signing: []SigningAlgorithm{ECDSASHA512}},
		EDWARDS25519:     {usages: signUsages, signing: []SigningAlgorithm{ED25519PHSHA512, ED25519SHA512}},
		SECGP256K1:       {usages: signUsages, signing: []SigningAlgorithm{ECDSASHA256}, outside: true},
		MLDSA44:          {usages: signUsages, signing: mldsaSigning},
		MLDSA65:          {usages: signUsages, signing: mldsaSigning},
		MLDSA87:          {usages: signUsages, signing: mldsaSigning},
		MLKEM768:         {usages: kemUsages},
		MLKEM1024:        {usages: kemUsages},
		HMAC224:          {usages: macUsages, mac: HMACSHA224, secret: 28},
		HMAC256:          {usages: macUsages, mac: HMACSHA256, secret: 32},
		HMAC384:          {usages: macUsages, mac: HMACSHA384, secret: 48},
		HMAC512:          {usages: macUsages, mac: HMACSHA512, secret: 64},
	}
)

// Known tells whether there are keys of this spec.
func (s Spec) Known() bool {
	_, ok := specifications[s]
	return ok
}

// Symmetric tells that the material is one secret key, of SecretSize bytes. That of all others is a private key, of which GetPublicKey
// answers the other half.
func (s Spec) Symmetric() bool { return s.SecretSize() != 0 }

// SecretSize is the length of the material of a Symmetric spec in bytes, 0 for all others.
func (s Spec) SecretSize() int { return specifications[s].secret }

// Allows tells whether a key of this spec can be for that.
func (s Spec) Allows(u Usage) bool { return slices.Contains(specifications[s].usages, u) }

// Rotates tells whether the key material can be rotated: AWS KMS rotates that of symmetric keys alone.
// https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
func (s Spec) Rotates() bool { return specifications[s].rotates }

// SigningAlgorithms of a key of this spec and the usage SignVerify, in AWS's order. It is nil for keys that never sign.
func (s Spec) SigningAlgorithms() []SigningAlgorithm { return slices.Clone(specifications[s].signing) }

// EncryptionAlgorithms of a key of this spec and the usage EncryptDecrypt, in AWS's order. It is nil for keys that never encrypt.
func (s Spec) EncryptionAlgorithms() []EncryptionAlgorithm {
	return slices.Clone(specifications[s].encryption)
}

// MacAlgorithm of a key of this spec, empty if it makes no message authentication codes.
func (s Spec) MacAlgorithm() MacAlgorithm { return specifications[s].mac }

// CheckAlgorithm fails with ErrAlgorithm unless keys of this spec sign by that algorithm.
func (s Spec) CheckAlgorithm(a SigningAlgorithm) error {
	if !slices.Contains(specifications[s].signing, a) {
		return fmt.Errorf("%w: %.40q is not for keys of the spec %.40q", ErrAlgorithm, string(a), string(s))
	}
	return nil
}

// CheckEncryption fails with ErrAlgorithm unless keys of this spec encrypt by that algorithm.
func (s Spec) CheckEncryption(a EncryptionAlgorithm) error {
	if !slices.Contains(specifications[s].encryption, a) {
		return fmt.Errorf("%w: %.40q is not for keys of the spec %.40q", ErrAlgorithm, string(a), string(s))
	}
	return nil
}

// CheckMac fails with ErrAlgorithm unless keys of this spec make codes by that algorithm.
func (s Spec) CheckMac(a MacAlgorithm) error {
	if a == "" || specifications[s].mac != a {
		return fmt.Errorf("%w: %.40q is not for keys of the spec %.40q", ErrAlgorithm, string(a), string(s))
	}
	return nil
}

// usages that operations need. What is not here does not depend on it.
var usages = map[Operation]Usage{
	Encrypt: EncryptDecrypt, Decrypt: EncryptDecrypt, ReEncrypt: EncryptDecrypt, GenerateDataKey: EncryptDecrypt,
	GenerateDataKeyWithoutPlaintext: EncryptDecrypt, GenerateDataKeyPair: EncryptDecrypt,
	GenerateDataKeyPairWithoutPlaintext: EncryptDecrypt,
	Sign:                                SignVerify, Verify: SignVerify,
	GenerateMac: GenerateVerifyMac, VerifyMac: GenerateVerifyMac, DeriveSharedSecret: KeyAgreement,
	Encapsulate: EncapsulateDecapsulate, Decapsulate: EncapsulateDecapsulate,
}

// dataKeys are the operations for which AWS KMS has symmetric keys alone.
// https://docs.aws.amazon.com/kms/latest/developerguide/data-keys.html
var dataKeys = []Operation{
	GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext,
}

// CheckOperation fails with ErrAlgorithm unless keys of this spec and the usage that the operation needs may be asked for it: data keys are
// made by symmetric keys alone.
func (s Spec) CheckOperation(operation Operation) error {
	if slices.Contains(dataKeys, operation) {
		return s.CheckEncryption(SymmetricEncryption)
	}
	return nil
}

// CheckUsage fails with ErrKeyUsage unless a key of this usage may be asked for an operation.
// https://docs.aws.amazon.com/kms/latest/developerguide/create-keys.html#key-usage
func (u Usage) CheckUsage(operation Operation) error {
	if needed, ok := usages[operation]; ok && needed != u {
		return fmt.Errorf("%w: it is %s, and %s needs %s", ErrKeyUsage, u, operation, needed)
	}
	return nil
}
