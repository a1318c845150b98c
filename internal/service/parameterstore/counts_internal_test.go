package parameterstore

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestACountIsBelievedForAWhileAndWhileItHasRoom(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	of := accountRegion{"default", "us-east-1"}
	counted := func(standard int) *Counts {
		c := &Counts{}
		c.put(of, map[v1alpha1.ParameterTier]int{v1alpha1.TierStandard: standard, v1alpha1.TierAdvanced: maximumStandardParameters}, now)
		return c
	}
	for name, tt := range map[string]struct {
		counts *Counts
		of     accountRegion
		tier   v1alpha1.ParameterTier
		at     time.Duration
		want   bool
	}{
		"with room":                       {counted(5), of, v1alpha1.TierStandard, 0, true},
		"until it is old":                 {counted(5), of, v1alpha1.TierStandard, countAge - 1, true},
		"and no longer":                   {counted(5), of, v1alpha1.TierStandard, countAge, false},
		"nor when the clock is set back":  {counted(5), of, v1alpha1.TierStandard, -1, false},
		"for the last one":                {counted(maximumStandardParameters - 1), of, v1alpha1.TierStandard, 0, true},
		"and for no more":                 {counted(maximumStandardParameters), of, v1alpha1.TierStandard, 0, false},
		"of advanced ones there are more": {counted(maximumStandardParameters), of, v1alpha1.TierAdvanced, 0, true},
		"for nobody else":                 {counted(5), accountRegion{"default", "eu-west-1"}, v1alpha1.TierStandard, 0, false},
		"by nobody":                       {nil, of, v1alpha1.TierStandard, 0, false},
	} {
		if got := tt.counts.take(tt.of, tt.tier, now.Add(tt.at)); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	c := counted(maximumStandardParameters - 2)
	for n, want := range []bool{true, true, false} {
		if c.take(of, v1alpha1.TierStandard, now) != want {
			t.Errorf("the %d. that is made meanwhile counts", n+1)
		}
	}
}

func TestAnAccountHasAsManyParametersAsInAWS(t *testing.T) {
	several := func(standard, advanced int) (all []*v1alpha1.Parameter) {
		for n := range standard + advanced {
			p := &v1alpha1.Parameter{}
			if p.Status.Tier = v1alpha1.TierStandard; n >= standard {
				p.Status.Tier = v1alpha1.TierAdvanced
			}
			all = append(all, p)
		}
		return all
	}
	for name, tt := range map[string]struct {
		standard, advanced int
		tier               v1alpha1.ParameterTier
		full               bool
	}{
		"none":                       {0, 0, v1alpha1.TierStandard, false},
		"one short of the limit":     {9_999, 0, v1alpha1.TierStandard, false},
		"the limit":                  {10_000, 0, v1alpha1.TierStandard, true},
		"of the other tier":          {10_000, 99_999, v1alpha1.TierAdvanced, false},
		"the limit of advanced ones": {0, 100_000, v1alpha1.TierAdvanced, true},
	} {
		tiers, err := withOneMore(several(tt.standard, tt.advanced), tt.tier)
		var full *types.ParameterLimitExceeded
		if errors.As(err, &full) != tt.full || err == nil && tiers[v1alpha1.TierStandard]+tiers[v1alpha1.TierAdvanced] != tt.standard+tt.advanced+1 {
			t.Errorf("%s: %v, %v", name, tiers, err)
		}
	}
}
