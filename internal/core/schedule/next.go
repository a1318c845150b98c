package schedule

import "time"

// horizon is how many years Next looks ahead. The rarest day is a leap day on a given weekday. It comes every 28 years, but
// after 40 when a century without a leap day lies between, as from 2088 to 2128.
const horizon = 41

// Next is the first opening of a window strictly after t, in UTC and on the hour. The windows of a rate are counted from
// the hour of the last rotation, those of one in days from the midnight before it, and the first is one rate after it; cron does not look at last. ok is false if there is
// none within 41 years, which means never.
func (s Schedule) Next(last, t time.Time) (start time.Time, ok bool) {
	if s.rate > 0 {
		return s.nextOfRate(last, t), true
	}
	t = t.UTC()
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

// nextOfRate counts in seconds, since a time.Duration holds no more than 292 years and last may be the zero time.
func (s Schedule) nextOfRate(last, t time.Time) time.Time {
	unit := int64(day / time.Second)
	if s.inHours {
		unit = int64(time.Hour / time.Second)
	}
	rate, base := int64(s.rate/time.Second), last.Unix()
	base -= ((base % unit) + unit) % unit
	rounds := int64(1)
	if since := t.Unix() - base; since >= 0 {
		rounds = since/rate + 1
	}
	return time.Unix(base+rounds*rate, 0).UTC()
}
