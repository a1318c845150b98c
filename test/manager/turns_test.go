package manager_test

import (
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A namespace with hundreds of objects to see to", func() {
	const many = 300

	// eight does something for each of many at once.
	eight := func(do func(i int) error) {
		GinkgoHelper()
		var all sync.WaitGroup
		errs := make(chan error, many)
		for at := range 8 {
			all.Go(func() {
				for i := at; i < many; i += 8 {
					errs <- do(i)
				}
			})
		}
		all.Wait()
		for range many {
			Expect(<-errs).NotTo(HaveOccurred())
		}
	}
	// ready counts the objects of a namespace that are Ready.
	ready := func(in string, list client.ObjectList) (n int) {
		GinkgoHelper()
		Expect(cp.Client.List(ctx, list, client.InNamespace(in))).To(Succeed())
		objects, err := meta.ExtractList(list)
		Expect(err).NotTo(HaveOccurred())
		for _, object := range objects {
			switch o := object.(type) {
			case *v1alpha1.Secret:
				if meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady) {
					n++
				}
			case *v1alpha1.Parameter:
				if meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady) {
					n++
				}
			}
		}
		return n
	}
	for kind, of := range map[string]struct {
		list   func() client.ObjectList
		object func(namespace, name string) client.Object
	}{
		"Secret": {
			func() client.ObjectList { return &v1alpha1.SecretList{} },
			func(namespace, name string) client.Object { return environment.Secret(namespace, name) },
		},
		"Parameter": {
			func() client.ObjectList { return &v1alpha1.ParameterList{} },
			func(namespace, name string) client.Object {
				return environment.Parameter(namespace, name, func(p *v1alpha1.Parameter) {
					p.Spec.Type, p.Spec.Value, p.Spec.KMSKeyRef = "SecureString", "", &v1alpha1.LocalReference{Name: "key"}
					p.Spec.Generate, p.Spec.Target = &v1alpha1.SecretGenerator{Password: &v1alpha1.PasswordGenerator{}}, nil
				})
			},
		},
	} {
		It("holds no other namespace's "+kind+" up", func() {
			run(operator.Options{})
			crowded, err := cp.NewNamespace(ctx)
			Expect(err).NotTo(HaveOccurred())
			// They wait for their key. When it comes, all of them are to be seen to at once.
			eight(func(i int) error { return cp.Client.Create(ctx, of.object(crowded, fmt.Sprint("s", i))) })
			Eventually(func() bool {
				key := environment.KMSKey(namespace, "key")
				return cp.Client.Get(ctx, client.ObjectKeyFromObject(key), key) == nil && meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)
			}).Should(BeTrue())
			Expect(ready(crowded, of.list())).To(BeZero())
			Expect(cp.Client.Create(ctx, environment.KMSKey(crowded, "key"))).To(Succeed())
			Eventually(func() int { return ready(crowded, of.list()) }, "20s", "2ms").Should(BeNumerically(">", 0))
			began := time.Now()
			Expect(cp.Client.Create(ctx, of.object(namespace, "quiet"))).To(Succeed())
			Eventually(func() int { return ready(namespace, of.list()) }, "60s", "2ms").Should(Equal(1))
			took, done := time.Since(began), ready(crowded, of.list())
			Eventually(func() int { return ready(crowded, of.list()) }, "60s", "250ms").Should(Equal(many)) // each look costs as much as many passes
			AddReportEntry("a "+kind+" of another namespace", fmt.Sprintf(
				"was Ready after %s, when %d of %d were; all were after %s", took.Round(time.Millisecond), done, many, time.Since(began).Round(time.Millisecond)),
				ReportEntryVisibilityAlways)
			Expect(done).To(BeNumerically("<", many/2))
		})
	}
})
