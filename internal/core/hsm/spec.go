package hsm

import (
	"crypto"
	"fmt"
)

// Limits of requests, in bytes.
const (
	// MaxRandom is that of AWS KMS's GenerateRandom.
	MaxRandom = 1024
	// KeySize is the size of what Wrap takes and of every AES key here.
	KeySize = 32
	// MaxAAD is more than an encryption context of 8 KiB takes when it is encoded.
	MaxAAD = 64 << 10
	// MaxPlaintext is that of AWS KMS's Encrypt.
	MaxPlaintext = 4096
	// MaxToken is more than a key token of RSA 4096 takes.
	MaxToken = 8 << 10
	// MaxDomainKeys is the most epochs that a token may have.
	MaxDomainKeys = 256
	// MaxMessage is the most that any message may have.
	MaxMessage = 512 << 10
	// CheckValueSize is that of a key check value (ANSI X9.24-1:2017, for AES).
	CheckValueSize = 5
)

// KeyFamily is what a key's algorithm is.
type KeyFamily int

// The families.
const (
	AES KeyFamily = iota + 1
	EC
	RSA
)

// KeySpec is a kind of key that a node makes. Its name is AWS KMS's.
type KeySpec struct {
	Name   string
	Family KeyFamily
	// Bits of the curve's field or of the modulus.
	Bits int
	// number stands for it in tokens and never changes.
	number byte
}

var keySpecs = []KeySpec{
	{"SYMMETRIC_DEFAULT", AES, 256, 1},
	{"ECC_NIST_P256", EC, 256, 2},
	{"ECC_NIST_P384", EC, 384, 3},
	{"ECC_NIST_P521", EC, 521, 4},
	{"RSA_2048", RSA, 2048, 5},
	{"RSA_3072", RSA, 3072, 6},
	{"RSA_4096", RSA, 4096, 7},
}

// KeySpecs are all specs that nodes make.
func KeySpecs() []KeySpec { return append([]KeySpec(nil), keySpecs...) }

// ParseKeySpec finds a spec by AWS KMS's name, or fails with ErrUnsupported.
func ParseKeySpec(name string) (KeySpec, error) {
	for _, s := range keySpecs {
		if s.Name == name {
			return s, nil
		}
	}
	return KeySpec{}, fmt.Errorf("%w: key spec %q", ErrUnsupported, name)
}

func keySpecOf(number byte) (KeySpec, bool) {
	for _, s := range keySpecs {
		if s.number == number {
			return s, true
		}
	}
	return KeySpec{}, false
}

// SigningAlgorithm is a way to sign a digest. Its name is AWS KMS's.
type SigningAlgorithm struct {
	Name   string
	Family KeyFamily
	// PSS is RSASSA-PSS with a salt as long as the digest, and PKCS #1 v1.5 if it is not set.
	PSS  bool
	Hash crypto.Hash
	// Bits of the one curve that it is for.
	Bits int
}

var signingAlgorithms = []SigningAlgorithm{
	{"ECDSA_SHA_256", EC, false, crypto.SHA256, 256},
	{"ECDSA_SHA_384", EC, false, crypto.SHA384, 384},
	{"ECDSA_SHA_512", EC, false, crypto.SHA512, 521},
	{"RSASSA_PKCS1_V1_5_SHA_256", RSA, false, crypto.SHA256, 0},
	{"RSASSA_PKCS1_V1_5_SHA_384", RSA, false, crypto.SHA384, 0},
	{"RSASSA_PKCS1_V1_5_SHA_512", RSA, false, crypto.SHA512, 0},
	{"RSASSA_PSS_SHA_256", RSA, true, crypto.SHA256, 0},
	{"RSASSA_PSS_SHA_384", RSA, true, crypto.SHA384, 0},
	{"RSASSA_PSS_SHA_512", RSA, true, crypto.SHA512, 0},
}

// SigningAlgorithms are all that a key of spec signs with.
func SigningAlgorithms(spec KeySpec) []SigningAlgorithm {
	var out []SigningAlgorithm
	for _, a := range signingAlgorithms {
		if a.Family == spec.Family && (a.Bits == 0 || a.Bits == spec.Bits) {
			out = append(out, a)
		}
	}
	return out
}

// ParseSigningAlgorithm finds the algorithm for a key of spec, or fails with ErrUnsupported.
func ParseSigningAlgorithm(name string, spec KeySpec) (SigningAlgorithm, error) {
	for _, a := range SigningAlgorithms(spec) {
		if a.Name == name {
			return a, nil
		}
	}
	return SigningAlgorithm{}, fmt.Errorf("%w: a key of spec %s does not sign with %q", ErrUnsupported, spec.Name, name)
}
