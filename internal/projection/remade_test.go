package projection_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
)

// An apply or a patch whose UID is not that of the object that exists now is answered 422 (metadata.uid: field is immutable), not
// 409. Only where there is no object at all is it 409.
var _ = Describe("An object that is made anew between judging and writing", func() {
	It("is restarted by nobody, and the others are", func() {
		web, worker := newWorkload(v1alpha1.RestartDeployment, "web"), newWorkload(v1alpha1.RestartDeployment, "worker")
		p := interposed(&between{beforeApply: func() {
			Expect(cp.Client.Delete(ctx, web)).To(Succeed())
			web = newWorkload(v1alpha1.RestartDeployment, "web")
		}})
		names, err := p.Restart(ctx, projection.Restart{Namespace: namespace, SecretName: "db", Token: "token", Targets: []v1alpha1.RestartTarget{
			byName(v1alpha1.RestartDeployment, "web"), byName(v1alpha1.RestartDeployment, "worker"),
		}})
		Expect(err).NotTo(HaveOccurred())
		Expect(names).To(ConsistOf("Deployment/worker"))
		Expect(reread(web)).To(Equal(web))
		Expect(reread(worker).GetGeneration()).To(Equal(int64(2)))
	})

	It("as a target is looked at again at once, not Stalled with InvalidTemplate", func() {
		project(goal())
		p := interposed(&between{beforeApply: func() { removed("shown"); foreign("kubectl-create") }})
		_, err := p.Project(ctx, goal(withData("password", "new")))
		Expect(fault.Of(err)).To(And(HaveField("Stalled", false), HaveField("Reason", v1alpha1.ReasonProgressing)))
	})

	It("as a target that is left is left", func() {
		foreign("kubectl-create")
		project(goal(withPolicy(mergePolicy)))
		p := interposed(&between{beforeApply: func() { removed("shown"); foreign("kubectl-create") }})
		Expect(p.Remove(ctx, namespace, "shown", owner)).To(Succeed())
	})
})
