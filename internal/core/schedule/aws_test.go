package schedule_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/schedule"
)

// firings are all times at which a schedule fires from one time up to but not including another, by Next alone.
func firings(s schedule.Schedule, from, to time.Time) (all []time.Time) {
	for now := from.Add(-time.Nanosecond); ; {
		next, ok := s.Next(from, now)
		if !ok || !next.Before(to) {
			return all
		}
		all, now = append(all, next), next
	}
}

// The examples of AWS's page, with its own words. The meaning of each is written down apart, and compared at every hour
// of a year that begins on a Friday and of a leap year that begins on a Saturday.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
func TestTheExamplesOfAWSsPageMeanWhatItSays(t *testing.T) {
	hour := func(hours ...int) func(time.Time) bool {
		return func(t time.Time) bool {
			for _, h := range hours {
				if t.Hour() == h {
					return true
				}
			}
			return false
		}
	}
	firstSunday := func(t time.Time) bool { return t.Weekday() == time.Sunday && t.Day() <= 7 }
	for _, tt := range []struct {
		words, expression string
		means             func(time.Time) bool
	}{
		{"every eight hours starting at midnight", "cron(0 /8 * * ? *)", hour(0, 8, 16)},
		{"every eight hours starting at 8:00 AM", "cron(0 8/8 * * ? *)", hour(8, 16)},
		{"every ten hours: 2:00, 12:00, 22:00, and then the next day 2:00", "cron(0 2/10 * * ? *)", hour(2, 12, 22)},
		{"4:00 AM, 4:00 PM, and then the next day 4:00 AM, 4:00 PM", "cron(0 4/12 * * ? *)", hour(4, 16)},
		{"every day at 10:00 AM", "cron(0 10 * * ? *)", hour(10)},
		{"every Saturday at 6:00 PM", "cron(0 18 ? * SAT *)", func(t time.Time) bool { return t.Weekday() == time.Saturday && t.Hour() == 18 }},
		{"the first day of every month at 8:00 AM", "cron(0 8 1 * ? *)", func(t time.Time) bool { return t.Day() == 1 && t.Hour() == 8 }},
		{"every three months on the first Sunday at 1:00 AM", "cron(0 1 ? 1/3 SUN#1 *)",
			func(t time.Time) bool { return (t.Month()-1)%3 == 0 && firstSunday(t) && t.Hour() == 1 }},
		{"the last day of every month at 5:00 PM", "cron(0 17 L * ? *)", func(t time.Time) bool { return lastOfMonth(t) && t.Hour() == 17 }},
		{"Monday through Friday at 8:00 AM", "cron(0 8 ? * MON-FRI *)",
			func(t time.Time) bool {
				return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday && t.Hour() == 8
			}},
		{"first and 15th day of every month at 4:00 PM", "cron(0 16 1,15 * ? *)",
			func(t time.Time) bool { return (t.Day() == 1 || t.Day() == 15) && t.Hour() == 16 }},
		{"first Sunday of every month at midnight", "cron(0 0 ? * SUN#1 *)", func(t time.Time) bool { return firstSunday(t) && t.Hour() == 0 }},
		{"1/2 in days of the month: every two days starting on day 1", "cron(0 0 1/2 * ? *)", func(t time.Time) bool { return t.Day()%2 == 1 && t.Hour() == 0 }},
		{"1/2 in days of the week: 1, 3, 5 and 7", "cron(0 0 ? * 1/2 *)", func(t time.Time) bool { return t.Weekday()%2 == 0 && t.Hour() == 0 }},
		{"1,4 in days of the week: the first and fourth day of the week", "cron(0 0 ? * 1,4 *)",
			func(t time.Time) bool {
				return (t.Weekday() == time.Sunday || t.Weekday() == time.Wednesday) && t.Hour() == 0
			}},
		{"1-4 in days of the week: days 1 through 4", "cron(0 0 ? * 1-4 *)", func(t time.Time) bool { return t.Weekday() <= time.Wednesday && t.Hour() == 0 }},
		{"JAN,APR,JUL,OCT", "cron(0 0 1 JAN,APR,JUL,OCT ? *)", func(t time.Time) bool { return t.Day() == 1 && (t.Month()-1)%3 == 0 && t.Hour() == 0 }},
		{"1/3 in months: 1, 4, 7 and 10", "cron(0 0 1 1/3 ? *)", func(t time.Time) bool { return t.Day() == 1 && (t.Month()-1)%3 == 0 && t.Hour() == 0 }},
		{"TUE#3: the third Tuesday", "cron(0 0 ? * TUE#3 *)",
			func(t time.Time) bool {
				return t.Weekday() == time.Tuesday && t.Day() >= 15 && t.Day() <= 21 && t.Hour() == 0
			}},
	} {
		for _, year := range []int{2027, 2028} {
			start := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			got := firings(parse(t, tt.expression), start, start.AddDate(1, 0, 0))
			for now := start; now.Year() == year; now = now.Add(time.Hour) {
				if !tt.means(now) {
					continue
				}
				if len(got) == 0 || !got[0].Equal(now) {
					t.Fatalf("%s, %s: %s is missing before %v", tt.words, tt.expression, now, got[:min(1, len(got))])
				}
				got = got[1:]
			}
			if len(got) > 0 {
				t.Fatalf("%s, %s: it fires at %s, too", tt.words, tt.expression, got[0])
			}
		}
	}
}

// "rate(4 hours) means the secret is rotated every four hours", and so on: from the second window on, the distance is the rate.
func TestAWSsRatesComeAtTheirDistance(t *testing.T) {
	for expression, want := range map[string]time.Duration{
		"rate(4 hours)": 4 * time.Hour, "rate(1 day)": 24 * time.Hour, "rate(10 days)": 240 * time.Hour, "rate(12 hours)": 12 * time.Hour,
		"rate(24 hour)": 24 * time.Hour, "rate(1 days)": 24 * time.Hour, "rate(999 days)": 999 * 24 * time.Hour, "rate(23976 hours)": 999 * 24 * time.Hour,
	} {
		s, last := parse(t, expression), at("2028-02-27T13:45")
		from := at("2028-02-27T13:00") // the hour of the last rotation, and for days the midnight before it
		if strings.Contains(expression, "day") {
			from = at("2028-02-27T00:00")
		}
		all := firings(s, last, last.Add(want*5))
		if len(all) < 4 {
			t.Errorf("%s: %v", expression, all)
		}
		for i, now := range all {
			if distance := now.Sub(from); distance != want*time.Duration(i+1) {
				t.Errorf("%s, window %d: %s after %s", expression, i+1, distance, from)
			}
		}
	}
}

// "Confirm that the start hour plus the window duration is less than or equal to 24 hours": all 576 of them.
func TestAWindowThatGoesIntoTheNextUTCDayIsRefused(t *testing.T) {
	for start := range 24 {
		for duration := 1; duration <= 24; duration++ {
			expression := fmt.Sprintf("cron(0 %d ? * SUN *)", start)
			p, err := schedule.NewPlan(expression, fmt.Sprintf("%dh", duration))
			if good := start+duration <= 24; good != (err == nil) || !good && !errors.Is(err, schedule.ErrInvalid) {
				t.Errorf("%s for %dh: %v", expression, duration, err)
			}
			if err != nil {
				continue
			}
			w := p.Window(at("2026-11-24T12:00"), at("2026-11-24T12:00"))
			if w.End.Sub(w.Start) != time.Duration(duration)*time.Hour || w.Start.Hour() != start {
				t.Errorf("%s for %dh: %+v", expression, duration, w)
			}
		}
	}
}

// "Confirm that the rotation window is less than or equal to the number of hours between rotations."
func TestAWindowThatGoesIntoTheNextOneIsRefused(t *testing.T) {
	for rate := 4; rate <= 30; rate++ {
		for duration := 1; duration <= 24; duration++ {
			_, err := schedule.NewPlan(fmt.Sprintf("rate(%d hours)", rate), fmt.Sprintf("%dh", duration))
			if good := duration <= rate; good != (err == nil) {
				t.Errorf("%d hours for %dh: %v", rate, duration, err)
			}
		}
	}
	for step := 1; step <= 23; step++ {
		last := 23 / step * step // the last opening of a day that begins at midnight
		for duration := 1; duration <= 24; duration++ {
			_, err := schedule.NewPlan(fmt.Sprintf("cron(0 0/%d * * ? *)", step), fmt.Sprintf("%dh", duration))
			if good := duration <= step && last+duration <= 24; good != (err == nil) {
				t.Errorf("0/%d for %dh: %v", step, duration, err)
			}
		}
	}
}

// "For a schedule in hours, the default rotation window closes after one hour", and in days at the end of the day.
func TestTheDefaultWindowIsAnHourOrTheRestOfTheDay(t *testing.T) {
	for expression, want := range map[string]string{
		"rate(4 hours)": "1h", "rate(24 hours)": "1h", "cron(0 /8 * * ? *)": "1h", "cron(0 3,15 ? * SUN *)": "1h",
		"cron(0 10 * * ? *)": "14h", "cron(0 0 L * ? *)": "24h", "cron(0 23 ? * SAT *)": "1h", "cron(0 1 ? 1/3 SUN#1 *)": "23h",
		"rate(1 day)": "24h", "rate(10 days)": "24h",
	} {
		last := at("2026-11-24T12:10")
		w := plan(t, expression, "").Window(last, last)
		if got := w.End.Sub(w.Start); got.Hours() != mustHours(t, want) {
			t.Errorf("%s: a window of %s, want %s", expression, got, want)
		}
	}
}

func mustHours(t *testing.T, s string) float64 {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d.Hours()
}

// "For a rotation schedule that uses a rate() expression in days, the rotation window starts at midnight", whenever on its day
// the last rotation was.
func TestARateInDaysStartsAtMidnightWheneverTheLastRotationWas(t *testing.T) {
	for _, last := range []string{"2026-11-14T00:00", "2026-11-14T00:00:01", "2026-11-14T12:00", "2026-11-14T22:30", "2026-11-14T23:59:59"} {
		w := plan(t, "rate(10 days)", "").Window(at(last), at(last))
		if !w.Start.Equal(at("2026-11-24T00:00")) || !w.End.Equal(at("2026-11-25T00:00")) {
			t.Errorf("after %s: %s to %s", last, w.Start, w.End)
		}
	}
}

// "Use DAYL to specify the last named day of the month. For example SUNL means the last Sunday of the month": AWS's page has
// it among the days of the month.
func TestALastNamedDayIsTheSameInBothFieldsOfDays(t *testing.T) {
	start, end := at("2027-01-01T00:00"), at("2029-01-01T00:00")
	for _, name := range []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"} {
		a, b := parse(t, "cron(0 3 "+name+"L * ? *)"), parse(t, "cron(0 3 ? * "+name+"L *)")
		days := firings(a, start, end)
		if fmt.Sprint(days) != fmt.Sprint(firings(b, start, end)) || len(days) != 24 {
			t.Errorf("%sL: %d days, %v", name, len(days), days)
		}
	}
	if _, err := schedule.Parse("cron(0 3 FOOL * ? *)"); !errors.Is(err, schedule.ErrInvalid) {
		t.Errorf("%v", err)
	}
}
