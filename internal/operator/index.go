package operator

import (
	"context"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// indexReader answers the reads of which the gateway makes several a request: one object by its name, and the objects of a namespace that have one value of an index. They are the cache's own, as
// with client.UnsafeDisableDeepCopy. The client finds out the kind, whether it is cached and what the options say each time anew, which costs more than the rest: twenty allocations, where
// this has three. What it is not sure of it leaves to the client.
type indexReader struct {
	informers cache.Informers
	// cached are the kinds of which the cache has all objects.
	cached func(schema.GroupVersionKind) bool
	kind   func(client.Object) (schema.GroupVersionKind, error)
	// known are the kinds that were read, by the type of their objects: *kindIndex, nil if it is left to the client.
	known sync.Map
	// lists are the types of objects and where they are, by the type of their lists: listOf.
	lists sync.Map
}

type kindIndex struct{ toolscache.Indexer }

type listOf struct {
	object reflect.Type // of a pointer to it
	items  int          // the field of the list
}

func (c *filteredClient) newIndexReader(reader client.Reader) *indexReader {
	informers, ok := reader.(cache.Informers)
	if !ok {
		return nil
	}
	return &indexReader{
		informers: informers,
		cached:    func(gvk schema.GroupVersionKind) bool { return c.cached[gvk] && c.kept[gvk] == nil },
		kind:      func(obj client.Object) (schema.GroupVersionKind, error) { return apiutil.GVKForObject(obj, c.Scheme()) },
	}
}

// of finds the index of a kind, by the type of a pointer to its objects. It waits until the cache has been filled, once.
func (r *indexReader) of(ctx context.Context, object reflect.Type) *kindIndex {
	if known, ok := r.known.Load(object); ok {
		return known.(*kindIndex)
	}
	obj, ok := reflect.New(object.Elem()).Interface().(client.Object)
	if !ok {
		return r.remember(object, nil)
	}
	gvk, err := r.kind(obj)
	if err != nil || !r.cached(gvk) {
		return r.remember(object, nil)
	}
	informer, err := r.informers.GetInformer(ctx, obj)
	if err != nil {
		return nil // the client says what is wrong, and the next read tries again
	}
	indexed, ok := informer.(interface{ GetIndexer() toolscache.Indexer })
	if !ok { // one of several caches
		return r.remember(object, nil)
	}
	return r.remember(object, &kindIndex{indexed.GetIndexer()})
}

func (r *indexReader) remember(object reflect.Type, index *kindIndex) *kindIndex {
	r.known.Store(object, index)
	return index
}

// get reads one object into obj. done is false if the client is to.
func (r *indexReader) get(ctx context.Context, key client.ObjectKey, obj client.Object, opts []client.GetOption) (done bool) {
	if r == nil || key.Namespace == "" || !asItIs(opts) {
		return false
	}
	index := r.of(ctx, reflect.TypeOf(obj))
	if index == nil {
		return false
	}
	found, exists, err := index.GetByKey(key.Namespace + "/" + key.Name)
	if err != nil || !exists { // the client has the words for it
		return false
	}
	from := reflect.ValueOf(found)
	if from.Type() != reflect.TypeOf(obj) {
		return false
	}
	reflect.ValueOf(obj).Elem().Set(from.Elem())
	return true
}

// asItIs are options that ask for the cache's own object and, which is so here in any case, not to wait for writes.
func asItIs(opts []client.GetOption) (own bool) {
	for _, opt := range opts {
		switch opt {
		case client.GetOption(client.UnsafeDisableDeepCopy):
			own = true
		case client.GetOption(client.DisableReadYourWritesConsistency):
		default:
			return false
		}
	}
	return own
}

// list reads those objects of a namespace that have a value of an index. done is false if the client is to.
func (r *indexReader) list(ctx context.Context, list client.ObjectList, opts []client.ListOption) (done bool) {
	if r == nil {
		return false
	}
	namespace, field, value, ok := indexed(opts)
	if !ok {
		return false
	}
	kind, ok := r.listOf(list)
	if !ok {
		return false
	}
	index := r.of(ctx, kind.object)
	if index == nil {
		return false
	}
	// The names of indexes and of their values are controller-runtime's own. One of another name fails, and is the client's.
	found, err := index.ByIndex("field:"+field, namespace+"/"+value)
	if err != nil {
		return false
	}
	items := reflect.ValueOf(list).Elem().Field(kind.items)
	into := reflect.MakeSlice(items.Type(), len(found), len(found))
	for i := range found {
		from := reflect.ValueOf(found[i])
		if from.Type() != kind.object {
			return false
		}
		into.Index(i).Set(from.Elem())
	}
	items.Set(into)
	return true
}

// listOf is what a list has: objects, and not pointers to them or anything else.
func (r *indexReader) listOf(list client.ObjectList) (listOf, bool) {
	t := reflect.TypeOf(list)
	if known, ok := r.lists.Load(t); ok {
		of := known.(listOf)
		return of, of.object != nil
	}
	var of listOf
	if field, ok := t.Elem().FieldByName("Items"); ok && len(field.Index) == 1 && field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct {
		of = listOf{object: reflect.PointerTo(field.Type.Elem()), items: field.Index[0]}
	}
	r.lists.Store(t, of)
	return of, of.object != nil
}

// indexed are options that ask for one value of one index in one namespace, of the cache's own objects, and for nothing else.
func indexed(opts []client.ListOption) (namespace, field, value string, ok bool) {
	own, fields := false, 0
	for _, opt := range opts {
		switch o := opt.(type) {
		case client.InNamespace:
			namespace = string(o)
		case client.MatchingFields:
			for field, value = range o {
				fields++
			}
		case client.UnsafeDisableDeepCopyOption:
			own = bool(o)
		default:
			return "", "", "", false
		}
	}
	return namespace, field, value, own && fields == 1 && namespace != ""
}
