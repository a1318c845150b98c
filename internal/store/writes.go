package store

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Writes are the objects that one request of the gateway has written. The client notes them, and the gateway answers when the cache shows them: whoever
// has an answer, and asks again, is told of what they did. So a request that only reads need wait for no write of anybody else, which may be slow or hang. One that writes
// waits in its reads for those that were begun before, or it would act on what is over: of several that put one parameter, all but the first would be told that it is there.
type Writes struct {
	readOnly bool

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

// NoteWrites begins the notes of a request, which only reads or does not. Those who read and write with the context are that request.
func NoteWrites(ctx context.Context, readOnly bool) (context.Context, *Writes) {
	w := &Writes{readOnly: readOnly}
	return context.WithValue(ctx, writesKey{}, w), w
}

// OnlyReads says that a context is of a request that only reads.
func OnlyReads(ctx context.Context) bool {
	w := WritesOf(ctx)
	return w != nil && w.readOnly
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

// Await waits until the cache shows all that was written. It fails with the context's error, and then some of it may not be shown yet.
func (w *Writes) Await(ctx context.Context) error {
	w.mu.Lock()
	notes := slices.Clone(w.notes)
	w.mu.Unlock()
	for _, n := range notes {
		if err := n.shown(ctx); err != nil {
			return err
		}
	}
	return nil
}
