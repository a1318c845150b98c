//go:build cgo

package node_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/pkcs11"
	"google.golang.org/protobuf/proto"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
)

// restarted waits until the node serves again in another process, and answers how many there were.
func (r *running) restarted(t testing.TB, former int64, want hsmpb.State) int64 {
	t.Helper()
	var s *hsmpb.StatusResponse
	hsmtest.Eventually(t, "another process of the module in "+want.String(), func() bool {
		s, _ = r.Status(background(t), nil)
		return s.GetModuleStarts() > former && s.GetState() == want
	})
	return s.GetModuleStarts()
}

// A library that dies while it works takes the request with it and nothing else: the request says so, and the same one works afterwards.
func TestAModuleThatDiesDuringACallFailsThatCallAloneAndIsStartedAgain(t *testing.T) {
	type ask = func(context.Context, *running, *hsmpb.KeyToken) error
	random := func(ctx context.Context, r *running, _ *hsmpb.KeyToken) error {
		_, err := r.api.Random(ctx, &hsmpb.RandomRequest{Size: 8})
		return err
	}
	sign := func(ctx context.Context, r *running, _ *hsmpb.KeyToken) error {
		return r.sign(ctx, r.key(t, "ECC_NIST_P256")) // a new key, which the module has not unwrapped yet
	}
	encrypt := func(ctx context.Context, r *running, cipher *hsmpb.KeyToken) error {
		_, err := r.api.Encrypt(ctx, &hsmpb.EncryptRequest{Key: cipher, Plaintext: []byte("p")})
		return err
	}
	unwrap := func(ctx context.Context, r *running, _ *hsmpb.KeyToken) error {
		wrapped, err := r.api.Wrap(ctx, &hsmpb.WrapRequest{Key: make([]byte, 32)})
		if err == nil {
			_, err = r.api.Unwrap(ctx, &hsmpb.UnwrapRequest{Wrapped: wrapped.GetWrapped()})
		}
		return err
	}
	generate := func(spec string) ask {
		return func(ctx context.Context, r *running, _ *hsmpb.KeyToken) error {
			_, err := r.api.GenerateKey(ctx, &hsmpb.GenerateKeyRequest{KeySpec: spec})
			return err
		}
	}
	for function, ask := range map[string]ask{
		"C_GenerateRandom": random, "C_Sign": sign, "C_UnwrapKey": sign, "C_Encrypt": encrypt, "C_Decrypt": unwrap,
		"C_GenerateKeyPair": generate("ECC_NIST_P256"), "C_GetAttributeValue": generate("RSA_2048"), "C_WrapKey": generate("SYMMETRIC_DEFAULT"),
	} {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			faults := hsmtest.NewFaults(t)
			r := active(t, faults.In)
			ctx, cipher := background(t), r.key(t, "SYMMETRIC_DEFAULT")
			faults.CrashAt(t, function, 1)
			err := hsmpb.FromStatus(ask(ctx, r, cipher))
			wants(t, "dying", err, hsm.ErrModule)
			if err == nil || !strings.Contains(err.Error(), "process ended") {
				t.Errorf("%v", err)
			}
			r.restarted(t, 1, hsmpb.State_STATE_ACTIVE)
			if err := hsmpb.FromStatus(ask(ctx, r, cipher)); err != nil {
				t.Errorf("the same afterwards: %v", err)
			}
		})
	}
}

// Each thing that changes a token is made to die at each of its steps, before it and after it. Asked again, it comes to what it would have come to.
func TestAModuleThatDiesAtAnyStepOfASetupLosesNothingAndTheSetupCanBeRepeated(t *testing.T) {
	for _, tt := range []struct {
		function string
		n        int
		// state is what the token is in after the crash.
		state map[bool]hsmpb.State
	}{
		{"C_InitToken", 1, map[bool]hsmpb.State{false: hsmpb.State_STATE_UNINITIALIZED, true: hsmpb.State_STATE_UNINITIALIZED}},
		{"C_Login-officer", 1, map[bool]hsmpb.State{false: hsmpb.State_STATE_UNINITIALIZED, true: hsmpb.State_STATE_UNINITIALIZED}},
		{"C_InitPIN", 1, map[bool]hsmpb.State{false: hsmpb.State_STATE_UNINITIALIZED, true: hsmpb.State_STATE_INITIALIZED}},
		{"C_Login-user", 1, map[bool]hsmpb.State{false: hsmpb.State_STATE_INITIALIZED, true: hsmpb.State_STATE_INITIALIZED}},
		{"C_GenerateKey", 1, map[bool]hsmpb.State{false: hsmpb.State_STATE_INITIALIZED, true: hsmpb.State_STATE_INITIALIZED}},
		{"C_GenerateKey", 2, map[bool]hsmpb.State{false: hsmpb.State_STATE_INITIALIZED, true: hsmpb.State_STATE_ACTIVE}},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %d after=%t", tt.function, tt.n, after), func(t *testing.T) {
				t.Parallel()
				faults := hsmtest.NewFaults(t)
				r := start(t, hsmtest.NewAuthority(t), "", faults.In)
				r.state(t, hsmpb.State_STATE_UNINITIALIZED)
				if after {
					faults.CrashAfter(t, tt.function, tt.n)
				} else {
					faults.CrashAt(t, tt.function, tt.n)
				}
				ctx := background(t)
				setUp := func() error {
					if _, err := r.api.Initialize(ctx, &hsmpb.InitializeRequest{}); err != nil {
						return err
					}
					_, err := r.api.CreateDomainKey(ctx, &hsmpb.CreateDomainKeyRequest{Epoch: 1})
					return err
				}
				wants(t, "dying", hsmpb.FromStatus(setUp()), hsm.ErrModule)
				r.restarted(t, 1, tt.state[after])
				if err := hsmpb.FromStatus(setUp()); err != nil && tt.state[after] != hsmpb.State_STATE_ACTIVE {
					t.Fatalf("the second time: %v", err)
				}
				s := r.state(t, hsmpb.State_STATE_ACTIVE)
				if len(s.GetDomainKeys()) != 1 || s.GetDomainKeys()[0].GetEpoch() != 1 {
					t.Errorf("%v", s.GetDomainKeys())
				}
				must(t, r.sign(ctx, r.key(t, "ECC_NIST_P256")))
				if user, officer := faults.Wrong(t); user != 0 || officer != 0 {
					t.Errorf("%d and %d wrong PINs", user, officer)
				}
			})
		}
	}
}

// add brings donor's domain keys to joiner.
func add(ctx context.Context, donor, joiner *running) error {
	join, err := joiner.api.Join(ctx, &hsmpb.JoinRequest{})
	if err != nil {
		return hsmpb.FromStatus(err)
	}
	clone, err := donor.api.Clone(ctx, &hsmpb.CloneRequest{TransportKey: join.GetTransportKey()})
	if err != nil {
		return hsmpb.FromStatus(err)
	}
	_, err = joiner.api.Import(ctx, &hsmpb.ImportRequest{DomainKeys: clone.GetDomainKeys()})
	return hsmpb.FromStatus(err)
}

func TestADonorThatDiesAtAnyStepOfCloningServesAgainByItself(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	donor := active(t, faults.In)
	ctx, key := background(t), donor.key(t, "ECC_NIST_P256")
	private, err := rsa.GenerateKey(rand.Reader, 3072)
	must(t, err)
	transport, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	must(t, err)
	starts := int64(1)
	for function, after := range map[string]bool{
		"C_Login-officer": true, // the officer is logged in when it dies
		"C_CreateObject":  true, // the transport key is trusted when it dies
		"C_Login-user":    false,
		"C_WrapKey":       true,
	} {
		if after {
			faults.CrashAfter(t, function, 1)
		} else {
			faults.CrashAt(t, function, 1)
		}
		_, err := donor.api.Clone(ctx, &hsmpb.CloneRequest{TransportKey: transport})
		wants(t, function, hsmpb.FromStatus(err), hsm.ErrModule)
		starts = donor.restarted(t, starts, hsmpb.State_STATE_ACTIVE)
		must(t, donor.sign(ctx, key))
		if answer, err := donor.api.Clone(ctx, &hsmpb.CloneRequest{TransportKey: transport}); err != nil || len(answer.GetDomainKeys()) != 1 {
			t.Errorf("%s, and again: %v, %v", function, answer, err)
		}
	}
	if user, officer := faults.Wrong(t); user != 0 || officer != 0 {
		t.Errorf("%d and %d wrong PINs", user, officer)
	}
}

func TestAJoinerThatDiesAtAnyStepOfAnImportHasBothKeysOfAnEpochOrNone(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	donor := active(t)
	ctx, key := background(t), donor.key(t, "ECC_NIST_P256")
	want := donor.state(t, hsmpb.State_STATE_ACTIVE).GetDomainKeys()[0]
	for n, state := range map[int]hsmpb.State{
		1: hsmpb.State_STATE_INITIALIZED, // the wrapping key is there and the domain key is not
		2: hsmpb.State_STATE_ACTIVE,      // both are there, and nobody was told
	} {
		joiner := start(t, donor.authority, "", faults.In)
		joiner.state(t, hsmpb.State_STATE_UNINITIALIZED)
		_, err := joiner.api.Initialize(ctx, &hsmpb.InitializeRequest{})
		must(t, err)
		faults.CrashAfter(t, "C_UnwrapKey", n)
		wants(t, "dying", add(ctx, donor, joiner), hsm.ErrModule)
		joiner.restarted(t, 1, state)
		if state != hsmpb.State_STATE_ACTIVE {
			must(t, add(ctx, donor, joiner))
		}
		got := joiner.state(t, hsmpb.State_STATE_ACTIVE).GetDomainKeys()
		if len(got) != 1 || !proto.Equal(got[0], want) {
			t.Errorf("after %d keys: %v, want %v", n, got, want)
		}
		must(t, joiner.sign(ctx, key)) // the donor's key, in the joiner
	}
}

func TestAnErrorThatLosesSessionsStartsTheModuleAnewAndAnyOtherDoesNot(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	r := active(t, faults.In)
	ctx := background(t)
	random := func() error {
		_, err := r.api.Random(ctx, &hsmpb.RandomRequest{Size: 8})
		return hsmpb.FromStatus(err)
	}
	starts := int64(1)
	for code, lost := range map[uint]bool{
		pkcs11.CKR_DEVICE_ERROR: true, pkcs11.CKR_DEVICE_REMOVED: true, pkcs11.CKR_TOKEN_NOT_PRESENT: true, pkcs11.CKR_SESSION_HANDLE_INVALID: true,
		pkcs11.CKR_USER_NOT_LOGGED_IN: true, pkcs11.CKR_FUNCTION_FAILED: false, pkcs11.CKR_GENERAL_ERROR: false, pkcs11.CKR_RANDOM_NO_RNG: false,
	} {
		mend := faults.Fail(t, "C_GenerateRandom", code)
		err := random()
		wants(t, pkcs11.Error(code).Error(), err, hsm.ErrModule)
		if got := hsm.Reason(err); (got == "ModuleLost") != lost {
			t.Errorf("%v is %s", pkcs11.Error(code), got)
		}
		if !strings.Contains(err.Error(), "C_GenerateRandom") {
			t.Errorf("the function is not named: %v", err)
		}
		mend()
		if lost {
			starts = r.restarted(t, starts, hsmpb.State_STATE_ACTIVE)
		}
		must(t, random())
	}
	if s := r.state(t, hsmpb.State_STATE_ACTIVE); s.GetModuleStarts() != starts {
		t.Errorf("%d processes, want %d", s.GetModuleStarts(), starts)
	}
}

func TestAMechanismThatTheModuleLacksIsUnsupportedAndNoFaultOfTheNodes(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	r := active(t, faults.In)
	key := r.key(t, "ECC_NIST_P256")
	for _, code := range []uint{pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_FUNCTION_NOT_SUPPORTED} {
		mend := faults.Fail(t, "C_SignInit", code)
		wants(t, pkcs11.Error(code).Error(), r.sign(background(t), key), hsm.ErrUnsupported)
		mend()
	}
	must(t, r.sign(background(t), key))
}

// A library that hangs in one call: its caller goes when the time is up, others are served, and the status is told within two seconds.
func TestAModuleThatHangsHoldsUpTheOneCallAlone(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	r := active(t, faults.In)
	key := r.key(t, "ECC_NIST_P256")
	release := faults.Hang(t, "C_Sign")
	ctx, cancel := context.WithTimeout(background(t), 300*time.Millisecond)
	defer cancel()
	wants(t, "the call that hangs", r.sign(ctx, key), context.DeadlineExceeded)
	if _, err := r.api.Random(background(t), &hsmpb.RandomRequest{Size: 8}); err != nil {
		t.Errorf("another call meanwhile: %v", err)
	}
	if err := r.Ready(background(t)); err != nil {
		t.Errorf("one call that hangs makes the node not ready: %v", err)
	}
	release()
	must(t, r.sign(background(t), key))

	release = faults.Hang(t, "C_GetTokenInfo")
	began := time.Now()
	s, err := r.api.Status(background(t), &hsmpb.StatusRequest{})
	if took := time.Since(began); err != nil || took > 3*time.Second {
		t.Errorf("a status after %s: %v", took, err)
	}
	if s.GetState() != hsmpb.State_STATE_DEGRADED || s.GetMessage() == "" {
		t.Errorf("the status of a module that hangs is %v", s)
	}
	release()
	r.state(t, hsmpb.State_STATE_ACTIVE)
}

func TestALibraryThatDiesWhenItIsLoadedIsAStateWithItsCauseAndIsTriedEverMoreSlowly(t *testing.T) {
	faults := hsmtest.NewFaults(t)
	faults.CrashAt(t, "C_Initialize", 1)
	r := start(t, hsmtest.NewAuthority(t), "", faults.In)
	r.restarted(t, 1, hsmpb.State_STATE_UNINITIALIZED)

	mend := faults.Fail(t, "C_GetSlotList", pkcs11.CKR_GENERAL_ERROR)
	r = r.again(t, faults.In)
	s := r.state(t, hsmpb.State_STATE_DEGRADED)
	hsmtest.Eventually(t, "the cause", func() bool {
		s, _ = r.Status(background(t), nil)
		return s.GetReason() == "ModuleFailed" && strings.Contains(s.GetMessage(), "C_GetSlotList")
	})
	if err := r.Ready(background(t)); err == nil || !strings.Contains(err.Error(), "STATE_DEGRADED") {
		t.Errorf("%v", err)
	}
	time.Sleep(700 * time.Millisecond) // starts at 0, 100, 300 and 700 ms
	if s, _ := r.Status(background(t), nil); s.GetModuleStarts() > 5 {
		t.Errorf("%d processes in less than a second", s.GetModuleStarts())
	}
	mend()
	r.state(t, hsmpb.State_STATE_UNINITIALIZED)
}
