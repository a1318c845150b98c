package imports

import (
	"encoding/json"
	"errors"
	"fmt"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/fault"
)

// NameOf names the source of a value as status does: a sealed text by its digest, a key of a core Secret as NAME/KEY. It is empty for a value that
// is neither.
func NameOf(sealed string, from *v1alpha1.SecretValueSource) string {
	switch {
	case sealed != "":
		return v1alpha1.SealedSource + sealing.Digest(sealed)
	case from != nil:
		return from.SecretKeyRef.Name + "/" + from.SecretKeyRef.Key
	}
	return ""
}

// Former names the source of the value that an object had when it was deleted, by the spec that its tombstone keeps, so that another in the spec of
// now is not taken for it. If that is not known, it is taken to be the one of now.
func Former(spec []byte, now string) string {
	var former struct { // of any kind that imports
		Sealed    string                      `json:"sealed"`
		ValueFrom *v1alpha1.SecretValueSource `json:"valueFrom"`
	}
	if len(spec) == 0 || json.Unmarshal(spec, &former) != nil {
		return now
	}
	return NameOf(former.Sealed, former.ValueFrom)
}

// SealedFault is what it means that a sealed value does not open. One that is not this object's, which is a secret or a parameter, is SealedInvalid until somebody changes it;
// all else is as it was.
func SealedFault(err error, object string) error {
	if errors.Is(err, sealing.ErrInvalid) {
		return fault.Stalled(v1alpha1.ReasonSealedInvalid, fmt.Errorf("spec.sealed: %w; seal the value again for this %s's name and namespace", err, object))
	}
	return err
}
