// Package projection writes native Kubernetes Secrets for workloads, heals them, and restarts the workloads when the
// data has changed.
//
// Core Secrets are watched only where labelled strongroom.dev/managed, and what the cache keeps of them is keyed digests
// of the values (Digester): drift is seen and no plaintext stays in memory. Every other core Secret is read from the
// API server by name.
package projection

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

const lastApplied = corev1.LastAppliedConfigAnnotation

// Digester replaces values by digests under a key that lives and dies with the process.
type Digester struct{ key []byte }

// NewDigester makes a Digester with a random key.
func NewDigester() *Digester {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
	return &Digester{key: key}
}

// Digest is the digest of one value under its key of data.
func (d *Digester) Digest(dataKey string, value []byte) []byte {
	mac := hmac.New(sha256.New, d.key)
	mac.Write([]byte(dataKey))
	mac.Write([]byte{0}) // no key of data holds a zero byte
	mac.Write(value)
	return mac.Sum(nil)
}

// Transform is the cache's transform of core Secrets: values become digests; managed fields and kubectl's copy of the
// whole object go.
func (d *Digester) Transform() func(any) (any, error) {
	strip := cache.TransformStripManagedFields()
	return func(obj any) (any, error) {
		secret, ok := obj.(*corev1.Secret)
		if !ok {
			return obj, nil
		}
		for k, v := range secret.Data {
			secret.Data[k] = d.Digest(k, v)
			clear(v)
		}
		delete(secret.Annotations, lastApplied)
		return strip(secret)
	}
}
