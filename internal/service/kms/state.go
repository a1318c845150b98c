package kms

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// Enabled tells whether a key's spec lets it be used.
func Enabled(key *v1alpha1.KMSKey) bool { return key.Spec.Enabled == nil || *key.Spec.Enabled }

// Scheduled tells whether a key's spec has it deleted at the end of its waiting period. A KMSKey that is deleted itself is not meant.
func Scheduled(key *v1alpha1.KMSKey) bool {
	return key.Spec.Deletion != nil && key.Spec.Deletion.Scheduled
}

// Gone tells whether a KMSKey is none any more though its object is there: its deletion has begun, and Finalizer, which holds it for as long as something needs the key, is off it. What
// holds the object is somebody else's finalizer, which keeps nothing: the window of the key's material has begun. So nobody finds it here, by whatever name, and another may have its aliases.
func Gone(key *v1alpha1.KMSKey) bool { return store.Gone(key) }

// PendingWindow is the waiting period of a key.
func PendingWindow(key *v1alpha1.KMSKey) time.Duration {
	if key.Spec.Deletion == nil || key.Spec.Deletion.PendingWindowInDays == 0 {
		return DefaultPendingWindow
	}
	return time.Duration(key.Spec.Deletion.PendingWindowInDays) * 24 * time.Hour
}

// AwaitsReplicas tells that a multi-Region primary key is scheduled for deletion and that its window has not begun: replicas are there.
func AwaitsReplicas(key *v1alpha1.KMSKey) bool {
	return Scheduled(key) && key.Spec.MultiRegion && !IsReplica(key) && key.Status.DeletionTime == nil
}

// pendingDeletion is the state of a key that is scheduled for deletion.
func pendingDeletion(key *v1alpha1.KMSKey) v1alpha1.KeyState {
	if AwaitsReplicas(key) {
		return v1alpha1.KeyStatePendingReplicaDeletion
	}
	return v1alpha1.KeyStatePendingDeletion
}

// enabled is the state of a key that nothing forbids to use.
func enabled(key *v1alpha1.KMSKey) v1alpha1.KeyState {
	if Updating(key) {
		return v1alpha1.KeyStateUpdating
	}
	return v1alpha1.KeyStateEnabled
}

// State is the state of AWS KMS that a key's spec and index make; unavailable tells that its current material does not open. Material that has expired
// counts as the index has it, which its controller keeps right. A
// key that is being deleted and is held back by what it encrypts stays as it was, since it is not let go.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
func State(key *v1alpha1.KMSKey, unavailable bool) v1alpha1.KeyState {
	switch {
	case (len(key.Status.KeyMaterials) > 0 || External(key) && key.Status.KeyID != "") && Scheduled(key):
		return pendingDeletion(key)
	case unavailable:
		return v1alpha1.KeyStateUnavailable
	case key.Status.KeyID != "" && AwaitsImport(key, time.Time{}):
		return v1alpha1.KeyStatePendingImport
	case len(key.Status.KeyMaterials) == 0:
		return v1alpha1.KeyStateCreating
	case !Enabled(key):
		return v1alpha1.KeyStateDisabled
	}
	return enabled(key)
}

// settled are the states that spec decides between.
var settled = map[v1alpha1.KeyState]bool{
	v1alpha1.KeyStateEnabled: true, v1alpha1.KeyStateDisabled: true, v1alpha1.KeyStateUpdating: true,
	v1alpha1.KeyStatePendingDeletion: true, v1alpha1.KeyStatePendingReplicaDeletion: true,
}

// StateNow is the state that is in force. What the spec says counts from when it was written, be it before the controller has
// looked; all else is what was found last.
func StateNow(key *v1alpha1.KMSKey) v1alpha1.KeyState {
	switch state := key.Status.KeyState; {
	case state == "":
		return v1alpha1.KeyStateCreating
	case Scheduled(key) && state != v1alpha1.KeyStateCreating:
		return pendingDeletion(key)
	case !settled[state]:
		return state
	case !Enabled(key):
		return v1alpha1.KeyStateDisabled
	}
	return enabled(key)
}

// makesNew are the operations whose result needs the key later, to be read or believed.
var makesNew = map[keys.Operation]bool{
	keys.Encrypt: true, keys.ReEncrypt: true, keys.GenerateDataKey: true, keys.GenerateDataKeyWithoutPlaintext: true,
	keys.GenerateDataKeyPair: true, keys.GenerateDataKeyPairWithoutPlaintext: true, keys.Sign: true, keys.GenerateMac: true,
	keys.Encapsulate: true,
}

// StateFor is the state as an operation meets it: a key that is being deleted is PendingDeletion, except that what it encrypts
// can be read as long as that holds it.
func StateFor(key *v1alpha1.KMSKey, operation keys.Operation) v1alpha1.KeyState {
	if !key.DeletionTimestamp.IsZero() && operation != keys.Decrypt {
		return v1alpha1.KeyStatePendingDeletion
	}
	return StateNow(key)
}

// SpecOf is the type of a key's material.
func SpecOf(key *v1alpha1.KMSKey) keys.Spec {
	return keys.Spec(cmp.Or(key.Spec.KeySpec, v1alpha1.KeySpecSymmetricDefault))
}

// UsageOf is what a key is for.
func UsageOf(key *v1alpha1.KMSKey) keys.Usage {
	return keys.Usage(cmp.Or(key.Spec.KeyUsage, v1alpha1.KeyUsageEncryptDecrypt))
}

// CheckUsable says whether a key's usage and state allow an operation. While its deletion is held back by what it encrypts, a key
// reads that and makes nothing new, which would hold it longer. The fault says KeyUnusable; one of usage is keys.ErrKeyUsage too.
func CheckUsable(key *v1alpha1.KMSKey, operation keys.Operation) error {
	if err := UsageOf(key).CheckUsage(operation); err != nil {
		return wrongUsage(key, err, "name a KMSKey with another keyUsage")
	}
	if err := SpecOf(key).CheckOperation(operation); err != nil {
		return wrongUsage(key, fmt.Errorf("%w: %w", keys.ErrKeyUsage, err), "name a KMSKey with keySpec SYMMETRIC_DEFAULT")
	}
	state := StateNow(key)
	if err := keys.State(state).Permits(operation); err != nil {
		return unusable(key, fmt.Sprintf("it is %s", state))
	}
	if makesNew[operation] {
		if err := CheckManaged(key); err != nil {
			return err
		}
	}
	if !key.DeletionTimestamp.IsZero() && makesNew[operation] {
		return fault.Waiting(v1alpha1.ReasonKeyUnusable, fmt.Errorf("%w: KMSKey %s/%s: %w, so nothing new is encrypted under it; name another key, "+
			"or keep this one as its condition DeletionBlocked says", errKeyUnusable, key.Namespace, key.Name, ErrBeingDeleted))
	}
	return nil
}

// ErrBeingDeleted says that a key cannot be used since its object is being deleted.
var ErrBeingDeleted = errors.New("it is being deleted")

// wrongUsage is a fault that only another key mends.
func wrongUsage(key *v1alpha1.KMSKey, err error, remedy string) error {
	return fault.Stalled(v1alpha1.ReasonKeyUnusable,
		fmt.Errorf("%w: KMSKey %s/%s: %w; %s", errKeyUnusable, key.Namespace, key.Name, err, remedy))
}
