package audit_test

import (
	"encoding/json/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/acm"
	"strongroom.dev/strongroom/internal/gateway/acmpca"
	"strongroom.dev/strongroom/internal/gateway/audit"
	"strongroom.dev/strongroom/internal/gateway/cloudhsm"
	"strongroom.dev/strongroom/internal/gateway/iam"
	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/secretsmanager"
	"strongroom.dev/strongroom/internal/gateway/ssm"
	"strongroom.dev/strongroom/internal/gateway/sts"
)

// The fewest marks that there must be, so that the test cannot shrink unseen.
const (
	leastHidden = 79
	leastShown  = 1290
)

// The members that would be worst to tell: if one of them is not marked as hidden, the list that the test goes by is wrong.
var secrets = []string{
	"kms:Encrypt plaintext", "kms:Decrypt plaintext", "kms:GenerateDataKey plaintext", "secretsmanager:CreateSecret secretString",
	"secretsmanager:GetSecretValue secretBinary", "secretsmanager:GetRandomPassword randomPassword",
	"sts:AssumeRole credentials.secretAccessKey", "sts:AssumeRole credentials.sessionToken", "sts:AssumeRoleWithWebIdentity webIdentityToken",
	"ssm:PutParameter value", "ssm:GetParameter parameter.value", "ssm:GetParameters parameters.1.member.value",
	"ssm:GetParametersByPath parameters.2.member.value", "ssm:GetParameterHistory parameters.1.member.value",
	"iam:CreateAccessKey accessKey.secretAccessKey",
	"kms:CreateCustomKeyStore keyStorePassword", "kms:UpdateCustomKeyStore keyStorePassword",
	"acm:ImportCertificate privateKey", "acm:ExportCertificate passphrase", "acm:ExportCertificate privateKey",
}

func TestNoRecordTellsASensitiveMemberOfAnyServedOperation(t *testing.T) {
	hidden, shown := 0, 0
	kept := map[string]bool{}
	for _, service := range []gateway.Service{
		kms.New(kms.Dependencies{}), secretsmanager.New(secretsmanager.Dependencies{}), sts.New(sts.Dependencies{}),
		acm.New(acm.Dependencies{}), acmpca.New(acmpca.Dependencies{}), ssm.New(ssm.Dependencies{}), iam.New(iam.Dependencies{}), cloudhsm.New(cloudhsm.Dependencies{}),
	} {
		model, err := limits.For(service.Name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range service.Operations {
			op := &service.Operations[i]
			known, _ := model.Operation(op.Name)
			for _, m := range recorded(t, service.Name, op, known) {
				if m.hidden {
					hidden++
					kept[strings.ToLower(service.Name+":"+op.Name+" "+m.path)] = true
				} else {
					shown++
				}
			}
		}
	}
	for _, secret := range secrets {
		if !kept[strings.ToLower(secret)] {
			t.Errorf("%s is not sensitive", secret)
		}
	}
	t.Logf("%d members were hidden, %d shown", hidden, shown)
	if hidden < leastHidden || shown < leastShown {
		t.Errorf("%d members were hidden and %d shown; there were at least %d and %d", hidden, shown, leastHidden, leastShown)
	}
}

// recorded writes a record of an operation with a mark in every member, and looks for each.
func recorded(t *testing.T, service string, op *gateway.Operation, known *limits.Operation) (all []mark) {
	t.Helper()
	in := filler{service: service, operation: op.Name, direction: limits.Input, within: map[*limits.Shape]bool{}}
	out := filler{service: service, operation: op.Name, direction: limits.Output, within: map[*limits.Shape]bool{}}
	input, output := op.NewInput(), op.NewOutput()
	in.fill(reflect.ValueOf(input).Elem(), known.Input, "")
	out.fill(reflect.ValueOf(output).Elem(), known.Output, "")
	event := audit.Event{
		Service: service, Operation: op.Name, Time: time.Unix(1.7e9, 0),
		Parameters: audit.Members{Value: input, Plan: planOf(t, known.Input, input)},
		Response:   audit.Members{Value: output, Plan: planOf(t, known.Output, output)},
	}
	record := string(event.Append(nil))
	var parsed map[string]any
	if err := json.Unmarshal([]byte(record), &parsed); err != nil {
		t.Errorf("%s: the record is no JSON: %v", op.Name, err)
	}
	all = append(in.marks, out.marks...)
	for _, m := range all {
		if m.hidden {
			for _, encoded := range encodings(m.text) {
				if strings.Contains(record, encoded) {
					t.Errorf("%s:%s: the record tells %s", service, op.Name, m.path)
				}
			}
		} else if !strings.Contains(record, `"`+m.text+`"`) {
			t.Errorf("%s:%s: the record leaves out %s, which is not sensitive", service, op.Name, m.path)
		}
	}
	return all
}

func planOf(t testing.TB, shape *limits.Shape, value any) *audit.Plan {
	t.Helper()
	plan, err := audit.PlanOf(shape, reflect.TypeOf(value))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}
