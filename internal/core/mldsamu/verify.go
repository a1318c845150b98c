// Package mldsamu verifies signatures of ML-DSA by a message representative μ that somebody else has computed (FIPS 204, algorithm 8, from line 8 on),
// which crypto/mldsa does not offer: it signs a μ, and verifies messages alone.
//
// All that it looks at is public: a public key, a μ and a signature. So it is written as the standard reads, and not to take the same time always.
// Its tests lay it beside crypto/mldsa.
// https://nvlpubs.nist.gov/nistpubs/FIPS/NIST.FIPS.204.pdf
package mldsamu

import (
	"bytes"
	"crypto/mldsa"
	"crypto/sha3"
)

// Size of a μ in bytes.
const Size = 64

// parameterSet is a column of table 1 of FIPS 204, without what only signing needs.
type parameterSet struct {
	rows, columns int // k, ℓ
	tau, eta      int32
	gamma1Bits    int
	gamma2        int32
	omega         int
	challenge     int // λ/4 bytes
}

var parameterSets = map[mldsa.Parameters]parameterSet{
	mldsa.MLDSA44(): {4, 4, 39, 2, 17, (q - 1) / 88, 80, 32},
	mldsa.MLDSA65(): {6, 5, 49, 4, 19, (q - 1) / 32, 55, 48},
	mldsa.MLDSA87(): {8, 7, 60, 2, 19, (q - 1) / 32, 75, 64},
}

// Of computes the μ of a message without a context (FIPS 204, algorithms 3, line 10, and 8, lines 6 and 7).
func Of(public *mldsa.PublicKey, message []byte) []byte {
	h := sha3.NewSHAKE256()
	_, _ = h.Write(sha3.SumSHAKE256(public.Bytes(), Size))
	_, _ = h.Write([]byte{0, 0}) // pure, and no context
	_, _ = h.Write(message)
	mu := make([]byte, Size)
	_, _ = h.Read(mu)
	return mu
}

// Verify tells whether a signature is the key's for the message of a μ. It is false for a μ that is not of Size.
func Verify(public *mldsa.PublicKey, mu, signature []byte) bool {
	p, ok := parameterSets[public.Parameters()]
	if !ok || len(mu) != Size || len(signature) != public.Parameters().SignatureSize() {
		return false
	}
	challenge, z, hints, ok := p.decode(signature)
	if !ok {
		return false
	}
	encoding := public.Bytes()
	seed, t1 := encoding[:32], encoding[32:]
	c := sampleInBall(challenge, p.tau).ntt()
	for i := range z {
		z[i] = z[i].ntt()
	}
	commitment := sha3.NewSHAKE256()
	_, _ = commitment.Write(mu)
	for row := range p.rows {
		w := p.product(seed, row, z).minus(c.times(unpackT1(t1[row*320:]).ntt())).inverse()
		_, _ = commitment.Write(p.highBits(&w, &hints[row]))
	}
	again := make([]byte, p.challenge)
	_, _ = commitment.Read(again)
	return bytes.Equal(again, challenge)
}

// product is a row of A times z, both in the domain of the NTT.
func (p parameterSet) product(seed []byte, row int, z []polynomial) (sum polynomial) {
	for column := range p.columns {
		sum = sum.plus(expand(seed, row, column).times(z[column]))
	}
	return sum
}

// decode is sigDecode (algorithm 27), and the bound of z (algorithm 8, line 13).
func (p parameterSet) decode(signature []byte) (challenge []byte, z []polynomial, hints []polynomial, ok bool) {
	challenge, rest := signature[:p.challenge], signature[p.challenge:]
	width := p.gamma1Bits + 1
	bound := int32(1)<<p.gamma1Bits - p.tau*p.eta
	for range p.columns {
		var poly polynomial
		for i, bits := range unpack(rest[:32*width], width) {
			v := int32(1)<<p.gamma1Bits - bits
			if v >= bound || v <= -bound {
				return nil, nil, nil, false
			}
			poly[i] = reduce(int64(v))
		}
		z, rest = append(z, poly), rest[32*width:]
	}
	hints, ok = p.decodeHints(rest)
	return challenge, z, hints, ok
}

// decodeHints is HintBitUnpack (algorithm 21): of all encodings one alone is valid.
func (p parameterSet) decodeHints(y []byte) ([]polynomial, bool) {
	hints, index := make([]polynomial, p.rows), 0
	for row := range hints {
		end := int(y[p.omega+row])
		if end < index || end > p.omega {
			return nil, false
		}
		for first := index; index < end; index++ {
			if index > first && y[index-1] >= y[index] {
				return nil, false
			}
			hints[row][y[index]] = 1
		}
	}
	for ; index < p.omega; index++ {
		if y[index] != 0 {
			return nil, false
		}
	}
	return hints, true
}

// highBits is w1Encode of UseHint (algorithms 28 and 40).
func (p parameterSet) highBits(w, hints *polynomial) []byte {
	var high polynomial
	m := (q - 1) / (2 * p.gamma2)
	for i := range w {
		r1, r0 := p.decompose(w[i])
		switch {
		case hints[i] == 1 && r0 > 0:
			r1 = (r1 + 1) % m
		case hints[i] == 1:
			r1 = (r1 + m - 1) % m
		}
		high[i] = r1
	}
	if m == 44 {
		return pack(&high, 6)
	}
	return pack(&high, 4)
}

// decompose is algorithm 36.
func (p parameterSet) decompose(r int32) (high, low int32) {
	low = r % (2 * p.gamma2)
	if low > p.gamma2 {
		low -= 2 * p.gamma2
	}
	if r-low == q-1 {
		return 0, low - 1
	}
	return (r - low) / (2 * p.gamma2), low
}
