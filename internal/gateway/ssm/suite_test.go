package ssm_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/ssm"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

func TestParameterStoreAPI(t *testing.T) {
	environment.Specs(t, "Parameter Store API")
}

var (
	ctx     = context.Background()
	world   *environment.World
	service gateway.Service
	// account is that of the spec's namespace.
	account string
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() {
	world.Fresh()
	region = home
	account = arn.DeriveAccount(world.Namespace)
	service = ssm.New(ssm.Dependencies{Parameters: world.Services.Parameters})
	world.ReadyKey("aws-ssm")
})

const home = "us-east-1"

// region is that which requests are signed for: home, unless a spec says another.
var region string

// caller is who asks, by the statements of an identity policy.
type caller string

// administrator may do everything, and stranger nothing.
const (
	administrator caller = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	stranger      caller = `{"Effect":"Allow","Action":"sqs:*","Resource":"*"}`
)

// allowed may do one thing to one resource, on a condition if there is one.
func allowed(action, resource string, condition ...string) caller {
	when := ""
	if len(condition) > 0 {
		when = `,"Condition":` + condition[0]
	}
	return caller(fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":%q%s}`, action, resource, when))
}

func arnOf(name string) string { return arn.Parameter(home, account, name) }

// callOf is a call of an operation by somebody.
func callOf(who caller, operation string) *gateway.Call {
	GinkgoHelper()
	policy, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+string(who)+`]}`), iam.Identity)
	Expect(err).NotTo(HaveOccurred())
	return &gateway.Call{
		Identity: &serviceiam.Identity{
			Type: serviceiam.TypeIAMUser, Namespace: world.Namespace, UserID: "AIDAEXAMPLE", Name: "tester",
			Principal: iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/tester"},
			Identity:  []*iam.Policy{policy},
		},
		Region: region, RequestID: "request", Time: world.Clock.Now(), SourceIP: netip.MustParseAddr("10.0.0.1"),
		Service: service.Name, Operation: operation,
	}
}

// do carries out an operation by its name.
func do[O, I any](who caller, operation string, in *I) (*O, error) {
	GinkgoHelper()
	out, err := invoke(callOf(who, operation), in)
	if err != nil {
		return nil, err
	}
	return out.(*O), nil
}

func must[O, I any](operation string, in *I) *O {
	GinkgoHelper()
	out, err := do[O](administrator, operation, in)
	Expect(err).NotTo(HaveOccurred())
	return out
}

func put(name, value string, changes ...func(*sdk.PutParameterInput)) (*sdk.PutParameterOutput, error) {
	GinkgoHelper()
	in := &sdk.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeString}
	for _, change := range changes {
		change(in)
	}
	return do[sdk.PutParameterOutput](administrator, "PutParameter", in)
}

func mustPut(name, value string, changes ...func(*sdk.PutParameterInput)) *sdk.PutParameterOutput {
	GinkgoHelper()
	out, err := put(name, value, changes...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

func overwrite(in *sdk.PutParameterInput) { yes := true; in.Overwrite = &yes }

func secure(in *sdk.PutParameterInput) { in.Type = types.ParameterTypeSecureString }

func get(name string, decrypt bool) (*types.Parameter, error) {
	GinkgoHelper()
	out, err := do[sdk.GetParameterOutput](administrator, "GetParameter", &sdk.GetParameterInput{Name: &name, WithDecryption: &decrypt})
	if err != nil {
		return nil, err
	}
	return out.Parameter, nil
}

func mustGet(name string) *types.Parameter {
	GinkgoHelper()
	out, err := get(name, true)
	Expect(err).NotTo(HaveOccurred())
	return out
}

// be expects AWS's error of a code.
func be(err error, code string) {
	GinkgoHelper()
	var api smithy.APIError
	Expect(errors.As(err, &api)).To(BeTrue(), "%v is no error of AWS", err)
	Expect(api.ErrorCode()).To(Equal(code), "%v", err)
}
