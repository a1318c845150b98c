package shapes_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/limits/table"
	"strongroom.dev/strongroom/internal/gateway/shapes"
)

func names(t reflect.Type) (out []string) {
	for _, m := range shapes.Members(t) {
		out = append(out, m.Name)
	}
	return out
}

func TestMembersAreTheFieldsThatAreOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		typ  reflect.Type
		want []string
	}{
		{reflect.TypeFor[kms.ListKeysOutput](), []string{"Keys", "NextMarker", "Truncated"}},
		{reflect.TypeFor[kmstypes.Tag](), []string{"TagKey", "TagValue"}},
		{reflect.TypeFor[acmtypes.Filters](), []string{"exportOption", "extendedKeyUsage", "keyTypes", "keyUsage", "managedBy"}},
		{reflect.TypeFor[struct{}](), nil},
	} {
		for range 2 { // the second time from memory
			if got := names(tt.typ); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s: %v", tt.typ, got)
			}
		}
	}
}

// clients are the SDK's of the services that have members by name on the wire.
var clients = map[string]reflect.Type{
	"acm": reflect.TypeFor[*acm.Client](), "acm-pca": reflect.TypeFor[*acmpca.Client](), "kms": reflect.TypeFor[*kms.Client](),
	"secretsmanager": reflect.TypeFor[*secretsmanager.Client](), "ssm": reflect.TypeFor[*ssm.Client](),
}

// TestEveryMemberIsCalledAsInAWSsModel: of every input and output, at every depth. A name that is in another case would be passed
// over, as if the caller had not asked for what it says.
func TestEveryMemberIsCalledAsInAWSsModel(t *testing.T) {
	compared := 0
	for service, client := range clients {
		model, err := limits.For(service)
		if err != nil {
			t.Fatal(err)
		}
		for i := range client.NumMethod() {
			m := client.Method(i)
			op, ok := model.Operation(m.Name)
			if !ok || m.Type.NumIn() < 3 {
				continue
			}
			compared += compare(t, op.Input, m.Type.In(2).Elem(), map[*limits.Shape]bool{})
			compared += compare(t, op.Output, m.Type.Out(0).Elem(), map[*limits.Shape]bool{})
		}
	}
	if compared < 1000 {
		t.Errorf("%d members were compared", compared)
	}
}

func compare(t *testing.T, s *limits.Shape, typ reflect.Type, seen map[*limits.Shape]bool) (n int) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case s.Type == table.List:
		return compare(t, s.Element.Shape, typ.Elem(), seen)
	case s.Type == table.Map:
		return compare(t, s.Value.Shape, typ.Elem(), seen)
	case s.Type != table.Structure || s.Union || seen[s]:
		return 0
	}
	seen[s] = true
	ours := map[string]shapes.Member{}
	for _, m := range shapes.Members(typ) {
		ours[m.Name] = m
	}
	for _, m := range s.Members {
		found, ok := ours[m.Wire]
		if !ok {
			t.Errorf("%s of %s is no member of %s", m.Wire, s.Name, typ)
			continue
		}
		n += 1 + compare(t, m.Shape, found.Type, seen)
	}
	return n
}

func TestAbsentIsNotEmptyAndNotFalse(t *testing.T) {
	var nothing *string
	for _, tt := range []struct {
		value any
		want  bool
	}{
		{nothing, true}, {[]string(nil), true}, {map[string]string(nil), true}, {[]byte(nil), true}, {kmstypes.KeyState(""), true},
		{new(string), false}, {[]string{}, false}, {map[string]string{}, false}, {[]byte{}, false}, {kmstypes.KeyStateEnabled, false},
		{false, false}, {int32(0), false}, {0.0, false}, {"", false}, {kmstypes.Tag{}, false}, {time.Time{}, false},
	} {
		if got := shapes.Absent(reflect.ValueOf(tt.value)); got != tt.want {
			t.Errorf("%#v: %v", tt.value, got)
		}
	}
}

func TestATimeIsToTheMillisecondAndWithinTheYearsOfFourDigits(t *testing.T) {
	for seconds, want := range map[float64]time.Time{
		0: time.Unix(0, 0), 1.001: time.UnixMilli(1001), 1764000000.9994: time.UnixMilli(1764000000999), 1764000000.9996: time.Unix(1764000001, 0), -0.5: time.UnixMilli(-500),
		shapes.MaximumTime: time.Unix(shapes.MaximumTime, 0), -shapes.MaximumTime: time.Unix(-shapes.MaximumTime, 0), 1e-9: time.Unix(0, 0),
	} {
		if got, err := shapes.Time(seconds); err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%v: %v, %v", seconds, got, err)
		}
	}
	for _, seconds := range []float64{shapes.MaximumTime + 1, -shapes.MaximumTime - 1, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64} {
		if got, err := shapes.Time(seconds); err == nil {
			t.Errorf("%v: %v", seconds, got)
		}
	}
}

func TestAPlaceInAMessageIsShortAndUTF8(t *testing.T) {
	for pointer, want := range map[string]string{"": "/", "/a/0": "/a/0", "/\xff": "/?", strings.Repeat("a", 256): strings.Repeat("a", 256)} {
		if got := shapes.At(pointer); got != want {
			t.Errorf("%q: %q", pointer, got)
		}
	}
	if got := shapes.At(strings.Repeat("é", 100_000)); len(got) > 300 || !utf8.ValidString(got) || !strings.HasSuffix(got, "...") {
		t.Errorf("%d bytes", len(got))
	}
}

func TestTypesHaveAWSsNames(t *testing.T) {
	for want, v := range map[string]any{
		"a String": new(string), "a Boolean": true, "an Integer": new(int32), "a Long": int64(0), "a Double": 0.0, "a Float": float32(0), "a Byte": int8(0), "a Short": int16(0),
		"a Blob": []byte{}, "a List": []string{}, "a Map": map[string]string{}, "a Timestamp": new(time.Time), "a Structure": kmstypes.Tag{},
	} {
		if got := shapes.TypeName(reflect.TypeOf(v)); got != want {
			t.Errorf("%T: %s, not %s", v, got, want)
		}
	}
	if got := shapes.TypeName(nil); got != "the member's type" {
		t.Error(got)
	}
}
