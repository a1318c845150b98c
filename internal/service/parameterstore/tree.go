package parameterstore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/versions"
)

// maximumPattern is the length of a pattern in bytes, and maximumPatterns the number of those that a tree includes or excludes: the
// schema's limits, held here too.
const (
	maximumPattern  = 256
	maximumPatterns = 32
)

var (
	errPatternText  = errors.New("a pattern has 1 to 256 letters, digits and . _ - / *, and at most 8 wildcards")
	errPatternCount = errors.New("a tree has at most 32 patterns to include and 32 to exclude")
	patternText     = regexp.MustCompile(`^([a-zA-Z0-9_./-]*[*]{1,2}){0,8}[a-zA-Z0-9_./-]*$`)
)

// Under tells whether a parameter's name is below a path: on the next level, or on any. The path / and the empty one are all.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html
func Under(path, name string, recursive bool) bool {
	below, ok := Below(path, name)
	return ok && (recursive || !strings.Contains(below, "/"))
}

// Below is what comes after a path and a slash in a parameter's name. x and /x are one name.
func Below(path, name string) (rest string, ok bool) {
	name, path = arn.CanonicalParameter(name), strings.TrimSuffix(path, "/")
	if path == "" {
		return name, name != ""
	}
	if path, ok = strings.CutPrefix(path, "/"); !ok { // no path
		return "", false
	}
	if rest, ok = strings.CutPrefix(name, path); ok {
		rest, ok = strings.CutPrefix(rest, "/")
	}
	return rest, ok && rest != ""
}

// DataKey is the key of data that shows a parameter: what comes after a prefix, a path, in its name. Of a name that is not below the prefix it is
// all.
func DataKey(prefix string, format v1alpha1.ParameterKeyFormat, name string) string {
	rest, ok := Below(prefix, name)
	if !ok {
		rest = arn.CanonicalParameter(name)
	}
	if format == v1alpha1.KeyUpperSnake {
		return strings.Map(upperSnake, rest)
	}
	return strings.ReplaceAll(rest, "/", ".")
}

// DataKeys are all keys of data that a tree may show a parameter by, whatever its prefix and format are.
func DataKeys(name string) []string {
	paths := Paths(name)
	out := make([]string, 0, 2*len(paths))
	for _, prefix := range paths {
		out = append(out, DataKey(prefix, v1alpha1.KeyDotted, name), DataKey(prefix, v1alpha1.KeyUpperSnake, name))
	}
	return out
}

func upperSnake(r rune) rune {
	if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
		return '_'
	}
	return unicode.ToUpper(r)
}

// Paths are those that a parameter is below, from / to the path of its own level.
func Paths(name string) []string {
	out := []string{"/"}
	canonical := "/" + arn.CanonicalParameter(name)
	for i := 1; i < len(canonical); i++ {
		if canonical[i] == '/' {
			out = append(out, canonical[:i])
		}
	}
	return out
}

// Tree chooses the parameters of a ParameterTree.
type Tree struct {
	path      string
	recursive bool
	filter    v1alpha1.ParameterTreeFilter

	include, exclude []*NamePattern
}

// TreeOf reads what a ParameterTree asks for. It fails if a pattern is none, which the schema refuses.
func TreeOf(spec *v1alpha1.ParameterTreeSpec) (*Tree, error) {
	t := &Tree{path: spec.Path, recursive: spec.Recursive}
	if spec.Filter == nil {
		return t, nil
	}
	t.filter = *spec.Filter
	var err error
	if t.include, err = patterns(t.filter.Include); err != nil {
		return nil, err
	}
	t.exclude, err = patterns(t.filter.Exclude)
	return t, err
}

func patterns(texts []v1alpha1.ParameterNamePattern) ([]*NamePattern, error) {
	if len(texts) > maximumPatterns {
		return nil, errPatternCount
	}
	out := make([]*NamePattern, 0, len(texts))
	for _, text := range texts {
		compiled, err := CompilePattern(string(text))
		if err != nil {
			return nil, err
		}
		out = append(out, compiled)
	}
	return out, nil
}

func isPattern(text string) bool {
	return text != "" && len(text) <= maximumPattern && patternText.MatchString(text)
}

// reaches tells whether a parameter is below the path at a level that the tree has, and what of its name is behind the path. All that claim one name are, or none is.
func (t *Tree) reaches(p *v1alpha1.Parameter) (rest string, ok bool) {
	rest, ok = Below(t.path, p.AWSName())
	return rest, ok && (t.recursive || !strings.Contains(rest, "/"))
}

// Selects tells whether a tree has a parameter, by its name, type and tags. Its versions are not looked at.
func (t *Tree) Selects(p *v1alpha1.Parameter) bool {
	rest, ok := t.reaches(p)
	if !ok {
		return false
	}
	matches := func(r *NamePattern) bool { return r.MatchString(rest) }
	switch {
	case len(t.filter.Types) > 0 && !slices.Contains(t.filter.Types, p.Spec.Type):
		return false
	case len(t.include) > 0 && !slices.ContainsFunc(t.include, matches):
		return false
	case slices.ContainsFunc(t.exclude, matches):
		return false
	}
	return !slices.ContainsFunc(t.filter.Tags, func(f v1alpha1.ParameterTagFilter) bool { return !tagged(p, &f) })
}

func tagged(p *v1alpha1.Parameter, f *v1alpha1.ParameterTagFilter) bool {
	return slices.ContainsFunc(p.Spec.Tags, func(t v1alpha1.Tag) bool {
		return t.Key == f.Key && (len(f.Values) == 0 || slices.Contains(f.Values, t.Value))
	})
}

// Member is a parameter of a tree, and the version of it that the tree shows.
type Member struct {
	Parameter *v1alpha1.Parameter
	Version   versions.Version
}

// Members lists the parameters of a namespace and region that a tree has, in the order of their names, from the cache alone. Those without
// a value are told apart; a tree that shows a label has none of these. The parameters are the cache's own: read them only.
func (s *Service) Members(ctx context.Context, namespace, region string, t *Tree) (members []Member, valueless []*v1alpha1.Parameter, err error) {
	var list v1alpha1.ParameterList
	if err := s.Client.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, nil, fmt.Errorf("listing Parameters: %w", err)
	}
	for _, p := range s.eldest(list.Items, region, t) {
		if !t.Selects(p) || Expired(p, s.Now()) {
			continue
		}
		version, has, known := t.version(p)
		switch {
		case has:
			members = append(members, Member{p, version})
		case !known && t.filter.Label == "":
			valueless = append(valueless, p)
		}
	}
	return members, valueless, nil
}

// Living lists the Parameters of a namespace, in whatever region, that are not being deleted and have not expired, be there a value or not, from the
// cache alone. They are the cache's own: read them only.
func (s *Service) Living(ctx context.Context, namespace string) ([]*v1alpha1.Parameter, error) {
	var list v1alpha1.ParameterList
	if err := s.Client.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Parameters: %w", err)
	}
	now, out := s.Now(), make([]*v1alpha1.Parameter, 0, len(list.Items))
	for i := range list.Items {
		if p := &list.Items[i]; p.DeletionTimestamp.IsZero() && !Expired(p, now) {
			out = append(out, p)
		}
	}
	return out, nil
}

// version is the one that a tree shows of a parameter. known tells that the parameter has a value.
func (t *Tree) version(p *v1alpha1.Parameter) (v versions.Version, has, known bool) {
	index := IndexOf(p)
	if !IsOwn(p, p.Status.ARN) || len(index) == 0 {
		return v, false, false
	}
	if t.filter.Label != "" {
		v, has = index.ByStage(t.filter.Label)
		return v, has, true
	}
	v, has = Latest(index)
	return v, has, true
}

// eldest are the Parameters of a region that a tree reaches and that have their names, one for each, in the order of these. Those that are being deleted, and those that
// only claim the name of an older one, have none. What is elsewhere in a namespace of many thousands is not put in order with each pass over a tree of a few.
func (s *Service) eldest(all []v1alpha1.Parameter, region string, t *Tree) []*v1alpha1.Parameter {
	var here []*v1alpha1.Parameter
	for i := range all {
		if _, reached := t.reaches(&all[i]); reached && s.RegionOf(&all[i]) == region && all[i].DeletionTimestamp.IsZero() {
			here = append(here, &all[i])
		}
	}
	slices.SortFunc(here, func(a, b *v1alpha1.Parameter) int {
		if c := strings.Compare(a.CanonicalName(), b.CanonicalName()); c != 0 {
			return c
		}
		if claim.Before(a, b) {
			return -1
		}
		return 1
	})
	return slices.CompactFunc(here, func(a, b *v1alpha1.Parameter) bool { return a.CanonicalName() == b.CanonicalName() })
}
