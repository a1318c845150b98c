package iamuser

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

var errSecretChanged = errors.New("somebody has changed the core Secret of an access key")

// coreSecret is the one that an access key is handed out in. The label of its id says that it is no target of anything; the user controls it, so that
// its controller is told of its changes.
func coreSecret(user *v1alpha1.IAMUser, name, id string, secret secretbytes.Bytes) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: user.Namespace, Name: name,
			Labels: map[string]string{v1alpha1.AccessKeyIDLabel: id, v1alpha1.ManagedLabel: v1alpha1.ManagedAccessKey},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "IAMUser", Name: user.Name, UID: user.UID, Controller: ptr.To(true),
			}},
		},
		Data: map[string][]byte{serviceiam.AccessKeyIDEntry: []byte(id), serviceiam.SecretAccessKeyEntry: secret.Reveal()},
	}
}

// keep looks whether the core Secret of a key in force is there and says what it must. One that is gone is handed out again: the key is sealed and in force,
// and pods wait for it. One whose halves somebody has changed is left alone, since who did that may do it again: the fault, Conflict, says what to do.
//
// Crash-safe: it is one write, which is not made again once it is done.
func (r *Reconciler) keep(ctx context.Context, user *v1alpha1.IAMUser, key *v1alpha1.AccessKeyStatus, secret secretbytes.Bytes) error {
	want := coreSecret(user, key.SecretName, key.AccessKeyID, secret)
	at := client.ObjectKeyFromObject(want)
	there := &corev1.Secret{}
	err := r.Client.Get(ctx, at, there)
	if err == nil && marked(there, want) && says(there, want, r.Digester.Digest) {
		return nil
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading core Secret %s from the cache: %w", key.SecretName, err)
	}
	there = &corev1.Secret{}
	err = r.Live.Get(ctx, at, there) // the cache may be behind, or keep nothing of it
	defer wipe(there)
	switch {
	case apierrors.IsNotFound(err):
		return r.handOutAgain(ctx, user, key, want)
	case err != nil:
		return fmt.Errorf("reading core Secret %s: %w", key.SecretName, err)
	case there.Labels[v1alpha1.AccessKeyIDLabel] != key.AccessKeyID || !says(there, want, plain):
		return fault.Contested(v1alpha1.ReasonConflict, fmt.Errorf("%w: %s does not hold %s as it was handed out: delete it, and it is made again with the same key; "+
			"if whoever changed it may know the key, take the key out of accessKeys", errSecretChanged, key.SecretName, key.AccessKeyID))
	}
	return r.mark(ctx, there, want)
}

func (r *Reconciler) handOutAgain(ctx context.Context, user *v1alpha1.IAMUser, key *v1alpha1.AccessKeyStatus, want *corev1.Secret) error {
	switch err := r.Client.Create(ctx, want); {
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("handing out an access key again: %w", err) // made a moment ago: the next pass looks at it
	case err != nil:
		return fmt.Errorf("handing out the access key in core Secret %s again: %w", want.Name, err)
	}
	r.Events.Eventf(user, nil, corev1.EventTypeNormal, v1alpha1.ReasonHealed, "HandOutAccessKey", "Core Secret %s was gone and has access key %s (%s) again",
		want.Name, key.Name, key.AccessKeyID)
	return nil
}

// mark gives a core Secret its labels and its controller back. Somebody else's controller reference is left alone: the API server refuses a second.
func (r *Reconciler) mark(ctx context.Context, there, want *corev1.Secret) error {
	if marked(there, want) {
		return nil
	}
	if c := metav1.GetControllerOf(there); c != nil && c.UID != want.OwnerReferences[0].UID {
		return fault.Contested(v1alpha1.ReasonConflict, fmt.Errorf("%w: %s %s controls %s: delete it, and it is made again with the same key", errSecretChanged, c.Kind, c.Name, there.Name))
	}
	before := there.DeepCopy()
	defer wipe(before)
	for label, value := range want.Labels {
		metav1.SetMetaDataLabel(&there.ObjectMeta, label, value)
	}
	if metav1.GetControllerOf(there) == nil {
		there.OwnerReferences = append(there.OwnerReferences, want.OwnerReferences...)
	}
	if err := r.Client.Patch(ctx, there, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("marking core Secret %s: %w", there.Name, err)
	}
	return nil
}

// marked tells whether a core Secret has the labels and the controller of the one that is wanted.
func marked(there, want *corev1.Secret) bool {
	for label, value := range want.Labels {
		if there.Labels[label] != value {
			return false
		}
	}
	c := metav1.GetControllerOfNoCopy(there)
	return c != nil && c.UID == want.OwnerReferences[0].UID
}

// says tells whether a core Secret has the halves of the one that is wanted, of which it has what digest makes. What else it holds is its reader's.
func says(there, want *corev1.Secret, digest func(dataKey string, value []byte) []byte) bool {
	for entry, value := range want.Data {
		if subtle.ConstantTimeCompare(there.Data[entry], digest(entry, value)) != 1 {
			return false
		}
	}
	return true
}

func plain(_ string, value []byte) []byte { return value }

func wipe(s *corev1.Secret) {
	for _, value := range s.Data {
		clear(value)
	}
}
