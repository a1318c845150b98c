// Package fault says what went wrong with an object in the words of its conditions: a documented reason, a message for
// people, and whether trying again can help.
package fault

import (
	"errors"
	"strings"
	"time"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/keyring"
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
}

// Error is the message.
func (f *Fault) Error() string { return f.err.Error() }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.err }

// recheck is how often a stalled object is looked at again although nothing that is watched has changed.
const recheck = 5 * time.Minute

// waiting is how often something that is not watched, such as an import source, is looked for.
const waiting = 15 * time.Second

// Stalled makes a fault that only somebody's change mends.
func Stalled(reason string, err error) error {
	return &Fault{Reason: reason, Stalled: true, RetryAfter: recheck, err: err}
}

// Waiting makes a fault that ends when something else appears, which is looked for at short intervals.
func Waiting(reason string, err error) error {
	return &Fault{Reason: reason, RetryAfter: waiting, err: err}
}

// sentinels of other packages and what they mean to an object.
var sentinels = []struct {
	err     error
	reason  string
	stalled bool
	after   time.Duration
}{
	{keyring.ErrSealed, v1alpha1.ReasonSealed, false, waiting},
	{store.ErrMissing, v1alpha1.ReasonEnvelopeMissing, true, recheck},
	{store.ErrTampered, v1alpha1.ReasonEnvelopeTampered, true, recheck},
	{account.ErrConflict, v1alpha1.ReasonAccountConflict, true, recheck},
	{account.ErrInvalid, v1alpha1.ReasonInvalidAccount, true, recheck},
}

// Of turns any error into a Fault. One without a meaning of its own is a passing failure, tried again with back-off.
func Of(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return &Fault{Reason: s.reason, Stalled: s.stalled, RetryAfter: s.after, err: err}
		}
	}
	return &Fault{Reason: v1alpha1.ReasonProgressing, err: err}
}

// maxMessage is the length of a message in a condition, in bytes. Kubernetes allows 32,768.
const maxMessage = 1024

// Message is the text of a fault for a condition or an event: one line, bounded, and without what the API server may
// quote from an object that it found invalid.
func Message(err error) string {
	text := err.Error()
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		text, _, _ = strings.Cut(text, ": Invalid value")
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage-3], "") + "..."
	}
	return text
}
