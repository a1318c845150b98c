package iam_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/iam"
)

// pair is a tag as services have them.
type pair [2]string

func (p *pair) of() (key, value string) { return p[0], p[1] }

func TestTheConditionKeyOfATagHasAValueForEachKeyThatDiffersInCaseAlone(t *testing.T) {
	all := []pair{{"Team", "beta"}, {"stage", "prod"}, {"team", "alpha"}, {"coſt", "0"}, {"empty", ""}}
	for name, want := range map[string][]string{
		"team": {"beta", "alpha"}, "stage": {"prod"}, "empty": {""}, "none": nil, "cost": nil, "coſt": {"0"}, "": nil, "Team": nil,
	} {
		got, found := iam.TagValues(all, name, (*pair).of)
		if !slices.Equal(got, want) || found != (len(want) > 0) {
			t.Errorf("%q is %q, %t; want %q", name, got, found, want)
		}
	}
}

// ambiguous is a key with a tag that its team cannot put on, and one beside it that it can.
func ambiguous(key string) iam.Map { return iam.Map{key: {"beta", "alpha"}} }

// TestOfTagsThatDifferInCaseAloneNoneLetsInWhatTheOtherDoesNot: an Allow holds for all of them, and a Deny for any.
func TestOfTagsThatDifferInCaseAloneNoneLetsInWhatTheOtherDoesNot(t *testing.T) {
	for condition, want := range map[string]struct{ allow, deny bool }{
		`"StringEquals":{"%s":"alpha"}`:                  {false, true},
		`"StringEquals":{"%s":"beta"}`:                   {false, true},
		`"StringEquals":{"%s":["alpha","beta"]}`:         {true, true},
		`"StringEquals":{"%s":"gamma"}`:                  {false, false},
		`"StringEqualsIfExists":{"%s":"alpha"}`:          {false, true},
		`"StringLike":{"%s":"*a"}`:                       {true, true},
		`"StringNotEquals":{"%s":"alpha"}`:               {false, true},
		`"StringNotEquals":{"%s":["alpha","beta"]}`:      {false, false},
		`"StringNotEquals":{"%s":"gamma"}`:               {true, true},
		`"ForAnyValue:StringEquals":{"%s":"alpha"}`:      {false, true},
		`"ForAllValues:StringEquals":{"%s":"alpha"}`:     {false, true},
		`"Null":{"%s":"true"}`:                           {false, false},
		`"Null":{"%s":"false"}`:                          {true, true},
		`"StringEquals":{"aws:username":"${%s}"}`:        {false, true},
		`"StringEquals":{"aws:username":"${%s,'ann'}"}`:  {false, true},
		`"StringNotEquals":{"aws:username":"${%s}"}`:     {false, true},
		`"StringLike":{"aws:username":["ann","${%s}"]}`:  {true, true},
		`"StringLike":{"aws:username":["bob","${%s}*"]}`: {false, true},
	} {
		for _, key := range []string{"aws:ResourceTag/Team", "aws:RequestTag/TEAM", "secretsmanager:ResourceTag/team", "ssm:resourceTag/team", "aws:PrincipalTag/Team"} {
			in := ambiguous(strings.ToLower(key))
			in["aws:username"] = []string{"ann"}
			condition := fmt.Sprintf(condition, key)
			if got := decides(t, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{`+condition+`}}`, "kms:Encrypt", "*", in); got != want.allow {
				t.Errorf("Allow if %s: %t", condition, got)
			}
			denied := !decides(t, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{`+condition+`}}`, "kms:Encrypt", "*", in)
			if denied != want.deny {
				t.Errorf("Deny if %s: %t", condition, denied)
			}
		}
	}
}

func TestAResourceNamedByATagOfWhichThereAreSeveralIsAllowedToNobodyAndDeniedToAll(t *testing.T) {
	const named = `"Resource":"arn:aws:secretsmanager:*:*:secret:${aws:ResourceTag/Team}/*"`
	const secret = "arn:aws:secretsmanager:us-east-1:111122223333:secret:alpha/db"
	in := ambiguous("aws:resourcetag/team")
	if decides(t, `{"Effect":"Allow","Action":"*",`+named+`}`, "kms:Encrypt", secret, in) {
		t.Error("allowed")
	}
	if decides(t, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*",`+named+`}`, "kms:Encrypt", secret, in) {
		t.Error("not denied")
	}
}

// TestAKeyOfSeveralValuesThatIsNoTagsIsComparedAsBefore: aws:TagKeys and the aliases of a key are lists.
func TestAKeyOfSeveralValuesThatIsNoTagsIsComparedAsBefore(t *testing.T) {
	for _, key := range []string{"aws:TagKeys", "kms:ResourceAliases", "aws:ResourceTagged", "resourcetag/team"} {
		if !decides(t, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"`+key+`":"alpha"}}}`, "kms:Encrypt", "*", ambiguous(strings.ToLower(key))) {
			t.Errorf("%s does not match", key)
		}
	}
}

// TestATagBesideAnotherNeverAllows is the law of it: what is allowed with both is allowed with each alone.
func TestATagBesideAnotherNeverAllows(t *testing.T) {
	const key = "aws:ResourceTag/Team"
	operators := oneOf("StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIfExists", "ForAnyValue:StringEquals", "ForAllValues:StringNotEquals")
	values := oneOf("alpha", "beta", "*", "a*", "${aws:username}", "${"+key+"}", "${"+key+",'ann'}x")
	rapid.Check(t, func(t *rapid.T) {
		var statements []string
		for range rapid.IntRange(1, 4).Draw(t, "statements") {
			statements = append(statements, fmt.Sprintf(`{"Effect":%q,"Action":"*","Resource":"*","Condition":{%q:{%q:%q}}}`, oneOf("Allow", "Allow", "Deny").Draw(t, "effect"),
				operators.Draw(t, "operator"), oneOf(key, "aws:username").Draw(t, "key"), values.Draw(t, "value")))
		}
		document := strings.Join(statements, ",")
		with := func(teams ...string) bool {
			return decides(t, document, "kms:Encrypt", "*", iam.Map{"aws:resourcetag/team": teams, "aws:username": {"alpha"}})
		}
		one, other := oneOf("alpha", "beta", "").Draw(t, "one"), oneOf("alpha", "gamma").Draw(t, "other")
		if with(one, other) && (!with(one) || !with(other)) {
			t.Fatalf("%s allows %s beside %s", document, one, other)
		}
	})
}
