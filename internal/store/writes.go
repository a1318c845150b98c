package store

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Writes are the objects that one request of the gateway has written. The client notes them, and the gateway answers when the cache shows them: whoever
// has an answer, and asks again, is told of what they did. For that, no read need wait for a write of anybody else, which may be slow or hang.
type Writes struct {
	mu    sync.Mutex
	notes []note
}

type note struct {
	kind schema.GroupVersionKind
	key  client.ObjectKey
	// shown waits until the cache shows the write.
	shown func(context.Context) error
}

type writesKey struct{}

// NoteWrites begins the notes of a request. Those who read and write with the context are that request.
func NoteWrites(ctx context.Context) (context.Context, *Writes) {
	w := &Writes{}
	return context.WithValue(ctx, writesKey{}, w), w
}

// WritesOf are the notes of the request that a context is of; nil for one that notes none, such as a controller's.
func WritesOf(ctx context.Context) *Writes {
	w, _ := ctx.Value(writesKey{}).(*Writes)
	return w
}

// Note notes that an object was written. Of several writes of one object the last is kept.
func (w *Writes) Note(kind schema.GroupVersionKind, key client.ObjectKey, shown func(context.Context) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = slices.DeleteFunc(w.notes, func(n note) bool { return n.kind == kind && n.key == key })
	w.notes = append(w.notes, note{kind, key, shown})
}

// None says that nothing was written so far.
func (w *Writes) None() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.notes) == 0
}

// Await waits until the cache shows all that was written of a kind, or of all kinds if it is empty. It fails with the context's error, and then some of it
// may not be shown yet.
func (w *Writes) Await(ctx context.Context, kind schema.GroupVersionKind) error {
	w.mu.Lock()
	notes := slices.Clone(w.notes)
	w.mu.Unlock()
	for _, n := range notes {
		if !kind.Empty() && n.kind != kind {
			continue
		}
		if err := n.shown(ctx); err != nil {
			return err
		}
	}
	return nil
}
