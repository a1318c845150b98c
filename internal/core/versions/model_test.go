package versions_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/versions"
)

// reference is an index in another form: which versions there are, and for each stage the version that holds it. A stage
// cannot be on two versions, nor AWSPREVIOUS be forgotten, because of the form itself.
type reference struct {
	present map[int64]versions.Version
	holder  map[string]int64
	last    int64
}

func (r *reference) add(v versions.Version) {
	if v.Sequence <= r.last {
		return
	}
	r.present[v.Sequence], r.last = v, v.Sequence
	former, had := r.holder[versions.Current]
	if slices.Contains(v.Stages, versions.Current) && had {
		r.holder[versions.Previous] = former
	}
	for _, stage := range v.Stages {
		r.holder[stage] = v.Sequence
	}
}

func (r *reference) staged(sequence int64) bool {
	return slices.Contains(slices.Collect(maps.Values(r.holder)), sequence)
}

// prune takes the oldest away that may go, one by one, for as long as there are too many. AWS keeps about 100, all of the
// last 24 hours, and whatever has a staging label.
func (r *reference) prune(now time.Time) (gone []int64) {
	for {
		victim, found := int64(0), false
		for _, sequence := range slices.Sorted(maps.Keys(r.present)) {
			young := now.Sub(r.present[sequence].Created) < 24*time.Hour
			if !r.staged(sequence) && (len(r.present) > 180 || len(r.present) > 100 && !young) {
				victim, found = sequence, true
				break
			}
		}
		if !found {
			return gone
		}
		delete(r.present, victim)
		gone = append(gone, victim)
	}
}

func (r *reference) String() string {
	var out []string
	for _, sequence := range slices.Sorted(maps.Keys(r.present)) {
		var stages []string
		for stage, holder := range r.holder {
			if holder == sequence {
				stages = append(stages, stage)
			}
		}
		slices.Sort(stages)
		out = append(out, fmt.Sprint(sequence, stages))
	}
	return fmt.Sprint(out)
}

func show(ix versions.Index) string {
	var out []string
	for _, v := range ix {
		out = append(out, fmt.Sprint(v.Sequence, v.Stages))
	}
	return fmt.Sprint(out)
}

func sequences(ix versions.Index) (all []int64) {
	for _, v := range ix {
		all = append(all, v.Sequence)
	}
	return all
}

// Random lives of a secret: rotations by the hundred, stages of one's own, pending versions that are abandoned, versions
// added a second time or too late, pruning at any time.
func TestAnIndexDoesWhatASimpleModelDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model := &reference{present: map[int64]versions.Version{}, holder: map[string]int64{}}
		var ix versions.Index
		now, next := epoch, int64(1)
		add := func(stages ...string) {
			v := versions.Version{ID: fmt.Sprintf("v%d", next), Sequence: next, Stages: stages, Created: now}
			before := show(ix)
			changed := ix.Add(v)
			if show(ix) != before {
				t.Fatalf("Add changed the index it was called on")
			}
			ix = changed
			model.add(v)
			next++
		}
		stage := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{versions.Current, versions.Pending, versions.Previous, "blue", "green"}), 0, 3, rapid.ID)
		t.Repeat(map[string]func(*rapid.T){
			"rotate": func(t *rapid.T) {
				for range rapid.SampledFrom([]int{1, 1, 2, 60, 150}).Draw(t, "times") {
					add(versions.Current)
					now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "minutes")) * time.Minute)
				}
			},
			"add with any stages": func(t *rapid.T) { add(stage.Draw(t, "stages")...) },
			"leave a gap":         func(*rapid.T) { next += 3 },
			"add too late or again": func(t *rapid.T) {
				late := rapid.Int64Range(0, model.last).Draw(t, "sequence")
				ix = ix.Add(versions.Version{ID: fmt.Sprintf("late%d", late), Sequence: late, Stages: []string{versions.Current}, Created: now})
			},
			"wait": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "hours")) * time.Hour) },
			"prune": func(t *rapid.T) {
				kept, gone := ix.Prune(now)
				if want := model.prune(now); !slices.Equal(sequences(gone), want) {
					t.Fatalf("%v go, want %v", sequences(gone), want)
				}
				if all := append(sequences(kept), sequences(gone)...); len(all) != len(ix) {
					t.Fatalf("%d versions became %d", len(ix), len(all))
				}
				if _, again := kept.Prune(now); len(again) != 0 {
					t.Fatalf("at the same time %v more go", sequences(again))
				}
				ix = kept
			},
			"": func(t *rapid.T) {
				if show(ix) != model.String() {
					t.Fatalf("the index is\n%s, want\n%s", show(ix), model)
				}
				checkIndex(t, ix)
			},
		})
	})
}

// checkIndex has what every reader of an index relies on.
func checkIndex(t *rapid.T, ix versions.Index) {
	if !slices.IsSorted(sequences(ix)) || len(slices.Compact(sequences(ix))) != len(ix) {
		t.Fatalf("sequences are %v", sequences(ix))
	}
	held := map[string]int{}
	for _, v := range ix {
		for _, s := range v.Stages {
			held[s]++
		}
		if found, ok := ix.ByID(v.ID); !ok || found.Sequence != v.Sequence || !slices.IsSorted(v.Stages) {
			t.Fatalf("%v is found as %v", v, found)
		}
	}
	for s, n := range held {
		if v, ok := ix.ByStage(s); n != 1 || !ok || !v.Has(s) {
			t.Fatalf("%s is on %d versions", s, n)
		}
	}
}

// AWS: "Secrets Manager doesn't remove versions created within 24 hours". The instants around that hour, one second apart.
func TestAVersionStaysForExactlyADay(t *testing.T) {
	var ix versions.Index
	for i := range int64(versions.Kept + 1) {
		ix = ix.Add(versions.Version{ID: fmt.Sprint(i), Sequence: i + 1, Stages: []string{versions.Current}, Created: epoch})
	}
	for age, want := range map[time.Duration]int{
		0: 0, time.Hour: 0, versions.MinimumAge - time.Second: 0, versions.MinimumAge: 1, versions.MinimumAge + time.Second: 1, -time.Hour: 0,
	} {
		if _, gone := ix.Prune(epoch.Add(age)); len(gone) != want {
			t.Errorf("after %s %d go, want %d", age, len(gone), want)
		}
	}
}

// However the stages are spread, the two values that workloads use are never pruned away.
func TestCurrentAndPreviousAreNeverPruned(t *testing.T) {
	var ix versions.Index
	for i := range int64(3 * versions.Maximum) {
		stages := []string{versions.Pending}
		if i == 0 || i == 1 {
			stages = []string{versions.Current}
		}
		ix = ix.Add(version(i+1, stages...))
		kept, _ := ix.Prune(epoch.AddDate(1, 0, 0))
		for stage, want := range map[string]string{versions.Current: "v2", versions.Previous: "v1"} {
			if v, ok := kept.ByStage(stage); i > 0 && (!ok || v.ID != want) {
				t.Fatalf("after %d versions %s is %v", i+1, stage, v)
			}
		}
		if len(kept) > versions.Maximum {
			t.Fatalf("%d versions are kept", len(kept))
		}
	}
}
