package unseal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/store"
)

// failure is why domain keys that are stored are not open.
type failure struct {
	err error
	// since is when the first attempt of those failed that have failed in a row, which are attempts.
	since    time.Time
	attempts int
	// lacking are the epochs that were stored and not open, when that was last known.
	lacking []int64
}

// renew opens the domain keys that are stored and that the keyring does not have. If it cannot, the keyring goes on as it is, and failing says so.
func (u *Unsealer) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	ring, err := u.Holder.Get()
	if err != nil {
		return nil // Start unseals, and reads all of them
	}
	u.forget()
	before := u.failing.Load()
	if before == nil {
		before = &failure{since: time.Now()}
	}
	lacking, err := u.open(ctx, ring)
	if err == nil {
		u.failing.Store(nil)
		return nil
	}
	since := before.since
	switch {
	case lacking == nil:
		lacking = before.lacking
	case len(before.lacking) == 0: // until now it was the API server that did not answer
		since = time.Now()
	}
	u.failing.Store(&failure{err: err, since: since, attempts: before.attempts + 1, lacking: lacking})
	return err
}

// open opens the domain keys that are stored and that a keyring lacks. If it fails, it answers which those are, nil if that is not known.
func (u *Unsealer) open(ctx context.Context, ring *keyring.Keyring) (lacking []int64, err error) {
	stored, err := u.domainKeys(ctx)
	if err != nil {
		return nil, err
	}
	lacking = []int64{}
	for i := range stored {
		if epoch := stored[i].Spec.Sequence; !ring.Has(epoch) {
			lacking = append(lacking, epoch)
		}
	}
	if err := u.asOpened(stored); err != nil || len(lacking) == 0 {
		return lacking, err
	}
	provider := u.provider()
	if err := checkRoot(provider.Name(), stored); err != nil {
		return lacking, err
	}
	root, err := provider.Find(ctx, false)
	if err != nil {
		return lacking, err
	}
	if err := checkKeys(root, stored); err != nil {
		return lacking, err
	}
	next, err := ring.Add(ctx, root, records(stored))
	if err != nil {
		return lacking, err
	}
	u.last.Store(&unsealed{root, stored})
	u.Holder.Set(next)
	u.Log.Info("the keyring has another domain key", "epoch", next.CurrentEpoch())
	return nil, nil
}

// DomainKeys are the Envelopes of the domain keys that the keyring was last opened with, the oldest first; none before it was.
func (u *Unsealer) DomainKeys() []v1alpha1.Envelope {
	last := u.last.Load()
	if last == nil {
		return nil
	}
	stored := slices.Clone(last.stored)
	slices.SortFunc(stored, func(a, b v1alpha1.Envelope) int { return cmp.Compare(a.Spec.Sequence, b.Spec.Sequence) })
	return stored
}

// errOtherDomainKey says that a domain key is another one by now.
var errOtherDomainKey = errors.New("it is another one than this manager opened; restore the one of the backup")

// Confirm tells whether the domain keys are still stored as they were opened: what is wrapped by one that is lost nobody can open after the managers that
// have it in memory. One that is missing is stored again, as the root has wrapped it, writing through s, and its name is among restored. It wraps
// store.ErrTampered if one is another by now.
//
// It is asked every two seconds while Envelopes are rewrapped, so it reads from s's cache, and asks the API server for the newest alone, which they come under, and
// for what the cache lacks.
//
// Crash-safe: each is one write, of a name that lets one writer make it.
func (u *Unsealer) Confirm(ctx context.Context, s *store.Store) (restored []string, err error) {
	known := u.DomainKeys()
	if len(known) == 0 {
		return nil, keyring.ErrSealed
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	stored, err := s.DomainKeys(ctx, u.Namespace)
	if err != nil {
		return nil, err
	}
	newest := &known[len(known)-1]
	stored = slices.DeleteFunc(stored, func(e v1alpha1.Envelope) bool { return e.Name == newest.Name })
	live := v1alpha1.Envelope{}
	switch err := u.Live.Get(ctx, client.ObjectKeyFromObject(newest), &live); {
	case err == nil:
		stored = append(stored, live)
	case !apierrors.IsNotFound(err):
		return nil, fmt.Errorf("reading the domain key of epoch %d: %w", newest.Spec.Sequence, err)
	}
	if err := u.asOpened(stored); err != nil {
		return nil, err
	}
	there := make(map[string]bool, len(stored))
	for i := range stored {
		there[stored[i].Name] = true
	}
	for i := range known {
		if e := &known[i]; !there[e.Name] {
			made, err := u.again(ctx, s, e)
			if err != nil {
				return restored, err
			}
			if made {
				restored = append(restored, e.Namespace+"/"+e.Name)
			}
		}
	}
	return restored, nil
}

// again stores a domain key again, unless it is there and the cache does not have it yet.
func (u *Unsealer) again(ctx context.Context, s *store.Store, e *v1alpha1.Envelope) (made bool, err error) {
	again := &v1alpha1.Envelope{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name, Labels: e.Labels}, Spec: *e.Spec.DeepCopy()}
	if request, known := store.Answers(e); known {
		metav1.SetMetaDataAnnotation(&again.ObjectMeta, v1alpha1.RotateAnnotation, request)
	}
	stored, err := s.Create(ctx, again)
	if err != nil {
		return false, fmt.Errorf("storing the domain key of epoch %d again, which was missing: %w", e.Spec.Sequence, err)
	}
	return stored == again, u.asOpened([]v1alpha1.Envelope{*stored})
}

// asOpened fails if a stored domain key is not the one of its name that this process has open.
func (u *Unsealer) asOpened(stored []v1alpha1.Envelope) error {
	known := map[string][]byte{}
	for _, e := range u.DomainKeys() {
		known[e.Name] = e.Spec.Ciphertext
	}
	for i := range stored {
		e := &stored[i]
		if opened, ok := known[e.Name]; ok && !bytes.Equal(e.Spec.Ciphertext, opened) {
			return fmt.Errorf("%w: that of the domain key of epoch %d, %s/%s: %w", store.ErrTampered, e.Spec.Sequence, e.Namespace, e.Name, errOtherDomainKey)
		}
	}
	return nil
}

// errTooManyDomainKeys says that no more domain keys can be made: more than MaxDomainKeys could not be unsealed.
var errTooManyDomainKeys = fmt.Errorf("there are %d domain keys, and no more are opened", keyring.MaxDomainKeys)

// Rotate makes the domain key after the one of an epoch, writing through s, unless there is one already, and waits until this process's keyring has it. The one
// that is made says that it answers a request, which store.Answers reads. It is current then, here, and in other processes when their informers have told them or when they have something of it to open.
//
// Crash-safe: the domain key is one write, which the API server lets one writer make; what is left of a crash is the domain key that was wanted, and is found by the
// next call with the same epoch.
func (u *Unsealer) Rotate(ctx context.Context, s *store.Store, after int64, request string) error {
	within, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	stored, err := u.domainKeys(within)
	if err != nil {
		return err
	}
	newest := int64(0)
	for i := range stored {
		newest = max(newest, stored[i].Spec.Sequence)
	}
	provider := u.provider()
	switch {
	case newest < after:
		return fmt.Errorf("%w: that of the domain key of epoch %d in namespace %s: restore it from a backup", store.ErrMissing, after, u.Namespace)
	case newest == after && len(stored) >= keyring.MaxDomainKeys:
		return errTooManyDomainKeys
	case newest == after:
		if err := checkRoot(provider.Name(), stored); err != nil {
			return err
		}
		root, err := provider.Find(within, false)
		if err != nil {
			return err
		}
		if _, err := u.makeDomainKey(within, s, root, after+1, map[string]string{v1alpha1.RotateAnnotation: request}); err != nil {
			return err
		}
	}
	return u.await(ask{epoch: after + 1, made: true})
}
