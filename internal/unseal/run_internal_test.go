package unseal

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
)

func TestAttemptsComeSoonAtFirstAndThenAtTheLongestWaitForEver(t *testing.T) {
	for _, tt := range []struct {
		failures int
		want     time.Duration
	}{
		{-1, 250 * time.Millisecond},
		{0, 250 * time.Millisecond},
		{1, 250 * time.Millisecond},
		{2, 500 * time.Millisecond},
		{3, time.Second},
		{5, 4 * time.Second},
		{6, 5 * time.Second},
		{7, 5 * time.Second},
		{64, 5 * time.Second},
		{1 << 40, 5 * time.Second},
	} {
		if got := retryAfter(5*time.Second, tt.failures); got != tt.want {
			t.Errorf("after %d failures: %s, not %s", tt.failures, got, tt.want)
		}
	}
	if got := retryAfter(time.Millisecond, 1); got != time.Millisecond {
		t.Errorf("a longest wait that is shorter than the first: %s", got)
	}
}

func TestAnHourOfFailuresIsAboutSevenHundredAttempts(t *testing.T) {
	attempts := 0
	for passed := time.Duration(0); passed < time.Hour; attempts++ {
		passed += retryAfter(defaultRetry, attempts+1)
	}
	if attempts > 730 {
		t.Error(attempts)
	}
}

func TestTheGracePeriodIsOverWhenItIsPastAndNeverIfThereIsNone(t *testing.T) {
	reached := time.Unix(1_000_000, 0)
	for _, tt := range []struct {
		what  string
		grace time.Duration
		after time.Duration
		over  bool
	}{
		{"no grace period, after a year", 0, 365 * 24 * time.Hour, false},
		{"just before", time.Minute, time.Minute - 1, false},
		{"at its end", time.Minute, time.Minute, false},
		{"just after", time.Minute, time.Minute + 1, true},
		{"a clock that was turned back", time.Minute, -time.Hour, false},
		{"one that is negative is none", -time.Minute, time.Hour, false},
	} {
		if got := graceOver(tt.grace, reached, reached.Add(tt.after)); got != tt.over {
			t.Errorf("%s: %t", tt.what, got)
		}
	}
}

func TestAFailureIsLoggedWhenItIsNewsAndThenOnceAMinute(t *testing.T) {
	now := time.Unix(0, 0)
	var q quiet
	for i, tt := range []struct {
		said  string
		after time.Duration
		news  bool
	}{
		{"no nodes", 0, true},
		{"no nodes", 5 * time.Second, false},
		{"no nodes", 54 * time.Second, false},
		{"no nodes", time.Second, true},
		{"no nodes", 5 * time.Second, false},
		{"no cluster", 0, true},
		{"no nodes", 0, true},
	} {
		now = now.Add(tt.after)
		if got := q.news(tt.said, now); got != tt.news {
			t.Errorf("%d, %s: %t", i, tt.said, got)
		}
	}
}

func wrappedBy(keyARNs ...string) (out []v1alpha1.Envelope) {
	for i, keyARN := range keyARNs {
		out = append(out, v1alpha1.Envelope{
			ObjectMeta: metav1.ObjectMeta{Namespace: "own", Name: "e"},
			Spec:       v1alpha1.EnvelopeSpec{Class: v1alpha1.EnvelopeDomainKey, Sequence: int64(i + 1), KeyARN: keyARN},
		})
	}
	return out
}

func TestARootOpensOnlyWhatItWrappedAndWhoElseDidIsSaid(t *testing.T) {
	for _, tt := range []struct {
		what, root string
		stored     []v1alpha1.Envelope
		says       []string
	}{
		{"nothing is wrapped yet", "CoreSecret", nil, nil},
		{"the core Secret", "CoreSecret", wrappedBy("root:CoreSecret"), nil},
		{"the same HSMCluster, whichever of its keys it was", "hsm:a/b", wrappedBy("root:hsm:a/b:1:00", "root:hsm:a/b:2:11"), nil},
		{"a core Secret, and now an HSMCluster", "hsm:a/b", wrappedBy("root:CoreSecret"), []string{"epoch 1", "is wrapped by core-secret", "root of trust is hsm:a/b", "--root=core-secret"}},
		{"an HSMCluster, and now a core Secret", "CoreSecret", wrappedBy("root:hsm:a/b:1:00"), []string{"is wrapped by hsm:a/b", "root of trust is core-secret", "--root=hsm:a/b"}},
		{"another HSMCluster", "hsm:a/c", wrappedBy("root:hsm:a/b:1:00"), []string{"--root=hsm:a/b"}},
		{"one of the same name in another namespace", "hsm:z/b", wrappedBy("root:hsm:a/b:1:00"), []string{"--root=hsm:a/b"}},
		{"a name that begins alike", "hsm:a/b", wrappedBy("root:hsm:a/b2:1:00"), []string{"--root=hsm:a/b2"}},
		{"two roots, of which one is this", "hsm:a/b", wrappedBy("root:hsm:a/b:1:00", "root:CoreSecret"), []string{"epoch 2", "Envelope own/e"}},
	} {
		err := checkRoot(tt.root, tt.stored)
		if tt.says == nil {
			if err != nil {
				t.Errorf("%s: %v", tt.what, err)
			}
			continue
		}
		if !errors.Is(err, keyring.ErrSealed) || !errors.Is(err, keyring.ErrOtherRoot) || !strings.Contains(err.Error(), "cannot be changed yet, and nothing was changed") {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		for _, s := range tt.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v says nothing of %q", tt.what, err, s)
			}
		}
	}
}
