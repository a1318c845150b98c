package keys_test

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func TestEveryKeySpecIsToBeHadWhereTheModuleIsNotEnforced(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("run by TestWhatIsNotApprovedIsRefused")
	}
	for _, row := range specTable {
		if err := row.spec.CheckApproved(); err != nil {
			t.Errorf("%s: %v", row.spec, err)
		}
	}
}

// The FIPS mode is chosen when a process starts, so this runs again in a process of its own.
func TestWhatIsNotApprovedIsRefused(t *testing.T) {
	const again = "STRONGROOM_TEST_NOT_APPROVED"
	if os.Getenv(again) == "" {
		cmd := exec.Command(os.Args[0], "-test.v", "-test.run", "^(TestWhatIsNotApproved|TestThePrehash|TestAMessageKeyIsHKDFs|TestAGoldenBlobOpensForEver)")
		cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", again+"=1")
		out, err := cmd.CombinedOutput()
		for _, passed := range []string{
			"TestWhatIsNotApprovedIsRefused", "TestThePrehashOfEd25519IsHashedAgain", "TestAMessageKeyIsHKDFs", "TestAGoldenBlobOpensForEver",
		} {
			if !bytes.Contains(out, []byte("--- PASS: "+passed)) {
				t.Errorf("%s under GODEBUG=fips140=only: %v\n%s", passed, err, out)
			}
		}
		return
	}
	if !fips140.Enforced() {
		t.Fatal("fips140=only is not in force")
	}
	outside := map[keys.Spec]bool{keys.SECGP256K1: true}
	for _, row := range specTable {
		if err := row.spec.CheckApproved(); outside[row.spec] != errors.Is(err, keys.ErrNotApproved) {
			t.Errorf("%s: %v", row.spec, err)
		}
	}
	if _, err := keys.GeneratePrivateKey(keys.SECGP256K1); !errors.Is(err, keys.ErrNotApproved) || !strings.Contains(err.Error(), "GODEBUG=fips140=only") ||
		!strings.Contains(err.Error(), "ECC_SECG_P256K1") {
		t.Errorf("making a key of secp256k1: %v", err)
	}
	for _, spec := range []keys.Spec{keys.EDWARDS25519, keys.MLDSA44, keys.NISTP256, keys.MLKEM768, keys.MLKEM1024} {
		if _, err := keys.GeneratePrivateKey(spec); err != nil {
			t.Errorf("making a key of %s: %v", spec, err)
		}
	}
	k := storedKey(t, keys.SECGP256K1)
	key, err := keys.ParsePrivateKey(keys.SECGP256K1, secretbytes.Own(k.PKCS8))
	if err != nil || !bytes.Equal(key.Public().DER(), k.SPKI) {
		t.Fatalf("the public half of a key that is there: %v", err)
	}
	message := keys.Message{Bytes: []byte("x")}
	if _, err := key.Sign(keys.ECDSASHA256, message); !errors.Is(err, keys.ErrNotApproved) {
		t.Errorf("signing by it: %v", err)
	}
	if err := key.Public().Verify(keys.ECDSASHA256, message, []byte("x")); !errors.Is(err, keys.ErrNotApproved) {
		t.Errorf("verifying by it: %v", err)
	}
	stored := storedKey(t, keys.MLDSA44)
	public, err := keys.ParsePublicKey(keys.MLDSA44, stored.SPKI)
	if err != nil {
		t.Fatal(err)
	}
	mu := keys.Message{Bytes: make([]byte, 64), Type: keys.ExternalMu}
	if err := public.Verify(keys.MLDSASHAKE256, mu, stored.Signature); !errors.Is(err, keys.ErrNotApproved) || !strings.Contains(err.Error(), "RAW") {
		t.Errorf("verifying by a μ: %v", err)
	}
	if err := public.Verify(keys.MLDSASHAKE256, keys.Message{Bytes: stored.Message}, stored.Signature); err != nil {
		t.Errorf("verifying by the message: %v", err)
	}
	for _, spec := range []keys.Spec{keys.MLKEM768, keys.MLKEM1024} {
		agreed(t, private(t, spec), private(t, spec).Public())
	}
	sha1Refused(t)
}

// sha1Refused tells that OAEP with SHA-1 is an error, where Go's SHA-1 panics.
func sha1Refused(t *testing.T) {
	t.Helper()
	pkcs8, err := keys.GeneratePrivateKey(keys.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.ParsePrivateKey(keys.RSA2048, pkcs8)
	if err != nil {
		t.Fatal(err)
	}
	if most := keys.RSA2048.MaxEncrypted(keys.OAEPSHA1); most != 214 {
		t.Errorf("OAEP with SHA-1 encrypts %d bytes", most)
	}
	if _, err := key.Public().Encrypt(keys.OAEPSHA1, secretbytes.Copy([]byte("x"))); !errors.Is(err, keys.ErrNotApproved) {
		t.Errorf("encrypting by OAEP with SHA-1: %v", err)
	}
	if _, err := key.Decrypt(keys.OAEPSHA1, make([]byte, 256)); !errors.Is(err, keys.ErrNotApproved) {
		t.Errorf("decrypting by OAEP with SHA-1: %v", err)
	}
	sealed, err := key.Public().Encrypt(keys.OAEPSHA256, secretbytes.Copy([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := key.Decrypt(keys.OAEPSHA256, sealed); err != nil || string(opened.Reveal()) != "x" {
		t.Errorf("OAEP with SHA-256: %v", err)
	}
}
