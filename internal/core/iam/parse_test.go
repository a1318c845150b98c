package iam_test

import (
	"errors"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/iam"
)

func mustParse(t fataler, document string, kind iam.Type) *iam.Policy {
	t.Helper()
	p, err := iam.Parse([]byte(document), kind)
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return p
}

func TestDocumentsThatAWSAcceptsAreParsed(t *testing.T) {
	for name, c := range map[string]struct {
		kind       iam.Type
		document   string
		statements int
	}{
		"one statement that is no list": {iam.Identity, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, 1},
		"a list of two": {iam.Identity, `{"Version":"2012-10-17","Id":"x","Statement":[
			{"Sid":"A1","Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt"],"Resource":["*"]},
			{"Sid":"A2","Effect":"Deny","NotAction":"kms:*","NotResource":"arn:aws:kms:*:*:key/*"}]}`, 2},
		"a trust policy without a resource": {iam.Trust, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
			"Principal":{"Service":"secretsmanager.amazonaws.com","AWS":["123456789012","arn:aws:iam::123456789012:role/x"]},"Action":"sts:AssumeRole"}]}`, 1},
		"a key policy whose statement lacks an action": {iam.Key, `{"Statement":[{"Effect":"Allow","Principal":"*","Resource":"*"}]}`, 1},
		"conditions of all kinds of values": {iam.Identity, `{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*","Condition":{
			"Bool":{"aws:SecureTransport":true},"NumericLessThan":{"aws:MultiFactorAuthAge":3600},"Null":{"aws:TokenIssueTime":"false"},
			"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":["a*","b"]},"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"},
			"IpAddress":{"aws:SourceIp":["10.0.0.0/8","2001:db8::/32","192.0.2.1"]}}}]}`, 1},
		"the version after the statements": {iam.Identity, `{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"arn:aws:s3:::${aws:username}"}],"Version":"2012-10-17"}`, 1},
		"a Sid with blanks in a resource policy": {iam.Resource, `{"Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow",
			"Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}]}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mustParse(t, c.document, c.kind).Statements(); got != c.statements {
				t.Errorf("%d statements, not %d", got, c.statements)
			}
		})
	}
}

func TestAMalformedDocumentIsRefusedWithItsPlace(t *testing.T) {
	statement := func(s string) string { return `{"Version":"2012-10-17","Statement":[` + s + `]}` }
	for name, c := range map[string]struct {
		kind             iam.Type
		document         string
		pointer, problem string
	}{
		"no JSON":                     {iam.Identity, `{"Statement":`, "", "not JSON"},
		"nothing":                     {iam.Identity, ``, "", ""},
		"an array":                    {iam.Identity, `[]`, "", "a policy is an object"},
		"null":                        {iam.Identity, `null`, "", "a policy is an object"},
		"something after it":          {iam.Identity, statement(`{"Effect":"Allow","Action":"*","Resource":"*"}`) + `{}`, "", "follows"},
		"no statement":                {iam.Identity, `{"Version":"2012-10-17"}`, "", "no Statement"},
		"an empty list":               {iam.Identity, `{"Statement":[]}`, "/Statement", "no statement"},
		"another version":             {iam.Identity, `{"Version":"2020-01-01","Statement":[]}`, "/Version", "2012-10-17"},
		"a strange element":           {iam.Identity, `{"Statements":[]}`, "/Statements", "not an element"},
		"a strange statement element": {iam.Identity, statement(`{"Effect":"Allow","Action":"*","Resources":"*"}`), "/Statement/0/Resources", "not an element"},
		"an effect in lower case":     {iam.Identity, statement(`{"Effect":"allow","Action":"*","Resource":"*"}`), "/Statement/0/Effect", "Allow or Deny"},
		"no effect":                   {iam.Identity, statement(`{"Action":"*","Resource":"*"}`), "/Statement/0", "no Effect"},
		"no action":                   {iam.Identity, statement(`{"Effect":"Allow","Resource":"*"}`), "/Statement/0", "no Action"},
		"no resource":                 {iam.Identity, statement(`{"Effect":"Allow","Action":"*"}`), "/Statement/0", "no Resource"},
		"both actions": {iam.Identity, statement(`{"Effect":"Allow","Action":"*","NotAction":"a:b","Resource":"*"}`),
			"/Statement/0/NotAction", "one of Action and NotAction"},
		"a principal in an identity policy": {iam.Identity, statement(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`),
			"/Statement/0/Principal", "no principal"},
		"no principal in a resource policy": {iam.Resource, statement(`{"Effect":"Allow","Action":"*","Resource":"*"}`), "/Statement/0", "no Principal"},
		"a resource in a trust policy": {iam.Trust, statement(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}`),
			"/Statement/0/Resource", "no resource"},
		"an action without a service": {iam.Identity, statement(`{"Effect":"Allow","Action":["kms:*","Decrypt"],"Resource":"*"}`),
			"/Statement/0/Action/1", "not an action"},
		"a service with a wildcard": {iam.Identity, statement(`{"Effect":"Allow","Action":"k*:Decrypt","Resource":"*"}`), "/Statement/0/Action", "not an action"},
		"a resource that is no ARN": {iam.Identity, statement(`{"Effect":"Allow","Action":"*","Resource":"prod/shop"}`), "/Statement/0/Resource", "not an ARN"},
		"an ARN of four parts":      {iam.Identity, statement(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:kms:*"}`), "/Statement/0/Resource", "not an ARN"},
		"a strange operator": {iam.Identity, statement(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEqualz":{"a":"b"}}}`),
			"/Statement/0/Condition/StringEqualz/a", "not a condition operator"},
		"Null with IfExists": {iam.Identity, statement(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NullIfExists":{"a":"true"}}}`),
			"/Statement/0/Condition/NullIfExists/a", "neither IfExists"},
		"a number that is none": {iam.Identity, statement(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericEquals":{"a":"x"}}}`),
			"/Statement/0/Condition/NumericEquals/a", "not a number"},
		"a range that is none": {iam.Identity, statement(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"a":"10.0.0.0/33"}}}`),
			"/Statement/0/Condition/IpAddress/a", "not an address"},
		"a condition value that is an object": {iam.Identity, statement(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"a":{}}}}`),
			"/Statement/0/Condition/Bool/a", "a string, a number"},
		"a variable without an end": {iam.Identity, statement(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username"}`),
			"/Statement/0/Resource", ""},
		"a member twice": {iam.Identity, statement(`{"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"}`), "", "duplicate"},
		"a Sid twice": {iam.Identity, statement(`{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}`),
			"/Statement/1/Sid", "two statements"},
		"a Sid with a blank": {iam.Identity, statement(`{"Sid":"a b","Effect":"Allow","Action":"*","Resource":"*"}`), "/Statement/0/Sid", "letters and digits"},
		"a principal with a wildcard": {iam.Resource, statement(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/*"},"Action":"*","Resource":"*"}`),
			"/Statement/0/Principal/AWS", "no wildcards"},
		"a principal of a strange kind": {iam.Resource, statement(`{"Effect":"Allow","Principal":{"User":"x"},"Action":"*","Resource":"*"}`),
			"/Statement/0/Principal/User", "kind of principal"},
		"a principal that is a word": {iam.Resource, statement(`{"Effect":"Allow","Principal":"me","Action":"*","Resource":"*"}`), "/Statement/0/Principal", `"*"`},
		"arrays in arrays":           {iam.Identity, statement(`{"Effect":"Allow","Action":[["*"]],"Resource":"*"}`), "/Statement/0/Action", "array in an array"},
		"too long":                   {iam.Identity, statement(`{"Sid":"` + strings.Repeat("a", iam.MaximumDocument) + `"}`), "", "at most 32768"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := iam.Parse([]byte(c.document), c.kind)
			var syntax *iam.SyntaxError
			if p != nil || !errors.As(err, &syntax) || !errors.Is(err, iam.ErrMalformed) {
				t.Fatalf("policy %v, error %v", p, err)
			}
			if !strings.HasPrefix(syntax.Pointer, c.pointer) {
				t.Errorf("it points to %q, not %q: %v", syntax.Pointer, c.pointer, err)
			}
			if !strings.Contains(err.Error(), c.problem) {
				t.Errorf("the message does not say %q: %v", c.problem, err)
			}
		})
	}
}

func TestTheOffsetOfAnErrorIsInTheWholeDocument(t *testing.T) {
	document := `{"Version":"2012-10-17", "Statement": [{"Effect":"Permit","Action":"*","Resource":"*"}]}`
	_, err := iam.Parse([]byte(document), iam.Identity)
	var syntax *iam.SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatal(err)
	}
	if got := document[:syntax.Offset]; !strings.HasSuffix(got, `"Permit"`) {
		t.Errorf("the offset is after %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotAction":"kms:*","NotResource":"arn:aws:kms:*:*:key/${aws:username}","Condition":{"ForAllValues:StringLike":{"aws:TagKeys":["a?","${*}"]}}}]}`,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":["*","123456789012"]},"Action":"kms:*","Resource":"*"}]}`,
	} {
		f.Add([]byte(seed), uint8(0), "kms:Decrypt", "arn:aws:kms:us-east-1:123456789012:key/a")
	}
	f.Fuzz(func(t *testing.T, document []byte, kind uint8, action, resource string) {
		p, err := iam.Parse(document, iam.Type(kind%4))
		if err != nil {
			if !errors.Is(err, iam.ErrMalformed) {
				t.Errorf("%v is not ErrMalformed", err)
			}
			return
		}
		r := &iam.Request{
			Principal: iam.Principal{Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/a"},
			Action:    action, Resource: resource, Context: iam.Map{"aws:username": {"*"}},
		}
		first := iam.Evaluate(r, &iam.Policies{Identity: []*iam.Policy{p}, ResourceAccount: "123456789012"})
		second := iam.Evaluate(r, &iam.Policies{Identity: []*iam.Policy{p, p}, ResourceAccount: "123456789012"})
		if first.Allowed() != second.Allowed() {
			t.Errorf("the same policy twice decides otherwise: %v, %v", first, second)
		}
	})
}
