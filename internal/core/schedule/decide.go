package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// horizon is how far Next looks ahead. The calendar repeats its pairs of day and weekday within 28 years, but for a century
// without a leap year.
const horizon = 40

// Next is the first opening of a window strictly after t. ok is false if there is none within 40 years. The windows of a
// rate are counted from the hour of the last rotation.
func (s Schedule) Next(last, t time.Time) (start time.Time, ok bool) {
	last, t = last.UTC(), t.UTC()
	if s.rate > 0 {
		base := last.Truncate(time.Hour)
		rounds := int64(0)
		if since := t.Sub(base); since >= 0 {
			rounds = int64(since / s.rate)
		}
		return base.Add(time.Duration(rounds+1) * s.rate), true
	}
	end := t.AddDate(horizon, 0, 0)
	for d := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC); d.Before(end); d = d.AddDate(0, 0, 1) {
		if !s.cron.months.has(int(d.Month())) {
			d = time.Date(d.Year(), d.Month()+1, 0, 0, 0, 0, 0, time.UTC) // the loop goes on with the next month
			continue
		}
		if !s.cron.matches(d.Year(), d.Month(), d.Day()) {
			continue
		}
		for hour := range 24 {
			if at := d.Add(time.Duration(hour) * time.Hour); s.cron.hours.has(hour) && at.After(t) {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

// Window is a time in which a secret may be rotated: from Start up to but not including End.
type Window struct{ Start, End time.Time }

// Plan is a schedule and the length of its windows.
type Plan struct {
	schedule Schedule
	// duration is 0 for the rest of the UTC day.
	duration time.Duration
}

// NewPlan reads an expression and the length of its windows, which must not reach the next window nor the next UTC day.
// Without a length, windows last for an hour if the schedule fires more than once a day, and for the rest of the UTC day
// otherwise. Errors wrap ErrInvalid or ErrNeverFires.
func NewPlan(expression, duration string) (Plan, error) {
	s, err := Parse(expression)
	if err != nil {
		return Plan{}, err
	}
	d, err := ParseDuration(duration)
	if err != nil {
		return Plan{}, err
	}
	if _, ok := s.Next(time.Time{}, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
		return Plan{}, fmt.Errorf("%w: %s: no such day comes; change the day or the month", ErrNeverFires, expression)
	}
	if d == 0 {
		if s.inHours || s.cron.hours.count() > 1 {
			d = time.Hour
		}
		return Plan{schedule: s, duration: d}, nil
	}
	return Plan{schedule: s, duration: d}, s.fits(d)
}

// fits says whether windows of a length keep clear of each other and of the next UTC day. The windows of a rate open at
// any hour; what would go over the end of the day is cut off there.
func (s Schedule) fits(d time.Duration) error {
	if s.rate > 0 {
		if d > s.rate {
			return fmt.Errorf("%w: a window of %s reaches the next one, %s later: make duration shorter", ErrInvalid, hours(d), hours(s.rate))
		}
		return nil
	}
	for hour, next := 23, 24; hour >= 0; hour-- {
		if !s.cron.hours.has(hour) {
			continue
		}
		if hour+int(d/time.Hour) > next {
			return fmt.Errorf("%w: the window that opens at %02d:00 UTC and lasts %s reaches the next window or the next UTC day: "+
				"make duration at most %dh", ErrInvalid, hour, hours(d), next-hour)
		}
		next = hour
	}
	return nil
}

func hours(d time.Duration) string { return fmt.Sprintf("%dh", int(d/time.Hour)) }

// window is the window that opens at a time.
func (p Plan) window(start time.Time) Window {
	midnight := start.Truncate(day).Add(day)
	end := start.Add(p.duration)
	if p.duration == 0 || end.After(midnight) {
		end = midnight
	}
	return Window{Start: start, End: end}
}

// Decision is what a schedule wants at a time.
type Decision struct {
	// Due tells to rotate now.
	Due bool
	// At is when to rotate: at or before now if Due, after it otherwise.
	At time.Time
	// Window is the window that At is in.
	Window Window
	// Reason says why, for people.
	Reason string
}

// Decide is the decision whether to rotate now, by the time of the last rotation. Each window is used once. A window
// that went by while nobody looked is not made up for: as in AWS, the next one is waited for. The seed, an object's UID,
// places the rotation within the first half of the window, and within its first half hour, so that many secrets of one
// schedule do not rotate at one instant.
func (p Plan) Decide(last, now time.Time, seed string) Decision {
	last, now = last.UTC(), now.UTC()
	from, missed := last, false
	if recent := now.Add(-day - time.Hour); recent.After(from) {
		from = recent // no window is longer than a day
	}
	for {
		start, ok := p.schedule.Next(last, from)
		if !ok { // cannot be, since NewPlan found one; a time far off is the safe answer
			return Decision{At: now.AddDate(horizon, 0, 0), Reason: "the schedule never fires"}
		}
		w := p.window(start)
		if !w.End.After(now) {
			from, missed = start, true
			continue
		}
		spread := min(w.End.Sub(w.Start)/2, 30*time.Minute)
		at := w.Start.Add(jitter(seed, w.Start, spread))
		d := Decision{At: at, Window: w, Due: !at.After(now)}
		switch {
		case d.Due:
			d.Reason = "a rotation window is open"
		case missed:
			d.Reason = "a rotation window was missed; the next one is waited for"
		default:
			d.Reason = "the next rotation window is waited for"
		}
		return d
	}
}

// DecidePeriod is the decision whether to rotate a KMS key that rotates every so many days. The seed spreads keys over
// the hour after; none is rotated before its time.
func DecidePeriod(last, now time.Time, days int, seed string) Decision {
	due := last.UTC().Add(time.Duration(days) * day)
	at := due.Add(jitter(seed, due, time.Hour))
	d := Decision{At: at, Window: Window{Start: due, End: due.Add(time.Hour)}, Due: !at.After(now), Reason: "the rotation period is not over"}
	if d.Due {
		d.Reason = "the rotation period is over"
	}
	return d
}

// jitter is a time from 0 to below spread in whole seconds, the same for the same seed and time.
func jitter(seed string, t time.Time, spread time.Duration) time.Duration {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(seed), uint64(t.Unix())))
	seconds := uint64(spread / time.Second)
	if seconds == 0 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint64(sum[:8])%seconds) * time.Second
}
