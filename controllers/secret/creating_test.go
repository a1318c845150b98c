package secret_test

import (
	"context"
	"time"

	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

func accountOf(namespace string) string { return arn.DeriveAccount(namespace) }

// eager has a controller look at a Secret after each write of it and of its versions, as soon as the cache has it.
type eager struct {
	client.Client
	look  func(client.Object)
	about client.Object
}

func (e *eager) Create(ctx context.Context, obj client.Object, options ...client.CreateOption) error {
	if err := e.Client.Create(ctx, obj, options...); err != nil {
		return err
	}
	if _, is := obj.(*v1alpha1.Secret); is {
		e.about = obj
	}
	seen(obj)
	if e.about != nil {
		e.look(e.about)
	}
	return nil
}

// createdBy makes a secret with a value as CreateSecret does, and reads it again.
func createdBy(request *secretsmanager.Service, by *eager) *v1alpha1.Secret {
	GinkgoHelper()
	request.Client, request.Store = by, &store.Store{Client: by, Live: request.Store.Live}
	token := uuid.NewString()
	made, err := request.Create(ctx, secretsmanager.CreateInput{
		Namespace: namespace, Account: accountOf(namespace), Region: "us-east-1", Name: "api", Token: token, KeyName: "key", WithValue: true,
	})
	Expect(err).NotTo(HaveOccurred())
	key, err := request.AwaitKey(ctx, made)
	Expect(err).NotTo(HaveOccurred())
	_, err = request.CreateValue(ctx, secretsmanager.PutValueInput{Secret: made, Key: key, Token: token, Value: secretsmanager.Value{Bytes: secretbytes.Copy([]byte("v"))}})
	Expect(err).NotTo(HaveOccurred())
	refresh(made)
	seen(made)
	return made
}

var _ = Describe("A CreateSecret that the controller watches", func() {
	It("costs the object, the Envelope and one status, whenever the controller looks", func() {
		faulty, writes := env.Faulty()
		request := env.SecretsOver(writes)
		eager := &eager{Client: writes, look: func(obj client.Object) {
			_, err := faulty.Secret.Reconcile(ctx, environment.Request(obj))
			Expect(err).NotTo(HaveOccurred())
		}}
		made := createdBy(request, eager)
		Expect(writes.Log()).To(Equal([]string{"create", "create", "status"}))
		Expect(made.Status.Versions).To(HaveLen(1))
		Expect(condition(made, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		writes.FailAt(0, false)
		_, err := faulty.Secret.Reconcile(ctx, environment.Request(made))
		Expect(err).NotTo(HaveOccurred())
		Expect(writes.Log()).To(BeEmpty(), "the controller adds nothing to what the request has committed")
	})

	It("without a value is looked at a moment later, and says that it has none", func() {
		made := &v1alpha1.Secret{}
		made.Namespace, made.Name = namespace, "api"
		metav1.SetMetaDataAnnotation(&made.ObjectMeta, v1alpha1.SubjectAnnotation, "arn:aws:secretsmanager:us-east-1:"+accountOf(namespace)+":secret:api-AbCdEf")
		metav1.SetMetaDataAnnotation(&made.ObjectMeta, v1alpha1.RequestTokenAnnotation, "9f3a6f1e-1111-4111-8111-111111111111")
		create(made)
		Expect(reconcile(made).RequeueAfter).To(BeNumerically("~", 5*time.Second, 2*time.Second))
		Expect(made.Status.ARN).To(BeEmpty())
		env.Clock.Advance(6 * time.Second)
		reconcile(made)
		Expect(condition(made, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonNoValue))
	})
})
