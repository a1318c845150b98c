package sts_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/accesskey"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/sts"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

func TestSTS(t *testing.T) {
	environment.Specs(t, "STS operations")
}

var (
	ctx        = context.Background()
	world      *environment.World
	service    *serviceiam.Service
	operations map[string]gateway.Operation
	account    string
)

var _ = BeforeSuite(func() {
	world = environment.NewWorld(ctx)
	service = replica()
	operations = map[string]gateway.Operation{}
	for _, o := range sts.New(sts.Dependencies{IAM: service}).Operations {
		operations[o.Name] = o
	}
})

// replica is the service as another replica has it: with nothing remembered.
func replica() *serviceiam.Service {
	s := world.Services
	return &serviceiam.Service{
		Client: s.Client, Live: s.Live, Tokens: world.ControlPlane.Client, Store: s.Store, Keyring: s.Keyring, Now: world.Clock.Now, Cache: serviceiam.NewCache(world.Clock.Now),
	}
}

var _ = BeforeEach(func() {
	world.Fresh()
	account = arn.DeriveAccount(world.Namespace)
	Expect(world.ControlPlane.Client.Create(ctx, serviceAccount())).To(Succeed())
})

// serviceAccount is the spec's. The cache does not watch them.
func serviceAccount() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "app"}}
}

func document(text string) *v1alpha1.PolicyDocument {
	return &v1alpha1.PolicyDocument{JSON: apiextensionsv1.JSON{Raw: []byte(`{"Version":"2012-10-17","Statement":[` + text + `]}`)}}
}

// establish writes what the controller writes.
func establish(obj client.Object, status *v1alpha1.IAMStatus, object string, id arn.IDPrefix) {
	GinkgoHelper()
	status.ARN, status.UniqueID = object, arn.UniqueID(id, string(obj.GetUID()))
	Expect(world.ControlPlane.Client.Status().Update(ctx, obj)).To(Succeed())
	world.Seen(obj)
}

func role(name string, changes ...func(*v1alpha1.IAMRole)) *v1alpha1.IAMRole {
	GinkgoHelper()
	r := &v1alpha1.IAMRole{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
	for _, change := range changes {
		change(r)
	}
	world.Create(r)
	establish(r, &r.Status.IAMStatus, arn.IAMRole(account, "/", name), arn.RoleID)
	return r
}

func trusting(statements string) func(*v1alpha1.IAMRole) {
	return func(r *v1alpha1.IAMRole) { r.Spec.AssumeRolePolicy = document(statements) }
}

func forApp(r *v1alpha1.IAMRole) { r.Spec.ServiceAccounts = []v1alpha1.ServiceAccountReference{"app"} }

func may(statements string) func(*v1alpha1.IAMRole) {
	return func(r *v1alpha1.IAMRole) {
		r.Spec.Policies = []v1alpha1.InlinePolicy{{Name: "own", Document: *document(statements)}}
	}
}

// user makes a user with an access key, as the controller does, and finds it by the key.
func user(name, statements string) (*v1alpha1.IAMUser, string) {
	GinkgoHelper()
	u := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
	u.Spec.AccessKeys = []v1alpha1.AccessKey{{Name: "first"}}
	if statements != "" {
		u.Spec.Policies = []v1alpha1.InlinePolicy{{Name: "own", Document: *document(statements)}}
	}
	world.Create(u)
	userARN := arn.IAMUser(account, "/", name)
	id, err := accesskey.New(nil, accesskey.LongTerm, account)
	Expect(err).NotTo(HaveOccurred())
	secret, err := accesskey.NewSecret(nil)
	Expect(err).NotTo(HaveOccurred())
	v := versions.Version{ID: id, Sequence: 1, Created: world.Clock.Now()}
	e := store.New(u.Namespace, v1alpha1.EnvelopeAccessKey, v1alpha1.EnvelopeOwner{Kind: "IAMUser", Name: name}, userARN, v, "domain-key/1")
	ring, err := service.Keyring.Get()
	Expect(err).NotTo(HaveOccurred())
	e.Spec.Ciphertext, err = ring.Seal(keys.KindAccessKey, store.Binding(e), secret)
	Expect(err).NotTo(HaveOccurred())
	world.Create(e)
	u.Status.AccessKeys = []v1alpha1.AccessKeyStatus{{Name: "first", Sequence: 1, AccessKeyID: id, CreatedTime: e.Spec.CreatedTime}}
	establish(u, &u.Status.IAMStatus, userARN, arn.UserID)
	return u, id
}

// caller is who an access key is.
func caller(accessKeyID, token string) *serviceiam.Identity {
	GinkgoHelper()
	c, err := service.Credential(ctx, accessKeyID, token)
	Expect(err).NotTo(HaveOccurred())
	return c.Identity
}

func holder(c *types.Credentials) *serviceiam.Identity {
	GinkgoHelper()
	return caller(*c.AccessKeyId, *c.SessionToken)
}

// try carries out an operation for a caller, nil for one without a credential.
func try[O any](id *serviceiam.Identity, name string, in any) (*O, error) {
	GinkgoHelper()
	if id == nil {
		id = &serviceiam.Identity{Type: serviceiam.TypeUnknown}
	}
	op := operations[name]
	call := &gateway.Call{
		Identity: id, Region: "us-east-1", Service: "sts", Operation: name, RequestID: "1", Time: world.Clock.Now(),
		SourceIP: netip.MustParseAddr("192.0.2.1"),
	}
	out, err := op.Invoke(ctx, call, in)
	if err != nil {
		return nil, err
	}
	return out.(*O), nil
}

func must[O any](id *serviceiam.Identity, name string, in any) *O {
	GinkgoHelper()
	out, err := try[O](id, name, in)
	Expect(err).NotTo(HaveOccurred())
	return out
}

// refused carries out an operation that is refused, and returns code and message.
func refused[O any](id *serviceiam.Identity, name string, in any) (code, message string) {
	GinkgoHelper()
	_, err := try[O](id, name, in)
	var api smithy.APIError
	Expect(errors.As(err, &api)).To(BeTrue(), "%v", err)
	return api.ErrorCode(), api.ErrorMessage()
}

func token(audiences ...string) string {
	GinkgoHelper()
	made, err := world.ControlPlane.Token(ctx, world.Namespace, "app", audiences...)
	Expect(err).NotTo(HaveOccurred())
	return made
}

func byToken(r *v1alpha1.IAMRole, token string) *sdk.AssumeRoleWithWebIdentityInput {
	return &sdk.AssumeRoleWithWebIdentityInput{RoleArn: &r.Status.ARN, RoleSessionName: ptr.To("pod"), WebIdentityToken: &token}
}

func assume(r *v1alpha1.IAMRole, changes ...func(*sdk.AssumeRoleInput)) *sdk.AssumeRoleInput {
	in := &sdk.AssumeRoleInput{RoleArn: &r.Status.ARN, RoleSessionName: ptr.To("one")}
	for _, change := range changes {
		change(in)
	}
	return in
}
