package certificate

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWhenACertificateIsIssuedAndWhy(t *testing.T) {
	const day = 24 * time.Hour
	begin := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	end := begin.Add(90 * day)
	good := func(change func(*input)) input {
		in := input{
			has: true, names: []string{"a", "b"}, wantNames: []string{"a", "b"}, algorithm: "EC", wantAlgorithm: "EC", authority: "arn", wantAuthority: "arn",
			notBefore: begin, notAfter: end, authorityEnds: end.Add(1000 * day), now: begin.Add(day),
		}
		change(&in)
		return in
	}
	at := func(now time.Time) func(*input) { return func(in *input) { in.now = now } }
	for name, tt := range map[string]struct {
		in    input
		want  trigger
		waits bool
	}{
		"there is none":                                     {input{}, triggerFirst, false},
		"there is none, and somebody asks":                  {input{requested: "a"}, triggerFirst, false},
		"nothing is asked for":                              {good(func(*input) {}), triggerNone, false},
		"a second before two thirds":                        {good(at(begin.Add(60*day - time.Second))), triggerNone, false},
		"at two thirds":                                     {good(at(begin.Add(60 * day))), triggerDue, false},
		"when it has expired":                               {good(at(end.Add(day))), triggerDue, false},
		"a second before it asks to be":                     {good(func(in *input) { in.renewBefore, in.now = 10*day, end.Add(-10*day-time.Second) }), triggerNone, false},
		"when it asks to be":                                {good(func(in *input) { in.renewBefore, in.now = 10*day, end.Add(-10*day) }), triggerDue, false},
		"somebody asks":                                     {good(func(in *input) { in.requested = "a" }), triggerRequested, false},
		"somebody asks again":                               {good(func(in *input) { in.requested, in.handled = "b", "a" }), triggerRequested, false},
		"what somebody asked for is done":                   {good(func(in *input) { in.requested, in.handled = "a", "a" }), triggerNone, false},
		"nobody asks any more":                              {good(func(in *input) { in.handled = "a" }), triggerNone, false},
		"one name more":                                     {good(func(in *input) { in.wantNames = []string{"a", "b", "c"} }), triggerChanged, false},
		"one name less":                                     {good(func(in *input) { in.wantNames = []string{"a"} }), triggerChanged, false},
		"another algorithm":                                 {good(func(in *input) { in.wantAlgorithm = "RSA" }), triggerChanged, false},
		"another authority":                                 {good(func(in *input) { in.wantAuthority = "other" }), triggerChanged, false},
		"an authority that did not issue it":                {good(func(in *input) { in.authority = "" }), triggerChanged, false},
		"it is revoked":                                     {good(func(in *input) { in.revoked = true }), triggerRevoked, false},
		"it is time, and its authority ends with it":        {good(func(in *input) { in.now, in.authorityEnds = begin.Add(60*day), end }), triggerNone, true},
		"it is time, and its authority ends a second later": {good(func(in *input) { in.now, in.authorityEnds = begin.Add(60*day), end.Add(time.Second) }), triggerDue, false},
		"its authority ends, and it is not time":            {good(func(in *input) { in.authorityEnds = end }), triggerNone, false},
		"its authority ends, and somebody asks":             {good(func(in *input) { in.authorityEnds, in.requested = end, "a" }), triggerRequested, false},
		"its authority ends, and it is revoked":             {good(func(in *input) { in.authorityEnds, in.revoked = end, true }), triggerRevoked, false},
		"asked for, changed, revoked and due: once":         {good(func(in *input) { in.requested, in.wantAlgorithm, in.revoked, in.now = "a", "RSA", true, end }), triggerRequested, false},
	} {
		if d := decide(tt.in); d.trigger != tt.want || d.waits != tt.waits {
			t.Errorf("%s: %+v, want %q", name, d, tt.want)
		}
	}
}

// Whatever there is, one decision after what it asked for was done asks for nothing more: no certificate is issued again and again.
func TestADecisionThatWasCarriedOutIsNotMadeAgain(t *testing.T) {
	begin := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	names := rapid.SliceOfN(rapid.StringMatching(`[a-c]`), 0, 3)
	text := rapid.SampledFrom([]string{"", "a", "b"})
	rapid.Check(t, func(rt *rapid.T) {
		life := time.Duration(rapid.Int64Range(int64(time.Hour), int64(10*365*24*time.Hour)).Draw(rt, "life"))
		in := input{
			has: rapid.Bool().Draw(rt, "has"), names: slices.Sorted(slices.Values(names.Draw(rt, "names"))), wantNames: slices.Sorted(slices.Values(names.Draw(rt, "want"))),
			algorithm: text.Draw(rt, "algorithm"), wantAlgorithm: text.Draw(rt, "wanted"), authority: text.Draw(rt, "authority"), wantAuthority: text.Draw(rt, "by"),
			notBefore: begin, notAfter: begin.Add(life), revoked: rapid.Bool().Draw(rt, "revoked"), requested: text.Draw(rt, "requested"), handled: text.Draw(rt, "handled"),
			renewBefore: time.Duration(rapid.Int64Range(0, int64(life)).Draw(rt, "before")), seed: rapid.String().Draw(rt, "seed"),
			now: begin.Add(time.Duration(rapid.Int64Range(0, 2*int64(life)).Draw(rt, "now"))),
		}
		in.authorityEnds = in.now.Add(time.Duration(rapid.Int64Range(1, 3*int64(life)).Draw(rt, "ends")))
		d := decide(in)
		if d.trigger == triggerNone {
			return
		}
		validity := life
		in.has, in.names, in.algorithm, in.authority, in.revoked, in.handled = true, in.wantNames, in.wantAlgorithm, in.wantAuthority, false, in.requested
		in.notBefore, in.notAfter = in.now.Add(-min(time.Hour, validity/10)), in.now.Add(validity)
		if in.authorityEnds.Before(in.notAfter) {
			in.notAfter = in.authorityEnds
		}
		if next := decide(in); next.trigger != triggerNone {
			rt.Fatalf("after %q it is %q, of a life from %s to %s at %s", d.trigger, next.trigger, in.notBefore, in.notAfter, in.now)
		}
	})
}
