package server_test

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/fxamacker/cbor/v2"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/trail"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/internal/gateway/secretsmanager"
	"strongroom.dev/strongroom/internal/gateway/server"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

func TestServer(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(10 * time.Second)
	RunSpecs(t, "The gateway's server")
}

const (
	region   = "us-east-1"
	adminKey = "AKIAADMIN00000000000"
	// nobodyKey is of a user without a policy.
	nobodyKey  = "AKIANOBODY0000000000"
	expiredKey = "ASIAEXPIRED000000000"
	secretKey  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

var (
	ctx     = context.Background()
	world   *environment.World
	door    *httptest.Server
	records *lines
	// ahead is how far the server's clock is ahead.
	ahead atomic.Int64
)

var _ = BeforeSuite(func() {
	world = environment.NewWorld(ctx)
	records = &lines{}
	door = open(trail.NewWriter(records))
	DeferCleanup(door.Close)
})

var _ = BeforeEach(func() {
	world.Fresh()
	world.ReadyKey("aws-secretsmanager") // in place of its controller
	records.reset()
})

// open serves KMS and Secrets Manager over TLS.
func open(w *trail.Writer, more ...gateway.Service) *httptest.Server {
	GinkgoHelper()
	out := httptest.NewUnstartedServer(serverOf(w, 0, more...))
	out.EnableHTTP2 = true
	out.StartTLS()
	return out
}

// serverOf has the services; a source's share of what is not authenticated is so many percent, the default for 0.
func serverOf(w *trail.Writer, share int, more ...gateway.Service) *server.Server {
	GinkgoHelper()
	s, err := server.New(server.Options{
		SourceShare: share,
		Services: append([]gateway.Service{
			without("ReplicateKey", kms.New(kms.Dependencies{KMS: world.Services.KMS, Authorities: world.Services.Authorities})),
			secretsmanager.New(secretsmanager.Dependencies{Secrets: world.Services.Secrets}),
		}, more...),
		Regions: []string{region, "eu-west-1"}, Credentials: known{}, Trail: w, Log: GinkgoLogr,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	Expect(err).NotTo(HaveOccurred())
	return s
}

// without is a service that does not serve an operation of AWS's, as services do not that are not complete.
func without(operation string, s gateway.Service) gateway.Service {
	s.Operations = slices.DeleteFunc(s.Operations, func(o gateway.Operation) bool { return o.Name == operation })
	return s
}

// known are the credentials of these tests: those of the spec's namespace.
type known struct{}

func (known) Credential(_ context.Context, id, token string) (serviceiam.Credential, error) {
	account := arn.DeriveAccount(world.Namespace)
	identity := &serviceiam.Identity{
		Type: serviceiam.TypeIAMUser, Namespace: world.Namespace, Name: "alice", UserID: "AIDAEXAMPLE", AccessKeyID: id,
		Principal: iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/alice"},
	}
	switch {
	case id == adminKey && token == "":
		policy, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`), iam.Identity)
		if err != nil {
			return serviceiam.Credential{}, err
		}
		identity.Identity = []*iam.Policy{policy}
	case id == nobodyKey && token == "":
	case id == expiredKey:
		return serviceiam.Credential{Secret: secretbytes.Copy([]byte("x"))}, serviceiam.ErrExpiredToken
	default:
		return serviceiam.Credential{Secret: secretbytes.Copy([]byte("x"))}, serviceiam.ErrUnknownAccessKey
	}
	return serviceiam.Credential{Identity: identity, Secret: secretbytes.Copy([]byte(secretKey))}, nil
}

// lines keeps records.
type lines struct {
	mu  sync.Mutex
	out bytes.Buffer
	err error
	// hold holds a record up until it is closed; nil holds none.
	hold chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	hold := l.hold
	l.mu.Unlock()
	if hold != nil {
		<-hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	return l.out.Write(p)
}

func (l *lines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out.Reset()
}

// holding has records held up until what it gives is called.
func (l *lines) holding() (release func()) {
	hold := make(chan struct{})
	l.mu.Lock()
	l.hold = hold
	l.mu.Unlock()
	return sync.OnceFunc(func() {
		l.mu.Lock()
		l.hold = nil
		l.mu.Unlock()
		close(hold)
	})
}

func (l *lines) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// text is everything that was recorded.
func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// all are the records, parsed strictly.
func (l *lines) all() (out []map[string]any) {
	GinkgoHelper()
	for _, line := range strings.Split(strings.TrimSuffix(l.text(), "\n"), "\n") {
		var record map[string]any
		Expect(json.Unmarshal([]byte(line), &record)).To(Succeed(), line)
		out = append(out, record)
	}
	return out
}

func (l *lines) last() map[string]any {
	GinkgoHelper()
	all := l.all()
	return all[len(all)-1]
}

type static struct{ id, secret, token string }

func (s static) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret, SessionToken: s.token}, nil
}

func kmsClient(id, secret string, change ...func(*awskms.Options)) *awskms.Client {
	return awskms.New(awskms.Options{
		Region: region, BaseEndpoint: aws.String(door.URL), HTTPClient: door.Client(), Credentials: static{id: id, secret: secret},
		RetryMaxAttempts: 1,
	}, change...)
}

func smClient(id string, change ...func(*awssm.Options)) *awssm.Client {
	return awssm.New(awssm.Options{
		Region: region, BaseEndpoint: aws.String(door.URL), HTTPClient: door.Client(), Credentials: static{id: id, secret: secretKey},
		RetryMaxAttempts: 1,
	}, change...)
}

// raw is a request as it goes over the wire.
type raw struct {
	method, path, target, contentType, body string
	key, secret, region, service            string
	at                                      time.Time
	// rpc is the service and the operation of a request in RPC v2: TrentService/Encrypt. There is no target then.
	rpc string
	// change the request before it is signed, and tamper with it after.
	change, tamper func(*http.Request)
	unsigned       bool
}

func (r raw) make() *http.Request {
	GinkgoHelper()
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	path, kind := "/", "application/x-amz-json-1.1"
	if service, operation, ok := strings.Cut(r.rpc, "/"); ok {
		path, kind = "/service/"+service+"/operation/"+operation, "application/cbor"
	}
	req, err := http.NewRequestWithContext(ctx, or(r.method, "POST"), door.URL+or(r.path, path), strings.NewReader(r.body))
	Expect(err).NotTo(HaveOccurred())
	if r.rpc != "" {
		req.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	}
	if r.target != "" {
		req.Header.Set("X-Amz-Target", r.target)
	}
	req.Header.Set("Content-Type", or(r.contentType, kind))
	if r.change != nil {
		r.change(req)
	}
	if !r.unsigned {
		at := r.at
		if at.IsZero() {
			at = time.Now()
		}
		credentials := aws.Credentials{AccessKeyID: or(r.key, adminKey), SecretAccessKey: or(r.secret, secretKey)}
		err = v4.NewSigner().SignHTTP(ctx, credentials, req, sum(r.body), or(r.service, "kms"), or(r.region, region), at)
		Expect(err).NotTo(HaveOccurred())
	}
	if r.tamper != nil {
		r.tamper(req)
	}
	return req
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	// kind and message of a failure.
	kind, message string
}

func send(req *http.Request) answer {
	GinkgoHelper()
	res, err := door.Client().Do(req)
	Expect(err).NotTo(HaveOccurred())
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	Expect(err).NotTo(HaveOccurred())
	out := answer{status: res.StatusCode, header: res.Header, body: string(body)}
	var failure struct {
		Kind  string `json:"__type" cbor:"__type"`
		Lower string `json:"message" cbor:"message"`
		Upper string `json:"Message" cbor:"Message"`
	}
	if json.Unmarshal(body, &failure) == nil || cbor.Unmarshal(body, &failure) == nil {
		out.kind, out.message = failure.Kind, failure.Lower+failure.Upper
	}
	return out
}
