package operator

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"strongroom.dev/strongroom/internal/store"
)

// noted notes a write that has succeeded for the request that it is of, and returns the write's error. What the cache does not show is not noted.
func (c *filteredClient) noted(ctx context.Context, obj client.Object, err error) error {
	w := store.WritesOf(ctx)
	if w == nil || err != nil || !c.shown(obj) {
		return err
	}
	gvk, unknown := apiutil.GVKForObject(obj, c.Scheme())
	if unknown != nil || !c.cached[gvk] {
		return nil
	}
	key := client.ObjectKeyFromObject(obj)
	w.Note(gvk, key, func(ctx context.Context) error {
		shown, err := c.Scheme().New(gvk)
		if err != nil {
			return err
		}
		into, ok := shown.(client.Object)
		if !ok {
			return nil
		}
		return client.IgnoreNotFound(c.Client.Get(ctx, key, into, client.UnsafeDisableDeepCopy)) // it waits for this object's writes alone
	})
	return nil
}

// Status implements client.Client.
func (c *filteredClient) Status() client.SubResourceWriter { return c.SubResource("status") }

// SubResource implements client.Client.
func (c *filteredClient) SubResource(name string) client.SubResourceClient {
	return &notedSubResource{SubResourceClient: c.Client.SubResource(name), client: c}
}

// notedSubResource notes writes of a subresource, which are writes of the object.
type notedSubResource struct {
	client.SubResourceClient
	client *filteredClient
}

// Update implements client.SubResourceWriter.
func (n *notedSubResource) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	return n.client.noted(ctx, obj, n.SubResourceClient.Update(ctx, obj, opts...))
}

// Patch implements client.SubResourceWriter.
func (n *notedSubResource) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return n.client.noted(ctx, obj, n.SubResourceClient.Patch(ctx, obj, patch, opts...))
}
