package secretsmanager

import (
	"encoding/json/v2"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
)

// Entombed is what a tombstone tells of a secret that is scheduled for deletion.
type Entombed struct {
	// Spec is the last one; only the name is known of a secret that was deleted while no manager ran.
	Spec v1alpha1.SecretSpec
	// Status has the ARN and the versions.
	Status v1alpha1.SecretStatus
}

// Exhume reads a tombstone. It wraps store.ErrTampered or keyring.ErrSealed.
func (s *Service) Exhume(e *v1alpha1.Envelope) (Entombed, error) {
	var out Entombed
	ring, err := s.KMS.Keyring.Get()
	if err != nil {
		return out, err
	}
	t, err := store.OpenTombstone(ring, e)
	if err != nil {
		return out, err
	}
	if len(t.Spec) > 0 {
		if err := json.Unmarshal(t.Spec, &out.Spec); err != nil {
			return out, store.ErrTampered
		}
	}
	if out.Spec.Name == "" {
		out.Spec.Name = nameIn(e.Spec.Subject)
	}
	Record(&out.Status, e.Spec.Subject, t.Index, s.Now())
	return out, nil
}

// EntombedTags are the tags that a secret had which is scheduled for deletion; none if its tombstone does not open.
func (s *Service) EntombedTags(e *v1alpha1.Envelope) []v1alpha1.Tag {
	found, err := s.Exhume(e)
	if err != nil {
		return nil
	}
	return found.Spec.Tags
}

// nameIn is the AWS name in a secret's ARN.
func nameIn(secretARN string) string {
	id, err := ParseID(secretARN)
	if err != nil {
		return ""
	}
	return id.Name
}
