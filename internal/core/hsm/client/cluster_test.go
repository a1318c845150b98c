//go:build cgo

package client_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/hsm/node"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dial(t testing.TB, a *hsmtest.Authority, role mtls.Role, nodes ...*hsmtest.Node) *client.Cluster {
	t.Helper()
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, n.Address)
	}
	c, err := client.New(client.Options{Cluster: hsmtest.Cluster, Addresses: addresses, TLS: a.Source(t, role, "test")})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

func awaitState(t testing.TB, c *client.Cluster, address string, want hsmpb.State) *hsmpb.StatusResponse {
	t.Helper()
	n, err := c.Node(address)
	must(t, err)
	var last *hsmpb.StatusResponse
	hsmtest.Eventually(t, address+" in "+want.String(), func() bool {
		last, err = n.Status(ctx(t))
		return err == nil && last.GetState() == want
	})
	return last
}

// cluster runs size nodes that hold one domain key.
func cluster(t testing.TB, size int, changes ...hsmtest.Change) (*client.Cluster, []*hsmtest.Node, *hsmtest.Authority) {
	t.Helper()
	a := hsmtest.NewAuthority(t)
	var nodes []*hsmtest.Node
	for range size {
		nodes = append(nodes, hsmtest.Start(t, a, "", "", changes...))
	}
	c := dial(t, a, mtls.Operator, nodes...)
	for i, n := range nodes {
		awaitState(t, c, n.Address, hsmpb.State_STATE_UNINITIALIZED)
		api, err := c.Node(n.Address)
		must(t, err)
		must(t, api.Initialize(ctx(t)))
		must(t, api.Initialize(ctx(t))) // once more does no harm
		awaitState(t, c, n.Address, hsmpb.State_STATE_INITIALIZED)
		if i == 0 {
			_, err := api.CreateDomainKey(ctx(t), 1)
			must(t, err)
			if _, err := api.CreateDomainKey(ctx(t), 1); !errors.Is(err, hsm.ErrExists) {
				t.Fatalf("a second domain key of one epoch: %v", err)
			}
		} else {
			must(t, c.Add(ctx(t), nodes[0].Address, n.Address))
		}
		awaitState(t, c, n.Address, hsmpb.State_STATE_ACTIVE)
	}
	if h := c.Check(ctx(t)); h.Err != nil || h.Healthy() != size || h.Epoch != 1 {
		t.Fatalf("%+v", h)
	}
	return c, nodes, a
}

func TestThreeNodesAreOneClusterThatOutlivesAllButOneOfThem(t *testing.T) {
	c, nodes, a := cluster(t, 3)
	key, public, err := c.GenerateKey(ctx(t), spec(t, "ECC_NIST_P256"), []byte("arn"))
	must(t, err)
	root := client.NewRoot("HSMCluster", c)
	record, err := keyring.NewDomainKey(ctx(t), root, 1, nil, time.Now())
	must(t, err)
	if protected, message := keyring.Protection(root); !protected || !strings.Contains(message, hsmtest.Cluster) {
		t.Error(message)
	}
	for alive := 3; alive >= 1; alive-- {
		for range 6 { // whichever node is asked
			if err := verify(c, ctx(t), key, public); err != nil {
				t.Fatalf("with %d nodes: %v", alive, err)
			}
			_, err := keyring.Unseal(ctx(t), root, []keyring.DomainKeyRecord{record})
			must(t, err)
		}
		nodes[alive-1].Stop()
	}
	c.Check(ctx(t))
	if err := verify(c, ctx(t), key, public); !errors.Is(err, hsm.ErrNoNodes) {
		t.Fatalf("with no node: %v", err)
	}
	// A node that comes back needs nobody: its token has the domain key.
	back := hsmtest.Start(t, a, nodes[2].Dir, nodes[2].Address)
	awaitState(t, c, back.Address, hsmpb.State_STATE_ACTIVE)
	if h := c.Check(ctx(t)); h.Healthy() != 1 || h.Err != nil {
		t.Fatalf("%+v", h)
	}
	must(t, verify(c, ctx(t), key, public))
}

func spec(t testing.TB, name string) hsm.KeySpec {
	t.Helper()
	s, err := hsm.ParseKeySpec(name)
	must(t, err)
	return s
}

func verify(c *client.Cluster, ctx context.Context, key client.KeyToken, public []byte) error {
	digest := sha256.Sum256([]byte("message"))
	signature, err := c.Sign(ctx, key, "ECDSA_SHA_256", digest[:])
	if err != nil {
		return err
	}
	parsed, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return err
	}
	if !ecdsa.VerifyASN1(parsed.(*ecdsa.PublicKey), digest[:], signature) {
		return errors.New("the signature does not verify")
	}
	return nil
}

func TestEveryKeySpecSignsWithEveryAlgorithmOfItsOnAllNodes(t *testing.T) {
	c, _, _ := cluster(t, 2)
	digests := map[crypto.Hash][]byte{}
	d256, d384, d512 := sha256.Sum256([]byte("m")), sha512.Sum384([]byte("m")), sha512.Sum512([]byte("m"))
	digests[crypto.SHA256], digests[crypto.SHA384], digests[crypto.SHA512] = d256[:], d384[:], d512[:]
	for _, s := range hsm.KeySpecs() {
		key, public, err := c.GenerateKey(ctx(t), s, []byte("arn"))
		must(t, err)
		if s.Family == hsm.AES {
			if public != nil {
				t.Error("a symmetric key has a public half")
			}
			_, err := c.Sign(ctx(t), key, "ECDSA_SHA_256", d256[:])
			if !errors.Is(err, hsm.ErrUnsupported) {
				t.Errorf("signing with a symmetric key: %v", err)
			}
			continue
		}
		parsed, err := x509.ParsePKIXPublicKey(public)
		must(t, err)
		for _, algorithm := range hsm.SigningAlgorithms(s) {
			for range 3 {
				digest := digests[algorithm.Hash]
				signature, err := c.Sign(ctx(t), key, algorithm.Name, digest)
				must(t, err)
				switch k := parsed.(type) {
				case *ecdsa.PublicKey:
					if !ecdsa.VerifyASN1(k, digest, signature) {
						err = errors.New("it does not verify")
					}
				case *rsa.PublicKey:
					if algorithm.PSS {
						err = rsa.VerifyPSS(k, algorithm.Hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
					} else {
						err = rsa.VerifyPKCS1v15(k, algorithm.Hash, digest, signature)
					}
				}
				if err != nil {
					t.Errorf("%s with %s: %v", s.Name, algorithm.Name, err)
				}
			}
			if _, err := c.Sign(ctx(t), key, algorithm.Name, []byte("short")); !errors.Is(err, hsm.ErrInvalidArgument) {
				t.Errorf("a digest that is too short: %v", err)
			}
		}
		if _, err := c.Encrypt(ctx(t), key, secretbytes.Copy([]byte("x")), nil); !errors.Is(err, hsm.ErrUnsupported) {
			t.Errorf("encrypting with %s: %v", s.Name, err)
		}
	}
}

func TestWhatIsEncryptedOpensWithItsKeyAndItsContextAlone(t *testing.T) {
	c, _, _ := cluster(t, 2)
	key, _, err := c.GenerateKey(ctx(t), spec(t, "SYMMETRIC_DEFAULT"), []byte("arn"))
	must(t, err)
	other, _, err := c.GenerateKey(ctx(t), spec(t, "SYMMETRIC_DEFAULT"), []byte("arn"))
	must(t, err)
	for _, size := range []int{0, 1, 4096} {
		plaintext := bytes.Repeat([]byte{7}, size)
		ciphertext, err := c.Encrypt(ctx(t), key, secretbytes.Copy(plaintext), []byte("context"))
		must(t, err)
		got, err := c.Decrypt(ctx(t), key, ciphertext, []byte("context"))
		if err != nil || !bytes.Equal(got.Reveal(), plaintext) || len(ciphertext) != size+hsm.Overhead {
			t.Fatalf("%d bytes: %v", size, err)
		}
		flipped := bytes.Clone(ciphertext)
		flipped[len(flipped)-1] ^= 1
		for name, open := range map[string]func() (secretbytes.Bytes, error){
			"another context": func() (secretbytes.Bytes, error) { return c.Decrypt(ctx(t), key, ciphertext, []byte("Context")) },
			"another key":     func() (secretbytes.Bytes, error) { return c.Decrypt(ctx(t), other, ciphertext, []byte("context")) },
			"a flipped bit":   func() (secretbytes.Bytes, error) { return c.Decrypt(ctx(t), key, flipped, []byte("context")) },
			"another key's AAD": func() (secretbytes.Bytes, error) {
				return c.Decrypt(ctx(t), client.KeyToken{Token: key.Token, AAD: []byte("brn")}, ciphertext, []byte("context"))
			},
			"no ciphertext": func() (secretbytes.Bytes, error) { return c.Decrypt(ctx(t), key, nil, []byte("context")) },
			"a token":       func() (secretbytes.Bytes, error) { return c.Decrypt(ctx(t), key, key.Token, []byte("context")) },
		} {
			if _, err := open(); !errors.Is(err, hsm.ErrInvalidCiphertext) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := c.Encrypt(ctx(t), key, secretbytes.Copy(make([]byte, 4097)), nil); !errors.Is(err, hsm.ErrInvalidArgument) {
		t.Errorf("4,097 bytes: %v", err)
	}
	for i := range key.Token { // every byte of a token is authenticated
		bad := bytes.Clone(key.Token)
		bad[i] ^= 0x41
		_, err := c.Encrypt(ctx(t), client.KeyToken{Token: bad, AAD: key.AAD}, secretbytes.Copy([]byte("x")), nil)
		if !errors.Is(err, hsm.ErrInvalidCiphertext) && !errors.Is(err, hsm.ErrUnknownEpoch) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

func TestAWrongPINIsTriedOnceAndTheRightOneWorksAfterwards(t *testing.T) {
	c, nodes, a := cluster(t, 1)
	dir, address := nodes[0].Dir, nodes[0].Address
	nodes[0].Stop()
	pin := filepath.Join(dir, "pin")
	must(t, os.WriteFile(pin, []byte("wrong-CANARY"), 0o600))
	for range 3 { // restarts, as a pod in a crash loop makes them
		n := hsmtest.Start(t, a, dir, address)
		s := awaitState(t, c, address, hsmpb.State_STATE_DEGRADED)
		hsmtest.Eventually(t, "reason WrongPIN", func() bool {
			s, _ = n.Status(ctx(t), nil)
			return s.GetReason() == "WrongPIN" && s.GetModuleStarts() > 2
		})
		if strings.Contains(s.GetMessage(), "CANARY") {
			t.Errorf("the PIN is in %q", s.GetMessage())
		}
		if !strings.Contains(s.GetMessage(), "not tried again") {
			t.Errorf("%q", s.GetMessage())
		}
		n.Stop()
	}
	hsmtest.Start(t, a, dir, address)
	must(t, os.WriteFile(pin, []byte(hsmtest.PIN), 0o600))
	awaitState(t, c, address, hsmpb.State_STATE_ACTIVE)
	if _, err := os.Stat(filepath.Join(dir, "user-pin-attempt.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a right PIN is not forgotten: %v", err)
	}
}

func TestAWrongOfficersPINDoesNotHurtTheNodeAndIsTriedOnce(t *testing.T) {
	_, nodes, a := cluster(t, 1)
	joiner := hsmtest.Start(t, a, "", "")
	c := dial(t, a, mtls.Operator, nodes[0], joiner)
	awaitState(t, c, joiner.Address, hsmpb.State_STATE_UNINITIALIZED)
	api, err := c.Node(joiner.Address)
	must(t, err)
	must(t, api.Initialize(ctx(t)))
	must(t, os.WriteFile(filepath.Join(nodes[0].Dir, "so-pin"), []byte("wrong"), 0o600))
	for i := range 3 {
		err := c.Add(ctx(t), nodes[0].Address, joiner.Address)
		if !errors.Is(err, hsm.ErrWrongPIN) || (i > 0) != strings.Contains(err.Error(), "not tried again") {
			t.Errorf("%d: %v", i, err)
		}
		awaitState(t, c, nodes[0].Address, hsmpb.State_STATE_ACTIVE)
	}
	must(t, os.WriteFile(filepath.Join(nodes[0].Dir, "so-pin"), []byte(hsmtest.SOPIN), 0o600))
	must(t, c.Add(ctx(t), nodes[0].Address, joiner.Address))
}

func TestALibraryThatIsMissingOrIsNoneIsAStateAndNotACrash(t *testing.T) {
	a := hsmtest.NewAuthority(t)
	notALibrary := filepath.Join(t.TempDir(), "lib.so")
	must(t, os.WriteFile(notALibrary, []byte("text"), 0o600))
	for library, says := range map[string]string{"/missing/lib.so": "--library", notALibrary: "cannot be loaded"} {
		n := hsmtest.Start(t, a, "", "", func(o *node.Options) { o.Library = library })
		c := dial(t, a, mtls.Operator, n)
		s := awaitState(t, c, n.Address, hsmpb.State_STATE_DEGRADED)
		hsmtest.Eventually(t, says, func() bool { s, _ = n.Status(ctx(t), nil); return strings.Contains(s.GetMessage(), says) })
		if s.GetReason() != "ModuleFailed" {
			t.Errorf("%+v", s)
		}
		if _, err := c.Random(ctx(t), 8); !errors.Is(err, hsm.ErrModule) || !errors.Is(err, hsm.ErrNoNodes) {
			t.Errorf("%v", err)
		}
	}
}

func TestAModuleThatCrashesIsStartedAgainAndNothingIsLost(t *testing.T) {
	c, nodes, _ := cluster(t, 1)
	key, public, err := c.GenerateKey(ctx(t), spec(t, "ECC_NIST_P256"), nil)
	must(t, err)
	for range 2 {
		pid := nodes[0].ChildPID()
		must(t, syscall.Kill(pid, syscall.SIGSEGV))
		hsmtest.Eventually(t, "another child", func() bool { p := nodes[0].ChildPID(); return p != 0 && p != pid })
		awaitState(t, c, nodes[0].Address, hsmpb.State_STATE_ACTIVE)
		c.Check(ctx(t))
		must(t, verify(c, ctx(t), key, public))
	}
}

func TestRequestsInFlightWhenTheModuleCrashesFailAndSaySo(t *testing.T) {
	c, nodes, _ := cluster(t, 1)
	failed := make(chan error, 1)
	go func() {
		for {
			if _, _, err := c.GenerateKey(ctx(t), spec(t, "RSA_4096"), nil); err != nil {
				failed <- err
				return
			}
		}
	}()
	time.Sleep(100 * time.Millisecond)
	must(t, syscall.Kill(nodes[0].ChildPID(), syscall.SIGKILL))
	if err := <-failed; !errors.Is(err, hsm.ErrModule) || !strings.Contains(err.Error(), "process ended") {
		t.Error(err)
	}
}

func TestOnlyAnOperatorOfTheClusterMayDoMoreThanAskForTheStatus(t *testing.T) {
	c, nodes, a := cluster(t, 1)
	_ = c
	peer := dial(t, a, mtls.Node, nodes[0])
	api, err := peer.Node(nodes[0].Address)
	must(t, err)
	if s, err := api.Status(ctx(t)); err != nil || s.GetState() != hsmpb.State_STATE_ACTIVE {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := peer.Random(ctx(t), 8); !errors.Is(err, hsm.ErrPermissionDenied) {
		t.Errorf("a node's certificate: %v", err)
	}
	stranger := dial(t, hsmtest.NewAuthority(t), mtls.Operator, nodes[0])
	if _, err := stranger.Random(ctx(t), 8); !errors.Is(err, hsm.ErrNoNodes) {
		t.Errorf("a certificate of another authority: %v", err)
	}
	material := a.Issue(t, mtls.Name("another", mtls.Operator, "test"))
	other, err := client.New(client.Options{Cluster: hsmtest.Cluster, Addresses: []string{nodes[0].Address}, TLS: func() (*mtls.Material, error) { return material, nil }})
	must(t, err)
	defer other.Close()
	if _, err := other.Random(ctx(t), 8); !errors.Is(err, hsm.ErrPermissionDenied) {
		t.Errorf("an operator of another cluster: %v", err)
	}
}
