// Package keys is the ciphertext blob, format version 1, and the life of a KMS key: its ids and its states.
//
// A blob is a clear header, which says which key material opens it, and a body that AES-256-GCM seals:
//
//	byte  0      format version, 1
//	byte  1      suite: 1 = HKDF-SHA-256 and AES-256-GCM with a random nonce
//	byte  2      Kind
//	byte  3      flags, 0
//	bytes 4-19   key id
//	bytes 20-35  key material id: the first 16 bytes of the 32 that the API shows
//	bytes 36-67  salt N, random
//	bytes 68-79  GCM nonce, random
//	bytes 80-    ciphertext, as long as the plaintext, and then the 16-byte tag
//
// Every message has a key of its own: HKDF-SHA-256 (RFC 5869) of the key material with N as the salt and bytes 0-35 as
// the info. The limit of 2^32 messages for a key with random nonces (NIST SP 800-38D, 8.3) is so of no concern.
// The additional data of GCM is bytes 0-35 and the encryption context, encoded so that no two contexts are the same
// bytes: count, and then for each entry in key order the length of its key, the key, the length of its value, the
// value. Numbers are 4 bytes, big-endian. N needs no place there, as another N is another key.
//
// The format is frozen: the files in testdata open for ever, and whatever changes gets another version or suite number.
//
// What it does not do: it cannot tell an old blob from a new one (replay), and it does not hide the plaintext's length.
package keys
