package environment

import (
	"bytes"
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/trail"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/server"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// Region is the operator's, and OtherRegion and ThirdRegion are served besides.
const (
	Region      = "us-east-1"
	OtherRegion = "eu-west-1"
	ThirdRegion = "ap-south-1"
	doorSecret  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// Door serves services over TLS, for the SDK's clients. Whoever asks is a user of the account of the world's namespace with one policy.
type Door struct {
	*httptest.Server
	// UniqueID of the user, if there is an IAMUser alice that policies and grants mean.
	UniqueID string

	world *World

	mu       sync.Mutex
	policies map[string]string
	written  bytes.Buffer
}

// Open opens a Door until the suite ends.
func (w *World) Open(services ...gateway.Service) *Door {
	GinkgoHelper()
	d := &Door{world: w, policies: map[string]string{}}
	s, err := server.New(server.Options{
		Services: services, Regions: []string{Region, OtherRegion, ThirdRegion}, Credentials: d, Trail: trail.NewWriter(d), Log: GinkgoLogr, Now: time.Now,
	})
	Expect(err).NotTo(HaveOccurred())
	d.Server = httptest.NewUnstartedServer(s)
	d.EnableHTTP2 = true
	d.StartTLS()
	DeferCleanup(d.Close)
	return d
}

// Write takes what is recorded, and Text gives it.
func (d *Door) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.written.Write(p)
}

// Text is all that was recorded since the Door was opened.
func (d *Door) Text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.written.String()
}

// Credential is that of an access key that Config has made.
func (d *Door) Credential(_ context.Context, id, _ string) (serviceiam.Credential, error) {
	d.mu.Lock()
	text, known := d.policies[id]
	d.mu.Unlock()
	if !known {
		return serviceiam.Credential{Secret: secretbytes.Copy([]byte("x"))}, serviceiam.ErrUnknownAccessKey
	}
	policy, err := iam.Parse([]byte(text), iam.Identity)
	account := arn.DeriveAccount(d.world.Namespace)
	return serviceiam.Credential{Secret: secretbytes.Copy([]byte(doorSecret)), Identity: &serviceiam.Identity{
		Type: serviceiam.TypeIAMUser, Namespace: d.world.Namespace, Name: "alice", UserID: "AIDAEXAMPLE", AccessKeyID: id,
		Principal: iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/alice", UniqueID: d.UniqueID}, Identity: []*iam.Policy{policy},
	}}, err
}

// Config is an SDK's, of a user with statements: each is the inside of one, such as "Action":"acm:*","Resource":"*", and allows.
func (d *Door) Config(region string, statements ...string) aws.Config {
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` + strings.Join(statements, `},{"Effect":"Allow",`) + `}]}`
	d.mu.Lock()
	defer d.mu.Unlock()
	id := "AKIA" + strings.ToUpper(strconv.FormatInt(1<<40+int64(len(d.policies)), 36)) + "AAAAAAAA"
	id = (id + "AAAAAAAAAAAAAAAA")[:20]
	d.policies[id] = text
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(d.URL), HTTPClient: &http.Client{Transport: Whole(d.Client().Transport)}, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: id, SecretAccessKey: doorSecret}, nil
		}),
	}
}

// Verified has openssl verify a certificate in PEM with those above it, up to the root. It fails the spec if it is not good.
func Verified(certificate, chain string, at time.Time, more ...string) {
	GinkgoHelper()
	above, err := pki.ParseCertificates([]byte(chain))
	Expect(err).NotTo(HaveOccurred())
	dir := GinkgoT().TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
		return path
	}
	block := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
	args := append([]string{"verify", "-x509_strict", "-attime", strconv.FormatInt(at.Unix(), 10),
		"-CAfile", write("ca.crt", block(above[len(above)-1].Raw))}, more...)
	for i, c := range above[:len(above)-1] {
		args = append(args, "-untrusted", write("between"+strconv.Itoa(i), block(c.Raw)))
	}
	out, err := exec.CommandContext(context.Background(), "openssl", append(args, write("leaf.crt", []byte(certificate)))...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
}
