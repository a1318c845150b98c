package envelope

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// member is an Envelope that a group may have.
type member struct {
	name     string
	envelope v1alpha1.Envelope
}

// members are at and around each of the limits that decide knows: the hour of a sweep and the end of a window.
func members() []member {
	aged := func(sequence int64, age time.Duration) v1alpha1.Envelope { return stored(sequence, age) }
	ending := func(name string, sequence int64, in time.Duration) v1alpha1.Envelope {
		e := tombstone(in)
		e.Name, e.Spec.Sequence = name, sequence
		return e
	}
	endless := tombstone(0)
	endless.Name, endless.Spec.ExpireTime = "endless", nil
	material := aged(1, 9*time.Hour)
	material.Name, material.Spec.Class, material.Spec.Version = "material", v1alpha1.EnvelopeKeyMaterial, "m1"
	return []member{
		{"old version", aged(1, time.Hour)},
		{"version a moment younger than an hour", aged(2, time.Hour-time.Nanosecond)},
		{"version of now", aged(3, 0)},
		{"version of the future", aged(4, -time.Minute)},
		{"ended tombstone", ending("ended", 3, 0)},
		{"tombstone that ends in a moment", ending("ending", 4, time.Nanosecond)},
		{"tombstone without an end", endless},
		{"key material", material},
	}
}

// owners are all that an owner can be: gone, without an ARN, this one with any index, another one.
func owners() map[string]*object {
	out := map[string]*object{
		"gone": nil, "nameless": owner(""), "other": owner("other", 1), "other, empty": owner("other"), "other, by nothing but status": {arn: "other", doubtful: true}, "live, empty": owner("arn"),
	}
	for last := int64(1); last <= 4; last++ {
		out[fmt.Sprintf("live with %d", last)] = owner("arn", last)
	}
	out["live with all"] = owner("arn", 1, 2, 3, 4)
	return out
}

func each(t *testing.T, check func(t *testing.T, in input, d decision)) {
	t.Helper()
	all := members()
	n := 0
	for name, o := range owners() {
		for set := range 1 << len(all) {
			for _, used := range []bool{false, true} {
				in := input{now: now, object: o, subject: "arn", keyInUse: used}
				var names []string
				for i, m := range all {
					if set&(1<<i) != 0 {
						in.envelopes, names = append(in.envelopes, m.envelope), append(names, m.name)
					}
				}
				cached := slices.Clone(in.envelopes)
				check(t, in, decide(in))
				if !slices.EqualFunc(cached, in.envelopes, func(a, b v1alpha1.Envelope) bool { return a.Name == b.Name }) {
					t.Fatal("the cache's own list was changed")
				}
				if t.Failed() {
					t.Fatalf("owner %s, in use %t, Envelopes: %q", name, used, names)
				}
				n++
			}
		}
	}
	if n != 11*256*2 {
		t.Fatalf("%d cases", n)
	}
}

func isTombstone(e v1alpha1.Envelope) bool { return e.Spec.Class == v1alpha1.EnvelopeTombstone }

func has(in input, which func(v1alpha1.Envelope) bool) bool {
	return slices.ContainsFunc(in.envelopes, which)
}

// live tells that the owner is there and these are its Envelopes.
func live(in input) bool { return in.object != nil && in.object.arn == in.subject }

// undecided tells that the owner is there and has not said yet what is its own.
func undecided(in input) bool { return in.object != nil && (in.object.arn == "" || in.object.doubtful) }

// end is when the window is over: the latest end that a tombstone names.
func end(in input) (latest time.Time) {
	for _, e := range in.envelopes {
		if isTombstone(e) && e.Spec.ExpireTime != nil && e.Spec.ExpireTime.After(latest) {
			latest = e.Spec.ExpireTime.Time
		}
	}
	return latest
}

// What may never happen, in all 5,632 cases of owner, Envelopes and use.
func TestNothingIsEverDeletedThatIsNeeded(t *testing.T) {
	each(t, func(t *testing.T, in input, d decision) {
		for _, e := range d.delete {
			_, named := versionOf(in, e)
			switch {
			case undecided(in):
				t.Errorf("%s goes though the owner has not said what is its own", e.Name)
			case live(in) && !isTombstone(e) && named:
				t.Errorf("%s goes though the index names it", e.Name)
			case live(in) && e.Spec.Class == v1alpha1.EnvelopeKeyMaterial:
				t.Errorf("key material %s of a key that lives goes", e.Name)
			case live(in) && !isTombstone(e) && len(in.object.index) == 0:
				t.Errorf("%s goes though there is no index to name it", e.Name)
			case live(in) && !isTombstone(e) && e.Spec.Sequence > in.object.index.Last():
				t.Errorf("%s goes though it is in flight", e.Name)
			case live(in) && !isTombstone(e) && now.Sub(e.CreationTimestamp.Time) < time.Hour:
				t.Errorf("%s goes before it is an hour old", e.Name)
			case !live(in) && !has(in, isTombstone):
				t.Errorf("%s goes without a tombstone", e.Name)
			case !live(in) && end(in).After(now):
				t.Errorf("%s goes before the window ends", e.Name)
			case !live(in) && !isTombstone(e) && in.keyInUse:
				t.Errorf("%s goes though something is encrypted under it", e.Name)
			}
		}
	})
}

func versionOf(in input, e v1alpha1.Envelope) (int64, bool) {
	if in.object == nil {
		return 0, false
	}
	v, ok := in.object.index.ByID(e.Spec.Version)
	return v.Sequence, ok
}

func TestATombstoneGoesAfterAllThatItCovers(t *testing.T) {
	each(t, func(t *testing.T, in input, d decision) {
		if live(in) || len(d.delete) == 0 {
			return
		}
		if len(d.delete) != len(in.envelopes) {
			t.Errorf("%d of %d go, and the rest has no tombstone", len(d.delete), len(in.envelopes))
		}
		first := slices.IndexFunc(d.delete, isTombstone)
		for _, e := range d.delete[first:] {
			if !isTombstone(e) {
				t.Errorf("%s goes after a tombstone: a crash between the two would give it a new window", e.Name)
			}
		}
	})
}

func TestATombstoneIsMadeExactlyForWhatHasNoOwnerAndNone(t *testing.T) {
	each(t, func(t *testing.T, in input, d decision) {
		want := !undecided(in) && !live(in) && len(in.envelopes) > 0 && !has(in, isTombstone)
		if d.entomb != want {
			t.Errorf("entomb is %t", d.entomb)
		}
		if d.entomb && (len(d.delete) > 0 || d.wait != 0) {
			t.Error("it also does something else")
		}
	})
}

// What must come true at some time is either done now or waited for, and never waited for longer than it takes.
func TestNothingIsForgotten(t *testing.T) {
	each(t, func(t *testing.T, in input, d decision) {
		gone := func(e v1alpha1.Envelope) bool {
			return slices.ContainsFunc(d.delete, func(g v1alpha1.Envelope) bool { return g.Name == e.Name })
		}
		for _, e := range in.envelopes {
			_, named := versionOf(in, e)
			swept := live(in) && !isTombstone(e) && !named && e.Spec.Class != v1alpha1.EnvelopeKeyMaterial &&
				len(in.object.index) > 0 && e.Spec.Sequence <= in.object.index.Last()
			left := e.CreationTimestamp.Add(time.Hour).Sub(now)
			switch {
			case live(in) && isTombstone(e) && !gone(e):
				t.Errorf("%s is obsolete and stays", e.Name)
			case swept && left <= 0 && !gone(e):
				t.Errorf("%s is left over and stays", e.Name)
			case swept && left > 0 && (d.wait == 0 || d.wait > left):
				t.Errorf("%s is waited for %s, and is due in %s", e.Name, d.wait, left)
			}
		}
		over := !live(in) && !undecided(in) && has(in, isTombstone) && !end(in).After(now)
		others := has(in, func(e v1alpha1.Envelope) bool { return !isTombstone(e) })
		switch {
		case over && in.keyInUse && others && d.wait != time.Hour:
			t.Errorf("a key that is in use is looked at again in %s", d.wait)
		case over && (!in.keyInUse || !others) && len(d.delete) != len(in.envelopes):
			t.Error("the window is over and something stays")
		case !live(in) && !undecided(in) && end(in).After(now) && d.wait != end(in).Sub(now):
			t.Errorf("the window ends in %s and is waited for %s", end(in).Sub(now), d.wait)
		}
		if d.wait < 0 {
			t.Errorf("a wait of %s", d.wait)
		}
	})
}

func TestTheDecisionDoesNotHangOnTheOrderOfAList(t *testing.T) {
	each(t, func(t *testing.T, in input, d decision) {
		turned := in
		turned.envelopes = slices.Clone(in.envelopes)
		slices.Reverse(turned.envelopes)
		other := decide(turned)
		names := func(d decision) []string {
			var out []string
			for _, e := range d.delete {
				out = append(out, e.Name)
			}
			slices.Sort(out)
			return out
		}
		if other.entomb != d.entomb || other.wait != d.wait || !slices.Equal(names(other), names(d)) {
			t.Errorf("%+v turned to %+v", d, other)
		}
	})
}

func TestAWindowEndsToTheNanosecond(t *testing.T) {
	for _, tt := range []struct {
		left time.Duration
		gone bool
	}{{time.Nanosecond, false}, {0, true}, {-time.Nanosecond, true}} {
		e := stored(1, 0)
		stone := tombstone(0)
		stone.Spec.ExpireTime = &metav1.Time{Time: now.Add(tt.left)}
		d := decide(input{now: now, subject: "arn", envelopes: []v1alpha1.Envelope{stone, e}})
		if (len(d.delete) == 2) != tt.gone || tt.gone == (d.wait > 0) {
			t.Errorf("%s before its end: %d go, wait %s", tt.left, len(d.delete), d.wait)
		}
	}
}
