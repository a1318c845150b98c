// Package unseal brings the keyring up when a manager starts: it finds the root of trust, opens the domain keys with it,
// and on the very first run makes both.
//
// It never makes a root while there are domain keys, nor a domain key while there are other Envelopes: what is gone leaves
// Strongroom sealed until it is restored, since a new one would open nothing.
package unseal

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// Subject is the subject of the Envelopes that hold the domain keys.
const Subject = "strongroom:domain-key"

// attemptTimeout is how long one attempt may take. Each node of an HSM cluster is asked once in it.
const attemptTimeout = 30 * time.Second

// perDomainKey is what each domain key adds to that, of which there may be thousands.
const perDomainKey = 50 * time.Millisecond

// Unsealer is a manager.Runnable that unseals the keyring and tries again while it cannot.
type Unsealer struct {
	// Client writes to the API server; it need not have a cache that runs.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Namespace is Strongroom's own.
	Namespace string
	// Provider is where the root of trust is; core Secret strongroom-root if nil.
	Provider Provider
	// Holder is told of the keyring, or why it is sealed.
	Holder *keyring.Holder
	// Retry is the longest time between attempts while sealed; the first ones come sooner. 5 s if 0.
	Retry time.Duration
	// Verify is how often a root that is remote is asked while unsealed. 30 s if 0.
	Verify time.Duration
	// Patience is for how long a domain key that is in use may not be opened before the manager is not Ready. 1 min if 0.
	Patience time.Duration
	// GracePeriod is for how long the keyring stays unsealed when a remote root was last reached. 0 is until the process ends.
	GracePeriod time.Duration
	// Sealed is called when the keyring was sealed at the end of GracePeriod, to forget what was opened with it. It may be nil.
	Sealed func()
	// Random and Now are crypto/rand and time.Now if nil.
	Random io.Reader
	Now    func() time.Time
	// Log tells what happened.
	Log logr.Logger

	last atomic.Pointer[unsealed]
	// reached tells whether the root answered when it was last asked.
	reached atomic.Bool

	// changed says that there may be another domain key, and asked is who waits for one; both are made once.
	channels sync.Once
	changed  chan struct{}
	asked    chan ask
	// missed is when a domain key of an epoch was looked for in vain. missing is its lock.
	missing sync.Mutex
	missed  map[int64]miss
	// failing says why domain keys that are stored are not open, nil if all are.
	failing atomic.Pointer[failure]
}

// unsealed is what an attempt that succeeded was made with.
type unsealed struct {
	root   keyring.Root
	stored []v1alpha1.Envelope
}

// Protection says whether the root of trust is kept outside the Kubernetes API, and what that means. While sealed it is
// not known, and the message is empty.
func (u *Unsealer) Protection() (protected bool, message string) {
	last := u.last.Load()
	if last == nil {
		return false, ""
	}
	return keyring.Protection(last.root)
}

// NeedLeaderElection is false: every replica unseals for itself.
func (u *Unsealer) NeedLeaderElection() bool { return false }

// Unseal makes one attempt. Each of its writes makes a whole object or none and is found by the next attempt, so it may
// end anywhere.
func (u *Unsealer) Unseal(ctx context.Context) error {
	outer := ctx
	ctx, cancel := context.WithTimeout(outer, attemptTimeout)
	defer cancel()
	provider := u.provider()
	stored, err := u.stored(ctx, provider.Name())
	if err != nil {
		return err
	}
	root, err := provider.Find(ctx, len(stored) == 0)
	if err != nil {
		return err
	}
	if err := u.claim(ctx, provider, len(stored) == 0); err != nil {
		return err
	}
	if len(stored) == 0 {
		first, err := u.makeDomainKey(ctx, &store.Store{Client: u.Client, Live: u.Live}, root, 1, nil)
		if err != nil {
			return err
		}
		stored = append(stored, *first)
		if err := checkRoot(provider.Name(), stored); err != nil { // another manager was faster, with another root
			return err
		}
	}
	if err := checkKeys(root, stored); err != nil {
		return err
	}
	// Each has its share of time: there may be thousands, opened by a root that is remote.
	opening, done := context.WithTimeout(context.WithoutCancel(ctx), attemptTimeout+time.Duration(len(stored))*perDomainKey)
	defer done()
	defer context.AfterFunc(outer, done)()
	ring, err := keyring.Unseal(opening, root, records(stored))
	if err != nil {
		return err
	}
	u.last.Store(&unsealed{root, stored})
	u.failing.Store(nil)
	u.reached.Store(true)
	u.Holder.Set(ring)
	return nil
}

// stored answers the domain keys that the root of that name wrapped. There are none on a first run alone.
func (u *Unsealer) stored(ctx context.Context, root string) ([]v1alpha1.Envelope, error) {
	stored, err := u.domainKeys(ctx)
	if err == nil && len(stored) == 0 {
		stored, err = u.checkFirstRun(ctx)
	}
	if err != nil {
		return nil, err
	}
	if len(stored) == 0 {
		return nil, u.checkOtherRoots(ctx, root)
	}
	return stored, checkRoot(root, stored)
}

// claim holds back nobody but a first run: a root that is being deleted cannot be claimed any more, and opens what it wrapped.
func (u *Unsealer) claim(ctx context.Context, provider Provider, first bool) error {
	err := provider.Claim(ctx)
	if err != nil && !first {
		u.Log.Error(err, "claiming the root of trust, which goes on")
		return nil
	}
	return err
}

func (u *Unsealer) domainKeys(ctx context.Context) ([]v1alpha1.Envelope, error) {
	var found v1alpha1.EnvelopeList
	if err := u.Live.List(ctx, &found, client.InNamespace(u.Namespace)); err != nil {
		return nil, fmt.Errorf("listing the domain keys: %w", err)
	}
	return slices.DeleteFunc(found.Items, func(e v1alpha1.Envelope) bool { return e.Spec.Class != v1alpha1.EnvelopeDomainKey }), nil
}

// checkFirstRun says whether this is a first run. If anything was ever encrypted, a domain key is missing, and a new one, under
// the same name, would keep a backup tool from bringing the real one back.
// Another manager may have made the first one meanwhile: it is returned then.
func (u *Unsealer) checkFirstRun(ctx context.Context) ([]v1alpha1.Envelope, error) {
	var any v1alpha1.EnvelopeList
	if err := u.Live.List(ctx, &any, client.Limit(1)); err != nil {
		return nil, fmt.Errorf("looking for Envelopes: %w", err)
	}
	if len(any.Items) == 0 {
		return nil, nil
	}
	if made, err := u.domainKeys(ctx); err != nil || len(made) > 0 {
		return made, err
	}
	return nil, fmt.Errorf("%w: the domain keys (Envelopes of class DomainKey in namespace %s) are missing, while Envelope %s/%s is there; "+
		"restore them, and the root of trust (%s), from a backup; to begin anew, delete all Envelopes, which nothing can open",
		keyring.ErrSealed, u.Namespace, any.Items[0].Namespace, any.Items[0].Name, u.rootInWords())
}

// rootInWords says what a backup of the root has.
func (u *Unsealer) rootInWords() string {
	if name := u.provider().Name(); name != CoreSecretProvider {
		return name + ", with its core Secret and its volumes"
	}
	return "core Secret " + RootSecretName
}

// makeDomainKey makes the domain key of an epoch and stores it, if nobody else has meanwhile: then that one is answered.
//
// Crash-safe: it is one write, of a name that has the epoch, so that the API server lets one be made. Nothing is wrapped by it before it is there and was
// opened; one that is to take the place of another is opened before it is stored.
func (u *Unsealer) makeDomainKey(ctx context.Context, s *store.Store, root keyring.Root, epoch int64, annotations map[string]string) (*v1alpha1.Envelope, error) {
	made, err := keyring.NewDomainKey(ctx, root, epoch, u.Random, u.now())
	if err != nil {
		return nil, err
	}
	if epoch > 1 {
		if _, err := keyring.Unseal(ctx, root, []keyring.DomainKeyRecord{made}); err != nil {
			return nil, fmt.Errorf("the root does not open what it has just wrapped, and nothing was stored: %w", err)
		}
	}
	identity := ""
	if identifier, ok := root.(Identifier); ok {
		identity = identifier.Identify(made.Wrapped)
	}
	e := store.New(u.Namespace, v1alpha1.EnvelopeDomainKey, store.KeyringOwner, Subject,
		versions.Version{ID: fmt.Sprintf("epoch-%d", made.Epoch), Sequence: made.Epoch, Created: made.Created},
		store.RootKeyARN(root.Name(), identity))
	e.Annotations, e.Spec.Ciphertext = annotations, made.Wrapped
	return s.Create(ctx, e)
}

func (u *Unsealer) now() time.Time {
	if u.Now != nil {
		return u.Now()
	}
	return time.Now()
}

func records(stored []v1alpha1.Envelope) (out []keyring.DomainKeyRecord) {
	for i := range stored {
		spec := &stored[i].Spec
		out = append(out, keyring.DomainKeyRecord{Epoch: spec.Sequence, Wrapped: spec.Ciphertext, Created: spec.CreatedTime.UTC()})
	}
	return out
}
