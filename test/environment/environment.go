// Package environment gives tests a real kube-apiserver with Strongroom's kinds, and an operator on it with a clock that
// the test moves.
package environment

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"strongroom.dev/strongroom/internal/operator"
)

// OperatorNamespace is Strongroom's own namespace in tests.
const OperatorNamespace = "strongroom-system"

// Root is the folder of the module: the first one with a go.mod from where the test runs, which is its package's folder. A source
// file's own name would not tell, since builds are made with -trimpath.
func Root() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for from := dir; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("no go.mod in " + from + " or above")
		}
	}
}

// ControlPlane is a running etcd and kube-apiserver.
type ControlPlane struct {
	env *envtest.Environment
	// Config is an administrator's.
	Config *rest.Config
	// Client is an administrator's, without a cache.
	Client client.Client
}

// Start starts a control plane and creates Strongroom's namespace.
func Start(ctx context.Context) (*ControlPlane, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, fmt.Errorf("KUBEBUILDER_ASSETS is not set: run the tests by `make test`, or export " +
			"KUBEBUILDER_ASSETS=$(hack/controlplane/build.sh)")
	}
	env := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join(Root(), "config", "crd")},
		ErrorIfCRDPathMissing: true,
		// Much longer than it takes: a machine that builds and tests much else at once starts an API server in half a minute.
		ControlPlaneStartTimeout: 2 * time.Minute, ControlPlaneStopTimeout: time.Minute,
	}
	// Namespaces are never emptied without a kube-controller-manager, so their lifecycle must not stand in the way.
	env.ControlPlane.GetAPIServer().Configure().Append("disable-admission-plugins", "ServiceAccount")
	cfg, err := env.Start()
	if err != nil {
		_ = env.Stop() // a failed start may leave processes behind
		return nil, fmt.Errorf("starting the control plane: %w", err)
	}
	cfg.QPS = -1
	cp := &ControlPlane{env: env, Config: cfg}
	if cp.Client, err = client.New(cfg, client.Options{Scheme: operator.Scheme()}); err == nil {
		err = cp.Namespace(ctx, OperatorNamespace, nil)
	}
	if err != nil {
		_ = env.Stop()
		return nil, err
	}
	return cp, nil
}

// Stop ends the control plane.
func (cp *ControlPlane) Stop() error { return cp.env.Stop() }

// Namespace creates a namespace.
func (cp *ControlPlane) Namespace(ctx context.Context, name string, labels map[string]string) error {
	return cp.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
}

// AddUser makes a client configuration of a user in groups.
func (cp *ControlPlane) AddUser(name string, groups ...string) (*rest.Config, error) {
	user, err := cp.env.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		return nil, fmt.Errorf("adding user %s: %w", name, err)
	}
	return user.Config(), nil
}

// Operator is an operator that runs.
type Operator struct {
	*operator.Operator
	Clock *Clock

	cancel context.CancelFunc
	done   chan error
	once   sync.Once
}

// RunOperator starts an operator with a clock that the test moves. With o.WithoutControllers, the test calls Reconcile
// itself. It returns when the cache is filled and the keyring unsealed.
func RunOperator(ctx context.Context, cfg *rest.Config, o operator.Options) (*Operator, error) {
	clock := NewClock(time.Now().UTC().Truncate(time.Second))
	o.Namespace, o.Region, o.SkipControllerNames = OperatorNamespace, "us-east-1", true
	if o.Regions == nil {
		o.Regions = []string{OtherRegion, ThirdRegion}
	}
	if o.Now == nil {
		o.Now = clock.Now
	}
	if now := o.Now; o.ServerTime == nil {
		o.ServerTime = func(context.Context) (time.Time, error) { return now(), nil }
	}
	op, err := operator.New(cfg, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	run := &Operator{Operator: op, Clock: clock, cancel: cancel, done: make(chan error, 1)}
	go func() { run.done <- op.Start(ctx) }()
	if !op.GetCache().WaitForCacheSync(ctx) {
		run.Stop()
		return nil, fmt.Errorf("the cache did not fill")
	}
	select {
	case <-op.Services.Keyring.Unsealed():
		return run, nil
	case <-time.After(30 * time.Second):
		run.Stop()
		return nil, fmt.Errorf("the keyring was not unsealed")
	}
}

// Stop ends the operator and returns its error. It may be called twice.
func (o *Operator) Stop() (err error) {
	o.once.Do(func() {
		o.cancel()
		err = <-o.done
	})
	return err
}

// Clock is a clock that only a test moves.
type Clock struct{ nanoseconds atomic.Int64 }

// NewClock makes a clock that shows t.
func NewClock(t time.Time) *Clock {
	c := &Clock{}
	c.Set(t)
	return c
}

// Now is the time it shows.
func (c *Clock) Now() time.Time { return time.Unix(0, c.nanoseconds.Load()).UTC() }

// Set moves it to t.
func (c *Clock) Set(t time.Time) { c.nanoseconds.Store(t.UnixNano()) }

// Advance moves it by d.
func (c *Clock) Advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }
