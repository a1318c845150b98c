package iam

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// OpenAccessKey opens the secret half of an access key.
func (s *Service) OpenAccessKey(ctx context.Context, user *v1alpha1.IAMUser, key v1alpha1.AccessKeyStatus) (secretbytes.Bytes, error) {
	e, err := s.Store.Get(ctx, user.Namespace, v1alpha1.EnvelopeAccessKey, v1alpha1.EnvelopeOwner{Kind: "IAMUser", Name: user.Name}, user.Status.ARN, versions.Version{ID: key.AccessKeyID, Sequence: key.Sequence})
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	ring, err := s.Keyring.Get()
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	secret, err := ring.Open(keys.KindAccessKey, store.Binding(e), e.Spec.Ciphertext)
	if err != nil {
		return secretbytes.Bytes{}, fmt.Errorf("%w: access key %s does not open", store.ErrTampered, e.Name)
	}
	return secret, nil
}

// IndexARN lists the values of ARNIndex.
func IndexARN(obj client.Object) []string {
	var arn string
	switch o := obj.(type) {
	case *v1alpha1.IAMUser:
		arn = o.Status.ARN
	case *v1alpha1.IAMRole:
		arn = o.Status.ARN
	case *v1alpha1.IAMPolicy:
		arn = o.Status.ARN
	}
	if arn == "" {
		return nil
	}
	return []string{arn}
}

// IndexAccessKey lists the values of AccessKeyIndex.
func IndexAccessKey(obj client.Object) []string {
	user, ok := obj.(*v1alpha1.IAMUser)
	if !ok {
		return nil
	}
	var out []string
	for _, key := range user.Status.AccessKeys {
		out = append(out, key.AccessKeyID)
	}
	return out
}
