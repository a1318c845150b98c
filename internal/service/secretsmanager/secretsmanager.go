// Package secretsmanager is the use cases of AWS Secrets Manager over Secret objects: what controllers and the gateway call.
// What only the gateway calls fails with the errors of AWS's SDK, which are answered as they are; what controllers call
// fails with faults.
package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

const (
	// MaximumValue is the length of a secret's value in bytes.
	// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
	MaximumValue = 65536
	// DefaultRecoveryWindow of a deleted secret that names none.
	DefaultRecoveryWindow = 30 * 24 * time.Hour
	// DefaultKeyName is the KMSKey of an account's own key for secrets.
	DefaultKeyName = "aws-secretsmanager"
	// DefaultKeyAlias is its alias.
	DefaultKeyAlias = "alias/aws/secretsmanager"
)

// Service stores and reads the versions of secrets.
type Service struct {
	// Client reads Secrets from a cache that has NameIndex, shows it its own writes, and writes them.
	Client client.Client
	// Region is the operator's own: that of Secrets which name none.
	Region string
	// Regions are those that secrets can be in and be replicated to, Region among them.
	Regions []string
	// KMS encrypts data keys.
	KMS *kms.Service
	// Store keeps Envelopes.
	Store *store.Store
	// Policies caches compiled resource policies; nil compiles them each time.
	Policies *kms.PolicyCache
	// Random is crypto/rand if nil.
	Random io.Reader
	// Now is the clock.
	Now func() time.Time
}

const ownerKind = "Secret"

// versionKind is that of secrets' versions.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
var versionKind = sealed.Kind{
	Owner: ownerKind, Class: v1alpha1.EnvelopeSecretVersion, Blob: keys.KindSecretVersion,
	Context: func(subject, version string) keys.Context {
		return keys.Context{"SecretARN": subject, "SecretVersionId": version}
	},
	InForce: func(ix versions.Index) (versions.Version, bool) { return ix.ByStage(versions.Current) },
}

// Owner names a Secret in Envelopes.
func Owner(name string) v1alpha1.EnvelopeOwner {
	return v1alpha1.EnvelopeOwner{Kind: ownerKind, Name: name}
}

// Versions stores and reads the versions of secrets.
func (s *Service) Versions() *sealed.Versions {
	return &sealed.Versions{Kind: versionKind, KMS: s.KMS, Keyring: s.KMS.Keyring, Store: s.Store, Random: s.Random, Now: s.Now}
}

// Put stores a version, as sealed.Versions does, of a value that a secret can have.
func (s *Service) Put(ctx context.Context, of sealed.Subject, c sealed.Content) (v versions.Version, made bool, err error) {
	if err := CheckValue(c.Value); err != nil {
		return v, false, err
	}
	return s.Versions().Put(ctx, of, c)
}

// CheckValue says whether a value can be stored. The fault says InvalidValue and nothing of the value.
func CheckValue(value secretbytes.Bytes) error {
	switch n := value.Len(); {
	case n == 0:
		return fault.Stalled(v1alpha1.ReasonInvalidValue, errors.New("the value is empty; a secret has at least 1 byte"))
	case n > MaximumValue:
		return fault.Stalled(v1alpha1.ReasonInvalidValue,
			fmt.Errorf("the value has %d bytes; a secret has at most %d", n, MaximumValue))
	}
	return nil
}
