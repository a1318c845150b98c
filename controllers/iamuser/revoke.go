package iamuser

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// revokeRemoved revokes the access keys that spec names no more, and removes what passes left that died before they brought a
// key into force. The status that names a revoked key no more is written at the end of the pass: a crash before it repeats this.
func (r *Reconciler) revokeRemoved(ctx context.Context, user *v1alpha1.IAMUser) error {
	all, err := r.envelopes(ctx, user)
	if err != nil {
		return err
	}
	for i := range all {
		if !wanted(user, &all[i]) {
			if err := r.revoke(ctx, user, &all[i]); err != nil {
				return err
			}
		}
	}
	removed := func(key v1alpha1.AccessKeyStatus) bool { return !named(user, key.Name) }
	for _, key := range user.Status.AccessKeys {
		if !removed(key) {
			continue
		}
		if err := r.takeBack(ctx, user.Namespace, key.SecretName, key.AccessKeyID); err != nil {
			return err
		}
		r.Events.Eventf(user, nil, corev1.EventTypeNormal, v1alpha1.ReasonRevoked, "RevokeAccessKey", "Access key %s (%s) is revoked", key.Name, key.AccessKeyID)
	}
	user.Status.AccessKeys = slices.DeleteFunc(user.Status.AccessKeys, removed)
	return nil
}

// wanted tells whether an access key's Envelope is of a key in force that spec names, or of the one that is being made.
func wanted(user *v1alpha1.IAMUser, e *v1alpha1.Envelope) bool {
	if len(e.Spec.Stages) == 0 || !named(user, e.Spec.Stages[0]) {
		return false
	}
	if made := user.AccessKeyStatusOf(e.Spec.Stages[0]); made != nil {
		return made.AccessKeyID == e.Spec.Version
	}
	return e.Spec.Sequence > user.Status.LastAccessKeySequence && slices.Equal(e.Spec.Stages, stages(user, e.Spec.Stages[0]))
}

func named(user *v1alpha1.IAMUser, name string) bool {
	return slices.ContainsFunc(user.Spec.AccessKeys, func(key v1alpha1.AccessKey) bool { return key.Name == name })
}

// revokeAll revokes all access keys of a user that is deleted.
func (r *Reconciler) revokeAll(ctx context.Context, user *v1alpha1.IAMUser) error {
	all, err := r.envelopes(ctx, user)
	if err != nil {
		return err
	}
	for i := range all {
		if err := r.revoke(ctx, user, &all[i]); err != nil {
			return err
		}
	}
	for _, key := range user.Status.AccessKeys {
		if err := r.takeBack(ctx, user.Namespace, key.SecretName, key.AccessKeyID); err != nil {
			return err
		}
	}
	return nil
}

// envelopes of a user's access keys. They are the cache's own: read them only.
func (r *Reconciler) envelopes(ctx context.Context, user *v1alpha1.IAMUser) ([]v1alpha1.Envelope, error) {
	all, err := r.Store.OfOwner(ctx, user.Namespace, serviceiam.AccessKeyOwner(user))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(e v1alpha1.Envelope) bool { return e.Spec.Class != v1alpha1.EnvelopeAccessKey }), nil
}

// revoke deletes the core Secret that an unfinished pass may have written, where spec or status tell its name, and the Envelope:
// without it no signature of the key is accepted any more. A crash between the two repeats both.
func (r *Reconciler) revoke(ctx context.Context, user *v1alpha1.IAMUser, e *v1alpha1.Envelope) error {
	inForce := slices.ContainsFunc(user.Status.AccessKeys, func(key v1alpha1.AccessKeyStatus) bool { return key.AccessKeyID == e.Spec.Version })
	if !inForce {
		if err := r.takeBackAll(ctx, user.Namespace, e.Spec.Version); err != nil {
			return err
		}
	}
	return r.Store.Delete(ctx, e)
}

// takeBackAll deletes the core Secrets that hand out a key, whatever their names.
func (r *Reconciler) takeBackAll(ctx context.Context, namespace, id string) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	err := r.Live.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{v1alpha1.AccessKeyIDLabel: id})
	if err != nil {
		return fmt.Errorf("looking for the core Secret of access key %s: %w", id, err)
	}
	for i := range list.Items {
		if err := r.takeBack(ctx, namespace, list.Items[i].Name, id); err != nil {
			return err
		}
	}
	return nil
}

// takeBack deletes the core Secret that a key was handed out in, if it is that one still. One that is gone is no error.
func (r *Reconciler) takeBack(ctx context.Context, namespace, name, id string) error {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, found)
	if err == nil && found.Labels[v1alpha1.AccessKeyIDLabel] == id {
		err = r.Client.Delete(ctx, found, client.Preconditions{UID: &found.UID})
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing core Secret %s of access key %s: %w", name, id, err)
	}
	return nil
}
