package client

import (
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

func TestANodeIsOutAfterTwoFailuresAndProbedOnceAfterThirtySeconds(t *testing.T) {
	now := time.Unix(1000, 0)
	b := breaker{}.end(now, true)
	if !b.allows(now) {
		t.Fatal("one failure takes a node out")
	}
	if b.end(now, false) != (breaker{}) {
		t.Error("a success does not forget failures")
	}
	b = b.end(now, true)
	if b.allows(now) || b.allows(now.Add(halfOpenAfter-1)) {
		t.Error("it is asked while it is out")
	}
	half := now.Add(halfOpenAfter)
	if !b.allows(half) {
		t.Fatal("it is not probed")
	}
	b = b.begin(half)
	if b.allows(half) {
		t.Error("it is probed twice at once")
	}
	if failed := b.end(half, true); failed.allows(half.Add(halfOpenAfter-1)) || !failed.allows(half.Add(halfOpenAfter)) {
		t.Error("a failed probe does not take it out again for as long")
	}
	if !b.end(half, false).allows(half) {
		t.Error("a good probe does not bring it back")
	}
	if !b.allows(now.Add(-time.Hour)) {
		t.Error("a clock turned back keeps it out")
	}
}

func TestOfTwoCandidatesTheOneWithFewerRequestsIsAsked(t *testing.T) {
	sequence := func(values ...int) func(int) int {
		return func(int) int { v := values[0]; values = values[1:]; return v }
	}
	for want, c := range map[int][2]int{0: {0, 1}, 1: {2, 1}} { // inFlight 1, 4, 9
		if got := choose([]int{1, 4, 9}, sequence(c[0], c[1])); got != want {
			t.Errorf("%v: %d", c, got)
		}
	}
	if choose([]int{7}, nil) != 0 {
		t.Error("one candidate")
	}
}

func healthy(keys ...*hsmpb.DomainKey) NodeHealth {
	return NodeHealth{Status: &hsmpb.StatusResponse{State: hsmpb.State_STATE_ACTIVE, DomainKeys: keys}}
}

func key(epoch int64, value string) *hsmpb.DomainKey {
	return &hsmpb.DomainKey{Epoch: epoch, KeyCheckValue: []byte(value), WrappingKeyCheckValue: []byte("w")}
}

func TestTheMostSayWhichKeyOfAnEpochIsRightAndWithoutAMostNobodyIsAsked(t *testing.T) {
	for name, tt := range map[string]struct {
		nodes []NodeHealth
		out   []bool
		epoch int64
	}{
		"all agree":                 {[]NodeHealth{healthy(key(1, "a")), healthy(key(1, "a"))}, []bool{false, false}, 1},
		"one of three is wrong":     {[]NodeHealth{healthy(key(1, "a")), healthy(key(1, "b")), healthy(key(1, "a"))}, []bool{false, true, false}, 1},
		"two contradict":            {[]NodeHealth{healthy(key(1, "a")), healthy(key(1, "b"))}, []bool{true, true}, 0},
		"one lacks the newest":      {[]NodeHealth{healthy(key(1, "a"), key(2, "c")), healthy(key(1, "a"))}, []bool{false, false}, 1},
		"the one that lacks is out": {[]NodeHealth{healthy(key(1, "a"), key(2, "c")), {Err: hsm.ErrNoNodes}}, []bool{false, true}, 2},
	} {
		disagree(tt.nodes)
		for i, n := range tt.nodes {
			if (n.Err != nil) != tt.out[i] {
				t.Errorf("%s: node %d: %v", name, i, n.Err)
			}
		}
		if got := commonEpoch(tt.nodes); got != tt.epoch {
			t.Errorf("%s: epoch %d", name, got)
		}
	}
}
