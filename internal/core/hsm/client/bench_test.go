//go:build cgo

package client_test

import (
	"testing"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// BenchmarkKeysInTheHSM compares the same operations through a node and through the library itself, one after the other and in parallel.
func BenchmarkKeysInTheHSM(b *testing.B) {
	c, _, _ := cluster(b, 1)
	digest, ctx := make([]byte, 32), b.Context()
	for name, algorithm := range map[string]string{"ECC_NIST_P256": "ECDSA_SHA_256", "RSA_2048": "RSASSA_PKCS1_V1_5_SHA_256"} {
		key, _, err := c.GenerateKey(ctx, spec(b, name), nil)
		must(b, err)
		both(b, "node/sign/"+name, func() error { _, err := c.Sign(ctx, key, algorithm, digest); return err })
	}
	key, _, err := c.GenerateKey(ctx, spec(b, "SYMMETRIC_DEFAULT"), nil)
	must(b, err)
	both(b, "node/encrypt", func() error { return encrypt(b, c, key) })
	raw(b)
}

func encrypt(b *testing.B, c *client.Cluster, key client.KeyToken) error {
	_, err := c.Encrypt(b.Context(), key, secretbytes.Own(make([]byte, 64)), nil)
	return err
}

func both(b *testing.B, name string, do func() error) {
	b.Run(name+"/serial", func(b *testing.B) {
		for b.Loop() {
			must(b, do())
		}
	})
	b.Run(name+"/parallel", func(b *testing.B) {
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := do(); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// raw does the same with the library in this process.
func raw(b *testing.B) {
	variable := hsmtest.Configuration(b, b.TempDir())
	b.Setenv("SOFTHSM2_CONF", variable[len("SOFTHSM2_CONF="):])
	p := pkcs11.New(hsmtest.Library)
	must(b, p.Initialize())
	defer p.Destroy()
	defer p.Finalize()
	slots, err := p.GetSlotList(true)
	must(b, err)
	must(b, p.InitToken(slots[0], "1234", "raw"))
	slots, err = p.GetSlotList(true)
	must(b, err)
	const sessions = 8
	pool := make(chan pkcs11.SessionHandle, sessions)
	first, err := p.OpenSession(slots[0], pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	must(b, err)
	must(b, p.Login(first, pkcs11.CKU_SO, "1234"))
	must(b, p.InitPIN(first, "5678"))
	must(b, p.Logout(first))
	must(b, p.Login(first, pkcs11.CKU_USER, "5678"))
	for range sessions {
		s, err := p.OpenSession(slots[0], pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
		must(b, err)
		pool <- s
	}
	a := pkcs11.NewAttribute
	one := func(m uint, parameter any) []*pkcs11.Mechanism {
		return []*pkcs11.Mechanism{pkcs11.NewMechanism(m, parameter)}
	}
	_, ec, err := p.GenerateKeyPair(first, one(pkcs11.CKM_EC_KEY_PAIR_GEN, nil), []*pkcs11.Attribute{a(pkcs11.CKA_EC_PARAMS, []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})}, []*pkcs11.Attribute{a(pkcs11.CKA_SIGN, true), a(pkcs11.CKA_PRIVATE, true)})
	must(b, err)
	_, rsa, err := p.GenerateKeyPair(first, one(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil), []*pkcs11.Attribute{a(pkcs11.CKA_MODULUS_BITS, 2048), a(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1})}, []*pkcs11.Attribute{a(pkcs11.CKA_SIGN, true), a(pkcs11.CKA_PRIVATE, true)})
	must(b, err)
	aes, err := p.GenerateKey(first, one(pkcs11.CKM_AES_KEY_GEN, nil), []*pkcs11.Attribute{a(pkcs11.CKA_VALUE_LEN, 32), a(pkcs11.CKA_ENCRYPT, true), a(pkcs11.CKA_PRIVATE, true)})
	must(b, err)
	with := func(do func(pkcs11.SessionHandle) error) func() error {
		return func() error { s := <-pool; defer func() { pool <- s }(); return do(s) }
	}
	sign := func(mechanism uint, key pkcs11.ObjectHandle, input []byte) func() error {
		return with(func(s pkcs11.SessionHandle) error {
			if err := p.SignInit(s, one(mechanism, nil), key); err != nil {
				return err
			}
			_, err := p.Sign(s, input)
			return err
		})
	}
	both(b, "raw/sign/ECC_NIST_P256", sign(pkcs11.CKM_ECDSA, ec, make([]byte, 32)))
	both(b, "raw/sign/RSA_2048", sign(pkcs11.CKM_RSA_PKCS, rsa, make([]byte, 51)))
	both(b, "raw/encrypt", with(func(s pkcs11.SessionHandle) error {
		iv, err := p.GenerateRandom(s, 12)
		if err != nil {
			return err
		}
		params := pkcs11.NewGCMParams(iv, nil, 128)
		defer params.Free()
		if err := p.EncryptInit(s, one(pkcs11.CKM_AES_GCM, params), aes); err != nil {
			return err
		}
		_, err = p.Encrypt(s, make([]byte, 64))
		return err
	}))
}
