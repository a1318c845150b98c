package keyimport_test

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keyimport"
	"strongroom.dev/strongroom/internal/core/keys"
)

// The FIPS mode is chosen when a process starts, so this runs again in a process of its own.
func TestWhatIsNotApprovedIsNotImported(t *testing.T) {
	const again = "STRONGROOM_TEST_NOT_APPROVED"
	if os.Getenv(again) == "" {
		cmd := exec.Command(os.Args[0], "-test.v", "-test.run", "^TestWhatIsNotApprovedIsNotImported$")
		cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", again+"=1")
		if out, err := cmd.CombinedOutput(); !bytes.Contains(out, []byte("--- PASS: TestWhatIsNotApprovedIsNotImported")) {
			t.Errorf("under GODEBUG=fips140=only: %v\n%s", err, out)
		}
		return
	}
	if !fips140.Enforced() {
		t.Fatal("fips140=only is not in force")
	}
	for _, tt := range []struct {
		material  keys.Spec
		algorithm keyimport.Algorithm
		refused   string
	}{
		{keys.SymmetricDefault, keyimport.OAEPSHA256, ""},
		{keys.SymmetricDefault, keyimport.OAEPSHA1, "RSAES_OAEP_SHA_1"},
		{keys.RSA2048, keyimport.RSAAESKeyWrap256, ""},
		{keys.RSA2048, keyimport.RSAAESKeyWrapSHA1, "RSAES_OAEP_SHA_1"},
		{keys.SECGP256K1, keyimport.OAEPSHA256, "ECC_SECG_P256K1"},
		{keys.SECGP256K1, keyimport.RSAAESKeyWrap256, "ECC_SECG_P256K1"},
	} {
		err := keyimport.Check(tt.material, tt.algorithm, keys.RSA4096)
		if tt.refused == "" && err != nil || tt.refused != "" && (!errors.Is(err, keys.ErrNotApproved) || !strings.Contains(err.Error(), tt.refused)) {
			t.Errorf("%s by %s: %v", tt.material, tt.algorithm, err)
		}
	}
}
