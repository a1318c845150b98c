package backup

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/principals"
)

// Whom a policy names is noted in status by their unique ids, which hang on UIDs and so are others in another cluster. Those who were there when a backup was taken are in it, and are
// bound again by their names when they are made again. Those who were not there any more, whose names others may have since, are in the backup as they are noted: their unique ids
// are nobody's in any cluster, and so their names are allowed nothing there either.

// bindings is where the status of a kind notes whom its policy names.
var bindings = map[string]string{"KMSKey": "policyBinding", "KMSGrant": "binding", kindIAMRole: "trust", "Parameter": "policyBinding", "Secret": "policyBinding"}

// prefixes are of the unique ids of the kinds that policies name.
var prefixes = map[string]arn.IDPrefix{kindIAMUser: arn.UserID, kindIAMRole: arn.RoleID}

// lives notes a user or role that is in the backup. Those are read before what names them: one that is replaced meanwhile is in it as it was, as is who was bound.
func (c *Collector) lives(o *unstructured.Unstructured) {
	if prefix, is := prefixes[o.GetKind()]; is && o.GetDeletionTimestamp() == nil {
		c.living[arn.UniqueID(prefix, string(o.GetUID()))] = true
	}
}

// gone is what an object's binding says of those who are not in the backup, nil for nothing.
func (c *Collector) gone(o *unstructured.Unstructured) map[string]any {
	field := bindings[o.GetKind()]
	if field == "" || o.GroupVersionKind().Group != v1alpha1.Group {
		return nil
	}
	binding, _, _ := unstructured.NestedMap(o.Object, "status", field)
	named, _, _ := unstructured.NestedSlice(binding, "principals")
	named = slices.DeleteFunc(named, func(v any) bool {
		principal, _ := v.(map[string]any)
		id, _ := principal["uniqueId"].(string)
		return id == "" || c.living[id]
	})
	if len(named) == 0 {
		return nil
	}
	return map[string]any{"policyDigest": binding["policyDigest"], "principals": named}
}

// withBinding is an object with that binding, nil for none.
func withBinding(o *unstructured.Unstructured, binding map[string]any) *unstructured.Unstructured {
	field := bindings[o.GetKind()]
	if field == "" || o.GroupVersionKind().Group != v1alpha1.Group {
		return o
	}
	out := o.DeepCopy()
	unstructured.RemoveNestedField(out.Object, "status", field)
	if binding == nil {
		return out
	}
	status, _ := out.Object["status"].(map[string]any)
	if status == nil {
		status = map[string]any{}
		out.Object["status"] = status
	}
	status[field] = binding
	return out
}

// binding takes what an object excludes out of a status that is carried, nil for nothing, or if that is not for an object as it is there. It tells where it cannot be given.
func (r *Restorer) binding(o, live *unstructured.Unstructured, carried map[string]any) map[string]any {
	field := bindings[o.GetKind()]
	binding, _ := carried[field].(map[string]any)
	delete(carried, field)
	if binding == nil || !unseen(live) {
		return nil
	}
	if r.running {
		r.bare(o, "a manager runs, so that whoever its policy names is let in, also who was made again under the name of one that it named before: change the policy, or restore it while none runs")
		return nil
	}
	return binding
}

// unseen tells whether no controller has seen an object: who it names is bound to nobody yet.
func unseen(live *unstructured.Unstructured) bool {
	generation, _, _ := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
	return generation <= 0
}

// rebound is a binding of a backup for the object as it was made, nil if that has no policy.
func (r *Restorer) rebound(ctx context.Context, live *unstructured.Unstructured, binding map[string]any) (map[string]any, error) {
	var (
		key       v1alpha1.KMSKey
		grant     v1alpha1.KMSGrant
		role      v1alpha1.IAMRole
		parameter v1alpha1.Parameter
		secret    v1alpha1.Secret
	)
	typed := map[string]client.Object{"KMSKey": &key, "KMSGrant": &grant, kindIAMRole: &role, "Parameter": &parameter, "Secret": &secret}[live.GetKind()]
	if typed == nil {
		return nil, nil
	}
	if err := r.Cluster.Get(ctx, client.ObjectKeyFromObject(live), typed); err != nil { // as its controller reads it, whose policy's text counts
		return nil, fmt.Errorf("reading %s: %w", nameOf(live), err)
	}
	digest := ""
	policy := map[string]*v1alpha1.PolicyDocument{
		"KMSKey": key.Spec.Policy, kindIAMRole: role.Spec.AssumeRolePolicy, "Parameter": parameter.Spec.ResourcePolicy, "Secret": secret.Spec.ResourcePolicy,
	}[live.GetKind()]
	switch {
	case live.GetKind() == "KMSGrant":
		digest = principals.GrantDigest(&grant)
	case policy == nil:
		return nil, nil
	default:
		digest = principals.Digest(typed, policy.Raw)
	}
	return map[string]any{"policyDigest": digest, "principals": binding["principals"]}, nil
}
