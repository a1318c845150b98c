package keys_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// needs are the usages that operations need, by AWS's page.
// https://docs.aws.amazon.com/kms/latest/developerguide/create-keys.html#key-usage
var needs = map[keys.Operation]keys.Usage{
	keys.Encrypt: keys.EncryptDecrypt, keys.Decrypt: keys.EncryptDecrypt, keys.ReEncrypt: keys.EncryptDecrypt,
	keys.GenerateDataKey: keys.EncryptDecrypt, keys.GenerateDataKeyWithoutPlaintext: keys.EncryptDecrypt,
	keys.GenerateDataKeyPair: keys.EncryptDecrypt, keys.GenerateDataKeyPairWithoutPlaintext: keys.EncryptDecrypt,
	keys.Sign: keys.SignVerify, keys.Verify: keys.SignVerify,
	keys.GenerateMac: keys.GenerateVerifyMac, keys.VerifyMac: keys.GenerateVerifyMac, keys.DeriveSharedSecret: keys.KeyAgreement,
	keys.Encapsulate: keys.EncapsulateDecapsulate, keys.Decapsulate: keys.EncapsulateDecapsulate,
}

func TestAUsageAllowsTheOperationsOfItsOwnAndAllThatDoNotDependOnIt(t *testing.T) {
	for operation := range table { // of states: all operations
		needed, depends := needs[operation]
		for _, usage := range []keys.Usage{keys.EncryptDecrypt, keys.SignVerify, keys.GenerateVerifyMac, keys.KeyAgreement, keys.EncapsulateDecapsulate, ""} {
			err := usage.CheckUsage(operation)
			if refused := depends && usage != needed; refused != (err != nil) || refused != errors.Is(err, keys.ErrKeyUsage) {
				t.Errorf("%s on a key for %q: %v", operation, usage, err)
			}
		}
	}
}

func TestOnlySymmetricKeysMakeDataKeys(t *testing.T) {
	for _, row := range specTable {
		for operation := range needs {
			err := row.spec.CheckOperation(operation)
			refused := strings.HasPrefix(string(operation), "GenerateDataKey") && row.spec != keys.SymmetricDefault
			if (err != nil) != refused || err != nil && !errors.Is(err, keys.ErrAlgorithm) {
				t.Errorf("%s by %s: %v", operation, row.spec, err)
			}
		}
	}
}

func TestAKeySpecEncryptsAndMakesCodesByTheAlgorithmsOfAWS(t *testing.T) {
	rsa := []keys.EncryptionAlgorithm{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}
	encrypts := map[keys.Spec][]keys.EncryptionAlgorithm{
		keys.SymmetricDefault: {"SYMMETRIC_DEFAULT"}, keys.RSA2048: rsa, keys.RSA3072: rsa, keys.RSA4096: rsa,
	}
	codes := map[keys.Spec]keys.MacAlgorithm{
		keys.HMAC224: "HMAC_SHA_224", keys.HMAC256: "HMAC_SHA_256", keys.HMAC384: "HMAC_SHA_384", keys.HMAC512: "HMAC_SHA_512",
	}
	encapsulates := map[keys.Spec][]keys.EncapsulationAlgorithm{keys.MLKEM768: {"ML_KEM"}, keys.MLKEM1024: {"ML_KEM"}}
	for _, row := range specTable {
		if got := row.spec.EncapsulationAlgorithms(); !slices.Equal(got, encapsulates[row.spec]) {
			t.Errorf("%s encapsulates by %v", row.spec, got)
		}
		for _, a := range []keys.EncapsulationAlgorithm{"ML_KEM", "ML_KEM_768", "ml_kem", ""} {
			if err := row.spec.CheckEncapsulation(a); (err == nil) != slices.Contains(encapsulates[row.spec], a) || err != nil && !errors.Is(err, keys.ErrAlgorithm) {
				t.Errorf("%s by %q: %v", row.spec, a, err)
			}
		}
		if got := row.spec.EncryptionAlgorithms(); !slices.Equal(got, encrypts[row.spec]) {
			t.Errorf("%s encrypts by %v", row.spec, got)
		}
		if got := row.spec.MacAlgorithm(); got != codes[row.spec] {
			t.Errorf("%s makes codes by %q", row.spec, got)
		}
		for _, a := range []keys.EncryptionAlgorithm{"SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE", ""} {
			if err := row.spec.CheckEncryption(a); (err == nil) != slices.Contains(encrypts[row.spec], a) || err != nil && !errors.Is(err, keys.ErrAlgorithm) {
				t.Errorf("%s by %q: %v", row.spec, a, err)
			}
		}
		for _, a := range []keys.MacAlgorithm{"HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512", "HMAC_SHA_1", ""} {
			if err := row.spec.CheckMac(a); (err == nil) != (a != "" && codes[row.spec] == a) || err != nil && !errors.Is(err, keys.ErrAlgorithm) {
				t.Errorf("%s by %q: %v", row.spec, a, err)
			}
		}
	}
}

// The limits of AWS's page, in bytes.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
func TestOAEPEncryptsUpToAWSsLimitAndNotOneByteMore(t *testing.T) {
	for _, row := range []struct {
		spec      keys.Spec
		algorithm keys.EncryptionAlgorithm
		most      int
	}{
		{keys.RSA2048, keys.OAEPSHA1, 214}, {keys.RSA2048, keys.OAEPSHA256, 190},
		{keys.RSA3072, keys.OAEPSHA1, 342}, {keys.RSA3072, keys.OAEPSHA256, 318},
		{keys.RSA4096, keys.OAEPSHA1, 470}, {keys.RSA4096, keys.OAEPSHA256, 446},
	} {
		if got := row.spec.MaxEncrypted(row.algorithm); got != row.most {
			t.Errorf("%s by %s: %d", row.spec, row.algorithm, got)
		}
		key := private(t, row.spec)
		for _, length := range []int{0, 1, row.most} {
			plaintext := counting(1, length)
			ciphertext, err := key.Public().Encrypt(row.algorithm, secretbytes.Copy(plaintext))
			if err != nil {
				t.Fatalf("%s, %d bytes by %s: %v", row.spec, length, row.algorithm, err)
			}
			again, err := key.Public().Encrypt(row.algorithm, secretbytes.Copy(plaintext))
			if err != nil || bytes.Equal(ciphertext, again) {
				t.Errorf("%s encrypts the same twice: %v", row.spec, err)
			}
			opened, err := key.Decrypt(row.algorithm, ciphertext)
			if err != nil || !bytes.Equal(opened.Reveal(), plaintext) {
				t.Errorf("%s, %d bytes by %s: %v", row.spec, length, row.algorithm, err)
			}
		}
		if _, err := key.Public().Encrypt(row.algorithm, secretbytes.Copy(make([]byte, row.most+1))); !errors.Is(err, keys.ErrTooLarge) {
			t.Errorf("%s takes a byte more by %s: %v", row.spec, row.algorithm, err)
		}
	}
	for _, spec := range []keys.Spec{keys.NISTP256, keys.SymmetricDefault, keys.HMAC256} {
		if most := spec.MaxEncrypted(keys.OAEPSHA256); most != 0 {
			t.Errorf("%s encrypts %d bytes", spec, most)
		}
	}
}

func TestACiphertextOfRSAOpensByItsKeyAndAlgorithmAlone(t *testing.T) {
	key, other := private(t, keys.RSA2048), private(t, keys.RSA3072)
	good, err := key.Public().Encrypt(keys.OAEPSHA256, secretbytes.Copy([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"nothing": nil, "a byte": {1}, "a bit": damage(good), "one byte less": good[1:], "one byte more": append(slices.Clone(good), 0),
		"all ones": bytes.Repeat([]byte{0xff}, len(good)),
	} {
		if _, err := key.Decrypt(keys.OAEPSHA256, damaged); err != keys.ErrInvalidCiphertext { //nolint:errorlint // the error itself
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := key.Decrypt(keys.OAEPSHA1, good); err != keys.ErrInvalidCiphertext { //nolint:errorlint // the error itself
		t.Errorf("by another algorithm: %v", err)
	}
	if _, err := other.Decrypt(keys.OAEPSHA256, good); err != keys.ErrInvalidCiphertext { //nolint:errorlint // the error itself
		t.Errorf("by another key: %v", err)
	}
}

func damage(good []byte) []byte {
	damaged := slices.Clone(good)
	damaged[100] ^= 1
	return damaged
}

func TestKeysRefuseWhatTheirSpecIsNotFor(t *testing.T) {
	rsa, curve := private(t, keys.RSA2048), private(t, keys.NISTP256)
	for name, do := range map[string]func() error{
		"encrypting on a curve": func() error { _, err := curve.Public().Encrypt(keys.OAEPSHA256, secretbytes.Bytes{}); return err },
		"decrypting on a curve": func() error { _, err := curve.Decrypt(keys.OAEPSHA256, []byte("x")); return err },
		"an algorithm of none":  func() error { _, err := rsa.Public().Encrypt("RSAES_PKCS1_V1_5", secretbytes.Bytes{}); return err },
		"decrypting by none":    func() error { _, err := rsa.Decrypt(keys.SymmetricEncryption, []byte("x")); return err },
		"encapsulating by RSA":  func() error { _, _, err := rsa.Public().Encapsulate(keys.MLKEM); return err },
		"decapsulating by RSA":  func() error { _, err := rsa.Decapsulate(keys.MLKEM, make([]byte, 1088)); return err },
		"agreeing by RSA":       func() error { _, err := rsa.SharedSecret(curve.Public()); return err },
		"a code by another hash": func() error {
			_, err := keys.HMAC256.Mac(secretbytes.Copy(make([]byte, 32)), keys.HMACSHA512, nil)
			return err
		},
		"a code by a public spec": func() error {
			_, err := keys.RSA2048.Mac(secretbytes.Copy(make([]byte, 32)), keys.HMACSHA256, nil)
			return err
		},
	} {
		if err := do(); !errors.Is(err, keys.ErrAlgorithm) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, peer := range []keys.Spec{keys.NISTP384, keys.RSA2048} {
		if _, err := curve.SharedSecret(private(t, peer).Public()); !errors.Is(err, keys.ErrInvalidPublicKey) {
			t.Errorf("agreeing with %s: %v", peer, err)
		}
	}
}

func TestTwoKeysAgreeFromBothSides(t *testing.T) {
	for _, spec := range []keys.Spec{keys.NISTP256, keys.NISTP384, keys.NISTP521} {
		mine := private(t, spec)
		pkcs8, err := keys.GeneratePrivateKey(spec)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := keys.ParsePrivateKey(spec, pkcs8)
		if err != nil {
			t.Fatal(err)
		}
		one, err := mine.SharedSecret(theirs.Public())
		if err != nil {
			t.Fatal(err)
		}
		two, err := theirs.SharedSecret(mine.Public())
		if err != nil || !one.Equal(two) || one.Len() != map[keys.Spec]int{keys.NISTP256: 32, keys.NISTP384: 48, keys.NISTP521: 66}[spec] {
			t.Errorf("%s: %d bytes, %v", spec, one.Len(), err)
		}
	}
}

func TestACodeIsOfAMessageUpToItsLimit(t *testing.T) {
	key := secretbytes.Copy(make([]byte, 48))
	if _, err := keys.HMAC384.Mac(key, keys.HMACSHA384, make([]byte, keys.MaxMessage)); err != nil {
		t.Error(err)
	}
	if _, err := keys.HMAC384.Mac(key, keys.HMACSHA384, make([]byte, keys.MaxMessage+1)); !errors.Is(err, keys.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
}

// What a caller of Decrypt or DeriveSharedSecret sends is opened, or refused by one error.
func FuzzOpenAndAgree(f *testing.F) {
	rsa, curve := private(f, keys.RSA2048), private(f, keys.NISTP256)
	good, err := rsa.Public().Encrypt(keys.OAEPSHA256, secretbytes.Copy([]byte("x")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(curve.Public().DER())
	f.Add(rsa.Public().DER())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, algorithm := range keys.RSA2048.EncryptionAlgorithms() {
			if _, err := rsa.Decrypt(algorithm, sent); err != nil && err != keys.ErrInvalidCiphertext { //nolint:errorlint // the error itself
				t.Error(err)
			}
		}
		peer, err := keys.ParsePublicKey(keys.NISTP256, sent)
		if err == nil {
			_, err = curve.SharedSecret(peer)
		}
		if err != nil && !errors.Is(err, keys.ErrInvalidPublicKey) {
			t.Error(err)
		}
	})
}
