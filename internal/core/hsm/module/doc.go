// Package module is one token of a PKCS#11 module: domain keys, cloning, and keys that are used inside. It is loaded in a process of
// its own, see package child.
//
// Objects on the token, all of them found by label:
//
//	strongroom/domain/EPOCH     AES-256: seals (AES-GCM)
//	strongroom/wrapping/EPOCH   AES-256: wraps keys (AES key wrap with padding, NIST SP 800-38F)
//
// Both are CKA_SENSITIVE, and CKA_EXTRACTABLE under a key alone that the security officer marked as CKA_TRUSTED. The wrapping key's
// CKA_UNWRAP_TEMPLATE makes the token refuse to unwrap a key as one that can be extracted. An epoch counts once its domain key is
// there, which is made last.
//
// All other objects are session objects: they are gone with the process, whenever that ends.
package module
