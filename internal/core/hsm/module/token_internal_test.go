//go:build cgo

package module

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/pkcs11"
	"google.golang.org/protobuf/proto"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/child"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

func request(changes ...func(*hsmpb.OpenRequest)) *hsmpb.OpenRequest {
	r := &hsmpb.OpenRequest{Library: library, TokenLabel: "nobody", OaepHash: "SHA_1", Sessions: 2, MaxCachedKeys: 2}
	for _, change := range changes {
		change(r)
	}
	return r
}

func TestALibraryThatIsNoneIsSaidWithItsPath(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	others, err := filepath.Glob("/lib/*/libm.so.6") // a library, and not of PKCS#11
	if err != nil || len(others) == 0 {
		t.Fatalf("%v, %v", others, err)
	}
	for path, says := range map[string]string{
		"/missing/lib.so": "spec.pkcs11.library", text: "cannot be loaded", others[0]: "no PKCS#11 library", t.TempDir(): "cannot be loaded", "": "no library to load",
	} {
		_, err := Load(request(func(r *hsmpb.OpenRequest) { r.Library = path }))
		if !errors.Is(err, hsm.ErrModule) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestALoadWithAWrongOptionIsRefused(t *testing.T) {
	for name, change := range map[string]func(*hsmpb.OpenRequest){
		"no sessions":            func(r *hsmpb.OpenRequest) { r.Sessions = 0 },
		"65 sessions":            func(r *hsmpb.OpenRequest) { r.Sessions = 65 },
		"a hash that is nobodys": func(r *hsmpb.OpenRequest) { r.OaepHash = "MD5" },
	} {
		m, err := Load(request(change))
		if !errors.Is(err, hsm.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
		if m != nil {
			t.Errorf("%s: it is loaded", name)
		}
		if p := pkcs11.New(library); p != nil { // what Load began, the end of the process ends; here it is the next test's
			_ = p.Finalize()
			p.Destroy()
		}
	}
}

func TestATokenIsFoundByItsWholeLabelAndTwoOfOneLabelAreRefused(t *testing.T) {
	m := open(t, "label")
	for label, found := range map[string]bool{"label": true, "labe": false, "label2": false, "LABEL": false, "": false} {
		other := &Module{ctx: m.ctx, label: label}
		if err := other.find(); err != nil || other.found != found {
			t.Errorf("%q: %t, %v", label, other.found, err)
		}
	}
	for range 2 {
		fresh := &Module{ctx: m.ctx, label: "twin"}
		if err := fresh.initToken(soPIN); err != nil && !strings.Contains(err.Error(), "two tokens") {
			t.Fatal(err)
		}
	}
	if err := (&Module{ctx: m.ctx, label: "twin"}).find(); !errors.Is(err, hsm.ErrInvalidArgument) || !strings.Contains(err.Error(), `two tokens with the label "twin"`) {
		t.Errorf("%v", err)
	}
}

func TestATokenThatHasAPINIsNeverInitialisedAgain(t *testing.T) {
	m := open(t, "initialised")
	was := m.DomainKeys()
	for _, pins := range [][2][]byte{{soPIN, userPIN}, {soPIN, []byte("another")}, {[]byte("0000"), userPIN}} {
		if err := m.Initialize(pins[0], pins[1]); err != nil {
			t.Errorf("%v", err)
		}
	}
	s, err := m.TokenState()
	if err != nil || s.GetSoPinCountLow() || !s.GetUserPinInitialized() || !s.GetInitialized() {
		t.Errorf("%v, %v", s, err)
	}
	if is := m.DomainKeys(); len(is) != 1 || !proto.Equal(is[0], was[0]) {
		t.Errorf("%v became %v", was, is)
	}
}

// The flags of the token itself say how often a PIN was tried: that is what the guard of PINs goes by.
func TestAWrongPINIsSeenInTheTokensFlagsAndARightOneTakesThemAway(t *testing.T) {
	m := open(t, "flags")
	flags := func() [3]bool {
		t.Helper()
		s, err := m.TokenState()
		if err != nil {
			t.Fatal(err)
		}
		return [3]bool{s.GetUserPinCountLow(), s.GetUserPinFinalTry(), s.GetUserPinLocked()}
	}
	if got := flags(); got != [3]bool{} {
		t.Errorf("before: %v", got)
	}
	m.login.Lock()
	if err := m.logout(); err != nil {
		t.Fatal(err)
	}
	m.login.Unlock()
	if err := m.Login([]byte("0000")); !errors.Is(err, hsm.ErrWrongPIN) || strings.Contains(err.Error(), "0000") {
		t.Errorf("%v", err)
	}
	if got := flags(); got != [3]bool{true, false, false} {
		t.Errorf("after a wrong one: %v", got)
	}
	for range 2 { // the second finds that it is logged in
		if err := m.Login(userPIN); err != nil {
			t.Fatal(err)
		}
	}
	if got := flags(); got != [3]bool{} {
		t.Errorf("after the right one: %v", got)
	}
}

func generate(t testing.TB, m *Module, label string) pkcs11.ObjectHandle {
	t.Helper()
	object, err := m.ctx.GenerateKey(m.keeper, one(pkcs11.CKM_AES_KEY_GEN, nil), append(domainTemplate(label, pkcs11.CKA_ENCRYPT, pkcs11.CKA_DECRYPT), attr(pkcs11.CKA_VALUE_LEN, hsm.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func TestADamagedTokenIsSaidAndNothingOfItIsUsed(t *testing.T) {
	for name, tt := range map[string]struct {
		labels []string
		says   string
	}{
		"a domain key without its wrapping key": {[]string{domainLabel + "5"}, "domain key of epoch 5 without its wrapping key"},
		"two domain keys of one epoch":          {[]string{domainLabel + "1"}, `two keys with the label "strongroom/domain/1"`},
		"two wrapping keys of one epoch":        {[]string{wrappingLabel + "1"}, `two keys with the label "strongroom/wrapping/1"`},
	} {
		m := open(t, "damaged "+name[:20])
		for _, label := range tt.labels {
			generate(t, m, label)
		}
		m.login.Lock()
		err := m.findDomainKeys()
		m.login.Unlock()
		if !errors.Is(err, hsm.ErrModule) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
		_ = m.ctx.Finalize()
	}
}

// The token may have keys of somebody else: what is not labelled as ours is left alone.
func TestKeysOfOthersOnTheTokenAreLeftAlone(t *testing.T) {
	m := open(t, "others")
	labels := []string{
		"somebody's", "", domainLabel, domainLabel + "0", domainLabel + "-1", domainLabel + "4294967296", domainLabel + "1x", domainLabel + " 3",
		"x" + domainLabel + "3", wrappingLabel + "0", strings.ToUpper(domainLabel) + "3",
	}
	for _, label := range labels {
		generate(t, m, label)
	}
	m.login.Lock()
	defer m.login.Unlock()
	if err := m.findDomainKeys(); err != nil || len(m.epochs) != 1 || m.newest != 1 {
		t.Errorf("%d epochs, the newest %d: %v", len(m.epochs), m.newest, err)
	}
	if err := m.ctx.FindObjectsInit(m.keeper, []*pkcs11.Attribute{attr(pkcs11.CKA_TOKEN, true)}); err != nil {
		t.Fatal(err)
	}
	objects, _, err := m.ctx.FindObjects(m.keeper, 100)
	_ = m.ctx.FindObjectsFinal(m.keeper)
	if err != nil || len(objects) != len(labels)+2 {
		t.Errorf("%d objects are left of %d: %v", len(objects), len(labels)+2, err)
	}
}

func TestATokenTakesAsManyDomainKeysAsTheLimitAndNoMore(t *testing.T) {
	m := open(t, "full")
	m.login.Lock()
	defer m.login.Unlock()
	for epoch := int64(2); epoch < hsm.MaxDomainKeys; epoch++ {
		m.epochs[epoch] = m.epochs[1]
	}
	if err := m.takes(maxEpoch); err != nil {
		t.Errorf("%d of them: %v", len(m.epochs), err)
	}
	m.epochs[hsm.MaxDomainKeys] = m.epochs[1]
	if err := m.takes(maxEpoch); !errors.Is(err, hsm.ErrInvalidArgument) || !strings.Contains(err.Error(), "256") {
		t.Errorf("%d of them: %v", len(m.epochs), err)
	}
}

func TestAModuleSaysWhatItIsAndWhatIsLeft(t *testing.T) {
	m := open(t, "describe")
	info, err := m.Describe()
	if err != nil || info.GetManufacturer() != "SoftHSM" || info.GetModel() != "SoftHSM v2" || info.GetSerialNumber() == "" || !strings.Contains(info.GetCryptokiVersion(), ".") {
		t.Errorf("%v, %v", info, err)
	}
	if strings.TrimSpace(info.GetDescription()) != info.GetDescription() {
		t.Errorf("%q is padded", info.GetDescription())
	}
	token, _, err := m.GenerateKey(hsm.KeySpecs()[0], nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Encrypt(&hsmpb.KeyToken{Token: token}, nil, nil); err != nil {
		t.Fatal(err)
	}
	c, err := m.Capacity()
	if err != nil || c.GetCachedKeys() != 1 || c.GetMaxCachedKeys() != 2 {
		t.Errorf("%v, %v", c, err)
	}
	for what, n := range map[string]int64{ // SoftHSM tells nothing of these, in both of PKCS#11's ways
		"public memory": c.GetFreePublicMemoryBytes(), "private memory": c.GetFreePrivateMemoryBytes(), "free sessions": c.GetFreeSessions(), "open sessions": c.GetOpenSessions(),
	} {
		if n != -1 {
			t.Errorf("%s: %d", what, n)
		}
	}
	absent := &Module{ctx: m.ctx, label: "absent", cache: newCache(1, nil)}
	if info, err := absent.Describe(); err != nil || info.GetManufacturer() != "SoftHSM" || info.GetModel() != "" {
		t.Errorf("without a token: %v, %v", info, err)
	}
	if c, err := absent.Capacity(); err != nil || c.GetFreePrivateMemoryBytes() != -1 {
		t.Errorf("without a token: %v, %v", c, err)
	}
	for given, want := range map[string]string{"SoftHSM  \x00": "SoftHSM", "\xff": "?", "": "", " x ": " x"} {
		if got := text(given); got != want {
			t.Errorf("%q becomes %q", given, got)
		}
	}
}

// Whoever is faster: of two who unwrap one key at once one object stays, and an object in use is not destroyed under its user.
func TestAKeyInUseStaysInTheModuleUntilItsLastUserIsDone(t *testing.T) {
	var mu sync.Mutex
	destroyed := map[pkcs11.ObjectHandle]int{}
	c := newCache(1, func(objects ...pkcs11.ObjectHandle) {
		mu.Lock()
		defer mu.Unlock()
		for _, o := range objects {
			destroyed[o]++
		}
	})
	first := c.add(cacheKey{1}, 1, hsm.KeySpec{})
	if same := c.add(cacheKey{1}, 2, hsm.KeySpec{}); same != first || destroyed[2] != 1 {
		t.Errorf("the slower one's object is used or left: %v", destroyed)
	}
	second := c.add(cacheKey{2}, 3, hsm.KeySpec{}) // takes the first one's place, which two still use
	if c.get(cacheKey{1}) != nil || destroyed[1] != 0 {
		t.Errorf("%v", destroyed)
	}
	c.release(first)
	if destroyed[1] != 0 {
		t.Error("it is destroyed under its second user")
	}
	c.release(first)
	c.release(second)
	if destroyed[1] != 1 || destroyed[3] != 0 || c.len() != 1 {
		t.Errorf("%v, and %d are there", destroyed, c.len())
	}
	third := c.get(cacheKey{2})
	c.forget() // the user logged out: the module destroyed all by itself
	c.release(third)
	if destroyed[3] != 0 || c.len() != 0 || c.get(cacheKey{2}) != nil {
		t.Errorf("%v, and %d are there", destroyed, c.len())
	}
}

func serve(t testing.TB) map[child.Method]child.Handler {
	t.Helper()
	handlers, err := Handlers()
	if err != nil {
		t.Fatal(err)
	}
	return handlers
}

func ask(t testing.TB, h map[child.Method]child.Handler, method child.Method, request proto.Message) (proto.Message, error) {
	t.Helper()
	body, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return h[method](body)
}

func TestEveryMethodOfTheChildIsServedAndNoneBeforeTheModuleIsOpen(t *testing.T) {
	handlers := serve(t)
	for method := child.Open; method <= child.Import; method++ {
		handler := handlers[method]
		if handler == nil {
			t.Errorf("method %d is not served", method)
			continue
		}
		if method == child.Open {
			continue
		}
		spec, _ := proto.Marshal(&hsmpb.GenerateKeyRequest{KeySpec: "RSA_2048"})
		if method != child.GenerateKey {
			spec = nil
		}
		if _, err := handler(spec); !errors.Is(err, hsm.ErrModule) || !strings.Contains(err.Error(), "not open") && method != child.GenerateKey {
			t.Errorf("method %d: %v", method, err)
		}
	}
	t.Cleanup(func() {
		if p := pkcs11.New(library); p != nil {
			_ = p.Finalize()
			p.Destroy()
		}
	})
	answer, err := ask(t, handlers, child.Open, request(func(r *hsmpb.OpenRequest) { r.TokenLabel = "served" }))
	if err != nil || answer.(*hsmpb.OpenResponse).GetToken().GetInitialized() {
		t.Fatalf("%v, %v", answer, err)
	}
	if _, err := ask(t, handlers, child.Open, request()); !errors.Is(err, hsm.ErrInvalidArgument) {
		t.Errorf("a second Open: %v", err)
	}
	if _, err := ask(t, handlers, child.Login, &hsmpb.LoginRequest{Pin: userPIN}); !errors.Is(err, hsm.ErrUninitialized) {
		t.Errorf("logging in to no token: %v", err)
	}
	for _, step := range []struct {
		method  child.Method
		request proto.Message
	}{
		{child.InitializeToken, &hsmpb.InitializeTokenRequest{SoPin: soPIN, Pin: userPIN}}, {child.Login, &hsmpb.LoginRequest{Pin: userPIN}},
		{child.CreateDomainKey, &hsmpb.CreateDomainKeyRequest{Epoch: 1}}, {child.Random, &hsmpb.RandomRequest{Size: 1}},
	} {
		if _, err := ask(t, handlers, step.method, step.request); err != nil {
			t.Fatalf("method %d: %v", step.method, err)
		}
	}
	info, err := ask(t, handlers, child.Info, &hsmpb.InfoRequest{})
	if err != nil || len(info.(*hsmpb.InfoResponse).GetDomainKeys()) != 1 {
		t.Errorf("%v, %v", info, err)
	}
}

// What comes from outside reaches the module as these messages: no bytes of them make the process that loaded the library die, or fail in a way
// that starts it anew.
func FuzzWhatAChildIsAsked(f *testing.F) {
	m := open(f, "fuzz")
	handlers := serve(f)
	var s service
	s.module.Store(m)
	handlers[child.Unwrap], handlers[child.Decrypt] = child.Handle(with(&s, unwrapKey)), child.Handle(with(&s, decrypt))
	handlers[child.Encrypt], handlers[child.Sign] = child.Handle(with(&s, encrypt)), child.Handle(with(&s, sign))
	handlers[child.Wrap], handlers[child.Import] = child.Handle(with(&s, wrapKey)), child.Handle(with(&s, importKeys))
	handlers[child.Random] = child.Handle(with(&s, random))
	methods := []child.Method{child.Unwrap, child.Decrypt, child.Encrypt, child.Sign, child.Wrap, child.Import, child.Random}
	wrapped, err := m.Wrap(make([]byte, hsm.KeySize), []byte("aad"), 0)
	if err != nil {
		f.Fatal(err)
	}
	cipher, _, err := m.GenerateKey(hsm.KeySpecs()[0], nil, 0)
	if err != nil {
		f.Fatal(err)
	}
	signer, _, err := m.GenerateKey(hsm.KeySpecs()[1], nil, 0)
	if err != nil {
		f.Fatal(err)
	}
	add := func(method byte, message proto.Message) {
		body, err := proto.Marshal(message)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(method, body)
	}
	add(0, &hsmpb.UnwrapRequest{Wrapped: wrapped, Aad: []byte("aad")})
	add(1, &hsmpb.DecryptRequest{Key: &hsmpb.KeyToken{Token: cipher}, Ciphertext: wrapped})
	add(2, &hsmpb.EncryptRequest{Key: &hsmpb.KeyToken{Token: cipher}, Plaintext: []byte("p")})
	add(3, &hsmpb.SignRequest{Key: &hsmpb.KeyToken{Token: signer}, SigningAlgorithm: "ECDSA_SHA_256", Digest: make([]byte, 32)})
	add(4, &hsmpb.WrapRequest{Key: make([]byte, 32), Epoch: -1})
	add(5, &hsmpb.ImportRequest{DomainKeys: []*hsmpb.WrappedDomainKey{{Wrapped: make([]byte, 384)}}})
	add(6, &hsmpb.RandomRequest{Size: -1})
	f.Add(byte(3), []byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, method byte, body []byte) {
		answer, err := handlers[methods[int(method)%len(methods)]](body)
		if errors.Is(err, hsm.ErrModule) {
			t.Fatalf("method %d: %x fails the module: %v", method, body, err)
		}
		if err == nil && answer == nil {
			t.Fatal("neither an answer nor an error")
		}
	})
}

func FuzzParseTransportKey(f *testing.F) {
	_, der := ours(f)
	f.Add(der)
	f.Add(der[:len(der)-1])
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := parseTransportKey(b)
		if (err == nil) != (key != nil) || err != nil && !errors.Is(err, hsm.ErrInvalidArgument) {
			t.Fatal(err)
		}
		if key != nil && (key.N.BitLen() != transportBits || key.E != 65537) {
			t.Fatal(fmt.Sprint(key.N.BitLen(), key.E))
		}
	})
}
