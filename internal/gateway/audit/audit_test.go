package audit_test

import (
	"encoding/json/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	coreiam "strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/trail"
	"strongroom.dev/strongroom/internal/gateway/audit"
	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/service/iam"
)

var issued = time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("east", 3600))

func parsed(t testing.TB, e *audit.Event) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(e.Append(nil), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhoAskedIsInTheFormOfCloudTrail(t *testing.T) {
	const account = "123456789012"
	session := map[string]any{"attributes": map[string]any{"creationDate": "2026-01-02T02:04:05Z", "mfaAuthenticated": "false"}}
	role := map[string]any{
		"attributes":     session["attributes"],
		"sessionIssuer":  map[string]any{"type": "Role", "principalId": "AROAEXAMPLE", "arn": "arn:aws:iam::123456789012:role/app", "accountId": account, "userName": "app"},
		"sourceIdentity": "ada",
	}
	user := coreiam.Principal{Account: account, ARN: "arn:aws:iam::123456789012:user/ada"}
	for name, test := range map[string]struct {
		event audit.Event
		want  map[string]any
	}{
		"nobody, with the access key that the request claims": {
			audit.Event{AccessKeyID: "AKIACLAIMED"}, map[string]any{"type": "Unknown", "accessKeyId": "AKIACLAIMED"},
		},
		"nobody, without one": {audit.Event{}, map[string]any{"type": "Unknown"}},
		"a user": {
			audit.Event{AccessKeyID: "AKIAOTHER", Identity: &iam.Identity{Type: iam.TypeIAMUser, Name: "ada", UserID: "AIDAEXAMPLE", AccessKeyID: "AKIAEXAMPLE", Principal: user}},
			map[string]any{"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": user.ARN, "accountId": account, "accessKeyId": "AKIAEXAMPLE", "userName": "ada"},
		},
		"a user's session": {
			audit.Event{Identity: &iam.Identity{Type: iam.TypeIAMUser, Name: "ada", UserID: "AIDAEXAMPLE", AccessKeyID: "ASIAEXAMPLE", Principal: user, Issued: issued}},
			map[string]any{"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": user.ARN, "accountId": account, "accessKeyId": "ASIAEXAMPLE", "userName": "ada", "sessionContext": session},
		},
		"a role's session": {
			audit.Event{Identity: &iam.Identity{
				Type: iam.TypeAssumedRole, Name: "app", UserID: "AROAEXAMPLE:pod", AccessKeyID: "ASIAEXAMPLE", Issued: issued, SourceIdentity: "ada",
				Principal: coreiam.Principal{Account: account, ARN: "arn:aws:sts::123456789012:assumed-role/app/pod", RoleARN: "arn:aws:iam::123456789012:role/app"},
			}},
			map[string]any{"type": "AssumedRole", "principalId": "AROAEXAMPLE:pod", "arn": "arn:aws:sts::123456789012:assumed-role/app/pod", "accountId": account, "accessKeyId": "ASIAEXAMPLE", "sessionContext": role},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := parsed(t, &test.event)["userIdentity"]; !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %v\nwant %v", got, test.want)
			}
		})
	}
}

func members(t testing.TB, operation string, input any) audit.Members {
	t.Helper()
	service, err := limits.For("kms")
	if err != nil {
		t.Fatal(err)
	}
	known, _ := service.Operation(operation)
	return audit.Members{Value: input, Plan: planOf(t, known.Input, input)}
}

func TestParametersOfOver100KiBAreLeftOutAndSaidToBe(t *testing.T) {
	const around = len(`{"policy":""}`)
	for size, omitted := range map[int]bool{1: false, audit.MaximumParameters - around: false, audit.MaximumParameters - around + 1: true, 1 << 20: true} {
		policy := strings.Repeat("p", size)
		event := audit.Event{Parameters: members(t, "CreateKey", &awskms.CreateKeyInput{Policy: &policy})}
		got := parsed(t, &event)["requestParameters"].(map[string]any)
		if omitted {
			// What is far over the limit is counted as far as it was written.
			if got["omitted"] != true || got["reason"] != "requestParameters too large" || got["originalSize"].(float64) <= audit.MaximumParameters {
				t.Errorf("parameters of %d bytes became %.100v", size+around, got)
			}
		} else if got["policy"] != policy {
			t.Errorf("parameters of %d bytes were changed", size+around)
		}
	}
}

func TestARequestWithoutParametersHasNullAndOneWithoutAResourceHasNone(t *testing.T) {
	got := parsed(t, &audit.Event{})
	for _, name := range []string{"requestParameters", "responseElements"} {
		if value, ok := got[name]; !ok || value != nil {
			t.Errorf("%s is %v", name, value)
		}
	}
	for _, name := range []string{"resources", "tlsDetails", "errorCode", "eventSource", "recipientAccountId"} {
		if value, ok := got[name]; ok {
			t.Errorf("%s is %v, and should not be there", name, value)
		}
	}
}

func TestARecordHasAdditionalDataIfThereIsAny(t *testing.T) {
	if got, found := parsed(t, &audit.Event{})["additionalEventData"]; found {
		t.Errorf("%v", got)
	}
	got := parsed(t, &audit.Event{Additional: []audit.Member{{Name: "grantId", Value: `a"b`}, {Name: "more", Value: strings.Repeat("x", 2000)}}})
	members, _ := got["additionalEventData"].(map[string]any)
	if len(members) != 2 || members["grantId"] != `a"b` || len(members["more"].(string)) != 1024 {
		t.Errorf("%v", members)
	}
}

func TestARecordNamesItsResourceAndItsConnection(t *testing.T) {
	got := parsed(t, &audit.Event{
		Resources: []audit.Resource{{ARN: "arn:aws:kms:us-east-1:123456789012:key/1", Account: "123456789012"}}, Service: "kms", ReadOnly: true,
		TLSVersion: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", Host: "gateway", SourceIP: netip.MustParseAddr("::ffff:192.0.2.1"),
	})
	for name, want := range map[string]any{
		"resources":       []any{map[string]any{"ARN": "arn:aws:kms:us-east-1:123456789012:key/1", "accountId": "123456789012"}},
		"tlsDetails":      map[string]any{"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": "gateway"},
		"sourceIPAddress": "192.0.2.1", "eventSource": "kms.amazonaws.com", "readOnly": true,
	} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

func FuzzAppend(f *testing.F) {
	f.Add("kms", "Encrypt", "a\n\x00\xff\u2028\"\\", "boto3", "arn", "{}")
	f.Add("", strings.Repeat("\x01", 1<<20), "", strings.Repeat("é", 1023), "\xed\xa0\x80", strings.Repeat("\x00", 200<<10))
	f.Fuzz(func(t *testing.T, service, operation, message, agent, arn, policy string) {
		event := audit.Event{
			Service: service, Operation: operation, APIVersion: service, Region: arn, UserAgent: agent, ErrorCode: operation, ErrorMessage: message,
			RequestID: agent, EventID: arn, Resources: []audit.Resource{{ARN: arn, Account: service}, {ARN: service}}, TLSVersion: operation, CipherSuite: agent, Host: message,
			Identity: &iam.Identity{
				Type: iam.TypeAssumedRole, Name: agent, UserID: message, AccessKeyID: policy, Issued: issued, SourceIdentity: operation,
				Principal: coreiam.Principal{Account: service, ARN: arn, RoleARN: message},
			},
			Parameters: members(t, "CreateKey", &awskms.CreateKeyInput{Policy: &policy, Description: &message}),
			Response:   members(t, "Encrypt", &awskms.EncryptInput{KeyId: &arn, EncryptionContext: map[string]string{message: policy}}),
		}
		record := event.Append([]byte{})
		var got map[string]any
		if err := json.Unmarshal(record, &got); err != nil {
			t.Errorf("the record is no JSON: %v: %.300q", err, record)
		}
		switch {
		case !utf8.Valid(record) || strings.ContainsAny(string(record), "\n\r"):
			t.Errorf("the record is not one line of UTF-8: %.300q", record)
		case len(record) > trail.MaximumRecord:
			t.Errorf("the record has %d bytes; the trail takes %d", len(record), trail.MaximumRecord)
		}
	})
}
