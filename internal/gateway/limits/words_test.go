package limits

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// said is what a request is told, empty for nothing.
func said(t testing.TB, service, name string, input any) string {
	t.Helper()
	if err := operation(t, service, name).Check(input).Err(); err != nil {
		return err.Error()
	}
	return ""
}

func TestLengthsAreCountedInUTF16UnitsAsJavaCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		key  string
		fits bool
	}{
		"128 letters":                               {strings.Repeat("a", 128), true},
		"129 letters":                               {strings.Repeat("a", 129), false},
		"128 letters of two bytes":                  {strings.Repeat("é", 128), true},
		"129 letters of two bytes":                  {strings.Repeat("é", 129), false},
		"128 of three bytes":                        {strings.Repeat("中", 128), true},
		"129 of three bytes":                        {strings.Repeat("中", 129), false},
		"64 beyond U+FFFF, of two units each":       {strings.Repeat("😀", 64), true},
		"64 of them and a letter":                   {strings.Repeat("😀", 64) + "a", false},
		"65 of them":                                {strings.Repeat("😀", 65), false},
		"128 combining marks, which nobody counts":  {strings.Repeat("\u0301", 128), true},
		"127 NULs and a letter":                     {strings.Repeat("\x00", 127) + "a", true},
		"a letter of four bytes, longer in bytes":   {strings.Repeat("a", 126) + "😀", true},
		"the same with one more, shorter than 129B": {strings.Repeat("a", 127) + "😀", false},
	} {
		got := said(t, "secretsmanager", "TagResource", &secretsmanager.TagResourceInput{
			SecretId: aws.String("s"), Tags: []smtypes.Tag{{Key: &tt.key, Value: aws.String("")}},
		})
		want := "1 validation error detected: Value '" + tt.key + "' at 'tags.1.member.key' failed to satisfy constraint: Member must have length less than or equal to 128"
		if tt.fits {
			want = ""
		}
		if got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// synthetic is an operation of one member, of a shape that no AWS service here has.
func synthetic(member *Member, protocol string) *Operation {
	return &Operation{
		Service: &Service{Header: table.Header{Protocol: protocol}}, Name: "Try",
		Input: &Shape{Name: "TryInput", Type: table.Structure, Members: []*Member{member}},
	}
}

func bounded(typ string, least, most int64) *Shape {
	return &Shape{Name: "Bounded", Type: typ, Min: &least, Max: &most}
}

func TestMapsAndListsAreToldOfAsAWhole(t *testing.T) {
	word := bounded(table.String, 1, 3)
	word.Pattern, word.expressions = "[a-z]+", []*expression{newExpression("[a-z]+")}
	const all = "[Member must have length less than or equal to 3, Member must have length greater than or equal to 1, " +
		"Member must satisfy regular expression pattern: [a-z]+"
	notes := func(sensitive bool) *Member {
		s := bounded(table.Map, 1, 2)
		s.Key, s.Value = &Member{Shape: word}, &Member{Shape: word, Sensitive: sensitive}
		return &Member{Name: "Notes", Shape: s}
	}
	words := func(required bool) *Member {
		s := bounded(table.List, 0, 2)
		s.Element = &Member{Shape: word}
		return &Member{Name: "Words", Shape: s, Required: required}
	}
	type mapped struct{ Notes map[string]string }
	type listed struct{ Words []string }
	type pointed struct{ Words []*string }
	for name, tt := range map[string]struct {
		operation *Operation
		input     any
		want      string
	}{
		"all is well":       {synthetic(notes(false), "json"), &mapped{map[string]string{"a": "b"}}, ""},
		"none of a map":     {synthetic(notes(false), "json"), &mapped{map[string]string{}}, "1 validation error detected: Value '{}' at 'notes' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		"too many of a map": {synthetic(notes(false), "json"), &mapped{map[string]string{"a": "b", "b": "b", "c": "b"}}, "1 validation error detected: Value '{a=b, b=b, c=b}' at 'notes' failed to satisfy constraint: Member must have length less than or equal to 2"},
		"a key":             {synthetic(notes(false), "json"), &mapped{map[string]string{"long": "b"}}, "1 validation error detected: Value '{long=b}' at 'notes' failed to satisfy constraint: Map keys must satisfy constraint: " + all + "]"},
		"a value":           {synthetic(notes(false), "json"), &mapped{map[string]string{"a": "B"}}, "1 validation error detected: Value '{a=B}' at 'notes' failed to satisfy constraint: Map value must satisfy constraint: " + all + "]"},
		"a key and a value": {synthetic(notes(false), "json"), &mapped{map[string]string{"": ""}}, "2 validation errors detected: Value '{=}' at 'notes' failed to satisfy constraint: Map keys must satisfy constraint: " + all +
			"]; Value '{=}' at 'notes' failed to satisfy constraint: Map value must satisfy constraint: " + all + "]"},
		"a value that is secret":       {synthetic(notes(true), "json"), &mapped{map[string]string{"a": "B"}}, "1 validation error detected: Value at 'notes' failed to satisfy constraint: Map value must satisfy constraint: " + all + "]"},
		"an entry":                     {synthetic(words(false), "json"), &listed{[]string{"a", "long"}}, "1 validation error detected: Value '[a, long]' at 'words' failed to satisfy constraint: Member must satisfy constraint: " + all + "]"},
		"an entry, of a query":         {synthetic(words(false), "query"), &listed{[]string{"A"}}, "1 validation error detected: Value '[A]' at 'words' failed to satisfy constraint: Member must satisfy constraint: " + all + ", Member must not be null]"},
		"two entries, told once":       {synthetic(words(false), "json"), &listed{[]string{"A", "B"}}, "1 validation error detected: Value '[A, B]' at 'words' failed to satisfy constraint: Member must satisfy constraint: " + all + "]"},
		"an entry that is null":        {synthetic(words(false), "json"), &pointed{[]*string{nil, aws.String("a")}}, "1 validation error detected: Value '[null, a]' at 'words' failed to satisfy constraint: Member must satisfy constraint: " + all + "]"},
		"an empty list that may be":    {synthetic(words(true), "json"), &listed{[]string{}}, ""},
		"no list where there is to be": {synthetic(words(true), "json"), &listed{}, "1 validation error detected: Value null at 'words' failed to satisfy constraint: Member must not be null"},
	} {
		got := ""
		if err := tt.operation.Check(tt.input).Err(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
	}
}

func TestAMapOfStructuresNamesTheKeyInThePath(t *testing.T) {
	inner := &Shape{Name: "Inner", Type: table.Structure, Members: []*Member{{Name: "Size", Shape: bounded(table.Integer, 1, 9), Required: true}}}
	s := &Shape{Name: "Sizes", Type: table.Map, Key: &Member{Shape: &Shape{Type: table.String}}, Value: &Member{Shape: inner}}
	type size struct{ Size *int32 }
	type input struct{ Sizes map[string]size }
	got := synthetic(&Member{Name: "Sizes", Shape: s}, "json").Check(&input{map[string]size{"b": {}, "a": {aws.Int32(10)}, "c": {aws.Int32(9)}}})
	want := []Violation{
		{Path: "sizes.a.member.size", Value: "10", Constraint: "Member must have value less than or equal to 9"},
		{Path: "sizes.b.member.size", Null: true, Constraint: "Member must not be null"},
	}
	if !reflect.DeepEqual([]Violation(got), want) {
		t.Errorf("%+v", got)
	}
}

func TestAUnionIsCheckedInTheMemberThatIsSet(t *testing.T) {
	search := func(f acmtypes.CertificateFilterStatement) string {
		return said(t, "acm", "SearchCertificates", &acm.SearchCertificatesInput{FilterStatement: f})
	}
	status := func(value string) acmtypes.CertificateFilterStatement {
		return &acmtypes.CertificateFilterStatementMemberFilter{Value: &acmtypes.CertificateFilterMemberAcmCertificateMetadataFilter{
			Value: &acmtypes.AcmCertificateMetadataFilterMemberStatus{Value: acmtypes.CertificateStatus(value)},
		}}
	}
	if got := search(status("ISSUED")); got != "" {
		t.Error(got)
	}
	got := search(status("NONE"))
	if !strings.HasPrefix(got, "1 validation error detected: Value 'NONE' at 'filterStatement.filter.acmCertificateMetadataFilter.status' failed to satisfy constraint: Member must satisfy enum value set: [") {
		t.Error(got)
	}
}

func TestAnErrorIsBoundedWhateverTheRequestIs(t *testing.T) {
	var tags []iamtypes.Tag
	for i := range 5000 {
		tags = append(tags, iamtypes.Tag{Key: aws.String(fmt.Sprint(i) + strings.Repeat("x", 1000)), Value: aws.String(strings.Repeat("é", 1000))})
	}
	found := operation(t, "iam", "TagUser").Check(&iam.TagUserInput{UserName: aws.String("u"), Tags: tags})
	if len(found) != MaximumViolations {
		t.Errorf("%d violations", len(found))
	}
	if n := len(found.Error()); n > MaximumViolations*(MaximumShown+300) {
		t.Errorf("%d bytes", n)
	}
	for _, v := range found {
		if len(v.Value) > MaximumShown || !utf8.ValidString(v.Value) {
			t.Errorf("%d bytes are shown of a value: %q", len(v.Value), v.Value)
		}
	}
}

// TestAValueIsCutBetweenCharactersAndNeverLonger holds for any text.
func TestAValueIsCutBetweenCharactersAndNeverLonger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := strings.Repeat(rapid.StringN(1, 4, 16).Draw(t, "text"), rapid.IntRange(1, 600).Draw(t, "times")) + string(rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "bytes"))
		got := shown(value)
		whole, cut := strings.CutSuffix(got, "...")
		switch {
		case !utf8.ValidString(got):
			t.Fatalf("%q is no UTF-8", got)
		case len(value) <= MaximumShown:
			if got != strings.ToValidUTF8(value, "\uFFFD") {
				t.Fatalf("%q is shown as %q", value, got)
			}
		case len(got) > MaximumShown || !cut || utf8.ValidString(value) && !strings.HasPrefix(value, whole):
			t.Fatalf("%d bytes: %q", len(got), got)
		}
	})
}

func TestWhatDoesNotFitTheTableIsSaidAtTheStartOfTheProgram(t *testing.T) {
	encrypt := operation(t, "kms", "Encrypt")
	type lacking struct{ KeyId *string }
	type wrong struct{ KeyId *int32 }
	for name, tt := range map[string]struct {
		input any
		want  string
	}{
		"its own input":              {&kms.EncryptInput{}, ""},
		"another operation's":        {&kms.DecryptInput{}, "has no field for member Plaintext of EncryptRequest"},
		"a struct":                   {kms.EncryptInput{}, "is a struct, not a pointer to a struct"},
		"a nil pointer":              {(*kms.EncryptInput)(nil), "is a ptr, not a pointer to a struct"},
		"one that lacks a member":    {&lacking{}, "has no field for member Plaintext"},
		"one with a member as other": {&wrong{}, "KeyId of EncryptRequest: shape KeyIdType (string) is not a int32"},
	} {
		err := encrypt.Fits(tt.input)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Check took an input that Fits refuses")
		}
	}()
	encrypt.Check(&lacking{})
}

func TestAServiceIsFoundByItsNameAlone(t *testing.T) {
	if got := Services(); !slices.Contains(got, "acm-pca") || !slices.IsSorted(got) || len(got) < 9 {
		t.Errorf("%v", got)
	}
	for _, name := range []string{"", "KMS", "kms/", "../kms", "kms.json", "tables/kms", "trentservice"} {
		if _, err := For(name); !errors.Is(err, ErrUnknownService) {
			t.Errorf("%q: %v", name, err)
		}
	}
	s, err := For("kms")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "encrypt", "Encrypt ", "ENCRYPT"} {
		if _, ok := s.Operation(name); ok {
			t.Errorf("there is an operation %q", name)
		}
	}
}

func TestAnErrorOfAServiceIsWhatItIsOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		service, shape, code, message string
		status                        int
		fault                         bool
	}{
		{"kms", "NotFoundException", "NotFoundException", "message", 400, false},
		{"kms", "KMSInternalException", "KMSInternalException", "message", 500, true},
		{"secretsmanager", "ResourceNotFoundException", "ResourceNotFoundException", "Message", 400, false},
		{"iam", "NoSuchEntityException", "NoSuchEntity", "message", 404, false},
		{"sts", "ExpiredTokenException", "ExpiredTokenException", "message", 400, false},
	} {
		s, err := For(tt.service)
		if err != nil {
			t.Fatal(err)
		}
		e, ok := s.Error(tt.shape)
		if !ok || e.Code != tt.code || e.Status != tt.status || e.Fault != tt.fault || e.Message != tt.message {
			t.Errorf("%s %s: %+v", tt.service, tt.shape, e)
		}
	}
}
