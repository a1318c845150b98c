package kms

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyimport"
)

const (
	// digestLength is that of each half of an ImportRequest.
	digestLength = 32
	// maximumDropped is how many DroppedImports are kept.
	maximumDropped = 100
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

// noteDropped keeps in an index what brought material that was taken away while it waited to be rotated to, and of which there is no record any more. Its token was made before, so
// that it is of no use when it has been known for the validity of one.
func noteDropped(status *v1alpha1.KMSKeyStatus, request string, at metav1.Time) {
	if request == "" { // it was imported by the AWS API, which tells nothing twice
		return
	}
	if len(request) > digestLength {
		request = request[digestLength:]
	}
	status.DroppedImports = slices.DeleteFunc(status.DroppedImports, func(d v1alpha1.DroppedImport) bool {
		return d.Request == request || at.Sub(d.Time.Time) > keyimport.Validity
	})
	status.DroppedImports = append(status.DroppedImports, v1alpha1.DroppedImport{Request: request, Time: at})
	status.DroppedImports = status.DroppedImports[max(0, len(status.DroppedImports)-maximumDropped):]
}

// dropped tells whether an index knows that what this request brought was taken away.
func (q ImportRequest) dropped(status *v1alpha1.KMSKeyStatus) bool {
	return slices.ContainsFunc(status.DroppedImports, func(d v1alpha1.DroppedImport) bool { return d.Request == q.Source || d.Request == q.Whole })
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

// broughtOnce tells whether the key had what the request brings, by what it keeps of that besides its materials.
func (q ImportRequest) broughtOnce(status *v1alpha1.KMSKeyStatus) bool {
	return q.brought(status.LastHandledImport) || q.dropped(status)
}

// Handled tells of a spec.importedMaterial whether there is nothing to import by it: it was imported before as it is, or the key no longer has at a
// time what its token brought, which is then spent. What is there still may be said anew by the same token: its end and its description.
func Handled(status *v1alpha1.KMSKeyStatus, q ImportRequest, now time.Time) (handled, spent bool) {
	known, brought, there := q.made(status.LastHandledImport), q.broughtOnce(status), false
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
