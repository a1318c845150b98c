package keyring

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// ErrNotRewrapped says that what was wrapped anew does not open, or opens to something else: a fault of the machine.
var ErrNotRewrapped = errors.New("what was wrapped anew does not open to what it was; nothing was changed")

// Add opens the records of epochs that the keyring does not have, in any order, and answers the keyring that has them too; the highest epoch of all is
// its current one. It is the keyring itself if there are none. It fails as Unseal does, and then nothing has changed.
func (k *Keyring) Add(ctx context.Context, root Root, records []DomainKeyRecord) (*Keyring, error) {
	var missing []DomainKeyRecord
	for _, record := range records {
		if !k.Has(record.Epoch) {
			missing = append(missing, record)
		}
	}
	if len(missing) == 0 {
		return k, nil
	}
	if all := len(k.epochs) + len(missing); all > MaxDomainKeys {
		return nil, fmt.Errorf("%w: there are %d domain keys and the limit is %d", ErrSealed, all, MaxDomainKeys)
	}
	added, err := Unseal(ctx, root, missing)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(k.epochs)
	maps.Copy(all, added.epochs)
	return &Keyring{epochs: all, current: max(k.current, added.current), first: min(k.first, added.first)}, nil
}

// Has tells whether the keyring has the domain key of an epoch.
func (k *Keyring) Has(epoch int64) bool {
	_, ok := k.epochs[epoch]
	return ok
}

// Rewrap wraps what a token or a sealed record holds anew under the current domain key: with the same header, so of the same kind and ids, and bound to
// the context is where it was bound to was. What is made is opened and compared before it is answered, since it may take the place of the only copy. It
// fails as UnwrapToken does, and with ErrWrongKind for what is neither a token nor a record.
func (k *Keyring) Rewrap(token []byte, was, is keys.Context) ([]byte, error) {
	if _, err := Epoch(token); err != nil {
		return nil, err
	}
	h, err := keys.ParseHeader(token[epochSize:])
	if err != nil {
		return nil, err
	}
	purpose := func(ek epochKeys) secretbytes.Bytes { return ek.token }
	if h.Kind != keys.KindKeyToken {
		if err := recordKind(h.Kind); err != nil {
			return nil, err
		}
		purpose = func(ek epochKeys) secretbytes.Bytes { return ek.record }
	}
	content, err := k.open(purpose, h, was, token)
	if err != nil {
		return nil, err
	}
	defer content.Wipe()
	made, err := k.seal(purpose(k.epochs[k.current]), h, is, content)
	if err != nil {
		return nil, err
	}
	again, err := k.open(purpose, h, is, made)
	defer again.Wipe()
	if err != nil || !again.Equal(content) {
		return nil, ErrNotRewrapped
	}
	return made, nil
}
