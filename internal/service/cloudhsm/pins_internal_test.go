package cloudhsm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func tried(pin, cluster, node string) TriedPIN {
	return TriedPIN{Digest: []byte(pin), Cluster: cluster, Node: node}
}

// outcome is a whole try.
func (r *PINRecord) outcome(t TriedPIN, o Outcome, there ...string) { r.begin(&t); r.end(t, o, there) }

// told is a try that begins, as its end is told of.
func (r *PINRecord) told(t TriedPIN) TriedPIN { r.begin(&t); return t }

// at is a try of a moment.
func at(t TriedPIN, when time.Duration) TriedPIN {
	t.Time = metav1.NewTime(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC).Add(when))
	return t
}

func TestATryCountsFromBeforeItIsMadeUntilTheTokenTakesAPIN(t *testing.T) {
	r := &PINRecord{}
	first, again, other := tried("x", "a/a", "n"), tried("x", "a/a", "n"), tried("x", "a/a", "m")
	if !r.begin(&first) || r.Tries != 1 || !r.Find([]byte("x")).Open {
		t.Errorf("begun: %+v", r)
	}
	if r.begin(&again) || r.Tries != 1 {
		t.Errorf("the same node goes on with it: %+v", r)
	}
	if !r.begin(&other) || r.Tries != 2 {
		t.Errorf("another node may try it once more: %+v", r)
	}
	r.end(other, PINTaken, []string{"a/a"})
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
	r.told(tried("y", "a/a", "n")) // nobody saw what came of it
	r.outcome(tried("y", "a/a", "m"), PINNotTried, "a/a")
	if y := r.Find([]byte("y")); r.Tries != 1 || y == nil || !y.Open || y.Node != "n" {
		t.Errorf("the first may have been tried: %+v", r)
	}
}

func TestATryThatMayHaveBeenMadeIsNotTakenBackByAnotherThatWasNot(t *testing.T) {
	for name, tt := range map[string]struct {
		play  func(r *PINRecord)
		tries int
		open  string // the PIN that nobody knows the end of
	}{
		"the same node is told again, and has another PIN by then": {func(r *PINRecord) {
			r.told(tried("x", "a/a", "n"))
			r.outcome(tried("x", "a/a", "n"), PINNotTried)
		}, 1, "x"},
		"a node of another cluster is told after it": {func(r *PINRecord) {
			r.told(tried("x", "a/a", "n"))
			r.outcome(tried("x", "b/b", "n"), PINNotTried)
		}, 1, "x"},
		"another is told meanwhile": {func(r *PINRecord) {
			first := r.told(tried("x", "a/a", "n"))
			r.told(tried("x", "b/b", "n"))
			r.end(first, PINNotTried, nil)
		}, 2, "x"},
		"the token takes one of another, and a third begins": {func(r *PINRecord) {
			first := r.told(at(tried("x", "a/a", "n"), 0))
			r.outcome(at(tried("right", "b/b", "n"), time.Second), PINTaken, "b/b")
			r.told(at(tried("y", "c/c", "n"), 2*time.Second))
			r.end(first, PINNotTried, nil)
		}, 1, "y"},
		"the record is another by then": {func(r *PINRecord) {
			first := r.told(tried("x", "a/a", "n"))
			*r = PINRecord{}
			r.told(tried("y", "c/c", "n"))
			r.end(first, PINNotTried, nil)
		}, 1, "y"},
	} {
		r := &PINRecord{}
		tt.play(r)
		if got := r.Find([]byte(tt.open)); r.Tries != tt.tries || got == nil || !got.Open {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestAPINThatTheTokenTookEndsNoTryThatIsGoingOn(t *testing.T) {
	for name, tt := range map[string]struct {
		since time.Duration
		tries int
	}{"began a moment ago": {time.Second, 1}, "began nearly too long ago": {Unseen - 1, 1}, "began too long ago": {Unseen, 0}} {
		r := &PINRecord{}
		r.told(at(tried("x", "a/a", "n"), 0))
		r.outcome(at(tried("right", "b/b", "n"), tt.since), PINTaken, "b/b")
		if x := r.Find([]byte("x")); r.Tries != tt.tries || x.Open != (tt.tries == 1) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestAClusterThatIsMadeAgainUnderItsNameIsAnother(t *testing.T) {
	hc := &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "a", UID: "1"}}
	again := hc.DeepCopy()
	again.UID = "2"
	r := &PINRecord{}
	r.told(tried("x", Identity(hc), "n"))
	next := tried("x", Identity(again), "n")
	if !r.begin(&next) || r.Tries != 2 {
		t.Errorf("its node tries once more, uncounted: %+v", r)
	}
	r.outcome(tried("p", Identity(hc), "n"), PINTaken, Identity(hc))
	r.outcome(tried("p", "b/b/1", "n"), PINTaken, Identity(hc), "b/b/1")
	if !r.TakenByOthers(Identity(again), []string{Identity(again), "b/b/1"}) {
		t.Errorf("the token let the former in, and not this one: %+v", r)
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
			try := r.told(tried(pin, cluster, fmt.Sprint(step)))
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
