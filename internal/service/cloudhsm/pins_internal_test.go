package cloudhsm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func tried(pin, cluster, node string) TriedPIN {
	return TriedPIN{Digest: []byte(pin), Cluster: cluster, Node: node}
}

// outcome is a whole try.
func (r *PINRecord) outcome(t TriedPIN, o Outcome, there ...string) { r.begin(t); r.end(t, o, there) }

func TestATryCountsFromBeforeItIsMadeUntilTheTokenTakesAPIN(t *testing.T) {
	r := &PINRecord{}
	if !r.begin(tried("x", "a/a", "n")) || r.Tries != 1 || !r.Find([]byte("x")).Open {
		t.Errorf("begun: %+v", r)
	}
	if r.begin(tried("x", "a/a", "n")) || r.Tries != 1 {
		t.Errorf("the same node goes on with it: %+v", r)
	}
	if !r.begin(tried("x", "a/a", "m")) || r.Tries != 2 {
		t.Errorf("another node may try it once more: %+v", r)
	}
	r.end(tried("x", "a/a", "m"), PINTaken, []string{"a/a"})
	if r.Tries != 0 || !r.Find([]byte("x")).Taken || r.Find([]byte("x")).Open || !slices.Equal(r.LoggedIn, []string{"a/a"}) {
		t.Errorf("taken: %+v", r)
	}
	r.outcome(tried("y", "a/a", "n"), PINRefused, "a/a")
	if r.Tries != 1 || !r.Find([]byte("y")).Refused || !r.Find([]byte("x")).Taken {
		t.Errorf("refused: %+v", r)
	}
	r.outcome(tried("x", "b/b", "n"), PINTaken, "a/a", "b/b")
	if r.Tries != 0 || !r.Find([]byte("y")).Refused || !slices.Equal(r.LoggedIn, []string{"a/a", "b/b"}) {
		t.Errorf("what was refused stays refused: %+v", r)
	}
}

func TestAPINThatWasNotTriedLeavesNothingButWhatWasKnownBefore(t *testing.T) {
	r := &PINRecord{}
	r.outcome(tried("x", "a/a", "n"), PINNotTried)
	if r.Tries != 0 || len(r.PINs) != 0 {
		t.Errorf("%+v", r)
	}
	r.outcome(tried("x", "a/a", "n"), PINTaken, "a/a")
	r.outcome(tried("x", "a/a", "m"), PINNotTried, "a/a")
	if x := r.Find([]byte("x")); r.Tries != 0 || x == nil || !x.Taken || x.Open {
		t.Errorf("%+v", r)
	}
	r.begin(tried("y", "a/a", "n")) // nobody saw what came of it
	r.outcome(tried("y", "a/a", "m"), PINNotTried, "a/a")
	if r.Tries != 1 {
		t.Errorf("the first may have been tried: %+v", r)
	}
}

func TestThePINThatTheTokenTakesIsOneAndThoseWhoHaveItAreThoseThatAreThere(t *testing.T) {
	r := &PINRecord{}
	r.outcome(tried("p", "a/a", "n"), PINTaken, "a/a", "b/b")
	r.outcome(tried("p", "b/b", "n"), PINTaken, "a/a", "b/b")
	if r.TakenByOthers("a/a", []string{"a/a", "b/b"}) || !r.TakenByOthers("c/c", []string{"c/c", "b/b"}) || r.TakenByOthers("c/c", []string{"c/c"}) {
		t.Errorf("%+v", r)
	}
	r.outcome(tried("q", "a/a", "n"), PINTaken, "a/a", "b/b") // it was changed at the token
	if r.Find([]byte("p")) != nil || !r.Find([]byte("q")).Taken || !slices.Equal(r.LoggedIn, []string{"a/a"}) {
		t.Errorf("%+v", r)
	}
	r.outcome(tried("q", "b/b", "n"), PINTaken, "b/b") // a/a is gone
	if !slices.Equal(r.LoggedIn, []string{"b/b"}) {
		t.Errorf("%+v", r)
	}
	r.outcome(tried("q", "b/b", "n"), PINRefused, "b/b") // and changed again
	if r.TakenByOthers("c/c", []string{"b/b", "c/c"}) || r.Find([]byte("q")).Taken {
		t.Errorf("nobody has the right one, so who has may come: %+v", r)
	}
}

// Whatever clusters do, in whatever order, and wherever they crash: no PIN is tried again that was refused, as long as the record has room for it, and the token is never given three wrong ones in a row by those who do not have the right one.
func TestNoOrderOfTriesAndCrashesLocksAToken(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		r, wrong, right := &PINRecord{}, 0, "p0"
		refused := map[string]bool{}
		for step := range 400 {
			cluster, pin := fmt.Sprint("n/c", random.IntN(3)), fmt.Sprint("p", random.IntN(6))
			there := []string{"n/c0", "n/c1", "n/c2"}
			last := r.Find([]byte(pin))
			if last != nil && last.Refused || (last == nil || !last.Taken) && (r.TakenByOthers(cluster, there) || r.Tries >= MaximumTries) {
				continue
			}
			if refused[pin] {
				t.Fatalf("seed %d, step %d: %s is tried again", seed, step, pin)
			}
			try := tried(pin, cluster, fmt.Sprint(step))
			r.begin(try)
			if random.IntN(4) == 0 {
				continue // it crashed before the node tried
			}
			outcome := PINRefused
			if wrong++; pin == right {
				wrong, outcome = 0, PINTaken
			}
			if wrong >= 3 {
				t.Fatalf("seed %d, step %d: the token is locked: %+v", seed, step, r)
			}
			if random.IntN(4) == 0 {
				continue // it crashed before it could say so
			}
			refused[pin] = outcome == PINRefused
			r.end(try, outcome, there)
		}
	}
}

func TestARecordHasABoundAndForgetsTheOldestThatWasRefused(t *testing.T) {
	r := &PINRecord{}
	r.outcome(tried("right", "a/a", "n"), PINTaken, "a/a")
	for n := range 3 * maximumPINs {
		r.outcome(tried(fmt.Sprint("wrong", n), "a/a", "n"), PINRefused, "a/a")
	}
	if len(r.PINs) != maximumPINs || r.Find([]byte("right")) == nil || r.Find([]byte(fmt.Sprint("wrong", 3*maximumPINs-1))) == nil || r.Find([]byte("wrong0")) != nil {
		t.Errorf("%d PINs: %+v", len(r.PINs), r)
	}
}

func TestTokensOfTwoLibrariesOrLabelsHaveRecordsOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, token := range []Token{{"/a.so", "x"}, {"/a.so", "y"}, {"/b.so", "x"}, {"/a.sox", ""}, {"", "/a.sox"}} {
		if name := token.RecordName(); seen[name] || len(name) > 63 {
			t.Errorf("%s of %v", name, token)
		} else {
			seen[name] = true
		}
	}
}
