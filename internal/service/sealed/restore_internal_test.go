package sealed

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// secrets are versions of which AWSCURRENT is in force.
var secrets = &Versions{Kind: Kind{
	Class:   v1alpha1.EnvelopeSecretVersion,
	InForce: func(ix versions.Index) (versions.Version, bool) { return ix.ByStage(versions.Current) },
}}

func envelopeOf(n int64) *v1alpha1.Envelope {
	return &v1alpha1.Envelope{Spec: v1alpha1.EnvelopeSpec{
		Class: v1alpha1.EnvelopeSecretVersion, Sequence: n, Version: fmt.Sprint("v", n), Stages: []string{versions.Current},
	}}
}

func TestARestoredIndexLacksWhatDoesNotOpenAndIsRefusedWithoutTheCurrentVersion(t *testing.T) {
	index := func(stages ...string) (ix versions.Index) {
		for i, stage := range stages {
			v := versions.Version{ID: fmt.Sprint("v", i+1), Sequence: int64(i + 1)}
			if stage != "" {
				v.Stages = []string{stage}
			}
			ix = append(ix, v)
		}
		return ix
	}
	for name, tt := range map[string]struct {
		opened, damaged []int64
		tombstone       versions.Index
		want            string // ids and stages; nothing if it is refused
	}{
		"all open":                     {[]int64{1, 2, 3}, nil, nil, "v1[] v2[AWSPREVIOUS] v3[AWSCURRENT]"},
		"the oldest does not":          {[]int64{2, 3}, []int64{1}, nil, "v2[AWSPREVIOUS] v3[AWSCURRENT]"},
		"the previous one does not":    {[]int64{1, 3}, []int64{2}, nil, "v1[AWSPREVIOUS] v3[AWSCURRENT]"},
		"the current one does not":     {[]int64{1, 2}, []int64{3}, nil, ""},
		"none opens":                   {nil, []int64{1, 2}, nil, ""},
		"one planted beyond the last":  {[]int64{1, 2}, []int64{1 << 40}, nil, ""},
		"a tombstone, all open":        {[]int64{1, 2}, nil, index("blue", versions.Current), "v1[blue] v2[AWSCURRENT]"},
		"a tombstone, an old one not":  {[]int64{2}, []int64{1}, index("blue", versions.Current), "v2[AWSCURRENT]"},
		"a tombstone, the current not": {[]int64{2}, []int64{1}, index(versions.Current, versions.Previous), ""},
		"a tombstone without stages":   {[]int64{1, 2}, nil, index("", ""), "v1[] v2[]"},
		"a tombstone of a version that was let go": {[]int64{2}, nil, index(versions.Previous, versions.Current),
			"v1[AWSPREVIOUS] v2[AWSCURRENT]"},
		"a tombstone, the current is gone":        {[]int64{1}, nil, index(versions.Previous, versions.Current), ""},
		"a tombstone, the current is gone, moved": {[]int64{2}, nil, index(versions.Current, versions.Previous), ""},
		"a tombstone, all are gone":               {nil, nil, index(versions.Previous, versions.Current), ""},
	} {
		f := &remains{}
		for _, n := range tt.opened {
			f.opened = append(f.opened, store.Version(envelopeOf(n)))
		}
		for _, n := range tt.damaged {
			f.damaged, f.newest = append(f.damaged, envelopeOf(n)), store.ErrTampered
		}
		ix, err := secrets.indexOf(f, store.Tombstone{Index: tt.tombstone})
		var got []string
		for _, v := range ix {
			got = append(got, fmt.Sprint(v.ID, v.Stages))
		}
		refused := store.ErrTampered
		if len(tt.damaged) == 0 {
			refused = store.ErrMissing
		}
		if tt.want == "" && !errors.Is(err, refused) || tt.want != "" && (err != nil || strings.Join(got, " ") != tt.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// An Envelope that was put under another name, with the number of a good one, must not take the place of that.
func TestAVersionThatOnlyHasTheNumberOfADamagedOneStays(t *testing.T) {
	planted := envelopeOf(1)
	planted.Spec.Version = "planted"
	f := &remains{opened: []versions.Version{store.Version(envelopeOf(1)), store.Version(envelopeOf(2))}, damaged: []*v1alpha1.Envelope{planted}}
	for name, content := range map[string]store.Tombstone{"by Envelopes": {}, "by tombstone": {Index: versions.Rebuild(f.opened)}} {
		if ix, err := secrets.indexOf(f, content); err != nil || len(ix) != 2 {
			t.Errorf("%s: %v, %v", name, ix, err)
		}
	}
}
