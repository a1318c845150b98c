package kmskey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

// blockedRecheck is how often a blocked deletion is looked at when no event asks for it.
const blockedRecheck = 10 * time.Minute

// delete lets a key go when nothing is encrypted under it and no authority signs with it: the tombstone is stored first, and the
// finalizer removed second, so that a crash between the two repeats both.
func (r *Reconciler) delete(ctx context.Context, p *pass) (ctrl.Result, error) {
	keys.ForgetTurn(string(p.key.UID)) // no key is made any more
	users, err := r.users(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	if users != "" {
		if err := r.blocked(ctx, p, users); err != nil {
			return outcome.Again(err)
		}
		return ctrl.Result{RequeueAfter: blockedRecheck}, nil
	}
	meta.RemoveStatusCondition(&p.key.Status.Conditions, v1alpha1.ConditionDeletionBlocked)
	if len(p.key.Status.KeyMaterials) > 0 {
		if err := r.entomb(ctx, p); err != nil {
			return r.summarise(ctx, p, err)
		}
	}
	if err := r.revokeGrants(ctx, p); err != nil {
		return outcome.Again(err)
	}
	before := p.key.DeepCopy()
	controllerutil.RemoveFinalizer(p.key, Finalizer)
	err = r.Client.Patch(ctx, p.key, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return outcome.Again(fmt.Errorf("removing the finalizer: %w", err))
	}
	return ctrl.Result{}, nil
}

// terminate says of a key that is let go, or was deleted before it had anything, that finalizers of others hold its object. What it had is controllers/envelope's, and waits
// there for its end: so its state is PendingDeletion, and nothing rotates it any more, whatever it said last.
func (r *Reconciler) terminate(ctx context.Context, p *pass) (ctrl.Result, error) {
	keys.ForgetTurn(string(p.key.UID))
	meta.RemoveStatusCondition(&p.key.Status.Conditions, v1alpha1.ConditionDeletionBlocked)
	p.key.Status.KeyState, p.key.Status.NextRotationTime = v1alpha1.KeyStatePendingDeletion, nil
	return r.reporter().Terminating(ctx, p.before, p.key)
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmsgrants,verbs=delete

// revokeGrants deletes the grants that the AWS API made of the key. Those of manifests are their owners'. It comes before the finalizer goes, so
// that a pass that dies between two of them, or ends for lack of time, is followed by one that goes on.
func (r *Reconciler) revokeGrants(ctx context.Context, p *pass) error {
	if p.key.Status.ARN == "" {
		return nil
	}
	all, err := r.KMS.GrantsOfKey(ctx, p.key)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Labels[v1alpha1.GrantKeyIDLabel] != p.key.Status.KeyID {
			continue
		}
		grant := &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: all[i].Namespace, Name: all[i].Name}}
		err := r.Client.Delete(ctx, grant, client.Preconditions{UID: &all[i].UID}, client.DisableReadYourWritesConsistency)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the key's grant %s: %w", grant.Name, err)
		}
	}
	return nil
}

// users says what holds the key and how it is made to let go, empty for nothing. A key that never had material signed nothing.
func (r *Reconciler) users(ctx context.Context, p *pass) (string, error) {
	if p.key.Status.ARN == "" {
		return "", nil
	}
	var says []string
	holders, err := r.Store.OfKey(ctx, p.key.Namespace, p.key.Status.ARN)
	if err != nil {
		return "", err
	}
	if len(holders) > 0 {
		says = append(says, fmt.Sprintf("%d Envelopes are encrypted under this key: %s. Delete those objects: they hold the key until "+
			"their recovery windows end.", len(holders), upToFive(ownersOf(holders))))
	}
	replicas, err := r.replicasOf(ctx, p.key)
	if err != nil {
		return "", err
	}
	if replicas != "" {
		says = append(says, replicas)
	}
	if len(p.key.Status.KeyMaterials) > 0 {
		signing, err := r.signers(ctx, p)
		if err != nil {
			return "", err
		}
		says = append(says, signing...)
	}
	return strings.Join(says, " "), nil
}

// signers says which authorities sign with the key, and which were deleted and would, if they were had back.
func (r *Reconciler) signers(ctx context.Context, p *pass) (says []string, err error) {
	authorities, err := acmpca.SigningWith(ctx, r.Client, p.key.Namespace, p.key.Name)
	if err != nil {
		return nil, err
	}
	if len(authorities) > 0 {
		says = append(says, fmt.Sprintf("%d CertificateAuthorities sign with this key: %s. Delete them: what they issued cannot be revoked "+
			"or renewed without it.", len(authorities), upToFive(authorities)))
	}
	if kms.SpecOf(p.key).Symmetric() {
		return says, nil
	}
	certified, err := r.Authorities.CertifiedFor(ctx, p.key)
	switch certified = slices.DeleteFunc(certified, func(name string) bool { return slices.Contains(authorities, name) }); {
	case errors.Is(err, acmpca.ErrUnknownKey):
		return append(says, fault.Message(err)+"."), nil
	case err != nil:
		return nil, err
	case len(certified) > 0:
		says = append(says, fmt.Sprintf("%d deleted CertificateAuthorities sign with this key if they are had back: %s. They hold it until "+
			"their recovery windows end.", len(certified), upToFive(certified)))
	}
	return says, nil
}

// blocked says what holds the key.
func (r *Reconciler) blocked(ctx context.Context, p *pass, users string) error {
	message := fmt.Sprintf("%s To keep the key instead, remove its finalizer %s and apply it again, which restores it", users, Finalizer)
	status := &p.key.Status
	news := !meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionDeletionBlocked)
	status.ObservedGeneration = p.key.Generation
	for _, c := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		meta.RemoveStatusCondition(&status.Conditions, c)
	}
	conditions.Set(&status.Conditions, p.key.Generation, v1alpha1.ConditionDeletionBlocked, metav1.ConditionTrue,
		v1alpha1.ReasonInUse, message)
	conditions.Set(&status.Conditions, p.key.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse,
		v1alpha1.ReasonInUse, message)
	err := r.reporter().Write(ctx, p.before, p.key)
	if err == nil && news {
		r.Events.Eventf(p.key, nil, corev1.EventTypeWarning, v1alpha1.ConditionDeletionBlocked, "Delete", "%s", message)
	}
	return err
}

// ownersOf lists the owners of Envelopes.
func ownersOf(holders []v1alpha1.Envelope) []string {
	var names []string
	for i := range holders {
		names = append(names, holders[i].Spec.Owner.Kind+"/"+holders[i].Spec.Owner.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// upToFive names the first five, and how many more there are.
func upToFive(names []string) string {
	if more := len(names) - 5; more > 0 {
		names = append(names[:5:5], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

func (r *Reconciler) entomb(ctx context.Context, p *pass) error {
	ring, err := r.Keyring.Get()
	if err != nil {
		return err
	}
	spec, err := json.Marshal(p.key.Spec)
	if err != nil {
		return fmt.Errorf("encoding the spec: %w", err)
	}
	deleted := p.now
	e, err := store.NewTombstone(ring, p.key.Namespace, kms.Owner(p.key.Name), p.key.Status.ARN,
		store.Tombstone{Spec: spec, Index: IndexOf(p.key), KeyID: p.key.Status.KeyID},
		deleted, buriedUntil(p.key, deleted))
	if err != nil {
		return err
	}
	stored, err := r.Store.Create(ctx, e)
	if err == nil && stored != e && (ofEarlier(stored, p.key) || stored.Spec.ExpireTime.Before(e.Spec.ExpireTime)) {
		// Its window is not this deletion's. A crash here finds none, and makes one.
		if err = r.Store.Delete(ctx, stored); err == nil {
			_, err = r.Store.Create(ctx, e)
		}
	}
	if err != nil {
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil // the namespace and all its Envelopes go with it
		}
		return err
	}
	return nil
}

// buriedUntil is when the material of a key goes that is let go now. The window begins now, which may be long after the key was deleted, but for
// one that was scheduled: that has waited already.
func buriedUntil(key *v1alpha1.KMSKey, now time.Time) time.Time {
	at := key.Status.DeletionTime
	missed := key.Generation - key.Status.DeletionGeneration // changes of spec, of which the deletion itself is one
	switch {
	case !kms.Scheduled(key) || at == nil || missed > 2 || missed < 0:
		return now.Add(kms.PendingWindow(key))
	case at.After(now):
		return at.Time
	}
	return now
}

// ofEarlier tells whether a tombstone is that of an earlier deletion, which was undone. It is compared with the time of this
// deletion, and not with that of the key's creation: times have whole seconds, and a key may be made again in the second in which
// it was buried, years before it is deleted anew. If these two are of one second, so are both windows' beginnings.
func ofEarlier(tombstone *v1alpha1.Envelope, key *v1alpha1.KMSKey) bool {
	return tombstone.Spec.CreatedTime.Before(key.DeletionTimestamp)
}

// IndexOf is the key's index of materials in the form that tombstones keep.
func IndexOf(key *v1alpha1.KMSKey) versions.Index {
	ix := make(versions.Index, 0, len(key.Status.KeyMaterials))
	for _, m := range key.Status.KeyMaterials {
		ix = append(ix, versions.Version{ID: m.ID, Sequence: m.Sequence, Created: m.CreatedTime.UTC()})
	}
	return ix
}
