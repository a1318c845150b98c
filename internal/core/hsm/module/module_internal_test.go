//go:build cgo

package module

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

const library = "/usr/lib/softhsm/libsofthsm2.so"

// TestMain makes the one token directory that SoftHSM can have in a process.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "token")
	if err != nil {
		panic(err)
	}
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nlog.level = ERROR\n"), 0o600); err != nil {
		panic(err)
	}
	_ = os.Setenv("SOFTHSM2_CONF", conf)
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// open loads the module on a token of its own, logged in and with the domain key of epoch 1.
func open(t testing.TB, label string) *Module {
	t.Helper()
	m, err := Load(&hsmpb.OpenRequest{Library: library, TokenLabel: label, OaepHash: "SHA_1", Sessions: 4, MaxCachedKeys: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.ctx.Finalize(); m.ctx.Destroy() })
	for _, err := range []error{m.Initialize([]byte("1234"), []byte("5678")), m.Login([]byte("5678"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.CreateDomainKey(1); err != nil {
		t.Fatal(err)
	}
	return m
}

func wants(t testing.TB, what string, err error, codes ...pkcs11.Error) {
	t.Helper()
	for _, code := range codes {
		if errors.Is(err, code) {
			return
		}
	}
	t.Errorf("%s: %v", what, err)
}

// What a thief with the user's PIN and the library tries.
func TestAUserCannotTakeADomainKeyOutOfTheToken(t *testing.T) {
	m := open(t, "thief")
	key, err := rsa.GenerateKey(rand.Reader, transportBits)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.ctx.CreateObject(m.keeper, append(publicKeyTemplate(&key.PublicKey), attr(pkcs11.CKA_TRUSTED, true)))
	wants(t, "making a key that is trusted", err, pkcs11.CKR_ATTRIBUTE_READ_ONLY)
	untrusted, err := m.ctx.CreateObject(m.keeper, publicKeyTemplate(&key.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	wants(t, "making a key trusted", m.ctx.SetAttributeValue(m.keeper, untrusted, []*pkcs11.Attribute{attr(pkcs11.CKA_TRUSTED, true)}), pkcs11.CKR_ATTRIBUTE_READ_ONLY)
	for name, object := range map[string]pkcs11.ObjectHandle{"domain": m.epochs[1].domain, "wrapping": m.epochs[1].wrapping} {
		_, err := m.ctx.WrapKey(m.keeper, m.oaep.mechanism(), untrusted, object)
		wants(t, "wrapping the "+name+" key under a key that is not trusted", err, pkcs11.CKR_KEY_NOT_WRAPPABLE, pkcs11.CKR_WRAPPING_KEY_HANDLE_INVALID)
		_, err = m.ctx.WrapKey(m.keeper, one(keyWrapPad, nil), m.epochs[1].wrapping, object)
		wants(t, "wrapping the "+name+" key under the wrapping key", err, pkcs11.CKR_KEY_NOT_WRAPPABLE, pkcs11.CKR_WRAPPING_KEY_HANDLE_INVALID)
		_, err = m.ctx.GetAttributeValue(m.keeper, object, []*pkcs11.Attribute{attr(pkcs11.CKA_VALUE, nil)})
		wants(t, "reading the "+name+" key", err, pkcs11.CKR_ATTRIBUTE_SENSITIVE)
		for attribute, kind := range map[string]uint{"CKA_SENSITIVE": pkcs11.CKA_SENSITIVE, "CKA_WRAP_WITH_TRUSTED": pkcs11.CKA_WRAP_WITH_TRUSTED} {
			weaker := []*pkcs11.Attribute{attr(kind, false)}
			wants(t, attribute+" of the "+name+" key", m.ctx.SetAttributeValue(m.keeper, object, weaker), pkcs11.CKR_ATTRIBUTE_READ_ONLY)
			if _, err := m.ctx.CopyObject(m.keeper, object, weaker); err == nil {
				t.Errorf("the %s key was copied without %s", name, attribute)
			}
		}
	}
}

func TestAKeyOfATokenCannotBeUnwrappedAsOneThatComesOut(t *testing.T) {
	m := open(t, "unwrap")
	spec, _ := hsm.ParseKeySpec("ECC_NIST_P256")
	token, _, err := m.GenerateKey(spec, []byte("arn"), 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := hsm.ParseSealed(hsm.KindToken, token)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := m.open(m.keeper, m.epochs[1].domain, s, []byte("arn"))
	if err != nil {
		t.Fatal(err)
	}
	class := []*pkcs11.Attribute{attr(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), attr(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC)}
	for _, extractable := range []bool{true, false} {
		template := append(insideTemplate(spec, extractable), class...)
		object, err := m.ctx.UnwrapKey(m.keeper, one(keyWrapPad, nil), m.epochs[1].wrapping, wrapped, template)
		if extractable {
			wants(t, "unwrapping a key as extractable", err, pkcs11.CKR_TEMPLATE_INCONSISTENT)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.ctx.WrapKey(m.keeper, one(keyWrapPad, nil), m.epochs[1].wrapping, object)
		wants(t, "wrapping it again", err, pkcs11.CKR_KEY_UNEXTRACTABLE)
	}
	nothing, free := template(pkcs11.CKA_UNWRAP_TEMPLATE)
	defer free()
	if err := m.ctx.SetAttributeValue(m.keeper, m.epochs[1].wrapping, []*pkcs11.Attribute{nothing}); err == nil {
		t.Error("the wrapping key's template can be taken away")
	}
}

func TestTheCacheIsBoundedAndDestroysWhatIsOut(t *testing.T) {
	m := open(t, "cache")
	spec, _ := hsm.ParseKeySpec("SYMMETRIC_DEFAULT")
	var tokens []*hsmpb.KeyToken
	for range 5 {
		token, _, err := m.GenerateKey(spec, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, &hsmpb.KeyToken{Token: token})
	}
	for range 2 {
		for _, token := range tokens {
			if _, err := m.Encrypt(token, []byte("x"), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if m.cache.len() != 2 {
		t.Errorf("%d keys in a cache of 2", m.cache.len())
	}
	search := []*pkcs11.Attribute{attr(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), attr(pkcs11.CKA_TOKEN, false)}
	if err := m.ctx.FindObjectsInit(m.keeper, search); err != nil {
		t.Fatal(err)
	}
	objects, _, err := m.ctx.FindObjects(m.keeper, 100)
	_ = m.ctx.FindObjectsFinal(m.keeper)
	if err != nil || len(objects) != 2 {
		t.Errorf("%d session objects are in the module, %v", len(objects), err)
	}
}

func TestATransportKeyThatIsWeakOrNoKeyIsRefusedBeforeAnyLogin(t *testing.T) {
	m := open(t, "transport")
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&small.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string][]byte{"RSA 2048": der, "nothing": nil, "text": []byte(strings.Repeat("x", 4096))} {
		if _, err := m.Clone([]byte("1234"), []byte("5678"), key); !errors.Is(err, hsm.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := m.Import([]*hsmpb.WrappedDomainKey{{}}); !errors.Is(err, hsm.ErrNoTransportKey) {
		t.Errorf("an import without a join: %v", err)
	}
}

func TestACloneIsCheckedAndAnUnfinishedEpochIsSweptAway(t *testing.T) {
	m := open(t, "clone")
	public, err := m.Join()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Clone([]byte("1234"), []byte("5678"), public); err != nil { // it logs out, so this transport key is gone after it
		t.Fatal(err)
	}
	if _, err := m.Import(nil); !errors.Is(err, hsm.ErrNoTransportKey) {
		t.Errorf("%v", err)
	}
	half, free := wrappingKeyTemplate(9)
	defer free()
	left, err := m.ctx.GenerateKey(m.keeper, one(pkcs11.CKM_AES_KEY_GEN, nil), append(half, attr(pkcs11.CKA_VALUE_LEN, 32)))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.findDomainKeys(); err != nil || len(m.epochs) != 1 { // it may be another node's, that is being made
		t.Fatalf("%d epochs, %v", len(m.epochs), err)
	}
	if _, err := m.CreateDomainKey(9); err != nil {
		t.Fatal(err)
	}
	if _, err := m.ctx.GetAttributeValue(m.keeper, left, []*pkcs11.Attribute{attr(pkcs11.CKA_LABEL, nil)}); err == nil || m.epochs[9].wrapping == left {
		t.Errorf("the wrapping key that was left is there: %v", err)
	}
}
