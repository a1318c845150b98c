package render_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"strongroom.dev/strongroom/internal/projection/render"
)

// functionCase is a call of one function. A case with an empty says renders to want; any other is refused with says.
type functionCase struct{ function, name, template, value, want, says string }

// The expected texts are those of the RFCs and of NIST, or written by hand from sprig's documentation.
var functionCases = []functionCase{
	// RFC 4648, section 10
	{"b64enc", "nothing", `{{ b64enc "" }}`, "v", "", ""},
	{"b64enc", "one byte", `{{ b64enc .current }}`, "f", "Zg==", ""},
	{"b64enc", "two bytes", `{{ b64enc .current }}`, "fo", "Zm8=", ""},
	{"b64enc", "six bytes", `{{ b64enc .current }}`, "foobar", "Zm9vYmFy", ""},
	{"b64enc", "binary", `{{ b64enc .current }}`, "\x00\xff\xfe", "AP/+", ""},
	{"b64enc", "a number as it is written", `{{ b64enc .n }}`, `{"n":1.50}`, "MS41MA==", ""},
	{"b64enc", "null as nothing", `[{{ b64enc .n }}]`, `{"n":null}`, "[]", ""},
	{"b64dec", "RFC 4648's longest vector", `{{ b64dec .current }}`, "Zm9vYmFy", "foobar", ""},
	{"b64dec", "text without padding", `{{ b64dec .current }}`, "Zg", "", "no base64"},
	{"b64dec", "the URL-safe alphabet", `{{ b64dec .current }}`, "AP_-", "", "no base64"},
	{"b64dec", "trailing text", `{{ b64dec .current }}`, "Zg==x", "", "no base64"},
	// FIPS 180-2, appendix B, and the hash of nothing
	{"sha256sum", "nothing", `{{ sha256sum "" }}`, "v", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", ""},
	{"sha256sum", "one block", `{{ sha256sum .current }}`, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ""},
	{"sha256sum", "two blocks", `{{ sha256sum .current }}`, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", ""},
	{"quote", "a quote, a backslash and a line", `{{ quote .current }}`, "a\"\\\nb", `"a\"\\\nb"`, ""},
	{"quote", "a number", `{{ quote .n }}`, `{"n":7}`, `"7"`, ""},
	{"squote", "text with a single quote, which stays", `{{ squote .current }}`, "it's", "'it's'", ""},
	{"upper", "letters beyond ASCII, one for one", `{{ upper .current }}`, "straße é", "STRAßE É", ""},
	{"lower", "letters beyond ASCII", `{{ lower .current }}`, "ÄB", "äb", ""},
	{"upper", "two arguments", `{{ upper .current .current }}`, "v", "", "cannot be evaluated"},
	{"trim", "white space on both sides", `[{{ trim .current }}]`, "\t a b\r\n", "[a b]", ""},
	{"trimPrefix", "a prefix, once", `{{ trimPrefix "a" .current }}`, "aab", "ab", ""},
	{"trimPrefix", "what is no prefix", `{{ trimPrefix "x" .current }}`, "aab", "aab", ""},
	{"trimPrefix", "no text", `{{ trimPrefix "x" }}`, "v", "", "cannot be evaluated"},
	{"trimSuffix", "a suffix, once", `{{ .current | trimSuffix "b" }}`, "abb", "ab", ""},
	{"trimSuffix", "the whole", `[{{ trimSuffix .current .current }}]`, "abc", "[]", ""},
	{"replace", "every place, not overlapping", `{{ replace "aa" "b" .current }}`, "aaaaa", "bba", ""},
	{"replace", "nothing by something", `{{ replace "" "-" .current }}`, "ab", "-a-b-", ""},
	{"replace", "a number, which is no text, as in sprig", `{{ replace "1" "2" .n }}`, `{"n":1}`, "", "cannot be evaluated"},
	{"indent", "no spaces", `{{ indent 0 .current }}`, "a\nb", "a\nb", ""},
	{"indent", "a last empty line too", `{{ indent 2 .current }}`, "a\n", "  a\n  ", ""},
	{"indent", "one space over the most", `{{ indent 101 .current }}`, "v", "", "from 0 to 100"},
	{"indent", "less than nothing", `{{ indent -1 .current }}`, "v", "", "from 0 to 100"},
	{"nindent", "on a line of its own", `x:{{ nindent 2 .current }}`, "a\nb", "x:\n  a\n  b", ""},
	{"nindent", "one space over the most", `{{ nindent 101 .current }}`, "v", "", "from 0 to 100"},
	{"join", "a list of all sorts", `{{ join "-" .l }}`, `{"l":["a",1.0,true,null]}`, "a-1.0-true-", ""},
	{"join", "an empty list", `[{{ join "-" .l }}]`, `{"l":[]}`, "[]", ""},
	{"join", "a split text", `{{ splitList "," .current | join ";" }}`, "a,b", "a;b", ""},
	{"join", "an object", `{{ join "-" .o }}`, `{"o":{"a":1}}`, "", "no list"},
	{"join", "text", `{{ join "-" .current }}`, "abc", "", "no list"},
	{"splitList", "empty parts", `{{ len (splitList "," .current) }}`, ",a,", "3", ""},
	{"splitList", "a separator that is not there", `{{ index (splitList "," .current) 0 }}`, "abc", "abc", ""},
	{"splitList", "no separator", `{{ splitList "" .current }}`, "abc", "", "separator is empty"},
	{"default", "text that is there", `{{ default "d" .current }}`, "v", "v", ""},
	{"default", "empty text", `{{ .previous | default "d" }}`, "v", "d", ""},
	{"default", "null", `{{ .n | default "d" }}`, `{"n":null}`, "d", ""},
	{"default", "zero", `{{ .n | default "d" }}`, `{"n":0}`, "d", ""},
	{"default", "false", `{{ .n | default "d" }}`, `{"n":false}`, "d", ""},
	{"default", "text of white space, which is not empty", `[{{ .current | default "d" }}]`, " ", "[ ]", ""},
	{"default", "nothing given", `{{ default "d" }}`, "v", "d", ""},
	{"default", "a missing member, which is still an error", `{{ .nothing | default "d" }}`, `{"a":1}`, "", `no member "nothing"`},
	{"toJson", "members in order, numbers as they were written", `{{ toJson .o }}`, `{"o":{"b":1.0,"a":[1e3,null,"<"]}}`, `{"a":[1e3,null,"<"],"b":1.0}`, ""},
	{"toJson", "text", `{{ toJson .current }}`, "a\"\n", `"a\"\n"`, ""},
	{"toJson", "bytes that are no text", `{{ toJson .current }}`, "\xff", "", "no JSON form"},
	{"fromJson", "a document in a document", `{{ (fromJson .s).a.b }}`, `{"s":"{\"a\":{\"b\":10}}"}`, "10", ""},
	{"fromJson", "a list", `{{ index (fromJson .current) 1 }}`, `["a","b"]`, "b", ""},
	{"fromJson", "a duplicate member", `{{ fromJson .current }}`, `{"a":1,"a":2}`, "", "no JSON"},
	{"fromJson", "two documents", `{{ fromJson .current }}`, `1 2`, "", "no JSON"},
	{"fromJson", "nothing", `{{ fromJson .previous }}`, "v", "", "no JSON"},
	{"fromJson", "deeper than 10,000", `{{ fromJson .current }}`, strings.Repeat("[", 10001) + strings.Repeat("]", 10001), "", "no JSON"},
}

func TestEveryFunctionDoesWhatItIsDocumentedToDo(t *testing.T) {
	for _, tt := range functionCases {
		t.Run(tt.function+" of "+tt.name, func(t *testing.T) {
			got, err := one(t, tt.template, value(tt.value))
			if tt.says == "" {
				if err != nil || got != tt.want {
					t.Errorf("%q, %v; want %q", got, err, tt.want)
				}
				return
			}
			if !errors.Is(err, render.ErrTemplate) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q, %v; want an error that says %q", got, err, tt.says)
			}
		})
	}
}

// documented are the functions that the page of Secret promises.
func documented(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "secret.md"))
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile("(?s)Functions: `([^`]+)`").FindSubmatch(page)
	if list == nil {
		t.Fatal("the page lists no functions")
	}
	return strings.Fields(string(list[1]))
}

func TestTheDocumentedFunctionsAreThoseThatHaveCases(t *testing.T) {
	cases := map[string]bool{}
	for _, tt := range functionCases {
		cases[tt.function] = true
	}
	for _, name := range documented(t) {
		if !cases[name] {
			t.Errorf("%s is documented and has no case", name)
		}
		delete(cases, name)
	}
	for name := range cases {
		t.Errorf("%s is not documented", name)
	}
}

func TestFunctionsThatReachOutsideDoNotExist(t *testing.T) {
	for _, name := range []string{
		"env", "expandenv", "getHostByName", "now", "date", "randAlphaNum", "uuidv4", "genCA", "lookup", "tpl", "include", "fail", "repeat", "until", "seq",
	} {
		if err := render.Validate(map[string]string{"k": "{{ " + name + " 1 }}"}); err == nil {
			t.Errorf("%s is a function", name)
		}
	}
}

// texts are random texts with what is likely to be mistaken.
func texts(count int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"a", "B", " ", "\n", "\t", `"`, "'", `\`, "<", "&", "%", "+", "/", "é", "字", "\u2028", "{{", "}}", "$", "\x00"}
	out := make([]string, count)
	for i := range out {
		for range r.IntN(20) {
			out[i] += alphabet[r.IntN(len(alphabet))]
		}
		out[i] += "." // never empty
	}
	return out
}

// Each property is checked by computing back, with code other than that which the functions use.
func TestWhatFunctionsMakeCanBeTakenBack(t *testing.T) {
	for name, property := range map[string]struct {
		template string
		back     func(string) (string, error)
	}{
		"base64": {`{{ b64enc .current }}`, func(s string) (string, error) {
			b, err := base64.StdEncoding.Strict().DecodeString(s)
			return string(b), err
		}},
		"both ways":  {`{{ .current | b64enc | b64dec }}`, func(s string) (string, error) { return s, nil }},
		"quotes":     {`{{ quote .current }}`, strconv.Unquote},
		"JSON":       {`{{ toJson .current }}`, func(s string) (back string, err error) { return back, json.Unmarshal([]byte(s), &back) }},
		"a URL":      {`{{ urlquery .current }}`, url.QueryUnescape},
		"indenting":  {`{{ indent 3 .current }}`, unindent},
		"splitting":  {`{{ splitList "a" .current | join "a" }}`, func(s string) (string, error) { return s, nil }},
		"JSON twice": {`{{ toJson .current | fromJson }}`, func(s string) (string, error) { return s, nil }},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range texts(200) {
				made, err := one(t, property.template, value(text))
				if err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				if back, err := property.back(made); err != nil || back != text {
					t.Errorf("%q became %q and then %q: %v", text, made, back, err)
				}
			}
		})
	}
}

func unindent(s string) (string, error) {
	var lines []string
	scanner := bufio.NewScanner(strings.NewReader(s + "\n"))
	scanner.Split(func(data []byte, _ bool) (int, []byte, error) { // unlike ScanLines, keeps carriage returns
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return i + 1, data[:i], nil
		}
		return 0, nil, nil
	})
	for scanner.Scan() {
		line, indented := strings.CutPrefix(scanner.Text(), "   ")
		if !indented {
			return "", errors.New("a line is not indented")
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), scanner.Err()
}

// FuzzErrorsHoldNothingOfTheValue looks for a template whose error shows the value.
func FuzzErrorsHoldNothingOfTheValue(f *testing.F) {
	for _, tt := range functionCases {
		f.Add(tt.template)
	}
	for _, text := range []string{`{{ .p.q.r }}`, `{{ range .list }}{{ .x }}{{ end }}`, `{{ index .list 9 }}`, `{{ with .p }}{{ .q }}{{ end }}`,
		`{{ lt .p 1 }}`, `{{ fromJson .p }}`, `{{ printf "%d" .p | b64dec }}`, `{{ .list.x }}`} {
		f.Add(text)
	}
	document := `{"p":"` + canary + `","list":["` + canary + `",1],"n":{"x":"` + canary + `"}}`
	f.Fuzz(func(t *testing.T, template string) {
		if strings.Contains(template, "hunter2") || strings.Contains(template, "CANARY") || !utf8.ValidString(template) {
			return
		}
		if _, err := one(t, template, value(document)); err != nil && (strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v", template, err)
		}
	})
}
