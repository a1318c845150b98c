package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/adoption"
	"strongroom.dev/strongroom/internal/store"
)

// The limits of the recovery window in days.
const (
	minimumWindow = 7
	maximumWindow = 30
)

// CheckWindow says whether a deletion is asked for as AWS has it: a window of 7 to 30 days, 0 for none, or by force.
func CheckWindow(days int64, given, force bool) error {
	switch {
	case given && force:
		return invalidParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case given && (days < minimumWindow || days > maximumWindow):
		return invalidParameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	return nil
}

// Delete schedules a secret for deletion, in so many days, or those of its spec if 0, and says when.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
//
// Crash-safe: the window is in spec before the object goes, each write on the condition that nobody else has changed the object.
// The tombstone follows; if this ends before, the controller of Envelopes makes it. Only of a secret that never had a value
// nothing is left then.
func (s *Service) Delete(ctx context.Context, secret *v1alpha1.Secret, days int64) (time.Time, error) {
	gone, err := s.remove(ctx, secret, func(live *v1alpha1.Secret) (bool, error) {
		if days == 0 || RecoveryWindow(live) == time.Duration(days)*24*time.Hour {
			return false, checkNoReplicas(live, s.ARNOf(live))
		}
		live.Spec.Deletion = &v1alpha1.SecretDeletion{RecoveryWindowInDays: int32(days)}
		return true, checkNoReplicas(live, s.ARNOf(live))
	})
	if err != nil {
		return time.Time{}, err
	}
	expires := s.Now().Add(RecoveryWindow(gone)).Truncate(time.Second)
	return expires, s.entomb(ctx, gone, expires)
}

// DeleteNow deletes a secret, or one that is scheduled for deletion, with all its versions.
//
// Crash-safe: the object says that it goes without recovery before it does, so the controller of Envelopes deletes what this
// leaves. If no manager has seen that, a tombstone is left, and the request can be made again.
func (s *Service) DeleteNow(ctx context.Context, found Found) error {
	namespace, name, subject := "", "", ""
	if found.Secret != nil {
		gone, err := s.remove(ctx, found.Secret, func(live *v1alpha1.Secret) (bool, error) { return force(live), checkNoReplicas(live, s.ARNOf(live)) })
		if isNotFound(err) { // another has deleted it meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		namespace, name, subject = gone.Namespace, gone.Name, s.ARNOf(gone)
	} else {
		e := found.Tombstone
		namespace, name, subject = e.Namespace, e.Spec.Owner.Name, e.Spec.Subject
	}
	return s.erase(ctx, namespace, name, subject)
}

// force marks a Secret as one that goes without a recovery window, and that nobody else owns, and tells whether that is new.
func force(live *v1alpha1.Secret) (changed bool) {
	if IsForced(live) {
		return false
	}
	store.Disown(live, primaryOf(live))
	metav1.SetMetaDataAnnotation(&live.ObjectMeta, v1alpha1.ForceDeleteAnnotation, "true")
	return true
}

// checkNoReplicas refuses to delete a secret that is replicated: its replicas are removed first.
func checkNoReplicas(secret *v1alpha1.Secret, subject string) error {
	if len(secret.Spec.ReplicaRegions) == 0 {
		return nil
	}
	regions := make([]string, 0, len(secret.Spec.ReplicaRegions))
	for i := range secret.Spec.ReplicaRegions {
		regions = append(regions, secret.Spec.ReplicaRegions[i].Region)
	}
	return hasReplicas(subject, regions)
}

// erase deletes the Envelopes of a secret, unless it is back: all of them, or none. A conflict is the controller of Envelopes, which is about them too: it ends what one of the two
// has begun, as store.Erase says, and nobody takes over what is left until then.
func (s *Service) erase(ctx context.Context, namespace, name, subject string) error {
	envelopes, err := s.Store.OfOwner(ctx, namespace, Owner(name))
	if err != nil {
		return err
	}
	envelopes = slices.DeleteFunc(slices.Clone(envelopes), func(e v1alpha1.Envelope) bool { return e.Spec.Subject != subject })
	_, err = s.Store.Erase(ctx, &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}, envelopes, s.Now())
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// remove deletes the object of a secret, changed before if change says so, and returns its last state. An error of change is returned as it is.
func (s *Service) remove(ctx context.Context, secret *v1alpha1.Secret, change func(*v1alpha1.Secret) (bool, error)) (*v1alpha1.Secret, error) {
	defer turn(secret)()
	for range maximumTries {
		live, err := s.latest(ctx, secret)
		if err != nil {
			return nil, err
		}
		changed, err := change(live)
		if err != nil {
			return nil, err
		}
		if orphaned := store.TakeAlong(live); orphaned || changed {
			err = s.Client.Update(ctx, live, client.FieldOwner(FieldOwner))
		}
		if err == nil {
			err = s.Client.Delete(ctx, live, client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion})
		}
		switch {
		case apierrors.IsNotFound(err):
			return nil, NotFound()
		case err == nil:
			return live, nil
		case !apierrors.IsConflict(err):
			return nil, fmt.Errorf("deleting Secret %s: %w", secret.Name, err)
		}
	}
	return nil, errContended
}

// Restore brings back a secret that is scheduled for deletion, with its ARN, versions and stages.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RestoreSecret.html
//
// Crash-safe: the object is made with its ARN; if this ends before its status is written, the controller takes the versions from
// the tombstone. The tombstone goes last, and if not here, when the controller of Envelopes sees that its object is there. What is being erased, or was
// by now, is not taken over (store.Erase): the object goes again, and the error says so.
func (s *Service) Restore(ctx context.Context, tombstone *v1alpha1.Envelope) (*v1alpha1.Secret, error) {
	exhumed, err := s.Exhume(tombstone)
	if err != nil {
		return nil, err
	}
	if err := s.Store.CheckTaken(ctx, tombstone); err != nil { // before anything is made; it is looked again after
		return s.restoredBefore(ctx, exhumed, tombstone, err)
	}
	secret, made, err := s.again(ctx, exhumed, tombstone.Spec.Subject)
	if err != nil {
		return nil, err
	}
	restored, err := s.recommit(ctx, secret, exhumed, tombstone)
	if err != nil {
		if made && errors.Is(err, store.ErrCondemned) {
			err = s.withdraw(ctx, secret, err)
		}
		return s.restoredBefore(ctx, exhumed, tombstone, err)
	}
	if err := s.Store.Delete(ctx, tombstone); err != nil && !apierrors.IsConflict(err) {
		return restored, err
	}
	return restored, nil
}

// again makes the object of a secret again, or finds that an earlier request has made it.
func (s *Service) again(ctx context.Context, exhumed *v1alpha1.Secret, subject string) (secret *v1alpha1.Secret, made bool, err error) {
	secret = &v1alpha1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: exhumed.Namespace, Name: exhumed.Name, Annotations: map[string]string{v1alpha1.SubjectAnnotation: subject},
		},
		Spec: exhumed.Spec,
	}
	err = s.Client.Create(ctx, secret, client.FieldOwner(FieldOwner))
	made = err == nil
	if apierrors.IsAlreadyExists(err) {
		err = s.Store.Live.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	}
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("restoring Secret %s: %w", exhumed.Name, err)
	case made:
		return secret, true, nil
	case store.BeingDeleted(secret):
		return nil, false, heldByFinalizers(secret)
	case s.ARNOf(secret) != subject || foreign(secret):
		return nil, false, invalidRequest("You can't restore this secret because a secret with this name was made since it was deleted.")
	}
	return secret, false, nil
}

// foreign tells that a Secret which is there where another is restored is held by somebody else, who would have that go again, or stay: its ARN alone is no proof, since who may make
// Secrets can give it to theirs, and knew it before.
func foreign(secret *v1alpha1.Secret) bool {
	attempt := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{}}}
	for _, key := range []string{v1alpha1.SubjectAnnotation, v1alpha1.RequestTokenAnnotation} { // of one that was applied again within its window, or made by CreateSecret once
		if value, has := secret.Annotations[key]; has {
			attempt.Annotations[key] = value
		}
	}
	for _, o := range secret.OwnerReferences { // a replica has its primary
		if primaryOf(secret)(o) {
			attempt.OwnerReferences = append(attempt.OwnerReferences, o)
		}
	}
	return adoption.Check(secret, attempt) != nil
}

// restoredBefore is the secret if another request has restored it, whose tombstone is gone by now too; else the cause, in AWS's words.
func (s *Service) restoredBefore(ctx context.Context, exhumed *v1alpha1.Secret, tombstone *v1alpha1.Envelope, cause error) (*v1alpha1.Secret, error) {
	if !errors.Is(cause, store.ErrCondemned) {
		return nil, cause
	}
	live := &v1alpha1.Secret{}
	err := s.Store.Live.Get(ctx, client.ObjectKeyFromObject(exhumed), live)
	if err == nil && !store.BeingDeleted(live) && live.Status.ARN == tombstone.Spec.Subject && len(live.Status.Versions) > 0 {
		return live, nil
	}
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("restoring Secret %s: %w", exhumed.Name, err)
	}
	return nil, beingErased(cause)
}

// withdraw takes back an object that was made for what is being erased, and that nobody has written since. If this ends before, the controller restores
// what is left, or finds nothing.
func (s *Service) withdraw(ctx context.Context, secret *v1alpha1.Secret, cause error) error {
	err := s.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion})
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("restoring Secret %s: %w", secret.Name, err)
	}
	return cause
}

// beingErased is AWS's answer about a secret of which nothing is left.
func beingErased(err error) error {
	if errors.Is(err, store.ErrCondemned) {
		return NotFound()
	}
	return err
}

// checkTaken looks, live and after the object was made, whether all versions that an index names can be taken over, and the tombstone.
func (s *Service) checkTaken(ctx context.Context, secret *v1alpha1.Secret, ix versions.Index, tombstone *v1alpha1.Envelope) error {
	envelopes, err := s.Store.OfOwner(ctx, secret.Namespace, s.Versions().Owner(secret.Name))
	if err != nil {
		return err
	}
	taken := []*v1alpha1.Envelope{tombstone}
	for _, v := range ix {
		i := slices.IndexFunc(envelopes, func(e v1alpha1.Envelope) bool {
			return e.Spec.Class == v1alpha1.EnvelopeSecretVersion && e.Spec.Subject == tombstone.Spec.Subject && e.Spec.Sequence == v.Sequence
		})
		if i < 0 {
			if v.Has(versions.Current) {
				return fmt.Errorf("%w: version %s", store.ErrCondemned, v.ID)
			}
			continue // damaged or lost before; the secret is what its current version is
		}
		taken = append(taken, &envelopes[i])
	}
	return s.Store.CheckTaken(ctx, taken...)
}

// recommit writes the index of a restored secret, unless the controller has done so.
func (s *Service) recommit(ctx context.Context, secret, exhumed *v1alpha1.Secret, tombstone *v1alpha1.Envelope) (*v1alpha1.Secret, error) {
	defer turn(secret)()
	for range maximumTries {
		ix := IndexOf(secret)
		if len(ix) == 0 {
			ix = IndexOf(exhumed)
			if err := s.checkTaken(ctx, secret, ix, tombstone); err != nil {
				return nil, err
			}
		}
		ix, err := s.Versions().Resume(ctx, s.SubjectOf(secret), ix)
		if err != nil {
			return nil, err
		}
		Rebind(secret, exhumed.Status.PolicyBinding)
		if err = s.commit(ctx, secret, ix); !apierrors.IsConflict(err) {
			return secret, err
		}
		if secret, err = s.latest(ctx, secret); err != nil {
			return nil, err
		}
	}
	return nil, errContended
}
