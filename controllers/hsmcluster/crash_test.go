//go:build cgo

package hsmcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// answering waits until all nodes answer, in these states.
func (p *passes) answering(hc *v1alpha1.HSMCluster, states ...hsmpb.State) {
	GinkgoHelper()
	c, err := p.sound.Clusters.Connect(ctx, client.ObjectKeyFromObject(hc), cloudhsm.Endpoints(hc))
	Expect(err).NotTo(HaveOccurred())
	for _, address := range cloudhsm.Endpoints(hc) {
		n, err := c.Node(address)
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() (hsmpb.State, error) { s, err := n.Status(ctx); return s.GetState(), err }).Should(BeElementOf(states))
	}
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

func condition(hc *v1alpha1.HSMCluster, kind string) metav1.Condition {
	GinkgoHelper()
	c := meta.FindStatusCondition(hc.Status.Conditions, kind)
	Expect(c).NotTo(BeNil(), "%v", hc.Status.Conditions)
	return *c
}

// Every write of a pass over an HSMCluster is made to fail in turn, before it is done and after it, as if the manager had died there. The next passes must
// come to one authority, one pair of PINs and one domain key: a second of any of these would leave tokens that open no more.
var _ = Describe("A manager that dies at any write of an HSMCluster", Ordered, func() {
	var p *passes
	BeforeAll(func() { p = newPasses() })

	// dies makes passes that die at each write in turn.
	dies := func(name string, writes []string, begin func(name string) *v1alpha1.HSMCluster, check func(*v1alpha1.HSMCluster)) {
		for _, after := range []bool{false, true} {
			for n := range writes {
				hc := begin(fmt.Sprintf("%s-%d-%t", name, n, after))
				By(fmt.Sprintf("dying at write %d, done=%t", n+1, after))
				p.writes.FailAt(n+1, after)
				_, err := p.pass(p.faulty, hc)
				p.open()
				Expect(err).To(MatchError(environment.ErrInjected))
				Expect(p.writes.Log()[:n+1]).To(Equal(writes[:n+1]))
				p.settled(hc)
				check(hc)
			}
		}
		p.writes.FailAt(0, false)
		hc := begin(name + "-whole")
		_, err := p.pass(p.faulty, hc)
		p.open()
		Expect(err).NotTo(HaveOccurred())
		Expect(p.writes.Log()).To(Equal(writes), "it writes no more than it needs")
	}
	whole := func(hc *v1alpha1.HSMCluster) {
		GinkgoHelper()
		Expect(hc.Status.State).To(Equal(v1alpha1.HSMClusterActive))
		Expect(hc.Status.DomainKeys).To(HaveLen(1))
		Expect(hc.Finalizers).To(ConsistOf(hsmcluster.Finalizer))
		record, err := json.Marshal(hc.Status.DomainKeys)
		Expect(err).NotTo(HaveOccurred())
		Expect(p.credentials(hc).Annotations).To(HaveKeyWithValue("strongroom.dev/domain-keys", string(record)))
	}

	It("begins with one authority and one pair of PINs", func() {
		begin := func(name string) *v1alpha1.HSMCluster { p.shut(); return p.create(name, 1) }
		dies("begins", []string{"patch", "create", "status"}, begin, func(hc *v1alpha1.HSMCluster) {
			whole(hc)
			Expect(*p.credentials(hc).Immutable).To(BeTrue())
		})
	})

	It("has one domain key, which is on record before anybody may use it", func() {
		dies("initialises", []string{"patch", "status"}, func(name string) *v1alpha1.HSMCluster { return p.begun(name, 1) }, whole)
	})

	It("has the first domain key that was made in all of its nodes, whichever write it died at", func() {
		hc := p.begun("two-nodes", 2)
		p.writes.FailAt(1, false) // both nodes have it, and nothing says so
		_, err := p.pass(p.faulty, hc)
		Expect(err).To(MatchError(environment.ErrInjected))
		Expect(hc.Status.DomainKeys).To(BeEmpty())
		c, err := p.sound.Clusters.Connect(ctx, client.ObjectKeyFromObject(hc), cloudhsm.Endpoints(hc))
		Expect(err).NotTo(HaveOccurred())
		n, err := c.Node(cloudhsm.Endpoints(hc)[0])
		Expect(err).NotTo(HaveOccurred())
		s, err := n.Status(ctx)
		Expect(err).NotTo(HaveOccurred())
		p.settled(hc)
		whole(hc)
		Expect(hc.Status.DomainKeys[0].KeyCheckValue).To(Equal(fmt.Sprintf("%x", s.GetDomainKeys()[0].GetKeyCheckValue())))
	})

	It("is let go once, with its tokens and its PINs left", func() {
		for _, after := range []bool{false, true} {
			hc := p.begun(fmt.Sprintf("goes-%t", after), 1)
			p.settled(hc)
			was := hc.Status.DomainKeys
			Expect(p.cp.Client.Delete(ctx, hc)).To(Succeed())
			p.writes.FailAt(1, after)
			_, err := p.pass(p.faulty, hc)
			Expect(err).To(MatchError(environment.ErrInjected))
			_, err = p.pass(p.sound, hc)
			Expect(err).NotTo(HaveOccurred())
			Expect(apierrors.IsNotFound(p.cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc))).To(BeTrue())
			Expect(filepath.Join(p.host.Directory, cloudhsm.ClusterID(hc.Namespace, hc.Name), "0", "tokens")).To(BeADirectory())
			again := p.create(hc.Name, 1)
			p.settled(again)
			Expect(again.Status.DomainKeys).To(Equal(was))
		}
	})

	It("tells of its domain key by one event, and of nodes that do not serve by one more", func() {
		p.drained()
		hc := p.begun("events", 1)
		p.settled(hc)
		var created, waiting int
		for _, e := range p.drained() {
			if strings.HasPrefix(e, "Normal Created") {
				created++
			}
			if strings.HasPrefix(e, "Warning NodesUnavailable") {
				waiting++
			}
		}
		Expect([]int{created, waiting}).To(Equal([]int{1, 1}))
	})

	It("is refused its commit when another one came first, and looks again", func() {
		hc := p.begun("behind", 1)
		p.settled(hc)
		racing := &racing{Client: direct{p.cp.Client, p.op.GetClient()}}
		r := p.reconciler(racing)
		metav1.SetMetaDataAnnotation(&hc.ObjectMeta, v1alpha1.ReconcileAnnotation, "now")
		Expect(p.cp.Client.Update(ctx, hc)).To(Succeed())
		result, err := p.pass(r, hc)
		Expect(err).NotTo(HaveOccurred(), "a lost race is no error")
		Expect(result.RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<", 5*time.Second)))
		Expect(hc.Status.LastHandledReconcileAt).NotTo(Equal("now"))
		p.settled(hc)
		Expect(hc.Status.LastHandledReconcileAt).To(Equal("now"))
	})

	It("does not find its credentials when somebody deleted them: it says which, and makes no others", func() {
		hc := p.begun("lost", 1)
		p.settled(hc)
		was := p.credentials(hc)
		Expect(p.cp.Client.Delete(ctx, was)).To(Succeed())
		_, err := p.pass(p.sound, hc)
		Expect(err).To(MatchError(And(ContainSubstring(was.Name), ContainSubstring("restore it from a backup"))))
		Expect(condition(hc, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Message", ContainSubstring(was.Name))))
		Expect(hc.Status.DomainKeys).To(HaveLen(1))
		Expect(hc.Status.Nodes).To(HaveLen(1), "what is known of nodes stays")
		was.ResourceVersion, was.UID = "", ""
		Expect(p.cp.Client.Create(ctx, was)).To(Succeed())
		p.settled(hc)
	})

	It("is not told where nodes run: that is said, once for all, and nothing is made", func() {
		hc := p.create("nowhere", 1)
		r := p.reconciler(direct{p.cp.Client, p.op.GetClient()})
		r.Host = nil
		p.drained()
		for range 2 {
			_, err := p.pass(r, hc)
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(condition(hc, v1alpha1.ConditionStalled)).To(And(HaveField("Reason", v1alpha1.ReasonNoHSMNodes), HaveField("Message", ContainSubstring("--hsm-image"))))
		Expect(p.drained()).To(ConsistOf(ContainSubstring("--hsm-image")))
		Expect(hc.Status.State).To(Equal(v1alpha1.HSMClusterCreateInProgress))
		Expect(p.cp.Client.Delete(ctx, hc)).To(Succeed())
		_, err := p.pass(r, hc)
		Expect(err).NotTo(HaveOccurred())
		Expect(apierrors.IsNotFound(p.cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc))).To(BeTrue(), "it can be deleted all the same")
	})

	It("is told a token that is not there: the node, the label and the tokens that there are, are named", func() {
		Expect(p.cp.Namespace(ctx, "vendor", nil)).To(Succeed())
		Expect(p.cp.Client.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "vendor", Name: "pin"}, Data: map[string][]byte{"pin": []byte("user-CANARY")}})).To(Succeed())
		hc := &v1alpha1.HSMCluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: "vendor", Name: "empty"},
			Spec: v1alpha1.HSMClusterSpec{Size: 1, PKCS11: &v1alpha1.PKCS11{
				Library: "/usr/lib/softhsm/libsofthsm2.so", TokenLabel: "theirs", PINSecretRef: v1alpha1.SecretKeyReference{Name: "pin", Key: "pin"},
			}},
		}
		Expect(p.cp.Client.Create(ctx, hc)).To(Succeed())
		_, err := p.pass(p.sound, hc)
		Expect(err).NotTo(HaveOccurred())
		p.answering(hc, hsmpb.State_STATE_DEGRADED)
		_, _ = p.pass(p.sound, hc)
		Expect(condition(hc, v1alpha1.ConditionReady).Message).To(And(ContainSubstring(hc.Status.Nodes[0].Name),
			ContainSubstring(`the library has no token with the label "theirs"; it has none that is initialised`), Not(ContainSubstring("CANARY"))))
		Expect(hc.Status.DomainKeys).To(BeEmpty())
	})

	It("keeps every PIN and key out of status, events and errors", func() {
		var list v1alpha1.HSMClusterList
		Expect(p.cp.Client.List(ctx, &list)).To(Succeed())
		text, err := json.Marshal(list)
		Expect(err).NotTo(HaveOccurred())
		everything := string(text) + strings.Join(p.drained(), "\n")
		Expect(list.Items).NotTo(BeEmpty())
		for i := range list.Items {
			for key, value := range p.credentials(&list.Items[i]).Data {
				if key != "ca.crt" {
					Expect(everything).NotTo(ContainSubstring(string(value)), key)
				}
			}
		}
	})
})

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
