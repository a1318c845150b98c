package plugin

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

func TestAPlanSaysWhatIsToBeDoneAndShowsNoSecret(t *testing.T) {
	const text, list, secret = types.ParameterTypeString, types.ParameterTypeStringList, types.ParameterTypeSecureString
	for name, tt := range map[string]struct {
		want      types.ParameterType
		there     types.ParameterType
		value     string
		action    string
		shows     bool
		shownType string
	}{
		"a new one":                       {text, "", "", actionCreate, true, "String"},
		"a new secret":                    {secret, "", "", actionCreate, false, "SecureString"},
		"the same":                        {text, text, "file", actionNone, false, "String"},
		"the same secret":                 {secret, secret, "file", actionNone, false, "SecureString"},
		"another value":                   {text, text, "now", actionUpdate, true, "String"},
		"another list":                    {list, list, "now", actionUpdate, true, "StringList"},
		"another secret":                  {secret, secret, "now", actionUpdate, false, "SecureString"},
		"a list in the place of a text":   {list, text, "file", actionConflict, true, "StringList, is String"},
		"a text in the place of a list":   {text, list, "now", actionConflict, true, "String, is StringList"},
		"a secret in the place of one":    {secret, text, "now", actionConflict, false, "SecureString, is String"},
		"a text in the place of a secret": {text, secret, "now", actionConflict, false, "String, is SecureString"},
	} {
		there := map[string]types.Parameter{}
		if tt.there != "" {
			there["p/a"] = types.Parameter{Name: aws.String("/p/a"), Type: tt.there, Value: aws.String(tt.value)}
		}
		steps := plan([]wantedParameter{{"/p/a", "file", tt.want}}, there)
		if len(steps) != 1 || steps[0].Action != tt.action || steps[0].Type != tt.shownType || steps[0].Name != "/p/a" {
			t.Errorf("%s: %+v", name, steps)
			continue
		}
		if shows := steps[0].Now != nil || steps[0].File != nil; shows != tt.shows {
			t.Errorf("%s: shows its value %t", name, shows)
		}
		if count(steps, tt.action) != 1 || count(steps, "other") != 0 {
			t.Errorf("%s is counted wrongly", name)
		}
	}
}

func TestACellShowsTheBeginningOfALongValue(t *testing.T) {
	long := aws.String("äbcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz")
	for want, value := range map[string]*string{"-": nil, "x": aws.String("x"), "äbcdefghijklmnopqrstuvwxyzabcdefghijk...": long} {
		if got := cell(value); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAPathIsReadWithOrWithoutASlashAtItsEnd(t *testing.T) {
	for given, want := range map[string]string{"/": "/x/y", "/a": "/a/x/y", "/a/": "/a/x/y", "/a/b.c-d_e": "/a/b.c-d_e/x/y"} {
		path, err := readPath(given)
		if err != nil || path.name("x/y") != want || path.below(want) != "x/y" {
			t.Errorf("%s: %s, %s, %v", given, path.name("x/y"), path.below(want), err)
		}
	}
	for _, given := range []string{"", "a", "//", "/a//", "/a b", "a/", "/ä", "/*"} {
		if _, err := readPath(given); err == nil {
			t.Errorf("%q is taken for a path", given)
		}
	}
	if got := storePath("").below("x"); got != "x" {
		t.Errorf("a name without a slash is %s below the root", got)
	}
}
