package sigv4_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"strongroom.dev/strongroom/internal/gateway/sigv4"
)

const (
	keyID  = "AKIAIOSFODNN7EXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var now = time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)

// received is a request as a server gets it, over a real connection, so that nothing of the client's view remains.
func received(t *testing.T, r *http.Request) (*http.Request, []byte) {
	t.Helper()
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		got = r
	}))
	defer server.Close()
	r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(server.URL, "http://")
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return got, body
}

// signed is a request that the SDK's signer signed.
func signed(t *testing.T, method, path, body string, change func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "https://gateway.example:8443"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "TrentService.Encrypt")
	if change != nil {
		change(r)
	}
	sum := sha256.Sum256([]byte(body))
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, r,
		hex.EncodeToString(sum[:]), "kms", "us-east-1", now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func key() sigv4.Key { return sigv4.DeriveKey([]byte(secret), "20261125", "us-east-1", "kms") }

// verify does what a server does.
func verify(r *http.Request, body []byte, at time.Time) error {
	s, err := sigv4.Parse(r, body)
	if err != nil {
		return err
	}
	return s.Verify(key(), at)
}

// TestDeriveKey is the example of AWS's documentation.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/signing-elements.html
func TestDeriveKey(t *testing.T) {
	k := sigv4.DeriveKey([]byte("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), "20150830", "us-east-1", "iam")
	if got := hex.EncodeToString(k[:]); got != "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9" {
		t.Error(got)
	}
}

// TestTheExampleOfTheDocumentation is the request of "Create a signed AWS API request", whose signature AWS printed.
func TestTheExampleOfTheDocumentation(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "+
		"SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")
	s, err := sigv4.Parse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.AccessKeyID != "AKIDEXAMPLE" || s.Region != "us-east-1" || s.Service != "iam" {
		t.Errorf("%+v", s)
	}
	if err := s.Verify(sigv4.DeriveKey([]byte(secret), s.Date, s.Region, s.Service), s.Time.Add(time.Minute)); err != nil {
		t.Error(err)
	}
}

func TestWhatTheSDKSignsVerifies(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, body string
		change             func(*http.Request)
	}{
		"a call":                 {"POST", "/", `{"KeyId":"alias/shop"}`, nil},
		"an empty body":          {"POST", "/", ``, nil},
		"a GET with a query":     {"GET", "/?b=2&a=%20x&a=%2B&c", ``, nil},
		"a path to be encoded":   {"POST", "/a%20b/%C3%A9/c:d", `{}`, nil},
		"a session token":        {"POST", "/", `{}`, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "t/+=") }},
		"blanks within a header": {"POST", "/", `{}`, func(r *http.Request) { r.Header.Set("X-Amz-Meta", "  a   b  ") }},
		"attempts of an SDK": {"POST", "/", `{}`, func(r *http.Request) {
			r.Header.Set("Amz-Sdk-Request", "attempt=1; max=3")
			r.Header.Set("Amz-Sdk-Invocation-Id", "6f1b2b0e-1111-4222-8333-444455556666")
		}},
		"a long body": {"POST", "/", strings.Repeat("x", 100_000), nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := signed(t, c.method, c.path, c.body, c.change)
			host := r.Host
			got, body := received(t, r)
			if got.Host != host {
				t.Fatalf("the host is %q, not %q", got.Host, host)
			}
			if err := verify(got, body, now); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAPresignedURLVerifiesUntilItExpires(t *testing.T) {
	presign := func() *http.Request {
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet,
			"https://gateway.example/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=600", nil)
		sum := sha256.Sum256(nil)
		url, _, err := v4.NewSigner().PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: "token/+="},
			r, hex.EncodeToString(sum[:]), "kms", "us-east-1", now)
		if err != nil {
			t.Fatal(err)
		}
		return httptest.NewRequest(http.MethodGet, url, nil)
	}
	for after, want := range map[time.Duration]bool{0: true, 10 * time.Minute: true, 10*time.Minute + time.Second: false, -6 * time.Minute: false} {
		err := verify(presign(), nil, now.Add(after))
		if (err == nil) != want {
			t.Errorf("after %v: %v", after, err)
		}
	}
	s, err := sigv4.Parse(presign(), nil)
	if err != nil || s.Token != "token/+=" || s.Expires != 10*time.Minute {
		t.Errorf("%+v, %v", s, err)
	}
	changed := presign()
	changed.URL.RawQuery = strings.Replace(changed.URL.RawQuery, "GetCallerIdentity", "GetSessionToken", 1)
	if verify(changed, nil, now) == nil {
		t.Error("another action passes under the same signature")
	}
}

// TestWhateverIsChangedOnTheWayIsRefused changes one thing of a signed request each.
func TestWhateverIsChangedOnTheWayIsRefused(t *testing.T) {
	body := []byte(`{"KeyId":"alias/shop"}`)
	authorization := func(from, to string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
		}
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		code   sigv4.Code
	}{
		"the method":                      {func(r *http.Request) { r.Method = "PUT" }, sigv4.Invalid},
		"the path":                        {func(r *http.Request) { r.URL.Path = "/x" }, sigv4.Invalid},
		"the query":                       {func(r *http.Request) { r.URL.RawQuery = "a=1" }, sigv4.Invalid},
		"the host":                        {func(r *http.Request) { r.Host = "other.example" }, sigv4.Invalid},
		"the target":                      {func(r *http.Request) { r.Header.Set("X-Amz-Target", "TrentService.Decrypt") }, sigv4.Invalid},
		"the content type":                {func(r *http.Request) { r.Header.Set("Content-Type", "application/x-amz-json-1.0") }, sigv4.Invalid},
		"the date":                        {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261125T030001Z") }, sigv4.Invalid},
		"an unsigned x-amz header":        {func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "t") }, sigv4.Invalid},
		"a second target":                 {func(r *http.Request) { r.Header.Add("X-Amz-Target", "TrentService.Encrypt") }, sigv4.Incomplete},
		"a signed header that is gone":    {func(r *http.Request) { r.Header.Del("X-Amz-Target") }, sigv4.Invalid},
		"a claimed hash":                  {func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, sigv4.Invalid},
		"one digit of the signature":      {func(r *http.Request) { flip(r) }, sigv4.Invalid},
		"the region":                      {authorization("us-east-1", "eu-west-1"), sigv4.Invalid},
		"the service":                     {authorization("/kms/", "/ssm/"), sigv4.Invalid},
		"the day of the scope":            {authorization("20261125", "20261124"), sigv4.Invalid},
		"the access key has a slash":      {authorization("Credential=", "Credential=a/"), sigv4.Incomplete},
		"the terminator":                  {authorization("aws4_request", "aws5_request"), sigv4.Incomplete},
		"the host is signed no more":      {authorization("host;", ""), sigv4.Invalid},
		"the signed headers' order":       {authorization("content-type;host", "host;content-type"), sigv4.Incomplete},
		"a signed header twice":           {authorization("host;", "host;host;"), sigv4.Incomplete},
		"no signature":                    {authorization("Signature=", "Sig="), sigv4.Incomplete},
		"no credential":                   {authorization("Credential=", "Cred="), sigv4.Incomplete},
		"a parameter twice":               {authorization("SignedHeaders=", "Credential=x, SignedHeaders="), sigv4.Incomplete},
		"the algorithm":                   {authorization("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), sigv4.Incomplete},
		"SigV4a":                          {authorization("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), sigv4.Incomplete},
		"no Authorization":                {func(r *http.Request) { r.Header.Del("Authorization") }, sigv4.Missing},
		"two of them":                     {func(r *http.Request) { r.Header.Add("Authorization", "x") }, sigv4.Incomplete},
		"one in the query too":            {func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=1" }, sigv4.Incomplete},
		"no date":                         {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, sigv4.Incomplete},
		"a date that is none":             {func(r *http.Request) { r.Header.Set("X-Amz-Date", "today") }, sigv4.Incomplete},
		"an Authorization without an end": {func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 "+strings.Repeat("a", 5000)) }, sigv4.Incomplete},
		"more headers than are taken":     {authorization("SignedHeaders=", "SignedHeaders="+strings.Repeat("a;", 100)), sigv4.Incomplete},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := received(t, signed(t, "POST", "/", string(body), nil))
			c.change(r)
			err := verify(r, body, now)
			var refused *sigv4.Error
			if !errors.As(err, &refused) || refused.Code != c.code {
				t.Fatalf("%v, not %s", err, c.code)
			}
			if signature := r.Header.Get("Authorization"); len(signature) > 64 && strings.Contains(err.Error(), signature[len(signature)-64:]) {
				t.Error("the message quotes the signature")
			}
		})
	}
	r, _ := received(t, signed(t, "POST", "/", string(body), nil))
	if err := verify(r, bytes.ReplaceAll(body, []byte("shop"), []byte("bank")), now); err == nil {
		t.Error("another body passes")
	}
}

func flip(r *http.Request) {
	header := []byte(r.Header.Get("Authorization"))
	last := len(header) - 1
	if header[last] == '0' {
		header[last] = '1'
	} else {
		header[last] = '0'
	}
	r.Header.Set("Authorization", string(header))
}

func TestATimeFarFromNowIsRefusedInAWSsWords(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{5 * time.Minute, ""},
		{-5 * time.Minute, ""},
		{5*time.Minute + time.Second, "Signature expired: 20261125T030000Z is now earlier than 20261125T030001Z (20261125T030501Z - 5 min.)"},
		{-5*time.Minute - time.Second, "Signature not yet current: 20261125T030000Z is still later than 20261125T025959Z (20261125T025459Z + 5 min.)"},
	} {
		r, body := received(t, signed(t, "POST", "/", `{}`, nil))
		err := verify(r, body, now.Add(c.after))
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != c.want {
			t.Errorf("after %v: %v", c.after, got)
		}
	}
}

func TestTheScopeNamesWhatIsServed(t *testing.T) {
	r, body := received(t, signed(t, "POST", "/", `{}`, nil))
	s, err := sigv4.Parse(r, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckScope([]string{"eu-west-1", "us-east-1"}, "kms"); err != nil {
		t.Error(err)
	}
	if err := s.CheckScope([]string{"eu-west-1", "eu-west-2"}, "kms"); err == nil || !strings.Contains(err.Error(), "eu-west-1, eu-west-2") {
		t.Errorf("a region that is not served: %v", err)
	}
	if err := s.CheckScope([]string{"us-east-1"}, "sts"); err == nil || !strings.Contains(err.Error(), "correct service: 'sts'") {
		t.Errorf("another service: %v", err)
	}
}

// FuzzParse: whatever comes, nothing panics, refusals are *Error, and only what was signed verifies.
func FuzzParse(f *testing.F) {
	f.Add("POST", "/", "a=b", "AWS4-HMAC-SHA256 Credential=a/20261125/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=00", "20261125T030000Z", []byte("{}"))
	f.Add("GET", "/%zz", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=b&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=1", "", "", []byte{})
	f.Fuzz(func(t *testing.T, method, path, query, authorization, date string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header = http.Header{}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if date != "" {
			r.Header.Set("X-Amz-Date", date)
		}
		err := verify(r, body, now)
		var refused *sigv4.Error
		if err == nil {
			t.Error("a forged signature verifies")
		} else if !errors.As(err, &refused) {
			t.Errorf("%v is no *Error", err)
		}
	})
}

func TestAPresignedURLWithoutATimeIsGoodForTheUsualOne(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "https://gateway.example/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20261125%2Fus-east-1%2Fsts%2Faws4_request"+
		"&X-Amz-Date=20261125T120000Z&X-Amz-SignedHeaders=host&X-Amz-Signature="+strings.Repeat("a", 64), nil)
	parsed, err := sigv4.Parse(r, nil)
	if err != nil || parsed.Expires != sigv4.Skew {
		t.Errorf("%+v, %v", parsed, err)
	}
}
