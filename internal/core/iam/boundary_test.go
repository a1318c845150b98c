package iam_test

import (
	"testing"

	"strongroom.dev/strongroom/internal/core/iam"
)

const somebody = "arn:aws:iam::111122223333:user/ada"

// asked decides a request to a resource that everybody may use by its identity policies.
func asked(t *testing.T, who iam.Principal, boundary bool, policy string) iam.Reason {
	t.Helper()
	parse := func(document string, as iam.Type) *iam.Policy {
		p, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+document+`]}`), as)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	all := parse(`{"Effect":"Allow","Action":"*","Resource":"*"}`, iam.Identity)
	p := &iam.Policies{Identity: []*iam.Policy{all}, Resource: parse(policy, iam.Resource), ResourceAccount: "111122223333"}
	if boundary {
		p.Boundary = all
	}
	return iam.Evaluate(&iam.Request{Principal: who, Action: "kms:Decrypt", Resource: "arn:aws:kms:us-east-1:111122223333:key/1", Context: iam.Map{}}, p).Reason
}

func TestANotPrincipalThatDeniesSparesNobodyWhoHasABoundary(t *testing.T) {
	ada := iam.Principal{Account: "111122223333", ARN: somebody}
	policy := `{"Effect":"Deny","Action":"*","Resource":"*","NotPrincipal":{"AWS":["111122223333","` + somebody + `"]}}`
	if got := asked(t, ada, false, policy); got != iam.Allowed {
		t.Errorf("without a boundary: %s", got)
	}
	if got := asked(t, ada, true, policy); got != iam.ExplicitDeny {
		t.Errorf("with a boundary: %s", got)
	}
}

func TestAStarThatDeniesMeansAWSServicesToo(t *testing.T) {
	service := iam.Principal{Service: "secretsmanager.amazonaws.com"}
	allow := `{"Effect":"Allow","Action":"*","Resource":"*","Principal":{"Service":"secretsmanager.amazonaws.com"}}`
	if got := asked(t, service, false, allow); got != iam.Allowed {
		t.Errorf("with an Allow alone: %s", got)
	}
	if got := asked(t, service, false, allow+`,{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*","Principal":"*"}`); got != iam.ExplicitDeny {
		t.Errorf("with a Deny of everybody: %s", got)
	}
}

func TestANotPrincipalOfEverybodyGivesAWSServicesNothing(t *testing.T) {
	service := iam.Principal{Service: "secretsmanager.amazonaws.com"}
	if got := asked(t, service, false, `{"Effect":"Allow","Action":"*","Resource":"*","NotPrincipal":"*"}`); got != iam.ImplicitDeny {
		t.Errorf("got %s", got)
	}
}
