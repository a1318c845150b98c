package hsm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/hsm"
)

func TestSealedBytesOutsideOfTheLimitsAreNotRead(t *testing.T) {
	long := sealed(hsm.KindToken, 1)
	long.Body = make([]byte, hsm.MaxToken-hsm.HeaderSize-hsm.NonceSize)
	shortest := sealed(hsm.KindToken, 1)
	shortest.Body = make([]byte, hsm.TagSize)
	for name, tt := range map[string]struct {
		b    []byte
		good bool
	}{
		"the shortest, an empty plaintext": {shortest.Bytes(), true},
		"a byte less than the shortest":    {shortest.Bytes()[:hsm.Overhead-1], false},
		"the longest":                      {long.Bytes(), true},
		"a byte more than the longest":     {append(long.Bytes(), 0), false},
		"nothing":                          {nil, false},
		"a header alone":                   {shortest.Header(), false},
	} {
		if _, err := hsm.ParseSealed(hsm.KindToken, tt.b); (err == nil) != tt.good || err != nil && !errors.Is(err, hsm.ErrInvalidCiphertext) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnEpochInAHeaderIsOneThatATokenMayHave(t *testing.T) {
	for name, tt := range map[string]struct {
		kind  hsm.Kind
		epoch uint64
		good  bool
	}{
		"a token of epoch 0":              {hsm.KindToken, 0, false},
		"a token of epoch 1":              {hsm.KindToken, 1, true},
		"a token of the last epoch":       {hsm.KindToken, 1<<32 - 1, true},
		"a token of one more":             {hsm.KindToken, 1 << 32, false},
		"a token of a negative one":       {hsm.KindToken, 1<<64 - 1, false},
		"a wrapped key of epoch 0":        {hsm.KindWrapped, 0, false},
		"a wrapped key of epoch 1":        {hsm.KindWrapped, 1, true},
		"a ciphertext, which has none":    {hsm.KindCiphertext, 0, true},
		"a ciphertext that names one":     {hsm.KindCiphertext, 1, false},
		"a ciphertext of a negative one":  {hsm.KindCiphertext, 1 << 63, false},
		"a wrapped key of a negative one": {hsm.KindWrapped, 1 << 63, false},
	} {
		b := sealed(tt.kind, 1).Bytes()
		binary.BigEndian.PutUint64(b[4:], tt.epoch)
		s, err := hsm.ParseSealed(tt.kind, b)
		if (err == nil) != tt.good || err == nil && uint64(s.Epoch) != tt.epoch {
			t.Errorf("%s: %d, %v", name, s.Epoch, err)
		}
	}
}

func TestAHeaderWhoseSpecItsKindDoesNotHaveIsNotRead(t *testing.T) {
	for kind, epoch := range map[hsm.Kind]int64{hsm.KindWrapped: 1, hsm.KindToken: 1, hsm.KindCiphertext: 0} {
		for number := range 256 {
			b := sealed(kind, epoch).Bytes()
			b[3] = byte(number)
			_, err := hsm.ParseSealed(kind, b)
			good := number == 0
			if kind == hsm.KindToken {
				good = number >= 1 && number <= len(hsm.KeySpecs())
			}
			if (err == nil) != good {
				t.Errorf("kind %d, spec number %d: %v", kind, number, err)
			}
		}
	}
}

// What is authenticated besides must tell every pair of a header and an AAD apart from every other.
func TestTwoPairsOfHeaderAndAADNeverMakeTheSameBytes(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	seen := map[string]string{}
	for range 2000 {
		s := sealed(hsm.KindToken, 1+random.Int64N(3))
		s.Spec = hsm.KeySpecs()[random.IntN(3)]
		aad := bytes.Repeat([]byte{byte(random.IntN(2))}, random.IntN(4))
		pair := string(s.Header()) + "|" + string(aad)
		if former, there := seen[string(s.AAD(aad))]; there && former != pair {
			t.Fatalf("seed %d: %q and %q", seed, former, pair)
		}
		seen[string(s.AAD(aad))] = pair
	}
}

func TestTheAADOfOneSealedDoesNotChangeAnothers(t *testing.T) {
	s := sealed(hsm.KindToken, 1)
	first := s.AAD([]byte("first"))
	second := s.AAD([]byte("other"))
	if string(first[hsm.HeaderSize:]) != "first" || string(second[hsm.HeaderSize:]) != "other" {
		t.Errorf("%q, %q: they share their bytes", first, second)
	}
	if !bytes.Equal(s.Bytes(), s.Bytes()) {
		t.Error("to encode it changes it")
	}
}

var all = map[string]error{
	"NoNodes": hsm.ErrNoNodes, "WrongPIN": hsm.ErrWrongPIN, "PINLocked": hsm.ErrPINLocked, "ModuleFailed": hsm.ErrModule, "ModuleLost": hsm.ErrModuleLost,
	"NoPKCS11": hsm.ErrNoPKCS11, "Uninitialized": hsm.ErrUninitialized, "NoDomainKey": hsm.ErrNoDomainKey, "UnknownEpoch": hsm.ErrUnknownEpoch,
	"InvalidCiphertext": hsm.ErrInvalidCiphertext, "InvalidArgument": hsm.ErrInvalidArgument, "Unsupported": hsm.ErrUnsupported, "EpochExists": hsm.ErrExists,
	"NoSecurityOfficer": hsm.ErrNoSecurityOfficer, "NoTransportKey": hsm.ErrNoTransportKey, "PermissionDenied": hsm.ErrPermissionDenied, "KeyMismatch": hsm.ErrMismatch,
}

// Reasons are in conditions and on the wire between versions of nodes: they are frozen.
func TestEveryErrorHasItsOwnReasonAndComesBackFromItAsNoOther(t *testing.T) {
	for reason, err := range all {
		if got := hsm.Reason(err); got != reason {
			t.Errorf("%v has the reason %q, want %q", err, got, reason)
		}
		back := hsm.FromReason(reason, "node 1: "+err.Error())
		for other, sentinel := range all {
			is := reason == other || reason == "ModuleLost" && other == "ModuleFailed"
			if errors.Is(back, sentinel) != is {
				t.Errorf("%s comes back as %s: %t", reason, other, !is)
			}
		}
		if !strings.HasPrefix(back.Error(), "node 1: ") {
			t.Errorf("%s: %q", reason, back)
		}
	}
	if got := hsm.Reason(errors.New("disk full")); got != "ModuleFailed" {
		t.Errorf("what nobody knows has the reason %q", got)
	}
}

func FuzzFromReason(f *testing.F) {
	for reason := range all {
		f.Add(reason, "text")
	}
	f.Add("", "")
	f.Add("\x00", "\xff")
	f.Fuzz(func(t *testing.T, reason, text string) {
		err := hsm.FromReason(reason, text)
		if err == nil || err.Error() != text {
			t.Fatalf("%q, %q: %v", reason, text, err)
		}
		if _, known := all[reason]; known && hsm.Reason(err) != reason || !known && !errors.Is(err, hsm.ErrModule) {
			t.Fatalf("%q came back as %q", reason, hsm.Reason(err))
		}
	})
}
