package secret_test

import (
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

func immutable(s *v1alpha1.Secret) { s.Spec.Target.Immutable = true }

// restarting names one Deployment.
func restarting(name string) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) {
		s.Spec.Target.Restart = []v1alpha1.RestartTarget{{Kind: v1alpha1.RestartDeployment, Name: name}}
	}
}

// mounting is a Deployment whose pods read a core Secret in every way that there is.
func mounting(name, secretName string) *appsv1.Deployment {
	GinkgoHelper()
	d := deployment(name)
	d.Spec.Template.Spec = reading(secretName)
	create2(d)
	return d
}

func reading(secretName string) corev1.PodSpec {
	return corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "app", Image: "app",
			Env: []corev1.EnvVar{{Name: "V", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: secretName}, Key: "value",
			}}}},
			EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secretName}}}},
		}},
		Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secretName}}}},
	}
}

// named are the core Secrets that a Deployment's pods read.
func named(d *appsv1.Deployment) []string {
	GinkgoHelper()
	refresh(d)
	spec := d.Spec.Template.Spec
	return []string{
		spec.Volumes[0].Secret.SecretName, spec.Containers[0].Env[0].ValueFrom.SecretKeyRef.Name, spec.Containers[0].EnvFrom[0].SecretRef.Name,
	}
}

// coreSecrets are the names of the core Secrets of the spec's namespace.
func coreSecrets() (out []string) {
	GinkgoHelper()
	var list corev1.SecretList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	for i := range list.Items {
		out = append(out, list.Items[i].Name)
	}
	return out
}

// rotates makes another version, and shows it.
func rotates(s *v1alpha1.Secret, token string) {
	GinkgoHelper()
	update(s, func() { annotate(v1alpha1.RotateAnnotation, token)(s) })
	reconcile(s)
	Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
}

var _ = Describe("An immutable target", func() {
	It("does not take workloads from somebody else's core Secret of the name that its own begin with", func() {
		theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "victim"}, Data: map[string][]byte{"value": []byte("theirs")}}
		create2(theirs)
		d := mounting("app", "victim")
		s := environment.Secret(namespace, "db", immutable, restarting("app"), func(s *v1alpha1.Secret) { s.Spec.Target.Name = "victim" })
		create(s)
		reconcile(s)
		Expect(named(d)).To(Equal([]string{"victim", "victim", "victim"}))
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonConflict),
			HaveField("Message", ContainSubstring("core Secret "+namespace+"/victim that is somebody else's"))))
		Expect(cp.Client.Delete(ctx, theirs)).To(Succeed())
		rotates(s, "now")
		Expect(named(d)).To(HaveEach(s.Status.Projection.Name), "what nobody else has is its own")
	})

	It("stands beside somebody else's core Secret of that name if no workload is to be switched", func() {
		create2(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "victim"}})
		s := environment.Secret(namespace, "db", immutable, func(s *v1alpha1.Secret) { s.Spec.Target.Name = "victim" })
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(coreSecrets()).To(ConsistOf("victim", s.Status.Projection.Name))
	})

	It("is a core Secret whose data nobody can change, of a name that says nothing of the content and that a resync keeps", func() {
		s := ready(immutable)
		Expect(s.Status.Projection).To(And(HaveField("Name", MatchRegexp(`^db-[0-9a-f]{10}$`)), HaveField("Immutable", true), HaveField("Retained", BeEmpty())))
		shown := target(s.Status.Projection.Name)
		Expect(string(shown.Data["value"])).To(Equal(value(s, v1alpha1.StageCurrent)))
		shown.Data["value"] = []byte("hacked")
		Expect(cp.Client.Update(ctx, shown)).To(MatchError(ContainSubstring("immutable")))
		reconcile(s)
		Expect(coreSecrets()).To(ConsistOf(s.Status.Projection.Name))
		another := ready2("another", "key")
		update(another, func() { another.Spec.Target.Immutable, another.Spec.Target.Name = true, "db" })
		reconcile(another)
		Expect(another.Status.Projection.Name).NotTo(Equal(s.Status.Projection.Name), "two contents have one name")
	})

	// Kubernetes can change an immutable core Secret only by deleting it, and pods that start in that moment fail.
	It("is never gone: the former one is there until the new one is, and as long as a pod is made with it", func() {
		s := ready(immutable)
		former := s.Status.Projection.Name
		used := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}, Spec: reading(former)}
		create2(used)
		rotates(s, "1")
		Expect(coreSecrets()).To(ConsistOf(former, s.Status.Projection.Name))
		Expect(s.Status.Projection.Retained).To(ConsistOf(HaveField("Name", former)))
		env.Clock.Advance(24 * time.Hour)
		reconcile(s)
		Expect(coreSecrets()).To(ContainElement(former), "a pod uses it")
		Expect(cp.Client.Delete(ctx, used, client.GracePeriodSeconds(0))).To(Succeed())
		reconcile(s)
		Expect(coreSecrets()).To(ConsistOf(s.Status.Projection.Name))
		Expect(s.Status.Projection.Retained).To(BeEmpty())
	})

	It("keeps a former one for ten minutes though nothing uses it, and then asks for a look by itself", func() {
		s := ready(immutable)
		former := s.Status.Projection.Name
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "1")(s) })
		result := reconcile(s)
		Expect(result.RequeueAfter).To(BeNumerically("~", 10*time.Minute, 2*time.Second))
		env.Clock.Advance(10*time.Minute - 2*time.Second)
		reconcile(s)
		Expect(coreSecrets()).To(ContainElement(former))
		env.Clock.Advance(4 * time.Second)
		result = reconcile(s)
		Expect(coreSecrets()).To(ConsistOf(s.Status.Projection.Name))
		Expect(result.RequeueAfter).To(BeZero())
	})

	for kind, make := range map[string]func(name string) client.Object{
		"a Deployment without pods": func(name string) client.Object {
			d := deployment("idle")
			d.Spec.Replicas, d.Spec.Template.Spec = ptr.To(int32(0)), reading(name)
			return d
		},
		"a CronJob": func(name string) client.Object {
			spec := reading(name)
			spec.RestartPolicy = corev1.RestartPolicyNever
			return &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "nightly"}, Spec: batchv1.CronJobSpec{
				Schedule: "0 3 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: spec}}},
			}}
		},
	} {
		It("is kept while "+kind+" names it", func() {
			s := ready(immutable)
			former := s.Status.Projection.Name
			user := make(former)
			create2(user)
			rotates(s, "1")
			env.Clock.Advance(time.Hour)
			reconcile(s)
			Expect(coreSecrets()).To(ContainElement(former))
			Expect(cp.Client.Delete(ctx, user)).To(Succeed())
			reconcile(s)
			Expect(coreSecrets()).NotTo(ContainElement(former))
		})
	}

	It("is not kept by a pod that has ended", func() {
		s := ready(immutable)
		former := s.Status.Projection.Name
		done := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "done"}, Spec: reading(former)}
		create2(done)
		done.Status.Phase = corev1.PodSucceeded
		Expect(cp.Client.Status().Update(ctx, done)).To(Succeed())
		rotates(s, "1")
		env.Clock.Advance(time.Hour)
		reconcile(s)
		Expect(coreSecrets()).NotTo(ContainElement(former))
	})

	It("has the workloads of restart switched to it: from the name that is wanted, and from each former one, once", func() {
		web := mounting("web", "db")
		stranger := mounting("stranger", "db")
		s := ready(immutable, restarting("web"))
		Expect(named(web)).To(HaveEach(s.Status.Projection.Name), "a manifest has the name that is wanted")
		Expect(web.Generation).To(Equal(int64(2)))
		for n := range 3 {
			rotates(s, fmt.Sprint(n))
			reconcile(s)
			Expect(named(web)).To(HaveEach(s.Status.Projection.Name))
			Expect(web.Generation).To(Equal(int64(3+n)), "it is restarted once for a change")
		}
		Expect(web.Spec.Template.Annotations).To(BeEmpty())
		Expect(env.DrainEvents()).To(ContainElement(And(ContainSubstring(v1alpha1.ReasonRestarted), ContainSubstring("Deployment/web"))))
		Expect(named(stranger)).To(HaveEach("db"), "what restart does not name is its owner's to switch")
		env.Clock.Advance(time.Hour)
		reconcile(s)
		Expect(coreSecrets()).To(ConsistOf(s.Status.Projection.Name))
	})

	It("is made again when somebody deletes it, under the same name", func() {
		s := ready(immutable)
		name := s.Status.Projection.Name
		remove(target(name))
		reconcile(s)
		Expect(string(target(name).Data["value"])).To(Equal(value(s, v1alpha1.StageCurrent)))
	})

	It("takes the place of an ordinary one without a gap, and gives it back", func() {
		web := mounting("web", "db")
		s := ready(restarting("web"))
		update(s, func() { immutable(s) })
		reconcile(s)
		name := s.Status.Projection.Name
		Expect(coreSecrets()).To(ConsistOf("db", name), "pods that run still read the former one")
		Expect(named(web)).To(HaveEach(name))
		update(s, func() { s.Spec.Target.Immutable = false })
		reconcile(s)
		Expect(coreSecrets()).To(ConsistOf("db", name))
		Expect(named(web)).To(HaveEach("db"))
		env.Clock.Advance(time.Hour)
		reconcile(s)
		Expect(coreSecrets()).To(ConsistOf("db"))
		Expect(s.Status.Projection).To(And(HaveField("Name", "db"), HaveField("Immutable", false), HaveField("Retained", BeEmpty())))
	})

	It("that was one restarts workloads by another value while former ones are still there", func() {
		web := mounting("web", "db")
		s := ready(immutable, restarting("web"))
		update(s, func() { s.Spec.Target.Immutable = false })
		reconcile(s)
		refresh(web)
		before := web.Generation
		rotates(s, "1")
		refresh(web)
		Expect(web.Generation).To(Equal(before + 1))
	})

	It("can change its type, and its name, without a gap", func() {
		web := mounting("web", "db")
		s := ready(immutable, restarting("web"))
		former := s.Status.Projection.Name
		update(s, func() { s.Spec.Target.Type = "example.com/credential" })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(target(s.Status.Projection.Name).Type).To(Equal(corev1.SecretType("example.com/credential")))
		update(s, func() { s.Spec.Target.Name = "renamed" })
		reconcile(s)
		Expect(s.Status.Projection.Name).To(HavePrefix("renamed-"))
		Expect(named(web)).To(HaveEach(s.Status.Projection.Name))
		Expect(coreSecrets()).To(And(HaveLen(3), ContainElement(former)))
	})

	It("that is no longer wanted goes with all former ones", func() {
		s := ready(immutable)
		rotates(s, "1")
		Expect(coreSecrets()).To(HaveLen(2))
		update(s, func() { s.Spec.Target = nil })
		reconcile(s)
		Expect(coreSecrets()).To(BeEmpty())
	})

	It("of a name that somebody else has is a Conflict, and that one is not touched", func() {
		s := ready(immutable)
		name := s.Status.Projection.Name
		remove(target(name))
		create(coreSecret(name, map[string]string{"mine": "1"}))
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionStalled)).To(HaveField("Reason", v1alpha1.ReasonConflict))
		Expect(projected(name)).To(Equal(map[string]string{"mine": "1"}))
	})

	for _, after := range []bool{false, true} {
		It(fmt.Sprintf("loses nothing and switches once by a crash at any write of a rotation (the answer alone lost: %t)", after), func() {
			faulty, writes := env.Faulty()
			for n := 1; ; n++ {
				name := fmt.Sprintf("crash-%d", n)
				web := mounting(name, name)
				s := environmentSecret(name, immutable, restarting(name))
				create(s)
				settled(faulty, writes, s)
				former := s.Status.Projection.Name
				update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
				writes.FailAt(n, after)
				_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
				log, made := writes.Log(), writes.Writes()
				all := coreSecrets()
				Expect(all).To(ContainElement(former), "it is gone before its time")
				Expect(all).To(ContainElements(slices.Compact(named(web))), "a workload names what is not there")
				settled(faulty, writes, s)
				Expect(named(web)).To(HaveEach(s.Status.Projection.Name))
				Expect(web.Generation).To(Equal(int64(3)), "it is switched once at first, and once by the rotation")
				Expect(s.Status.Versions).To(HaveLen(2))
				if made < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(log).To(Equal([]string{"create", "create", "patch", "status"}))
					return
				}
			}
		})
	}
})
