package kms

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
)

// UsageInterval is how often a process writes the last uses of keys to their status. A use that is less than half of it later than the noted one is not worth a
// write: another replica may have noted that.
const UsageInterval = time.Hour

// Usage is a successful cryptographic use of a key.
type Usage struct {
	// Operation by AWS's name, and the time of the request.
	Operation keys.Operation
	Time      time.Time
	// EventID is that of the request's audit record, and RequestID the answer's; both are empty for a use by a controller.
	EventID, RequestID string
}

// Usages holds the last use of each key that this process has seen and has not written yet. The memory that it takes is bounded by the number of keys. It is safe for
// concurrent use; a nil one holds nothing.
type Usages struct {
	mu   sync.Mutex
	last map[types.UID]usedKey
	// since is when this process began to look.
	since time.Time
}

type usedKey struct {
	name client.ObjectKey
	Usage
}

// NewUsages begins to look at a time.
func NewUsages(since time.Time) *Usages { return &Usages{last: map[types.UID]usedKey{}, since: since} }

// note keeps a use, if it is the last one of its key.
func (u *Usages) note(key *v1alpha1.KMSKey, use Usage) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last[key.UID].Time.Before(use.Time) {
		u.last[key.UID] = usedKey{client.ObjectKeyFromObject(key), use}
	}
}

func (u *Usages) of(key *v1alpha1.KMSKey) (Usage, bool) {
	if u == nil {
		return Usage{}, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	found, ok := u.last[key.UID]
	return found.Usage, ok
}

// all is a copy of what is kept.
func (u *Usages) all() map[types.UID]usedKey {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := make(map[types.UID]usedKey, len(u.last))
	for uid, used := range u.last {
		out[uid] = used
	}
	return out
}

// forget lets go of a use that is written, unless the key was used again meanwhile.
func (u *Usages) forget(uid types.UID, written usedKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last[uid] == written {
		delete(u.last, uid)
	}
}

// Used notes a successful use of a key. It costs no request.
func (s *Service) Used(key *v1alpha1.KMSKey, use Usage) { s.Usages.note(key, use) }

// usedWithin notes a use by Strongroom itself, for a Secret for example, if it succeeded.
func (s *Service) usedWithin(key *v1alpha1.KMSKey, operation keys.Operation, err error) {
	if err == nil && s.Now != nil {
		s.Used(key, Usage{Operation: operation, Time: s.Now()})
	}
}

// LastUsage is the last use of a key that is known here, nil for none, and since when uses are noted. What other replicas have seen in the last UsageInterval may be
// missing, and of what is older it may be one up to half of that before the last.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyLastUsage.html
func (s *Service) LastUsage(key *v1alpha1.KMSKey) (last *Usage, since time.Time) {
	if s.Usages != nil {
		since = s.Usages.since
	}
	if noted := key.Status.UsageTrackedSince; noted != nil {
		since = noted.UTC()
	}
	if made := key.CreationTimestamp.UTC(); made.After(since) {
		since = made
	}
	if noted := key.Status.LastUsage; noted != nil {
		last = &Usage{Operation: keys.Operation(noted.Operation), Time: noted.Time.UTC(), EventID: noted.EventID, RequestID: noted.RequestID}
	}
	if seen, ok := s.Usages.of(key); ok && (last == nil || seen.Time.After(last.Time)) {
		last = &seen
	}
	return last, since
}

// UnusedDays is for how many whole days a key has not been used, as far as LastUsage knows: since its last use, and without one since uses of it are noted, which is
// when it was made unless it is older than that.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-trailing-days-without-key-usage
func (s *Service) UnusedDays(key *v1alpha1.KMSKey) int {
	last, from := s.LastUsage(key)
	if last != nil {
		from = last.Time
	}
	const day = 24 * time.Hour
	return max(0, int(s.Now().Sub(from)/day)) // Kubernetes' clock, which says when a key was made, may be ahead
}

// worthNoting tells whether a use is written, where noted is what status has. When a process ends, all that is later is.
func worthNoting(noted *v1alpha1.KeyLastUsage, use time.Time, ends bool) bool {
	switch {
	case noted == nil:
		return true
	case ends:
		return use.Truncate(time.Second).After(noted.Time.Time)
	}
	return use.Sub(noted.Time.Time) >= UsageInterval/2
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys/status,verbs=update

// WriteUsages writes the last uses that are worth it to the keys' status; ends tells that the process does. It goes on after a failure, and returns the first.
//
// Crash-safe: each write is one optimistic update of a status that says nothing else new. What a crash loses is the uses since the last time.
func (s *Service) WriteUsages(ctx context.Context, ends bool) (first error) {
	if s.Usages == nil {
		return nil
	}
	for uid, used := range s.Usages.all() {
		done, err := s.writeUsage(ctx, uid, used, ends)
		if done {
			s.Usages.forget(uid, used)
		}
		if err != nil && first == nil {
			first = fmt.Errorf("noting the last use of KMSKey %s: %w", used.name, err)
		}
		if ctx.Err() != nil {
			return first
		}
	}
	return first
}

// writeUsage writes one, and tells whether it can be forgotten.
func (s *Service) writeUsage(ctx context.Context, uid types.UID, used usedKey, ends bool) (done bool, err error) {
	key := &v1alpha1.KMSKey{}
	err = s.Reader.Get(ctx, used.name, key, client.DisableReadYourWritesConsistency)
	for attempt := 1; ; attempt++ {
		if apierrors.IsNotFound(err) || err == nil && key.UID != uid {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if noted := key.Status.LastUsage; noted != nil && !used.Time.Truncate(time.Second).After(noted.Time.Time) {
			return true, nil // another replica has seen a later one
		}
		if !worthNoting(key.Status.LastUsage, used.Time, ends) {
			return false, nil
		}
		key.Status.LastUsage = &v1alpha1.KeyLastUsage{
			Operation: v1alpha1.KeyOperation(used.Operation), Time: metav1.NewTime(used.Time).Rfc3339Copy(), EventID: used.EventID, RequestID: used.RequestID,
		}
		TrackUsage(key, s.Usages.since)
		err = s.Client.Status().Update(ctx, key, FieldOwner)
		switch {
		case err == nil:
			return true, nil
		case !apierrors.IsConflict(err) || attempt == attempts:
			return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
		}
		key = &v1alpha1.KMSKey{}
		err = s.Live.Get(ctx, used.name, key)
	}
}

// TrackUsage notes since when uses of a key are seen, if nothing is noted yet.
func TrackUsage(key *v1alpha1.KMSKey, since time.Time) {
	if key.Status.UsageTrackedSince == nil {
		at := metav1.NewTime(since).Rfc3339Copy()
		key.Status.UsageTrackedSince = &at
	}
}
