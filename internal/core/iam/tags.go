package iam

import "strings"

// TagValues are the values of the condition key of a tag, such as aws:ResourceTag/Team, by the part of it that names the tag, in lower case. Keys of tags have a case
// and names of condition keys have none, so there is one for each tag whose key differs in case alone: which of them a policy means, nothing tells.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html
func TagValues[T any](tags []T, name string, of func(*T) (key, value string)) (values []string, found bool) {
	for i := range tags {
		key, value := of(&tags[i])
		if strings.ToLower(key) == name { // as StringEqualsIgnoreCase compares aws:TagKeys: who may not put on what folds to a name puts on nothing that answers to it
			values = append(values, value)
		}
	}
	return values, len(values) > 0
}

// isTag tells whether a condition key, in lower case, is that of one tag. AWS has one value for it.
func isTag(key string) bool {
	_, name, ok := strings.Cut(key, ":")
	kind, _, named := strings.Cut(name, "/")
	return ok && named && (kind == "resourcetag" || kind == "requesttag" || kind == "principaltag")
}
