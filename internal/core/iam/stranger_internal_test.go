package iam

import (
	"strings"
	"testing"
)

// How long a stranger's policies take, and whether they run out of work, would tell him the tags and the name of what is not his, and whether it is there.
func TestAStrangersPoliciesAreNotAskedAboutWhatDoesNotLetHimIn(t *testing.T) {
	costly, err := Parse([]byte(`{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"test:x":["`+
		strings.Repeat("*?a", 300)+`"]},"StringEquals":{"aws:ResourceTag/env":"prod"}}}}`), Identity)
	if err != nil {
		t.Fatal(err)
	}
	parse := func(text string) *Policy {
		if text == "" {
			return nil
		}
		p, err := Parse([]byte(`{"Statement":[`+text+`]}`), Resource)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const (
		others   = `{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"*","Resource":"*"}`
		stranger = `{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}`
		nobody   = `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`
	)
	for name, tt := range map[string]struct {
		resource string
		reason   Reason
		kind     Kind
		asked    bool
	}{
		"no policy, as of what is not there": {"", ImplicitDeny, KindResource, false},
		"a policy that lets others in":       {others, ImplicitDeny, KindResource, false},
		"a policy that denies him":           {stranger + "," + nobody, ExplicitDeny, KindResource, false},
		"a policy that lets him in":          {stranger, ExplicitDeny, KindIdentity, true},
	} {
		work := NewMeter()
		before := work.left
		d := Evaluate(&Request{
			Principal: Principal{Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/a"}, Action: "secretsmanager:GetSecretValue",
			Resource: "arn:aws:secretsmanager:us-east-1:444455556666:secret:db-AbCdEf", Work: work,
			Context: Map{"aws:resourcetag/env": {"prod"}, "test:x": {strings.Repeat("ba", 4000)}},
		}, &Policies{Identity: []*Policy{costly}, Resource: parse(tt.resource), ResourceAccount: "444455556666"})
		if d.Reason != tt.reason || d.Kind != tt.kind {
			t.Errorf("%s: %+v", name, d)
		}
		if spent := before - work.left; spent > 2000 != tt.asked {
			t.Errorf("%s: %d steps", name, spent)
		}
	}
}
