package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// reference is what a user typed for an object: KIND/NAME, KIND NAME, or NAME alone for a Secret.
type reference struct {
	kind kind
	name string
	// guessed tells that no kind was typed.
	guessed bool
}

// refer reads one or two arguments. The name of a kind of which there is one object alone is enough for that. A name may hold slashes, as those of AWS do: what is before the first one is a kind only if there is such a kind.
func refer(args []string, fit func(kind) bool) (reference, error) {
	secrets, _ := kindOf("Secret")
	r := reference{kind: secrets}
	switch {
	case len(args) == 2:
		k, found := kindOf(args[0])
		if !found {
			return r, unknownKind(args[0], fit)
		}
		r.kind, r.name = k, args[1]
	default:
		r.name, r.guessed = args[0], true
		if k, found := kindOf(args[0]); found && k.only != "" {
			r.kind, r.name, r.guessed = k, k.only, false
			break
		}
		if before, after, cut := strings.Cut(args[0], "/"); cut && after != "" {
			if k, found := kindOf(before); found {
				r.kind, r.name, r.guessed = k, after, false
			}
		}
	}
	if !fit(r.kind) {
		return r, fmt.Errorf("a %s has no such thing: this is for %s", r.kind.name, strings.Join(kindsThat(fit), ", "))
	}
	return r, nil
}

func unknownKind(name string, fit func(kind) bool) error {
	return fmt.Errorf("there is no kind %q: give one of %s", name, strings.Join(kindsThat(fit), ", "))
}

// find reads an object. The name of an object in Kubernetes goes before a name in AWS, since the former is one object's alone.
func (r reference) find(ctx context.Context, cluster client.Client, namespace string) (object, error) {
	if len(validation.IsDNS1123Subdomain(r.name)) == 0 {
		o := r.kind.empty()
		err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: r.name}, o)
		if err == nil || !apierrors.IsNotFound(err) {
			return o, err
		}
	}
	objects, err := r.kind.objects(ctx, cluster, namespace)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(objects, func(o object) bool { return r.kind.is(o, r.name) })
	if i < 0 {
		return nil, missing("namespace %s has no %s %s%s", namespace, r.kind.name, r.name, r.hint())
	}
	return objects[i], nil
}

// hint says how to name an object of another kind, to a user who typed none.
func (r reference) hint() string {
	if !r.guessed {
		return ""
	}
	return "; if it is of another kind, give that first, as in: parameter " + r.name
}

// locate reads the object that the arguments of a command name, of a kind that fits.
func (f *clusterFlags) locate(ctx context.Context, args []string, fit func(kind) bool) (cluster client.Client, r reference, o object, err error) {
	if r, err = refer(args, fit); err != nil {
		return nil, r, nil, err
	}
	cluster, namespace, err := f.connect()
	if err != nil {
		return nil, r, nil, err
	}
	if r.kind.only != "" && f.namespace == "" {
		namespace = ownNamespace
	}
	o, err = r.find(ctx, cluster, namespace)
	return cluster, r, o, err
}

// pageSize of lists, in objects: an answer of the API server stays small however many there are.
const pageSize = 500

// objects of a kind in a namespace, or in all if it is empty, by namespace and name.
func (k kind) objects(ctx context.Context, cluster client.Client, namespace string) ([]object, error) {
	var out []object
	for token := ""; ; {
		list := k.list()
		if err := cluster.List(ctx, list, client.InNamespace(namespace), client.Limit(pageSize), client.Continue(token)); err != nil {
			return nil, fmt.Errorf("listing objects of kind %s: %w", k.name, err)
		}
		items, err := meta.ExtractList(list)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			o := item.(object) //nolint:forcetypeassert // kinds pairs them
			o.GetObjectKind().SetGroupVersionKind(groupVersion.WithKind(k.name))
			out = append(out, o)
		}
		if token = list.GetContinue(); token == "" {
			return out, nil
		}
	}
}

// completionTimeout of names from the cluster: a shell waits for them.
const completionTimeout = 3 * time.Second

// completeNames offers kinds, and names of the cluster's objects, to the shell.
func completeNames(f *clusterFlags, fit func(kind) bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp
		if len(args) > 1 {
			return nil, directive
		}
		var out []string
		if len(args) == 0 {
			out = kindsThat(fit)
		}
		const more = "?" // what is typed goes on: KIND/ is a kind then
		r, err := refer(append(slices.Clone(args), typed+more), fit)
		if err != nil {
			return out, directive
		}
		cluster, namespace, err := f.connect()
		if err != nil {
			return out, directive
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		objects, err := r.kind.objects(ctx, cluster, namespace)
		if err != nil {
			return out, directive
		}
		prefix := strings.TrimSuffix(typed, strings.TrimSuffix(r.name, more)) // KIND/ stays before what is completed
		for _, o := range objects {
			out = append(out, prefix+o.GetName())
		}
		return out, directive
	}
}
