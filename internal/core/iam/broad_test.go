package iam_test

import (
	"encoding/json/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/iam"
)

// letting is a policy of one statement that allows reading, with other elements.
func letting(principal, more string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` + principal + `,"Action":"secretsmanager:GetSecretValue","Resource":"*"` + more + `}]}`
}

// when is everybody, on a condition.
func when(condition string) string { return letting(`"Principal":"*"`, `,"Condition":{`+condition+`}`) }

// fenced is everybody, and a statement that denies.
func fenced(denies string) string {
	return strings.TrimSuffix(letting(`"Principal":"*"`, ""), "]}") + `,{"Effect":"Deny",` + denies + `}]}`
}

const denyAll = `"Action":"secretsmanager:*","Resource":"*"`

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
var broadPolicies = map[string]string{
	"everybody":                              letting(`"Principal":"*"`, ""),
	"everybody, as a kind of principal":      letting(`"Principal":{"AWS":"*"}`, ""),
	"everybody among others":                 letting(`"Principal":{"AWS":["111122223333","*"]}`, ""),
	"all but one":                            letting(`"NotPrincipal":{"AWS":"111122223333"}`, ""),
	"every service":                          letting(`"Principal":{"Service":"*"}`, ""),
	"every identity provider":                letting(`"Principal":{"Federated":"*"}`, ""),
	"a wildcard for the account":             when(`"StringLike":{"aws:PrincipalAccount":"1111*"}`),
	"a wildcard for one digit":               when(`"StringLike":{"aws:PrincipalAccount":"11112222333?"}`),
	"a role of any account":                  when(`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/admin"}`),
	"a role whose account comes in a name":   when(`"StringLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/111122223333"}`),
	"an ARN that is all wildcard":            when(`"ArnLike":{"aws:PrincipalArn":"*"}`),
	"a text that is all wildcard":            when(`"StringLike":{"aws:PrincipalArn":"*"}`),
	"one fixed value among wildcards":        when(`"StringLike":{"aws:PrincipalAccount":["111122223333","*"]}`),
	"the caller's own account":               when(`"StringEquals":{"aws:PrincipalAccount":"${aws:PrincipalAccount}"}`),
	"the caller's own ARN":                   when(`"ArnEquals":{"aws:PrincipalArn":"${aws:PrincipalArn}"}`),
	"a variable with a default":              when(`"StringEquals":{"aws:PrincipalAccount":"${aws:PrincipalAccount, '111122223333'}"}`),
	"all accounts but one":                   when(`"StringNotEquals":{"aws:PrincipalAccount":"111122223333"}`),
	"an account, if there is one":            when(`"StringEqualsIfExists":{"aws:PrincipalAccount":"111122223333"}`),
	"all values of a key, or none":           when(`"ForAllValues:StringEquals":{"aws:PrincipalAccount":"111122223333"}`),
	"a name that every account can give":     when(`"StringEquals":{"aws:username":"admin"}`),
	"a tag that every account can give":      when(`"StringEquals":{"aws:PrincipalTag/team":"shop"}`),
	"a region that everybody can ask":        when(`"StringEquals":{"aws:RequestedRegion":"us-east-1"}`),
	"TLS":                                    when(`"Bool":{"aws:SecureTransport":"true"}`),
	"a date":                                 when(`"DateLessThan":{"aws:CurrentTime":"2030-01-01"}`),
	"a key that is there":                    when(`"Null":{"aws:PrincipalAccount":"false"}`),
	"every address":                          when(`"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}`),
	"half of the addresses":                  when(`"IpAddress":{"aws:SourceIp":["10.0.0.0/8","0.0.0.0/1"]}`),
	"addresses by seven bits":                when(`"IpAddress":{"aws:SourceIp":"10.0.0.0/7"}`),
	"addresses of IPv6 by 31 bits":           when(`"IpAddress":{"aws:SourceIp":"2001:db8::/31"}`),
	"no address of a range":                  when(`"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}`),
	"some ids of a role's sessions":          when(`"StringLike":{"aws:userid":"AROAEXAMPLE:*"}`),
	"every action but one":                   `{"Statement":{"Effect":"Allow","Principal":"*","NotAction":"secretsmanager:DeleteSecret","Resource":"*"}}`,
	"every resource but one":                 `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","NotResource":"arn:aws:s3:::b"}}`,
	"a Deny of one action":                   fenced(`"Principal":"*","Action":"secretsmanager:PutSecretValue","Resource":"*"`),
	"a Deny of another service":              fenced(`"Principal":"*","Action":"kms:*","Resource":"*"`),
	"a Deny of all actions but one":          fenced(`"Principal":"*","NotAction":"secretsmanager:GetSecretValue","Resource":"*"`),
	"a Deny on one resource":                 fenced(`"Principal":"*","Action":"*","Resource":"arn:aws:secretsmanager:*:*:secret:a"`),
	"a Deny of one account":                  fenced(`"Principal":{"AWS":"444455556666"},` + denyAll),
	"a Deny of an account that is tested":    fenced(`"Principal":"*",` + denyAll + `,"Condition":{"StringEquals":{"aws:PrincipalAccount":"444455556666"}}`),
	"a Deny on two conditions":               fenced(`"Principal":"*",` + denyAll + `,"Condition":{"StringNotEquals":{"aws:PrincipalAccount":"111122223333"},"Bool":{"aws:SecureTransport":"false"}}`),
	"a Deny of all but a pattern":            fenced(`"Principal":"*",` + denyAll + `,"Condition":{"StringNotLike":{"aws:PrincipalAccount":"1*"}}`),
	"a Deny of any value of a key":           fenced(`"Principal":"*",` + denyAll + `,"Condition":{"ForAnyValue:StringNotEquals":{"aws:PrincipalAccount":"111122223333"}}`),
	"a Deny of all but no value":             fenced(`"Principal":"*",` + denyAll + `,"Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"shop"}}`),
	"a Deny of nobody named, on a condition": fenced(`"NotPrincipal":{"AWS":"arn:aws:iam::111122223333:root"},` + denyAll + `,"Condition":{"Bool":{"aws:SecureTransport":"false"}}`),
}

var narrowPolicies = map[string]string{
	"an account":                         letting(`"Principal":{"AWS":"111122223333"}`, ""),
	"users, roles and sessions":          letting(`"Principal":{"AWS":["arn:aws:iam::111122223333:user/a","arn:aws:iam::111122223333:role/b"]}`, ""),
	"a service":                          letting(`"Principal":{"Service":"lambda.amazonaws.com"}`, ""),
	"an account's principals":            when(`"StringEquals":{"aws:PrincipalAccount":["111122223333","444455556666"]}`),
	"an account, without wildcards":      when(`"StringLike":{"aws:PrincipalAccount":"111122223333"}`),
	"an organisation":                    when(`"StringEquals":{"aws:PrincipalOrgID":"o-abcdefghij"}`),
	"an account's roles":                 when(`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}`),
	"an account's roles, as a text":      when(`"StringLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}`),
	"an account's roles, whoever asks":   when(`"ArnLike":{"aws:PrincipalArn":"arn:*:iam::111122223333:role/${aws:username}"}`),
	"an account's topics":                when(`"ArnEquals":{"aws:SourceArn":"arn:aws:sns:us-east-1:111122223333:*"}`),
	"a bucket":                           when(`"ArnEquals":{"aws:SourceArn":"arn:aws:s3:::bucket"}`),
	"a network":                          when(`"StringEquals":{"aws:SourceVpc":"vpc-12345678"}`),
	"an endpoint":                        when(`"StringEquals":{"aws:sourcevpce":"vpce-12345678"}`),
	"a session by its id":                when(`"StringEquals":{"aws:userid":"AIDAEXAMPLE"}`),
	"addresses":                          when(`"IpAddress":{"aws:SourceIp":["192.0.2.0/24","10.0.0.0/8","2001:db8::/32"]}`),
	"one address":                        when(`"IpAddress":{"aws:SourceIp":"192.0.2.1"}`),
	"any of a key's values":              when(`"ForAnyValue:StringEquals":{"aws:PrincipalAccount":"111122223333"}`),
	"a condition beside one that is not": when(`"Bool":{"aws:SecureTransport":"true"},"StringEquals":{"aws:PrincipalAccount":"111122223333"}`),
	"all but one, on an account":         letting(`"NotPrincipal":{"AWS":"arn:aws:iam::111122223333:root"}`, `,"Condition":{"StringEquals":{"aws:PrincipalAccount":"111122223333"}}`),
	"nobody: everybody is denied":        `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`,
	"nobody: no action":                  `{"Statement":{"Effect":"Allow","Principal":"*","Action":[],"Resource":"*"}}`,
	"nobody: no resource":                `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":[]}}`,
	"a Deny of everybody":                fenced(`"Principal":"*",` + denyAll),
	"a Deny of all but an account":       fenced(`"Principal":"*",` + denyAll + `,"Condition":{"StringNotEquals":{"aws:PrincipalAccount":"111122223333"}}`),
	"a Deny of all but an organisation":  fenced(`"Principal":{"AWS":"*"},"Action":"*","Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-abcdefghij"}}`),
	"a Deny of all but some addresses":   fenced(`"Principal":"*",` + denyAll + `,"Condition":{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`),
	"a Deny of all but those named":      fenced(`"NotPrincipal":{"AWS":["arn:aws:iam::111122223333:root","arn:aws:iam::111122223333:user/a"]},` + denyAll),
}

func TestAPolicyIsBroadIfItLetsInMoreThanItsOwnerCanCount(t *testing.T) {
	for want, policies := range map[bool]map[string]string{true: broadPolicies, false: narrowPolicies} {
		for name, document := range policies {
			p, err := iam.Parse([]byte(document), iam.Resource)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got := p.Broad(); (len(got) > 0) != want {
				t.Errorf("%s: %v\n%s", name, got, document)
			}
		}
	}
}

func TestWhatIsBroadIsSaidOfEachStatement(t *testing.T) {
	p, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[
		{"Sid":"Own","Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"},
		{"Sid":"All","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
		{"Effect":"Allow","NotPrincipal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}]}`), iam.Resource)
	if err != nil {
		t.Fatal(err)
	}
	got := p.Broad()
	if len(got) != 2 || got[0].String() != "statement 1 (All) lets in every principal" ||
		got[1].String() != "statement 2 lets in everybody but those whom NotPrincipal names" {
		t.Errorf("%v", got)
	}
}

// strangers are principals that no fixed value of the law's policies means.
var strangers = []iam.Principal{
	{Account: "999999999999", ARN: "arn:aws:iam::999999999999:user/admin", UniqueID: "AIDASTRANGER"},
	{Account: "999999999999", ARN: "arn:aws:sts::999999999999:assumed-role/admin/pod", RoleARN: "arn:aws:iam::999999999999:role/admin", UniqueID: "AROASTRANGER"},
	{Account: "111122223330", ARN: "arn:aws:iam::111122223330:role/111122223333", UniqueID: "AROAOTHER"},
	{Account: "999999999999", ARN: "arn:aws:iam::999999999999:root"},
}

// TestAStrangerIsLetInByNoPolicyThatIsNotBroad: the law that BlockPublicPolicy stands on. A stranger has whatever tags, name and
// address are asked for, but is nobody whom a fixed value means.
func TestAStrangerIsLetInByNoPolicyThatIsNotBroad(t *testing.T) {
	keys := oneOf("aws:PrincipalAccount", "aws:PrincipalArn", "aws:username", "aws:PrincipalTag/team", "aws:PrincipalOrgID", "aws:userid", "aws:SourceArn")
	values := oneOf[any]("111122223333", "*", "1111*", "arn:aws:iam::111122223333:role/*", "arn:aws:iam::*:role/*", "${aws:PrincipalAccount}",
		"${aws:PrincipalArn}", "admin", []string{"111122223333", "9*"}, []string{}, "o-abcdefghij")
	operators := oneOf("StringEquals", "StringLike", "StringNotEquals", "StringNotLike", "StringEqualsIfExists", "StringNotEqualsIfExists",
		"ForAllValues:StringEquals", "ForAnyValue:StringLike", "ForAnyValue:StringNotEquals", "StringEqualsIgnoreCase", "Null")
	narrow, letIn := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var statements []statement
		for range rapid.IntRange(1, 3).Draw(t, "statements") {
			s := drawStatement(t, true)
			delete(s, "Condition")
			conditions := map[string]map[string]any{}
			for range rapid.IntRange(0, 2).Draw(t, "conditions") {
				operator := operators.Draw(t, "operator")
				value := values.Draw(t, "value")
				if operator == "Null" {
					value = oneOf("true", "false").Draw(t, "null")
				}
				conditions[operator] = map[string]any{keys.Draw(t, "key"): value}
			}
			s["Condition"] = conditions
			statements = append(statements, s)
		}
		text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		if err != nil {
			t.Fatal(err)
		}
		p, err := iam.Parse(text, iam.Resource)
		if err != nil {
			t.Fatal(err)
		}
		broad := p.Broad()
		if len(broad) == 0 {
			narrow++
		}
		for _, who := range strangers {
			request := iam.Request{
				Principal: who, Action: "secretsmanager:GetSecretValue", Resource: "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db",
				Context: iam.Map{
					"aws:principalaccount": {who.Account}, "aws:principalarn": {who.ARN}, "aws:username": {"admin"}, "aws:userid": {who.UniqueID},
					"aws:principaltag/team": {"111122223333"},
				},
			}
			everything, _ := iam.Parse([]byte(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`), iam.Identity)
			decision := iam.Evaluate(&request, &iam.Policies{Identity: []*iam.Policy{everything}, Resource: p, ResourceAccount: "111122223333"})
			if decision.Allowed() {
				letIn++
				if len(broad) == 0 {
					t.Fatalf("%s is let in by a policy that is not broad: %s", who.ARN, text)
				}
			}
		}
	})
	if narrow == 0 || letIn == 0 {
		t.Errorf("the law was never tried: %d not broad, %d let in", narrow, letIn)
	}
}

// FuzzBroad: whatever parses can be asked, and a policy with a statement more that lets in everybody is broad unless one denies all.
func FuzzBroad(f *testing.F) {
	for _, document := range broadPolicies {
		f.Add([]byte(document))
	}
	for _, document := range narrowPolicies {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := iam.Parse(document, iam.Resource)
		if err != nil {
			return
		}
		for _, b := range p.Broad() {
			if b.Statement < 0 || b.Statement >= p.Statements() || b.Who == "" {
				t.Errorf("%+v of %d statements", b, p.Statements())
			}
		}
	})
}
