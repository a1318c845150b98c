package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fields are the parts of a signature as the request has them.
type fields struct {
	credential, signature, date, token string
	signedHeaders                      []string
	expires                            time.Duration
	presigned                          bool
}

// The limits of what is read of a request.
const (
	maximumAuthorization = 4096
	maximumQuery         = 16 * 1024
	maximumSignedHeaders = 64
)

// parameters reads the signature from the header or the query. A request with both is refused.
func parameters(r *http.Request) (*fields, error) {
	if len(r.URL.RawQuery) > maximumQuery {
		return nil, incomplete("The query has %d bytes; at most %d are taken.", len(r.URL.RawQuery), maximumQuery)
	}
	headers := r.Header.Values("Authorization")
	presigned := strings.Contains(r.URL.RawQuery, "X-Amz-Signature=") || strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm=")
	switch {
	case len(headers) > 1, len(headers) == 1 && presigned:
		return nil, incomplete("A request has one signature: in one Authorization header, or in the query.")
	case presigned:
		return presignedFields(r)
	case len(headers) == 0:
		return nil, &Error{Missing, "Missing Authentication Token"}
	}
	return headerFields(r, headers[0])
}

func headerFields(r *http.Request, header string) (*fields, error) {
	if len(header) > maximumAuthorization {
		return nil, incomplete("The Authorization header has %d bytes; at most %d are taken.", len(header), maximumAuthorization)
	}
	name, rest, _ := strings.Cut(header, " ")
	if err := checkAlgorithm(name); err != nil {
		return nil, err
	}
	var pairs authorization
	for part := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || !pairs.set(key, value) {
			return nil, incomplete("'%s' not a valid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '%s'.", key, redact(header))
		}
	}
	for at, key := range authorizationKeys {
		if pairs.known[at] == "" {
			return nil, incomplete("Authorization header requires '%s' parameter. (Hashed with SHA-256 and encoded with Base64) Authorization=%s", key, redact(header))
		}
	}
	date, err := one(r.Header, "X-Amz-Date")
	if err != nil {
		return nil, err
	}
	if date == "" {
		return nil, incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed with SHA-256 and encoded with Base64) Authorization=%s", redact(header))
	}
	token, err := one(r.Header, "X-Amz-Security-Token")
	f := &fields{credential: pairs.known[0], signature: pairs.known[1], date: date, token: token, signedHeaders: strings.Split(pairs.known[2], ";")}
	return f, err
}

// authorizationKeys are those that an Authorization header must have.
var authorizationKeys = [...]string{"Credential", "Signature", "SignedHeaders"}

// authorization is the pairs of an Authorization header: the values of authorizationKeys, and which others there are.
type authorization struct {
	known  [len(authorizationKeys)]string
	seen   [len(authorizationKeys)]bool
	others map[string]bool // there are none in what SDKs send, and may be a thousand in what nobody has signed
}

// set notes a pair. It is false if its key was there before.
func (a *authorization) set(key, value string) (first bool) {
	at := slices.Index(authorizationKeys[:], key)
	if at < 0 {
		first = !a.others[key]
		if a.others == nil {
			a.others = map[string]bool{}
		}
		a.others[key] = true
		return first
	}
	first = !a.seen[at]
	a.known[at], a.seen[at] = value, true
	return first
}

// redact is how AWS quotes a header that may hold a signature.
func redact(header string) string {
	sum := sha256.Sum256([]byte(header))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func checkAlgorithm(name string) error {
	switch name {
	case algorithm:
		return nil
	case asymmetric:
		return incomplete("%s (SigV4a) is not supported here: sign for one region with %s.", asymmetric, algorithm)
	}
	return incomplete("Authorization header requires the algorithm %s.", algorithm)
}

// one is the value of a header that must not occur twice.
func one(h http.Header, name string) (string, error) {
	values := h.Values(name)
	if len(values) > 1 {
		return "", incomplete("The header '%s' occurs %d times.", name, len(values))
	}
	if len(values) == 0 {
		return "", nil
	}
	return strings.TrimSpace(values[0]), nil
}

func presignedFields(r *http.Request) (*fields, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, incomplete("The query cannot be read.")
	}
	get := func(name string) string {
		if values := query[name]; len(values) == 1 {
			return values[0]
		}
		return ""
	}
	if err := checkAlgorithm(get("X-Amz-Algorithm")); err != nil {
		return nil, err
	}
	for _, name := range []string{"X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
		if get(name) == "" {
			return nil, incomplete("AWS query-string parameters must include '%s' once.", name)
		}
	}
	if len(query["X-Amz-Expires"]) == 0 { // aws-sdk-go-v2 leaves it out for STS, and AWS takes that for its usual time
		query.Set("X-Amz-Expires", strconv.Itoa(int(Skew/time.Second)))
	}
	seconds, err := strconv.ParseUint(get("X-Amz-Expires"), 10, 32) // what has more bits would be another time, in nanoseconds
	if err != nil || seconds < 1 || time.Duration(seconds)*time.Second > MaximumExpiry {
		return nil, incomplete("X-Amz-Expires must be a number of seconds from 1 to %d.", int(MaximumExpiry/time.Second))
	}
	return &fields{
		credential: get("X-Amz-Credential"), signature: get("X-Amz-Signature"), date: get("X-Amz-Date"),
		token: get("X-Amz-Security-Token"), signedHeaders: strings.Split(get("X-Amz-SignedHeaders"), ";"),
		expires: time.Duration(seconds) * time.Second, presigned: true,
	}, nil
}

// canonicalHash is the SHA-256 of what was signed, made anew from what was received.
func canonicalHash(r *http.Request, f *fields, body []byte) (sum [sha256.Size]byte, err error) {
	if err := checkSigned(r, f); err != nil {
		return sum, err
	}
	b := append(make([]byte, 0, 1024), r.Method...) // enough for what SDKs send
	b = append(append(b, '\n'), canonicalPath(r)...)
	b = append(append(b, '\n'), canonicalQuery(r.URL.RawQuery, f.presigned)...)
	b = append(b, '\n')
	for _, name := range f.signedHeaders {
		value, err := headerValue(r, name)
		if err != nil {
			return sum, err
		}
		b = append(append(b, name...), ':')
		b = append(append(b, value...), '\n')
	}
	b = append(b, '\n')
	for i, name := range f.signedHeaders {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	hashed := sha256.Sum256(body)
	start := len(b)
	b = hex.AppendEncode(b, hashed[:])
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" && claimed != string(b[start:]) {
		return sum, invalid("The value of x-amz-content-sha256 is not the SHA-256 of the body.")
	}
	return sha256.Sum256(b), nil
}

// checkSigned checks that all headers that decide what a request does are signed, in order and once.
func checkSigned(r *http.Request, f *fields) error {
	if len(f.signedHeaders) > maximumSignedHeaders {
		return incomplete("%d headers are signed; at most %d are taken.", len(f.signedHeaders), maximumSignedHeaders)
	}
	for i, name := range f.signedHeaders {
		if name == "" || name != strings.ToLower(name) || i > 0 && name <= f.signedHeaders[i-1] {
			return incomplete("SignedHeaders must be lower-case names in order, each once.")
		}
	}
	if missing := f.unsigned(r.Header); missing != "" {
		return invalid("'%s' must be a signed header.", missing)
	}
	return nil
}

// unsigned is the first header that must be signed and is not, so that a request is always answered alike; empty if there is none.
func (f *fields) unsigned(headers http.Header) (missing string) {
	if !slices.Contains(f.signedHeaders, "host") {
		missing = "host"
	}
	for name := range headers {
		if !f.mustSign(name) || slices.ContainsFunc(f.signedHeaders, func(s string) bool { return strings.EqualFold(s, name) }) {
			continue
		}
		if name = strings.ToLower(name); missing == "" || name < missing {
			missing = name
		}
	}
	return missing
}

// mustSign says whether a header, named in any case, decides what a request does.
func (f *fields) mustSign(name string) bool {
	const prefix = "x-amz-"
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) || !f.presigned && strings.EqualFold(name, "content-type")
}

// headerValue joins a header's values, without the blanks around them and with single ones within.
func headerValue(r *http.Request, name string) (string, error) {
	switch name {
	case "host":
		return r.Host, nil
	case "content-length": // net/http takes it out of the headers
		return strconv.FormatInt(r.ContentLength, 10), nil
	}
	canonical, known := canonicalNames[name]
	if !known {
		canonical = http.CanonicalHeaderKey(name)
	}
	values := r.Header[canonical]
	if len(values) == 0 {
		return "", invalid("The signed header '%s' is not in the request.", name)
	}
	if len(values) > 1 && (name == "content-type" || strings.HasPrefix(name, "x-amz-")) {
		return "", incomplete("The header '%s' occurs %d times.", name, len(values))
	}
	if len(values) == 1 {
		return singleBlanks(values[0]), nil
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = singleBlanks(v)
	}
	return strings.Join(out, ","), nil
}

// canonicalNames are the names that net/http has for those headers which SDKs sign, so that they need not be made for each request.
var canonicalNames = func() map[string]string {
	out := map[string]string{}
	for _, name := range []string{
		"amz-sdk-invocation-id", "amz-sdk-request", "content-type", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-target", "x-amzn-query-mode",
	} {
		out[name] = http.CanonicalHeaderKey(name)
	}
	return out
}()

// singleBlanks is a value without blanks around it and with single ones within. Most values are so already.
func singleBlanks(v string) string {
	v = strings.Trim(v, " \t")
	if !strings.Contains(v, "  ") && strings.IndexByte(v, '\t') < 0 {
		return v
	}
	return strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' || c == '\t' }), " ")
}

// canonicalPath is the path as it was sent, each segment encoded once more, as all services but S3 do.
func canonicalPath(r *http.Request) string {
	path := r.URL.EscapedPath()
	if path == "" || path == "/" {
		return "/"
	}
	return encode(path, true)
}

// canonicalQuery sorts the parameters by their encoded names, then values. It works on what was sent, so that two ways of
// writing one query are told apart no more than AWS does.
func canonicalQuery(raw string, presigned bool) string {
	if raw == "" {
		return ""
	}
	var pairs [][2]string
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		k, err1 := url.QueryUnescape(key)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			k, v = key, value // as it is: it will not match
		}
		if presigned && k == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, [2]string{encode(k, false), encode(v, false)})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	out := make([]string, len(pairs))
	for i, p := range pairs {
		out[i] = p[0] + "=" + p[1]
	}
	return strings.Join(out, "&")
}

// encode is AWS's URI encoding: all but the unreserved characters of RFC 3986, in upper-case hexadecimal.
func encode(s string, path bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0, path && c == '/':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
