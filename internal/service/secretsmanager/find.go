package secretsmanager

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/store"
)

const (
	// NameIndex is the cache index of Secrets by their AWS name. A Secret whose own name is its AWS name is not in it.
	NameIndex = "aws-name"
	// TombstoneIndex is the cache index of the Envelopes that are tombstones of Secrets, by the ARN without its last six
	// characters and the hyphen before them, and all of them by allTombstones.
	TombstoneIndex = "tombstone"
	allTombstones  = "*"
)

// Found is what there is of a secret: at most one of its members is set. They are the cache's own: read them only.
type Found struct {
	// Secret that is there.
	Secret *v1alpha1.Secret
	// Tombstone of a secret that is scheduled for deletion.
	Tombstone *v1alpha1.Envelope
}

// RegionOf is the region of a Secret.
func (s *Service) RegionOf(secret *v1alpha1.Secret) string {
	if secret.Spec.Region != "" {
		return secret.Spec.Region
	}
	return s.Region
}

// IsOwn tells whether an ARN can be a Secret's: it has the name, and the region if spec has one. One that names none keeps that in which it was made when
// the operator has moved to another.
func IsOwn(secret *v1alpha1.Secret, subject string) bool {
	region := arn.Region(subject)
	return arn.IsSecret(subject, region, arn.Account(subject), secret.AWSName()) && (secret.Spec.Region == "" || secret.Spec.Region == region)
}

// ARNOf is the ARN of a Secret: that of status, or that which the API made it with. It is empty as long as none of the two is
// there: the controller has not looked at it yet, and for the API it does not exist. Nor does it if status has another secret's, which somebody wrote there: what
// is stored under that would be in the place of the other one's versions. The controller tells it.
func (s *Service) ARNOf(secret *v1alpha1.Secret) string {
	if secret.Status.ARN != "" {
		if !IsOwn(secret, secret.Status.ARN) {
			return ""
		}
		return secret.Status.ARN
	}
	made := secret.Annotations[v1alpha1.SubjectAnnotation]
	if made != "" && arn.IsSecret(made, s.RegionOf(secret), arn.Account(made), secret.AWSName()) {
		return made
	}
	return ""
}

// Find finds a secret of a region by the id that a request has, in the cache alone: of a namespace and its account, or of another
// account if the id is an ARN of it.
func (s *Service) Find(ctx context.Context, namespace, region, owner string, id *ID) (Found, error) {
	if id.Account != "" && id.Region != region {
		return Found{}, nil
	}
	if id.Account != "" && id.Account != owner {
		var err error
		if namespace, err = account.Namespace(ctx, s.Client, id.Account); namespace == "" || err != nil {
			return Found{}, err
		}
		owner = id.Account
	}
	secret, err := s.byName(ctx, namespace, region, id.Name)
	if err != nil {
		return Found{}, err
	}
	if secret != nil {
		if found := s.ARNOf(secret); found != "" && id.means(found) {
			return Found{Secret: secret}, nil
		}
		if id.ARN == "" {
			return Found{}, nil
		}
	}
	tombstone, err := s.tombstone(ctx, namespace, region, owner, id)
	return Found{Tombstone: tombstone}, err
}

// byName finds the Secret that has an AWS name in a region: the eldest, if several claim it.
func (s *Service) byName(ctx context.Context, namespace, region, name string) (*v1alpha1.Secret, error) {
	object := s.objectName(region, name)
	own, err := s.having(ctx, namespace, object, region, name)
	if err != nil || own != nil && own.Status.ARN != "" { // one that has lost the name gets no ARN
		return own, err
	}
	var list v1alpha1.SecretList
	err = s.Client.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{NameIndex: name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking for Secrets by name: %w", err)
	}
	claimants := list.Items[:0:0]
	for i := range list.Items {
		if s.RegionOf(&list.Items[i]) == region && list.Items[i].Name != object && !store.BeingDeleted(&list.Items[i]) {
			claimants = append(claimants, list.Items[i])
		}
	}
	if own != nil {
		claimants = append(claimants, *own)
	}
	if object != name {
		other, err := s.having(ctx, namespace, name, region, name)
		if err != nil {
			return nil, err
		}
		if other != nil {
			claimants = append(claimants, *other)
		}
	}
	return eldest(claimants), nil
}

// having reads the Secret of an object name, if it has an AWS name and region.
func (s *Service) having(ctx context.Context, namespace, object, region, name string) (*v1alpha1.Secret, error) {
	secret := &v1alpha1.Secret{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: object}, secret, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if secret.AWSName() != name || s.RegionOf(secret) != region || !secret.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	return secret, nil
}

func eldest(claimants []v1alpha1.Secret) *v1alpha1.Secret {
	for i := range claimants {
		if claim.Elder(&claimants[i], claimants) == "" {
			return &claimants[i]
		}
	}
	return nil
}

// tombstone finds the newest tombstone of a secret that is scheduled for deletion. One that has expired is none: its
// Envelopes are about to go. Neither is one that is forged.
func (s *Service) tombstone(ctx context.Context, namespace, region, account string, id *ID) (*v1alpha1.Envelope, error) {
	stem := strings.TrimSuffix(arn.Secret(region, account, id.Name, ""), "-")
	found, err := s.Store.Indexed(ctx, namespace, TombstoneIndex, stem)
	if err != nil {
		return nil, err
	}
	var newest *v1alpha1.Envelope
	for i := range found {
		e := &found[i]
		if id.ARN != "" && e.Spec.Subject != id.ARN || !s.inWindow(e) || newest != nil && !newest.Spec.CreatedTime.Before(&e.Spec.CreatedTime) {
			continue
		}
		if !store.Forged(s.KMS.Keyring, e) {
			newest = e
		}
	}
	return newest, nil
}

// inWindow tells whether a tombstone's recovery window lasts.
func (s *Service) inWindow(e *v1alpha1.Envelope) bool {
	return e.Spec.ExpireTime != nil && e.Spec.ExpireTime.After(s.Now()) && !store.BeingDeleted(e)
}

// IndexTombstone lists the values of TombstoneIndex.
func IndexTombstone(obj client.Object) []string {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok || e.Spec.Class != v1alpha1.EnvelopeTombstone || e.Spec.Owner.Kind != ownerKind || len(e.Spec.Subject) <= suffixLength {
		return nil
	}
	return []string{e.Spec.Subject[:len(e.Spec.Subject)-suffixLength], allTombstones}
}
