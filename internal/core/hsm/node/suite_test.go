//go:build cgo

package node_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/hsm/node"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func background(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// logs are what a node logs, for a test that looks for what must not be there.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// in lets a node log into l.
func (l *logs) in(o *node.Options) { o.Logger = slog.New(slog.NewJSONHandler(l, nil)) }

// running is a node, and a connection of an operator.
type running struct {
	*hsmtest.Node
	authority *hsmtest.Authority
	api       hsmpb.NodeClient
	// token is the directory of a shared one.
	token string
}

// dial connects with a certificate of one's own choice.
func dial(t testing.TB, address string, config *tls.Config) hsmpb.NodeClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)), grpc.WithDisableRetry())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return hsmpb.NewNodeClient(conn)
}

func tlsOf(m *mtls.Material) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{m.Certificate}, RootCAs: m.Authorities, ServerName: "127.0.0.1"}
}

// start runs a node on an empty token, or on that of dir.
func start(t testing.TB, a *hsmtest.Authority, dir string, changes ...hsmtest.Change) *running {
	t.Helper()
	n := hsmtest.Start(t, a, dir, "", changes...)
	return &running{Node: n, authority: a, api: dial(t, n.Address, tlsOf(a.Issue(t, mtls.Name(hsmtest.Cluster, mtls.Operator, "test"))))}
}

// state waits until the node is in one.
func (r *running) state(t testing.TB, want hsmpb.State) *hsmpb.StatusResponse {
	t.Helper()
	var last *hsmpb.StatusResponse
	hsmtest.Eventually(t, want.String(), func() bool {
		last, _ = r.Status(background(t), nil)
		return last.GetState() == want
	})
	return last
}

// active runs a node that holds the domain key of epoch 1.
func active(t testing.TB, changes ...hsmtest.Change) *running {
	t.Helper()
	r := start(t, hsmtest.NewAuthority(t), "", changes...)
	r.state(t, hsmpb.State_STATE_UNINITIALIZED)
	ctx := background(t)
	_, err := r.api.Initialize(ctx, &hsmpb.InitializeRequest{})
	must(t, err)
	_, err = r.api.CreateDomainKey(ctx, &hsmpb.CreateDomainKeyRequest{Epoch: 1})
	must(t, err)
	r.state(t, hsmpb.State_STATE_ACTIVE)
	return r
}

// again starts the node anew on its token, as a pod that was replaced.
func (r *running) again(t testing.TB, changes ...hsmtest.Change) *running {
	t.Helper()
	r.Stop()
	return start(t, r.authority, r.Dir, changes...)
}

func (r *running) key(t testing.TB, spec string) *hsmpb.KeyToken {
	t.Helper()
	aad := []byte("arn")
	key, err := r.api.GenerateKey(background(t), &hsmpb.GenerateKeyRequest{KeySpec: spec, Aad: aad})
	must(t, err)
	return &hsmpb.KeyToken{Token: key.GetToken(), Aad: aad}
}

func (r *running) sign(ctx context.Context, key *hsmpb.KeyToken) error {
	_, err := r.api.Sign(ctx, &hsmpb.SignRequest{Key: key, SigningAlgorithm: "ECDSA_SHA_256", Digest: make([]byte, 32)})
	return hsmpb.FromStatus(err)
}

// call is one operation of the API by its name, with its request.
type call struct {
	method  string
	request proto.Message
	answer  proto.Message
}

func (c call) on(ctx context.Context, address string, t testing.TB, config *tls.Config) error {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)), grpc.WithDisableRetry())
	must(t, err)
	defer conn.Close()
	return hsmpb.FromStatus(conn.Invoke(ctx, "/strongroom.hsm.v1.Node/"+c.method, c.request, c.answer))
}

// every operation, with a request that asks for as much as an empty one can.
func every() []call {
	return []call{
		{"Status", &hsmpb.StatusRequest{}, &hsmpb.StatusResponse{}},
		{"Random", &hsmpb.RandomRequest{Size: 8}, &hsmpb.RandomResponse{}},
		{"Wrap", &hsmpb.WrapRequest{Key: make([]byte, hsm.KeySize)}, &hsmpb.WrapResponse{}},
		{"Unwrap", &hsmpb.UnwrapRequest{}, &hsmpb.UnwrapResponse{}},
		{"GenerateKey", &hsmpb.GenerateKeyRequest{KeySpec: "ECC_NIST_P256"}, &hsmpb.GenerateKeyResponse{}},
		{"Encrypt", &hsmpb.EncryptRequest{}, &hsmpb.EncryptResponse{}},
		{"Decrypt", &hsmpb.DecryptRequest{}, &hsmpb.DecryptResponse{}},
		{"Sign", &hsmpb.SignRequest{}, &hsmpb.SignResponse{}},
		{"Initialize", &hsmpb.InitializeRequest{}, &hsmpb.InitializeResponse{}},
		{"CreateDomainKey", &hsmpb.CreateDomainKeyRequest{Epoch: 1}, &hsmpb.CreateDomainKeyResponse{}},
		{"Join", &hsmpb.JoinRequest{}, &hsmpb.JoinResponse{}},
		{"Clone", &hsmpb.CloneRequest{}, &hsmpb.CloneResponse{}},
		{"Import", &hsmpb.ImportRequest{}, &hsmpb.ImportResponse{}},
	}
}
