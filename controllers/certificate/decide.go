package certificate

import (
	"slices"
	"time"

	"strongroom.dev/strongroom/internal/core/pki"
)

// trigger is why a certificate is issued.
type trigger string

const (
	// triggerNone: the one in force stays.
	triggerNone trigger = ""
	// triggerFirst: there is none yet.
	triggerFirst trigger = "First"
	// triggerRequested: the rotate annotation has a value that was not handled yet.
	triggerRequested trigger = "Requested"
	// triggerChanged: the spec asks for other names, another key algorithm or another authority.
	triggerChanged trigger = "Changed"
	// triggerRevoked: the one in force is revoked.
	triggerRevoked trigger = "Revoked"
	// triggerDue: it is time.
	triggerDue trigger = "Due"
)

// input is all that the decision to issue depends on.
type input struct {
	// has tells whether there is a certificate in force, which the next fields are of.
	has bool
	// names in alphabetical order, algorithm, and the ARN of the authority that issued it.
	names, wantNames         []string
	algorithm, wantAlgorithm string
	authority, wantAuthority string
	notBefore, notAfter      time.Time
	revoked                  bool
	// authorityEnds is when the authority ends.
	authorityEnds time.Time
	renewBefore   time.Duration
	// requested is the rotate annotation, handled its value that was handled last.
	requested, handled string
	// seed spreads what was issued at one instant.
	seed string
	now  time.Time
}

// decision is whether to issue now and why, and when it will be time.
type decision struct {
	trigger trigger
	at      time.Time
	// waits tells that it is time, and that a new one would end no later: the authority has to be renewed first.
	waits bool
}

// decide is the decision to issue. It is made before the certificate ends, or never: a renewal that would bring nothing is not one, so
// that certificates of an authority that is about to end are not issued again and again.
func decide(in input) decision {
	if !in.has {
		return decision{trigger: triggerFirst}
	}
	d := decision{at: pki.RenewalTime(in.notBefore, in.notAfter, in.renewBefore, in.seed)}
	switch {
	case in.requested != "" && in.requested != in.handled:
		d.trigger = triggerRequested
	case !slices.Equal(in.names, in.wantNames) || in.algorithm != in.wantAlgorithm || in.authority != in.wantAuthority:
		d.trigger = triggerChanged
	case in.revoked:
		d.trigger = triggerRevoked
	case d.at.After(in.now):
	case !in.authorityEnds.After(in.notAfter):
		d.waits = true
	default:
		d.trigger = triggerDue
	}
	return d
}
