// Package parameterstore is the use cases of AWS Systems Manager's Parameter Store over Parameter objects: what controllers and the
// gateway call. What only the gateway calls fails with the errors of AWS's SDK; what controllers call fails with faults.
//
// A parameter's version is an Envelope, and its number is the Envelope's sequence. A SecureString is encrypted under a KMSKey, with
// the encryption context that AWS has; other types are sealed by the keyring, since they are no secrets and need no key.
package parameterstore

import (
	"context"
	"io"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/principals"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

const (
	// MaximumStandard is the size of a standard parameter's value in bytes.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
	MaximumStandard = 4096
	// MaximumAdvanced is that of advanced parameters.
	MaximumAdvanced = 8192
	// DefaultRecoveryWindow of a deleted parameter that names none.
	DefaultRecoveryWindow = 30 * 24 * time.Hour
	// DefaultKeyName is the KMSKey of an account's own key for parameters.
	DefaultKeyName = "aws-ssm"
	// DefaultKeyAlias is its alias.
	DefaultKeyAlias = "alias/aws/ssm"
	// FieldOwner is the field manager of what requests make.
	FieldOwner = "strongroom-gateway"
	// MaximumTags of one parameter.
	MaximumTags = 50
)

// OwnerKind is the kind of the object in Envelopes.
const OwnerKind = "Parameter"

// maximumTries is how often a write is tried that others' writes come before.
const maximumTries = 64

// Service stores and reads the versions of parameters.
type Service struct {
	// Client reads Parameters from a cache that has NameIndex, shows it its own writes, and writes them.
	Client client.Client
	// Region is the operator's own: that of Parameters which name none.
	Region string
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
	// ServerTime asks for the API server's time, by which Now is checked before anything is deleted because of the time: see ServerTimeOf.
	ServerTime func(context.Context) (time.Time, error)
	// Listings remembers the orders of lists for their next pages; nil lists anew for each page.
	Listings *Listings
	// Tiers remembers the default tiers of accounts; nil asks for them each time.
	Tiers *Tiers
	// Counts remembers how many parameters accounts have; nil counts for each that is made.
	Counts *Counts
}

// versionKind is that of parameters' versions.
// https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
var versionKind = sealed.Kind{
	Owner: OwnerKind, Class: v1alpha1.EnvelopeParameterVersion, Blob: keys.KindParameterVersion, Public: true, // a String
	Context: func(subject, _ string) keys.Context { return keys.Context{"PARAMETER_ARN": subject} },
	InForce: Latest, Fits: fits,
}

// Latest is the version of an index that is in force: the last.
func Latest(ix versions.Index) (versions.Version, bool) {
	if len(ix) == 0 {
		return versions.Version{}, false
	}
	return ix[len(ix)-1], true
}

// OwnKey is the account's own key for parameters.
var OwnKey = kms.OwnKey{
	Name: DefaultKeyName, Alias: DefaultKeyAlias, Description: "Default key that protects SecureString parameters when no other key is named",
	Owner: v1alpha1.Group + "/parameter",
}

// KeyName is the name of the KMSKey that encrypts a Parameter's new versions; empty if none does.
func KeyName(p *v1alpha1.Parameter) string {
	switch {
	case p.Spec.Type != v1alpha1.ParameterSecureString:
		return ""
	case p.Spec.KMSKeyRef != nil:
		return p.Spec.KMSKeyRef.Name
	}
	return DefaultKeyName
}

// Owner names a Parameter in Envelopes.
func Owner(name string) v1alpha1.EnvelopeOwner {
	return v1alpha1.EnvelopeOwner{Kind: OwnerKind, Name: name}
}

// Versions stores and reads the versions of parameters.
func (s *Service) Versions() *sealed.Versions {
	return &sealed.Versions{Kind: versionKind, KMS: s.KMS, Keyring: s.KMS.Keyring, Store: s.Store, Random: s.Random, Now: s.Now}
}

// RecoveryWindow is how long a deleted parameter can be had back.
func RecoveryWindow(p *v1alpha1.Parameter) time.Duration {
	if p.Spec.Deletion == nil || p.Spec.Deletion.RecoveryWindowInDays == 0 {
		return DefaultRecoveryWindow
	}
	return time.Duration(p.Spec.Deletion.RecoveryWindowInDays) * 24 * time.Hour
}

// TombstoneOf is what a tombstone keeps of a Parameter. IsForced tells that it is deleted without one.
func TombstoneOf(p *v1alpha1.Parameter) store.Tombstone {
	return store.Tombstone{
		Spec: store.SpecOf(p.Spec), Index: IndexOf(p), PolicyBinding: principals.Unowned(p, p.Spec.ResourcePolicy, p.Status.PolicyBinding),
	}
}

// forcedByRequest is the value of ForceDeleteAnnotation that DeleteParameter writes: not the user's "true", so that a later request
// can take it off a parameter that an interrupted one left.
const forcedByRequest = "DeleteParameter"

// IsForced tells that a Parameter is deleted without a recovery window, as AWS's API deletes: not one that somebody owns, which the garbage collector deletes (store.SkipsWindow).
func IsForced(p *v1alpha1.Parameter) bool {
	return store.SkipsWindow(p, nil, "true", forcedByRequest, forcedByExpiration)
}
