package awsjson_test

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/gateway/awsjson"
)

// every has a member of each kind that a shape has.
type every struct {
	Text   *string
	Flag   *bool
	Number *int32
	Long   *int64
	Ratio  *float64
	Blob   []byte
	When   *time.Time
	List   []string
	Map    map[string]string
	Deep   map[string][]smtypes.Tag
	Inner  *smtypes.Tag
}

func TestNumbersAreThoseOfJSONAndOfTheirType(t *testing.T) {
	for body, ok := range map[string]bool{
		`{"Number":0}`: true, `{"Number":-0}`: true, `{"Number":-2147483648}`: true, `{"Number":-2147483649}`: false,
		`{"Number":00}`: false, `{"Number":+1}`: false, `{"Number":0x10}`: false, `{"Number":1_000}`: false, `{"Number":1.0}`: false,
		`{"Number":1e0}`: false, `{"Number":.5}`: false, `{"Number":1.}`: false, `{"Number":-}`: false, `{"Number":NaN}`: false, `{"Number":Infinity}`: false,
		`{"Number":` + strings.Repeat("9", 100_000) + `}`: false,
		`{"Long":9223372036854775807}`:                    true, `{"Long":9223372036854775808}`: false, `{"Long":-9223372036854775808}`: true,
		`{"Ratio":1e308}`: true, `{"Ratio":1e309}`: false, `{"Ratio":-1e-400}`: true, `{"Ratio":"1"}`: false, `{"Ratio":1}`: true,
		`{"Unheard":1e999}`: true, `{"Unheard":01}`: false, // what is not looked at is JSON all the same
	} {
		if err := awsjson.Decode([]byte(body), new(every)); (err == nil) != ok || err != nil && !errors.Is(err, awsjson.ErrSerialization) {
			t.Errorf("%.60s: %v", body, err)
		}
	}
}

func TestTextIsWhatItsEscapesSay(t *testing.T) {
	for body, want := range map[string]string{
		`"\u0000"`: "\x00", "\"\u2028\u2029\"": "\u2028\u2029", `"\ud83d\ude00"`: "😀", `"😀"`: "😀", `"\/\b\f\n\r\t\"\\"`: "/\b\f\n\r\t\"\\", `"\u00E9\u00e9"`: "éé",
		`"` + strings.Repeat("a", 100_000) + `"`: strings.Repeat("a", 100_000), `"\uffff"`: "\uffff", `"\ufeff"`: "\ufeff",
	} {
		var in every
		if err := awsjson.Decode([]byte(`{"Text":`+body+`}`), &in); err != nil || *in.Text != want {
			t.Errorf("%.40s: %v", body, err)
		}
	}
	for _, body := range []string{
		"\"a\x00b\"", "\"a\nb\"", "\"\x1f\"", `"\x41"`, `"\u12"`, `"\ud800"`, `"\udc00\ud800"`, `"\ud83d\u0041"`, "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xc3\"",
		`'a'`, `"a`, `a`,
	} {
		if err := awsjson.Decode([]byte(`{"Text":`+body+`}`), new(every)); !errors.Is(err, awsjson.ErrSerialization) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestADocumentIsOneObjectAndNothingBesides(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		ok   bool
	}{
		"blanks around it":      {" \t\r\n{ \"Text\" : \"a\" } \t\r\n", true},
		"a byte order mark":     {"\ufeff{}", false},
		"blanks of Unicode":     {"\u00a0{}", false},
		"a NUL behind it":       {"{}\x00", false},
		"a comma behind it":     {"{},", false},
		"a comma at its end":    {`{"Text":"a",}`, false},
		"a comment":             {`{/* a */}`, false},
		"a key without quotes":  {`{Text:"a"}`, false},
		"a key that is null":    {`{null:1}`, false},
		"a key without a value": {`{"Text"}`, false},
		"two values":            {`{"Text":"a" "b"}`, false},
		"an end too many":       {`{}}`, false},
		"the wrong end":         {`{"List":["a"}]`, false},
		"UTF-16":                {"{\x00\"\x00", false},
		"CBOR":                  {"\xa0", false},
		"a form":                {"Action=Encrypt", false},
	} {
		if err := awsjson.Decode([]byte(tt.body), new(every)); (err == nil) != tt.ok || err != nil && !errors.Is(err, awsjson.ErrSerialization) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneNameIsOneMemberHoweverItIsWritten(t *testing.T) {
	for _, body := range []string{
		`{"Text":"a","\u0054ext":"b"}`, `{"\u0054\u0065\u0078\u0074":"a","Text":"b"}`, `{"Inner":{"Key":"a","K\u0065y":"b"}}`,
		`{"Map":{"a":"1","\u0061":"2"}}`, `{"Map":{"":"1","":"2"}}`, `{"Deep":{"a":[{"Key":"x","Key":"x"}]}}`, `{"Unheard":{"b":[{"c":1,"c":2}]}}`,
		`{"Text":null,"Text":"a"}`,
	} {
		if err := awsjson.Decode([]byte(body), new(every)); !errors.Is(err, awsjson.ErrSerialization) || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%s: %v", body, err)
		}
	}
	var in every
	if err := awsjson.Decode([]byte(`{"\u0054ext":"a","text":"b","TEXT":"c","Text ":"d","Text\u0000":"e"}`), &in); err != nil || *in.Text != "a" {
		t.Errorf("%v, %v", in.Text, err)
	}
}

func TestABlobIsBase64InItsOneForm(t *testing.T) {
	for text, want := range map[string]string{"": "", "QQ==": "A", "QUI=": "AB", "QUJD": "ABC", "+/+/": "\xfb\xff\xbf"} {
		var in every
		if err := awsjson.Decode([]byte(`{"Blob":"`+text+`"}`), &in); err != nil || string(in.Blob) != want || in.Blob == nil {
			t.Errorf("%q: %q, %v", text, in.Blob, err)
		}
	}
	for name, text := range map[string]string{
		"no padding": "QQ", "half a padding": "QQ=", "a padding too many": "QUJD====", "the alphabet of URLs": "-_-_", "a line break": `QU\nJD`, "a blank": "QU JD", "a padding within": "QQ==QQ==",
		"one character": "Q", "another alphabet": "!!!!", "a NUL": `QUJD\u0000`,
	} {
		if err := awsjson.Decode([]byte(`{"Blob":"`+text+`"}`), new(every)); !errors.Is(err, awsjson.ErrSerialization) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNullIsAbsentForAMemberAndNothingElsewhere(t *testing.T) {
	var in every
	if err := awsjson.Decode([]byte(`{"Inner":{"Key":null},"Deep":{"a":null},"Map":{},"List":[],"Unheard":null}`), &in); err == nil {
		if in.Inner.Key != nil || len(in.Deep["a"]) != 0 {
			t.Errorf("%+v", in)
		}
	}
	for _, body := range []string{`{"List":["a",null]}`, `{"Map":{"a":null}}`, `{"Map":{"a":"b","c":null}}`} {
		if err := awsjson.Decode([]byte(body), new(every)); !errors.Is(err, awsjson.ErrSerialization) || !strings.Contains(err.Error(), "null is not a string") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestDepthIsCountedWhateverTextLooksLike(t *testing.T) {
	nest := func(n int) string {
		return `{"X":` + strings.Repeat(`[{"a":`, (n-1)/2) + strings.Repeat("[", (n-1)%2) + "1" + strings.Repeat("]", (n-1)%2) + strings.Repeat("}]", (n-1)/2) + `}`
	}
	for n, ok := range map[int]bool{1: true, 2: true, 31: true, 32: true, 33: false, 34: false, 1001: false} {
		if err := awsjson.Decode([]byte(nest(n)), new(every)); (err == nil) != ok {
			t.Errorf("%d deep: %v", n, err)
		}
	}
	for _, body := range []string{
		`{"Text":"` + strings.Repeat(`[{`, 1000) + `"}`, `{"Text":"` + strings.Repeat(`\"[`, 1000) + `"}`, `{"Text":"\\","X":"` + strings.Repeat(`\\[`, 100) + `"}`,
		`{"X":[` + strings.Repeat(`[],{},`, 4_000) + `1]}`,
	} {
		if err := awsjson.Decode([]byte(body), new(every)); err != nil {
			t.Errorf("%.40s: %v", body, err)
		}
	}
}

func TestManyAndLongMembersAreReadInProportion(t *testing.T) {
	var body strings.Builder
	body.WriteString(`{"Text":"a"`)
	for i := range 8_000 {
		body.WriteString(`,"x` + strconv.Itoa(i) + `":[]`)
	}
	body.WriteString(`}`)
	began := time.Now()
	if err := awsjson.Decode([]byte(body.String()), new(every)); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("8,000 members took %s", took)
	}
	long := strings.Repeat("n", 500_000)
	for _, bad := range []string{`{"` + long + `":1,"` + long + `":2}`, `{"Map":{"` + long + `":1}}`, `{"Deep":{"` + long + `":[{"Key":` + "\"\xff\"}]}}"} {
		if err := awsjson.Decode([]byte(bad), new(every)); !errors.Is(err, awsjson.ErrSerialization) || len(err.Error()) > 1024 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}

// TestWhatIsWrittenIsReadAsTheSame: decode(encode(v)) = v, whatever is in v.
func TestWhatIsWrittenIsReadAsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		want := every{
			Text: rapid.Ptr(text, true).Draw(t, "text"), Flag: rapid.Ptr(rapid.Bool(), true).Draw(t, "flag"), Number: rapid.Ptr(rapid.Int32(), true).Draw(t, "number"),
			Long: rapid.Ptr(rapid.Int64(), true).Draw(t, "long"), Ratio: rapid.Ptr(rapid.Float64Range(-1e300, 1e300), true).Draw(t, "ratio"),
			Blob: rapid.SliceOf(rapid.Byte()).Draw(t, "blob"), List: rapid.SliceOf(text).Draw(t, "list"), Map: rapid.MapOf(text, text).Draw(t, "map"),
		}
		if rapid.Bool().Draw(t, "timed") {
			want.When = aws.Time(time.UnixMilli(rapid.Int64Range(-62135596800000, 253402300799000).Draw(t, "when")).UTC())
		}
		var got every
		if err := awsjson.Decode(awsjson.Append(nil, &want), &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, not %+v", got, want)
		}
	})
}

func TestAnAnswerIsAppendedToWhatIsThere(t *testing.T) {
	before := []byte("HTTP")
	if got := string(awsjson.Append(before, &kms.ListKeysOutput{})); got != `HTTP{"Truncated":false}` {
		t.Errorf("%s", got)
	}
	out := &struct {
		Ratio *float64
		List  []*string
	}{aws.Float64(1.5), []*string{nil, aws.String("a")}}
	if got := string(awsjson.Append(nil, out)); got != `{"Ratio":1.5,"List":[null,"a"]}` {
		t.Errorf("%s", got)
	}
}

func TestAnErrorsTextCannotEndItsDocument(t *testing.T) {
	message := `"},"__type":"Other` + "\x00\n\u2028"
	got := awsjson.AppendError(nil, `E"x`, "message", message, &smtypes.ResourceNotFoundException{Message: aws.String("hidden")})
	var read struct{ Message string }
	in := new(struct {
		Message *string
	})
	body := strings.Replace(string(got), `"message"`, `"Message"`, 1)
	if err := awsjson.Decode([]byte(body), in); err != nil || *in.Message != message {
		t.Errorf("%s: %v %v", got, read, err)
	}
	if strings.Contains(string(got), "hidden") {
		t.Errorf("%s", got)
	}
}

func BenchmarkDecodeOfASecret(b *testing.B) {
	body := awsjson.Append(nil, &secretsmanager.CreateSecretInput{Name: aws.String("shop/db"), SecretString: aws.String(strings.Repeat("x", 4096))})
	b.ReportAllocs()
	for b.Loop() {
		var in secretsmanager.CreateSecretInput
		if err := awsjson.Decode(body, &in); err != nil {
			b.Fatal(err)
		}
	}
}
