package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
)

func TestTheAddressesOfAClusterAreOneToSixtyFourAndDifferent(t *testing.T) {
	many := func(n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("10.0.0.%d:8445", i))
		}
		return out
	}
	for name, tt := range map[string]struct {
		addresses []string
		good      bool
	}{
		"none": {nil, false}, "one": {many(1), true}, "64": {many(64), true}, "65": {many(65), false},
		"one twice": {[]string{"a:1", "b:1", "a:1"}, false}, "one of two ports": {[]string{"a:1", "a:2"}, true},
	} {
		c, err := New(Options{Cluster: "c", Addresses: tt.addresses, TLS: func() (*mtls.Material, error) { return nil, errors.New("none") }})
		if (err == nil) != tt.good || err != nil && !errors.Is(err, hsm.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		if got := c.Addresses(); fmt.Sprint(got) != fmt.Sprint(tt.addresses) {
			t.Errorf("%s: %v", name, got)
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What another node may do better is asked of it; what it would answer too comes back at once, so that no request is made ten times.
func TestAnErrorGoesToAnotherNodeIfThatOneMayDoBetterAndBlamesTheNodeIfItIsItsFault(t *testing.T) {
	for err, want := range map[error][2]bool{
		hsm.ErrNoNodes: {true, true}, hsm.ErrModule: {true, true}, hsm.ErrModuleLost: {true, true}, hsm.ErrWrongPIN: {true, true}, hsm.ErrPINLocked: {true, true},
		hsm.ErrUninitialized: {true, true}, hsm.ErrNoPKCS11: {true, true}, hsm.ErrPermissionDenied: {true, true}, context.DeadlineExceeded: {true, true},
		hsm.ErrUnknownEpoch: {true, false}, hsm.ErrNoDomainKey: {true, false},
		hsm.ErrInvalidCiphertext: {false, false}, hsm.ErrInvalidArgument: {false, false}, hsm.ErrUnsupported: {false, false}, context.Canceled: {false, false},
	} {
		other, faulty := elsewhere(fmt.Errorf("node 1: %w", err))
		if other != want[0] || faulty != want[1] {
			t.Errorf("%v: another=%t, faulty=%t", err, other, faulty)
		}
	}
}

func TestAChoiceIsEvenAmongEqualsAndNeverOfOneTwice(t *testing.T) {
	asked := map[int]int{}
	for a := range 4 {
		for b := range 3 {
			values := []int{a, b}
			asked[choose([]int{1, 1, 1, 1}, func(n int) int { v := values[0]; values = values[1:]; return v % n })]++
		}
	}
	for i := range 4 {
		if asked[i] != 3 {
			t.Errorf("of 12 choices among four equals, number %d is made %d times", i, asked[i])
		}
	}
	// The busiest of all is never chosen: it is compared with another one.
	for a := range 3 {
		for b := range 2 {
			values := []int{a, b}
			if choose([]int{9, 1, 2}, func(int) int { v := values[0]; values = values[1:]; return v }) == 0 {
				t.Errorf("candidates %d and %d: the busiest", a, b)
			}
		}
	}
}

func TestAKeyThatDidNotArriveAsItWasSentIsAMismatch(t *testing.T) {
	sent := []*hsmpb.WrappedDomainKey{{DomainKey: key(1, "a")}, {DomainKey: key(2, "b")}}
	other := key(2, "b")
	other.WrappingKeyCheckValue = []byte("another")
	for name, tt := range map[string]struct {
		got  []*hsmpb.DomainKey
		good bool
	}{
		"all of them": {[]*hsmpb.DomainKey{key(1, "a"), key(2, "b")}, true}, "in another order": {[]*hsmpb.DomainKey{key(2, "b"), key(1, "a")}, true},
		"and one more": {[]*hsmpb.DomainKey{key(1, "a"), key(2, "b"), key(3, "c")}, true}, "none": {nil, false}, "one less": {[]*hsmpb.DomainKey{key(1, "a")}, false},
		"another key": {[]*hsmpb.DomainKey{key(1, "a"), key(2, "x")}, false}, "another wrapping key": {[]*hsmpb.DomainKey{key(1, "a"), other}, false},
	} {
		if err := compare(sent, tt.got); (err == nil) != tt.good || err != nil && !errors.Is(err, hsm.ErrMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOfFiveNodesTheMostAreMoreThanHalfOfThoseThatHoldTheEpoch(t *testing.T) {
	wrapping := func(k *hsmpb.DomainKey) *hsmpb.DomainKey { k.WrappingKeyCheckValue = []byte("x"); return k }
	for name, tt := range map[string]struct {
		nodes []NodeHealth
		out   string
	}{
		"three against two":          {[]NodeHealth{healthy(key(1, "a")), healthy(key(1, "b")), healthy(key(1, "a")), healthy(key(1, "b")), healthy(key(1, "a"))}, "01010"},
		"two, two and one":           {[]NodeHealth{healthy(key(1, "a")), healthy(key(1, "b")), healthy(key(1, "a")), healthy(key(1, "b")), healthy(key(1, "c"))}, "11111"},
		"another wrapping key":       {[]NodeHealth{healthy(key(1, "a")), healthy(wrapping(key(1, "a"))), healthy(key(1, "a"))}, "010"},
		"wrong in one of two epochs": {[]NodeHealth{healthy(key(1, "a"), key(2, "b")), healthy(key(1, "a"), key(2, "x")), healthy(key(1, "a"), key(2, "b"))}, "010"},
		"half, since others are out": {[]NodeHealth{healthy(key(1, "a")), {Err: hsm.ErrNoNodes, Status: healthy(key(1, "a")).Status}, healthy(key(1, "b"))}, "111"},
		"different epochs, no fight": {[]NodeHealth{healthy(key(1, "a")), healthy(key(2, "b"))}, "00"},
	} {
		disagree(tt.nodes)
		var got strings.Builder
		for _, n := range tt.nodes {
			if n.Err != nil {
				got.WriteByte('1')
			} else {
				got.WriteByte('0')
			}
		}
		if got.String() != tt.out {
			t.Errorf("%s: %s, want %s", name, got.String(), tt.out)
		}
	}
	if got := commonEpoch([]NodeHealth{healthy(key(1, "a")), healthy(key(2, "b"))}); got != 0 {
		t.Errorf("nodes that have no epoch in common share %d", got)
	}
	if got := commonEpoch(nil); got != 0 {
		t.Errorf("no nodes share epoch %d", got)
	}
}
