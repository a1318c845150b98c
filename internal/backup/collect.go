package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"filippo.io/age"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/internal/unseal"
)

// pageSize is how many objects are read in one request.
const pageSize = 500

var (
	// ErrNotInstalled says that a namespace is not Strongroom's own.
	ErrNotInstalled = errors.New("there is no domain key")
	// ErrNoRootHere says that a namespace has no root of trust, or has lost it.
	ErrNoRootHere = errors.New("there is no root of trust")
	// ErrKeyMade says that a domain key was made while the backup was taken, which would lack it.
	ErrKeyMade = errors.New("a domain key was made meanwhile: take the backup again")
	// ErrKeyLost says that a domain key is missing that there was and by which something is wrapped: a backup without it would open no more than the installation.
	ErrKeyLost = errors.New("a domain key is missing: restore it from an earlier backup, or delete what is under it, which nothing opens")
	// ErrSlow says that the API server has forgotten the moment that a kind was read as of, which it does after some five minutes.
	ErrSlow = errors.New("reading took longer than the API server remembers: write the backup to a file, and not to a pipe that is slow")
)

// Collector reads an installation.
type Collector struct {
	// Cluster is an administrator's client, without a cache.
	Cluster client.Client
	// Namespace is Strongroom's own.
	Namespace string
	// WithoutRoot leaves the root of trust out.
	WithoutRoot bool
	// Now is the clock.
	Now func() time.Time
	// Each is told of every object that was written, by its kind, which is "core Secret" of the core API's.
	Each func(kind string)
	// Passed is told of every Envelope, by its kind, namespace and name, that is left out since it names a domain key of an epoch of which there has been none: nothing opens it. It may
	// be nil.
	Passed func(name string, epoch int64)

	namespaces map[string]bool
	envelopes  map[string]bool // what is in the backup, by held
	epochs     map[int64]bool  // of the domain keys in it
	living     map[string]bool // unique ids of the users and roles in it
	newest     int64           // epoch of which there is a record in Namespace; 0 if that is not known
	to         *Writer
}

// Write writes a backup, sealed to recipients. Envelopes come before the objects that they are of: an object that is made in between is then made anew, while an
// Envelope without an object would be entombed. What is being deleted is left out, and its Envelopes are not: it can be had back as long as its recovery window
// lasts. It fails with ErrNotInstalled, ErrNoRootHere, ErrKeyMade, ErrKeyLost and ErrSlow.
func (c *Collector) Write(ctx context.Context, dst io.Writer, recipients ...age.Recipient) error {
	if err := c.known(ctx); err != nil { // before the domain keys are read: one of a later epoch that is there then was made meanwhile
		return err
	}
	domainKeys, err := c.domainKeys(ctx)
	if err != nil {
		return err
	}
	roots, credentials, err := c.roots(ctx, domainKeys)
	if err != nil {
		return err
	}
	if len(roots) == 0 && !c.WithoutRoot {
		return fmt.Errorf("%w in namespace %s; name Strongroom's own with -n, or leave the root out", ErrNoRootHere, c.Namespace)
	}
	if len(domainKeys) == 0 {
		return fmt.Errorf("%w in namespace %s; name Strongroom's own with -n", ErrNotInstalled, c.Namespace)
	}
	h := Header{Created: c.Now().UTC().Truncate(time.Second), Namespace: c.Namespace, WithoutRoot: c.WithoutRoot}
	for _, o := range roots {
		h.Roots = append(h.Roots, client.ObjectKeyFromObject(o).String())
	}
	if c.to, err = NewWriter(dst, h, recipients...); err != nil {
		return err
	}
	c.namespaces, c.envelopes, c.epochs, c.living = map[string]bool{}, map[string]bool{}, map[int64]bool{}, map[string]bool{}
	if c.WithoutRoot {
		roots = nil
	}
	for _, o := range slices.Concat(roots, credentials, domainKeys) {
		if err := c.add(o); err != nil {
			return err
		}
	}
	if err := c.all(ctx); err != nil {
		return err
	}
	return c.to.Close()
}

// known reads the epoch of the newest domain key that the Keyring's status names.
func (c *Collector) known(ctx context.Context) error {
	k := &unstructured.Unstructured{}
	k.SetGroupVersionKind(ours(kindKeyring))
	err := c.Cluster.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: v1alpha1.KeyringName}, k)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the Keyring: %w", err)
	}
	c.newest, _, _ = unstructured.NestedInt64(k.Object, "status", "currentEpoch")
	return nil
}

// unfounded tells whether an Envelope names a domain key that there has not been: one of a later epoch than those that are stored and those of which the Keyring knows. Whoever may write
// Envelopes in any namespace can make one that names any epoch, and keeps nobody from taking a backup. Where nothing is noted of the Keyring, or in Strongroom's own
// namespace, it is believed: a domain key may really be lost.
func (c *Collector) unfounded(o *unstructured.Unstructured, epoch int64) bool {
	newest := c.newest
	for made := range c.epochs {
		newest = max(newest, made)
	}
	return c.newest > 0 && epoch > newest && o.GetNamespace() != c.Namespace
}

// domainKeys are those that there are, before anything else is read: nothing in the backup may be under one that it lacks.
func (c *Collector) domainKeys(ctx context.Context) (found []*unstructured.Unstructured, err error) {
	err = c.list(ctx, ours(kindEnvelope), c.Namespace, func(o *unstructured.Unstructured) error {
		if r, _ := rankOf(o); r == rankDomainKey {
			found = append(found, o.DeepCopy())
		}
		return nil
	})
	return found, err
}

// all writes everything but the roots and domain keys.
func (c *Collector) all(ctx context.Context) error {
	if err := c.allEnvelopes(ctx); err != nil {
		return err
	}
	return c.objects(ctx)
}

// allEnvelopes writes the Envelopes, but those of an erasure that has begun: the first of it is gone, and with it all others, which would come back as an older value. Nobody can tell
// that of them once they are made again.
func (c *Collector) allEnvelopes(ctx context.Context) error {
	there := map[types.UID]bool{}
	var marked []*unstructured.Unstructured
	if err := c.list(ctx, ours(kindEnvelope), "", func(o *unstructured.Unstructured) error {
		there[o.GetUID()] = true
		switch r, _ := rankOf(o); {
		case r != rankDomainKey:
			if _, _, is := store.FirstErased(o); is {
				marked = append(marked, o.DeepCopy())
				return nil
			}
			return c.add(o)
		case o.GetNamespace() == c.Namespace && !c.epochs[epochOf(o)]:
			return ErrKeyMade
		}
		return nil // written before, or somebody's who has it open nothing
	}); err != nil {
		return err
	}
	for _, o := range marked {
		if _, first, _ := store.FirstErased(o); !there[first] {
			continue
		}
		if err := c.add(o); err != nil {
			return err
		}
	}
	return nil
}

// objects writes what users make, and the namespaces of all.
func (c *Collector) objects(ctx context.Context) error {
	var late, roles []*unstructured.Unstructured
	for _, kind := range kinds {
		if err := c.list(ctx, ours(kind), "", func(o *unstructured.Unstructured) error {
			c.lives(o)
			switch {
			case contested(o):
				late = append(late, o.DeepCopy())
				return nil
			case kind == kindIAMRole: // one may name another
				roles = append(roles, o.DeepCopy())
				return nil
			}
			return c.add(o)
		}); err != nil {
			return err
		}
		for _, o := range roles {
			if err := c.add(o); err != nil {
				return err
			}
		}
		roles = nil
	}
	for _, o := range late {
		if err := c.write(o, c.to.AddLate); err != nil {
			return err
		}
	}
	return c.list(ctx, core(kindNamespace), "", func(o *unstructured.Unstructured) error {
		if !c.namespaces[o.GetName()] {
			return nil
		}
		return c.add(o)
	})
}

// roots are the core Secrets of the roots of trust that there are: strongroom-root, and of an HSMCluster that wraps domain keys, or is about to, its credentials and its own PIN.
// Those of other HSMClusters are credentials: KMSKeys are in such a cluster, and nothing else hangs on it.
func (c *Collector) roots(ctx context.Context, domainKeys []*unstructured.Unstructured) (roots, credentials []*unstructured.Unstructured, err error) {
	wraps := map[string]bool{}
	for _, o := range domainKeys {
		root, _ := store.RootOf(keyOf(o))
		wraps[root] = true
	}
	if err := c.core(ctx, &roots, client.ObjectKey{Namespace: c.Namespace, Name: unseal.RootSecretName}); err != nil {
		return nil, nil, err
	}
	err = c.list(ctx, ours(kindHSMCluster), "", func(o *unstructured.Unstructured) error {
		to := &credentials
		if wraps[store.RootHSM(o.GetNamespace(), o.GetName())] || controllerutil.ContainsFinalizer(o, v1alpha1.RootFinalizer) {
			to = &roots
		}
		names := []client.ObjectKey{{Namespace: c.Namespace, Name: cloudhsm.CredentialsName(cloudhsm.ClusterID(o.GetNamespace(), o.GetName()))}}
		if pin := pinOf(o); pin != "" {
			names = append(names, client.ObjectKey{Namespace: o.GetNamespace(), Name: pin})
		}
		return c.core(ctx, to, names...)
	})
	return roots, credentials, err
}

// core reads those of some core Secrets that there are.
func (c *Collector) core(ctx context.Context, to *[]*unstructured.Unstructured, names ...client.ObjectKey) error {
	for _, name := range names {
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(core(kindSecret))
		err := c.Cluster.Get(ctx, name, o)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reading core Secret %s: %w", name, err)
		}
		if err == nil {
			*to = append(*to, o)
		}
	}
	return nil
}

// epochOf is the epoch of a domain key.
func epochOf(o *unstructured.Unstructured) int64 {
	epoch, _, _ := unstructured.NestedInt64(o.Object, "spec", "sequence")
	return epoch
}

// pinOf is the core Secret that an HSMCluster has its PIN from, empty if it has its own.
func pinOf(o *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(o.Object, "spec", "pkcs11", "pinSecretRef", "name")
	return name
}

// contested tells whether an object claims what an older one has. The older right is decided by the times at which objects were made, which nobody can give them; anything else
// that said so, such as an annotation, whoever may make objects could set.
func contested(o *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(v any) bool {
		c, ok := v.(map[string]any)
		return ok && c["type"] == v1alpha1.ConditionReady && c["reason"] == v1alpha1.ReasonNameConflict
	})
}

func (c *Collector) add(o *unstructured.Unstructured) error { return c.write(o, c.to.Add) }

func (c *Collector) write(o *unstructured.Unstructured, to func(*unstructured.Unstructured) error) error {
	if r, _ := rankOf(o); o.GetDeletionTimestamp() != nil && r >= rankEnvelope && o.GetKind() != kindHSMCluster { // what opens all others is there for as long as it is
		return nil
	}
	if epoch := store.Epoch(keyOf(o)); epoch > 0 && !c.epochs[epoch] {
		if !c.unfounded(o, epoch) {
			return fmt.Errorf("%w: that of epoch %d, under which %s is", ErrKeyLost, epoch, nameOf(o))
		}
		if c.Passed != nil {
			c.Passed(nameOf(o), epoch)
		}
		return nil
	}
	if ns := o.GetNamespace(); ns != "" {
		c.namespaces[ns] = true
	}
	if o.GroupVersionKind() == ours(kindEnvelope) {
		c.envelopes[heldBy(o)] = true
		if r, _ := rankOf(o); r == rankDomainKey {
			c.epochs[epochOf(o)] = true
		}
	} else {
		gone := c.gone(o)
		if !complete(o, c.envelopes) {
			o = bare(o)
		}
		o = withBinding(o, gone)
	}
	if err := to(o); err != nil {
		return err
	}
	c.Each(kindOf(o))
	return nil
}

// list does something with each object of a kind.
func (c *Collector) list(ctx context.Context, gvk schema.GroupVersionKind, namespace string, do func(*unstructured.Unstructured) error) error {
	return pages(ctx, c.Cluster, gvk, namespace, do)
}

// pages does something with each object of a kind, page by page, as they were at one moment.
func pages(ctx context.Context, from client.Reader, gvk schema.GroupVersionKind, namespace string, do func(*unstructured.Unstructured) error) error {
	page := &unstructured.UnstructuredList{}
	for next := ""; ; next = page.GetContinue() {
		page = &unstructured.UnstructuredList{}
		page.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		err := from.List(ctx, page, client.InNamespace(namespace), client.Limit(pageSize), client.Continue(next))
		if apierrors.IsResourceExpired(err) {
			return fmt.Errorf("%w (objects of kind %s)", ErrSlow, gvk.Kind)
		}
		if err != nil {
			return fmt.Errorf("listing objects of kind %s: %w", gvk.Kind, err)
		}
		for i := range page.Items {
			page.Items[i].SetGroupVersionKind(gvk)
			if err := do(&page.Items[i]); err != nil {
				return err
			}
		}
		if page.GetContinue() == "" {
			return nil
		}
	}
}
