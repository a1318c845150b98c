//go:build cgo

package node_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/hsm/node"
)

func TestANodeSaysWhichOptionIsWrongBeforeItDoesAnything(t *testing.T) {
	good := node.Options{
		Cluster: "c", Library: "/lib.so", TokenLabel: "t", OAEPHash: "SHA_1", Sessions: 1, MaxCachedKeys: 1,
		PIN: node.EnvironmentPIN("X"), StateDir: t.TempDir(),
	}
	if _, err := node.New(good); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*node.Options){
		"the cluster has no name":         func(o *node.Options) { o.Cluster = "" },
		"there is no library":             func(o *node.Options) { o.Library = "" },
		"a token label of 0 bytes":        func(o *node.Options) { o.TokenLabel = "" },
		"a token label of 33 bytes":       func(o *node.Options) { o.TokenLabel = strings.Repeat("x", 33) },
		`the hash "SHA_512" for OAEP`:     func(o *node.Options) { o.OAEPHash = "SHA_512" },
		`the hash "" for OAEP`:            func(o *node.Options) { o.OAEPHash = "" },
		"0 sessions; give 1 to 64":        func(o *node.Options) { o.Sessions = 0 },
		"65 sessions; give 1 to 64":       func(o *node.Options) { o.Sessions = 65 },
		"0 cached keys; give 1 to 65536":  func(o *node.Options) { o.MaxCachedKeys = 0 },
		"65537 cached keys; give 1 to 65": func(o *node.Options) { o.MaxCachedKeys = 65537 },
		"there is no PIN":                 func(o *node.Options) { o.PIN = nil },
		`"/missing" is not there`:         func(o *node.Options) { o.StateDir = "/missing" },
		`"/etc/hostname" is not there`:    func(o *node.Options) { o.StateDir = "/etc/hostname" },
	} {
		o := good
		change(&o)
		if _, err := node.New(o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	for _, change := range []func(*node.Options){
		func(o *node.Options) { o.TokenLabel = strings.Repeat("x", 32) }, func(o *node.Options) { o.Sessions, o.MaxCachedKeys = 64, 65536 },
		func(o *node.Options) { o.OAEPHash = "SHA_256" },
	} {
		o := good
		change(&o)
		if _, err := node.New(o); err != nil {
			t.Error(err)
		}
	}
}

func transportKey(t testing.TB, bits int) []byte {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	must(t, err)
	return der
}

// Each limit from outside: one less, the limit itself, and one more.
func TestEveryRequestHasItsLimitsAndOneOverThemIsRefusedWithItsReason(t *testing.T) {
	r := active(t)
	ctx := background(t)
	cipher, signer := r.key(t, "SYMMETRIC_DEFAULT"), r.key(t, "ECC_NIST_P256")
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	curveDER, err := x509.MarshalPKIXPublicKey(&curve.PublicKey)
	must(t, err)
	random := func(size int32) func() error {
		return func() error {
			a, err := r.api.Random(ctx, &hsmpb.RandomRequest{Size: size})
			if err == nil && len(a.GetRandom()) != int(size) {
				err = fmt.Errorf("%d bytes", len(a.GetRandom()))
			}
			return err
		}
	}
	wrap := func(key, aad int, epoch int64) func() error {
		return func() error {
			_, err := r.api.Wrap(ctx, &hsmpb.WrapRequest{Key: make([]byte, key), Aad: make([]byte, aad), Epoch: epoch})
			return err
		}
	}
	generate := func(spec string, aad int, epoch int64) func() error {
		return func() error {
			_, err := r.api.GenerateKey(ctx, &hsmpb.GenerateKeyRequest{KeySpec: spec, Aad: make([]byte, aad), Epoch: epoch})
			return err
		}
	}
	encrypt := func(key *hsmpb.KeyToken, plaintext, aad int) func() error {
		return func() error {
			_, err := r.api.Encrypt(ctx, &hsmpb.EncryptRequest{Key: key, Plaintext: make([]byte, plaintext), Aad: make([]byte, aad)})
			return err
		}
	}
	sign := func(key *hsmpb.KeyToken, algorithm string, digest int) func() error {
		return func() error {
			_, err := r.api.Sign(ctx, &hsmpb.SignRequest{Key: key, SigningAlgorithm: algorithm, Digest: make([]byte, digest)})
			return err
		}
	}
	clone := func(der []byte) func() error {
		return func() error { _, err := r.api.Clone(ctx, &hsmpb.CloneRequest{TransportKey: der}); return err }
	}
	epoch := func(n int64) func() error {
		return func() error {
			_, err := r.api.CreateDomainKey(ctx, &hsmpb.CreateDomainKeyRequest{Epoch: n})
			return err
		}
	}
	longAAD := &hsmpb.KeyToken{Token: cipher.GetToken(), Aad: make([]byte, hsm.MaxAAD+1)}
	for _, tt := range []struct {
		name string
		ask  func() error
		want error
	}{
		{"-1 random bytes", random(-1), hsm.ErrInvalidArgument},
		{"0 random bytes", random(0), hsm.ErrInvalidArgument},
		{"1 random byte", random(1), nil},
		{"1,024 random bytes", random(hsm.MaxRandom), nil},
		{"1,025 random bytes", random(hsm.MaxRandom + 1), hsm.ErrInvalidArgument},
		{"2^31-1 random bytes", random(math.MaxInt32), hsm.ErrInvalidArgument},
		{"wrapping no key", wrap(0, 0, 0), hsm.ErrInvalidArgument},
		{"wrapping 31 bytes", wrap(31, 0, 0), hsm.ErrInvalidArgument},
		{"wrapping 32 bytes", wrap(32, 0, 0), nil},
		{"wrapping 33 bytes", wrap(33, 0, 0), hsm.ErrInvalidArgument},
		{"wrapping with the longest AAD", wrap(32, hsm.MaxAAD, 1), nil},
		{"wrapping with a byte more", wrap(32, hsm.MaxAAD+1, 1), hsm.ErrInvalidArgument},
		{"wrapping under an epoch that is not there", wrap(32, 0, 2), hsm.ErrUnknownEpoch},
		{"wrapping under a negative epoch", wrap(32, 0, -1), hsm.ErrUnknownEpoch},
		{"a key of no spec", generate("", 0, 0), hsm.ErrUnsupported},
		{"a key of a spec that nobody has", generate("ECC_SECG_P256K1", 0, 0), hsm.ErrUnsupported},
		{"a key with the longest AAD", generate("SYMMETRIC_DEFAULT", hsm.MaxAAD, 0), nil},
		{"a key with a byte more", generate("SYMMETRIC_DEFAULT", hsm.MaxAAD+1, 0), hsm.ErrInvalidArgument},
		{"a key of an epoch that is not there", generate("SYMMETRIC_DEFAULT", 0, math.MaxInt64), hsm.ErrUnknownEpoch},
		{"encrypting nothing", encrypt(cipher, 0, 0), nil},
		{"encrypting 4,096 bytes", encrypt(cipher, hsm.MaxPlaintext, hsm.MaxAAD), nil},
		{"encrypting 4,097 bytes", encrypt(cipher, hsm.MaxPlaintext+1, 0), hsm.ErrInvalidArgument},
		{"encrypting with too long an AAD", encrypt(cipher, 1, hsm.MaxAAD+1), hsm.ErrInvalidArgument},
		{"encrypting with a key of too long an AAD", encrypt(longAAD, 1, 0), hsm.ErrInvalidArgument},
		{"encrypting with no key", encrypt(nil, 1, 0), hsm.ErrInvalidCiphertext},
		{"encrypting with a key that signs", encrypt(signer, 1, 0), hsm.ErrUnsupported},
		{"signing 31 bytes with SHA-256", sign(signer, "ECDSA_SHA_256", 31), hsm.ErrInvalidArgument},
		{"signing 32 bytes with SHA-256", sign(signer, "ECDSA_SHA_256", 32), nil},
		{"signing 33 bytes with SHA-256", sign(signer, "ECDSA_SHA_256", 33), hsm.ErrInvalidArgument},
		{"signing by another curve's algorithm", sign(signer, "ECDSA_SHA_384", 48), hsm.ErrUnsupported},
		{"signing by no algorithm", sign(signer, "", 32), hsm.ErrUnsupported},
		{"signing with no key", sign(nil, "ECDSA_SHA_256", 32), hsm.ErrInvalidCiphertext},
		{"cloning for nobody", clone(nil), hsm.ErrInvalidArgument},
		{"cloning for a key of 2,048 bits", clone(transportKey(t, 2048)), hsm.ErrInvalidArgument},
		{"cloning for a key on a curve", clone(curveDER), hsm.ErrInvalidArgument},
		{"cloning for a key with something behind it", clone(append(transportKey(t, 3072), 0)), hsm.ErrInvalidArgument},
		{"cloning for 2,049 bytes", clone(make([]byte, 2049)), hsm.ErrInvalidArgument},
		{"epoch 0", epoch(0), hsm.ErrInvalidArgument},
		{"epoch -1", epoch(-1), hsm.ErrInvalidArgument},
		{"epoch 1 again", epoch(1), hsm.ErrExists},
		{"epoch 2^32", epoch(1 << 32), hsm.ErrInvalidArgument},
		{"importing without a transport key", func() error { _, err := r.api.Import(ctx, &hsmpb.ImportRequest{}); return err }, hsm.ErrNoTransportKey},
	} {
		wants(t, tt.name, hsmpb.FromStatus(tt.ask()), tt.want)
	}
	if s := r.state(t, hsmpb.State_STATE_ACTIVE); len(s.GetDomainKeys()) != 1 || s.GetModuleStarts() != 1 {
		t.Errorf("refused requests left %v", s)
	}
}

func TestAMessageOverTheLimitIsRefusedAndTheConnectionServesOn(t *testing.T) {
	r := active(t)
	ctx := background(t)
	for size, code := range map[int]codes.Code{hsm.MaxMessage - 64: codes.InvalidArgument, hsm.MaxMessage: codes.ResourceExhausted, 3 << 20: codes.ResourceExhausted} {
		_, err := r.api.Encrypt(ctx, &hsmpb.EncryptRequest{Plaintext: make([]byte, size)})
		if status.Code(err) != code {
			t.Errorf("%d bytes: %v, want %s", size, err, code)
		}
	}
	if _, err := r.api.Random(ctx, &hsmpb.RandomRequest{Size: 8}); err != nil {
		t.Error(err)
	}
}

func TestANodeWithoutTheOfficersPINSaysSoAndNeitherInitialisesNorClones(t *testing.T) {
	without := func(o *node.Options) { o.SOPIN = nil }
	r := start(t, hsmtest.NewAuthority(t), "", without)
	if s := r.state(t, hsmpb.State_STATE_UNINITIALIZED); s.GetCanClone() {
		t.Error("it says that it can clone")
	}
	_, err := r.api.Initialize(background(t), &hsmpb.InitializeRequest{})
	wants(t, "initialising", hsmpb.FromStatus(err), hsm.ErrNoSecurityOfficer)
	_, err = r.api.Clone(background(t), &hsmpb.CloneRequest{TransportKey: transportKey(t, 3072)})
	wants(t, "cloning", hsmpb.FromStatus(err), hsm.ErrNoSecurityOfficer)
	r = active(t).again(t, without)
	if s := r.state(t, hsmpb.State_STATE_ACTIVE); s.GetCanClone() {
		t.Error("it says that it can clone")
	}
	must(t, r.sign(background(t), r.key(t, "ECC_NIST_P256")))
}

// In each state of a token, what cannot be done yet is refused with the reason that says what to do first.
func TestWhatATokenIsNotReadyForIsRefusedWithWhatToDoFirst(t *testing.T) {
	a := hsmtest.NewAuthority(t)
	r := start(t, a, "")
	operator := tlsOf(a.Issue(t, mtls.Name(hsmtest.Cluster, mtls.Operator, "test")))
	r.state(t, hsmpb.State_STATE_UNINITIALIZED)
	if err := r.Ready(background(t)); err == nil || !strings.Contains(err.Error(), "STATE_UNINITIALIZED") {
		t.Errorf("%v", err)
	}
	needsLogin := []string{"Random", "Wrap", "GenerateKey", "CreateDomainKey", "Join"}
	for _, c := range every() {
		if slices.Contains(needsLogin, c.method) {
			wants(t, c.method+" on an empty token", c.on(background(t), r.Address, t, operator), hsm.ErrUninitialized)
		}
	}
	_, err := r.api.Initialize(background(t), &hsmpb.InitializeRequest{})
	must(t, err)
	r.state(t, hsmpb.State_STATE_INITIALIZED)
	if err := r.Ready(background(t)); err == nil || !strings.Contains(err.Error(), "STATE_INITIALIZED") {
		t.Errorf("%v", err)
	}
	for _, c := range every() {
		if c.method == "Wrap" || c.method == "GenerateKey" {
			wants(t, c.method+" without a domain key", c.on(background(t), r.Address, t, operator), hsm.ErrNoDomainKey)
		}
	}
	_, err = r.api.Clone(background(t), &hsmpb.CloneRequest{TransportKey: transportKey(t, 3072)})
	wants(t, "cloning what is not there", hsmpb.FromStatus(err), hsm.ErrNoDomainKey)
}

// More callers than sessions, more keys than places in the cache, and clones, which log the user out, in between: each gets its own answer.
func TestManyCallersAtOnceAreServedAlsoWhileDomainKeysAreCloned(t *testing.T) {
	r := active(t, func(o *node.Options) { o.Sessions, o.MaxCachedKeys = 3, 2 })
	ctx, transport := background(t), transportKey(t, 3072)
	var keys []*hsmpb.KeyToken
	for range 5 {
		keys = append(keys, r.key(t, "SYMMETRIC_DEFAULT"))
	}
	var everyone sync.WaitGroup
	for i := range 24 {
		everyone.Go(func() {
			key, other := keys[i%5], keys[(i+1)%5]
			plaintext := fmt.Sprintf("plaintext %d", i)
			for range 8 {
				encrypted, err := r.api.Encrypt(ctx, &hsmpb.EncryptRequest{Key: key, Plaintext: []byte(plaintext)})
				if err != nil {
					t.Errorf("encrypting: %v", err)
					return
				}
				got, err := r.api.Decrypt(ctx, &hsmpb.DecryptRequest{Key: key, Ciphertext: encrypted.GetCiphertext()})
				if err != nil || string(got.GetPlaintext()) != plaintext {
					t.Errorf("%q, %v", got.GetPlaintext(), err)
				}
				_, err = r.api.Decrypt(ctx, &hsmpb.DecryptRequest{Key: other, Ciphertext: encrypted.GetCiphertext()})
				wants(t, "decrypting with another key", hsmpb.FromStatus(err), hsm.ErrInvalidCiphertext)
			}
		})
	}
	for range 4 {
		if _, err := r.api.Clone(ctx, &hsmpb.CloneRequest{TransportKey: transport}); err != nil {
			t.Errorf("cloning: %v", err)
		}
	}
	everyone.Wait()
	s := r.state(t, hsmpb.State_STATE_ACTIVE)
	if s.GetModuleStarts() != 1 || s.GetCapacity().GetCachedKeys() > 2 {
		t.Errorf("%v", s)
	}
}
