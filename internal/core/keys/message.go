package keys

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
)

// MaxMessage is the longest message that is hashed before it is signed, in bytes. Of longer ones the digest is signed.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html#KMS-Sign-request-Message
const MaxMessage = 4096

// ErrDigestLength says that what is given as a digest is not as long as those of the algorithm's hash.
var ErrDigestLength = errors.New("the digest has another length than the algorithm's")

// Message is what is signed: a message, or its digest if Digested is set, which is not hashed again.
type Message struct {
	Bytes    []byte
	Digested bool
}

// Digest is the digest that an algorithm signs. It fails with ErrAlgorithm for an algorithm that there is not, with ErrTooLarge for
// a message over MaxMessage, and with ErrDigestLength.
func (m Message) Digest(a SigningAlgorithm) ([]byte, error) {
	s, ok := schemes[a]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: there is no algorithm %.40q", ErrAlgorithm, string(a))
	case m.Digested && len(m.Bytes) != s.hash.Size():
		return nil, fmt.Errorf("%w: it is %d bytes, and those of %s are %d", ErrDigestLength, len(m.Bytes), a, s.hash.Size())
	case m.Digested:
		return m.Bytes, nil
	case len(m.Bytes) > MaxMessage:
		return nil, fmt.Errorf("%w: the message is %d bytes and the limit is %d; sign its digest", ErrTooLarge, len(m.Bytes), MaxMessage)
	}
	h := s.hash.New()
	h.Write(m.Bytes)
	return h.Sum(nil), nil
}

// AlgorithmFor is the algorithm that crypto.Signer's caller means, for a public key of this spec. It fails with ErrAlgorithm if
// keys of this spec do not sign so: by a hash of another strength, or with another salt than one as long as the digest.
func (s Spec) AlgorithmFor(options crypto.SignerOpts) (SigningAlgorithm, error) {
	wanted := scheme{hash: options.HashFunc()}
	if pss, ok := options.(*rsa.PSSOptions); ok {
		wanted.pss = true
		if pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != wanted.hash.Size() {
			return "", fmt.Errorf("%w: the salt of RSASSA-PSS is as long as the digest (rsa.PSSSaltLengthEqualsHash)", ErrAlgorithm)
		}
	}
	for _, a := range specifications[s].signing {
		if schemes[a] == wanted {
			return a, nil
		}
	}
	return "", fmt.Errorf("%w: a key of the spec %s signs by %v, and this is another one, with the hash %v", ErrAlgorithm, s,
		specifications[s].signing, wanted.hash)
}
