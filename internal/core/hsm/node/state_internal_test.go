package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func TestTheStateOfANodeIsThatOfItsModuleFirstThenOfItsTokenThenOfItsKeys(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		token  tokenState
		keys   int
		starts int64
		want   hsmpb.State
	}{
		"before the first process":            {hsm.ErrModule, unknown, 0, 0, hsmpb.State_STATE_STARTING},
		"a module that failed":                {hsm.ErrModule, unknown, 0, 1, hsmpb.State_STATE_DEGRADED},
		"a module that failed after it went":  {hsm.ErrModule, loggedIn, 3, 1, hsmpb.State_STATE_DEGRADED},
		"a wrong PIN":                         {hsm.ErrWrongPIN, uninitialized, 0, 4, hsmpb.State_STATE_DEGRADED},
		"an empty token":                      {nil, uninitialized, 0, 1, hsmpb.State_STATE_UNINITIALIZED},
		"a token that nobody looked at":       {nil, unknown, 0, 1, hsmpb.State_STATE_UNINITIALIZED},
		"a token without domain keys":         {nil, loggedIn, 0, 1, hsmpb.State_STATE_INITIALIZED},
		"a token with one":                    {nil, loggedIn, 1, 1, hsmpb.State_STATE_ACTIVE},
		"a token with many, restarted before": {nil, loggedIn, 200, 9, hsmpb.State_STATE_ACTIVE},
	} {
		if got := stateOf(tt.err, tt.token, tt.keys, tt.starts); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestTheFlagsOfOnePINAreNotTheOthers(t *testing.T) {
	s := &hsmpb.TokenState{UserPinCountLow: true, UserPinLocked: true, SoPinFinalTry: true}
	if got := userFlags(s); got != (flags{countLow: true, locked: true}) {
		t.Errorf("the user's: %+v", got)
	}
	if got := soFlags(s); got != (flags{finalTry: true}) {
		t.Errorf("the officer's: %+v", got)
	}
}

func TestAPINOfTheEnvironmentHasTheSameLimitsAsThatOfAFileAndItsErrorNamesTheVariableAlone(t *testing.T) {
	const variable = "STRONGROOM_TEST_PIN"
	for content, good := range map[string]bool{"": false, "x": true, strings.Repeat("CANARY-x", 32): true, strings.Repeat("CANARY-x", 32) + "y": false} {
		t.Setenv(variable, content)
		pin, err := EnvironmentPIN(variable)()
		if (err == nil) != good || good && string(pin.Reveal()) != content {
			t.Errorf("%d bytes: %v", len(content), err)
		}
		if err != nil && (!strings.Contains(err.Error(), variable) || strings.Contains(err.Error(), "CANARY")) {
			t.Errorf("%v", err)
		}
	}
	if _, err := FilePIN(filepath.Join(t.TempDir(), "missing"))(); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("%v", err)
	}
}

func TestAPINThatCannotBeNotedIsNotTried(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	g := newGuard(dir, "PIN", "pin.json")
	err := g.try(secretbytes.Copy([]byte("1234")), flags{}, func() error { t.Error("it is tried"); return nil })
	if err == nil || !strings.Contains(err.Error(), "noting that a PIN is tried") {
		t.Errorf("%v", err)
	}
}

func TestNotingAPINLeavesNothingElseInTheDirectoryAndIsForItsOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	g := newGuard(dir, "PIN", "pin.json")
	if err := g.try(secretbytes.Copy([]byte("1234")), flags{}, func() error { return hsm.ErrWrongPIN }); err == nil {
		t.Fatal("it is right")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "pin.json" {
		t.Fatalf("%v, %v", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// The record of an attempt is read from a volume that somebody else may write: no bytes of it make a node try a PIN that it does not know to be untried.
func FuzzARecordOfAnAttempt(f *testing.F) {
	for _, seed := range []string{"", "{}", "null", `{"salt":"AAAAAAAAAAAAAAAAAAAAAA==","digest":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","refused":true}`, `{"refused":true}`, "[1]", "\xff"} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, record []byte) {
		g := newGuard(dir, "PIN", "pin.json")
		if err := os.WriteFile(g.path, record, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := g.read()
		if (a == nil) != (err != nil) {
			t.Fatalf("%q: %+v, %v", record, a, err)
		}
		if err != nil && hsm.Reason(err) != "WrongPIN" {
			t.Fatalf("%q: %v", record, err)
		}
	})
}
