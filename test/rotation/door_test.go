package rotation_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	gatewaysecrets "strongroom.dev/strongroom/internal/gateway/secretsmanager"
	"strongroom.dev/strongroom/internal/service/rotation"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/databases"
	"strongroom.dev/strongroom/test/environment"
)

// functionPolicy is what a rotation function may do, as AWS's documentation has it.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets-required-permissions-function.html
var functionPolicy = []string{
	`"Action":["secretsmanager:DescribeSecret","secretsmanager:GetSecretValue","secretsmanager:PutSecretValue","secretsmanager:UpdateSecretVersionStage"],` +
		`"Resource":"arn:aws:secretsmanager:*:*:secret:shop/*"`,
	`"Action":"secretsmanager:GetRandomPassword","Resource":"*"`,
	`"Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"*"`,
}

// lambda is a rotation function of AWS's in a process of its own, which calls back through a gateway, and how it is reached.
type lambda struct {
	door *environment.Door
	// user is an administrator's client.
	user *sdk.Client
	// log is what the function wrote.
	log *log

	port string

	mu     sync.Mutex
	calls  int
	failAt int
	lost   bool
	// during is called at each call of the function, if it is not nil.
	during func()
}

// log collects what a process writes.
type log struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.String()
}

// startFunction starts the function and a gateway over a service, and has rotations of a reconciler's reach it as Service rotate-shop.
func startFunction(over *secretsmanager.Service, rotations *rotation.Service) *lambda {
	GinkgoHelper()
	l := &lambda{door: world.Open(gatewaysecrets.New(gatewaysecrets.Dependencies{Secrets: over})), log: &log{}}
	l.user = sdk.NewFromConfig(l.door.Config(environment.Region, `"Action":"*","Resource":"*"`))
	key, err := l.door.Config(environment.Region, functionPolicy...).Credentials.Retrieve(ctx)
	Expect(err).NotTo(HaveOccurred())
	dir := GinkgoT().TempDir()
	authority := filepath.Join(dir, "ca.crt")
	Expect(os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.door.Certificate().Raw}), 0o600)).To(Succeed())
	command := exec.CommandContext(ctx, "/usr/bin/python3", "-B", "emulator.py")
	command.Dir = "function"
	command.Env = []string{
		"SECRETS_MANAGER_ENDPOINT=" + l.door.URL, "AWS_CA_BUNDLE=" + authority, "AWS_DEFAULT_REGION=" + environment.Region, "AWS_MAX_ATTEMPTS=1",
		"AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretAccessKey, "HOME=" + dir, "AWS_EC2_METADATA_DISABLED=true",
	}
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.Stderr = l.log
	out, err := command.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(command.Start()).To(Succeed())
	DeferCleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	Expect(err).NotTo(HaveOccurred(), "the function does not start (hack/clients.sh and hack/databases.sh install what it needs): %s", l.log.text())
	l.port = strings.TrimSpace(line)
	rotations.Dial = l.dial
	DeferCleanup(func() { rotations.Dial = nil })
	return l
}

// service makes the Service of the function.
func (l *lambda) service(changes ...func(*corev1.Service)) {
	GinkgoHelper()
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "rotate-shop"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8080}}},
	}
	for _, change := range changes {
		change(s)
	}
	Expect(world.ControlPlane.Client.Create(ctx, s)).To(Succeed())
}

// dial is what DNS and kube-proxy are in a cluster.
func (l *lambda) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if address != "rotate-shop."+world.Namespace+".svc:8080" {
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("no such host %s", address)}
	}
	l.mu.Lock()
	l.calls++
	now, lost := l.calls == l.failAt, l.lost
	during := l.during
	l.mu.Unlock()
	if during != nil {
		during()
	}
	if now && !lost {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("the connection is refused")}
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(databases.Host, l.port))
	if err != nil || !now {
		return c, err
	}
	return mute{c}, nil
}

// failAt has the nth call from now fail: before the function hears of it, or when it has done what is asked.
func (l *lambda) cutAt(n int, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls, l.failAt, l.lost = 0, n, lost
}

func (l *lambda) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

// mute is a connection that breaks when the answer comes.
type mute struct{ net.Conn }

func (m mute) Read(p []byte) (int, error) {
	if _, err := m.Conn.Read(p); err != nil {
		return 0, err
	}
	clear(p)
	return 0, &net.OpError{Op: "read", Net: "tcp", Err: io.ErrUnexpectedEOF}
}

// functionARN names the function of the spec's namespace.
func functionARN() *string {
	return ptr.To("arn:aws:lambda:" + environment.Region + ":" + arn.DeriveAccount(world.Namespace) + ":function:rotate-shop")
}

// made is a secret that was made through the API, with a user that the database has and a target for workloads.
func (l *lambda) made() *v1alpha1.Secret {
	GinkgoHelper()
	Expect(server.Exec(ctx, "CREATE ROLE "+username()+" LOGIN PASSWORD 'chosen'")).To(Succeed())
	out, err := l.user.CreateSecret(ctx, &sdk.CreateSecretInput{
		Name: ptr.To("shop/db"), KmsKeyId: ptr.To("alias/shop"),
		SecretString: ptr.To(fmt.Sprintf(`{"engine":"postgres","host":%q,"port":%d,"dbname":"shop","username":%q,"password":"chosen"}`, databases.Host, through(), username())),
	})
	Expect(err).NotTo(HaveOccurred())
	var list v1alpha1.SecretList
	Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
	Expect(list.Items).To(HaveLen(1))
	s := &list.Items[0]
	Expect(world.Services.Secrets.ARNOf(s)).To(Equal(*out.ARN))
	world.Update(s, func() { s.Spec.Target = &v1alpha1.SecretTarget{} })
	reconcile(s)
	Expect(projected(s)).To(Equal(login{username(), "chosen"}))
	return s
}

// rotate asks for a rotation by the function and returns its token.
func (l *lambda) rotate(s *v1alpha1.Secret) string {
	GinkgoHelper()
	token := uuid.NewString()
	out, err := l.user.RotateSecret(ctx, &sdk.RotateSecretInput{SecretId: &s.Status.ARN, ClientRequestToken: &token, RotationLambdaARN: functionARN()})
	Expect(err).NotTo(HaveOccurred())
	Expect(out).To(And(HaveField("ARN", HaveValue(Equal(s.Status.ARN))), HaveField("VersionId", HaveValue(Equal(token)))))
	world.Refresh(s)
	world.Seen(s)
	return token
}

// described is what DescribeSecret says.
func (l *lambda) described(s *v1alpha1.Secret) *sdk.DescribeSecretOutput {
	GinkgoHelper()
	out, err := l.user.DescribeSecret(ctx, &sdk.DescribeSecretInput{SecretId: &s.Status.ARN})
	Expect(err).NotTo(HaveOccurred())
	return out
}
