package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/unseal"
)

// leaseName is operator.LeaseName, which is above this package.
const leaseName = "strongroom-manager"

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

// trusted are the core Secrets of the roots of trust, and the domain keys: an installation has these and no others. The credentials of another HSMCluster are objects as others are.
func (c *contents) trusted() (out []*unstructured.Unstructured) {
	for _, o := range c.roots {
		if o.GetName() == unseal.RootSecretName || slices.Contains(c.header.Roots, client.ObjectKeyFromObject(o).String()) {
			out = append(out, o)
		}
	}
	return append(out, c.domainKeys...)
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
	var missing []*unstructured.Unstructured
	of := found.trusted()
	for _, o := range of {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(o.GroupVersionKind())
		err := r.Cluster.Get(ctx, client.ObjectKeyFromObject(o), live)
		switch {
		case apierrors.IsNotFound(err):
			missing = append(missing, o)
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
	if len(missing) == 0 {
		return nil
	}
	err := r.stopped(ctx, found.header.Namespace)
	if errors.Is(err, ErrRunning) && len(missing) < len(of) {
		return lacking(missing, found.header.Namespace)
	}
	return err
}

// lacking says what to do where a manager runs in the installation of the backup and something is missing by which that opens: a manager keeps no root of trust that it has lost, but
// stores a domain key again that it has open. Nothing is made beside it, since it may be about to make the same.
func lacking(missing []*unstructured.Unstructured, namespace string) error {
	for _, o := range missing {
		if of, _ := rankOf(o); of == rankRoot {
			return fmt.Errorf("%s is missing there, and %w", nameOf(o), ErrRunning)
		}
	}
	return fmt.Errorf("%s is missing there (%d in all). A manager that has it open stores it again by itself within a minute: look at kubectl get keyring -n %s, and run this again. "+
		"If that says EnvelopeMissing or Sealed, no manager has it: %w", nameOf(missing[0]), len(missing), namespace, ErrRunning)
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
