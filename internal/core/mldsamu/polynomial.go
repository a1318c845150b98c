package mldsamu

import (
	"crypto/sha3"
	"encoding/binary"
	"math/bits"
)

const (
	q = 8380417
	n = 256
	d = 13 // bits that are dropped of t
)

// polynomial has coefficients modulo q, each from 0 to q-1.
type polynomial [n]int32

func reduce(v int64) int32 {
	if v %= q; v < 0 {
		v += q
	}
	return int32(v)
}

func (p polynomial) plus(other polynomial) polynomial {
	for i := range p {
		p[i] = reduce(int64(p[i]) + int64(other[i]))
	}
	return p
}

func (p polynomial) minus(other polynomial) polynomial {
	for i := range p {
		p[i] = reduce(int64(p[i]) - int64(other[i]))
	}
	return p
}

// times multiplies in the domain of the NTT.
func (p polynomial) times(other polynomial) polynomial {
	for i := range p {
		p[i] = reduce(int64(p[i]) * int64(other[i]))
	}
	return p
}

// zetas are the powers of 1753 in the order of FIPS 204, appendix B.
var zetas = func() (all [n]int64) {
	power := int64(1)
	for i := range n {
		all[bits.Reverse8(uint8(i))] = power
		power = power * 1753 % q
	}
	return all
}()

// ntt is algorithm 41.
func (p polynomial) ntt() polynomial {
	m := 0
	for length := n / 2; length >= 1; length /= 2 {
		for start := 0; start < n; start += 2 * length {
			m++
			for j := start; j < start+length; j++ {
				t := zetas[m] * int64(p[j+length]) % q
				p[j+length], p[j] = reduce(int64(p[j])-t), reduce(int64(p[j])+t)
			}
		}
	}
	return p
}

// inverse is algorithm 42.
func (p polynomial) inverse() polynomial {
	m := n
	for length := 1; length < n; length *= 2 {
		for start := 0; start < n; start += 2 * length {
			m--
			for j := start; j < start+length; j++ {
				t := int64(p[j])
				p[j], p[j+length] = reduce(t+int64(p[j+length])), reduce(-zetas[m]*(t-int64(p[j+length])))
			}
		}
	}
	for i := range p {
		p[i] = reduce(8347681 * int64(p[i])) // 1/256
	}
	return p
}

// expand is an element of A (algorithms 30 and 32).
func expand(seed []byte, row, column int) (p polynomial) {
	h := sha3.NewSHAKE128()
	_, _ = h.Write(seed)
	_, _ = h.Write([]byte{byte(column), byte(row)})
	var b [3]byte
	for i := 0; i < n; {
		_, _ = h.Read(b[:])
		if v := int32(b[0]) | int32(b[1])<<8 | int32(b[2]&0x7f)<<16; v < q {
			p[i] = v
			i++
		}
	}
	return p
}

// sampleInBall is algorithm 29.
func sampleInBall(challenge []byte, tau int32) (p polynomial) {
	h := sha3.NewSHAKE256()
	_, _ = h.Write(challenge)
	var b [8]byte
	_, _ = h.Read(b[:])
	signs := binary.LittleEndian.Uint64(b[:])
	for i := n - int(tau); i < n; i++ {
		_, _ = h.Read(b[:1])
		for int(b[0]) > i {
			_, _ = h.Read(b[:1])
		}
		j := b[0]
		p[i] = p[j]
		p[j] = reduce(1 - 2*int64(signs&1))
		signs >>= 1
	}
	return p
}

// unpackT1 is t₁·2^d of a public key (algorithm 23).
func unpackT1(encoded []byte) (p polynomial) {
	for i, v := range unpack(encoded[:320], 10) {
		p[i] = reduce(int64(v) << d)
	}
	return p
}

// unpack is SimpleBitUnpack (algorithm 18) of coefficients of a width in bits.
func unpack(encoded []byte, width int) (values [n]int32) {
	for i := range values {
		for bit := range width {
			at := i*width + bit
			values[i] |= int32(encoded[at/8]>>(at%8)&1) << bit
		}
	}
	return values
}

// pack is SimpleBitPack (algorithm 16).
func pack(p *polynomial, width int) []byte {
	encoded := make([]byte, n*width/8)
	for i, v := range p {
		for bit := range width {
			at := i*width + bit
			encoded[at/8] |= byte(v>>bit&1) << (at % 8)
		}
	}
	return encoded
}
