package parameterpolicy_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/parameterpolicy"
)

const (
	expiration = `{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2018-12-02T21:34:33.000Z"}}`
	ahead      = `{"Type":"ExpirationNotification","Version":"1.0","Attributes":{"Before":"15","Unit":"Days"}}`
	unchanged  = `{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Hours"}}`
)

// The examples are those of AWS's user guide.
func TestPoliciesAreReadAsAWSWritesThemAndWrittenTheSame(t *testing.T) {
	got, err := parameterpolicy.Parse(" [" + expiration + "," + ahead + ",\n" + unchanged + "]")
	want := []parameterpolicy.Policy{
		{Type: parameterpolicy.Expiration, Timestamp: "2018-12-02T21:34:33.000Z"},
		{Type: parameterpolicy.ExpirationNotification, Count: 15, Unit: parameterpolicy.Days},
		{Type: parameterpolicy.NoChangeNotification, Count: 20, Unit: parameterpolicy.Hours},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, text := range []string{expiration, ahead, unchanged} {
		if got[i].Text() != text {
			t.Errorf("%s\nis written as\n%s", text, got[i].Text())
		}
	}
}

func TestAnEmptyListAndAWSsListOfAnEmptyObjectAreNoPolicies(t *testing.T) {
	for _, text := range []string{"[]", "[{}]", " [ { } ] "} {
		if got, err := parameterpolicy.Parse(text); err != nil || len(got) != 0 {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func TestWhatIsWrongWithPoliciesIsToldByTheErrorThatAWSHasForIt(t *testing.T) {
	policy := func(kind, attributes string) string {
		return fmt.Sprintf(`[{"Type":%q,"Version":"1.0","Attributes":{%s}}]`, kind, attributes)
	}
	for text, want := range map[string]error{
		``:                      parameterpolicy.ErrText,
		`null`:                  parameterpolicy.ErrText,
		`hush`:                  parameterpolicy.ErrText,
		expiration:              parameterpolicy.ErrText,
		`["Expiration"]`:        parameterpolicy.ErrText,
		`[null]`:                parameterpolicy.ErrText,
		`[` + expiration:        parameterpolicy.ErrText,
		`[` + expiration + `] `: nil,
		`[` + expiration + `]x`: parameterpolicy.ErrText,
		`[` + strings.Repeat(" ", parameterpolicy.MaximumText) + `]`: parameterpolicy.ErrText,
		`[{},{}]`:                 parameterpolicy.ErrType,
		`[{},` + unchanged + `]`:  parameterpolicy.ErrType,
		policy("Expire", ``):      parameterpolicy.ErrType,
		policy("expiration", ``):  parameterpolicy.ErrType,
		`[{"Version":"1.0"}]`:     parameterpolicy.ErrType,
		`[{"Type":7}]`:            parameterpolicy.ErrType,
		`[{"Type":"Expiration"}]`: parameterpolicy.ErrAttribute,
		strings.ReplaceAll("["+expiration+"]", "1.0", "2.0"):                       parameterpolicy.ErrAttribute,
		strings.ReplaceAll("["+expiration+"]", "Version", "version"):               parameterpolicy.ErrAttribute,
		policy("Expiration", ``):                                                   parameterpolicy.ErrAttribute,
		policy("Expiration", `"Timestamp":"tomorrow"`):                             parameterpolicy.ErrAttribute,
		policy("Expiration", `"Timestamp":"2018-12-02T21:34:33"`):                  parameterpolicy.ErrAttribute,
		policy("Expiration", `"Timestamp":"2018-13-02T21:34:33Z"`):                 parameterpolicy.ErrAttribute,
		policy("Expiration", `"Timestamp":"0000-01-01T00:00:00Z"`):                 parameterpolicy.ErrAttribute,
		policy("Expiration", `"Timestamp":"2018-12-02T21:34:33Z","Unit":"Days"`):   parameterpolicy.ErrAttribute,
		policy("NoChangeNotification", `"After":"20"`):                             parameterpolicy.ErrAttribute,
		policy("NoChangeNotification", `"Unit":"Days"`):                            parameterpolicy.ErrAttribute,
		policy("NoChangeNotification", `"Before":"20","Unit":"Days"`):              parameterpolicy.ErrAttribute,
		policy("NoChangeNotification", `"After":"0","Unit":"Days"`):                parameterpolicy.ErrAttribute,
		policy("NoChangeNotification", `"After":"-1","Unit":"Days"`):               parameterpolicy.ErrAttribute,
		policy("NoChangeNotification", `"After":"1.5","Unit":"Days"`):              parameterpolicy.ErrAttribute,
		policy("NoChangeNotification", `"After":"100000","Unit":"Days"`):           parameterpolicy.ErrAttribute,
		policy("NoChangeNotification", `"After":20,"Unit":"Days"`):                 parameterpolicy.ErrAttribute,
		policy("NoChangeNotification", `"After":"20","Unit":"Minutes"`):            parameterpolicy.ErrAttribute,
		policy("NoChangeNotification", `"After":"20","After":"30","Unit":"Hours"`): parameterpolicy.ErrText,
		policy("ExpirationNotification", `"After":"20","Unit":"Days"`):             parameterpolicy.ErrAttribute,
		`[` + expiration + `,` + expiration + `]`:                                  parameterpolicy.ErrConflict,
		`[` + ahead + `]`: parameterpolicy.ErrConflict,
		`[` + strings.TrimSuffix(strings.Repeat(unchanged+",", 10), ",") + `]`: nil,
		`[` + strings.TrimSuffix(strings.Repeat(unchanged+",", 11), ",") + `]`: parameterpolicy.ErrTooMany,
	} {
		_, err := parameterpolicy.Parse(text)
		if !errors.Is(err, want) {
			t.Errorf("%.200s: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "tomorrow") {
			t.Errorf("the error quotes the text: %v", err)
		}
	}
}

func TestATimeIsReadInAllFormsThatAWSDocuments(t *testing.T) {
	want := time.Date(2019, 11, 1, 11, 43, 48, 870_000_000, time.UTC)
	for _, text := range []string{
		"2019-11-01T11:43:48.87Z", "2019-11-01T22:13:48.87+10:30", "2019-11-01T22:13:48.87+10:30:00", "2019-11-01T11:43:48.870000000Z",
	} {
		if got, err := parameterpolicy.ParseTime(text); err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if got, err := parameterpolicy.ParseTime("2019-11-01T22:13+10:30"); err != nil || !got.Equal(time.Date(2019, 11, 1, 11, 43, 0, 0, time.UTC)) {
		t.Errorf("without seconds: %v, %v", got, err)
	}
}

// What is read is written so that it is read as the same, and fits; nothing makes the reader fail otherwise than by its errors.
func FuzzPoliciesAreReadAsTheyAreWritten(f *testing.F) {
	for _, seed := range []string{"[" + expiration + "," + ahead + "," + unchanged + "]", "[]", "[{}]", "[{", `[{"Type":"Expiration"}]`, `[1]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		policies, err := parameterpolicy.Parse(text)
		if err != nil {
			for _, known := range []error{
				parameterpolicy.ErrText, parameterpolicy.ErrType, parameterpolicy.ErrAttribute, parameterpolicy.ErrTooMany, parameterpolicy.ErrConflict,
			} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("an error of no kind: %v", err)
		}
		if len(policies) > parameterpolicy.Maximum || parameterpolicy.Check(policies) != nil {
			t.Fatalf("%+v was read", policies)
		}
		var texts []string
		for i := range policies {
			texts = append(texts, policies[i].Text())
		}
		again, err := parameterpolicy.Parse("[" + strings.Join(texts, ",") + "]")
		if err != nil || len(policies) > 0 && !reflect.DeepEqual(again, policies) {
			t.Fatalf("%+v is read back as %+v: %v", policies, again, err)
		}
	})
}
