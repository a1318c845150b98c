package versions_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/versions"
)

var epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func version(sequence int64, stages ...string) versions.Version {
	return versions.Version{
		ID: fmt.Sprintf("v%d", sequence), Sequence: sequence, Stages: stages,
		Created: epoch.Add(time.Duration(sequence) * time.Minute),
	}
}

func stages(ix versions.Index) map[string]string {
	out := map[string]string{}
	for _, v := range ix {
		for _, s := range v.Stages {
			out[s] = v.ID
		}
	}
	return out
}

func TestStagesMoveAsInSecretsManager(t *testing.T) {
	tests := []struct {
		name  string
		added []versions.Version
		want  map[string]string
	}{
		{"an empty index has no stage", nil, map[string]string{}},
		{"the first version is current", []versions.Version{version(1, versions.Current)},
			map[string]string{versions.Current: "v1"}},
		{"the second makes the first previous",
			[]versions.Version{version(1, versions.Current), version(2, versions.Current)},
			map[string]string{versions.Current: "v2", versions.Previous: "v1"}},
		{"the third leaves the first without a stage",
			[]versions.Version{version(1, versions.Current), version(2, versions.Current), version(3, versions.Current)},
			map[string]string{versions.Current: "v3", versions.Previous: "v2"}},
		{"a pending version leaves current alone",
			[]versions.Version{version(1, versions.Current), version(2, versions.Pending)},
			map[string]string{versions.Current: "v1", versions.Pending: "v2"}},
		{"a stage of one's own moves from version to version",
			[]versions.Version{version(1, versions.Current, "blue"), version(2, "blue")},
			map[string]string{versions.Current: "v1", "blue": "v2"}},
		{"a version with two stages takes both",
			[]versions.Version{version(1, versions.Current), version(2, versions.Pending), version(3, versions.Current, versions.Pending)},
			map[string]string{versions.Current: "v3", versions.Previous: "v1", versions.Pending: "v3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var ix versions.Index
			for _, v := range tt.added {
				ix = ix.Add(v)
			}
			if got := stages(ix); fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("stages are %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAddingTwiceIsAddingOnce(t *testing.T) {
	ix := versions.Index{}.Add(version(1, versions.Current)).Add(version(2, versions.Current))
	again := ix.Add(version(2, versions.Current))
	if len(again) != 2 || fmt.Sprint(stages(again)) != fmt.Sprint(stages(ix)) {
		t.Errorf("adding twice gives %v", again)
	}
}

func TestAVersionOlderThanTheLastIsNotAdded(t *testing.T) {
	ix := versions.Index{}.Add(version(5, versions.Current))
	if got := ix.Add(version(4, versions.Current)); got.Last() != 5 || len(got) != 1 {
		t.Errorf("an older version was added: %v", got)
	}
}

func TestAddDoesNotChangeTheIndexItIsCalledOn(t *testing.T) {
	ix := versions.Index{}.Add(version(1, versions.Current))
	before := fmt.Sprint(ix)
	ix.Add(version(2, versions.Current))
	if fmt.Sprint(ix) != before {
		t.Errorf("the index changed from %s to %v", before, ix)
	}
}

func TestFindingVersions(t *testing.T) {
	ix := versions.Index{}.Add(version(1, versions.Current)).Add(version(2, versions.Current))
	if v, ok := ix.ByStage(versions.Current); !ok || v.ID != "v2" {
		t.Errorf("current is %v, %t", v, ok)
	}
	if _, ok := ix.ByStage("none"); ok {
		t.Error("found a stage that nobody has")
	}
	if v, ok := ix.ByID("v1"); !ok || v.Sequence != 1 {
		t.Errorf("v1 is %v, %t", v, ok)
	}
	if _, ok := ix.ByID("v9"); ok {
		t.Error("found a version that is not there")
	}
	if (versions.Index{}).Last() != 0 || ix.Last() != 2 {
		t.Error("Last is wrong")
	}
}

func TestPruneKeepsWhatHasAStageOrIsYoungOrAmongTheNewest(t *testing.T) {
	build := func(n int) versions.Index {
		var ix versions.Index
		for i := range n {
			ix = ix.Add(version(int64(i+1), versions.Current))
		}
		return ix
	}
	tests := []struct {
		name       string
		n          int
		now        time.Time
		kept, gone int
	}{
		{"few versions are all kept however old", 50, epoch.AddDate(1, 0, 0), 50, 0},
		{"exactly as many as are kept", versions.Kept, epoch.AddDate(1, 0, 0), versions.Kept, 0},
		{"the oldest beyond that go", versions.Kept + 7, epoch.AddDate(1, 0, 0), versions.Kept, 7},
		{"but not within their first 24 hours", versions.Kept + 7, epoch.Add(time.Hour), versions.Kept + 7, 0},
		{"unless there are too many to keep", versions.Maximum + 3, epoch.Add(time.Hour), versions.Maximum, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kept, gone := build(tt.n).Prune(tt.now)
			if len(kept) != tt.kept || len(gone) != tt.gone {
				t.Errorf("kept %d and let %d go, want %d and %d", len(kept), len(gone), tt.kept, tt.gone)
			}
			if tt.gone > 0 && gone[0].Sequence != 1 {
				t.Errorf("the first to go is %v", gone[0])
			}
		})
	}
}

func TestPruneNeverLetsAStagedVersionGo(t *testing.T) {
	ix := versions.Index{}.Add(version(1, "keep"))
	for i := range versions.Maximum + 20 {
		ix = ix.Add(version(int64(i+2), versions.Current))
	}
	kept, _ := ix.Prune(epoch.AddDate(1, 0, 0))
	if v, ok := kept.ByStage("keep"); !ok || v.ID != "v1" {
		t.Errorf("the staged version is %v, %t", v, ok)
	}
}

// The properties that every index has, whatever is added to it.
func TestEveryIndexKeepsItsInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.SampledFrom([]string{
			versions.Current, versions.Pending, versions.Previous, "blue", "green",
		}), rapid.ID)
		n := rapid.IntRange(0, 30).Draw(t, "n")
		var ix versions.Index
		var all []versions.Version
		for i := range n {
			v := version(int64(i+1), names.Draw(t, "stages")...)
			all = append(all, v)
			before, had := ix.ByStage(versions.Current)
			ix = ix.Add(v)
			if had && v.Has(versions.Current) {
				if previous, ok := ix.ByStage(versions.Previous); !ok || previous.ID != before.ID && !v.Has(versions.Previous) {
					t.Fatalf("previous is %v, want %s", previous, before.ID)
				}
			}
		}
		seen := map[string]bool{}
		for i, v := range ix {
			if i > 0 && ix[i-1].Sequence >= v.Sequence {
				t.Fatalf("not in order: %v", ix)
			}
			for _, s := range v.Stages {
				if seen[s] {
					t.Fatalf("stage %s is on two versions: %v", s, ix)
				}
				seen[s] = true
			}
		}
		slices.Reverse(all)
		if rebuilt := versions.Rebuild(all); fmt.Sprint(rebuilt) != fmt.Sprint(ix) {
			t.Fatalf("rebuilt in another order it is %v, want %v", rebuilt, ix)
		}
	})
}
