package parameter_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A target that is not to be had", func() {
	refused := func(name, says string, config, secret *at) *v1alpha1.Parameter {
		GinkgoHelper()
		p := create(name, shown(config, secret))
		reconcile(p)
		Expect(condition(p)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonConflict), HaveField("Message", ContainSubstring(says))))
		Expect(p.Status.Projection).To(BeNil())
		Expect(p.Status.Versions).To(HaveLen(1), "what is not shown is stored all the same")
		return p
	}
	policies := []v1alpha1.CreationPolicy{"", v1alpha1.CreationPolicyAdopt, v1alpha1.CreationPolicyMerge}

	It("is an access key's core Secret, which outlives who wants it, under its keys and under others", func() {
		u := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "mal"}}
		u.Spec.AccessKeys = []v1alpha1.AccessKey{{Name: "k"}}
		world.Create(u)
		_, err := world.IAMUser.Reconcile(ctx, environment.Request(u))
		Expect(err).NotTo(HaveOccurred())
		before := coreSecret("mal-k")
		for i, policy := range policies {
			for j, key := range []string{"AWS_SECRET_ACCESS_KEY", "evil"} {
				p := refused(fmt.Sprintf("p-%d-%d", i, j), "Strongroom's own", nil, &at{Name: "mal-k", Key: key, CreationPolicy: policy})
				world.Remove(p)
			}
		}
		after := coreSecret("mal-k")
		Expect(after.UID).To(Equal(before.UID))
		Expect(after.ResourceVersion).To(Equal(before.ResourceVersion))
	})

	It("is what pods know the API server by, which the API server refuses already", func() {
		for _, policy := range policies {
			err := world.ControlPlane.Client.Create(ctx, environment.Parameter(world.Namespace, "p", shown(&at{Name: "kube-root-ca.crt", Key: "theirs", CreationPolicy: policy}, nil)))
			Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
			Expect(err).To(MatchError(ContainSubstring("what pods know the API server by")))
		}
	})

	It("is the service settings, be they there or not", func() {
		for i, name := range []string{"strongroom-parameter-store"} {
			for _, there := range []bool{false, true} {
				if there {
					foreign(name, map[string]string{"theirs": "1"})
				}
				for j, policy := range policies {
					world.Remove(refused(fmt.Sprintf("p-%d-%d-%t", i, j, there), name, &at{Name: name, Key: "theirs", CreationPolicy: policy}, nil))
				}
			}
			Expect(configMap(name).Data).To(Equal(map[string]string{"theirs": "1"}))
		}
	})
})
