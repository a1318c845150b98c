package server

import (
	"errors"
	"fmt"
	"strings"
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

func TestAPresignedRequestIsTakenOnceAndTheSecondTimeIsToldOfAsThat(t *testing.T) {
	const start = int64(1_800_000_000)
	for _, after := range []int64{0, 1, repeatable, repeatable + 1} {
		r := newReplays(10, 10)
		if err := r.take("111122223333", "a", start, 0); err != nil {
			t.Fatal(err)
		}
		err := r.take("111122223333", "a", start+after, 0)
		if !errors.Is(err, errUsed) || strings.Contains(err.Error(), "seconds") || !strings.Contains(err.Error(), "good for once") {
			t.Errorf("after %d seconds: %v", after, err)
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
	if err := r.take("111122223333", "b", start, repeatable); !errors.Is(err, errRate) {
		t.Errorf("one more than are remembered: %v", err)
	}
	if err := r.take("111122223333", "b", start+2*replayWindow, repeatable); err != nil {
		t.Errorf("after the windows: %v", err)
	}
}

func TestWhoIsRefusedUsesUpNothing(t *testing.T) {
	const start = int64(1_800_000_000)
	r := newReplays(3, 2)
	for i := range 1000 {
		signature := fmt.Sprint("denied-", i)
		if err := r.take("eve", signature, start, repeatable); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		r.forget("eve", signature)
	}
	if len(r.new) != 0 || len(r.of) != 0 {
		t.Errorf("%d signatures and %d principals are left", len(r.new), len(r.of))
	}
	for _, signature := range []string{"a", "b"} {
		if err := r.take("ada", signature, start, repeatable); err != nil {
			t.Errorf("who may: %v", err)
		}
	}
	if err := r.take("ada", "c", start, repeatable); !errors.Is(err, errRate) {
		t.Errorf("more than a share: %v", err)
	}
	if err := r.take("bob", "d", start, repeatable); err != nil {
		t.Errorf("another principal of the account has a share of its own: %v", err)
	}
}

// Users cost nothing to make: were each given a share, one account could have all.
func TestAnAccountHasTwoSharesHoweverManyUsersItMakes(t *testing.T) {
	const start = int64(1_800_000_000)
	r := newReplays(100, 5)
	taken := 0
	for i := range 60 {
		user := fmt.Sprintf("arn:aws:iam::111122223333:user/%d", i/3)
		if err := r.take(user, fmt.Sprint("a", i), start, repeatable); err == nil {
			taken++
		} else if !errors.Is(err, errRate) {
			t.Fatal(err)
		}
	}
	if taken != 10 {
		t.Errorf("twenty users of an account had %d of 100", taken)
	}
	other := "arn:aws:iam::444455556666:user/bob"
	if err := r.take(other, "b", start, repeatable); err != nil {
		t.Errorf("another account: %v", err)
	}
	r.forget(other, "b")
	if err := r.take("arn:aws:iam::111122223333:user/new", "c", start+replayWindow, repeatable); err != nil {
		t.Errorf("the next window: %v", err)
	}
}

func TestASignatureThatAnotherRequestHasTooIsNotForgotten(t *testing.T) {
	const start = int64(1_800_000_000)
	r := newReplays(10, 10)
	for range 2 { // of which one is refused, and the other may have done something
		if err := r.take("ada", "a", start, repeatable); err != nil {
			t.Fatal(err)
		}
	}
	r.forget("ada", "a")
	r.forget("ada", "never seen")
	if err := r.take("ada", "a", start+repeatable+1, repeatable); !errors.Is(err, errReplayed) {
		t.Errorf("%v", err)
	}
	if r.of["ada"] != 1 {
		t.Errorf("ada has %d", r.of["ada"])
	}
}

func TestASignatureOfTheWindowBeforeIsCountedAndNotForgotten(t *testing.T) {
	const start = int64(1_800_000_000)
	r := newReplays(10, 10)
	if err := r.take("ada", "a", start, repeatable); err != nil {
		t.Fatal(err)
	}
	if err := r.take("ada", "other", start+replayWindow, repeatable); err != nil {
		t.Fatal(err)
	}
	r.forget("ada", "a")
	if err := r.take("ada", "a", start+replayWindow, repeatable); !errors.Is(err, errReplayed) {
		t.Errorf("%v", err)
	}
}
