package sealed

import (
	"fmt"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
)

func TestTheVersionInFlightIsTheOneAfterTheIndexesLast(t *testing.T) {
	of := &Versions{Kind: Kind{Class: v1alpha1.EnvelopeSecretVersion}}
	envelope := func(class v1alpha1.EnvelopeClass, arn string, sequence int64) v1alpha1.Envelope {
		return v1alpha1.Envelope{Spec: v1alpha1.EnvelopeSpec{
			Class: class, Subject: arn, Sequence: sequence, Version: fmt.Sprintf("%s/%d", arn, sequence),
		}}
	}
	version := func(n int64) v1alpha1.Envelope { return envelope(v1alpha1.EnvelopeSecretVersion, "arn", n) }
	index := func(sequences ...int64) (ix versions.Index) {
		for _, n := range sequences {
			ix = append(ix, versions.Version{ID: fmt.Sprintf("arn/%d", n), Sequence: n})
		}
		return ix
	}
	for name, tt := range map[string]struct {
		envelopes []v1alpha1.Envelope
		index     versions.Index
		want      string // nothing for none
	}{
		"nothing":                         {nil, nil, ""},
		"all are committed":               {[]v1alpha1.Envelope{version(1), version(2)}, index(1, 2), ""},
		"the first":                       {[]v1alpha1.Envelope{version(1)}, nil, "arn/1"},
		"the next, in whatever order":     {[]v1alpha1.Envelope{version(3), version(1), version(2)}, index(1, 2), "arn/3"},
		"the next of a pruned index":      {[]v1alpha1.Envelope{version(8), version(9)}, index(7, 8), "arn/9"},
		"one after a gap is not the next": {[]v1alpha1.Envelope{version(1), version(3)}, index(1), ""},
		"an older one that was pruned":    {[]v1alpha1.Envelope{version(1), version(2)}, index(2), ""},
		"another secret's":                {[]v1alpha1.Envelope{envelope(v1alpha1.EnvelopeSecretVersion, "other", 1)}, nil, ""},
		"a tombstone":                     {[]v1alpha1.Envelope{envelope(v1alpha1.EnvelopeTombstone, "arn", 1)}, nil, ""},
	} {
		v, found := of.inFlight(tt.envelopes, "arn", tt.index)
		if got := idOf(v); got != tt.want || found != (tt.want != "") {
			t.Errorf("%s: %q, %t", name, got, found)
		}
	}
}

func idOf(e *v1alpha1.Envelope) string {
	if e == nil {
		return ""
	}
	return e.Spec.Version
}
