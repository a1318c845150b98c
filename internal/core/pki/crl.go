package pki

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Reason is why a certificate was revoked, by its name in AWS Private CA.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_RevokeCertificate.html#privateca-RevokeCertificate-request-RevocationReason
type Reason string

// The reasons of revocation.
const (
	Unspecified          Reason = "UNSPECIFIED"
	KeyCompromise        Reason = "KEY_COMPROMISE"
	AuthorityCompromise  Reason = "CERTIFICATE_AUTHORITY_COMPROMISE"
	AffiliationChanged   Reason = "AFFILIATION_CHANGED"
	Superseded           Reason = "SUPERSEDED"
	CessationOfOperation Reason = "CESSATION_OF_OPERATION"
	PrivilegeWithdrawn   Reason = "PRIVILEGE_WITHDRAWN"
	AttributeCompromise  Reason = "A_A_COMPROMISE"
)

// codes are the numbers of the reasons in a revocation list (RFC 5280, section 5.3.1).
var codes = map[Reason]int{
	Unspecified: 0, KeyCompromise: 1, AuthorityCompromise: 2, AffiliationChanged: 3, Superseded: 4, CessationOfOperation: 5,
	PrivilegeWithdrawn: 9, AttributeCompromise: 10,
}

// Valid tells whether it is one of the reasons.
func (r Reason) Valid() bool {
	_, known := codes[r]
	return known
}

// Revoked is one certificate that is not to be trusted any more.
type Revoked struct {
	// Serial number of the certificate.
	Serial *big.Int
	// Time of the revocation.
	Time time.Time
	// Reason is Unspecified if empty.
	Reason Reason
}

// List is a certificate revocation list to be made.
type List struct {
	// Number grows with each list.
	Number *big.Int
	// ThisUpdate and NextUpdate are when it was made, and when the next one will have been at the latest.
	ThisUpdate, NextUpdate time.Time
	// Revoked are the certificates of the authority that are revoked and have not expired.
	Revoked []Revoked
}

// SignList makes a revocation list in DER, with its entries in the order of serial numbers.
// https://www.rfc-editor.org/rfc/rfc5280#section-5
func (a *Authority) SignList(in List) ([]byte, error) {
	if !in.ThisUpdate.Before(in.NextUpdate) {
		return nil, fmt.Errorf("%w: the next revocation list would be due before this one is made", ErrValidity)
	}
	algorithm, err := AlgorithmOf(a.certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	entries := make([]x509.RevocationListEntry, 0, len(in.Revoked))
	for _, r := range in.Revoked {
		entries = append(entries, x509.RevocationListEntry{
			SerialNumber: r.Serial, RevocationTime: r.Time.UTC().Truncate(time.Second), ReasonCode: codes[r.Reason],
		})
	}
	slices.SortFunc(entries, func(x, y x509.RevocationListEntry) int { return x.SerialNumber.Cmp(y.SerialNumber) })
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		SignatureAlgorithm: SignatureAlgorithmOf(algorithm), RevokedCertificateEntries: entries,
		Number: in.Number, ThisUpdate: in.ThisUpdate.UTC().Truncate(time.Second), NextUpdate: in.NextUpdate.UTC().Truncate(time.Second),
	}, a.certificate, a.signer)
	if err != nil {
		return nil, fmt.Errorf("signing the revocation list of %s: %w", shown(a.certificate), err)
	}
	return der, nil
}
