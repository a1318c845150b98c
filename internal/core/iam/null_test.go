package iam_test

import (
	"strings"
	"testing"
	"testing/quick"

	"strongroom.dev/strongroom/internal/core/iam"
)

// Null is asked about true and false. A variable in it would be written out although nothing of the request is compared, at a cost that
// nobody counted.
func TestNullIsComparedWithTrueAndFalseAndNoVariable(t *testing.T) {
	for value, good := range map[string]bool{"true": true, "false": true, "${a}": false, strings.Repeat("${a}", 4000): false} {
		_, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Null":{"absent":"`+value+`"}}}}`), iam.Identity)
		if (err == nil) != good || err != nil && len(err.Error()) > 300 {
			t.Errorf("%.20q: %v", value, err)
		}
	}
}

// The work of a condition is that of each comparand with each value, however it is summed.
func TestTheWorkOfAConditionIsTheSumOverItsValues(t *testing.T) {
	p, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"k":["a*b?c","${k}"]}}}}`), iam.Identity)
	if err != nil {
		t.Fatal(err)
	}
	work := func(values ...string) int64 {
		return iam.WorkOf(&iam.Policies{Identity: []*iam.Policy{p}}, iam.Map{"k": values}).Fixed
	}
	law := func(a, b uint8) bool {
		x, y := strings.Repeat("x", int(a)+1), strings.Repeat("y", int(a)+1)
		return work(x, y)-work(x) == work(x)-work() && work(x) > work() && (b == 0 || work(x+strings.Repeat("x", int(b))) > work(x))
	}
	if err := quick.Check(law, nil); err != nil {
		t.Error(err)
	}
}
