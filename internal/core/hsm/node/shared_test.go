//go:build cgo

package node_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/node"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// shared is a token that is set up by "the vendor's tools", and nodes that have it together, none of which is logged in yet.
func shared(t *testing.T, faults *hsmtest.Faults, count int) []*running {
	t.Helper()
	a, dir := hsmtest.NewAuthority(t), t.TempDir()
	vendor := start(t, a, dir)
	vendor.state(t, hsmpb.State_STATE_UNINITIALIZED)
	_, err := vendor.api.Initialize(background(t), &hsmpb.InitializeRequest{})
	must(t, err)
	vendor.Stop()
	nodes := make([]*running, count)
	for i := range nodes {
		nodes[i] = start(t, a, "", hsmtest.Sharing(t, dir), faults.In)
		nodes[i].token = dir
	}
	for _, n := range nodes {
		n.state(t, hsmpb.State_STATE_UNINITIALIZED)
	}
	return nodes
}

// logIn lets a node log in with a PIN.
func (r *running) logIn(t *testing.T, pin string) error {
	t.Helper()
	d, err := hsm.DigestPIN(secretbytes.Copy([]byte(pin)))
	must(t, err)
	_, err = r.api.Initialize(background(t), &hsmpb.InitializeRequest{PinSalt: d.Salt, PinDigest: d.Digest})
	return hsmpb.FromStatus(err)
}

func TestANodeOfASharedTokenFindsTheDomainKeyThatAnotherMadeAfterItLoggedIn(t *testing.T) {
	nodes := shared(t, hsmtest.NewFaults(t), 2)
	ctx := background(t)
	for _, n := range nodes {
		must(t, n.logIn(t, hsmtest.PIN))
		n.state(t, hsmpb.State_STATE_INITIALIZED)
	}
	made, err := nodes[0].api.CreateDomainKey(ctx, &hsmpb.CreateDomainKeyRequest{Epoch: 1})
	must(t, err)
	s := nodes[1].state(t, hsmpb.State_STATE_ACTIVE)
	if got := s.GetDomainKeys()[0]; string(got.GetKeyCheckValue()) != string(made.GetDomainKey().GetKeyCheckValue()) {
		t.Errorf("%x is not the key that was made, %x", got.GetKeyCheckValue(), made.GetDomainKey().GetKeyCheckValue())
	}
	key, aad := make([]byte, hsm.KeySize), []byte("aad")
	wrapped, err := nodes[0].api.Wrap(ctx, &hsmpb.WrapRequest{Key: key, Aad: aad})
	must(t, err)
	_, err = nodes[1].api.Unwrap(ctx, &hsmpb.UnwrapRequest{Wrapped: wrapped.GetWrapped(), Aad: aad})
	must(t, err)
}

func TestNoSecondDomainKeyIsMadeOnATokenWhereAnotherNodeHasMadeOne(t *testing.T) {
	nodes := shared(t, hsmtest.NewFaults(t), 2)
	for _, n := range nodes {
		must(t, n.logIn(t, hsmtest.PIN))
	}
	_, err := nodes[0].api.CreateDomainKey(background(t), &hsmpb.CreateDomainKeyRequest{Epoch: 1})
	must(t, err)
	_, err = nodes[1].api.CreateDomainKey(background(t), &hsmpb.CreateDomainKeyRequest{Epoch: 1}) // it knew of none
	wants(t, "making it again", hsmpb.FromStatus(err), hsm.ErrExists)
	nodes[1].state(t, hsmpb.State_STATE_ACTIVE)
}

// Between the two keys of an epoch, whoever looks must leave the first as it is.
func TestANodeThatLogsInWhileAnotherMakesADomainKeyTakesNothingAway(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	nodes := shared(t, faults, 2)
	must(t, nodes[0].logIn(t, hsmtest.PIN))
	faults.CrashAt(t, "C_GenerateKey", 2) // the wrapping key is there, and the domain key is not
	if _, err := nodes[0].api.CreateDomainKey(background(t), &hsmpb.CreateDomainKeyRequest{Epoch: 1}); err == nil {
		t.Fatal("it did not die")
	}
	destroyed := faults.Calls(t, "C_DestroyObject")
	must(t, nodes[1].logIn(t, hsmtest.PIN))
	nodes[1].state(t, hsmpb.State_STATE_INITIALIZED)
	if n := faults.Calls(t, "C_DestroyObject") - destroyed; n != 0 {
		t.Errorf("%d objects were destroyed by a login", n)
	}
	// Whoever makes the key of that epoch clears away what the crash left.
	_, err := nodes[1].api.CreateDomainKey(background(t), &hsmpb.CreateDomainKeyRequest{Epoch: 1})
	must(t, err)
	if n := faults.Calls(t, "C_DestroyObject") - destroyed; n != 1 {
		t.Errorf("%d objects were destroyed, want the one that was left", n)
	}
	nodes[1].state(t, hsmpb.State_STATE_ACTIVE)
}

func TestANodeOfASharedTokenTriesNoPINByItself(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	faults.Lock(t)
	nodes := shared(t, faults, 3)
	for i, n := range nodes {
		must(t, os.WriteFile(filepath.Join(n.Dir, "pin"), []byte("wrong-CANARY"), 0o600))
		nodes[i] = n.restart(t, faults)
	}
	for _, n := range nodes {
		if s := n.state(t, hsmpb.State_STATE_UNINITIALIZED); s.GetReason() != "LoggedOut" {
			t.Errorf("it says %s: %s", s.GetReason(), s.GetMessage())
		}
	}
	if n := faults.Calls(t, "C_Login-user"); n != 0 {
		t.Fatalf("%d logins", n)
	}
	wants(t, "the one that is told to", nodes[0].logIn(t, "wrong-CANARY"), hsm.ErrWrongPIN)
	wants(t, "telling it again", nodes[0].logIn(t, "wrong-CANARY"), hsm.ErrWrongPIN)
	if s, _ := nodes[0].Status(background(t), nil); s.GetReason() != "WrongPIN" || strings.Contains(s.GetMessage(), "CANARY") {
		t.Errorf("it says %s: %s", s.GetReason(), s.GetMessage())
	}
	if user, _ := faults.Wrong(t); user != 1 {
		t.Errorf("the token counts %d wrong PINs, want 1", user)
	}
}

// A mounted file may be a minute older than the core Secret that it is of.
func TestAPINThatIsNotTheOneThatIsMeantIsNotTried(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	n := shared(t, faults, 1)[0]
	must(t, os.WriteFile(filepath.Join(n.Dir, "pin"), []byte("old-CANARY"), 0o600))
	wants(t, "the PIN's file is older", n.logIn(t, hsmtest.PIN), hsm.ErrOtherPIN)
	must(t, os.Remove(filepath.Join(n.Dir, "pin")))
	wants(t, "the PIN's file is not there yet", n.logIn(t, hsmtest.PIN), hsm.ErrOtherPIN)
	_, err := n.api.Initialize(background(t), &hsmpb.InitializeRequest{})
	wants(t, "no PIN is meant", hsmpb.FromStatus(err), hsm.ErrInvalidArgument)
	if calls := faults.Calls(t, "C_Login-user"); calls != 0 {
		t.Fatalf("%d logins", calls)
	}
	must(t, os.WriteFile(filepath.Join(n.Dir, "pin"), []byte(hsmtest.PIN), 0o600))
	must(t, n.logIn(t, hsmtest.PIN))
	must(t, n.logIn(t, hsmtest.PIN)) // who is logged in needs no more
	if calls := faults.Calls(t, "C_Login-user"); calls != 1 {
		t.Errorf("%d logins, want 1", calls)
	}
}

func TestASharedTokenThatIsNotThereIsNamedAndThoseOfOthersAreForTheNodesLogAlone(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	n := shared(t, faults, 1)[0]
	var log lockedBuffer
	n = n.restart(t, faults, func(o *node.Options) { o.TokenLabel, o.Logger = "misspelt", slog.New(slog.NewJSONHandler(&log, nil)) })
	hsmtest.Eventually(t, "Uninitialized", func() bool { s, _ := n.Status(background(t), nil); return s.GetReason() == "Uninitialized" })
	s := n.state(t, hsmpb.State_STATE_DEGRADED)
	if !strings.Contains(s.GetMessage(), `no token with the label "misspelt"`) || strings.Contains(s.GetMessage(), "strongroom") {
		t.Errorf("it says %q", s.GetMessage())
	}
	if !strings.Contains(log.String(), `"labels":["strongroom"]`) {
		t.Errorf("its log does not say which there are: %s", log.String())
	}
	if s.GetReason() != "Uninitialized" || faults.Calls(t, "C_InitToken") != 0 {
		t.Errorf("%s, and C_InitToken was called %d times", s.GetReason(), faults.Calls(t, "C_InitToken"))
	}
}

func TestANodeTellsWhetherItHasAPINAndTriesNone(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	n := shared(t, faults, 1)[0]
	compare := func(pin string) (bool, error) {
		d, err := hsm.DigestPIN(secretbytes.Copy([]byte(pin)))
		must(t, err)
		r, err := n.api.ComparePIN(background(t), &hsmpb.ComparePINRequest{PinSalt: d.Salt, PinDigest: d.Digest})
		return r.GetSame(), hsmpb.FromStatus(err)
	}
	for pin, want := range map[string]bool{hsmtest.PIN: true, "other-CANARY": false, hsmtest.PIN + "0": false} {
		if got, err := compare(pin); got != want || err != nil {
			t.Errorf("%s: %t, %v", pin, got, err)
		}
	}
	must(t, os.Remove(filepath.Join(n.Dir, "pin")))
	if got, err := compare(hsmtest.PIN); got || err != nil {
		t.Errorf("its file is not there yet: %t, %v", got, err)
	}
	for _, r := range []*hsmpb.ComparePINRequest{{}, {PinSalt: make([]byte, 15), PinDigest: make([]byte, 32)}, {PinSalt: make([]byte, 16), PinDigest: make([]byte, 33)}} {
		_, err := n.api.ComparePIN(background(t), r)
		wants(t, "a digest that is none", hsmpb.FromStatus(err), hsm.ErrInvalidArgument)
	}
	if calls := faults.Calls(t, "C_Login-user"); calls != 0 {
		t.Errorf("%d logins", calls)
	}
}

// restart starts a node of a shared token anew.
func (r *running) restart(t *testing.T, faults *hsmtest.Faults, changes ...hsmtest.Change) *running {
	t.Helper()
	restarted := r.again(t, append([]hsmtest.Change{hsmtest.Sharing(t, r.token), faults.In}, changes...)...)
	restarted.token = r.token
	return restarted
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
