package kms

import (
	"bytes"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// label is what stored material begins with that is not of the usage that its bytes alone tell: 32 bytes encrypt, and a private key signs. A
// KMSKey that is deleted and applied again with another usage finds by it that its material is of another kind, so that no key is ever used in two
// ways (NIST SP 800-57 part 1, section 5.2). It is nil for the usages that need none. Labels are part of the format.
func label(key *v1alpha1.KMSKey) []byte {
	spec, usage := SpecOf(key), UsageOf(key)
	if spec == keys.SymmetricDefault || usage == keys.SignVerify {
		return nil
	}
	return []byte("strongroom:" + string(spec) + ":" + string(usage) + "\x00")
}

// labelled is material as it is stored. It takes over what it is given.
func labelled(key *v1alpha1.KMSKey, material secretbytes.Bytes) secretbytes.Bytes {
	l := label(key)
	if l == nil {
		return material
	}
	defer material.Wipe()
	var whole secretbytes.Bytes
	secretbytes.Do(func() { whole = secretbytes.Own(append(l, material.Reveal()...)) })
	return whole
}

// unlabelled is what labelled was given, if it was for a key of this spec and usage. It takes over what it is given.
func unlabelled(m Material, stored secretbytes.Bytes) (material secretbytes.Bytes, err error) {
	l := label(m.Key)
	if l == nil {
		return stored, nil // and the opener tells 32 bytes and a private key from a label
	}
	defer stored.Wipe()
	rest, ok := bytes.CutPrefix(stored.Reveal(), l)
	if !ok {
		return material, otherSpec(m)
	}
	secretbytes.Do(func() { material = secretbytes.Copy(rest) })
	return material, nil
}
