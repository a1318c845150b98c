package backup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

// kept are the fields of status that Envelopes do not tell: which version has which stage or label by now, what was handled and must not be done again, and who
// logged in, and whom a policy named who is not there any more (bindings). What is about one cluster at one moment is not among them: conditions, projections, and times that hang on a generation.
var kept = map[string][]string{
	"Secret": {
		"arn", "versions", "currentVersionId", "lastChangedTime", "lastRotatedTime", "nextRotationTime", "rotation", "rotationTest", "importedFrom", "resealed",
		"lastHandledRotateAt", "policyBinding",
	},
	"Parameter": {"arn", "version", "tier", "versions", "lastModifiedTime", "importedFrom", "policyBinding"},
	"KMSGrant":  {"binding"},
	kindIAMRole: {"trust"},
	"KMSKey": {
		"keyId", "arn", "keyMaterials", "lastImportSequence", "lastDroppedImportSequence", "droppedImports", "onDemandRotations", "rotationEnabledTime", "nextRotationTime",
		"lastUsage", "usageTrackedSince", "lastHandledImport", "lastHandledRotateAt", "policyBinding",
	},
}

// index is where the status of a kind lists what Envelopes hold, and of which class those are.
type index struct {
	class          v1alpha1.EnvelopeClass
	list, sequence string
}

var indexes = map[string]index{
	"Secret":    {v1alpha1.EnvelopeSecretVersion, "versions", "sequence"},
	"Parameter": {v1alpha1.EnvelopeParameterVersion, "versions", "version"},
	"KMSKey":    {v1alpha1.EnvelopeKeyMaterial, "keyMaterials", "sequence"},
}

// portableStatus is what of an object's status is in a backup, nil if nothing is.
func portableStatus(o *unstructured.Unstructured) map[string]any {
	status, _ := o.Object["status"].(map[string]any)
	out := maps.Clone(status)
	maps.DeleteFunc(out, func(field string, _ any) bool { return !slices.Contains(kept[o.GetKind()], field) })
	if o.GroupVersionKind().Group != v1alpha1.Group || len(out) == 0 {
		return nil
	}
	return out
}

// held names what an Envelope holds.
func held(namespace string, class v1alpha1.EnvelopeClass, subject string, sequence int64) string {
	return namespace + "\x00" + string(class) + "\x00" + subject + "\x00" + strconv.FormatInt(sequence, 10)
}

// heldTombstone names any tombstone of a subject.
func heldTombstone(namespace, subject string) string {
	return held(namespace, v1alpha1.EnvelopeTombstone, subject, 0)
}

// heldBy is held of an Envelope, or heldTombstone.
func heldBy(e *unstructured.Unstructured) string {
	class, _, _ := unstructured.NestedString(e.Object, "spec", "class")
	subject, _, _ := unstructured.NestedString(e.Object, "spec", "subject")
	if class == string(v1alpha1.EnvelopeTombstone) {
		return heldTombstone(e.GetNamespace(), subject)
	}
	sequence, _, _ := unstructured.NestedInt64(e.Object, "spec", "sequence")
	return held(e.GetNamespace(), v1alpha1.EnvelopeClass(class), subject, sequence)
}

// complete tells whether a backup has all Envelopes that an object's status lists, and no tombstone of it. A version that was put after the Envelopes were read is missing, and a status that
// names it would be damaged; a tombstone has a history of its own. Such an object is restored from its Envelopes alone, as if its status had been lost. Imported material that was
// deleted has no Envelope.
func complete(o *unstructured.Unstructured, envelopes map[string]bool) bool {
	of, lists := indexes[o.GetKind()]
	arn := arnOf(o)
	if lists && envelopes[heldTombstone(o.GetNamespace(), arn)] {
		return false
	}
	for _, entry := range listed(o, of) {
		sequence, _, _ := unstructured.NestedInt64(entry, of.sequence)
		state, _, _ := unstructured.NestedString(entry, "import", "state")
		if state != string(v1alpha1.ImportStatePendingImport) && !envelopes[held(o.GetNamespace(), of.class, arn, sequence)] {
			return false
		}
	}
	return true
}

func arnOf(o *unstructured.Unstructured) string {
	arn, _, _ := unstructured.NestedString(o.Object, "status", "arn")
	return arn
}

// listed are the entries of an object's index.
func listed(o *unstructured.Unstructured, of index) (out []map[string]any) {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", of.list)
	for _, v := range list {
		if entry, ok := v.(map[string]any); ok {
			out = append(out, entry)
		}
	}
	return out
}

// settled finds out what objects have another history in the cluster than in the backup: all of them while a manager runs, which reads them from their Envelopes and tombstones; and those of
// which there is a tombstone.
func (r *Restorer) settled(ctx context.Context, h Header) error {
	r.tombstones = map[string]bool{}
	r.running = r.stopped(ctx, h.Namespace) != nil
	if r.running || r.DryRun {
		return nil
	}
	return pages(ctx, r.Cluster, ours(kindEnvelope), "", func(e *unstructured.Unstructured) error {
		if class, _, _ := unstructured.NestedString(e.Object, "spec", "class"); class == string(v1alpha1.EnvelopeTombstone) {
			r.tombstones[heldBy(e)] = true
		}
		return nil
	})
}

// carried is what an object that was just made, or one that a run that died had made, gets of the status that the backup has: nothing if it has a history already or somebody else gives it
// one, and only whom its policy excludes if not all that it lists is there.
func (r *Restorer) carried(ctx context.Context, o, live *unstructured.Unstructured) (map[string]any, error) {
	carried := portableStatus(o)
	if carried == nil || r.DryRun {
		return nil, nil
	}
	binding := r.binding(o, live, carried)
	if r.running || len(history(live)) > 0 || r.tombstones[heldTombstone(o.GetNamespace(), arnOf(o))] {
		return nil, nil // a tombstone knows whom the policy names, too
	}
	if r.lists(o) {
		r.bare(o, "one of its versions is another there")
		clear(carried)
	}
	if binding == nil {
		return carried, nil
	}
	rebound, err := r.rebound(ctx, live, binding)
	if rebound != nil {
		carried[bindings[o.GetKind()]] = rebound
	}
	return carried, err
}

// status gives an object what is carried of its status. One that the API server refuses, as of a version with another schema, is left out: the object is restored from its Envelopes
// alone. Crash-safe: it is one write, of the object as it was read, and the next run does it if it is missing.
func (r *Restorer) status(ctx context.Context, o, live *unstructured.Unstructured) error {
	carried, err := r.carried(ctx, o, live)
	if err != nil || len(carried) == 0 {
		return err
	}
	status, _ := live.Object["status"].(map[string]any)
	status = maps.Clone(status)
	if status == nil {
		status = map[string]any{}
	}
	maps.Copy(status, carried)
	live.Object["status"] = status
	err = r.Cluster.Status().Update(ctx, live)
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err): // a manager without a lease runs, and has been faster
		return nil
	case apierrors.IsInvalid(err):
		r.bare(o, "this version's schema refuses it: "+fault.Message(err))
		return nil
	case err != nil:
		return fmt.Errorf("writing the status of %s: %w", nameOf(o), err)
	}
	return nil
}

// lists tells whether an object's status lists what is another Envelope in the cluster than in the backup.
func (r *Restorer) lists(o *unstructured.Unstructured) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := indexes[o.GetKind()]
	return slices.ContainsFunc(listed(o, of), func(entry map[string]any) bool {
		sequence, _, _ := unstructured.NestedInt64(entry, of.sequence)
		return r.strangers[held(o.GetNamespace(), of.class, arnOf(o), sequence)]
	})
}

// bare tells of an object that is left without its status.
func (r *Restorer) bare(o *unstructured.Unstructured, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Bare != nil {
		r.Bare(nameOf(o), why)
	}
}

// bare is an object without its status, and in nobody's hands, as it is made.
func bare(o *unstructured.Unstructured) *unstructured.Unstructured {
	out := o.DeepCopy()
	delete(out.Object, "status")
	for _, field := range []string{"creationTimestamp", "ownerReferences", "finalizers"} {
		unstructured.RemoveNestedField(out.Object, "metadata", field)
	}
	return out
}
