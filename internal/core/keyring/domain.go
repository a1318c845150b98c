package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// ErrSealed says that there is no root, or that it does not open the domain keys. Nothing can be wrapped or unwrapped
// until it does. It wraps its cause.
var ErrSealed = errors.New("the keyring is sealed")

// ErrInvalidEpoch says that an epoch is not one of 1 to MaxEpoch.
var ErrInvalidEpoch = errors.New("invalid epoch: epochs count from 1")

// MaxEpoch is the highest epoch. As it leaves the first bytes of a token 0, no bare blob is taken for a token.
const MaxEpoch = 1<<32 - 1

// MaxDomainKeys is the most records that Unseal takes: a domain key a day for more than eleven years.
const MaxDomainKeys = 4096

// maxWrapped is more than any root makes of 32 bytes, in bytes. AWS KMS makes at most 6,144.
const maxWrapped = 16 << 10

// DomainKeyRecord is a domain key as it is stored. Epoch is authenticated, Created is not.
type DomainKeyRecord struct {
	// Epoch counts domain keys from 1. The newest wraps.
	Epoch int64
	// Wrapped is the domain key as the root wraps it.
	Wrapped []byte
	// Created is when the domain key was made.
	Created time.Time
}

// NewDomainKey makes the domain key of an epoch and wraps it with root. Its 32 bytes are read from r, or from
// crypto/rand if r is nil. It fails with ErrInvalidEpoch, with ErrSealed if root is nil, and with root's errors.
func NewDomainKey(ctx context.Context, root Root, epoch int64, r io.Reader, now time.Time) (DomainKeyRecord, error) {
	if root == nil {
		return DomainKeyRecord{}, errNoRoot()
	}
	if err := validEpoch(epoch); err != nil {
		return DomainKeyRecord{}, err
	}
	var (
		key secretbytes.Bytes
		err error
	)
	secretbytes.Do(func() { key, err = secretbytes.Random(r, keys.KeySize) })
	if err != nil {
		return DomainKeyRecord{}, fmt.Errorf("making the domain key of epoch %d: %w", epoch, err)
	}
	defer key.Wipe()
	// Not within secretbytes.Do: a root may dial, and the goroutines of its connections would inherit Do for ever.
	wrapped, err := root.Wrap(ctx, key, domainKeyContext(epoch))
	if err != nil {
		return DomainKeyRecord{}, fmt.Errorf("wrapping the domain key of epoch %d with the root %s: %w", epoch, root.Name(), err)
	}
	return DomainKeyRecord{Epoch: epoch, Wrapped: wrapped, Created: now}, nil
}

// domainKeyContext binds a domain key's purpose and epoch. Its parent is the root that wraps it.
func domainKeyContext(epoch int64) Context {
	return Context{"strongroom/purpose": "domain-key/v1", "strongroom/epoch": strconv.FormatInt(epoch, 10)}
}

// Unseal opens all records, in any order. The highest epoch becomes the current one. Every failure wraps ErrSealed and
// its cause: no root, no records, two records of an epoch, or a record that root does not open.
func Unseal(ctx context.Context, root Root, records []DomainKeyRecord) (*Keyring, error) {
	if root == nil {
		return nil, errNoRoot()
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%w: there are no domain keys; restore them from a backup, or make the first one in a new installation", ErrSealed)
	}
	if len(records) > MaxDomainKeys {
		return nil, fmt.Errorf("%w: there are %d domain keys and the limit is %d", ErrSealed, len(records), MaxDomainKeys)
	}
	k := &Keyring{epochs: make(map[int64]epochKeys, len(records)), first: records[0].Epoch}
	for _, record := range records {
		if _, twice := k.epochs[record.Epoch]; twice {
			return nil, fmt.Errorf("%w: there are two domain keys of epoch %d; remove the one that is not in the backup", ErrSealed, record.Epoch)
		}
		ek, err := openDomainKey(ctx, root, record)
		if err != nil {
			return nil, fmt.Errorf("%w: opening the domain key of epoch %d with the root %s: %w", ErrSealed, record.Epoch, root.Name(), err)
		}
		k.epochs[record.Epoch] = ek
		k.current, k.first = max(k.current, record.Epoch), min(k.first, record.Epoch)
	}
	return k, nil
}

func validEpoch(epoch int64) error {
	if epoch < 1 || epoch > MaxEpoch {
		return fmt.Errorf("%w to %d, and this is %d", ErrInvalidEpoch, int64(MaxEpoch), epoch)
	}
	return nil
}

func errNoRoot() error {
	return fmt.Errorf("%w: there is no root; configure one", ErrSealed)
}

// epochKeys are the keys derived from one domain key. They are made within secretbytes.Do, so that the garbage
// collector erases them when a sealed or replaced keyring has no more users.
type epochKeys struct{ token, record, digest secretbytes.Bytes }

func openDomainKey(ctx context.Context, root Root, record DomainKeyRecord) (ek epochKeys, err error) {
	if err := validEpoch(record.Epoch); err != nil {
		return epochKeys{}, err
	}
	if len(record.Wrapped) > maxWrapped {
		return epochKeys{}, fmt.Errorf("it is %d bytes wrapped and the limit is %d", len(record.Wrapped), maxWrapped)
	}
	key, err := root.Unwrap(ctx, record.Wrapped, domainKeyContext(record.Epoch)) // outside of Do, see NewDomainKey
	if err != nil {
		return epochKeys{}, err
	}
	defer key.Wipe()
	if key.Len() != keys.KeySize {
		return epochKeys{}, fmt.Errorf("it is %d bytes and must be %d", key.Len(), keys.KeySize)
	}
	secretbytes.Do(func() { ek, err = deriveEpochKeys(key) })
	return ek, err
}

// deriveEpochKeys makes one key for each purpose, so that nothing sealed for one opens for another.
func deriveEpochKeys(key secretbytes.Bytes) (ek epochKeys, err error) {
	for _, d := range []struct {
		to   *secretbytes.Bytes
		info string
	}{
		{&ek.token, "strongroom/v1/domain-key/token"},
		{&ek.record, "strongroom/v1/domain-key/record"},
		{&ek.digest, "strongroom/v1/domain-key/digest"},
	} {
		if *d.to, err = derive(key, d.info, keys.KeySize); err != nil {
			return epochKeys{}, err
		}
	}
	return ek, nil
}
