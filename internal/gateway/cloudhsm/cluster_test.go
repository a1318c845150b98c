package cloudhsm_test

import (
	"io"
	"net/http"
	"strings"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudhsmv2/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	service "strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A cluster", func() {
	It("is an object of SoftHSM without nodes, under the gateway's field manager, and is told back as it was asked for", func() {
		made := created(func(in *sdk.CreateClusterInput) {
			in.Mode = types.ClusterModeNonFips
			in.TagList = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("payments")}, {Key: ptr.To("empty"), Value: ptr.To("")}}
		})
		Expect(*made.ClusterId).To(MatchRegexp(`^cluster-[2-7a-z]{11}$`))
		Expect(made.State).To(Equal(types.ClusterStateCreateInProgress))
		hc := object(made.ClusterId)
		Expect(service.ClusterID(hc.Namespace, hc.Name)).To(Equal(*made.ClusterId), "the id is the one that its controller will find its tokens by")
		Expect(hc.ManagedFields[0].Manager).To(Equal(string(kms.FieldOwner)))
		Expect(hc.Spec).To(Equal(v1alpha1.HSMClusterSpec{
			Size: 0, Mode: v1alpha1.HSMModeNonFIPS, SoftHSM: &v1alpha1.SoftHSM{},
			Tags: []v1alpha1.Tag{{Key: "team", Value: "payments"}, {Key: "empty", Value: ""}},
		}))
		shown := one(made.ClusterId)
		Expect(shown.Mode).To(Equal(types.ClusterModeNonFips))
		Expect(*shown.HsmType).To(Equal("hsm2m.medium"))
		Expect(shown.SubnetMapping).To(Equal(map[string]string{"us-east-1a": "subnet-0a1b2c3d4e5f60718", "us-east-1b": "subnet-11111111"}))
		Expect(shown.TagList).To(HaveLen(2))
		Expect(shown.CreateTimestamp.Unix()).To(Equal(hc.CreationTimestamp.Unix()))
		Expect(shown.Hsms).To(BeEmpty())
		Expect(shown.VpcId).To(BeNil())
		Expect(shown.Certificates).To(BeNil(), "it has no certificate before its controller has made its authority")
	})

	It("is another one for each request, however many come at once, as in AWS", func() {
		var mu sync.Mutex
		ids := map[string]bool{}
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				defer GinkgoRecover()
				made := created()
				mu.Lock()
				defer mu.Unlock()
				ids[*made.ClusterId] = true
			})
		}
		all.Wait()
		Expect(ids).To(HaveLen(6))
		Expect(described(nil)).To(HaveLen(6))
	})

	It("is refused where it cannot be made, and why is said", func() {
		for says, change := range map[string]func(*sdk.CreateClusterInput){
			"SourceBackupId": func(in *sdk.CreateClusterInput) { in.SourceBackupId = ptr.To("backup-aaaaaaaaaaa") },
			"BackupRetentionPolicy": func(in *sdk.CreateClusterInput) {
				in.BackupRetentionPolicy = &types.BackupRetentionPolicy{Type: types.BackupRetentionTypeDays, Value: ptr.To("90")}
			},
			"NetworkType": func(in *sdk.CreateClusterInput) { in.NetworkType = types.NetworkTypeDualstack },
		} {
			_, err := admin.CreateCluster(ctx, creating(change))
			is(err, "CloudHsmInvalidRequestException", says)
		}
		for _, tags := range [][]types.Tag{
			{{Key: ptr.To("aws:x"), Value: ptr.To("")}}, {{Key: ptr.To("a"), Value: ptr.To("1")}, {Key: ptr.To("A"), Value: ptr.To("2")}},
		} {
			_, err := admin.CreateCluster(ctx, creating(func(in *sdk.CreateClusterInput) { in.TagList = tags }))
			is(err, "CloudHsmTagException", "tag keys")
		}
		_, err := sdk.NewFromConfig(door.Config(environment.OtherRegion, `"Action":"*","Resource":"*"`)).CreateCluster(ctx, creating())
		is(err, "CloudHsmInvalidRequestException", "home region alone, which is us-east-1")
		Expect(described(nil)).To(BeEmpty(), "nothing is made of what was refused")
	})

	It("is held to the namespace's quota, which is said", func() {
		none := corev1.ResourceList{"count/hsmclusters.strongroom.dev": resource.MustParse("0")}
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
		Expect(world.ControlPlane.Client.Create(ctx, quota)).To(Succeed())
		quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none} // as its controller writes it
		Expect(world.ControlPlane.Client.Status().Update(ctx, quota)).To(Succeed())
		Eventually(func() string {
			_, err := admin.CreateCluster(ctx, creating())
			if err == nil {
				return ""
			}
			return err.Error()
		}).Should(And(ContainSubstring("CloudHsmInvalidRequestException"), ContainSubstring("exceeded quota")))
	})

	It("is described with its HSMs, its certificate, and why it is not well", func() {
		made := created()
		hc := object(made.ClusterId)
		addHSM(made.ClusterId, "us-east-1b")
		looked(hc, serving(1))
		looked(hc, func(s *v1alpha1.HSMClusterStatus) {
			s.TrustAnchorCertificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
			s.State, s.Nodes[0].State, s.Nodes[0].Message = v1alpha1.HSMClusterDegraded, v1alpha1.HSMDegraded, "PINLocked"
			s.Conditions = []metav1.Condition{{
				Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNodesUnavailable, LastTransitionTime: metav1.Now(),
				Message: "1 of 1 nodes do not serve:\n" + strings.Repeat("ä", 400),
			}}
		})
		shown := one(made.ClusterId)
		Expect(shown.State).To(Equal(types.ClusterStateDegraded))
		Expect(*shown.StateMessage).To(HavePrefix("1 of 1 nodes do not serve: ä"), "AWS's messages have one line")
		Expect(len(*shown.StateMessage)).To(BeNumerically("<=", 300))
		Expect(*shown.Certificates.ClusterCertificate).To(Equal(hc.Status.TrustAnchorCertificate))
		Expect(shown.Hsms).To(HaveLen(1))
		Expect(shown.Hsms[0]).To(And(HaveField("State", types.HsmStateDegraded), HaveField("StateMessage", HaveValue(Equal("PINLocked"))),
			HaveField("AvailabilityZone", HaveValue(Equal("us-east-1b"))), HaveField("SubnetId", HaveValue(Equal("subnet-11111111"))),
			HaveField("ClusterId", HaveValue(Equal(*made.ClusterId)))))
	})

	It("of a manifest is one like any other", func() {
		hc := &v1alpha1.HSMCluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "vault"},
			Spec:       v1alpha1.HSMClusterSpec{Size: 2, SoftHSM: &v1alpha1.SoftHSM{}},
		}
		world.Create(hc)
		shown := one(ptr.To(service.ClusterID(hc.Namespace, hc.Name)))
		Expect(shown.Hsms).To(HaveLen(2))
		Expect(shown.Mode).To(Equal(types.ClusterModeFips), "which is what it is if nothing is said")
		Expect(shown.HsmType).To(BeNil())
		Expect(shown.SubnetMapping).To(BeEmpty())
		Expect(shown.Hsms[1].AvailabilityZone).To(BeNil())
		Expect(*addHSM(shown.ClusterId, "us-east-1d").AvailabilityZone).To(Equal("us-east-1d"))
		Expect(one(shown.ClusterId).Hsms[2].AvailabilityZone).To(HaveValue(Equal("us-east-1d")), "the zones of those before it are not known, and shift nothing")
	})
})

var _ = Describe("Deleting a cluster", func() {
	It("is refused while it has HSMs, those that are still ending included, and then lets it go", func() {
		made := created()
		hsm := addHSM(made.ClusterId, "us-east-1a")
		_, err := removed(made.ClusterId)
		is(err, "CloudHsmInvalidRequestException", "the cluster has HSMs: 1")
		hc := object(made.ClusterId)
		looked(hc, serving(1))
		Expect(removeHSM(made.ClusterId, hsm.HsmId)).To(Succeed())
		_, err = removed(made.ClusterId)
		is(err, "CloudHsmInvalidRequestException", "the cluster has HSMs: 1")
		looked(hc, serving(0))
		gone, err := removed(made.ClusterId)
		Expect(err).NotTo(HaveOccurred())
		Expect(gone.State).To(Equal(types.ClusterStateDeleteInProgress))
		Expect(described(nil)).To(BeEmpty())
		_, err = removed(made.ClusterId)
		is(err, "CloudHsmResourceNotFoundException", *made.ClusterId)
	})

	It("is refused while KMS keys are in it", func() {
		made := created()
		hc := object(made.ClusterId)
		key := environment.KMSKey(world.Namespace, "inside", func(k *v1alpha1.KMSKey) {
			k.Spec.Origin, k.Spec.CustomKeyStoreRef = v1alpha1.KeyOriginCloudHSM, &v1alpha1.CustomKeyStoreReference{Name: hc.Name}
		})
		world.Create(key)
		_, err := removed(made.ClusterId)
		is(err, "CloudHsmInvalidRequestException", "KMS keys are in the cluster: 1")
		world.Remove(key)
		Expect(removed(made.ClusterId)).NotTo(BeNil())
	})

	It("is not refused for a key that another namespace writes and the cluster does not let in", func() {
		made := created()
		hc := object(made.ClusterId)
		squat := environment.KMSKey(world.NewNamespace(), "squat", func(k *v1alpha1.KMSKey) {
			k.Spec.Origin, k.Spec.CustomKeyStoreRef = v1alpha1.KeyOriginCloudHSM, &v1alpha1.CustomKeyStoreReference{Namespace: hc.Namespace, Name: hc.Name}
		})
		world.Create(squat)
		Expect(world.Services.CloudHSM.CreateKeyStore(ctx, hc, "vault", "")).To(MatchError(service.ErrClusterNotActive), "and not ErrClusterInUse")
		keys, err := world.Services.CloudHSM.Keys(ctx, hc, "")
		Expect(err).NotTo(HaveOccurred())
		Expect(keys).To(BeZero())
		world.Update(hc, func() { hc.Spec.AllowedNamespaces = &metav1.LabelSelector{} })
		Expect(world.Services.CloudHSM.Keys(ctx, hc, "")).To(Equal(1), "it may get material now")
		_, err = removed(made.ClusterId)
		is(err, "CloudHsmInvalidRequestException", "KMS keys are in the cluster: 1")
		world.Update(hc, func() { hc.Spec.AllowedNamespaces = nil })
		Expect(removed(made.ClusterId)).NotTo(BeNil())
	})

	It("answers what is so while its finalizer holds it, and lets nobody change it", func() {
		made := created()
		hc := object(made.ClusterId)
		world.Update(hc, func() { hc.Finalizers = []string{"strongroom.dev/hsmcluster"} })
		for range 2 { // who was not answered asks again
			gone, err := removed(made.ClusterId)
			Expect(err).NotTo(HaveOccurred())
			Expect(gone.State).To(Equal(types.ClusterStateDeleteInProgress))
		}
		Expect(one(made.ClusterId).State).To(Equal(types.ClusterStateDeleteInProgress))
		_, err := admin.CreateHsm(ctx, &sdk.CreateHsmInput{ClusterId: made.ClusterId, AvailabilityZone: ptr.To("us-east-1a")})
		is(err, "CloudHsmInvalidRequestException", "is being deleted")
		world.Refresh(hc)
		hc.Finalizers = nil
		Expect(world.ControlPlane.Client.Update(ctx, hc)).To(Succeed())
	})

	It("sees an HSM that came between looking and deleting", func() {
		made := created()
		hc := object(made.ClusterId) // as somebody saw it before
		addHSM(made.ClusterId, "us-east-1a")
		_, err := world.Services.CloudHSM.Delete(ctx, hc)
		Expect(err).To(MatchError(service.ErrHasHSMs))
		Expect(world.ControlPlane.Client.Delete(ctx, object(made.ClusterId))).To(Succeed())
		_, err = world.Services.CloudHSM.Delete(ctx, hc)
		Expect(err).To(MatchError(service.ErrGone))
	})

	It("takes no other for it that has the name meanwhile", func() {
		made := created()
		stale := object(made.ClusterId)
		world.Remove(stale.DeepCopy())
		again := &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: stale.Namespace, Name: stale.Name}, Spec: stale.Spec}
		world.Create(again)
		_, err := world.Services.CloudHSM.Delete(ctx, stale)
		Expect(err).To(MatchError(service.ErrGone))
		_, err = world.Services.CloudHSM.Change(ctx, stale, func(c *v1alpha1.HSMCluster) error { c.Spec.Size = 3; return nil })
		Expect(err).To(MatchError(service.ErrGone))
		world.Refresh(again)
		Expect(again.Spec.Size).To(BeZero())
	})
})

var _ = Describe("The API's writes", func() {
	// Each is one write. A crash before it has done nothing, one after it has done it all, and the request can be made again.
	It("leave what was before or what was asked for, wherever they end", func() {
		faulty := &environment.FaultyClient{Client: world.GetClient()}
		sound := world.Services.CloudHSM
		crashing := &service.Service{Client: faulty, Live: sound.Live, Namespace: sound.Namespace, Region: sound.Region, Quotas: sound.Quotas}
		in := service.CreateInput{Namespace: world.Namespace, Region: environment.Region, Request: service.Request{HSMType: "hsm1.medium"}}
		for _, after := range []bool{false, true} {
			all := len(described(nil))
			faulty.FailAt(1, after)
			_, err := crashing.Create(ctx, in)
			Expect(err).To(MatchError(environment.ErrInjected))
			Expect(faulty.Writes()).To(Equal(1), "%v", faulty.Log())
			Eventually(func() int { return len(described(nil)) }).Should(Equal(all + map[bool]int{true: 1}[after]))
		}
		hc, err := world.Services.CloudHSM.Create(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		for name, step := range map[string]struct {
			do   func() error
			done func() bool
		}{
			"CreateHsm": {func() error {
				_, err := crashing.CreateHSM(ctx, hc, "us-east-1a")
				return err
			}, func() bool {
				return hc.Spec.Size == 1 && len(service.HSMs(hc)) == 1 && service.HSMs(hc)[0].AvailabilityZone == "us-east-1a"
			}},
			"a change of tags": {func() error {
				_, err := crashing.Change(ctx, hc, func(c *v1alpha1.HSMCluster) error { c.Spec.Tags = []v1alpha1.Tag{{Key: "a"}}; return nil })
				return err
			}, func() bool { return len(hc.Spec.Tags) == 1 }},
		} {
			world.Refresh(hc)
			faulty.FailAt(1, false)
			Expect(step.do()).To(MatchError(environment.ErrInjected), name)
			world.Refresh(hc)
			Expect(step.done()).To(BeFalse(), name)
			faulty.FailAt(1, true)
			Expect(step.do()).To(MatchError(environment.ErrInjected), name)
			Expect(faulty.Writes()).To(Equal(1), name)
			world.Refresh(hc)
			Expect(step.done()).To(BeTrue(), name)
		}
		only := service.HSMID(hc.Namespace, hc.Name, 0)
		faulty.FailAt(1, true)
		Expect(crashing.DeleteHSM(ctx, hc, only)).To(MatchError(environment.ErrInjected))
		world.Refresh(hc)
		Expect(hc.Spec.Size).To(BeZero())
		faulty.FailAt(0, false)
		Expect(crashing.DeleteHSM(ctx, hc, only)).To(MatchError(service.ErrHSMNotFound), "no other goes in its place")
		faulty.FailAt(1, true)
		_, err = crashing.Delete(ctx, hc)
		Expect(err).To(MatchError(environment.ErrInjected))
		Expect(apierrors.IsNotFound(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc.DeepCopy()))).To(BeTrue())
		faulty.FailAt(0, false)
		_, err = crashing.Delete(ctx, hc)
		Expect(err).To(MatchError(service.ErrGone))
	})
})

var _ = Describe("The cluster that is the root of trust", func() {
	It("keeps its last HSM, and one that is not loses it", func() {
		made := created()
		addHSM(made.ClusterId, "us-east-1a")
		addHSM(made.ClusterId, "us-east-1a")
		hc := object(made.ClusterId)
		world.Update(hc, func() { hc.Finalizers = append(hc.Finalizers, v1alpha1.RootFinalizer) })
		first, second := service.HSMID(hc.Namespace, hc.Name, 0), service.HSMID(hc.Namespace, hc.Name, 1)
		Expect(removeHSM(made.ClusterId, &second)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(object(made.ClusterId).Spec.Size).To(BeEquivalentTo(1))
		}).Should(Succeed())
		is(removeHSM(made.ClusterId, &first), "CloudHsmInvalidRequestException", "the keyring's root of trust, and keeps one HSM")
		world.Refresh(hc)
		Expect(hc.Spec.Size).To(BeEquivalentTo(1))
		world.Update(hc, func() { hc.Finalizers = nil })
		Expect(removeHSM(made.ClusterId, &first)).To(Succeed())
	})
})

var _ = Describe("What is not served", func() {
	It("is refused by name", func() {
		made := created()
		_, err := admin.InitializeCluster(ctx, &sdk.InitializeClusterInput{ClusterId: made.ClusterId, SignedCert: ptr.To("a"), TrustAnchor: ptr.To("a")})
		is(err, "UnsupportedOperationException", "InitializeCluster")
		_, err = admin.DescribeBackups(ctx, &sdk.DescribeBackupsInput{})
		is(err, "UnsupportedOperationException", "DescribeBackups")
		_, err = admin.ModifyCluster(ctx, &sdk.ModifyClusterInput{ClusterId: made.ClusterId, HsmType: ptr.To("hsm2m.medium")})
		is(err, "UnsupportedOperationException", "ModifyCluster")
	})

	It("and what is, fails with a body whose text is under Message, as CloudHSM's is", func() {
		var body string
		_, err := admin.DeleteCluster(ctx, &sdk.DeleteClusterInput{ClusterId: ptr.To("cluster-aaaaaaaaaaa")}, func(o *sdk.Options) {
			o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
				answer, err := door.Client().Do(r)
				if err == nil {
					var text []byte
					text, err = io.ReadAll(answer.Body)
					body, answer.Body = string(text), io.NopCloser(strings.NewReader(string(text)))
				}
				return answer, err
			})
		})
		is(err, "CloudHsmResourceNotFoundException", "cluster-aaaaaaaaaaa")
		Expect(body).To(And(ContainSubstring(`"Message":"Could not find cluster-aaaaaaaaaaa."`), Not(ContainSubstring(`"message"`))))
	})
})

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }
