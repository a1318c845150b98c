package iam_test

import (
	"testing"

	"strongroom.dev/strongroom/internal/core/iam"
)

func TestAGrantAllowsBesidePoliciesAndNeverOverADeny(t *testing.T) {
	const (
		account, other = lawAccount, "444455556666"
		root           = "arn:aws:iam::" + account + ":root"
		bystander      = "arn:aws:iam::" + account + ":user/bob"
	)
	policy := func(text string, as iam.Type) *iam.Policy {
		p, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+text+`]}`), as)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	identity := func(text string) *iam.Policy { return policy(text, iam.Identity) }
	var (
		closed   = policy(`{"Effect":"Allow","Principal":{"AWS":"`+bystander+`"},"Action":"kms:*","Resource":"*"}`, iam.Key)
		refusing = policy(`{"Effect":"Deny","Principal":{"AWS":"`+lawUser+`"},"Action":"kms:Decrypt","Resource":"*"}`, iam.Key)
		allow    = identity(`{"Effect":"Allow","Action":"kms:*","Resource":"*"}`)
		deny     = identity(`{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}`)
		nothing  = identity(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	)
	user := iam.Principal{Account: account, ARN: lawUser, UniqueID: "AIDAADA"}
	session := iam.Principal{Account: account, ARN: lawSession, RoleARN: lawRole, UniqueID: "AROAAPP"}
	to := func(arns ...string) (out []iam.Grantee) {
		for _, a := range arns {
			out = append(out, iam.Grantee{ARN: a})
		}
		return out
	}
	for name, tt := range map[string]struct {
		who      iam.Principal
		policies iam.Policies
		reason   iam.Reason
		kind     iam.Kind
	}{
		"no grant":                      {user, iam.Policies{Resource: closed}, iam.ImplicitDeny, iam.KindResource},
		"a grant to the user":           {user, iam.Policies{Resource: closed, Grantees: to(lawUser)}, iam.Allowed, iam.KindGrant},
		"a grant to another":            {user, iam.Policies{Resource: closed, Grantees: to(bystander)}, iam.ImplicitDeny, iam.KindResource},
		"a grant to the session":        {session, iam.Policies{Resource: closed, Grantees: to(lawSession)}, iam.Allowed, iam.KindGrant},
		"a grant to the session's role": {session, iam.Policies{Resource: closed, Grantees: to(lawRole)}, iam.Allowed, iam.KindGrant},
		"a grant to all who ask":        {user, iam.Policies{Resource: closed, Grantees: to("*")}, iam.ImplicitDeny, iam.KindResource},
		"a grant to what is no ARN":     {user, iam.Policies{Resource: closed, Grantees: to("", "x")}, iam.ImplicitDeny, iam.KindResource},
		"a grant to the account, whose policies allow": {
			user, iam.Policies{Resource: closed, Grantees: to(root), Identity: []*iam.Policy{allow}}, iam.Allowed, iam.KindIdentity,
		},
		"a grant to the account, whose policies do not": {user, iam.Policies{Resource: closed, Grantees: to(root)}, iam.ImplicitDeny, iam.KindIdentity},
		"a Deny of the key's policy":                    {user, iam.Policies{Resource: refusing, Grantees: to(lawUser)}, iam.ExplicitDeny, iam.KindResource},
		"a Deny of the own policy": {
			user, iam.Policies{Resource: closed, Grantees: to(lawUser), Identity: []*iam.Policy{deny}}, iam.ExplicitDeny, iam.KindIdentity,
		},
		"a boundary that leaves it out": {user, iam.Policies{Resource: closed, Grantees: to(lawUser), Boundary: nothing}, iam.ImplicitDeny, iam.KindBoundary},
		"a boundary that allows":        {user, iam.Policies{Resource: closed, Grantees: to(lawUser), Boundary: allow}, iam.Allowed, iam.KindGrant},
		"a session policy that leaves it out": {
			session, iam.Policies{Resource: closed, Grantees: to(lawRole), Session: []*iam.Policy{nothing}}, iam.ImplicitDeny, iam.KindSession,
		},
		"a grant to who had the name before": {
			user, iam.Policies{Resource: closed, Grantees: []iam.Grantee{{ARN: lawUser, UniqueID: "AIDAFORMER"}}}, iam.ImplicitDeny, iam.KindResource,
		},
		"a grant to who has it still": {
			session, iam.Policies{Resource: closed, Grantees: []iam.Grantee{{ARN: lawRole, UniqueID: "AROAAPP"}}}, iam.Allowed, iam.KindGrant,
		},
		"another account's key, and a grant to the user":  {user, iam.Policies{Resource: closed, ResourceAccount: other, Grantees: to(lawUser)}, iam.Allowed, iam.KindGrant},
		"another account's key, and a grant to one's own": {user, iam.Policies{ResourceAccount: other, Grantees: to(root)}, iam.ImplicitDeny, iam.KindIdentity},
		"another account's key, and no grant": {
			user, iam.Policies{Resource: closed, ResourceAccount: other, Identity: []*iam.Policy{allow}}, iam.ImplicitDeny, iam.KindResource,
		},
		"another account's key, whose policy denies": {
			user, iam.Policies{Resource: refusing, ResourceAccount: other, Grantees: to(lawUser)}, iam.ExplicitDeny, iam.KindResource,
		},
		"a service is nobody's grantee": {
			iam.Principal{Service: "sns.amazonaws.com"}, iam.Policies{Resource: closed, Grantees: to("sns.amazonaws.com", lawUser)}, iam.ImplicitDeny, iam.KindResource,
		},
	} {
		tt.policies.ResourceMustAllow = true
		if tt.policies.ResourceAccount == "" && tt.who.Account != "" {
			tt.policies.ResourceAccount = account
		}
		got := iam.Evaluate(&iam.Request{Principal: tt.who, Action: "kms:Decrypt", Resource: "arn:aws:kms:us-east-1:" + account + ":key/x", Context: iam.Map{}}, &tt.policies)
		if got.Reason != tt.reason || got.Kind != tt.kind {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
