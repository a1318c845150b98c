package rotation_test

import (
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("A rotation function that was written for AWS", func() {
	var (
		l *lambda
		s *v1alpha1.Secret
	)
	BeforeEach(func() {
		world.ReadyKey("shop", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} })
		l = startFunction(world.Services.Secrets, world.Secret.Rotations)
		s = l.made()
	})

	It("rotates the user of a real PostgreSQL through the gateway when RotateSecret asks for it", func() {
		l.service()
		first := s.Status.CurrentVersionID
		token := l.rotate(s)
		described := l.described(s)
		Expect(described.VersionIdsToStages).To(Equal(map[string][]string{first: {"AWSCURRENT"}, token: {"AWSPENDING"}}), "AWS shows the version before it is made")
		Expect(described).To(And(HaveField("RotationEnabled", HaveValue(BeTrue())), HaveField("RotationLambdaARN", Equal(functionARN()))))

		reconcile(s)
		Expect(failing(s)).To(BeNil(), l.log.text())
		Expect(s.Status.Rotation).To(BeNil())
		Expect(s.Status.CurrentVersionID).To(Equal(token))
		Expect(l.described(s).VersionIdsToStages).To(Equal(map[string][]string{first: {"AWSPREVIOUS"}, token: {"AWSCURRENT"}}))
		Expect(projected(s).Username).To(Equal(username()))
		Expect(opens(projected(s))).To(Succeed())
		Expect(opens(login{username(), "chosen"})).NotTo(Succeed(), "the former password is still good")
		Expect(l.count()).To(Equal(4), "a step was called more than once")
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(world.DrainEvents()).To(ContainElement(ContainSubstring("Rotated")))
		reconcile(s)
		Expect(l.count()).To(Equal(4), "one request rotated twice")
		for _, hidden := range []string{"chosen", projected(s).Password} {
			Expect(l.door.Text()).NotTo(ContainSubstring(hidden), "the audit log has a password")
		}
	})

	It("rotates on its schedule, and when the annotation asks for it", func() {
		l.service()
		world.Update(s, func() {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "cron(0 3 ? * * *)", Duration: "2h", Function: &v1alpha1.FunctionRotator{ServiceRef: v1alpha1.ServiceReference{Name: "rotate-shop"}}}
		})
		Expect(reconcile(s).RequeueAfter).To(BeNumerically(">", 0))
		Expect(l.count()).To(Equal(1), "nothing is due, and what is new is tested")
		world.Clock.Set(time.Now().UTC().Truncate(24 * time.Hour).Add(24*time.Hour + 4*time.Hour + 5*time.Minute))
		reconcile(s)
		second := projected(s)
		Expect(second.Password).NotTo(Equal("chosen"), "%v %s", failing(s), l.log.text())
		Expect(opens(second)).To(Succeed())
		ask(s, "now")
		reconcile(s)
		reconcile(s)
		Expect(l.count()).To(Equal(9))
		Expect(opens(projected(s))).To(Succeed())
		Expect(opens(second)).NotTo(Succeed())
	})

	It("that raises an error says its type, and never the message, which may quote a password", func() {
		l.service()
		Expect(server.Exec(ctx, "ALTER ROLE "+username()+" PASSWORD 'somebody else set it'")).To(Succeed())
		token := l.rotate(s)
		result := reconcile(s)
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonFunctionFailed), HaveField("Message", ContainSubstring("PermissionError"))))
		Expect(s.Status.Rotation).To(And(HaveField("VersionID", token), HaveField("Step", "setSecret"), HaveField("Attempts", int32(1))))
		Expect(result.RequeueAfter).To(BeNumerically("~", 5*time.Second, time.Second))
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue), "the version in force is as good as before")
		_, byStage := stored(s)
		pending := byStage[v1alpha1.StagePending].Password
		Expect(l.log.text()).To(ContainSubstring(pending), "the function did not say it, so nothing is proven")
		events := strings.Join(world.DrainEvents(), "\n")
		Expect(events).To(ContainSubstring(v1alpha1.ReasonFunctionFailed))
		for _, hidden := range []string{"chosen", pending} {
			Expect(events + failing(s).Message + l.door.Text()).NotTo(ContainSubstring(hidden))
		}

		_, err := l.user.RotateSecret(ctx, &sdk.RotateSecretInput{SecretId: &s.Status.ARN})
		Expect(err).To(MatchError(ContainSubstring("A previous rotation isn't complete. That rotation will be reattempted.")))
		Expect(server.Exec(ctx, "ALTER ROLE "+username()+" PASSWORD 'chosen'")).To(Succeed())
		world.Clock.Advance(6 * time.Second)
		called := l.count()
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(l.count()-called).To(Equal(3), "createSecret was done, and is not done again")
		Expect(projected(s)).To(Equal(login{username(), pending}))
		Expect(opens(projected(s))).To(Succeed())
	})

	It("whose Service is not there, or may not be called, is told of by name and tried again", func() {
		l.rotate(s)
		reconcile(s)
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonFunctionNotFound), HaveField("Message", ContainSubstring("rotate-shop"))))
		l.service(func(s *corev1.Service) {
			s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "metadata.internal"}
		})
		world.Clock.Advance(6 * time.Second)
		reconcile(s)
		Expect(failing(s)).To(And(HaveField("Reason", v1alpha1.ReasonFunctionNotFound), HaveField("Message", ContainSubstring("ExternalName"))))
		Expect(l.count()).To(BeZero(), "a host outside was called")
	})

	It("that does not answer is unreachable, and goes on where it was", func() {
		l.service()
		l.cutAt(2, false)
		l.rotate(s)
		reconcile(s)
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonFunctionUnreachable)))
		Expect(s.Status.Rotation).To(HaveField("Step", "setSecret"))
		reconcile(s)
		Expect(l.count()).To(Equal(2), "it is tried again before its time")
		world.Clock.Advance(6 * time.Second)
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(opens(projected(s))).To(Succeed())
	})

	It("rests after CancelRotateSecret, whatever is asked for, until RotateSecret turns it on again", func() {
		l.service()
		token := l.rotate(s)
		out, err := l.user.CancelRotateSecret(ctx, &sdk.CancelRotateSecretInput{SecretId: &s.Status.ARN})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.VersionId).To(HaveValue(Equal(token)))
		world.Refresh(s)
		world.Seen(s)
		described := l.described(s)
		Expect(described.RotationEnabled).To(HaveValue(BeFalse()))
		Expect(described).To(And(HaveField("RotationLambdaARN", Equal(functionARN())), HaveField("NextRotationDate", BeNil()), HaveField("LastRotatedDate", BeNil())))
		Expect(described.VersionIdsToStages).NotTo(HaveKey(token))
		ask(s, "now")
		reconcile(s)
		Expect(l.count()).To(BeZero())
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue))

		_, err = l.user.RotateSecret(ctx, &sdk.RotateSecretInput{SecretId: &s.Status.ARN, RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: ptr.To[int64](7)}})
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(s)
		world.Seen(s)
		reconcile(s)
		Expect(l.count()).To(Equal(4))
		Expect(opens(projected(s))).To(Succeed())
		described = l.described(s)
		Expect(described.RotationEnabled).To(HaveValue(BeTrue()))
		Expect(described.RotationRules.AutomaticallyAfterDays).To(HaveValue(Equal(int64(7))))
		Expect(described.NextRotationDate).NotTo(BeNil())
	})

	It("is asked for once by one token, though the request is made again before and after", func() {
		l.service()
		token := uuid.NewString()
		for range 2 {
			for range 2 {
				_, err := l.user.RotateSecret(ctx, &sdk.RotateSecretInput{SecretId: &s.Status.ARN, ClientRequestToken: &token, RotationLambdaARN: functionARN()})
				Expect(err).NotTo(HaveOccurred())
			}
			world.Refresh(s)
			world.Seen(s)
			reconcile(s)
		}
		Expect(l.count()).To(Equal(4))
		Expect(s.Status.CurrentVersionID).To(Equal(token))
		Expect(s.Status.Versions).To(HaveLen(2))
	})
})
