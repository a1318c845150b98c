package pki

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const (
	// backdate is how far a client's clock may be behind, at most. AWS Private CA takes an hour, too.
	backdate = time.Hour
	// maximumJitter is how much earlier than planned a certificate is renewed, at most.
	maximumJitter = 12 * time.Hour
)

// RenewalTime is when a certificate is to be renewed: renewBefore its end, or, if that is 0 or not within its last nine tenths, when
// two thirds of its life are over. The seed makes it earlier by up to a fiftieth of its life, 12 hours at most, so that what was issued at
// one instant is not renewed at one.
func RenewalTime(notBefore, notAfter time.Time, renewBefore time.Duration, seed string) time.Time {
	lifetime := notAfter.Sub(notBefore)
	if lifetime <= 0 {
		return notAfter
	}
	at := notAfter.Add(-lifetime / 3)
	if renewBefore > 0 && renewBefore <= lifetime/10*9 {
		at = notAfter.Add(-renewBefore)
	}
	return at.Add(-jitter(min(lifetime/50, maximumJitter), seed)).Truncate(time.Second)
}

// jitter is a part of a duration that a seed tells.
func jitter(of time.Duration, seed string) time.Duration {
	if of <= 0 || seed == "" {
		return 0
	}
	sum := sha256.Sum256([]byte("renewal\x00" + seed))
	return time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(of))
}

// Backdate is the start of a certificate that is issued now for some time: an hour earlier, or a tenth of the time if that is less.
func Backdate(now time.Time, validity time.Duration) time.Time {
	return now.Add(-min(backdate, validity/10)).UTC().Truncate(time.Second)
}
