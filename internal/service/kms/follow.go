package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// Follow gives a replica the materials of its primary that it lacks, each in an Envelope of its own under the replica's ARN, and the primary's current one as
// current. The replica's status is to be committed, whatever the error: it has what was stored. The caller has seen that it is a replica of that primary, which
// names it.
//
// Crash-safe: the Envelopes first, each next in the replica's own sequence, which one writer alone can make; the index second, by the caller. What a crash leaves
// between the two is found by its name, and has to be that material and to open.
func (s *Service) Follow(ctx context.Context, replica, primary *v1alpha1.KMSKey) error {
	status := &replica.Status
	former, _ := CurrentMaterial(replica)
	var failed error
	for _, m := range primary.Status.KeyMaterials {
		if hasMaterial(status, m.ID) {
			continue
		}
		copied, err := s.copyMaterial(ctx, replica, Material{primary, m})
		if err != nil { // one that is damaged does not keep the replica from the others
			failed = errors.Join(failed, err)
			continue
		}
		status.KeyMaterials = append(status.KeyMaterials, copied)
	}
	SortMaterials(status)
	if current, ok := CurrentMaterial(primary); ok && hasMaterial(status, current.ID) {
		former = current
	}
	makeCurrent(status, former.ID) // none, if it has neither: it must not encrypt under what its primary has retired
	return failed
}

// Ahead tells that what a replica encrypts under is not in its primary's index, as after a change of the primary by hand: then which material is current is not that one's to say.
func Ahead(replica, primary *v1alpha1.KMSKey) bool {
	current, ok := CurrentMaterial(replica)
	return ok && !settledOn(&primary.Status, current.ID)
}

// Lacks tells that a replica is not as its primary's index says.
func Lacks(replica, primary *v1alpha1.KMSKey) bool {
	for _, m := range primary.Status.KeyMaterials {
		if m.State != v1alpha1.KeyMaterialPendingRotation && !settledOn(&replica.Status, m.ID) {
			return true
		}
	}
	theirs, _ := CurrentMaterial(primary)
	ours, _ := CurrentMaterial(replica)
	return theirs.ID != ours.ID
}

func hasMaterial(status *v1alpha1.KMSKeyStatus, id string) bool {
	return materialAt(status.KeyMaterials, id) >= 0
}

// settledOn tells that a key has a material and that it does not wait to be rotated to, as imported material does.
func settledOn(status *v1alpha1.KMSKeyStatus, id string) bool {
	return slices.ContainsFunc(status.KeyMaterials, func(m v1alpha1.KeyMaterial) bool {
		return m.ID == id && m.State != v1alpha1.KeyMaterialPendingRotation
	})
}

// materialByID is the material of a key that has an id, in whatever state.
func materialByID(key *v1alpha1.KMSKey, id string) (m v1alpha1.KeyMaterial, ok bool) {
	at := materialAt(key.Status.KeyMaterials, id)
	if at < 0 {
		return m, false
	}
	return key.Status.KeyMaterials[at], true
}

// materialAt is the place of the material of an id, negative if it is not there.
func materialAt(materials []v1alpha1.KeyMaterial, id string) int {
	return slices.IndexFunc(materials, func(m v1alpha1.KeyMaterial) bool { return m.ID == id })
}

// makeCurrent makes one material current and the others not.
func makeCurrent(status *v1alpha1.KMSKeyStatus, id string) {
	for i := range status.KeyMaterials {
		m := &status.KeyMaterials[i]
		m.State = v1alpha1.KeyMaterialNonCurrent
		if m.ID == id {
			m.State = v1alpha1.KeyMaterialCurrent
		}
	}
}

// AddFormer takes materials into a replica's index, of which none becomes current if there is one: which one is, its primary says.
func AddFormer(status *v1alpha1.KMSKeyStatus, materials []v1alpha1.KeyMaterial) {
	current, ok := CurrentMaterial(&v1alpha1.KMSKey{Status: *status})
	status.KeyMaterials = append(status.KeyMaterials, materials...)
	SortMaterials(status)
	if ok {
		makeCurrent(status, current.ID)
	}
}

// copyMaterial stores a material of a primary as its replica's next. It keeps its id, why and when it was made, and its bytes; all that binds it is the replica's. A
// name that an Envelope of something else has is passed over.
func (s *Service) copyMaterial(ctx context.Context, replica *v1alpha1.KMSKey, m Material) (copied v1alpha1.KeyMaterial, err error) {
	e, err := s.stored(ctx, m)
	if err != nil {
		return copied, fmt.Errorf("reading the primary, KMSKey %s: %w", m.Key.Name, err)
	}
	material, err := s.unwrap(m.Key.Status.KeyID, e)
	if err != nil {
		return copied, fmt.Errorf("reading the primary, KMSKey %s: %w", m.Key.Name, err)
	}
	defer material.Wipe()
	ring, err := s.Keyring.Get()
	if err != nil {
		return copied, err
	}
	header, err := tokenHeader(replica.Status.KeyID, m.ID)
	if err != nil {
		return copied, err
	}
	version, arn := store.Version(e), replica.Status.ARN
	for version.Sequence = lastSequence(&replica.Status) + 1; version.Sequence <= lastSequence(&replica.Status)+maximumPlanted; version.Sequence++ {
		next := store.New(replica.Namespace, v1alpha1.EnvelopeKeyMaterial, Owner(replica.Name), arn, version, store.DomainKey(ring))
		if next.Spec.Ciphertext, err = ring.WrapToken(header, store.Bound(next), material); err != nil {
			return copied, fmt.Errorf("wrapping key material: %w", err)
		}
		stored, err := s.Store.Create(ctx, next)
		if err != nil {
			return copied, err
		}
		switch err := s.whole(replica, stored, version); {
		case err == nil:
			return MaterialOf(stored), nil
		case !errors.Is(err, store.ErrTampered):
			return copied, err
		}
	}
	return copied, fmt.Errorf("%w: the next %d names of its key material are taken by other Envelopes", store.ErrTampered, maximumPlanted)
}

// stored is the Envelope of a material. It asks the API server for one that the cache does not have, before it wraps store.ErrMissing.
func (s *Service) stored(ctx context.Context, m Material) (*v1alpha1.Envelope, error) {
	version := versions.Version{ID: m.ID, Sequence: m.Sequence}
	e, err := s.Store.Get(ctx, m.Key.Namespace, v1alpha1.EnvelopeKeyMaterial, Owner(m.Key.Name), m.Key.Status.ARN, version)
	if !errors.Is(err, store.ErrMissing) {
		return e, err
	}
	e = &v1alpha1.Envelope{}
	name := client.ObjectKey{Namespace: m.Key.Namespace, Name: store.Name(v1alpha1.EnvelopeKeyMaterial, m.Key.Status.ARN, m.Sequence)}
	switch live := s.Live.Get(ctx, name, e); {
	case apierrors.IsNotFound(live):
		return nil, err
	case live != nil:
		return nil, fmt.Errorf("reading Envelope %s: %w", name.Name, live)
	}
	return e, store.CheckIdentity(e, Owner(m.Key.Name), m.Key.Status.ARN, version)
}

// whole proves that a stored material is the one that is meant and opens.
func (s *Service) whole(key *v1alpha1.KMSKey, stored *v1alpha1.Envelope, version versions.Version) error {
	if err := store.CheckIdentity(stored, Owner(key.Name), key.Status.ARN, version); err != nil {
		return err
	}
	opened, err := s.unwrap(key.Status.KeyID, stored)
	opened.Wipe()
	return err
}

func lastSequence(status *v1alpha1.KMSKeyStatus) (last int64) {
	for i := range status.KeyMaterials {
		last = max(last, status.KeyMaterials[i].Sequence)
	}
	return last
}
