package ssm

import (
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// conditionKeys is the condition keys of one request. Nothing is worked out that no policy asks for.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
type conditionKeys struct {
	// overwrite and policies of PutParameter, recursive of GetParametersByPath.
	overwrite, policies, recursive *bool
	// tags are those of the parameter; requestTags those of the request; tagKeys those that it takes away.
	tags        []v1alpha1.Tag
	requestTags []types.Tag
	tagKeys     []string
}

// Values implements iam.Context.
func (k *conditionKeys) Values(key string) ([]string, bool) {
	switch key {
	case "ssm:overwrite":
		return boolean(k.overwrite)
	case "ssm:policies":
		return boolean(k.policies)
	case "ssm:recursive":
		return boolean(k.recursive)
	case "aws:tagkeys":
		return k.keysOfTags()
	}
	if name, ok := strings.CutPrefix(key, "aws:requesttag/"); ok {
		return iam.TagValues(k.requestTags, name, func(t *types.Tag) (key, value string) { return deref(t.Key), deref(t.Value) })
	}
	for _, prefix := range []string{"aws:resourcetag/", "ssm:resourcetag/"} {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			return tags.Values(k.tags, name)
		}
	}
	return nil, false
}

func boolean(value *bool) ([]string, bool) {
	if value == nil {
		return nil, false
	}
	return []string{strconv.FormatBool(*value)}, true
}

func (k *conditionKeys) keysOfTags() ([]string, bool) {
	if k.requestTags == nil && k.tagKeys == nil {
		return nil, false
	}
	out := append([]string(nil), k.tagKeys...)
	for i := range k.requestTags {
		out = append(out, deref(k.requestTags[i].Key))
	}
	return out, true
}

// checkTags says whether tags are as AWS allows them.
func checkTags(tags []types.Tag) error {
	seen := make(map[string]bool, len(tags))
	for i := range tags {
		key := deref(tags[i].Key)
		folded := strings.ToLower(key) // policies ask for tags whatever their case
		switch {
		case strings.HasPrefix(folded, "aws:"):
			return parameterstore.Invalid("Tag keys can't begin with aws:.")
		case seen[folded]:
			return parameterstore.Invalid("Duplicate tag keys found. Tag keys must be unique.")
		}
		seen[folded] = true
	}
	if len(tags) > parameterstore.MaximumTags {
		return &types.TooManyTagsError{}
	}
	return nil
}

func tagsOf(tags []types.Tag) []v1alpha1.Tag {
	out := make([]v1alpha1.Tag, 0, len(tags))
	for i := range tags {
		out = append(out, v1alpha1.Tag{Key: deref(tags[i].Key), Value: deref(tags[i].Value)})
	}
	return out
}
