package hsm_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"strongroom.dev/strongroom/internal/core/hsm"
)

func sealed(kind hsm.Kind, epoch int64) hsm.Sealed {
	s := hsm.Sealed{Kind: kind, Epoch: epoch, Nonce: bytes.Repeat([]byte{1}, hsm.NonceSize), Body: bytes.Repeat([]byte{2}, hsm.TagSize+5)}
	if kind == hsm.KindToken {
		s.Spec = hsm.KeySpecs()[1]
	}
	return s
}

// The format is frozen: these bytes are in people's clusters.
func TestTheFormatOfATokenIsFrozen(t *testing.T) {
	got := fmt.Sprintf("%x", sealed(hsm.KindToken, 258).Header())
	if got != "011002020000000000000102" {
		t.Error(got)
	}
}

func TestWhatIsSealedIsReadBackAsItsOwnKindAlone(t *testing.T) {
	for kind, epoch := range map[hsm.Kind]int64{hsm.KindWrapped: 1, hsm.KindToken: 7, hsm.KindCiphertext: 0} {
		b := sealed(kind, epoch).Bytes()
		for other := hsm.Kind(0); other < 5; other++ {
			s, err := hsm.ParseSealed(other, b)
			if (err == nil) != (other == kind) {
				t.Errorf("kind %d as %d: %v", kind, other, err)
			}
			if err == nil && (s.Epoch != epoch || !bytes.Equal(s.Bytes(), b)) {
				t.Errorf("%+v", s)
			}
		}
		if _, err := hsm.ParseSealed(kind, b[:hsm.Overhead-1]); !errors.Is(err, hsm.ErrInvalidCiphertext) {
			t.Errorf("cut: %v", err)
		}
	}
}

func FuzzParseSealed(f *testing.F) {
	f.Add(byte(2), sealed(hsm.KindToken, 1).Bytes())
	f.Add(byte(3), sealed(hsm.KindCiphertext, 0).Bytes())
	f.Add(byte(1), []byte{})
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		s, err := hsm.ParseSealed(hsm.Kind(kind), b)
		if err != nil {
			if !errors.Is(err, hsm.ErrInvalidCiphertext) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(s.Bytes(), b) || s.Epoch < 0 {
			t.Fatalf("%x is read as %+v", b, s)
		}
	})
}

func TestEveryErrorKeepsItsKindOverAWire(t *testing.T) {
	for _, err := range []error{hsm.ErrNoNodes, hsm.ErrWrongPIN, hsm.ErrPINLocked, hsm.ErrModule, hsm.ErrModuleLost, hsm.ErrInvalidCiphertext, hsm.ErrUnknownEpoch, hsm.ErrMismatch} {
		got := hsm.FromReason(hsm.Reason(fmt.Errorf("context: %w", err)), "text")
		if !errors.Is(got, err) || got.Error() != "text" {
			t.Errorf("%v became %v", err, got)
		}
	}
	if !errors.Is(hsm.FromReason("ModuleLost", ""), hsm.ErrModule) || !errors.Is(hsm.FromReason("of a newer node", ""), hsm.ErrModule) || hsm.Reason(nil) != "" {
		t.Error("a lost module is a failed one, and so is what nobody knows")
	}
}
