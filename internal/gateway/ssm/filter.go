package ssm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/parameterstore"
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

// maximumFilters is how many filters a request has: each key once, and as many tags as a parameter has.
const maximumFilters = 60

// filters checks the filters of a request against the keys that its operation has; a key that ends in a colon stands for all that
// begin with it. Each key is there once.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html
func (a *api) filters(given []types.ParameterStringFilter, keys []string) ([]filter, error) {
	if len(given) > maximumFilters {
		return nil, parameterstore.Invalid(fmt.Sprintf("1 validation error detected: Value at 'parameterFilters' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", maximumFilters))
	}
	out := make([]filter, 0, len(given))
	for i := range given {
		f := filter{key: deref(given[i].Key), option: deref(given[i].Option), values: given[i].Values}
		if !slices.ContainsFunc(keys, func(k string) bool { return k == f.key || strings.HasSuffix(k, ":") && strings.HasPrefix(f.key, k) }) {
			return nil, &types.InvalidFilterKey{Message: ptr.To("The following filter key is not valid: " + f.key +
				". Valid filter keys include: [" + strings.Join(keys, ", ") + "]")}
		}
		if slices.ContainsFunc(out, func(other filter) bool { return other.key == f.key }) {
			return nil, &types.InvalidFilterKey{Message: ptr.To("The following filter is duplicated in the request: " + f.key +
				". A request can contain only one occurrence of a specific filter.")}
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
			return nil, &types.InvalidFilterValue{Message: ptr.To("The following filter values are missing : null for filter key " + f.key)}
		}
		if err := f.checkValues(); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// checkValues says whether a filter's values are such as its key can have.
func (f *filter) checkValues() error {
	if f.key == "Path" {
		return checkPaths(f.values)
	}
	valid := valuesOf(f.key)
	for _, v := range f.values {
		known := len(valid) == 0 || slices.Contains(valid, v) || f.option == beginsWith
		if !known {
			return &types.InvalidFilterOption{Message: ptr.To("The following filter value is not valid: " + v +
				". Valid values include: [" + strings.Join(valid, ", ") + "]")}
		}
	}
	return nil
}

// valuesOf are the values that a filter of a key can have, none if it can have any.
func valuesOf(key string) []string {
	switch key {
	case "Tier":
		return texts(types.ParameterTierStandard, types.ParameterTierAdvanced, types.ParameterTierIntelligentTiering)
	case "Type":
		return texts(types.ParameterTypeString, types.ParameterTypeStringList, types.ParameterTypeSecureString)
	}
	return nil
}

func texts[T ~string](values ...T) (out []string) {
	for _, v := range values {
		out = append(out, string(v))
	}
	return out
}

// checkPaths says whether texts are paths that a filter can have.
func checkPaths(paths []string) error {
	for _, p := range paths {
		if lower := strings.ToLower(p); strings.HasPrefix(lower, "/aws") || strings.HasPrefix(lower, "/ssm") {
			return parameterstore.Invalid("Filters for common parameters can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). " +
				"When using global parameters, please specify within a global namespace.")
		}
		trimmed := strings.TrimSuffix(p, "/")
		id, err := parameterstore.ParseID(trimmed)
		if !strings.HasPrefix(p, "/") || trimmed != "" && (err != nil || id.Selector != "") {
			return parameterstore.Invalid("The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\". " +
				"It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), " +
				"_ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol \"/\". " +
				"Valid example: /get/parameters2-/by1./path0_.")
		}
	}
	return nil
}

// optionsOf are the options that a filter of a key can have: of most keys Equals and BeginsWith.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html
func optionsOf(key string) []string {
	switch key {
	case "Name":
		return []string{equals, beginsWith, contains}
	case "Path":
		return []string{recursive, oneLevel}
	case "Label":
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
			return t.Key == key && (len(wanted) == 0 || slices.ContainsFunc(wanted, func(v string) bool { return f.compare(t.Value, v) }))
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
