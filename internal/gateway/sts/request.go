package sts

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
)

// The durations of sessions, in seconds.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_manage-assume.html
const (
	minimumDuration        = 900
	defaultRoleDuration    = 3600
	maximumChained         = 3600
	defaultUserDuration    = 43200
	maximumUserDuration    = 129600
	defaultMaximumDuration = 3600
)

// roleDuration is how long a session of a role is to be. A chained one is asked for by a session of another role.
func roleDuration(role *v1alpha1.IAMRole, asked *int32, chained bool) (time.Duration, error) {
	seconds := int32(defaultRoleDuration)
	if asked != nil {
		seconds = *asked
	}
	longest := max(role.Spec.MaxSessionDuration, defaultMaximumDuration)
	switch {
	case seconds < minimumDuration:
		return 0, invalid("The requested DurationSeconds is less than the 900 seconds that a session has at least.")
	case chained && seconds > maximumChained:
		return 0, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	case seconds > longest:
		return 0, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return time.Duration(seconds) * time.Second, nil
}

// userDuration is how long a session of a user is to be.
func userDuration(asked *int32) (time.Duration, error) {
	seconds := int32(defaultUserDuration)
	if asked != nil {
		seconds = *asked
	}
	if seconds < minimumDuration || seconds > maximumUserDuration {
		return 0, invalid("The requested DurationSeconds is to be from 900 to 129600 seconds.")
	}
	return time.Duration(seconds) * time.Second, nil
}

// sessionTags puts a session's tags together: those that the caller's session hands on, and those asked for.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
func sessionTags(inherited map[string]string, asked []types.Tag, transitive []string) (tags map[string]string, hand []string, err error) {
	tags = make(map[string]string, len(inherited)+len(asked))
	folded := make(map[string]bool, len(inherited)+len(asked))
	for key, value := range inherited {
		tags[key], folded[strings.ToLower(key)] = value, true
		hand = append(hand, key)
	}
	own := make(map[string]bool, len(asked))
	for _, tag := range asked {
		key := deref(tag.Key)
		fold := strings.ToLower(key)
		switch {
		case strings.HasPrefix(fold, "aws:"):
			return nil, nil, invalid("'aws:' prefixed tag key names are not allowed for external use.")
		case own[fold]:
			return nil, nil, invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case folded[fold]:
			return nil, nil, invalid("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
		tags[key], own[fold] = deref(tag.Value), true
	}
	for _, key := range transitive {
		fold := strings.ToLower(key)
		if !own[fold] {
			return nil, nil, invalid("The specified transitive tag key must be included in the requested tags.")
		}
		if !slices.Contains(hand, key) {
			hand = append(hand, key)
		}
	}
	slices.Sort(hand)
	return tags, hand, nil
}

// sourceIdentity of a session: the caller's own goes on and cannot be changed.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html
func sourceIdentity(callers, asked string) (string, error) {
	switch {
	case strings.HasPrefix(strings.ToLower(asked), "aws:"):
		return "", invalid("A source identity cannot begin with aws:.")
	case callers == "":
		return asked, nil
	case asked != "" && asked != callers:
		return "", denied("The source identity of the calling session cannot be changed.")
	}
	return callers, nil
}

func policyARNs(list []types.PolicyDescriptorType) []string {
	var out []string
	for i := range list {
		out = append(out, deref(list[i].Arn))
	}
	return out
}

// keys are the condition keys of a request for a session.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
func (k keys) set(key, value string) {
	if value != "" {
		k[key] = []string{value}
	}
}

type keys map[string][]string

// Values implements iam.Context.
func (k keys) Values(key string) ([]string, bool) { return iam.Map(k).Values(key) }

// role adds the tags of the role that is asked for.
func (k keys) role(role *v1alpha1.IAMRole) {
	if role == nil {
		return
	}
	for _, tag := range role.Spec.Tags {
		for _, prefix := range []string{"aws:resourcetag/", "iam:resourcetag/"} {
			of := prefix + strings.ToLower(tag.Key)
			k[of] = append(k[of], tag.Value) // a manifest may have two whose keys differ in case alone
		}
	}
}
