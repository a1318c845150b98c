package operator_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// reading is the context of a request of the gateway that only reads.
func reading(ctx context.Context) context.Context {
	out, _ := store.NoteWrites(ctx, true)
	return out
}

var _ = Describe("A read of a request that only reads", func() {
	var c client.Client
	BeforeEach(func(ctx SpecContext) {
		c = run(ctx, operator.Options{WithoutControllers: true}).GetClient()
		for object, name := range map[string]string{"a": "/p/a", "b": "/p/b", "again": "/p/a"} {
			Expect(c.Create(ctx, environment.Parameter(namespace, object, func(p *v1alpha1.Parameter) { p.Spec.Name = name }))).To(Succeed())
		}
		var all v1alpha1.ParameterList
		Expect(c.List(ctx, &all, client.InNamespace(namespace))).To(Succeed()) // it waits for the writes
		Expect(all.Items).To(HaveLen(3))
	})

	It("is answered as every other one, whatever it asks for", func(ctx SpecContext) {
		for name, opts := range map[string][]client.ListOption{
			"a value of an index":                  {client.InNamespace(namespace), client.MatchingFields{parameterstore.NameIndex: "/p/a"}, client.UnsafeDisableDeepCopy},
			"in another order":                     {client.UnsafeDisableDeepCopy, client.MatchingFields{parameterstore.NameIndex: "/p/b"}, client.InNamespace(namespace)},
			"a value that none has":                {client.InNamespace(namespace), client.MatchingFields{parameterstore.NameIndex: "/p/c"}, client.UnsafeDisableDeepCopy},
			"another namespace":                    {client.InNamespace("default"), client.MatchingFields{parameterstore.NameIndex: "/p/a"}, client.UnsafeDisableDeepCopy},
			"all namespaces":                       {client.MatchingFields{parameterstore.NameIndex: "/p/a"}, client.UnsafeDisableDeepCopy},
			"copies":                               {client.InNamespace(namespace), client.MatchingFields{parameterstore.NameIndex: "/p/a"}},
			"one at most":                          {client.InNamespace(namespace), client.MatchingFields{parameterstore.NameIndex: "/p/a"}, client.UnsafeDisableDeepCopy, client.Limit(1)},
			"those that have a label besides":      {client.InNamespace(namespace), client.MatchingFields{parameterstore.NameIndex: "/p/a"}, client.UnsafeDisableDeepCopy, client.MatchingLabels{"x": "y"}},
			"all of the namespace":                 {client.InNamespace(namespace), client.UnsafeDisableDeepCopy},
			"a value of an index that there isn't": {client.InNamespace(namespace), client.MatchingFields{"nothing": "x"}, client.UnsafeDisableDeepCopy},
		} {
			var is, want v1alpha1.ParameterList
			expected := c.List(ctx, &want, opts...)
			got := c.List(reading(ctx), &is, opts...)
			if expected != nil {
				Expect(got).To(MatchError(expected.Error()), name)
				continue
			}
			Expect(got).NotTo(HaveOccurred(), name)
			for _, list := range []*v1alpha1.ParameterList{&is, &want} {
				for i := range list.Items {
					list.Items[i].TypeMeta = want.TypeMeta // copies have it
				}
			}
			Expect(is.Items).To(ConsistOf(want.Items), name)
		}
	})

	It("is answered as every other one of an object, of one that there isn't, and of a kind of which the cache keeps a part", func(ctx SpecContext) {
		for _, name := range []string{"a", "none", ""} {
			key := client.ObjectKey{Namespace: namespace, Name: name}
			var is, want v1alpha1.Parameter
			expected := c.Get(ctx, key, &want, client.UnsafeDisableDeepCopy)
			got := c.Get(reading(ctx), key, &is, client.UnsafeDisableDeepCopy)
			if expected != nil {
				Expect(got).To(MatchError(expected.Error()))
				continue
			}
			Expect(got).NotTo(HaveOccurred())
			Expect(is).To(Equal(want))
			is = v1alpha1.Parameter{}
			Expect(c.Get(reading(ctx), key, &is, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)).To(Succeed())
			Expect(is).To(Equal(want))
			copied := v1alpha1.Parameter{}
			Expect(c.Get(reading(ctx), key, &copied, client.DisableReadYourWritesConsistency)).To(Succeed())
			copied.Labels = map[string]string{"of": "the copy alone"}
			Expect(is.Labels).To(BeEmpty())
		}
		plain := coreSecret("plain", nil)
		Expect(c.Create(ctx, plain)).To(Succeed())
		for _, ctx := range []context.Context{ctx, reading(ctx)} { // the first begins to watch them
			Expect(c.Get(ctx, client.ObjectKeyFromObject(plain), &corev1.Secret{}, client.UnsafeDisableDeepCopy)).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
		}
	})

	It("takes the short way, which is known by its few allocations", func(ctx SpecContext) {
		reads := reading(ctx)
		allocations := func(ctx context.Context) (get, list float64) {
			key := client.ObjectKey{Namespace: namespace, Name: "a"}
			var p v1alpha1.Parameter
			get = testing.AllocsPerRun(200, func() {
				_ = c.Get(ctx, key, &p, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
			})
			var l v1alpha1.ParameterList
			list = testing.AllocsPerRun(200, func() {
				_ = c.List(ctx, &l, client.InNamespace(namespace), client.MatchingFields{parameterstore.NameIndex: "/p/b"}, client.UnsafeDisableDeepCopy)
			})
			return get, list
		}
		get, list := allocations(reads)
		longGet, longList := allocations(ctx)
		AddReportEntry("allocations", []float64{get, longGet, list, longList})
		Expect(get).To(BeNumerically("<", longGet/2))
		Expect(list).To(BeNumerically("<", longList/2))
	})
})
