package iamuser

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/accesskey"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
)

var (
	errAccountChanged = errors.New("the namespace has another account id")
	errSecretTaken    = errors.New("the core Secret is not this access key's")
	errIDTaken        = errors.New("the access key id is taken; another is tried")
	errLeftover       = errors.New("an access key that never came into force is in the way")
)

// accessKeys makes the access keys that spec asks for and status lacks, and looks whether the others open.
func (r *Reconciler) accessKeys(ctx context.Context, user *v1alpha1.IAMUser, account string) error {
	pending, err := r.pending(ctx, user)
	if err != nil {
		return err
	}
	for i := range user.Spec.AccessKeys {
		key := &user.Spec.AccessKeys[i]
		var err error
		if made := user.AccessKeyStatusOf(key.Name); made != nil {
			err = r.verify(ctx, user, account, made)
		} else {
			err = r.make(ctx, user, account, key, pending[key.Name])
		}
		if err != nil {
			return fmt.Errorf("access key %s: %w", key.Name, err)
		}
	}
	return nil
}

// verify looks whether an access key in force can be used: its id tells the account, its secret opens, and who reads its core Secret has it.
func (r *Reconciler) verify(ctx context.Context, user *v1alpha1.IAMUser, account string, key *v1alpha1.AccessKeyStatus) error {
	if of, ok := accesskey.Account(key.AccessKeyID); ok && of != account {
		return fault.Stalled(v1alpha1.ReasonAccountChanged, fmt.Errorf("%w: %s was made for account %s, and this is %s now; give the "+
			"namespace its label %s back, or remove the key and add another", errAccountChanged, key.AccessKeyID, of, account, v1alpha1.AccountIDLabel))
	}
	secret, err := r.IAM.OpenAccessKey(ctx, user, key)
	if err != nil {
		return err
	}
	defer secret.Wipe()
	return r.keep(ctx, user, key, secret)
}

// pending are the Envelopes of access keys that an earlier pass made and did not bring into force, the newest of each name. After
// the loss of a status these are all.
func (r *Reconciler) pending(ctx context.Context, user *v1alpha1.IAMUser) (map[string]*v1alpha1.Envelope, error) {
	all, err := r.envelopes(ctx, user)
	if err != nil {
		return nil, err
	}
	out := map[string]*v1alpha1.Envelope{}
	for i := range all {
		e := &all[i]
		if !wanted(user, e) || user.AccessKeyStatusOf(e.Spec.Stages[0]) != nil || e.Spec.Subject != user.Status.ARN {
			continue
		}
		if former := out[e.Spec.Stages[0]]; former == nil || former.Spec.Sequence < e.Spec.Sequence {
			out[e.Spec.Stages[0]] = e
		}
	}
	return out, nil
}

// next is a sequence number that no Envelope of the user has.
func (r *Reconciler) next(ctx context.Context, user *v1alpha1.IAMUser) (int64, error) {
	all, err := r.envelopes(ctx, user)
	last := user.Status.LastAccessKeySequence
	for i := range all {
		last = max(last, all[i].Spec.Sequence)
	}
	return last + 1, err
}

// make makes an access key in three writes: the Envelope, which settles id and secret; the core Secret, which hands them out; and
// the status, at the end of the pass, which brings the key into force and is the commit. A crash before the last leaves a key
// that nobody accepts, and the next pass finds the Envelope under its name and goes on with it.
func (r *Reconciler) make(ctx context.Context, user *v1alpha1.IAMUser, account string, key *v1alpha1.AccessKey, e *v1alpha1.Envelope) error {
	if err := r.free(ctx, user, key); err != nil {
		return err
	}
	if e == nil {
		sequence, err := r.next(ctx, user)
		if err != nil {
			return err
		}
		if e, err = r.envelope(ctx, user, account, key, sequence); err != nil {
			return err
		}
	}
	secret, err := r.IAM.OpenNewAccessKey(user, e)
	if err != nil {
		return err
	}
	defer secret.Wipe()
	if err := r.handOut(ctx, user, key, e.Spec.Version, secret); err != nil {
		return err
	}
	user.Status.LastAccessKeySequence = max(user.Status.LastAccessKeySequence, e.Spec.Sequence)
	user.Status.AccessKeys = append(user.Status.AccessKeys, v1alpha1.AccessKeyStatus{
		Name: key.Name, Sequence: e.Spec.Sequence, AccessKeyID: e.Spec.Version, SecretName: user.SecretNameOf(key), CreatedTime: e.Spec.CreatedTime,
	})
	r.Events.Eventf(user, nil, corev1.EventTypeNormal, v1alpha1.ReasonCreated, "CreateAccessKey", "Access key %s (%s) is in core Secret %s",
		key.Name, e.Spec.Version, user.SecretNameOf(key))
	return nil
}

// stages of an access key's Envelope: the key's name, and the unique id of the user that it was made for. What was made for a
// user that is gone never comes into force for one that is made under its name.
func stages(user *v1alpha1.IAMUser, name string) []string {
	return []string{name, arn.UniqueID(arn.UserID, string(user.UID))}
}

// envelope is the Envelope of an access key: atomic, and of its sequence number one only, so that a pass that died leaves the
// next one what it made.
func (r *Reconciler) envelope(ctx context.Context, user *v1alpha1.IAMUser, account string, key *v1alpha1.AccessKey, sequence int64) (
	*v1alpha1.Envelope, error,
) {
	id, err := accesskey.New(r.IAM.Random, accesskey.LongTerm, account)
	if err != nil {
		return nil, err
	}
	if err := r.unique(ctx, user.Namespace, id); err != nil {
		return nil, err
	}
	e, err := r.IAM.SealAccessKey(user, versions.Version{ID: id, Sequence: sequence, Created: r.Now(), Stages: stages(user, key.Name)})
	if err != nil {
		return nil, err
	}
	stored, err := r.Store.Create(ctx, e)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(stored.Spec.Stages, e.Spec.Stages) { // the next pass sees it, and removes it
		return nil, fmt.Errorf("%w: Envelope %s", errLeftover, stored.Name)
	}
	return stored, nil
}

// unique looks whether no user of the account has an access key of an id yet: 39 random bits alone do not make it so.
func (r *Reconciler) unique(ctx context.Context, namespace, id string) error {
	var users v1alpha1.IAMUserList
	if err := r.Client.List(ctx, &users, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing IAMUsers: %w", err)
	}
	for i := range users.Items {
		if slices.ContainsFunc(users.Items[i].Status.AccessKeys, func(k v1alpha1.AccessKeyStatus) bool { return k.AccessKeyID == id }) {
			return fmt.Errorf("%w: %s", errIDTaken, id)
		}
	}
	return nil
}

// free looks whether the core Secret's name can be had, before anything is made for it. One that bears an access key's id may be
// what a pass that died wrote: handOut looks again.
func (r *Reconciler) free(ctx context.Context, user *v1alpha1.IAMUser, key *v1alpha1.AccessKey) error {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: user.Namespace, Name: user.SecretNameOf(key)}, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading core Secret %s: %w", user.SecretNameOf(key), err)
	case found.Labels[v1alpha1.AccessKeyIDLabel] == "":
		return taken(user.SecretNameOf(key))
	}
	return nil
}

func taken(name string) error {
	return fault.Contested(v1alpha1.ReasonConflict, fmt.Errorf("%w: %s exists already; delete it, or give the key another secretName", errSecretTaken, name))
}

// handOut writes the core Secret: once, and whole or not at all. One that is there with the key's id is what an earlier attempt
// wrote.
func (r *Reconciler) handOut(ctx context.Context, user *v1alpha1.IAMUser, key *v1alpha1.AccessKey, id string, secret secretbytes.Bytes) error {
	out := coreSecret(user, user.SecretNameOf(key), id, secret)
	err := r.Client.Create(ctx, out)
	if apierrors.IsAlreadyExists(err) {
		err = r.Live.Get(ctx, client.ObjectKeyFromObject(out), out)
		if err == nil && out.Labels[v1alpha1.AccessKeyIDLabel] != id {
			return taken(out.Name)
		}
		clear(out.Data)
	}
	if err != nil {
		return fmt.Errorf("handing out the access key in core Secret %s: %w", out.Name, err)
	}
	return nil
}
