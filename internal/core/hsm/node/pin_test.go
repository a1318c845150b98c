//go:build cgo

package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
)

// A token of this kind is what the rule is for: three wrong PINs in a row, and all keys are gone.
func TestATokenThatLocksAfterThreeWrongPINsIsGivenEachWrongOneOnceAndNeverTheLastTry(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	faults.Lock(t)
	r := active(t, faults.In)
	path := filepath.Join(r.Dir, "pin")
	degraded := func(reason string) {
		t.Helper()
		hsmtest.Eventually(t, reason, func() bool {
			s, _ := r.Status(background(t), nil)
			return s.GetState() == hsmpb.State_STATE_DEGRADED && s.GetReason() == reason
		})
	}
	wrong := func(want int) {
		t.Helper()
		if user, officer := faults.Wrong(t); user != want || officer != 0 {
			t.Fatalf("the token counts %d wrong PINs of the user and %d of the officer, want %d and 0", user, officer, want)
		}
	}
	must(t, os.WriteFile(path, []byte("first-wrong-CANARY"), 0o600))
	for range 3 { // a pod in a crash loop
		r = r.again(t, faults.In)
		degraded("WrongPIN")
		wrong(1)
	}
	must(t, os.WriteFile(path, []byte("second-wrong-CANARY"), 0o600))
	hsmtest.Eventually(t, "the other PIN is tried", func() bool { user, _ := faults.Wrong(t); return user == 2 })
	degraded("PINLocked") // the next process reads CKF_USER_PIN_FINAL_TRY, and tries none
	must(t, os.WriteFile(path, []byte("third-wrong-CANARY"), 0o600))
	r = r.again(t, faults.In)
	degraded("PINLocked")
	wrong(2)
	s, _ := r.Status(background(t), nil)
	if !strings.Contains(s.GetMessage(), "would lock after one more wrong user PIN") || strings.Contains(s.GetMessage(), "CANARY") {
		t.Errorf("%q", s.GetMessage())
	}
	// The right one is in the file, and still none is tried: the node cannot know that it is right. The operator logs in by the vendor's tool.
	must(t, os.WriteFile(path, []byte(hsmtest.PIN), 0o600))
	r = r.again(t, faults.In)
	degraded("PINLocked")
	wrong(2)
}

func TestTheRightPINAfterAWrongOneMakesTheTokenForget(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	faults.Lock(t)
	r := active(t, faults.In)
	path := filepath.Join(r.Dir, "pin")
	for i := range 3 { // more wrong ones in all than the token bears in a row
		must(t, os.WriteFile(path, fmt.Appendf(nil, "wrong-%d", i), 0o600))
		r = r.again(t, faults.In)
		hsmtest.Eventually(t, "WrongPIN", func() bool { s, _ := r.Status(background(t), nil); return s.GetReason() == "WrongPIN" })
		must(t, os.WriteFile(path, []byte(hsmtest.PIN), 0o600))
		r.state(t, hsmpb.State_STATE_ACTIVE)
		if user, _ := faults.Wrong(t); user != 0 {
			t.Fatalf("the token counts %d wrong PINs", user)
		}
	}
}

func TestAWrongOfficersPINIsTriedOnceByWhateverNeedsIt(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	faults.Lock(t)
	r := active(t, faults.In)
	ctx, transport := background(t), transportKey(t, 3072)
	clone := func() error {
		_, err := r.api.Clone(ctx, &hsmpb.CloneRequest{TransportKey: transport})
		return hsmpb.FromStatus(err)
	}
	must(t, os.WriteFile(filepath.Join(r.Dir, "so-pin"), []byte("wrong-CANARY"), 0o600))
	for range 4 {
		err := clone()
		wants(t, "cloning", err, hsm.ErrWrongPIN)
		if err != nil && strings.Contains(err.Error(), "CANARY") {
			t.Error(err)
		}
	}
	if user, officer := faults.Wrong(t); user != 0 || officer != 1 {
		t.Fatalf("%d wrong PINs of the user and %d of the officer", user, officer)
	}
	must(t, r.sign(ctx, r.key(t, "ECC_NIST_P256"))) // the user is logged in as before
	must(t, os.WriteFile(filepath.Join(r.Dir, "so-pin"), []byte("another-CANARY"), 0o600))
	wants(t, "another wrong one", clone(), hsm.ErrWrongPIN)
	must(t, os.WriteFile(filepath.Join(r.Dir, "so-pin"), []byte(hsmtest.SOPIN), 0o600))
	wants(t, "the last try", clone(), hsm.ErrPINLocked)
	if _, officer := faults.Wrong(t); officer != 2 {
		t.Errorf("%d wrong PINs of the officer", officer)
	}
}

// A transport key that is refused must not cost a try of the officer's PIN, nor a login.
func TestARequestThatIsRefusedForItselfTriesNoPIN(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	r := active(t, faults.In)
	before := faults.Calls(t, "C_Login-officer")
	_, err := r.api.Clone(background(t), &hsmpb.CloneRequest{TransportKey: []byte("no key")})
	wants(t, "cloning for no key", hsmpb.FromStatus(err), hsm.ErrInvalidArgument)
	if after := faults.Calls(t, "C_Login-officer"); after != before {
		t.Errorf("the officer logged in %d times", after-before)
	}
}

func TestAPINFileThatIsMissingOrEmptyIsSaidAndNothingIsTried(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	r := active(t, faults.In)
	for _, content := range []string{"", "\n", strings.Repeat("x", 257)} {
		r.Stop()
		must(t, os.WriteFile(filepath.Join(r.Dir, "pin"), []byte(content), 0o600))
		before := faults.Calls(t, "C_Login-user")
		r = start(t, r.authority, r.Dir, faults.In)
		hsmtest.Eventually(t, "WrongPIN", func() bool { s, _ := r.Status(background(t), nil); return s.GetReason() == "WrongPIN" })
		if after := faults.Calls(t, "C_Login-user"); after != before {
			t.Errorf("%d bytes are tried as a PIN", len(content))
		}
	}
}

// A token that says of itself that a PIN is locked or expired, for whatever reason of its own.
func TestALoginThatTheTokenRefusesForAnotherReasonIsToldByThatReason(t *testing.T) {
	for code, reason := range map[uint]string{
		pkcs11.CKR_PIN_LOCKED: "PINLocked", pkcs11.CKR_PIN_EXPIRED: "PINLocked", pkcs11.CKR_PIN_LEN_RANGE: "InvalidArgument",
		pkcs11.CKR_DEVICE_ERROR: "ModuleLost", pkcs11.CKR_GENERAL_ERROR: "ModuleFailed",
	} {
		t.Run(pkcs11.Error(code).Error(), func(t *testing.T) {
			t.Parallel()
			faults := hsmtest.NewFaults(t)
			r := active(t, faults.In)
			faults.Fail(t, "C_Login-user", code)
			r = r.again(t, faults.In)
			hsmtest.Eventually(t, reason, func() bool { s, _ := r.Status(background(t), nil); return s.GetReason() == reason })
		})
	}
}

// What a thief of the machine's process list, of its logs or of its files in passing would look at.
func TestNoPINIsInTheModulesProcessNorInLogsNorInWhatIsKept(t *testing.T) {
	t.Setenv("STRONGROOM_HSM_PIN", "environment-CANARY")
	var l logs
	r := active(t, l.in)
	r.key(t, "ECC_NIST_P256")
	_, err := r.api.Encrypt(background(t), &hsmpb.EncryptRequest{Key: r.key(t, "SYMMETRIC_DEFAULT"), Plaintext: []byte("plaintext-CANARY")})
	must(t, err)
	_, err = r.api.Wrap(background(t), &hsmpb.WrapRequest{Key: []byte("32-bytes-of-a-key-with-a-CANARY!")})
	must(t, err)
	_, err = r.api.Clone(background(t), &hsmpb.CloneRequest{TransportKey: []byte("no key")})
	wants(t, "cloning", hsmpb.FromStatus(err), hsm.ErrInvalidArgument)
	for _, file := range []string{"environ", "cmdline"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", r.ChildPID(), file))
		must(t, err)
		if strings.Contains(string(b), "CANARY") {
			t.Errorf("a PIN is in %s of the module's process", file)
		}
	}
	must(t, os.WriteFile(filepath.Join(r.Dir, "pin"), []byte("refused-CANARY"), 0o600))
	r = r.again(t, l.in)
	hsmtest.Eventually(t, "WrongPIN", func() bool { s, _ := r.Status(background(t), nil); return s.GetReason() == "WrongPIN" })
	kept, err := os.ReadFile(filepath.Join(r.Dir, "user-pin-attempt.json"))
	must(t, err)
	for what, text := range map[string]string{"the logs": l.String(), "the record of an attempt": string(kept)} {
		if text == "" || strings.Contains(text, "CANARY") {
			t.Errorf("in %s: %s", what, text)
		}
	}
}

// Cloning logs the user in again, with the PIN of that moment: it is a try like any other.
func TestAPINThatChangedToAWrongOneBeforeACloneIsTriedOnceToo(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	faults.Lock(t)
	r := active(t, faults.In)
	path := filepath.Join(r.Dir, "pin")
	must(t, os.WriteFile(path, []byte("wrong-CANARY"), 0o600))
	for range 2 {
		_, err := r.api.Clone(background(t), &hsmpb.CloneRequest{TransportKey: transportKey(t, 3072)})
		if err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%v", err)
		}
		hsmtest.Eventually(t, "WrongPIN", func() bool { s, _ := r.Status(background(t), nil); return s.GetReason() == "WrongPIN" })
	}
	if user, officer := faults.Wrong(t); user != 1 || officer != 0 {
		t.Errorf("%d wrong PINs of the user and %d of the officer, want 1 and 0", user, officer)
	}
	must(t, os.WriteFile(path, []byte(hsmtest.PIN), 0o600))
	r.state(t, hsmpb.State_STATE_ACTIVE)
	if _, err := r.api.Clone(background(t), &hsmpb.CloneRequest{TransportKey: transportKey(t, 3072)}); err != nil {
		t.Error(err)
	}
}
