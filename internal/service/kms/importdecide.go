package kms

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// MaximumImportValidity is the longest time for which imported material can be valid.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ImportKeyMaterial.html#KMS-ImportKeyMaterial-request-ValidTo
const MaximumImportValidity = 365 * 24 * time.Hour

var (
	// ErrIncorrectMaterial says that material is not the one that it must be. It is AWS KMS's IncorrectKeyMaterialException.
	ErrIncorrectMaterial = errors.New("the key material is not what it must be")
	// ErrRotationPending says that material waits to be rotated to, of which there is one at a time. It is AWS KMS's KMSInvalidStateException.
	ErrRotationPending = errors.New("other key material is PENDING_ROTATION already: rotate the key, or delete that material first")
	// ErrNothingPending says that there is no material to rotate to. It is AWS KMS's KMSInvalidStateException.
	ErrNothingPending = errors.New("there is no key material PENDING_ROTATION: import new key material first")
	// ErrSymmetricOnly says that a parameter is for symmetric keys alone. It is AWS KMS's UnsupportedOperationException.
	ErrSymmetricOnly = errors.New("this is for symmetric encryption keys alone")
	// ErrImportParameters says that parameters of an import do not go together, or are out of range. It is AWS's ValidationException.
	ErrImportParameters = errors.New("the parameters of the import are not valid")
	// ErrNewAtPrimary says that new material is imported into a replica. It is AWS KMS's UnsupportedOperationException.
	ErrNewAtPrimary = errors.New("new key material is imported into the primary key first, and then into its replicas as EXISTING_KEY_MATERIAL")
	// ErrPrimaryChanging says that new material is imported while the primary is changing. It is AWS KMS's KMSInvalidStateException.
	ErrPrimaryChanging = errors.New("the primary key is changing: import new key material when that is over")
	// ErrMaterialNotFound says that a key has no material of an id. It is AWS KMS's NotFoundException.
	ErrMaterialNotFound = errors.New("the key has no such key material")
)

// Import is what an import is asked for with, besides the wrapped material.
type Import struct {
	// Type is empty for AWS's default: new material until the key had any, and existing material afterwards.
	Type v1alpha1.ImportType
	// MaterialID that the material must have; empty for any.
	MaterialID string
	// ValidTo is when the material expires, nil for never.
	ValidTo *time.Time
	// Description of the material, nil for the one that it had.
	Description *string
	// Request is the digest of the spec.importedMaterial that asks, empty for a request of the AWS API.
	Request string
}

// importInput is all that the decision depends on what becomes of material that is imported.
type importInput struct {
	Import
	// materials are the key's index.
	materials []v1alpha1.KeyMaterial
	// rotates tells that the key can have several materials.
	rotates bool
	// id is that of the material.
	id  string
	now time.Time
	// replica tells that the key is a replica, and primary are the materials of its primary, none if there is no primary that names it.
	replica bool
	primary []v1alpha1.KeyMaterial
	// updating tells that the primary is changing.
	updating bool
	// lost tells that the Envelope of this material is not there or does not open: the same material is then stored anew.
	lost bool
}

// decideImport says what is to be recorded, nil if the material is there already as it is asked for.
func decideImport(in *importInput) (*v1alpha1.KeyMaterial, error) {
	if err := checkImport(in); err != nil {
		return nil, err
	}
	at := materialAt(in.materials, in.id)
	if in.MaterialID != "" && in.MaterialID != in.id {
		return nil, fmt.Errorf("%w: it is not the key material of the id %s", ErrIncorrectMaterial, in.MaterialID)
	}
	if in.replica {
		return replicaImport(in, at)
	}
	first := !slices.ContainsFunc(in.materials, func(m v1alpha1.KeyMaterial) bool { return !m.Import.PendingRotation })
	if in.Type == v1alpha1.ImportTypeNew || in.Type == "" && first {
		return newImport(in, at, first)
	}
	if at < 0 {
		return nil, fmt.Errorf("%w: it is not key material that was imported into this key before", ErrIncorrectMaterial)
	}
	return existingImport(in, at)
}

// existingImport is the decision about material that the key has in its index.
func existingImport(in *importInput, at int) (*v1alpha1.KeyMaterial, error) {
	had := in.materials[at].Import
	record := in.materials[at].DeepCopy()
	in.onto(record.Import)
	if !in.lost && Present(had, in.now) && equality.Semantic.DeepEqual(record.Import, had) {
		return nil, nil
	}
	return record, nil
}

// replicaImport is the decision about material that is imported into a replica: it is its primary's, be it that the primary was or is to be rotated to it. A replica that has nothing
// may be told that it is new, which AWS has as the default of a first import.
func replicaImport(in *importInput, at int) (*v1alpha1.KeyMaterial, error) {
	had := slices.ContainsFunc(in.materials, func(m v1alpha1.KeyMaterial) bool { return m.Import.State == v1alpha1.ImportStateImported })
	if in.Type == v1alpha1.ImportTypeNew && had {
		return nil, ErrNewAtPrimary
	}
	if at >= 0 {
		return existingImport(in, at)
	}
	theirs := materialAt(in.primary, in.id)
	if theirs < 0 {
		return nil, fmt.Errorf("%w: it is not key material that was imported into the primary key", ErrIncorrectMaterial)
	}
	record := inheritedImport(&in.primary[theirs])
	in.onto(record.Import)
	return record, nil
}

// newImport is the decision about material that the key is to have never had.
func newImport(in *importInput, at int, first bool) (*v1alpha1.KeyMaterial, error) {
	record := &v1alpha1.KeyMaterial{ID: in.id, Import: &v1alpha1.KeyMaterialImport{Rank: 1}}
	switch {
	case at >= 0:
		return nil, fmt.Errorf("%w: it is key material of this key already, and not new", ErrIncorrectMaterial)
	case first:
	case !in.rotates:
		return nil, fmt.Errorf("%w: it is not the key material that was imported into this key before", ErrIncorrectMaterial)
	case in.updating:
		return nil, ErrPrimaryChanging
	case slices.ContainsFunc(in.materials, func(m v1alpha1.KeyMaterial) bool { return m.Import.PendingRotation }):
		return nil, ErrRotationPending
	default:
		record.Import.Rank, record.Import.PendingRotation = in.materials[len(in.materials)-1].Import.Rank+1, true
	}
	in.onto(record.Import)
	return record, nil
}

// onto is what an import says of material.
func (in *importInput) onto(i *v1alpha1.KeyMaterialImport) {
	i.State, i.ValidTo = v1alpha1.ImportStateImported, nil
	if in.ValidTo != nil {
		to := metav1.NewTime(in.ValidTo.Truncate(time.Second)).Rfc3339Copy() // and so never later than was asked for
		i.ValidTo = &to
	}
	if in.Description != nil {
		i.Description = *in.Description
	}
	if in.Request != "" {
		i.Request = in.Request
	}
}

// checkImport refuses what is asked for of no material.
func checkImport(in *importInput) error {
	switch {
	case !in.rotates && (in.Type != "" || in.MaterialID != "" || in.Description != nil):
		return fmt.Errorf("%w: ImportType, KeyMaterialId and KeyMaterialDescription", ErrSymmetricOnly)
	case in.Type == v1alpha1.ImportTypeNew && in.MaterialID != "":
		return fmt.Errorf("%w: new key material has no KeyMaterialId yet", ErrImportParameters)
	case in.ValidTo == nil:
		return nil
	case !in.ValidTo.Truncate(time.Second).After(in.now):
		return fmt.Errorf("%w: ValidTo must be in the future", ErrImportParameters)
	case in.ValidTo.After(in.now.Add(MaximumImportValidity)):
		return fmt.Errorf("%w: ValidTo must be at most 365 days from now", ErrImportParameters)
	}
	return nil
}

// decideDelete says what is to be recorded of a deletion of the material of an id, or of the current material if it is empty; nil if there is
// nothing to delete. The id of the material is answered if there is one.
func decideDelete(materials []v1alpha1.KeyMaterial, id string) (record *v1alpha1.KeyMaterial, deleted string, err error) {
	at := slices.IndexFunc(materials, func(m v1alpha1.KeyMaterial) bool {
		return m.ID == id || id == "" && m.State == v1alpha1.KeyMaterialCurrent
	})
	switch {
	case at < 0 && id == "":
		return nil, "", nil
	case at < 0:
		return nil, "", ErrMaterialNotFound
	case materials[at].Import.State == v1alpha1.ImportStatePendingImport:
		return nil, materials[at].ID, nil
	}
	return withoutMaterial(&materials[at]), materials[at].ID, nil
}

// withoutMaterial is a material whose bytes are to go.
func withoutMaterial(m *v1alpha1.KeyMaterial) *v1alpha1.KeyMaterial {
	record := m.DeepCopy()
	record.Import.State, record.Import.ValidTo = v1alpha1.ImportStatePendingImport, nil
	return record
}

// decideExpiry says what is to be recorded of materials that have expired.
func decideExpiry(materials []v1alpha1.KeyMaterial, now time.Time) (records []*v1alpha1.KeyMaterial) {
	for i := range materials {
		if m := &materials[i]; m.Import.State == v1alpha1.ImportStateImported && Expired(m.Import, now) {
			records = append(records, withoutMaterial(m))
		}
	}
	return records
}

// decidePromotion says what is to be recorded of a rotation to the material that waits for it.
func decidePromotion(materials []v1alpha1.KeyMaterial, now time.Time) (*v1alpha1.KeyMaterial, error) {
	at := slices.IndexFunc(materials, func(m v1alpha1.KeyMaterial) bool { return m.Import.PendingRotation })
	if at < 0 || !Present(materials[at].Import, now) {
		return nil, ErrNothingPending
	}
	record := materials[at].DeepCopy()
	when := metav1.NewTime(now).Rfc3339Copy()
	record.RotationType, record.Import.PendingRotation, record.Import.RotationTime = v1alpha1.RotationOnDemand, false, &when
	return record, nil
}

// NextExpiry is when the first of a key's imported materials expires, zero if none does.
func NextExpiry(key *v1alpha1.KMSKey) (at time.Time) {
	for i := range key.Status.KeyMaterials {
		m := key.Status.KeyMaterials[i].Import
		if m != nil && m.State == v1alpha1.ImportStateImported && m.ValidTo != nil && (at.IsZero() || m.ValidTo.Time.Before(at)) {
			at = m.ValidTo.Time
		}
	}
	return at
}
