package secret_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// standalone is a Secret of the name "db" in another region that is nobody's replica.
func standalone(region string) *v1alpha1.Secret {
	GinkgoHelper()
	s := environmentSecret("other", func(s *v1alpha1.Secret) { s.Spec.Name, s.Spec.Region, s.Spec.Target = "db", region, nil })
	create(s)
	reconcile(s)
	isReady(s)
	return s
}

// failing checks that a region fails, and that the Secret itself does not.
func failing(s *v1alpha1.Secret, region, message string) {
	GinkgoHelper()
	isReady(s)
	Expect(state(s, region)).To(Equal(v1alpha1.ReplicationFailed))
	Expect(said(s, region)).To(Equal(message))
	Expect(condition(s, v1alpha1.ConditionReplicationFailing)).To(And(HaveField("Status", metav1.ConditionTrue),
		HaveField("Reason", v1alpha1.ReasonReplicationFailed), HaveField("Message", ContainSubstring(region))))
}

func goneFor(s *v1alpha1.Secret) bool {
	return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), &v1alpha1.Secret{}))
}

// released waits until the cache has a deleted object no more.
func released(s *v1alpha1.Secret) {
	GinkgoHelper()
	Eventually(func() bool {
		return apierrors.IsNotFound(env.GetClient().Get(ctx, client.ObjectKeyFromObject(s), &v1alpha1.Secret{}))
	}).Should(BeTrue())
}

var _ = Describe("A secret that is replicated", func() {
	It("to a region where its name is taken fails there, says so once, goes on with others, and heals when the name is free", func() {
		taken := standalone(abroad)
		s := ready(in(abroad, further))
		failing(s, abroad, "Replication failed: Secret name db already exists in region eu-west-1.")
		Expect(env.DrainEvents()).To(ContainElement(ContainSubstring("Warning ReplicationFailed eu-west-1: ")))
		r := replica(s, further)
		reconcile(r)
		isReady(r)
		Expect(reconcile(s).RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<=", 5*time.Minute)), "nothing else says that the name is free")
		Expect(state(s, further)).To(Equal(v1alpha1.ReplicationInSync))
		Expect(env.DrainEvents()).To(BeEmpty())
		Expect(goneFor(taken)).To(BeFalse())
		remove(taken)
		reconcile(s)
		reconcile(replica(s, abroad))
		reconcile(s)
		Expect(state(s, abroad)).To(Equal(v1alpha1.ReplicationInSync))
		Expect(condition(s, v1alpha1.ConditionReplicationFailing)).To(BeNil())
	})

	It("by force overwrites what has the name, which can be had back within its recovery window", func() {
		taken := standalone(abroad)
		was := value(taken, v1alpha1.StageCurrent)
		s := ready(in(abroad), func(s *v1alpha1.Secret) { s.Spec.ReplicaRegions[0].ForceOverwriteReplicaSecret = true })
		Expect(goneFor(taken)).To(BeTrue())
		r := replica(s, abroad)
		reconcile(r)
		isReady(r)
		Expect(value(r, v1alpha1.StageCurrent)).To(Equal(value(s, v1alpha1.StageCurrent)))
		update(s, func() { in()(s) })
		reconcile(s)
		released(r)
		back := environmentSecret("other", func(s *v1alpha1.Secret) { s.Spec.Name, s.Spec.Region, s.Spec.Target = "db", abroad, nil })
		create(back)
		reconcile(back)
		Expect(back.Status.ARN).To(Equal(taken.Status.ARN))
		Expect(value(back, v1alpha1.StageCurrent)).To(Equal(was))
	})

	It("by force overwrites neither what is replicated itself nor another's replica", func() {
		other := standalone(abroad)
		update(other, func() { in(further)(other) })
		reconcile(other)
		s := ready(in(abroad, further), func(s *v1alpha1.Secret) {
			for i := range s.Spec.ReplicaRegions {
				s.Spec.ReplicaRegions[i].ForceOverwriteReplicaSecret = true
			}
		})
		for _, region := range []string{abroad, further} {
			failing(s, region, "Replication failed: Secret name db is currently replicated to "+region+" with a different arn.")
		}
		Expect(goneFor(other)).To(BeFalse())
	})

	DescribeTable("to a region that cannot be says why, and is Ready itself",
		func(region, message string) { failing(ready(in(region)), region, message) },
		Entry("one that is not served", "sa-east-1", "Replication failed: Region sa-east-1 is not served; name it to the manager by --regions."),
		Entry("its own", "us-east-1", "Replication failed: us-east-1 is the secret's own region; take it out of spec.replicaRegions."),
	)

	It("under a key that is not there fails with the replica's own words, and heals with the key", func() {
		s := ready(func(s *v1alpha1.Secret) {
			s.Spec.ReplicaRegions = []v1alpha1.ReplicaRegion{{Region: abroad, KMSKeyRef: &v1alpha1.LocalReference{Name: "nope"}}}
		})
		Expect(state(s, abroad)).To(Equal(v1alpha1.ReplicationInProgress))
		r := replica(s, abroad)
		reconcile(r)
		reconcile(s)
		isReady(s)
		Expect(state(s, abroad)).To(Equal(v1alpha1.ReplicationFailed))
		Expect(said(s, abroad)).To(And(HavePrefix("Replication failed: "), ContainSubstring("nope")))
		update(s, func() { in(abroad)(s) })
		reconcile(s)
		r = replica(s, abroad)
		reconcile(r)
		reconcile(s)
		Expect(state(s, abroad)).To(Equal(v1alpha1.ReplicationInSync))
	})

	It("no more deletes its replica with all its versions, at once", func() {
		s, r := replicated()
		update(s, func() { in()(s) })
		reconcile(s)
		Expect(goneFor(r)).To(BeTrue())
		Expect(versionsStored(r.Name)).To(BeZero())
		Expect(s.Status.Replication).To(BeEmpty())
		Expect(versionsStored("db")).To(Equal(1), "the primary's own stay")
		released(r)
		update(s, func() { in(abroad)(s) })
		reconcile(s)
		again := replica(s, abroad)
		reconcile(again)
		isReady(again)
		Expect(again.Status.ARN).To(Equal(r.Status.ARN))
	})

	It("makes a replica again that somebody deletes, and has its versions back", func() {
		s, r := replicated()
		remove(r)
		Expect(env.SweepOnce(ctx, "Secret", namespace, r.Name)).To(Succeed())
		reconcile(s)
		Expect(said(s, abroad)).To(BeEmpty())
		again := replica(s, abroad)
		reconcile(again)
		isReady(again)
		Expect(again.Status.ARN).To(Equal(r.Status.ARN))
		Expect(again.Status.Versions).To(HaveLen(1))
	})

	It("makes a replica under another name if one of another AWS name has the one that it would have had", func() {
		s := ready()
		other := environmentSecret("db-"+abroad, func(o *v1alpha1.Secret) {
			o.Spec.Name, o.Spec.Region, o.Spec.Target, o.Spec.Generate = "other", abroad, nil, nil
			o.Spec.ReplicaOf = &v1alpha1.PrimarySecret{Name: s.Name, Region: environment.Region}
		})
		create(other)
		update(s, func() { in(abroad)(s) })
		reconcile(s)
		var all v1alpha1.SecretList
		Expect(cp.Client.List(ctx, &all, client.InNamespace(namespace))).To(Succeed())
		Expect(all.Items).To(ContainElement(And(HaveField("Spec.Name", "db"), HaveField("Spec.Region", abroad), Not(HaveField("Name", other.Name)))))
	})

	It("does not take over what a promoted replica has left in its recovery window", func() {
		s, r := replicated()
		was := value(r, v1alpha1.StageCurrent)
		update(r, func() { r.Spec.ReplicaOf = nil })
		reconcile(r)
		refresh(s)
		update(s, func() { in()(s) })
		reconcile(s)
		refresh(r)
		_, err := env.Services.Secrets.Delete(ctx, r, 0)
		Expect(err).NotTo(HaveOccurred())
		released(r)
		update(s, func() { in(abroad)(s) })
		reconcile(s)
		Expect(said(s, abroad)).To(ContainSubstring("scheduled for deletion there"))
		Expect(goneFor(r)).To(BeTrue())

		back := environmentSecret(r.Name, func(b *v1alpha1.Secret) { b.Spec.Name, b.Spec.Region, b.Spec.Target = s.AWSName(), abroad, nil })
		create(back)
		reconcile(back)
		Expect(value(back, v1alpha1.StageCurrent)).To(Equal(was))
	})

	It("neither deletes nor overwrites a replica that was promoted, and says to take the region out", func() {
		s, r := replicated(func(s *v1alpha1.Secret) {})
		update(s, func() { s.Spec.ReplicaRegions[0].ForceOverwriteReplicaSecret = true })
		held := value(r, v1alpha1.StageCurrent)
		update(r, func() { r.Spec.ReplicaOf = nil })
		reconcile(r)
		Expect(r.OwnerReferences).To(BeEmpty(), "it would go with its former primary")
		isReady(r)
		reconcile(s)
		failing(s, abroad, "Replication failed: The replica in eu-west-1 was promoted to a secret of its own; take the region out of spec.replicaRegions.")
		update(s, func() { in()(s) })
		rotateNow(s, "1")
		refresh(r)
		Expect(value(r, v1alpha1.StageCurrent)).To(Equal(held), "it follows no more")
		Expect(s.Status.Replication).To(BeEmpty())
	})
})

var _ = Describe("What replication costs", func() {
	It("is a create for a replica's object, an Envelope and a status for each version, and nothing in the steady state", func() {
		faulty, writes := env.Faulty()
		pass := func(s *v1alpha1.Secret) []string {
			GinkgoHelper()
			writes.FailAt(0, false)
			_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
			Expect(err).NotTo(HaveOccurred())
			refresh(s)
			seen(s)
			return writes.Log()
		}
		s := environmentSecret("db", in(abroad), func(s *v1alpha1.Secret) { s.Spec.Target = nil })
		create(s)
		Expect(pass(s)).To(Equal([]string{"create", "create", "status"}))
		r := replica(s, abroad)
		Expect(pass(r)).To(Equal([]string{"create", "status"}))
		Expect(pass(s)).To(Equal([]string{"status"}), "InSync")
		for i := range 3 {
			update(s, func() { annotate(v1alpha1.RotateAnnotation, fmt.Sprint(i))(s) })
			Expect(pass(s)).To(Equal([]string{"create", "status"}), "the primary's own")
			Expect(pass(r)).To(Equal([]string{"create", "status"}))
			Expect(pass(s)).To(BeEmpty())
			Expect(pass(r)).To(BeEmpty())
		}
	})

	It("is one write of status for a rotation that tries its value first, when that is in force, and none for a test", func() {
		faulty, writes := env.Faulty()
		rotator("rotate")
		s := environmentSecret("db", in(abroad), func(s *v1alpha1.Secret) {
			s.Spec.Generate, s.Spec.Target = nil, nil
			s.Spec.Rotation = &v1alpha1.SecretRotation{Job: &v1alpha1.JobRotator{CronJobRef: v1alpha1.LocalReference{Name: "rotate"}}}
		})
		create(s)
		reconcile(s)
		putVersion(s, "00000000-0000-4000-8000-000000000001", "first", v1alpha1.StageCurrent)
		r := replica(s, abroad)
		reconcile(r)
		follows := func() []string {
			GinkgoHelper()
			writes.FailAt(0, false)
			_, err := faulty.Secret.Reconcile(ctx, environment.Request(r))
			Expect(err).NotTo(HaveOccurred())
			refresh(r)
			seen(r)
			return writes.Log()
		}
		step := func() {
			GinkgoHelper()
			reconcile(s)
			Expect(follows()).To(BeEmpty(), "at %s", stepsLeft(s))
			j := oneJob()
			carryOut(s, j, "second")
			if eventOf(j).Step != "finishSecret" {
				Expect(follows()).To(BeEmpty(), "after %s", stepsLeft(s))
			}
			end(j, batchv1.JobComplete, "")
			reconcile(s)
		}
		step() // the test
		Expect(follows()).To(BeEmpty())
		askRotation(s, "1")
		for range 4 {
			step()
		}
		Expect(value(s, v1alpha1.StageCurrent)).To(Equal("second"))
		Expect(follows()).To(Equal([]string{"create", "status"}))
		Expect(follows()).To(BeEmpty())
		Expect(value(r, v1alpha1.StageCurrent)).To(Equal("second"))
	})
})
