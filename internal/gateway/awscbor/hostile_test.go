package awscbor_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"strongroom.dev/strongroom/internal/gateway/awscbor"
	"strongroom.dev/strongroom/internal/gateway/shapes"
)

// x is a document in hexadecimal, with text in quotes: "a" stands for its bytes, head and all.
func x(t testing.TB, parts ...string) []byte {
	t.Helper()
	var out []byte
	for _, part := range parts {
		if text, quoted := strings.CutPrefix(part, `'`); quoted {
			if n := len(text); n < 24 {
				out = append(out, 0x60|byte(n))
			} else {
				out = append(out, 0x78, byte(n))
			}
			out = append(out, text...)
			continue
		}
		raw, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, raw...)
	}
	return out
}

const secret = "hunter2hunter2"

func TestWhatIsNotTheShapeIsRefusedWithTheMembersName(t *testing.T) {
	for name, tt := range map[string]struct {
		body []byte
		want string
	}{
		"null":                              {x(t, "f6"), "not a CBOR map"},
		"a list":                            {x(t, "80"), "not a CBOR map"},
		"text":                              {x(t, "'"+secret), "not a CBOR map"},
		"a map in a tag":                    {x(t, "d9d9f7 a0"), "not a CBOR map"},
		"JSON":                              {[]byte(`{"KeyId":"` + secret + `"}`), "not valid CBOR"},
		"half a document":                   {x(t, "a1", "'KeyId", "6e 68756e"), "not valid CBOR"},
		"a length beyond the document":      {x(t, "a1", "'Plaintext", "5b 7fffffffffffffff"), "not valid CBOR"},
		"a list longer than memory":         {x(t, "a1", "'GrantTokens", "9b ffffffffffffffff"), "not valid CBOR"},
		"a map longer than memory":          {x(t, "bb ffffffffffffffff"), "not valid CBOR"},
		"a map without an end":              {x(t, "bf", "'KeyId", "'a"), "not valid CBOR"},
		"an end without a beginning":        {x(t, "a1", "'KeyId", "ff"), "not valid CBOR"},
		"a key without a value":             {x(t, "bf", "'KeyId", "ff"), "not valid CBOR"},
		"reserved information":              {x(t, "a1", "'KeyId", "1c"), "not valid CBOR"},
		"a simple value in two bytes":       {x(t, "a1", "'DryRun", "f8 15"), "not valid CBOR"},
		"a chunk of another type":           {x(t, "a1", "'Plaintext", "5f 61 61 ff"), "not valid CBOR"},
		"a chunk within a chunk":            {x(t, "a1", "'Plaintext", "5f 5f 41 61 ff ff"), "not valid CBOR"},
		"two documents":                     {x(t, "a0 a0"), "something is behind the document"},
		"rubbish behind it":                 {append(x(t, "a0"), secret...), "something is behind the document"},
		"a member twice":                    {x(t, "a2", "'KeyId", "'a", "'KeyId", "'"+secret), "/KeyId: the member is there twice"},
		"a member twice, once null":         {x(t, "a2", "'KeyId", "f6", "'KeyId", "'"+secret), "/KeyId: the member is there twice"},
		"a member twice, once in chunks":    {x(t, "a2", "'KeyId", "'a", "7f", "'Key", "'Id", "ff", "'b"), "/KeyId: the member is there twice"},
		"an unknown member twice":           {x(t, "a2", "'X", "01", "'X", "02"), "/X: the member is there twice"},
		"a key twice, far down in another":  {x(t, "a1", "'X", "81 a2", "'y", "01", "'y", "02"), "/X/y: the member is there twice"},
		"a key of a map twice":              {x(t, "a1", "'EncryptionContext", "bf", "'a", "'b", "'a", "'c", "ff"), "/EncryptionContext/a: the member is there twice"},
		"a key that is a number":            {x(t, "a1 01", "'"+secret), "a key is INTEGER_VALUE, and not text"},
		"a key that is bytes":               {x(t, "a1 45 4b65794964", "'a"), "a key is BYTE_STRING, and not text"},
		"a key that is null, in another":    {x(t, "a1", "'X", "a1 f6 01"), "/X: a key is NULL_VALUE, and not text"},
		"text that is no UTF-8":             {x(t, "a1", "'KeyId", "61 ff"), "/KeyId: the text is not UTF-8"},
		"text with half a surrogate pair":   {x(t, "a1", "'KeyId", "63 eda080"), "/KeyId: the text is not UTF-8"},
		"a character cut by chunks":         {x(t, "a1", "'KeyId", "7f 61 c3 61 a9 ff"), "/KeyId: the text is not UTF-8"},
		"no UTF-8 in an unknown member":     {x(t, "a1", "'X", "61 ff"), "/X: the text is not UTF-8"},
		"no UTF-8 in a member's name":       {x(t, "a1 61 ff 01"), "the text is not UTF-8"},
		"a number for a string":             {x(t, "a1", "'KeyId", "01"), "/KeyId: INTEGER_VALUE can not be converted to a String"},
		"bytes for a string":                {x(t, "a1", "'KeyId", "4e", hex.EncodeToString([]byte(secret))), "/KeyId: BYTE_STRING can not be converted to a String"},
		"a list for a string":               {x(t, "a1", "'KeyId", "81", "'"+secret), "/KeyId: START_ARRAY can not be converted to a String"},
		"a tag around a string":             {x(t, "a1", "'KeyId", "d820", "'"+secret), "/KeyId: TAG can not be converted to a String"},
		"text for a boolean":                {x(t, "a1", "'DryRun", "'true"), "/DryRun: TEXT_STRING can not be converted to a Boolean"},
		"1 for a boolean":                   {x(t, "a1", "'DryRun", "01"), "/DryRun: INTEGER_VALUE can not be converted to a Boolean"},
		"a simple value for a boolean":      {x(t, "a1", "'DryRun", "e0"), "/DryRun: SIMPLE_VALUE can not be converted to a Boolean"},
		"text for a map":                    {x(t, "a1", "'EncryptionContext", "'"+secret), "/EncryptionContext: TEXT_STRING can not be converted to a Map"},
		"a number in a map":                 {x(t, "a1", "'EncryptionContext", "a1", "'a", "01"), "/EncryptionContext/a: INTEGER_VALUE can not be converted to a String"},
		"null in a map":                     {x(t, "a1", "'EncryptionContext", "a1", "'a", "f6"), "/EncryptionContext/a: NULL_VALUE can not be converted to a String"},
		"undefined in a list":               {x(t, "a1", "'GrantTokens", "81 f7"), "/GrantTokens/0: NULL_VALUE can not be converted to a String"},
		"the second of a list":              {x(t, "a1", "'GrantTokens", "82", "'a", "f4"), "/GrantTokens/1: FALSE_VALUE can not be converted to a String"},
		"a map for a list":                  {x(t, "a1", "'GrantTokens", "a0"), "/GrantTokens: START_MAP can not be converted to a List"},
		"text for a blob":                   {x(t, "a1", "'Plaintext", "'"+secret), "/Plaintext: TEXT_STRING can not be converted to a Blob"},
		"a list of numbers for a blob":      {x(t, "a1", "'Plaintext", "83 01 02 03"), "/Plaintext: START_ARRAY can not be converted to a Blob"},
		"a bignum for a blob":               {x(t, "a1", "'Plaintext", "c2 43 010203"), "/Plaintext: TAG can not be converted to a Blob"},
		"a float for an enum":               {x(t, "a1", "'EncryptionAlgorithm", "f93c00"), "/EncryptionAlgorithm: FLOAT_VALUE can not be converted to a String"},
		"true for an enum":                  {x(t, "a1", "'EncryptionAlgorithm", "f5"), "/EncryptionAlgorithm: TRUE_VALUE can not be converted to a String"},
		"33 arrays and maps":                {x(t, "a1", "'X", strings.Repeat("81", 31)+"80"), "nested more than 32 deep"},
		"33 of indefinite length":           {x(t, "a1", "'X", strings.Repeat("9f", 32)+strings.Repeat("ff", 32)), "nested more than 32 deep"},
		"tags that are nested":              {x(t, "a1", "'X", strings.Repeat("c1", 40)+"01"), "nested more than 32 deep"},
		"a hundred thousand deep":           {append(x(t, "a1", "'X"), bytes.Repeat([]byte{0x81}, 100_000)...), "nested more than 32 deep"},
		"an entry too many":                 {x(t, "a1", "'X", "99 2001", strings.Repeat("00", 8193)), "more than 8192 entries"},
		"an entry too many, without a word": {x(t, "a1", "'X", "9f", strings.Repeat("00", 8193), "ff"), "more than 8192 entries"},
	} {
		err := awscbor.Decode(tt.body, new(kms.EncryptInput))
		switch {
		case !errors.Is(err, awscbor.ErrSerialization):
			t.Errorf("%s: %v", name, err)
		case !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %q does not say %q", name, err, tt.want)
		case strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: %q quotes the request", name, err)
		}
	}
}

func TestWhatIsAtItsLimitIsTaken(t *testing.T) {
	for name, body := range map[string][]byte{
		"32 deep":                      x(t, "a1", "'X", strings.Repeat("81", 30)+"80"),
		"32 deep of indefinite length": x(t, "bf", "'X", strings.Repeat("9f", 31)+strings.Repeat("ff", 31), "ff"),
		"8,192 entries":                x(t, "a1", "'X", "99 2000", strings.Repeat("00", 8192)),
		"8,192 without a word":         x(t, "a1", "'X", "9f", strings.Repeat("00", 8192), "ff"),
		"heads longer than needed":     x(t, "bb 0000000000000001", "78 05 4b65794964", "79 0001 61"),
		"any well-formed unknown":      x(t, "a1", "'X", "88 f7 e0 f8ff c100 c24100 f90000 3b ffffffffffffffff d9d9f7 80"),
		"a NUL in text":                x(t, "a1", "'KeyId", "63 610062"),
	} {
		if err := awscbor.Decode(body, new(kms.EncryptInput)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := awscbor.Decode(nil, new(kms.EncryptInput)); err != nil {
		t.Errorf("no body: %v", err)
	}
}

func TestAMemberThatIsNullOrUndefinedIsAbsent(t *testing.T) {
	var in kms.EncryptInput
	body := x(t, "a6", "'KeyId", "f6", "'EncryptionContext", "f7", "'GrantTokens", "f6", "'Plaintext", "f7", "'EncryptionAlgorithm", "f6", "'DryRun", "f6")
	if err := awscbor.Decode(body, &in); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in, kms.EncryptInput{}) {
		t.Errorf("%+v", in)
	}
}

func TestEmptyIsNotAbsent(t *testing.T) {
	var in kms.EncryptInput
	if err := awscbor.Decode(x(t, "a5", "'KeyId", "60", "'EncryptionContext", "a0", "'GrantTokens", "80", "'Plaintext", "5f ff", "'DryRun", "f4"), &in); err != nil {
		t.Fatal(err)
	}
	want := kms.EncryptInput{KeyId: to(""), EncryptionContext: map[string]string{}, GrantTokens: []string{}, Plaintext: []byte{}, DryRun: to(false)}
	if !reflect.DeepEqual(in, want) {
		t.Errorf("%+v", in)
	}
}

func TestNamesAreInTheirOwnCase(t *testing.T) {
	var in kms.EncryptInput
	if err := awscbor.Decode(x(t, "a2", "'keyId", "'a", "'KEYID", "'b"), &in); err != nil || in.KeyId != nil {
		t.Errorf("a member in another case was taken: %v, %v", in.KeyId, err)
	}
	var filtered acm.ListCertificatesInput
	if err := awscbor.Decode(x(t, "a1", "'Includes", "a2", "'keyTypes", "81", "'RSA_2048", "'KeyUsage", "81", "'ANY"), &filtered); err != nil {
		t.Fatal(err)
	}
	if f := filtered.Includes; len(f.KeyTypes) != 1 || f.KeyUsage != nil {
		t.Errorf("ACM's filters, whose members begin with a small letter: %+v", f)
	}
}

func TestNumbersHaveTheirRange(t *testing.T) {
	for name, tt := range map[string]struct {
		member, value string
		ok            bool
	}{
		"the largest Integer":             {"IntegerValue", "1a 7fffffff", true},
		"one more":                        {"IntegerValue", "1a 80000000", false},
		"the smallest Integer":            {"IntegerValue", "3a 7fffffff", true},
		"one less":                        {"IntegerValue", "3a 80000000", false},
		"the largest Long":                {"LongValue", "1b 7fffffffffffffff", true},
		"one more Long":                   {"LongValue", "1b 8000000000000000", false},
		"the smallest Long":               {"LongValue", "3b 7fffffffffffffff", true},
		"one less Long":                   {"LongValue", "3b 8000000000000000", false},
		"the smallest number of CBOR":     {"LongValue", "3b ffffffffffffffff", false},
		"a bignum":                        {"LongValue", "c2 41 01", false},
		"a float for an Integer":          {"IntegerValue", "f9 3c00", false},
		"text for an Integer":             {"IntegerValue", "61 31", false},
		"the largest Byte":                {"ByteValue", "18 7f", true},
		"one more Byte":                   {"ByteValue", "18 80", false},
		"the largest Short":               {"ShortValue", "19 7fff", true},
		"one more Short":                  {"ShortValue", "19 8000", false},
		"an integer for a Double":         {"DoubleValue", "1b 0020000000000000", true},
		"one that a Double cannot hold":   {"DoubleValue", "1b 0020000000000001", false},
		"a Double for a Float":            {"FloatValue", "fb 3ff8000000000000", true},
		"a Double that no Float can hold": {"FloatValue", "fb 7fefffffffffffff", false},
		"text for a Double":               {"DoubleValue", "63 4e614e", false},
	} {
		err := awscbor.Decode(x(t, "a1", "'"+tt.member, tt.value), new(scalars))
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, awscbor.ErrSerialization) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimesAreTag1AndNothingElse(t *testing.T) {
	for value, want := range map[string]time.Time{
		"c1 00":                  time.Unix(0, 0),
		"c1 1a 69251280":         time.Unix(0x69251280, 0),
		"c1 20":                  time.Unix(-1, 0),
		"d801 00":                time.Unix(0, 0),
		"c1 f9 3e00":             time.UnixMilli(1500),
		"c1 fa bfa00000":         time.UnixMilli(-1250),
		"c1 fb 41da4944a0200000": time.UnixMilli(1764037248500),
		"c1 1b 0000003afff4417f": time.Unix(253402300799, 0),
		"c1 3b 0000003afff4417e": time.Unix(-253402300799, 0),
		"c1 fb 3f50624dd2f1a9fc": time.UnixMilli(1),
	} {
		var in times
		if err := awscbor.Decode(x(t, "a1", "'Datetime", value), &in); err != nil || in.Datetime == nil || !in.Datetime.Equal(want) {
			t.Errorf("%s: %v, %v", value, in.Datetime, err)
		}
	}
	for value, why := range map[string]string{
		"00": "without a tag", "c0 74 323032362d31312d32355430303a30303a30305a": "text, in tag 0", "c1 74 323032362d31312d32355430303a30303a30305a": "text",
		"c1 c1 00": "a tag in a tag", "c2 41 01": "a bignum", "c1 1b 0000003afff44180": "the year 10000", "c1 f9 7e00": "NaN", "c1 f9 7c00": "infinity",
		"c1 1b ffffffffffffffff": "beyond all", "c1 f6": "null in the tag", "c1 80": "a list", "a0": "a map", "c3 41 01": "tag 3", "d9 0101 00": "tag 257",
	} {
		if err := awscbor.Decode(x(t, "a1", "'Datetime", value), new(times)); !errors.Is(err, awscbor.ErrSerialization) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestABodyOfManyChunksTakesItsOwnSizeAndNoMore(t *testing.T) {
	body := append(x(t, "a1", "'Plaintext", "5f"), bytes.Repeat([]byte{0x41, 'a'}, 100_000)...)
	body = append(body, 0xff)
	var in kms.EncryptInput
	if err := awscbor.Decode(body, &in); err != nil {
		t.Fatal(err)
	}
	if len(in.Plaintext) != 100_000 || cap(in.Plaintext) > 106_496 {
		t.Errorf("%d bytes of %d", len(in.Plaintext), cap(in.Plaintext))
	}
}

func TestABlobIsAMemoryOfItsOwn(t *testing.T) {
	body := x(t, "a1", "'Plaintext", "43 616263")
	var in kms.EncryptInput
	if err := awscbor.Decode(body, &in); err != nil {
		t.Fatal(err)
	}
	clear(body) // as the server does when the answer is out
	if string(in.Plaintext) != "abc" {
		t.Error("the input has changed with the body")
	}
}

func TestAPathInAMessageIsShort(t *testing.T) {
	name := strings.Repeat("n", 100_000)
	doc := append(x(t, "a1 7a 000186a0"), name...)
	err := awscbor.Decode(append(doc, 0xa1, 0x01, 0x01), new(kms.EncryptInput))
	if !errors.Is(err, shapes.ErrSerialization) || len(err.Error()) > 1024 {
		t.Errorf("%d bytes", len(err.Error()))
	}
}

func TestWhatIsNoStructIsAMistakeOfTheProgram(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a map was taken for an input")
		}
	}()
	_ = awscbor.Decode(x(t, "a0"), &map[string]string{})
}

func TestFloatsAreWrittenAsShortAsSmithyHasThem(t *testing.T) {
	for want, v := range map[string]float64{
		"fa3fc00000": 1.5, "fb3ff199999999999a": 1.1, "fa7f800000": math.Inf(1), "faff800000": math.Inf(-1), "fa7fc00000": math.NaN(),
		"fa00000000": 0, "fb7fefffffffffffff": math.MaxFloat64,
	} {
		got := awscbor.Append(nil, &halves{&v})
		if !strings.HasSuffix(hex.EncodeToString(got), want) {
			t.Errorf("%v is %x, not %s", v, got, want)
		}
	}
}

// TestARequestTakesTimeAndMemoryInProportion: bodies of a mebibyte that are made of the smallest parts there are.
func TestARequestTakesTimeAndMemoryInProportion(t *testing.T) {
	const size = 1 << 20
	blocks := func(part []byte) []byte { // lists of 8,192 parts each, in one list
		block := append([]byte{0x99, 0x20, 0x00}, bytes.Repeat(part, 8192)...)
		n := min(size/len(block), 8192)
		return append(append(x(t, "a1", "'X"), 0x99, byte(n>>8), byte(n)), bytes.Repeat(block, n)...)
	}
	for name, body := range map[string][]byte{
		"empty maps": blocks([]byte{0xa0}), "empty lists": blocks([]byte{0x80}), "numbers": blocks([]byte{0}), "empty texts": blocks([]byte{0x60}),
		"maps of one":   blocks([]byte{0xa1, 0x60, 0}),
		"empty chunks":  append(append(x(t, "a1", "'X", "5f"), bytes.Repeat([]byte{0x40}, size)...), 0xff),
		"chunks of one": append(append(x(t, "a1", "'KeyId", "7f"), bytes.Repeat([]byte{0x61, 'a'}, size/2)...), 0xff),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		err := awscbor.Decode(body, new(kms.EncryptInput))
		if chunks := strings.Contains(name, "chunks"); chunks && err != nil || !chunks && !errors.Is(err, shapes.ErrManyValues) {
			t.Errorf("%s: %v", name, err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 4*size {
			t.Errorf("%s: %d bytes for a body of %d", name, took, len(body))
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: %s", name, took)
		}
	}
}

func TestATextOfAMillionEmptyChunksIsEmptyAndTakesNoMemory(t *testing.T) {
	body := append(append(x(t, "a1", "'KeyId", "7f"), bytes.Repeat([]byte{0x60}, 1<<20)...), 0xff)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var in kms.EncryptInput
	if err := awscbor.Decode(body, &in); err != nil || in.KeyId == nil || *in.KeyId != "" {
		t.Errorf("%v, %v", in.KeyId, err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("%d bytes for nothing", took)
	}
	in = kms.EncryptInput{}
	joined := append(append(x(t, "a1", "'KeyId", "7f"), bytes.Repeat(append([]byte{0x62}, "ab"...), 3)...), 0xff)
	if err := awscbor.Decode(joined, &in); err != nil || *in.KeyId != "ababab" {
		t.Errorf("%v, %v", in.KeyId, err)
	}
	split := append(x(t, "a1", "'KeyId", "7f 61 c3 61 a4"), 0xff) // ä in two
	if err := awscbor.Decode(split, new(kms.EncryptInput)); !errors.Is(err, awscbor.ErrSerialization) {
		t.Errorf("a rune cut in two: %v", err)
	}
}
