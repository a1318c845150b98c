package hsmcluster

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestAClusterThatCannotBeErasedIsTriedEverMoreSlowlyAndOthersAreNot(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	bad, good := types.NamespacedName{Namespace: "bank", Name: "bad"}, types.NamespacedName{Namespace: "bank", Name: "good"}
	e := erasures{}
	if e.wait(now) != time.Hour || !e.due(bad, now) {
		t.Errorf("nothing failed: %s", e.wait(now))
	}
	for n, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		want *= time.Minute
		e.failed(bad, now)
		if e.due(bad, now.Add(want-1)) || !e.due(bad, now.Add(want)) || e.wait(now) != want || !e.due(good, now) {
			t.Errorf("failure %d: %+v, wait %s", n+1, e, e.wait(now))
		}
	}
	for range 100 {
		e.failed(bad, now)
	}
	if e.due(bad, now.Add(59*time.Minute)) || !e.due(bad, now.Add(time.Hour)) || e.wait(now.Add(2*time.Hour)) != time.Second {
		t.Errorf("it is tried once an hour: %+v", e)
	}
}
