package secret_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

const (
	abroad  = environment.OtherRegion
	further = environment.ThirdRegion
)

// in lists regions that a Secret is replicated to, under the key "key".
func in(regions ...string) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) {
		s.Spec.ReplicaRegions = nil
		for _, region := range regions {
			s.Spec.ReplicaRegions = append(s.Spec.ReplicaRegions, v1alpha1.ReplicaRegion{Region: region, KMSKeyRef: &v1alpha1.LocalReference{Name: "key"}})
		}
	}
}

// replica reads the replica of a Secret in a region by its object's name.
func replica(s *v1alpha1.Secret, region string) *v1alpha1.Secret {
	GinkgoHelper()
	out := &v1alpha1.Secret{}
	Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: s.Name + "-" + region}, out)).To(Succeed())
	seen(out)
	return out
}

// replicated makes a Secret with a replica abroad that is in sync.
func replicated(changes ...func(*v1alpha1.Secret)) (primary, abroadOne *v1alpha1.Secret) {
	GinkgoHelper()
	primary = ready(append(changes, in(abroad))...)
	abroadOne = replica(primary, abroad)
	reconcile(abroadOne)
	reconcile(primary)
	Expect(state(primary, abroad)).To(Equal(v1alpha1.ReplicationInSync))
	return primary, abroadOne
}

func state(s *v1alpha1.Secret, region string) v1alpha1.ReplicationState {
	if noted := secretsmanager.Noted(s, region); noted != nil {
		return noted.State
	}
	return ""
}

func said(s *v1alpha1.Secret, region string) string {
	if noted := secretsmanager.Noted(s, region); noted != nil {
		return noted.Message
	}
	return ""
}

func rotateNow(s *v1alpha1.Secret, token string) {
	GinkgoHelper()
	update(s, func() { annotate(v1alpha1.RotateAnnotation, token)(s) })
	reconcile(s)
}

var _ = Describe("A replica", func() {
	It("is a Secret of its own with its primary's name, value, version id, and ARN but for the region", func() {
		s, r := replicated(func(s *v1alpha1.Secret) { s.Spec.Name = "prod/db" })
		isReady(r)
		Expect(r.AWSName()).To(Equal("prod/db"))
		Expect(r.Spec.Region).To(Equal(abroad))
		Expect(r.Spec.ReplicaOf).To(Equal(&v1alpha1.PrimarySecret{Name: "db", Region: environment.Region}))
		Expect(r.OwnerReferences).To(ConsistOf(HaveField("UID", s.UID)), "it goes with its primary")
		Expect(r.Status.ARN).To(Equal(strings.Replace(s.Status.ARN, environment.Region, abroad, 1)))
		Expect(r.Status.CurrentVersionID).To(Equal(s.Status.CurrentVersionID))
		Expect(value(r, v1alpha1.StageCurrent)).To(Equal(value(s, v1alpha1.StageCurrent)))
		Expect(s.Status.Replication).To(ConsistOf(v1alpha1.ReplicationStatus{Region: abroad, SecretName: r.Name, State: v1alpha1.ReplicationInSync}))
		Expect(condition(s, v1alpha1.ConditionReplicationFailing)).To(BeNil())
	})

	It("is encrypted under its own key, and its Envelope is bound to its own ARN", func() {
		other := environment.KMSKey(namespace, "other", func(k *v1alpha1.KMSKey) { k.Spec.Region = abroad })
		create(other)
		reconcileKey(other)
		s := ready(func(s *v1alpha1.Secret) {
			s.Spec.ReplicaRegions = []v1alpha1.ReplicaRegion{{Region: abroad, KMSKeyRef: &v1alpha1.LocalReference{Name: "other"}}}
		})
		r := replica(s, abroad)
		reconcile(r)
		isReady(r)
		for _, e := range envelopes(v1alpha1.EnvelopeSecretVersion) {
			if e.Spec.Owner.Name == r.Name {
				Expect(e.Spec.KeyARN).To(Equal(other.Status.ARN))
				Expect(e.Spec.Subject).To(Equal(r.Status.ARN))
			} else {
				Expect(e.Spec.KeyARN).To(Equal(key.Status.ARN))
			}
		}
	})

	It("gets each rotation of its primary, with the stages, and is not rotated by itself", func() {
		s, r := replicated()
		first := value(s, v1alpha1.StageCurrent)
		rotateNow(s, "1")
		Expect(state(s, abroad)).To(Equal(v1alpha1.ReplicationInSync), "that it lags for a moment is not written")
		update(r, func() { annotate(v1alpha1.RotateAnnotation, "mine")(r) })
		reconcile(r)
		Expect(value(r, v1alpha1.StageCurrent)).To(Equal(value(s, v1alpha1.StageCurrent)))
		Expect(value(r, v1alpha1.StagePrevious)).To(Equal(first))
		Expect(r.Status.Versions).To(HaveLen(2))
	})

	It("takes over a stage that was moved back, without another version", func() {
		s, r := replicated()
		rotateNow(s, "1")
		reconcile(r)
		current, previous := value(s, v1alpha1.StageCurrent), value(s, v1alpha1.StagePrevious)
		vs := s.Status.Versions
		Expect(env.Services.Secrets.MoveStage(ctx, s, v1alpha1.StageCurrent, vs[1].VersionID, vs[0].VersionID)).To(Succeed())
		refresh(s)
		seen(s)
		reconcile(r)
		Expect(value(r, v1alpha1.StageCurrent)).To(Equal(previous))
		Expect(value(r, v1alpha1.StagePrevious)).To(Equal(current))
		Expect(r.Status.Versions).To(HaveLen(2))
	})

	It("has its primary's description, tags and resource policy, and loses what somebody else gives it of those", func() {
		s, r := replicated(func(s *v1alpha1.Secret) {
			s.Spec.Description, s.Spec.Tags = "d", []v1alpha1.Tag{{Key: "team", Value: "shop"}}
			s.Spec.ResourcePolicy = &v1alpha1.PolicyDocument{}
			s.Spec.ResourcePolicy.Raw = []byte(`{"Statement":{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}}`)
		})
		same := func() {
			GinkgoHelper()
			refresh(r)
			Expect(r.Spec.Description).To(Equal(s.Spec.Description))
			Expect(r.Spec.Tags).To(Equal(s.Spec.Tags))
			Expect(r.Spec.ResourcePolicy).To(Equal(s.Spec.ResourcePolicy))
		}
		same()
		update(r, func() { r.Spec.Description, r.Spec.Tags = "mine", nil })
		reconcile(s)
		same()
		update(s, func() { s.Spec.Description, s.Spec.ResourcePolicy = "", nil })
		reconcile(s)
		same()
	})

	It("shows its value in a target of its own", func() {
		_, r := replicated()
		update(r, func() { r.Spec.Target = &v1alpha1.SecretTarget{Name: "abroad"} })
		reconcile(r)
		isReady(r)
		Expect(projected("abroad")["value"]).To(Equal(value(r, v1alpha1.StageCurrent)))
	})

	It("that is applied before its primary lists the region waits, and is taken up when it does", func() {
		r := &v1alpha1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mine"},
			Spec: v1alpha1.SecretSpec{
				Name: "db", Region: abroad, Target: &v1alpha1.SecretTarget{}, ReplicaOf: &v1alpha1.PrimarySecret{Name: "db", Region: environment.Region},
			},
		}
		create(r)
		reconcile(r)
		is(r, metav1.ConditionFalse, v1alpha1.ReasonPrimaryNotFound, "Secret db", "spec.replicaOf")
		Expect(r.Status.ARN).To(BeEmpty())
		s := ready()
		reconcile(r)
		is(r, metav1.ConditionFalse, v1alpha1.ReasonNotReplicated, "spec.replicaRegions")
		reconcile(s)
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(r), r)).To(Succeed(), "it is not deleted, for it was never taken up")
		Expect(versionsStored("mine")).To(BeZero(), "whoever may make Secrets gets no value that the primary does not give")
		update(s, func() { in(abroad)(s) })
		reconcile(s)
		refresh(r)
		seen(r)
		reconcile(r)
		isReady(r)
		Expect(arn.Region(r.Status.ARN)).To(Equal(abroad))
		Expect(projected("mine")["value"]).To(Equal(value(s, v1alpha1.StageCurrent)))
	})

	DescribeTable("that somebody else holds is not taken up and gets no value, until nobody does",
		func(says string, hold, free func(*v1alpha1.Secret)) {
			r := &v1alpha1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mine"},
				Spec:       v1alpha1.SecretSpec{Name: "db", Region: abroad, ReplicaOf: &v1alpha1.PrimarySecret{Name: "db", Region: environment.Region}},
			}
			hold(r)
			create(r)
			s := ready(in(abroad))
			failing(s, abroad, "Replication failed: the replica, Secret mine, cannot be taken up: it was made by somebody else, or was changed since: "+says+
				"; take that out of it, or delete it, and another one is made")
			reconcile(r)
			is(r, metav1.ConditionFalse, v1alpha1.ReasonNotReplicated, "cannot be taken up", says)
			Expect(versionsStored("mine")).To(BeZero())
			update(r, func() { free(r) })
			reconcile(s)
			refresh(r)
			seen(r)
			reconcile(r)
			isReady(r)
			reconcile(s)
			Expect(state(s, abroad)).To(Equal(v1alpha1.ReplicationInSync))
		},
		Entry("by an owner", "its ownerReferences have the ConfigMap theirs", func(r *v1alpha1.Secret) {
			owner := &corev1.ConfigMap{}
			owner.Namespace, owner.Name = namespace, "theirs"
			Expect(cp.Client.Create(ctx, owner)).To(Succeed()) // the cache has none that is not Strongroom's
			r.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "theirs", UID: owner.UID}}
		}, func(r *v1alpha1.Secret) { r.OwnerReferences = nil }),
		Entry("by a finalizer", "it has the finalizer example.com/kept", func(r *v1alpha1.Secret) { r.Finalizers = []string{"example.com/kept"} },
			func(r *v1alpha1.Secret) { r.Finalizers = nil }),
	)

	It("whose primary is suspended stays as it is", func() {
		s, r := replicated()
		before := r.Status.CurrentVersionID
		rotateNow(s, "1")
		update(s, func() { s.Spec.Suspend = true })
		reconcile(r)
		Expect(r.Status.CurrentVersionID).To(Equal(before))
		update(s, func() { s.Spec.Suspend = false })
		reconcile(r)
		Expect(r.Status.CurrentVersionID).To(Equal(s.Status.CurrentVersionID))
	})

	It("whose primary is gone keeps its values, and says what to do", func() {
		s, r := replicated()
		is := value(s, v1alpha1.StageCurrent)
		remove(s)
		_, err := env.Secret.Reconcile(ctx, environment.Request(r))
		Expect(err).NotTo(HaveOccurred())
		refresh(r)
		Expect(condition(r, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonPrimaryNotFound))
		Expect(value(r, v1alpha1.StageCurrent)).To(Equal(is))
	})

	It("never drops a stage while its primary's status is lost", func() {
		s, r := replicated()
		before := r.Status.Versions
		refresh(s)
		arn := s.Status.ARN
		s.Status = v1alpha1.SecretStatus{ARN: arn}
		Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
		seen(s)
		reconcile(r)
		Expect(r.Status.Versions).To(Equal(before))
		reconcile(s)
		reconcile(r)
		Expect(r.Status.Versions).To(Equal(before))
	})

	It("whose own status is lost gets its ARN, versions and stages back", func() {
		s, r := replicated()
		rotateNow(s, "1")
		reconcile(r)
		before := r.Status.DeepCopy()
		refresh(r)
		r.Status = v1alpha1.SecretStatus{}
		Expect(cp.Client.Status().Update(ctx, r)).To(Succeed())
		seen(r)
		reconcile(r)
		Expect(r.Status.ARN).To(Equal(before.ARN))
		Expect(r.Status.Versions).To(Equal(before.Versions))
	})
})
