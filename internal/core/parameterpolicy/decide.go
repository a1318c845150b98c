package parameterpolicy

import "time"

// Status is what has become of a policy, by AWS's names.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterInlinePolicy.html
type Status string

// The statuses of policies.
const (
	// Pending is one that is not due, or whose event was not made yet.
	Pending Status = "Pending"
	// InProgress is an Expiration that is being carried out.
	InProgress Status = "InProgress"
	// Finished is a notification whose event was made.
	Finished Status = "Finished"
	// Failed is an Expiration that had passed when it was set. It deletes nothing.
	Failed Status = "Failed"
)

// State is what is recorded of a policy. Type and Due, to the second, tell which one it is of: another time is another policy.
type State struct {
	Type Type
	// Due is when the policy acts, zero if that is not known, since the parameter has no version.
	Due    time.Time
	Status Status
}

func (s *State) same(other *State) bool {
	return s.Type == other.Type && s.Due.Truncate(time.Second).Equal(other.Due.Truncate(time.Second))
}

// Facts are what a decision is made of.
type Facts struct {
	Policies []Policy
	// Modified is when the latest version was made, zero if there is none.
	Modified time.Time
	// Created is when the object of the parameter was made. One that was made after its expiry was put back, be it by Git or by a backup with
	// all that was recorded, and has not waited for it.
	Created time.Time
	// Recorded are the states that the last decision came to.
	Recorded []State
	Now      time.Time
}

// Decision is what policies ask for at a moment.
type Decision struct {
	// States are to be recorded: one for each policy, in their order. Of those in Notices they say Pending.
	States []State
	// Notices are the places, among the policies, of the notifications that are to be made.
	Notices []int
	// Expired tells that the parameter's time has passed: its value is for nobody.
	Expired bool
	// Delete tells that the parameter is to be deleted: it has expired, was there before, and was recorded to wait for that very time. An expiry that had passed
	// when it was first seen deletes nothing: it is a slip, or an object that was put back after it was deleted. That it has no version makes no difference: a put that ended
	// before it stored one, or before it was committed, left a name that nobody could put a value under.
	Delete bool
	// Next is when to decide again, zero for never.
	Next time.Time
}

// Decide says what policies ask for. A policy that cannot be read asks for nothing. It is a pure function.
func Decide(f Facts) Decision {
	var d Decision
	expiry, err := Expiry(f.Policies)
	if err != nil {
		return d
	}
	d.Expired = !expiry.IsZero() && !f.Now.Before(expiry)
	for i := range f.Policies {
		s := State{Type: f.Policies[i].Type, Due: f.Policies[i].due(expiry, f.Modified)}
		before := recorded(f.Recorded, &s)
		switch {
		case s.Type == Expiration:
			s.Status = expiration(before, d.Expired, f.Created.Before(expiry))
			d.Delete = s.Status == InProgress
		case before == Finished:
			s.Status = Finished
		default:
			s.Status = Pending
		}
		if s.Status == Pending && !s.Due.IsZero() {
			d.wait(i, &s, f.Now)
		}
		d.States = append(d.States, s)
	}
	if d.Expired {
		d.Notices, d.Next = nil, time.Time{}
	}
	return d
}

// expiration is the status of an Expiration, by what it was. Only one that was waited for is carried out, by an object that was there before.
func expiration(before Status, expired, wasThere bool) Status {
	switch {
	case !expired:
		return Pending
	case wasThere && (before == Pending || before == InProgress):
		return InProgress
	}
	return Failed
}

// wait has a notification made that is due, or the decision made again when it is.
func (d *Decision) wait(at int, s *State, now time.Time) {
	if !now.Before(s.Due) {
		d.Notices = append(d.Notices, at)
		return
	}
	if d.Next.IsZero() || s.Due.Before(d.Next) {
		d.Next = s.Due
	}
}

// Made are the states once the notifications are made.
func (d *Decision) Made() []State {
	out := append([]State(nil), d.States...)
	for _, at := range d.Notices {
		out[at].Status = Finished
	}
	return out
}

func recorded(all []State, s *State) Status {
	for i := range all {
		if all[i].same(s) {
			return all[i].Status
		}
	}
	return ""
}

func (p *Policy) due(expiry, modified time.Time) time.Time {
	switch {
	case p.Type == Expiration:
		return expiry
	case p.Type == ExpirationNotification:
		return expiry.Add(-p.span())
	case modified.IsZero():
		return time.Time{}
	}
	return modified.Add(p.span())
}
