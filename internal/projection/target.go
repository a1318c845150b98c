package projection

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Target is the core Secret or ConfigMap that should be.
type Target struct {
	// ConfigMap tells that it is a ConfigMap, whose data is text and no secret. It has no type.
	ConfigMap bool
	// Namespace and Name of the core Secret or ConfigMap.
	Namespace, Name string
	// Type is Opaque if empty.
	Type string
	// Policy is Owner if empty. Fixed tells that it is not the user's to choose.
	Policy v1alpha1.CreationPolicy
	Fixed  bool
	// Whole is of a kind whose targets are not merged: no message proposes that.
	Whole bool
	// Immutable has each content shown in an immutable core Secret of its own, whose name is Name and what immutableName adds.
	Immutable bool
	// Labels and Annotations of the owner's, of a core Secret that is not merged into.
	Labels, Annotations map[string]string
	// Data in the clear.
	Data map[string]secretbytes.Bytes
	// FormerKeys are the keys that were written before; those that are no more in Data are taken out.
	FormerKeys []string
	// Owner is the object that it shows.
	Owner Owner

	// theirs are the keys of the data that somebody else manages, as they were when it was merged.
	theirs []string
	// writes is how many requests were made that have the object written, each of them whole in etcd and to all who watch it, be the request small.
	writes int
}

// Owner is the object that a target belongs to.
type Owner struct {
	// Kind of the object; Secret if empty.
	Kind string
	// Name and UID of the object.
	Name string
	UID  types.UID
	// ARN of the secret, or of whatever it is.
	ARN string
}

func (o Owner) kind() string {
	if o.Kind == "" {
		return secretKind
	}
	return o.Kind
}

// Field is what field managers and annotations tell the object by: its name, with its kind if it is no Secret.
func (o Owner) Field() string {
	if o.kind() == secretKind {
		return o.Name
	}
	return o.Kind + "/" + o.Name
}

const (
	secretKind    = "Secret"
	configMapKind = "ConfigMap"
)

// Keys are the keys of the data, sorted.
func (t *Target) Keys() []string { return slices.Sorted(maps.Keys(t.Data)) }

func (t *Target) policy() v1alpha1.CreationPolicy {
	if t.Policy == "" {
		return v1alpha1.CreationPolicyOwner
	}
	return t.Policy
}

// TakesWhatIsThere tells that the policy writes into a core Secret that somebody else made.
func (t *Target) TakesWhatIsThere() bool { return t.policy() != v1alpha1.CreationPolicyOwner }

func (t *Target) secretType() corev1.SecretType {
	if t.Type == "" {
		return corev1.SecretTypeOpaque
	}
	return corev1.SecretType(t.Type)
}

// fieldOwner is the field manager of one object's projection. Each has its own, since several may merge into one core
// Secret and an apply takes away what its manager no longer names. The hash keeps it within 128 bytes.
func (t *Target) fieldOwner() string { return FieldOwner("projection", t.Owner.Field()) }

// FieldOwner is the field manager for one purpose of one object.
func FieldOwner(purpose, name string) string {
	return v1alpha1.Group + "/" + purpose + "-" + shortHash(name)
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:5])
}

// Verdict says what may be done with a core Secret that exists.
type Verdict int

// The verdicts.
const (
	// Ours: it may be written.
	Ours Verdict = iota
	// Foreign: it belongs to somebody else.
	Foreign
	// OtherType: it is ours and of another type, which Kubernetes does not let change.
	OtherType
)

// Judge decides whether a target may be written over a core Secret that exists, and says why not. It looks at metadata
// and type alone.
func Judge(t *Target, existing *corev1.Secret) (Verdict, string) {
	controller := metav1.GetControllerOf(existing)
	ours := controller != nil && controller.UID == t.Owner.UID
	sameARN := existing.Annotations[v1alpha1.SubjectAnnotation] == t.Owner.ARN
	if why := untouchable(existing); why != "" {
		return Foreign, why
	}
	switch {
	case controller != nil && !ours && (!sameARN || !isOwner(controller, t.Owner)):
		if t.policy() != v1alpha1.CreationPolicyMerge {
			return Foreign, fmt.Sprintf("%s %s controls it; name another target", controller.Kind, controller.Name) + t.choice("", "Merge")
		}
	case t.policy() == v1alpha1.CreationPolicyOwner && !ours && !sameARN:
		return Foreign, foreignMakers(existing) + " made it; delete it, or name another target" + t.choice("Adopt", "Merge")
	}
	if t.hasType() && existing.Type != t.secretType() {
		return OtherType, fmt.Sprintf("its type is %s, not %s, and Kubernetes does not let a type change; "+
			"delete it to have it made anew", existing.Type, t.secretType())
	}
	return Ours, ""
}

// hasType tells whether the target's type is its owner's to say.
func (t *Target) hasType() bool { return t.policy() != v1alpha1.CreationPolicyMerge && !t.ConfigMap }

// choice proposes other policies that would do, adopt and merge, as far as a target of this kind can have them. Either may be empty.
func (t *Target) choice(adopt, merge string) string {
	if t.Whole {
		merge = ""
	}
	policies := slices.DeleteFunc([]string{adopt, merge}, func(p string) bool { return p == "" })
	if t.Fixed || len(policies) == 0 {
		return ""
	}
	return ", or set creationPolicy to " + strings.Join(policies, " or ")
}

// isOwner tells whether a controller reference is to an object of the owner's kind and name: with the same ARN, it is an
// earlier incarnation of the same one, which was deleted and applied again.
func isOwner(ref *metav1.OwnerReference, owner Owner) bool {
	return ref.Kind == owner.kind() && ref.Name == owner.Name && strings.HasPrefix(ref.APIVersion, v1alpha1.Group+"/")
}

// foreignMakers names the field managers of an object, as the best answer to the question who made it.
func foreignMakers(existing *corev1.Secret) string {
	var names []string
	for _, entry := range existing.ManagedFields {
		if !slices.Contains(names, entry.Manager) {
			names = append(names, entry.Manager)
		}
	}
	if len(names) == 0 {
		return "somebody else"
	}
	return strings.Join(names, ", ")
}

// InSync tells whether a cached core Secret, with digests for values, is the target.
func InSync(t *Target, cached *corev1.Secret, digest func(dataKey string, value []byte) []byte) bool {
	for k, v := range t.Data {
		if string(cached.Data[k]) != string(digest(k, v.Reveal())) {
			return false
		}
	}
	if len(t.removed(cached)) > 0 || cached.Labels[v1alpha1.ManagedLabel] != v1alpha1.ManagedProjection {
		return false
	}
	controller := metav1.GetControllerOf(cached)
	if t.policy() == v1alpha1.CreationPolicyMerge {
		return controller == nil || controller.UID != t.Owner.UID
	}
	if t.Immutable && !isImmutable(cached) {
		return false
	}
	return t.sameMetadata(cached) && cached.Annotations[v1alpha1.SubjectAnnotation] == t.Owner.ARN &&
		controller != nil && controller.UID == t.Owner.UID
}

// loses tells whether a cached core Secret, with digests for values, is the target but for keys that go.
func loses(t *Target, cached *corev1.Secret, digest func(dataKey string, value []byte) []byte) bool {
	left := *t
	left.FormerKeys = nil
	return InSync(&left, cached, digest)
}

// removed lists the keys that were written before, are no more wanted, and are still there. Of a core Secret that is merged
// into, those that others have a hand in by now are not.
func (t *Target) removed(existing *corev1.Secret) []string {
	var gone []string
	for _, k := range t.FormerKeys {
		_, wanted := t.Data[k]
		_, present := existing.Data[k]
		if !present || wanted {
			continue
		}
		if t.policy() == v1alpha1.CreationPolicyMerge && len(othersOf(existing, k, t.fieldOwner())) > 0 {
			continue
		}
		gone = append(gone, k)
	}
	return gone
}
