package pki_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/pki"
)

func TestARevocationListIsBelievedByOpenSSLForEachKeyType(t *testing.T) {
	for _, a := range pki.KeyAlgorithms() {
		root := newRoot(t, a)
		good, bad := leafOf(t, root, keyOf(t, pki.ECPrime256v1), "good.example.com"), leafOf(t, root, keyOf(t, pki.ECPrime256v1), "bad.example.com")
		der, err := root.SignList(pki.List{
			Number: big.NewInt(7), ThisUpdate: now.Add(-day), NextUpdate: now.Add(7 * day),
			Revoked: []pki.Revoked{{Serial: bad.SerialNumber, Time: now.Add(-day), Reason: pki.KeyCompromise}},
		})
		if err != nil {
			t.Fatal(err)
		}
		list := file(t, "list.pem", pki.ListPEM(der))
		if out, err := strictly(t, root.Certificate(), nil, good, "-crl_check", "-CRLfile", list); err != nil {
			t.Errorf("%s: the one that is not revoked: %s", a, out)
		}
		if out, err := strictly(t, root.Certificate(), nil, bad, "-crl_check", "-CRLfile", list); err == nil || !strings.Contains(out, "revoked") {
			t.Errorf("%s: the revoked one: %s", a, out)
		}
		out, err := openssl(t, "crl", "-in", list, "-noout", "-text")
		for _, want := range []string{"Key Compromise", "X509v3 CRL Number", "X509v3 Authority Key Identifier", fmt.Sprintf("%X", bad.SerialNumber)} {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("%s: no %q in %s", a, want, out)
			}
		}
	}
}

func TestARevocationListIsInOrderAndHasItsReasons(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	reasons := []pki.Reason{
		"", pki.Unspecified, pki.KeyCompromise, pki.AuthorityCompromise, pki.AffiliationChanged, pki.Superseded, pki.CessationOfOperation,
		pki.PrivilegeWithdrawn, pki.AttributeCompromise,
	}
	want := []int{0, 0, 1, 2, 3, 4, 5, 9, 10} // RFC 5280, CRLReason
	var revoked []pki.Revoked
	for i, r := range reasons {
		if r != "" && !r.Valid() {
			t.Errorf("%s is no reason", r)
		}
		revoked = append(revoked, pki.Revoked{Serial: big.NewInt(int64(100 - i)), Time: now, Reason: r})
	}
	der, err := root.SignList(pki.List{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(day), Revoked: revoked})
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(root.Certificate()); err != nil {
		t.Error(err)
	}
	for i, e := range list.RevokedCertificateEntries {
		at := len(reasons) - 1 - i
		if e.SerialNumber.Int64() != int64(100-at) || e.ReasonCode != want[at] || !e.RevocationTime.Equal(now) {
			t.Errorf("entry %d is %v", i, e)
		}
	}
	if pki.Reason("CERTIFICATE_HOLD").Valid() || pki.Reason("").Valid() {
		t.Error("what AWS has not is a reason")
	}
}

func TestAnEmptyListIsAListAndOneWithoutTimeIsNone(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	if _, err := root.SignList(pki.List{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(day)}); err != nil {
		t.Error(err)
	}
	if _, err := root.SignList(pki.List{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now}); !errors.Is(err, pki.ErrValidity) {
		t.Error(err)
	}
}
