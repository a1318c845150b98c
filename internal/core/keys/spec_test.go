package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
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
	{"ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "ED25519_PH_SHA_512 ED25519_SHA_512", false, 0},
	{"ECC_SECG_P256K1", "SIGN_VERIFY", "ECDSA_SHA_256", false, 0},
	{"ML_DSA_44", "SIGN_VERIFY", "ML_DSA_SHAKE_256", false, 0},
	{"ML_DSA_65", "SIGN_VERIFY", "ML_DSA_SHAKE_256", false, 0},
	{"ML_DSA_87", "SIGN_VERIFY", "ML_DSA_SHAKE_256", false, 0},
	{"ML_KEM_768", "ENCAPSULATE_DECAPSULATE", "", false, 0},
	{"ML_KEM_1024", "ENCAPSULATE_DECAPSULATE", "", false, 0},
	{"HMAC_224", "GENERATE_VERIFY_MAC", "", false, 28},
	{"HMAC_256", "GENERATE_VERIFY_MAC", "", false, 32},
	{"HMAC_384", "GENERATE_VERIFY_MAC", "", false, 48},
	{"HMAC_512", "GENERATE_VERIFY_MAC", "", false, 64},
}

const rsaAlgorithms = "RSASSA_PKCS1_V1_5_SHA_256 RSASSA_PKCS1_V1_5_SHA_384 RSASSA_PKCS1_V1_5_SHA_512 " +
	"RSASSA_PSS_SHA_256 RSASSA_PSS_SHA_384 RSASSA_PSS_SHA_512"

var everyAlgorithm = []keys.SigningAlgorithm{
	keys.PSSSHA256, keys.PSSSHA384, keys.PSSSHA512, keys.PKCS1SHA256, keys.PKCS1SHA384, keys.PKCS1SHA512,
	keys.ECDSASHA256, keys.ECDSASHA384, keys.ECDSASHA512, keys.ED25519SHA512, keys.ED25519PHSHA512, keys.MLDSASHAKE256,
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
		for _, a := range append(everyAlgorithm, "", "SM2DSA", "SYMMETRIC_DEFAULT") {
			if err := row.spec.CheckAlgorithm(a); (err == nil) != slices.Contains(want, a) || err != nil && !errors.Is(err, keys.ErrAlgorithm) {
				t.Errorf("%s by %q: %v", row.spec, a, err)
			}
		}
	}
}

func TestASpecThatThereIsNotAllowsNothing(t *testing.T) {
	for _, s := range []keys.Spec{"", "SM2", "ML_KEM_512", "RSA_1024", "HMAC_1", "rsa_2048", "SYMMETRIC_DEFAULT "} {
		if s.Known() || s.Symmetric() || s.Rotates() || s.Allows(keys.SignVerify) || s.Allows(keys.EncryptDecrypt) || s.SigningAlgorithms() != nil ||
			s.Allows(keys.EncapsulateDecapsulate) || s.EncapsulationAlgorithms() != nil {
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
			got, err := keys.Message{Bytes: given, Type: keys.Digested}.Digest(a)
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
	if _, err := (keys.Message{}).Digest("SM2DSA"); !errors.Is(err, keys.ErrAlgorithm) {
		t.Errorf("an algorithm that there is not: %v", err)
	}
}

func TestAnAlgorithmTakesItsMessageTypesAlone(t *testing.T) {
	for _, a := range everyAlgorithm {
		takes := []keys.MessageType{"", keys.Raw, keys.Digested}
		switch a {
		case keys.ED25519SHA512:
			takes = []keys.MessageType{"", keys.Raw}
		case keys.ED25519PHSHA512:
			takes = []keys.MessageType{keys.Digested}
		case keys.MLDSASHAKE256:
			takes = []keys.MessageType{"", keys.Raw, keys.ExternalMu}
		}
		for _, as := range []keys.MessageType{"", keys.Raw, keys.Digested, keys.ExternalMu, "raw", "MU"} {
			err := keys.Message{Bytes: make([]byte, 64), Type: as}.Check(a)
			if refused := !slices.Contains(takes, as); refused != errors.Is(err, keys.ErrMessageType) {
				t.Errorf("%s of %q: %v", a, as, err)
			}
		}
	}
}

// What the algorithm hashes itself is not hashed before, and Ed25519ph's digest is hashed once more, as AWS KMS does.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html#KMS-Sign-request-MessageType
func TestWhatIsSignedIsTheMessageWhereTheAlgorithmHashes(t *testing.T) {
	given := counting(1, 64)
	again := sha512.Sum512(given)
	for _, row := range []struct {
		algorithm keys.SigningAlgorithm
		as        keys.MessageType
		want      []byte
	}{
		{keys.ED25519SHA512, keys.Raw, given}, {keys.MLDSASHAKE256, keys.Raw, given}, {keys.MLDSASHAKE256, keys.ExternalMu, given},
		{keys.ED25519PHSHA512, keys.Digested, again[:]},
	} {
		got, err := keys.Message{Bytes: given, Type: row.as}.Digest(row.algorithm)
		if err != nil || !bytes.Equal(got, row.want) {
			t.Errorf("%s of %s: %x, %v", row.algorithm, row.as, got, err)
		}
	}
	for length := range 130 {
		for a, as := range map[keys.SigningAlgorithm]keys.MessageType{keys.ED25519PHSHA512: keys.Digested, keys.MLDSASHAKE256: keys.ExternalMu} {
			err := keys.Message{Bytes: make([]byte, length), Type: as}.Check(a)
			if (err != nil) != (length != 64) || err != nil && !errors.Is(err, keys.ErrDigestLength) {
				t.Errorf("%d bytes for %s: %v", length, a, err)
			}
		}
	}
	for _, a := range []keys.SigningAlgorithm{keys.ED25519SHA512, keys.MLDSASHAKE256} {
		if err := (keys.Message{Bytes: make([]byte, keys.MaxMessage+1)}).Check(a); !errors.Is(err, keys.ErrTooLarge) {
			t.Errorf("a message over the limit by %s: %v", a, err)
		}
	}
}

func TestWhatACallerOfGoMeansIsTheAlgorithmOfTheKeySpecOrNone(t *testing.T) {
	pss := func(h crypto.Hash, salt int) crypto.SignerOpts { return &rsa.PSSOptions{Hash: h, SaltLength: salt} }
	for name, c := range map[string]struct {
		spec    keys.Spec
		options crypto.SignerOpts
		want    keys.SigningAlgorithm
		as      keys.MessageType
	}{
		"PKCS#1":                            {keys.RSA2048, crypto.SHA256, keys.PKCS1SHA256, keys.Digested},
		"PKCS#1, SHA-512":                   {keys.RSA4096, crypto.SHA512, keys.PKCS1SHA512, keys.Digested},
		"PSS":                               {keys.RSA3072, pss(crypto.SHA384, rsa.PSSSaltLengthEqualsHash), keys.PSSSHA384, keys.Digested},
		"PSS, the salt in bytes":            {keys.RSA3072, pss(crypto.SHA256, 32), keys.PSSSHA256, keys.Digested},
		"PSS, the longest salt":             {keys.RSA2048, pss(crypto.SHA256, rsa.PSSSaltLengthAuto), "", ""},
		"PSS, a short salt":                 {keys.RSA2048, pss(crypto.SHA256, 20), "", ""},
		"PSS without a hash":                {keys.RSA2048, pss(0, rsa.PSSSaltLengthEqualsHash), "", ""},
		"PSS for an elliptic key":           {keys.NISTP256, pss(crypto.SHA256, 32), "", ""},
		"P-256":                             {keys.NISTP256, crypto.SHA256, keys.ECDSASHA256, keys.Digested},
		"P-384":                             {keys.NISTP384, crypto.SHA384, keys.ECDSASHA384, keys.Digested},
		"P-521":                             {keys.NISTP521, crypto.SHA512, keys.ECDSASHA512, keys.Digested},
		"P-256 with a longer hash":          {keys.NISTP256, crypto.SHA384, "", ""},
		"P-384 with a shorter hash":         {keys.NISTP384, crypto.SHA256, "", ""},
		"SHA-1":                             {keys.RSA2048, crypto.SHA1, "", ""},
		"SHA-3":                             {keys.RSA2048, crypto.SHA3_256, "", ""},
		"no hash, as of a message unhashed": {keys.RSA2048, crypto.Hash(0), "", ""},
		"Ed25519":                           {keys.EDWARDS25519, crypto.Hash(0), keys.ED25519SHA512, keys.Raw},
		"Ed25519ph, whose hash comes first": {keys.EDWARDS25519, &ed25519.Options{Hash: crypto.SHA512}, "", ""},
		"secp256k1":                         {keys.SECGP256K1, crypto.SHA256, keys.ECDSASHA256, keys.Digested},
		"ML-DSA":                            {keys.MLDSA44, &mldsa.Options{}, keys.MLDSASHAKE256, keys.Raw},
		"ML-DSA of a μ":                     {keys.MLDSA87, crypto.MLDSAMu, keys.MLDSASHAKE256, keys.ExternalMu},
		"ML-DSA of a digest":                {keys.MLDSA65, crypto.SHA512, "", ""},
		"a μ for another key":               {keys.RSA2048, crypto.MLDSAMu, "", ""},
		"a key that encapsulates":           {keys.MLKEM768, crypto.SHA256, "", ""},
		"a symmetric key":                   {keys.SymmetricDefault, crypto.SHA256, "", ""},
	} {
		got, as, err := c.spec.MessageFor(c.options)
		if got != c.want || as != c.as || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, keys.ErrAlgorithm) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
