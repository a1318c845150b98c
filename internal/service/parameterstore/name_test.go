package parameterstore_test

import (
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

const someone = "111122223333"

func TestARequestNamesAParameterByNameOrARNWithOrWithoutASelector(t *testing.T) {
	prefix := "arn:aws:ssm:eu-west-1:" + someone + ":parameter/"
	for given, want := range map[string]parameterstore.ID{
		"x":                {Name: "x"},
		"/x":               {Name: "/x"},
		"/a/b/c":           {Name: "/a/b/c"},
		"A-b_c.9":          {Name: "A-b_c.9"},
		"x:1":              {Name: "x", Selector: "1"},
		"x:prod":           {Name: "x", Selector: "prod"},
		"/a/b:a.b-c_d":     {Name: "/a/b", Selector: "a.b-c_d"},
		prefix + "x":       {Name: "x", Region: "eu-west-1", Account: someone},
		prefix + "a/b":     {Name: "/a/b", Region: "eu-west-1", Account: someone},
		prefix + "a/b:3":   {Name: "/a/b", Region: "eu-west-1", Account: someone, Selector: "3"},
		prefix + "x:a/b":   {Name: "x", Region: "eu-west-1", Account: someone, Selector: "a/b"},
		"arn":              {Name: "arn"},
		"awsish-is-a-name": {Name: "awsish-is-a-name"},

		"/aws/reference/secretsmanager/we+ird@x=1": {Name: "/aws/reference/secretsmanager/we+ird@x=1"},
		"/aws/reference/secretsmanager/a@b:stage":  {Name: "/aws/reference/secretsmanager/a@b", Selector: "stage"},
	} {
		want.Given = given
		if got, err := parameterstore.ParseID(given); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", given, got, err, want)
		}
	}
}

func TestWhatNamesNoParameterIsAValidationExceptionThatSaysWhatIsWrong(t *testing.T) {
	for given, want := range map[string]string{
		"":                   "Parameter name",
		"/":                  "Parameter name",
		"a/b":                "Parameter name",
		"/a/":                "Parameter name",
		"//a":                "Parameter name",
		"/a//b":              "Parameter name",
		"a b":                "Parameter name",
		"é":                  "Parameter name",
		"a\x00":              "Parameter name",
		"a\n":                "Parameter name",
		"a*":                 "Parameter name",
		"a+b":                "Parameter name",
		"/aws/reference/a+b": "Parameter name",

		"/aws/reference/secretsmanager/a*b":                          "Parameter name",
		"/aws/reference/secretsmanager/é":                            "Parameter name",
		"/aws/reference/secretsmanager/" + strings.Repeat("+", 1012): "Parameter name",
		"/x/aws/reference/secretsmanager/a+b":                        "Parameter name",
		strings.Repeat("a", 1012):                                    "Parameter name",
		":1":                                                         "Parameter name",
		"x:":                                                         "selector",
		"x:1:2":                                                      "selector",
		"arn:aws:ssm":                                                "ARN",
		"arn:aws:ssm:us-east-1:" + someone + ":parameter":           "ARN",
		"arn:aws:ssm:us-east-1:" + someone + ":document/x":          "ARN",
		"arn:aws:ssm::" + someone + ":parameter/x":                  "ARN",
		"arn:aws:ssm:us-east-1:1234:parameter/x":                    "ARN",
		"arn:aws:ssm:us-east-1::parameter/x":                        "ARN",
		"arn:aws-cn:ssm:us-east-1:" + someone + ":parameter/x":      "ARN",
		"arn:aws:secretsmanager:us-east-1:" + someone + ":secret:x": "ARN",
		"arn:aws:ssm:us-east-1:" + someone + ":parameter/":          "Parameter name",
		"arn:aws:ssm:us-east-1:" + someone + ":parameter//x":        "Parameter name",
		"arn:aws:ssm:us-east-1:" + someone + ":parameter/x:":        "selector",
	} {
		_, err := parameterstore.ParseID(given)
		if code(err) != "ValidationException" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want it to tell of the %s", given, err, want)
		}
	}
}

// levels is a path of so many.
func levels(n int) string { return strings.Repeat("/a", n) }

// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-parameter-name-constraints.html
func TestANameIsHeldToAWSsRules(t *testing.T) {
	room := 1011 - len(arn.Parameter(home, someone, "")) // what the ARN leaves of its 1,011 characters
	long := func(n int) string { return strings.Repeat("n", n) }
	for _, tt := range []struct{ what, name, code string }{
		{"a name", "log-level", ""},
		{"one character", "x", ""},
		{"fifteen levels", levels(15), ""},
		{"sixteen levels", levels(16), "HierarchyLevelLimitExceededException"},
		{"the longest name", long(room), ""},
		{"one character more", long(room + 1), "ValidationException"},
		{"the longest path, whose first slash is the ARN's too", "/" + long(room), ""},
		{"a path of one character more", "/" + long(room+1), "ValidationException"},
		{"aws", "aws", "ValidationException"},
		{"aws in front", "awsome", "ValidationException"},
		{"AWS in a path", "/AWS/x", "AccessDeniedException"},
		{"aws as the only level", "/aws", "ValidationException"},
		{"sSm in front", "sSmx", "ValidationException"},
		{"ssm in a path", "/ssm", "ValidationException"},
		{"aws on a later level", "/prod/aws/ssm", ""},
		{"aws in the middle", "my-aws", ""},
		{"an ARN", arn.Parameter(home, someone, "x"), "ValidationException"},
		{"a selector", "x:1", "ValidationException"},
		{"a path without its slash", "a/b", "ValidationException"},
		{"a reference to a secret", "/aws/reference/secretsmanager/a", "AccessDeniedException"},
		{"a reference to a secret of a name that no parameter has", "/aws/reference/secretsmanager/a+b", "ValidationException"},
	} {
		if err := parameterstore.CheckName(home, someone, tt.name); code(err) != tt.code || (tt.code == "") != (err == nil) {
			t.Errorf("%s: %v, want %q", tt.what, err, tt.code)
		}
	}
}

// https://github.com/hashicorp/terraform-provider-aws/issues/7251 has AWS's text.
func TestAPathWithoutItsSlashIsToldSoInAWSsWords(t *testing.T) {
	for _, name := range []string{"a/b", "C:/Program Files/a", "a/"} {
		if err := parameterstore.CheckName(home, someone, name); code(err) != "ValidationException" || !strings.Contains(err.Error(), "Parameter name must be a fully qualified name.") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := parameterstore.CheckName(home, someone, "/a/b c"); strings.Contains(err.Error(), "fully qualified") {
		t.Error(err)
	}
}

func TestTheARNOfAnIDIsItsOwnOrThatOfTheRequestsAccountAndRegion(t *testing.T) {
	for given, want := range map[string]string{
		"x":        "arn:aws:ssm:us-east-1:" + someone + ":parameter/x",
		"/x":       "arn:aws:ssm:us-east-1:" + someone + ":parameter/x",
		"/a/b:old": "arn:aws:ssm:us-east-1:" + someone + ":parameter/a/b",
		"arn:aws:ssm:eu-west-1:999999999999:parameter/a/b:3": "arn:aws:ssm:eu-west-1:999999999999:parameter/a/b",
	} {
		id, err := parameterstore.ParseID(given)
		if err != nil {
			t.Fatal(err)
		}
		if got := id.ARN(home, someone); got != want {
			t.Errorf("%q: %s, want %s", given, got, want)
		}
	}
}

// Whatever is read as an ID names one parameter, which its ARN names too.
func FuzzParseID(f *testing.F) {
	for _, seed := range []string{
		"x", "/a/b:3", "arn:aws:ssm:us-east-1:111122223333:parameter/a/b:prod", "arn:aws:ssm:us-east-1:111122223333:parameter/x",
		"a:b:c", "/aws/reference/secretsmanager/we+ird@x=1:AWSPENDING", "/aws/reference/secretsmanager//", "//", "arn:", "/a b", "\xff", "arn:aws:ssm:x:111122223333:parameter//",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		id, err := parameterstore.ParseID(given)
		if err != nil {
			if code(err) != "ValidationException" {
				t.Errorf("%q: %v", given, err)
			}
			return
		}
		if id.Given != given || id.Name == "" || len(id.Name) > 1011 || strings.ContainsAny(id.Name, ": *?\x00") ||
			strings.Contains(id.Selector, ":") || (id.Account == "") != (id.Region == "") {
			t.Errorf("%q: %+v", given, id)
		}
		subject := id.ARN(home, someone)
		again, err := parameterstore.ParseID(subject)
		if err != nil || again.ARN("other-region-1", "999999999999") != subject || again.Selector != "" {
			t.Errorf("%q has the ARN %q, which names %+v, %v", given, subject, again, err)
		}
		if arn.CanonicalParameter(again.Name) != arn.CanonicalParameter(id.Name) {
			t.Errorf("%q is %q, and by its ARN %q", given, id.Name, again.Name)
		}
	})
}
