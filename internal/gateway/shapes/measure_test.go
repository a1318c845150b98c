package shapes_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"strongroom.dev/strongroom/internal/gateway/shapes"
)

func TestTheHeaviestValueIsTheLargestThatATypeCanBeMadeOf(t *testing.T) {
	type large struct{ A, B, C, D, E, F, G, H string }
	type recursive struct {
		Not *recursive
		And []recursive
		Big *large
	}
	for name, tt := range map[string]struct {
		typ  reflect.Type
		want uintptr
	}{
		"a string":              {reflect.TypeFor[struct{ A *string }](), 48},
		"a time is one value":   {reflect.TypeFor[struct{ A *time.Time }](), 48},
		"a struct":              {reflect.TypeFor[large](), reflect.TypeFor[large]().Size()},
		"an entry of a list":    {reflect.TypeFor[struct{ A []large }](), 2 * reflect.TypeFor[large]().Size()},
		"a list of a list":      {reflect.TypeFor[struct{ A []struct{ B []large } }](), 2 * reflect.TypeFor[large]().Size()},
		"a pointer to a struct": {reflect.TypeFor[struct{ A *large }](), reflect.TypeFor[large]().Size()},
		"a table of a map":      {reflect.TypeFor[struct{ A map[string]string }](), 8 * 32},
		"a type that has itself": {reflect.TypeFor[struct{ A *recursive }](),
			max(2*reflect.TypeFor[recursive]().Size(), reflect.TypeFor[large]().Size())},
	} {
		if got := shapes.Heaviest(reflect.PointerTo(tt.typ)); got < int(tt.want) || got > int(tt.want)+48 {
			t.Errorf("%s: %d, not %d", name, got, tt.want)
		}
	}
	// What is really served is in the hundreds of bytes: the largest request there can be is some megabytes.
	for _, in := range []any{new(kms.EncryptInput), new(acm.RequestCertificateInput), new(acm.ListCertificatesInput)} {
		if got := shapes.Heaviest(reflect.TypeOf(in)); got > 1024 {
			t.Errorf("%T: %d bytes a value", in, got)
		}
	}
}
