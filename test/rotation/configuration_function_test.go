package rotation_test

import (
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// configure is RotateSecret with RotateImmediately false.
func (l *lambda) configure(s *v1alpha1.Secret) error {
	GinkgoHelper()
	out, err := l.user.RotateSecret(ctx, &sdk.RotateSecretInput{
		SecretId: &s.Status.ARN, ClientRequestToken: ptr.To(uuid.NewString()), RotationLambdaARN: functionARN(), RotateImmediately: ptr.To(false),
	})
	if err == nil {
		Expect(out.VersionId).To(BeNil())
	}
	world.Refresh(s)
	world.Seen(s)
	return err
}

// settled expects that a test has left nothing behind: the value that was in force is, and nothing is pending.
func settled(l *lambda, s *v1alpha1.Secret, current string) {
	GinkgoHelper()
	Expect(l.described(s).VersionIdsToStages).To(Equal(map[string][]string{current: {"AWSCURRENT"}}))
	Expect(projected(s)).To(Equal(login{username(), "chosen"}))
	Expect(s.Status.Rotation).To(BeNil())
	Expect(s.Status.RotationTest).To(And(Not(BeNil()), HaveField("PendingVersionID", BeEmpty())))
	Expect(opens(login{username(), "chosen"})).To(Succeed())
}

var _ = Describe("RotateSecret with RotateImmediately false", func() {
	var (
		l     *lambda
		s     *v1alpha1.Secret
		first string
	)
	BeforeEach(func() {
		world.ReadyKey("shop", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} })
		l = startFunction(world.Services.Secrets, world.Secret.Rotations)
		s = l.made()
		first = s.Status.CurrentVersionID
		l.service()
	})

	It("has AWS's function do testSecret with a copy of the value under AWSPENDING, and takes that away again", func() {
		Expect(l.configure(s)).To(Succeed())
		reconcile(s)
		Expect(l.log.text()).To(ContainSubstring("testSecret"))
		Expect(l.log.text()).NotTo(Or(ContainSubstring("createSecret"), ContainSubstring("setSecret"), ContainSubstring("finishSecret")))
		Expect(failing(s)).To(BeNil(), l.log.text())
		Expect(l.count()).To(Equal(1))
		settled(l, s, first)
		Expect(s.Status.RotationTest.PassedVersionID).To(Equal(first))
		all, _ := stored(s)
		Expect(all).To(Equal([]login{{username(), "chosen"}, {username(), "chosen"}}), "the copy is another value")
		reconcile(s)
		Expect(l.count()).To(Equal(1), "it is tested again and again")
		Expect(l.configure(s)).To(Succeed())
		reconcile(s)
		Expect(l.count()).To(Equal(2), "RotateSecret asked for it")
		settled(l, s, first)
	})

	It("says in the condition RotationFailing what the function raised, and tries again in time", func() {
		Expect(server.Exec(ctx, "ALTER ROLE "+username()+" PASSWORD 'hunter2'")).To(Succeed())
		Expect(l.configure(s)).To(Succeed())
		world.DrainEvents()
		Expect(reconcile(s).RequeueAfter).To(BeNumerically("~", time.Minute, time.Second))
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonFunctionFailed), HaveField("Message", HavePrefix("testSecret: "))))
		Expect(strings.Join(world.DrainEvents(), "\n")).To(And(ContainSubstring(v1alpha1.ReasonFunctionFailed), Not(ContainSubstring("hunter2")), Not(ContainSubstring("chosen"))))
		Expect(l.described(s).VersionIdsToStages).To(Equal(map[string][]string{first: {"AWSCURRENT"}}))
		Expect(server.Exec(ctx, "ALTER ROLE "+username()+" PASSWORD 'chosen'")).To(Succeed())
		world.Clock.Advance(time.Minute)
		reconcile(s)
		Expect(failing(s)).To(BeNil(), l.log.text())
		settled(l, s, first)
	})

	// meanwhile has something done while the function is called, which is when it is dialled.
	meanwhile := func(does func(pending string)) {
		l.during = func() {
			l.during = nil
			defer GinkgoRecover()
			read := &v1alpha1.Secret{}
			Expect(world.ControlPlane.Client.Get(ctx, environment.Request(s).NamespacedName, read)).To(Succeed())
			does(read.Status.RotationTest.PendingVersionID)
		}
		Expect(l.configure(s)).To(Succeed())
		reconcile(s)
	}

	It("shows the copy under AWSPENDING as long as the test takes", func() {
		meanwhile(func(pending string) {
			Expect(l.described(s).VersionIdsToStages).To(Equal(map[string][]string{first: {"AWSCURRENT"}, pending: {"AWSPENDING"}}))
			out, err := l.user.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: &s.Status.ARN, VersionStage: ptr.To("AWSPENDING")})
			Expect(err).NotTo(HaveOccurred())
			Expect(out).To(And(HaveField("VersionId", HaveValue(Equal(pending))), HaveField("SecretString", HaveValue(ContainSubstring("chosen")))))
		})
		settled(l, s, first)
	})

	It("gives way to a RotateSecret that comes while the test runs", func() {
		var token string
		meanwhile(func(string) { token = l.rotate(s.DeepCopy()) })
		world.Refresh(s)
		Expect(s.Status.Rotation).To(HaveField("VersionID", token))
		reconcile(s)
		Expect(failing(s)).To(BeNil(), l.log.text())
		Expect(s.Status.CurrentVersionID).To(Equal(token))
		Expect(l.described(s).VersionIdsToStages).To(Equal(map[string][]string{first: {"AWSPREVIOUS"}, token: {"AWSCURRENT"}}))
		Expect(opens(projected(s))).To(Succeed())
	})

	It("is ended by CancelRotateSecret, and by an UpdateSecretVersionStage that takes AWSPENDING away", func() {
		meanwhile(func(pending string) {
			_, err := l.user.UpdateSecretVersionStage(ctx, &sdk.UpdateSecretVersionStageInput{SecretId: &s.Status.ARN, VersionStage: ptr.To("AWSPENDING"), RemoveFromVersionId: &pending})
			Expect(err).NotTo(HaveOccurred())
		})
		reconcile(s)
		settled(l, s, first)
		meanwhile(func(string) {
			_, err := l.user.CancelRotateSecret(ctx, &sdk.CancelRotateSecretInput{SecretId: &s.Status.ARN})
			Expect(err).NotTo(HaveOccurred())
		})
		reconcile(s)
		settled(l, s, first)
		called := l.count()
		reconcile(s)
		Expect(l.count()).To(Equal(called))
	})

	It("leaves a value alone that is put while the test runs", func() {
		var id string
		meanwhile(func(string) {
			out, err := l.user.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: &s.Status.ARN, SecretString: ptr.To(`{"username":"other","password":"other"}`)})
			Expect(err).NotTo(HaveOccurred())
			id = *out.VersionId
		})
		reconcile(s)
		Expect(l.described(s).VersionIdsToStages).To(Equal(map[string][]string{first: {"AWSPREVIOUS"}, id: {"AWSCURRENT"}}))
		Expect(projected(s)).To(Equal(login{"other", "other"}))
	})
})

var _ = Describe("A test of a function that is broken off at any write", func() {
	for _, lost := range []bool{false, true} {
		when := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[lost]
		It(when+", or whose call fails, ends and rotates nothing", func() {
			world.ReadyKey("shop", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} })
			faulty, writes := world.Faulty()
			reconciler := faulty.Secret
			l := startFunction(reconciler.Secrets, reconciler.Rotations)
			s := l.made()
			first := s.Status.CurrentVersionID
			l.service()
			for n := 1; ; n++ {
				where := fmt.Sprintf("write %d", n)
				heal := func() { writes.FailAt(0, false); l.cutAt(0, false) }
				writes.FailAt(n, lost)
				if n == 1 {
					l.cutAt(1, lost)
				}
				if l.configure(s) != nil {
					heal()
					Expect(l.configure(s)).To(Succeed(), where)
				}
				_ = try(reconciler, s)
				made := writes.Writes()
				Expect(s.Status.CurrentVersionID).To(Equal(first), where)
				Expect(projected(s)).To(Equal(login{username(), "chosen"}), where)
				heal()
				for range 4 {
					world.Clock.Advance(5 * time.Minute)
					_ = try(reconciler, s)
				}
				Expect(failing(s)).To(BeNil(), "%s: %s", where, l.log.text())
				settled(l, s, first)
				Expect(s.Status.RotationTest).To(And(HaveField("PassedVersionID", first), HaveField("Attempts", int32(0))), where)
				if made < n {
					Expect(n).To(BeNumerically(">", 5), "fewer writes than there are")
					break
				}
			}
			Expect(l.log.text()).NotTo(Or(ContainSubstring("createSecret"), ContainSubstring("setSecret"), ContainSubstring("finishSecret")))
		})
	}
})
