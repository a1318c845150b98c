package secretsmanager

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_search-secret.html: a text is cut where its kind of character
// changes, and where a capital follows a small letter.
func TestATextIsCutIntoWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                        nil,
		" -_/":                    nil,
		"database":                {"database"},
		"DatabaseSecret":          {"database", "secret"},
		"databaseSecret":          {"database", "secret"},
		"prod/db-1":               {"prod", "db", "1"},
		"db1":                     {"db", "1"},
		"2fa":                     {"2", "fa"},
		"HTTPServer":              {"httpserver"},
		"ABC":                     {"abc"},
		"aBcD":                    {"a", "bc", "d"},
		"My basic  description.":  {"my", "basic", "description"},
		"über-Größe":              {"über", "größe"},
		"日本語":                     {"日本語"},
		"trailing ":               {"trailing"},
		" leading":                {"leading"},
		"under_score+plus=at@dot": {"under", "score", "plus", "at", "dot"},
	} {
		if got := words(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTheWordsOfATextAreAllOfItsLettersAndDigitsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		want := strings.ToLower(strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsUpper(r) {
				return r
			}
			return -1
		}, text))
		all := words(text)
		if got := strings.Join(all, ""); got != want {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
		if slices.Contains(all, "") {
			t.Fatalf("%q has an empty word", text)
		}
	})
}

func secretOf(name, description string, tags ...string) *v1alpha1.Secret {
	s := &v1alpha1.Secret{Spec: v1alpha1.SecretSpec{Name: name, Description: description}}
	for i := 0; i < len(tags); i += 2 {
		s.Spec.Tags = append(s.Spec.Tags, v1alpha1.Tag{Key: tags[i], Value: tags[i+1]})
	}
	return s
}

func TestAFilterMatchesWhatAWSSaysOfItsKey(t *testing.T) {
	s := secretOf("prod/ShopDatabase", "Password of the shop", "Team", "bank", "env", "Prod")
	for name, tt := range map[string]struct {
		key   string
		value string
		want  bool
	}{
		"a name by its beginning":                   {"name", "prod/", true},
		"a name by all of it":                       {"name", "prod/ShopDatabase", true},
		"a name by its middle":                      {"name", "Shop", false},
		"a name in another case":                    {"name", "Prod/", false},
		"a name by more than it has":                {"name", "prod/ShopDatabase1", false},
		"a tag's key by its beginning":              {"tag-key", "Te", true},
		"a tag's key in another case":               {"tag-key", "te", false},
		"a tag's key by a value":                    {"tag-key", "bank", false},
		"a tag's value by its beginning":            {"tag-value", "Pr", true},
		"a tag's value in another case":             {"tag-value", "prod", false},
		"a description by a word's beginning":       {"description", "pass", true},
		"a description by words in another order":   {"description", "shop password", true},
		"a description by a word that is not in it": {"description", "password bank", false},
		"a description by a word's end":             {"description", "word", false},
		"a description by nothing but signs":        {"description", "---", false},
		"all by a part of the name":                 {"all", "database", true},
		"all by one of several words":               {"all", "nothing bank", true},
		"all by a tag's key":                        {"all", "TEAM", true},
		"all by what is nowhere":                    {"all", "nothing", false},
		"a primary region by its beginning":         {"primary-region", "us-", true},
		"a primary region in another case":          {"primary-region", "US-", false},
		"another primary region":                    {"primary-region", "eu-west-1", false},
		"a service that owns no secret":             {"owning-service", "rds", false},
	} {
		filter := func(value string) []types.Filter {
			return []types.Filter{{Key: types.FilterNameStringType(tt.key), Values: []string{value}}}
		}
		if got := matches(filter(tt.value), s, "us-east-1"); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
		if got := matches(filter("!"+tt.value), s, "us-east-1"); got == tt.want {
			t.Errorf("all but %s: %t", name, got)
		}
		if got := matches(append(filter(tt.value), filter("!"+tt.value)...), s, "us-east-1"); got {
			t.Errorf("%s and all but it: %t", name, got)
		}
	}
}

// AWS tells the primary region of secrets that are replicated alone, so the filter finds no other.
func TestASecretThatIsNotReplicatedHasNoPrimaryRegion(t *testing.T) {
	filter := []types.Filter{{Key: types.FilterNameStringTypePrimaryRegion, Values: []string{""}}}
	if matches(filter, secretOf("a", ""), "") || !matches(filter, secretOf("a", ""), "us-east-1") {
		t.Error("the filter primary-region finds a secret that is not replicated, or not one that is")
	}
}

// More filters let fewer secrets through, and more values of one let more through, in whatever order.
func TestFiltersAreJoinedByAndAndTheirValuesByOr(t *testing.T) {
	keys := []string{"name", "description", "tag-key", "tag-value", "all"}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"a", "ab", "b", "B", "!a", "!b", "a b", ""})
		s := secretOf(rapid.SampledFrom([]string{"a", "ab", "ba", "B"}).Draw(t, "name"), rapid.SampledFrom([]string{"", "a", "b a", "aB"}).Draw(t, "description"),
			"a", rapid.SampledFrom([]string{"a", "b"}).Draw(t, "tag"))
		var filters []types.Filter
		want := true
		for range rapid.IntRange(0, 4).Draw(t, "filters") {
			f := types.Filter{Key: types.FilterNameStringType(rapid.SampledFrom(keys).Draw(t, "key")), Values: rapid.SliceOfN(word, 1, 3).Draw(t, "values")}
			one := false
			for _, v := range f.Values {
				one = one || matches([]types.Filter{{Key: f.Key, Values: []string{v}}}, s, "")
			}
			want = want && one
			filters = append(filters, f)
		}
		if got := matches(filters, s, ""); got != want {
			t.Fatalf("%t, want %t", got, want)
		}
		slices.Reverse(filters)
		if got := matches(filters, s, ""); got != want {
			t.Fatal("the order of filters counts")
		}
	})
}

func TestATokenOfAnotherListIsAWSsInvalidNextTokenException(t *testing.T) {
	self := func(text *string) string { return *text }
	_, next, err := paged([]string{"a", "b"}, "secrets/name/false", self, self, nil, 1, false)
	if err != nil || next == nil {
		t.Fatal(next, err)
	}
	var invalid *types.InvalidNextTokenException
	for _, other := range []string{"secrets/name/true", "secrets//false", "values", ""} {
		if _, _, err := paged([]string{"a", "b"}, other, self, self, next, 1, false); !errors.As(err, &invalid) {
			t.Errorf("it is good for %q too: %v", other, err)
		}
	}
	if shown, _, err := paged([]string{"a", "b"}, "secrets/name/false", self, self, next, 1, false); err != nil || !slices.Equal(shown, []string{"b"}) {
		t.Errorf("the second page is %v, %v", shown, err)
	}
}

// Whatever comes and goes between two pages, what is there all the time is shown once.
func TestPagesShowEachEntryOnceHoweverLongTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct{ key, id string }
		stay := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-d]{1,3}`), 0, 30, rapid.ID).Draw(t, "entries")
		size, descending := rapid.IntRange(1, 7).Draw(t, "size"), rapid.Bool().Draw(t, "descending")
		seen := map[string]int{}
		var token *string
		for range 100 {
			var all []entry
			for _, id := range stay {
				all = append(all, entry{id[:1], id})
			}
			for _, id := range rapid.SliceOfN(rapid.StringMatching(`[a-d]x[a-z]{4}`), 0, 5).Draw(t, "others") {
				all = append(all, entry{id[:1], id})
			}
			shown, next, err := paged(all, "x", func(e *entry) string { return e.key }, func(e *entry) string { return e.id }, token, size, descending)
			if err != nil || len(shown) > size {
				t.Fatalf("a page has %d entries, %v", len(shown), err)
			}
			for _, e := range shown {
				seen[e.id]++
			}
			if token = next; token == nil {
				break
			}
		}
		for _, id := range stay {
			if seen[id] != 1 {
				t.Fatalf("%s was shown %d times", id, seen[id])
			}
		}
	})
}
