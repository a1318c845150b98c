package projection

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

// Whoever may change a value, by the API for example, has its target written and workloads restarted with each change. A write in place takes the
// place of the one before. A restart makes pods, and a content of an immutable target a core Secret that stays: these two are paced.

const (
	// freeContents is how many former contents of an immutable target there may be, younger than retention, before the next one waits, and
	// firstPause how long it waits then: twice as long for each more. So there are 17 of them at most, whatever comes in.
	freeContents = 8
	firstPause   = 2 * time.Second
	// Workloads are restarted for one object maximumRestarts times in restartPeriod.
	maximumRestarts = 5
	restartPeriod   = time.Minute
)

// Unrestarted is the digest of a target that is shown and of which workloads are still to be restarted: of no content that ever was, so that they are
// restarted whatever is shown by then.
const Unrestarted = "unrestarted"

// pause is how long an immutable target keeps a content at least, while that many former ones are younger than retention.
func pause(young int) time.Duration {
	if young < freeContents {
		return 0
	}
	return min(firstPause<<min(young-freeContents, 16), retention)
}

// decidePace is the decision when an immutable target may show another content, by the core Secrets that this one took the place of, and whether there
// are as many as there may be. It is now or in the past for at once.
func decidePace(former []Retained, now time.Time) (at time.Time, full bool) {
	young := 0
	var last time.Time
	for _, r := range former {
		if now.Sub(r.Since) < retention {
			young++
		}
		if r.Since.After(last) {
			last = r.Since
		}
	}
	if last.After(now) { // a clock was set back
		last = now
	}
	return last.Add(pause(young)), len(former) >= maximumRetained
}

// nextRestart is how long a restart waits after earlier ones, oldest first: 0 if it need not.
func nextRestart(times []time.Time, now time.Time) time.Duration {
	if len(times) < maximumRestarts {
		return 0
	}
	return min(max(restartPeriod-now.Sub(times[len(times)-maximumRestarts]), 0), restartPeriod)
}

// restarts remembers the restarts of the last minute by object. It is lost with the process, which costs a few restarts. Its zero value is ready.
type restarts struct {
	mu    sync.Mutex
	of    map[contender]lately
	swept time.Time
}

// lately is when workloads were restarted for an object, oldest first, and what the last restart was for.
type lately struct {
	times []time.Time
	last  string
}

// wait is how long an object's next restart waits, for a content that is named. One that was begun for it goes on at once: the pass that began it may have
// ended before it was done, or before status said so.
func (r *restarts) wait(who contender, content string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of[who].last == content {
		return 0
	}
	return nextRestart(r.of[who].times, now)
}

// note remembers a restart, once for each content, and now and then forgets what was long ago.
func (r *restarts) note(who contender, content string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[contender]lately{}
	}
	if r.of[who].last == content {
		return
	}
	times := append(r.of[who].times, now)
	r.of[who] = lately{slices.Clone(times[max(0, len(times)-maximumRestarts):]), content}
	if now.Sub(r.swept) < restartPeriod {
		return
	}
	r.swept = now
	for name, its := range r.of {
		if now.Sub(its.times[len(its.times)-1]) >= restartPeriod {
			delete(r.of, name)
		}
	}
}

// pace says so if another content of an immutable target is not to be shown yet. The one that is there stays meanwhile; if it is gone, nothing waits. What
// comes while it waits is shown together. Former ones that nothing uses go all the same, by which there is room for it.
func (p *Projector) pace(ctx context.Context, s *Showing) error {
	if s.Former == nil || s.Former.ConfigMap || s.knows() || !s.succeeds() {
		return nil
	}
	owned, err := p.owned(ctx, s)
	if err != nil {
		return err
	}
	has := func(name string) bool {
		return slices.ContainsFunc(owned, func(o ownedSecret) bool { return o.name == name })
	}
	if !has(s.Former.Name) {
		return nil
	}
	if len(s.Restart) > 0 {
		if wait := p.restarts.wait(s.contender(), s.Target.Name, s.Now); wait > 0 {
			return laterRestart(wait, s.Now)
		}
	}
	if has(s.Target.Name) { // it was shown before
		return nil
	}
	former := dated(owned, s.Former, s.Former.Name, s.Now)
	if paced(former, s.Now) == nil {
		return nil
	}
	if former, err = p.sweep(ctx, s, former); err != nil {
		return err
	}
	return paced(former, s.Now)
}

// paced says why another content waits where there are these former core Secrets, nil if it does not.
func paced(former []Retained, now time.Time) error {
	at, full := decidePace(former, now)
	switch {
	case full:
		return fault.Stalled(v1alpha1.ReasonTooManyRetained, fmt.Errorf("%d former core Secrets of the immutable target are still used, which is as many as there may be: "+
			"another content is shown when one of status.projection.retained is named by no pod and by nothing that makes pods", len(former)))
	case at.After(now):
		return fault.Later(v1alpha1.ReasonProgressing, at.Sub(now), fmt.Errorf("the immutable target has had %d contents within %s, each of which is a core Secret that stays as long: "+
			"what there is now is shown at %s", len(former)+1, retention, at.UTC().Format(time.RFC3339)))
	}
	return nil
}

// laterRestart says that workloads are restarted later.
func laterRestart(wait time.Duration, now time.Time) error {
	return fault.Later(v1alpha1.ReasonProgressing, wait, fmt.Errorf("workloads were restarted %d times within %s, which is as often as is done for one object: they are restarted at %s",
		maximumRestarts, restartPeriod, now.Add(wait).UTC().Format(time.RFC3339)))
}
