package versions

import "slices"

// Lacking are the versions of a primary that its replica has to be given, oldest first: those with a stage. One without is deprecated and of no use.
func (ix Index) Lacking(primary Index) (out Index) {
	for _, v := range primary {
		if _, has := ix.ByID(v.ID); !has && len(v.Stages) > 0 {
			out = append(out, v)
		}
	}
	return out
}

// Mirror gives a replica's versions the stages that they have at the primary. What the primary has no more is deprecated. Sequences and times are
// the replica's own. Of a primary without AWSCURRENT, which a secret never loses, nothing is known: it is being restored, and the replica stays.
func (ix Index) Mirror(primary Index) Index {
	if _, whole := primary.ByStage(Current); !whole {
		if _, has := ix.ByStage(Current); has {
			return ix
		}
	}
	out := make(Index, 0, len(ix))
	for _, v := range ix {
		at, _ := primary.ByID(v.ID)
		v.Stages = sorted(at.Stages)
		out = append(out, v)
	}
	return out
}

// Mirrors tells that a replica has all versions of its primary that have a stage, under the same stages.
func (ix Index) Mirrors(primary Index) bool {
	return len(ix.Lacking(primary)) == 0 && slices.EqualFunc(ix, ix.Mirror(primary), func(a, b Version) bool { return slices.Equal(a.Stages, b.Stages) })
}
