//go:build cgo

package hsmcluster_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/hsmcluster"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

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

	It("is let go once, with its tokens and its PINs left for a while", func() {
		for write := 1; write <= 2; write++ { // the credentials' mark, and the finalizer
			for _, after := range []bool{false, true} {
				hc := p.begun(fmt.Sprintf("goes-%d-%t", write, after), 1)
				p.settled(hc)
				was := hc.Status.DomainKeys
				Expect(p.cp.Client.Delete(ctx, hc)).To(Succeed())
				p.writes.FailAt(write, after)
				_, err := p.pass(p.faulty, hc)
				Expect(err).To(MatchError(environment.ErrInjected))
				_, err = p.pass(p.sound, hc)
				Expect(err).NotTo(HaveOccurred())
				Expect(apierrors.IsNotFound(p.cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc))).To(BeTrue())
				Expect(p.tokens(hc)).To(BeADirectory())
				Expect(p.credentials(hc).Annotations).To(HaveKey("strongroom.dev/delete-after"))
				again := p.create(hc.Name, 1)
				p.settled(again)
				Expect(again.Status.DomainKeys).To(Equal(was))
				Expect(p.credentials(hc).Annotations).NotTo(HaveKey("strongroom.dev/delete-after"))
			}
		}
	})

	It("leaves nothing behind if it never had a domain key, whichever write it died at", func() {
		for write := 1; write <= 2; write++ { // the core Secret's deletion, and the finalizer
			for _, after := range []bool{false, true} {
				hc := p.begun(fmt.Sprintf("empty-%d-%t", write, after), 1)
				before := p.credentials(hc)
				Expect(p.cp.Client.Delete(ctx, hc)).To(Succeed())
				p.writes.FailAt(write, after)
				_, err := p.pass(p.faulty, hc)
				Expect(err).To(MatchError(environment.ErrInjected))
				_, err = p.pass(p.sound, hc)
				Expect(err).NotTo(HaveOccurred())
				Expect(apierrors.IsNotFound(p.cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc))).To(BeTrue())
				Expect(apierrors.IsNotFound(p.cp.Client.Get(ctx, client.ObjectKeyFromObject(before), &corev1.Secret{}))).To(BeTrue())
				Expect(p.tokens(hc)).NotTo(BeADirectory())
			}
		}
	})

	It("is gone for good, tokens before PINs, when the window of its deletion is over", func() {
		hc := p.begun("over", 1)
		p.settled(hc)
		was := hc.Status.DomainKeys
		Expect(p.cp.Client.Delete(ctx, hc)).To(Succeed())
		_, err := p.pass(p.sound, hc)
		Expect(err).NotTo(HaveOccurred())
		later := p.reconciler(direct{p.cp.Client, p.op.GetClient()})
		later.Clusters.Now = func() time.Time { return time.Now().Add(cloudhsm.RecoveryWindow - time.Minute) }
		Expect(later.SweepOnce(ctx)).To(Succeed())
		Expect(p.tokens(hc)).To(BeADirectory())
		later.Clusters.Now = func() time.Time { return time.Now().Add(cloudhsm.RecoveryWindow + time.Minute) }
		credentials := p.credentials(hc)
		Expect(later.SweepOnce(ctx)).To(Succeed())
		Expect(p.tokens(hc)).NotTo(BeADirectory())
		Expect(apierrors.IsNotFound(p.cp.Client.Get(ctx, client.ObjectKeyFromObject(credentials), &corev1.Secret{}))).To(BeTrue())
		again := p.create(hc.Name, 1)
		p.settled(again)
		Expect(again.Status.DomainKeys[0].KeyCheckValue).NotTo(Equal(was[0].KeyCheckValue), "it is another cluster")
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

	It("is told a token that is not there: the node and the label are named", func() {
		p.host.Libraries = []hsmnodes.Library{{Path: "/usr/lib/softhsm/libsofthsm2.so", TokenLabel: "theirs", Namespace: "vendor"}}
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
		Eventually(func() string { // a pass in which the node is too busy to answer says that
			_, _ = p.pass(p.sound, hc)
			return condition(hc, v1alpha1.ConditionReady).Message
		}).Should(And(ContainSubstring(hc.Status.Nodes[0].Name), ContainSubstring(`the library has no token with the label "theirs"`)))
		Expect(condition(hc, v1alpha1.ConditionReady).Message).NotTo(ContainSubstring("CANARY"))
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
