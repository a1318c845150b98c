package pki_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/pki"
)

// descend makes authorities of path lengths one below the other; -1 is no limit.
func descend(t *testing.T, lengths ...int) *pki.Authority {
	t.Helper()
	limit := func(n int) *int {
		if n < 0 {
			return nil
		}
		return &n
	}
	a := newRoot(t, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.PathLength = limit(lengths[0]) })
	for i, n := range lengths[1:] {
		a = below(t, a, pki.ECPrime256v1, func(in *pki.AuthorityRequest) {
			in.Subject, in.PathLength = named(fmt.Sprintf("level %d", i+1)), limit(n)
		})
	}
	return a
}

func TestEachHierarchyThatCanBeMadeIsVerifiedByOpenSSLAndGo(t *testing.T) {
	for name, lengths := range map[string][]int{
		"a root alone":                      {-1},
		"a root that has none below it":     {0},
		"one below, without limits":         {-1, -1},
		"one below, which has none below":   {-1, 0},
		"one below a limit of one":          {1, 0},
		"three below, each with its limit":  {3, 2, 1, 0},
		"three below, of which one limits":  {-1, -1, 1, 0},
		"a limit that is not used up":       {8, 5, 0},
		"as many as a chain has room for":   {-1, -1, -1, -1, -1, -1, -1, -1, 0},
		"the limit of the root is the last": {7, 6, 5, 4, 3, 2, 1, 0},
	} {
		a := descend(t, lengths...)
		leaf := leafOf(t, a, keyOf(t, pki.ECPrime256v1), "a.example.com")
		chain := append([]*x509.Certificate{leaf}, a.Chain()...)
		if len(chain) != len(lengths)+1 {
			t.Fatalf("%s: a chain of %d", name, len(chain))
		}
		if err := pki.CheckChain(chain, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if out, err := strictly(t, chain[len(chain)-1], chain[1:len(chain)-1], leaf, "-purpose", "sslserver"); err != nil {
			t.Errorf("%s: openssl says %s", name, out)
		}
	}
}

func TestAPathLengthThatIsBrokenIsSeenByOpenSSLAndByCheckChain(t *testing.T) {
	for _, lengths := range [][]int{{0, -1}, {1, -1, -1}, {2, 1, -1, -1}} {
		// what the limits forbid is made by authorities of the same names and keys that have none
		free := descend(t, slices.Repeat([]int{-1}, len(lengths))...)
		leaf := leafOf(t, free, keyOf(t, pki.ECPrime256v1), "a.example.com")
		bound := newRoot(t, pki.ECPrime256v1, func(in *pki.AuthorityRequest) { in.PathLength = &lengths[0] })
		chain := append([]*x509.Certificate{leaf}, free.Chain()...)
		chain[len(chain)-1] = bound.Certificate()
		if lengths[0] < len(lengths)-1 {
			if err := pki.CheckChain(chain, now); !errors.Is(err, pki.ErrNotAuthority) {
				t.Errorf("%v: %v", lengths, err)
			}
			if out, err := strictly(t, bound.Certificate(), chain[1:len(chain)-1], leaf); err == nil || !strings.Contains(out, "path length") {
				t.Errorf("%v: openssl says %s", lengths, out)
			}
		}
	}
}

func TestAnAuthoritySignsByEachAlgorithmOfItsKeyAndNoOther(t *testing.T) {
	rsa := []x509.SignatureAlgorithm{x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS}
	ecdsa := []x509.SignatureAlgorithm{x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512}
	weak := []x509.SignatureAlgorithm{x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.MD5WithRSA, x509.PureEd25519}
	for _, a := range []pki.KeyAlgorithm{pki.RSA2048, pki.ECPrime256v1, pki.ECSecp384r1, pki.ECSecp521r1} {
		root := newRoot(t, a)
		fits, others := ecdsa, rsa
		if a == pki.RSA2048 {
			fits, others = rsa, ecdsa
		}
		issue := func(by x509.SignatureAlgorithm) (*x509.Certificate, error) {
			return root.Issue(keyOf(t, pki.ECPrime256v1).Public(), pki.LeafRequest{
				Names: names(t, "a.example.com"), NotBefore: now.Add(-time.Minute), NotAfter: now.Add(day), SignatureAlgorithm: by,
			})
		}
		for _, by := range fits {
			leaf, err := issue(by)
			if err != nil || leaf.SignatureAlgorithm != by {
				t.Errorf("%s by %s: %v", a, by, err)
				continue
			}
			if out, err := strictly(t, root.Certificate(), nil, leaf); err != nil {
				t.Errorf("%s by %s: openssl says %s", a, by, out)
			}
			if err := pki.CheckChain([]*x509.Certificate{leaf, root.Certificate()}, now); err != nil {
				t.Errorf("%s by %s: %v", a, by, err)
			}
		}
		for _, by := range slices.Concat(others, weak) {
			if leaf, err := issue(by); err == nil {
				t.Errorf("%s by %s: issued with %s", a, by, leaf.SignatureAlgorithm)
			}
		}
	}
}

func TestEachUsageIsThatOfItsPurposeAlone(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	for name, tt := range map[string]struct {
		usages      []x509.ExtKeyUsage
		good, wrong []string
	}{
		"server": {[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []string{"sslserver"}, []string{"sslclient", "smimesign", "timestampsign"}},
		"client": {[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, []string{"sslclient"}, []string{"sslserver", "smimesign"}},
		"none":   {nil, []string{"sslserver", "sslclient"}, []string{"smimesign", "timestampsign"}},
		"code":   {[]x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, []string{"any"}, []string{"sslserver", "sslclient"}},
		"emails": {[]x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, []string{"smimesign"}, []string{"sslserver"}},
	} {
		leaf, err := root.Issue(keyOf(t, pki.ECPrime256v1).Public(), pki.LeafRequest{
			Names: names(t, "a.example.com"), NotBefore: now.Add(-time.Minute), NotAfter: now.Add(day), Usages: tt.usages,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, purpose := range tt.good {
			if out, err := strictly(t, root.Certificate(), nil, leaf, "-purpose", purpose); err != nil {
				t.Errorf("%s for %s: %s", name, purpose, out)
			}
		}
		for _, purpose := range tt.wrong {
			if out, err := strictly(t, root.Certificate(), nil, leaf, "-purpose", purpose); err == nil {
				t.Errorf("%s is good for %s: %s", name, purpose, out)
			}
		}
	}
}

var (
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidAuthorityKeyID   = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidNames            = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidNameConstraints  = asn1.ObjectIdentifier{2, 5, 29, 30}
)

func extension(c *x509.Certificate, id asn1.ObjectIdentifier) (found pkix.Extension, there bool) {
	at := slices.IndexFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(id) })
	if at < 0 {
		return found, false
	}
	return c.Extensions[at], true
}

// What RFC 5280 asks of each certificate, which verifiers let pass or not as they like.
func TestTheExtensionsAreThoseOfRFC5280(t *testing.T) {
	root := newRoot(t, pki.RSA2048, func(in *pki.AuthorityRequest) { in.Constraints.PermittedDNS = []string{"example.com"} })
	middle := below(t, root, pki.ECSecp384r1)
	for _, a := range pki.KeyAlgorithms() {
		leaf := leafOf(t, middle, keyOf(t, a), "a.example.com")
		for _, c := range []*x509.Certificate{leaf, middle.Certificate(), root.Certificate()} {
			if c.Version != 3 || c.SerialNumber.Sign() <= 0 || len(c.SerialNumber.Bytes()) > 20 {
				t.Errorf("%s: version %d, serial number %s", c.Subject, c.Version, c.SerialNumber)
			}
			if usage, there := extension(c, oidKeyUsage); !there || !usage.Critical {
				t.Errorf("%s: the key's usage is not critical", c.Subject)
			}
			if id, there := extension(c, oidSubjectKeyID); !there || id.Critical || len(c.SubjectKeyId) != 20 {
				t.Errorf("%s: the key's identifier is %x", c.Subject, c.SubjectKeyId)
			}
		}
		if basic, there := extension(middle.Certificate(), oidBasicConstraints); !there || !basic.Critical {
			t.Error("that it is an authority is not critical")
		}
		if leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
			t.Errorf("%s: a leaf that may issue", a)
		}
		if rsa := strings.HasPrefix(string(a), "RSA"); (leaf.KeyUsage&x509.KeyUsageKeyEncipherment != 0) != rsa {
			t.Errorf("%s: its key's usage is %b", a, leaf.KeyUsage)
		}
		if id, there := extension(leaf, oidAuthorityKeyID); !there || id.Critical || !bytes.Equal(leaf.AuthorityKeyId, middle.Certificate().SubjectKeyId) {
			t.Errorf("%s: the issuer's key is %x", a, leaf.AuthorityKeyId)
		}
	}
	if constraints, there := extension(root.Certificate(), oidNameConstraints); !there || !constraints.Critical {
		t.Error("name constraints that are not critical can be passed over")
	}
	nameless, err := root.Issue(keyOf(t, pki.ECPrime256v1).Public(), pki.LeafRequest{Names: names(t, "a.example.com"), NotBefore: now, NotAfter: now.Add(day)})
	if err != nil {
		t.Fatal(err)
	}
	if alternative, there := extension(nameless, oidNames); !there || !alternative.Critical {
		t.Error("the names of a certificate without a subject are not critical (RFC 5280, section 4.2.1.6)")
	}
}

func TestTimesFarAwayAreWrittenSoThatOpenSSLReadsThem(t *testing.T) {
	for name, tt := range map[string]struct{ from, to time.Time }{
		"from 1950":             {time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), now.Add(year)},
		"up to the end of 2049": {now.Add(-day), time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)},
		"up to 2050":            {now.Add(-day), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)},
		"up to the last second": {now.Add(-day), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		"in another time zone":  {now.Add(-day).In(time.FixedZone("x", 3600)), now.Add(day).In(time.FixedZone("y", -7200))},
		"of a part of a second": {now.Add(-day + 999*time.Millisecond), now.Add(day + time.Nanosecond)},
	} {
		c, err := pki.NewRoot(keyOf(t, pki.ECPrime256v1), pki.AuthorityRequest{Subject: named("far"), NotBefore: tt.from, NotAfter: tt.to}, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !c.NotBefore.Equal(tt.from.Truncate(time.Second)) || !c.NotAfter.Equal(tt.to.Truncate(time.Second)) {
			t.Errorf("%s: from %s to %s", name, c.NotBefore, c.NotAfter)
		}
		if out, err := strictly(t, c, nil, c); err != nil {
			t.Errorf("%s: openssl says %s", name, out)
		}
	}
	for name, tt := range map[string]struct{ from, to time.Time }{
		"from 1949": {time.Date(1949, 12, 31, 23, 59, 59, 0, time.UTC), now}, "up to 10000": {now, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"of no time": {now, now}, "of less than a second": {now, now.Add(999 * time.Millisecond)}, "backwards": {now, now.Add(-time.Second)},
	} {
		_, err := pki.NewRoot(keyOf(t, pki.ECPrime256v1), pki.AuthorityRequest{Subject: named("never"), NotBefore: tt.from, NotAfter: tt.to}, nil)
		if !errors.Is(err, pki.ErrValidity) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASubjectOfEachPartAndScriptComesBack(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	for _, subject := range []pkix.Name{
		{CommonName: "Bücher & Söhne", Organization: []string{"Ελλάδα"}, Country: []string{"DE"}, Province: []string{"Bayern"}, Locality: []string{"München"}},
		{CommonName: "a,b+c=d\"e\\f;g<h>#i", OrganizationalUnit: []string{"one", "two"}}, {CommonName: strings.Repeat("x", 64)}, {SerialNumber: "42", CommonName: " "},
	} {
		leaf, err := root.Issue(keyOf(t, pki.ECPrime256v1).Public(), pki.LeafRequest{Subject: subject, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(day)})
		if err != nil {
			t.Errorf("%v: %v", subject, err)
			continue
		}
		if leaf.Subject.String() != subject.String() {
			t.Errorf("%s became %s", subject, leaf.Subject)
		}
		if out, err := strictly(t, root.Certificate(), nil, leaf); err != nil {
			t.Errorf("%s: openssl says %s", subject, out)
		}
	}
}

func TestTheSerialNumberIsWhatTheRandomSourceGives(t *testing.T) {
	want := bytes.Repeat([]byte{0xab}, 16)
	a := authority(t, keyOf(t, pki.ECPrime256v1), newRoot(t, pki.ECPrime256v1).Certificate())
	for _, name := range []string{"a.example.com", "b.example.com"} {
		a.Random = bytes.NewReader(want)
		if leaf := leafOf(t, a, keyOf(t, pki.ECSecp384r1), name); leaf.SerialNumber.Cmp(new(big.Int).SetBytes(want)) != 0 {
			t.Errorf("%s: %x", name, leaf.SerialNumber)
		}
	}
	a.Random = bytes.NewReader(want[:15])
	_, err := a.Issue(keyOf(t, pki.ECSecp384r1).Public(), pki.LeafRequest{Names: names(t, "a.example.com"), NotBefore: now, NotAfter: now.Add(day)})
	if err == nil || !strings.Contains(err.Error(), "serial number") {
		t.Errorf("a source that runs dry: %v", err)
	}
}
