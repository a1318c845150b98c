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

// Check says whether what an object follows is made of its own target or value, directly or by way of others of any kind: each change would
// then make another, for ever. It asks the cache alone. The fault says Cycle.
func Check(ctx context.Context, cache client.Reader, f Follower) error {
	target, followed := f.TargetName(), f.FollowedSource()
	if followed == "" {
		return nil
	}
	seen := map[string]bool{}
	next := []string{followed}
	for len(next) > 0 && len(seen) < maximumChain {
		source := next[0]
		next = next[1:]
		if target != "" && source == target {
			return fault.Stalled(v1alpha1.ReasonCycle, fmt.Errorf("%w: core Secret %s is made of this object's own target %s; "+
				"follow another source, or use policy Once", errCycle, followed, target))
		}
		if seen[source] {
			continue
		}
		seen[source] = true
		sources, err := sourcesOf(ctx, cache, f, source)
		if err != nil {
			return err
		}
		next = append(next, sources...)
	}
	return nil
}

// sourcesOf lists the core Secrets that a core Secret is made of: those that its writers follow, and those that the sources of their targets
// do. A writer whose target has f's value for a source closes a circle.
func sourcesOf(ctx context.Context, cache client.Reader, f Follower, name string) ([]string, error) {
	writers, err := writersOf(ctx, cache, f.GetNamespace(), name)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, w := range writers {
		if followed := w.FollowedSource(); followed != "" {
			out = append(out, followed)
		}
		parts, err := partsOf(ctx, cache, f, w, name)
		if err != nil {
			return nil, err
		}
		out = append(out, parts...)
	}
	return out, nil
}

// partsOf lists the core Secrets that the objects follow whose values a writer shows beside its own.
func partsOf(ctx context.Context, cache client.Reader, f, writer Follower, name string) ([]string, error) {
	switch w := writer.(type) {
	case *v1alpha1.Secret:
		return sourcesOfTarget(ctx, cache, f, w, name)
	case *v1alpha1.ParameterTree:
		return parametersOfTree(ctx, cache, f, w, name)
	}
	return nil, nil
}

// sourcesOfTarget are those of the sources of a Secret's target.
func sourcesOfTarget(ctx context.Context, cache client.Reader, f Follower, composite *v1alpha1.Secret, name string) (out []string, err error) {
	for _, source := range composite.TargetSources() {
		if isSource(f, &source) {
			return nil, fault.Stalled(v1alpha1.ReasonCycle, fmt.Errorf("%w: core Secret %s is made of this object's own value, which is a source of "+
				"the target of Secret %s; follow another source, or use policy Once", errCycle, name, composite.Name))
		}
		followed, err := followedBy(ctx, cache, f.GetNamespace(), &source)
		if err != nil {
			return nil, err
		}
		if followed != "" {
			out = append(out, followed)
		}
	}
	return out, nil
}

// isSource tells that an object is the one that a target names.
func isSource(f Follower, source *v1alpha1.TargetSource) bool {
	switch f.(type) {
	case *v1alpha1.Secret:
		return source.SecretRef != nil && source.SecretRef.Name == f.GetName()
	case *v1alpha1.Parameter:
		return source.ParameterRef != nil && source.ParameterRef.Name == f.GetName()
	}
	return false
}

// followedBy is the core Secret that a source of a target follows, empty if it follows none or is not there.
func followedBy(ctx context.Context, cache client.Reader, namespace string, source *v1alpha1.TargetSource) (string, error) {
	var f Follower
	key := client.ObjectKey{Namespace: namespace}
	switch {
	case source.SecretRef != nil:
		f, key.Name = &v1alpha1.Secret{}, source.SecretRef.Name
	case source.ParameterRef != nil:
		f, key.Name = &v1alpha1.Parameter{}, source.ParameterRef.Name
	default:
		return "", nil
	}
	err := cache.Get(ctx, key, f, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("looking for a source of a target: %w", err)
	}
	if err != nil {
		return "", nil
	}
	return f.FollowedSource(), nil
}

// writersOf lists those that write a core Secret.
func writersOf(ctx context.Context, cache client.Reader, namespace, target string) ([]Follower, error) {
	var out []Follower
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
			var list v1alpha1.ParameterTreeList
			return makers(ctx, cache, &list, func() []v1alpha1.ParameterTree { return list.Items }, namespace, target)
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
		out = append(out, followers...)
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
