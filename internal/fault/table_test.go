package fault_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

var secrets = schema.GroupResource{Group: v1alpha1.Group, Resource: "secrets"}

// What a person sees and how long it takes, to the second. A sealed keyring is nobody's fault at the object, so it does not
// stall; what the API server answers passes by itself and is the queue's to try again.
func TestEveryErrorThatAControllerMeetsHasItsReasonAndItsTime(t *testing.T) {
	const recheck, contested, waiting = 5 * time.Minute, 30 * time.Second, 15 * time.Second
	for name, tt := range map[string]struct {
		err     error
		reason  string
		stalled bool
		after   time.Duration
	}{
		"sealed":                    {keyring.ErrSealed, v1alpha1.ReasonSealed, false, waiting},
		"a missing Envelope":        {store.ErrMissing, v1alpha1.ReasonEnvelopeMissing, true, recheck},
		"a tampered Envelope":       {store.ErrTampered, v1alpha1.ReasonEnvelopeTampered, true, recheck},
		"a taken account":           {account.ErrConflict, v1alpha1.ReasonAccountConflict, true, contested},
		"an invalid account":        {account.ErrInvalid, v1alpha1.ReasonInvalidAccount, true, recheck},
		"a conflict":                {apierrors.NewConflict(secrets, "db", errors.New("x")), v1alpha1.ReasonProgressing, false, 0},
		"too many requests":         {apierrors.NewTooManyRequests("x", 1), v1alpha1.ReasonProgressing, false, 0},
		"a server error":            {apierrors.NewInternalError(errors.New("x")), v1alpha1.ReasonProgressing, false, 0},
		"no connection":             {&net.OpError{Op: "dial", Err: errors.New("refused")}, v1alpha1.ReasonProgressing, false, 0},
		"an unknown epoch":          {keyring.ErrUnknownEpoch, v1alpha1.ReasonEnvelopeMissing, false, 15 * time.Second},
		"a stalled fault":           {fault.Stalled(v1alpha1.ReasonInvalidTemplate, errors.New("x")), v1alpha1.ReasonInvalidTemplate, true, recheck},
		"a contested fault":         {fault.Contested(v1alpha1.ReasonConflict, errors.New("x")), v1alpha1.ReasonConflict, true, contested},
		"a fault that waits":        {fault.Waiting(v1alpha1.ReasonKeyNotFound, errors.New("x")), v1alpha1.ReasonKeyNotFound, false, waiting},
		"a fault over a sentinel":   {fault.Waiting(v1alpha1.ReasonKeyNotFound, store.ErrMissing), v1alpha1.ReasonKeyNotFound, false, waiting},
		"sealed by a missing thing": {fmt.Errorf("%w: %w", keyring.ErrSealed, store.ErrMissing), v1alpha1.ReasonSealed, false, waiting},
	} {
		t.Run(name, func(t *testing.T) {
			// However deep it is: as it is, wrapped, and among others.
			for _, err := range []error{tt.err, fmt.Errorf("a: %w", fmt.Errorf("b: %w", tt.err)), errors.Join(errors.New("other"), tt.err)} {
				f := fault.Of(err)
				if f.Reason != tt.reason || f.Stalled != tt.stalled || f.RetryAfter != tt.after {
					t.Errorf("%v: %s, stalled %t, after %s", err, f.Reason, f.Stalled, f.RetryAfter)
				}
				if !errors.Is(f, tt.err) && !errors.As(tt.err, new(*fault.Fault)) {
					t.Errorf("%v: the cause is lost", err)
				}
			}
		})
	}
}

// A reason is an identifier in the API's own list and in its documentation's language: CamelCase.
func TestEveryReasonIsOneThatTheAPIDocuments(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "..", "api", "v1alpha1", "common_types.go"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\tReason\w+ = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		documented[m[1]] = true
	}
	for _, err := range []error{keyring.ErrSealed, store.ErrMissing, store.ErrTampered, account.ErrConflict, account.ErrInvalid, errors.New("x")} {
		reason := fault.Of(err).Reason
		if !documented[reason] || !regexp.MustCompile(`^[A-Z][A-Za-z]*$`).MatchString(reason) {
			t.Errorf("%v: reason %q is not documented", err, reason)
		}
	}
}

// Whatever an error says, it fits a condition's schema and a line of a terminal.
func TestAMessageOfAnyTextIsOneBoundedLineOfValidText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "€", "\n", "\r\n", "\t", "\x00", "\x1b[31m", "\xff", "\xe2\x82", "\u0085", "😀", strings.Repeat("word ", 60)}), 0, 60).Draw(t, "parts")
		text := strings.Join(parts, "")
		m := fault.Message(errors.New(text))
		if len(m) > 1024 || !utf8.ValidString(m) || strings.ContainsFunc(m, unicode.IsControl) {
			t.Fatalf("%d bytes, %q", len(m), m)
		}
		if long := len(strings.ToValidUTF8(text, "?")) > 1024; long != strings.HasSuffix(m, "...") {
			t.Fatalf("%d bytes became %q", len(text), m)
		}
	})
}

func TestAMessageOfExactlyTheLimitIsWhole(t *testing.T) {
	for _, n := range []int{0, 1, 1023, 1024, 1025, 5000} {
		m := fault.Message(errors.New(strings.Repeat("x", n)))
		if want := min(n, 1024); len(m) != want || (n > 1024) != strings.HasSuffix(m, "x...") {
			t.Errorf("%d bytes became %d", n, len(m))
		}
	}
	if m := fault.Message(errors.New(strings.Repeat("x", 1020) + "€€")); m != strings.Repeat("x", 1020)+"..." {
		t.Errorf("a character is cut in two: %q", m[1010:])
	}
}

// invalid is an answer of the API server that refuses a core Secret, with the canary in what it quotes.
func invalid(causes ...*field.Error) error {
	return apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "db", causes)
}

func TestNoInvalidValueThatTheAPIServerQuotesGetsIntoAMessage(t *testing.T) {
	const canary = "CANARY-hunter2"
	path := field.NewPath("data", "key")
	for name, err := range map[string]error{
		"an invalid value":          invalid(field.Invalid(path, canary, "no")),
		"two of them":               invalid(field.Invalid(path, canary, "no"), field.Invalid(path.Child("b"), canary, "no")),
		"a list":                    invalid(field.Invalid(path, []string{canary}, "no")),
		"of the wrong type":         invalid(field.TypeInvalid(path, canary, "no")),
		"wrapped":                   fmt.Errorf("applying: %w", invalid(field.Invalid(path, canary, "no"))),
		"among others":              errors.Join(errors.New("first"), invalid(field.Invalid(path, canary, "no"))),
		"as a bad request":          apierrors.NewBadRequest("data.key: Invalid value: " + canary),
		"after one without a value": invalid(field.Required(path, "give one"), field.Invalid(path, canary, "no")),
	} {
		if m := fault.Message(err); strings.Contains(m, canary) || m == "" {
			t.Errorf("%s: %q", name, m)
		}
	}
	// A ValidatingAdmissionPolicy refuses with a cause that names no field.
	const denied = `deployments.apps "web" is forbidden: ValidatingAdmissionPolicy 'calm' with binding 'calm' denied request: no restarts`
	policy := &apierrors.StatusError{ErrStatus: metav1.Status{
		Reason: metav1.StatusReasonInvalid, Message: denied, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Message: "no restarts"}}},
	}}
	if m := fault.Message(fmt.Errorf("restarting: %w", policy)); m != "restarting: "+denied {
		t.Errorf("a policy's refusal: %q", m)
	}
	// Other answers are whole: they quote names, which whoever reads the condition knows.
	for _, err := range []error{
		apierrors.NewConflict(secrets, "db", errors.New("changed")), apierrors.NewForbidden(secrets, "db", errors.New("no right")),
		&apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonUnknown, Message: "whole: Invalid value"}},
	} {
		if m := fault.Message(err); m != err.Error() {
			t.Errorf("%q became %q", err, m)
		}
	}
}

// Of two failures of one pass the first has the reason, both are told, and the sooner time counts. It is stalled only if
// neither can pass by itself.
func TestTwoFaultsAreOneWithTheSoonerTime(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	for name, tt := range map[string]struct {
		a, b    error
		reason  string
		stalled bool
		after   time.Duration
	}{
		"both stalled":            {fault.Stalled("A", first), fault.Contested("B", second), "A", true, 30 * time.Second},
		"one waits":               {fault.Stalled("A", first), fault.Waiting("B", second), "A", false, 15 * time.Second},
		"one is tried at once":    {fault.Stalled("A", first), second, "A", false, 0},
		"the first is no fault":   {first, fault.Stalled("B", second), v1alpha1.ReasonProgressing, false, 0},
		"a sentinel and another":  {fmt.Errorf("%w: %w", store.ErrMissing, first), fault.Stalled("B", second), v1alpha1.ReasonEnvelopeMissing, true, 5 * time.Minute},
		"both waiting, and alike": {fault.Waiting("A", first), fault.Waiting("A", second), "A", false, 15 * time.Second},
	} {
		joined := fault.Join(tt.a, tt.b)
		f := fault.Of(fmt.Errorf("outer: %w", joined))
		if f.Reason != tt.reason || f.Stalled != tt.stalled || f.RetryAfter != tt.after {
			t.Errorf("%s: %s, stalled %t, after %s", name, f.Reason, f.Stalled, f.RetryAfter)
		}
		if m := fault.Message(joined); !strings.Contains(m, "first") || !strings.Contains(m, "second") || !errors.Is(joined, first) || !errors.Is(joined, second) {
			t.Errorf("%s: %q", name, m)
		}
	}
	for _, one := range []error{first, fault.Stalled("A", first)} {
		if fault.Join(one, nil) != one || fault.Join(nil, one) != one { //nolint:errorlint // the very value
			t.Error("one alone is changed")
		}
	}
	quoting := apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "db", field.ErrorList{field.Invalid(field.NewPath("data", "k"), "CANARY", "no")})
	for _, joined := range []error{fault.Join(first, quoting), fault.Join(quoting, second), fault.Join(quoting, quoting),
		fault.Join(apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "db", first), quoting)} {
		if m := fault.Message(fmt.Errorf("outer: %w", joined)); strings.Contains(m, "CANARY") || !strings.Contains(m, "data.k: Invalid value") {
			t.Errorf("a joined message: %q", m)
		}
	}
	if err := fault.Join(nil, nil); err != nil {
		t.Errorf("nothing joined with nothing is %v", err)
	}
}
