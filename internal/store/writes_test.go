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
	ctx, writes := store.NoteWrites(t.Context())
	if store.WritesOf(ctx) != writes || !writes.None() {
		t.Error("other notes than were begun, or notes of what was not written")
	}
}

func TestWritesAreAwaitedByKindAndEachObjectsLastOneOnly(t *testing.T) {
	secret, key := schema.GroupVersionKind{Kind: "Secret"}, schema.GroupVersionKind{Kind: "KMSKey"}
	_, writes := store.NoteWrites(t.Context())
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
	for _, tt := range []struct {
		kind schema.GroupVersionKind
		want []string
	}{
		{secret, []string{"changed", "other"}},
		{key, []string{"key"}},
		{schema.GroupVersionKind{}, []string{"key", "changed", "other"}},
		{schema.GroupVersionKind{Kind: "Parameter"}, nil},
	} {
		shown = nil
		if err := writes.Await(t.Context(), tt.kind); err != nil || !slices.Equal(shown, tt.want) {
			t.Errorf("%q: awaited %q, %v; want %q", tt.kind.Kind, shown, err, tt.want)
		}
	}
	if writes.None() {
		t.Error("what was awaited is not written any more")
	}
}

func TestAWriteThatIsNotShownInTimeIsTold(t *testing.T) {
	_, writes := store.NoteWrites(t.Context())
	writes.Note(schema.GroupVersionKind{Kind: "Secret"}, client.ObjectKey{Name: "a"}, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := writes.Await(ctx, schema.GroupVersionKind{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
