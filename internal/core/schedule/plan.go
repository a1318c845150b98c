package schedule

import (
	"fmt"
	"time"
)

// Window is a time in which a secret may be rotated: from Start up to but not including End.
type Window struct{ Start, End time.Time }

// Plan is a schedule and the length of its windows, made by NewPlan. It is a value that does not change. The zero Plan has
// no windows.
type Plan struct {
	schedule Schedule
	// duration is 0 for the rest of the UTC day.
	duration time.Duration
	// chosen tells that somebody said how long windows are.
	chosen bool
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
	if d != 0 {
		if err := s.fits(d); err != nil {
			return Plan{}, err
		}
	} else if s.inHours || s.cron.hours.count() > 1 {
		d = time.Hour
	}
	return Plan{schedule: s, duration: d, chosen: duration != ""}, nil
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

// Window is the window to rotate in, by the time of the last rotation: the first that opens after last and is not over at
// now. That is the open one if it is not used yet, and the following one otherwise. A zero last means that there was no
// rotation; a rate then counts from the beginning of the year 1. Only the zero Plan has no such window and gives the zero
// Window.
func (p Plan) Window(last, now time.Time) Window {
	last, now = last.UTC(), now.UTC()
	from := last
	// No window goes over the end of a day, so that those of earlier days are over. Looking from the day's beginning, and
	// not from last, bounds the loop to the 24 hours of one day.
	if yesterday := now.Truncate(day).Add(-time.Nanosecond); yesterday.After(from) {
		from = yesterday
	}
	for {
		start, ok := p.schedule.Next(last, from)
		if !ok {
			return Window{}
		}
		if w := p.window(start); w.End.After(now) {
			return w
		}
		from = start
	}
}

// missed is the first window after the last rotation, if it is over. Without any rotation before, none was missed.
func (p Plan) missed(last, now time.Time) (Window, bool) {
	start, ok := p.schedule.Next(last, last)
	if !ok || last.IsZero() {
		return Window{}, false
	}
	w := p.window(start)
	return w, !w.End.After(now)
}

// window is the window that opens at a time.
func (p Plan) window(start time.Time) Window {
	midnight := start.Truncate(day).Add(day)
	end := start.Add(p.duration)
	if p.duration == 0 || end.After(midnight) {
		end = midnight
	}
	return Window{Start: start, End: end}
}
