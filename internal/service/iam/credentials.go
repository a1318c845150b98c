package iam

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/accesskey"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/store"
)

// known is a credential that was looked up, and every object that it was made of.
type known struct {
	credential Credential
	sources    []source
	namespace  string
	// account that the namespace had.
	account string
	// looked is the Cache's count of changes before the sources were last looked at.
	looked atomic.Uint64
}

// Credential finds whose an access key is: a user's own (AKIA…), or a session's (ASIA…) by its token. It asks the informers'
// cache and no API server, and is some microseconds' work for a key that was used within the last minute. A key that was
// revoked, a session whose role is gone and a policy that was changed are noticed by the first call after the cache has it.
//
// It fails with ErrUnknownAccessKey and ErrExpiredToken, and keyring.ErrSealed while the keyring is sealed; any other error is a
// failure of the service itself. With an error, the Credential holds nobody's secret and no Identity: to check a signature
// by it takes as long as by a real one, so that the time tells little about which keys there are.
func (s *Service) Credential(ctx context.Context, accessKeyID, sessionToken string) (Credential, error) {
	if _, err := s.Keyring.Get(); err != nil {
		return decoy(), err
	}
	var (
		k   *known
		err error
	)
	switch prefix := accesskey.Prefix(accessKeyID[:min(len(accessKeyID), prefixLength)]); {
	case len(accessKeyID) > maximumAccessKeyID || len(sessionToken) > MaximumToken:
		err = ErrUnknownAccessKey
	case prefix == accesskey.LongTerm && sessionToken == "":
		k, err = s.remembered(ctx, accessKeyID, func() (*known, error) { return s.accessKey(ctx, accessKeyID) })
	case prefix == accesskey.Temporary && sessionToken != "":
		k, err = s.remembered(ctx, sha256.Sum256([]byte(sessionToken)), func() (*known, error) {
			return s.session(ctx, accessKeyID, sessionToken)
		})
	default:
		err = ErrUnknownAccessKey
	}
	switch {
	case err != nil:
		return decoy(), err
	case k.credential.Identity.AccessKeyID != accessKeyID: // another session's token
		return decoy(), ErrUnknownAccessKey
	case expired(k.credential.Identity, s.Now()):
		return decoy(), ErrExpiredToken
	}
	return k.credential, nil
}

const (
	prefixLength       = 4
	maximumAccessKeyID = 128
)

func expired(id *Identity, now time.Time) bool {
	return !id.Expires.IsZero() && !now.Before(id.Expires)
}

// remembered is a credential from the Cache, if all that it was made of is as it was, or else as look finds it.
func (s *Service) remembered(ctx context.Context, key any, look func() (*known, error)) (*known, error) {
	if found, ok := s.Cache.credentials.Get(key); ok {
		k := found.(*known)
		fresh, err := s.fresh(ctx, k)
		if fresh || err != nil {
			return k, err
		}
		s.Cache.credentials.Remove(key)
	}
	changes := s.Cache.changes.Load()
	k, err := look()
	if err != nil {
		return nil, err
	}
	k.looked.Store(changes)
	if k.sources != nil {
		if id, ok := key.(string); ok {
			key = strings.Clone(id) // it is a part of a header, which is not to be kept for it
		}
		s.Cache.credentials.Add(key, k, credentialAge)
	}
	return k, nil
}

func (s *Service) fresh(ctx context.Context, k *known) (bool, error) {
	if id, err := s.account(ctx, k.namespace); err != nil || id != k.account {
		return false, err
	}
	changes := s.Cache.changes.Load() // before the look: what changes during it counts for the next
	if s.Cache.observed && k.looked.Load() == changes {
		return true, nil
	}
	for i := range k.sources {
		if same, err := s.unchanged(ctx, &k.sources[i]); !same || err != nil {
			return false, err
		}
	}
	k.looked.Store(changes)
	return true, nil
}

// accessKey looks a user's access key up.
func (s *Service) accessKey(ctx context.Context, id string) (*known, error) {
	user, key, err := s.keyOwner(ctx, id)
	if err != nil {
		return nil, err
	}
	envelope := &v1alpha1.Envelope{}
	name := client.ObjectKey{Namespace: user.Namespace, Name: store.Name(v1alpha1.EnvelopeAccessKey, user.Status.ARN, key.Sequence)}
	if err := s.Client.Get(ctx, name, envelope, shared...); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil, ErrUnknownAccessKey
		}
		return nil, fmt.Errorf("reading Envelope %s: %w", name.Name, err)
	}
	secret, err := s.OpenAccessKey(ctx, user, key)
	if err != nil {
		return nil, err
	}
	p, err := s.permissions(ctx, userKind, user, &user.Spec.Permissions)
	if err != nil {
		return nil, err
	}
	identity := userIdentity(user, p)
	identity.AccessKeyID = strings.Clone(id)
	return s.know(identity, secret, p, sourceOf(userKind, user), sourceOf(envelopeKind, envelope)), nil
}

// keyOwner finds the user that has an access key, and the key. Everything that is wrong with either is ErrUnknownAccessKey.
func (s *Service) keyOwner(ctx context.Context, id string) (*v1alpha1.IAMUser, *v1alpha1.AccessKeyStatus, error) {
	var found v1alpha1.IAMUserList
	err := s.Client.List(ctx, &found, client.MatchingFields{AccessKeyIndex: id}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, nil, fmt.Errorf("looking for the user of an access key: %w", err)
	}
	for i := range found.Items {
		user := &found.Items[i]
		key := activeKey(user, id)
		if key == nil || user.Status.UniqueID == "" {
			continue
		}
		owned, err := s.owns(ctx, user.Namespace, user.Status.ARN)
		if err != nil {
			return nil, nil, err
		}
		if owned {
			return user, key, nil
		}
	}
	return nil, nil, ErrUnknownAccessKey
}

// activeKey is a user's access key, nil if the user has no such key, or has it no longer: the specification is the user's word,
// and counts from when it is written, before the controller has seen it.
func activeKey(user *v1alpha1.IAMUser, id string) *v1alpha1.AccessKeyStatus {
	if !user.DeletionTimestamp.IsZero() {
		return nil
	}
	for i := range user.Status.AccessKeys {
		key := &user.Status.AccessKeys[i]
		if key.AccessKeyID != id {
			continue
		}
		for _, wanted := range user.Spec.AccessKeys {
			if wanted.Name == key.Name && !wanted.Inactive {
				return key
			}
		}
	}
	return nil
}

func userIdentity(user *v1alpha1.IAMUser, p *permissions) *Identity {
	identity := p.identity()
	identity.Type = TypeIAMUser
	identity.Principal.Account, identity.Principal.ARN = arn.Account(user.Status.ARN), user.Status.ARN
	identity.Principal.UniqueID = UniqueIDOf(user)
	identity.Namespace, identity.UserID, identity.Name = user.Namespace, user.Status.UniqueID, user.AWSName()
	identity.Tags = tagMap(user.Spec.Tags)
	return identity
}

// tagMap are tags by their keys in lower case.
func tagMap(tags []v1alpha1.Tag) map[string][]string {
	out := make(map[string][]string, len(tags))
	for _, tag := range tags {
		key := strings.ToLower(tag.Key)
		out[key] = append(out[key], tag.Value)
	}
	return out
}

// know makes a credential of what was found. Without sources it is not remembered: something that was looked for was not there,
// and nothing tells when it will be.
func (s *Service) know(identity *Identity, secret secretbytes.Bytes, p *permissions, sources ...source) *known {
	k := &known{
		credential: Credential{Identity: identity, Secret: secret},
		namespace:  identity.Namespace, account: identity.Principal.Account,
	}
	if !p.incomplete {
		k.sources = append(sources, p.sources...)
	}
	return k
}

// decoy is a credential of nobody. Its secret is as long as a real one.
func decoy() Credential { return Credential{Secret: decoySecret()} }

var decoySecret = sync.OnceValue(func() secretbytes.Bytes {
	secret, err := accesskey.NewSecret(nil)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return secret
})
