package secret

import (
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/schedule"
)

// testInput is all that the decision to test a rotator depends on.
type testInput struct {
	// able tells that there is a rotator that is on, and a version in force, and that no rotation is in progress.
	able bool
	// configuration is a digest of the rotator, and current the id of the version in force.
	configuration, current string
	// last is the last test, nil if there was none.
	last *v1alpha1.RotationTestStatus
	// repeated tells that a test is made every few hours: it costs a login, and shows whether the password is still the server's.
	repeated bool
	// refused tells that the last test failed because a login was refused.
	refused bool
	// seed spreads tests.
	seed string
	// asked tells that somebody has asked for a pass or changed the spec, and is not made to wait.
	asked bool
	now   time.Time
}

// testDecision is whether to test now, and if not, when: zero for never.
type testDecision struct {
	due bool
	at  time.Time
}

const (
	// firstTestWait and longestTestWait are the waits between tests that fail, which double. They are long, since servers lock users out
	// whose logins fail, and a function is given another copy each time.
	firstTestWait   = time.Minute
	longestTestWait = 6 * time.Hour
	// refusedTestWait is the first wait after a login that was refused.
	refusedTestWait = 15 * time.Minute
	// testInterval is the shortest time between tests that pass, and testSpread what each is later by. Ten thousand credentials are
	// one login in two seconds.
	testInterval = 4 * time.Hour
	testSpread   = 4 * time.Hour
)

// decideTest is the decision whether to test a rotator: one that is new or another; one that failed, in time, or when there is another
// value in force or somebody asks; and one that passed, every few hours.
func decideTest(in testInput) testDecision {
	switch {
	case !in.able:
		return testDecision{}
	case in.last == nil || in.last.Configuration != in.configuration:
		return testDecision{due: true}
	case in.last.Attempts == 0 && !in.repeated:
		return testDecision{}
	}
	failed := in.last.Attempts > 0
	at := in.last.Time.Add(in.wait())
	if !at.After(in.now) || in.last.Time.After(in.now) || failed && (in.asked || in.last.VersionID != in.current) {
		return testDecision{due: true}
	}
	return testDecision{at: at}
}

// wait is the time from the last test to the next.
func (in *testInput) wait() time.Duration {
	if in.last.Attempts == 0 {
		return testInterval + schedule.Jitter(in.seed, in.last.Time.Time, testSpread)
	}
	first := firstTestWait
	if in.refused {
		first = refusedTestWait
	}
	return min(first<<min(in.last.Attempts-1, 16), longestTestWait)
}

// driftInput is all that the decision about a failed test of a version in force depends on.
type driftInput struct {
	// drifted tells that the server takes another password of the user.
	drifted bool
	policy  v1alpha1.DriftPolicy
	// admin tells that there is one, without whom nothing can be healed.
	admin bool
	// current is the version in force, and passed the one that logged in last.
	current, passed string
	// healed is when that was last done, zero for never.
	healed, now time.Time
}

// healInterval is the shortest time between two healings. Who sets a user's password again within it does so on purpose, such as another
// installation that has the same secret: to go on would lock out one's workloads and the other's in turn.
const healInterval = 24 * time.Hour

// fought tells that the server takes another password than was set to heal it a short time ago.
func (in *driftInput) fought() bool {
	return !in.healed.IsZero() && in.now.Sub(in.healed).Abs() < healInterval
}

// heals is the decision to rotate at once. A version that never logged in from here is left alone: that it is refused may be because of
// where the login comes from, and then workloads' logins with it are fine.
func (in *driftInput) heals() bool {
	return in.drifted && in.admin && in.current == in.passed && !in.fought() && (in.policy == "" || in.policy == v1alpha1.DriftHeal)
}
