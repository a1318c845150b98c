package keys

import (
	"crypto/fips140"
	"errors"
	"fmt"
)

// ErrNotApproved says that something is not in Go's FIPS 140-3 module, and that this process does nothing else: it runs with
// GODEBUG=fips140=only. It is AWS KMS's UnsupportedOperationException.
// https://go.dev/doc/security/fips140
var ErrNotApproved = errors.New("it is not in the FIPS 140-3 module, and GODEBUG=fips140=only allows nothing else")

// CheckApproved fails with ErrNotApproved for keys that this process may not make or use. Their public halves are told all the same.
func (s Spec) CheckApproved() error {
	if specifications[s].outside && fips140.Enforced() {
		return fmt.Errorf("%w: the key spec %s", ErrNotApproved, s)
	}
	return nil
}

// CheckApproved is Spec.CheckApproved of an encryption algorithm: SHA-1 is not approved, and panics.
func (a EncryptionAlgorithm) CheckApproved() error {
	if a == OAEPSHA1 && fips140.Enforced() {
		return fmt.Errorf("%w: the algorithm %s", ErrNotApproved, a)
	}
	return nil
}

// approvedMu is Spec.CheckApproved of verifying by an external μ, which the module does not offer.
func approvedMu() error {
	if fips140.Enforced() {
		return fmt.Errorf("%w: verifying by %s; send the message as %s", ErrNotApproved, ExternalMu, Raw)
	}
	return nil
}
