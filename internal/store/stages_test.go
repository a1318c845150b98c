package store_test

import (
	"maps"
	"testing"

	"strongroom.dev/strongroom/internal/store"
)

// AWS's staging labels may hold commas.
func TestTwoListsOfStagesAreNeverBoundAlike(t *testing.T) {
	one, two := envelope(1, "one"), envelope(1, "one")
	one.Spec.Stages, two.Spec.Stages = []string{"a,b"}, []string{"a", "b"}
	if maps.Equal(store.Binding(one), store.Binding(two)) {
		t.Error("an Envelope with stage a,b opens as one with stages a and b")
	}
}
