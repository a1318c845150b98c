package schedule_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/schedule"
)

// AWS: "For a rotation schedule that uses a rate() expression in days, the rotation window starts at midnight."
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
func TestTheWindowOfARateInDaysIsAWholeUTCDayFromMidnight(t *testing.T) {
	last := at("2026-11-14T22:30")
	w := plan(t, "rate(10 days)", "").Window(last, last)
	if !w.Start.Equal(at("2026-11-24T00:00")) || !w.End.Equal(at("2026-11-25T00:00")) {
		t.Errorf("%s to %s", w.Start, w.End)
	}
}

// AWS, of the field Day-of-month: "Use DAYL to specify the last named day of the month. For example SUNL means the last
// Sunday of the month."
func TestSUNLAmongTheDaysOfTheMonthIsTheLastSunday(t *testing.T) {
	if next, ok := parse(t, "cron(0 0 SUNL * ? *)").Next(at("2026-11-01T00:00"), at("2026-11-01T00:00")); !ok || !next.Equal(at("2026-11-29T00:00")) {
		t.Errorf("%s", next)
	}
}

// In January and February 2027 the last day is a Sunday and the two are one.
func TestALastNamedDayGoesTogetherWithOtherDaysOfTheMonth(t *testing.T) {
	for expression, want := range map[string]string{
		"cron(0 0 MONL * ? *)":      "11-30 12-28 01-25 02-22",
		"cron(0 0 L,SUNL * ? *)":    "11-29 11-30 12-27 12-31 01-31 02-28",
		"cron(0 0 15,SUNL * ? *)":   "11-15 11-29 12-15 12-27 01-15 01-31 02-15 02-28",
		"cron(0 0 FRIL,MONL 2 ? *)": "02-22 02-26",
	} {
		var days []string
		for _, day := range firings(parse(t, expression), at("2026-11-01T00:00"), at("2027-03-01T00:00")) {
			days = append(days, day.Format("01-02"))
		}
		if got := strings.Join(days, " "); got != want {
			t.Errorf("%s: %s, want %s", expression, got, want)
		}
	}
	if next, ok := parse(t, "cron(0 0 SUNL * ? *)").Next(time.Time{}, at("2026-11-29T00:00")); !ok || !next.Equal(at("2026-12-27T00:00")) {
		t.Errorf("after one: %s", next)
	}
}

// A number before L, a name alone and # belong to the days of the week.
func TestADayOfTheMonthIsNotADayOfTheWeekButForTheLastNamedOne(t *testing.T) {
	for _, days := range []string{"5L", "1L", "SUN", "MON-FRI", "SUN#1", "FOOL", "LL", "SUNL-3", "SUNL/2", "SUNL,", "SUNL,32", "SUNL,?"} {
		_, err := schedule.Parse("cron(0 0 " + days + " * ? *)")
		if !errors.Is(err, schedule.ErrInvalid) || !strings.Contains(err.Error(), "day of month") {
			t.Errorf("%s: %v, which does not name the day of month", days, err)
		}
	}
	if _, err := schedule.Parse("cron(0 0 SUNL * MON *)"); !errors.Is(err, schedule.ErrInvalid) || !strings.Contains(err.Error(), "both given") {
		t.Errorf("with a day of the week: %v", err)
	}
}
