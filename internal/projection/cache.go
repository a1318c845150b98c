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
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

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

// maximumDigests is the number of keys whose values are digested. A projection has 1,024 at most; of a core Secret with more,
// which somebody else labelled or filled, nothing is kept, and every look at it is a live one.
const maximumDigests = 4096

// Transform is the cache's transform of core Secrets: values become digests, and all goes that nothing here looks at, such as
// managed fields, kubectl's copy of the whole object, and labels and annotations that were not written for the owner. Users can label any
// core Secret, so what is kept of one is bounded. It may be called with its own result: informers that begin with a streamed
// list do so.
func (d *Digester) Transform() func(any) (any, error) {
	return func(obj any) (any, error) {
		secret, ok := obj.(*corev1.Secret)
		if !ok {
			return obj, nil
		}
		for k, v := range secret.Data {
			if !d.digested(v) {
				secret.Data[k] = d.Digest(k, v)
				clear(v)
			}
		}
		managed := secret.Labels[v1alpha1.ManagedLabel]
		if managed == v1alpha1.ManagedSource || len(secret.Data) > maximumDigests {
			secret.Data = nil // a source is read live
		}
		labels, annotations := labelsOf(managed), map[string]string{v1alpha1.SubjectAnnotation: secret.Annotations[v1alpha1.SubjectAnnotation]}
		if managed == v1alpha1.ManagedProjection {
			labels, annotations = keptMetadata(secret, labels, annotations)
		}
		if id := secret.Labels[v1alpha1.AccessKeyIDLabel]; id != "" { // it is no target, whatever its other labels say
			labels = maps.Clone(labels)
			labels[v1alpha1.AccessKeyIDLabel] = id
		}
		secret.ObjectMeta = metav1.ObjectMeta{
			Name: secret.Name, Namespace: secret.Namespace, UID: secret.UID, ResourceVersion: secret.ResourceVersion,
			CreationTimestamp: secret.CreationTimestamp, // by which former ones of an immutable target are dated
			DeletionTimestamp: secret.DeletionTimestamp, OwnerReferences: controllerOf(secret),
			Labels: labels, Annotations: annotations,
		}
		secret.StringData = nil
		return secret, nil
	}
}

// projectionLabels are those of every projection in the cache, which is read and never changed.
var projectionLabels = map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedProjection}

func labelsOf(managed string) map[string]string {
	if managed == v1alpha1.ManagedProjection {
		return projectionLabels
	}
	return map[string]string{v1alpha1.ManagedLabel: managed}
}

// controllerOf is the reference to an object's controller alone.
func controllerOf(secret *corev1.Secret) []metav1.OwnerReference {
	for _, ref := range secret.OwnerReferences {
		if ref.Controller != nil && *ref.Controller {
			return []metav1.OwnerReference{ref}
		}
	}
	return nil
}
