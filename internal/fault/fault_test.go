package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

func TestEachErrorHasAReasonAndSaysWhetherToTryAgain(t *testing.T) {
	plain := errors.New("plain")
	tests := []struct {
		name    string
		err     error
		reason  string
		stalled bool
		retry   bool // by time, rather than by the queue's back-off
	}{
		{"a stalled one", fault.Stalled(v1alpha1.ReasonConflict, plain), v1alpha1.ReasonConflict, true, true},
		{"a waiting one", fault.Waiting(v1alpha1.ReasonSourceNotFound, plain), v1alpha1.ReasonSourceNotFound, false, true},
		{"a wrapped one", fmt.Errorf("outer: %w", fault.Stalled(v1alpha1.ReasonConflict, plain)), v1alpha1.ReasonConflict, true, true},
		{"sealed", fmt.Errorf("x: %w", keyring.ErrSealed), v1alpha1.ReasonSealed, false, true},
		{"a missing Envelope", fmt.Errorf("x: %w", store.ErrMissing), v1alpha1.ReasonEnvelopeMissing, true, true},
		{"an exchanged Envelope", fmt.Errorf("x: %w", store.ErrTampered), v1alpha1.ReasonEnvelopeTampered, true, true},
		{"an account that is taken", fmt.Errorf("x: %w", account.ErrConflict), v1alpha1.ReasonAccountConflict, true, true},
		{"no account", fmt.Errorf("x: %w", account.ErrInvalid), v1alpha1.ReasonInvalidAccount, true, true},
		{"anything else", plain, v1alpha1.ReasonProgressing, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fault.Of(tt.err)
			if f.Reason != tt.reason || f.Stalled != tt.stalled || (f.RetryAfter > 0) != tt.retry {
				t.Errorf("%+v", f)
			}
			if f.Error() == "" || f.RetryAfter > time.Hour {
				t.Errorf("%q after %s", f.Error(), f.RetryAfter)
			}
		})
	}
	if !errors.Is(fault.Stalled("x", plain), plain) {
		t.Error("the cause is lost")
	}
}

func TestAMessageIsOneBoundedLine(t *testing.T) {
	for name, text := range map[string]string{
		"long":          strings.Repeat("ä", 2000),
		"of lines":      "a\nb\r\tc\x00d",
		"invalid UTF-8": "a\xffb" + strings.Repeat("€", 700),
	} {
		m := fault.Message(errors.New(text))
		if len(m) > 1024 || strings.ContainsAny(m, "\n\r\t\x00") || !utf8.ValidString(m) {
			t.Errorf("%s: %d bytes, %q", name, len(m), m)
		}
	}
}

func TestAMessageHoldsNothingThatTheAPIServerQuotesFromAnObject(t *testing.T) {
	err := apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "db", field.ErrorList{
		field.Invalid(field.NewPath("data", "key"), "CANARY-hunter2", "is not valid"),
	})
	if m := fault.Message(fmt.Errorf("writing: %w", err)); strings.Contains(m, "CANARY") || !strings.Contains(m, "data.key") {
		t.Errorf("%q", m)
	}
}
