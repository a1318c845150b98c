package awsjson_test

import (
	"encoding/json/jsontext"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"strongroom.dev/strongroom/internal/gateway/awsjson"
)

func TestARequestBecomesTheInput(t *testing.T) {
	var in kms.EncryptInput
	body := ` {"KeyId":"alias/shop","Plaintext":"aHVudGVyMg==","EncryptionContext":{"app":"shop","":""},"GrantTokens":[],
		"DryRun":false,"EncryptionAlgorithm":"SYMMETRIC_DEFAULT","Unheard":{"a":[1]}} `
	if err := awsjson.Decode([]byte(body), &in); err != nil {
		t.Fatal(err)
	}
	want := kms.EncryptInput{
		KeyId: aws.String("alias/shop"), Plaintext: []byte("hunter2"), EncryptionContext: map[string]string{"app": "shop", "": ""},
		GrantTokens: []string{}, DryRun: aws.Bool(false), EncryptionAlgorithm: kmstypes.EncryptionAlgorithmSpecSymmetricDefault,
	}
	if !reflect.DeepEqual(in, want) {
		t.Errorf("%+v", in)
	}
}

func TestAMemberThatIsNullIsAbsent(t *testing.T) {
	var in kms.EncryptInput
	if err := awsjson.Decode([]byte(`{"KeyId":null,"EncryptionContext":null,"GrantTokens":null,"Plaintext":null,"EncryptionAlgorithm":null,"DryRun":null}`), &in); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in, kms.EncryptInput{}) {
		t.Errorf("%+v", in)
	}
}

func TestNamesAreInTheirOwnCase(t *testing.T) {
	var in kms.EncryptInput
	if err := awsjson.Decode([]byte(`{"keyId":"a","KEYID":"b"}`), &in); err != nil {
		t.Fatal(err)
	}
	if in.KeyId != nil {
		t.Errorf("a member in another case was taken: %s", *in.KeyId)
	}
}

func TestAnEmptyBodyIsAnEmptyObject(t *testing.T) {
	for _, body := range []string{"", " \r\n\t", "{}"} {
		if err := awsjson.Decode([]byte(body), new(kms.ListKeysInput)); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestWhatIsNotTheShapeIsRefusedWithTheMembersName(t *testing.T) {
	const secret = "hunter2hunter2"
	for name, tt := range map[string]struct{ body, want string }{
		"null":                       {`null`, "not a JSON object"},
		"a list":                     {`[]`, "not a JSON object"},
		"a string":                   {`"` + secret + `"`, "not a JSON object"},
		"text":                       {secret, "not a JSON object"},
		"half a document":            {`{"KeyId":"` + secret, "not valid JSON"},
		"two documents":              {`{}{}`, "not valid JSON"},
		"rubbish behind it":          {`{} ` + secret, "not valid JSON"},
		"a member twice":             {`{"KeyId":"a","KeyId":"` + secret + `"}`, "/KeyId: the member is there twice"},
		"an unknown member twice":    {`{"X":1,"X":2}`, "twice"},
		"invalid UTF-8":              {"{\"KeyId\":\"\xff\"}", "not valid JSON"},
		"half a surrogate pair":      {`{"KeyId":"\ud800"}`, "not valid JSON"},
		"a number for a string":      {`{"KeyId":1}`, "/KeyId: NUMBER_VALUE can not be converted to a String"},
		"a list for a string":        {`{"KeyId":["` + secret + `"]}`, "/KeyId: START_ARRAY can not be converted to a String"},
		"a string for a boolean":     {`{"DryRun":"` + secret + `"}`, "/DryRun: STRING_VALUE can not be converted to a Boolean"},
		"a string for a map":         {`{"EncryptionContext":"` + secret + `"}`, "/EncryptionContext: STRING_VALUE can not be converted to a Map"},
		"a number in a map":          {`{"EncryptionContext":{"a":1}}`, "/EncryptionContext/a: NUMBER_VALUE can not be converted to a String"},
		"null in a map":              {`{"EncryptionContext":{"a":null}}`, "/EncryptionContext/a: null is not a string"},
		"null in a list":             {`{"GrantTokens":[null]}`, "/GrantTokens/0: null is not a string"},
		"an object for a list":       {`{"GrantTokens":{}}`, "/GrantTokens: START_OBJECT can not be converted to a List"},
		"a blob that is no base64":   {`{"Plaintext":"` + secret + `!"}`, "/Plaintext: STRING_VALUE can not be converted to a Blob"},
		"a blob without its padding": {`{"Plaintext":"aHVudGVyMg"}`, "/Plaintext: STRING_VALUE can not be converted to a Blob"},
		"a number for an enum":       {`{"EncryptionAlgorithm":1}`, "/EncryptionAlgorithm: NUMBER_VALUE can not be converted to a String"},
		"33 arrays":                  {`{"X":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, "more than 32 deep"},
		"a hundred thousand":         {`{"X":` + strings.Repeat(`{"a":`, 100_000), "more than 32 deep"},
	} {
		err := awsjson.Decode([]byte(tt.body), new(kms.EncryptInput))
		switch {
		case !errors.Is(err, awsjson.ErrSerialization):
			t.Errorf("%s: %v", name, err)
		case !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %q does not say %q", name, err, tt.want)
		case strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: %q quotes the request", name, err)
		}
	}
	if err := awsjson.Decode([]byte(`{"X":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)+`,"KeyId":"[{\"[{"}`), new(kms.EncryptInput)); err != nil {
		t.Errorf("32 deep: %v", err)
	}
}

func TestNumbersHaveTheirRange(t *testing.T) {
	for body, ok := range map[string]bool{
		`{"NumberOfBytes":32}`: true, `{"NumberOfBytes":2147483647}`: true, `{"NumberOfBytes":2147483648}`: false,
		`{"NumberOfBytes":3.5}`: false, `{"NumberOfBytes":1e3}`: false, `{"NumberOfBytes":"32"}`: false, `{"NumberOfBytes":true}`: false,
	} {
		if err := awsjson.Decode([]byte(body), new(kms.GenerateRandomInput)); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestTimesAreSecondsSince1970(t *testing.T) {
	type input struct{ ValidTo *time.Time }
	for body, want := range map[string]time.Time{
		`{"ValidTo":0}`:            time.Unix(0, 0),
		`{"ValidTo":1764000000}`:   time.Unix(1764000000, 0),
		`{"ValidTo":1764000000.5}`: time.UnixMilli(1764000000500),
		`{"ValidTo":1.764e9}`:      time.Unix(1764000000, 0),
		`{"ValidTo":-1.25}`:        time.UnixMilli(-1250),
	} {
		var in input
		if err := awsjson.Decode([]byte(body), &in); err != nil || in.ValidTo == nil || !in.ValidTo.Equal(want) {
			t.Errorf("%s: %v, %v", body, in.ValidTo, err)
		}
	}
	for _, body := range []string{`{"ValidTo":"2026-11-25T00:00:00Z"}`, `{"ValidTo":1e300}`, `{"ValidTo":253402300800}`, `{"ValidTo":{}}`, `{"ValidTo":true}`} {
		if err := awsjson.Decode([]byte(body), new(input)); !errors.Is(err, awsjson.ErrSerialization) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestAnswersTellAbsentFromEmptyAndFalse(t *testing.T) {
	at := time.UnixMilli(1764000000120)
	for name, tt := range map[string]struct {
		output any
		want   string
	}{
		"nothing":              {&kms.EncryptOutput{}, `{}`},
		"a nil pointer":        {(*kms.EncryptOutput)(nil), `{}`},
		"strings and blobs":    {&kms.EncryptOutput{KeyId: aws.String(""), CiphertextBlob: []byte{}}, `{"CiphertextBlob":"","KeyId":""}`},
		"a blob":               {&kms.EncryptOutput{CiphertextBlob: []byte("hunter2")}, `{"CiphertextBlob":"aHVudGVyMg=="}`},
		"plain false and zero": {&kms.ListKeysOutput{Keys: []kmstypes.KeyListEntry{}}, `{"Keys":[],"Truncated":false}`},
		"nested": {
			&kms.DescribeKeyOutput{KeyMetadata: &kmstypes.KeyMetadata{KeyId: aws.String("k"), CreationDate: &at, KeyState: kmstypes.KeyStateEnabled}},
			`{"KeyMetadata":{"KeyId":"k","CreationDate":1764000000.12,"Enabled":false,"KeyState":"Enabled"}}`,
		},
		"maps in order": {
			&secretsmanager.DescribeSecretOutput{VersionIdsToStages: map[string][]string{"b": {"AWSPREVIOUS"}, "a": nil, "c": {}}},
			`{"VersionIdsToStages":{"a":[],"b":["AWSPREVIOUS"],"c":[]}}`,
		},
		"text": {
			&secretsmanager.GetSecretValueOutput{SecretString: aws.String("a\"\\\n\x00<é\u2028\xff")},
			"{\"SecretString\":\"a\\\"\\\\\\n\\u0000<é\u2028\ufffd\"}",
		},
		"metadata of the SDK's": {&smtypes.Tag{Key: aws.String("k")}, `{"Key":"k"}`},
	} {
		if got := string(awsjson.Append(nil, tt.output)); got != tt.want {
			t.Errorf("%s: %s, not %s", name, got, tt.want)
		}
	}
}

func TestTimesAreWrittenWithAtMostThreeDecimals(t *testing.T) {
	for want, at := range map[string]time.Time{
		`{"CreatedDate":0}`:              time.Unix(0, 0),
		`{"CreatedDate":1764000000}`:     time.Unix(1764000000, 999_999),
		`{"CreatedDate":1764000000.001}`: time.UnixMilli(1764000000001),
		`{"CreatedDate":1764000000.1}`:   time.UnixMilli(1764000000100),
		`{"CreatedDate":-1.25}`:          time.UnixMilli(-1250),
	} {
		got := string(awsjson.Append(nil, &secretsmanager.GetSecretValueOutput{CreatedDate: &at}))
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

func TestErrorsHaveTheServicesOwnMessageKey(t *testing.T) {
	for name, tt := range map[string]struct {
		got  []byte
		want string
	}{
		"KMS":             {awsjson.AppendError(nil, "NotFoundException", "message", `Key "a" does not exist`, &kmstypes.NotFoundException{Message: aws.String("x")}), `{"__type":"NotFoundException","message":"Key \"a\" does not exist"}`},
		"Secrets Manager": {awsjson.AppendError(nil, "ResourceNotFoundException", "Message", "gone", nil), `{"__type":"ResourceNotFoundException","Message":"gone"}`},
		"no message":      {awsjson.AppendError(nil, "UnknownOperationException", "message", "", nil), `{"__type":"UnknownOperationException"}`},
		"more members": {awsjson.AppendError(nil, "E", "message", "m", &struct {
			Message, ErrorCodeOverride *string
			Reasons                    []string
		}{Reasons: []string{"r"}}), `{"__type":"E","message":"m","Reasons":["r"]}`},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("%s: %s", name, tt.got)
		}
	}
}

// FuzzDecode: whatever comes, nothing panics, refusals are ErrSerialization and short, and what is taken comes back the same
// from its own encoding.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `{"Filters":[{"Key":"name","Values":["a"]}],"MaxResults":3,"SortOrder":"asc"}`, `{"Filters":[{"Key":null}]}`, "{\"NextToken\":\"\\u0000\"}", `{"a":{"a":{"a":[[[1]]]}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in secretsmanager.ListSecretsInput
		if err := awsjson.Decode(body, &in); err != nil {
			if !errors.Is(err, awsjson.ErrSerialization) {
				t.Fatalf("%v", err)
			}
			return
		}
		encoded := awsjson.Append(nil, &in)
		if !jsontext.Value(encoded).IsValid() {
			t.Fatalf("%s is no JSON", encoded)
		}
		var again secretsmanager.ListSecretsInput
		if err := awsjson.Decode(encoded, &again); err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		if got := awsjson.Append(nil, &again); string(got) != string(encoded) {
			t.Fatalf("%s came back as %s", encoded, got)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"KeyId":"alias/shop","Plaintext":"aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==","EncryptionContext":{"app":"shop"}}`)
	b.ReportAllocs()
	for b.Loop() {
		var in kms.EncryptInput
		if err := awsjson.Decode(body, &in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	out := &kms.EncryptOutput{KeyId: aws.String("arn:aws:kms:us-east-1:123456789012:key/1"), CiphertextBlob: make([]byte, 160), EncryptionAlgorithm: "SYMMETRIC_DEFAULT"}
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst = awsjson.Append(dst[:0], out)
	}
}
