package pki_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/pki"
)

// listOf is an authority's list for a week.
func listOf(t testing.TB, a *pki.Authority, number int64, revoked ...pki.Revoked) []byte {
	t.Helper()
	der, err := a.SignList(pki.List{Number: big.NewInt(number), ThisUpdate: now.Add(-day), NextUpdate: now.Add(6 * day), Revoked: revoked})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestAListIsBelievedOfItsOwnAuthorityAndForItsTimeAlone(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	leaf := leafOf(t, root, keyOf(t, pki.ECSecp384r1), "a.example.com")
	// another authority of the same name, with another key
	key := newKey(t, pki.ECPrime256v1)
	other := authority(t, key, must(pki.NewRoot(key, pki.AuthorityRequest{
		Subject: named("root " + string(pki.ECPrime256v1)), NotBefore: now.Add(-day), NotAfter: now.Add(year),
	}, nil)))
	for name, tt := range map[string]struct {
		by   *pki.Authority
		at   time.Time
		says string // nothing if it is believed
	}{
		"its own":                          {root, now, ""},
		"its own, a second before its end": {root, now.Add(6*day - time.Second), ""},
		"its own, after its end":           {root, now.Add(6*day + time.Second), "CRL has expired"},
		"its own, before its begin":        {root, now.Add(-day - time.Second), "CRL is not yet valid"},
		"of another of the same name":      {other, now, "CRL"},
	} {
		list := file(t, "list.pem", pki.ListPEM(listOf(t, tt.by, 1)))
		out, err := strictly(t, root.Certificate(), nil, leaf, "-crl_check", "-CRLfile", list, "-attime", strconv.FormatInt(tt.at.Unix(), 10))
		if (err == nil) != (tt.says == "") || !strings.Contains(out, tt.says) {
			t.Errorf("%s: %v, openssl says %s", name, err, out)
		}
	}
	if out, err := strictly(t, root.Certificate(), nil, leaf, "-crl_check"); err == nil {
		t.Errorf("without a list: %s", out)
	}
}

func TestAListBelowARootSpeaksForItsOwnLeavesAlone(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	middle := below(t, root, pki.ECSecp384r1)
	good, bad := leafOf(t, middle, keyOf(t, pki.ECPrime256v1), "good.example.com"), leafOf(t, middle, keyOf(t, pki.ECPrime256v1), "bad.example.com")
	both := file(t, "lists.pem", append(pki.ListPEM(listOf(t, root, 1)), pki.ListPEM(listOf(t, middle, 1, pki.Revoked{Serial: bad.SerialNumber, Time: now}))...))
	between := []*x509.Certificate{middle.Certificate()}
	if out, err := strictly(t, root.Certificate(), between, good, "-crl_check_all", "-CRLfile", both); err != nil {
		t.Error(out)
	}
	if out, err := strictly(t, root.Certificate(), between, bad, "-crl_check_all", "-CRLfile", both); err == nil || !strings.Contains(out, "revoked") {
		t.Error(out)
	}
	gone := file(t, "gone.pem", append(pki.ListPEM(listOf(t, root, 2, pki.Revoked{Serial: middle.Certificate().SerialNumber, Time: now, Reason: pki.AuthorityCompromise})),
		pki.ListPEM(listOf(t, middle, 1))...))
	if out, err := strictly(t, root.Certificate(), between, good, "-crl_check_all", "-CRLfile", gone); err == nil || !strings.Contains(out, "revoked") {
		t.Errorf("below an authority that is revoked: %s", out)
	}
}

func TestALongListIsReadByOpenSSLAndHoldsEachOnce(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	var revoked []pki.Revoked
	for i := range 3000 {
		revoked = append(revoked, pki.Revoked{Serial: big.NewInt(int64(1 + (i*7919)%3001)), Time: now.Add(-time.Duration(i) * time.Second), Reason: pki.Superseded})
	}
	der := listOf(t, root, 1<<40, revoked...)
	list, err := x509.ParseRevocationList(der)
	if err != nil || len(list.RevokedCertificateEntries) != len(revoked) || list.Number.Int64() != 1<<40 {
		t.Fatalf("%v, %v", list, err)
	}
	for i, e := range list.RevokedCertificateEntries[1:] {
		if e.SerialNumber.Cmp(list.RevokedCertificateEntries[i].SerialNumber) <= 0 {
			t.Fatalf("entry %d is not behind the one before it", i+1)
		}
	}
	path := file(t, "list.pem", pki.ListPEM(der))
	out, err := openssl(t, "crl", "-in", path, "-noout", "-verify", "-CAfile", file(t, "root.pem", pki.CertificatesPEM(root.Chain())))
	if err != nil || !strings.Contains(out, "verify OK") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestTheTimesOfAListAreWholeSecondsInUTC(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	zone := time.FixedZone("x", 5*3600)
	der, err := root.SignList(pki.List{
		Number: big.NewInt(1), ThisUpdate: now.Add(500 * time.Millisecond).In(zone), NextUpdate: now.Add(day).In(zone),
		Revoked: []pki.Revoked{{Serial: big.NewInt(5), Time: now.Add(700 * time.Millisecond).In(zone)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil || !list.ThisUpdate.Equal(now) || !list.NextUpdate.Equal(now.Add(day)) || !list.RevokedCertificateEntries[0].RevocationTime.Equal(now) {
		t.Errorf("%v, %v", list, err)
	}
}

// failing is a key whose module is gone.
type failing struct{ crypto.Signer }

var errGone = errors.New("the module is gone")

func (failing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errGone }

func TestASignerThatFailsOrLiesMakesNoListAndNoAuthority(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	in := pki.List{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(day)}
	if der, err := authority(t, failing{keyOf(t, pki.ECPrime256v1)}, root.Certificate()).SignList(in); !errors.Is(err, errGone) || der != nil {
		t.Errorf("a list: %v", err)
	}
	request := pki.AuthorityRequest{Subject: named("x"), NotBefore: now, NotAfter: now.Add(day)}
	if _, err := pki.NewRoot(failing{keyOf(t, pki.ECPrime256v1)}, request, nil); !errors.Is(err, errGone) || !strings.Contains(err.Error(), "CN=x") {
		t.Errorf("a root: %v", err)
	}
	if c, err := pki.NewRoot(broken{keyOf(t, pki.ECPrime256v1)}, request, nil); err == nil {
		t.Errorf("a root whose signature is wrong: %v", c.Subject)
	}
	_, err := authority(t, failing{keyOf(t, pki.ECPrime256v1)}, root.Certificate()).IssueAuthority(keyOf(t, pki.ECSecp384r1).Public(), request)
	if !errors.Is(err, errGone) {
		t.Errorf("one below: %v", err)
	}
}

func TestAListOfAnAuthorityWithoutTheRightToSignListsIsNotMade(t *testing.T) {
	key := keyOf(t, pki.ECPrime256v1)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "no lists"}, NotBefore: now, NotAfter: now.Add(year),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{1},
	}
	c := must(x509.ParseCertificate(must(x509.CreateCertificate(nil, template, template, key.Public(), key))))
	if _, err := authority(t, key, c).SignList(pki.List{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(day)}); err == nil {
		t.Error("a list that nobody believes")
	}
}
