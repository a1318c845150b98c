package kms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyimport"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// Imported material is kept as a log: each import, deletion, expiry and rotation is an Envelope with the next sequence number, which holds all that is
// known of one material, and its bytes if they are there. The API server lets one writer make each number, and everybody takes in what is stored before
// they decide anew, so that of each change it was known what came before. The index in status is what the log comes to up to
// lastImportSequence; what is older and not in it is erased. A lost index is made from the log again.

// ErrPendingImport says that a key waits for material, or that the material which is asked for has expired.
var ErrPendingImport = errors.New("it waits for its key material to be imported")

// External tells whether a key's material is imported.
func External(key *v1alpha1.KMSKey) bool { return key.Spec.Origin == v1alpha1.KeyOriginExternal }

// Expired tells whether imported material has expired at a time. It has from validTo on.
func Expired(i *v1alpha1.KeyMaterialImport, now time.Time) bool {
	return i != nil && i.ValidTo != nil && !now.Before(i.ValidTo.Time)
}

// Present tells whether imported material is there at a time.
func Present(i *v1alpha1.KeyMaterialImport, now time.Time) bool {
	return i != nil && i.State == v1alpha1.ImportStateImported && !Expired(i, now)
}

// AwaitsImport tells whether a key waits for material at a time: it never had any, or one of those that were or are current is not there.
// https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-delete-key-material.html
func AwaitsImport(key *v1alpha1.KMSKey, now time.Time) bool {
	if !External(key) {
		return false
	}
	none := true
	for i := range key.Status.KeyMaterials {
		m := key.Status.KeyMaterials[i].Import
		if m != nil && m.PendingRotation {
			continue
		}
		if none = false; !Present(m, now) {
			return true
		}
	}
	return none
}

// asOfNow makes a key that was read show the moment: one of which material has expired is PendingImport, whether or not its controller has looked.
// The key's top level is the caller's own, as that of everything is that was read from the cache.
func (s *Service) asOfNow(key *v1alpha1.KMSKey) {
	switch key.Status.KeyState {
	case v1alpha1.KeyStateEnabled, v1alpha1.KeyStateDisabled, v1alpha1.KeyStatePendingDeletion: // the last counts for as long as spec says so
		if AwaitsImport(key, s.Now()) {
			key.Status.KeyState = v1alpha1.KeyStatePendingImport
		}
	}
}

// importsOf are the imported materials of an index. It has no others, unless somebody wrote them into it.
func importsOf(status *v1alpha1.KMSKeyStatus) []v1alpha1.KeyMaterial {
	return slices.DeleteFunc(slices.Clone(status.KeyMaterials), func(m v1alpha1.KeyMaterial) bool { return m.Import == nil })
}

// TakeImports takes records of the log into a key's index, in the order of their sequence; of those that it has taken in already nothing is known
// any more.
func TakeImports(status *v1alpha1.KMSKeyStatus, records ...v1alpha1.KeyMaterial) {
	records = slices.SortedFunc(slices.Values(records), func(a, b v1alpha1.KeyMaterial) int { return cmp.Compare(a.Sequence, b.Sequence) })
	all := importsOf(status)
	for _, m := range records {
		if m.Import == nil || m.Sequence <= status.LastImportSequence {
			continue
		}
		status.LastImportSequence = m.Sequence
		all = slices.DeleteFunc(all, func(k v1alpha1.KeyMaterial) bool { return k.ID == m.ID })
		if !m.Import.PendingRotation {
			all = append(all, m)
			continue
		}
		// One material waits at a time: whoever has stored that another one does knew that what waited was taken away.
		all = slices.DeleteFunc(all, func(k v1alpha1.KeyMaterial) bool {
			if k.Import.PendingRotation {
				status.LastDroppedImportSequence = max(status.LastDroppedImportSequence, k.Sequence)
				noteDropped(status, k.Import.Request, m.CreatedTime)
			}
			return k.Import.PendingRotation
		})
		if m.Import.State != v1alpha1.ImportStateImported { // it was never the key's
			status.LastDroppedImportSequence = max(status.LastDroppedImportSequence, m.Sequence)
			noteDropped(status, m.Import.Request, m.CreatedTime)
			continue
		}
		all = append(all, m)
	}
	status.KeyMaterials = all
	rankImports(status)
}

// RebuildImports makes the index anew from what it has and records that it lacks, be they newer or older than what it has taken in.
func RebuildImports(status *v1alpha1.KMSKeyStatus, missing ...v1alpha1.KeyMaterial) {
	records, last := append(slices.Clone(status.KeyMaterials), missing...), status.LastImportSequence
	status.KeyMaterials, status.LastImportSequence = nil, 0
	TakeImports(status, records...)
	status.LastImportSequence = max(status.LastImportSequence, last) // what was dropped stays dropped
}

// rankImports puts imported materials into the order in which they became current, and works out what the index says of all of them.
func rankImports(status *v1alpha1.KMSKeyStatus) {
	all := status.KeyMaterials
	slices.SortFunc(all, func(a, b v1alpha1.KeyMaterial) int {
		return cmp.Or(cmp.Compare(a.Import.Rank, b.Import.Rank), cmp.Compare(a.Sequence, b.Sequence))
	})
	status.OnDemandRotations, status.ExpirationModel, status.ValidTo = 0, "", nil
	current := -1
	for i := range all {
		m := &all[i]
		if m.RotationType == v1alpha1.RotationOnDemand {
			status.OnDemandRotations++
		}
		if m.Import.PendingRotation {
			m.State = v1alpha1.KeyMaterialPendingRotation
			continue
		}
		m.State, current = v1alpha1.KeyMaterialNonCurrent, i
		if m.Import.State != v1alpha1.ImportStateImported {
			continue
		}
		status.ExpirationModel = cmp.Or(status.ExpirationModel, v1alpha1.ExpirationModelDoesNotExpire)
		if to := m.Import.ValidTo; to != nil {
			status.ExpirationModel = v1alpha1.ExpirationModelExpires
			if status.ValidTo == nil || to.Before(status.ValidTo) {
				status.ValidTo = to.DeepCopy()
			}
		}
	}
	if current >= 0 {
		all[current].State = v1alpha1.KeyMaterialCurrent
	}
}

// importedID is the id of imported material: it depends on the key and the material, and tells nobody anything of either. What was deleted is known by it when it is imported
// again. A key is meant by its ARN, and by that without the region if it is a multi-Region key, so that the same material has one id in all of its regions.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ImportKeyMaterial.html#KMS-ImportKeyMaterial-request-KeyMaterialId
func importedID(ring *keyring.Keyring, key *v1alpha1.KMSKey, material secretbytes.Bytes) (string, error) {
	identity, err := keyimport.Identity(SpecOf(key), material)
	if err != nil {
		return "", err
	}
	defer identity.Wipe()
	parts := [][]byte{[]byte(identifiedBy(key)), []byte(SpecOf(key)), identity.Reveal()}
	return ring.Digest("kms-imported-material-1", parts...) + ring.Digest("kms-imported-material-2", parts...), nil
}

// identifiedBy is what a key is meant by in the ids of its imported material. It is part of the format: ids are in ciphertexts.
func identifiedBy(key *v1alpha1.KMSKey) string {
	if key.Spec.MultiRegion {
		return ReplicaARN(key, "")
	}
	return key.Status.ARN
}

// noMaterial is what the Envelope of a deletion holds.
const noMaterial = "strongroom:no-material\x00"

// verifyImported is VerifyMaterial of a record of the log. It opens those that have expired, too: they are still to be erased.
func (s *Service) verifyImported(ctx context.Context, key *v1alpha1.KMSKey, m v1alpha1.KeyMaterial) error {
	e, err := s.Store.Get(ctx, key.Namespace, v1alpha1.EnvelopeKeyMaterial, Owner(key.Name), key.Status.ARN, versions.Version{ID: m.ID, Sequence: m.Sequence})
	if err != nil {
		return err
	}
	opened, err := s.openImported(key, e)
	opened.Wipe()
	return err
}

// openImported opens a record of the log. The caller wipes the material, which is empty if there is none. The fault says KeyUnusable if it is a
// key of another spec.
func (s *Service) openImported(key *v1alpha1.KMSKey, e *v1alpha1.Envelope) (material secretbytes.Bytes, err error) {
	m := Material{key, MaterialOf(e)}
	opened, err := s.unwrap(key.Status.KeyID, e)
	if err != nil {
		return material, err
	}
	if !External(key) || m.Import == nil {
		opened.Wipe()
		return material, otherSpec(m)
	}
	if m.Import.State == v1alpha1.ImportStatePendingImport {
		defer opened.Wipe()
		if string(opened.Reveal()) != noMaterial {
			return material, fmt.Errorf("%w: key material %s is not what it says of itself", store.ErrTampered, e.Name)
		}
		return material, nil
	}
	if opened, err = unlabelled(m, opened); err != nil {
		return material, err
	}
	identity, err := keyimport.Identity(SpecOf(key), opened)
	if err != nil {
		opened.Wipe()
		return material, otherSpec(m)
	}
	identity.Wipe()
	return opened, nil
}

// usableImport refuses material that has no place in a key of its origin, that is not there, or that has expired: it is asked at each use, by
// the clock. The fault says KeyUnusable.
func (s *Service) usableImport(m Material, e *v1alpha1.Envelope) error {
	switch i := e.Spec.Import; {
	case External(m.Key) != (i != nil):
		return otherSpec(m)
	case i != nil && !Present(i, s.Now()):
		return fault.Waiting(v1alpha1.ReasonKeyUnusable,
			fmt.Errorf("%w: KMSKey %s/%s: %w", errKeyUnusable, m.Key.Namespace, m.Key.Name, ErrPendingImport))
	}
	return nil
}
