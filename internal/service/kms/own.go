package kms

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/fault"
)

// OwnKey is a key that an account has for one of AWS's services, and that is made when it is wanted first.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-key
type OwnKey struct {
	// Name of the KMSKey.
	Name string
	// Alias is alias/aws/SERVICE.
	Alias string
	// Description of the key, for people.
	Description string
	// Owner is the field manager that makes it.
	Owner string
}

const (
	// ownKeyPatience is how long a request waits for an account's own key, which the first object of a service has made.
	ownKeyPatience = 10 * time.Second
	ownKeyInterval = 20 * time.Millisecond
)

// Is tells that a key is this one of its account.
func (o OwnKey) Is(key *v1alpha1.KMSKey) bool { return key.Name == o.Name }

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys,verbs=create

// KeyOrOwn finds the KMSKey that new data keys are made under: the one that is named, or the account's own, which is made when
// there is none. The fault says KeyNotFound or KeyUnusable.
func (s *Service) KeyOrOwn(ctx context.Context, namespace string, named *v1alpha1.LocalReference, own OwnKey) (*v1alpha1.KMSKey, error) {
	name := own.Name
	if named != nil {
		name = named.Name
	}
	key, err := s.ByName(ctx, namespace, name)
	switch {
	case err == nil:
		return key, CheckUsable(key, keys.GenerateDataKey)
	case fault.Of(err).Reason != v1alpha1.ReasonKeyNotFound || named != nil:
		return nil, err
	}
	err = s.Client.Create(ctx, &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.KMSKeySpec{
			Description: own.Description, Aliases: []string{own.Alias}, Rotation: &v1alpha1.KeyRotation{Enabled: true},
		},
	}, client.FieldOwner(own.Owner))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating the account's key %s: %w", name, err)
	}
	return nil, fault.Waiting(v1alpha1.ReasonKeyUnusable, errors.New("the account's own key "+name+" is being made"))
}

// AwaitKeyOrOwn is KeyOrOwn for a caller that cannot come back later: it waits for an account's own key that is being made.
func (s *Service) AwaitKeyOrOwn(ctx context.Context, namespace string, named *v1alpha1.LocalReference, own OwnKey) (*v1alpha1.KMSKey, error) {
	ctx, cancel := context.WithTimeout(ctx, ownKeyPatience)
	defer cancel()
	for {
		key, err := s.KeyOrOwn(ctx, namespace, named, own)
		if err == nil || fault.Of(err).Reason != v1alpha1.ReasonKeyUnusable || !own.beingMade(key) {
			return key, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(ownKeyInterval):
		}
	}
}

// ReadyOrOwn says whether KeyOrOwn would find a key, long before one is wanted. The account's own may be missing.
func (s *Service) ReadyOrOwn(ctx context.Context, namespace string, named *v1alpha1.LocalReference, own OwnKey) error {
	name := own.Name
	if named != nil {
		name = named.Name
	}
	key, err := s.ByName(ctx, namespace, name)
	switch {
	case err == nil:
		return CheckUsable(key, keys.GenerateDataKey)
	case named == nil && fault.Of(err).Reason == v1alpha1.ReasonKeyNotFound:
		return nil
	}
	return err
}

// beingMade tells that a key has no state yet: its controller is about to make its material.
func (o OwnKey) beingMade(key *v1alpha1.KMSKey) bool {
	return key == nil || o.Is(key) && (key.Status.KeyState == "" || key.Status.KeyState == v1alpha1.KeyStateCreating)
}

// NamedKey is the key that a KmsKeyId of a request names.
type NamedKey struct {
	// Default tells that it is the account's own, which an object has that names none; nothing else is set then.
	Default bool
	// Key is nil if there is none of the account. It is the cache's own: read it only.
	Key *v1alpha1.KMSKey
	// ARN is the key's, or the one that a key of that name would have.
	ARN string
}

// KeyByID finds the key of an account that a KmsKeyId names: by id, ARN, alias, or alias ARN. Keys of other accounts and regions
// are not found.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html#SecretsManager-CreateSecret-request-KmsKeyId
func (s *Service) KeyByID(ctx context.Context, namespace, region, account, id string, own OwnKey) (NamedKey, error) {
	out := NamedKey{ARN: id}
	resource := id
	if strings.HasPrefix(id, "arn:") {
		home := "arn:" + arn.Partition + ":kms:" + region + ":" + account + ":"
		if !strings.HasPrefix(id, home) {
			return out, nil
		}
		resource = id[len(home):]
	}
	switch {
	case id == "" || resource == own.Alias:
		return NamedKey{Default: true}, nil
	case strings.HasPrefix(resource, "alias/"):
		return s.keyByAlias(ctx, namespace, Ref{Account: account, Region: region, Alias: resource})
	}
	out.ARN = arn.KMSKey(region, account, strings.TrimPrefix(resource, "key/"))
	key, err := s.ByARN(ctx, namespace, out.ARN)
	if err != nil && fault.Of(err).Reason != v1alpha1.ReasonKeyNotFound {
		return out, err
	}
	if err == nil {
		out.Key, out.Default = key, own.Is(key)
	}
	return out, nil
}

// keyByAlias finds the key that an alias names in KMS, and no other region's.
func (s *Service) keyByAlias(ctx context.Context, namespace string, ref Ref) (NamedKey, error) {
	out := NamedKey{ARN: ref.ARN()}
	key, err := s.findAlias(ctx, namespace, ref)
	if key != nil {
		out.Key, out.ARN = key, key.Status.ARN
	}
	return out, err
}
