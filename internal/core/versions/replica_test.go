package versions_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/versions"
)

// at is an index of versions by id with their stages, in the order in which they are written: "a=AWSCURRENT".
func at(entries ...string) (ix versions.Index) {
	for i, e := range entries {
		id, stages := e[:1], []string(nil)
		if len(e) > 2 {
			stages = append(stages, e[2:])
		}
		ix = append(ix, versions.Version{ID: id, Sequence: int64(i + 1), Stages: stages, Created: epoch})
	}
	return ix
}

func TestAReplicaLacksWhatHasAStageAndItHasNot(t *testing.T) {
	for name, tt := range map[string]struct {
		replica, primary versions.Index
		want             []string
	}{
		"nothing of a primary without versions":    {nil, nil, nil},
		"all of one that it has nothing of":        {nil, at("a=AWSPREVIOUS", "b=AWSCURRENT"), []string{"a", "b"}},
		"no version without a stage":               {nil, at("a", "b=AWSCURRENT"), []string{"b"}},
		"no version that it has under other terms": {at("b=mine"), at("a=AWSPREVIOUS", "b=AWSCURRENT"), []string{"a"}},
		"one that a rotation brings in":            {at("a=AWSCURRENT"), at("a=AWSCURRENT", "b=AWSPENDING"), []string{"b"}},
	} {
		var got []string
		for _, v := range tt.replica.Lacking(tt.primary) {
			got = append(got, v.ID)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAReplicaHasTheStagesOfItsPrimary(t *testing.T) {
	for name, tt := range map[string]struct{ replica, primary, want versions.Index }{
		"in whatever order it got the versions":       {at("b", "a=AWSCURRENT"), at("a=AWSPREVIOUS", "b=AWSCURRENT"), at("b=AWSCURRENT", "a=AWSPREVIOUS")},
		"what the primary let go of is deprecated":    {at("a=AWSPREVIOUS", "b=AWSCURRENT"), at("b=AWSCURRENT"), at("a", "b=AWSCURRENT")},
		"a stage of its own goes":                     {at("a=AWSCURRENT", "b=mine"), at("a=AWSCURRENT", "b"), at("a=AWSCURRENT", "b")},
		"of a primary that is being restored nothing": {at("a=AWSCURRENT"), nil, at("a=AWSCURRENT")},
		"before the first value all":                  {at("a=AWSPENDING"), at("a"), at("a")},
	} {
		if got := tt.replica.Mirror(tt.primary); show(got) != show(tt.want) {
			t.Errorf("%s: %s", name, show(got))
		}
	}
}

// Whatever the primary goes through, a replica that follows it at any times, missing some of them, has its stages in the end, never has AWSCURRENT on
// a version that never had it there, and changes nothing when it looks again.
func TestAReplicaThatFollowsAtAnyTimesMirrorsItsPrimary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var primary, replica versions.Index
		was := map[string]bool{}
		next := int64(1)
		follow := func() {
			for _, v := range replica.Lacking(primary) {
				replica = replica.Add(versions.Version{ID: v.ID, Sequence: replica.Last() + 1, Stages: v.Stages, Created: epoch})
			}
			replica = replica.Mirror(primary)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				stages := []string{rapid.SampledFrom([]string{versions.Current, versions.Current, versions.Pending, "blue"}).Draw(t, "stage")}
				if next == 1 {
					stages = []string{versions.Current}
				}
				primary = primary.Add(versions.Version{ID: fmt.Sprint(next), Sequence: next, Stages: stages, Created: epoch})
				next++
			},
			"move": func(t *rapid.T) {
				stage := rapid.SampledFrom([]string{versions.Current, versions.Pending, "blue"}).Draw(t, "stage")
				holder, _ := primary.ByStage(stage)
				if moved, err := primary.Move(stage, holder.ID, fmt.Sprint(rapid.Int64Range(1, next).Draw(t, "to"))); err == nil {
					primary = moved
				}
			},
			"follow": func(*rapid.T) { follow() },
			"": func(t *rapid.T) {
				if v, has := primary.ByStage(versions.Current); has {
					was[v.ID] = true
				}
				if v, has := replica.ByStage(versions.Current); has && !was[v.ID] {
					t.Fatalf("AWSCURRENT is on %s, which never had it:\n%s\n%s", v.ID, show(primary), show(replica))
				}
				checkIndex(t, replica)
			},
		})
		follow()
		if !replica.Mirrors(primary) {
			t.Fatalf("they differ:\n%s\n%s", show(primary), show(replica))
		}
		before := show(replica)
		if follow(); show(replica) != before {
			t.Fatalf("a second look changes %s to %s", before, show(replica))
		}
	})
}
