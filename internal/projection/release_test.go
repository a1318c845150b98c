package projection_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
)

// What creation wrote is an "Update" of the field manager, which its applies do not give up.
var _ = Describe("A target that was made under Owner, merged into, and then left", func() {
	changes := func(t *projection.Target) { t.Data["extra"] = secretbytes.Copy([]byte("2")) }
	wasOwner := func(more ...func(*projection.Target)) {
		GinkgoHelper()
		project(goal(append(more, changes)...))
		project(goal(append(more, changes, withPolicy(mergePolicy), func(t *projection.Target) { t.FormerKeys = []string{"extra", "password"} })...))
		Expect(stored("shown").OwnerReferences).To(BeEmpty())
	}
	leave := func() error { return projector.Remove(ctx, namespace, "shown", owner) }

	It("has none of its keys, nor its marks", func() {
		wasOwner()
		Expect(leave()).To(Succeed())
		Expect(dataOf("shown")).To(BeEmpty())
		Expect(stored("shown").Labels).To(BeEmpty())
		Expect(stored("shown").Annotations).To(BeEmpty())
		Expect(leave()).To(Succeed(), "a second time changes nothing")
	})

	It("keeps what others have written since, and what they share", func() {
		wasOwner()
		edit(func(s *corev1.Secret) { s.Data["theirs"] = []byte("1"); s.Data["extra"] = []byte("theirs now") })
		Expect(leave()).To(Succeed())
		Expect(dataOf("shown")).To(Equal(map[string]string{"theirs": "1", "extra": "theirs now"}))
	})

	It("keeps its type, and the keys that its type needs", func() {
		wasOwner(func(t *projection.Target) { t.Type = "example.com/x" })
		Expect(leave()).To(Succeed())
		Expect(dataOf("shown")).To(BeEmpty())
		Expect(stored("shown").Type).To(Equal(corev1.SecretType("example.com/x")))
		removed("shown")
		wasOwner(func(t *projection.Target) {
			t.Type = "kubernetes.io/basic-auth"
			t.Data = map[string]secretbytes.Bytes{"username": secretbytes.Copy([]byte("me"))}
		})
		Expect(leave()).To(Succeed(), "a target that cannot be left must not keep the next from being made")
	})

	It("is left by the next attempt if the first one dies in between, or somebody writes", func() {
		wasOwner()
		p := interposed(&between{beforeApply: func() { panic("died") }})
		Expect(func() { _ = p.Remove(ctx, namespace, "shown", owner) }).To(PanicWith("died"))
		Expect(dataOf("shown")).To(HaveLen(2), "nothing is lost yet")
		Expect(leave()).To(Succeed())
		Expect(dataOf("shown")).To(BeEmpty())
	})

	It("fails, to be tried again, if it changes between the look at it and the write", func() {
		wasOwner()
		stale := &staleReader{Reader: projector.Live, after: func() { edit(func(s *corev1.Secret) { s.Data["theirs"] = []byte("1") }) }}
		p := &projection.Projector{Client: projector.Client, Live: stale, Digester: projector.Digester}
		Expect(apierrors.IsConflict(p.Remove(ctx, namespace, "shown", owner))).To(BeTrue())
		Expect(dataOf("shown")).To(HaveLen(3))
		Expect(leave()).To(Succeed())
		Expect(dataOf("shown")).To(Equal(map[string]string{"theirs": "1"}))
	})

	It("is left as it is if it goes meanwhile", func() {
		wasOwner()
		stale := &staleReader{Reader: projector.Live, after: func() { removed("shown") }}
		p := &projection.Projector{Client: projector.Client, Live: stale, Digester: projector.Digester}
		Expect(p.Remove(ctx, namespace, "shown", owner)).To(Succeed())
		Expect(absent("shown")).To(BeTrue())
	})
})

// staleReader lets somebody act right after a read.
type staleReader struct {
	client.Reader
	after func()
}

func (r *staleReader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, obj, opts...)
	once(&r.after)
	return err
}

var _ = Describe("A key of which nobody knows who wrote it", func() {
	// forgotten takes all managed fields off, as some backup tools do.
	forgotten := func() {
		GinkgoHelper()
		s := stored("shown")
		s.ManagedFields = []metav1.ManagedFieldsEntry{{}}
		Expect(cp.Client.Update(ctx, s)).To(Succeed())
		s = stored("shown")
		Expect(s.ManagedFields).To(BeEmpty())
		seen(s)
	}

	It("is not merged over", func() {
		foreign("kubectl-create", func(s *corev1.Secret) { s.Data["password"] = []byte("theirs") })
		forgotten()
		before := stored("shown")
		_, err := projector.Project(ctx, goal(withPolicy(mergePolicy)))
		Expect(fault.Of(err)).To(And(HaveField("Reason", v1alpha1.ReasonConflict), HaveField("Stalled", true)))
		Expect(fault.Message(err)).To(ContainSubstring("core Secret shown: somebody unknown has written its key password"))
		Expect(stored("shown")).To(Equal(before))
	})

	It("is merged over if it has the value already, and beside it", func() {
		foreign("kubectl-create", func(s *corev1.Secret) { s.Data["password"] = []byte("CANARY-hunter2") })
		forgotten()
		Expect(project(goal(withPolicy(mergePolicy)))).To(Equal(projection.Written))
		Expect(dataOf("shown")).To(HaveLen(2))
	})

	It("is healed if this target has written it before, as status knows", func() {
		foreign("kubectl-create")
		project(goal(withPolicy(mergePolicy)))
		edit(otherValue)
		forgotten()
		project(goal(withPolicy(mergePolicy), func(t *projection.Target) { t.FormerKeys = []string{"password"} }))
		Expect(dataOf("shown")).To(HaveKeyWithValue("password", "CANARY-hunter2"))
	})

	It("is not the one that this target wrote itself before it died, with an older value", func() {
		foreign("kubectl-create")
		project(goal(withPolicy(mergePolicy), withData("password", "older")))
		project(goal(withPolicy(mergePolicy)))
		Expect(dataOf("shown")).To(HaveKeyWithValue("password", "CANARY-hunter2"))
	})
})
