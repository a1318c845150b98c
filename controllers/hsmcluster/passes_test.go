//go:build cgo

package hsmcluster_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/hsmcluster"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/loopback"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

// direct reads and writes without a cache, but for lists, which need the cache's indexes.
type direct struct {
	client.Client
	lists client.Reader
}

func (d direct) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return d.lists.List(ctx, list, options...)
}

// passes is a control plane on which no controller runs, and a reconciler that a test calls, with real nodes.
type passes struct {
	cp     *environment.ControlPlane
	op     *environment.Operator
	host   *hsmnodes.Local
	events *events.FakeRecorder
	// gate is a file: while it is there, nodes that are started do not answer yet.
	gate string
	// sound writes what it is told to; faulty dies when it is told to. Both have the same nodes.
	sound, faulty *hsmcluster.Reconciler
	writes        *environment.FaultyClient
}

func newPasses() *passes {
	GinkgoHelper()
	control, err := environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(control.Stop()).To(Succeed()) })
	running, err := environment.RunOperator(ctx, control.Config, operator.Options{WithoutControllers: true, Now: time.Now})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(running.Stop()).To(Succeed()) })
	gate := filepath.Join(GinkgoT().TempDir(), "gate")
	host := &hsmnodes.Local{Directory: GinkgoT().TempDir(), Command: func(arguments ...string) *exec.Cmd {
		c := exec.Command("sh", append([]string{"-c", `while [ -e "` + gate + `" ]; do sleep 0.02; done; exec "$0" "$@"`, os.Args[0]}, arguments...)...)
		c.Env = append(os.Environ(), asStrongroom+"=1")
		return c
	}}
	until, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = host.Start(until) }()
	DeferCleanup(func() { end(); <-ended })
	p := &passes{cp: control, op: running, host: host, gate: gate, events: events.NewFakeRecorder(1000)}
	through := direct{control.Client, running.GetClient()}
	p.writes = &environment.FaultyClient{Client: through}
	p.sound, p.faulty = p.reconciler(through), p.reconciler(p.writes)
	return p
}

func (p *passes) reconciler(c client.Client) *hsmcluster.Reconciler {
	clusters := &cloudhsm.Clusters{Reader: direct{p.cp.Client, p.op.GetClient()}, Live: p.cp.Client, Direct: c, Namespace: environment.OperatorNamespace, Now: time.Now}
	return &hsmcluster.Reconciler{Client: c, Live: p.cp.Client, Clusters: clusters, Host: p.host, Events: p.events, Now: time.Now}
}

func (p *passes) create(name string, size int32) *v1alpha1.HSMCluster {
	GinkgoHelper()
	hc := &v1alpha1.HSMCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: environment.OperatorNamespace, Name: name},
		Spec:       v1alpha1.HSMClusterSpec{Size: size, SoftHSM: &v1alpha1.SoftHSM{}},
	}
	Expect(p.cp.Client.Create(ctx, hc)).To(Succeed())
	return hc
}

// pass makes one, and reads the object again.
func (p *passes) pass(r *hsmcluster.Reconciler, hc *v1alpha1.HSMCluster) (ctrl.Result, error) {
	GinkgoHelper()
	result, err := r.Reconcile(ctx, environment.Request(hc))
	if got := p.cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc); !apierrors.IsNotFound(got) {
		Expect(got).NotTo(HaveOccurred())
	}
	return result, err
}

// answering waits until all nodes answer, in these states, each where it is now: one whose port was taken when it started has another, which the
// next pass tells.
func (p *passes) answering(hc *v1alpha1.HSMCluster, states ...hsmpb.State) {
	GinkgoHelper()
	for number := range cloudhsm.Endpoints(hc) {
		Eventually(func() (hsmpb.State, error) {
			addresses := p.addresses(hc)
			c, err := p.sound.Clusters.Connect(ctx, client.ObjectKeyFromObject(hc), addresses)
			if err != nil {
				return 0, err
			}
			n, err := c.Node(addresses[number])
			if err != nil {
				return 0, err
			}
			s, err := n.Status(ctx)
			return s.GetState(), err
		}).Should(BeElementOf(states), func() string {
			log, _ := os.ReadFile(filepath.Join(p.directory(hc, number), "log"))
			return "the node's log ends with: " + string(log[max(0, len(log)-2000):])
		})
	}
}

func (p *passes) directory(hc *v1alpha1.HSMCluster, number int) string {
	return filepath.Join(p.host.Directory, cloudhsm.ClusterID(hc.Namespace, hc.Name), strconv.Itoa(number))
}

// addresses are where a cluster's nodes are now.
func (p *passes) addresses(hc *v1alpha1.HSMCluster) []string {
	GinkgoHelper()
	out := slices.Clone(cloudhsm.Endpoints(hc))
	for number := range out {
		port, err := os.ReadFile(filepath.Join(p.directory(hc, number), "port"))
		Expect(err).NotTo(HaveOccurred())
		out[number] = net.JoinHostPort(loopback.Host, strings.TrimSpace(string(port)))
	}
	return out
}

// shut lets nodes wait that are started from now on, until open.
func (p *passes) shut() {
	GinkgoHelper()
	Expect(os.WriteFile(p.gate, nil, 0o600)).To(Succeed())
}

func (p *passes) open() { _ = os.Remove(p.gate) }

// begun is a cluster whose nodes answer that their tokens are empty.
func (p *passes) begun(name string, size int32) *v1alpha1.HSMCluster {
	GinkgoHelper()
	hc := p.create(name, size)
	p.shut()
	_, err := p.pass(p.sound, hc)
	p.open()
	Expect(err).NotTo(HaveOccurred())
	p.answering(hc, hsmpb.State_STATE_UNINITIALIZED)
	return hc
}

// settled makes passes until the cluster is Ready and one changes nothing.
func (p *passes) settled(hc *v1alpha1.HSMCluster) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		before := hc.ResourceVersion
		_, err := p.pass(p.sound, hc)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(meta.IsStatusConditionTrue(hc.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue(), "%v", hc.Status.Conditions)
		g.Expect(hc.ResourceVersion).To(Equal(before))
	}).Should(Succeed())
}

func (p *passes) credentials(hc *v1alpha1.HSMCluster) *corev1.Secret {
	GinkgoHelper()
	secret := &corev1.Secret{}
	id := cloudhsm.ClusterID(hc.Namespace, hc.Name)
	Expect(p.cp.Client.Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: cloudhsm.CredentialsName(id)}, secret)).To(Succeed())
	return secret
}

// tokens is the directory of a cluster's nodes.
func (p *passes) tokens(hc *v1alpha1.HSMCluster) string {
	return filepath.Join(p.host.Directory, cloudhsm.ClusterID(hc.Namespace, hc.Name))
}

// drained are the events so far.
func (p *passes) drained() (out []string) {
	for {
		select {
		case e := <-p.events.Events:
			out = append(out, e)
		default:
			return out
		}
	}
}

func condition(obj interface{ GetConditions() []metav1.Condition }, kind string) metav1.Condition {
	GinkgoHelper()
	c := meta.FindStatusCondition(obj.GetConditions(), kind)
	Expect(c).NotTo(BeNil(), "%v", obj.GetConditions())
	return *c
}

// racing changes an object just before its status is written, as another writer does that comes first.
type racing struct{ client.Client }

func (r *racing) Status() client.SubResourceWriter { return &racingStatus{r.Client.Status(), r.Client} }

type racingStatus struct {
	client.SubResourceWriter
	c client.Client
}

func (s *racingStatus) Update(ctx context.Context, obj client.Object, options ...client.SubResourceUpdateOption) error {
	other := obj.DeepCopyObject().(client.Object)
	if err := s.c.Get(ctx, client.ObjectKeyFromObject(obj), other); err != nil {
		return err
	}
	other.SetLabels(map[string]string{"changed": "meanwhile"})
	if err := s.c.Update(ctx, other); err != nil {
		return err
	}
	return s.SubResourceWriter.Update(ctx, obj, options...)
}
