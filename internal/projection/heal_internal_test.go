package projection

import (
	"fmt"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// writes are what is remembered of writes so many seconds before noon.
func writes(secondsAgo ...int) heals {
	var h heals
	for _, s := range secondsAgo {
		h = h.written("data", noon.Add(-time.Duration(s)*time.Second))
	}
	return h
}

func fightSince(secondsAgo int, h heals) heals {
	h.since = noon.Add(-time.Duration(secondsAgo) * time.Second)
	return h
}

func TestWhatIsChangedNowAndThenIsHealedAtOnceAndWhatIsFoughtOverIsNot(t *testing.T) {
	for name, tt := range map[string]struct {
		heals           heals
		changed, inSync stance
	}{
		"never written":                         {heals{}, peace, peace},
		"written once, a moment ago":            {writes(0), peace, peace},
		"written four times this minute":        {writes(40, 30, 20, 0), peace, peace},
		"written five times this minute":        {writes(50, 40, 30, 20, 0), truce, peace},
		"written five times, 59 s ago at first": {writes(59, 40, 30, 20, 0), truce, peace},
		"written five times, 60 s ago at first": {writes(60, 40, 30, 20, 0), peace, peace},
		"written six times in 70 s":             {writes(70, 59, 40, 30, 20, 0), truce, peace},

		"fought over, just now":                     {fightSince(0, writes(4, 3, 2, 1, 0)), truce, truce},
		"fought over, for 59 s since the write":     {fightSince(59, writes(63, 62, 61, 60, 59)), truce, truce},
		"fought over, for 60 s since the write":     {fightSince(60, writes(64, 63, 62, 61, 60)), attempt, peace},
		"attempted after a minute, 59 s ago":        {fightSince(119, writes(123, 122, 121, 120, 59)), truce, truce},
		"attempted after a minute, 60 s ago":        {fightSince(120, writes(124, 123, 122, 121, 60)), attempt, peace},
		"attempted after 3 minutes, 179 s ago":      {fightSince(359, writes(179)), truce, peace},
		"attempted after 3 minutes, 180 s ago":      {fightSince(360, writes(180)), attempt, peace},
		"attempted after hours, 299 s ago":          {fightSince(9999, writes(299)), truce, peace},
		"attempted after hours, 300 s ago":          {fightSince(9999, writes(300)), attempt, peace},
		"attempted after hours, and good for 59 s":  {fightSince(9999, writes(59)), truce, truce},
		"attempted after hours, and good for 1 min": {fightSince(9999, writes(60)), truce, peace},
	} {
		for inSync, want := range map[bool]stance{false: tt.changed, true: tt.inSync} {
			if got := decideHeal(tt.heals, inSync, noon); got != want {
				t.Errorf("%s, in sync %t: %d, want %d", name, inSync, got, want)
			}
		}
	}
}

// Somebody who undoes each write at once is written against five times, and then ever more rarely: not for ever at full speed.
func TestAFightOfADayTakesFewWrites(t *testing.T) {
	var h heals
	writes, asked := 0, 0
	for now := noon; now.Sub(noon) < 24*time.Hour; now = now.Add(time.Second) {
		asked++
		switch decideHeal(h, false, now) {
		case truce:
			if h.since.IsZero() {
				h.since = now
			}
		default:
			writes++
			h = h.written("data", now)
		}
	}
	if writes < 24*60/5 || writes > 24*60/5+15 {
		t.Errorf("%d writes of %d looks", writes, asked)
	}
}

func TestWritesOfOtherDataAreNotHeals(t *testing.T) {
	var h heals
	for n := range 20 {
		h = h.written(fmt.Sprint(n), noon)
		if got := decideHeal(h, false, noon); got != peace {
			t.Fatalf("after %d rotations: %d", n, got)
		}
	}
}

func TestWhatIsRememberedOfWritesIsBoundedAndNotShared(t *testing.T) {
	h := writes(9, 8, 7, 6, 5)
	a, b := h.written("data", noon), h.written("data", noon.Add(time.Hour))
	if len(a.times) != maximumHeals || !a.times[4].Equal(noon) || !b.times[4].Equal(noon.Add(time.Hour)) || !a.times[0].Equal(noon.Add(-8*time.Second)) {
		t.Errorf("%v, %v", a.times, b.times)
	}

	var f fights
	for n := range 1000 {
		name := contender{owner: fmt.Sprint(n)}
		f.put(name, heals{}.written("data", noon.Add(time.Duration(n)*time.Minute)), noon.Add(time.Duration(n)*time.Minute))
	}
	if len(f.of) > 20 {
		t.Errorf("%d are remembered", len(f.of))
	}
	last := contender{owner: "999"}
	if len(f.get(last, "data").times) != 1 || len(f.get(last, "other").times) != 0 || len(f.get(contender{owner: "0"}, "data").times) != 0 {
		t.Error("it remembers another's writes, or those of other data, or forgot the last")
	}
	f.forget(last)
	if len(f.get(last, "data").times) != 0 {
		t.Error("it is not forgotten")
	}
}
