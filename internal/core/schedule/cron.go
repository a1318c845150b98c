package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cron is a parsed cron expression. Its minutes are 0 and its years are all.
type cron struct {
	hours  set
	days   set  // of the month
	last   bool // the last day of the month, too
	months set
	weekly weekdays
	// byMonth tells that days of the month decide, and not days of the week.
	byMonth bool
}

// weekdays is days of the week by Go's numbers, Sunday being 0.
type weekdays struct {
	every set
	// last are weekdays of which the last in the month counts, nth those of which the nth does.
	last set
	nth  [6]set
}

func parseCron(inner string) (cron, error) {
	fields := strings.Fields(inner)
	if len(fields) != 6 {
		return cron{}, fmt.Errorf("it has %d fields, not 6: minutes, hours, day of month, month, day of week, year", len(fields))
	}
	switch {
	case fields[0] != "0":
		return cron{}, fmt.Errorf("minutes are %q: only 0 is allowed", fields[0])
	case fields[5] != "*":
		return cron{}, fmt.Errorf("year is %q: only * is allowed", fields[5])
	case fields[2] != "?" && fields[4] != "?":
		return cron{}, fmt.Errorf("day of month and day of week are both given, as %q and %q: put ? in one of them", fields[2], fields[4])
	case fields[2] == "?" && fields[4] == "?":
		return cron{}, fmt.Errorf("day of month and day of week are both ?: put * or days in one of them")
	}
	var c cron
	var err error
	if c.hours, err = parseField(field{name: "hours", low: 0, high: 23}, fields[1]); err != nil {
		return c, err
	}
	months := field{name: "month", low: 1, high: 12, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}}
	if c.months, err = parseField(months, fields[3]); err != nil {
		return c, err
	}
	if c.byMonth = fields[4] == "?"; c.byMonth {
		return c, c.parseDays(fields[2])
	}
	return c, c.weekly.parse(fields[4])
}

func (c *cron) parseDays(text string) error {
	var rest []string
	for _, part := range strings.Split(text, ",") {
		if part == "L" {
			c.last = true
			continue
		}
		if name, ok := strings.CutSuffix(part, "L"); ok && slices.Contains(dayField.names, name) {
			weekday, err := dayField.number(name) // AWS takes the last Sunday, SUNL, in this field too
			if err != nil {
				return err
			}
			c.weekly.last |= 1 << uint(weekday-1)
			continue
		}
		rest = append(rest, part)
	}
	if len(rest) == 0 {
		return nil
	}
	var err error
	c.days, err = parseField(field{name: "day of month", low: 1, high: 31}, strings.Join(rest, ","))
	return err
}

var dayField = field{name: "day of week", low: 1, high: 7, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}

func (w *weekdays) parse(text string) error {
	for _, part := range strings.Split(text, ",") {
		if err := w.parsePart(part); err != nil {
			return err
		}
	}
	return nil
}

func (w *weekdays) parsePart(part string) error {
	if part == "L" { // Saturday, the last day of the week
		w.every |= 1 << 6
		return nil
	}
	if name, n, ok := strings.Cut(part, "#"); ok {
		weekday, err := dayField.number(name)
		if err != nil {
			return err
		}
		nth, err := strconv.Atoi(n)
		if err != nil || nth < 1 || nth > 5 || len(n) != 1 {
			return fmt.Errorf("day of week is %q: after # comes 1 to 5, as in MON#2", part)
		}
		w.nth[nth] |= 1 << uint(weekday-1)
		return nil
	}
	if name, ok := strings.CutSuffix(part, "L"); ok {
		weekday, err := dayField.number(name)
		if err != nil {
			return err
		}
		w.last |= 1 << uint(weekday-1)
		return nil
	}
	numbers, err := parseField(dayField, part)
	w.every |= numbers >> 1 // AWS's 1 is Sunday, which is Go's 0
	return err
}

// matches tells whether the schedule fires on a day.
func (c cron) matches(year int, month time.Month, d int) bool {
	if !c.months.has(int(month)) {
		return false
	}
	end := daysIn(year, month)
	weekday := int(time.Date(year, month, d, 0, 0, 0, 0, time.UTC).Weekday())
	if c.byMonth {
		return c.days.has(d) || c.last && d == end || c.weekly.last.has(weekday) && d+7 > end
	}
	return c.weekly.every.has(weekday) || c.weekly.last.has(weekday) && d+7 > end || c.weekly.nth[(d-1)/7+1].has(weekday)
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
