package passes

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/kms"
)

// TellStrangeKeys says by a condition which condition keys of an object's policies look like AWS KMS's and are not. The policies are in force all the same, as in AWS.
func TellStrangeKeys(of *[]metav1.Condition, generation int64, policies ...*iam.Policy) {
	var keys []string
	for _, p := range policies {
		if p != nil {
			keys = append(keys, p.StrangeKeys("kms", kms.HasConditionKey)...)
		}
	}
	if len(keys) == 0 {
		meta.RemoveStatusCondition(of, v1alpha1.ConditionUnknownConditionKey)
		return
	}
	slices.Sort(keys)
	conditions.Set(of, generation, v1alpha1.ConditionUnknownConditionKey, metav1.ConditionTrue, v1alpha1.ReasonUnknownConditionKey, strangeMessage(slices.Compact(keys)))
}

// strangeMessage names the first few, and of long ones the beginning.
func strangeMessage(keys []string) string {
	const most, longest = 3, 100
	more := ""
	if len(keys) > most {
		more = fmt.Sprintf(" and %d more", len(keys)-most)
		keys = keys[:most]
	}
	named := make([]string, 0, len(keys))
	for _, key := range keys {
		if len(key) > longest {
			key = strings.ToValidUTF8(key[:longest], "") + "..."
		}
		named = append(named, key)
	}
	return "AWS KMS has no such condition key: " + strings.Join(named, ", ") + more + ". No request has it, so a Deny with it may do nothing, and an Allow let nobody in: correct its name"
}
