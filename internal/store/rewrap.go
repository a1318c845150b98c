package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
)

// An Envelope under a domain key is wrapped anew in its place: keyArn and ciphertext change in one write, which the schema allows from one domain key to a
// later one alone, and all else stays: name, UID, marks and what it holds. There is never none and never two, as there would be if another took its
// place: its name is what lets one writer make a version, an erasure goes by its UID and its marks, and a reader's cache may have it as it was before,
// which opens as well, since former domain keys stay. Who deletes or marks it on the condition that it is as it was read is not held up by a rewrap,
// which takes nothing over: asRead.

// domainKeyPrefix is before the epoch in the name of a domain key. The rule of the schema that lets Envelopes be rewrapped knows it.
const domainKeyPrefix = "strongroom:domain-key/"

// domainKey is the ARN-like name of a domain key in Envelopes.
func domainKey(epoch int64) string { return domainKeyPrefix + strconv.FormatInt(epoch, 10) }

// DomainKey is the name that an Envelope wrapped by the keyring's current domain key bears as its key.
func DomainKey(ring *keyring.Keyring) string { return domainKey(ring.CurrentEpoch()) }

// Epoch is that of the domain key of which spec.keyArn of an Envelope is the name, 0 if it names another key.
func Epoch(keyARN string) int64 {
	digits, ok := strings.CutPrefix(keyARN, domainKeyPrefix)
	if !ok {
		return 0
	}
	epoch, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || epoch < 1 || domainKey(epoch) != keyARN {
		return 0
	}
	return epoch
}

// Elsewhere tells whether what kept an Envelope from being opened says nothing of it: the keyring is sealed, or has not the domain key that the Envelope names and
// is wrapped under. All else is wrong with the Envelope.
func Elsewhere(e *v1alpha1.Envelope, err error) bool {
	if errors.Is(err, keyring.ErrSealed) {
		return true
	}
	epoch, invalid := keyring.Epoch(e.Spec.Ciphertext)
	return errors.Is(err, keyring.ErrUnknownEpoch) && invalid == nil && epoch == Epoch(e.Spec.KeyARN)
}

// OfEpoch lists the Envelopes of all namespaces that are under the domain key of an epoch, from the cache as it is, in no order. They are the cache's own:
// read them only.
func (s *Store) OfEpoch(ctx context.Context, epoch int64) ([]v1alpha1.Envelope, error) {
	var found v1alpha1.EnvelopeList
	err := s.Client.List(ctx, &found, client.MatchingFields{KeyIndex: domainKey(epoch)}, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil {
		return nil, fmt.Errorf("listing the Envelopes under the domain key of epoch %d: %w", epoch, err)
	}
	return found.Items, nil
}

// After lists the Envelopes of all namespaces that name a domain key of a later epoch than one, from the cache as it is, in no order. Whoever may write Envelopes in any
// namespace can write one that names any epoch. It looks at all Envelopes. They are the cache's own: read them only.
func (s *Store) After(ctx context.Context, epoch int64) ([]v1alpha1.Envelope, error) {
	var found v1alpha1.EnvelopeList
	if err := s.Client.List(ctx, &found, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return nil, fmt.Errorf("listing the Envelopes under domain keys of later epochs than %d: %w", epoch, err)
	}
	var out []v1alpha1.Envelope // and not a part of the list, which may be a thousand times as long and would be kept with it
	for i := range found.Items {
		if Epoch(found.Items[i].Spec.KeyARN) > epoch {
			out = append(out, found.Items[i])
		}
	}
	return out, nil
}

// DomainKeys lists the Envelopes of a namespace that hold domain keys, from the cache as it is, in no order. They are the cache's own: read them only.
func (s *Store) DomainKeys(ctx context.Context, namespace string) ([]v1alpha1.Envelope, error) {
	var found v1alpha1.EnvelopeList
	err := s.Client.List(ctx, &found, client.InNamespace(namespace), client.MatchingFields{OwnerIndex: OwnerKey(KeyringOwner)}, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil {
		return nil, fmt.Errorf("listing the domain keys: %w", err)
	}
	return slices.DeleteFunc(found.Items, func(e v1alpha1.Envelope) bool { return e.Spec.Class != v1alpha1.EnvelopeDomainKey }), nil
}

// Rewrap wraps what an Envelope under a former domain key holds anew under the keyring's current one, and tells whether it did. One that is being erased, or
// that somebody wrote to meanwhile, is left for the next look. It wraps ErrTampered if the Envelope does not open; then nothing has changed.
//
// Crash-safe: it is one write, on the condition that the Envelope is as it was read. What it makes was opened before (keyring.Rewrap), and is the same to all
// who read. One that is erased meanwhile is not made again.
func (s *Store) Rewrap(ctx context.Context, ring *keyring.Keyring, e *v1alpha1.Envelope) (done bool, err error) {
	epoch := Epoch(e.Spec.KeyARN)
	if epoch == 0 || epoch >= ring.CurrentEpoch() || Condemned(e) || !e.DeletionTimestamp.IsZero() {
		return false, nil
	}
	changed := e.DeepCopy()
	changed.Spec.KeyARN = DomainKey(ring)
	changed.Spec.Ciphertext, err = ring.Rewrap(e.Spec.Ciphertext, Binding(e), Binding(changed))
	if errors.Is(err, keyring.ErrNotRewrapped) {
		return false, fmt.Errorf("rewrapping Envelope %s/%s: %w", e.Namespace, e.Name, err)
	}
	if err != nil {
		return false, fmt.Errorf("%w: Envelope %s/%s does not open under the domain key of epoch %d; restore it from a backup", ErrTampered, e.Namespace, e.Name, epoch)
	}
	// Nobody waits for the cache to show this: what it has opens.
	err = s.Client.Patch(ctx, changed, client.MergeFromWithOptions(e, client.MergeFromWithOptimisticLock{}), client.DisableReadYourWritesConsistency)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("rewrapping Envelope %s/%s: %w", e.Namespace, e.Name, err)
	}
	return true, nil
}

// asRead does something to an Envelope on the condition that it is as it was read. If all that has happened to it since is that it was rewrapped, it is done to
// the Envelope as that left it.
func (s *Store) asRead(ctx context.Context, e *v1alpha1.Envelope, do func(*v1alpha1.Envelope) error) error {
	for tries := 1; ; tries++ {
		err := do(e)
		if !apierrors.IsConflict(err) || tries == maximumTries {
			return err
		}
		live, failed := s.read(ctx, e.Namespace, e.Name, e.UID)
		if failed != nil || live == nil || !rewrapped(e, live) {
			return err
		}
		e = live
	}
}

// rewrapped tells whether all that has happened to an Envelope is that it was rewrapped. Of its spec nothing else can change.
func rewrapped(was, is *v1alpha1.Envelope) bool {
	before, after := Epoch(was.Spec.KeyARN), Epoch(is.Spec.KeyARN)
	return before > 0 && after > before && maps.Equal(was.Annotations, is.Annotations) && was.DeletionTimestamp.Equal(is.DeletionTimestamp)
}
