package parameterstore

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// How many parameters an account has in a region, of each tier. AWS raises neither.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
const (
	maximumStandardParameters = 10_000
	maximumAdvancedParameters = 100_000
)

// countAge is how long a count is believed, with what was made since. One that says that there is no room is not believed.
const countAge = 10 * time.Second

// Counts are how many parameters accounts have, as counted a moment ago: a count looks at each. The zero value is ready for use, by several goroutines; nil counts each time.
type Counts struct {
	mu    sync.Mutex
	known map[accountRegion]count
}

type count struct {
	tiers map[v1alpha1.ParameterTier]int
	at    time.Time
}

// take notes one more of a tier, if a count that is believed has room for it.
func (c *Counts) take(of accountRegion, tier v1alpha1.ParameterTier, now time.Time) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	is, known := c.known[of]
	if age := now.Sub(is.at); !known || age < 0 || age >= countAge || is.tiers[tier] >= maximumOf(tier) {
		return false
	}
	is.tiers[tier]++
	return true
}

// put notes a count.
func (c *Counts) put(of accountRegion, tiers map[v1alpha1.ParameterTier]int, now time.Time) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maximumTiers {
		c.known = map[accountRegion]count{}
	}
	c.known[of] = count{tiers, now}
}

func maximumOf(tier v1alpha1.ParameterTier) int {
	if tier == v1alpha1.TierAdvanced {
		return maximumAdvancedParameters
	}
	return maximumStandardParameters
}

// checkRoom says whether an account can have one more parameter by a request. What manifests declare counts, and is not refused here: Kubernetes has quotas of its own for
// objects. Replicas count each for itself, so that by several of them an account can come to have a few more.
func (s *Service) checkRoom(ctx context.Context, namespace, region string, tier v1alpha1.ParameterTier) error {
	if tier != v1alpha1.TierAdvanced {
		tier = v1alpha1.TierStandard
	}
	of, now := accountRegion{namespace, region}, s.Now()
	if s.Counts.take(of, tier, now) {
		return nil
	}
	all, err := s.List(ctx, namespace, region, "")
	if err != nil {
		return err
	}
	tiers, err := withOneMore(all, tier)
	if err != nil {
		return err
	}
	s.Counts.put(of, tiers, now)
	return nil
}

// withOneMore counts parameters by their tiers, and one more of a tier. It fails with ParameterLimitExceeded.
func withOneMore(all []*v1alpha1.Parameter, tier v1alpha1.ParameterTier) (map[v1alpha1.ParameterTier]int, error) {
	tiers := map[v1alpha1.ParameterTier]int{}
	for _, p := range all {
		if p.Status.Tier == v1alpha1.TierAdvanced {
			tiers[v1alpha1.TierAdvanced]++
		} else {
			tiers[v1alpha1.TierStandard]++
		}
	}
	if tiers[tier] >= maximumOf(tier) {
		return nil, &types.ParameterLimitExceeded{Message: ptr.To("You have exceeded the number of parameters for this AWS account. Delete one or more parameters and try again.")}
	}
	tiers[tier]++
	return tiers, nil
}
