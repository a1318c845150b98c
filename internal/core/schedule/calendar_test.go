package schedule_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/schedule"
)

func TestLeapDaysAreThoseOfTheGregorianCalendar(t *testing.T) {
	var got []int
	for _, day := range firings(parse(t, "cron(0 0 29 2 ? *)"), at("1896-01-01T00:00"), at("2105-01-01T00:00")) {
		got = append(got, day.Year())
	}
	var want []int
	for year := 1896; year <= 2104; year += 4 {
		if year != 1900 && year != 2100 { // 2000 is one
			want = append(want, year)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("leap days in %v, want %v", got, want)
	}
}

func TestTheLastDayOfEachMonthIsFoundInEveryKindOfYear(t *testing.T) {
	for year, february := range map[int]int{2026: 28, 2028: 29, 2000: 29, 2100: 28} {
		start := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		var days []int
		for _, day := range firings(parse(t, "cron(0 0 L * ? *)"), start, start.AddDate(1, 0, 0)) {
			days = append(days, day.Day())
		}
		if want := []int{31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}; fmt.Sprint(days) != fmt.Sprint(want) {
			t.Errorf("%d: %v", year, days)
		}
	}
}

func TestWindowsAtAYearsEndCloseAtMidnightAndTheNextYearBegins(t *testing.T) {
	for _, tt := range []struct{ expression, duration, last, now, start, end string }{
		{"cron(0 22 31 DEC ? *)", "2h", "2026-06-01T00:00", "2026-12-31T23:59:59", "2026-12-31T22:00", "2027-01-01T00:00"},
		{"cron(0 22 31 DEC ? *)", "2h", "2026-06-01T00:00", "2027-01-01T00:00", "2027-12-31T22:00", "2028-01-01T00:00"},
		{"cron(0 * * * ? *)", "", "2026-12-31T22:59:59", "2026-12-31T23:30", "2026-12-31T23:00", "2027-01-01T00:00"},
		{"cron(0 * * * ? *)", "", "2026-12-31T23:01", "2026-12-31T23:59", "2027-01-01T00:00", "2027-01-01T01:00"},
		{"cron(0 0 1 1 ? *)", "24h", "2026-01-01T05:00", "2026-12-31T23:59:59", "2027-01-01T00:00", "2027-01-02T00:00"},
		{"rate(24 hours)", "24h", "2026-12-30T23:10", "2026-12-31T23:10", "2026-12-31T23:00", "2027-01-01T00:00"},
		{"rate(1 day)", "24h", "2026-12-30T23:10", "2026-12-31T23:10", "2026-12-31T00:00", "2027-01-01T00:00"},
		{"rate(1 day)", "24h", "2026-12-31T23:10", "2026-12-31T23:59:59", "2027-01-01T00:00", "2027-01-02T00:00"},
		{"cron(0 0 ? 12 THU#5 *)", "", "2026-12-01T00:00", "2026-12-31T10:00", "2026-12-31T00:00", "2027-01-01T00:00"},
	} {
		w := plan(t, tt.expression, tt.duration).Window(at(tt.last), at(tt.now))
		if !w.Start.Equal(at(tt.start)) || !w.End.Equal(at(tt.end)) {
			t.Errorf("%s at %s: %s to %s", tt.expression, tt.now, w.Start, w.End)
		}
	}
}

// A clock that is put forward has no 02:00 on that day and one put back has two. In UTC neither happens.
func TestDaylightSavingTimeMakesNoDifference(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"} {
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, expression := range []string{"cron(0 2 * * ? *)", "cron(0 * * * ? *)", "cron(0 0 ? * SUN *)", "cron(0 0 L * ? *)", "rate(5 hours)"} {
			s, p := parse(t, expression), plan(t, expression, "")
			for now := at("2027-03-01T00:30"); now.Before(at("2027-12-01T00:00")); now = now.Add(13 * time.Hour) {
				last := now.Add(-50 * time.Hour)
				want, _ := s.Next(last, now)
				if got, ok := s.Next(last.In(location), now.In(location)); !ok || !got.Equal(want) || got.Location() != time.UTC {
					t.Fatalf("%s in %s after %s: %s, want %s", expression, zone, now, got, want)
				}
				if a, b := p.Decide(last, now, "s"), p.Decide(last.In(location), now.In(location), "s"); a != b {
					t.Fatalf("%s in %s at %s: %+v, want %+v", expression, zone, now, b, a)
				}
			}
		}
	}
}

// The zone of a process is read when it starts, so this test runs again in processes of other zones.
func TestTheZoneOfTheProcessMakesNoDifference(t *testing.T) {
	const again = "STRONGROOM_TEST_ZONE"
	d := plan(t, "cron(0 2 ? * SUN#1 *)", "3h").Decide(time.Date(2027, 3, 1, 0, 0, 0, 0, time.Local), time.Date(2027, 4, 30, 12, 0, 0, 0, time.Local), "s")
	out := fmt.Sprintln("decision:", d.At.Format(time.RFC3339), d.Window.Start.Format(time.RFC3339))
	if os.Getenv(again) != "" {
		fmt.Print(out)
		return
	}
	for _, zone := range []string{"UTC", "America/New_York", "Pacific/Kiritimati"} {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestTheZoneOfTheProcessMakesNoDifference$", "-test.v")
		cmd.Env = append(os.Environ(), again+"=1", "TZ="+zone)
		if got, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(got), out) {
			t.Errorf("in %s: %v\n%s\nwant %s", zone, err, got, out)
		}
	}
}

// plans are all sorts of plans whose windows may be used twice or missed if anything is wrong.
var plans = rapid.Custom(func(t *rapid.T) schedule.Plan {
	expression := rapid.SampledFrom([]string{
		"rate(4 hours)", "rate(24 hours)", "rate(1 day)", "rate(10 days)", "cron(0 /8 * * ? *)", "cron(0 * * * ? *)", "cron(0 0 * * ? *)", "cron(0 23 * * ? *)",
		"cron(0 4 ? * SUN *)", "cron(0 0 L * ? *)", "cron(0 2/10 ? * MON-FRI *)",
	}).Draw(t, "expression")
	duration := rapid.SampledFrom([]string{"", "1h", "2h", "4h", "8h", "24h"}).Draw(t, "duration")
	p, err := schedule.NewPlan(expression, duration)
	if err != nil {
		p, err = schedule.NewPlan(expression, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
})

// Time goes on in steps of any length, and the clock is also turned back. Whoever rotates when it is due and remembers when
// that was never rotates twice in one window, never outside one, and always within the half of it in which rotations begin.
func TestNoWindowIsUsedTwiceEvenIfTheClockIsTurnedBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plans.Draw(t, "plan")
		seed := rapid.String().Draw(t, "seed")
		now := at("2026-11-24T12:00")
		last, used := now, map[time.Time]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(-30*60, 50*60).Draw(t, "minutes")) * time.Minute)
			d := p.Decide(last, now, seed)
			if offset := d.At.Sub(d.Window.Start); offset < 0 || offset >= max(30*time.Minute, d.Window.End.Sub(d.Window.Start)/2) {
				t.Fatalf("its time is %s after the window opens", offset)
			}
			if d.Due == d.At.After(now) || !d.Window.End.After(now) {
				t.Fatalf("at %s: %+v", now, d)
			}
			if !d.Due {
				continue
			}
			if now.Before(d.Window.Start) || used[d.Window.Start] {
				t.Fatalf("at %s a window is used again, or before it opens: %+v", now, d)
			}
			used[d.Window.Start] = true
			last = now
		}
	})
}

// What status.nextRotationTime promises is kept: a manager that sleeps until At finds it due then, and not a second before.
func TestTheTimeThatIsToldIsTheTimeOfTheRotation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, seed := plans.Draw(t, "plan"), rapid.String().Draw(t, "seed")
		last := at("2026-11-24T12:00").Add(time.Duration(rapid.IntRange(0, 400*24*60).Draw(t, "minutes")) * time.Minute)
		d := p.Decide(last, last, seed)
		if d.Due {
			t.Fatalf("due right after a rotation: %+v", d)
		}
		if before := p.Decide(last, d.At.Add(-time.Second), seed); before.Due || !before.At.Equal(d.At) {
			t.Fatalf("a second before: %+v, want %s", before, d.At)
		}
		if then := p.Decide(last, d.At, seed); !then.Due || !then.At.Equal(d.At) {
			t.Fatalf("then: %+v, want %s", then, d.At)
		}
	})
}

func TestAKeysJitterIsWithinTheHourAfterItsPeriodAndItsOwn(t *testing.T) {
	offsets := map[time.Duration]bool{}
	rapid.Check(t, func(t *rapid.T) {
		last := at("2026-01-01T00:00").Add(time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "seconds")) * time.Second)
		days, seed := rapid.IntRange(90, 2560).Draw(t, "days"), rapid.String().Draw(t, "seed") // AWS KMS's bounds
		due := last.AddDate(0, 0, days)
		d := schedule.DecidePeriod(last, due, days, seed)
		offset := d.At.Sub(due)
		offsets[offset] = true
		if offset < 0 || offset >= time.Hour || d.Window.Start != due {
			t.Fatalf("%+v", d)
		}
		if again := schedule.DecidePeriod(last, d.At.AddDate(1, 0, 0), days, seed); !again.Due || !again.At.Equal(d.At) {
			t.Fatalf("a year late: %+v", again)
		}
	})
	if len(offsets) < 20 {
		t.Errorf("keys are spread over %d times only", len(offsets))
	}
}
