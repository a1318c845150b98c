package secretsmanager

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
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
	gone, err := s.remove(ctx, secret, func(live *v1alpha1.Secret) bool {
		if days == 0 || RecoveryWindow(live) == time.Duration(days)*24*time.Hour {
			return false
		}
		live.Spec.Deletion = &v1alpha1.SecretDeletion{RecoveryWindowInDays: int32(days)}
		return true
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
		gone, err := s.remove(ctx, found.Secret, func(live *v1alpha1.Secret) bool {
			if IsForced(live) {
				return false
			}
			metav1.SetMetaDataAnnotation(&live.ObjectMeta, v1alpha1.ForceDeleteAnnotation, "true")
			return true
		})
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

// erase deletes the Envelopes of a secret, unless it is back.
func (s *Service) erase(ctx context.Context, namespace, name, subject string) error {
	envelopes, err := s.Store.OfOwner(ctx, namespace, Owner(name))
	if err != nil {
		return err
	}
	envelopes = slices.DeleteFunc(slices.Clone(envelopes), func(e v1alpha1.Envelope) bool { return e.Spec.Subject != subject })
	_, err = s.Store.Erase(ctx, &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}, envelopes, s.Now())
	if apierrors.IsConflict(err) { // the controller of Envelopes is about them, too
		return nil
	}
	return err
}

// remove deletes the object of a secret, changed before if change says so, and returns its last state.
func (s *Service) remove(ctx context.Context, secret *v1alpha1.Secret, change func(*v1alpha1.Secret) bool) (*v1alpha1.Secret, error) {
	defer turn(secret)()
	for range maximumTries {
		live, err := s.latest(ctx, secret)
		if err != nil {
			return nil, err
		}
		if change(live) {
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
// the tombstone. The tombstone goes last, and if not here, when the controller of Envelopes sees that its object is there.
func (s *Service) Restore(ctx context.Context, tombstone *v1alpha1.Envelope) (*v1alpha1.Secret, error) {
	exhumed, err := s.Exhume(tombstone)
	if err != nil {
		return nil, err
	}
	secret := &v1alpha1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: exhumed.Namespace, Name: exhumed.Name,
			Annotations: map[string]string{v1alpha1.SubjectAnnotation: tombstone.Spec.Subject},
		},
		Spec: exhumed.Spec,
	}
	err = s.Client.Create(ctx, secret, client.FieldOwner(FieldOwner))
	if apierrors.IsAlreadyExists(err) {
		err = s.Store.Live.Get(ctx, client.ObjectKeyFromObject(secret), secret)
		if err == nil && s.ARNOf(secret) != tombstone.Spec.Subject {
			return nil, invalidRequest("You can't restore this secret because a secret with this name was made since it was deleted.")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("restoring Secret %s: %w", exhumed.Name, err)
	}
	if secret, err = s.recommit(ctx, secret, exhumed); err != nil {
		return nil, err
	}
	return secret, s.Store.Delete(ctx, tombstone)
}

// recommit writes the index of a restored secret, unless the controller has done so.
func (s *Service) recommit(ctx context.Context, secret, exhumed *v1alpha1.Secret) (*v1alpha1.Secret, error) {
	defer turn(secret)()
	for range maximumTries {
		ix := IndexOf(secret)
		if len(ix) == 0 {
			ix = IndexOf(exhumed)
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
