package projection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
)

// Outcome says what a projection took.
type Outcome int

// The outcomes.
const (
	// Unchanged: nothing was written.
	Unchanged Outcome = iota
	// Created: the core Secret was made.
	Created
	// Written: it existed and was written.
	Written
)

var errConflict = errors.New("the target belongs to somebody else")

// Projector writes targets.
type Projector struct {
	// Client reads labelled core Secrets, with digests for values, from a cache, and writes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Digester is the one that the cache's transform uses.
	Digester *Digester
	// Keyring makes the digests that status keeps of what is shown.
	Keyring *keyring.Holder
	// Reserved are never targets.
	Reserved []Reserved
	// Budget is how much is written for each namespace; nil sets no limit.
	Budget *fairshare.Budget

	// fights holds back what would be written for ever.
	fights fights
	// restarts holds back what would be restarted again and again.
	restarts restarts
	// looks say when to look for workloads that name what there is no more, though nothing changes.
	looks looks
}

// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete

// InSync tells whether Project would find nothing to write. It asks the cache alone.
func (p *Projector) InSync(ctx context.Context, t *Target) (bool, error) {
	if p.CheckName(t) != nil { // Project says so
		return false, nil
	}
	cached, err := p.cached(ctx, t)
	if err != nil {
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return false, fmt.Errorf("reading the target from the cache: %w", err)
	}
	verdict, _ := Judge(t, cached)
	return verdict == Ours && InSync(t, cached, p.Digester.Digest), nil
}

// Project makes the core Secret what the target says, with no request at all when it is so already. A new one costs one
// request, since it is made by create and not by apply: only create tells that somebody else was there first.
// Every write is whole or not at all, and writing twice is writing once. The fault says Conflict.
func (p *Projector) Project(ctx context.Context, t *Target) (Outcome, error) {
	if err := p.CheckName(t); err != nil {
		return Unchanged, err
	}
	cached, err := p.cached(ctx, t)
	switch {
	case err == nil:
		if verdict, _ := Judge(t, cached); verdict == Ours {
			if InSync(t, cached, p.Digester.Digest) {
				return Unchanged, nil
			}
			if t.policy() != v1alpha1.CreationPolicyMerge {
				if loses(t, cached, p.Digester.Digest) { // one patch of the object that was judged, which does nothing when it is done twice
					return Written, p.removeKeys(ctx, t, cached)
				}
				return Written, p.write(ctx, t, cached)
			}
		}
		return p.overwrite(ctx, t) // the cache may be behind, and has no field managers
	case !apierrors.IsNotFound(err):
		return Unchanged, fmt.Errorf("reading the target from the cache: %w", err)
	case t.policy() == v1alpha1.CreationPolicyOwner:
		return p.create(ctx, t)
	default:
		return p.overwrite(ctx, t)
	}
}

func (p *Projector) create(ctx context.Context, t *Target) (Outcome, error) {
	data := make(map[string][]byte, len(t.Data))
	for k, v := range t.Data {
		data[k] = v.Reveal()
	}
	t.writes++
	err := p.Client.Create(ctx, t.object(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: t.Namespace, Name: t.Name,
			Labels:      t.labels(),
			Annotations: t.annotations(),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: t.Owner.kind(),
				Name: t.Owner.Name, UID: t.Owner.UID, Controller: ptr.To(true),
			}},
		},
		Type:      t.secretType(),
		Data:      data,
		Immutable: t.immutable(),
	}), client.FieldOwner(t.fieldOwner()))
	switch {
	case apierrors.IsAlreadyExists(err):
		return p.overwrite(ctx, t)
	case err != nil:
		return Unchanged, p.refused(t, err)
	}
	return Created, nil
}

// overwrite looks at what the API server has, live, before it writes over it.
func (p *Projector) overwrite(ctx context.Context, t *Target) (Outcome, error) {
	live, err := p.live(ctx, t)
	switch {
	case apierrors.IsNotFound(err) && t.policy() == v1alpha1.CreationPolicyMerge:
		return Unchanged, fault.Waiting(v1alpha1.ReasonConflict, fmt.Errorf("%s to merge into does not exist; "+
			"create it, or set creationPolicy to Owner", t.what()))
	case apierrors.IsNotFound(err):
		return p.create(ctx, t)
	case err != nil:
		return Unchanged, fmt.Errorf("reading target %s: %w", t.Name, err)
	}
	verdict, why := Judge(t, live)
	if verdict == Ours && t.policy() == v1alpha1.CreationPolicyMerge {
		verdict, why = judgeKeys(t, live)
		t.theirs = theirs(t, live)
	}
	if verdict != Ours {
		return Unchanged, fault.Contested(v1alpha1.ReasonConflict,
			fmt.Errorf("%w: %s: %s", errConflict, t.what(), why))
	}
	return Written, p.write(ctx, t, live)
}

func (p *Projector) write(ctx context.Context, t *Target, existing *corev1.Secret) error {
	if err := p.dropFormerOwner(ctx, t, existing); err != nil {
		return err
	}
	t.writes++
	if err := p.Client.Apply(ctx, t.applied(existing), client.FieldOwner(t.fieldOwner()), client.ForceOwnership); err != nil {
		if names(err, "metadata.ownerReferences") {
			return p.outrun(ctx, t, err)
		}
		return p.refused(t, err)
	}
	return p.removeKeys(ctx, t, existing)
}

// applied is the apply configuration of a core Secret that is written over what exists.
func (t *Target) applied(existing *corev1.Secret) runtime.ApplyConfiguration {
	if t.ConfigMap {
		return t.appliedConfigMap(existing)
	}
	ac := corev1ac.Secret(t.Name, t.Namespace).
		WithUID(existing.UID). // never makes another object than the one that was judged
		WithLabels(t.labels())
	ac.Immutable = t.immutable()
	for k, v := range t.Data {
		ac.WithData(map[string][]byte{k: v.Reveal()})
	}
	if t.policy() != v1alpha1.CreationPolicyMerge {
		ac.WithType(t.secretType()).
			WithAnnotations(t.annotations()).
			WithOwnerReferences(metav1ac.OwnerReference().
				WithAPIVersion(v1alpha1.SchemeGroupVersion.String()).WithKind(t.Owner.kind()).
				WithName(t.Owner.Name).WithUID(t.Owner.UID).WithController(true))
	}
	return ac
}

// dropFormerOwner takes a reference out that is no longer true: to an earlier incarnation of the owner, since an object has one
// controller only, and to the owner itself if its policy has become Merge, so that the core Secret outlives it.
func (p *Projector) dropFormerOwner(ctx context.Context, t *Target, existing *corev1.Secret) error {
	controller := metav1.GetControllerOf(existing)
	merges := t.policy() == v1alpha1.CreationPolicyMerge
	if controller == nil || (controller.UID == t.Owner.UID) != merges {
		return nil
	}
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q,"ownerReferences":[{"$patch":"delete","uid":%q}]}}`,
		existing.UID, controller.UID)
	return p.patch(ctx, t, types.StrategicMergePatchType, patch)
}

// removeKeys takes keys, labels and annotations out that were written by create, which an apply does not own and so does not take out.
func (p *Projector) removeKeys(ctx context.Context, t *Target, existing *corev1.Secret) error {
	removed := t.removed(existing)
	metadata := t.formerMetadata(existing)
	if len(removed) == 0 && metadata == nil {
		return nil
	}
	data := make(map[string]any, len(removed))
	for _, k := range removed {
		data[k] = nil
	}
	if metadata == nil {
		metadata = map[string]any{}
	}
	metadata["uid"] = existing.UID
	patch, err := json.Marshal(map[string]any{"metadata": metadata, "data": data})
	if err != nil {
		return fmt.Errorf("encoding the removal of keys: %w", err)
	}
	return p.patch(ctx, t, types.MergePatchType, patch)
}

func (p *Projector) patch(ctx context.Context, t *Target, patchType types.PatchType, patch []byte) error {
	t.writes++
	object := t.object(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Name}})
	if err := p.Client.Patch(ctx, object, client.RawPatch(patchType, patch), client.FieldOwner(t.fieldOwner())); err != nil {
		return p.refused(t, err)
	}
	return nil
}

// Remove deletes a target that is no longer wanted, if it is still this owner's; from one that it merged into, be it one that
// it made before its policy was Merge, it takes the keys that it alone wrote. A target that is gone, or has nothing of this owner's by now, is left alone without an error.
func (p *Projector) Remove(ctx context.Context, namespace, name string, owner Owner) error {
	live := &corev1.Secret{}
	if err := p.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, live); err != nil {
		return client.IgnoreNotFound(err)
	}
	if controller := metav1.GetControllerOf(live); controller == nil || controller.UID != owner.UID {
		return p.release(ctx, live, FieldOwner("projection", owner.Field()))
	}
	err := p.Client.Delete(ctx, live, client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion})
	return client.IgnoreNotFound(err)
}

// remade tells that a write was refused since the object of that UID is another by now.
func remade(err error) bool {
	return names(err, "metadata.uid")
}

// names tells that the API server found a field of an object invalid.
func names(err error, field string) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool { return c.Field == field })
}

// outrun says who has come to control a target since it was judged: the API server lets an object have one controller only.
func (p *Projector) outrun(ctx context.Context, t *Target, refused error) error {
	live, err := p.live(ctx, t)
	if err != nil {
		return p.refused(t, refused)
	}
	verdict, why := Judge(t, live)
	if verdict == Ours { // they have let go again
		why = "somebody else came to control it meanwhile"
	}
	return fault.Contested(v1alpha1.ReasonConflict, fmt.Errorf("%w: %s: %s", errConflict, t.what(), why))
}

func (p *Projector) refused(t *Target, err error) error {
	err = fmt.Errorf("writing %s: %w", t.what(), err)
	if (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)) && !remade(err) {
		return fault.Stalled(v1alpha1.ReasonInvalidTemplate, err) // for example data that its type forbids, or control characters
	}
	return err
}
