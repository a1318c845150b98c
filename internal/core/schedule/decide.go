package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// defaultSpread is the part of a window in which rotations begin if its length was not chosen. No window is shorter than an hour, so this
// is half of it at most.
const defaultSpread = 30 * time.Minute

// spread is the part of a window in which rotations begin: half of one whose length somebody chose, so that ten thousand secrets of one
// schedule are as many a minute as they have minutes for, and the first half hour of one that is long because nobody said how long. It is the
// first half hour of a rate in hours too: that is counted from the hour of the last rotation, so one that is later by an hour would make all
// after it later.
func (p Plan) spread(w Window) time.Duration {
	if !p.chosen || p.schedule.inHours {
		return defaultSpread
	}
	return w.End.Sub(w.Start) / 2
}

// Decision is what a schedule wants at a time.
type Decision struct {
	// Due tells to rotate now.
	Due bool
	// At is when to rotate: at or before now if Due, after it otherwise.
	At time.Time
	// Window is the window that At is in.
	Window Window
	// Reason says why, for people.
	Reason string
}

// Decide is the decision whether to rotate now, by the time of the last rotation. Each window is used once. A window
// that went by while nobody looked is not made up for: as in AWS, the next one is waited for, and Reason says so. The seed,
// an object's UID, places the rotation within the first half of the window (see spread), so that many secrets of one schedule do
// not rotate at one instant, and that at least half of the window is left to try again in.
func (p Plan) Decide(last, now time.Time, seed string) Decision {
	last, now = last.UTC(), now.UTC()
	w := p.Window(last, now)
	if w == (Window{}) { // the zero Plan; a time far off is the safe answer
		return Decision{At: now.AddDate(horizon, 0, 0), Reason: "the schedule never fires"}
	}
	at := w.Start.Add(Jitter(seed, w.Start, p.spread(w)))
	d := Decision{At: at, Window: w, Due: !at.After(now)}
	missed, isMissed := p.missed(last, now)
	switch {
	case d.Due:
		d.Reason = "a rotation window is open"
	case !w.Start.After(now):
		d.Reason = "a rotation window is open; its time for this object is waited for"
	case isMissed:
		d.Reason = "the rotation window of " + missed.Start.Format(time.RFC3339) + " was missed; the next one is waited for"
	default:
		d.Reason = "the next rotation window is waited for"
	}
	return d
}

// DecidePeriod is the decision whether to rotate a KMS key that rotates every so many days of 24 hours. The seed spreads
// keys over the hour after; none is rotated before its time. Window is that hour, but a key stays due after it. AWS KMS
// allows 90 to 2560 days, which is for the caller to see to.
// https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
func DecidePeriod(last, now time.Time, days int, seed string) Decision {
	due := last.UTC().AddDate(0, 0, days) // a time.Duration would run over after 292 years
	at := due.Add(Jitter(seed, due, time.Hour))
	d := Decision{At: at, Window: Window{Start: due, End: due.Add(time.Hour)}, Due: !at.After(now), Reason: "the rotation period is not over"}
	if d.Due {
		d.Reason = "the rotation period is over"
	}
	return d
}

// Jitter is a time from 0 to below spread in whole seconds, the same for the same seed and time.
func Jitter(seed string, t time.Time, spread time.Duration) time.Duration {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(seed), uint64(t.Unix())))
	seconds := uint64(spread / time.Second)
	if seconds == 0 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint64(sum[:8])%seconds) * time.Second
}
