package schedule_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/schedule"
)

func TestExactlyOneFieldOfDaysIsAQuestionMark(t *testing.T) {
	for expression, says := range map[string]string{
		"cron(0 4 * * ? *)":     "",
		"cron(0 4 ? * * *)":     "",
		"cron(0 4 1 * ? *)":     "",
		"cron(0 4 ? * MON *)":   "",
		"cron(0 4 * * * *)":     "both given",
		"cron(0 4 1 * * *)":     "both given",
		"cron(0 4 * * MON *)":   "both given",
		"cron(0 4 ? * ? *)":     "both ?",
		"cron(0 4 1,? * MON *)": "both given",
		"cron(0 4 1,? * ? *)":   "day of month",
		"cron(0 4 ? * MON,? *)": "day of week",
	} {
		_, err := schedule.Parse(expression)
		if says == "" && err != nil || says != "" && (!errors.Is(err, schedule.ErrInvalid) || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v, want %q", expression, err, says)
		}
	}
}

func TestNumbersHaveNoSign(t *testing.T) {
	for _, expression := range []string{
		"cron(0 +4 1 * ? *)", "cron(0 -4 1 * ? *)", "cron(0 */+4 1 * ? *)", "cron(0 */-1 1 * ? *)", "cron(0 4 +1 * ? *)",
		"cron(0 4 ? * +1L *)", "cron(0 4 ? * MON#+1 *)", "rate(+5 days)", "rate(-5 days)",
	} {
		if _, err := schedule.Parse(expression); !errors.Is(err, schedule.ErrInvalid) {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func TestLengthIsLimitedTo256Characters(t *testing.T) {
	pad := func(n int) string {
		const start, end = "cron(0 4", " 1 * ? *)"
		return start + strings.Repeat(" ", n-len(start)-len(end)) + end
	}
	if _, err := schedule.Parse(pad(256)); err != nil {
		t.Errorf("256 characters: %v", err)
	}
	if _, err := schedule.Parse(pad(257)); !errors.Is(err, schedule.ErrInvalid) || !strings.Contains(err.Error(), "257 characters") {
		t.Errorf("257 characters: %v", err)
	}
}

func TestARefusedPlanIsTheZeroPlan(t *testing.T) {
	for _, tt := range [][2]string{{"x", ""}, {"rate(4 hours)", "x"}, {"rate(4 hours)", "5h"}, {"cron(0 4 31 2 ? *)", ""}} {
		if p, err := schedule.NewPlan(tt[0], tt[1]); err == nil || p != (schedule.Plan{}) {
			t.Errorf("%s for %q: %+v, %v", tt[0], tt[1], p, err)
		}
	}
}

func TestParseDurationIsZeroForNothingAndElseWholeHours(t *testing.T) {
	if d, err := schedule.ParseDuration(""); err != nil || d != 0 {
		t.Errorf("%s, %v", d, err)
	}
	for n := range 30 {
		d, err := schedule.ParseDuration(fmt.Sprintf("%dh", n))
		if good := n >= 1 && n <= 24; good != (err == nil) || good && d != time.Duration(n)*time.Hour {
			t.Errorf("%dh: %s, %v", n, d, err)
		}
	}
}

func TestTheWindowIsTheOpenOneUntilItIsUsedOrOver(t *testing.T) {
	tests := []struct {
		name, expression, duration, last, now, start, end string
	}{
		{"an open window not used yet", "cron(0 4 ? * SUN *)", "3h", "2026-11-24T12:00", "2026-11-29T05:00", "2026-11-29T04:00", "2026-11-29T07:00"},
		{"at its very opening", "cron(0 4 ? * SUN *)", "3h", "2026-11-24T12:00", "2026-11-29T04:00", "2026-11-29T04:00", "2026-11-29T07:00"},
		{"at its very end", "cron(0 4 ? * SUN *)", "3h", "2026-11-24T12:00", "2026-11-29T07:00", "2026-12-06T04:00", "2026-12-06T07:00"},
		{"used at its very opening", "cron(0 4 ? * SUN *)", "3h", "2026-11-29T04:00", "2026-11-29T05:00", "2026-12-06T04:00", "2026-12-06T07:00"},
		{"not open yet", "cron(0 4 ? * SUN *)", "3h", "2026-11-24T12:00", "2026-11-28T05:00", "2026-11-29T04:00", "2026-11-29T07:00"},
		{"open through midnight's instant", "cron(0 0 1 * ? *)", "24h", "2026-11-24T12:00", "2026-12-01T23:59:59", "2026-12-01T00:00", "2026-12-02T00:00"},
		{"the last of many in a day", "cron(0 * * * ? *)", "1h", "2026-11-24T12:00", "2026-11-29T23:30", "2026-11-29T23:00", "2026-11-30T00:00"},
		{"a rate in hours cut off by midnight", "rate(24 hours)", "5h", "2026-11-24T22:30", "2026-11-25T23:59", "2026-11-25T22:00", "2026-11-26T00:00"},
		{"a rate in hours over midnight waits for the next", "rate(24 hours)", "5h", "2026-11-24T22:30", "2026-11-26T00:00", "2026-11-26T22:00", "2026-11-27T00:00"},
		{"a rate in days has its whole length from midnight", "rate(1 day)", "5h", "2026-11-24T22:30", "2026-11-25T04:59", "2026-11-25T00:00", "2026-11-25T05:00"},
		{"a rate in days over waits for the next midnight", "rate(1 day)", "5h", "2026-11-24T22:30", "2026-11-25T05:00", "2026-11-26T00:00", "2026-11-26T05:00"},
		{"last is ahead of now", "cron(0 4 ? * SUN *)", "3h", "2026-12-24T12:00", "2026-11-24T12:00", "2026-12-27T04:00", "2026-12-27T07:00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := plan(t, tt.expression, tt.duration)
			w := p.Window(at(tt.last), at(tt.now))
			if !w.Start.Equal(at(tt.start)) || !w.End.Equal(at(tt.end)) {
				t.Errorf("%s to %s", w.Start, w.End)
			}
			if d := p.Decide(at(tt.last), at(tt.now), "s"); d.Window != w {
				t.Errorf("Decide has another window: %+v", d.Window)
			}
		})
	}
}

// A creation time may be missing from a record. This took for ever once.
func TestWithoutALastRotationThereIsAWindowSoon(t *testing.T) {
	now := at("2026-11-24T12:34")
	for _, expression := range []string{"rate(4 hours)", "rate(30 days)", "rate(999 days)", "cron(0 4 ? * SUN *)"} {
		d := plan(t, expression, "").Decide(time.Time{}, now, "s")
		if !d.Window.End.After(now) || d.Window.Start.After(now.AddDate(0, 0, 999)) || strings.Contains(d.Reason, "missed") {
			t.Errorf("%s: %+v", expression, d)
		}
	}
}

// There are 17 million openings between the two times. They must not be gone through one by one.
func TestALastRotationLongAgoCostsNoMoreThanARecentOne(t *testing.T) {
	p, now := plan(t, "cron(0 * * * ? *)", ""), at("2026-11-24T12:34")
	began := time.Now()
	for range 200 {
		if w := p.Window(time.Time{}, now); !w.Start.Equal(at("2026-11-24T12:00")) {
			t.Fatalf("%+v", w)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("it has taken %s already", took)
		}
	}
}

func TestTheReasonTellsWhatIsWaitedFor(t *testing.T) {
	p := plan(t, "cron(0 4 ? * SUN *)", "3h")
	for _, tt := range []struct{ name, last, now, want string }{
		{"before the window", "2026-11-24T12:00", "2026-11-25T00:00", "the next rotation window is waited for"},
		{"just missed", "2026-11-24T12:00", "2026-11-29T08:00", "the rotation window of 2026-11-29T04:00:00Z was missed"},
		{"missed three days ago", "2026-11-24T12:00", "2026-12-02T08:00", "the rotation window of 2026-11-29T04:00:00Z was missed"},
		{"many missed", "2026-10-01T12:00", "2026-12-02T08:00", "the rotation window of 2026-10-04T04:00:00Z was missed"},
		{"used", "2026-11-29T04:10", "2026-11-29T08:00", "the next rotation window is waited for"},
		{"due", "2026-11-24T12:00", "2026-11-29T06:00", "a rotation window is open"},
		{"due after one missed", "2026-11-20T12:00", "2026-11-29T06:00", "a rotation window is open"},
	} {
		if d := p.Decide(at(tt.last), at(tt.now), "s"); !strings.HasPrefix(d.Reason, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, d.Reason, tt.want)
		}
	}
	opening := at("2026-11-29T04:00")
	for i := range 20 {
		d := p.Decide(at("2026-11-24T12:00"), opening, fmt.Sprint(i))
		if d.At.After(opening) && (d.Due || !strings.Contains(d.Reason, "its time for this object is waited for")) {
			t.Errorf("in the window but before its time: %+v", d)
		}
	}
}

// The window is found from the definition: of all openings after last, in order, the first that is not over.
func TestTheWindowAgreesWithCountingFromTheLastRotation(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, tt := range [][2]string{{"cron(0 */5 * * ? *)", "2h"}, {"cron(0 20 ? * MON,WED *)", ""}, {"cron(0 0 L * ? *)", "24h"}, {"rate(7 hours)", "6h"}, {"rate(3 days)", ""}} {
		p, s := plan(t, tt[0], tt[1]), parse(t, tt[0])
		for range 300 {
			last := at("2026-01-01T00:00").Add(time.Duration(r.IntN(400*24*60)) * time.Minute)
			now := last.Add(time.Duration(r.IntN(90*24*60)-24*60) * time.Minute)
			got := p.Window(last, now)
			open := last
			for {
				open, _ = s.Next(last, open)
				if open.Equal(got.Start) {
					break
				}
				if open.After(got.Start) {
					t.Fatalf("%v: %s is no opening after %s", tt, got.Start, last)
				}
				// One passed over must be over by now.
				if w := p.Window(last, open); w.Start != open || w.End.After(now) {
					t.Fatalf("%v, last %s, now %s: %+v was passed over for %+v", tt, last, now, w, got)
				}
			}
			if !got.End.After(now) || got.End.Sub(got.Start) > 24*time.Hour || got.End.After(got.Start.Truncate(24*time.Hour).AddDate(0, 0, 1)) {
				t.Fatalf("%v, last %s, now %s: %+v", tt, last, now, got)
			}
		}
	}
}

// When AWS's rules let a plan through, no window of it reaches the next.
func TestWindowsOfAnAcceptedPlanDoNotOverlap(t *testing.T) {
	for hours := 1; hours <= 24; hours++ {
		for _, expression := range []string{"rate(4 hours)", "rate(1 day)", "cron(0 1-23/5 * * ? *)", "cron(0 0 * * ? *)", "cron(0 23 ? * FRI,SAT *)"} {
			p, err := schedule.NewPlan(expression, fmt.Sprintf("%dh", hours))
			if err != nil {
				continue
			}
			last := at("2026-11-01T00:30")
			before := p.Window(last, last)
			for range 50 {
				next := p.Window(last, before.End)
				if next.Start.Before(before.End) || !next.End.After(next.Start) {
					t.Fatalf("%s for %dh: %+v then %+v", expression, hours, before, next)
				}
				before = next
			}
		}
	}
}

func TestAPeriodOfCenturiesDoesNotRunOver(t *testing.T) {
	last := at("2026-01-01T00:00")
	for _, days := range []int{1, 90, 2560, 106_751, 106_752, 200_000, 1_000_000} {
		due := last.AddDate(0, 0, days)
		for i := range 20 {
			d := schedule.DecidePeriod(last, due.Add(-time.Nanosecond), days, fmt.Sprint(i))
			if d.Due || d.At.Before(due) || !d.At.Before(due.Add(time.Hour)) {
				t.Errorf("%d days: %+v", days, d)
			}
			if again := schedule.DecidePeriod(last, d.At, days, fmt.Sprint(i)); !again.Due || !again.At.Equal(d.At) {
				t.Errorf("%d days, at its time: %+v", days, again)
			}
		}
	}
}

func FuzzNext(f *testing.F) {
	for _, seed := range []string{"rate(999 days)", "rate(7 hours)", "cron(0 0 ? 2 SUN#5 *)", "cron(0 0 L 2 ? *)", "cron(0 */8 ? * 6L *)", "cron(0 0 31 2 ? *)"} {
		f.Add(seed, int64(0), int64(1795521600), uint32(1))
		f.Add(seed, int64(-62135596800), int64(3730000000), uint32(999_999_999))
	}
	const years = 300_000_000_000 // seconds, about 9,500 years to each side of 1970
	f.Fuzz(func(t *testing.T, expression string, lastUnix, unix int64, nanos uint32) {
		s, err := schedule.Parse(expression)
		if err != nil {
			return
		}
		last, now := time.Unix(lastUnix%years, 0), time.Unix(unix%years, int64(nanos%1e9))
		began := time.Now()
		next, ok := s.Next(last, now)
		if took := time.Since(began); took > time.Second {
			t.Fatalf("%q after %s took %s", expression, now, took)
		}
		if ok && (!next.After(now) || next.Minute() != 0 || next.Second() != 0 || next.Nanosecond() != 0 || next.Location() != time.UTC) {
			t.Fatalf("%q, last %s, after %s: %s", expression, last, now, next)
		}
		p, err := schedule.NewPlan(expression, "")
		if err != nil {
			return
		}
		d := p.Decide(last, now, "s")
		if d.Due == d.At.After(now) || !d.Window.Start.After(last) || !d.Window.End.After(now) || d.At.Before(d.Window.Start) || !d.At.Before(d.Window.End) {
			t.Fatalf("%q, last %s, now %s: %+v", expression, last, now, d)
		}
	})
}
