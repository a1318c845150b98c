package secretsmanager_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/secretsmanager"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

func TestSecretsManagerAPI(t *testing.T) {
	environment.Specs(t, "Secrets Manager API")
}

var (
	ctx   = context.Background()
	world *environment.World
	// service is the API over the world's services.
	service gateway.Service
	// account is that of the spec's namespace.
	account string
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() {
	world.Fresh()
	account = arn.DeriveAccount(world.Namespace)
	service = secretsmanager.New(secretsmanager.Dependencies{Secrets: world.Services.Secrets})
	world.ReadyKey("aws-secretsmanager")
})

const home = "us-east-1"

// caller is who asks, with one identity policy.
type caller struct {
	policy string
	region string
}

// administrator may do everything.
var administrator = caller{policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`}

// stranger may do nothing.
var stranger = caller{policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`}

// allowed may do one thing to one resource, on a condition if there is one.
func allowed(action, resource string, condition ...string) caller {
	when := ""
	if len(condition) > 0 {
		when = `,"Condition":` + condition[0]
	}
	return caller{policy: fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%q,"Resource":%q%s}]}`, action, resource, when)}
}

// and joins the policies of two callers: identity has both.
func (c caller) identity(more ...caller) *serviceiam.Identity {
	GinkgoHelper()
	id := &serviceiam.Identity{
		Type: serviceiam.TypeIAMUser, Namespace: world.Namespace, UserID: "AIDAEXAMPLE", Name: "tester",
		Principal: iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/tester"},
	}
	for _, one := range append([]caller{c}, more...) {
		policy, err := iam.Parse([]byte(one.policy), iam.Identity)
		Expect(err).NotTo(HaveOccurred())
		id.Identity = append(id.Identity, policy)
	}
	return id
}

func (c caller) call(operation string, more ...caller) *gateway.Call {
	GinkgoHelper()
	region := c.region
	if region == "" {
		region = home
	}
	return &gateway.Call{
		Identity: c.identity(more...), Region: region, RequestID: "request", Time: world.Clock.Now(),
		SourceIP: netip.MustParseAddr("10.0.0.1"), Service: service.Name, Operation: operation,
	}
}

// do carries out an operation by its name.
func do[O, I any](who caller, operation string, in *I) (*O, error) {
	GinkgoHelper()
	return invoke[O](who.call(operation), in)
}

func invoke[O, I any](call *gateway.Call, in *I) (*O, error) {
	GinkgoHelper()
	for i := range service.Operations {
		if service.Operations[i].Name == call.Operation {
			out, err := service.Operations[i].Invoke(ctx, call, in)
			if err != nil {
				return nil, err
			}
			return out.(*O), nil
		}
	}
	Fail("there is no operation " + call.Operation)
	return nil, nil
}

// must is do, and fails the spec if the operation fails.
func must[O, I any](who caller, operation string, in *I) *O {
	GinkgoHelper()
	out, err := do[O](who, operation, in)
	Expect(err).NotTo(HaveOccurred())
	return out
}

func token() *string { return ptr.To(uuid.NewString()) }

// create makes a secret with a text, or without a value if it is empty.
func create(name, text string, changes ...func(*sdk.CreateSecretInput)) *sdk.CreateSecretOutput {
	GinkgoHelper()
	in := &sdk.CreateSecretInput{Name: &name, ClientRequestToken: token()}
	if text != "" {
		in.SecretString = &text
	}
	for _, change := range changes {
		change(in)
	}
	return must[sdk.CreateSecretOutput](administrator, "CreateSecret", in)
}

func put(id, text string, stages ...string) *sdk.PutSecretValueOutput {
	GinkgoHelper()
	return must[sdk.PutSecretValueOutput](administrator, "PutSecretValue",
		&sdk.PutSecretValueInput{SecretId: &id, SecretString: &text, ClientRequestToken: token(), VersionStages: stages})
}

func get(id string) *sdk.GetSecretValueOutput {
	GinkgoHelper()
	return must[sdk.GetSecretValueOutput](administrator, "GetSecretValue", &sdk.GetSecretValueInput{SecretId: &id})
}

func getError(id string) error {
	GinkgoHelper()
	_, err := do[sdk.GetSecretValueOutput](administrator, "GetSecretValue", &sdk.GetSecretValueInput{SecretId: &id})
	return err
}

// be expects AWS's error of a code and text.
func be(err error, code, text string) {
	GinkgoHelper()
	var api smithy.APIError
	Expect(errors.As(err, &api)).To(BeTrue(), "%v is no error of AWS", err)
	Expect(api.ErrorCode()).To(Equal(code), "%v", err)
	Expect(api.ErrorMessage()).To(Equal(text))
}

// object reads the Secret of an ARN as it is.
func object(arn string) *v1alpha1.Secret {
	GinkgoHelper()
	var list v1alpha1.SecretList
	Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
	for i := range list.Items {
		if world.Services.Secrets.ARNOf(&list.Items[i]) == arn {
			return &list.Items[i]
		}
	}
	Fail("there is no Secret " + arn)
	return nil
}

// reconcile makes one pass of the controller over a Secret and reads it again.
func reconcile(s *v1alpha1.Secret) {
	GinkgoHelper()
	_, err := world.Secret.Reconcile(ctx, environment.Request(s))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(s)
	world.Seen(s)
}
