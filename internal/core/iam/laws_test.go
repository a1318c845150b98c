package iam_test

import (
	"encoding/json/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/iam"
)

// statement is one of a policy document, as JSON has it.
type statement map[string]any

// question is a request with its policies as documents, which laws change before they are compiled.
type question struct {
	request           iam.Request
	identity          [][]statement
	boundary, session []statement // nil for none
	resource          []statement
	account           string
	mustAllow         bool
}

const (
	lawAccount = "111122223333"
	lawUser    = "arn:aws:iam::" + lawAccount + ":user/ada"
	lawRole    = "arn:aws:iam::" + lawAccount + ":role/app"
	lawSession = "arn:aws:sts::" + lawAccount + ":assumed-role/app/pod"
)

func oneOf[T any](values ...T) *rapid.Generator[T] { return rapid.SampledFrom(values) }

var (
	lawActions   = oneOf("*", "secretsmanager:*", "secretsmanager:Get*", "secretsmanager:GetSecretValue", "kms:*", "secretsmanager:P?tSecretValue")
	lawResources = oneOf("*", "arn:aws:secretsmanager:*:*:secret:app/*", "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db",
		"arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/team}/*", "arn:aws:secretsmanager:*:444455556666:*")
	lawPrincipals = oneOf[any]("*", map[string]any{"AWS": lawAccount}, map[string]any{"AWS": lawUser}, map[string]any{"AWS": lawRole},
		map[string]any{"AWS": lawSession}, map[string]any{"AWS": []string{lawUser, "444455556666"}})
	lawConditions = oneOf[any](nil, nil,
		map[string]any{"StringEquals": map[string]any{"aws:PrincipalTag/team": "app"}},
		map[string]any{"StringNotEquals": map[string]any{"aws:PrincipalTag/team": "app"}},
		map[string]any{"StringNotLike": map[string]any{"aws:RequestTag/x": "${aws:PrincipalTag/team}*"}},
		map[string]any{"ForAllValues:StringLike": map[string]any{"aws:TagKeys": []string{"a*", "b"}}},
		map[string]any{"ForAnyValue:StringNotEquals": map[string]any{"aws:TagKeys": "b"}},
		map[string]any{"NumericLessThanIfExists": map[string]any{"secretsmanager:RecoveryWindowInDays": "8"}},
		map[string]any{"Null": map[string]any{"aws:PrincipalTag/team": "true"}})
)

func drawStatement(t *rapid.T, resource bool) statement {
	s := statement{"Effect": oneOf("Allow", "Allow", "Deny").Draw(t, "effect")}
	s[oneOf("Action", "Action", "NotAction").Draw(t, "action element")] = rapid.SliceOfN(lawActions, 1, 3).Draw(t, "actions")
	s[oneOf("Resource", "Resource", "NotResource").Draw(t, "resource element")] = rapid.SliceOfN(lawResources, 1, 2).Draw(t, "resources")
	if resource {
		s[oneOf("Principal", "Principal", "Principal", "NotPrincipal").Draw(t, "principal element")] = lawPrincipals.Draw(t, "principal")
	}
	if c := lawConditions.Draw(t, "condition"); c != nil {
		s["Condition"] = c
	}
	return s
}

func drawStatements(t *rapid.T, resource bool) []statement {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) statement { return drawStatement(t, resource) }), 1, 3).Draw(t, "statements")
}

// drawQuestion makes a question in which most policies have something to say.
func drawQuestion(t *rapid.T) *question {
	q := &question{account: oneOf(lawAccount, lawAccount, "444455556666").Draw(t, "account"), mustAllow: rapid.Bool().Draw(t, "must allow")}
	context := iam.Map{}
	if rapid.Bool().Draw(t, "has a team") {
		context["aws:principaltag/team"] = []string{oneOf("app", "db", "").Draw(t, "team")}
	}
	if rapid.Bool().Draw(t, "has tag keys") {
		context["aws:tagkeys"] = rapid.SliceOfN(oneOf("a", "ab", "b"), 0, 2).Draw(t, "tag keys")
	}
	if rapid.Bool().Draw(t, "has a window") {
		context["secretsmanager:recoverywindowindays"] = []string{oneOf("7", "30", "x").Draw(t, "window")}
	}
	q.request = iam.Request{
		Principal: oneOf(iam.Principal{Account: lawAccount, ARN: lawUser}, iam.Principal{Account: lawAccount, ARN: lawSession, RoleARN: lawRole}).Draw(t, "principal"),
		Action:    oneOf("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "kms:Decrypt").Draw(t, "action"),
		Resource:  "arn:aws:secretsmanager:us-east-1:" + q.account + ":secret:" + oneOf("app/db", "db/app", "x").Draw(t, "resource"),
		Context:   context,
	}
	for range rapid.IntRange(0, 2).Draw(t, "identity policies") {
		q.identity = append(q.identity, drawStatements(t, false))
	}
	if rapid.Bool().Draw(t, "has a boundary") {
		q.boundary = drawStatements(t, false)
	}
	if rapid.Bool().Draw(t, "has a session policy") {
		q.session = drawStatements(t, false)
	}
	if rapid.Bool().Draw(t, "has a resource policy") {
		q.resource = drawStatements(t, true)
	}
	return q
}

func compileLaw(t *rapid.T, statements []statement, as iam.Type) *iam.Policy {
	if len(statements) == 0 {
		return nil
	}
	document, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	p, err := iam.Parse(document, as)
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return p
}

// decide answers a question as it is now.
func (q *question) decide(t *rapid.T) iam.Reason {
	p := iam.Policies{
		Boundary: compileLaw(t, q.boundary, iam.Identity), Resource: compileLaw(t, q.resource, iam.Resource), ResourceAccount: q.account, ResourceMustAllow: q.mustAllow,
	}
	for _, statements := range q.identity {
		if one := compileLaw(t, statements, iam.Identity); one != nil {
			p.Identity = append(p.Identity, one)
		}
	}
	if one := compileLaw(t, q.session, iam.Identity); one != nil {
		p.Session = []*iam.Policy{one}
	}
	return iam.Evaluate(&q.request, &p).Reason
}

// lists are all policies of a question that are there.
func (q *question) lists() (all []*[]statement) {
	for i := range q.identity {
		all = append(all, &q.identity[i])
	}
	for _, one := range []*[]statement{&q.boundary, &q.session, &q.resource} {
		if *one != nil {
			all = append(all, one)
		}
	}
	return all
}

// law checks what a change of the question does to its answer. Change says whether it changed anything.
func law(t *testing.T, change func(t *rapid.T, q *question) bool, holds func(before, after iam.Reason) bool) {
	t.Helper()
	changed := 0
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t)
		before := q.decide(t)
		if !change(t, q) {
			return
		}
		changed++
		if after := q.decide(t); !holds(before, after) {
			t.Fatalf("%s became %s", before, after)
		}
	})
	if changed == 0 {
		t.Error("no question was changed")
	}
}

// neverAllows is the law of changes that can only take away.
func neverAllows(before, after iam.Reason) bool { return before == iam.Allowed || after != iam.Allowed }

func same(before, after iam.Reason) bool { return before == after }

// drawList picks a policy and a statement of it.
func drawList(t *rapid.T, q *question) (list *[]statement, at int, ok bool) {
	all := q.lists()
	if len(all) == 0 {
		return nil, 0, false
	}
	list = all[rapid.IntRange(0, len(all)-1).Draw(t, "policy")]
	return list, rapid.IntRange(0, len(*list)-1).Draw(t, "statement"), true
}

func TestAddingADenyNeverAllows(t *testing.T) {
	law(t, func(t *rapid.T, q *question) bool {
		list, at, ok := drawList(t, q)
		if !ok {
			return false
		}
		added := drawStatement(t, list == &q.resource)
		added["Effect"] = "Deny"
		*list = slices.Insert(*list, at, added)
		return true
	}, neverAllows)
}

// A stranger's own policies are not asked before the resource's lets him in: see TestAStrangersPoliciesAreNotAskedAboutWhatDoesNotLetHimIn.
func TestADenyOfEverythingIsAnExplicitDenyWhereverItIs(t *testing.T) {
	law(t, func(t *rapid.T, q *question) bool {
		list, at, ok := drawList(t, q)
		if !ok || list != &q.resource && q.account != lawAccount {
			return false
		}
		added := statement{"Effect": "Deny", "Action": "*", "Resource": "*"}
		if list == &q.resource {
			added["Principal"] = "*"
		}
		*list = slices.Insert(*list, at, added)
		return true
	}, func(_, after iam.Reason) bool { return after == iam.ExplicitDeny })
}

func TestRemovingAnAllowNeverAllows(t *testing.T) {
	law(t, func(t *rapid.T, q *question) bool {
		list, at, ok := drawList(t, q)
		if !ok || (*list)[at]["Effect"] != "Allow" {
			return false
		}
		// A policy without a statement is none, and no boundary is more than one that allows nothing: the Allow becomes void.
		void := statement{"Effect": "Allow", "Action": "nobody:Nothing", "Resource": "*"}
		if list == &q.resource {
			void["Principal"] = "*"
		}
		(*list)[at] = void
		return true
	}, neverAllows)
}

func TestRemovingAnIdentityPolicyThatDeniesNothingNeverAllows(t *testing.T) {
	law(t, func(t *rapid.T, q *question) bool {
		for i, statements := range q.identity {
			if !slices.ContainsFunc(statements, func(s statement) bool { return s["Effect"] == "Deny" }) {
				q.identity = slices.Delete(q.identity, i, i+1)
				return true
			}
		}
		return false
	}, neverAllows)
}

func TestAddingAnAllowNeverTakesAway(t *testing.T) {
	law(t, func(t *rapid.T, q *question) bool {
		list, at, ok := drawList(t, q)
		if !ok {
			return false
		}
		added := drawStatement(t, list == &q.resource)
		added["Effect"] = "Allow"
		*list = slices.Insert(*list, at, added)
		return true
	}, func(before, after iam.Reason) bool { return before != iam.Allowed || after == iam.Allowed })
}

func TestTheOrderOfStatementsAndPoliciesDoesNotMatter(t *testing.T) {
	law(t, func(t *rapid.T, q *question) bool {
		slices.Reverse(q.identity)
		for _, list := range q.lists() {
			*list = rapid.Permutation(*list).Draw(t, "order")
		}
		return len(q.lists()) > 0
	}, same)
}

func TestStatementsMayBeSplitOverIdentityPolicies(t *testing.T) {
	law(t, func(_ *rapid.T, q *question) bool {
		var split [][]statement
		for _, statements := range q.identity {
			for _, s := range statements {
				split = append(split, []statement{s})
			}
		}
		q.identity = split
		return len(split) > 0
	}, same)
}

func TestAListOfActionsIsAsManyStatementsOfOneAction(t *testing.T) {
	splitting := func(element string) func(t *rapid.T, q *question) bool {
		return func(_ *rapid.T, q *question) (changed bool) {
			for _, list := range q.lists() {
				var split []statement
				for _, s := range *list {
					values, ok := s[element].([]string)
					if !ok {
						split = append(split, s)
						continue
					}
					for _, value := range values {
						one := statement{}
						for name, held := range s {
							one[name] = held
						}
						one[element] = value
						split, changed = append(split, one), true
					}
				}
				*list = split
			}
			return changed
		}
	}
	law(t, splitting("Action"), same)
	law(t, splitting("Resource"), same)
}

func TestAStatementTwiceIsAStatementOnce(t *testing.T) {
	law(t, func(_ *rapid.T, q *question) bool {
		for _, list := range q.lists() {
			*list = append(*list, *list...)
		}
		return len(q.lists()) > 0
	}, same)
}

func TestABoundaryNeverWidens(t *testing.T) {
	law(t, func(t *rapid.T, q *question) bool {
		if q.boundary != nil {
			return false
		}
		q.boundary = drawStatements(t, false)
		return true
	}, neverAllows)
}

func TestASessionPolicyNeverWidens(t *testing.T) {
	law(t, func(t *rapid.T, q *question) bool {
		if q.session != nil {
			return false
		}
		q.session = drawStatements(t, false)
		return true
	}, neverAllows)
}

func TestABoundaryOfEverythingLimitsNothing(t *testing.T) {
	law(t, func(_ *rapid.T, q *question) bool {
		if q.boundary != nil || slices.ContainsFunc(q.resource, func(s statement) bool { return s["NotPrincipal"] != nil }) {
			return false // a NotPrincipal that denies spares nobody who has a boundary
		}
		q.boundary = []statement{{"Effect": "Allow", "Action": "*", "Resource": "*"}}
		return true
	}, same)
}

func TestTheCaseOfActionsDoesNotMatter(t *testing.T) {
	law(t, func(_ *rapid.T, q *question) bool {
		q.request.Action = strings.ToUpper(q.request.Action)
		for _, list := range q.lists() {
			for _, s := range *list {
				for _, element := range []string{"Action", "NotAction"} {
					if values, ok := s[element].([]string); ok {
						lowered := []string{}
						for _, value := range values {
							lowered = append(lowered, strings.ToLower(value))
						}
						s[element] = lowered
					}
				}
			}
		}
		return true
	}, same)
}

func TestWithoutAnAllowNothingIsAllowed(t *testing.T) {
	law(t, func(_ *rapid.T, q *question) bool {
		for _, list := range q.lists() {
			for _, s := range *list {
				s["Effect"] = "Deny"
			}
		}
		return true
	}, func(_, after iam.Reason) bool { return after != iam.Allowed })
}
