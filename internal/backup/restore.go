package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/internal/unseal"
)

// leaseName is operator.LeaseName, which is above this package.
const leaseName = "strongroom-manager"

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

// Restorer puts a backup into a cluster. It makes objects and changes none, so it can be run again after whatever stopped it.
type Restorer struct {
	// Cluster is an administrator's client, without a cache.
	Cluster client.Client
	// DryRun writes nothing.
	DryRun bool
	// Now is the clock.
	Now func() time.Time
	// Each is told of every object by its kind: whether it was made, or was there already as it is. Calls come one at a time.
	Each func(kind string, made bool)

	mu        sync.Mutex
	conflicts []string
}

// contents is what the first reading of a backup finds, for which nothing is written.
type contents struct {
	header     Header
	namespaces []*unstructured.Unstructured
	roots      []*unstructured.Unstructured
	domainKeys []*unstructured.Unstructured
	needed     map[string]bool
	// pins and credentials are the core Secrets that the HSMClusters in it have.
	pins        map[client.ObjectKey]bool
	credentials map[string]bool
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
	for _, o := range found.namespaces {
		if found.needed[o.GetName()] {
			if err := r.make(ctx, o); err != nil {
				return nil, err
			}
		}
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

// all makes the objects of a backup but namespaces, rank by rank: the root of trust before the domain keys, those before other Envelopes, and those before what they are of.
func (r *Restorer) all(ctx context.Context, from *Reader) error {
	now := rankRoot
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
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
		if of != now {
			if err := group.Wait(); err != nil {
				return err
			}
			now = of
			group, within = errgroup.WithContext(ctx)
			group.SetLimit(atOnce)
		}
		group.Go(func() error { return r.make(within, o) })
	}
}

// make makes an object, unless it is there. One that is there and says something else is a conflict, and stays. Crash-safe: it is one write.
func (r *Restorer) make(ctx context.Context, o *unstructured.Unstructured) error {
	if strange, err := r.strange(ctx, o); err != nil || strange {
		return err
	}
	var err error
	if r.DryRun {
		err = r.Cluster.Create(ctx, o.DeepCopy(), client.DryRunAll)
	} else {
		err = r.Cluster.Create(ctx, o.DeepCopy())
	}
	if r.DryRun && apierrors.IsNotFound(err) { // its namespace is not there, where it would be made
		err = nil
	}
	made, other := err == nil, false
	if apierrors.IsAlreadyExists(err) {
		other, err = r.other(ctx, o)
	}
	if err != nil {
		return fmt.Errorf("making %s: %w", nameOf(o), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other {
		r.conflicts = append(r.conflicts, nameOf(o))
		return nil
	}
	r.Each(o.GetKind(), made)
	return nil
}

// strange notes a conflict if a version is one of an object that is there, has another history by now, and would take it over as its next: what has been put since would be followed by an older value.
func (r *Restorer) strange(ctx context.Context, o *unstructured.Unstructured) (bool, error) {
	if of, _ := rankOf(o); of != rankEnvelope {
		return false, nil
	}
	kind, _, _ := unstructured.NestedString(o.Object, "spec", "owner", "kind")
	name, _, _ := unstructured.NestedString(o.Object, "spec", "owner", "name")
	subject, _, _ := unstructured.NestedString(o.Object, "spec", "subject")
	sequence, _, _ := unstructured.NestedInt64(o.Object, "spec", "sequence")
	if !slices.Contains(kinds, kind) || name == "" {
		return false, nil
	}
	owner := &unstructured.Unstructured{}
	owner.SetGroupVersionKind(ours(kind))
	err := r.Cluster.Get(ctx, client.ObjectKey{Namespace: o.GetNamespace(), Name: name}, owner)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading %s %s/%s: %w", kind, o.GetNamespace(), name, err)
	}
	if err != nil || !hasHistory(owner, subject) || names(owner, sequence) {
		return false, nil
	}
	existing := &unstructured.Unstructured{}
	existing.SetGroupVersionKind(o.GroupVersionKind())
	if err := r.Cluster.Get(ctx, client.ObjectKeyFromObject(o), existing); !apierrors.IsNotFound(err) {
		return false, err // it is there, and compared
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conflicts = append(r.conflicts, nameOf(o))
	return true, nil
}

// hasHistory tells that an object has settled on an ARN and has versions of it.
func hasHistory(owner *unstructured.Unstructured, subject string) bool {
	arn, _, _ := unstructured.NestedString(owner.Object, "status", "arn")
	return arn == subject && len(history(owner)) > 0
}

// history lists the versions, or the key materials, of an object's status.
func history(owner *unstructured.Unstructured) []any {
	versions, _, _ := unstructured.NestedSlice(owner.Object, "status", "versions")
	materials, _, _ := unstructured.NestedSlice(owner.Object, "status", "keyMaterials")
	return append(versions, materials...)
}

// names tells whether an object's status names a version by its sequence, which is a Parameter's number.
func names(owner *unstructured.Unstructured, sequence int64) bool {
	return slices.ContainsFunc(history(owner), func(v any) bool {
		version, ok := v.(map[string]any)
		return ok && (version["sequence"] == sequence || version["version"] == sequence)
	})
}

// other tells whether what is there is not what the backup has.
func (r *Restorer) other(ctx context.Context, o *unstructured.Unstructured) (bool, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(o.GroupVersionKind())
	err := r.Cluster.Get(ctx, client.ObjectKeyFromObject(o), live)
	return err == nil && !same(o, live), err
}

// same tells whether an object that is there says what the backup's does. Of a Namespace that is the account that it is, and nothing else.
func same(o, live *unstructured.Unstructured) bool {
	if o.GroupVersionKind() == core(kindNamespace) {
		return o.GetLabels()[v1alpha1.AccountIDLabel] == live.GetLabels()[v1alpha1.AccountIDLabel]
	}
	if rewrapped(o, live) {
		o, live = withoutWrapping(o), withoutWrapping(live)
	}
	for _, field := range []string{"spec", "data"} {
		if !equality.Semantic.DeepEqual(o.Object[field], live.Object[field]) {
			return false
		}
	}
	return true
}

// rewrapped tells whether two Envelopes are under different domain keys: one of them was rewrapped since the backup was taken, or is to be. Each opens by its own
// domain key, to the same if all else that they say is the same.
func rewrapped(o, live *unstructured.Unstructured) bool {
	was, is := store.Epoch(keyOf(o)), store.Epoch(keyOf(live))
	return was > 0 && is > 0 && was != is
}

func keyOf(o *unstructured.Unstructured) string {
	if o.GroupVersionKind() != ours(kindEnvelope) {
		return ""
	}
	key, _, _ := unstructured.NestedString(o.Object, "spec", "keyArn")
	return key
}

// withoutWrapping is an Envelope without what a rewrap changes.
func withoutWrapping(o *unstructured.Unstructured) *unstructured.Unstructured {
	out := o.DeepCopy()
	unstructured.RemoveNestedField(out.Object, "spec", "keyArn")
	unstructured.RemoveNestedField(out.Object, "spec", "ciphertext")
	return out
}

func nameOf(o *unstructured.Unstructured) string {
	name := o.GetName()
	if ns := o.GetNamespace(); ns != "" {
		name = ns + "/" + name
	}
	return o.GetKind() + " " + name
}

// survey reads a backup to its end.
func survey(open func() (*Reader, error)) (*contents, error) {
	from, err := open()
	if err != nil {
		return nil, err
	}
	found := &contents{header: from.Header(), needed: map[string]bool{}, pins: map[client.ObjectKey]bool{}, credentials: map[string]bool{}}
	for last := rankRoot; ; {
		o, err := from.Next()
		if errors.Is(err, io.EOF) {
			return found, found.check()
		}
		if err != nil {
			return nil, err
		}
		of, _ := rankOf(o)
		found.see(o, of)
		if of == rankNamespace {
			continue
		}
		if of < last {
			return nil, fmt.Errorf("%w: %s comes too late", ErrFormat, nameOf(o))
		}
		last = of
	}
}

func (c *contents) see(o *unstructured.Unstructured, of rank) {
	switch of {
	case rankNamespace:
		c.namespaces = append(c.namespaces, o)
	case rankRoot:
		c.roots = append(c.roots, o)
	case rankDomainKey:
		c.domainKeys = append(c.domainKeys, o)
	}
	if ns := o.GetNamespace(); ns != "" {
		c.needed[ns] = true
	}
	if o.GetKind() != kindHSMCluster {
		return
	}
	c.credentials[cloudhsm.CredentialsName(cloudhsm.ClusterID(o.GetNamespace(), o.GetName()))] = true
	if pin := pinOf(o); pin != "" {
		c.pins[client.ObjectKey{Namespace: o.GetNamespace(), Name: pin}] = true
	}
}

// namespaces refuses what has no namespace to be made in.
func (r *Restorer) namespaces(ctx context.Context, found *contents) error {
	for name := range found.needed {
		if slices.ContainsFunc(found.namespaces, func(o *unstructured.Unstructured) bool { return o.GetName() == name }) {
			continue
		}
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(core(kindNamespace))
		err := r.Cluster.Get(ctx, client.ObjectKey{Name: name}, live)
		switch {
		case apierrors.IsNotFound(err):
			return fmt.Errorf("%w: %s", ErrNoNamespace, name)
		case err != nil:
			return fmt.Errorf("reading namespace %s: %w", name, err)
		}
	}
	return nil
}

// check refuses core Secrets that are no root of trust: whoever made the file may not be who it says.
func (c *contents) check() error {
	for _, o := range c.roots {
		at := client.ObjectKeyFromObject(o)
		if !c.pins[at] && (at.Namespace != c.header.Namespace || at.Name != unseal.RootSecretName && !c.credentials[at.Name]) {
			return fmt.Errorf("%w: core Secret %s is of no root of trust", ErrFormat, at)
		}
	}
	if len(c.domainKeys) == 0 {
		return fmt.Errorf("%w: it has no domain key", ErrFormat)
	}
	for _, o := range c.domainKeys {
		if o.GetNamespace() != c.header.Namespace {
			return fmt.Errorf("%w: the domain key %s is in another namespace than %s", ErrFormat, nameOf(o), c.header.Namespace)
		}
	}
	return nil
}

// check tells whether a backup belongs into the cluster: it has the same root of trust and domain keys, or none and nobody who would make others.
func (r *Restorer) check(ctx context.Context, found *contents) error {
	missing := 0
	for _, o := range append(found.roots, found.domainKeys...) {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(o.GroupVersionKind())
		err := r.Cluster.Get(ctx, client.ObjectKeyFromObject(o), live)
		switch {
		case apierrors.IsNotFound(err):
			missing++
		case err != nil:
			return fmt.Errorf("reading %s: %w", nameOf(o), err)
		case !same(o, live):
			return fmt.Errorf("%w: %s", ErrOtherRoot, nameOf(o))
		}
	}
	if found.header.WithoutRoot {
		if err := r.rootThere(ctx, found.header); err != nil {
			return err
		}
	}
	if missing == 0 {
		return nil
	}
	return r.stopped(ctx, found.header.Namespace)
}

// rootThere tells whether the cluster has the core Secrets that were left out of a backup.
func (r *Restorer) rootThere(ctx context.Context, h Header) error {
	for _, name := range h.Roots {
		namespace, name, _ := strings.Cut(name, "/")
		root := &unstructured.Unstructured{}
		root.SetGroupVersionKind(core(kindSecret))
		err := r.Cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, root)
		switch {
		case apierrors.IsNotFound(err):
			return fmt.Errorf("%w (core Secret %s/%s)", ErrNoRoot, namespace, name)
		case err != nil:
			return fmt.Errorf("reading core Secret %s/%s: %w", namespace, name, err)
		}
	}
	return nil
}

// stopped refuses where a manager runs, as far as its lease tells: one without leader election has none.
func (r *Restorer) stopped(ctx context.Context, namespace string) error {
	lease := &unstructured.Unstructured{}
	lease.SetGroupVersionKind(coordinationv1.SchemeGroupVersion.WithKind("Lease"))
	err := r.Cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: leaseName}, lease)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	holder, _, _ := unstructured.NestedString(lease.Object, "spec", "holderIdentity")
	renewed, _, _ := unstructured.NestedString(lease.Object, "spec", "renewTime")
	seconds, _, _ := unstructured.NestedInt64(lease.Object, "spec", "leaseDurationSeconds")
	at, _ := time.Parse(time.RFC3339Nano, renewed) // one that does not tell has ended
	if holder != "" && r.Now().Before(at.Add(time.Duration(seconds)*time.Second)) {
		return ErrRunning
	}
	return nil
}
