package keyimport_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keyimport"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

var algorithms = []keyimport.Algorithm{keyimport.OAEPSHA1, keyimport.OAEPSHA256, keyimport.RSAAESKeyWrapSHA1, keyimport.RSAAESKeyWrap256}

// The table of AWS's page on wrapping algorithms, a row a type of key material: which of the four are for it under RSA_2048, and under longer keys.
// https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-get-public-key-and-token.html#select-wrapping-algorithm
func TestEachTypeOfMaterialIsWrappedByAWSsAlgorithms(t *testing.T) {
	for spec, row := range map[keys.Spec][2]string{
		keys.SymmetricDefault: {"yynn", "yynn"}, keys.HMAC224: {"yynn", "yynn"}, keys.HMAC256: {"yynn", "yynn"}, keys.HMAC384: {"yynn", "yynn"},
		keys.HMAC512: {"yynn", "yynn"}, keys.NISTP256: {"yyyy", "yyyy"}, keys.NISTP384: {"yyyy", "yyyy"}, keys.NISTP521: {"nnyy", "yyyy"},
		keys.RSA2048: {"nnyy", "nnyy"}, keys.RSA3072: {"nnyy", "nnyy"}, keys.RSA4096: {"nnyy", "nnyy"},
		keys.MLKEM768: {"nnyy", "nnyy"}, keys.MLKEM1024: {"nnyy", "nnyy"},
	} {
		for i, a := range algorithms {
			for _, wrapping := range []keys.Spec{keys.RSA2048, keys.RSA3072, keys.RSA4096} {
				want := row[1][i] == 'y'
				if wrapping == keys.RSA2048 {
					want = row[0][i] == 'y'
				}
				if err := keyimport.Check(spec, a, wrapping); (err == nil) != want || err != nil && !errors.Is(err, keyimport.ErrUnsupported) {
					t.Errorf("%s by %s under %s: %v", spec, a, wrapping, err)
				}
			}
		}
	}
}

func TestWhatAWSWrapsByNoMoreAndWhatItNeverDidIsRefused(t *testing.T) {
	for _, a := range []keyimport.Algorithm{"RSAES_PKCS1_V1_5", "SM2PKE", "", "rsaes_oaep_sha_256"} {
		if err := keyimport.Check(keys.SymmetricDefault, a, keys.RSA2048); !errors.Is(err, keyimport.ErrUnsupported) {
			t.Errorf("%s: %v", a, err)
		}
		if _, err := keyimport.NewToken(ring(t), keyARN, a, keys.RSA2048, private(t, keys.RSA2048), begin); !errors.Is(err, keyimport.ErrUnsupported) {
			t.Errorf("a token by %s: %v", a, err)
		}
	}
	for _, wrapping := range []keys.Spec{"SM2", keys.NISTP256, keys.SymmetricDefault, ""} {
		if err := keyimport.Check(keys.SymmetricDefault, keyimport.OAEPSHA256, wrapping); !errors.Is(err, keyimport.ErrUnsupported) {
			t.Errorf("under %s: %v", wrapping, err)
		}
		if _, err := keyimport.NewToken(ring(t), keyARN, keyimport.OAEPSHA256, wrapping, private(t, keys.RSA2048), begin); !errors.Is(err, keyimport.ErrUnsupported) {
			t.Errorf("a token under %s: %v", wrapping, err)
		}
	}
}

func TestMaterialComesOutAsItWasWrapped(t *testing.T) {
	r := ring(t)
	for _, spec := range []keys.Spec{keys.SymmetricDefault, keys.HMAC224, keys.HMAC512, keys.NISTP256, keys.NISTP384, keys.NISTP521, keys.RSA2048, keys.RSA4096, keys.MLKEM768, keys.MLKEM1024} {
		for _, a := range algorithms {
			for _, wrapping := range []keys.Spec{keys.RSA2048, keys.RSA3072} {
				if keyimport.Check(spec, a, wrapping) != nil {
					continue
				}
				t.Run(fmt.Sprintf("%s by %s under %s", spec, a, wrapping), func(t *testing.T) {
					material := make([]byte, spec.SecretSize())
					if _, _ = rand.Read(material); !spec.Symmetric() {
						material = private(t, spec).Reveal()
					}
					sealed, public := token(t, r, a, wrapping)
					opened, err := keyimport.OpenToken(r, keyARN, sealed)
					must(t, err)
					if opened.Algorithm() != a || opened.Wrapping() != wrapping {
						t.Fatalf("the token is by %s under %s", opened.Algorithm(), opened.Wrapping())
					}
					got, err := opened.Unwrap(wrap(t, a, public, material))
					must(t, err)
					if !bytes.Equal(got.Reveal(), material) {
						t.Fatal("other material came out")
					}
					if _, err := keyimport.Identity(spec, got); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
	}
}

func TestATokenFitsIntoAWSsLimitAndShowsNothing(t *testing.T) {
	for _, wrapping := range []keys.Spec{keys.RSA2048, keys.RSA4096} {
		r := ring(t)
		sealed, _ := token(t, r, keyimport.RSAAESKeyWrap256, wrapping)
		if len(sealed) > keyimport.MaxBlob {
			t.Errorf("%s: %d bytes", wrapping, len(sealed))
		}
		opened, err := keyimport.OpenToken(r, keyARN, sealed)
		must(t, err)
		if text := fmt.Sprintf("%v %+v %#v %s", opened, opened, opened, opened); strings.Contains(text, "[48 130") || strings.Contains(text, "0x30, 0x82") {
			t.Errorf("the wrapping key is printed: %.200s", text)
		}
		opened.Wipe()
		if _, err := opened.Unwrap(make([]byte, 256)); !errors.Is(err, keyimport.ErrInvalidToken) {
			t.Errorf("a wiped token unwraps: %v", err)
		}
	}
}

func TestATokenEndsAtItsSecondAndNotBefore(t *testing.T) {
	r := ring(t)
	sealed, _ := token(t, r, keyimport.OAEPSHA256, keys.RSA2048)
	opened, err := keyimport.OpenToken(r, keyARN, sealed)
	must(t, err)
	for after, want := range map[time.Duration]bool{0: false, keyimport.Validity - time.Nanosecond: false, keyimport.Validity: true, 25 * time.Hour: true} {
		if got := opened.Expired(begin.Add(after)); got != want {
			t.Errorf("after %s: %t", after, got)
		}
	}
}

func TestATokenIsOfUseForItsKeyInItsInstallationAlone(t *testing.T) {
	r := ring(t)
	sealed, _ := token(t, r, keyimport.OAEPSHA256, keys.RSA2048)
	refuse := func(what string, r *keyring.Keyring, arn string, token []byte) {
		t.Helper()
		if opened, err := keyimport.OpenToken(r, arn, token); err != keyimport.ErrInvalidToken || opened != nil { //nolint:errorlint // the very value is the contract
			t.Errorf("%s: %v", what, err)
		}
	}
	refuse("another key", r, otherARN, sealed)
	refuse("another installation", ring(t), keyARN, sealed)
	refuse("nothing", r, keyARN, nil)
	refuse("too long", r, keyARN, append(slices.Clone(sealed), make([]byte, keyimport.MaxBlob)...))
	for at := range sealed {
		changed := slices.Clone(sealed)
		changed[at] ^= 1
		refuse(fmt.Sprint("byte ", at), r, keyARN, changed)
	}
	grant, err := r.Seal(keys.KindGrantToken, keys.Context{"token": "import", "key": keyARN}, secretbytes.Own([]byte("x")))
	must(t, err)
	refuse("a grant token", r, keyARN, grant)
}

func TestWhatIsNotWrappedForTheTokenIsOneAndTheSameError(t *testing.T) {
	r := ring(t)
	material := make([]byte, 32)
	for _, a := range algorithms {
		sealed, public := token(t, r, a, keys.RSA2048)
		opened, err := keyimport.OpenToken(r, keyARN, sealed)
		must(t, err)
		good := wrap(t, a, public, material)
		bad := [][]byte{nil, {0}, good[:len(good)-1], append(slices.Clone(good), 0), make([]byte, len(good)), make([]byte, keyimport.MaxBlob+1), good[:256-1]}
		for at := 0; at < len(good); at += 5 {
			changed := slices.Clone(good)
			changed[at] ^= 0x40
			bad = append(bad, changed)
		}
		for _, other := range algorithms {
			if other != a {
				bad = append(bad, wrap(t, other, public, material))
			}
		}
		for i, wrapped := range bad {
			if got, err := opened.Unwrap(wrapped); err != keys.ErrInvalidCiphertext || got.Len() != 0 { //nolint:errorlint // the very value is the contract
				t.Errorf("%s, change %d: %v", a, i, err)
			}
		}
	}
}

func TestAnAESKeyOfAnotherLengthIsRefused(t *testing.T) {
	r := ring(t)
	sealed, public := token(t, r, keyimport.RSAAESKeyWrapSHA1, keys.RSA2048)
	opened, err := keyimport.OpenToken(r, keyARN, sealed)
	must(t, err)
	for _, size := range []int{16, 24} {
		kek := make([]byte, size)
		wrapped := append(oaep(t, 3, public, kek), kwp(t, kek, make([]byte, 64))...)
		if _, err := opened.Unwrap(wrapped); !errors.Is(err, keys.ErrInvalidCiphertext) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestTheIdentityOfAPrivateKeyIsItsPublicKeyHoweverItIsWritten(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	usual, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	scalar, err := key.Bytes()
	must(t, err)
	// RFC 5915 lets the public key and the parameters be left out inside of PKCS#8.
	short, err := asn1.Marshal(struct {
		Version int
		Key     []byte
	}{1, scalar})
	must(t, err)
	var outer struct {
		Version   int
		Algorithm asn1.RawValue
		Key       []byte
	}
	_, err = asn1.Unmarshal(usual, &outer)
	must(t, err)
	outer.Key = short
	other, err := asn1.Marshal(outer)
	must(t, err)
	if bytes.Equal(usual, other) {
		t.Fatal("the two are written alike")
	}
	one, err := keyimport.Identity(keys.NISTP256, secretbytes.Own(usual))
	must(t, err)
	two, err := keyimport.Identity(keys.NISTP256, secretbytes.Own(other))
	must(t, err)
	if !one.Equal(two) {
		t.Error("the same key has two identities")
	}
}

func TestMaterialOfAnotherSpecIsIncorrect(t *testing.T) {
	for spec, material := range map[keys.Spec][][]byte{
		keys.SymmetricDefault: {nil, make([]byte, 16), make([]byte, 31), make([]byte, 33), private(t, keys.NISTP256).Reveal()},
		keys.HMAC224:          {make([]byte, 27), make([]byte, 32)},
		keys.HMAC512:          {make([]byte, 32), make([]byte, 65)},
		keys.NISTP256:         {nil, make([]byte, 32), private(t, keys.NISTP384).Reveal(), private(t, keys.RSA2048).Reveal(), append(private(t, keys.NISTP256).Reveal(), 0)},
		keys.MLKEM768: {
			nil, make([]byte, 64), private(t, keys.MLKEM1024).Reveal(), private(t, keys.NISTP256).Reveal(), append(private(t, keys.MLKEM768).Reveal(), 0),
			expanded(t, keys.MLKEM768),
		},
		keys.RSA2048: {private(t, keys.RSA3072).Reveal(), private(t, keys.NISTP256).Reveal(), private(t, keys.RSA2048).Reveal()[:100], threePrimes(t)},
	} {
		for i, b := range material {
			if identity, err := keyimport.Identity(spec, secretbytes.Copy(b)); err != keyimport.ErrIncorrectMaterial || identity.Len() != 0 { //nolint:errorlint // the very value is the contract
				t.Errorf("%s, %d: %v", spec, i, err)
			}
		}
	}
	one, err := keyimport.Identity(keys.HMAC256, secretbytes.Own(bytes.Repeat([]byte{1}, 32)))
	must(t, err)
	two, err := keyimport.Identity(keys.HMAC256, secretbytes.Own(bytes.Repeat([]byte{2}, 32)))
	must(t, err)
	if one.Equal(two) {
		t.Error("two secrets are one")
	}
}

// threePrimes is a private key of RSA in the form of RFC 8017 that has more primes than two.
func threePrimes(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateMultiPrimeKey(rand.Reader, 3, 2048) //nolint:staticcheck // what is deprecated is to be refused
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	if _, err := keys.ParsePrivateKey(keys.RSA2048, secretbytes.Copy(der)); err != nil {
		t.Fatalf("it is refused for another reason: %v", err)
	}
	return der
}

// expanded is a private key of ML-KEM in the form of RFC 9935 that has no seed.
func expanded(t *testing.T, spec keys.Spec) []byte {
	t.Helper()
	var outer struct {
		Version   int
		Algorithm asn1.RawValue
		Key       []byte
	}
	_, err := asn1.Unmarshal(private(t, spec).Reveal(), &outer)
	must(t, err)
	outer.Key, err = asn1.Marshal(make([]byte, 2400))
	must(t, err)
	der, err := asn1.Marshal(outer)
	must(t, err)
	return der
}

func TestTheIdentityOfAKeyOfMLKEMIsItsPublicKey(t *testing.T) {
	for _, spec := range []keys.Spec{keys.MLKEM768, keys.MLKEM1024} {
		key, err := keys.ParsePrivateKey(spec, private(t, spec))
		must(t, err)
		identity, err := keyimport.Identity(spec, private(t, spec))
		must(t, err)
		if !bytes.Equal(identity.Reveal(), key.Public().DER()) {
			t.Errorf("%s: %x", spec, identity.Reveal())
		}
	}
}
