package pki

import "errors"

// Why something is refused. Each error that is returned wraps one of these, and says which certificate and what of it.
var (
	// ErrMalformed: it is not the PEM or DER that it should be.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge: it is over its limit.
	ErrTooLarge = errors.New("too large")
	// ErrUnsupported: a type of key that AWS Certificate Manager has not.
	ErrUnsupported = errors.New("unsupported key")
	// ErrWeak: a key or a signature is too weak to be trusted.
	ErrWeak = errors.New("too weak")
	// ErrMismatch: private key and certificate do not belong together.
	ErrMismatch = errors.New("the private key is not the certificate's")
	// ErrExpired: a certificate is not valid any more.
	ErrExpired = errors.New("expired")
	// ErrNotYetValid: a certificate is not valid yet.
	ErrNotYetValid = errors.New("not yet valid")
	// ErrChain: the certificates are no chain, each issued by the next.
	ErrChain = errors.New("not a chain")
	// ErrNotAuthority: a certificate may not issue others, or not at this depth.
	ErrNotAuthority = errors.New("not an authority")
	// ErrInvalidName: a text is no DNS name, IP address, URI or email address that a certificate can have.
	ErrInvalidName = errors.New("invalid name")
	// ErrNotPermitted: a name is outside an authority's name constraints.
	ErrNotPermitted = errors.New("not permitted by the authority's name constraints")
	// ErrValidity: the time that is asked for cannot be given.
	ErrValidity = errors.New("invalid validity")
)
