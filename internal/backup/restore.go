package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
)

// atOnce is how many objects of a rank are made at once.
const atOnce = 16

var (
	// ErrRunning says that a manager is running in an installation that is not the one of the backup: it would make a root of trust of its own.
	ErrRunning = errors.New("a manager is running there: stop it first (helm upgrade ... --set replicas=0), wait until its pod is gone, and restore then")
	// ErrOtherRoot says that the cluster has another root of trust than the backup. Nothing of the backup would open there.
	ErrOtherRoot = errors.New("the cluster has another root of trust or another domain key than the backup; see docs/backup.md, \"If it was started too early\"")
	// ErrNoRoot says that there is a root of trust neither in the backup nor in the cluster.
	ErrNoRoot = errors.New("the backup was made without the root of trust, and the cluster has none: put the root there first")
	// ErrNoNamespace says that objects are of a namespace that is neither in the backup nor in the cluster: it was being deleted when the backup was taken.
	ErrNoNamespace = errors.New("the namespace is neither in the backup nor in the cluster: make it first, with its labels")
	// ErrConflicts says that the cluster has other objects under names of the backup. They stay as they are.
	ErrConflicts = errors.New("the cluster has other objects of these names, which were left as they are")
)

// Restorer puts a backup into a cluster. It makes objects and changes none, but for a Keyring that the operator made for want of another, so it can be run again after
// whatever stopped it.
type Restorer struct {
	// Cluster is an administrator's client, without a cache.
	Cluster client.Client
	// DryRun writes nothing.
	DryRun bool
	// Now is the clock.
	Now func() time.Time
	// Each is told of every object by its kind, as a Collector's: whether it was made, or was there already as it is. Calls come one at a time.
	Each func(kind string, made bool)
	// Bare is told of every object, by its kind, namespace and name, that was left without the status that the backup has, and why: its controller rebuilds it from the Envelopes. Calls
	// come one at a time. It may be nil.
	Bare func(name, why string)
	// Held is told of every object that is there and is in the hands of somebody who is neither in the backup nor Strongroom: it stays as it is, and is no conflict. Calls come one at a
	// time. It may be nil.
	Held func(Held)

	running    bool
	tombstones map[string]bool // of which objects there are, by heldTombstone

	mu        sync.Mutex
	conflicts []string
	strangers map[string]bool // the Envelopes among them, by held
}

// Restore reads a backup twice: once to see that it is whole and belongs into the cluster, and once to make its objects. open opens it from the beginning. What a step of it makes is whole or is made
// by the next run. It fails with ErrRunning, ErrOtherRoot, ErrNoRoot, ErrNoNamespace, ErrConflicts, or what a Reader fails with.
func (r *Restorer) Restore(ctx context.Context, open func() (*Reader, error)) (conflicts []string, err error) {
	found, err := survey(open)
	if err != nil {
		return nil, err
	}
	if err := r.check(ctx, found); err != nil {
		return nil, err
	}
	if err := r.namespaces(ctx, found); err != nil {
		return nil, err
	}
	if err := r.makeNamespaces(ctx, found); err != nil {
		return nil, err
	}
	if err := r.told(); err != nil { // another account: nothing that is made in it would be what it was
		return r.conflicts, err
	}
	again, err := open()
	if err != nil {
		return nil, err
	}
	if err := r.all(ctx, again); err != nil {
		return r.conflicts, err
	}
	return r.conflicts, r.told()
}

// told is ErrConflicts if there are any.
func (r *Restorer) told() error {
	if len(r.conflicts) > 0 {
		return fmt.Errorf("%d objects: %w", len(r.conflicts), ErrConflicts)
	}
	return nil
}

// makeNamespaces makes the namespaces that objects of a backup are in, the oldest first: of two that claim one account, it belongs to the older.
func (r *Restorer) makeNamespaces(ctx context.Context, found *contents) error {
	slices.SortStableFunc(found.namespaces, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time), cmp.Compare(a.GetName(), b.GetName()))
	})
	var younger []*unstructured.Unstructured
	accounts := map[string]bool{}
	for _, o := range found.namespaces {
		account := o.GetLabels()[v1alpha1.AccountIDLabel]
		if !found.needed[o.GetName()] {
			continue
		}
		if account != "" && accounts[account] {
			younger = append(younger, o)
			continue
		}
		accounts[account] = true
		if err := r.make(ctx, o); err != nil {
			return err
		}
	}
	if len(younger) == 0 {
		return nil
	}
	if err := r.age(ctx); err != nil {
		return err
	}
	for _, o := range younger {
		if err := r.make(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// second is longer than the times at which objects are made are rounded down to.
const second = 1100 * time.Millisecond

// age waits until what is made from then on is younger than all that was made before.
func (r *Restorer) age(ctx context.Context) error {
	if r.DryRun {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(second):
		return nil
	}
}

// all makes the objects of a backup but namespaces, rank by rank: the root of trust before the domain keys, those before other Envelopes, and those before what they are of, and
// last what has to be younger than all others.
func (r *Restorer) all(ctx context.Context, from *Reader) error {
	now, late := rankRoot, false
	group, within := together(ctx)
	for {
		o, err := from.Next()
		if err != nil {
			if failed := group.Wait(); failed != nil {
				return failed
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		of, _ := rankOf(o)
		if of == rankNamespace {
			continue
		}
		if first := from.Late() && !late; of != now || first {
			if err := group.Wait(); err != nil {
				return err
			}
			if err := r.next(ctx, from, of != now && of == rankObject, first); err != nil {
				return err
			}
			now, late = of, late || first
			group, within = together(ctx)
		}
		group.Go(func() error { return r.make(within, o) })
	}
}

// next comes before the first of the objects, and before the first of those that have to be younger.
func (r *Restorer) next(ctx context.Context, from *Reader, objects, late bool) error {
	if objects {
		if err := r.settled(ctx, from.Header()); err != nil {
			return err
		}
	}
	if late {
		return r.age(ctx)
	}
	return nil
}

func together(ctx context.Context) (group *errgroup.Group, within context.Context) {
	group, within = errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	return group, within
}

// make makes an object, unless it is there. One that is there and says something else is a conflict, and stays. Crash-safe: it is one write, and what status writes.
func (r *Restorer) make(ctx context.Context, o *unstructured.Unstructured) error {
	if strange, err := r.strange(ctx, o); err != nil || strange {
		return err
	}
	live := bare(o)
	err := r.create(ctx, live)
	made, other := err == nil, false
	if apierrors.IsAlreadyExists(err) {
		live, other, err = r.other(ctx, o)
	}
	if err == nil && other && vacant(live) {
		made, err = r.fill(ctx, o, live)
		other = !made
	}
	if err == nil && !other {
		err = r.status(ctx, o, live)
	}
	if err != nil {
		return fmt.Errorf("making %s: %w", nameOf(o), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other {
		r.conflict(o)
		return nil
	}
	r.Each(kindOf(o), made)
	return nil
}

// create makes an object. It fails with AlreadyExists if there is one of its name.
func (r *Restorer) create(ctx context.Context, o *unstructured.Unstructured) error {
	if !r.DryRun {
		return r.Cluster.Create(ctx, o, client.FieldOwner(store.RestoreFieldOwner))
	}
	err := r.Cluster.Create(ctx, o, client.FieldOwner(store.RestoreFieldOwner), client.DryRunAll)
	if apierrors.IsNotFound(err) { // its namespace is not there, where it would be made
		return nil
	}
	return err
}

// conflict notes that an object is there which says something else. The caller holds the lock.
func (r *Restorer) conflict(o *unstructured.Unstructured) {
	r.conflicts = append(r.conflicts, nameOf(o))
	if o.GroupVersionKind() != ours(kindEnvelope) {
		return
	}
	if r.strangers == nil {
		r.strangers = map[string]bool{}
	}
	r.strangers[heldBy(o)] = true
}
