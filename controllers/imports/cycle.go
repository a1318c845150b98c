package imports

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

// TargetIndex is the cache index of each kind of Follower by the name of the core Secret that it writes. It may leave out an object
// whose own name that is.
const TargetIndex = "target"

// maximumChain is the number of core Secrets that are looked at for a cycle.
const maximumChain = 64

var errCycle = errors.New("a cycle")

// Follower is an object that may take its value from one core Secret and show it in another.
type Follower interface {
	client.Object
	// FollowedSource is the name of the core Secret that it follows, empty if it follows none: what is imported once makes no circle.
	FollowedSource() string
	// TargetName is the name of the core Secret that it writes, empty if it writes none.
	TargetName() string
}

// Check says whether what an object follows is made of its own target, directly or by way of others of any kind: each change would then
// make another, for ever. It asks the cache alone. The fault says Cycle.
func Check(ctx context.Context, cache client.Reader, f Follower) error {
	target, followed := f.TargetName(), f.FollowedSource()
	if target == "" || followed == "" {
		return nil
	}
	seen := map[string]bool{}
	next := []string{followed}
	for len(next) > 0 && len(seen) < maximumChain {
		source := next[0]
		next = next[1:]
		if source == target {
			return fault.Stalled(v1alpha1.ReasonCycle, fmt.Errorf("%w: core Secret %s is made of this object's own target %s; "+
				"follow another source, or use policy Once", errCycle, followed, target))
		}
		if seen[source] {
			continue
		}
		seen[source] = true
		sources, err := sourcesOf(ctx, cache, f.GetNamespace(), source)
		if err != nil {
			return err
		}
		next = append(next, sources...)
	}
	return nil
}

// sourcesOf lists what those follow that write a core Secret.
func sourcesOf(ctx context.Context, cache client.Reader, namespace, target string) ([]string, error) {
	var out []string
	for _, kind := range []func() ([]Follower, error){
		func() ([]Follower, error) {
			var list v1alpha1.SecretList
			return makers(ctx, cache, &list, func() []v1alpha1.Secret { return list.Items }, namespace, target)
		},
		func() ([]Follower, error) {
			var list v1alpha1.ParameterList
			return makers(ctx, cache, &list, func() []v1alpha1.Parameter { return list.Items }, namespace, target)
		},
		func() ([]Follower, error) {
			var list v1alpha1.CertificateList
			return makers(ctx, cache, &list, func() []v1alpha1.Certificate { return list.Items }, namespace, target)
		},
	} {
		followers, err := kind()
		if err != nil {
			return nil, err
		}
		for _, f := range followers {
			if followed := f.FollowedSource(); followed != "" {
				out = append(out, followed)
			}
		}
	}
	return out, nil
}

// makers lists the objects of one kind that write a core Secret. They are the cache's own.
func makers[T any, F interface {
	*T
	Follower
}](ctx context.Context, cache client.Reader, list client.ObjectList, items func() []T, namespace, target string) ([]Follower, error) {
	err := cache.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{TargetIndex: target},
		client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil {
		return nil, fmt.Errorf("looking for what writes core Secret %s: %w", target, err)
	}
	found := items()
	out := make([]Follower, 0, len(found)+1)
	for i := range found {
		out = append(out, F(&found[i]))
	}
	own := F(new(T))
	switch err := cache.Get(ctx, client.ObjectKey{Namespace: namespace, Name: target}, own,
		client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); {
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("looking for what writes core Secret %s: %w", target, err)
	case err == nil && own.TargetName() == target:
		out = append(out, own)
	}
	return out, nil
}
