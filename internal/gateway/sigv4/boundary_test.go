package sigv4_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"strongroom.dev/strongroom/internal/gateway/sigv4"
)

// presigned is a URL that the SDK's signer signed, good for so long as the query says.
func presigned(t *testing.T, query string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://gateway.example/?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, r,
		hex.EncodeToString(sum[:]), "kms", "us-east-1", now)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func get(address string) *http.Request { return httptest.NewRequest(http.MethodGet, address, nil) }

func TestAPresignedURLIsGoodToTheSecond(t *testing.T) {
	for expires, d := range map[string]time.Duration{"1": time.Second, "60": time.Minute, "604800": sigv4.MaximumExpiry} {
		address := presigned(t, "Action=ListKeys&X-Amz-Expires="+expires)
		for after, want := range map[time.Duration]string{
			-sigv4.Skew - time.Second: "Signature not yet current: ", -sigv4.Skew: "", 0: "", d: "", d + time.Second: "Signature expired: ", d + 365*24*time.Hour: "Signature expired: ",
		} {
			err := verify(get(address), nil, now.Add(after))
			if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
				t.Errorf("good for %s s, after %v: %v", expires, after, err)
			}
		}
	}
}

func TestTheTimeOfAPresignedURLIsANumberOfSecondsUpToAWeek(t *testing.T) {
	for expires, ok := range map[string]bool{
		"1": true, "604800": true, "0": false, "604801": false, "-1": false, "": false, "1.0": false, "1e3": false, "+1": false, "one": false,
		"9223372036854775807": false, "99999999999999999999": false, "0x10": false, "1_0": false, " 1": false,
	} {
		err := verify(get(presigned(t, "X-Amz-Expires="+url.QueryEscape(expires))), nil, now)
		const text = "X-Amz-Expires must be a number of seconds from 1 to 604800."
		if (err == nil) != ok || err != nil && err.Error() != text {
			t.Errorf("%q: %v", expires, err)
		}
	}
}

// TestNothingOfAPresignedURLCanBeChanged changes one parameter each, takes it away, or gives it twice.
func TestNothingOfAPresignedURLCanBeChanged(t *testing.T) {
	address, err := url.Parse(presigned(t, "Action=ListKeys&Version=1&X-Amz-Expires=600"))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range address.Query() {
		for what, change := range map[string]func(url.Values){
			"is another":     func(q url.Values) { q.Set(name, values[0]+"0") },
			"is gone":        func(q url.Values) { q.Del(name) },
			"is there twice": func(q url.Values) { q.Add(name, values[0]) },
			"is empty":       func(q url.Values) { q.Set(name, "") },
			"comes again":    func(q url.Values) { q.Add(name, "x") },
		} {
			query := address.Query()
			change(query)
			changed := *address
			changed.RawQuery = query.Encode()
			err := verify(get(changed.String()), nil, now)
			var refused *sigv4.Error
			if !errors.As(err, &refused) {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
	}
	for what, change := range map[string]func(*http.Request){
		"another parameter":        func(r *http.Request) { r.URL.RawQuery += "&DryRun=true" },
		"another method":           func(r *http.Request) { r.Method = http.MethodPost },
		"another host":             func(r *http.Request) { r.Host = "other.example" },
		"a header that decides":    func(r *http.Request) { r.Header.Set("X-Amz-Target", "TrentService.CreateKey") },
		"an Authorization besides": func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x") },
	} {
		r := get(address.String())
		change(r)
		if verify(r, nil, now) == nil {
			t.Errorf("with %s it is still good", what)
		}
	}
	if verify(get(address.String()), []byte("body"), now) == nil {
		t.Error("with a body it is still good")
	}
}

func TestWhatIsReadOfASignatureIsBounded(t *testing.T) {
	long := func(n int) string { return "AWS4-HMAC-SHA256 " + strings.Repeat("a", n-len("AWS4-HMAC-SHA256 ")) }
	headers := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, "h"+string(rune('a'+i/26))+string(rune('a'+i%26)))
		}
		return strings.Join(append(names, "host", "x-amz-date"), ";")
	}
	const scope = "AWS4-HMAC-SHA256 Credential=AKIA/20261125/us-east-1/kms/aws4_request, Signature=00, SignedHeaders="
	for name, tt := range map[string]struct{ authorization, query, want string }{
		"an Authorization of 4096 bytes": {long(4096), "", "not a valid key=value pair"},
		"of 4097":                        {long(4097), "", "The Authorization header has 4097 bytes; at most 4096 are taken."},
		"a query of 16384 bytes":         {scope + "host", strings.Repeat("a", 16384), ""},
		"of 16385":                       {scope + "host", strings.Repeat("a", 16385), "The query has 16385 bytes; at most 16384 are taken."},
		"64 signed headers":              {scope + headers(62), "", "is not in the request."},
		"65":                             {scope + headers(63), "", "65 headers are signed; at most 64 are taken."},
	} {
		r := get("https://gateway.example/")
		r.URL.RawQuery = tt.query
		r.Header.Set("Authorization", tt.authorization)
		r.Header.Set("X-Amz-Date", "20261125T030000Z")
		_, err := sigv4.Parse(r, nil)
		switch {
		case err == nil && tt.want != "", err != nil && tt.want != "" && !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %v", name, err)
		case err != nil && tt.want == "" && !strings.Contains(err.Error(), "must be a signed header"):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestARefusalIsInAWSsWords has the texts that SDKs' users search for, whole.
func TestARefusalIsInAWSsWords(t *testing.T) {
	const credential = "Credential=AKIA/20261125/us-east-1/kms/aws4_request"
	for name, tt := range map[string]struct {
		authorization, date, want string
		code                      sigv4.Code
	}{
		"four parts of a scope": {"Credential=AKIA/20261125/us-east-1/kms, SignedHeaders=host, Signature=0", "20261125T030000Z",
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIA/20261125/us-east-1/kms'", sigv4.Incomplete},
		"another terminator": {"Credential=AKIA/20261125/us-east-1/kms/aws5_request, SignedHeaders=host, Signature=0", "20261125T030000Z",
			"Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'.", sigv4.Incomplete},
		"a date in another form": {credential + ", SignedHeaders=host, Signature=0", "2026-11-25T03:00:00Z",
			"Date must be in ISO-8601 'basic format'. Got '2026-11-25T03:00:00Z'. See http://en.wikipedia.org/wiki/ISO_8601", sigv4.Incomplete},
		"a day that there is not": {"Credential=AKIA/20260230/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0", "20260230T030000Z",
			"Date must be in ISO-8601 'basic format'. Got '20260230T030000Z'. See http://en.wikipedia.org/wiki/ISO_8601", sigv4.Incomplete},
		"the day before in the scope": {"Credential=AKIA/20261124/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0", "20261125T000000Z",
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261124' != '20261125', from '20261125T000000Z'.", sigv4.Invalid},
		"a date that is not signed": {credential + ", SignedHeaders=host, Signature=0", "20261125T030000Z", "'x-amz-date' must be a signed header.", sigv4.Invalid},
		"names in another case":     {credential + ", SignedHeaders=Host;x-amz-date, Signature=0", "20261125T030000Z", "SignedHeaders must be lower-case names in order, each once.", sigv4.Incomplete},
		"an empty name":             {credential + ", SignedHeaders=;host;x-amz-date, Signature=0", "20261125T030000Z", "SignedHeaders must be lower-case names in order, each once.", sigv4.Incomplete},
		"a header that is not there": {credential + ", SignedHeaders=host;range;x-amz-date, Signature=0", "20261125T030000Z",
			"The signed header 'range' is not in the request.", sigv4.Invalid},
		"a signature that is none": {credential + ", SignedHeaders=host;x-amz-date, Signature=0", "20261125T030000Z", "", ""},
	} {
		r := get("https://gateway.example/")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 "+tt.authorization)
		r.Header.Set("X-Amz-Date", tt.date)
		_, err := sigv4.Parse(r, nil)
		var refused *sigv4.Error
		if tt.want == "" {
			if err != nil || verify(r, nil, now) == nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.As(err, &refused) || refused.Code != tt.code || refused.Message != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestASignatureIsComparedWhole: neither a part of it, nor it in capitals, nor with more behind it, passes.
func TestASignatureIsComparedWhole(t *testing.T) {
	r, body := received(t, signed(t, "POST", "/", `{}`, nil))
	header := r.Header.Get("Authorization")
	at := strings.LastIndex(header, "Signature=") + len("Signature=")
	whole := header[at:]
	for name, changed := range map[string]string{
		"a part": whole[:63], "more": whole + "0", "in capitals": strings.ToUpper(whole), "blanks within": whole[:32] + " " + whole[32:], "all zeros": strings.Repeat("0", 64),
		"a NUL behind": whole + "\x00",
	} {
		r.Header.Set("Authorization", header[:at]+changed)
		if verify(r, body, now) == nil {
			t.Errorf("%s passes", name)
		}
	}
	r.Header.Set("Authorization", header)
	if err := verify(r, body, now); err != nil {
		t.Errorf("the signature itself: %v", err)
	}
}

// TestAHashThatIsClaimedIsTheBodys: a claim of the body's hash is worth nothing, and no word in its place is.
func TestAHashThatIsClaimedIsTheBodys(t *testing.T) {
	sum := sha256.Sum256([]byte("{}"))
	right := hex.EncodeToString(sum[:])
	for claimed, ok := range map[string]bool{
		right: true, strings.ToUpper(right): false, "UNSIGNED-PAYLOAD": false, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": false, "STREAMING-UNSIGNED-PAYLOAD-TRAILER": false,
		strings.Repeat("0", 64): false,
	} {
		r, body := received(t, signed(t, "POST", "/", "{}", func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", claimed) }))
		if err := verify(r, body, now); (err == nil) != ok {
			t.Errorf("%s: %v", claimed, err)
		}
	}
}
