package server

import (
	"errors"
	"testing"
)

func TestASignatureIsTakenAgainForSecondsAndNeverAfterThem(t *testing.T) {
	const start = int64(1_800_000_000)
	for after, want := range map[int64]error{
		0: nil, repeatable: nil, repeatable + 1: errReplayed,
		replayWindow - 1: errReplayed, replayWindow: errReplayed, // as long as a signature is good, it is remembered
	} {
		r := newReplays(10, 10)
		if err := r.take("111122223333", "a", start, repeatable); err != nil {
			t.Fatal(err)
		}
		if err := r.take("111122223333", "a", start+after, repeatable); !errors.Is(err, want) {
			t.Errorf("after %d seconds: %v, want %v", after, err, want)
		}
	}
}

func TestARepetitionDoesNotProlongTheTime(t *testing.T) {
	const start = int64(1_800_000_000)
	r := newReplays(10, 10)
	for _, after := range []int64{0, repeatable - 1, repeatable} {
		if err := r.take("111122223333", "a", start+after, repeatable); err != nil {
			t.Fatalf("after %d seconds: %v", after, err)
		}
	}
	if err := r.take("111122223333", "a", start+repeatable+1, repeatable); !errors.Is(err, errReplayed) {
		t.Errorf("%v", err)
	}
}

func TestTheMemoryOfSignaturesIsBoundedAndEmptiesWithTime(t *testing.T) {
	const start = int64(1_800_000_000)
	r := newReplays(1, 1)
	if err := r.take("111122223333", "a", start, repeatable); err != nil {
		t.Fatal(err)
	}
	if err := r.take("111122223333", "b", start, repeatable); !errors.Is(err, errManyWrites) {
		t.Errorf("one more than are remembered: %v", err)
	}
	if err := r.take("111122223333", "b", start+2*replayWindow, repeatable); err != nil {
		t.Errorf("after the windows: %v", err)
	}
}
