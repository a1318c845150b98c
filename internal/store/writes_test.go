package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/store"
)

// TestAContextThatNotesNothingHasNoNotes: a controller's passes wait as they always did.
func TestAContextThatNotesNothingHasNoNotes(t *testing.T) {
	if store.WritesOf(t.Context()) != nil {
		t.Error("notes of nobody")
	}
	if store.OnlyReads(t.Context()) {
		t.Error("it is said to read only")
	}
	for _, readOnly := range []bool{false, true} {
		ctx, writes := store.NoteWrites(t.Context(), readOnly)
		if store.WritesOf(ctx) != writes || !writes.None() || store.OnlyReads(ctx) != readOnly {
			t.Error("other notes than were begun, or notes of what was not written")
		}
	}
}

func TestOfEachObjectTheLastWriteIsAwaited(t *testing.T) {
	secret, key := schema.GroupVersionKind{Kind: "Secret"}, schema.GroupVersionKind{Kind: "KMSKey"}
	_, writes := store.NoteWrites(t.Context(), false)
	var shown []string
	note := func(kind schema.GroupVersionKind, name, what string) {
		writes.Note(kind, client.ObjectKey{Namespace: "ns", Name: name}, func(context.Context) error {
			shown = append(shown, what)
			return nil
		})
	}
	note(secret, "a", "made")
	note(key, "a", "key")
	note(secret, "a", "changed")
	note(secret, "b", "other")
	if err := writes.Await(t.Context()); err != nil || !slices.Equal(shown, []string{"key", "changed", "other"}) {
		t.Errorf("awaited %q, %v", shown, err)
	}
	if writes.None() {
		t.Error("what was awaited is not written any more")
	}
}

func TestAWriteThatIsNotShownInTimeIsTold(t *testing.T) {
	_, writes := store.NoteWrites(t.Context(), false)
	writes.Note(schema.GroupVersionKind{Kind: "Secret"}, client.ObjectKey{Name: "a"}, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := writes.Await(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
