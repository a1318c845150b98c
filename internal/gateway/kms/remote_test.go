package kms_test

import (
	"errors"
	"reflect"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/test/environment"
)

// remote is AWS's SDK, which drives the operations by their names through a real server.
type remote struct{ client *awskms.Client }

// byWayOf is the SDK of a user who may do all with keys and clusters.
func byWayOf(door *environment.Door, region string) remote {
	return remote{sdkClient(door.Config(region, `"Action":["kms:*","cloudhsm:*"],"Resource":"*"`))}
}

// sdkClient is an SDK's, whose answers count for what is documented.
func sdkClient(config aws.Config) *awskms.Client { return awskms.NewFromConfig(config, watched) }

// open opens a door to the operations.
func open() *environment.Door {
	GinkgoHelper()
	return world.Open(kms.New(kms.Dependencies{KMS: world.Services.KMS, KeyStores: world.Services.CloudHSM, Authorities: world.Services.Authorities}))
}

// do carries out an operation.
func (r remote) do(name string, in any) (any, error) {
	GinkgoHelper()
	method := reflect.ValueOf(r.client).MethodByName(name)
	Expect(method.IsValid()).To(BeTrue(), name)
	out := method.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(in)})
	err, _ := out[1].Interface().(error)
	return out[0].Interface(), err
}

// got carries out an operation that succeeds.
func got[O any](r remote, name string, in any) *O {
	GinkgoHelper()
	out, err := r.do(name, in)
	Expect(err).NotTo(HaveOccurred(), name)
	return out.(*O)
}

// code carries out an operation, and is the code of its refusal and the message; both are empty for none.
func (r remote) code(name string, in any) (code, message string) {
	GinkgoHelper()
	_, err := r.do(name, in)
	if err == nil {
		return "", ""
	}
	var known smithy.APIError
	Expect(errors.As(err, &known)).To(BeTrue(), "%s: %v", name, err)
	return known.ErrorCode(), known.ErrorMessage()
}

// refuses expects that an operation is refused by an error of the SDK's own type.
func (r remote) refuses(code, name string, in any) {
	GinkgoHelper()
	_, err := r.do(name, in)
	Expect(err).To(HaveOccurred(), name)
	Expect(codeOf(err)).To(Equal(code), "%s: %v", name, err)
}

// with sets a member of a request.
func with(in any, member string, value any) any {
	GinkgoHelper()
	field := reflect.ValueOf(in).Elem().FieldByName(member)
	Expect(field.IsValid()).To(BeTrue(), "%T has no %s", in, member)
	field.Set(reflect.ValueOf(value))
	return in
}

// has tells whether a request can have a member.
func has(in any, member string) bool { return reflect.ValueOf(in).Elem().FieldByName(member).IsValid() }
