package secretsmanager

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
)

// kmsAliasIndex is the cache index of KMSKeys by alias.
const kmsAliasIndex = "alias"

// NamedKey is the key that a KmsKeyId names.
type NamedKey struct {
	// Default tells that it is the account's own, which a secret has that names none; nothing else is set then.
	Default bool
	// Key is nil if there is none of the account. It is the cache's own: read it only.
	Key *v1alpha1.KMSKey
	// ARN is the key's, or the one that a key of that name would have.
	ARN string
}

// KeyByID finds the key of an account that a KmsKeyId names: by id, ARN, alias, or alias ARN. Keys of other accounts and regions
// are not found.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html#SecretsManager-CreateSecret-request-KmsKeyId
func (s *Service) KeyByID(ctx context.Context, namespace, region, account, id string) (NamedKey, error) {
	out := NamedKey{ARN: id}
	resource := id
	if strings.HasPrefix(id, "arn:") {
		home := "arn:" + arn.Partition + ":kms:" + region + ":" + account + ":"
		if !strings.HasPrefix(id, home) {
			return out, nil
		}
		resource = id[len(home):]
	}
	alias, isAlias := strings.CutPrefix(resource, "alias/")
	switch {
	case id == "" || resource == DefaultKeyAlias:
		return NamedKey{Default: true}, nil
	case isAlias:
		out.ARN = "arn:" + arn.Partition + ":kms:" + region + ":" + account + ":alias/" + alias
		return s.keyByAlias(ctx, namespace, resource, out)
	}
	out.ARN = arn.KMSKey(region, account, strings.TrimPrefix(resource, "key/"))
	key, err := s.KMS.ByARN(ctx, namespace, out.ARN)
	if err != nil && fault.Of(err).Reason != v1alpha1.ReasonKeyNotFound {
		return out, err
	}
	if err == nil {
		out.Key, out.Default = key, IsDefaultKey(key)
	}
	return out, nil
}

func (s *Service) keyByAlias(ctx context.Context, namespace, alias string, out NamedKey) (NamedKey, error) {
	var found v1alpha1.KMSKeyList
	err := s.Client.List(ctx, &found, client.InNamespace(namespace), client.MatchingFields{kmsAliasIndex: alias}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return out, fmt.Errorf("looking for the KMSKey of %s: %w", alias, err)
	}
	for i := range found.Items {
		if key := &found.Items[i]; key.Status.ARN != "" {
			out.Key, out.ARN = key, key.Status.ARN
			break
		}
	}
	return out, nil
}
