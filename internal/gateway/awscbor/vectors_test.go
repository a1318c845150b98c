package awscbor_test

import (
	"encoding/base64"
	"math"
	"reflect"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/gateway/awscbor"
)

// The shapes of Smithy's protocol tests, as the SDK's generator would write them. Their names on the wire begin with a small letter,
// which AWS's own shapes do not: so the bytes of the tests are given names with a capital one, of the same length.
// https://github.com/smithy-lang/smithy/tree/main/smithy-protocol-tests/model/rpcv2Cbor
type (
	scalars struct {
		TrueBooleanValue, FalseBooleanValue *bool
		ByteValue                           *int8
		ShortValue                          *int16
		IntegerValue                        *int32
		LongValue                           *int64
		FloatValue                          *float32
		DoubleValue                         *float64
		StringValue                         *string
		BlobValue                           []byte
	}
	lists struct {
		StringList, StringSet []string
		IntegerList           []int32
		BooleanList           []bool
		TimestampList         []time.Time
		EnumList              []foo
		IntEnumList           []int32
		NestedStringList      [][]string
		StructureList         []pair
		BlobList              [][]byte
	}
	foo  string
	pair struct{ A, B *string }

	greeting struct{ Hi *string }
	maps     struct {
		DenseStructMap  map[string]greeting
		DenseNumberMap  map[string]int32
		DenseBooleanMap map[string]bool
		DenseStringMap  map[string]string
		DenseSetMap     map[string][]string
	}
	sparse struct {
		SparseStructMap  map[string]*greeting
		SparseNumberMap  map[string]*int32
		SparseBooleanMap map[string]*bool
		SparseStringMap  map[string]*string
		SparseSetMap     map[string][]string
		SparseStringList []*string
	}
	recursive struct{ Nested *nested1 }
	nested1   struct {
		Foo    *string
		Nested *nested2
	}
	nested2 struct {
		Bar             *string
		RecursiveMember *nested1
	}
	times  struct{ Datetime *time.Time }
	halves struct{ Value *float64 }
)

func to[T any](v T) *T { return &v }

// capital gives the names of members in a document a capital letter. It is a walk of its own, so that it is not this codec that the
// tests are read by.
func capital(t *testing.T, encoded string, structures int) []byte {
	t.Helper()
	body, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return renamed(body, structures)
}

func capitalised(encoded string, structures int) []byte {
	body, _ := base64.StdEncoding.DecodeString(encoded)
	return renamed(body, structures)
}

func renamed(body []byte, structures int) []byte {
	w := &renamer{body: body}
	w.value(structures)
	return body
}

type renamer struct {
	body []byte
	at   int
}

func (w *renamer) head() (kind, info byte, n int) {
	kind, info = w.body[w.at]>>5, w.body[w.at]&31
	w.at++
	n = int(info)
	switch info {
	case 24:
		n, w.at = int(w.body[w.at]), w.at+1
	case 25:
		n, w.at = int(w.body[w.at])<<8|int(w.body[w.at+1]), w.at+2
	case 26, 27:
		w.at += 1 << (info - 24)
	case 31:
		n = math.MaxInt
	}
	return kind, info, n
}

// value walks over a value, of which so many levels of maps are structures: those below are maps of the caller's.
func (w *renamer) value(structures int) {
	kind, info, n := w.head()
	switch kind {
	case 2, 3:
		w.text(info, n, false)
	case 4, 5:
		for i := 0; i < n; i++ {
			if w.body[w.at] == 0xff {
				w.at++
				return
			}
			if kind == 5 {
				_, info, n := w.head()
				w.text(info, n, structures > 0)
				w.value(structures - 1)
			} else {
				w.value(structures)
			}
		}
	case 6:
		w.value(structures)
	}
}

func (w *renamer) text(info byte, n int, rename bool) {
	if info == 31 {
		for first := true; w.body[w.at] != 0xff; first = false {
			_, _, n := w.head()
			w.text(0, n, rename && first)
		}
		w.at++
		return
	}
	if rename && w.body[w.at] >= 'a' {
		w.body[w.at] -= 'a' - 'A'
	}
	w.at += n
}

const (
	long    = "An example indefinite string, which will be chunked, on each comma"
	oneOnly = "Another example indefinite string with only one chunk"
	plain   = "This is a plain string"
)

func simple() *scalars {
	return &scalars{
		TrueBooleanValue: to(true), FalseBooleanValue: to(false), ByteValue: to[int8](5), ShortValue: to[int16](9898), IntegerValue: to[int32](256),
		LongValue: to[int64](9873), FloatValue: to[float32](7.625), DoubleValue: to(1.889), StringValue: to("simple"), BlobValue: []byte("foo"),
	}
}

func all() *lists {
	at := time.Unix(1398796238, 0).UTC()
	return &lists{
		StringList: []string{"foo", "bar"}, StringSet: []string{"foo", "bar"}, IntegerList: []int32{1, 2}, BooleanList: []bool{true, false},
		TimestampList: []time.Time{at, at}, EnumList: []foo{"Foo", "0"}, IntEnumList: []int32{1, 2},
		NestedStringList: [][]string{{"foo", "bar"}, {"baz", "qux"}}, BlobList: [][]byte{[]byte("foo"), []byte("bar")},
		StructureList: []pair{{to("1"), to("2")}, {to("3"), to("4")}},
	}
}

func deep() *recursive {
	return &recursive{&nested1{to("Foo1"), &nested2{to("Bar1"), &nested1{to("Foo2"), &nested2{to("Bar2"), nil}}}}}
}

// vectors are Smithy's, by their ids. Those for clients are of the same language, and are read here too.
var vectors = []struct {
	id, body string
	// structures is how many levels of maps in the body are structures.
	structures int
	want       any
}{
	{"RpcV2CborSimpleScalarProperties", "v2lieXRlVmFsdWUFa2RvdWJsZVZhbHVl+z/+OVgQYk3TcWZhbHNlQm9vbGVhblZhbHVl9GpmbG9hdFZhbHVl+kD0AABsaW50ZWdlclZhbHVlGQEAaWxvbmdWYWx1ZRkmkWpzaG9ydFZhbHVlGSaqa3N0cmluZ1ZhbHVlZnNpbXBsZXB0cnVlQm9vbGVhblZhbHVl9WlibG9iVmFsdWVDZm9v/w==", 1, simple()},
	{"RpcV2CborSimpleScalarPropertiesUsingIndefiniteLength", "qmlieXRlVmFsdWUFf2Zkb3VibGVlVmFsdWX/+z/+OVgQYk3Tf2VmYWxzZWdCb29sZWFuZVZhbHVl//RqZmxvYXRWYWx1ZfpA9AAAbGludGVnZXJWYWx1ZRkBAGlsb25nVmFsdWUZJpFqc2hvcnRWYWx1ZRkmqn9mc3RyaW5nZVZhbHVl/2ZzaW1wbGVwdHJ1ZUJvb2xlYW5WYWx1ZfVpYmxvYlZhbHVlQ2Zvbw==", 1, simple()},
	{"RpcV2CborClientDoesntSerializeNullStructureValues", "v/8=", 1, &scalars{}},
	{"RpcV2CborServerDoesntDeSerializeNullStructureValues", "v2tzdHJpbmdWYWx1Zfb/", 1, &scalars{}},
	{"RpcV2CborSupportsNaNFloatInputs", "v2tkb3VibGVWYWx1Zft/+AAAAAAAAGpmbG9hdFZhbHVl+n/AAAD/", 1, &scalars{DoubleValue: to(math.NaN()), FloatValue: to(float32(math.NaN()))}},
	{"RpcV2CborSupportsInfinityFloatInputs", "v2tkb3VibGVWYWx1Zft/8AAAAAAAAGpmbG9hdFZhbHVl+n+AAAD/", 1, &scalars{DoubleValue: to(math.Inf(1)), FloatValue: to(float32(math.Inf(1)))}},
	{"RpcV2CborSupportsNegativeInfinityFloatInputs", "v2tkb3VibGVWYWx1Zfv/8AAAAAAAAGpmbG9hdFZhbHVl+v+AAAD/", 1, &scalars{DoubleValue: to(math.Inf(-1)), FloatValue: to(float32(math.Inf(-1)))}},
	{"RpcV2CborIndefiniteLengthStringsCanBeDeserialized", "oWtzdHJpbmdWYWx1ZX94HUFuIGV4YW1wbGUgaW5kZWZpbml0ZSBzdHJpbmcscSBjaHVua2VkIG9uIGNvbW1h/w==", 1, &scalars{StringValue: to("An example indefinite string, chunked on comma")}},
	{"RpcV2CborIndefiniteLengthByteStringsCanBeDeserialized", "oWlibG9iVmFsdWVfWCJBbiBleGFtcGxlIGluZGVmaW5pdGUtYnl0ZSBzdHJpbmcsUSBjaHVua2VkIG9uIGNvbW1h/w==", 1, &scalars{BlobValue: []byte("An example indefinite-byte string, chunked on comma")}},
	{"RpcV2CborSupportsUpcastingData", "v2tkb3VibGVWYWx1Zfk+AGpmbG9hdFZhbHVl+UegbGludGVnZXJWYWx1ZRg4aWxvbmdWYWx1ZRkBAGpzaG9ydFZhbHVlCv8=", 1, &scalars{DoubleValue: to(1.5), FloatValue: to[float32](7.625), IntegerValue: to[int32](56), LongValue: to[int64](256), ShortValue: to[int16](10)}},
	{"RpcV2CborExtraFieldsInTheBodyShouldBeSkippedByServers", "v2lieXRlVmFsdWUFa2RvdWJsZVZhbHVl+z/+OVgQYk3TcWZhbHNlQm9vbGVhblZhbHVl9GpmbG9hdFZhbHVl+kD0AABrZXh0cmFPYmplY3S/c2luZGVmaW5pdGVMZW5ndGhNYXC/a3dpdGhBbkFycmF5nwECA///cWRlZmluaXRlTGVuZ3RoTWFwo3J3aXRoQURlZmluaXRlQXJyYXmDAQIDeB1hbmRTb21lSW5kZWZpbml0ZUxlbmd0aFN0cmluZ3gfdGhhdCBoYXMsIGJlZW4gY2h1bmtlZCBvbiBjb21tYWxub3JtYWxTdHJpbmdjZm9vanNob3J0VmFsdWUZJw9uc29tZU90aGVyRmllbGR2dGhpcyBzaG91bGQgYmUgc2tpcHBlZP9saW50ZWdlclZhbHVlGQEAaWxvbmdWYWx1ZRkmkWpzaG9ydFZhbHVlGSaqa3N0cmluZ1ZhbHVlZnNpbXBsZXB0cnVlQm9vbGVhblZhbHVl9WlibG9iVmFsdWVDZm9v/w==", 1, simple()},
	{"RpcV2CborRecursiveShapes", "v2ZuZXN0ZWS/Y2Zvb2RGb28xZm5lc3RlZL9jYmFyZEJhcjFvcmVjdXJzaXZlTWVtYmVyv2Nmb29kRm9vMmZuZXN0ZWS/Y2JhcmRCYXIy//////8=", 9, deep()},
	{"RpcV2CborRecursiveShapesUsingDefiniteLength", "oWZuZXN0ZWSiY2Zvb2RGb28xZm5lc3RlZKJjYmFyZEJhcjFvcmVjdXJzaXZlTWVtYmVyomNmb29kRm9vMmZuZXN0ZWShY2JhcmRCYXIy", 9, deep()},
	{"RpcV2CborLists", "v2pzdHJpbmdMaXN0gmNmb29jYmFyaXN0cmluZ1NldIJjZm9vY2JhcmtpbnRlZ2VyTGlzdIIBAmtib29sZWFuTGlzdIL19G10aW1lc3RhbXBMaXN0gsH7QdTX+/OAAADB+0HU1/vzgAAAaGVudW1MaXN0gmNGb29hMGtpbnRFbnVtTGlzdIIBAnBuZXN0ZWRTdHJpbmdMaXN0goJjZm9vY2JhcoJjYmF6Y3F1eG1zdHJ1Y3R1cmVMaXN0gqJhYWExYWJhMqJhYWEzYWJhNGhibG9iTGlzdIJDZm9vQ2Jhcv8=", 2, all()},
	{"RpcV2CborLists, of indefinite lengths", "v2pzdHJpbmdMaXN0n2Nmb29jYmFy/2lzdHJpbmdTZXSfY2Zvb2NiYXL/a2ludGVnZXJMaXN0nwEC/2tib29sZWFuTGlzdJ/19P9tdGltZXN0YW1wTGlzdJ/B+0HU1/vzgAAAwftB1Nf784AAAP9oZW51bUxpc3SfY0Zvb2Ew/2tpbnRFbnVtTGlzdJ8BAv9wbmVzdGVkU3RyaW5nTGlzdJ+fY2Zvb2NiYXL/n2NiYXpjcXV4//9tc3RydWN0dXJlTGlzdJ+/YWFhMWFiYTL/v2FhYTNhYmE0//9oYmxvYkxpc3SfQ2Zvb0NiYXL//w==", 2, all()},
	{"RpcV2CborListsEmpty", "v2pzdHJpbmdMaXN0n///", 1, &lists{StringList: []string{}}},
	{"RpcV2CborListsEmptyUsingDefiniteLength", "oWpzdHJpbmdMaXN0gA==", 1, &lists{StringList: []string{}}},
	{"RpcV2CborIndefiniteStringInsideIndefiniteList", "v2pzdHJpbmdMaXN0n394HUFuIGV4YW1wbGUgaW5kZWZpbml0ZSBzdHJpbmcsdyB3aGljaCB3aWxsIGJlIGNodW5rZWQsbiBvbiBlYWNoIGNvbW1h/394NUFub3RoZXIgZXhhbXBsZSBpbmRlZmluaXRlIHN0cmluZyB3aXRoIG9ubHkgb25lIGNodW5r/3ZUaGlzIGlzIGEgcGxhaW4gc3RyaW5n//8=", 1, &lists{StringList: []string{long, oneOnly, plain}}},
	{"RpcV2CborIndefiniteStringInsideDefiniteList", "oWpzdHJpbmdMaXN0g394HUFuIGV4YW1wbGUgaW5kZWZpbml0ZSBzdHJpbmcsdyB3aGljaCB3aWxsIGJlIGNodW5rZWQsbiBvbiBlYWNoIGNvbW1h/394NUFub3RoZXIgZXhhbXBsZSBpbmRlZmluaXRlIHN0cmluZyB3aXRoIG9ubHkgb25lIGNodW5r/3ZUaGlzIGlzIGEgcGxhaW4gc3RyaW5n", 1, &lists{StringList: []string{long, oneOnly, plain}}},
	{"RpcV2CborMaps", "oW5kZW5zZVN0cnVjdE1hcKJjZm9voWJoaWV0aGVyZWNiYXqhYmhpY2J5ZQ==", 1, nil},
	{"RpcV2CborSerializesZeroValuesInMaps", "om5kZW5zZU51bWJlck1hcKFheABvZGVuc2VCb29sZWFuTWFwoWF49A==", 1, &maps{DenseNumberMap: map[string]int32{"x": 0}, DenseBooleanMap: map[string]bool{"x": false}}},
	{"RpcV2CborSerializesDenseSetMap", "oWtkZW5zZVNldE1hcKJheIBheYJhYWFi", 1, &maps{DenseSetMap: map[string][]string{"x": {}, "y": {"a", "b"}}}},
	{"RpcV2CborSerializesNullMapValues", "v3BzcGFyc2VCb29sZWFuTWFwv2F49v9vc3BhcnNlTnVtYmVyTWFwv2F49v9vc3BhcnNlU3RyaW5nTWFwv2F49v9vc3BhcnNlU3RydWN0TWFwv2F49v//", 1, &sparse{SparseBooleanMap: map[string]*bool{"x": nil}, SparseNumberMap: map[string]*int32{"x": nil}, SparseStringMap: map[string]*string{"x": nil}, SparseStructMap: map[string]*greeting{"x": nil}}},
	{"RpcV2CborSerializesZeroValuesInSparseMaps", "v29zcGFyc2VOdW1iZXJNYXC/YXgA/3BzcGFyc2VCb29sZWFuTWFwv2F49P//", 1, &sparse{SparseNumberMap: map[string]*int32{"x": to[int32](0)}, SparseBooleanMap: map[string]*bool{"x": to(false)}}},
	{"RpcV2CborSparseMapsSerializeNullValues", "v29zcGFyc2VTdHJpbmdNYXC/Y2Zvb/b//w==", 1, &sparse{SparseStringMap: map[string]*string{"foo": nil}}},
	{"RpcV2CborSparseListsSerializeNull", "v3BzcGFyc2VTdHJpbmdMaXN0n/b//w==", 1, &sparse{SparseStringList: []*string{nil}}},
	{"RpcV2CborDateTimeWithFractionalSeconds", "v2hkYXRldGltZcH7Qcw32zgPvnf/", 1, &times{to(time.UnixMilli(946845296123).UTC())}},
	{"RpcV2CborFloat16Inf", "oWV2YWx1Zfl8AA==", 1, &halves{to(math.Inf(1))}},
	{"RpcV2CborFloat16NegInf", "oWV2YWx1Zfn8AA==", 1, &halves{to(math.Inf(-1))}},
	{"RpcV2CborFloat16LSBNaN", "oWV2YWx1Zfl8AQ==", 1, &halves{to(math.NaN())}},
	{"RpcV2CborFloat16MSBNaN", "oWV2YWx1Zfl+AA==", 1, &halves{to(math.NaN())}},
	{"RpcV2CborFloat16Subnormal", "oWV2YWx1ZfkAUA==", 1, &halves{to(0.00000476837158203125)}},
}

func TestSmithysProtocolTestsAreReadAndWritten(t *testing.T) {
	for _, tt := range vectors {
		t.Run(tt.id, func(t *testing.T) {
			if tt.want == nil { // a map of structures: its keys are the caller's
				structMap(t, tt.body)
				return
			}
			body := capital(t, tt.body, tt.structures)
			got := reflect.New(reflect.TypeOf(tt.want).Elem()).Interface()
			if err := awscbor.Decode(body, got); err != nil {
				t.Fatal(err)
			}
			if !same(got, tt.want) {
				t.Fatalf("read %+v, not %+v", got, tt.want)
			}
			again := reflect.New(reflect.TypeOf(tt.want).Elem()).Interface()
			if err := awscbor.Decode(awscbor.Append(nil, tt.want), again); err != nil {
				t.Fatal(err)
			}
			if !same(again, tt.want) {
				t.Errorf("came back as %+v", again)
			}
		})
	}
}

func structMap(t *testing.T, body string) {
	t.Helper()
	want := &maps{DenseStructMap: map[string]greeting{"foo": {to("there")}, "baz": {to("bye")}}}
	raw, _ := base64.StdEncoding.DecodeString(body)
	document := capital(t, body, 1)
	for i := range document[:len(document)-1] { // "hi" is a member, two levels down
		if raw[i] == 0x62 && raw[i+1] == 'h' {
			document[i+1] = 'H'
		}
	}
	var got maps
	if err := awscbor.Decode(document, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("%+v", got)
	}
	if encoded := awscbor.Append(nil, want); len(encoded) != len(document) {
		t.Errorf("written as %x", encoded)
	}
}

// same compares as DeepEqual does, and NaN with NaN too: by what the codec writes of both.
func same(a, b any) bool {
	return reflect.DeepEqual(a, b) || string(awscbor.Append(nil, a)) == string(awscbor.Append(nil, b)) && hasNaN(b)
}

func hasNaN(v any) bool {
	switch v := v.(type) {
	case *scalars:
		return v.DoubleValue != nil && math.IsNaN(*v.DoubleValue)
	case *halves:
		return math.IsNaN(*v.Value)
	}
	return false
}
