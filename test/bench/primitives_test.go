package bench

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// message is as long as the gateway's.
var message = []byte(strings.Repeat("strong64", 8))

// primitives are what operations of KMS come to in the end, each without anything of Strongroom's: a function that does it once. What is measured of the gateway is
// measured beside them, in its own process, since what Go's cryptography costs depends on the machine and on FIPS 140-3 mode.
var primitives = map[string]func() (once func() error, err error){
	"Encrypt":              func() (func() error, error) { return sealing(message) },
	"Encrypt 4KiB":         func() (func() error, error) { return sealing(large) },
	"Decrypt":              func() (func() error, error) { return opening(message) },
	"Decrypt 4KiB":         func() (func() error, error) { return opening(large) },
	"GenerateDataKey":      func() (func() error, error) { return sealing(message) },
	"GenerateMac HMAC_256": authenticating,
	"VerifyMac HMAC_256":   authenticating,
	"Sign ECC_NIST_P256":   func() (func() error, error) { sign, _, err := byECDSA(); return sign, err },
	"Verify ECC_NIST_P256": func() (func() error, error) { _, verify, err := byECDSA(); return verify, err },
	"Sign RSA_2048":        func() (func() error, error) { sign, _, err := byRSA(); return sign, err },
	"Verify RSA_2048":      func() (func() error, error) { _, verify, err := byRSA(); return verify, err },
	"GenerateDataKeyPair ECC_NIST_P256": func() (func() error, error) {
		return func() error { return second(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }, nil
	},
	"GenerateDataKeyPair RSA_2048": func() (func() error, error) {
		return func() error { return second(rsa.GenerateKey(rand.Reader, 2048)) }, nil
	},
}

// large is as long as a plaintext can be.
var large = []byte(strings.Repeat("strong64", 512))

func second[T any](_ T, err error) error { return err }

func aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(message[:32])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func sealing(plaintext []byte) (func() error, error) {
	a, err := aead()
	return func() error { a.Seal(nil, nil, plaintext, message); return nil }, err
}

func opening(plaintext []byte) (func() error, error) {
	a, err := aead()
	if err != nil {
		return nil, err
	}
	sealed := a.Seal(nil, nil, plaintext, message)
	return func() error { return second(a.Open(nil, nil, sealed, message)) }, nil
}

func authenticating() (func() error, error) {
	return func() error {
		h := hmac.New(sha256.New, message[:32])
		h.Write(message)
		h.Sum(nil)
		return nil
	}, nil
}

func byECDSA() (sign, verify func() error, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(message)
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	return func() error { return second(ecdsa.SignASN1(rand.Reader, key, sum[:])) }, func() error {
		if !ecdsa.VerifyASN1(&key.PublicKey, sum[:], signature) {
			return errPrimitive
		}
		return nil
	}, err
}

func byRSA() (sign, verify func() error, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(message)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	return func() error { return second(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])) },
		func() error { return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature) }, err
}

var errPrimitive = fmt.Errorf("a primitive does not do what it is measured for")

// primitiveCost is the process's CPU time of one use of an operation's primitive, in µs, as it is over a while.
func primitiveCost(operation string, during time.Duration) (string, error) {
	once, err := primitives[operation]()
	if err != nil {
		return "", err
	}
	before, n := ownCPU(), 0
	for end := time.Now().Add(during); n == 0 || time.Now().Before(end); {
		for range 8 { // which makes what looking at the clock costs small
			if err := once(); err != nil {
				return "", err
			}
			n++
		}
	}
	return strconv.FormatFloat(float64((ownCPU()-before).Nanoseconds())/1e3/float64(n), 'f', 3, 64), nil
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// primitive is what an operation's primitive costs in a process, in µs; 0 for an operation without one.
func (p *peer) primitive(operation string) (cost float64) {
	p.b.t.Helper()
	if primitives[operation] == nil {
		return 0
	}
	_, err := fmt.Sscan(p.command("primitive %s %d", strings.ReplaceAll(operation, " ", "/"), (*each/5).Milliseconds()), &cost)
	p.b.must(err)
	return cost
}

// TestEachPrimitiveIsThatOfAnOperationThatIsMeasured, and each operation of KMS has one.
func TestEachPrimitiveIsThatOfAnOperationThatIsMeasured(t *testing.T) {
	measured := map[string]bool{}
	for _, operation := range operations {
		measured[operation] = true
		name, _, _ := strings.Cut(operation, " ")
		if primitives[operation] == nil && !strings.HasPrefix(name, "Get") {
			t.Errorf("%s has no primitive beside it", operation)
		}
	}
	for operation := range primitives {
		if !measured[operation] {
			t.Errorf("%s is not measured", operation)
		}
		if cost, err := primitiveCost(operation, time.Millisecond); err != nil || cost == "" || strings.HasPrefix(cost, "-") {
			t.Errorf("%s costs %q: %v", operation, cost, err)
		}
	}
}
