// Package unseal brings the keyring up when a manager starts: it finds the root of trust, opens the domain keys with it,
// and on the very first run makes both.
//
// It never makes a root while there are domain keys, nor a domain key while there are other Envelopes: what is gone leaves
// Strongroom sealed until it is restored, since a new one would open nothing.
package unseal

import (
	"context"
	"errors"
	"fmt"
	"io"
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

var owner = v1alpha1.EnvelopeOwner{Kind: "Keyring", Name: "strongroom"}

// Unsealer is a manager.Runnable that unseals the keyring and tries again while it cannot.
type Unsealer struct {
	// Client writes to the API server; it need not have a cache that runs.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Namespace is Strongroom's own.
	Namespace string
	// Holder is told of the keyring, or why it is sealed.
	Holder *keyring.Holder
	// Retry is the time between attempts while sealed. 5 s if 0.
	Retry time.Duration
	// Random and Now are crypto/rand and time.Now if nil.
	Random io.Reader
	Now    func() time.Time
	// Log tells what happened.
	Log logr.Logger

	root atomic.Pointer[keyring.Root]
}

// Protection says whether the root of trust is kept outside the Kubernetes API, and what that means. While sealed it is
// not known, and the message is empty.
func (u *Unsealer) Protection() (protected bool, message string) {
	root := u.root.Load()
	if root == nil {
		return false, ""
	}
	return keyring.Protection(*root)
}

// NeedLeaderElection is false: every replica unseals for itself.
func (u *Unsealer) NeedLeaderElection() bool { return false }

// Start unseals, trying until it succeeds or ctx ends. It returns nil then: a sealed manager is not a crash.
func (u *Unsealer) Start(ctx context.Context) error {
	retry := u.Retry
	if retry == 0 {
		retry = 5 * time.Second
	}
	for {
		err := u.Unseal(ctx)
		if err == nil {
			u.Log.Info("unsealed", "root", CoreSecretProvider)
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		u.Holder.SetSealed(err)
		u.Log.Error(err, "sealed: nothing can be encrypted or decrypted", "retryAfter", retry)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
	}
}

// Unseal makes one attempt. Each of its writes makes a whole object or none and is found by the next attempt, so it may
// end anywhere.
func (u *Unsealer) Unseal(ctx context.Context) error {
	records, err := u.domainKeys(ctx)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		if records, err = u.checkFirstRun(ctx); err != nil {
			return err
		}
	}
	root, err := u.findRoot(ctx, len(records) > 0)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		first, err := u.firstDomainKey(ctx, root)
		if err != nil {
			return err
		}
		records = append(records, first)
	}
	ring, err := keyring.Unseal(ctx, root, records)
	if err != nil {
		return err
	}
	u.root.Store(&root)
	u.Holder.Set(ring)
	return nil
}

func (u *Unsealer) findRoot(ctx context.Context, mustExist bool) (keyring.Root, error) {
	provider := &coreSecret{client: u.Client, live: u.Live, namespace: u.Namespace, random: u.Random}
	root, err := provider.load(ctx)
	if !errors.Is(err, errNoRoot) {
		return root, err
	}
	if mustExist {
		return nil, fmt.Errorf("%w: core Secret %s/%s is missing; restore it from a backup",
			keyring.ErrSealed, u.Namespace, RootSecretName)
	}
	if err := provider.create(ctx); err != nil {
		return nil, err
	}
	return provider.load(ctx)
}

func (u *Unsealer) domainKeys(ctx context.Context) ([]keyring.DomainKeyRecord, error) {
	var found v1alpha1.EnvelopeList
	if err := u.Live.List(ctx, &found, client.InNamespace(u.Namespace)); err != nil {
		return nil, fmt.Errorf("listing the domain keys: %w", err)
	}
	var records []keyring.DomainKeyRecord
	for i := range found.Items {
		if e := &found.Items[i]; e.Spec.Class == v1alpha1.EnvelopeDomainKey {
			records = append(records, record(e))
		}
	}
	return records, nil
}

// checkFirstRun says whether this is a first run. If anything was ever encrypted, a domain key is missing, and a new one, under
// the same name, would keep a backup tool from bringing the real one back.
// Another manager may have made the first one meanwhile: it is returned then.
func (u *Unsealer) checkFirstRun(ctx context.Context) ([]keyring.DomainKeyRecord, error) {
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
		"restore them, and core Secret %s, from a backup; to begin anew, delete all Envelopes, which nothing can open", keyring.ErrSealed, u.Namespace, any.Items[0].Namespace, any.Items[0].Name, RootSecretName)
}

func (u *Unsealer) firstDomainKey(ctx context.Context, root keyring.Root) (keyring.DomainKeyRecord, error) {
	now := time.Now
	if u.Now != nil {
		now = u.Now
	}
	made, err := keyring.NewDomainKey(ctx, root, 1, u.Random, now())
	if err != nil {
		return made, err
	}
	e := store.New(u.Namespace, v1alpha1.EnvelopeDomainKey, owner, Subject,
		versions.Version{ID: fmt.Sprintf("epoch-%d", made.Epoch), Sequence: made.Epoch, Created: made.Created},
		"root:"+root.Name())
	e.Spec.Ciphertext = made.Wrapped
	s := &store.Store{Client: u.Client, Live: u.Live}
	stored, err := s.Create(ctx, e)
	if err != nil {
		return made, err
	}
	return record(stored), nil
}

func record(e *v1alpha1.Envelope) keyring.DomainKeyRecord {
	return keyring.DomainKeyRecord{Epoch: e.Spec.Sequence, Wrapped: e.Spec.Ciphertext, Created: e.Spec.CreatedTime.UTC()}
}
