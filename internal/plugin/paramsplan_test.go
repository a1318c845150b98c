package plugin

import (
	"slices"
	"strings"
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
		declared  bool
	}{
		"a new one":                              {text, "", "", actionCreate, true, "String", false},
		"a new secret":                           {secret, "", "", actionCreate, false, "SecureString", false},
		"the same":                               {text, text, "file", actionNone, false, "String", false},
		"the same secret":                        {secret, secret, "file", actionNone, false, "SecureString", false},
		"another value":                          {text, text, "now", actionUpdate, true, "String", false},
		"another list":                           {list, list, "now", actionUpdate, true, "StringList", false},
		"another secret":                         {secret, secret, "now", actionUpdate, false, "SecureString", false},
		"a list in the place of a text":          {list, text, "file", actionConflict, true, "StringList, is String", false},
		"a text in the place of a list":          {text, list, "now", actionConflict, true, "String, is StringList", false},
		"a secret in the place of one":           {secret, text, "now", actionConflict, false, "SecureString, is String", false},
		"a text in the place of a secret":        {text, secret, "now", actionConflict, false, "String, is SecureString", false},
		"a new one that a manifest declares":     {text, "", "", actionDeclared, true, "String", true},
		"a new secret that one declares":         {secret, "", "", actionDeclared, false, "SecureString", true},
		"another value that one declares":        {text, text, "now", actionDeclared, true, "String", true},
		"another secret that one declares":       {secret, secret, "now", actionDeclared, false, "SecureString", true},
		"the same that one declares":             {text, text, "file", actionNone, false, "String", true},
		"one of another type, that one declares": {text, list, "now", actionConflict, true, "String, is StringList", true},
	} {
		there := inventory{parameters: map[string]types.Parameter{}, declared: map[string]bool{"p/a": tt.declared, "p/b": true}}
		if tt.there != "" {
			there.parameters["p/a"] = types.Parameter{Name: aws.String("/p/a"), Type: tt.there, Value: aws.String(tt.value)}
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

func TestTheGatewaySaysWhichNamesManifestsDeclare(t *testing.T) {
	names := []string{"/a", "/b", "/c"}
	for header, want := range map[string][]string{
		"": nil, "0": {"/a"}, "0,2": {"/a", "/c"}, "2,2": {"/c", "/c"}, "3": nil, "-1": nil, "0,": nil, "x": nil, "0, 1": nil, "1;2": nil, "0x1": nil,
		strings.Repeat("0,", maximumDeclared) + "0": nil, "99999999999999999999": nil,
	} {
		if got := readDeclared(header, names); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func FuzzTheHeaderOfDeclaredNamesIsOfNamesThatWereAskedFor(f *testing.F) {
	for _, header := range []string{"", "0", "0,1,2", "7", "-1", ",", "1,1"} {
		f.Add(header)
	}
	names := []string{"/a", "/b", "/c"}
	f.Fuzz(func(t *testing.T, header string) {
		for _, name := range readDeclared(header, names) {
			if !slices.Contains(names, name) {
				t.Errorf("%q declares %q", header, name)
			}
		}
	})
}
