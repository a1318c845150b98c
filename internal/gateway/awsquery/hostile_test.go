package awsquery_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/gateway/awsquery"
)

func TestWhatIsAtALimitIsTakenAndWhatIsOverItIsNot(t *testing.T) {
	depth := func(n int) string { return "a" + strings.Repeat(".a", n-1) + "=1" }
	many := func(n int) string { return strings.Repeat("&", n-1) }
	distinct := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "&p%d=", i)
		}
		return b.String()[1:]
	}
	for name, tt := range map[string]struct {
		form string
		ok   bool
	}{
		"a name of 8 parts":            {depth(8), true},
		"of 9":                         {depth(9), false},
		"of 100,000":                   {depth(100_000), false},
		"8,192 parameters":             {many(8192), true},
		"8,193":                        {many(8193), false},
		"8,192 of different names":     {distinct(8192), true},
		"a name of 512 bytes":          {strings.Repeat("n", 512) + "=1", true},
		"of 513":                       {strings.Repeat("n", 513) + "=1", false},
		"of 512 when it is read":       {strings.Repeat("%6e", 512) + "=1", true},
		"16,384 parts of names in all": {strings.ReplaceAll(distinct(8192), "=", ".a="), true},
		"24,576 parts":                 {strings.ReplaceAll(distinct(8192), "=", ".a.b="), false},
		"a value of half a megabyte":   {"Text=" + strings.Repeat("v", 1<<19), true},
	} {
		_, err := awsquery.Parse(tt.form)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, awsquery.ErrSerialization) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFormIsReadAsItIsEncoded(t *testing.T) {
	for form, want := range map[string]string{
		"Text=a+b": "a b", "Text=a%2Bb": "a+b", "Text=a%20b": "a b", "Text=%00": "\x00", "Text=%F0%9F%98%80": "😀", "Text=a=b": "a=b", "Text=a;b": "a;b",
		"Text=a%26b": "a&b", "Te%78t=x": "x", "Text=%e2%80%a8": "\u2028", "Text=\u00e9": "é", "Text=<a>\"": `<a>"`, "T%65xt=%54": "T",
	} {
		var in everything
		if err := awsquery.Decode([]byte(form), &in); err != nil || in.Text == nil || *in.Text != want {
			t.Errorf("%s: %v, %v", form, in.Text, err)
		}
	}
	for _, form := range []string{
		"Text=%", "Text=%4", "Text=%G0", "Text=%u0041", "Text=%c0%80", "Text=%ed%a0%80", "Text=\xff", "Te%xt=1", "Te\xffxt=1",
		"Text=a&Te%78t=b", "Text=a&text=b", "Text=a&%74ext=b",
	} {
		if err := awsquery.Decode([]byte(form), new(everything)); !errors.Is(err, awsquery.ErrSerialization) {
			t.Errorf("%q: %v", form, err)
		}
	}
}

func TestOnlyTheFirstLetterOfANameMayBeInEitherCase(t *testing.T) {
	var in everything
	if err := awsquery.Decode([]byte("TEXT=a&tExt=b&list.Member.1=c&Map.Entry.1.key=d&tEXT=e"), &in); err == nil && (in.Text != nil || in.Map != nil) {
		t.Errorf("%+v", in)
	}
	var user iam.CreateUserInput
	if err := awsquery.Decode([]byte("userName=a&Tags.member.1.key=k&Tags.member.1.Value=v"), &user); err != nil || *user.UserName != "a" || *user.Tags[0].Key != "k" {
		t.Errorf("%+v, %v", user, err)
	}
}

func TestListsAreNumberedFromOneWithoutGapsInAnyOrder(t *testing.T) {
	for form, want := range map[string][]string{
		"List.member.1=a": {"a"}, "List.member.3=c&List.member.1=a&List.member.2=b": {"a", "b", "c"}, "List=&List.member.1=a": {"a"}, "List.member.1=&List.member.2=": {"", ""},
		"List.member.10=j&" + numbered(9): {"1", "2", "3", "4", "5", "6", "7", "8", "9", "j"},
	} {
		var in everything
		if err := awsquery.Decode([]byte(form), &in); err != nil || !reflect.DeepEqual(in.List, want) {
			t.Errorf("%s: %v, %v", form, in.List, err)
		}
	}
	for _, form := range []string{
		"List.member.2=a", "List.member.1=a&List.member.1=b", "List.member.-1=a", "List.member.%2B1=a", "List.member.1e0=a", "List.member.0x1=a", "List.member.%EF%BC%91=a", "List.member.=a",
		"List.member=a", "List.member.1.x=a", "List.entry.1=a", "List.1.member=a", "List=a", "List.member.4294967297=a", "List.member. 1=a", "List.member.1=a&List.member.01=b",
		"List.member.1=a&List.member.1000000000=b",
	} {
		if err := awsquery.Decode([]byte(form), new(everything)); !errors.Is(err, awsquery.ErrSerialization) {
			t.Errorf("%s: %v", form, err)
		}
	}
}

func numbered(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf("List.member.%d=%d", i+1, i+1))
	}
	return strings.Join(parts, "&")
}

func TestMapsHaveAKeyAndAValueInEachEntry(t *testing.T) {
	for _, form := range []string{
		"Map.entry.1.value=a", "Map.entry.1=a", "Map.entry.1.key=a&Map.entry.1.value=b&Map.entry.1.more=c", "Map.entry.1.key.x=a&Map.entry.1.value=b", "Map=a",
		"Map.entry.2.key=a&Map.entry.2.value=b", "Map.entry.1.key=a&Map.entry.1.value.x=b", "Map.1.key=a&Map.1.value=b", "Map.entry.1=x&Map.entry.1.key=a&Map.entry.1.value=b",
	} {
		if err := awsquery.Decode([]byte(form), new(everything)); !errors.Is(err, awsquery.ErrSerialization) {
			t.Errorf("%s: %v", form, err)
		}
	}
	var in everything
	if err := awsquery.Decode([]byte("Map.entry.1.key=&Map.entry.1.value=&Map.entry.2.key=a&Map.entry.2.value="), &in); err != nil || !reflect.DeepEqual(in.Map, map[string]string{"": "", "a": ""}) {
		t.Errorf("%v, %v", in.Map, err)
	}
}

func TestValuesAreOfTheirType(t *testing.T) {
	for form, ok := range map[string]bool{
		"Flag=true": true, "Flag=false": true, "Flag=True": false, "Flag=1": false, "Flag=": false, "Flag=true+": false,
		"Number=9223372036854775807": true, "Number=-9223372036854775808": true, "Number=-9223372036854775809": false, "Number=": false, "Number=1.0": false, "Number=1e3": false,
		"Number=0x10": false, "Number=1_0": false, "Number=+1": false, "Number=1+": false,
		"Ratio=-1.5e3": true, "Ratio=": false, "Ratio=1,5": false, "Ratio=1e999": false,
		"Blob=": true, "Blob=QQ%3D%3D": true, "Blob=QQ": false, "Blob=-_-_": false, "Blob=QUJD%20": false,
		"When=2026-01-02T03:04:05.678Z": true, "When=2026-01-02T03:04:05%2B01:00": true, "When=2026-01-02": false, "When=": false, "When=2026-02-30T00:00:00Z": false,
		"When=12026-01-02T03:04:05Z": false, "When=2026-01-02T24:00:00Z": false, "When=1767323045": false, "When=2026-01-02T03:04:05": false,
		"Enum.arn=a": true, "Enum.arn.x=a": false, "Enum=": true, "Nested.member.1.member.1.member.1=a": false,
	} {
		if err := awsquery.Decode([]byte(form), new(everything)); (err == nil) != ok || err != nil && !errors.Is(err, awsquery.ErrSerialization) {
			t.Errorf("%s: %v", form, err)
		}
	}
	var in everything
	if err := awsquery.Decode([]byte("When=2026-01-02T03:04:05%2B01:00"), &in); err != nil || in.When.Location() != time.UTC || in.When.Hour() != 2 {
		t.Errorf("a time of another zone: %v, %v", in.When, err)
	}
}

// TestAFormOfAnyValuesIsReadAsThey are, however it is escaped and in whatever order its parameters are.
func TestAFormOfAnyValuesIsReadAsTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		want := sts.AssumeRoleInput{RoleArn: aws.String(text.Draw(t, "role")), TransitiveTagKeys: rapid.SliceOfN(text, 1, 12).Draw(t, "keys")}
		parts := []string{"RoleArn=" + url.QueryEscape(*want.RoleArn)}
		for i, key := range want.TransitiveTagKeys {
			parts = append(parts, fmt.Sprintf("TransitiveTagKeys.member.%d=%s", i+1, url.QueryEscape(key)))
		}
		for i, key := range rapid.SliceOfN(text, 0, 12).Draw(t, "tags") {
			want.Tags = append(want.Tags, types.Tag{Key: &key})
			parts = append(parts, fmt.Sprintf("Tags.member.%d.Key=%s", i+1, strings.ReplaceAll(url.QueryEscape(key), "+", "%20")))
		}
		form := strings.Join(rapid.Permutation(parts).Draw(t, "order"), "&")
		var got sts.AssumeRoleInput
		if err := awsquery.Decode([]byte(form), &got); err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v", form, got)
		}
	})
}

// TestTextComesOutOfTheXMLAsItWentIn, but for what XML cannot have.
func TestTextComesOutOfTheXMLAsItWentIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[<>&"'\r\n\t\]\x00-\x1f a]{0,40}`), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		out := awsquery.Append(nil, "GetUser", "GetUserResult", namespace, &iam.GetUserOutput{User: &iamtypes.User{UserName: &text}}, "id")
		var read struct {
			Result struct {
				User struct{ UserName string }
			} `xml:"GetUserResult"`
			Metadata struct {
				RequestId string
			} `xml:"ResponseMetadata"`
		}
		if err := xml.Unmarshal(out, &read); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		want := strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
				return utf8.RuneError
			}
			return r
		}, text)
		if read.Result.User.UserName != want || read.Metadata.RequestId != "id" {
			t.Fatalf("%q came out as %q of %s", text, read.Result.User.UserName, out)
		}
	})
}

func TestAnErrorsTextCannotEndItsElement(t *testing.T) {
	message := "</Message><Code>Other</Code>]]>\x00&amp;"
	out := awsquery.AppendError(nil, `a"b`, "C<d", message, true, "<id>")
	var read struct {
		Error struct{ Type, Code, Message string }
		ID    string `xml:"RequestId"`
	}
	if err := xml.Unmarshal(out, &read); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	if read.Error.Type != "Receiver" || read.Error.Code != "C<d" || read.Error.Message != strings.ReplaceAll(message, "\x00", "\uFFFD") || read.ID != "<id>" {
		t.Errorf("%+v of %s", read, out)
	}
}
