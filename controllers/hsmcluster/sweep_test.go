//go:build cgo

package hsmcluster_test

import (
	"context"
	"errors"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

// stuck is where the tokens of some clusters cannot be erased.
type stuck struct {
	hsmnodes.Host
	ids   map[string]bool
	tried []string
}

var errStuck = errors.New("the volume does not go")

func (s *stuck) Erase(ctx context.Context, c hsmnodes.Cluster) error {
	s.tried = append(s.tried, c.ID)
	if s.ids[c.ID] {
		return errStuck
	}
	return s.Host.Erase(ctx, c)
}

var _ = Describe("The sweep of deleted HSMClusters", func() {
	It("goes on when some cannot be erased, tells of all, and tries each again when it is its turn", func() {
		p := newPasses()
		later := p.reconciler(direct{p.cp.Client, p.op.GetClient()})
		at := time.Now().Add(cloudhsm.RecoveryWindow + time.Minute)
		later.Now, later.Clusters.Now = func() time.Time { return at }, func() time.Time { return at }
		host := &stuck{Host: p.host, ids: map[string]bool{}}
		later.Host = host
		var ids []string
		for _, name := range []string{"a", "b", "c", "d"} {
			hc := p.create(name, 0)
			_, err := p.pass(p.sound, hc)
			Expect(err).NotTo(HaveOccurred())
			id := cloudhsm.ClusterID(hc.Namespace, hc.Name)
			Expect(p.sound.Clusters.RecordDomainKeys(ctx, id, []v1alpha1.HSMDomainKey{{Epoch: 1, KeyCheckValue: "0011223344", WrappingKeyCheckValue: "5566778899"}})).To(Succeed())
			Expect(p.cp.Client.Delete(ctx, hc)).To(Succeed())
			_, err = p.pass(p.sound, hc)
			Expect(err).NotTo(HaveOccurred())
			ids = append(ids, id)
		}
		host.ids[ids[0]], host.ids[ids[2]] = true, true
		err := later.SweepOnce(ctx)
		Expect(err).To(MatchError(errStuck))
		Expect(err.Error()).To(And(ContainSubstring("strongroom-system/a: "), ContainSubstring("strongroom-system/c: "), Not(ContainSubstring("strongroom-system/b"))))
		Expect(host.tried).To(ConsistOf(ids))
		left, err := later.Clusters.Retirees(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(HaveLen(2), "the others are gone")

		host.tried = nil
		Expect(later.SweepOnce(ctx)).To(Succeed())
		Expect(host.tried).To(BeEmpty(), "they wait")
		delete(host.ids, ids[0])
		at = at.Add(time.Minute)
		Expect(later.SweepOnce(ctx)).To(MatchError(ContainSubstring("strongroom-system/c: ")))
		Expect(host.tried).To(ConsistOf(ids[0], ids[2]))
		host.tried = nil
		at = at.Add(time.Minute)
		Expect(later.SweepOnce(ctx)).To(Succeed())
		Expect(host.tried).To(BeEmpty(), "the second wait is longer")
		delete(host.ids, ids[2])
		at = at.Add(time.Minute)
		Expect(later.SweepOnce(ctx)).To(Succeed())
		Expect(later.Clusters.Retirees(ctx)).To(BeEmpty())
	})
})

var _ = Describe("An HSMCluster that is deleted by mistake", Ordered, func() {
	var hc *v1alpha1.HSMCluster
	var key *v1alpha1.KMSKey
	BeforeAll(func() {
		Expect(cp.Namespace(ctx, "mistake", nil)).To(Succeed())
		hc = cluster("mistake", "vault", 1)
		ready(hc)
		key = inModule("mistake", "key", v1alpha1.KeySpecECCNISTP256, hc)
		ready(key)
	})

	It("says by a condition and one event how to keep it while a KMSKey holds it", func() {
		Expect(cp.Client.Delete(ctx, hc)).To(Succeed())
		Eventually(is(hc, v1alpha1.ConditionDeletionBlocked, metav1.ConditionTrue)).Should(Succeed())
		says := condition(hc, v1alpha1.ConditionDeletionBlocked).Message
		Expect(says).To(And(ContainSubstring("among them key"), ContainSubstring(`kubectl patch hsmcluster vault -n mistake --type=merge -p '{"metadata":{"finalizers":null}}'`)))
		Expect(condition(hc, v1alpha1.ConditionReady).Message).To(Equal(says))
	})

	It("is as it was when it is applied again without having been let go", func() {
		was := refresh(hc).DeepCopy()
		_, command, _ := strings.Cut(condition(hc, v1alpha1.ConditionDeletionBlocked).Message, "-p '")
		patch, _, _ := strings.Cut(command, "'")
		Expect(cp.Client.Patch(ctx, hc, client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc.DeepCopy()))
		}).Should(BeTrue())
		again := cluster("mistake", "vault", 1)
		ready(again)
		Expect(again.Status.DomainKeys).To(Equal(was.Status.DomainKeys))
		Expect(again.Status.TrustAnchorCertificate).To(Equal(was.Status.TrustAnchorCertificate))
		Expect(meta.FindStatusCondition(again.Status.Conditions, v1alpha1.ConditionDeletionBlocked)).To(BeNil())
		Eventually(func() error { _, err := sign(key, "still"); return err }).Should(Succeed())
	})
})

var _ = Describe("A deletion that is held back", func() {
	It("is told of by one event, however often it is looked at", func() {
		p := newPasses()
		hc := p.create("root", 0)
		_, err := p.pass(p.sound, hc)
		Expect(err).NotTo(HaveOccurred())
		hc.Finalizers = append(hc.Finalizers, v1alpha1.RootFinalizer)
		Expect(p.cp.Client.Update(ctx, hc)).To(Succeed())
		Expect(p.cp.Client.Delete(ctx, hc)).To(Succeed())
		p.drained()
		var told []string
		for range 3 {
			_, _ = p.pass(p.sound, hc)
		}
		for _, e := range p.drained() {
			if strings.HasPrefix(e, "Warning InUse") {
				told = append(told, e)
			}
		}
		Expect(told).To(ConsistOf(And(ContainSubstring("root of trust"), ContainSubstring("To keep the cluster instead"))))
	})
})
