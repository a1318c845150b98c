package awscbor_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/gateway/awscbor"
	"strongroom.dev/strongroom/internal/gateway/awsjson"
)

// diagnose is what an independent reader makes of a document, in CBOR's diagnostic notation.
func diagnose(t testing.TB, document []byte) string {
	t.Helper()
	text, err := cbor.Diagnose(document)
	if err != nil {
		t.Fatalf("%x is no CBOR: %v", document, err)
	}
	return text
}

func TestAnswersTellAbsentFromEmptyAndFalse(t *testing.T) {
	at := time.UnixMilli(1764000000500)
	whole := time.Unix(1764000000, 999_999)
	for name, tt := range map[string]struct {
		output any
		want   string
	}{
		"nothing":              {&kms.EncryptOutput{}, `{}`},
		"a nil pointer":        {(*kms.EncryptOutput)(nil), `{}`},
		"strings and blobs":    {&kms.EncryptOutput{KeyId: aws.String(""), CiphertextBlob: []byte{}}, `{"KeyId": "", "CiphertextBlob": h''}`},
		"a blob is bytes":      {&kms.EncryptOutput{CiphertextBlob: []byte("hunter2")}, `{"CiphertextBlob": h'68756e74657232'}`},
		"plain false and zero": {&kms.ListKeysOutput{Keys: []kmstypes.KeyListEntry{}}, `{"Keys": [], "Truncated": false}`},
		"nested, in the order of the keys' bytes": {
			&kms.DescribeKeyOutput{KeyMetadata: &kmstypes.KeyMetadata{KeyId: aws.String("k"), CreationDate: &at, KeyState: kmstypes.KeyStateEnabled}},
			`{"KeyMetadata": {"KeyId": "k", "Enabled": false, "KeyState": "Enabled", "CreationDate": 1(1764000000.5)}}`,
		},
		"a whole second is an integer": {&secretsmanager.GetSecretValueOutput{CreatedDate: &whole}, `{"CreatedDate": 1(1764000000)}`},
		"maps in order, the shorter key first": {
			&secretsmanager.DescribeSecretOutput{VersionIdsToStages: map[string][]string{"bb": {"AWSPREVIOUS"}, "a": nil, "c": {}}},
			`{"VersionIdsToStages": {"a": [], "c": [], "bb": ["AWSPREVIOUS"]}}`,
		},
		"text that is no UTF-8":     {&secretsmanager.GetSecretValueOutput{SecretString: aws.String("a\x00\xff\xfe")}, `{"SecretString": "a\u0000\ufffd"}`},
		"no metadata of the SDK's":  {&smtypes.Tag{Key: aws.String("k")}, `{"Key": "k"}`},
		"a time before 1970":        {&times{aws.Time(time.UnixMilli(-1250))}, `{"Datetime": 1(-1.25)}`},
		"null where a list has one": {&sparse{SparseStringList: []*string{nil, aws.String("a")}}, `{"SparseStringList": [null, "a"]}`},
	} {
		if got := diagnose(t, awscbor.Append(nil, tt.output)); got != tt.want {
			t.Errorf("%s: %s, not %s", name, got, tt.want)
		}
	}
}

func TestErrorsAreWrittenWithTheirShapesID(t *testing.T) {
	more := &struct {
		Message, ErrorCodeOverride *string
		Reasons                    []string
	}{Reasons: []string{"r"}}
	for name, tt := range map[string]struct {
		got  []byte
		want string
	}{
		"KMS":             {awscbor.AppendError(nil, "com.amazonaws.kms#NotFoundException", "message", `Key "a"`, &kmstypes.NotFoundException{Message: aws.String("x")}), `{"__type": "com.amazonaws.kms#NotFoundException", "message": "Key \"a\""}`},
		"Secrets Manager": {awscbor.AppendError(nil, "com.amazonaws.secretsmanager#E", "Message", "gone", nil), `{"__type": "com.amazonaws.secretsmanager#E", "Message": "gone"}`},
		"no message":      {awscbor.AppendError(nil, "a#E", "message", "", nil), `{"__type": "a#E"}`},
		"more members":    {awscbor.AppendError(nil, "a#E", "message", "m", more), `{"__type": "a#E", "Reasons": ["r"], "message": "m"}`},
	} {
		if got := diagnose(t, tt.got); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestWhatIsWrittenIsTheCoreDeterministicEncoding: the library, told to be deterministic, writes the same bytes. Floats are aside, since
// Smithy wants none of 16 bits.
func TestWhatIsWrittenIsTheCoreDeterministicEncoding(t *testing.T) {
	options := cbor.CoreDetEncOptions()
	options.ShortestFloat = cbor.ShortestFloatNone
	mode, err := options.EncMode()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		written := awscbor.Append(nil, drawn(t))
		var tree any
		if err := cbor.Unmarshal(written, &tree); err != nil {
			t.Fatalf("%x: %v", written, err)
		}
		again, err := mode.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, written) {
			t.Fatalf("%x\nis written by the library as\n%x", written, again)
		}
	})
}

// drawn is a struct of every kind of member but floats and times, which the library's tree does not keep apart.
func drawn(t *rapid.T) any {
	text := rapid.StringN(0, 300, 1000)
	in := &lists{
		StringList:       rapid.SliceOfN(text, 0, 30).Draw(t, "strings"),
		BooleanList:      rapid.SliceOfN(rapid.Bool(), 0, 3).Draw(t, "booleans"),
		IntegerList:      rapid.SliceOf(rapid.Int32()).Draw(t, "integers"),
		NestedStringList: rapid.SliceOfN(rapid.SliceOfN(text, 0, 2), 0, 3).Draw(t, "nested"),
		BlobList:         rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 0, 3).Draw(t, "blobs"),
		EnumList:         []foo{foo(text.Draw(t, "enum"))},
	}
	return &struct {
		Lists *lists
		Maps  *maps
		Long  int64
		Flag  bool
	}{in, &maps{DenseStringMap: rapid.MapOfN(text, text, 0, 10).Draw(t, "map")}, rapid.Int64().Draw(t, "long"), rapid.Bool().Draw(t, "flag")}
}

// TestWhatIsWrittenIsReadAsTheSame: decode(encode(v)) = v, whatever v is.
func TestWhatIsWrittenIsReadAsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		want := &secretsmanager.CreateSecretInput{
			Name: rapid.Ptr(text, true).Draw(t, "name"), SecretBinary: rapid.SliceOf(rapid.Byte()).Draw(t, "binary"),
			ForceOverwriteReplicaSecret: rapid.Bool().Draw(t, "force"),
		}
		for _, key := range rapid.SliceOfN(text, 0, 5).Draw(t, "keys") {
			want.Tags = append(want.Tags, smtypes.Tag{Key: &key})
		}
		var got secretsmanager.CreateSecretInput
		if err := awscbor.Decode(awscbor.Append(nil, want), &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(&got, want) {
			t.Fatalf("%+v, not %+v", got, want)
		}
	})
}

// TestARequestMeansTheSameInBothProtocols: what a struct holds goes through JSON and CBOR alike.
func TestARequestMeansTheSameInBothProtocols(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		in := &kms.EncryptInput{
			KeyId: rapid.Ptr(text, true).Draw(t, "key"), Plaintext: rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext"),
			EncryptionContext: rapid.MapOfN(text, text, 0, 4).Draw(t, "context"), GrantTokens: rapid.SliceOfN(text, 0, 3).Draw(t, "tokens"),
			DryRun: rapid.Ptr(rapid.Bool(), true).Draw(t, "dry"),
		}
		var one, other kms.EncryptInput
		if err := awscbor.Decode(awscbor.Append(nil, in), &one); err != nil {
			t.Fatal(err)
		}
		if err := awsjson.Decode(awsjson.Append(nil, in), &other); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(one, other) {
			t.Fatalf("CBOR %+v\nJSON %+v", one, other)
		}
	})
}

// FuzzDecode: whatever comes, nothing panics, refusals are ErrSerialization and short, and what is taken comes back the same from its
// own encoding. Members of every kind are read.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors {
		f.Add(capitalised(v.body, v.structures))
	}
	for _, seed := range []string{"a0", "bfff", "f6", "a1614101", "a168446174657469", "bf6a537472696e674c6973749f7f61616162ffffff", "a1615881a26179016179f7"} {
		raw, _ := hex.DecodeString(seed)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		type every struct {
			scalars
			Lists     *lists
			Maps      *maps
			Sparse    sparse
			Recursive *recursive
			Times     times
		}
		for _, into := range []func() any{
			func() any { return new(every) }, func() any { return new(scalars) }, func() any { return new(lists) }, func() any { return new(sparse) },
			func() any { return new(secretsmanager.ListSecretsInput) }, func() any { return new(recursive) },
		} {
			in := into()
			if err := awscbor.Decode(body, in); err != nil {
				if !errors.Is(err, awscbor.ErrSerialization) || len(err.Error()) > 1024 {
					t.Fatalf("%v", err)
				}
				continue
			}
			encoded := awscbor.Append(nil, in)
			if len(encoded) > 0 && cbor.Wellformed(encoded) != nil {
				t.Fatalf("%x is no CBOR", encoded)
			}
			again := into()
			if err := awscbor.Decode(encoded, again); err != nil {
				t.Fatalf("%x: %v", encoded, err)
			}
			if got := awscbor.Append(nil, again); !bytes.Equal(got, encoded) {
				t.Fatalf("%x came back as %x", encoded, got)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body := awscbor.Append(nil, &kms.EncryptInput{KeyId: aws.String("alias/shop"), Plaintext: make([]byte, 50), EncryptionContext: map[string]string{"app": "shop"}})
	b.ReportAllocs()
	for b.Loop() {
		var in kms.EncryptInput
		if err := awscbor.Decode(body, &in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	out := &kms.EncryptOutput{KeyId: aws.String("arn:aws:kms:us-east-1:123456789012:key/1"), CiphertextBlob: make([]byte, 160), EncryptionAlgorithm: "SYMMETRIC_DEFAULT"}
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst = awscbor.Append(dst[:0], out)
	}
}

func TestIntegersHaveTheShortestHead(t *testing.T) {
	for want, v := range map[string]int64{
		"17": 23, "1818": 24, "18ff": 255, "190100": 256, "19ffff": 65535, "1a00010000": 65536, "1affffffff": math.MaxUint32,
		"1b0000000100000000": math.MaxUint32 + 1, "1b7fffffffffffffff": math.MaxInt64, "20": -1, "37": -24, "3818": -25, "3b7fffffffffffffff": math.MinInt64,
	} {
		if got := hex.EncodeToString(awscbor.Append(nil, &struct{ N int64 }{v})); got != "a1614e"+want {
			t.Errorf("%d is %s", v, got)
		}
	}
}
