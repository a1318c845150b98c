// Package projection writes native Kubernetes Secrets for workloads, heals them, and restarts the workloads when the
// data has changed.
//
// Core Secrets are watched only where labelled strongroom.dev/managed, and what the cache keeps of them is keyed digests
// of the values (Digester): drift is seen and no plaintext stays in memory. Every other core Secret is read from the
// API server by name.
package projection

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

const lastApplied = corev1.LastAppliedConfigAnnotation

// Digester replaces values by digests under a key that lives and dies with the process.
type Digester struct {
	key []byte
	// mark begins every digest. It is random, so no value of anybody's can be taken for a digest.
	mark []byte
}

const markLength = 16

// NewDigester makes a Digester with a random key.
func NewDigester() *Digester {
	random := make([]byte, 32+markLength)
	_, _ = rand.Read(random) // never fails: crypto/rand ends the program instead
	return &Digester{key: random[:32], mark: random[32:]}
}

// Digest is the digest of one value under its key of data.
func (d *Digester) Digest(dataKey string, value []byte) []byte {
	mac := hmac.New(sha256.New, d.key)
	mac.Write([]byte(dataKey))
	mac.Write([]byte{0}) // no key of data holds a zero byte
	mac.Write(value)
	return mac.Sum(bytes.Clone(d.mark))
}

// digested tells whether a value is a digest already.
func (d *Digester) digested(value []byte) bool {
	return len(value) == markLength+sha256.Size && bytes.HasPrefix(value, d.mark)
}

// Transform is the cache's transform of core Secrets: values become digests; managed fields and kubectl's copy of the
// whole object go. It may be called with its own result: informers that begin with a streamed list do so.
func (d *Digester) Transform() func(any) (any, error) {
	strip := cache.TransformStripManagedFields()
	return func(obj any) (any, error) {
		secret, ok := obj.(*corev1.Secret)
		if !ok {
			return obj, nil
		}
		for k, v := range secret.Data {
			if d.digested(v) {
				continue
			}
			secret.Data[k] = d.Digest(k, v)
			clear(v)
		}
		delete(secret.Annotations, lastApplied)
		return strip(secret)
	}
}
