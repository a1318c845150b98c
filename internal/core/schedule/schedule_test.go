package schedule_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"strongroom.dev/strongroom/internal/core/schedule"
)

func at(s string) time.Time {
	t, err := time.Parse("2006-01-02T15:04:05", s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04", s)
	}
	if err != nil {
		panic(err)
	}
	return t
}

func parse(t *testing.T, expression string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(expression)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func plan(t *testing.T, expression, duration string) schedule.Plan {
	t.Helper()
	p, err := schedule.NewPlan(expression, duration)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// 2026-11-24 is a Tuesday.
func TestSchedulesFireWhenAWSSaysTheyDo(t *testing.T) {
	tests := []struct {
		name, expression, after string
		want                    []string
	}{
		{"the first of each month at 8", "cron(0 8 1 * ? *)", "2026-11-24T12:00", []string{"2026-12-01T08:00", "2027-01-01T08:00", "2027-02-01T08:00"}},
		{"Sundays at 4", "cron(0 4 ? * SUN *)", "2026-11-24T12:00", []string{"2026-11-29T04:00", "2026-12-06T04:00"}},
		{"1 is Sunday, not Monday", "cron(0 4 ? * 1 *)", "2026-11-24T12:00", []string{"2026-11-29T04:00"}},
		{"7 is Saturday", "cron(0 4 ? * 7 *)", "2026-11-24T12:00", []string{"2026-11-28T04:00"}},
		{"weekdays", "cron(0 10 ? * MON-FRI *)", "2026-11-27T10:00", []string{"2026-11-30T10:00", "2026-12-01T10:00"}},
		{"every eight hours, counted from midnight", "cron(0 */8 * * ? *)", "2026-11-24T12:00", []string{"2026-11-24T16:00", "2026-11-25T00:00", "2026-11-25T08:00"}},
		{"AWS's way to write that", "cron(0 /8 ? * * *)", "2026-11-24T23:00", []string{"2026-11-25T00:00"}},
		{"steps from an hour start anew each day", "cron(0 5/10 * * ? *)", "2026-11-24T12:00", []string{"2026-11-24T15:00", "2026-11-25T05:00"}},
		{"the last day of the month", "cron(0 0 L * ? *)", "2028-01-31T12:00", []string{"2028-02-29T00:00", "2028-03-31T00:00"}},
		{"the last day and the 15th", "cron(0 0 15,L * ? *)", "2026-11-01T00:00", []string{"2026-11-15T00:00", "2026-11-30T00:00", "2026-12-15T00:00"}},
		{"a leap day", "cron(0 6 29 FEB ? *)", "2026-01-01T00:00", []string{"2028-02-29T06:00", "2032-02-29T06:00"}},
		{"the 31st only where there is one", "cron(0 0 31 * ? *)", "2026-11-24T00:00", []string{"2026-12-31T00:00", "2027-01-31T00:00", "2027-03-31T00:00"}},
		{"the second Monday", "cron(0 0 ? * MON#2 *)", "2026-11-24T00:00", []string{"2026-12-14T00:00", "2027-01-11T00:00"}},
		{"the fifth Thursday where there is one", "cron(0 0 ? * 5#5 *)", "2026-11-24T00:00", []string{"2026-12-31T00:00", "2027-04-29T00:00"}},
		{"the last Friday", "cron(0 0 ? * 6L *)", "2026-11-24T00:00", []string{"2026-11-27T00:00", "2026-12-25T00:00"}},
		{"the last Friday by name", "cron(0 0 ? * friL *)", "2026-11-24T00:00", []string{"2026-11-27T00:00"}},
		{"L alone is Saturday", "cron(0 0 ? * L *)", "2026-11-24T00:00", []string{"2026-11-28T00:00"}},
		{"months by name and range", "cron(0 0 1 JAN-MAR,12 ? *)", "2026-11-24T00:00", []string{"2026-12-01T00:00", "2027-01-01T00:00", "2027-02-01T00:00", "2027-03-01T00:00", "2027-12-01T00:00"}},
		{"strictly after", "cron(0 4 ? * SUN *)", "2026-11-29T04:00", []string{"2026-12-06T04:00"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, now := parse(t, tt.expression), at(tt.after)
			for _, want := range tt.want {
				next, ok := s.Next(time.Time{}, now)
				if !ok || !next.Equal(at(want)) {
					t.Fatalf("after %s it fires at %s (%t), want %s", now, next, ok, want)
				}
				now = next
			}
		})
	}
}

func TestARateInHoursCountsFromTheHourOfTheLastRotationAndOneInDaysFromItsMidnight(t *testing.T) {
	last := at("2026-11-24T12:34:56")
	tests := []struct{ expression, now, want string }{
		{"rate(4 hours)", "2026-11-24T12:40", "2026-11-24T16:00"},
		{"rate(4 hours)", "2026-11-24T16:00", "2026-11-24T20:00"},
		{"rate(24 hours)", "2026-11-24T12:40", "2026-11-25T12:00"},
		{"rate(720 hours)", "2027-06-01T00:00", "2027-06-22T12:00"},
		{"rate(240 hours)", "2020-01-01T00:00", "2026-12-04T12:00"},
		{"rate(1 day)", "2026-11-24T12:40", "2026-11-25T00:00"},
		{"rate(1 day)", "2026-11-25T00:00", "2026-11-26T00:00"},
		{"rate(30 days)", "2026-11-24T12:40", "2026-12-24T00:00"},
		{"rate(30 days)", "2027-06-01T00:00", "2027-06-22T00:00"},
		{"rate(10 days)", "2020-01-01T00:00", "2026-12-04T00:00"},
	}
	for _, tt := range tests {
		if next, ok := parse(t, tt.expression).Next(last, at(tt.now)); !ok || !next.Equal(at(tt.want)) {
			t.Errorf("%s after %s: %s, want %s", tt.expression, tt.now, next, tt.want)
		}
	}
}

func TestBadExpressionsAreRefusedWithTheFieldAndTheRemedy(t *testing.T) {
	tests := map[string]string{
		"":                                    "neither",
		"rate(5 minutes)":                     "neither",
		"rate(0 days)":                        "neither",
		"rate(3 hours)":                       "4 hours",
		"rate(1000 days)":                     "999 days",
		"rate(23977 hours)":                   "999 days",
		"cron(0 8 1 * ?)":                     "5 fields",
		"cron(0 8 1 * ? * *)":                 "7 fields",
		"cron(5 8 1 * ? *)":                   "minutes",
		"cron(* 8 1 * ? *)":                   "minutes",
		"cron(0 8 1 * ? 2027)":                "year",
		"cron(0 8 1 * MON *)":                 "both",
		"cron(0 24 1 * ? *)":                  "hours",
		"cron(0 8-4 1 * ? *)":                 "ends before",
		"cron(0 */0 1 * ? *)":                 "step",
		"cron(0 8 32 * ? *)":                  "day of month",
		"cron(0 8 0 * ? *)":                   "day of month",
		"cron(0 8 1 13 ? *)":                  "month",
		"cron(0 8 1 FOO ? *)":                 "JAN to DEC",
		"cron(0 8 ? * 8 *)":                   "day of week",
		"cron(0 8 ? * 0 *)":                   "day of week",
		"cron(0 8 ? * MON#6 *)":               "MON#2",
		"cron(0 8 ? * MON# *)":                "MON#2",
		"cron(0 8 ? * FOOL *)":                "day of week",
		"cron(0 8, 1 * ? *)":                  "hours",
		"cron(0 008 1 * ? *)":                 "hours",
		"cron(0 8 1 * ? *":                    "neither",
		strings.Repeat("x", 257):              "256",
		"cron(0 9223372036854775808 1 * ? *)": "hours",
	}
	for expression, says := range tests {
		if _, err := schedule.Parse(expression); !errors.Is(err, schedule.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, which does not say %q", expression, err, says)
		}
	}
}

func TestSchedulesThatNeverFireAreTold(t *testing.T) {
	for _, never := range []string{"cron(0 4 31 2 ? *)", "cron(0 0 30 FEB ? *)", "cron(0 0 31 APR,JUN,SEP,NOV ? *)"} {
		if _, err := schedule.NewPlan(never, ""); !errors.Is(err, schedule.ErrNeverFires) {
			t.Errorf("%s: %v", never, err)
		}
	}
	if _, err := schedule.NewPlan("cron(0 0 29 2 ? *)", ""); err != nil {
		t.Errorf("a leap day: %v", err)
	}
}

func TestDurationsAreWholeHoursThatFit(t *testing.T) {
	tests := []struct{ expression, duration, says string }{
		{"rate(30 days)", "3h", ""},
		{"rate(30 days)", "24h", ""},
		{"rate(4 hours)", "4h", ""},
		{"rate(4 hours)", "5h", "reaches the next"},
		{"cron(0 20 ? * SUN *)", "4h", ""},
		{"cron(0 20 ? * SUN *)", "5h", "at most 4h"},
		{"cron(0 */8 * * ? *)", "8h", ""},
		{"cron(0 */8 * * ? *)", "9h", "at most 8h"},
		{"cron(0 0,3 * * ? *)", "4h", "at most 3h"},
		{"rate(1 day)", "0h", "1h to 24h"},
		{"rate(1 day)", "25h", "1h to 24h"},
		{"rate(1 day)", "90m", "1h to 24h"},
		{"rate(1 day)", "h", "1h to 24h"},
	}
	for _, tt := range tests {
		_, err := schedule.NewPlan(tt.expression, tt.duration)
		if tt.says == "" && err != nil || tt.says != "" && (!errors.Is(err, schedule.ErrInvalid) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s for %s: %v, want %q", tt.expression, tt.duration, err, tt.says)
		}
	}
}

func TestDecide(t *testing.T) {
	tests := []struct {
		name, expression, duration, last, now string
		due                                   bool
		start, end                            string
	}{
		{"before the window", "cron(0 4 ? * SUN *)", "3h", "2026-11-24T12:00", "2026-11-25T00:00", false, "2026-11-29T04:00", "2026-11-29T07:00"},
		{"late in the window", "cron(0 4 ? * SUN *)", "3h", "2026-11-24T12:00", "2026-11-29T05:45", true, "2026-11-29T04:00", "2026-11-29T07:00"},
		{"at the window's last instant", "cron(0 4 ? * SUN *)", "3h", "2026-11-24T12:00", "2026-11-29T06:59:59", true, "2026-11-29T04:00", "2026-11-29T07:00"},
		{"after the window, which was missed", "cron(0 4 ? * SUN *)", "3h", "2026-11-24T12:00", "2026-11-29T07:00", false, "2026-12-06T04:00", "2026-12-06T07:00"},
		{"years after it", "cron(0 4 ? * SUN *)", "3h", "2020-11-24T12:00", "2026-11-24T12:00", false, "2026-11-29T04:00", "2026-11-29T07:00"},
		{"rotated in this window already", "cron(0 4 ? * SUN *)", "3h", "2026-11-29T04:10", "2026-11-29T05:00", false, "2026-12-06T04:00", "2026-12-06T07:00"},
		{"rotated by hand before the window", "cron(0 4 ? * SUN *)", "3h", "2026-11-29T03:59", "2026-11-29T05:45", true, "2026-11-29T04:00", "2026-11-29T07:00"},
		{"the default window is the rest of the day", "cron(0 4 ? * SUN *)", "", "2026-11-24T12:00", "2026-11-29T23:59", true, "2026-11-29T04:00", "2026-11-30T00:00"},
		{"the default window of several a day is an hour", "cron(0 */8 * * ? *)", "", "2026-11-24T01:00", "2026-11-24T09:00", false, "2026-11-24T16:00", "2026-11-24T17:00"},
		{"a rate in days that is due", "rate(30 days)", "3h", "2026-10-20T12:34", "2026-11-19T01:45", true, "2026-11-19T00:00", "2026-11-19T03:00"},
		{"a rate in days that was missed", "rate(30 days)", "3h", "2026-10-20T12:34", "2026-11-19T03:00", false, "2026-12-19T00:00", "2026-12-19T03:00"},
		{"a rate in hours that is due", "rate(720 hours)", "3h", "2026-10-20T12:34", "2026-11-19T13:45", true, "2026-11-19T12:00", "2026-11-19T15:00"},
		{"a rate in hours that was missed", "rate(720 hours)", "3h", "2026-10-20T12:34", "2026-11-19T15:00", false, "2026-12-19T12:00", "2026-12-19T15:00"},
		{"the window of a rate in hours ends with the day", "rate(240 hours)", "3h", "2026-11-14T22:30", "2026-11-24T23:00", true, "2026-11-24T22:00", "2026-11-25T00:00"},
		{"a clock that went back", "rate(10 days)", "", "2026-11-24T12:00", "2026-11-20T12:00", false, "2026-12-04T00:00", "2026-12-05T00:00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := plan(t, tt.expression, tt.duration).Decide(at(tt.last), at(tt.now), "seed")
			if d.Due != tt.due || !d.Window.Start.Equal(at(tt.start)) || !d.Window.End.Equal(at(tt.end)) {
				t.Errorf("%+v", d)
			}
			if d.Due == d.At.After(at(tt.now)) || d.At.Before(d.Window.Start) || !d.At.Before(d.Window.End) || d.Reason == "" {
				t.Errorf("at %s: %+v", tt.now, d)
			}
		})
	}
}

// Ten thousand secrets fall due at one minute. Those of each minute are counted, and the counts compared with equal ones by Pearson's chi-squared
// test: below the quantile of 0.999 they are even. The UIDs are fixed, so that the test says the same each time.
func TestSecretsOfOneScheduleAreSpreadEvenlyOverItsWindow(t *testing.T) {
	const secrets = 10_000
	for _, tt := range []struct {
		schedule, duration string
		minutes            int
		quantile           float64
	}{
		{"cron(0 4 ? * SUN *)", "1h", 30, 58.30},
		{"cron(0 4 ? * SUN *)", "3h", 90, 135.98},
		{"cron(0 4 ? * SUN *)", "20h", 600, 711.7},
		{"cron(0 4 ? * SUN *)", "", 30, 58.30}, // until midnight: what begins at 4 is expected soon after
		{"cron(0 4,8 ? * * *)", "", 30, 58.30},
		{"rate(240 hours)", "8h", 30, 58.30}, // later ones would make all that come after them later
	} {
		p := plan(t, tt.schedule, tt.duration)
		perMinute := make([]int, tt.minutes)
		for i := range secrets {
			seed := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i)).String()
			d := p.Decide(at("2026-11-24T12:00"), at("2026-11-25T00:00"), seed)
			offset := d.At.Sub(d.Window.Start)
			if offset < 0 || offset >= time.Duration(tt.minutes)*time.Minute {
				t.Fatalf("%s %s: %s after the window opens", tt.schedule, tt.duration, offset)
			}
			perMinute[offset/time.Minute]++
		}
		expected, chi := float64(secrets)/float64(tt.minutes), 0.0
		for _, n := range perMinute {
			chi += (float64(n) - expected) * (float64(n) - expected) / expected
		}
		if chi > tt.quantile {
			t.Errorf("%s %s: chi-squared is %.1f, over %.1f; at most %d a minute where %.1f are expected", tt.schedule, tt.duration, chi, tt.quantile, slices.Max(perMinute), expected)
		}
	}
}

// A rate in hours counts from the hour of the last rotation, so that a place that is late in a window would put off all rotations after it.
func TestARateInHoursDoesNotDriftThroughTheDay(t *testing.T) {
	for i := range 50 {
		last, p := at("2026-11-24T12:10"), plan(t, "rate(24 hours)", "8h")
		for range 30 {
			d := p.Decide(last, last.Add(time.Minute), uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i)).String())
			if last = d.At; last.Hour() != 12 {
				t.Fatalf("secret %d is rotated at %s", i, last)
			}
		}
	}
}

// Time passes hour by hour and the secret is rotated whenever it is due: each window is used once, and no other time.
func TestEachWindowIsUsedExactlyOnce(t *testing.T) {
	for _, tt := range []struct {
		expression, duration string
		windows              int
	}{
		{"cron(0 4 ? * SUN *)", "3h", 52}, {"cron(0 */8 * * ? *)", "2h", 1095}, {"rate(7 days)", "", 52}, {"rate(6 hours)", "", 1460},
	} {
		p := plan(t, tt.expression, tt.duration)
		start := at("2026-01-01T00:30")
		last, rotations := start, 0
		for now := start; now.Before(start.AddDate(0, 0, 365)); now = now.Add(10 * time.Minute) {
			if d := p.Decide(last, now, "seed"); d.Due {
				if now.Before(d.Window.Start) || !now.Before(d.Window.End) {
					t.Fatalf("%s: due outside its window: %+v", tt.expression, d)
				}
				last = now
				rotations++
			}
		}
		if rotations < tt.windows-2 || rotations > tt.windows+1 {
			t.Errorf("%s was rotated %d times in a year of %d windows", tt.expression, rotations, tt.windows)
		}
	}
}

func TestAKeysPeriodIsNeverCutShort(t *testing.T) {
	last := at("2026-01-01T00:00")
	due := last.AddDate(0, 0, 90)
	if d := schedule.DecidePeriod(last, due.Add(-time.Second), 90, "k"); d.Due || d.At.Before(due) || d.At.After(due.Add(time.Hour)) {
		t.Errorf("before: %+v", d)
	}
	if d := schedule.DecidePeriod(last, due.Add(time.Hour), 90, "k"); !d.Due {
		t.Errorf("after: %+v", d)
	}
}

// oracle is an evaluation by brute force of a subset of cron in which fields are lists of numbers.
func oracle(hours, days, months, weekdays map[int]bool, t time.Time) bool {
	if !hours[t.Hour()] || !months[int(t.Month())] {
		return false
	}
	if weekdays != nil {
		return weekdays[int(t.Weekday())+1]
	}
	return days[t.Day()]
}

func TestRandomExpressionsAgreeWithBruteForce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(low, high int) (map[int]bool, string) {
		chosen, parts := map[int]bool{}, []string{}
		for range 1 + r.IntN(4) {
			a, b := low+r.IntN(high-low+1), low+r.IntN(high-low+1)
			if a > b {
				a, b = b, a
			}
			switch r.IntN(3) {
			case 0:
				parts = append(parts, fmt.Sprint(a))
				chosen[a] = true
			case 1:
				parts = append(parts, fmt.Sprintf("%d-%d", a, b))
				for n := a; n <= b; n++ {
					chosen[n] = true
				}
			default:
				step := 1 + r.IntN(high)
				parts = append(parts, fmt.Sprintf("%d/%d", a, step))
				for n := a; n <= high; n += step {
					chosen[n] = true
				}
			}
		}
		return chosen, strings.Join(parts, ",")
	}
	for range 150 {
		hours, h := pick(0, 23)
		months, m := pick(1, 12)
		days, d := pick(1, 31)
		weekdays, w := map[int]bool(nil), "?"
		if r.IntN(2) == 0 {
			weekdays, w = pick(1, 7)
			d = "?"
		}
		expression := fmt.Sprintf("cron(0 %s %s %s %s *)", h, d, m, w)
		s := parse(t, expression)
		now := at("2027-01-01T00:00").Add(time.Duration(r.IntN(9000)) * time.Hour)
		want, found := now, false
		for range 24 * 365 * 2 {
			if want = want.Add(time.Hour); oracle(hours, days, months, weekdays, want) {
				found = true
				break
			}
		}
		next, ok := s.Next(time.Time{}, now)
		if found && (!ok || !next.Equal(want)) {
			t.Fatalf("%s after %s: %s, want %s", expression, now, next, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"rate(30 days)", "cron(0 4 ? * SUN *)", "cron(0 */8 * * ? *)", "cron(0 0 L * ? *)", "cron(0 0 ? * 6L,MON#2 *)", "rate()"} {
		f.Add(seed, int64(1795521600))
	}
	f.Fuzz(func(t *testing.T, expression string, unix int64) {
		s, err := schedule.Parse(expression)
		if err != nil {
			if !errors.Is(err, schedule.ErrInvalid) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		if again, err := schedule.Parse(s.String()); err != nil || again != s {
			t.Fatalf("%q does not survive its own text: %v", expression, err)
		}
		now := time.Unix(unix%4_000_000_000, 0).UTC()
		next, ok := s.Next(now, now)
		if ok && (!next.After(now) || next.Minute() != 0 || next.Second() != 0) {
			t.Fatalf("%q after %s: %s", expression, now, next)
		}
		if p, err := schedule.NewPlan(expression, ""); err == nil {
			if d := p.Decide(now, now, "s"); d.Due || !d.At.After(now) {
				t.Fatalf("%q is due right after a rotation: %+v", expression, d)
			}
		}
	})
}
