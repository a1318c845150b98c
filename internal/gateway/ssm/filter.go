package ssm

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
)

// filter is one of a request that was checked.
type filter struct {
	key, option string
	values      []string
}

// The options of filters.
const (
	equals     = "Equals"
	beginsWith = "BeginsWith"
	contains   = "Contains"
	recursive  = "Recursive"
	oneLevel   = "OneLevel"
)

// filters checks the filters of a request against the keys that its operation has; a key that ends in a colon stands for all that
// begin with it.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html
func (a *api) filters(given []types.ParameterStringFilter, keys []string) ([]filter, error) {
	out := make([]filter, 0, len(given))
	for i := range given {
		f := filter{key: deref(given[i].Key), option: deref(given[i].Option), values: given[i].Values}
		if !slices.ContainsFunc(keys, func(k string) bool { return k == f.key || strings.HasSuffix(k, ":") && strings.HasPrefix(f.key, k) }) {
			return nil, &types.InvalidFilterKey{}
		}
		if f.option == "" {
			if f.option = equals; f.key == "Path" {
				f.option = oneLevel
			}
		}
		if !slices.Contains(optionsOf(f.key), f.option) {
			return nil, &types.InvalidFilterOption{Message: ptr.To("The following filter option is not valid: " + f.option +
				". Valid options include: [" + strings.Join(optionsOf(f.key), ", ") + "]")}
		}
		if len(f.values) == 0 && !strings.HasPrefix(f.key, "tag:") {
			return nil, &types.InvalidFilterValue{Message: ptr.To("The filter " + f.key + " has no value.")}
		}
		if f.key == "Path" && slices.ContainsFunc(f.values, func(v string) bool { return !strings.HasPrefix(v, "/") }) {
			return nil, &types.InvalidFilterValue{Message: ptr.To("A path begins with a forward slash.")}
		}
		out = append(out, f)
	}
	return out, nil
}

func optionsOf(key string) []string {
	switch {
	case key == "Name":
		return []string{equals, beginsWith, contains}
	case key == "Path":
		return []string{recursive, oneLevel}
	case key == "Label", strings.HasPrefix(key, "tag:"), key == "Tier":
		return []string{equals}
	}
	return []string{equals, beginsWith}
}

// matches tells whether a parameter is one that every filter lets through. Of a filter's values one is enough.
func (a *api) matches(ctx context.Context, filters []filter, p *v1alpha1.Parameter) bool {
	for i := range filters {
		if !a.holds(ctx, &filters[i], p) {
			return false
		}
	}
	return true
}

func (a *api) holds(ctx context.Context, f *filter, p *v1alpha1.Parameter) bool {
	var has string
	wanted := f.values
	switch key, isTag := strings.CutPrefix(f.key, "tag:"); {
	case isTag:
		return slices.ContainsFunc(p.Spec.Tags, func(t v1alpha1.Tag) bool {
			return t.Key == key && (len(wanted) == 0 || slices.Contains(wanted, t.Value))
		})
	case f.key == "Path":
		return slices.ContainsFunc(wanted, func(v string) bool {
			return path(strings.TrimSuffix(v, "/")).under(p.AWSName(), f.option == recursive)
		})
	case f.key == "Label":
		return slices.ContainsFunc(p.Status.Versions, func(v v1alpha1.ParameterVersion) bool {
			return slices.ContainsFunc(v.Labels, func(l string) bool { return slices.Contains(wanted, l) })
		})
	case f.key == "Name":
		has = p.CanonicalName() // x and /x are one
		return slices.ContainsFunc(wanted, func(v string) bool { return f.compare(has, arn.CanonicalParameter(v)) })
	case f.key == "Type":
		has = string(p.Spec.Type)
	case f.key == "Tier":
		has = string(p.Status.Tier)
	case f.key == "DataType":
		has = dataType
	case f.key == "KeyId":
		has = deref(a.keyOf(ctx, p))
	}
	return slices.ContainsFunc(wanted, func(v string) bool { return f.compare(has, v) })
}

func (f *filter) compare(has, wanted string) bool {
	switch f.option {
	case beginsWith:
		return strings.HasPrefix(has, wanted)
	case contains:
		return strings.Contains(has, wanted)
	}
	return has == wanted
}
