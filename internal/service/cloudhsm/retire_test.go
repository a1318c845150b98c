//go:build cgo

package cloudhsm_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

// uncached reads Envelopes without the index that the cache has.
type uncached struct{ client.Client }

func (u uncached) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, ok := list.(*v1alpha1.EnvelopeList); ok {
		return nil
	}
	return u.Client.List(ctx, list, options...)
}

var _ = Describe("The credentials of a cluster that is deleted", func() {
	var at time.Time
	of := func(c client.Client) *cloudhsm.Clusters {
		return &cloudhsm.Clusters{Reader: uncached{cp.Client}, Live: cp.Client, Direct: c, Namespace: environment.OperatorNamespace, Now: func() time.Time { return at }}
	}
	BeforeEach(func() { at = now })
	keys := []v1alpha1.HSMDomainKey{{Epoch: 1, KeyCheckValue: "0011223344", WrappingKeyCheckValue: "5566778899"}}
	// made is a cluster with credentials, which had a domain key or not.
	made := func(keys []v1alpha1.HSMDomainKey) *v1alpha1.HSMCluster {
		GinkgoHelper()
		hc := create(namespace(nil), "vault", nil, nil)
		credentials, err := of(cp.Client).Credentials(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		credentials.Wipe()
		if keys != nil {
			Expect(of(cp.Client).RecordDomainKeys(ctx, cloudhsm.ClusterID(hc.Namespace, hc.Name), keys)).To(Succeed())
		}
		return hc
	}
	gone := func(hc *v1alpha1.HSMCluster) bool {
		GinkgoHelper()
		name := client.ObjectKey{Namespace: environment.OperatorNamespace, Name: cloudhsm.CredentialsName(cloudhsm.ClusterID(hc.Namespace, hc.Name))}
		err := cp.Client.Get(ctx, name, &corev1.Secret{})
		Expect(client.IgnoreNotFound(err)).NotTo(HaveOccurred())
		return apierrors.IsNotFound(err)
	}
	// retired is a cluster with a domain key that was deleted.
	retired := func() *v1alpha1.HSMCluster {
		GinkgoHelper()
		hc := made(keys)
		erase, err := of(cp.Client).Retire(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		Expect(erase).To(BeNil())
		Expect(cp.Client.Delete(ctx, hc)).To(Succeed())
		return hc
	}
	found := func(hc *v1alpha1.HSMCluster) *cloudhsm.Retired {
		GinkgoHelper()
		all, err := of(cp.Client).Retirees(ctx)
		Expect(err).NotTo(HaveOccurred())
		for i := range all {
			if all[i].Name == client.ObjectKeyFromObject(hc) {
				return &all[i]
			}
		}
		return nil
	}
	nothing := func(context.Context) error { return nil }

	It("are to be erased at once if it never had a domain key, after its tokens", func() {
		hc := made(nil)
		erase, err := of(cp.Client).Retire(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		Expect(erase).NotTo(BeNil())
		full := errors.New("the disk is full")
		Expect(of(cp.Client).Erase(ctx, erase, func(context.Context) error { return full })).To(MatchError(full))
		Expect(gone(hc)).To(BeFalse(), "a token whose PIN is gone can be used by nobody, and stands in the way of the next")
		Expect(of(cp.Client).Erase(ctx, erase, func(context.Context) error { Expect(gone(hc)).To(BeFalse()); return nil })).To(Succeed())
		Expect(gone(hc)).To(BeTrue())
		Expect(of(cp.Client).Erase(ctx, erase, nothing)).To(Succeed(), "who repeats it is done")
	})

	It("stay for thirty days if it had one, by the record or by status", func() {
		hc := retired()
		at = now.Add(cloudhsm.RecoveryWindow - time.Second)
		Expect(found(hc)).To(BeNil())
		at = now.Add(cloudhsm.RecoveryWindow)
		Expect(found(hc)).NotTo(BeNil())
		other := made(nil)
		other.Status.DomainKeys = keys
		erase, err := of(cp.Client).Retire(ctx, other)
		Expect(err).NotTo(HaveOccurred())
		Expect(erase).To(BeNil())
	})

	It("have the window of the first deletion, however often that is repeated", func() {
		hc := made(keys)
		for range 2 {
			_, err := of(cp.Client).Retire(ctx, hc)
			Expect(err).NotTo(HaveOccurred())
			at = at.Add(time.Hour)
		}
		Expect(secretOf(hc).Annotations).To(HaveKeyWithValue("strongroom.dev/delete-after", now.Add(cloudhsm.RecoveryWindow).UTC().Format(time.RFC3339)))
	})

	It("are as they were when it is applied again within it", func() {
		hc := retired()
		before := secretOf(hc).Data
		again := create(hc.Namespace, hc.Name, nil, nil)
		credentials, err := of(cp.Client).Credentials(ctx, again)
		Expect(err).NotTo(HaveOccurred())
		credentials.Wipe()
		secret := secretOf(hc)
		Expect(secret.Data).To(Equal(before))
		Expect(secret.Labels).To(BeEmpty())
		Expect(secret.Annotations).NotTo(HaveKey("strongroom.dev/delete-after"))
		at = now.Add(2 * cloudhsm.RecoveryWindow)
		Expect(found(hc)).To(BeNil())
	})

	It("stay when it was applied again and its controller has not looked yet", func() {
		hc := retired()
		create(hc.Namespace, hc.Name, nil, nil)
		at = now.Add(2 * cloudhsm.RecoveryWindow)
		Expect(found(hc)).To(BeNil())
	})

	It("are not erased, nor its tokens, when it is applied again between the look and the first write", func() {
		hc := retired()
		at = now.Add(cloudhsm.RecoveryWindow)
		r := found(hc)
		again := create(hc.Namespace, hc.Name, nil, nil)
		credentials, err := of(cp.Client).Credentials(ctx, again)
		Expect(err).NotTo(HaveOccurred())
		credentials.Wipe()
		err = of(cp.Client).Erase(ctx, r, func(context.Context) error { Fail("the tokens were erased"); return nil })
		Expect(apierrors.IsConflict(err)).To(BeTrue(), "%v", err)
		Expect(gone(hc)).To(BeFalse())
	})

	It("are erased to the end by whoever comes after a crash, and nobody gets them meanwhile", func() {
		for write := 1; write <= 2; write++ {
			for _, after := range []bool{false, true} {
				hc := retired()
				at = now.Add(cloudhsm.RecoveryWindow)
				faulty := &environment.FaultyClient{Client: cp.Client}
				faulty.FailAt(write, after)
				Expect(of(faulty).Erase(ctx, found(hc), nothing)).To(MatchError(environment.ErrInjected))
				begun := write == 2 || after
				again := create(hc.Namespace, hc.Name, nil, nil)
				if begun && !gone(hc) {
					_, err := of(cp.Client).Credentials(ctx, again)
					Expect(err).To(MatchError(ContainSubstring("its tokens are being erased")))
					Expect(of(cp.Client).Erase(ctx, found(hc), nothing)).To(Succeed())
				}
				Expect(gone(hc)).To(Equal(begun), "write %d, done %t", write, after)
				at = now
			}
		}
	})

	It("stay if they are another cluster's of the same id, or the root's", func() {
		for _, change := range []func(*corev1.Secret){
			func(s *corev1.Secret) { s.Annotations[cloudhsm.ClusterAnnotation] = "others/vault" },
			func(s *corev1.Secret) { s.Finalizers = []string{v1alpha1.RootFinalizer} },
		} {
			hc := made(nil)
			Expect(retry.RetryOnConflict(retry.DefaultRetry, func() error { s := secretOf(hc); change(s); return cp.Client.Update(ctx, s) })).To(Succeed())
			before := secretOf(hc)
			erase, err := of(cp.Client).Retire(ctx, hc)
			Expect(err).NotTo(HaveOccurred())
			Expect(erase).To(BeNil())
			Expect(secretOf(hc).ResourceVersion).To(Equal(before.ResourceVersion))
		}
	})

	It("are none of what somebody else labels so", func() {
		planted := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: environment.OperatorNamespace, Name: "strongroom-root-copy", Labels: map[string]string{"strongroom.dev/hsmcluster-retired": "true"},
			Annotations: map[string]string{cloudhsm.ClusterAnnotation: "bank/vault", "strongroom.dev/delete-after": now.Add(-time.Hour).UTC().Format(time.RFC3339)},
		}}
		Expect(cp.Client.Create(ctx, planted)).To(Succeed())
		all, err := of(cp.Client).Retirees(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(all).NotTo(ContainElement(HaveField("Name.Name", "vault")))
		Expect(all).To(BeEmpty())
	})
})
