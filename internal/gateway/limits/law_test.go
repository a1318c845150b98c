package limits

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/gateway/awsjson"
	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// TestAStringFailsWhatItsLimitsSayAndNothingElse compares with limits that are worked out in the plain way: Java's length, and a whole
// match.
func TestAStringFailsWhatItsLimitsSayAndNothingElse(t *testing.T) {
	patterns := []string{"", "[a-z]*", "[^<]+", `\p{L}*`, "a|b"}
	rapid.Check(t, func(t *rapid.T) {
		s := &Shape{Type: table.String}
		least, most := rapid.Int64Range(0, 6).Draw(t, "least"), rapid.Int64Range(0, 12).Draw(t, "most")
		if rapid.Bool().Draw(t, "bounded below") {
			s.Min = &least
		}
		if rapid.Bool().Draw(t, "bounded above") {
			s.Max = &most
		}
		if p := rapid.SampledFrom(patterns).Draw(t, "pattern"); p != "" {
			s.Pattern, s.expressions = p, []*expression{newExpression(p)}
		}
		if rapid.Bool().Draw(t, "listed") {
			s.Enum = []string{"a", "ab", "😀"}
		}
		value := rapid.OneOf(rapid.StringN(0, 8, -1), rapid.StringMatching(`[a-c]{0,14}`), rapid.StringMatching(`[😀a]{0,7}`)).Draw(t, "value")
		var want []string
		if s.Enum != nil && !slices.Contains(s.Enum, value) {
			want = append(want, s.enumText())
		}
		if s.Pattern != "" && regexp.MustCompile(`^(?:`+s.Pattern+`)$`).FindString(value) != value || s.Pattern != "" && !regexp.MustCompile(`\A(?:`+s.Pattern+`)\z`).MatchString(value) {
			want = append(want, s.patternText())
		}
		length := int64(len(utf16.Encode([]rune(value))))
		if s.Min != nil && length < least {
			want = append(want, s.minimumText())
		}
		if s.Max != nil && length > most {
			want = append(want, s.maximumText())
		}
		if got := s.failed(scalar{text: value, size: int64(len(value))}); !slices.Equal(got, want) {
			t.Fatalf("%q of [%v, %v], %q, %q: %q, not %q", value, s.Min, s.Max, s.Pattern, s.Enum, got, want)
		}
	})
}

// TestATighterLimitRefusesNoLess: what a limit refuses, one that is tighter refuses too.
func TestATighterLimitRefusesNoLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "value")
		least, most := rapid.Int64Range(0, 20).Draw(t, "least"), rapid.Int64Range(0, 20).Draw(t, "most")
		more, less := least+1, most-1
		loose := &Shape{Type: table.String, Min: &least, Max: &most}
		tight := &Shape{Type: table.String, Min: &more, Max: &less}
		in := scalar{text: value, size: int64(len(value))}
		if len(tight.failed(in)) < len(loose.failed(in)) {
			t.Fatalf("%q fails %q, and %q of what is tighter", value, loose.failed(in), tight.failed(in))
		}
	})
}

// FuzzCheck: of whatever a request says, nothing panics, and what is told is bounded, in AWS's form and UTF-8.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"KeyId":"","EncryptionContext":{"":""},"GrantTokens":["",""],"Plaintext":""}`))
	f.Add([]byte(`{"Name":"","Tags":[{"Key":""},{"Value":"x"}],"UserName":"a b","Path":"x"}`))
	f.Add([]byte(`{"Filters":[{"Key":"x","Values":["` + strings.Repeat("é", 600) + `"]}],"MaxResults":0}`))
	operations := []struct {
		o   *Operation
		new func() any
	}{
		{operation(f, "kms", "Encrypt"), func() any { return new(kms.EncryptInput) }},
		{operation(f, "kms", "CreateKey"), func() any { return new(kms.CreateKeyInput) }},
		{operation(f, "secretsmanager", "CreateSecret"), func() any { return new(secretsmanager.CreateSecretInput) }},
		{operation(f, "secretsmanager", "ListSecrets"), func() any { return new(secretsmanager.ListSecretsInput) }},
		{operation(f, "iam", "CreateUser"), func() any { return new(iam.CreateUserInput) }},
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, op := range operations {
			in := op.new()
			if awsjson.Decode(body, in) != nil {
				continue
			}
			err := op.o.Check(in).Err()
			var violations Violations
			if err != nil && !errors.As(err, &violations) {
				t.Fatal(err)
			}
			text := violations.Error()
			switch {
			case len(violations) > MaximumViolations, !utf8.ValidString(text), len(text) > MaximumViolations*(MaximumShown+1024):
				t.Fatalf("%d violations of %d bytes", len(violations), len(text))
			case err != nil && !strings.Contains(text, " validation error"):
				t.Fatalf("%s", text)
			}
			for _, v := range violations {
				if v.Path == "" || v.Constraint == "" || (v.Null || v.Hidden) && v.Value != "" {
					t.Fatalf("%+v", v)
				}
				if v.Path == "secretString" && !v.Hidden && !v.Null {
					t.Fatalf("a secret is shown: %+v", v)
				}
			}
		}
	})
}
