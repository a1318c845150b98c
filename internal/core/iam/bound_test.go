package iam_test

import (
	"reflect"
	"testing"

	"strongroom.dev/strongroom/internal/core/iam"
)

// TestABoundPolicyAllowsThoseAloneWhomItMeant: whoever has the name now and another unique id is allowed nothing by it, and is denied all
// that it denies.
func TestABoundPolicyAllowsThoseAloneWhomItMeant(t *testing.T) {
	const (
		ada     = "arn:aws:iam::" + lawAccount + ":user/ada"
		app     = "arn:aws:iam::" + lawAccount + ":role/app"
		session = "arn:aws:sts::" + lawAccount + ":assumed-role/app/pod"
		first   = "AIDAFIRST"
		second  = "AIDASECOND"
		firstR  = "AROAFIRST"
		secondR = "AROASECOND"
	)
	ids := map[string]string{ada: first, app: firstR, session: firstR}
	user := func(id string) iam.Principal { return iam.Principal{Account: lawAccount, ARN: ada, UniqueID: id} }
	pod := func(id string) iam.Principal {
		return iam.Principal{Account: lawAccount, ARN: session, RoleARN: app, UniqueID: id}
	}
	other := iam.Principal{Account: lawAccount, ARN: "arn:aws:iam::" + lawAccount + ":user/bob", UniqueID: "AIDABOB"}
	const root = `"Principal":{"AWS":"` + lawAccount + `"}`
	for name, tt := range map[string]struct {
		effect, principal string
		who               iam.Principal
		bound             bool
		want              iam.Reason
	}{
		"the user whom it meant":                   {"Allow", `"Principal":{"AWS":"` + ada + `"}`, user(first), true, iam.Allowed},
		"another under the user's name":            {"Allow", `"Principal":{"AWS":"` + ada + `"}`, user(second), true, iam.ImplicitDeny},
		"the same before it was bound":             {"Allow", `"Principal":{"AWS":"` + ada + `"}`, user(second), false, iam.Allowed},
		"a user without an id":                     {"Allow", `"Principal":{"AWS":"` + ada + `"}`, user(""), true, iam.ImplicitDeny},
		"a session of the role":                    {"Allow", `"Principal":{"AWS":"` + app + `"}`, pod(firstR), true, iam.Allowed},
		"a session of another role of the name":    {"Allow", `"Principal":{"AWS":"` + app + `"}`, pod(secondR), true, iam.ImplicitDeny},
		"the session that is named":                {"Allow", `"Principal":{"AWS":"` + session + `"}`, pod(firstR), true, iam.Allowed},
		"the session's name, of another role":      {"Allow", `"Principal":{"AWS":"` + session + `"}`, pod(secondR), true, iam.ImplicitDeny},
		"everyone is bound to nobody":              {"Allow", `"Principal":{"AWS":"*"}`, user(second), true, iam.Allowed},
		"one who is not bound, beside one who is":  {"Allow", `"Principal":{"AWS":["` + ada + `","` + other.ARN + `"]}`, other, true, iam.Allowed},
		"who is denied by name":                    {"Deny", `"Principal":{"AWS":"` + ada + `"}`, user(second), true, iam.ExplicitDeny},
		"who is spared from a Deny":                {"Deny", `"NotPrincipal":{"AWS":["` + lawAccount + `","` + ada + `"]}`, user(first), true, iam.Allowed},
		"another is not spared":                    {"Deny", `"NotPrincipal":{"AWS":["` + lawAccount + `","` + ada + `"]}`, user(second), true, iam.ExplicitDeny},
		"a session of another role is not spared":  {"Deny", `"NotPrincipal":{"AWS":["` + lawAccount + `","` + app + `","` + session + `"]}`, pod(secondR), true, iam.ExplicitDeny},
		"who is left out of an Allow by name":      {"Allow", `"NotPrincipal":{"AWS":"` + ada + `"}`, user(second), true, iam.ImplicitDeny},
		"who is left to the account and was bound": {"Allow", root, user(second), true, iam.Allowed},
	} {
		text := `{"Version":"2012-10-17","Statement":[{"Effect":"` + tt.effect + `",` + tt.principal + `,"Action":"*","Resource":"*"}`
		if tt.effect == "Deny" {
			text += `,{"Effect":"Allow",` + root + `,"Action":"*","Resource":"*"}`
		}
		policy, err := iam.Parse([]byte(text+"]}"), iam.Resource)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		before := policy
		if tt.bound {
			policy = policy.Bound(ids)
		}
		ask := func(p *iam.Policy) iam.Decision {
			identity := parse(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, iam.Identity)
			policies := &iam.Policies{Resource: p, ResourceAccount: lawAccount, ResourceMustAllow: true}
			if tt.principal == root || tt.effect == "Deny" {
				policies.Identity = []*iam.Policy{identity}
			}
			return iam.Evaluate(&iam.Request{Principal: tt.who, Action: "kms:Encrypt", Resource: "*", Context: iam.Map{}}, policies)
		}
		if got := ask(policy); got.Reason != tt.want {
			t.Errorf("%s: %s, not %s", name, got.Reason, tt.want)
		}
		// It takes away and never gives, and leaves the policy that it is made of alone.
		if ask(policy).Allowed() && !ask(before).Allowed() {
			t.Errorf("%s: binding it gave something", name)
		}
	}
}

func parse(t *testing.T, text string, as iam.Type) *iam.Policy {
	t.Helper()
	policy, err := iam.Parse([]byte(text), as)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func TestThePrincipalsOfAPolicyAreTheUsersRolesAndSessionsThatItNames(t *testing.T) {
	policy := parse(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:user/b","arn:aws:iam::111122223333:root","444455556666"],"Service":"x.amazonaws.com"},"Action":"*","Resource":"*"},
		{"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::111122223333:role/p/a","arn:aws:iam::111122223333:user/b"]},"Action":"*","Resource":"*"},
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`, iam.Resource)
	if got, want := policy.Principals(), []string{"arn:aws:iam::111122223333:role/p/a", "arn:aws:iam::111122223333:user/b"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}
