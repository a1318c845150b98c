package projection

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestOnlyWhatAnImmutableTargetCanBeCalledHasItsForm(t *testing.T) {
	for _, tt := range []struct {
		base, name string
		want       bool
	}{
		{"im", "im-eeb19f2266", true},
		{"im", "im-0123456789", true},
		{"im", "im-abcdefabcd", true},
		{"a.b-c", "a.b-c-eeb19f2266", true},
		{"im-eeb19f2266", "im-eeb19f2266-eeb19f2266", true},
		{"im", "im", false},
		{"im", "im-", false},
		{"im", "im-eeb19f226", false},
		{"im", "im-eeb19f22660", false},
		{"im", "im-eeb19f226g", false},
		{"im", "im-geb19f2266", false},
		{"im", "im-eeb1-f2266", false},
		{"im", "im-EEB19F2266", false},
		{"im", "im.eeb19f2266", false},
		{"im", "imeeb19f2266", false},
		{"im", "my-im-eeb19f2266", false},
		{"im", "im-eeb19f2266-eeb19f2266", false},
		{"im-eeb19f2266", "im-eeb19f2266", false},
		{"", "-eeb19f2266", false},
		{"", "", false},
	} {
		if got := hasImmutableForm(tt.base, tt.name); got != tt.want {
			t.Errorf("%q of %q: %t", tt.name, tt.base, got)
		}
	}
}

func TestACoreSecretIsAnOwnersOrAnEarlierIncarnationsAndNobodyElses(t *testing.T) {
	owner := Owner{Kind: "ParameterTree", Name: "im", UID: "now"}
	const group = "strongroom.dev/v1alpha1"
	for name, tt := range map[string]struct {
		ref  *metav1.OwnerReference
		want bool
	}{
		"its own":               {&metav1.OwnerReference{APIVersion: group, Kind: "ParameterTree", Name: "im", UID: "now", Controller: ptr.To(true)}, true},
		"an earlier one's":      {&metav1.OwnerReference{APIVersion: group, Kind: "ParameterTree", Name: "im", UID: "then", Controller: ptr.To(true)}, true},
		"another object's":      {&metav1.OwnerReference{APIVersion: group, Kind: "ParameterTree", Name: "other", UID: "then", Controller: ptr.To(true)}, false},
		"another kind's":        {&metav1.OwnerReference{APIVersion: group, Kind: "Secret", Name: "im", UID: "then", Controller: ptr.To(true)}, false},
		"another group's":       {&metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "ParameterTree", Name: "im", UID: "then", Controller: ptr.To(true)}, false},
		"that it does not head": {&metav1.OwnerReference{APIVersion: group, Kind: "ParameterTree", Name: "im", UID: "now"}, false},
		"an orphan":             {nil, false},
	} {
		there := &corev1.Secret{}
		if tt.ref != nil {
			there.OwnerReferences = []metav1.OwnerReference{*tt.ref}
		}
		if got := isIncarnation(there, owner); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestWorkloadsAreLookedAtNowAndThenAndNotInTheFirstPass(t *testing.T) {
	var l looks
	who, other := contender{namespace: "shop", owner: "Secret/db"}, contender{namespace: "shop", owner: "Secret/other"}
	at := noon
	due := func(name string, after time.Duration, want bool) {
		t.Helper()
		at = at.Add(after)
		if got := l.due(who, at); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
	due("the first pass of a process", 0, false)
	due("a moment before", longestRetentionCheck-time.Second, false)
	due("in time", time.Second, true)
	due("again, as the look before has failed", 0, true)
	l.note(who, at)
	due("once it has not", 0, false)
	due("with a clock that was set back", -time.Hour, false)
	due("a moment before, by that clock", longestRetentionCheck-time.Second, false)
	due("in time, by that clock", time.Second, true)
	l.note(other, at.Add(3*longestRetentionCheck))
	if len(l.of) != 1 {
		t.Errorf("%d are remembered, of which one was not looked at for long", len(l.of))
	}
}
