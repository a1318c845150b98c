package iam

import (
	"context"
	"fmt"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// Observe lets the Cache believe a credential without a look at the objects that it was made of, as long as none of all such
// objects has changed: informers tell of changes, and so does the Client that is returned, which is to be the Service's, of what
// the Service writes itself, so that it is in force with the next request. Without Observe every request looks at all of a
// credential's objects. It fails if one of the kinds is not watched.
//
// An informer tells its handlers of a change after it has it in its store, microseconds later while there is a processor for it.
func (c *Cache) Observe(ctx context.Context, informers cache.Informers, upstream client.Client) (client.Client, error) {
	changed := toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { c.changed() },
		UpdateFunc: func(any, any) { c.changed() },
		DeleteFunc: func(any) { c.changed() },
	}
	handlers := map[client.Object]toolscache.ResourceEventHandler{
		&v1alpha1.IAMUser{}: changed, &v1alpha1.IAMRole{}: changed, &v1alpha1.IAMGroup{}: changed, &v1alpha1.IAMPolicy{}: changed,
		&v1alpha1.Envelope{}: toolscache.FilteringResourceEventHandler{FilterFunc: isAccessKey, Handler: changed},
	}
	for obj, handler := range handlers {
		informer, err := informers.GetInformer(ctx, obj, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watching %T for changes of credentials: %w", obj, err)
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, fmt.Errorf("watching %T for changes of credentials: %w", obj, err)
		}
	}
	c.observed = true
	return observedClient{Client: upstream, cache: c}, nil
}

// isAccessKey tells whether an Envelope is an access key's: no other is a part of a credential, and secrets that rotate would
// have everything looked at again. What an informer has lost track of counts.
func isAccessKey(obj any) bool {
	e, ok := obj.(*v1alpha1.Envelope)
	return !ok || e.Spec.Class == v1alpha1.EnvelopeAccessKey
}

// changed says that something which credentials are made of may have changed.
func (c *Cache) changed() { c.changes.Add(1) }

// observedClient tells the Cache of writes. It does so after a write and before anybody is answered: whoever asks then looks at
// the objects, for which the Client below waits until the cache has what was written.
type observedClient struct {
	client.Client
	cache *Cache
}

func (o observedClient) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	defer o.cache.changed()
	return o.Client.Create(ctx, obj, opts...)
}

func (o observedClient) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	defer o.cache.changed()
	return o.Client.Update(ctx, obj, opts...)
}

func (o observedClient) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	defer o.cache.changed()
	return o.Client.Patch(ctx, obj, patch, opts...)
}

func (o observedClient) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	defer o.cache.changed()
	return o.Client.Delete(ctx, obj, opts...)
}

func (o observedClient) Status() client.SubResourceWriter {
	return observedStatus{SubResourceWriter: o.Client.Status(), cache: o.cache}
}

type observedStatus struct {
	client.SubResourceWriter
	cache *Cache
}

func (o observedStatus) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	defer o.cache.changed()
	return o.SubResourceWriter.Update(ctx, obj, opts...)
}

func (o observedStatus) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	defer o.cache.changed()
	return o.SubResourceWriter.Patch(ctx, obj, patch, opts...)
}
