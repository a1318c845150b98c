package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// fakeRoot is a root elsewhere that answers what a test wants.
type fakeRoot struct {
	key     secretbytes.Bytes
	err     error
	aad     []keyring.Context
	wrapped [][]byte
}

func (f *fakeRoot) Name() string { return "Fake" }

func (f *fakeRoot) Wrap(_ context.Context, key secretbytes.Bytes, aad keyring.Context) ([]byte, error) {
	f.aad = append(f.aad, aad)
	f.wrapped = append(f.wrapped, bytes.Clone(key.Reveal()))
	return []byte("wrapped"), f.err
}

func (f *fakeRoot) Unwrap(_ context.Context, _ []byte, aad keyring.Context) (secretbytes.Bytes, error) {
	f.aad = append(f.aad, aad)
	return f.key, f.err
}

func TestUnsealSaysThatItIsSealedAndWhy(t *testing.T) {
	root, down := newRoot(1), errors.New("connection refused")
	one, two := newRecord(t, root, 1), newRecord(t, root, 2)
	damaged, relabelled := one, one
	damaged.Wrapped = bytes.Clone(one.Wrapped)
	damaged.Wrapped[len(damaged.Wrapped)-1] ^= 1
	relabelled.Epoch = 3
	cases := map[string]struct {
		root    keyring.Root
		records []keyring.DomainKeyRecord
		cause   error
		says    string
	}{
		"no root":                   {nil, []keyring.DomainKeyRecord{one}, nil, "no root"},
		"no records":                {root, nil, nil, "no domain keys"},
		"another root":              {newRoot(2), []keyring.DomainKeyRecord{one}, keyring.ErrOtherRoot, "epoch 1"},
		"another root for one":      {root, []keyring.DomainKeyRecord{one, newRecord(t, newRoot(2), 2)}, keyring.ErrOtherRoot, "epoch 2"},
		"a damaged record":          {root, []keyring.DomainKeyRecord{two, damaged}, keys.ErrInvalidCiphertext, "epoch 1"},
		"an empty record":           {root, []keyring.DomainKeyRecord{{Epoch: 1}}, keys.ErrInvalidCiphertext, "epoch 1"},
		"a relabelled epoch":        {root, []keyring.DomainKeyRecord{one, two, relabelled}, keys.ErrInvalidCiphertext, "epoch 3"},
		"swapped epochs":            {root, []keyring.DomainKeyRecord{{Epoch: 2, Wrapped: one.Wrapped}, {Epoch: 1, Wrapped: two.Wrapped}}, keys.ErrInvalidCiphertext, "epoch 2"},
		"an epoch twice":            {root, []keyring.DomainKeyRecord{one, newRecord(t, root, 1)}, nil, "two domain keys of epoch 1"},
		"epoch 0":                   {root, []keyring.DomainKeyRecord{{Wrapped: one.Wrapped}}, keyring.ErrInvalidEpoch, "count from 1"},
		"too many":                  {root, make([]keyring.DomainKeyRecord, keyring.MaxDomainKeys+1), nil, "4097"},
		"a huge record":             {root, []keyring.DomainKeyRecord{{Epoch: 1, Wrapped: make([]byte, 1<<20)}}, nil, "limit"},
		"a root that is down":       {&fakeRoot{err: down}, []keyring.DomainKeyRecord{one}, down, "Fake"},
		"a cancelled unseal":        {&fakeRoot{err: context.Canceled}, []keyring.DomainKeyRecord{one}, context.Canceled, "Fake"},
		"a domain key of 16 bytes":  {&fakeRoot{key: secretbytes.Own(make([]byte, 16))}, []keyring.DomainKeyRecord{one}, nil, "16 bytes"},
		"an empty domain key":       {&fakeRoot{}, []keyring.DomainKeyRecord{one}, nil, "0 bytes"},
		"a software root too short": {keyring.NewSoftwareRoot("Short", secretbytes.Own(make([]byte, 31))), []keyring.DomainKeyRecord{one}, nil, "31 bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			k, err := keyring.Unseal(context.Background(), c.root, c.records)
			if k != nil || !errors.Is(err, keyring.ErrSealed) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v, %v", k, err)
			}
			if c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("%v does not wrap %v", err, c.cause)
			}
		})
	}
}

func TestNewDomainKeyRefusesWhatItCannotMake(t *testing.T) {
	ctx, down := context.Background(), errors.New("connection refused")
	for name, c := range map[string]struct {
		root  keyring.Root
		epoch int64
		bytes string
		want  error
	}{
		"no root":                 {nil, 1, strings.Repeat("r", 32), keyring.ErrSealed},
		"epoch 0":                 {newRoot(1), 0, strings.Repeat("r", 32), keyring.ErrInvalidEpoch},
		"an epoch over the limit": {newRoot(1), keyring.MaxEpoch + 1, strings.Repeat("r", 32), keyring.ErrInvalidEpoch},
		"epoch -1":                {newRoot(1), -1, strings.Repeat("r", 32), keyring.ErrInvalidEpoch},
		"a root down":             {&fakeRoot{err: down}, 1, strings.Repeat("r", 32), down},
		"little entropy":          {newRoot(1), 1, "r", nil},
		"a short root":            {keyring.NewSoftwareRoot("Short", secretbytes.Bytes{}), 1, strings.Repeat("r", 32), nil},
	} {
		record, err := keyring.NewDomainKey(ctx, c.root, c.epoch, strings.NewReader(c.bytes), now)
		if err == nil || record.Wrapped != nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: %v, %v", name, record, err)
		}
	}
}

func TestADomainKeyIsTheSourcesBytesAndBindsItsPurposeAndEpoch(t *testing.T) {
	root := &fakeRoot{key: repeated('r')}
	record, err := keyring.NewDomainKey(context.Background(), root, 7, strings.NewReader(strings.Repeat("r", 32)), now)
	if err != nil || record.Epoch != 7 || !record.Created.Equal(now) || string(record.Wrapped) != "wrapped" {
		t.Fatalf("%v, %v", record, err)
	}
	if string(root.wrapped[0]) != strings.Repeat("r", 32) {
		t.Error("the domain key is not what was read")
	}
	unseal(t, root, record)
	for _, aad := range root.aad {
		if len(aad) != 2 || aad["strongroom/epoch"] != "7" || aad["strongroom/purpose"] != "domain-key/v1" {
			t.Errorf("bound to %v", aad)
		}
	}
	if root.key.Len() != 32 || !root.key.Equal(secretbytes.Own(make([]byte, 32))) {
		t.Error("the domain key was not wiped after its keys were derived")
	}
}

func TestTwoDomainKeysAreNeverTheSame(t *testing.T) {
	root := &fakeRoot{}
	for range 100 {
		if _, err := keyring.NewDomainKey(context.Background(), root, 1, nil, now); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, key := range root.wrapped {
		if len(key) != 32 || seen[string(key)] {
			t.Fatalf("%d bytes, seen %v", len(key), seen[string(key)])
		}
		seen[string(key)] = true
	}
}

func TestASoftwareRootBindsWhatItWraps(t *testing.T) {
	ctx, root := context.Background(), newRoot(1)
	wrapped, err := root.Wrap(ctx, repeated(7), keyring.Context{"a": "b"})
	if err != nil || bytes.Contains(wrapped, repeated(7).Reveal()) {
		t.Fatalf("%v", err)
	}
	if got, err := root.Unwrap(ctx, wrapped, keyring.Context{"a": "b"}); err != nil || !got.Equal(repeated(7)) {
		t.Errorf("%v", err)
	}
	for _, aad := range []keyring.Context{nil, {"a": "c"}, {"a": "b", "c": ""}} {
		if _, err := root.Unwrap(ctx, wrapped, aad); !errors.Is(err, keys.ErrInvalidCiphertext) {
			t.Errorf("with %v: %v", aad, err)
		}
	}
	if _, err := newRoot(2).Unwrap(ctx, wrapped, keyring.Context{"a": "b"}); !errors.Is(err, keyring.ErrOtherRoot) {
		t.Errorf("another root: %v", err)
	}
	// A forged id passes the first look, and then nothing opens.
	other, err := newRoot(2).Wrap(ctx, repeated(7), keyring.Context{"a": "b"})
	if err != nil {
		t.Fatal(err)
	}
	forged := append(bytes.Clone(other[:36]), wrapped[36:]...)
	if _, err := newRoot(2).Unwrap(ctx, forged, keyring.Context{"a": "b"}); !errors.Is(err, keys.ErrInvalidCiphertext) {
		t.Errorf("a forged id: %v", err)
	}
}

func TestASoftwareRootKeepsNothingOfTheCallersBytes(t *testing.T) {
	key := repeated(1)
	root := keyring.NewSoftwareRoot("CoreSecret", key)
	key.Wipe()
	unseal(t, root, newRecord(t, newRoot(1), 1))
}

func TestARootSaysWhetherItIsProtected(t *testing.T) {
	for name, c := range map[string]struct {
		root keyring.Root
		want bool
		says string
	}{
		"a software root":             {newRoot(1), false, "readable"},
		"a software root kept better": {keyring.NewSoftwareRoot("Shamir", repeated(1), keyring.WithProtection(true, "Split.")), true, "Split."},
		"a root that does not say":    {&fakeRoot{}, false, "Fake"},
	} {
		if got, message := keyring.Protection(c.root); got != c.want || !strings.Contains(message, c.says) {
			t.Errorf("%s: %v, %s", name, got, message)
		}
	}
	if newRoot(1).Name() != "CoreSecret" {
		t.Error("the name is lost")
	}
}
