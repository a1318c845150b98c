package secretsmanager_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

const abroadRegion = environment.OtherRegion

// primary is a Secret with an ARN, replicated abroad, and follower the replica that is made for it, as they are before any pass.
func primary(change ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
	GinkgoHelper()
	s := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "db", Annotations: map[string]string{
		v1alpha1.SubjectAnnotation: arn.Secret("us-east-1", "111122223333", "prod/db", "AbCdEf"),
	}}, Spec: v1alpha1.SecretSpec{Name: "prod/db", ReplicaRegions: []v1alpha1.ReplicaRegion{{Region: abroadRegion}}}}
	for _, c := range change {
		c(s)
	}
	world.Create(s)
	return s
}

func follower(of *v1alpha1.Secret) *v1alpha1.Secret {
	GinkgoHelper()
	s := service()
	made, err := s.CreateReplica(ctx, s.NewReplica(of, s.ARNOf(of), &of.Spec.ReplicaRegions[0]), abroadRegion)
	Expect(err).NotTo(HaveOccurred())
	world.Seen(made)
	return made
}

var _ = Describe("A replica's object", func() {
	It("is named like the primary's with the region, and by a derived name where that is taken; made again it is the same", func() {
		s := primary()
		Expect(follower(s).Name).To(Equal("db-" + abroadRegion))
		Expect(follower(s).Name).To(Equal("db-" + abroadRegion))
		other := primary(func(s *v1alpha1.Secret) { s.Name, s.Spec.Name, s.Annotations = "db2", "db2", nil })
		world.Create(&v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "db2-" + abroadRegion}})
		derived := follower(other)
		Expect(derived.Name).To(MatchRegexp("^db2-[a-z2-7]{16}$"))
		Expect(follower(other).UID).To(Equal(derived.UID))
		long := primary(func(s *v1alpha1.Secret) { s.Name, s.Spec.Name, s.Annotations = strings.Repeat("x", 250), "long", nil })
		Expect(follower(long).Name).To(MatchRegexp("^long-[a-z2-7]{16}$"), "with the region the name would be too long")
	})

	It("is a replica of that secret alone", func() {
		s := primary()
		r := follower(s)
		Expect(service().IsReplicaOf(r, s)).To(BeTrue())
		for what, change := range map[string]func(r, s *v1alpha1.Secret){
			"of another object":      func(r, _ *v1alpha1.Secret) { r.Spec.ReplicaOf.Name = "other" },
			"of another region":      func(r, _ *v1alpha1.Secret) { r.Spec.ReplicaOf.Region = "sa-east-1" },
			"under another AWS name": func(r, _ *v1alpha1.Secret) { r.Spec.Name = "prod/other" },
			"with another ARN": func(r, _ *v1alpha1.Secret) {
				r.Status.ARN = arn.Secret(abroadRegion, "111122223333", "prod/db", "GhIjKl")
			},
			"of a secret of another ARN": func(_, s *v1alpha1.Secret) {
				s.Status.ARN = arn.Secret("us-east-1", "111122223333", "prod/db", "GhIjKl")
			},
			"of another replica": func(_, s *v1alpha1.Secret) { s.Spec.ReplicaOf = &v1alpha1.PrimarySecret{Name: "x", Region: "x"} },
			"of nothing":         func(r, _ *v1alpha1.Secret) { r.Spec.ReplicaOf = nil },
		} {
			r, s := r.DeepCopy(), s.DeepCopy()
			change(r, s)
			Expect(service().IsReplicaOf(r, s)).To(BeFalse(), what)
		}
	})

	It("has an ARN that differs by the region alone, and none of a secret that has none, or another name's", func() {
		of := arn.Secret("us-east-1", "111122223333", "prod/db-AbCdEf", "GhIjKl")
		Expect(secretsmanager.ReplicaARN(of, "prod/db-AbCdEf", abroadRegion)).To(Equal(strings.Replace(of, "us-east-1", abroadRegion, 1)))
		for _, wrong := range []string{"", "nonsense", arn.Secret("us-east-1", "111122223333", "prod/other", "GhIjKl")} {
			Expect(secretsmanager.ReplicaARN(wrong, "prod/db-AbCdEf", abroadRegion)).To(BeEmpty(), wrong)
		}
	})

	It("is shaped as its primary, under the owner alone, and keeps what is its own", func() {
		s := primary(func(s *v1alpha1.Secret) {
			s.Spec.Description, s.Spec.Deletion = "d", &v1alpha1.SecretDeletion{RecoveryWindowInDays: 8}
			s.Spec.Tags = []v1alpha1.Tag{{Key: "k", Value: "v"}}
		})
		r := follower(s)
		r.Spec.Target, r.Annotations[v1alpha1.ForceDeleteAnnotation] = &v1alpha1.SecretTarget{}, "true"
		r.OwnerReferences = append(r.OwnerReferences, metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "d", UID: "d"})
		again := s.DeepCopy()
		again.UID = "another"
		secretsmanager.Shape(r, again, &s.Spec.ReplicaRegions[0])
		Expect(r.OwnerReferences).To(ConsistOf(HaveField("Kind", "Deployment"), HaveField("UID", again.UID)))
		Expect(r.Spec.Tags).To(Equal(s.Spec.Tags))
		Expect(r.Spec.Deletion).To(Equal(s.Spec.Deletion))
		Expect(r.Spec.Target).NotTo(BeNil())
		Expect(r.Annotations).NotTo(HaveKey(v1alpha1.ForceDeleteAnnotation), "a removal that was not carried out")
		before := r.DeepCopy()
		secretsmanager.Shape(r, again, &s.Spec.ReplicaRegions[0])
		Expect(r).To(Equal(before))
		detached := r.DeepCopy()
		Expect(secretsmanager.Detach(detached)).To(BeTrue())
		Expect(detached.OwnerReferences).To(ConsistOf(HaveField("Kind", "Deployment")))
		Expect(secretsmanager.Detach(detached)).To(BeFalse())
		again.Annotations = map[string]string{v1alpha1.ForceDeleteAnnotation: "true"}
		secretsmanager.Shape(r, again, &s.Spec.ReplicaRegions[0])
		Expect(secretsmanager.IsForced(r)).To(BeTrue(), "what goes without a recovery window leaves nothing in other regions either")
		Expect(r.OwnerReferences).To(ConsistOf(HaveField("UID", again.UID)), "or the mark would not count")
	})
})

var _ = Describe("Regions of a secret", func() {
	name := func(key string) *v1alpha1.LocalReference { return &v1alpha1.LocalReference{Name: key} }
	It("are added once, under the key that is named last, and may be overwritten once that was asked for", func() {
		spec := &v1alpha1.SecretSpec{}
		Expect(secretsmanager.Add(spec, []secretsmanager.AddedRegion{{Region: "a", Key: name("k"), KeyNamed: true}}, false)).To(Succeed())
		Expect(secretsmanager.Add(spec, []secretsmanager.AddedRegion{{Region: "a"}, {Region: "b"}}, false)).To(Succeed())
		Expect(spec.ReplicaRegions).To(Equal([]v1alpha1.ReplicaRegion{{Region: "a", KMSKeyRef: name("k")}, {Region: "b"}}))
		Expect(secretsmanager.Add(spec, []secretsmanager.AddedRegion{{Region: "a", KeyNamed: true}}, true)).To(Succeed())
		Expect(secretsmanager.Add(spec, []secretsmanager.AddedRegion{{Region: "a"}}, false)).To(Succeed())
		Expect(spec.ReplicaRegions[0]).To(Equal(v1alpha1.ReplicaRegion{Region: "a", ForceOverwriteReplicaSecret: true}))
	})

	It("are 32 at most", func() {
		var all []secretsmanager.AddedRegion
		for i := range secretsmanager.MaximumReplicas {
			all = append(all, secretsmanager.AddedRegion{Region: string(rune('A' + i))})
		}
		spec := &v1alpha1.SecretSpec{}
		Expect(secretsmanager.Add(spec, all, false)).To(Succeed())
		Expect(secretsmanager.Add(spec, []secretsmanager.AddedRegion{{Region: "more"}}, false)).To(MatchError(ContainSubstring("at most 32 regions")))
	})

	It("that are removed while the replica is being promoted leave it alone", func() {
		s := primary()
		r := follower(s)
		stale := r.DeepCopy()
		Expect(service().Promote(ctx, r)).To(Succeed())
		Expect(service().DeleteReplica(ctx, stale)).To(Succeed())
		world.Refresh(r)
		Expect(secretsmanager.IsReplica(r)).To(BeFalse())
		Expect(secretsmanager.IsForced(r)).To(BeFalse(), "a later deletion of it has its window")
		world.Refresh(s)
		Expect(s.Spec.ReplicaRegions).To(BeEmpty())
	})

	It("are promoted though the primary is gone", func() {
		s := primary()
		r := follower(s)
		world.Remove(s)
		Expect(service().Promote(ctx, r)).To(Succeed())
		world.Refresh(r)
		Expect(r.OwnerReferences).To(BeEmpty())
	})

	It("have their key changed at the primary too, so that it is not changed back", func() {
		s := primary()
		r := follower(s)
		Expect(service().SetReplicaKey(ctx, r, name("key"))).To(Succeed())
		world.Refresh(s)
		world.Refresh(r)
		Expect(s.Spec.ReplicaRegions[0].KMSKeyRef).To(Equal(name("key")))
		Expect(r.Spec.KMSKeyRef).To(Equal(name("key")))
		world.Remove(s)
		Expect(service().SetReplicaKey(ctx, r, nil)).To(Succeed())
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(r), r)).To(Succeed())
		Expect(r.Spec.KMSKeyRef).To(BeNil())
	})
})
