package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/schedule"
)

// The calendar repeats after 400 years, so these are all the gaps that there are, those of 40 years too.
func TestALeapDayOnAGivenWeekdayIsFoundAcrossCenturies(t *testing.T) {
	names := []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
	for weekday, name := range names {
		s, now := parse(t, "cron(0 0 ? 2 "+name+"#5 *)"), at("2000-01-01T00:00")
		for year := 2000; year < 2400; year++ {
			want := time.Date(year, time.February, 29, 0, 0, 0, 0, time.UTC)
			if want.Month() != time.February || int(want.Weekday()) != weekday {
				continue
			}
			if next, ok := s.Next(time.Time{}, now); !ok || !next.Equal(want) {
				t.Fatalf("after %s the next leap day on %s is %s (%t), want %s", now, name, next, ok, want)
			}
			now = want
		}
	}
}

func TestARateIsStrictlyAfterEvenWhenTheTimesAreCenturiesApart(t *testing.T) {
	for _, last := range []time.Time{{}, at("0001-01-01T00:00").AddDate(-3000, 0, 0), at("1500-06-01T12:34"), at("9000-01-01T00:30")} {
		for _, expression := range []string{"rate(4 hours)", "rate(7 hours)", "rate(999 days)"} {
			now := at("2026-11-24T12:34:56")
			next, ok := parse(t, expression).Next(last, now)
			if !ok || !next.After(now) || next.Minute() != 0 || next.Second() != 0 || next.Nanosecond() != 0 {
				t.Errorf("%s with last %s fires at %s (%t)", expression, last, next, ok)
			}
			if last.Before(now) && next.After(now.AddDate(0, 0, 1000)) {
				t.Errorf("%s with last %s fires only at %s, over one rate away", expression, last, next)
			}
		}
	}
}

func TestTimesOfOtherZonesAndPartsOfASecondAreReadInUTC(t *testing.T) {
	zone := time.FixedZone("east", 5*3600+1800)
	cron, inHours, inDays := parse(t, "cron(0 0 L * ? *)"), parse(t, "rate(24 hours)"), parse(t, "rate(2 days)")
	now := at("2026-11-30T00:00").Add(-time.Nanosecond).In(zone)
	for _, tt := range []struct {
		s    schedule.Schedule
		last time.Time
		want string
	}{
		{cron, now, "2026-11-30T00:00"},
		{inHours, at("2026-11-28T07:45").In(zone), "2026-11-30T07:00"},
		{inDays, at("2026-11-28T20:45").In(zone), "2026-11-30T00:00"}, // in the zone it is the 29th already
	} {
		if next, ok := tt.s.Next(tt.last, now); !ok || !next.Equal(at(tt.want)) || next.Location() != time.UTC {
			t.Errorf("%s: %s (%t), want %s", tt.s, next, ok, tt.want)
		}
	}
}

func TestTheZeroScheduleAndTheZeroPlanNeverFire(t *testing.T) {
	now := at("2026-11-24T12:00")
	if next, ok := (schedule.Schedule{}).Next(now, now); ok {
		t.Errorf("the zero schedule fires at %s", next)
	}
	if d := (schedule.Plan{}).Decide(now, now, "s"); d.Due || !d.At.After(now.AddDate(40, 0, 0)) || d.Reason != "the schedule never fires" {
		t.Errorf("%+v", d)
	}
	if w := (schedule.Plan{}).Window(now, now); w != (schedule.Window{}) {
		t.Errorf("%+v", w)
	}
}

// A part is one element of a field: its text, and which values it means. The meanings are written anew here, by the hour and
// from the time alone, so that they share nothing with the code under test.
type part struct {
	text  string
	means func(t time.Time) bool
}

func lastOfMonth(t time.Time) bool { return t.AddDate(0, 0, 1).Month() != t.Month() }

// plain is a number, a range, or either with a step, of a field whose value is read by value.
func plain(r *rand.Rand, low, high int, names []string, value func(time.Time) int) part {
	show := func(n int) string {
		if names != nil && r.IntN(2) == 0 {
			return names[n-low]
		}
		return fmt.Sprint(n)
	}
	a, b, step := low+r.IntN(high-low+1), low+r.IntN(high-low+1), 1+r.IntN(high)
	a, b = min(a, b), max(a, b)
	switch r.IntN(6) {
	case 0:
		return part{"*", func(time.Time) bool { return true }}
	case 1:
		return part{fmt.Sprintf("*/%d", step), func(t time.Time) bool { return (value(t)-low)%step == 0 }}
	case 2:
		return part{show(a) + "-" + show(b), func(t time.Time) bool { return value(t) >= a && value(t) <= b }}
	case 3:
		return part{fmt.Sprintf("%s-%s/%d", show(a), show(b), step), func(t time.Time) bool {
			return value(t) >= a && value(t) <= b && (value(t)-a)%step == 0
		}}
	case 4:
		return part{fmt.Sprintf("%s/%d", show(a), step), func(t time.Time) bool { return value(t) >= a && (value(t)-a)%step == 0 }}
	default:
		return part{show(a), func(t time.Time) bool { return value(t) == a }}
	}
}

func dayOfMonth(r *rand.Rand) part {
	if r.IntN(4) == 0 {
		return part{"L", lastOfMonth}
	}
	return plain(r, 1, 31, nil, time.Time.Day)
}

func dayOfWeek(r *rand.Rand) part {
	names := []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
	n := r.IntN(7)
	is := func(t time.Time) bool { return int(t.Weekday()) == n }
	text := names[n]
	if r.IntN(2) == 0 {
		text = fmt.Sprint(n + 1)
	}
	switch r.IntN(5) {
	case 0:
		return part{"L", func(t time.Time) bool { return t.Weekday() == time.Saturday }}
	case 1:
		return part{text + "L", func(t time.Time) bool { return is(t) && t.AddDate(0, 0, 7).Month() != t.Month() }}
	case 2:
		nth := 1 + r.IntN(5)
		return part{fmt.Sprintf("%s#%d", text, nth), func(t time.Time) bool {
			return is(t) && t.AddDate(0, 0, -7*(nth-1)).Month() == t.Month() && t.AddDate(0, 0, -7*nth).Month() != t.Month()
		}}
	default:
		return plain(r, 1, 7, names, func(t time.Time) int { return int(t.Weekday()) + 1 })
	}
}

// list is one to three parts with commas between, any of which may hold.
func list(r *rand.Rand, one func() part) part {
	var texts []string
	var all []part
	for range 1 + r.IntN(3) {
		p := one()
		texts, all = append(texts, p.text), append(all, p)
	}
	return part{strings.Join(texts, ","), func(t time.Time) bool {
		for _, p := range all {
			if p.means(t) {
				return true
			}
		}
		return false
	}}
}

// Five years hold a leap day, so that every hour at which an expression fires is compared, and every hour at which not.
func TestEveryHourOfFiveYearsAgreesWithBruteForce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	start, end := at("2027-01-01T00:00"), at("2032-01-01T00:00")
	fired := 0
	for range 100 {
		hours := list(r, func() part { return plain(r, 0, 23, nil, time.Time.Hour) })
		names := []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
		months := list(r, func() part { return plain(r, 1, 12, names, func(t time.Time) int { return int(t.Month()) }) })
		days := list(r, func() part { return dayOfMonth(r) })
		text := days.text + " " + months.text + " ?"
		if r.IntN(2) == 0 {
			days = list(r, func() part { return dayOfWeek(r) })
			text = "? " + months.text + " " + days.text
		}
		s := parse(t, "cron(0 "+hours.text+" "+text+" *)")
		next, ok := s.Next(time.Time{}, start.Add(-time.Nanosecond))
		for now := start; now.Before(end); now = now.Add(time.Hour) {
			want := months.means(now) && days.means(now) && hours.means(now)
			if got := ok && next.Equal(now); got != want {
				t.Fatalf("%s at %s: fires is %t, want %t", s, now, got, want)
			}
			if want {
				fired++
				next, ok = s.Next(time.Time{}, now)
			}
		}
	}
	if fired < 50_000 {
		t.Errorf("only %d firings were compared: the expressions are too rare", fired)
	}
}
