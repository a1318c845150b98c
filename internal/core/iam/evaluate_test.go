package iam_test

import (
	"testing"

	"strongroom.dev/strongroom/internal/core/iam"
)

const (
	account = "123456789012"
	other   = "210987654321"
	key     = "arn:aws:kms:us-east-1:123456789012:key/1"
)

var (
	user    = iam.Principal{Account: account, ARN: "arn:aws:iam::123456789012:user/bob"}
	session = iam.Principal{Account: account, ARN: "arn:aws:sts::123456789012:assumed-role/app/s", RoleARN: "arn:aws:iam::123456789012:role/app"}
	foreign = iam.Principal{Account: other, ARN: "arn:aws:iam::210987654321:user/eve"}
	root    = iam.Principal{Account: account, ARN: "arn:aws:iam::123456789012:root"}
	service = iam.Principal{Service: "secretsmanager.amazonaws.com"}
)

const (
	allowAll   = `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	allowKMS   = `{"Statement":{"Sid":"Kms","Effect":"Allow","Action":"kms:*","Resource":"*"}}`
	allowOther = `{"Statement":{"Effect":"Allow","Action":"ssm:*","Resource":"*"}}`
	denyKMS    = `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"No","Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}]}`
)

// by is a resource policy that allows everything to a principal.
func by(principal string) string {
	return `{"Statement":{"Effect":"Allow","Principal":` + principal + `,"Action":"kms:*","Resource":"*"}}`
}

// TestTheOrderOfEvaluation is AWS's table of who wins, case by case.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func TestTheOrderOfEvaluation(t *testing.T) {
	account1, account2 := `{"AWS":"`+account+`"}`, `{"AWS":"arn:aws:iam::`+other+`:root"}`
	bob, role := `{"AWS":"`+user.ARN+`"}`, `{"AWS":"`+session.RoleARN+`"}`
	sessionName, eve := `{"AWS":"`+session.ARN+`"}`, `{"AWS":"`+foreign.ARN+`"}`
	type given struct {
		who                                   iam.Principal
		identity, boundary, session, resource string
		must                                  bool
	}
	for name, c := range map[string]struct {
		given  given
		reason iam.Reason
		kind   iam.Kind
	}{
		"nobody says anything":                        {given{who: user}, iam.ImplicitDeny, iam.KindIdentity},
		"an identity policy allows":                   {given{who: user, identity: allowKMS}, iam.Allowed, iam.KindIdentity},
		"an identity policy allows something else":    {given{who: user, identity: allowOther}, iam.ImplicitDeny, iam.KindIdentity},
		"a deny beside an allow":                      {given{who: user, identity: denyKMS}, iam.ExplicitDeny, iam.KindIdentity},
		"a deny in the boundary":                      {given{who: user, identity: allowAll, boundary: denyKMS}, iam.ExplicitDeny, iam.KindBoundary},
		"a deny in the session policy":                {given{who: session, identity: allowAll, session: denyKMS}, iam.ExplicitDeny, iam.KindSession},
		"a boundary that is silent":                   {given{who: user, identity: allowAll, boundary: allowOther}, iam.ImplicitDeny, iam.KindBoundary},
		"a boundary alone gives nothing":              {given{who: user, boundary: allowAll}, iam.ImplicitDeny, iam.KindIdentity},
		"a session policy that is silent":             {given{who: session, identity: allowAll, session: allowOther}, iam.ImplicitDeny, iam.KindSession},
		"a session policy alone gives nothing":        {given{who: session, session: allowAll}, iam.ImplicitDeny, iam.KindIdentity},
		"a resource policy allows the user":           {given{who: user, resource: by(bob)}, iam.Allowed, iam.KindResource},
		"the user's grant passes the boundary":        {given{who: user, boundary: allowOther, resource: by(bob)}, iam.Allowed, iam.KindResource},
		"but not the boundary's deny":                 {given{who: user, boundary: denyKMS, resource: by(bob)}, iam.ExplicitDeny, iam.KindBoundary},
		"a role's grant is within the boundary":       {given{who: session, boundary: allowOther, resource: by(role)}, iam.ImplicitDeny, iam.KindBoundary},
		"a role's grant is within the session policy": {given{who: session, session: allowOther, resource: by(role)}, iam.ImplicitDeny, iam.KindSession},
		"a role's grant suffices otherwise":           {given{who: session, resource: by(role)}, iam.Allowed, iam.KindResource},
		"a session's grant passes both":               {given{who: session, boundary: allowOther, session: allowOther, resource: by(sessionName)}, iam.Allowed, iam.KindResource},
		"everyone is granted":                         {given{who: user, resource: by(`"*"`)}, iam.Allowed, iam.KindResource},
		"the account's grant only delegates":          {given{who: user, resource: by(account1)}, iam.ImplicitDeny, iam.KindIdentity},
		"delegated and allowed":                       {given{who: user, identity: allowKMS, resource: by(account1)}, iam.Allowed, iam.KindIdentity},
		"a key policy that is silent":                 {given{who: user, identity: allowAll, resource: by(eve), must: true}, iam.ImplicitDeny, iam.KindResource},
		"a key without a policy":                      {given{who: user, identity: allowAll, must: true}, iam.ImplicitDeny, iam.KindResource},
		"a key policy that delegates":                 {given{who: user, identity: allowKMS, resource: by(account1), must: true}, iam.Allowed, iam.KindIdentity},
		"a key policy that delegates to nobody":       {given{who: user, resource: by(account1), must: true}, iam.ImplicitDeny, iam.KindIdentity},
		"a key policy that names the user":            {given{who: user, resource: by(bob), must: true}, iam.Allowed, iam.KindResource},
		"another account without a resource policy":   {given{who: foreign, identity: allowAll}, iam.ImplicitDeny, iam.KindResource},
		"another account by name, and its own policy": {given{who: foreign, identity: allowAll, resource: by(eve)}, iam.Allowed, iam.KindIdentity},
		"another account by name alone":               {given{who: foreign, resource: by(eve)}, iam.ImplicitDeny, iam.KindIdentity},
		"another account delegated":                   {given{who: foreign, identity: allowKMS, resource: by(account2)}, iam.Allowed, iam.KindIdentity},
		"another account by everyone":                 {given{who: foreign, identity: allowKMS, resource: by(`"*"`)}, iam.Allowed, iam.KindIdentity},
		"another account within its boundary":         {given{who: foreign, identity: allowAll, boundary: allowOther, resource: by(eve)}, iam.ImplicitDeny, iam.KindBoundary},
		"the account itself":                          {given{who: root}, iam.Allowed, iam.KindIdentity},
		"the account itself, denied":                  {given{who: root, resource: `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`}, iam.ExplicitDeny, iam.KindResource},
		"a key that leaves its account out":           {given{who: root, resource: by(bob), must: true}, iam.ImplicitDeny, iam.KindResource},
		"a service that is named":                     {given{who: service, resource: by(`{"Service":"secretsmanager.amazonaws.com"}`)}, iam.Allowed, iam.KindResource},
		"a service that is another":                   {given{who: service, resource: by(`{"Service":"kms.amazonaws.com"}`)}, iam.ImplicitDeny, iam.KindResource},
		"a service is not everyone":                   {given{who: service, resource: by(`"*"`)}, iam.ImplicitDeny, iam.KindResource},
		"a deny of the account is one of all in it":   {given{who: user, identity: allowAll, resource: `{"Statement":{"Effect":"Deny","Principal":` + account1 + `,"Action":"*","Resource":"*"}}`}, iam.ExplicitDeny, iam.KindResource},
		"a deny of the role is one of its sessions":   {given{who: session, identity: allowAll, resource: `{"Statement":{"Effect":"Deny","Principal":` + role + `,"Action":"*","Resource":"*"}}`}, iam.ExplicitDeny, iam.KindResource},
	} {
		t.Run(name, func(t *testing.T) {
			p := iam.Policies{ResourceAccount: account, ResourceMustAllow: c.given.must}
			optional := func(document string, kind iam.Type) *iam.Policy {
				if document == "" {
					return nil
				}
				return mustParse(t, document, kind)
			}
			if c.given.identity != "" {
				p.Identity = []*iam.Policy{mustParse(t, c.given.identity, iam.Identity)}
			}
			p.Boundary = optional(c.given.boundary, iam.Identity)
			if c.given.session != "" {
				p.Session = []*iam.Policy{mustParse(t, c.given.session, iam.Identity)}
			}
			p.Resource = optional(c.given.resource, iam.Resource)
			got := iam.Evaluate(&iam.Request{Principal: c.given.who, Action: "kms:Decrypt", Resource: key, Context: iam.Map{}}, &p)
			if got.Reason != c.reason || got.Kind != c.kind {
				t.Errorf("%v, not %v of the %v", got, c.reason, c.kind)
			}
		})
	}
}

func TestTheSidThatDecidedIsTold(t *testing.T) {
	decide := func(document string) iam.Decision {
		return iam.Evaluate(&iam.Request{Principal: user, Action: "kms:Decrypt", Resource: key, Context: iam.Map{}},
			&iam.Policies{Identity: []*iam.Policy{mustParse(t, document, iam.Identity)}, ResourceAccount: account})
	}
	if d := decide(denyKMS); d.Sid != "No" {
		t.Errorf("denied by %q", d.Sid)
	}
	if d := decide(allowKMS); d.Sid != "Kms" {
		t.Errorf("allowed by %q", d.Sid)
	}
}

// TestNotPrincipalGrantsLess: a Deny spares only who is named in full, an Allow leaves out whoever is named at all.
func TestNotPrincipalGrantsLess(t *testing.T) {
	document := func(effect string, names string) string {
		return `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
			{"Effect":"` + effect + `","NotPrincipal":{"AWS":[` + names + `]},"Action":"*","Resource":"*"}]}`
	}
	root, bob := `"`+account+`"`, `"`+user.ARN+`"`
	role, name := `"`+session.RoleARN+`"`, `"`+session.ARN+`"`
	for title, c := range map[string]struct {
		who     iam.Principal
		names   string
		allowed bool
	}{
		"the user without the account":           {user, bob, false},
		"the account without the user":           {user, root, false},
		"both":                                   {user, root + "," + bob, true},
		"the session, its role and the account":  {session, root + "," + role + "," + name, true},
		"the session without its role":           {session, root + "," + name, false},
		"somebody else":                          {foreign, root + "," + bob, false},
		"the account's root, by the account":     {iam.Principal{Account: account, ARN: "arn:aws:iam::123456789012:root"}, root, true},
		"a service is not spared by the account": {service, root, false},
	} {
		t.Run("Deny: "+title, func(t *testing.T) {
			d := iam.Evaluate(&iam.Request{Principal: c.who, Action: "kms:Decrypt", Resource: key, Context: iam.Map{}}, &iam.Policies{
				Identity: []*iam.Policy{mustParse(t, allowAll, iam.Identity)},
				Resource: mustParse(t, document("Deny", c.names), iam.Resource), ResourceAccount: account,
			})
			if d.Allowed() != c.allowed {
				t.Errorf("%v", d)
			}
		})
	}
	only := mustParse(t, `{"Statement":{"Effect":"Allow","NotPrincipal":{"AWS":`+root+`},"Action":"*","Resource":"*"}}`, iam.Resource)
	for who, allowed := range map[*iam.Principal]bool{&user: false, &session: false, &foreign: true} {
		d := iam.Evaluate(&iam.Request{Principal: *who, Action: "kms:Decrypt", Resource: key, Context: iam.Map{}},
			&iam.Policies{Identity: []*iam.Policy{mustParse(t, allowOther, iam.Identity)}, Resource: only, ResourceAccount: who.Account})
		if d.Allowed() != allowed {
			t.Errorf("Allow with NotPrincipal of the account, %s: %v", who.ARN, d)
		}
	}
}

// decides evaluates one Allow statement of an identity policy.
func decides(t fataler, statement, action, resource string, ctx iam.Map) bool {
	t.Helper()
	p := mustParse(t, `{"Version":"2012-10-17","Statement":[`+statement+`]}`, iam.Identity)
	return iam.Evaluate(&iam.Request{Principal: user, Action: action, Resource: resource, Context: ctx},
		&iam.Policies{Identity: []*iam.Policy{p}, ResourceAccount: account}).Allowed()
}

func TestActionsAndResources(t *testing.T) {
	const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/shop/db-AbCdEf"
	for name, c := range map[string]struct {
		elements, action, resource string
		allowed                    bool
	}{
		"an action in another case":                   {`"Action":"KMS:decrypt","Resource":"*"`, "kms:Decrypt", key, true},
		"a wildcard within an action":                 {`"Action":"kms:*crypt","Resource":"*"`, "kms:ReEncrypt", key, true},
		"a question mark is one character":            {`"Action":"kms:?ecrypt","Resource":"*"`, "kms:Decrypt", key, true},
		"a question mark is not none":                 {`"Action":"kms:?Decrypt","Resource":"*"`, "kms:Decrypt", key, false},
		"all actions but some":                        {`"NotAction":"kms:*","Resource":"*"`, "ssm:GetParameter", "*", true},
		"the some are left out":                       {`"NotAction":"kms:*","Resource":"*"`, "kms:Decrypt", key, false},
		"a resource by prefix":                        {`"Action":"*","Resource":"arn:aws:secretsmanager:*:*:secret:prod/shop/*"`, "a:b", secret, true},
		"a resource of another prefix":                {`"Action":"*","Resource":"arn:aws:secretsmanager:*:*:secret:prod/bank/*"`, "a:b", secret, false},
		"a resource is matched in its case":           {`"Action":"*","Resource":"arn:aws:secretsmanager:*:*:secret:PROD/*"`, "a:b", secret, false},
		"a wildcard does not reach into the next":     {`"Action":"*","Resource":"arn:aws:*:secret:prod/shop/db-AbCdEf:x:y"`, "a:b", secret, false},
		"the last part may hold colons":               {`"Action":"*","Resource":"arn:aws:secretsmanager:us-east-1:123456789012:*"`, "a:b", secret, true},
		"the unknown characters at a secret's end":    {`"Action":"*","Resource":"arn:aws:secretsmanager:*:*:secret:prod/shop/db-??????"`, "a:b", secret, true},
		"five question marks are not six":             {`"Action":"*","Resource":"arn:aws:secretsmanager:*:*:secret:prod/shop/db-?????"`, "a:b", secret, false},
		"all resources but one":                       {`"Action":"*","NotResource":"arn:aws:kms:*:*:key/1"`, "a:b", secret, true},
		"the one is left out":                         {`"Action":"*","NotResource":"arn:aws:kms:*:*:key/1"`, "a:b", key, false},
		"an operation without a resource wants *":     {`"Action":"*","Resource":"arn:aws:kms:*:*:key/*"`, "kms:ListKeys", "*", false},
		"one of several":                              {`"Action":["a:b","a:c"],"Resource":["arn:aws:kms:*:*:key/2","arn:aws:kms:*:*:key/1"]`, "a:c", key, true},
		"a dollar in a version without variables too": {`"Action":"*","Resource":"arn:aws:kms:*:*:key/$1"`, "a:b", "arn:aws:kms:us-east-1:123456789012:key/$1", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decides(t, `{"Effect":"Allow",`+c.elements+`}`, c.action, c.resource, nil); got != c.allowed {
				t.Errorf("allowed: %t", got)
			}
		})
	}
}

func TestPolicyVariables(t *testing.T) {
	const resource = "arn:aws:secretsmanager:us-east-1:123456789012:secret:bob/x"
	ctx := iam.Map{"aws:username": {"bob"}, "aws:principaltag/team": {"red"}, "many": {"a", "b"}, "star": {"*"}}
	for name, c := range map[string]struct {
		elements string
		resource string
		allowed  bool
	}{
		"the user's name":                           {`"Resource":"arn:aws:secretsmanager:*:*:secret:${aws:username}/*"`, resource, true},
		"a key in any case":                         {`"Resource":"arn:aws:secretsmanager:*:*:secret:${AWS:UserName}/*"`, resource, true},
		"a key that the request lacks":              {`"Resource":"arn:aws:secretsmanager:*:*:secret:${aws:userid}/*"`, resource, false},
		"a default for it":                          {`"Resource":"arn:aws:secretsmanager:*:*:secret:${aws:userid, 'bob'}/*"`, resource, true},
		"no default where there is a value":         {`"Resource":"arn:aws:secretsmanager:*:*:secret:${aws:username, 'eve'}/*"`, resource, true},
		"a key with several values":                 {`"Resource":"arn:aws:secretsmanager:*:*:secret:${many}/*"`, "arn:aws:secretsmanager:us-east-1:123456789012:secret:a/x", false},
		"a star that is itself":                     {`"Resource":"arn:aws:secretsmanager:*:*:secret:${*}"`, "arn:aws:secretsmanager:us-east-1:123456789012:secret:*", true},
		"and no wildcard":                           {`"Resource":"arn:aws:secretsmanager:*:*:secret:${*}"`, resource, false},
		"a value's star is no wildcard":             {`"Resource":"arn:aws:secretsmanager:*:*:secret:${star}/x"`, resource, false},
		"a missing key beside a value that matches": {`"Resource":["arn:aws:secretsmanager:*:*:secret:${aws:userid}/*","*"]`, resource, true},
		"the same, the other way round":             {`"Resource":["*","arn:aws:secretsmanager:*:*:secret:${aws:userid}/*"]`, resource, true},
		"a missing key beside a condition's match":  {`"Resource":"*","Condition":{"StringEquals":{"aws:username":["${aws:userid}","bob"]}}`, resource, true},
		"and beside none":                           {`"Resource":"*","Condition":{"StringEquals":{"aws:username":["${aws:userid}","eve"]}}`, resource, false},
		"a missing key beside NotResource's others": {`"NotResource":["arn:aws:s3:::*","arn:aws:secretsmanager:*:*:secret:${aws:userid}/*"]`, resource, false},
		"NotResource with a missing key grants not": {`"NotResource":"arn:aws:secretsmanager:*:*:secret:${aws:userid}/*"`, resource, false},
		"a tag in a condition":                      {`"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"${aws:PrincipalTag/team}"}}`, resource, true},
		"a negated condition with a missing key":    {`"Resource":"*","Condition":{"StringNotEquals":{"aws:username":"${aws:userid}"}}`, resource, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decides(t, `{"Effect":"Allow","Action":"*",`+c.elements+`}`, "a:b", c.resource, ctx); got != c.allowed {
				t.Errorf("allowed: %t", got)
			}
		})
	}
	old := mustParse(t, `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username}"}}`, iam.Identity)
	for resource, allowed := range map[string]bool{"arn:aws:s3:::bob": false, "arn:aws:s3:::${aws:username}": true} {
		d := iam.Evaluate(&iam.Request{Principal: user, Action: "a:b", Resource: resource, Context: ctx}, &iam.Policies{Identity: []*iam.Policy{old}, ResourceAccount: account})
		if d.Allowed() != allowed {
			t.Errorf("the language of 2008 has no variables: %s is %v", resource, d)
		}
	}
}
