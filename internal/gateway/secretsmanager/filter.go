package secretsmanager

import (
	"slices"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// matches tells whether a secret is one that every filter lets through. Of a filter's values one is enough; one that begins with
// ! lets through what the rest of it does not match.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Filter.html
//
// primary is the primary region of a secret that is replicated or a replica, empty for any other.
func matches(filters []types.Filter, s *v1alpha1.Secret, primary string) bool {
	for i := range filters {
		f := &filters[i]
		if !slices.ContainsFunc(f.Values, func(value string) bool {
			wanted, negated := strings.CutPrefix(value, "!")
			return holds(f.Key, wanted, s, primary) != negated
		}) {
			return false
		}
	}
	return true
}

// holds is one value of one filter. Names and tags match by their beginning and case; texts by the words in them.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_search-secret.html
func holds(key types.FilterNameStringType, wanted string, s *v1alpha1.Secret, primary string) bool {
	tag := func(matches func(*v1alpha1.Tag) bool) bool {
		for i := range s.Spec.Tags {
			if matches(&s.Spec.Tags[i]) {
				return true
			}
		}
		return false
	}
	switch key {
	case types.FilterNameStringTypeName:
		return strings.HasPrefix(s.AWSName(), wanted)
	case types.FilterNameStringTypePrimaryRegion:
		return primary != "" && strings.HasPrefix(primary, wanted)
	case types.FilterNameStringTypeTagKey:
		return tag(func(t *v1alpha1.Tag) bool { return strings.HasPrefix(t.Key, wanted) })
	case types.FilterNameStringTypeTagValue:
		return tag(func(t *v1alpha1.Tag) bool { return strings.HasPrefix(t.Value, wanted) })
	case types.FilterNameStringTypeDescription:
		return hasWords(words(s.Spec.Description), words(wanted), true)
	case types.FilterNameStringTypeAll:
		texts := slices.Concat(words(s.AWSName()), words(s.Spec.Description))
		for i := range s.Spec.Tags {
			texts = slices.Concat(texts, words(s.Spec.Tags[i].Key), words(s.Spec.Tags[i].Value))
		}
		return hasWords(texts, words(wanted), false)
	}
	return false // no secret is another service's
}

// hasWords tells whether a text has words that begin with all of the wanted ones, or with one of them. No words match nothing.
func hasWords(text, wanted []string, all bool) bool {
	for _, w := range wanted {
		found := slices.ContainsFunc(text, func(word string) bool { return strings.HasPrefix(word, w) })
		if found != all {
			return found
		}
	}
	return all && len(wanted) > 0
}

// words splits a text where letters, digits and all else change, and where a capital follows a small letter, and makes it lower
// case.
func words(text string) []string {
	var out []string
	start, before := -1, other
	end := func(at int) {
		if start >= 0 {
			out = append(out, strings.ToLower(text[start:at]))
		}
		start = -1
	}
	for i, r := range text {
		now := kindOf(r)
		if now != before && (before != upper || now != lower) {
			end(i)
		}
		if start < 0 && now != other {
			start = i
		}
		before = now
	}
	end(len(text))
	return out
}

type letterKind uint8

const (
	other letterKind = iota
	upper
	lower
	digit
)

func kindOf(r rune) letterKind {
	switch {
	case unicode.IsUpper(r):
		return upper
	case unicode.IsLetter(r):
		return lower
	case unicode.IsDigit(r):
		return digit
	}
	return other
}
