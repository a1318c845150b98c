// Package bench measures what Strongroom costs: requests, CPU, memory and speed, on a real kube-apiserver, side by side
// with a floor controller that does the least that any could (one core Secret, one status patch). `make bench` runs it.
package bench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

var objects = flag.Int("bench-objects", 0, "number of Secrets of the first round; the second has five times as many, the third four times. 0 checks the harness with 20")

var pprof = flag.String("bench-pprof", "", "loopback address at which the manager serves its profiles, to look into what is measured")

// row is one line of the table.
type row struct{ what, value string }

type bench struct {
	t      *testing.T
	ctx    context.Context
	env    *envtest.Environment
	client client.Client
	dir    string
	binary string
	config string
	rows   []row
	server int // process id of kube-apiserver
	// roundOffset is where the audit log of the round begins.
	roundOffset int64
	manager     *exec.Cmd
	total       int // of the Secrets that there are
}

func TestCost(t *testing.T) {
	n := *objects
	if n == 0 {
		n = 20
	}
	b := start(t)
	floor, floorCPU := b.floor(n)
	b.add("floor controller: CPU an object", "%.2f ms", floorCPU)
	b.startManager()
	b.add("manager memory without objects", "%.0f MB", b.memory())
	b.key("small")
	first, small := b.round(secrets, "small", n)
	b.add(fmt.Sprintf("%d Secrets: speed beside the floor controller", n), "%.2f (%.0f and %.0f objects/s)", first/floor, first, floor)
	b.key("large")
	_, large := b.round(secrets, "large", 5*n)
	b.add("manager CPU beside the floor controller's, first and second round", "%.2f and %.2f", small/floorCPU, large/floorCPU)
	b.rotate("small", n)
	b.restart(6 * n)
	b.key("more")
	b.round(secrets, "more", 4*n)
	b.restart(10 * n)
	b.print()
}

func start(t *testing.T) *bench {
	b := &bench{t: t, ctx: context.Background(), dir: t.TempDir()}
	b.env = &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join(environment.Root(), "config", "crd")}}
	policy := filepath.Join(b.dir, "policy.yaml")
	b.must(os.WriteFile(policy, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"), 0o600))
	b.env.ControlPlane.GetAPIServer().Configure().Append("audit-policy-file", policy).
		Append("audit-log-path", b.auditLog()).Append("disable-admission-plugins", "ServiceAccount")
	t.Cleanup(func() { _ = b.env.Stop() })
	cfg, err := b.env.Start()
	b.must(err)
	cfg.QPS = -1
	b.client, err = client.New(cfg, client.Options{Scheme: operator.Scheme()})
	b.must(err)
	user, err := b.env.AddUser(envtest.User{Name: "bench-manager", Groups: []string{"system:masters"}}, nil)
	b.must(err)
	kubeconfig, err := user.KubeConfig()
	b.must(err)
	b.config = filepath.Join(b.dir, "kubeconfig")
	b.must(os.WriteFile(b.config, kubeconfig, 0o600))
	b.binary = filepath.Join(b.dir, "strongroom")
	build := exec.Command("go", "build", "-o", b.binary, ".")
	build.Dir = environment.Root()
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatal(string(out))
	}
	b.server = processOf(b.auditLog())
	b.namespace(environment.OperatorNamespace)
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) auditLog() string { return filepath.Join(b.dir, "audit.log") }

func (b *bench) namespace(name string) {
	b.must(b.client.Create(b.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
}

func (b *bench) add(what, format string, args ...any) {
	b.rows = append(b.rows, row{what, fmt.Sprintf(format, args...)})
}

func (b *bench) startManager() {
	args := []string{"manager", "--kubeconfig", b.config, "--namespace", environment.OperatorNamespace,
		"--leader-elect=false", "--metrics-bind-address=0", "--gateway-bind-address=0", "--health-probe-bind-address=0", "--log-level=error"}
	if *pprof != "" {
		args = append(args, "--pprof-bind-address", *pprof)
	}
	b.manager = exec.Command(b.binary, args...)
	b.manager.Stderr = os.Stderr
	b.must(b.manager.Start())
	b.t.Cleanup(b.stopManager)
	time.Sleep(3 * time.Second)
}

func (b *bench) stopManager() {
	if b.manager != nil {
		_ = b.manager.Process.Kill()
		_ = b.manager.Wait()
		b.manager = nil
	}
}

func (b *bench) key(namespace string) {
	b.namespace(namespace)
	b.must(b.client.Create(b.ctx, environment.KMSKey(namespace, "key")))
	b.eventually(time.Minute, func() bool {
		k := environment.KMSKey(namespace, "key")
		return b.client.Get(b.ctx, client.ObjectKeyFromObject(k), k) == nil && k.Status.KeyState == v1alpha1.KeyStateEnabled
	})
}

// kind is a kind of objects that rounds are made of.
type kind struct {
	plural string
	// resource is what its status is audited as.
	resource string
	// limit is how many requests the manager may make for a new object.
	limit int
	make  func(namespace, name string) client.Object
	list  func() client.ObjectList
}

var secrets = kind{
	plural: "Secrets", resource: "secrets", limit: 3,
	make: func(namespace, name string) client.Object { return environment.Secret(namespace, name) },
	list: func() client.ObjectList { return &v1alpha1.SecretList{} },
}

// round applies n objects at once and waits until all are Ready. It answers objects a second and the manager's CPU in
// milliseconds an object.
func (b *bench) round(k kind, namespace string, n int) (speed, perObject float64) {
	offset := b.auditOffset()
	b.roundOffset = offset
	manager, server, begin := cpu(b.manager.Process.Pid), cpu(b.server), time.Now()
	b.createAll(k, namespace, n)
	b.allReady(k, namespace, n)
	took := time.Since(begin)
	manager, server = cpu(b.manager.Process.Pid)-manager, cpu(b.server)-server
	what := fmt.Sprintf("%d %s: ", n, k.plural)
	b.add(what+"manager CPU an object", "%.2f ms", manager*1000/float64(n))
	b.add(what+"API server CPU an object, with its creation", "%.2f ms", server*1000/float64(n))
	b.requests(what+"requests of the manager an object", offset, n, k.limit)
	b.total += n
	b.add(fmt.Sprintf("resident memory of the manager with %d objects in all", b.total), "%.0f MB", b.memory())
	return float64(n) / took.Seconds(), manager * 1000 / float64(n)
}

func (b *bench) createAll(k kind, namespace string, n int) {
	parallel(n, func(i int) {
		if err := b.client.Create(b.ctx, k.make(namespace, fmt.Sprintf("s-%d", i))); err != nil {
			b.t.Error(err)
		}
	})
}

func (b *bench) allReady(k kind, namespace string, n int) {
	// Counting in the audit log costs the API server nothing; listing thousands of objects again and again would.
	if b.manager != nil {
		b.eventually(10*time.Minute, func() bool { return b.audited(b.roundOffset)["update "+k.resource+"/status"] >= n })
	}
	b.eventually(10*time.Minute, func() bool {
		list := k.list()
		b.must(b.client.List(b.ctx, list, client.InNamespace(namespace)))
		ready := 0
		b.must(meta.EachListItem(list, func(item runtime.Object) error {
			if meta.IsStatusConditionTrue(item.(conditioned).GetConditions(), v1alpha1.ConditionReady) {
				ready++
			}
			return nil
		}))
		return ready == n
	})
}

// conditioned is an object with conditions.
type conditioned interface {
	client.Object
	GetConditions() []metav1.Condition
}

func (b *bench) rotate(namespace string, n int) {
	offset := b.auditOffset()
	parallel(n, func(i int) {
		s := environment.Secret(namespace, fmt.Sprintf("s-%d", i))
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"strongroom.dev/rotate":"bench"}}}`))
		if err := b.client.Patch(b.ctx, s, patch); err != nil {
			b.t.Error(err)
		}
	})
	b.eventually(10*time.Minute, func() bool {
		var list v1alpha1.SecretList
		b.must(b.client.List(b.ctx, &list, client.InNamespace(namespace)))
		done := 0
		for i := range list.Items {
			if list.Items[i].Status.LastHandledRotateAt == "bench" {
				done++
			}
		}
		return done == n
	})
	b.requests(fmt.Sprintf("%d rotations: requests of the manager an object", n), offset, n, 3)
}

// restart kills the manager and starts it on everything unchanged.
func (b *bench) restart(n int) {
	b.stopManager()
	offset := b.auditOffset()
	b.startManager()
	last, still := cpu(b.manager.Process.Pid), 0
	for still < 3 { // until it has been idle for three seconds
		time.Sleep(time.Second)
		now := cpu(b.manager.Process.Pid)
		if still++; now-last > 0.05 {
			still = 0
		}
		last = now
	}
	b.requests(fmt.Sprintf("restart with %d Secrets: requests an object", n), offset, n, 0)
	b.add(fmt.Sprintf("restart with %d Secrets: manager CPU in all", n), "%.1f s", last)
	b.add(fmt.Sprintf("restart with %d Secrets: resident memory", n), "%.0f MB", b.memory())
}

func (b *bench) eventually(limit time.Duration, done func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if done() {
			return
		}
	}
	b.t.Fatal("it takes too long")
}

func parallel(n int, do func(int)) {
	var group sync.WaitGroup
	next := make(chan int)
	for range 16 {
		group.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

func (b *bench) print() {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(text), "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	fmt.Printf("\n%s, %d cores, %s\n", model, goruntime.NumCPU(), goruntime.Version())
	for _, r := range b.rows {
		fmt.Printf("| %-75s | %s |\n", r.what, r.value)
	}
}
