package audit_test

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/gateway/audit"
	"strongroom.dev/strongroom/internal/gateway/limits"
)

func TestATextIsCutAtAThousandAndTwentyFourBytesAndSaysSo(t *testing.T) {
	for length, cut := range map[int]bool{0: false, 1: false, 1023: false, 1024: false, 1025: true, 1 << 20: true} {
		agent := strings.Repeat("a", length)
		got, there := parsed(t, &audit.Event{UserAgent: agent})["userAgent"]
		switch text, _ := got.(string); {
		case length == 0:
			if there {
				t.Errorf("an empty text is there: %q", text)
			}
		case cut && (len(text) != 1024 || !strings.HasSuffix(text, "...")), !cut && text != agent:
			t.Errorf("%d bytes became %d", length, len(text))
		}
	}
}

// TestAnyTextIsOneLineOfItsOwn holds for every member that a caller can put text into.
func TestAnyTextIsOneLineOfItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.Byte(), 0, 1500).Draw(t, "text"))
		event := audit.Event{
			Service: "kms", Operation: text, Region: text, UserAgent: text, ErrorCode: text, ErrorMessage: text, AccessKeyID: text, Host: text, TLSVersion: text,
			Resources: []audit.Resource{{ARN: text, Account: text}},
		}
		record := event.Append([]byte("before"))
		if !utf8.Valid(record) || strings.ContainsAny(string(record), "\n\r\x00") || !strings.HasPrefix(string(record), `before{"eventVersion"`) {
			t.Fatalf("%q", record)
		}
	})
}

func service(t *testing.T, name, operation string) *limits.Operation {
	t.Helper()
	s, err := limits.For(name)
	if err != nil {
		t.Fatal(err)
	}
	op, ok := s.Operation(operation)
	if !ok {
		t.Fatal(operation)
	}
	return op
}

func TestMembersAreWrittenAsCloudTrailWritesThem(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.FixedZone("east", 3600))
	for name, tt := range map[string]struct {
		service, operation string
		output             bool
		value              any
		want               map[string]any
	}{
		"names begin with a small letter, AWSAccountId too": {"kms", "CreateKey", true,
			&awskms.CreateKeyOutput{KeyMetadata: &kmstypes.KeyMetadata{AWSAccountId: aws.String("1"), KeyId: aws.String("k"), Enabled: true, CreationDate: &at}},
			map[string]any{"keyMetadata": map[string]any{"aWSAccountId": "1", "keyId": "k", "enabled": true, "creationDate": "2026-11-25T11:00:00Z"}}},
		"the ARN of Secrets Manager is arn": {"secretsmanager", "CreateSecret", true, &awssm.CreateSecretOutput{ARN: aws.String("a"), Name: aws.String("n")},
			map[string]any{"arn": "a", "name": "n"}},
		"a map keeps its keys": {"kms", "Encrypt", false, &awskms.EncryptInput{KeyId: aws.String("k"), EncryptionContext: map[string]string{"App": "shop", "": ""}},
			map[string]any{"keyId": "k", "encryptionContext": map[string]any{"App": "shop", "": ""}}},
		"a list keeps its order": {"kms", "UntagResource", false, &awskms.UntagResourceInput{KeyId: aws.String("k"), TagKeys: []string{"b", "a"}},
			map[string]any{"keyId": "k", "tagKeys": []any{"b", "a"}}},
		"what is absent is absent, and a false that the SDK cannot tell from it": {"kms", "CreateKey", false, &awskms.CreateKeyInput{BypassPolicyLockoutSafetyCheck: false},
			map[string]any{}},
		"blobs are hidden, empty ones too": {"kms", "Encrypt", false, &awskms.EncryptInput{Plaintext: []byte{}}, map[string]any{"plaintext": audit.Hidden}},
		"each of what a sensitive list holds is hidden": {"kms", "Encrypt", false, &awskms.EncryptInput{GrantTokens: []string{"a", "b"}},
			map[string]any{"grantTokens": []any{audit.Hidden, audit.Hidden}}},
	} {
		op := service(t, tt.service, tt.operation)
		shape := op.Input
		if tt.output {
			shape = op.Output
		}
		event := audit.Event{Parameters: audit.Members{Value: tt.value, Plan: planOf(t, shape, tt.value)}}
		if got := parsed(t, &event)["requestParameters"]; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAPlanIsOfAllMembersOrOfNone(t *testing.T) {
	type lacking struct{ KeyId *string }
	if _, err := audit.PlanOf(service(t, "kms", "Encrypt").Input, reflect.TypeFor[lacking]()); err == nil || !strings.Contains(err.Error(), "has no field for member") {
		t.Errorf("%v", err)
	}
	type within struct{ KeyMetadata *lacking }
	if _, err := audit.PlanOf(service(t, "kms", "CreateKey").Output, reflect.TypeFor[within]()); err == nil || !strings.Contains(err.Error(), "of KeyMetadata") {
		t.Errorf("%v", err)
	}
}
