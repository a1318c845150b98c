package sigv4_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/gateway/sigv4"
)

// wire is a request as its bytes go over the connection.
type wire []byte

// sent writes a signed request as net/http's client does.
func sent(t failer, r *http.Request) wire {
	var out bytes.Buffer
	if err := r.Write(&out); err != nil {
		t.Fatalf("%v", err)
	}
	return out.Bytes()
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface{ Fatalf(string, ...any) }

// read is what a server makes of the bytes; not ok if they are no request.
func (w wire) read() (r *http.Request, body []byte, ok bool) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(w)))
	if err != nil {
		return nil, nil, false
	}
	body, err = io.ReadAll(r.Body)
	return r, body, err == nil
}

// drawnRequest is any request that an SDK may make, before it is signed.
func drawnRequest(t *rapid.T) (*http.Request, string) {
	segment := rapid.StringMatching(`[a-zA-Z0-9._~!$&'()*+,;=:@ %é/-]{0,12}`)
	query := url.Values{}
	for range rapid.IntRange(0, 4).Draw(t, "parameters") {
		query.Add(rapid.StringMatching(`[a-zA-Z .+é%-]{1,8}`).Draw(t, "name"), rapid.StringN(0, 12, 40).Draw(t, "value"))
	}
	body := rapid.StringN(0, 60, 200).Draw(t, "body")
	address := &url.URL{Scheme: "https", Host: rapid.SampledFrom([]string{"gateway.example", "gateway.example:8443", "127.0.0.1:1", "[::1]:8443"}).Draw(t, "host"),
		Path: "/" + segment.Draw(t, "path"), RawQuery: query.Encode()}
	r, err := http.NewRequest(rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE"}).Draw(t, "method"), address.String(), strings.NewReader(body))
	if err != nil {
		t.Skip(err)
	}
	r.Header.Set("Content-Type", rapid.SampledFrom([]string{"application/x-amz-json-1.1", "application/cbor", "application/x-www-form-urlencoded; charset=utf-8"}).Draw(t, "type"))
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		name := rapid.SampledFrom([]string{"X-Amz-Target", "X-Amz-Meta-A", "Smithy-Protocol", "Accept", "Amz-Sdk-Request"}).Draw(t, "header")
		r.Header.Set(name, rapid.StringMatching(`[a-zA-Z0-9.,;=/]{1,6}( {0,3}[a-zA-Z0-9]{1,4}){0,2}`).Draw(t, "text"))
	}
	return r, body
}

// TestWhateverTheSDKSignsVerifies: any request that the SDK's signer signs, for any scope and by any secret, is taken as its bytes
// arrive, and by the key of no other scope or secret.
func TestWhateverTheSDKSignsVerifies(t *testing.T) {
	name := rapid.StringMatching(`[a-z]{2,4}-[a-z]{2,6}-[0-9]`)
	rapid.Check(t, func(t *rapid.T) {
		r, body := drawnRequest(t)
		secret := rapid.StringMatching(`[A-Za-z0-9+/]{1,40}`).Draw(t, "secret")
		region, service := name.Draw(t, "region"), rapid.SampledFrom([]string{"kms", "acm-pca", "sts"}).Draw(t, "service")
		at := time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(t, "at"), 0).UTC()
		credentials := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: rapid.StringMatching(`[A-Za-z0-9+/=]{0,30}`).Draw(t, "token")}
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(context.Background(), credentials, r, hex.EncodeToString(sum[:]), service, region, at); err != nil {
			t.Fatalf("%v", err)
		}
		got, gotBody, ok := sent(t, r).read()
		if !ok {
			t.Fatalf("the request cannot be read")
		}
		s, err := sigv4.Parse(got, gotBody)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if s.AccessKeyID != keyID || s.Region != region || s.Service != service || s.Token != credentials.SessionToken || !s.Time.Equal(at) || s.Expires != 0 {
			t.Fatalf("%+v", s)
		}
		if err := s.Verify(sigv4.DeriveKey([]byte(secret), s.Date, region, service), at); err != nil {
			t.Fatalf("%v", err)
		}
		for _, other := range []sigv4.Key{
			sigv4.DeriveKey([]byte(secret+"x"), s.Date, region, service), sigv4.DeriveKey([]byte(secret), s.Date, region+"x", service),
			sigv4.DeriveKey([]byte(secret), s.Date, region, service+"x"), sigv4.DeriveKey([]byte(secret), "19691231", region, service), {},
		} {
			if s.Verify(other, at) == nil {
				t.Fatalf("another key verifies it")
			}
		}
	})
}

// meaning is all of a request that decides what it does. Two ways of writing one request, such as %2b and %2B in a query, or blanks
// around a header's value, have the same.
func meaning(r *http.Request, body []byte) string {
	query, err := url.ParseQuery(r.URL.RawQuery)
	headers := map[string][]string{}
	for name, values := range r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") || lower == "content-type" || lower == "x-kept" {
			for _, v := range values {
				headers[lower] = append(headers[lower], strings.Join(strings.Fields(v), " "))
			}
		}
	}
	return fmt.Sprintf("%q %q %q %v %v %v %q", r.Method, r.Host, r.URL.EscapedPath(), query, err, headers, body)
}

// scope is what a signature says of itself.
func scope(s *sigv4.Request) []string {
	return []string{s.AccessKeyID, s.Date, s.Region, s.Service, s.Token, s.Time.String(), s.Expires.String(), s.Signature}
}

// unchanged fails if bytes that differ in one place from a signed request's pass for it, and mean something else.
func unchanged(t *testing.T, original, changed wire, what string) (passed bool) {
	t.Helper()
	r, body, ok := changed.read()
	if !ok {
		return false
	}
	s, err := sigv4.Parse(r, body)
	if err != nil || s.AccessKeyID != keyID || s.Verify(key(), now) != nil { // another access key has another secret
		return false
	}
	was, wasBody, _ := original.read()
	first, err := sigv4.Parse(was, wasBody)
	if err != nil {
		t.Fatal(err)
	}
	if meaning(r, body) != meaning(was, wasBody) || !reflect.DeepEqual(scope(s), scope(first)) {
		t.Errorf("%s, and the signature is still good for:\n%s", what, changed)
	}
	return true
}

// TestNoSingleByteOfASignedRequestCanBeChanged tries, at every byte of a request as it is sent, several others; takes each away; and
// doubles each.
func TestNoSingleByteOfASignedRequestCanBeChanged(t *testing.T) {
	requests := map[string]wire{
		"awsJson": sent(t, signed(t, "POST", "/", `{"KeyId":"alias/shop","Plaintext":"aHVudGVyMg=="}`, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "t/+=") })),
		"RPC v2": sent(t, signed(t, "POST", "/service/TrentService/operation/Encrypt", "\xa1eKeyIdjalias/shop", func(r *http.Request) {
			r.Header.Del("X-Amz-Target")
			r.Header.Set("Content-Type", "application/cbor")
			r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
		})),
		"a query": sent(t, signed(t, "GET", "/a%20b/c?Action=ListUsers&Version=2010-05-08&Path=%2Fa+b", "", func(r *http.Request) { r.Header.Del("X-Amz-Target") })),
	}
	for name, original := range requests {
		t.Run(name, func(t *testing.T) {
			if !unchanged(t, original, original, "nothing is changed") {
				t.Fatal("the request itself does not pass")
			}
			passed := 0
			try := func(at int, what string, changed ...byte) {
				if unchanged(t, original, bytes.Join([][]byte{original[:at], changed, original[at+1:]}, nil), fmt.Sprintf("byte %d %s", at, what)) {
					passed++
				}
			}
			for at, c := range original {
				for _, other := range []byte{c ^ 1, c ^ 0x20, ' ', '\t', '\n', '0', '%', 0, 0xff} {
					if other != c {
						try(at, fmt.Sprintf("is %q", other), other)
					}
				}
				try(at, "is gone")
				try(at, "is there twice", c, c)
			}
			// Neutral changes there are (the case of a header's name, blanks, the user agent), but most are not.
			if passed > 4*len(original) {
				t.Errorf("%d changes of %d bytes passed", passed, len(original))
			}
		})
	}
}

// TestNoTwoPartsOfAScopeRunTogether: the parts of a scope are apart in the key, whatever is in them.
func TestNoTwoPartsOfAScopeRunTogether(t *testing.T) {
	keys := map[sigv4.Key][4]string{}
	for _, parts := range [][4]string{
		{"s", "20261125", "us-east-1", "kms"}, {"s2", "0261125", "us-east-1", "kms"}, {"s", "20261125u", "s-east-1", "kms"},
		{"s", "20261125", "us-east-1k", "ms"}, {"s", "20261125", "us-east-1kms", ""}, {"", "s20261125", "us-east-1", "kms"}, {"s", "20261125us-east-1", "", "kms"},
	} {
		k := sigv4.DeriveKey([]byte(parts[0]), parts[1], parts[2], parts[3])
		if other, twice := keys[k]; twice {
			t.Errorf("%q and %q have one key", parts, other)
		}
		keys[k] = parts
	}
}
