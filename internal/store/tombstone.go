package store

import (
	jsonv1 "encoding/json"
	"encoding/json/v2"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
)

// Tombstone is what is left of a deleted object until its recovery window ends.
type Tombstone struct {
	// Spec is the object's last spec as JSON. It is null if the object was deleted while no manager ran.
	Spec []byte `json:"spec,omitempty"`
	// Index is the index of its versions.
	Index versions.Index `json:"index"`
	// PolicyBinding is whom the policy in Spec names, with the digest of a policy of no object: whoever is made under the name of one that
	// was deleted is not let in by the restored object either.
	PolicyBinding *v1alpha1.PolicyBinding `json:"policyBinding,omitempty"`
	// KeyID is the id of a deleted KMSKey.
	KeyID string `json:"keyId,omitempty"`
}

// maximumSpec is the longest spec that a tombstone keeps, in bytes. An Envelope has room for a little more.
const maximumSpec = 128 * 1024

// SpecOf is a spec as a tombstone keeps it. One that is too long is left out, since the versions matter more.
func SpecOf(spec any) []byte {
	b, err := jsonv1.Marshal(spec) // as the Kubernetes API does: omitempty leaves out 0 too
	if err != nil || len(b) > maximumSpec {
		return nil
	}
	return b
}

// NewTombstone makes the Envelope of a tombstone. Its sequence is that of the index's last version, so a tombstone of an
// earlier deletion is told from the newest.
func NewTombstone(ring *keyring.Keyring, namespace string, owner v1alpha1.EnvelopeOwner, subject string,
	t Tombstone, deleted, expires time.Time,
) (*v1alpha1.Envelope, error) {
	payload, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encoding the tombstone of %s: %w", subject, err)
	}
	version := versions.Version{ID: "tombstone", Sequence: t.Index.Last(), Created: deleted}
	e := New(namespace, v1alpha1.EnvelopeTombstone, owner, subject, version, domainKey(ring.CurrentEpoch()))
	expireTime := metav1.NewTime(expires).Rfc3339Copy()
	e.Spec.ExpireTime = &expireTime
	e.Spec.Ciphertext, err = ring.Seal(keys.KindTombstone, Bound(e), secretbytes.Own(payload))
	if err != nil {
		return nil, fmt.Errorf("sealing the tombstone of %s: %w", subject, err)
	}
	return e, nil
}

// Forged tells whether a tombstone is none of Strongroom's: it does not open, so nothing that it says counts, such as until when it holds a name. One of which a keyring that is sealed cannot
// tell is taken for what it says.
func Forged(ring keyring.Opener, e *v1alpha1.Envelope) bool {
	_, err := OpenTombstone(ring, e)
	return errors.Is(err, ErrTampered)
}

// OpenTombstone reads the Envelope of a tombstone. It wraps ErrTampered if it does not open, or keyring.ErrSealed.
func OpenTombstone(ring keyring.Opener, e *v1alpha1.Envelope) (Tombstone, error) {
	var t Tombstone
	payload, err := ring.Open(keys.KindTombstone, Bound(e), e.Spec.Ciphertext)
	if Elsewhere(e, err) {
		return t, err
	}
	if err != nil {
		return t, fmt.Errorf("%w: tombstone %s does not open", ErrTampered, e.Name)
	}
	if err := json.Unmarshal(payload.Reveal(), &t); err != nil {
		return t, fmt.Errorf("%w: tombstone %s is not readable", ErrTampered, e.Name)
	}
	return t, nil
}
