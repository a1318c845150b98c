package parameterstore

import (
	"sync"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
)

const (
	// tierAge is how long a default tier is remembered.
	tierAge = 10 * time.Second
	// maximumTiers is how many are, of all accounts and regions.
	maximumTiers = 4096
)

// accountRegion is an account, by its namespace, in a region.
type accountRegion struct{ namespace, region string }

// Tiers are the default tiers that were read a moment ago. The zero value is ready for use, by several goroutines; nil remembers none.
type Tiers struct {
	mu    sync.Mutex
	known map[accountRegion]tierAt
	// epoch counts how often all were forgotten: what was read before is not remembered after.
	epoch int
}

type tierAt struct {
	tier  v1alpha1.ParameterTier
	until time.Time
}

// get is the tier of a place, if it is known at a time; and the epoch for put if it is not.
func (t *Tiers) get(of accountRegion, now time.Time) (tier v1alpha1.ParameterTier, known bool, epoch int) {
	if t == nil {
		return "", false, 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	is, has := t.known[of]
	return is.tier, has && now.Before(is.until) && !now.Before(is.until.Add(-tierAge)), t.epoch // nor after the clock was set back
}

// put remembers a tier that was read since get told its epoch.
func (t *Tiers) put(of accountRegion, tier v1alpha1.ParameterTier, now time.Time, epoch int) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if epoch != t.epoch {
		return
	}
	if t.known == nil || len(t.known) >= maximumTiers {
		t.known = map[accountRegion]tierAt{}
	}
	t.known[of] = tierAt{tier, now.Add(tierAge)}
}

// forget forgets all.
func (t *Tiers) forget() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known, t.epoch = nil, t.epoch+1
}
