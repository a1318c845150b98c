package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	profiles "runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	awspca "github.com/aws/aws-sdk-go-v2/service/acmpca"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/internal/core/authority"
	"strongroom.dev/strongroom/internal/gateway/awsjson"
	"strongroom.dev/strongroom/internal/gateway/sigv4"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/pacer"
	"strongroom.dev/strongroom/test/environment"
)

var (
	gatewayConfig = flag.String("bench-gateway", "", "kubeconfig of the API server on which to run an operator with a gateway, until it is killed")
	gatewayAudit  = flag.String("bench-audit", "", "audit log of that gateway")
	floorAudit    = flag.String("bench-least", "", "audit log of a bare server that does what no gateway can leave out; a bare one if empty")
	bareSecret    = flag.String("bench-bare", "", "secret key by which a bare server verifies signatures, until it is killed")
)

// bareUser signs for the bare server, which knows no other.
var bareUser = signer{id: "AKIABARE000000000000", secret: "the bare server guards nothing with it"}

// TestGatewayProcess is the gateway's process: the operator as `strongroom manager` runs it. It does nothing in a run of the
// tests themselves.
func TestGatewayProcess(t *testing.T) {
	if *gatewayConfig == "" {
		return
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", *gatewayConfig)
	must(err)
	cfg.QPS, cfg.DisableCompression = -1, true // as the manager's own
	collectAsManager()
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	op, err := operator.New(cfg, withRoot(operator.Options{
		Namespace: environment.OperatorNamespace, Region: benchRegion, GatewayBindAddress: "127.0.0.1:0", AuditLog: *gatewayAudit,
		PprofBindAddress: *pprof,
	}))
	must(err)
	go func() { must(op.Start(t.Context())) }()
	<-op.Services.Keyring.Unsealed()
	for op.Gateway.Bound() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Printf("%s\n\n", op.Gateway.Bound())
	must(obey(&filler{op: op, there: map[string]int{"keys": realObjects, "secrets": realObjects, "policies": realObjects, "parameters": 0}}))
}

// collectAsManager sets the garbage collector as `strongroom manager` does.
func collectAsManager() {
	if os.Getenv("GOGC") == "" {
		pacer.Start()
	}
}

// TestBareProcess is the process of the bare server: the ceiling for one that is made of the same parts. It speaks TLS, verifies
// signatures, decodes the input and encodes an output as long as the gateway's, and does nothing else: it keeps no record, asks
// no policy, and encrypts nothing.
func TestBareProcess(t *testing.T) {
	if *bareSecret == "" {
		return
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	collectAsManager()
	ca, err := authority.New("bare", time.Now())
	must(err)
	certificate, err := ca.Issue([]string{"localhost"}, time.Now())
	must(err)
	socket, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(err)
	handler := &bare{keys: map[string]sigv4.Key{}}
	if *floorAudit != "" {
		handler.floor, err = newFloor(*floorAudit)
		must(err)
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}},
	}
	go func() { must(server.ServeTLS(socket, "", "")) }()
	bundle := filepath.Join(t.TempDir(), "ca.crt")
	must(os.WriteFile(bundle, ca.CertificatePEM(), 0o600))
	fmt.Printf("%s\n%s\n", socket.Addr(), bundle)
	must(obey(nil))
}

// bare is the bare server's handler.
type bare struct {
	floor *floor // nil for nothing besides

	mu   sync.Mutex
	keys map[string]sigv4.Key
}

var bareBuffers = sync.Pool{New: func() any { return ptr.To(make([]byte, 0, 16<<10)) }}

func (s *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in, out := bareBuffers.Get().(*[]byte), bareBuffers.Get().(*[]byte)
	defer func() { bareBuffers.Put(in); bareBuffers.Put(out) }()
	body := (*in)[:min(int(r.ContentLength), cap(*in))]
	if _, err := io.ReadFull(r.Body, body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	signed, err := sigv4.Parse(r, body)
	if err == nil {
		err = signed.Verify(s.key(signed), time.Now())
	}
	var answer []byte
	if err == nil {
		answer, err = bareAnswer((*out)[:0], r.Header.Get("X-Amz-Target"), body)
	}
	if err == nil && s.floor != nil {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		err = s.floor.work(opened[operation+" String"])
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header()["Content-Type"] = []string{"application/x-amz-json-1.1"}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(answer))}
	_, _ = w.Write(answer)
}

func (s *bare) key(r *sigv4.Request) sigv4.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := r.Date + r.Region + r.Service
	key, ok := s.keys[name]
	if !ok {
		key = sigv4.DeriveKey([]byte(*bareSecret), r.Date, r.Region, r.Service)
		s.keys[name] = key
	}
	return key
}

var errTarget = errors.New("the target is not measured")

// bareAnswer decodes the input and encodes an output.
func bareAnswer(dst []byte, target string, body []byte) ([]byte, error) {
	var in, out any
	arn := ptr.To("arn:aws:kms:us-east-1:123456789012:key/8c9e6b1c-3f0e-4b6e-9a43-1f1f4d1d8a01")
	blob, plain := make([]byte, 170), make([]byte, 64)
	if len(body) > len(large) {
		blob, plain = make([]byte, len(large)+106), make([]byte, len(large))
	}
	switch target {
	case "TrentService.Encrypt":
		in, out = &awskms.EncryptInput{}, &awskms.EncryptOutput{CiphertextBlob: blob, KeyId: arn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT"}
	case "TrentService.Decrypt":
		in, out = &awskms.DecryptInput{}, &awskms.DecryptOutput{Plaintext: plain, KeyId: arn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT", KeyMaterialId: arn}
	case "TrentService.GenerateDataKey":
		in, out = &awskms.GenerateDataKeyInput{}, &awskms.GenerateDataKeyOutput{Plaintext: plain, CiphertextBlob: blob, KeyId: arn, KeyMaterialId: arn}
	case "TrentService.Sign":
		in, out = &awskms.SignInput{}, &awskms.SignOutput{Signature: blob, KeyId: arn, SigningAlgorithm: "ECDSA_SHA_256"}
	case "TrentService.Verify":
		in, out = &awskms.VerifyInput{}, &awskms.VerifyOutput{KeyId: arn, SignatureValid: true, SigningAlgorithm: "ECDSA_SHA_256"}
	case "TrentService.GenerateMac":
		in, out = &awskms.GenerateMacInput{}, &awskms.GenerateMacOutput{Mac: blob[:32], KeyId: arn, MacAlgorithm: "HMAC_SHA_256"}
	case "TrentService.VerifyMac":
		in, out = &awskms.VerifyMacInput{}, &awskms.VerifyMacOutput{KeyId: arn, MacValid: true, MacAlgorithm: "HMAC_SHA_256"}
	case "TrentService.GenerateDataKeyPair":
		pair := &awskms.GenerateDataKeyPairOutput{KeyId: arn, KeyMaterialId: arn, KeyPairSpec: "ECC_NIST_P256", PublicKey: blob[:91], PrivateKeyPlaintext: blob[:138], PrivateKeyCiphertextBlob: blob}
		in, out = &awskms.GenerateDataKeyPairInput{}, pair
	case "secretsmanager.GetSecretValue":
		in, out = &awssm.GetSecretValueInput{}, &awssm.GetSecretValueOutput{
			ARN: arn, Name: ptr.To("secret-1"), SecretString: ptr.To(string(plain)), VersionId: arn, VersionStages: []string{"AWSCURRENT"}, CreatedDate: &time.Time{},
		}
	case "AmazonSSM.GetParameter":
		in, out = &awsssm.GetParameterInput{}, &awsssm.GetParameterOutput{Parameter: &ssmtypes.Parameter{
			ARN: arn, Name: ptr.To("string-1"), Value: ptr.To(string(plain)), Type: "String", DataType: ptr.To("text"), Version: 1, LastModifiedDate: &time.Time{},
		}}
	case "AmazonSSM.GetParametersByPath":
		ten := &awsssm.GetParametersByPathOutput{}
		for range realObjects {
			ten.Parameters = append(ten.Parameters, ssmtypes.Parameter{
				ARN: arn, Name: ptr.To("/shop/app/1"), Value: ptr.To(string(plain)), Type: "String", DataType: ptr.To("text"), Version: 1, LastModifiedDate: &time.Time{},
			})
		}
		in, out = &awsssm.GetParametersByPathInput{}, ten
	case "ACMPrivateCA.IssueCertificate":
		in, out = &awspca.IssueCertificateInput{}, &awspca.IssueCertificateOutput{CertificateArn: arn}
	default:
		return nil, errTarget
	}
	if err := awsjson.Decode(body, in); err != nil {
		return nil, err
	}
	return awsjson.Append(dst, out), nil
}

// obey does what standard input says, until it ends.
func obey(f *filler) error {
	var profiling *os.File
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var what, name string
		var n int
		_, _ = fmt.Sscan(lines.Text(), &what, &name, &n)
		answer := "done"
		var err error
		switch {
		case what == "usage":
			answer = ownUsage()
		case what == "collect":
			runtime.GC()
		case what == "fill":
			err = f.fill(context.Background(), name, n)
		case what == "primitive":
			answer, err = primitiveCost(strings.ReplaceAll(name, "/", " "), time.Duration(n)*time.Millisecond)
		case name != "":
			if profiling, err = os.Create(name + ".cpu"); err == nil {
				err = profiles.StartCPUProfile(profiling)
			}
		default:
			profiles.StopCPUProfile()
			if f != nil {
				err = allocations(profiling.Name() + ".allocs")
			}
		}
		if err != nil {
			return err
		}
		fmt.Println(answer)
	}
	return nil
}

func allocations(path string) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	return profiles.Lookup("allocs").WriteTo(out, 0)
}

// ownUsage is a usage of this process.
func ownUsage() string {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprint(u.Utime.Nano()+u.Stime.Nano(), m.TotalAlloc, m.Mallocs)
}
