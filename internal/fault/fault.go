// Package fault says what went wrong with an object in the words of its conditions: a documented reason, a message for
// people, and whether trying again can help.
package fault

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/store"
)

// Fault is an error with a reason.
type Fault struct {
	// Reason is one of the documented reasons of v1alpha1.
	Reason string
	// Stalled is true when only a change by somebody helps. Strongroom looks again when what it watches changes, and
	// every RetryAfter besides.
	Stalled bool
	// RetryAfter is how long to wait before the next look. 0 leaves it to the queue's exponential back-off.
	RetryAfter time.Duration

	err error
	// text is the message of a joined fault: each part's, since only alone can it be told what of it quotes a value.
	text string
}

// Error is the message.
func (f *Fault) Error() string { return f.err.Error() }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.err }

// recheck is how often a stalled object is looked at again although nothing that is watched has changed.
const recheck = 5 * time.Minute

// contested is how often a name or a target is looked at again that somebody else has: that they let go of it is not always
// watched.
const contested = 30 * time.Second

// waiting is how often something that is not watched, such as an import source, is looked for.
const waiting = 15 * time.Second

// Stalled makes a fault that only somebody's change mends.
func Stalled(reason string, err error) error {
	return &Fault{Reason: reason, Stalled: true, RetryAfter: recheck, err: err}
}

// Contested makes a fault that ends when somebody else lets go of what both want.
func Contested(reason string, err error) error {
	return &Fault{Reason: reason, Stalled: true, RetryAfter: contested, err: err}
}

// Waiting makes a fault that ends when something else appears, which is looked for at short intervals.
func Waiting(reason string, err error) error {
	return &Fault{Reason: reason, RetryAfter: waiting, err: err}
}

// Later makes a fault that ends by itself, by waiting for so long.
func Later(reason string, after time.Duration, err error) error {
	return &Fault{Reason: reason, RetryAfter: after, err: err}
}

// sentinels of other packages and what they mean to an object.
var sentinels = []struct {
	err     error
	reason  string
	stalled bool
	after   time.Duration
}{
	{keyring.ErrSealed, v1alpha1.ReasonSealed, false, waiting},
	{keyring.ErrUnknownEpoch, v1alpha1.ReasonEnvelopeMissing, false, waiting}, // that of a domain key
	{store.ErrMissing, v1alpha1.ReasonEnvelopeMissing, true, recheck},
	{store.ErrTampered, v1alpha1.ReasonEnvelopeTampered, true, recheck},
	{account.ErrConflict, v1alpha1.ReasonAccountConflict, true, contested},
	{account.ErrInvalid, v1alpha1.ReasonInvalidAccount, true, recheck},
}

// Of turns any error into a Fault. One without a meaning of its own is a passing failure, tried again with back-off.
func Of(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	if turn, ok := errors.AsType[*keys.TurnError](err); ok {
		return &Fault{Reason: v1alpha1.ReasonProgressing, RetryAfter: turn.After, err: err}
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return &Fault{Reason: s.reason, Stalled: s.stalled, RetryAfter: s.after, err: err}
		}
	}
	return &Fault{Reason: v1alpha1.ReasonProgressing, err: err}
}

// Join makes one error of two: the first one's reason, both messages, and the sooner of the two times to try again. Either may be
// nil.
func Join(first, second error) error {
	if first == nil || second == nil {
		return cmp.Or(first, second)
	}
	a, b := Of(first), Of(second)
	after := min(a.RetryAfter, b.RetryAfter) // 0 is the queue's back-off, which is the sooner
	return &Fault{
		Reason: a.Reason, Stalled: a.Stalled && b.Stalled, RetryAfter: after,
		err: fmt.Errorf("%w; and %w", first, second), text: Message(first) + "; and " + Message(second),
	}
}

// unquoted says which fields the API server found wrong and in what way, without the values that its own text quotes.
func unquoted(text string, err error) string {
	var status apierrors.APIStatus
	text, _, _ = strings.Cut(text, " is invalid")
	var all []metav1.StatusCause
	if errors.As(err, &status) && status.Status().Details != nil {
		all = status.Status().Details.Causes
	}
	var causes []string
	for _, c := range all {
		if c.Field == "" { // a ValidatingAdmissionPolicy's, whose message is in the text
			continue
		}
		what := field.ErrorType(c.Type).String()
		if c.Type == metav1.CauseType(field.ErrorTypeForbidden) || c.Type == metav1.CauseType(field.ErrorTypeRequired) {
			what = c.Message // these two have no value to quote
		}
		causes = append(causes, c.Field+": "+what)
	}
	if len(causes) == 0 {
		text, _, _ = strings.Cut(text, ": Invalid value")
		return text
	}
	return text + " is invalid: " + strings.Join(causes, "; ")
}

// maxMessage is the length of a message in a condition, in bytes. Kubernetes allows 32,768.
const maxMessage = 1024

// Message is the text of a fault for a condition or an event: one line, bounded, and without what the API server may
// quote from an object that it found invalid.
func Message(err error) string {
	text := err.Error()
	var f *Fault
	if errors.As(err, &f) && f.text != "" {
		text = f.text
	} else if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		text = unquoted(text, err)
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage-3], "") + "..."
	}
	return text
}
