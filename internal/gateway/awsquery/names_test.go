package awsquery_test

import (
	"errors"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/gateway/awsquery"
)

func TestNamesAreFoundWhereverTheyAreAndWhateverElseThereIs(t *testing.T) {
	for form, want := range map[string][2]string{
		assumeRole:                               {"AssumeRole", "2011-06-15"},
		"":                                       {"", ""},
		"&&&":                                    {"", ""},
		"Action":                                 {"", ""},
		"Version=2&Action=A":                     {"A", "2"},
		"Action=A%42&Version=2+3":                {"AB", "2 3"},
		"x=%zz&Action=A&Version=2&List.0=%ff":    {"A", "2"}, // the rest is looked at later
		"action=a&version=v":                     {"", ""},
		"%41ction=A&Version=2":                   {"", "2"},
		strings.Repeat("a&", 1<<19) + "Action=A": {"A", ""},
	} {
		action, version, err := awsquery.Names([]byte(form))
		if err != nil || action != want[0] || version != want[1] {
			t.Errorf("%.60s: %q, %q, %v", form, action, version, err)
		}
	}
}

func TestNamesThatAreNotCertainAreRefused(t *testing.T) {
	for _, form := range []string{
		"Action=A&Action=A", "Version=1&Action=A&Version=1", "Action&Action=A", "Action=%zz", "Action=%ff",
		"Action=" + strings.Repeat("a", 257),
	} {
		if action, _, err := awsquery.Names([]byte(form)); !errors.Is(err, awsquery.ErrSerialization) || action != "" {
			t.Errorf("%.60s: %q, %v", form, action, err)
		}
	}
}

// What is authorized is what is carried out.
func TestAFormThatNamesItsOperationInTwoWaysIsRefused(t *testing.T) {
	for _, form := range []string{"Action=A&Version=1&%41ction=B", "%56ersion=2&Action=A&Version=1"} {
		if _, err := awsquery.Parse(form); !errors.Is(err, awsquery.ErrSerialization) {
			t.Errorf("%s: %v", form, err)
		}
	}
}

func TestNamesOfALargeFormTakeNoMemory(t *testing.T) {
	form := []byte("Action=A&Version=2&" + strings.Repeat("a.b.c=d&", 100_000))
	if n := testing.AllocsPerRun(10, func() { _, _, _ = awsquery.Names(form) }); n > 4 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzNames(f *testing.F) {
	f.Add(assumeRole)
	f.Add("%41ction=B&Action=A&Version=1")
	f.Add("Action=A&Action=B")
	f.Fuzz(func(t *testing.T, form string) {
		action, version, err := awsquery.Names([]byte(form))
		if err != nil && !errors.Is(err, awsquery.ErrSerialization) {
			t.Fatal(err)
		}
		parsed, parseErr := awsquery.Parse(form)
		if err != nil || parseErr != nil {
			return
		}
		if action != "" && action != parsed.Action || version != "" && version != parsed.Version {
			t.Fatalf("%q, %q, and later %q, %q", action, version, parsed.Action, parsed.Version)
		}
	})
}
