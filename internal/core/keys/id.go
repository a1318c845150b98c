package keys

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrInvalidID says that a key id or a key material id is not written as AWS KMS writes it.
var ErrInvalidID = errors.New("invalid id")

const (
	materialIDSize    = 32
	multiRegionPrefix = "mrk-"
	uuidExample       = "1234abcd-12ab-34cd-56ef-1234567890ab"
)

// NewMaterialID is a new id for key material: 32 random bytes as 64 hexadecimal digits, as AWS KMS shows it in
// CurrentKeyMaterialId. They are read from r, or from crypto/rand if r is nil.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_KeyMetadata.html
func NewMaterialID(r io.Reader) (string, error) {
	if r == nil {
		r = rand.Reader
	}
	var id [materialIDSize]byte
	if _, err := io.ReadFull(r, id[:]); err != nil {
		return "", fmt.Errorf("reading a random key material id: %w", err)
	}
	return hex.EncodeToString(id[:]), nil
}

// MaterialIDPrefix is the first 16 bytes of a key material id of 64 lower-case hexadecimal digits, for a Header.
// It fails with ErrInvalidID.
func MaterialIDPrefix(id string) ([16]byte, error) {
	b, ok := lowerHex(id, materialIDSize)
	if !ok {
		return [16]byte{}, fmt.Errorf("%w: key material id %.80q is not 64 lower-case hexadecimal digits", ErrInvalidID, id)
	}
	return [16]byte(b), nil
}

// ParseKeyID is the 16 bytes of a key id for a Header: of a lower-case UUID, or of a multi-Region key's "mrk-" and 32
// lower-case hexadecimal digits. Other spellings are refused, so that a key has one only. It fails with ErrInvalidID.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-id
func ParseKeyID(uuid string) ([16]byte, error) {
	digits, multiRegion := strings.CutPrefix(uuid, multiRegionPrefix)
	if !multiRegion {
		var ok bool
		if digits, ok = withoutDashes(uuid); !ok {
			return [16]byte{}, keyIDError(uuid)
		}
	}
	b, ok := lowerHex(digits, 16)
	if !ok {
		return [16]byte{}, keyIDError(uuid)
	}
	return [16]byte(b), nil
}

// MultiRegion tells whether a key id is that of a multi-Region key, by how it begins.
// https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
func MultiRegion(id string) bool { return strings.HasPrefix(id, multiRegionPrefix) }

// MultiRegionID is the multi-Region key id that has the digits of a UUID. Case and place of dashes are as they come: it is for UUIDs that are known
// to be written as Kubernetes does.
func MultiRegionID(uuid string) string { return multiRegionPrefix + strings.ReplaceAll(uuid, "-", "") }

// FormatKeyID is the UUID of a Header's key id. A header does not say whether its key is a multi-Region key.
func FormatKeyID(id [16]byte) string {
	d := hex.EncodeToString(id[:])
	return strings.Join([]string{d[:8], d[8:12], d[12:16], d[16:20], d[20:]}, "-")
}

func keyIDError(id string) error {
	return fmt.Errorf("%w: key id %.80q is not a lower-case UUID, for example %s", ErrInvalidID, id, uuidExample)
}

// withoutDashes takes the four dashes out of a UUID.
func withoutDashes(uuid string) (string, bool) {
	if len(uuid) != len(uuidExample) {
		return "", false
	}
	for _, i := range []int{8, 13, 18, 23} {
		if uuid[i] != '-' {
			return "", false
		}
	}
	return uuid[:8] + uuid[9:13] + uuid[14:18] + uuid[19:23] + uuid[24:], true
}

// lowerHex decodes size bytes. Upper case is refused, as two spellings of an id would be two ids.
func lowerHex(s string, size int) ([]byte, bool) {
	if len(s) != 2*size || s != strings.ToLower(s) {
		return nil, false
	}
	b, err := hex.DecodeString(s)
	return b, err == nil
}
