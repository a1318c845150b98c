// Package keyring is the root of trust and what hangs on it:
//
//	Root                 one key outside of this package: in a core Secret, split among people, in an HSM or another KMS
//	 └─ domain keys      AES-256, one for each epoch; the newest wraps, all unwrap; stored as DomainKeyRecord
//	     ├─ token key    wraps key material into key tokens
//	     ├─ record key   seals Strongroom's own records
//	     └─ digest key   keys the digests; only that of the first epoch is used
//
// The three keys of an epoch are HKDF-SHA-256 (RFC 5869) of its domain key with different infos, and the domain key
// itself is not kept. Every level binds what it hangs on, its own id and its purpose, so that nothing wrapped opens in
// another place: a domain key binds the root's id and its epoch; a token or a record is sealed with a key of its epoch
// and its purpose, and binds the epoch, its kind, its ids and the caller's context.
//
// A token or record is the epoch, 8 bytes big-endian, and then a blob of package keys. The epoch says which domain key
// opens it; it is authenticated twice, as another epoch is another key, and as part of the blob's context.
//
// A rotation of the domain key adds a record; tokens are rewrapped at leisure (see Epoch) and no digest changes. A change
// of the root wraps the same domain keys anew.
//
// What it does not do: it does not store anything, it cannot tell an old token or set of records from the newest, and
// it does not lock memory.
package keyring
