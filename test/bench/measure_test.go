package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/operator"
)

// floor runs the least controller that there could be on n Secrets, in a process of its own, and answers objects a second and its
// CPU in milliseconds an object.
func (b *bench) floor(n int) (speed, perObject float64) {
	process := exec.Command(os.Args[0], "-test.run=TestFloorController", "-bench-floor="+b.config)
	process.Stderr = os.Stderr
	b.must(process.Start())
	stop := func() { _ = process.Process.Kill(); _ = process.Wait() }
	b.t.Cleanup(stop)
	time.Sleep(3 * time.Second) // as long as the manager gets
	b.namespace("floor")
	before, begin := cpu(process.Process.Pid), time.Now()
	b.createAll(secrets, "floor", n)
	b.allReady(secrets, "floor", n)
	speed = float64(n) / time.Since(begin).Seconds()
	perObject = (cpu(process.Process.Pid) - before) * 1000 / float64(n)
	stop()
	b.must(b.client.DeleteAllOf(b.ctx, &v1alpha1.Secret{}, client.InNamespace("floor")))
	return speed, perObject
}

var floorConfig = flag.String("bench-floor", "", "kubeconfig of the API server on which to run the floor controller, until it is killed")

// TestFloorController is the floor controller's process. It does nothing in a run of the tests themselves.
func TestFloorController(t *testing.T) {
	if *floorConfig == "" {
		return
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", *floorConfig)
	must(err)
	cfg.QPS = -1
	collectAsManager()
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme: operator.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	must(err)
	c := mgr.GetClient()
	err = ctrl.NewControllerManagedBy(mgr).Named("floor").For(&v1alpha1.Secret{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: 8}).
		Complete(reconcile.Func(func(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
			s := &v1alpha1.Secret{}
			if err := c.Get(ctx, req.NamespacedName, s); err != nil || s.Status.ObservedGeneration == s.Generation {
				return ctrl.Result{}, client.IgnoreNotFound(err)
			}
			err := c.Create(ctx, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}, Data: map[string][]byte{"value": make([]byte, 32)},
			})
			if client.IgnoreAlreadyExists(err) != nil {
				return ctrl.Result{}, err
			}
			before := s.DeepCopy()
			s.Status.ObservedGeneration = s.Generation
			conditions.Summarise(&s.Status.Conditions, s.Generation, nil, "Done", "Done")
			return ctrl.Result{}, c.Status().Patch(ctx, s, client.MergeFrom(before))
		}))
	must(err)
	must(mgr.Start(t.Context()))
}

// cpu is the CPU time of a process in seconds.
func cpu(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // clock ticks are 100 a second on Linux
}

// memory is the resident memory of the manager in MB.
func (b *bench) memory() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.manager.Process.Pid))
	b.must(err)
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			b.must(err)
			return kb / 1000
		}
	}
	b.t.Fatal("no VmRSS")
	return 0
}

// processOf finds the process whose command line holds a text.
func processOf(text string) int {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), text) {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			return pid
		}
	}
	return 0
}

func (b *bench) auditOffset() int64 {
	info, err := os.Stat(b.auditLog())
	b.must(err)
	return info.Size()
}

// audited counts, in the API server's audit log, what the manager asked for since an offset, by verb and resource. Requests
// that are not about objects one by one (watches, lists, leases) are left out.
func (b *bench) audited(offset int64) map[string]int {
	counts := map[string]int{}
	b.eachAudited(offset, func(e auditEvent) {
		if e.Verb == "list" || e.ObjectRef.Namespace == "strongroom-system" || e.ObjectRef.Resource == "" {
			return
		}
		counts[e.Verb+" "+strings.Trim(e.ObjectRef.Resource+"/"+e.ObjectRef.Subresource, "/")]++
	})
	return counts
}

// auditedAll lists everything that the manager asked for since an offset but watches, which go on.
func (b *bench) auditedAll(offset int64) (all []auditEvent) {
	b.eachAudited(offset, func(e auditEvent) { all = append(all, e) })
	return all
}

// auditEvent is what is read of an event of the API server's audit log.
type auditEvent struct {
	Verb, RequestURI string
	User             struct{ Username string }
	ObjectRef        struct{ Resource, Subresource, Namespace string }
}

func (b *bench) eachAudited(offset int64, do func(auditEvent)) {
	f, err := os.Open(b.auditLog())
	b.must(err)
	defer f.Close()
	_, err = f.Seek(offset, io.SeekStart)
	b.must(err)
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var e auditEvent
		if json.Unmarshal(scanner.Bytes(), &e) == nil && e.User.Username == "bench-manager" && e.Verb != "watch" {
			do(e)
		}
	}
}

// requests adds what was audited to the table and fails the test if it is more than limit an object.
func (b *bench) requests(what string, offset int64, n, limit int) {
	time.Sleep(time.Second) // the log is written a little later
	counts, total := b.audited(offset), 0
	var parts []string
	for k, v := range counts {
		parts = append(parts, fmt.Sprintf("%s %.2f", k, float64(v)/float64(n)))
		total += v
	}
	slices.Sort(parts)
	average := float64(total) / float64(n)
	b.add(what, "%.3f (%s)", average, strings.Join(parts, ", "))
	if average > float64(limit)+0.05 {
		b.t.Errorf("%s: %.3f, more than %d: %v", what, average, limit, counts)
	}
}
