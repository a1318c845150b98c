package hsmcluster

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

func TestNodesOfOneTokenTryAPINOneAfterTheOtherAndAWrongOneOnceWhoseverTheyAre(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	const me, other, former = "bank/c/2", "shop/c/1", "bank/c/1"
	pin := func(name, cluster, node string, ago time.Duration) cloudhsm.TriedPIN {
		return cloudhsm.TriedPIN{Digest: []byte(name), Cluster: cluster, Node: node, Time: metav1.NewTime(now.Add(-ago))}
	}
	open := func(cluster, node string, ago time.Duration) cloudhsm.TriedPIN {
		p := pin("pin", cluster, node, ago)
		p.Open = true
		return p
	}
	taken := func(name string) cloudhsm.TriedPIN { p := pin(name, other, "x", time.Hour); p.Taken = true; return p }
	refused := func(name, cluster string) cloudhsm.TriedPIN {
		p := pin(name, cluster, "a", time.Hour)
		p.Refused = true
		return p
	}
	takenOpen := func(ago time.Duration) cloudhsm.TriedPIN { p := open(other, "x", ago); p.Taken = true; return p }
	record := func(tries int, loggedIn string, pins ...cloudhsm.TriedPIN) *cloudhsm.PINRecord {
		r := &cloudhsm.PINRecord{Tries: tries, PINs: pins}
		if loggedIn != "" {
			r.LoggedIn = strings.Split(loggedIn, " ")
		}
		return r
	}
	for name, tt := range map[string]struct {
		record          *cloudhsm.PINRecord
		ready, loggedIn string
		there           string
		want            string
		err             error
	}{
		"nobody has tried":                                  {record(0, ""), "a b", "", me, "a", nil},
		"the token took the PIN":                            {record(0, me, taken("pin")), "b", "a", me, "b", nil},
		"the token took the PIN of another cluster":         {record(0, other, taken("pin")), "a", "", me + " " + other, "a", nil},
		"the token refused the PIN":                         {record(1, "", refused("pin", me)), "a b", "", me, "", errRefused},
		"the token refused another cluster the PIN":         {record(1, "", refused("pin", other)), "a b", "", me + " " + other, "", errRefused},
		"it refused that PIN before it took another":        {record(0, me, refused("pin", me), taken("right")), "a", "", me, "", errRefused},
		"another PIN was refused":                           {record(1, "", refused("old", me)), "a b", "", me, "a", nil},
		"other PINs were refused twice":                     {record(2, "", refused("old", me), refused("older", other)), "a", "", me, "", errSpent},
		"others were refused twice, and it is the right":    {record(2, me, taken("pin"), refused("old", me), refused("older", me)), "a", "", me, "a", nil},
		"the token took another's PIN, who is there":        {record(0, other, taken("right")), "a", "", me + " " + other, "", errTheirs},
		"the token took another's PIN, who is gone":         {record(0, other, taken("right")), "a", "", me, "a", nil},
		"the token took its own PIN, which changed":         {record(0, me+" "+other, taken("right")), "a", "", me + " " + other, "a", nil},
		"a node was told, and waits: it knows":              {record(1, "", open(me, "b", time.Second)), "a b", "", me, "b", nil},
		"a node was told, and waits, and tries are spent":   {record(2, "", open(me, "b", time.Second)), "a b", "", me, "b", nil},
		"a node was told long ago, and waits":               {record(1, "", open(me, "b", time.Hour)), "a b", "", me, "b", nil},
		"a node was told, and is logged in":                 {record(1, "", open(me, "b", time.Second)), "a", "b", me, "a", nil},
		"a node was told, and does not answer":              {record(1, "", open(me, "b", time.Second)), "a", "", me, "", errUnseen},
		"a node was told nearly too long ago":               {record(1, "", open(me, "b", cloudhsm.Unseen-1)), "a", "", me, "", errUnseen},
		"a node was told too long ago":                      {record(1, "", open(me, "b", cloudhsm.Unseen)), "a", "", me, "a", nil},
		"two nodes were told, and do not answer":            {record(2, "", open(me, "b", cloudhsm.Unseen)), "a", "", me, "", errSpent},
		"a node was told another PIN, and does not answer":  {record(1, "", func() cloudhsm.TriedPIN { p := open(me, "b", 0); p.Digest = []byte("old"); return p }()), "a", "", me, "a", nil},
		"a node was told by a clock that is ahead":          {record(1, "", open(me, "b", -time.Hour)), "a", "", me, "a", nil},
		"a node of the former cluster of its name was told": {record(1, "", open(former, "b", time.Second)), "a b", "", me, "", errUnseen},
		"it was told too long ago":                          {record(1, "", open(former, "b", cloudhsm.Unseen)), "a b", "", me, "a", nil},
		"the former one was let in, and so are others":      {record(0, former+" "+other, taken("right")), "a", "", me + " " + other, "", errTheirs},
		"the former one alone was let in":                   {record(0, former, taken("right")), "a", "", me, "a", nil},
		"a node of another cluster was told":                {record(1, "", open(other, "b", time.Second)), "a", "", me + " " + other, "", errUnseen},
		"one of another cluster that is named like its own": {record(1, "", open(other, "a", time.Second)), "a", "", me + " " + other, "", errUnseen},
		"one of another cluster was told the right one":     {record(1, other, takenOpen(time.Second)), "a", "", me + " " + other, "", errUnseen},
		"one of another cluster was told too long ago":      {record(1, other, takenOpen(cloudhsm.Unseen)), "a", "", me + " " + other, "a", nil},
	} {
		got, err := decideLogin(login{
			record: tt.record, digest: []byte("pin"), cluster: me, there: strings.Fields(tt.there), ready: strings.Fields(tt.ready), loggedIn: strings.Fields(tt.loggedIn), now: now,
		})
		if got != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, err, tt.want, tt.err)
		}
		if err != nil && strings.Contains(err.Error(), "shop") {
			t.Errorf("%s: it names another's cluster: %v", name, err)
		}
	}
}

// A message that changes by itself is a write at each pass.
func TestWhatANodeIsWaitedForSaysTheSameAsLongAsNothingChanges(t *testing.T) {
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	l := login{record: &cloudhsm.PINRecord{PINs: []cloudhsm.TriedPIN{{Cluster: "bank/c", Node: "n-1", Open: true, Time: metav1.NewTime(at)}}}, cluster: "bank/c", ready: []string{"n-0"}}
	l.now = at.Add(time.Second)
	_, first := decideLogin(l)
	l.now = at.Add(9 * time.Minute)
	_, second := decideLogin(l)
	if first == nil || second == nil || first.Error() != second.Error() || !strings.Contains(first.Error(), "node n-1") || !strings.Contains(first.Error(), "2026-11-28T12:10:00Z") {
		t.Errorf("%v; %v", first, second)
	}
}

func TestAnErrorOfWhichNobodyKnowsWhetherThePINWasTriedLeavesTheTryOpen(t *testing.T) {
	for err, want := range map[error]cloudhsm.Outcome{nil: cloudhsm.PINTaken, hsm.ErrWrongPIN: cloudhsm.PINRefused, hsm.ErrOtherPIN: cloudhsm.PINNotTried} {
		if got, known := outcomeOf(err); !known || got != want {
			t.Errorf("%v: %v, %v", err, got, known)
		}
	}
	for _, err := range []error{hsm.ErrNoNodes, hsm.ErrModule, hsm.ErrModuleLost, hsm.ErrPINLocked} {
		if _, known := outcomeOf(err); known {
			t.Errorf("%v says what came of it", err)
		}
	}
}
