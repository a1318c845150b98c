package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	// ErrKeyLost says that a domain key is missing by which something is wrapped: a backup without it would open no more than the installation.
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
	// Each is told of every object that was written, by its kind.
	Each func(kind string)

	namespaces map[string]bool
	envelopes  map[string]bool // what is in the backup, by held
	epochs     map[int64]bool  // of the domain keys in it
	to         *Writer
}

// Write writes a backup, sealed to recipients. Envelopes come before the objects that they are of: an object that is made in between is then made anew, while an
// Envelope without an object would be entombed. What is being deleted is left out, and its Envelopes are not: it can be had back as long as its recovery window
// lasts. It fails with ErrNotInstalled, ErrNoRootHere, ErrKeyMade, ErrKeyLost and ErrSlow.
func (c *Collector) Write(ctx context.Context, dst io.Writer, recipients ...age.Recipient) error {
	roots, err := c.roots(ctx)
	if err != nil {
		return err
	}
	if len(roots) == 0 && !c.WithoutRoot {
		return fmt.Errorf("%w in namespace %s; name Strongroom's own with -n, or leave the root out", ErrNoRootHere, c.Namespace)
	}
	h := Header{Created: c.Now().UTC().Truncate(time.Second), Namespace: c.Namespace, WithoutRoot: c.WithoutRoot}
	for _, o := range roots {
		h.Roots = append(h.Roots, client.ObjectKeyFromObject(o).String())
	}
	if c.to, err = NewWriter(dst, h, recipients...); err != nil {
		return err
	}
	c.namespaces, c.envelopes, c.epochs = map[string]bool{}, map[string]bool{}, map[int64]bool{}
	if !c.WithoutRoot {
		for _, o := range roots {
			if err := c.add(o); err != nil {
				return err
			}
		}
	}
	if err := c.all(ctx); err != nil {
		return err
	}
	return c.to.Close()
}

// all writes everything but the roots.
func (c *Collector) all(ctx context.Context) error {
	written := map[string]bool{}
	err := c.list(ctx, ours(kindEnvelope), c.Namespace, func(o *unstructured.Unstructured) error {
		if r, _ := rankOf(o); r != rankDomainKey {
			return nil
		}
		written[o.GetName()] = true
		epoch, _, _ := unstructured.NestedInt64(o.Object, "spec", "sequence")
		c.epochs[epoch] = true
		return c.add(o)
	})
	if err == nil && len(written) == 0 {
		err = fmt.Errorf("%w in namespace %s; name Strongroom's own with -n", ErrNotInstalled, c.Namespace)
	}
	if err != nil {
		return err
	}
	if err := c.list(ctx, ours(kindEnvelope), "", func(o *unstructured.Unstructured) error {
		switch r, _ := rankOf(o); {
		case r != rankDomainKey:
			return c.add(o)
		case o.GetNamespace() == c.Namespace && !written[o.GetName()]:
			return ErrKeyMade
		}
		return nil // written before, or somebody's who has it open nothing
	}); err != nil {
		return err
	}
	for _, kind := range kinds {
		if err := c.list(ctx, ours(kind), "", c.add); err != nil {
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

// roots are the core Secrets of the roots of trust that there are: strongroom-root, and of each HSMCluster its credentials and its own PIN.
func (c *Collector) roots(ctx context.Context) (found []*unstructured.Unstructured, err error) {
	names := []client.ObjectKey{{Namespace: c.Namespace, Name: unseal.RootSecretName}}
	err = c.list(ctx, ours(kindHSMCluster), "", func(o *unstructured.Unstructured) error {
		names = append(names, client.ObjectKey{Namespace: c.Namespace, Name: cloudhsm.CredentialsName(cloudhsm.ClusterID(o.GetNamespace(), o.GetName()))})
		if pin := pinOf(o); pin != "" {
			names = append(names, client.ObjectKey{Namespace: o.GetNamespace(), Name: pin})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(core(kindSecret))
		err := c.Cluster.Get(ctx, name, o)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading core Secret %s: %w", name, err)
		}
		if err == nil {
			found = append(found, o)
		}
	}
	return found, nil
}

// pinOf is the core Secret that an HSMCluster has its PIN from, empty if it has its own.
func pinOf(o *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(o.Object, "spec", "pkcs11", "pinSecretRef", "name")
	return name
}

func (c *Collector) add(o *unstructured.Unstructured) error {
	if r, _ := rankOf(o); o.GetDeletionTimestamp() != nil && r >= rankEnvelope && o.GetKind() != kindHSMCluster { // what opens all others is there for as long as it is
		return nil
	}
	if ns := o.GetNamespace(); ns != "" {
		c.namespaces[ns] = true
	}
	if o.GroupVersionKind() == ours(kindEnvelope) {
		c.envelopes[heldBy(o)] = true
		if epoch := store.Epoch(keyOf(o)); epoch > 0 && !c.epochs[epoch] {
			return fmt.Errorf("%w: that of epoch %d, under which %s is", ErrKeyLost, epoch, nameOf(o))
		}
	} else if !complete(o, c.envelopes) {
		o = bare(o)
	}
	if err := c.to.Add(o); err != nil {
		return err
	}
	c.Each(o.GetKind())
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
