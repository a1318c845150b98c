package parametertree

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

const (
	// maximumKeys is the number of keys that a projection has at most: those that status can name.
	maximumKeys = 1024
	// told is how many parameters a message names.
	told = 3
)

var (
	errNone         = errors.New("the tree has no parameter")
	errValueless    = errors.New("there are parameters without a value")
	errSecureString = errors.New("a SecureString is not shown in a ConfigMap, which anybody may read")
	errTooMany      = errors.New("the tree has more parameters than a target can have keys")
	errKey          = errors.New("a name makes no key of data")
	errSameKey      = errors.New("two parameters would have one key of data")
)

// gather finds the parameters that are to be shown, and the key of each.
func (r *Reconciler) gather(ctx context.Context, p *pass) error {
	tree, err := parameterstore.TreeOf(&p.tree.Spec)
	if err != nil {
		return fault.Stalled(v1alpha1.ReasonInvalidName, fmt.Errorf("spec.filter: %w", err))
	}
	members, valueless, err := r.Parameters.Members(ctx, p.tree.Namespace, p.region, tree)
	if err != nil {
		return err
	}
	if len(valueless) > 0 {
		return fault.Waiting(v1alpha1.ReasonSourceNotFound, fmt.Errorf("%w: %s; put their values, or exclude them by spec.filter. "+
			"%s", errValueless, some(valueless, (*v1alpha1.Parameter).AWSName), meanwhile(&p.tree.Spec)))
	}
	p.members, err = arrange(&p.tree.Spec, members)
	return err
}

// arrange gives each parameter its key. It fails if one may not be shown where the tree wants it, or has a key that is none, or another's.
func arrange(spec *v1alpha1.ParameterTreeSpec, members []parameterstore.Member) (map[string]parameterstore.Member, error) {
	if err := admit(spec, members); err != nil {
		return nil, err
	}
	out := make(map[string]parameterstore.Member, len(members))
	var invalid, same []string
	for _, m := range members {
		name := m.Parameter.AWSName()
		key := keyOf(spec, name)
		if problems := validation.IsConfigMapKey(key); len(problems) > 0 {
			invalid = append(invalid, fmt.Sprintf("%s: %s", name, problems[0]))
			continue
		}
		if other, taken := out[key]; taken {
			same = append(same, fmt.Sprintf("%s is that of %s and %s", key, other.Parameter.AWSName(), name))
			continue
		}
		out[key] = m
	}
	switch {
	case len(invalid) > 0:
		return nil, fault.Stalled(v1alpha1.ReasonInvalidKey, fmt.Errorf("%w: %s; rename it, exclude it by spec.filter, or choose spec.keys otherwise. "+
			"%s", errKey, some(invalid, itself), meanwhile(spec)))
	case len(same) > 0:
		return nil, fault.Stalled(v1alpha1.ReasonDuplicateKey, fmt.Errorf("%w: %s; rename one, exclude one by spec.filter, or choose spec.keys otherwise. "+
			"%s", errSameKey, some(same, itself), meanwhile(spec)))
	}
	return out, nil
}

// admit says whether parameters may be shown in the target at all.
func admit(spec *v1alpha1.ParameterTreeSpec, members []parameterstore.Member) error {
	if len(members) == 0 {
		return fault.Waiting(v1alpha1.ReasonSourceNotFound, fmt.Errorf("%w: none is below %s and let through by spec.filter. "+
			"%s", errNone, spec.Path, meanwhile(spec)))
	}
	if len(members) > maximumKeys {
		return fault.Stalled(v1alpha1.ReasonTargetTooLarge, fmt.Errorf("%w: %d, and at most %d; choose among them by spec.filter, or make several trees. "+
			"%s", errTooMany, len(members), maximumKeys, meanwhile(spec)))
	}
	if spec.Target.Secret != nil {
		return nil
	}
	secure := slices.DeleteFunc(slices.Clone(members), func(m parameterstore.Member) bool {
		return m.Parameter.Spec.Type == v1alpha1.ParameterString || m.Parameter.Spec.Type == v1alpha1.ParameterStringList
	})
	if len(secure) > 0 {
		return fault.Stalled(v1alpha1.ReasonSecureStringInConfigMap, fmt.Errorf("%w: %s; use target.secret, or leave it out by spec.filter. "+
			"%s", errSecureString, some(secure, nameOf), meanwhile(spec)))
	}
	return nil
}

// meanwhile says what becomes of the target of a tree that cannot be shown whole: see withdraw.
func meanwhile(spec *v1alpha1.ParameterTreeSpec) string {
	if spec.Target.Secret != nil && spec.Target.Secret.Immutable {
		return "Until then the target stays as it is"
	}
	return "Until then the target stays as it is, but for parameters that are gone, which leave it"
}

// keyOf is the key of data of a parameter's name.
func keyOf(spec *v1alpha1.ParameterTreeSpec, name string) string {
	prefix, format := spec.Path, v1alpha1.KeyDotted
	if keys := spec.Keys; keys != nil {
		if keys.StripPrefix != "" {
			prefix = keys.StripPrefix
		}
		if keys.Format != "" {
			format = keys.Format
		}
	}
	return parameterstore.DataKey(prefix, format, name)
}

// some names the first of several.
func some[T any](all []T, name func(T) string) string {
	names := make([]string, 0, told)
	for _, one := range all[:min(len(all), told)] {
		names = append(names, name(one))
	}
	text := strings.Join(names, ", ")
	if more := len(all) - told; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func itself(s string) string { return s }

func nameOf(m parameterstore.Member) string { return m.Parameter.AWSName() }
