// Package sigv4 verifies requests that are signed by AWS Signature Version 4, in the header or in the query.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
//
// It is stricter than the signature alone asks for, so that nothing that decides what a request does may be changed on
// its way: the host, the content type, the target and every x-amz header that is there must be signed, and the body is
// always hashed here and never taken on trust.
package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"strongroom.dev/strongroom/internal/core/hmacsha256"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	asymmetric = "AWS4-ECDSA-P256-SHA256"
	timeLayout = "20060102T150405Z"
	dateLayout = "20060102"
	terminator = "aws4_request"

	// Skew is how far a request's time may be from the server's.
	Skew = 5 * time.Minute
	// MaximumExpiry of a presigned request.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html
	MaximumExpiry = 7 * 24 * time.Hour
)

// Code is the kind of a refusal. Services give it the names of their protocol.
type Code string

// The codes.
const (
	// Missing: there is no signature.
	Missing Code = "MissingAuthenticationToken"
	// Incomplete: the signature lacks a part, or one cannot be read.
	Incomplete Code = "IncompleteSignature"
	// Invalid: the signature is not that of this request, or not of this time, place or service.
	Invalid Code = "InvalidSignature"
)

// Error is a refusal with AWS's text.
type Error struct {
	Code    Code
	Message string
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

func incomplete(format string, args ...any) error {
	return &Error{Incomplete, fmt.Sprintf(format, args...)}
}
func invalid(format string, args ...any) error { return &Error{Invalid, fmt.Sprintf(format, args...)} }

// Key is a signing key: it is good for one secret, day, region and service.
type Key [sha256.Size]byte

// DeriveKey derives a signing key. Date is YYYYMMDD.
func DeriveKey(secret []byte, date, region, service string) Key {
	k := hmacsha256.Sum(append([]byte("AWS4"), secret...), []byte(date))
	for _, part := range []string{region, service, terminator} {
		k = hmacsha256.Sum(k[:], []byte(part))
	}
	return k
}

// Request is a signed request as it was received, before its signature was looked at.
type Request struct {
	// AccessKeyID, Date (YYYYMMDD), Region and Service are the credential's scope.
	AccessKeyID, Date, Region, Service string
	// Token is the session token, empty if there is none.
	Token string
	// Time is when it was signed. Expires is how long it is good for, from then; 0 if it is not presigned.
	Time    time.Time
	Expires time.Duration
	// Signature as the client sent it, in hexadecimal. It tells one signed request from another.
	Signature string

	stringToSign []byte
}

// Parse reads the signature of a request whose body was read whole. Errors are *Error.
func Parse(r *http.Request, body []byte) (*Request, error) {
	p, err := parameters(r)
	if err != nil {
		return nil, err
	}
	out := &Request{Signature: p.signature, Token: p.token, Expires: p.expires}
	if err := out.scope(p.credential); err != nil {
		return nil, err
	}
	if out.Time, err = time.Parse(timeLayout, p.date); err != nil {
		return nil, incomplete("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", p.date)
	}
	if day := p.date[:len(dateLayout)]; day != out.Date { // timeLayout begins with it
		return nil, invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.",
			out.Date, day, p.date)
	}
	sum, err := canonicalHash(r, p, body)
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, 192), algorithm...)
	b = append(append(b, '\n'), p.date...)
	b = append(append(b, '\n'), p.credential[len(out.AccessKeyID)+1:]...)
	out.stringToSign = hex.AppendEncode(append(b, '\n'), sum[:])
	return out, nil
}

// scope reads a credential: the access key id and the scope of its signing key.
func (r *Request) scope(credential string) error {
	slashes := strings.Count(credential, "/")
	if slashes < 4 { // an access key id holds no slash
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", credential)
	}
	if last := credential[strings.LastIndexByte(credential, '/')+1:]; slashes > 4 || last != terminator {
		return incomplete("Credential should be scoped with a valid terminator: '%s', not '%s'.", terminator, last)
	}
	rest := credential
	for _, part := range []*string{&r.AccessKeyID, &r.Date, &r.Region, &r.Service} {
		*part, rest, _ = strings.Cut(rest, "/")
	}
	return nil
}

// Verify checks the signature by the key of its scope, and then the time. The comparison takes the same time wherever the two
// differ.
func (r *Request) Verify(key Key, now time.Time) error {
	var want [2 * sha256.Size]byte
	sum := hmacsha256.Sum(key[:], r.stringToSign)
	hex.Encode(want[:], sum[:])
	if subtle.ConstantTimeCompare(want[:], []byte(r.Signature)) != 1 {
		return invalid("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access " +
			"Key and signing method. Consult the service documentation for details.")
	}
	return r.checkTime(now)
}

func (r *Request) checkTime(now time.Time) error {
	format := func(t time.Time) string { return t.UTC().Format(timeLayout) }
	late := Skew
	if r.Expires > 0 {
		late = r.Expires
	}
	switch {
	case r.Time.After(now.Add(Skew)):
		return invalid("Signature not yet current: %s is still later than %s (%s + 5 min.)", format(r.Time), format(now.Add(Skew)), format(now))
	case r.Time.Before(now.Add(-late)):
		return invalid("Signature expired: %s is now earlier than %s (%s - %d min.)",
			format(r.Time), format(now.Add(-late)), format(now), int(late/time.Minute))
	}
	return nil
}

// CheckScope checks that the credential is scoped to a region and service that are served here.
func (r *Request) CheckScope(regions []string, service string) error {
	served := false
	for _, region := range regions {
		served = served || region == r.Region
	}
	switch {
	case !served:
		return invalid("Credential should be scoped to a valid region, not '%s'. Served here: %s.", r.Region, strings.Join(regions, ", "))
	case r.Service != service:
		return invalid("Credential should be scoped to correct service: '%s'.", service)
	}
	return nil
}
