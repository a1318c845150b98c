package secretsmanager_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

// owned gives a Secret an owner that is there.
func owned(s *v1alpha1.Secret) {
	owner := environment.KMSKey(world.Namespace, "owner-of-"+s.Name)
	world.Create(owner)
	s.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "KMSKey", Name: owner.Name, UID: owner.UID}}
}

func kept(s *v1alpha1.Secret) { s.Finalizers = []string{"example.com/kept"} }

func annotated(key, value string) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) { metav1.SetMetaDataAnnotation(&s.ObjectMeta, key, value) }
}

// planted is a Secret as whoever may make Secrets makes it, so that a request takes it for its own: with its name, token, and an ARN.
func planted(object string, in secretsmanager.CreateInput, changes ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
	GinkgoHelper()
	s := &v1alpha1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: in.Namespace, Name: object, Annotations: map[string]string{
			v1alpha1.RequestTokenAnnotation: in.Token, v1alpha1.SubjectAnnotation: arn.Secret(in.Region, in.Account, in.Name, "aBcDeF"),
		}},
		Spec: v1alpha1.SecretSpec{Name: in.Name, Description: in.Description, Tags: in.Tags, KMSKeyRef: &v1alpha1.LocalReference{Name: in.KeyName}},
	}
	for _, change := range changes {
		change(s)
	}
	world.Create(s)
	return s
}

var _ = Describe("A Secret that somebody has made with the token of a request to come", func() {
	DescribeTable("is not the request's",
		func(change func(*v1alpha1.Secret)) {
			for _, seen := range []bool{true, false} { // by its name in the cache, and by its object's name at the API server
				in := asked("db")
				object := "other"
				if !seen {
					in.Name = "unseen"
					object = in.Name
				}
				theirs := planted(object, in, change)
				_, err := service().Create(ctx, in)
				Expect(err).To(MatchError(ContainSubstring("ResourceExistsException: The operation failed because the secret " + in.Name + " already exists.")))
				version := theirs.ResourceVersion
				world.Refresh(theirs)
				Expect(theirs.ResourceVersion).To(Equal(version), "it was changed")
				theirs.Finalizers = nil
				Expect(world.ControlPlane.Client.Update(ctx, theirs)).To(Succeed())
				world.Remove(theirs)
			}
		},
		Entry("with an owner, whose end is its own", owned),
		Entry("with a finalizer, so that it stays", kept),
		Entry("with an annotation that Strongroom heeds", annotated(v1alpha1.ForceDeleteAnnotation, "true")),
		Entry("with the ARN of another account", annotated(v1alpha1.SubjectAnnotation, "arn:aws:secretsmanager:us-east-1:000000000000:secret:db-aBcDeF")),
		Entry("without an ARN", func(s *v1alpha1.Secret) { delete(s.Annotations, v1alpha1.SubjectAnnotation) }),
		Entry("with another token", annotated(v1alpha1.RequestTokenAnnotation, "another")),
		Entry("with a target, where they read it", func(s *v1alpha1.Secret) { s.Spec.Target = &v1alpha1.SecretTarget{Name: "theirs"} }),
		Entry("with a policy of theirs", func(s *v1alpha1.Secret) {
			s.Spec.ResourcePolicy = &v1alpha1.PolicyDocument{JSON: apiextensionsv1.JSON{Raw: []byte(`{"Version":"2012-10-17","Statement":[]}`)}}
		}),
		Entry("under another key", func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: "theirs"} }),
		Entry("with tags that policies go by", func(s *v1alpha1.Secret) { s.Spec.Tags = []v1alpha1.Tag{{Key: "team", Value: "theirs"}} }),
		Entry("with a value that they know", func(s *v1alpha1.Secret) {
			s.Spec.ValueFrom = &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: "theirs", Key: "k"}}
		}),
		Entry("with another region to go to", func(s *v1alpha1.Secret) { s.Spec.ReplicaRegions = []v1alpha1.ReplicaRegion{{Region: abroad}} }),
	)

	It("is as good as the request's if it says nothing else", func() {
		in := asked("db", func(in *secretsmanager.CreateInput) { in.Tags = []v1alpha1.Tag{{Key: "team", Value: "a"}} })
		theirs := planted("db", in, func(s *v1alpha1.Secret) {
			s.Spec.Name = ""
			s.Labels = map[string]string{"example.com/added-by": "admission"}
		})
		secret, err := service().Create(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		Expect(secret.UID).To(Equal(theirs.UID))
	})

	It("is not the request's when the request's own was changed to that, which is then told as it is", func() {
		in := asked("db")
		secret, err := service().Create(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		world.Update(secret, func() { owned(secret) })
		_, err = service().Create(ctx, in)
		Expect(err).To(MatchError(ContainSubstring("ResourceExistsException")))
	})
})

var _ = Describe("A Secret that somebody has made with the ARN of one that is deleted", func() {
	DescribeTable("is not that one restored",
		func(change func(*v1alpha1.Secret)) {
			secret := holding("db", "one")
			subject := secret.Status.ARN
			_, err := service().Delete(ctx, secret, 7)
			Expect(err).NotTo(HaveOccurred())
			world.Sweep("Secret", secret.Name)
			tombstone := find("db").Tombstone
			Expect(tombstone).NotTo(BeNil())
			theirs := environment.Secret(world.Namespace, secret.Name, annotated(v1alpha1.SubjectAnnotation, subject), change)
			world.Create(theirs)
			_, err = service().Restore(ctx, tombstone)
			Expect(err).To(MatchError(ContainSubstring("a secret with this name was made since it was deleted")))
			world.Refresh(theirs)
			Expect(theirs.Status.Versions).To(BeEmpty(), "it has the values of the one that was deleted")
		},
		Entry("with an owner, whose end is its own", owned),
		Entry("with a finalizer", kept),
		Entry("to be deleted without a recovery window", annotated(v1alpha1.ForceDeleteAnnotation, "true")),
	)
})

var _ = Describe("A Secret that says that it is a replica", func() {
	primary := func() *v1alpha1.Secret {
		GinkgoHelper()
		s := holding("db", "one")
		world.Update(s, func() { s.Spec.ReplicaRegions = []v1alpha1.ReplicaRegion{{Region: abroad}} })
		return s
	}
	replicaOf := func(p *v1alpha1.Secret) *v1alpha1.Secret {
		return service().NewReplica(p, p.Status.ARN, &p.Spec.ReplicaRegions[0])
	}

	It("is the one that an earlier pass has left, if it is in all that it says what is to be made", func() {
		p := primary()
		first, err := service().CreateReplica(ctx, replicaOf(p), abroad)
		Expect(err).NotTo(HaveOccurred())
		again, err := service().CreateReplica(ctx, replicaOf(p), abroad)
		Expect(err).NotTo(HaveOccurred())
		Expect(again.UID).To(Equal(first.UID))
	})

	DescribeTable("is not taken for the one that is to be made",
		func(change func(*v1alpha1.Secret)) {
			p := primary()
			theirs := replicaOf(p)
			theirs.Name = "db-" + abroad
			change(theirs)
			world.Create(theirs)
			_, err := service().CreateReplica(ctx, replicaOf(p), abroad)
			Expect(err).To(MatchError(ContainSubstring("creating the replica")))
		},
		Entry("with a further owner", func(s *v1alpha1.Secret) {
			of := s.OwnerReferences
			owned(s)
			s.OwnerReferences = append(s.OwnerReferences, of...)
		}),
		Entry("with another owner alone", owned),
		Entry("with a finalizer", kept),
		Entry("with another ARN", annotated(v1alpha1.SubjectAnnotation, "arn:aws:secretsmanager:eu-west-1:000000000000:secret:db-aBcDeF")),
		Entry("under another key", func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: "theirs"} }),
		Entry("with a target", func(s *v1alpha1.Secret) { s.Spec.Target = &v1alpha1.SecretTarget{Name: "theirs"} }),
	)

	DescribeTable("is taken up if nobody else holds it",
		func(change func(p, s *v1alpha1.Secret), says string) {
			p := primary()
			declared := environment.Secret(world.Namespace, "db-"+abroad, func(s *v1alpha1.Secret) {
				s.Spec = v1alpha1.SecretSpec{
					Name: "db", Region: abroad, ReplicaOf: &v1alpha1.PrimarySecret{Name: p.Name, Region: home}, Target: &v1alpha1.SecretTarget{Name: "shown"},
				}
			})
			change(p, declared)
			err := service().CheckReplica(declared, p, p.Status.ARN, &p.Spec.ReplicaRegions[0])
			if says == "" {
				Expect(err).NotTo(HaveOccurred())
				return
			}
			Expect(err).To(MatchError(And(ContainSubstring("the replica, Secret db-"+abroad), ContainSubstring(says), ContainSubstring("delete it"))))
		},
		Entry("as it was declared", func(_, _ *v1alpha1.Secret) {}, ""),
		Entry("with labels and annotations of others", func(_, s *v1alpha1.Secret) {
			s.Labels, s.Annotations = map[string]string{"app": "shop"}, map[string]string{"example.com/a": "b"}
		}, ""),
		Entry("with the ARN that it will have", func(p, s *v1alpha1.Secret) {
			annotated(v1alpha1.SubjectAnnotation, secretsmanager.ReplicaARN(p.Status.ARN, "db", abroad))(s)
		}, ""),
		Entry("with an owner of an earlier secret of the name, which is taken off", func(_, s *v1alpha1.Secret) {
			s.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "Secret", Name: "db", UID: "former"}}
		}, ""),
		Entry("when it has been taken up, whatever was done to it since", func(p, s *v1alpha1.Secret) {
			s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "theirs", UID: "1"}}
			secretsmanager.Shape(s, p, &p.Spec.ReplicaRegions[0])
		}, ""),
		Entry("not with an owner", func(_, s *v1alpha1.Secret) { owned(s) }, "ownerReferences have the KMSKey owner-of-db-"+abroad),
		Entry("not with a finalizer", func(_, s *v1alpha1.Secret) { kept(s) }, "finalizer example.com/kept"),
		Entry("not while it is being deleted", func(_, s *v1alpha1.Secret) { s.DeletionTimestamp = &metav1.Time{Time: time.Now()} }, "being deleted"),
		Entry("not with another ARN", func(_, s *v1alpha1.Secret) { annotated(v1alpha1.SubjectAnnotation, "arn:other")(s) }, v1alpha1.SubjectAnnotation),
		Entry("not with the token of a request", func(_, s *v1alpha1.Secret) { annotated(v1alpha1.RequestTokenAnnotation, "t")(s) }, v1alpha1.RequestTokenAnnotation),
	)
})
