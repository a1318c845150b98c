package projection

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// formerOf are that many former core Secrets, which others took the place of that long ago.
func formerOf(n int, ago time.Duration) (out []Retained) {
	for i := range n {
		out = append(out, Retained{Name: fmt.Sprint("db-", i), Since: noon.Add(-ago)})
	}
	return out
}

func TestAnImmutableTargetThatChangesOftenWaitsLongerAndLongerForItsNextContent(t *testing.T) {
	for name, tt := range map[string]struct {
		former []Retained
		want   time.Duration
		full   bool
	}{
		"none":                              {nil, 0, false},
		"as many as are free but one":       {formerOf(freeContents-1, 0), 0, false},
		"one more":                          {formerOf(freeContents, 0), firstPause, false},
		"four more":                         {formerOf(freeContents+3, 0), 8 * firstPause, false},
		"one more, a second ago":            {formerOf(freeContents, time.Second), firstPause - time.Second, false},
		"one more, long enough ago":         {formerOf(freeContents, firstPause), 0, false},
		"many of long ago":                  {formerOf(maximumRetained-1, retention), 0, false},
		"many of long ago, one of now":      {append(formerOf(40, retention), formerOf(1, 0)...), 0, false},
		"more than can be in ten minutes":   {formerOf(63, 0), retention, false},
		"as many as there may be":           {formerOf(maximumRetained, 24*time.Hour), 0, true},
		"more than there may be, as before": {formerOf(210, time.Second), retention - time.Second, true},
		"of a clock that was set back":      {formerOf(freeContents, -time.Hour), firstPause, false},
	} {
		at, full := decidePace(tt.former, noon)
		if got := max(at.Sub(noon), 0); got != tt.want || full != tt.full {
			t.Errorf("%s: %s, full %t; want %s, full %t", name, got, full, tt.want, tt.full)
		}
	}
}

// This is what a path below which somebody puts parameters without end comes to.
func TestAContentASecondForADayLeavesFewCoreSecretsAtAnyTimeAndShowsTheLastWithinTenMinutes(t *testing.T) {
	var former []Retained
	shown, most := noon, 0
	for now := noon; now.Before(noon.Add(24 * time.Hour)); now = now.Add(time.Second) {
		former = slices.DeleteFunc(former, func(r Retained) bool { return now.Sub(r.Since) >= retention })
		if at, full := decidePace(former, now); full || at.After(now) {
			if now.Sub(shown) > retention {
				t.Fatalf("nothing was shown for %s", now.Sub(shown))
			}
			continue
		}
		former, shown = append(former, Retained{Since: now}), now
		most = max(most, len(former))
	}
	if most > 17 {
		t.Errorf("there were %d former ones", most)
	}
}

func TestAFormerCoreSecretThatStatusDoesNotNameIsDatedByTheNextOne(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	now := at(60)
	owned := []ownedSecret{{"a", at(0)}, {"b", at(10)}, {"c", at(20)}, {"d", at(30)}}
	for name, tt := range map[string]struct {
		owned   []ownedSecret
		former  *Former
		current string
		want    []Retained
	}{
		"nothing is there":                        {nil, nil, "d", nil},
		"the current one alone":                   {owned[3:], nil, "d", nil},
		"a status that was lost":                  {owned, nil, "d", []Retained{{"a", at(10)}, {"b", at(20)}, {"c", at(30)}}},
		"a status that names some":                {owned, &Former{Name: "d", Retained: []Retained{{"b", at(25)}}}, "d", []Retained{{"a", at(10)}, {"b", at(25)}, {"c", at(30)}}},
		"the one before, as status has it":        {owned, &Former{Name: "c", Retained: []Retained{{"a", at(10)}, {"b", at(20)}}}, "d", []Retained{{"a", at(10)}, {"b", at(20)}, {"c", now}}},
		"an earlier content that is shown again":  {owned, nil, "a", []Retained{{"b", at(20)}, {"c", at(30)}, {"d", now}}},
		"the next one of a clock that is ahead":   {[]ownedSecret{{"a", at(0)}, {"b", at(90)}}, nil, "b", []Retained{{"a", now}}},
		"a content that waits, of which none is":  {owned, &Former{Name: "d"}, "d", []Retained{{"a", at(10)}, {"b", at(20)}, {"c", at(30)}}},
		"two that were made within one second":    {[]ownedSecret{{"a", at(0)}, {"b", at(0)}}, nil, "b", []Retained{{"a", at(0)}}},
		"what was made by a pass that died there": {owned, &Former{Name: "b", Retained: []Retained{{"a", at(10)}}}, "d", []Retained{{"a", at(10)}, {"b", now}, {"c", at(30)}}},
	} {
		if got := dated(tt.owned, tt.former, tt.current, now); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestStatusNamesTheYoungestFormerOnesInTheOrderOfTheirNames(t *testing.T) {
	var all []Retained
	for i := range 210 {
		all = append(all, Retained{Name: fmt.Sprintf("db-%03d", 999-i), Since: noon.Add(time.Duration(i) * time.Second)})
	}
	got := youngest(all)
	if len(got) != maximumRetained || got[0].Name != "db-790" || got[len(got)-1].Name != "db-853" {
		t.Errorf("%d, %v", len(got), got)
	}
	if got := youngest(nil); got != nil {
		t.Errorf("%v of none", got)
	}
}

func TestWorkloadsAreRestartedForOneObjectFiveTimesAMinuteAndThenOnceMore(t *testing.T) {
	times := func(ago ...time.Duration) (out []time.Time) {
		for _, d := range ago {
			out = append(out, noon.Add(-d))
		}
		return out
	}
	for name, tt := range map[string]struct {
		times []time.Time
		want  time.Duration
	}{
		"none":                         {nil, 0},
		"four just now":                {times(0, 0, 0, 0), 0},
		"five just now":                {times(0, 0, 0, 0, 0), restartPeriod},
		"five within the minute":       {times(50*time.Second, 40*time.Second, 3, 2, 1), 10 * time.Second},
		"five, the first a minute ago": {times(restartPeriod, 4, 3, 2, 1), 0},
		"six, of which five count":     {times(time.Hour, 30*time.Second, 4, 3, 2, 1), 30 * time.Second},
		"five of a clock set back":     {times(-time.Hour, -time.Hour, -time.Hour, -time.Hour, -time.Hour), restartPeriod},
	} {
		if got := nextRestart(tt.times, noon); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestRestartsAreRememberedForEachObjectAndNotForEver(t *testing.T) {
	var r restarts
	who, other := contender{owner: "Secret/a"}, contender{owner: "Secret/b"}
	for i := range 9 {
		r.note(who, fmt.Sprint(i), noon)
	}
	if r.wait(who, "next", noon) != restartPeriod || r.wait(other, "next", noon) != 0 {
		t.Errorf("%s and %s", r.wait(who, "next", noon), r.wait(other, "next", noon))
	}
	if len(r.of[who].times) != maximumRestarts {
		t.Errorf("%d are remembered", len(r.of[who].times))
	}
	r.note(other, "a", noon.Add(2*restartPeriod))
	if _, there := r.of[who]; there || len(r.of) != 1 {
		t.Errorf("%v", r.of)
	}
}

// TestARestartThatIsMadeAgainForTheSameContentCountsOnce: a pass that meets a conflict is made again, and restarts nothing twice.
func TestARestartThatIsMadeAgainForTheSameContentCountsOnce(t *testing.T) {
	var r restarts
	who := contender{owner: "Secret/a"}
	for range 3 * maximumRestarts {
		r.note(who, "one", noon)
	}
	if wait := r.wait(who, "another", noon); wait != 0 {
		t.Errorf("another waits %s", wait)
	}
	for i := range maximumRestarts {
		r.note(who, fmt.Sprint(i), noon)
	}
	if wait := r.wait(who, fmt.Sprint(maximumRestarts-1), noon); wait != 0 {
		t.Errorf("the one that was begun waits %s", wait)
	}
	if wait := r.wait(who, "another", noon); wait != restartPeriod {
		t.Errorf("another waits %s", wait)
	}
}
