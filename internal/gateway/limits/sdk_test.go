package limits

import (
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// clients are the SDK's of the services whose every operation is walked: a client has one method an operation.
var clients = map[string]reflect.Type{
	"acm":            reflect.TypeFor[*acm.Client](),
	"acm-pca":        reflect.TypeFor[*acmpca.Client](),
	"iam":            reflect.TypeFor[*iam.Client](),
	"kms":            reflect.TypeFor[*kms.Client](),
	"secretsmanager": reflect.TypeFor[*secretsmanager.Client](),
	"ssm":            reflect.TypeFor[*ssm.Client](),
	"sts":            reflect.TypeFor[*sts.Client](),
}

// sdkOperation is one operation as the SDK has it.
type sdkOperation struct {
	name          string
	input, output reflect.Type // structs
}

func sdkOperations(client reflect.Type) []sdkOperation {
	var all []sdkOperation
	for i := range client.NumMethod() {
		m := client.Method(i)
		if m.Type.NumIn() < 3 || m.Type.NumOut() != 2 {
			continue // Options
		}
		input := m.Type.In(2)
		if input.Kind() == reflect.Pointer && strings.HasSuffix(input.Elem().Name(), "Input") {
			all = append(all, sdkOperation{m.Name, input.Elem(), m.Type.Out(0).Elem()})
		}
	}
	return all
}

// served are the operations of a table with the SDK's types.
func served(t testing.TB, service string) (*Service, map[*Operation]sdkOperation) {
	t.Helper()
	s, err := For(service)
	if err != nil {
		t.Fatal(err)
	}
	all := map[*Operation]sdkOperation{}
	for _, sdk := range sdkOperations(clients[service]) {
		if o, ok := s.Operation(sdk.name); ok {
			all[o] = sdk
		}
	}
	if len(all) != len(s.Operations()) {
		t.Fatalf("the SDK has %d of the %d operations of %s", len(all), len(s.Operations()), service)
	}
	return s, all
}

func TestEveryFieldOfTheSDKsInputsAndOutputsIsInTheTableAndTheOtherWayRound(t *testing.T) {
	for service := range clients {
		_, operations := served(t, service)
		for o, sdk := range operations {
			if err := o.Fits(reflect.New(sdk.input).Interface()); err != nil {
				t.Errorf("%s:%s: %v", service, o.Name, err)
			}
			if _, err := compile(o.Output, sdk.output, false); err != nil {
				t.Errorf("%s:%s: the output: %v", service, o.Name, err)
			}
		}
	}
}

// newerOperations are the SDK's that the models, which are older, have not.
var newerOperations = map[string]bool{"acm:ListCertificateDomainValidations": true}

func TestOperationsOfTheSDKThatNoTableHasAreThoseThatAreNewerAndThoseThatIAMAndSSMLeaveOut(t *testing.T) {
	missing := map[string]bool{}
	for service, client := range clients {
		s, _ := served(t, service)
		if service == "iam" || service == "ssm" {
			continue // the models have 96 of 176, and the Parameter Store alone
		}
		for _, sdk := range sdkOperations(client) {
			if _, ok := s.Operation(sdk.name); !ok {
				missing[service+":"+sdk.name] = true
			}
		}
	}
	if !reflect.DeepEqual(missing, newerOperations) {
		t.Errorf("no table has %v; want %v", missing, newerOperations)
	}
}

func TestNewerFieldsAreFieldsThatTheSDKHasAndNoTableHas(t *testing.T) {
	used := map[string]bool{}
	for service := range clients {
		_, operations := served(t, service)
		for o, sdk := range operations {
			walkNewer(o.Input, sdk.input, used, map[reflect.Type]bool{})
			walkNewer(o.Output, sdk.output, used, map[reflect.Type]bool{})
		}
	}
	for name := range newer {
		if !used[name] {
			t.Errorf("%s is no field of the SDK, or the table has it: take it off the list", name)
		}
	}
}

// walkNewer collects the fields of the list that no member of the shape stands for.
func walkNewer(s *Shape, typ reflect.Type, used map[string]bool, seen map[reflect.Type]bool) {
	for s.Type == "list" || s.Type == "map" || typ.Kind() == reflect.Pointer {
		if typ.Kind() != reflect.Pointer {
			if s.Type == "list" {
				s = s.Element.Shape
			} else {
				s = s.Value.Shape
			}
		}
		typ = typ.Elem()
	}
	if s.Type != "structure" || s.Union || seen[typ] {
		return
	}
	seen[typ] = true
	known := map[string]bool{}
	for _, m := range s.Members {
		name := strings.ToUpper(m.Name[:1]) + m.Name[1:]
		known[name] = true
		f, _ := typ.FieldByName(name)
		walkNewer(m.Shape, f.Type, used, seen)
	}
	for f := range typ.Fields() {
		if name := typ.String() + "." + f.Name; newer[name] && !known[f.Name] {
			used[name] = true
		}
	}
}
