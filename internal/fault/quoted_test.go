package fault_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"strongroom.dev/strongroom/internal/fault"
)

// The API server quotes a value in more ways than "Invalid value": each ErrorType of package field that takes one.
func TestNoValueThatTheAPIServerQuotesInAnotherWayGetsIntoAMessage(t *testing.T) {
	const canary = "CANARY-hunter2"
	path := field.NewPath("data", "key")
	for name, err := range map[string]error{
		"unsupported":                        invalid(field.NotSupported(path, canary, []string{"a", "b"})),
		"duplicate":                          invalid(field.Duplicate(path, canary)),
		"not found":                          invalid(field.NotFound(path, canary)),
		"too long":                           invalid(field.TooLong(path, canary, 3)),
		"a duplicate, then an invalid value": invalid(field.Duplicate(path, canary), field.Invalid(path, canary, "no")),
	} {
		if m := fault.Message(err); strings.Contains(m, canary) {
			t.Errorf("%s: %q", name, m)
		}
	}
}
