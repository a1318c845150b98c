package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"strongroom.dev/strongroom/internal/store"
)

// patience is how long a read of a kind of which the cache keeps a part waits for a write of this process that the cache has not shown yet.
const patience = 3 * time.Second

// filteredClient is a client that waits for its own writes, over a cache that keeps of some kinds those objects only that have a label. A write of
// another object of such a kind is one that the cache never shows: whoever reads the object afterwards would wait until its pass is ended. So such a
// write is not waited for. Who writes need not know what the cache keeps.
//
// The labels of an object after a patch are not known before it, and somebody can take the label off while it is written. So patches of these kinds
// are not waited for either, and no read of them waits for longer than patience: it then says what the cache has. All that reads these
// kinds takes into account that the cache may be behind.
//
// A request of the gateway that only reads waits for nothing ([store.NoteWrites]), since those that write are answered when the cache shows it. What others list
// waits for all writes of the kind that this process has begun: passes rely on those of the passes before.
type filteredClient struct {
	client.Client
	cached map[schema.GroupVersionKind]bool
	kept   map[schema.GroupVersionKind]labels.Selector
	wait   time.Duration
	index  *indexReader
}

// newFilteredClient makes the client of a manager whose cache has these options. It is a client.NewClientFunc of them.
func newFilteredClient(options cache.Options) client.NewClientFunc {
	return func(cfg *rest.Config, of client.Options) (client.Client, error) {
		made, err := client.New(cfg, of)
		if err != nil {
			return nil, err
		}
		out, err := filtered(made, options)
		if err != nil {
			return nil, err
		}
		if of.Cache != nil {
			out.index = out.newIndexReader(of.Cache.Reader)
		}
		return out, nil
	}
}

func filtered(c client.Client, options cache.Options) (*filteredClient, error) {
	out := &filteredClient{Client: c, cached: map[schema.GroupVersionKind]bool{}, kept: map[schema.GroupVersionKind]labels.Selector{}, wait: patience}
	for object, by := range options.ByObject {
		gvk, err := apiutil.GVKForObject(object, c.Scheme())
		if err != nil {
			return nil, fmt.Errorf("limiting what writes are waited for: %w", err)
		}
		if out.cached[gvk] = true; by.Label != nil {
			out.kept[gvk] = by.Label
		}
	}
	return out, nil
}

// filters tells whether the cache keeps a part of a kind only, and which.
func (c *filteredClient) filters(obj runtime.Object) (labels.Selector, bool) {
	gvk, err := apiutil.GVKForObject(obj, c.Scheme())
	if err != nil {
		return nil, false // the client says what is wrong with it
	}
	selector, ok := c.kept[gvk]
	return selector, ok
}

// shown tells whether the cache will show a write of an object as it is. What is written as metadata alone is of another cache, which nothing reads.
func (c *filteredClient) shown(obj client.Object) bool {
	selector, ok := c.filters(obj)
	if !ok {
		return true
	}
	switch obj.(type) {
	case *metav1.PartialObjectMetadata, *unstructured.Unstructured:
		return false
	}
	return selector.Matches(labels.Set(obj.GetLabels()))
}

// Create implements client.Client.
func (c *filteredClient) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if !c.shown(obj) {
		opts = append(opts[:len(opts):len(opts)], client.DisableReadYourWritesConsistency)
	}
	return c.noted(ctx, obj, c.Client.Create(ctx, obj, opts...))
}

// Update implements client.Client.
func (c *filteredClient) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	if !c.shown(obj) {
		opts = append(opts[:len(opts):len(opts)], client.DisableReadYourWritesConsistency)
	}
	return c.noted(ctx, obj, c.Client.Update(ctx, obj, opts...))
}

// Delete implements client.Client. The object's labels are those that it was read with.
func (c *filteredClient) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	if !c.shown(obj) {
		opts = append(opts[:len(opts):len(opts)], client.DisableReadYourWritesConsistency)
	}
	return c.noted(ctx, obj, c.Client.Delete(ctx, obj, opts...))
}

// Patch implements client.Client.
func (c *filteredClient) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if _, ok := c.filters(obj); ok {
		opts = append(opts[:len(opts):len(opts)], client.DisableReadYourWritesConsistency)
	}
	return c.noted(ctx, obj, c.Client.Patch(ctx, obj, patch, opts...))
}

// Apply implements client.Client. An apply of the label leaves the object with it; another may take it off.
func (c *filteredClient) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	gvk, applied := appliedLabels(obj)
	if selector, ok := c.kept[gvk]; ok && !selector.Matches(labels.Set(applied)) {
		opts = append(opts[:len(opts):len(opts)], client.DisableReadYourWritesConsistency)
	}
	return c.Client.Apply(ctx, obj, opts...)
}

// Get implements client.Client.
func (c *filteredClient) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if store.OnlyReads(ctx) {
		if c.index.get(ctx, key, obj, opts) {
			return nil
		}
		return c.Client.Get(ctx, key, obj, append(opts[:len(opts):len(opts)], client.DisableReadYourWritesConsistency)...)
	}
	if _, ok := c.filters(obj); !ok || (&client.GetOptions{}).ApplyOptions(opts).DisableReadYourWritesConsistency {
		return c.Client.Get(ctx, key, obj, opts...)
	}
	return c.briefly(ctx, func(ctx context.Context) error { return c.Client.Get(ctx, key, obj, opts...) }, func() error {
		return c.Client.Get(ctx, key, obj, append(opts[:len(opts):len(opts)], client.DisableReadYourWritesConsistency)...)
	})
}

// List implements client.Client.
func (c *filteredClient) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if store.OnlyReads(ctx) {
		if c.index.list(ctx, list, opts) {
			return nil
		}
		return c.Client.List(ctx, list, append(opts[:len(opts):len(opts)], client.DisableReadYourWritesConsistency)...)
	}
	if !c.filtersList(list) || (&client.ListOptions{}).ApplyOptions(opts).DisableReadYourWritesConsistency {
		return c.Client.List(ctx, list, opts...)
	}
	return c.briefly(ctx, func(ctx context.Context) error { return c.Client.List(ctx, list, opts...) }, func() error {
		return c.Client.List(ctx, list, append(opts[:len(opts):len(opts)], client.DisableReadYourWritesConsistency)...)
	})
}

// filtersList is filters for a list's objects.
func (c *filteredClient) filtersList(list client.ObjectList) bool {
	gvk, err := apiutil.GVKForObject(list, c.Scheme())
	if err != nil {
		return false // the client says what is wrong with it
	}
	gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	_, ok := c.kept[gvk]
	return ok
}

// briefly reads, and reads what there is if that waits for too long.
func (c *filteredClient) briefly(ctx context.Context, read func(context.Context) error, anyway func() error) error {
	brief, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	err := read(brief)
	if err != nil && brief.Err() != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return anyway()
	}
	return err
}

// appliedLabels are the kind and the labels of an apply configuration, no labels if it is of a kind that nothing here applies.
func appliedLabels(obj runtime.ApplyConfiguration) (gvk schema.GroupVersionKind, applied map[string]string) {
	typed, ok := obj.(interface {
		GetKind() *string
		GetAPIVersion() *string
	})
	if !ok || typed.GetKind() == nil || typed.GetAPIVersion() == nil {
		return gvk, nil
	}
	gvk = schema.FromAPIVersionAndKind(*typed.GetAPIVersion(), *typed.GetKind())
	var meta *metav1ac.ObjectMetaApplyConfiguration
	switch o := obj.(type) {
	case *corev1ac.SecretApplyConfiguration:
		meta = o.ObjectMetaApplyConfiguration
	case *corev1ac.ConfigMapApplyConfiguration:
		meta = o.ObjectMetaApplyConfiguration
	}
	if meta == nil {
		return gvk, nil
	}
	return gvk, meta.Labels
}
