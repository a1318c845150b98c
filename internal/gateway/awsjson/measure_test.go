package awsjson_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"strongroom.dev/strongroom/internal/gateway/awsjson"
	"strongroom.dev/strongroom/internal/gateway/shapes"
)

func listOf(n int, entry string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(entry+",", n), ",") + "]"
}

func TestWhatABodyHoldsIsCountedBeforeAnythingIsMadeOfIt(t *testing.T) {
	half := listOf(shapes.MaximumEntries/2, "0")
	for name, tt := range map[string]struct {
		body string
		want error
	}{
		"as many entries as there may be":         {`{"a":` + listOf(shapes.MaximumEntries, "0") + `}`, nil},
		"one more":                                {`{"a":` + listOf(shapes.MaximumEntries+1, "0") + `}`, shapes.ErrManyEntries},
		"in a list that no member is called":      {`{"none":{"a":[` + listOf(shapes.MaximumEntries+1, "0") + `]}}`, shapes.ErrManyEntries},
		"members":                                 {`{` + strings.Repeat(`"a":0,`, shapes.MaximumEntries) + `"a":0}`, shapes.ErrManyEntries},
		"commas in text are none":                 {`{"a":"` + strings.Repeat(`,[{\"`, 40000) + `"}`, nil},
		"several lists, together not too many":    {`{"a":` + half + `,"b":` + half + `,"c":` + half + `}`, nil},
		"several lists, together too many":        {`{"a":` + half + `,"b":` + half + `,"c":` + half + `,"d":` + half + `}`, shapes.ErrManyValues},
		"lists in lists":                          {`{"a":` + listOf(8000, "[[[0]]]") + `}`, shapes.ErrManyValues},
		"empty structures":                        {`{"a":` + listOf(8100, "{}") + `,"b":` + listOf(8100, "{}") + `}`, shapes.ErrManyValues},
		"as deep as may be":                       {`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, nil},
		"deeper":                                  {`{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, shapes.ErrTooDeep},
		"closed more often than opened, no panic": {strings.Repeat("]", 100) + "," + strings.Repeat("}", 100), nil},
	} {
		values, err := awsjson.Measure([]byte(tt.body))
		if !errors.Is(err, tt.want) || (err != nil) != (tt.want != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && values > shapes.MaximumValues {
			t.Errorf("%s: %d values", name, values)
		}
		if tt.want != nil && !errors.Is(err, awsjson.ErrSerialization) {
			t.Errorf("%s is not a SerializationException", name)
		}
		if err := awsjson.Decode([]byte(tt.body), new(kms.EncryptInput)); tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: Decode says %v", name, err)
		}
	}
}

// TestTheLargestBodyTakesFewMegabytes: a megabyte of {} in a list was 28 MB of structs.
func TestTheLargestBodyTakesFewMegabytes(t *testing.T) {
	for name, body := range map[string]string{
		"one list":     `{"Filters":` + listOf(340_000, "{}") + `}`,
		"a list again": `{"Filters":` + listOf(8_000, `{"Values":[`+strings.TrimSuffix(strings.Repeat(`"",`, 40), ",")+`]}`) + `}`,
		"as allowed":   `{"Filters":` + listOf(5_000, `{"Values":[""]}`) + `}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		in := new(secretsmanager.ListSecretsInput)
		_ = awsjson.Decode([]byte(body), in)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
			t.Errorf("%s: %d bytes for a body of %d", name, took, len(body))
		}
	}
}
