package keys_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

var asymmetric = []keys.Spec{
	keys.RSA2048, keys.RSA3072, keys.RSA4096, keys.NISTP256, keys.NISTP384, keys.NISTP521, keys.EDWARDS25519, keys.SECGP256K1,
	keys.MLDSA44, keys.MLDSA65, keys.MLDSA87, keys.MLKEM768, keys.MLKEM1024,
}

// saying is a text as an algorithm takes it: its digest, if the algorithm takes nothing else.
func saying(a keys.SigningAlgorithm, text string) keys.Message {
	if a == keys.ED25519PHSHA512 {
		digest := sha512.Sum512([]byte(text))
		return keys.Message{Bytes: digest[:], Type: keys.Digested}
	}
	return keys.Message{Bytes: []byte(text)}
}

// generated is one private key of each spec, as PKCS#8: those of RSA take a while.
var generated = sync.OnceValue(func() map[keys.Spec]secretbytes.Bytes {
	all := map[keys.Spec]secretbytes.Bytes{}
	for _, spec := range asymmetric {
		if spec.CheckApproved() != nil { // in the process of TestWhatIsNotApprovedIsRefused
			continue
		}
		pkcs8, err := keys.GeneratePrivateKey(spec)
		if err != nil {
			panic(err)
		}
		all[spec] = pkcs8
	}
	return all
})

func private(t testing.TB, spec keys.Spec) *keys.PrivateKey {
	t.Helper()
	key, err := keys.ParsePrivateKey(spec, generated()[spec])
	if err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	return key
}

func TestAGeneratedKeyIsOfItsSpecAndFitsIntoAKeyToken(t *testing.T) {
	for spec, pkcs8 := range generated() {
		if pkcs8.Len() > 4096 {
			t.Errorf("%s: %d bytes", spec, pkcs8.Len())
		}
		if spec == keys.SECGP256K1 || spec.EncapsulationAlgorithms() != nil { // which x509 does not know; openssl does
			continue
		}
		parsed, err := x509.ParsePKCS8PrivateKey(pkcs8.Reveal())
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		switch key := parsed.(type) {
		case ed25519.PrivateKey:
			if spec != keys.EDWARDS25519 {
				t.Errorf("%s is of Ed25519", spec)
			}
		case *mldsa.PrivateKey:
			if want := strings.ReplaceAll(key.PublicKey().Parameters().String(), "-", "_"); want != string(spec) {
				t.Errorf("%s is %s", spec, want)
			}
		case *rsa.PrivateKey:
			if want := "RSA_" + fmt.Sprint(key.N.BitLen()); want != string(spec) || key.E != 65537 || len(key.Primes) != 2 {
				t.Errorf("%s is %s with the exponent %d and %d primes", spec, want, key.E, len(key.Primes))
			}
		case *ecdsa.PrivateKey:
			if want := "ECC_NIST_" + strings.ReplaceAll(key.Params().Name, "-", ""); want != string(spec) {
				t.Errorf("%s is %s", spec, want)
			}
		default:
			t.Errorf("%s is a %T", spec, parsed)
		}
		if again, err := keys.GeneratePrivateKey(keys.NISTP256); err != nil || again.Equal(generated()[keys.NISTP256]) {
			t.Errorf("the next key: %v", err)
		}
	}
}

func TestWhatAKeySignsItsPublicHalfVerifiesAndNothingElse(t *testing.T) {
	for _, spec := range asymmetric {
		key := private(t, spec)
		public, err := keys.ParsePublicKey(spec, key.Public().DER())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range spec.SigningAlgorithms() {
			message, other := saying(a, "the message"), saying(a, "another message")
			signature, err := key.Sign(a, message)
			if err != nil || public.Verify(a, message, signature) != nil {
				t.Fatalf("%s by %s: %v", spec, a, err)
			}
			refused := map[string]error{
				"another message": public.Verify(a, other, signature),
				"no signature":    public.Verify(a, message, nil),
				"a cut one":       public.Verify(a, message, signature[:len(signature)-1]),
				"a longer one":    public.Verify(a, message, append(bytes.Clone(signature), 0)),
			}
			for bit := 0; bit < 8*len(signature); bit += 37 {
				changed := bytes.Clone(signature)
				changed[bit/8] ^= 1 << (bit % 8)
				refused[fmt.Sprint("bit ", bit)] = public.Verify(a, message, changed)
			}
			for _, b := range spec.SigningAlgorithms() {
				if b != a {
					refused["the algorithm "+string(b)] = public.Verify(b, saying(b, "the message"), signature)
				}
			}
			for what, err := range refused {
				if !errors.Is(err, keys.ErrInvalidSignature) {
					t.Errorf("%s by %s with %s: %v", spec, a, what, err)
				}
			}
		}
	}
}

func TestAKeySignsByItsOwnAlgorithmsAndDigestsOfTheirLength(t *testing.T) {
	for _, spec := range []keys.Spec{keys.RSA2048, keys.NISTP256, keys.NISTP384, keys.NISTP521, keys.EDWARDS25519, keys.SECGP256K1, keys.MLDSA44, keys.MLKEM768} {
		key := private(t, spec)
		for _, a := range everyAlgorithm {
			message := saying(a, "")
			_, signing := key.Sign(a, message)
			verifying := key.Public().Verify(a, message, []byte("signature"))
			if wrong := spec.CheckAlgorithm(a) != nil; wrong {
				if !errors.Is(signing, keys.ErrAlgorithm) || !errors.Is(verifying, keys.ErrAlgorithm) {
					t.Errorf("%s by %s: %v, %v", spec, a, signing, verifying)
				}
				continue
			}
			if signing != nil {
				t.Errorf("%s by %s: %v", spec, a, signing)
			}
			short := keys.Message{Bytes: make([]byte, 31), Type: keys.Digested}
			want := keys.ErrDigestLength
			switch a {
			case keys.ED25519SHA512:
				want = keys.ErrMessageType
			case keys.MLDSASHAKE256:
				short.Type = keys.ExternalMu
			}
			_, signing = key.Sign(a, short)
			verifying = key.Public().Verify(a, short, []byte("signature"))
			if !errors.Is(signing, want) || !errors.Is(verifying, want) {
				t.Errorf("%s by %s of a short digest: %v, %v", spec, a, signing, verifying)
			}
		}
	}
}

func TestAKeyOfAnotherSpecIsRefused(t *testing.T) {
	for _, spec := range append(asymmetric, keys.SymmetricDefault, "", "RSA_1024") {
		for of, pkcs8 := range generated() {
			key, err := keys.ParsePrivateKey(spec, pkcs8)
			if (spec == of) != (err == nil) || err != nil && err != keys.ErrInvalidPrivateKey { //nolint:errorlint // the error itself, with no word of the bytes
				t.Errorf("%s as %q: %v, %v", of, spec, key, err)
			}
			if _, err := keys.ParsePublicKey(spec, private(t, of).Public().DER()); (spec == of) != (err == nil) ||
				err != nil && !errors.Is(err, keys.ErrInvalidPublicKey) {
				t.Errorf("the public half of %s as %q: %v", of, spec, err)
			}
		}
	}
}

func TestKeysThatAWSDoesNotHaveAreRefused(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 2048+512)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"RSA of 2560 bits": weak, "P-224": p224, "X25519": x25519} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range asymmetric {
			if _, err := keys.ParsePrivateKey(spec, secretbytes.Own(der)); !errors.Is(err, keys.ErrInvalidPrivateKey) {
				t.Errorf("%s as %s: %v", name, spec, err)
			}
		}
	}
	small := private(t, keys.RSA2048).Public().Key().(*rsa.PublicKey)
	if _, err := keys.NewPublicKey(keys.RSA2048, &rsa.PublicKey{N: small.N, E: 3}); !errors.Is(err, keys.ErrInvalidPublicKey) {
		t.Errorf("the exponent 3: %v", err)
	}
}

func TestDamagedBytesAreNoKeyOrTheSameKeyOnly(t *testing.T) {
	pkcs8 := generated()[keys.NISTP256].Reveal()
	for i := range pkcs8 {
		for _, damaged := range [][]byte{pkcs8[:i], append(bytes.Clone(pkcs8[:i]), pkcs8[i+1:]...)} {
			if _, err := keys.ParsePrivateKey(keys.NISTP256, secretbytes.Copy(damaged)); !errors.Is(err, keys.ErrInvalidPrivateKey) {
				t.Errorf("without byte %d: %v", i, err)
			}
		}
	}
	for _, nothing := range [][]byte{nil, {}, {0x30}, bytes.Repeat([]byte{0x30, 0x80}, 2000)} {
		if _, err := keys.ParsePrivateKey(keys.RSA2048, secretbytes.Copy(nothing)); !errors.Is(err, keys.ErrInvalidPrivateKey) {
			t.Errorf("%d bytes: %v", len(nothing), err)
		}
	}
}

func TestAWipedKeySignsNothingThatVerifiesAndItsPublicHalfStays(t *testing.T) {
	for _, spec := range []keys.Spec{keys.RSA2048, keys.NISTP256, keys.EDWARDS25519, keys.SECGP256K1, keys.MLDSA44} {
		key := private(t, spec)
		public := key.Public()
		before := public.DER()
		key.Wipe()
		key.Wipe()
		a := spec.SigningAlgorithms()[0]
		message := saying(a, "")
		if again := private(t, spec); !bytes.Equal(before, public.DER()) || !bytes.Equal(before, again.Public().DER()) {
			t.Errorf("%s: the public half was wiped too", spec)
		}
		signature, err := private(t, spec).Sign(a, message)
		if err != nil || public.Verify(a, message, signature) != nil {
			t.Errorf("%s: another reading of the same bytes was wiped too: %v", spec, err)
		}
	}
	var none *keys.PrivateKey
	none.Wipe()
}

func TestAPrivateKeyIsShownByNothing(t *testing.T) {
	key := private(t, keys.NISTP256)
	parsed, err := x509.ParsePKCS8PrivateKey(generated()[keys.NISTP256].Reveal())
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := parsed.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	number := parsed.(*ecdsa.PrivateKey).D.String() //nolint:staticcheck // to be looked for
	type holder struct{ key *keys.PrivateKey }
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		_, _ = fmt.Fprintf(&out, verb+verb+verb+"\n", key, holder{key}, []any{key})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "key", key, "held", holder{key})
	_, err = json.Marshal(map[string]any{"key": key})
	_, _ = fmt.Fprint(&out, err)
	if err == nil || strings.Contains(out.String(), number) || strings.Contains(strings.ToLower(out.String()), fmt.Sprintf("%x", scalar)) {
		t.Errorf("it shows: %v, %s", err, out.String())
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Error("nothing was printed")
	}
}

func TestOneKeySignsForManyAtOnce(t *testing.T) {
	for _, spec := range []keys.Spec{keys.RSA2048, keys.NISTP521, keys.EDWARDS25519, keys.SECGP256K1, keys.MLDSA65} {
		key, a := private(t, spec), spec.SigningAlgorithms()[0]
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				message := saying(a, fmt.Sprint(i))
				signature, err := key.Sign(a, message)
				if err != nil || key.Public().Verify(a, message, signature) != nil {
					t.Errorf("%s: %v", spec, err)
				}
			})
		}
		wg.Wait()
	}
}
