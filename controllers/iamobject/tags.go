package iamobject

import (
	"errors"
	"fmt"
	"strings"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

var errAlike = errors.New("tag keys of users and roles differ by more than case, as in AWS IAM")

// Tags looks whether no two tags of a user or role differ in case alone, also of letters beyond ASCII, whose case the schema does not know. It fails with a fault of DuplicateTagKeys that names the first two.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules
func Tags(tags []v1alpha1.Tag) error {
	seen := make(map[string]string, len(tags))
	for i := range tags {
		key := tags[i].Key
		if other, is := seen[strings.ToLower(key)]; is {
			return fault.Stalled(v1alpha1.ReasonDuplicateTagKeys, fmt.Errorf("%w: spec.tags has %q and %q; until one is removed, an Allow that asks for one holds only if it holds for both, and a Deny if it holds for either",
				errAlike, other, key))
		}
		seen[strings.ToLower(key)] = key
	}
	return nil
}
