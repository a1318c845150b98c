package hsmcluster

import (
	"reflect"
	"strings"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/fault"
)

var (
	first  = v1alpha1.HSMDomainKey{Epoch: 1, KeyCheckValue: "0011223344", WrappingKeyCheckValue: "5566778899"}
	second = v1alpha1.HSMDomainKey{Epoch: 2, KeyCheckValue: "aa11223344", WrappingKeyCheckValue: "bb66778899"}
	other  = v1alpha1.HSMDomainKey{Epoch: 1, KeyCheckValue: "ff11223344", WrappingKeyCheckValue: "5566778899"}
)

func keysOf(k ...v1alpha1.HSMDomainKey) []v1alpha1.HSMDomainKey { return k }

func TestADomainKeyIsMadeOnceAndNeverWhileANodeThatMayHaveItIsAway(t *testing.T) {
	empty, away, starting := node{state: hsmpb.State_STATE_INITIALIZED}, node{}, node{state: hsmpb.State_STATE_STARTING}
	degraded := node{state: hsmpb.State_STATE_DEGRADED}
	with := func(k ...v1alpha1.HSMDomainKey) node { return node{hsmpb.State_STATE_ACTIVE, k} }
	for name, tt := range map[string]struct {
		recorded []v1alpha1.HSMDomainKey
		nodes    []node
		want     action
		reason   string
	}{
		"a new cluster":                           {nil, []node{empty, empty, empty}, action{create: true}, ""},
		"a new one of which a node is away":       {nil, []node{empty, away, empty}, action{}, ""},
		"a new one of which a node starts":        {nil, []node{starting, empty}, action{}, ""},
		"a new one of which a node is broken":     {nil, []node{empty, degraded}, action{}, ""},
		"one whose making was interrupted":        {nil, []node{with(first), empty, empty}, action{donor: 0, joiners: []int{1, 2}}, ""},
		"one whose cloning was interrupted":       {keysOf(first), []node{with(first), with(first), empty}, action{donor: 0, joiners: []int{2}}, ""},
		"one that is whole":                       {keysOf(first), []node{with(first), with(first)}, action{donor: 0}, ""},
		"one of which the first node is new":      {keysOf(first), []node{empty, with(first)}, action{donor: 1, joiners: []int{0}}, ""},
		"one of which a node lacks an epoch":      {keysOf(first, second), []node{with(first), with(first, second)}, action{donor: 1, joiners: []int{0}}, ""},
		"one of which the only holder is away":    {keysOf(first), []node{away, empty}, action{}, ""},
		"one of which all are away":               {keysOf(first), []node{away, away}, action{}, ""},
		"one whose tokens are all empty":          {keysOf(first), []node{empty, empty}, action{}, v1alpha1.ReasonDomainKeyLost},
		"one with another's token":                {keysOf(first), []node{with(first), with(other)}, action{}, v1alpha1.ReasonDomainKeyMismatch},
		"one with another's token alone":          {keysOf(first), []node{with(other)}, action{}, v1alpha1.ReasonDomainKeyMismatch},
		"one whose record was lost with a status": {nil, []node{with(first), with(first)}, action{donor: 0}, ""},
	} {
		got := decideDomainKeys(tt.recorded, tt.nodes)
		err := got.err
		got.err = nil
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
		if (err != nil) != (tt.reason != "") || err != nil && (fault.Of(err).Reason != tt.reason || !fault.Of(err).Stalled) {
			t.Errorf("%s: %v, want %q", name, err, tt.reason)
		}
	}
}

func TestTheStateOfAClusterIsAWSsWordForWhatItsNodesDo(t *testing.T) {
	n := func(states ...v1alpha1.HSMState) (out []v1alpha1.HSMNode) {
		for _, s := range states {
			node := v1alpha1.HSMNode{State: s}
			if s != v1alpha1.HSMCreateInProgress {
				node.Module = "m"
			}
			out = append(out, node)
		}
		return out
	}
	answering := []v1alpha1.HSMNode{{State: v1alpha1.HSMCreateInProgress, Module: "m"}}
	const active, degraded, creating = v1alpha1.HSMActive, v1alpha1.HSMDegraded, v1alpha1.HSMCreateInProgress
	for name, tt := range map[string]struct {
		keys  []v1alpha1.HSMDomainKey
		nodes []v1alpha1.HSMNode
		want  v1alpha1.HSMClusterState
	}{
		"nothing yet":                     {nil, nil, v1alpha1.HSMClusterCreateInProgress},
		"nodes that do not answer yet":    {nil, n(creating, creating), v1alpha1.HSMClusterCreateInProgress},
		"a node that answers":             {nil, answering, v1alpha1.HSMClusterInitializeInProgress},
		"all serve":                       {keysOf(first), n(active, active), v1alpha1.HSMClusterActive},
		"one is added":                    {keysOf(first), n(active, creating), v1alpha1.HSMClusterUpdateInProgress},
		"one is out":                      {keysOf(first), n(active, degraded), v1alpha1.HSMClusterDegraded},
		"one is out while one is added":   {keysOf(first), n(active, degraded, creating), v1alpha1.HSMClusterDegraded},
		"all are out":                     {keysOf(first), n(degraded, degraded), v1alpha1.HSMClusterDegraded},
		"its nodes are begun anew":        {keysOf(first), n(creating), v1alpha1.HSMClusterDegraded},
		"its status was lost, it has one": {keysOf(first), nil, v1alpha1.HSMClusterCreateInProgress},
	} {
		if got := stateOf(&v1alpha1.HSMClusterStatus{DomainKeys: tt.keys, Nodes: tt.nodes}); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestWhatANodeSaysFitsIntoStatus(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("x", 600), strings.Repeat("ä", 600), "\xff\xfe"} {
		if got := cut(s, 512); len(got) > 512 || !strings.HasPrefix(strings.ToValidUTF8(s, "?"), got) {
			t.Errorf("%q of %q", got, s)
		}
	}
}
