package kms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// maximumPlanted is how many Envelopes are passed over that have a name of the log and do not open, before a change gives up.
const maximumPlanted = 64

// nextImport is the record that is stored and not in the index, or the sequence of the next one if there is none. What does not open is passed over: somebody else may
// have put it there.
func (s *Service) nextImport(ctx context.Context, key *v1alpha1.KMSKey) (stored *v1alpha1.Envelope, sequence int64, err error) {
	for sequence = key.Status.LastImportSequence + 1; sequence <= key.Status.LastImportSequence+maximumPlanted; sequence++ {
		e := &v1alpha1.Envelope{}
		name := store.Name(v1alpha1.EnvelopeKeyMaterial, key.Status.ARN, sequence)
		err := s.Live.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: name}, e)
		if apierrors.IsNotFound(err) {
			return nil, sequence, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("reading Envelope %s: %w", name, err)
		}
		if store.Condemned(e) {
			return nil, 0, fmt.Errorf("%w: Envelope %s", store.ErrCondemned, name)
		}
		err = store.CheckIdentity(e, Owner(key.Name), key.Status.ARN, store.Version(e))
		if err == nil {
			var opened secretbytes.Bytes
			opened, err = s.openImported(key, e)
			opened.Wipe()
		}
		switch {
		case err == nil:
			return e, sequence, nil
		case !errors.Is(err, store.ErrTampered):
			return nil, 0, err
		}
	}
	return nil, 0, fmt.Errorf("%w: the next %d names of its key material are taken by Envelopes that do not open; delete those", store.ErrTampered, maximumPlanted)
}

// storeImport stores a record under a sequence number, with the material if it says that it is there, which stays the caller's. It tells whether this
// made it: somebody else may have had the number first.
func (s *Service) storeImport(ctx context.Context, key *v1alpha1.KMSKey, record *v1alpha1.KeyMaterial, sequence int64, material secretbytes.Bytes) (e *v1alpha1.Envelope, made bool, err error) {
	ring, err := s.Keyring.Get()
	if err != nil {
		return nil, false, err
	}
	version := versions.Version{ID: record.ID, Sequence: sequence, Created: s.Now()}
	if record.RotationType != "" {
		version.Stages = []string{string(record.RotationType)}
	}
	e = store.New(key.Namespace, v1alpha1.EnvelopeKeyMaterial, Owner(key.Name), key.Status.ARN, version, store.DomainKey(ring))
	e.Spec.Import = record.Import.DeepCopy()
	header, err := tokenHeader(key.Status.KeyID, record.ID)
	if err != nil {
		return nil, false, err
	}
	payload := secretbytes.Own([]byte(noMaterial))
	if record.Import.State == v1alpha1.ImportStateImported {
		secretbytes.Do(func() { payload = labelled(key, secretbytes.Copy(material.Reveal())) })
	}
	defer payload.Wipe()
	if e.Spec.Ciphertext, err = ring.WrapToken(header, store.Bound(e), payload); err != nil {
		return nil, false, fmt.Errorf("wrapping key material: %w", err)
	}
	stored, err := s.Store.Create(ctx, e)
	return stored, err == nil && stored == e, err
}

// RecordImport is ImportMaterial for a key's controller, which commits the record itself: it is nil if there is nothing to do. A conflict says that somebody else was faster.
func (s *Service) RecordImport(ctx context.Context, key *v1alpha1.KMSKey, w Wrapped, asked Import) (*v1alpha1.KeyMaterial, error) {
	opened, err := s.unwrapImport(key, w)
	if err != nil {
		return nil, err
	}
	defer opened.material.Wipe()
	in, err := s.importInput(ctx, key, opened.id, asked)
	if errors.Is(err, errBehind) {
		return nil, changedMeanwhile(key)
	}
	if err != nil {
		return nil, err
	}
	record, err := decideImport(in)
	if err == nil && record != nil && opened.expired {
		err = ErrImportTokenExpired
	}
	if err != nil || record == nil {
		return nil, err
	}
	return s.appendImport(ctx, key, record, opened.material)
}

// RecordExpiry records the materials of a key that have expired, for its controller. They are in its index then.
func (s *Service) RecordExpiry(ctx context.Context, key *v1alpha1.KMSKey) error {
	for _, record := range decideExpiry(importsOf(&key.Status), s.Now()) {
		made, err := s.appendImport(ctx, key, record, secretbytes.Bytes{})
		if err != nil {
			return err
		}
		TakeImports(&key.Status, *made)
	}
	return nil
}

// RecordPromotion makes the material current that waits to be rotated to, for the key's controller, as RecordImport does. It fails with
// ErrNothingPending.
func (s *Service) RecordPromotion(ctx context.Context, key *v1alpha1.KMSKey) (*v1alpha1.KeyMaterial, error) {
	record, err := decidePromotion(importsOf(&key.Status), s.Now())
	if err != nil {
		return nil, err
	}
	material, err := s.recordedMaterial(ctx, key, record)
	if err != nil {
		return nil, err
	}
	defer material.Wipe()
	return s.appendImport(ctx, key, record, material)
}

// recordedMaterial opens the Envelope that a record was made of. The caller wipes the material.
func (s *Service) recordedMaterial(ctx context.Context, key *v1alpha1.KMSKey, record *v1alpha1.KeyMaterial) (secretbytes.Bytes, error) {
	e, err := s.Store.Get(ctx, key.Namespace, v1alpha1.EnvelopeKeyMaterial, Owner(key.Name), key.Status.ARN, versions.Version{ID: record.ID, Sequence: record.Sequence})
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	return s.openImported(key, e)
}

// changedMeanwhile is the conflict of a pass that is to be made again.
func changedMeanwhile(key *v1alpha1.KMSKey) error {
	return apierrors.NewConflict(schema.GroupResource{Group: v1alpha1.Group, Resource: "kmskeys"}, key.Name, errors.New("its key material was changed meanwhile"))
}

// appendImport stores a record under the next sequence number and answers it as the index has it.
func (s *Service) appendImport(ctx context.Context, key *v1alpha1.KMSKey, record *v1alpha1.KeyMaterial, material secretbytes.Bytes) (*v1alpha1.KeyMaterial, error) {
	stored, sequence, err := s.nextImport(ctx, key)
	if err != nil {
		return nil, err
	}
	made := false
	if stored == nil {
		stored, made, err = s.storeImport(ctx, key, record, sequence, material)
	}
	if err != nil {
		return nil, err
	}
	if !made { // the next pass takes it in
		return nil, changedMeanwhile(key)
	}
	m := MaterialOf(stored)
	return &m, nil
}

// eraseFormer erases the Envelopes of materials that an index named and that the committed one names no more.
func (s *Service) eraseFormer(ctx context.Context, key *v1alpha1.KMSKey, former []v1alpha1.KeyMaterial) error {
	for _, m := range former {
		if slices.ContainsFunc(key.Status.KeyMaterials, func(k v1alpha1.KeyMaterial) bool { return k.Sequence == m.Sequence }) {
			continue
		}
		e := &v1alpha1.Envelope{}
		name := store.Name(v1alpha1.EnvelopeKeyMaterial, key.Status.ARN, m.Sequence)
		err := s.Live.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: name}, e)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err == nil {
			s.Materials.Forget(openedAs(Material{key, m}, e))
			err = s.Store.Delete(ctx, e)
		}
		if err != nil {
			return fmt.Errorf("erasing former key material: %w", err)
		}
	}
	return nil
}

// UnnamedImports are the Envelopes of imported material of a key that an index does not name, by whether they are of use still: missing ones are to be
// taken in, whether they are newer or were lost from the index; stale ones say less than what the index has, and are to be erased. It is right about an index
// that is old, too: a later one names none of the stale ones either.
func UnnamedImports(envelopes []v1alpha1.Envelope, index *v1alpha1.KMSKeyStatus) (missing, stale []*v1alpha1.Envelope) {
	// settled are the materials of which the index knows, or knew until they were dropped, by the last sequence that says so.
	settled := map[string]int64{}
	var own []*v1alpha1.Envelope
	for i := range envelopes {
		if e := &envelopes[i]; e.Spec.Class == v1alpha1.EnvelopeKeyMaterial && e.Spec.Subject == index.ARN {
			own = append(own, e)
			if names(index, e) || dropped(index, e) {
				settled[e.Spec.Version] = max(settled[e.Spec.Version], e.Spec.Sequence)
			}
		}
	}
	for _, e := range own {
		switch superseded := e.Spec.Import != nil && e.Spec.Sequence < settled[e.Spec.Version]; {
		case names(index, e):
		case superseded, dropped(index, e):
			stale = append(stale, e)
		default:
			missing = append(missing, e)
		}
	}
	// The oldest first: a deletion says what is true of an import for as long as there is that.
	slices.SortFunc(stale, func(a, b *v1alpha1.Envelope) int { return cmp.Compare(a.Spec.Sequence, b.Spec.Sequence) })
	return missing, stale
}

func names(index *v1alpha1.KMSKeyStatus, e *v1alpha1.Envelope) bool {
	return slices.ContainsFunc(index.KeyMaterials, func(k v1alpha1.KeyMaterial) bool { return k.Sequence == e.Spec.Sequence })
}

// dropped tells that an Envelope is of material which waited to be rotated to and was taken away, and that the index has taken that in.
func dropped(index *v1alpha1.KMSKeyStatus, e *v1alpha1.Envelope) bool {
	i := e.Spec.Import
	return i != nil && i.PendingRotation && e.Spec.Sequence <= index.LastDroppedImportSequence
}

// SweepImports erases what UnnamedImports finds stale by a committed index: what a crash left, or a backup brought back.
func (s *Service) SweepImports(ctx context.Context, key *v1alpha1.KMSKey, committed *v1alpha1.KMSKeyStatus) error {
	envelopes, err := s.Store.OfOwner(ctx, key.Namespace, Owner(key.Name))
	if err != nil {
		return err
	}
	_, stale := UnnamedImports(envelopes, committed)
	for _, e := range stale {
		s.Materials.Forget(openedAs(Material{key, MaterialOf(e)}, e))
		if err := s.Store.Delete(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
