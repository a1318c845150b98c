package manager_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

// Nobody calls a pass here: what asks for one is the watches.
var _ = Describe("A manager that replicates", func() {
	// shown is the value of the native Secret of a name.
	shown := func(name string) func() string {
		return func() string {
			native := &corev1.Secret{}
			if err := cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, native); err != nil {
				return err.Error()
			}
			return string(native.Data["value"])
		}
	}
	replicaOf := func(s *v1alpha1.Secret, region string) *v1alpha1.Secret {
		return &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: s.Name + "-" + region}}
	}
	states := func(s *v1alpha1.Secret) func() string {
		return func() string {
			_ = cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)
			out := ""
			for _, r := range s.Status.Replication {
				out += r.Region + "=" + string(r.State) + " "
			}
			return out
		}
	}
	patch := func(s *v1alpha1.Secret, text string) {
		GinkgoHelper()
		Expect(cp.Client.Patch(ctx, s.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(text)))).To(Succeed())
	}

	It("brings each value to each region and its target within seconds, heals, promotes and withdraws, and rests then", func() {
		run(operator.Options{})
		s := environment.Secret(namespace, "db", func(s *v1alpha1.Secret) {
			s.Spec.ReplicaRegions = []v1alpha1.ReplicaRegion{{Region: environment.OtherRegion}, {Region: environment.ThirdRegion}}
		})
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		Eventually(states(s)).Should(Equal("eu-west-1=InSync ap-south-1=InSync "))
		europe, asia := replicaOf(s, environment.OtherRegion), replicaOf(s, environment.ThirdRegion)
		patch(europe, `{"spec":{"target":{}}}`)
		Eventually(func() bool { // the primary's own may come later than its replicas
			return cp.Client.Get(ctx, client.ObjectKeyFromObject(s), &corev1.Secret{}) == nil && shown(europe.Name)() == shown("db")()
		}).Should(BeTrue())

		for i := range 5 {
			before := shown("db")()
			rotate(s, fmt.Sprint(i))
			Eventually(shown("db"), 5*time.Second).ShouldNot(Equal(before))
			Eventually(func() bool { return shown(europe.Name)() == shown("db")() }, 5*time.Second).Should(BeTrue())
		}
		By("healing what somebody changes or deletes")
		patch(europe, `{"spec":{"description":"mine"}}`)
		Eventually(func() string {
			_ = cp.Client.Get(ctx, client.ObjectKeyFromObject(europe), europe)
			return europe.Spec.Description
		}).Should(BeEmpty())
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(asia), asia)).To(Succeed())
		uid := asia.UID
		Expect(cp.Client.Delete(ctx, asia)).To(Succeed())
		Eventually(func() bool {
			return isReady(s)() && isReady(asia)() && asia.UID != uid && asia.Status.CurrentVersionID == s.Status.CurrentVersionID
		}).Should(BeTrue())
		Eventually(states(s)).Should(Equal("eu-west-1=InSync ap-south-1=InSync "))

		By("promoting a replica whose region is taken out")
		patch(europe, `{"spec":{"replicaOf":null}}`)
		Eventually(states(s)).Should(Equal("eu-west-1=Failed ap-south-1=InSync "))
		Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReplicationFailing)).To(BeTrue())
		held := shown(europe.Name)()
		patch(s, `{"spec":{"replicaRegions":null}}`)
		Eventually(func() bool {
			return client.IgnoreNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(asia), asia)) == nil
		}).Should(BeTrue())
		Eventually(func() error { return cp.Client.Get(ctx, client.ObjectKeyFromObject(asia), asia) }).ShouldNot(Succeed())
		Eventually(states(s)).Should(BeEmpty())
		rotate(s, "last")
		Eventually(shown("db")).ShouldNot(Equal(held))
		Consistently(shown(europe.Name), time.Second).Should(Equal(held), "it goes its own way")

		By("resting")
		versions := func() (out string) {
			for _, o := range []client.Object{s, europe} {
				Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(o), o)).To(Succeed())
				out += o.GetResourceVersion() + " "
			}
			return out
		}
		var last string
		Eventually(func() bool { now := versions(); same := now == last; last = now; return same }, 10*time.Second, time.Second).Should(BeTrue())
		Consistently(versions, 2*time.Second).Should(Equal(last))
	})

	It("brings the last of many values that are put at once to the replica, and never one to AWSCURRENT that was not there", func() {
		op := run(operator.Options{})
		key := &v1alpha1.KMSKey{}
		Eventually(func() bool {
			return cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "key"}, key) == nil && key.Status.KeyState == v1alpha1.KeyStateEnabled
		}).Should(BeTrue())
		s := environment.Secret(namespace, "db", func(s *v1alpha1.Secret) {
			s.Spec.Target, s.Spec.ReplicaRegions = nil, []v1alpha1.ReplicaRegion{{Region: environment.OtherRegion}}
		})
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		Eventually(states(s)).Should(Equal("eu-west-1=InSync "))
		europe := replicaOf(s, environment.OtherRegion)
		done := make(chan error, 4)
		for writer := range 4 {
			go func() {
				for n := range 8 {
					value := secretsmanager.Value{Bytes: secretbytes.Copy([]byte(fmt.Sprint(writer, "-", n)))}
					_, err := op.Services.Secrets.PutValue(ctx, secretsmanager.PutValueInput{
						Secret: s, Key: key, Token: fmt.Sprintf("%032d", writer*100+n), Value: value,
					})
					if err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		seen := map[string]bool{}
		for left := 4; left > 0; {
			select {
			case err := <-done:
				Expect(err).NotTo(HaveOccurred())
				left--
			case <-time.After(10 * time.Millisecond):
				if cp.Client.Get(ctx, client.ObjectKeyFromObject(europe), europe) == nil {
					seen[europe.Status.CurrentVersionID] = true
				}
			}
		}
		Eventually(func() bool {
			return isReady(s)() && isReady(europe)() && secretsmanager.IndexOf(europe).Mirrors(secretsmanager.IndexOf(s))
		}).Should(BeTrue())
		Expect(len(s.Status.Versions)).To(Equal(33))
		for id := range seen {
			_, stored := secretsmanager.IndexOf(s).ByID(id)
			Expect(stored).To(BeTrue(), "%s was never the primary's", id)
		}
		var envelopes v1alpha1.EnvelopeList
		Expect(cp.Client.List(ctx, &envelopes, client.InNamespace(namespace))).To(Succeed())
		stored := 0
		for i := range envelopes.Items {
			if envelopes.Items[i].Spec.Owner.Name == europe.Name {
				stored++
			}
		}
		Expect(stored).To(Equal(len(europe.Status.Versions)), "an Envelope was left over")
	})
})
