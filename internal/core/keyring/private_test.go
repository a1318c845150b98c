package keyring_test

import (
	"errors"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
)

func TestAPrivateKeyIsParsedOnceAndWipedAsOtherMaterial(t *testing.T) {
	var clk clock
	c := keyring.NewMaterialCache(2, time.Minute, clk.now)
	pkcs8, err := keys.GeneratePrivateKey(keys.NISTP256)
	if err != nil {
		t.Fatal(err)
	}
	loads, digest := 0, keys.Message{Bytes: make([]byte, 32), Type: keys.Digested}
	var held *keys.PrivateKey
	load := func() (*keys.PrivateKey, error) { loads++; return keys.ParsePrivateKey(keys.NISTP256, pkcs8) }
	sign := func(k *keys.PrivateKey) error {
		held = k
		signature, err := k.Sign(keys.ECDSASHA256, digest)
		if err != nil {
			return err
		}
		return k.Public().Verify(keys.ECDSASHA256, digest, signature)
	}
	for range 3 {
		if err := keyring.Use(c, "a", load, sign); err != nil {
			t.Fatal(err)
		}
	}
	if loads != 1 || c.Len() != 1 {
		t.Errorf("%d loads, %d entries", loads, c.Len())
	}
	clk.advance(time.Hour)
	c.Expire()
	if signature, err := held.Sign(keys.ECDSASHA256, digest); err == nil && held.Public().Verify(keys.ECDSASHA256, digest, signature) == nil {
		t.Error("the key still signs when it is out of the cache")
	}
}

func TestAFailedParseKeepsNothing(t *testing.T) {
	c := keyring.NewMaterialCache(2, time.Minute, nil)
	parse := func() (*keys.PrivateKey, error) { return keys.ParsePrivateKey(keys.RSA2048, repeated(7)) }
	err := keyring.Use(c, "a", parse, func(*keys.PrivateKey) error { t.Error("used without a key"); return nil })
	if !errors.Is(err, keys.ErrInvalidPrivateKey) || c.Len() != 0 {
		t.Errorf("%v, %d entries", err, c.Len())
	}
}

func TestMaterialOfOneFormIsNotLentAsAnother(t *testing.T) {
	var v vault
	c := keyring.NewMaterialCache(2, time.Minute, nil)
	use(t, c, "a", &v)
	err := keyring.Use(c, "a", func() (*keys.PrivateKey, error) { t.Error("loaded again"); return nil, nil }, //nolint:nilnil // never answered
		func(*keys.PrivateKey) error { t.Error("lent"); return nil })
	if err == nil {
		t.Error("no error")
	}
	use(t, c, "a", &v)
}
