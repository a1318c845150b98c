package operator

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// strictCache watches the kinds that it was told to and no others. ReaderFailOnMissingInformer alone does not see to that: a
// client that waits for its own writes asks for an informer at each read and write of any kind, and so would begin to watch
// all of that kind in the cluster, without the right to.
type strictCache struct {
	cache.Cache
	scheme *runtime.Scheme
	kinds  map[schema.GroupVersionKind]bool
}

// newStrictCache makes the cache of a manager, limited to the kinds in options.ByObject.
func newStrictCache(cfg *rest.Config, options cache.Options) (cache.Cache, error) {
	made, err := cache.New(cfg, options)
	if err != nil {
		return nil, err
	}
	s := &strictCache{Cache: made, scheme: options.Scheme, kinds: map[schema.GroupVersionKind]bool{}}
	for object := range options.ByObject {
		gvk, err := apiutil.GVKForObject(object, options.Scheme)
		if err != nil {
			return nil, fmt.Errorf("limiting the cache: %w", err)
		}
		s.kinds[gvk] = true
	}
	return s, nil
}

// GetInformer fails with cache.ErrResourceNotCached for a kind that is not watched. To write one, give the write
// client.DisableReadYourWritesConsistency.
func (s *strictCache) GetInformer(ctx context.Context, obj client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	gvk, err := apiutil.GVKForObject(obj, s.scheme)
	if err != nil {
		return nil, err
	}
	if !s.kinds[gvk] {
		return nil, &cache.ErrResourceNotCached{GVK: gvk}
	}
	return s.Cache.GetInformer(ctx, obj, opts...)
}

// GetInformerForKind fails as GetInformer does.
func (s *strictCache) GetInformerForKind(ctx context.Context, gvk schema.GroupVersionKind, opts ...cache.InformerGetOption) (cache.Informer, error) {
	if !s.kinds[gvk] {
		return nil, &cache.ErrResourceNotCached{GVK: gvk}
	}
	return s.Cache.GetInformerForKind(ctx, gvk, opts...)
}
