package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"golang.org/x/text/secure/precis"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	// iterations and saltLength are PostgreSQL's own. https://www.postgresql.org/docs/current/protocol-authentication.html
	iterations = 4096
	saltLength = 16
)

// verifier is what the server stores of a password: it is made here, so that no statement, and no log of statements, holds the
// password itself. RFC 5802, section 3, in the form of PostgreSQL's pg_authid.
func (e Engine) verifier(password secretbytes.Bytes) (string, error) {
	salt, err := secretbytes.Random(e.Random, saltLength)
	if err != nil {
		return "", rotation.Because(rotation.ErrServer, "no random bytes")
	}
	return verifierOf(password, salt.Reveal(), iterations)
}

func verifierOf(password secretbytes.Bytes, salt []byte, count int) (string, error) {
	text := string(password.Reveal())
	if prepared, err := precis.OpaqueString.String(text); err == nil { // else it is taken as it is, as the server does (SASLprep)
		text = prepared
	}
	salted, err := pbkdf2.Key(sha256.New, text, salt, count, sha256.Size)
	if err != nil {
		return "", rotation.Because(rotation.ErrServer, "the password cannot be hashed")
	}
	defer clear(salted)
	client := mac(salted, "Client Key")
	stored := sha256.Sum256(client)
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", count, encode(salt), encode(stored[:]), encode(mac(salted, "Server Key"))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
