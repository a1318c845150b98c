// Package pki issues, reads and checks X.509 certificates: authorities, leaves, certificate requests and revocation lists. All of it
// is Go's crypto/x509 over a crypto.Signer, so that an authority's key may be anywhere.
// https://www.rfc-editor.org/rfc/rfc5280
//
// What it reads is untrusted: every input has a limit (limits.go), nothing may trail, and what is weak, mismatched, expired or outside
// an authority's name constraints is refused with an error that says which part it was and why. What it issues is good for
// `openssl verify -x509_strict` and for Go's verifier.
package pki
