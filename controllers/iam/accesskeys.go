package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// The keys of the core Secret that an access key is handed out in: the names of the environment that every SDK reads, so that
// envFrom is all that a pod needs.
const (
	AccessKeyIDEntry     = "AWS_ACCESS_KEY_ID"
	SecretAccessKeyEntry = "AWS_SECRET_ACCESS_KEY"
)

// The order of the writes makes each of them safe to be the last before a crash:
//
//	making:   Envelope, core Secret, status. Until status names the key nobody can use it, and the next pass finds the Envelope and
//	          goes on with it, so that the core Secret and status never tell of two keys.
//	revoking: core Secret, Envelope, status. The key is refused from when spec lacks it, whatever of it is still there, and the
//	          next pass finds what status still names.

var (
	errAccount     = errors.New("the namespace's account id was changed")
	errSecretTaken = errors.New("the core Secret is somebody else's")
)

// keepsAccount refuses to go on with access keys of another account: their ids tell the account.
func keepsAccount(user *v1alpha1.IAMUser, before string) error {
	if len(user.Status.AccessKeys) == 0 || before == "" || arn.Account(before) == arn.Account(user.Status.ARN) {
		return nil
	}
	now := arn.Account(user.Status.ARN)
	user.Status.ARN = before // what the Envelopes are bound to
	return fault.Stalled(v1alpha1.ReasonAccountChanged, fmt.Errorf("%w from %s to %s, and the access keys are of the former: give the namespace "+
		"the former id, or remove the keys from spec.accessKeys and add others", errAccount, arn.Account(before), now))
}

// revoke takes away the keys that spec lacks.
func (r *UserReconciler) revoke(ctx context.Context, user *v1alpha1.IAMUser) error {
	var kept []v1alpha1.AccessKeyStatus
	for _, key := range user.Status.AccessKeys {
		if wanted(user, key.Name) {
			kept = append(kept, key)
			continue
		}
		if err := r.takeBack(ctx, user, &key); err != nil {
			return err
		}
		r.Events.Eventf(user, nil, corev1.EventTypeNormal, v1alpha1.ReasonRevoked, "Revoke", "Access key %s (%s) is revoked", key.Name, key.AccessKeyID)
	}
	user.Status.AccessKeys = kept
	return nil
}

func wanted(user *v1alpha1.IAMUser, name string) bool {
	return slices.ContainsFunc(user.Spec.AccessKeys, func(k v1alpha1.AccessKey) bool { return k.Name == name })
}

// takeBack deletes a key's core Secret, if it is still the one that was handed out, and its Envelopes. Both may be gone.
func (r *UserReconciler) takeBack(ctx context.Context, user *v1alpha1.IAMUser, key *v1alpha1.AccessKeyStatus) error {
	secret := &corev1.Secret{}
	name := client.ObjectKey{Namespace: user.Namespace, Name: key.SecretName}
	err := r.Live.Get(ctx, name, secret)
	if err == nil && handedOut(user, secret, key.AccessKeyID) {
		err = r.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID})
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting core Secret %s: %w", name, err)
	}
	envelopes, err := r.IAM.Store.OfOwner(ctx, user.Namespace, serviceiam.Owner(user.Name))
	if err != nil {
		return err
	}
	for i := range envelopes {
		if e := &envelopes[i]; e.Spec.Class == v1alpha1.EnvelopeAccessKey && e.Spec.Version == key.AccessKeyID {
			if err := r.IAM.Store.Delete(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// handedOut says whether a core Secret is the one that an access key was handed out in.
func handedOut(user *v1alpha1.IAMUser, secret *corev1.Secret, id string) bool {
	return metav1.IsControlledBy(secret, user) && secret.Labels[v1alpha1.AccessKeyIDLabel] == id
}

// accessKeys makes the keys that spec has and status lacks.
func (r *UserReconciler) accessKeys(ctx context.Context, user *v1alpha1.IAMUser) error {
	for i := range user.Spec.AccessKeys {
		key := &user.Spec.AccessKeys[i]
		if user.AccessKeyStatusOf(key.Name) != nil {
			continue
		}
		made, err := r.unfinished(ctx, user, key.Name)
		if err != nil {
			return err
		}
		if made == nil {
			if made, err = r.IAM.CreateAccessKey(ctx, user, key.Name, user.Status.LastAccessKeySequence+1); err != nil {
				return err
			}
		}
		user.Status.LastAccessKeySequence = max(user.Status.LastAccessKeySequence, made.Sequence)
		made.SecretName = user.SecretNameOf(key)
		if err := r.handOut(ctx, user, made); err != nil {
			return err
		}
		user.Status.AccessKeys = append(user.Status.AccessKeys, *made)
		r.Events.Eventf(user, nil, corev1.EventTypeNormal, v1alpha1.ReasonCreated, "Create", "Access key %s (%s) is in core Secret %s",
			key.Name, made.AccessKeyID, made.SecretName)
	}
	return nil
}

// unfinished finds the key of a name that an earlier pass stored and did not commit, or whose status was lost: the newest one.
// On its way it notes the highest sequence, so that a lost status brings none again.
func (r *UserReconciler) unfinished(ctx context.Context, user *v1alpha1.IAMUser, name string) (*v1alpha1.AccessKeyStatus, error) {
	envelopes, err := r.IAM.Store.OfOwner(ctx, user.Namespace, serviceiam.Owner(user.Name))
	if err != nil {
		return nil, err
	}
	var newest *v1alpha1.AccessKeyStatus
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.Class != v1alpha1.EnvelopeAccessKey || e.Spec.Subject != user.Status.ARN {
			continue
		}
		user.Status.LastAccessKeySequence = max(user.Status.LastAccessKeySequence, e.Spec.Sequence)
		if serviceiam.KeyName(user, e) == name && (newest == nil || e.Spec.Sequence > newest.Sequence) {
			newest = serviceiam.KeyStatus(user, e)
		}
	}
	return newest, nil
}

// handOut writes the key into its core Secret, once: a Create, which changes nothing that is there. One that an earlier pass
// wrote is left as it is.
func (r *UserReconciler) handOut(ctx context.Context, user *v1alpha1.IAMUser, key *v1alpha1.AccessKeyStatus) error {
	return r.IAM.RevealAccessKey(ctx, user, key, func(secret secretbytes.Bytes) error {
		out := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: user.Namespace, Name: key.SecretName, Labels: map[string]string{v1alpha1.AccessKeyIDLabel: key.AccessKeyID},
			},
			Data: map[string][]byte{AccessKeyIDEntry: []byte(key.AccessKeyID), SecretAccessKeyEntry: secret.Reveal()},
		}
		if err := controllerutil.SetControllerReference(user, out, r.Client.Scheme()); err != nil {
			return fmt.Errorf("owning core Secret %s: %w", key.SecretName, err)
		}
		err := r.Client.Create(ctx, out)
		if !apierrors.IsAlreadyExists(err) {
			if err != nil {
				return fmt.Errorf("creating core Secret %s: %w", key.SecretName, err)
			}
			return nil
		}
		existing := &corev1.Secret{}
		if err := r.Live.Get(ctx, client.ObjectKeyFromObject(out), existing); err != nil {
			return fmt.Errorf("reading core Secret %s: %w", key.SecretName, err)
		}
		if !handedOut(user, existing, key.AccessKeyID) {
			return fault.Contested(v1alpha1.ReasonConflict, fmt.Errorf("%w: %s was not made for access key %s; delete it, or give "+
				"another spec.accessKeys[].secretName", errSecretTaken, key.SecretName, key.Name))
		}
		return nil
	})
}

// forget deletes the Envelopes of a user who is gone. Its core Secrets go by their owner reference.
func (r *UserReconciler) forget(ctx context.Context, name client.ObjectKey) error {
	envelopes, err := r.IAM.Store.OfOwner(ctx, name.Namespace, serviceiam.Owner(name.Name))
	if err != nil {
		return err
	}
	for i := range envelopes {
		if envelopes[i].Spec.Class != v1alpha1.EnvelopeAccessKey {
			continue
		}
		if err := r.IAM.Store.Delete(ctx, &envelopes[i]); err != nil {
			return err
		}
	}
	return nil
}
