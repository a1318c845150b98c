package iam

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"golang.org/x/time/rate"
	expiring "k8s.io/apimachinery/pkg/util/cache"
)

// The bounds of what is remembered of tokens.
const (
	// maximumRefusals are the tokens that the API server refused, and that are remembered, for refusalAge: a token may become good,
	// for example when the API server has seen its pod.
	maximumRefusals = 4096
	refusalAge      = 10 * time.Second
	// maximumIssuers are those that are remembered: a cluster has one, or two while it goes over to another.
	maximumIssuers = 16
	issuerAge      = 24 * time.Hour
	// Once an issuer is known, so many tokens of others are asked for in a second, and in one burst: a cluster may have got a new
	// issuer, and whoever makes tokens up can name any but those known.
	strangersASecond = 1
	strangersAtOnce  = 5
)

// errStranger says that too many tokens of issuers that the API server never accepted were asked for. It may be tried again.
var errStranger = errors.New("too many tokens of unknown issuers")

// tokens are what is known of tokens from TokenReviews before: nothing of it lets a token pass, it only spares questions.
type tokens struct {
	key       [sha256.Size]byte // of this process: what is remembered tells nobody a token
	refused   *expiring.LRUExpireCache
	issuers   *expiring.LRUExpireCache
	strangers *rate.Limiter
	signers   signers
}

func newTokens(now clock) *tokens {
	t := &tokens{
		refused:   expiring.NewLRUExpireCacheWithClock(maximumRefusals, now),
		issuers:   expiring.NewLRUExpireCacheWithClock(maximumIssuers, now),
		strangers: rate.NewLimiter(strangersASecond, strangersAtOnce),
	}
	_, _ = rand.Read(t.key[:]) // does not fail
	return t
}

func (t *tokens) name(token string) (name [sha256.Size]byte) {
	mac := hmac.New(sha256.New, t.key[:])
	mac.Write([]byte(token))
	mac.Sum(name[:0])
	return name
}

// before is why a token need not be asked for, nil if it must be: it was refused just now, or its issuer is a stranger and too
// many such were asked for.
func (t *tokens) before(token, issuer string, now time.Time) error {
	if refusal, ok := t.refused.Get(t.name(token)); ok {
		return refusal.(error)
	}
	if len(t.issuers.Keys()) == 0 {
		return nil
	}
	if _, known := t.issuers.Get(issuer); !known && !t.strangers.AllowN(now, 1) {
		return errStranger
	}
	return nil
}

// learn remembers the answer of a TokenReview.
func (t *tokens) learn(token, issuer string, err error) {
	if err != nil {
		t.refused.Add(t.name(token), err, refusalAge)
		return
	}
	t.issuers.Add(issuer, true, issuerAge)
}
