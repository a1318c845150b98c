package keys_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
)

// The table of the AWS documentation, written out so that it can be laid beside that page.
// https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
var specTable = []struct {
	spec       keys.Spec
	usages     string
	algorithms string
	rotates    bool
	secret     int // bytes, 0 for a private key
}{
	{"SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "", true, 32},
	{"RSA_2048", "ENCRYPT_DECRYPT SIGN_VERIFY", rsaAlgorithms, false, 0},
	{"RSA_3072", "ENCRYPT_DECRYPT SIGN_VERIFY", rsaAlgorithms, false, 0},
	{"RSA_4096", "ENCRYPT_DECRYPT SIGN_VERIFY", rsaAlgorithms, false, 0},
	{"ECC_NIST_P256", "SIGN_VERIFY KEY_AGREEMENT", "ECDSA_SHA_256", false, 0},
	{"ECC_NIST_P384", "SIGN_VERIFY KEY_AGREEMENT", "ECDSA_SHA_384", false, 0},
	{"ECC_NIST_P521", "SIGN_VERIFY KEY_AGREEMENT", "ECDSA_SHA_512", false, 0},
	{"HMAC_224", "GENERATE_VERIFY_MAC", "", false, 28},
	{"HMAC_256", "GENERATE_VERIFY_MAC", "", false, 32},
	{"HMAC_384", "GENERATE_VERIFY_MAC", "", false, 48},
	{"HMAC_512", "GENERATE_VERIFY_MAC", "", false, 64},
}

const rsaAlgorithms = "RSASSA_PKCS1_V1_5_SHA_256 RSASSA_PKCS1_V1_5_SHA_384 RSASSA_PKCS1_V1_5_SHA_512 " +
	"RSASSA_PSS_SHA_256 RSASSA_PSS_SHA_384 RSASSA_PSS_SHA_512"

var everyAlgorithm = []keys.SigningAlgorithm{
	keys.PSSSHA256, keys.PSSSHA384, keys.PSSSHA512, keys.PKCS1SHA256, keys.PKCS1SHA384, keys.PKCS1SHA512,
	keys.ECDSASHA256, keys.ECDSASHA384, keys.ECDSASHA512,
}

func TestAKeySpecHasTheUsageAlgorithmsAndRotationOfAWS(t *testing.T) {
	for _, row := range specTable {
		if !row.spec.Known() || row.spec.Rotates() != row.rotates || row.spec.Symmetric() != (row.secret != 0) || row.spec.SecretSize() != row.secret {
			t.Errorf("%s: known %v, rotates %v, a secret of %d bytes", row.spec, row.spec.Known(), row.spec.Rotates(), row.spec.SecretSize())
		}
		for _, u := range []keys.Usage{keys.EncryptDecrypt, keys.SignVerify, "", "KEY_AGREEMENT", "GENERATE_VERIFY_MAC", "ENCAPSULATE_DECAPSULATE"} {
			if row.spec.Allows(u) != slices.Contains(strings.Fields(row.usages), string(u)) {
				t.Errorf("%s allows %q: %v", row.spec, u, row.spec.Allows(u))
			}
		}
		var want []keys.SigningAlgorithm
		for _, a := range strings.Fields(row.algorithms) {
			want = append(want, keys.SigningAlgorithm(a))
		}
		if got := row.spec.SigningAlgorithms(); !slices.Equal(got, want) {
			t.Errorf("%s signs by %v", row.spec, got)
		}
		for _, a := range append(everyAlgorithm, "", "ED25519_SHA_512", "SYMMETRIC_DEFAULT") {
			if err := row.spec.CheckAlgorithm(a); (err == nil) != slices.Contains(want, a) || err != nil && !errors.Is(err, keys.ErrAlgorithm) {
				t.Errorf("%s by %q: %v", row.spec, a, err)
			}
		}
	}
}

func TestASpecThatThereIsNotAllowsNothing(t *testing.T) {
	for _, s := range []keys.Spec{"", "ECC_SECG_P256K1", "RSA_1024", "HMAC_1", "rsa_2048", "SYMMETRIC_DEFAULT "} {
		if s.Known() || s.Symmetric() || s.Rotates() || s.Allows(keys.SignVerify) || s.Allows(keys.EncryptDecrypt) || s.SigningAlgorithms() != nil {
			t.Errorf("%q allows something", s)
		}
		if _, err := keys.GeneratePrivateKey(s); !errors.Is(err, keys.ErrAlgorithm) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestWhoAsksForTheAlgorithmsGetsACopy(t *testing.T) {
	keys.RSA2048.SigningAlgorithms()[0] = "changed"
	if got := keys.RSA4096.SigningAlgorithms()[0]; got != keys.PKCS1SHA256 {
		t.Errorf("it was changed to %s", got)
	}
}

func TestAMessageIsHashedAndADigestIsNot(t *testing.T) {
	for a, size := range map[keys.SigningAlgorithm]int{
		keys.PSSSHA256: 32, keys.PKCS1SHA256: 32, keys.ECDSASHA256: 32, keys.PSSSHA384: 48, keys.PKCS1SHA384: 48, keys.ECDSASHA384: 48,
		keys.PSSSHA512: 64, keys.PKCS1SHA512: 64, keys.ECDSASHA512: 64,
	} {
		for length := range 100 {
			given := bytes.Repeat([]byte{9}, length)
			got, err := keys.Message{Bytes: given, Digested: true}.Digest(a)
			if length == size && (err != nil || !bytes.Equal(got, given)) || length != size && !errors.Is(err, keys.ErrDigestLength) {
				t.Errorf("%s of a digest of %d bytes: %x, %v", a, length, got, err)
			}
		}
		for _, length := range []int{0, 1, size, keys.MaxMessage, keys.MaxMessage + 1} {
			got, err := keys.Message{Bytes: make([]byte, length)}.Digest(a)
			if length > keys.MaxMessage {
				if !errors.Is(err, keys.ErrTooLarge) {
					t.Errorf("%s of %d bytes: %v", a, length, err)
				}
				continue
			}
			want := sha256.Sum256(make([]byte, length))
			if err != nil || len(got) != size || size == 32 && !bytes.Equal(got, want[:]) {
				t.Errorf("%s of %d bytes: %x, %v", a, length, got, err)
			}
		}
	}
	if _, err := (keys.Message{}).Digest("ED25519_SHA_512"); !errors.Is(err, keys.ErrAlgorithm) {
		t.Errorf("an algorithm that there is not: %v", err)
	}
}

func TestWhatACallerOfGoMeansIsTheAlgorithmOfTheKeySpecOrNone(t *testing.T) {
	pss := func(h crypto.Hash, salt int) crypto.SignerOpts { return &rsa.PSSOptions{Hash: h, SaltLength: salt} }
	for name, c := range map[string]struct {
		spec    keys.Spec
		options crypto.SignerOpts
		want    keys.SigningAlgorithm
	}{
		"PKCS#1":                            {keys.RSA2048, crypto.SHA256, keys.PKCS1SHA256},
		"PKCS#1, SHA-512":                   {keys.RSA4096, crypto.SHA512, keys.PKCS1SHA512},
		"PSS":                               {keys.RSA3072, pss(crypto.SHA384, rsa.PSSSaltLengthEqualsHash), keys.PSSSHA384},
		"PSS, the salt in bytes":            {keys.RSA3072, pss(crypto.SHA256, 32), keys.PSSSHA256},
		"PSS, the longest salt":             {keys.RSA2048, pss(crypto.SHA256, rsa.PSSSaltLengthAuto), ""},
		"PSS, a short salt":                 {keys.RSA2048, pss(crypto.SHA256, 20), ""},
		"PSS without a hash":                {keys.RSA2048, pss(0, rsa.PSSSaltLengthEqualsHash), ""},
		"PSS for an elliptic key":           {keys.NISTP256, pss(crypto.SHA256, 32), ""},
		"P-256":                             {keys.NISTP256, crypto.SHA256, keys.ECDSASHA256},
		"P-384":                             {keys.NISTP384, crypto.SHA384, keys.ECDSASHA384},
		"P-521":                             {keys.NISTP521, crypto.SHA512, keys.ECDSASHA512},
		"P-256 with a longer hash":          {keys.NISTP256, crypto.SHA384, ""},
		"P-384 with a shorter hash":         {keys.NISTP384, crypto.SHA256, ""},
		"SHA-1":                             {keys.RSA2048, crypto.SHA1, ""},
		"SHA-3":                             {keys.RSA2048, crypto.SHA3_256, ""},
		"no hash, as of a message unhashed": {keys.RSA2048, crypto.Hash(0), ""},
		"a symmetric key":                   {keys.SymmetricDefault, crypto.SHA256, ""},
	} {
		got, err := c.spec.AlgorithmFor(c.options)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, keys.ErrAlgorithm) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
