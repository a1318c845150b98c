package pki

import (
	"crypto"
	"encoding/pem"
	"fmt"

	"github.com/youmark/pkcs8"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	// exportIterations of PBKDF2 with HMAC-SHA-256.
	// https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#pbkdf2
	exportIterations = 600_000
	// exportSalt is the length of the salt in bytes (NIST SP 800-132, section 5.1: at least 16).
	exportSalt = 16

	// MinimumPassphrase is the length of the shortest passphrase in bytes.
	// https://docs.aws.amazon.com/acm/latest/APIReference/API_ExportCertificate.html
	MinimumPassphrase = 4
	// MaximumPassphrase is the longest.
	MaximumPassphrase = 128
)

// EncryptKey writes a private key in PEM, encrypted under a passphrase: PKCS #8 with PBES2, PBKDF2-HMAC-SHA-256 and AES-256-CBC (RFC 8018),
// which openssl pkey reads. It wraps ErrTooLarge for a passphrase that is too short or too long.
func EncryptKey(der, passphrase secretbytes.Bytes) ([]byte, error) {
	if n := passphrase.Len(); n < MinimumPassphrase || n > MaximumPassphrase {
		return nil, fmt.Errorf("%w: a passphrase has %d to %d bytes", ErrTooLarge, MinimumPassphrase, MaximumPassphrase)
	}
	var out []byte
	var err error
	secretbytes.Do(func() {
		var key crypto.Signer
		if key, err = ParsePKCS8(der.Reveal()); err != nil {
			return
		}
		var encrypted []byte
		encrypted, err = pkcs8.MarshalPrivateKey(key, passphrase.Reveal(), &pkcs8.Opts{
			Cipher:  pkcs8.AES256CBC,
			KDFOpts: pkcs8.PBKDF2Opts{SaltSize: exportSalt, IterationCount: exportIterations, HMACHash: crypto.SHA256},
		})
		if err != nil {
			err = errKey
			return
		}
		out = pem.EncodeToMemory(&pem.Block{Type: encryptedBlock, Bytes: encrypted})
	})
	return out, err
}
