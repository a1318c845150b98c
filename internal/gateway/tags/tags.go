// Package tags is what AWS's services have in common of tags: what policies ask for, what can be a tag, and how tags are put on and taken
// off. Each service turns the errors into its own.
package tags

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
)

// Maximum is how many tags an object can have.
const Maximum = 50

var (
	// ErrReserved says that a key is AWS's own.
	ErrReserved = errors.New("tag keys that begin with aws: are AWS's own")
	// ErrDuplicate says that two keys are the same, or differ in case alone, and policies could not tell them apart.
	ErrDuplicate = errors.New("two tag keys are the same, or differ in case alone")
	// ErrTooMany says that there would be more than Maximum.
	ErrTooMany = errors.New("there can be at most 50 tags")
)

// Keys is the condition keys of tags in one request. It is an iam.Context.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_tags.html
type Keys struct {
	// Resource has the tags of the resource, Request those of the request.
	Resource, Request []v1alpha1.Tag
}

const (
	resourceTag = "aws:resourcetag/"
	requestTag  = "aws:requesttag/"
	tagKeys     = "aws:tagkeys"
)

// Values implements iam.Context.
func (k *Keys) Values(key string) ([]string, bool) {
	if name, ok := strings.CutPrefix(key, resourceTag); ok {
		return Values(k.Resource, name)
	}
	if name, ok := strings.CutPrefix(key, requestTag); ok {
		return Values(k.Request, name)
	}
	if key != tagKeys || k.Request == nil {
		return nil, false
	}
	out := make([]string, 0, len(k.Request))
	for i := range k.Request {
		out = append(out, k.Request[i].Key)
	}
	return out, true
}

// Values are what policies see of tags by the name of a condition key, in lower case: the value of each whose key differs in case alone.
func Values(tags []v1alpha1.Tag, name string) ([]string, bool) {
	return iam.TagValues(tags, name, func(t *v1alpha1.Tag) (key, value string) { return t.Key, t.Value })
}

// Check says whether tags of a request can be put on. It wraps ErrReserved or ErrDuplicate.
func Check(tags []v1alpha1.Tag) error {
	seen := make(map[string]bool, len(tags))
	for i := range tags {
		folded := strings.ToLower(tags[i].Key)
		switch {
		case strings.HasPrefix(folded, "aws:"):
			return ErrReserved
		case seen[folded]:
			return ErrDuplicate
		}
		seen[folded] = true
	}
	return nil
}

// Put puts tags on, over those of the same keys. It wraps ErrTooMany.
func Put(on, tags []v1alpha1.Tag) ([]v1alpha1.Tag, error) {
	out := slices.Clone(on)
	for _, tag := range tags {
		at := slices.IndexFunc(out, func(t v1alpha1.Tag) bool { return t.Key == tag.Key })
		if at < 0 {
			out = append(out, tag)
			continue
		}
		out[at] = tag
	}
	if len(out) > Maximum {
		return nil, ErrTooMany
	}
	return out, nil
}

// Taken is a tag to be taken off: whatever its value is, or only if that is Value.
type Taken struct {
	Key   string
	Value *string
}

// Take takes tags off. Keys that there are not are no error.
func Take(from []v1alpha1.Tag, off []Taken) []v1alpha1.Tag {
	out := slices.Clone(from)
	return slices.DeleteFunc(out, func(t v1alpha1.Tag) bool {
		return slices.ContainsFunc(off, func(o Taken) bool { return o.Key == t.Key && (o.Value == nil || *o.Value == t.Value) })
	})
}

// Sorted are tags in the order of their keys.
func Sorted(tags []v1alpha1.Tag) []v1alpha1.Tag {
	out := slices.Clone(tags)
	slices.SortFunc(out, func(a, b v1alpha1.Tag) int { return cmp.Compare(a.Key, b.Key) })
	return out
}
