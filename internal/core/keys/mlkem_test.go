package keys_test

import (
	"bytes"
	"crypto/mlkem"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// encapsulating are the specs of ML-KEM, with the lengths of FIPS 203, table 3, in bytes, and the identifiers of RFC 9935, section 3.
var encapsulating = []struct {
	spec               keys.Spec
	public, ciphertext int
	oid                string
}{
	{keys.MLKEM768, 1184, 1088, "0609608648016503040402"},
	{keys.MLKEM1024, 1568, 1568, "0609608648016503040403"},
}

// agreed fails unless both halves come to the same secret.
func agreed(t testing.TB, key *keys.PrivateKey, public *keys.PublicKey) {
	t.Helper()
	secret, ciphertext, err := public.Encapsulate(keys.MLKEM)
	if err != nil {
		t.Fatal(err)
	}
	got, err := key.Decapsulate(keys.MLKEM, ciphertext)
	if err != nil || !got.Equal(secret) || secret.Len() != 32 {
		t.Errorf("%s: secrets of %d and %d bytes, %v", public.Spec(), secret.Len(), got.Len(), err)
	}
}

func decapsulated(t testing.TB, key *keys.PrivateKey, ciphertext []byte) secretbytes.Bytes {
	t.Helper()
	secret, err := key.Decapsulate(keys.MLKEM, ciphertext)
	if err != nil || secret.Len() != 32 {
		t.Fatalf("%d bytes, %v", secret.Len(), err)
	}
	return secret
}

func TestBothHalvesOfAKeyOfMLKEMComeToTheSameSecret(t *testing.T) {
	for _, row := range encapsulating {
		key := private(t, row.spec)
		public, err := keys.ParsePublicKey(row.spec, key.Public().DER())
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for range 20 {
			secret, ciphertext, err := public.Encapsulate(keys.MLKEM)
			if err != nil || len(ciphertext) != row.ciphertext {
				t.Fatalf("%s: a ciphertext of %d bytes, %v", row.spec, len(ciphertext), err)
			}
			if got := decapsulated(t, key, ciphertext); !got.Equal(secret) {
				t.Errorf("%s: another secret", row.spec)
			}
			if s := string(secret.Reveal()); seen[s] || seen[string(ciphertext)] {
				t.Errorf("%s: a secret or a ciphertext comes twice", row.spec)
			} else {
				seen[s], seen[string(ciphertext)] = true, true
			}
			secret.Wipe()
			if again := decapsulated(t, key, ciphertext); again.Equal(secret) {
				t.Errorf("%s: what the caller wiped is the key's own", row.spec)
			}
		}
	}
}

// Implicit rejection: who sends a ciphertext that is not the key's learns nothing but a secret that nobody has.
func TestAnAlteredCiphertextHasASecretOfItsOwn(t *testing.T) {
	for _, row := range encapsulating {
		key := private(t, row.spec)
		secret, ciphertext, err := key.Public().Encapsulate(keys.MLKEM)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{string(secret.Reveal()): "the right one"}
		altered := map[string][]byte{"all zeros": make([]byte, row.ciphertext), "all ones": bytes.Repeat([]byte{0xff}, row.ciphertext)}
		for bit := 0; bit < 8*row.ciphertext; bit += 997 {
			changed := slices.Clone(ciphertext)
			changed[bit/8] ^= 1 << (bit % 8)
			altered[fmt.Sprint("bit ", bit)] = changed
		}
		for name, changed := range altered {
			got := decapsulated(t, key, changed)
			if other, ok := seen[string(got.Reveal())]; ok {
				t.Errorf("%s: %s has the secret of %s", row.spec, name, other)
			}
			seen[string(got.Reveal())] = name
			if again := decapsulated(t, private(t, row.spec), changed); !again.Equal(got) {
				t.Errorf("%s: %s has another secret the next time", row.spec, name)
			}
		}
		pkcs8, err := keys.GeneratePrivateKey(row.spec)
		if err != nil {
			t.Fatal(err)
		}
		stranger, err := keys.ParsePrivateKey(row.spec, pkcs8)
		if err != nil {
			t.Fatal(err)
		}
		if got := decapsulated(t, stranger, ciphertext); got.Equal(secret) {
			t.Errorf("%s: another key has the secret", row.spec)
		}
	}
}

func TestACiphertextOfAnotherLengthIsRefused(t *testing.T) {
	for _, row := range encapsulating {
		key := private(t, row.spec)
		for _, length := range []int{0, 1, 768, 1088, 1568, row.ciphertext - 1, row.ciphertext + 1, 6144} {
			secret, err := key.Decapsulate(keys.MLKEM, make([]byte, length))
			if refused := length != row.ciphertext; refused != (err == keys.ErrInvalidCiphertext) || refused == (err == nil) { //nolint:errorlint // the error itself
				t.Errorf("%s, %d bytes: %v", row.spec, length, err)
			}
			if err != nil && secret.Len() != 0 {
				t.Errorf("%s, %d bytes: a secret of %d", row.spec, length, secret.Len())
			}
		}
	}
}

func TestAKeyOfMLKEMWorksByItsOwnAlgorithmAlone(t *testing.T) {
	for _, row := range encapsulating {
		key := private(t, row.spec)
		for _, a := range []keys.EncapsulationAlgorithm{"", "ml_kem", "ML_KEM_768", "ECDH"} {
			_, _, encapsulating := key.Public().Encapsulate(a)
			_, decapsulating := key.Decapsulate(a, make([]byte, row.ciphertext))
			if !errors.Is(encapsulating, keys.ErrAlgorithm) || !errors.Is(decapsulating, keys.ErrAlgorithm) {
				t.Errorf("%s by %q: %v, %v", row.spec, a, encapsulating, decapsulating)
			}
		}
		if _, err := key.SharedSecret(key.Public()); !errors.Is(err, keys.ErrAlgorithm) {
			t.Errorf("%s agrees: %v", row.spec, err)
		}
	}
}

// The DER, written out: there is no openssl with ML-KEM everywhere.
func TestKeysOfMLKEMAreWrittenAsRFC9935Says(t *testing.T) {
	for _, row := range encapsulating {
		seed := counting(1, 64)
		der := unhex(t, "3054"+"020100"+"300b"+row.oid+"0442"+"8040"+hex.EncodeToString(seed))
		key, err := keys.ParsePrivateKey(row.spec, secretbytes.Copy(der))
		if err != nil {
			t.Fatalf("%s: %v", row.spec, err)
		}
		encoded := bytesOf(t, row.spec, seed)
		bits := 1 + row.public // with the count of unused bits
		want := unhex(t, fmt.Sprintf("3082%04x300b%s0382%04x00%x", 13+4+bits, row.oid, bits, encoded))
		if got := key.Public().DER(); !bytes.Equal(got, want) {
			t.Errorf("%s: the public half is %x", row.spec, got)
		}
		if generated := generated()[row.spec].Reveal(); !bytes.Equal(generated[:len(der)-64], der[:len(der)-64]) || len(generated) != len(der) {
			t.Errorf("%s: a key is written as %x", row.spec, generated[:len(der)-64])
		}
	}
}

// bytesOf is the encapsulation key of a seed, by crypto/mlkem itself.
func bytesOf(t testing.TB, spec keys.Spec, seed []byte) []byte {
	t.Helper()
	if spec == keys.MLKEM768 {
		key, err := mlkem.NewDecapsulationKey768(seed)
		if err != nil {
			t.Fatal(err)
		}
		return key.EncapsulationKey().Bytes()
	}
	key, err := mlkem.NewDecapsulationKey1024(seed)
	if err != nil {
		t.Fatal(err)
	}
	return key.EncapsulationKey().Bytes()
}

func TestKeysOfMLKEMThatAreWrittenOtherwiseAreRefused(t *testing.T) {
	for _, row := range encapsulating {
		good := storedKey(t, row.spec)
		seed := good.PKCS8[len(good.PKCS8)-64:]
		algorithm := "300b" + row.oid
		expanded := bytes.Repeat([]byte{1}, 100)
		for name, der := range map[string][]byte{
			"a byte more":            append(slices.Clone(good.PKCS8), 0),
			"a byte less":            good.PKCS8[:len(good.PKCS8)-1],
			"nothing":                nil,
			"version 1":              unhex(t, fmt.Sprintf("3054020101%s04428040%x", algorithm, seed)),
			"the seed alone":         unhex(t, fmt.Sprintf("3052020100%s0440%x", algorithm, seed)),
			"a short seed":           unhex(t, fmt.Sprintf("3053020100%s0441803f%x", algorithm, seed[1:])),
			"another tag":            unhex(t, fmt.Sprintf("3054020100%s04420440%x", algorithm, seed)),
			"the expanded form":      unhex(t, fmt.Sprintf("3076020100%s04660464%x", algorithm, expanded)),
			"both forms":             unhex(t, fmt.Sprintf("3081bc020100%s0481aa3081a70440%x0464%x", algorithm, seed, expanded)),
			"a parameter":            unhex(t, fmt.Sprintf("3056020100300d%s050004428040%x", row.oid, seed)),
			"an attribute":           unhex(t, fmt.Sprintf("3056020100%s04428040%xa000", algorithm, seed)),
			"a length in long form":  unhex(t, fmt.Sprintf("308154020100%s04428040%x", algorithm, seed)),
			"the other spec":         storedKey(t, otherKEM(row.spec)).PKCS8,
			"ML-KEM-512":             unhex(t, fmt.Sprintf("3054020100300b060960864801650304040104428040%x", seed)),
			"a seed of ML-DSA":       storedKey(t, keys.MLDSA65).PKCS8,
			"the public half itself": good.SPKI,
		} {
			if key, err := keys.ParsePrivateKey(row.spec, secretbytes.Copy(der)); err != keys.ErrInvalidPrivateKey { //nolint:errorlint // the error itself
				t.Errorf("%s, %s: %v, %v", row.spec, name, key, err)
			}
		}
		publicsRefused(t, row.spec, good.SPKI)
	}
}

func publicsRefused(t *testing.T, spec keys.Spec, good []byte) {
	t.Helper()
	modulus := slices.Clone(good)
	copy(modulus[22:], []byte{0xff, 0xff, 0xff}) // coefficients of 4095, over q (FIPS 203, section 7.2)
	unused := slices.Clone(good)
	unused[21] = 1
	for name, der := range map[string][]byte{
		"nothing": nil, "a byte more": append(slices.Clone(good), 0), "a byte less": good[:len(good)-1], "over the modulus": modulus, "an unused bit": unused,
		"the other spec": storedKey(t, otherKEM(spec)).SPKI, "the private half": storedKey(t, spec).PKCS8,
	} {
		if key, err := keys.ParsePublicKey(spec, der); !errors.Is(err, keys.ErrInvalidPublicKey) || key != nil {
			t.Errorf("%s, the public half, %s: %v, %v", spec, name, key, err)
		}
	}
}

func otherKEM(spec keys.Spec) keys.Spec {
	if spec == keys.MLKEM768 {
		return keys.MLKEM1024
	}
	return keys.MLKEM768
}

func TestAKeyOfMLKEMIsShownByNothingAndWipedWithoutHarm(t *testing.T) {
	for _, row := range encapsulating {
		key := private(t, row.spec)
		seed := generated()[row.spec].Reveal()[22:]
		if out := fmt.Sprintf("%v %+v %#v %x %s", key, key, key, key, []any{key}); bytes.Contains([]byte(out), fmt.Appendf(nil, "%x", seed)) || len(out) > 200 {
			t.Errorf("%s: it shows as %s", row.spec, out)
		}
		public := key.Public()
		key.Wipe()
		key.Wipe()
		agreed(t, private(t, row.spec), public)
	}
}

func TestOneKeyOfMLKEMWorksForManyAtOnce(t *testing.T) {
	for _, row := range encapsulating {
		key := private(t, row.spec)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { agreed(t, key, key.Public()) })
		}
		wg.Wait()
	}
}

// What a caller of Decapsulate sends has a secret of 32 bytes, the same one each time, or is refused for its length alone.
func FuzzDecapsulate(f *testing.F) {
	key, err := keys.ParsePrivateKey(keys.MLKEM768, secretbytes.Own(storedKey(f, keys.MLKEM768).PKCS8))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(storedKey(f, keys.MLKEM768).Ciphertext)
	f.Add(storedKey(f, keys.MLKEM1024).Ciphertext)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, ciphertext []byte) {
		secret, err := key.Decapsulate(keys.MLKEM, ciphertext)
		if len(ciphertext) != 1088 {
			if err != keys.ErrInvalidCiphertext { //nolint:errorlint // the error itself
				t.Errorf("%d bytes: %v", len(ciphertext), err)
			}
			return
		}
		if again := decapsulated(t, key, ciphertext); err != nil || !again.Equal(secret) {
			t.Errorf("another secret the next time: %v", err)
		}
	})
}
