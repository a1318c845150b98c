package iamdifferential_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// object is one of JSON.
type object = map[string]any

// testCase is one question with all the policies that have a say, as the simulator reads it.
type testCase struct {
	Principal string   `json:"principal"`
	Action    string   `json:"action"`
	Resource  string   `json:"resource"`
	Account   string   `json:"account"` // that the resource is of
	Context   object   `json:"context"`
	Identity  []object `json:"identity"`
	Session   object   `json:"session,omitempty"`
	Boundary  object   `json:"boundary,omitempty"`
	Policy    object   `json:"resourcePolicy,omitempty"`
}

const (
	here    = "111122223333"
	there   = "444455556666"
	user    = "arn:aws:iam::" + here + ":user/ada"
	role    = "arn:aws:iam::" + here + ":role/app"
	session = "arn:aws:sts::" + here + ":assumed-role/app/pod"
	service = "secretsmanager.amazonaws.com"
)

// generator makes cases out of few words, so that most policies have something to say of most requests.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 0))} }

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

// chance is true one time in n.
func (g generator) chance(n int) bool { return g.IntN(n) == 0 }

func (g generator) testCase() testCase {
	c := testCase{
		Principal: pick(g, user, user, session, session, session, service), Account: pick(g, here, here, there), Context: g.context(),
		Action: pick(g, "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:DescribeSecret", "kms:Decrypt", "kms:GenerateDataKey"),
	}
	c.Resource = pick(g, "secret:app/db-AbCdEf", "secret:app/web-123456", "secret:other-x.y+z")
	if strings.HasPrefix(c.Action, "kms:") {
		c.Resource = pick(g, "key/1234abcd", "key/mrk-77", "key/other")
	}
	c.Resource = fmt.Sprintf("arn:aws:%s:us-east-1:%s:%s", c.Action[:strings.IndexByte(c.Action, ':')], c.Account, c.Resource)
	c.Identity = []object{}
	if c.Principal != service {
		for range g.IntN(3) {
			c.Identity = append(c.Identity, g.policy(false))
		}
		if g.chance(3) {
			c.Boundary = g.policy(false)
		}
	}
	if c.Principal == session && g.chance(3) {
		c.Session = g.policy(false)
	}
	if strings.HasPrefix(c.Action, "kms:") || g.chance(2) { // a key has a policy always
		c.Policy = g.policy(true)
	}
	return c
}

func (g generator) policy(resource bool) object {
	var statements []any
	for range 1 + g.IntN(3) {
		statements = append(statements, g.statement(resource))
	}
	if len(statements) == 1 && g.chance(2) {
		return object{"Version": "2012-10-17", "Statement": statements[0]}
	}
	return object{"Version": "2012-10-17", "Statement": statements}
}

func (g generator) statement(resource bool) object {
	s := object{
		"Effect": pick(g, "Allow", "Allow", "Allow", "Deny"),
		pick(g, "Action", "Action", "Action", "NotAction"):         g.some(g.action),
		pick(g, "Resource", "Resource", "Resource", "NotResource"): g.some(g.resource),
	}
	if resource {
		s[pick(g, "Principal", "Principal", "Principal", "Principal", "Principal", "NotPrincipal")] = g.principal()
	}
	if g.chance(2) {
		conditions := object{}
		for range 1 + g.IntN(2) {
			operator, key, values := g.condition()
			conditions[operator] = object{key: values}
		}
		s["Condition"] = conditions
	}
	return s
}

// some is one value, or a list of up to three.
func (g generator) some(make func() string) any {
	if g.chance(2) {
		return make()
	}
	list := []string{}
	for range 1 + g.IntN(3) {
		list = append(list, make())
	}
	return list
}

func (g generator) action() string {
	return pick(g, "*", "secretsmanager:*", "kms:*", "secretsmanager:Get*", "SecretsManager:getsecretvalue", "secretsmanager:*SecretValue",
		"secretsmanager:P?tSecretValue", "kms:Decrypt", "kms:GenerateDataKey*", "kms:*e*", "secretsmanager:DescribeSecret", "secretsmanager:Ge?SecretValue")
}

func (g generator) resource() string {
	part := pick(g, "secret:*", "secret:app/*", "secret:app/db-??????", "secret:app/${aws:PrincipalTag/team}-*", "key/*", "key/mrk-*",
		"key/1234abcd", "secret:other-x.y+z", "secret:other-?.y*", "secret:${aws:PrincipalTag/team, 'other'}-x.y+z", "secret:*-*", "key/????abcd")
	return pick(g, "*", "*", "arn:aws:*:*:*:"+part, fmt.Sprintf("arn:aws:%s:us-east-1:%s:%s", g.serviceOf(part), pick(g, here, here, there, "*"), part),
		fmt.Sprintf("arn:aws:%s:%s:*:%s", g.serviceOf(part), pick(g, "us-*", "us-east-1", "eu-west-1"), part))
}

func (generator) serviceOf(part string) string {
	if strings.HasPrefix(part, "key") {
		return "kms"
	}
	return "secretsmanager"
}

func (g generator) principal() any {
	one := func() string {
		return pick(g, here, here, there, "arn:aws:iam::"+here+":root", user, role, session, "arn:aws:iam::"+here+":user/eve", "arn:aws:iam::"+there+":role/app")
	}
	return pick[any](g, "*", object{"AWS": "*"}, object{"AWS": one()}, object{"AWS": one()}, object{"AWS": []string{one(), one()}},
		object{"Service": service}, object{"AWS": one(), "Service": service})
}
