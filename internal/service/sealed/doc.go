// Package sealed keeps versions of values as Envelopes: what Secrets, Parameters and Certificates have in common.
//
// A version is encrypted under a data key of its own, which a KMSKey encrypts with AWS's encryption context for the kind. A
// value that needs no KMSKey is sealed by the keyring. Either way the ciphertext is bound to its Envelope: to the namespace, the
// owner, the subject, the version and its place in the sequence.
//
// The order of writes is the store's: Put makes the Envelope, and the caller commits it by writing the index that names it. What
// a crash leaves between the two is next in sequence, and Resume takes it into the index before anything else is done.
package sealed
