package server

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/sigv4"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

func TestASignatureIsRememberedForAsLongAsItWouldBeAccepted(t *testing.T) {
	const start = int64(1_800_000_000)
	for after := int64(0); after <= 3*replayWindow; after += 7 {
		r := newReplays(1000, 1000)
		for second := int64(0); second < after; second += 60 { // others come in between, and move the windows
			if err := r.take("111122223333", fmt.Sprint("other ", second), start+second, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.take("111122223333", "mine", start+after, 0); err != nil {
			t.Fatal(err)
		}
		for later := int64(0); later <= replayWindow; later += 30 {
			if err := r.take("111122223333", "mine", start+after+later, 0); !errors.Is(err, errUsed) {
				t.Fatalf("taken at %d, %d s later: %v", after, later, err)
			}
		}
	}
}

func TestSignaturesAreForgottenInTheEnd(t *testing.T) {
	r := newReplays(10, 10)
	now := int64(1_800_000_000)
	for window := range 100 {
		for i := range 10 {
			if err := r.take("111122223333", fmt.Sprint(window, i), now, 0); err != nil {
				t.Fatalf("window %d: %v", window, err)
			}
		}
		now += replayWindow
	}
	if n := len(r.new) + len(r.old); n > 20 {
		t.Errorf("%d are remembered", n)
	}
}

func TestWhenThereIsNoRoomForASignatureTheRequestIsRefusedAndNotLetThrough(t *testing.T) {
	r := newReplays(2, 2)
	for _, s := range []string{"a", "b"} {
		if err := r.take("111122223333", s, 1_800_000_000, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.take("111122223333", "c", 1_800_000_001, 0); !errors.Is(err, errRate) {
		t.Errorf("the third: %v", err)
	}
	if err := r.take("111122223333", "a", 1_800_000_001, 0); !errors.Is(err, errUsed) {
		t.Errorf("the first again: %v", err)
	}
	if err := r.take("111122223333", "c", 1_800_000_000+replayWindow, 0); err != nil {
		t.Errorf("the third in the next window: %v", err)
	}
}

func TestOneAccountCannotTakeTheRoomOfTheOthers(t *testing.T) {
	r := newReplays(100, 3)
	for i := range 3 {
		if err := r.take("111122223333", fmt.Sprint("a", i), 1_800_000_000, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.take("111122223333", "one more", 1_800_000_000, 0); !errors.Is(err, errRate) {
		t.Errorf("over its share: %v", err)
	}
	if err := r.take("444455556666", "another's", 1_800_000_000, 0); err != nil {
		t.Errorf("another account: %v", err)
	}
	if err := r.take("111122223333", "one more", 1_800_000_000+replayWindow, 0); err != nil {
		t.Errorf("in the next window: %v", err)
	}
}

func TestAnAnswerThatGrewLeavesNothingWhereItWas(t *testing.T) {
	e := &exchange{}
	old := e.buffer()[:0]
	first := append(old, "secret"...)
	was := first[:cap(first)]
	grown := append(first, make([]byte, cap(first))...)
	e.answered(grown)
	if strings.Contains(string(was), "secret") {
		t.Error("the beginning is still there")
	}
	if string(grown[:6]) != "secret" {
		t.Error("the answer was overwritten")
	}
}

func TestAClockThatIsSetBackForgetsNothing(t *testing.T) {
	r := newReplays(10, 10)
	now := int64(1_800_000_000)
	if err := r.take("111122223333", "a", now, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.take("111122223333", "a", now-5*replayWindow, 0); !errors.Is(err, errUsed) {
		t.Errorf("%v", err)
	}
}

func credential(secret string) serviceiam.Credential {
	return serviceiam.Credential{Secret: secretbytes.Copy([]byte(secret))}
}

// signedBy is a request as it is received, signed by an SDK's signer.
func signedBy(t *testing.T, secret string) *sigv4.Request {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, "https://localhost/", http.NoBody)
	credentials := aws.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: secret}
	sum := sha256.Sum256(nil)
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, req, hex.EncodeToString(sum[:]), "kms", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	signed, err := sigv4.Parse(req, nil)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestARememberedKeyIsOfItsSecretAlone(t *testing.T) {
	keys := newSigningKeys()
	r := signedBy(t, "one")
	for range 2 {
		if err := keys.verify(r, credential("one"), time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := keys.verify(r, credential("two"), time.Now()); err == nil {
			t.Fatal("the key of another secret was taken")
		}
	}
	if keys.keys.Len() != 1 {
		t.Errorf("%d keys are remembered, and only one has signed", keys.keys.Len())
	}
}

func operationOf(t *testing.T, service, operation string) *limits.Operation {
	t.Helper()
	s, err := limits.For(service)
	if err != nil {
		t.Fatal(err)
	}
	op, ok := s.Operation(operation)
	if !ok {
		t.Fatal(operation)
	}
	return op
}

func TestSensitiveBlobsAreOverwrittenAndOthersAreLeft(t *testing.T) {
	zero := func(b []byte) bool { return strings.Trim(string(b), "\x00") == "" }

	out := &awskms.DecryptOutput{Plaintext: []byte("secret"), KeyId: aws.String("key")}
	newWiper(operationOf(t, "kms", "Decrypt").Output, reflect.TypeOf(out)).wipe(out)
	if !zero(out.Plaintext) || *out.KeyId != "key" {
		t.Errorf("after Decrypt: %q", out.Plaintext)
	}

	public := &awskms.GetPublicKeyOutput{PublicKey: []byte("public")}
	newWiper(operationOf(t, "kms", "GetPublicKey").Output, reflect.TypeOf(public)).wipe(public)
	if string(public.PublicKey) != "public" { // it may be the cache's own
		t.Errorf("after GetPublicKey: %q", public.PublicKey)
	}

	batch := &awssm.BatchGetSecretValueOutput{SecretValues: []smtypes.SecretValueEntry{{SecretBinary: []byte("a")}, {}, {SecretBinary: []byte("b")}}}
	newWiper(operationOf(t, "secretsmanager", "BatchGetSecretValue").Output, reflect.TypeOf(batch)).wipe(batch)
	if !zero(batch.SecretValues[0].SecretBinary) || !zero(batch.SecretValues[2].SecretBinary) {
		t.Error("after BatchGetSecretValue a binary is still there")
	}

	newWiper(operationOf(t, "kms", "Encrypt").Input, reflect.TypeOf(&awskms.EncryptInput{})).wipe(nil)
}

func TestAWSErrorsAreAnsweredAsEachProtocolHasThem(t *testing.T) {
	type spoken struct {
		protocol
		*service
	}
	compiled := func(protocol, name string) spoken {
		model, err := limits.For(name)
		if err != nil {
			t.Fatal(err)
		}
		s := &service{Service: model, messageKey: "message"}
		switch protocol {
		case "query":
			return spoken{queryProtocol{}, s}
		case "rpc":
			return spoken{rpcProtocol{}, s}
		}
		return spoken{jsonProtocol{}, s}
	}
	denied := &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"}
	for name, tt := range map[string]struct {
		service  spoken
		err      error
		code     string
		status   int
		key      string
		receiver bool
	}{
		"of KMS, 404 in the model":       {compiled("json", "kms"), &kmstypes.NotFoundException{}, "NotFoundException", 400, "message", false},
		"of KMS's own fault":             {compiled("json", "kms"), &kmstypes.KMSInternalException{}, "KMSInternalException", 500, "message", true},
		"of Secrets Manager":             {compiled("json", "secretsmanager"), &smtypes.ResourceNotFoundException{}, "ResourceNotFoundException", 400, "Message", false},
		"of KMS, in RPC v2":              {compiled("rpc", "kms"), &kmstypes.NotFoundException{}, "NotFoundException", 400, "message", false},
		"denied, in RPC v2":              {compiled("rpc", "kms"), denied, "AccessDeniedException", 400, "message", false},
		"of a signature, in RPC v2":      {compiled("rpc", "kms"), &sigv4.Error{Code: sigv4.Invalid}, "InvalidSignatureException", 400, "message", false},
		"of STS, under its wire code":    {compiled("query", "sts"), &ststypes.MalformedPolicyDocumentException{}, "MalformedPolicyDocument", 400, "message", false},
		"denied, in JSON":                {compiled("json", "kms"), denied, "AccessDeniedException", 400, "message", false},
		"denied, in a query":             {compiled("query", "sts"), denied, "AccessDenied", http.StatusForbidden, "message", false},
		"that nobody knows":              {compiled("json", "kms"), errors.New("disk /dev/sda is on fire"), "InternalFailure", 500, "message", true},
		"wrapped":                        {compiled("json", "kms"), fmt.Errorf("more: %w", &kmstypes.DisabledException{}), "DisabledException", 400, "message", false},
		"of a signature, in JSON":        {compiled("json", "kms"), &sigv4.Error{Code: sigv4.Invalid}, "InvalidSignatureException", 400, "message", false},
		"of a signature, in a query":     {compiled("query", "sts"), &sigv4.Error{Code: sigv4.Invalid}, "SignatureDoesNotMatch", 403, "message", false},
		"of a missing one, in a query":   {compiled("query", "sts"), &sigv4.Error{Code: sigv4.Missing}, "MissingAuthenticationToken", 403, "message", false},
		"while sealed":                   {compiled("json", "kms"), refusal(unavailable, "x"), "ServiceUnavailable", 503, "message", true},
		"of an unserved query operation": {compiled("query", "sts"), refusal(unsupportedOperation, "x"), "UnsupportedOperation", 400, "message", false},
	} {
		e := &exchange{protocol: tt.service.protocol, service: tt.service.service}
		f := e.failureOf(tt.err)
		if f.code != tt.code || f.status != tt.status || f.messageKey != tt.key || f.receiver != tt.receiver {
			t.Errorf("%s: %+v", name, f)
		}
		if strings.Contains(f.message, "fire") {
			t.Errorf("%s tells %q", name, f.message)
		}
	}
}

func TestEveryKindOfFailureHasACodeInEachProtocol(t *testing.T) {
	for k := internal; k <= invalidInput; k++ {
		for _, p := range []protocol{jsonProtocol{}, queryProtocol{}, rpcProtocol{}} {
			if code, status := p.common(k); code == "" || status < 400 || status > 599 {
				t.Errorf("kind %d of %T is %q, %d", k, p, code, status)
			}
		}
	}
}

func TestATargetIsCutAtItsLastDot(t *testing.T) {
	for header, want := range map[string][2]string{
		"TrentService.Encrypt": {"TrentService", "Encrypt"}, "a.b.C": {"a.b", "C"}, "nothing": {"nothing", ""}, "": {"", ""}, ".": {"", ""},
	} {
		if prefix, name := targetOf(header); prefix != want[0] || name != want[1] {
			t.Errorf("%q: %q, %q", header, prefix, name)
		}
	}
}

func TestWhatARequestNamesIsShownShortAndWithoutControlCharacters(t *testing.T) {
	if got := shortened("a\nb\x00c\x7f"); got != "a?b?c?" {
		t.Errorf("%q", got)
	}
	if got := shortened(strings.Repeat("x", 10_000)); len(got) > 200 {
		t.Errorf("%d bytes", len(got))
	}
}
