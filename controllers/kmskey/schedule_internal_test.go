package kmskey

import (
	"testing"
	"time"
)

func TestAScheduledKeyGoesAtTheTimeThatWasSettledUnlessAChangeOfSpecWasMissed(t *testing.T) {
	const week = 7 * 24 * time.Hour
	base := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	settled := base.Add(time.Hour)
	for name, tt := range map[string]struct {
		in   deletionInput
		want time.Time
		due  bool
	}{
		"not scheduled":                         {deletionInput{at: settled, generation: 3, settled: 3, now: base}, time.Time{}, false},
		"not scheduled, and its time was come":  {deletionInput{at: settled, generation: 3, settled: 3, now: settled}, time.Time{}, false},
		"just scheduled":                        {deletionInput{scheduled: true, window: week, generation: 2, now: base}, base.Add(week), false},
		"a primary with replicas":               {deletionInput{scheduled: true, replicas: true, window: week, at: settled, generation: 2, settled: 2, now: settled}, time.Time{}, false},
		"settled before":                        {deletionInput{scheduled: true, window: week, at: settled, generation: 2, settled: 2, now: base}, settled, false},
		"one other change since":                {deletionInput{scheduled: true, window: week, at: settled, generation: 3, settled: 2, now: base}, settled, false},
		"two changes since":                     {deletionInput{scheduled: true, window: week, at: settled, generation: 4, settled: 2, now: base}, base.Add(week), false},
		"two changes since, and its time is up": {deletionInput{scheduled: true, window: week, at: settled, generation: 4, settled: 2, now: settled}, settled.Add(week), false},
		"a nanosecond before":                   {deletionInput{scheduled: true, window: week, at: settled, generation: 2, settled: 2, now: settled.Add(-1)}, settled, false},
		"on time":                               {deletionInput{scheduled: true, window: week, at: settled, generation: 2, settled: 2, now: settled}, settled, true},
		"late":                                  {deletionInput{scheduled: true, window: week, at: settled, generation: 2, settled: 2, now: settled.Add(week)}, settled, true},
		"a status of another life":              {deletionInput{scheduled: true, window: week, at: settled, generation: 1, settled: 9, now: settled}, settled.Add(week), false},
		"a time of nowhere":                     {deletionInput{scheduled: true, window: week, at: settled, generation: 2, now: settled}, settled.Add(week), false},
	} {
		if at, due := decideDeletion(tt.in); !at.Equal(tt.want) || due != tt.due {
			t.Errorf("%s: %s, %v", name, at, due)
		}
	}
}
