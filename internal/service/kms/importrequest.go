package kms

import (
	"encoding/binary"
	"strings"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// ImportRequest is what a spec.importedMaterial is known by when it was imported.
type ImportRequest struct {
	// Whole is a digest of all of it, and Source one of the token and the wrapped material alone: what brings the material, whatever is said of it.
	Whole, Source string
}

// String is the request as a key's index has it. Whole comes first, since it is all that indexes of before there was Source have.
func (q ImportRequest) String() string { return q.Whole + q.Source }

// made tells whether an index's request is this one.
func (q ImportRequest) made(request string) bool { return strings.HasPrefix(request, q.Whole) }

// brought tells whether an index's request has the same token and wrapped material as this one.
func (q ImportRequest) brought(request string) bool {
	return len(request) > len(q.Whole) && strings.HasSuffix(request, q.Source)
}

// ImportRequest is what a spec.importedMaterial is known by.
func (s *Service) ImportRequest(m *v1alpha1.ImportedMaterial) (ImportRequest, error) {
	ring, err := s.Keyring.Get()
	if err != nil {
		return ImportRequest{}, err
	}
	var to [8]byte
	if m.ValidTo != nil {
		binary.BigEndian.PutUint64(to[:], uint64(m.ValidTo.Unix()))
	}
	return ImportRequest{
		Whole:  ring.Digest("kms-import-request", m.ImportToken, m.EncryptedKeyMaterial, to[:], []byte(m.ImportType), []byte(m.Description)),
		Source: ring.Digest("kms-import-source", m.ImportToken, m.EncryptedKeyMaterial),
	}, nil
}

// Handled tells of a spec.importedMaterial whether there is nothing to import by it: it was imported before as it is, or the key no longer has at a
// time what its token brought, which is then spent. What is there still may be said anew by the same token: its end and its description.
func Handled(status *v1alpha1.KMSKeyStatus, q ImportRequest, now time.Time) (handled, spent bool) {
	known, brought, there := q.made(status.LastHandledImport), q.brought(status.LastHandledImport), false
	for i := range status.KeyMaterials {
		m := status.KeyMaterials[i].Import
		if m == nil || m.Request == "" {
			continue
		}
		known = known || q.made(m.Request)
		mine := q.made(m.Request) || q.brought(m.Request)
		brought = brought || mine
		// One of before there was Source may be what the token brought.
		there = there || (mine || len(m.Request) == len(q.Whole)) && Present(m, now)
	}
	spent = (known || brought) && !there
	return known || spent, spent
}
