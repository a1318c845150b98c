package awsquery_test

import (
	"strconv"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/gateway/awsquery"
	"strongroom.dev/strongroom/internal/gateway/shapes"
)

func TestTheValuesOfAFormAreThePartsOfItsNames(t *testing.T) {
	for form, want := range map[string]int{
		"":                                      1,
		"Action=ListUsers&Version=2010-05-08":   2,
		"Tags.member.1.Key=a.b.c":               4, // dots of values are none
		"Tags%2Emember%2e1.Key=a":               4, // and those of names are, however they are written
		"Policy=%22%22%22%2E&PolicyArns=a":      2,
		strings.Repeat("a.b.c.d.e.f.g=&", 8000): shapes.MaximumValues, // more is refused when it is read
	} {
		if got, err := awsquery.Measure([]byte(form)); err != nil || got != want {
			t.Errorf("%.40s: %d, %v", form, got, err)
		}
	}
	for n, refused := range map[int]bool{awsquery.MaximumParameters: false, awsquery.MaximumParameters + 1: true} {
		var form strings.Builder
		for i := range n {
			form.WriteString("&p" + strconv.Itoa(i) + "=")
		}
		if _, err := awsquery.Measure([]byte(form.String()[1:])); (err != nil) != refused {
			t.Errorf("%d parameters: %v", n, err)
		}
	}
}
