package iam

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	// MaximumAccessKeys of a user.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	MaximumAccessKeys = 2
	// accessKeyPatience is how long the controller may take to make one, and accessKeyPoll how often it is looked for.
	accessKeyPatience = 10 * time.Second
	accessKeyPoll     = 20 * time.Millisecond

	// AccessKeyIDEntry is the key of the id in the core Secret that an access key is handed out in. Both names are those of the
	// environment variables that AWS's SDKs read, so that a pod takes it with envFrom.
	// https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
	AccessKeyIDEntry = "AWS_ACCESS_KEY_ID"
	// SecretAccessKeyEntry is that of the secret half.
	SecretAccessKeyEntry = "AWS_SECRET_ACCESS_KEY"
)

var (
	// ErrTooManyAccessKeys says that a user has MaximumAccessKeys.
	ErrTooManyAccessKeys = errors.New("the user has as many access keys as can be")
	// ErrAccessKeyPending says that an access key was asked for and is not made yet: its user's conditions say why.
	ErrAccessKeyPending = errors.New("the access key is not made yet")
)

// RequestAccessKey asks for an access key of a user and waits for its controller to make it. The secret is read from the core
// Secret that it is handed out in; the caller wipes it. It fails with ErrTooManyAccessKeys, ErrAccessKeyPending and ErrGone.
//
// Crash-safe: the write that asks is of spec, and what it asks for is made in any case. A key that is not made in time is asked for
// no longer, so that a client that tries again does not come to a second one.
func (s *Service) RequestAccessKey(ctx context.Context, user *v1alpha1.IAMUser) (*v1alpha1.AccessKeyStatus, secretbytes.Bytes, error) {
	name := "api-" + strings.ToLower(rand.Text()[:10])
	err := Change(ctx, s, user, func(u *v1alpha1.IAMUser) error {
		if len(u.Spec.AccessKeys) >= MaximumAccessKeys {
			return ErrTooManyAccessKeys
		}
		u.Spec.AccessKeys = append(u.Spec.AccessKeys, v1alpha1.AccessKey{Name: name})
		return nil
	})
	if err != nil {
		return nil, secretbytes.Bytes{}, err
	}
	key, err := s.awaitAccessKey(ctx, client.ObjectKeyFromObject(user), name)
	if err != nil {
		return nil, secretbytes.Bytes{}, errors.Join(err, s.unrequest(context.WithoutCancel(ctx), user, name))
	}
	core := &corev1.Secret{}
	if err := s.Live.Get(ctx, client.ObjectKey{Namespace: user.Namespace, Name: key.SecretName}, core); err != nil {
		return nil, secretbytes.Bytes{}, fmt.Errorf("reading the access key that was handed out: %w", err)
	}
	return key, secretbytes.Own(core.Data[SecretAccessKeyEntry]), nil
}

// unrequest takes a key that was asked for out of spec again.
func (s *Service) unrequest(ctx context.Context, user *v1alpha1.IAMUser, name string) error {
	return Change(ctx, s, user, func(u *v1alpha1.IAMUser) error {
		u.Spec.AccessKeys = slices.DeleteFunc(u.Spec.AccessKeys, func(k v1alpha1.AccessKey) bool { return k.Name == name })
		return nil
	})
}

func (s *Service) awaitAccessKey(ctx context.Context, user client.ObjectKey, name string) (*v1alpha1.AccessKeyStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, accessKeyPatience)
	defer cancel()
	tick := time.NewTicker(accessKeyPoll)
	defer tick.Stop()
	for {
		u := &v1alpha1.IAMUser{}
		if err := s.Client.Get(ctx, user, u); err != nil {
			return nil, fmt.Errorf("reading IAMUser %s: %w", user, err)
		}
		if key := u.AccessKeyStatusOf(name); key != nil {
			return key, nil
		}
		select {
		case <-ctx.Done():
			return nil, ErrAccessKeyPending
		case <-tick.C:
		}
	}
}

// ErrNoAccessKey says that a user has no access key of an id.
var ErrNoAccessKey = errors.New("the user has no such access key")

// ChangeAccessKey changes what spec says of an access key, or removes it if change returns false.
func (s *Service) ChangeAccessKey(ctx context.Context, user *v1alpha1.IAMUser, id string, change func(*v1alpha1.AccessKey) (keep bool)) error {
	return Change(ctx, s, user, func(u *v1alpha1.IAMUser) error {
		made := slices.IndexFunc(u.Status.AccessKeys, func(k v1alpha1.AccessKeyStatus) bool { return k.AccessKeyID == id })
		if made < 0 {
			return ErrNoAccessKey
		}
		at := slices.IndexFunc(u.Spec.AccessKeys, func(k v1alpha1.AccessKey) bool { return k.Name == u.Status.AccessKeys[made].Name })
		if at < 0 {
			return ErrNoAccessKey
		}
		if !change(&u.Spec.AccessKeys[at]) {
			u.Spec.AccessKeys = slices.Delete(u.Spec.AccessKeys, at, at+1)
		}
		return nil
	})
}
