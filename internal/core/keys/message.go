package keys

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
)

// MaxMessage is the longest message that is signed as it is, in bytes. Of longer ones the digest is signed.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html#KMS-Sign-request-Message
const MaxMessage = 4096

// muSize is the length of a message representative μ of ML-DSA in bytes (FIPS 204, algorithm 7, line 6).
const muSize = 64

var (
	// ErrDigestLength says that what is given as a digest, or as a μ of ML-DSA, is not as long as those of the algorithm.
	ErrDigestLength = errors.New("the digest has another length than the algorithm's")
	// ErrMessageType says that an algorithm takes no messages of that type. It is a ValidationException of AWS KMS.
	ErrMessageType = errors.New("the algorithm does not take messages of that type")
)

// MessageType is what is handed over of a message, by AWS's name.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html#KMS-Sign-request-MessageType
type MessageType string

// The message types that there are.
const (
	// Raw is the message itself. A type that is left out means it, too.
	Raw MessageType = "RAW"
	// Digested is the message's digest, which is not hashed again. ED25519_PH_SHA_512 is the exception: its input is as long as a digest, and is the
	// message of Ed25519ph, which hashes it, so that it is hashed twice.
	Digested MessageType = "DIGEST"
	// ExternalMu is the message representative μ of ML-DSA: SHAKE256(SHAKE256(public key, 64) ‖ 0 ‖ 0 ‖ message, 64) of FIPS 204, section 6.2.
	ExternalMu MessageType = "EXTERNAL_MU"
)

// Message is what is signed, or what its Type says of it.
type Message struct {
	Bytes []byte
	Type  MessageType
}

// scheme is a SigningAlgorithm taken apart.
type scheme struct {
	hash crypto.Hash // 0 if the algorithm hashes by itself
	pss  bool
	// prehash tells that what the algorithm's own hash is of is a digest by the same one already.
	prehash bool
	// types are the messages that it takes.
	types []MessageType
}

var (
	hashed  = []MessageType{Raw, Digested}
	schemes = map[SigningAlgorithm]scheme{
		PSSSHA256: {hash: crypto.SHA256, pss: true, types: hashed}, PSSSHA384: {hash: crypto.SHA384, pss: true, types: hashed},
		PSSSHA512: {hash: crypto.SHA512, pss: true, types: hashed}, PKCS1SHA256: {hash: crypto.SHA256, types: hashed},
		PKCS1SHA384: {hash: crypto.SHA384, types: hashed}, PKCS1SHA512: {hash: crypto.SHA512, types: hashed},
		ECDSASHA256: {hash: crypto.SHA256, types: hashed}, ECDSASHA384: {hash: crypto.SHA384, types: hashed},
		ECDSASHA512: {hash: crypto.SHA512, types: hashed}, ED25519SHA512: {types: []MessageType{Raw}},
		ED25519PHSHA512: {hash: crypto.SHA512, prehash: true, types: []MessageType{Digested}},
		MLDSASHAKE256:   {types: []MessageType{Raw, ExternalMu}},
	}
)

// typed is the message with a type that was left out.
func (m Message) typed() Message {
	if m.Type == "" {
		m.Type = Raw
	}
	return m
}

// Check fails with ErrAlgorithm for an algorithm that there is not, with ErrMessageType for one that takes no messages of this type, with
// ErrTooLarge for a message over MaxMessage, and with ErrDigestLength.
func (m Message) Check(a SigningAlgorithm) error {
	m = m.typed()
	s, ok := schemes[a]
	switch {
	case !ok:
		return fmt.Errorf("%w: there is no algorithm %.40q", ErrAlgorithm, string(a))
	case !slices.Contains(s.types, m.Type):
		return fmt.Errorf("%w: %s takes %v, and this is %.40q", ErrMessageType, a, s.types, string(m.Type))
	case m.Type == Digested && len(m.Bytes) != s.hash.Size():
		return fmt.Errorf("%w: it is %d bytes, and those of %s are %d", ErrDigestLength, len(m.Bytes), a, s.hash.Size())
	case m.Type == ExternalMu && len(m.Bytes) != muSize:
		return fmt.Errorf("%w: μ is %d bytes, and those of %s are %d", ErrDigestLength, len(m.Bytes), a, muSize)
	case len(m.Bytes) > MaxMessage:
		return fmt.Errorf("%w: the message is %d bytes and the limit is %d; sign its digest", ErrTooLarge, len(m.Bytes), MaxMessage)
	}
	return nil
}

// Digest is what the algorithm's primitive signs: the digest of a message, or the message itself for algorithms that hash by themselves. It fails
// as Check does.
func (m Message) Digest(a SigningAlgorithm) ([]byte, error) {
	m = m.typed()
	if err := m.Check(a); err != nil {
		return nil, err
	}
	s := schemes[a]
	if s.hash == 0 || m.Type == Digested && !s.prehash {
		return m.Bytes, nil
	}
	h := s.hash.New()
	h.Write(m.Bytes)
	return h.Sum(nil), nil
}

// options tell crypto.Signer how to sign what Message.Digest made of a message of a type.
func (s scheme) options(t MessageType) crypto.SignerOpts {
	switch {
	case s.pss:
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}
	case s.prehash:
		return &ed25519.Options{Hash: s.hash}
	case t == ExternalMu:
		return crypto.MLDSAMu
	}
	return s.hash
}

// MessageFor is the algorithm and the type of message that crypto.Signer's caller means, for a public key of this spec. It fails with
// ErrAlgorithm if keys of this spec do not sign so: by a hash of another strength, or with another salt than one as long as the digest. Ed25519ph
// is none of theirs: AWS KMS hashes what crypto.Signer takes as hashed.
func (s Spec) MessageFor(options crypto.SignerOpts) (SigningAlgorithm, MessageType, error) {
	hash, pss := options.HashFunc(), false
	if o, ok := options.(*rsa.PSSOptions); ok {
		pss = true
		if o.SaltLength != rsa.PSSSaltLengthEqualsHash && o.SaltLength != hash.Size() {
			return "", "", fmt.Errorf("%w: the salt of RSASSA-PSS is as long as the digest (rsa.PSSSaltLengthEqualsHash)", ErrAlgorithm)
		}
	}
	for _, a := range specifications[s].signing {
		switch by := schemes[a]; {
		case hash == crypto.MLDSAMu && slices.Contains(by.types, ExternalMu):
			return a, ExternalMu, nil
		case by.hash == hash && by.pss == pss && hash == 0:
			return a, Raw, nil
		case by.hash == hash && by.pss == pss && !by.prehash:
			return a, Digested, nil
		}
	}
	return "", "", fmt.Errorf("%w: a key of the spec %s signs by %v, and this is another one, with the hash %v", ErrAlgorithm, s,
		specifications[s].signing, hash)
}
