// Package keyring reconciles the Keyring: it rotates the domain key, and wraps what is under former ones anew under the current one, in the background.
//
// What is to be rewrapped is known by nothing but the Envelopes themselves, each of which says which domain key it is under: so a rewrap goes on wherever it
// was left, and an Envelope that comes late, from a manager that was behind or from a backup, is rewrapped too.
package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// DomainKeys are the stored domain keys, as unseal.Unsealer has them.
type DomainKeys interface {
	// DomainKeys are the Envelopes of those that the keyring was last opened with, the oldest first.
	DomainKeys() []v1alpha1.Envelope
	// Rotate makes the one after an epoch for a request, if there is none, and waits until the keyring has it.
	Rotate(ctx context.Context, s *store.Store, after int64, request string) error
	// Renew waits until the keyring has the one of an epoch.
	Renew(epoch int64) error
	// Reach fails unless the root of trust opens the newest.
	Reach(ctx context.Context) error
	// Confirm fails if one is not stored as it was opened, and stores those again that are missing.
	Confirm(ctx context.Context, s *store.Store) (restored []string, err error)
}

// Reconciler reconciles the Keyring.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Namespace is Strongroom's own.
	Namespace string
	// Store finds and rewraps Envelopes.
	Store *store.Store
	// Keyring has the domain keys open, and DomainKeys stores them.
	Keyring    *keyring.Holder
	DomainKeys DomainKeys
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time

	// damaged are the Envelopes that did not open. One pass is made at a time.
	damaged map[types.UID]damage
	// after are the Envelopes that named a later epoch than the current one, when all were looked at last.
	after  []v1alpha1.Envelope
	looked time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=keyrings,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,namespace=strongroom-system,resources=keyrings,verbs=create
// +kubebuilder:rbac:groups=strongroom.dev,resources=keyrings/status,verbs=update

// pass is what one reconciliation knows.
type pass struct {
	keyring, before *v1alpha1.Keyring
	ring            *keyring.Keyring
	// stored are the domain keys, the oldest first.
	stored []v1alpha1.Envelope
	now    time.Time
	// rotated tells that this pass made a domain key.
	rotated bool
	// refused says that a rotation was not made; all else goes on.
	refused error
	// damaged are all Envelopes that do not open, as NAMESPACE/NAME; untold are those of which there was no event yet, and telling their UIDs.
	damaged, untold []string
	telling         []types.UID
	// first tells that nothing was known of damage before, as in a process that follows another.
	first bool
	// claims are the Envelopes that name an epoch of which there has been no domain key.
	claims []v1alpha1.Envelope
	// lost are the epochs of domain keys that Envelopes name and that are not there.
	lost []int64
	// unreached is why the root of trust was not reached that would have to open the current domain key in other managers.
	unreached error
	requeue   time.Duration
}

// resync is how often the Keyring is looked at although nothing has happened.
const resync = time.Hour

var errOther = errors.New("nothing heeds this Keyring; that of the installation is")

// Reconcile makes one pass over a Keyring.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	k := &v1alpha1.Keyring{}
	found, err := passes.Living(ctx, r.Keyring, r.Client, req, k)
	if err != nil || !found {
		if err == nil && req.NamespacedName == r.name() && k.UID == "" {
			err = r.create(ctx)
		}
		return outcome.Again(err)
	}
	p := &pass{keyring: k, before: k.DeepCopy(), now: r.Now(), requeue: resync}
	if req.NamespacedName != r.name() {
		return r.summarise(ctx, p, fault.Stalled(v1alpha1.ReasonOtherKeyring, fmt.Errorf("%w %s: delete this one", errOther, r.name())))
	}
	err = passes.Run(ctx, p, r.open, r.confirm, r.rotate, r.rewrap, func(context.Context, *pass) error { return p.refused })
	return r.summarise(ctx, p, err)
}

func (r *Reconciler) name() types.NamespacedName {
	return types.NamespacedName{Namespace: r.Namespace, Name: v1alpha1.KeyringName}
}

// create makes the Keyring that is missing, with nothing in its spec: what it says of the domain keys is to be seen, and somebody else's settings are applied over it.
func (r *Reconciler) create(ctx context.Context) error {
	err := r.Client.Create(ctx, &v1alpha1.Keyring{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: v1alpha1.KeyringName}})
	if err == nil || apierrors.IsAlreadyExists(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	return fmt.Errorf("making the Keyring: %w", err)
}

// open reads the domain keys of this process.
func (r *Reconciler) open(_ context.Context, p *pass) (err error) {
	if p.ring, err = r.Keyring.Get(); err != nil {
		return err
	}
	p.stored = r.DomainKeys.DomainKeys()
	return nil
}

// confirm sees that the domain keys are stored as they are open, stores those again that are missing, and opens one that this process does not have and that there
// was. Another of that epoch must not be made while it is missing: the real one could not come back.
func (r *Reconciler) confirm(ctx context.Context, p *pass) error {
	restored, err := r.DomainKeys.Confirm(ctx, r.Store)
	for _, name := range restored {
		r.Events.Eventf(p.keyring, nil, corev1.EventTypeWarning, v1alpha1.ReasonRestored, "Restore", "the domain key %s was missing, and was stored again", name)
	}
	if err != nil {
		return err
	}
	newest, err := r.claimed(ctx, p)
	if err != nil || newest <= p.ring.CurrentEpoch() {
		return err
	}
	err = r.DomainKeys.Renew(newest)
	if errors.Is(err, keyring.ErrUnknownEpoch) {
		return missing("that of the domain key of epoch %d, which is in use: restore it from a backup", newest)
	}
	if err != nil {
		return err
	}
	return r.open(ctx, p)
}
