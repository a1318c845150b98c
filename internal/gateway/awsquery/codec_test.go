package awsquery_test

import (
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/gateway/awsquery"
)

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

const assumeRole = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fapp&RoleSessionName=one" +
	"&DurationSeconds=900&PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FReadOnlyAccess" +
	"&Tags.member.2.Key=b&Tags.member.2.Value=&Tags.member.1.Key=a&Tags.member.1.Value=x+y&TransitiveTagKeys.member.1=a&Unheard=of"

func TestAFormBecomesTheSDKsInput(t *testing.T) {
	var in sts.AssumeRoleInput
	if err := awsquery.Decode([]byte(assumeRole), &in); err != nil {
		t.Fatal(err)
	}
	want := sts.AssumeRoleInput{
		RoleArn: ptr.To("arn:aws:iam::123456789012:role/app"), RoleSessionName: ptr.To("one"), DurationSeconds: ptr.To[int32](900),
		PolicyArns:        []types.PolicyDescriptorType{{Arn: ptr.To("arn:aws:iam::aws:policy/ReadOnlyAccess")}},
		Tags:              []types.Tag{{Key: ptr.To("a"), Value: ptr.To("x y")}, {Key: ptr.To("b"), Value: ptr.To("")}},
		TransitiveTagKeys: []string{"a"},
	}
	if !reflect.DeepEqual(in, want) {
		t.Errorf("got %+v", in)
	}
	form, err := awsquery.Parse(assumeRole)
	if err != nil || form.Action != "AssumeRole" || form.Version != "2011-06-15" {
		t.Errorf("form %q %q, %v", form.Action, form.Version, err)
	}
}

// everything has a member of each kind.
type everything struct {
	Text   *string
	Enum   types.PolicyDescriptorType
	Flag   bool
	Maybe  *bool
	Number *int64
	Ratio  *float64
	Blob   []byte
	When   *time.Time
	List   []string
	Nested [][]string
	Map    map[string]string
	Deep   map[string][]types.Tag
}

func TestEveryKindOfMemberIsDecoded(t *testing.T) {
	for form, want := range map[string]everything{
		"":                                      {},
		"Text=":                                 {Text: ptr.To("")},
		"text=a%26b":                            {Text: ptr.To("a&b")},
		"Flag=true&Maybe=false":                 {Flag: true, Maybe: ptr.To(false)},
		"Number=-9":                             {Number: ptr.To[int64](-9)},
		"Ratio=1.5":                             {Ratio: ptr.To(1.5)},
		"Blob=aGk%3D":                           {Blob: []byte("hi")},
		"When=2026-01-02T03:04:05Z":             {When: ptr.To(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))},
		"List=":                                 {List: []string{}},
		"List.member.1=":                        {List: []string{""}},
		"Nested.member.1.member.1=x":            {Nested: [][]string{{"x"}}},
		"Map.entry.1.key=a&Map.entry.1.value=b": {Map: map[string]string{"a": "b"}},
		"Deep.entry.1.key=a&Deep.entry.1.value.member.1.Key=k": {Deep: map[string][]types.Tag{"a": {{Key: ptr.To("k")}}}},
		"&&Text=x&":                {Text: ptr.To("x")},
		"X-Amz-Signature=0&Text=x": {Text: ptr.To("x")},
	} {
		var in everything
		if err := awsquery.Decode([]byte(form), &in); err != nil {
			t.Errorf("%s: %v", form, err)
		} else if !reflect.DeepEqual(in, want) {
			t.Errorf("%s: %+v", form, in)
		}
	}
}

func TestAMalformedFormIsRefusedWithoutQuotingIt(t *testing.T) {
	deep := "Text" + strings.Repeat(".hush", awsquery.MaximumDepth)
	for name, form := range map[string]string{
		"an escape":                   "Text=%zzhush",
		"an escape in a name":         "%zzhush=1",
		"invalid UTF-8":               "Text=%ffhush",
		"a parameter twice":           "Text=hush&Text=hush",
		"a member in both cases":      "Text=hush&text=hush",
		"a value that is a structure": "Text.hush=1",
		"a structure that is a value": "Enum=hush",
		"a list that is a value":      "List=hush",
		"a list without member":       "List.1=hush",
		"a list with more":            "List.member.1=a&List.hush=b",
		"a list from 0":               "List.member.0=hush",
		"a list with a gap":           "List.member.1=a&List.member.3=hush",
		"a list with a padded number": "List.member.01=hush",
		"a list with a huge number":   "List.member.99999999999999999999=hush",
		"a map without a value":       "Map.entry.1.key=hush",
		"a map with a key twice":      "Map.entry.1.key=a&Map.entry.1.value=b&Map.entry.2.key=a&Map.entry.2.value=hush",
		"a boolean":                   "Flag=hush",
		"an integer":                  "Number=hush",
		"an integer too large":        "Number=9223372036854775808",
		"a number that is none":       "Ratio=NaN",
		"a blob":                      "Blob=hush!",
		"a time":                      "When=1700000000",
		"too deep a name":             deep + "=1",
		"too long a name":             strings.Repeat("hush", 200) + "=1",
		"too many parameters":         strings.Repeat("a&", awsquery.MaximumParameters),
	} {
		t.Run(name, func(t *testing.T) {
			err := awsquery.Decode([]byte(form), &everything{})
			if !errors.Is(err, awsquery.ErrSerialization) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("quotes the form: %v", err)
			}
		})
	}
}

func TestAnAnswerIsWhatAWSAnswers(t *testing.T) {
	got := string(awsquery.Append(nil, "AssumeRole", "AssumeRoleResult", namespace, &sts.AssumeRoleOutput{
		Credentials: &types.Credentials{
			AccessKeyId: ptr.To("ASIA"), SecretAccessKey: ptr.To("a<b&\"c\">\r"), SessionToken: ptr.To(""),
			Expiration: ptr.To(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		},
		PackedPolicySize: ptr.To[int32](6), //nolint:staticcheck // older clients know no other member
	}, "id-1"))
	want := `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>` +
		`<AccessKeyId>ASIA</AccessKeyId><Expiration>2026-01-02T03:04:05Z</Expiration>` +
		`<SecretAccessKey>a&lt;b&amp;&quot;c&quot;&gt;&#xD;</SecretAccessKey><SessionToken></SessionToken></Credentials>` +
		`<PackedPolicySize>6</PackedPolicySize></AssumeRoleResult>` +
		`<ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></AssumeRoleResponse>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnOutputWithoutMembersHasNoResult(t *testing.T) {
	got := string(awsquery.Append(nil, "DeleteRole", "", "urn:x", &iam.DeleteRoleOutput{}, "1"))
	want := `<DeleteRoleResponse xmlns="urn:x"><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></DeleteRoleResponse>`
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestAbsentAndEmptyListsDiffer(t *testing.T) {
	absent := string(awsquery.Append(nil, "ListRoleTags", "ListRoleTagsResult", "urn:x", &iam.ListRoleTagsOutput{}, "1"))
	empty := string(awsquery.Append(nil, "ListRoleTags", "ListRoleTagsResult", "urn:x", &iam.ListRoleTagsOutput{Tags: []iamtypes.Tag{}}, "1"))
	if strings.Contains(absent, "<Tags>") || !strings.Contains(empty, "<Tags></Tags>") || !strings.Contains(absent, "<IsTruncated>false<") {
		t.Errorf("absent %s\nempty %s", absent, empty)
	}
}

func TestMapsHaveEntriesInTheOrderOfTheirKeys(t *testing.T) {
	got := string(awsquery.Append(nil, "Simulate", "SimulateResult", "urn:x", &iamtypes.EvaluationResult{
		EvalDecisionDetails: map[string]iamtypes.PolicyEvaluationDecisionType{"b": "allowed", "a": "explicitDeny"},
	}, "1"))
	want := `<EvalDecisionDetails><entry><key>a</key><value>explicitDeny</value></entry><entry><key>b</key><value>allowed</value></entry></EvalDecisionDetails>`
	if !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}
}

func TestAnErrorIsWhatAWSAnswers(t *testing.T) {
	for receiver, kind := range map[bool]string{false: "Sender", true: "Receiver"} {
		got := string(awsquery.AppendError(nil, namespace, "AccessDenied", `User: <x> is not "y"`, receiver, "id-1"))
		want := `<ErrorResponse xmlns="` + namespace + `"><Error><Type>` + kind + `</Type><Code>AccessDenied</Code>` +
			`<Message>User: &lt;x&gt; is not &quot;y&quot;</Message></Error><RequestId>id-1</RequestId></ErrorResponse>`
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestTextIsAlwaysXML(t *testing.T) {
	for _, text := range []string{"plain", "\x00\x01\x1f", "\ufffe\uffff", "\xff\xfe", "]]>", "a\rb\nc\td", "😀"} {
		checkXML(t, awsquery.AppendError(nil, text, text, text, false, text))
	}
}

func checkXML(t *testing.T, text []byte) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(assumeRole)
	f.Add("Map.entry.1.key=a&Map.entry.1.value=b&List.member.1=x&When=2026-01-02T03:04:05.5%2B01:00")
	f.Add("Deep.entry.1.key=a&Deep.entry.1.value.member.1.Key=k&Blob=aGk=&Ratio=1e9")
	f.Fuzz(func(t *testing.T, form string) {
		var in everything
		if err := awsquery.Decode([]byte(form), &in); err != nil {
			if !errors.Is(err, awsquery.ErrSerialization) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		checkXML(t, awsquery.Append(nil, "Fuzz", "FuzzResult", "urn:x", &in, "1"))
	})
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(assumeRole)
	b.ReportAllocs()
	for b.Loop() {
		if err := awsquery.Decode(body, &sts.AssumeRoleInput{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	out := &sts.GetCallerIdentityOutput{Account: ptr.To("123456789012"), Arn: ptr.To("arn:aws:iam::123456789012:user/dev"), UserId: ptr.To("AIDA" + strconv.Itoa(1))}
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst = awsquery.Append(dst[:0], "GetCallerIdentity", "GetCallerIdentityResult", namespace, out, "id-1")
	}
}
