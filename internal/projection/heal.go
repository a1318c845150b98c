package projection

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

const (
	// A target that somebody changes back each time is written maximumHeals times in healPeriod with the same data. What comes
	// then is a fight: both would write for ever.
	maximumHeals = 5
	healPeriod   = time.Minute
	// longestPause is how often a fight is tried again in the end.
	longestPause = 5 * time.Minute
	// forgetAfter is when nothing is remembered any more of a target that was written. A fight is tried again sooner.
	forgetAfter = 2 * longestPause
)

var errFight = errors.New("somebody else writes the target again and again")

// heals is what is remembered of the writes of one target.
type heals struct {
	// want is the data that was written, and the generation that asked for it: with another, all begins anew.
	want string
	// times of the last writes, newest last, maximumHeals at most.
	times []time.Time
	// since is when it became a fight, zero while it is none; rival is who fights.
	since time.Time
	rival string
}

// stance is what to do about a target that may have been changed by somebody.
type stance int

const (
	// peace: heal it at once, if there is something to heal.
	peace stance = iota
	// truce: it is fought over; leave it alone for now.
	truce
	// attempt: it is fought over; write it once more, to see whether the fight is over.
	attempt
)

// decideHeal is the decision whether to heal a target. A fight is over when the target has stayed as it should be for
// healPeriod. Attempts in between become rarer, down to one in longestPause.
func decideHeal(h heals, inSync bool, now time.Time) stance {
	fighting := !h.since.IsZero()
	if len(h.times) == 0 || !fighting && (inSync || len(h.times) < maximumHeals || now.Sub(h.times[0]) >= healPeriod) {
		return peace
	}
	last := h.times[len(h.times)-1]
	switch pause := min(max(healPeriod, last.Sub(h.since)), longestPause); {
	case inSync && now.Sub(last) >= healPeriod:
		return peace
	case inSync, !fighting, now.Sub(last) < pause:
		return truce
	}
	return attempt
}

// written is what to remember after one more write.
func (h heals) written(want string, now time.Time) heals {
	if h.want != want {
		h = heals{want: want}
	}
	h.times = append(h.times[max(0, len(h.times)-maximumHeals+1):len(h.times):len(h.times)], now)
	return h
}

// contender is the object of any kind whose target is written. One that is deleted and made again begins anew: its targets go with it,
// and nobody undid anything.
type contender struct {
	namespace, owner string
	uid              types.UID
}

// fights remembers the writes of the last minutes by object. It is lost with the process, which costs a few writes. Its zero
// value is ready.
type fights struct {
	mu    sync.Mutex
	of    map[contender]heals
	swept time.Time
}

func (f *fights) get(who contender, want string) heals {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.of[who]; h.want == want {
		return h
	}
	return heals{}
}

// put remembers, and now and then forgets what is long ago, so that what is kept is bounded by the writes of some minutes.
func (f *fights) put(who contender, h heals, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[contender]heals{}
	}
	f.of[who] = h
	if now.Sub(f.swept) < longestPause {
		return
	}
	f.swept = now
	for name, h := range f.of {
		if now.Sub(h.times[len(h.times)-1]) > forgetAfter {
			delete(f.of, name)
		}
	}
}

func (f *fights) forget(who contender) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.of, who)
}

// hold says so if a target is fought over and is not to be written now. While nobody fights it asks nothing, and later only
// the cache, but for once, to learn who it is.
func (p *Projector) hold(ctx context.Context, s *Showing, want string) (stance, error) {
	who := s.contender()
	h := p.fights.get(who, want)
	if h.since.IsZero() && len(h.times) < maximumHeals {
		return peace, nil
	}
	inSync, err := p.InSync(ctx, s.Target)
	if err != nil {
		return truce, err
	}
	now := decideHeal(h, inSync, s.Now)
	switch {
	case now == peace && !h.since.IsZero():
		p.fights.forget(who)
	case now == truce && h.since.IsZero():
		h.since = s.Now
		if h.rival, err = p.Rival(ctx, s.Target); err != nil {
			return truce, err
		}
		p.fights.put(who, h, s.Now)
	}
	if now == truce {
		return truce, fought(s.Target, h.rival)
	}
	return now, nil
}

// wrote remembers a write of a target. One that ends no fight yet says that there is one.
func (p *Projector) wrote(s *Showing, want string) error {
	h := p.fights.get(s.contender(), want).written(want, s.Now)
	p.fights.put(s.contender(), h, s.Now)
	if h.since.IsZero() {
		return nil
	}
	return fought(s.Target, h.rival)
}

func fought(t *Target, rival string) error {
	return fault.Contested(v1alpha1.ReasonConflict, fmt.Errorf("%w: %s: %s undid %d writes within %s; stop it there, or name "+
		"another target. It is written again some minutes apart until it stays", errFight, t.what(), rival, maximumHeals, healPeriod))
}
