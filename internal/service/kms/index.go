package kms

import (
	"cmp"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
)

// The cache indexes of KMSKeys.
const (
	// ARNIndex finds them by status.arn.
	ARNIndex = "arn"
	// AliasIndex finds them by alias.
	AliasIndex = "alias"
	// KeyIDIndex finds them by status.keyId as a ciphertext's header has it, keys.FormatKeyID, in all namespaces.
	KeyIDIndex = "key-id"
	// ReplicaIndex finds replicas by the name of their primary's object.
	ReplicaIndex = "replica-of"
)

// IndexARN lists the values of ARNIndex.
func IndexARN(obj client.Object) []string {
	if key, ok := obj.(*v1alpha1.KMSKey); ok && key.Status.ARN != "" {
		return []string{key.Status.ARN}
	}
	return nil
}

// IndexAlias lists the values of AliasIndex.
func IndexAlias(obj client.Object) []string {
	if key, ok := obj.(*v1alpha1.KMSKey); ok {
		return key.Spec.Aliases
	}
	return nil
}

// IndexKeyID lists the values of KeyIDIndex.
func IndexKeyID(obj client.Object) []string {
	if key, ok := obj.(*v1alpha1.KMSKey); ok {
		if id, err := keys.ParseKeyID(key.Status.KeyID); err == nil {
			return []string{keys.FormatKeyID(id)}
		}
	}
	return nil
}

// IndexReplica lists the values of ReplicaIndex.
func IndexReplica(obj client.Object) []string {
	if key, ok := obj.(*v1alpha1.KMSKey); ok && key.Spec.ReplicaOf != nil {
		return []string{key.Spec.ReplicaOf.Name}
	}
	return nil
}

// KeyID is the id that a new key gets which is no replica: its name if that is an id of its kind, as it is of keys made through the AWS API, so that
// the id is known before anything is written and is the same in a rebuilt cluster; and the object's UID otherwise.
func KeyID(key *v1alpha1.KMSKey) string {
	_, err := keys.ParseKeyID(key.Name)
	switch {
	case err == nil && keys.MultiRegion(key.Name) == key.Spec.MultiRegion:
		return key.Name
	case key.Spec.MultiRegion:
		return keys.MultiRegionID(string(key.UID))
	}
	return string(key.UID)
}

// RegionOf is the region of a key, from its ARN once it has one. home is that of keys that name none.
func RegionOf(key *v1alpha1.KMSKey, home string) string {
	return cmp.Or(arn.Region(key.Status.ARN), key.Spec.Region, home)
}

// SortMaterials orders the materials and makes the last one current and the others not.
func SortMaterials(status *v1alpha1.KMSKeyStatus) {
	slices.SortFunc(status.KeyMaterials, func(a, b v1alpha1.KeyMaterial) int { return int(a.Sequence - b.Sequence) })
	status.OnDemandRotations = 0
	for i := range status.KeyMaterials {
		m := &status.KeyMaterials[i]
		m.State = v1alpha1.KeyMaterialNonCurrent
		if i == len(status.KeyMaterials)-1 {
			m.State = v1alpha1.KeyMaterialCurrent
		}
		if m.RotationType == v1alpha1.RotationOnDemand {
			status.OnDemandRotations++
		}
	}
}
