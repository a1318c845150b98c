package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyimport"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/store"
)

// ErrImportTokenExpired says that an import token has ended. It is AWS KMS's ExpiredImportTokenException.
var ErrImportTokenExpired = errors.New("the import token has expired; get another one, and wrap the key material by its public key")

// ImportParameters are what key material is wrapped by, and imported with.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GetParametersForImport.html
type ImportParameters struct {
	// PublicKey is a SubjectPublicKeyInfo (RFC 5280) in DER.
	PublicKey []byte
	// Token holds the other half, sealed.
	Token []byte
	// ValidTo is when both end.
	ValidTo time.Time
}

// ParametersForImport makes a wrapping key and its token. Nothing is kept. One RSA key is made at a time of those that callers ask for, as for data key
// pairs. It fails with keyimport.ErrUnsupported for what material of the key's spec is not wrapped by.
func (s *Service) ParametersForImport(ctx context.Context, key *v1alpha1.KMSKey, a keyimport.Algorithm, wrapping keys.Spec) (out ImportParameters, err error) {
	if err := keyimport.Check(SpecOf(key), a, wrapping); err != nil {
		return out, err
	}
	ring, err := s.Keyring.Get()
	if err != nil {
		return out, err
	}
	private, err := newPrivateKey(ctx, wrapping, keys.AwaitPairTurn(key.Namespace))
	if err != nil {
		return out, err
	}
	defer private.Wipe()
	parsed, err := keys.ParsePrivateKey(wrapping, private)
	if err != nil {
		return out, err
	}
	defer parsed.Wipe()
	out.PublicKey, out.ValidTo = parsed.Public().DER(), s.Now().Add(keyimport.Validity).Truncate(time.Second)
	out.Token, err = keyimport.NewToken(ring, key.Status.ARN, a, wrapping, private, out.ValidTo)
	return out, err
}

// Wrapped is material as it is imported.
type Wrapped struct {
	// Token of ParametersForImport, and Material wrapped by its public key.
	Token, Material []byte
	// Again tells that a token which has ended is good enough if the key has the material as it is asked for: a manifest is applied again and again.
	Again bool
}

// unwrapped is material that was imported, with its id.
type unwrapped struct {
	id       string
	material secretbytes.Bytes
	expired  bool
}

// unwrapImport opens wrapped material for a key. The caller wipes it.
func (s *Service) unwrapImport(key *v1alpha1.KMSKey, w Wrapped) (out unwrapped, err error) {
	ring, err := s.Keyring.Get()
	if err != nil {
		return out, err
	}
	token, err := keyimport.OpenToken(s.Keyring, key.Status.ARN, w.Token)
	if err != nil {
		return out, err
	}
	defer token.Wipe()
	if out.expired = token.Expired(s.Now()); out.expired && !w.Again {
		return out, ErrImportTokenExpired
	}
	if out.material, err = token.Unwrap(w.Material); err != nil {
		return out, err
	}
	if out.id, err = importedID(ring, key, out.material); err != nil {
		out.material.Wipe()
		return unwrapped{}, err
	}
	return out, nil
}

// ImportMaterial imports key material, and answers its id when every later read through this process knows of it. check is asked whether the key as it
// is now may be imported into; its error ends it. What is wrong is keyimport.ErrInvalidToken, ErrImportTokenExpired, keys.ErrInvalidCiphertext,
// keyimport.ErrIncorrectMaterial, or one of the errors of a decision: ErrIncorrectMaterial, ErrRotationPending, ErrSymmetricOnly, ErrImportParameters, ErrNewAtPrimary,
// ErrPrimaryChanging.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ImportKeyMaterial.html
//
// Crash-safe: the Envelope comes first, and the index that commits it second. What a crash leaves in between is the whole of an import that was asked
// for, and is taken in by whoever looks next. The former Envelope of the same material goes last.
func (s *Service) ImportMaterial(ctx context.Context, key *v1alpha1.KMSKey, w Wrapped, asked Import, check func(*v1alpha1.KMSKey) error) (id string, err error) {
	opened, err := s.unwrapImport(key, w)
	if err != nil {
		return "", err
	}
	defer opened.material.Wipe()
	for range attempts {
		if err = s.importOpened(ctx, key, opened, asked, check); !errors.Is(err, errBehind) {
			break
		}
		if err = s.catchUp(ctx, key); err != nil {
			break
		}
	}
	return opened.id, err
}

// importOpened is ImportMaterial of material that was opened. It fails with errBehind, too.
func (s *Service) importOpened(ctx context.Context, key *v1alpha1.KMSKey, opened unwrapped, asked Import, check func(*v1alpha1.KMSKey) error) error {
	return s.changeImports(ctx, key, func(k *v1alpha1.KMSKey) (*v1alpha1.KeyMaterial, secretbytes.Bytes, error) {
		if err := check(k); err != nil {
			return nil, secretbytes.Bytes{}, err
		}
		in, err := s.importInput(ctx, k, opened.id, asked)
		if err != nil {
			return nil, secretbytes.Bytes{}, err
		}
		record, err := decideImport(in)
		return record, opened.material, err
	})
}

// importInput is what the decision about material of an id depends on. Whether the key's Envelope of it opens is looked at if the key should have it. It fails with errBehind.
func (s *Service) importInput(ctx context.Context, key *v1alpha1.KMSKey, id string, asked Import) (*importInput, error) {
	in := &importInput{
		Import: asked, materials: importsOf(&key.Status), rotates: SpecOf(key).Rotates(), id: id, now: s.Now(), replica: IsReplica(key), updating: Updating(key),
	}
	if err := s.inheritImports(ctx, key, in); err != nil {
		return nil, err
	}
	for _, m := range in.materials {
		if m.ID != id || m.Import.State != v1alpha1.ImportStateImported {
			continue
		}
		err := s.verifyImported(ctx, key, m)
		if in.lost = errors.Is(err, store.ErrMissing) || errors.Is(err, store.ErrTampered); err != nil && !in.lost {
			return nil, err
		}
	}
	return in, nil
}

// DeleteImportedMaterial deletes imported key material, that of an id or the current one if it is empty, and answers its id; empty if there is none. check
// is as that of ImportMaterial. It fails with ErrMaterialNotFound. When it is answered, nothing of the material is left in the API. What replicas have of it is theirs, but for material
// that their primary was to be rotated to: without it there, it waits for nothing here.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DeleteImportedKeyMaterial.html
//
// Crash-safe: an Envelope that says so comes first, the index second, and the erasure last, which the key's controller makes up for.
func (s *Service) DeleteImportedMaterial(ctx context.Context, key *v1alpha1.KMSKey, id string, check func(*v1alpha1.KMSKey) error) (deleted string, err error) {
	waited := false
	err = s.changeImports(ctx, key, func(k *v1alpha1.KMSKey) (record *v1alpha1.KeyMaterial, none secretbytes.Bytes, err error) {
		if err := check(k); err != nil {
			return nil, none, err
		}
		record, deleted, err = decideDelete(importsOf(&k.Status), id)
		waited = waited || record != nil && record.Import.PendingRotation
		return record, none, err
	})
	if err != nil {
		return deleted, err
	}
	now, err := s.live(ctx, key) // whoever committed the deletion may not have come to the erasure
	if err != nil {
		return deleted, err
	}
	if err := s.SweepImports(ctx, now, &now.Status); err != nil || !waited {
		return deleted, err
	}
	return deleted, s.catchUpReplicas(ctx, now)
}

// changeImports makes one change of a key's imported material: what decide says of the key as it is, nil for none. It is asked once more whenever somebody
// else was faster. The material stays the caller's.
func (s *Service) changeImports(ctx context.Context, key *v1alpha1.KMSKey,
	decide func(*v1alpha1.KMSKey) (*v1alpha1.KeyMaterial, secretbytes.Bytes, error),
) error {
	turn := key.Namespace + "/" + key.Name
	turns.LockKey(turn)
	defer func() { _ = turns.UnlockKey(turn) }()
	var mine int64 // the sequence of this change, once it is stored
	for range attempts {
		now, err := s.live(ctx, key)
		if err != nil {
			return err
		}
		if mine != 0 && now.Status.LastImportSequence >= mine { // by this one's commit, or by the key's controller's
			_, err := s.await(ctx, now)
			return err
		}
		stored, sequence, err := s.nextImport(ctx, now)
		if err != nil {
			return err
		}
		if stored != nil {
			if err := s.commitImport(ctx, now, stored); err != nil && !apierrors.IsConflict(err) {
				return err
			}
			continue
		}
		made, nothing, err := s.decided(ctx, now, sequence, decide)
		if err != nil || nothing {
			return err
		}
		if made {
			mine = sequence
		}
	}
	return fmt.Errorf("importing key material into KMSKey %s: others change it all the time", key.Name)
}

// decided stores what decide says of a key under a sequence number, and tells whether it did: somebody else may have had the number first, or there is
// nothing to do.
func (s *Service) decided(ctx context.Context, key *v1alpha1.KMSKey, sequence int64,
	decide func(*v1alpha1.KMSKey) (*v1alpha1.KeyMaterial, secretbytes.Bytes, error),
) (made, nothing bool, err error) {
	s.asOfNow(key)
	record, material, err := decide(key)
	if err != nil {
		return false, false, err
	}
	if record == nil {
		_, err := s.await(ctx, key)
		return false, true, err
	}
	_, made, err = s.storeImport(ctx, key, record, sequence, material)
	return made, false, err
}

// live is a key as the API server has it. It fails with ErrGone.
func (s *Service) live(ctx context.Context, key *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	now := &v1alpha1.KMSKey{}
	err := s.Live.Get(ctx, client.ObjectKeyFromObject(key), now)
	if apierrors.IsNotFound(err) || err == nil && (now.UID != key.UID || Gone(now)) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("reading KMSKey %s: %w", key.Name, err)
	}
	return now, nil
}

// commitImport takes a stored record into the index, and erases what it takes the place of.
func (s *Service) commitImport(ctx context.Context, key *v1alpha1.KMSKey, stored *v1alpha1.Envelope) error {
	former := slices.Clone(key.Status.KeyMaterials)
	TakeImports(&key.Status, MaterialOf(stored))
	key.Status.KeyState = State(key, false)
	if err := s.Client.Status().Update(ctx, key, FieldOwner); err != nil {
		return fmt.Errorf("writing the status of KMSKey %s: %w", key.Name, err)
	}
	return s.eraseFormer(ctx, key, former)
}
