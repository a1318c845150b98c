package server

import (
	"cmp"
	"errors"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/smithy-go"
	"k8s.io/utils/lru"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/gateway/awsquery"
	"strongroom.dev/strongroom/internal/gateway/limits"
	"strongroom.dev/strongroom/internal/gateway/shapes"
	"strongroom.dev/strongroom/internal/gateway/sigv4"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// authenticate finds out who asks: by the signature, or for an unsigned operation nobody as yet.
func (s *Server) authenticate(e *exchange) error {
	if e.operation != nil && e.operation.Unsigned && !isSigned(e) {
		e.call.Identity = &serviceiam.Identity{Type: serviceiam.TypeUnknown}
		e.call.Region = s.Regions[0]
		if len(e.body) > maximumUnsigned {
			return errTooLarge
		}
		return nil
	}
	signed, err := sigv4.Parse(e.request, e.body)
	if err != nil {
		return err
	}
	e.signed, e.call.Region = signed, signed.Region
	if err := s.checkScope(e); err != nil {
		return err
	}
	credential, err := s.Credentials.Credential(e.request.Context(), signed.AccessKeyID, signed.Token)
	switch {
	case errors.Is(err, serviceiam.ErrUnknownAccessKey):
		// The same work as for a key that there is.
		_ = signed.Verify(derive(signed, credential), e.start)
		return refusal(unknownAccessKey, "The security token included in the request is invalid.")
	case errors.Is(err, serviceiam.ErrExpiredToken):
		return refusal(expiredToken, "The security token included in the request is expired")
	case errors.Is(err, keyring.ErrSealed):
		return refusal(unavailable, "Strongroom is sealed. Try again when it is unsealed.")
	case err != nil:
		return s.inner(e, err)
	}
	if err := s.keys.verify(signed, credential, e.start); err != nil {
		return err
	}
	e.call.Identity = credential.Identity
	return nil
}

// maximumUnsigned is the longest body of a request that nobody answers for: a token of 20,000 bytes, a policy and what is around them.
const maximumUnsigned = 64 << 10

// isSigned says whether a request has a signature. SDKs sign what needs none if they have credentials.
func isSigned(e *exchange) bool {
	return e.request.Header.Get("Authorization") != "" || e.request.URL.Query().Has("X-Amz-Signature")
}

// globalRegion is the one that AWS keeps its global services in, and that SDKs sign for.
const globalRegion = "us-east-1"

func (s *Server) checkScope(e *exchange) error {
	regions := s.Regions
	if e.service.global && !slices.Contains(regions, globalRegion) {
		regions = append(slices.Clone(regions), globalRegion)
	}
	return e.signed.CheckScope(regions, e.service.SigningName)
}

// signingKeys remembers derived keys: a client signs a day's requests to a service with one.
type signingKeys struct {
	seed maphash.Seed
	keys *lru.Cache
}

// maximumSigningKeys is how many keys are remembered.
const maximumSigningKeys = 8192

type signingKeyOf struct {
	accessKeyID, date, region, service string
	secret                             uint64
}

// clone is a name to be kept. Its strings are no parts of a header, or of a query, which they would keep whole.
func (n signingKeyOf) clone() signingKeyOf {
	return signingKeyOf{strings.Clone(n.accessKeyID), strings.Clone(n.date), strings.Clone(n.region), strings.Clone(n.service), n.secret}
}

func newSigningKeys() *signingKeys {
	return &signingKeys{seed: maphash.MakeSeed(), keys: lru.New(maximumSigningKeys)}
}

// verify checks a signature by the credential that the request claims. The secret is part of what a key is remembered by, so
// that a key of an id is never that of another secret. What nobody signed with is not remembered.
func (k *signingKeys) verify(r *sigv4.Request, c serviceiam.Credential, now time.Time) error {
	name := signingKeyOf{r.AccessKeyID, r.Date, r.Region, r.Service, maphash.Bytes(k.seed, c.Secret.Reveal())}
	if key, ok := k.keys.Get(name); ok {
		return r.Verify(key.(sigv4.Key), now)
	}
	key := derive(r, c)
	if err := r.Verify(key, now); err != nil {
		return err
	}
	k.keys.Add(name.clone(), key)
	return nil
}

func derive(r *sigv4.Request, c serviceiam.Credential) sigv4.Key {
	return sigv4.DeriveKey(c.Secret.Reveal(), r.Date, r.Region, r.Service)
}

// replays remembers the signatures of requests that change something, for as long as they would be accepted, and when each came
// first.
type replays struct {
	mu       sync.Mutex
	maximum  int
	share    int   // of the maximum, that one principal may have
	rotated  int64 // seconds
	new, old map[string]use
	of       map[string]int // how many of new a principal has
	accounts map[string]int // and an account, all its principals together
}

// use is when a signature came first, in seconds, and how often it came.
type use struct{ first, times int64 }

const (
	// maximumReplays is how many are remembered in one window; when there are more, requests wait for the next.
	maximumReplays = 1 << 18
	// replayShare is how many of them one principal may have, so that none can stop the others' writes.
	replayShare = maximumReplays / 16
	// accountShares is how many such shares one account may have in all, however many users it makes.
	accountShares = 2
	// replayWindow is how long a signature may be good for, in seconds: Skew before the server's time, and after it Skew, or for a
	// presigned request up to 2 Skew.
	replayWindow = int64(3 * sigv4.Skew / 1e9)
	// repeatable is for how many seconds after the first a signature is taken again. Signatures tell the second and no more, and
	// not every SDK puts an id into what it signs: to make two keys of the same kind, or to try a request again at once, boto3
	// sends the same signature twice.
	repeatable = 5
)

func newReplays(maximum, share int) *replays {
	return &replays{maximum: maximum, share: share, new: map[string]use{}, old: map[string]use{}, of: map[string]int{}, accounts: map[string]int{}}
}

var (
	errUsed      = refusal(invalidSignature, "The request was received before. A presigned request that changes something is good for once: sign it again.")
	errReplayed  = refusal(invalidSignature, "The request was received before, more than %d seconds ago. Sign it again.", repeatable)
	errRate      = refusal(throttled, "Rate exceeded")
	errLongLived = refusal(invalidSignature, "A presigned request that changes something is good for at most 10 minutes here.")
)

// refuseReplay refuses what was received before. It comes after the signature was verified, so nobody else can fill the memory.
func (s *Server) refuseReplay(e *exchange) error {
	if e.operation.ReadOnly || e.signed == nil {
		return nil
	}
	if e.signed.Expires > 2*sigv4.Skew {
		return errLongLived
	}
	again := int64(repeatable)
	if e.signed.Expires > 0 {
		again = 0 // a presigned request is meant to be handed on: it is good for once
	}
	return s.replays.take(e.principal(), e.signed.Signature, e.start.Unix(), again)
}

// principal is who has a share of the memory of signatures: a user, or a role for all its sessions.
func (e *exchange) principal() string {
	p := &e.call.Identity.Principal
	return cmp.Or(p.RoleARN, p.ARN)
}

// forgive forgets the signature of a request that was refused before it could do anything: whoever may do nothing cannot use up what
// those need who may.
func (s *Server) forgive(e *exchange, err error) {
	var known smithy.APIError
	var violations limits.Violations
	denied := errors.As(err, &known) && known.ErrorCode() == "AccessDeniedException"
	if e.operation.ReadOnly || e.signed == nil || !denied && !errors.As(err, &violations) && !errors.Is(err, shapes.ErrSerialization) &&
		!errors.Is(err, awsquery.ErrSerialization) {
		return
	}
	s.replays.forget(e.principal(), e.signed.Signature)
}

// take notes a signature. Those of the window before this one are still known, so each is for a whole window at least.
func (r *replays) take(principal, signature string, now, again int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch age := now - r.rotated; {
	case age >= 2*replayWindow:
		r.old = map[string]use{}
		r.begin(now)
	case age >= replayWindow:
		r.old = r.new
		r.begin(now)
	}
	where := r.new
	known, seen := r.new[signature]
	if !seen {
		where = r.old
		known, seen = r.old[signature]
	}
	switch {
	case seen && again == 0:
		return errUsed
	case seen && (now < known.first || now-known.first > again):
		return errReplayed
	case seen:
		known.times++
		where[signature] = known // and the time of the first stays, or a replay could be kept going
		return nil
	case len(r.new) >= r.maximum, r.of[principal] >= r.share, r.accounts[arn.Account(principal)] >= accountShares*r.share:
		return errRate
	}
	r.of[principal]++
	r.accounts[arn.Account(principal)]++
	r.new[strings.Clone(signature)] = use{first: now, times: 1} // it is a part of the header, or of the whole query
	return nil
}

// forget takes back what take noted for one request. A signature that another request has too is kept: that one may have done something.
func (r *replays) forget(principal, signature string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.new[signature].times != 1 {
		return
	}
	delete(r.new, signature)
	giveBack(r.of, principal)
	giveBack(r.accounts, arn.Account(principal))
}

// begin begins a window.
func (r *replays) begin(now int64) {
	r.new, r.of, r.accounts, r.rotated = map[string]use{}, map[string]int{}, map[string]int{}, now
}

func giveBack(counts map[string]int, of string) {
	if counts[of]--; counts[of] == 0 {
		delete(counts, of)
	}
}
