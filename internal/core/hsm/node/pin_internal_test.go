package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func TestAPINIsTriedUnlessItWasRefusedOrTheNextWrongOneLocks(t *testing.T) {
	for name, tt := range map[string]struct {
		flags         flags
		same, refused bool
		want          error
	}{
		"the first":                                   {flags{}, false, false, nil},
		"another than the one that was refused":       {flags{countLow: true}, false, true, nil},
		"the one that was refused":                    {flags{countLow: true}, true, true, hsm.ErrWrongPIN},
		"refused, and the token forgot":               {flags{}, true, true, hsm.ErrWrongPIN},
		"a crash hid the end, and the token did fail": {flags{countLow: true}, true, false, hsm.ErrWrongPIN},
		"a crash hid the end, and no PIN failed":      {flags{}, true, false, nil},
		"one more would lock":                         {flags{countLow: true, finalTry: true}, false, false, hsm.ErrPINLocked},
		"locked":                                      {flags{locked: true}, false, false, hsm.ErrPINLocked},
	} {
		if err := verdict("PIN", tt.flags, tt.same, tt.refused); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsTriedIsOnDiskBeforeItIsAndNeverInTheClear(t *testing.T) {
	g := newGuard(t.TempDir(), "PIN", "pin.json")
	pin := secretbytes.Copy([]byte("CANARY-1"))
	tries := 0
	refuse := func() error {
		tries++
		b, err := os.ReadFile(g.path)
		if err != nil || strings.Contains(string(b), "CANARY") {
			t.Errorf("%s, %v", b, err)
		}
		return hsm.ErrWrongPIN
	}
	for range 3 {
		if err := g.try(pin, flags{}, refuse); !errors.Is(err, hsm.ErrWrongPIN) {
			t.Error(err)
		}
	}
	if tries != 1 {
		t.Errorf("tried %d times", tries)
	}
	right := func() error { return nil }
	if err := g.try(secretbytes.Copy([]byte("CANARY-2")), flags{countLow: true}, right); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(g.path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a right PIN is not forgotten")
	}
	// The module crashed during the login: it is tried again, as the token's flag does not say that it failed.
	crash := func() error { return hsm.ErrModule }
	if err := g.try(pin, flags{}, crash); !errors.Is(err, hsm.ErrModule) {
		t.Error(err)
	}
	if err := g.try(pin, flags{}, right); err != nil {
		t.Error(err)
	}
}

func TestADamagedRecordMeansThatNoPINIsTried(t *testing.T) {
	for _, damaged := range []string{"", "{", "{}", `{"salt":"AAAA","digest":"AAAA"}`} {
		g := newGuard(t.TempDir(), "PIN", "pin.json")
		if err := os.WriteFile(g.path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		err := g.try(secretbytes.Copy([]byte("1234")), flags{}, func() error { t.Error("it is tried"); return nil })
		if !errors.Is(err, hsm.ErrWrongPIN) || !strings.Contains(err.Error(), g.path) {
			t.Error(err)
		}
	}
}

func TestAPINIsReadWithoutItsLineBreakAndWithinLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pin")
	for content, want := range map[string]string{"1234\n": "1234", "12 34\r\n": "12 34", "x": "x", "\n": "", "": "", strings.Repeat("x", 257): ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := FilePIN(path)()
		if (err == nil) != (want != "") || string(got.Reveal()) != want {
			t.Errorf("%q: %q, %v", content, got.Reveal(), err)
		}
	}
}

func TestARoleMayDoWhatItIsFor(t *testing.T) {
	for _, m := range hsmpb.Node_ServiceDesc.Methods {
		if err := permit(mtls.Operator, m.MethodName); err != nil {
			t.Error(err)
		}
		if err := permit(mtls.Node, m.MethodName); (err == nil) != (m.MethodName == "Status") {
			t.Errorf("%s: %v", m.MethodName, err)
		}
		if permit("", m.MethodName) == nil {
			t.Errorf("%s without a role", m.MethodName)
		}
	}
}
