package sigv4

import (
	"net/http"
	"testing"
)

func TestAHeaderIsSignedWithSingleBlanksAndNoneAroundIt(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "a": "a", " a ": "a", "\ta b\t": "a b", "a  b": "a b", "a\tb": "a b", " a \t b  c ": "a b c", "   ": "",
		"a\u00a0b": "a\u00a0b", // no blank of HTTP's
	} {
		if got := singleBlanks(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestTheFirstHeaderThatIsNotSignedIsNamedWhateverItsCase(t *testing.T) {
	for name, c := range map[string]struct {
		headers   []string
		signed    []string
		presigned bool
		missing   string
	}{
		"all are signed":              {[]string{"X-Amz-Date", "Content-Type"}, []string{"content-type", "host", "x-amz-date"}, false, ""},
		"in another case":             {[]string{"X-AMZ-TARGET", "CONTENT-TYPE"}, []string{"content-type", "host", "x-amz-target"}, false, ""},
		"others need not be":          {[]string{"User-Agent", "X-Amzn-Trace-Id", "X-Am"}, []string{"host"}, false, ""},
		"the host always":             {nil, []string{"x-amz-date"}, false, "host"},
		"the target":                  {[]string{"X-Amz-Target"}, []string{"host"}, false, "x-amz-target"},
		"the target in another case":  {[]string{"x-AMZ-target"}, []string{"host"}, false, "x-amz-target"},
		"the content type":            {[]string{"Content-Type"}, []string{"host"}, false, "content-type"},
		"not of a presigned request":  {[]string{"Content-Type"}, []string{"host"}, true, ""},
		"the first of several":        {[]string{"X-Amz-Z", "X-Amz-B", "X-Amz-A"}, []string{"host", "x-amz-a"}, false, "x-amz-b"},
		"the host before them":        {[]string{"X-Amz-Z"}, []string{"x-amz-a"}, false, "host"},
		"the content type before all": {[]string{"Content-Type"}, []string{"x-amz-a"}, false, "content-type"},
	} {
		r := &http.Request{Header: http.Header{}}
		for _, h := range c.headers {
			r.Header[h] = []string{"v"}
		}
		err, want := checkSigned(r, &fields{signedHeaders: c.signed, presigned: c.presigned}), "'"+c.missing+"' must be a signed header."
		if (err == nil) != (c.missing == "") || err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestAPairOfAnAuthorizationHeaderComesOnceWhateverItIs(t *testing.T) {
	for name, tt := range map[string]struct {
		keys []string
		want []bool
	}{
		"those that must be there": {[]string{"Credential", "Signature", "SignedHeaders"}, []bool{true, true, true}},
		"one of them twice":        {[]string{"Signature", "Credential", "Signature"}, []bool{true, true, false}},
		"others":                   {[]string{"a", "", "A"}, []bool{true, true, true}},
		"another twice":            {[]string{"a", "b", "a", "b"}, []bool{true, true, false, false}},
	} {
		var pairs authorization
		for i, key := range tt.keys {
			if got := pairs.set(key, ""); got != tt.want[i] {
				t.Errorf("%s: %d, %q: first is %t", name, i, key, got)
			}
		}
	}
}
