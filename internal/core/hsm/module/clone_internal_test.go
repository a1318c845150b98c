//go:build cgo

package module

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"
	"google.golang.org/protobuf/proto"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

var soPIN, userPIN = []byte("1234"), []byte("5678")

// second is another token of the same library, which a process can load once.
func second(t testing.TB, first *Module, label string) *Module {
	t.Helper()
	m := &Module{ctx: first.ctx, label: label, oaep: first.oaep, sessions: make(chan pkcs11.SessionHandle, 2)}
	m.cache = newCache(2, m.destroy)
	for _, err := range []error{m.find(), m.Initialize(soPIN, userPIN), m.Login(userPIN)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// ours is a transport key whose private half a test has: so it sees what a clone gives away.
func ours(t testing.TB) (*rsa.PrivateKey, []byte) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, transportBits)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return private, der
}

func trustedKeys(t testing.TB, m *Module) int {
	t.Helper()
	if err := m.ctx.FindObjectsInit(m.keeper, []*pkcs11.Attribute{attr(pkcs11.CKA_TRUSTED, true)}); err != nil {
		t.Fatal(err)
	}
	objects, _, err := m.ctx.FindObjects(m.keeper, 10)
	_ = m.ctx.FindObjectsFinal(m.keeper)
	if err != nil {
		t.Fatal(err)
	}
	return len(objects)
}

func TestACloneGivesBothKeysOfEveryEpochToTheTransportKeyAloneAndLeavesNothingTrusted(t *testing.T) {
	m := open(t, "donor")
	if _, err := m.CreateDomainKey(2); err != nil {
		t.Fatal(err)
	}
	private, der := ours(t)
	other, _ := ours(t)
	wrapped, err := m.Clone(soPIN, userPIN, der)
	if err != nil || len(wrapped) != 2 {
		t.Fatalf("%v, %v", wrapped, err)
	}
	for i, w := range wrapped {
		if w.GetDomainKey().GetEpoch() != int64(i+1) {
			t.Errorf("epoch %d comes as number %d", w.GetDomainKey().GetEpoch(), i)
		}
		for _, k := range []struct{ wrapped, check []byte }{
			{w.GetWrapped(), w.GetDomainKey().GetKeyCheckValue()}, {w.GetWrappedWrappingKey(), w.GetDomainKey().GetWrappingKeyCheckValue()},
		} {
			key, err := rsa.DecryptOAEP(sha1.New(), nil, private, k.wrapped, nil)
			if err != nil || len(key) != hsm.KeySize || !bytes.Equal(cmac(t, key, make([]byte, 16))[:hsm.CheckValueSize], k.check) {
				t.Errorf("epoch %d: a key of %d bytes that is not of the check value %x: %v", i+1, len(key), k.check, err)
			}
			if _, err := rsa.DecryptOAEP(sha1.New(), nil, other, k.wrapped, nil); err == nil {
				t.Error("another key opens it")
			}
		}
	}
	if n := trustedKeys(t, m); n != 0 {
		t.Errorf("%d keys are trusted after a clone", n)
	}
	if _, err := m.Wrap(make([]byte, hsm.KeySize), nil, 0); err != nil {
		t.Errorf("the user is not logged in again: %v", err)
	}
}

// The token itself decides who may take domain keys out: only its security officer marks a key as trusted, and only such a key wraps them.
func TestOnlyTheOfficerMakesAKeyTrustedAndOnlyATrustedKeyWrapsADomainKey(t *testing.T) {
	m := open(t, "trust")
	_, der := ours(t)
	key, err := parseTransportKey(der)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Clone([]byte("0000"), userPIN, der); !errors.Is(err, hsm.ErrWrongPIN) || strings.Contains(err.Error(), "0000") {
		t.Errorf("a wrong PIN of the officer: %v", err)
	}
	if _, err := m.Clone(userPIN, userPIN, der); !errors.Is(err, hsm.ErrWrongPIN) {
		t.Errorf("the user's PIN as the officer's: %v", err)
	}
	if n := trustedKeys(t, m); n != 0 {
		t.Errorf("%d keys are trusted after a clone that was refused", n)
	}
	if s, err := m.TokenState(); err != nil || !s.GetSoPinCountLow() {
		t.Errorf("the token does not count the officer's wrong PINs: %v, %v", s, err)
	}
	// The officer alone has no use of what is the user's: private objects are not there for it.
	m.login.Lock()
	defer m.login.Unlock()
	if err := m.logout(); err != nil {
		t.Fatal(err)
	}
	trusted, err := m.trust(soPIN, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.ctx.Login(m.keeper, pkcs11.CKU_SO, string(soPIN)); err != nil {
		t.Fatal(err)
	}
	if found, err := m.labelled(domainLabel); err != nil || len(found) != 0 {
		t.Errorf("the officer finds %v, %v", found, err)
	}
	if err := m.ctx.Logout(m.keeper); err != nil {
		t.Fatal(err)
	}
	if err := m.loginUser(userPIN); err != nil {
		t.Fatal(err)
	}
	if _, err := m.ctx.WrapKey(m.keeper, m.oaep.mechanism(), trusted, m.epochs[1].domain); err != nil {
		t.Errorf("under a key that the officer trusts: %v", err)
	}
	if err := m.ctx.SetAttributeValue(m.keeper, trusted, []*pkcs11.Attribute{attr(pkcs11.CKA_MODULUS, []byte{1})}); err == nil {
		t.Error("a trusted key can be made another")
	}
}

func TestAUserWhoseNewPINIsWrongIsLoggedOutByACloneAndTheModuleMustStartAnew(t *testing.T) {
	m := open(t, "relogin")
	_, der := ours(t)
	_, err := m.Clone(soPIN, []byte("0000"), der)
	if !errors.Is(err, hsm.ErrModuleLost) || errors.Is(err, hsm.ErrWrongPIN) || strings.Contains(err.Error(), "0000") {
		t.Errorf("%v", err)
	}
	if _, err := m.Wrap(make([]byte, hsm.KeySize), nil, 0); !errors.Is(err, hsm.ErrUninitialized) {
		t.Errorf("nobody is logged in, and it wraps: %v", err)
	}
}

func TestAnImportTakesWhatWasAnnouncedAndNothingElse(t *testing.T) {
	donor := open(t, "importer-donor")
	joiner := second(t, donor, "importer-joiner")
	if _, err := donor.CreateDomainKey(2); err != nil {
		t.Fatal(err)
	}
	public, err := joiner.Join()
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := donor.Clone(soPIN, userPIN, public)
	if err != nil {
		t.Fatal(err)
	}
	_, foreign := ours(t)
	forAnother, err := donor.Clone(soPIN, userPIN, foreign)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*hsmpb.WrappedDomainKey)
		want   error
	}{
		{"another check value", func(w *hsmpb.WrappedDomainKey) { w.DomainKey.KeyCheckValue[0] ^= 1 }, hsm.ErrMismatch},
		{"another check value of the wrapping key", func(w *hsmpb.WrappedDomainKey) { w.DomainKey.WrappingKeyCheckValue[4] ^= 1 }, hsm.ErrMismatch},
		{"no check value", func(w *hsmpb.WrappedDomainKey) { w.DomainKey.KeyCheckValue = nil }, hsm.ErrMismatch},
		{"the two keys exchanged", func(w *hsmpb.WrappedDomainKey) { w.Wrapped, w.WrappedWrappingKey = w.WrappedWrappingKey, w.Wrapped }, hsm.ErrMismatch},
		{"another epoch's key", func(w *hsmpb.WrappedDomainKey) { w.Wrapped = wrapped[1].Wrapped }, hsm.ErrMismatch},
		{"a byte less", func(w *hsmpb.WrappedDomainKey) { w.Wrapped = w.Wrapped[1:] }, hsm.ErrInvalidArgument},
		{"a byte more", func(w *hsmpb.WrappedDomainKey) { w.WrappedWrappingKey = append(w.WrappedWrappingKey, 0) }, hsm.ErrInvalidArgument},
		{"nothing", func(w *hsmpb.WrappedDomainKey) { w.Wrapped = nil }, hsm.ErrInvalidArgument},
		{"a flipped bit", func(w *hsmpb.WrappedDomainKey) { w.Wrapped[100] ^= 1 }, hsm.ErrInvalidCiphertext},
		{"another transport key's", func(w *hsmpb.WrappedDomainKey) { w.Wrapped = forAnother[0].Wrapped }, hsm.ErrInvalidCiphertext},
		{"epoch 0", func(w *hsmpb.WrappedDomainKey) { w.DomainKey.Epoch = 0 }, hsm.ErrInvalidArgument},
		{"epoch 2^32", func(w *hsmpb.WrappedDomainKey) { w.DomainKey.Epoch = 1 << 32 }, hsm.ErrInvalidArgument},
		{"no announcement", func(w *hsmpb.WrappedDomainKey) { w.DomainKey = nil }, hsm.ErrInvalidArgument},
	} {
		bad := proto.CloneOf(wrapped[0])
		tt.change(bad)
		if _, err := joiner.Import([]*hsmpb.WrappedDomainKey{bad}); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), "epoch") {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		for _, label := range []string{domainLabel, wrappingLabel} {
			if left, err := joiner.labelled(label); err != nil || len(left) != 0 {
				t.Fatalf("%s: it leaves %v, %v", tt.name, left, err)
			}
		}
	}
	// One good epoch and one bad: what came before stays, and the rest comes when it is asked again.
	bad := proto.CloneOf(wrapped[1])
	bad.Wrapped[0] ^= 1
	if _, err := joiner.Import([]*hsmpb.WrappedDomainKey{wrapped[0], bad}); err == nil || len(joiner.DomainKeys()) != 1 {
		t.Errorf("%v, %v", joiner.DomainKeys(), err)
	}
	got, err := joiner.Import(wrapped)
	if err != nil || len(got) != 2 || !same(got[0], wrapped[0].DomainKey) || !same(got[1], wrapped[1].DomainKey) {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := joiner.Import(wrapped); !errors.Is(err, hsm.ErrNoTransportKey) {
		t.Errorf("a transport key serves once: %v", err)
	}
	key, _, err := donor.GenerateKey(hsm.KeySpecs()[0], nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := joiner.Encrypt(&hsmpb.KeyToken{Token: key}, []byte("p"), nil); err != nil {
		t.Errorf("the donor's key in the joiner: %v", err)
	}
}

func TestAnImportedKeyIsAsHardToTakeOutAsOneThatWasMadeThere(t *testing.T) {
	donor := open(t, "template-donor")
	joiner := second(t, donor, "template-joiner")
	public, err := joiner.Join()
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := donor.Clone(soPIN, userPIN, public)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := joiner.Import(wrapped); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Module{donor, joiner} {
		for _, object := range []pkcs11.ObjectHandle{m.epochs[1].domain, m.epochs[1].wrapping} {
			got, err := m.ctx.GetAttributeValue(m.keeper, object, []*pkcs11.Attribute{
				attr(pkcs11.CKA_SENSITIVE, nil), attr(pkcs11.CKA_WRAP_WITH_TRUSTED, nil), attr(pkcs11.CKA_PRIVATE, nil), attr(pkcs11.CKA_TOKEN, nil), attr(pkcs11.CKA_DERIVE, nil),
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []byte{1, 1, 1, 1, 0} {
				if len(got[i].Value) != 1 || got[i].Value[0] != want {
					t.Errorf("%s: attribute %#x is %x", m.label, got[i].Type, got[i].Value)
				}
			}
		}
		spec := hsm.KeySpecs()[0]
		token, _, err := m.GenerateKey(spec, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := hsm.ParseSealed(hsm.KindToken, token)
		inner, err := m.open(m.keeper, m.epochs[1].domain, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		template := append(insideTemplate(spec, true), attr(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), attr(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES))
		_, err = m.ctx.UnwrapKey(m.keeper, one(keyWrapPad, nil), m.epochs[1].wrapping, inner, template)
		wants(t, m.label+": unwrapping a user's key as extractable", err, pkcs11.CKR_TEMPLATE_INCONSISTENT)
	}
}

func TestAnotherKeyOfAnEpochIsNotImportedOverTheOneThatIsThere(t *testing.T) {
	one := open(t, "rival-one")
	other := second(t, one, "rival-other")
	if _, err := other.CreateDomainKey(1); err != nil {
		t.Fatal(err)
	}
	was := other.DomainKeys()
	public, err := other.Join()
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := one.Clone(soPIN, userPIN, public)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Import(wrapped); !errors.Is(err, hsm.ErrExists) || !strings.Contains(err.Error(), "another one") {
		t.Errorf("%v", err)
	}
	if is := other.DomainKeys(); len(is) != 1 || !same(is[0], was[0]) {
		t.Errorf("%v became %v", was, is)
	}
}

// The last Join counts: what was cloned for an earlier one opens no more.
func TestASecondJoinTakesTheFirstTransportKeysPlace(t *testing.T) {
	donor := open(t, "twice-donor")
	joiner := second(t, donor, "twice-joiner")
	first, err := joiner.Join()
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := donor.Clone(soPIN, userPIN, first)
	if err != nil {
		t.Fatal(err)
	}
	if latter, err := joiner.Join(); err != nil || bytes.Equal(first, latter) {
		t.Fatal(err)
	}
	if _, err := joiner.Import(wrapped); !errors.Is(err, hsm.ErrInvalidCiphertext) {
		t.Errorf("%v", err)
	}
}

func TestTheHashOfOAEPIsOneOfTwo(t *testing.T) {
	for name, good := range map[string]bool{"SHA_1": true, "SHA_256": true, "": false, "sha_1": false, "SHA_512": false} {
		if _, err := oaepOf(name); (err == nil) != good || err != nil && !errors.Is(err, hsm.ErrInvalidArgument) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
