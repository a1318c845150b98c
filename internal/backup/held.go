package backup

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
)

// An object that is there and says what the backup's does can be in somebody's hands all the same. With an owner it goes when that goes, by the garbage collector, and by a finalizer it
// stays when it is to go; whoever may update it and not delete it can have given it either. Controllers of the new cluster give owners and finalizers, too: so neither is a reason to
// call the object another, and what nobody has accounted for is told.
// https://kubernetes.io/docs/concepts/architecture/garbage-collection/

// Held is who has an object in hand that is there, of those that are neither Strongroom's nor in the backup.
type Held struct {
	// Name of the object: its kind, namespace and name.
	Name string
	// Owners are kinds and names, and Finalizers are names, as somebody wrote them.
	Owners, Finalizers []string
	// BeingDeleted tells that the object goes when its finalizers have gone, those of Strongroom too: nothing takes that back.
	BeingDeleted bool
	// Command takes the owners and finalizers off, unless the object has changed since; empty if there are none. There is nothing in it that somebody wrote, but for the object's name.
	Command string
}

// ownFinalizers are those that Strongroom itself puts on, by kind.
var ownFinalizers = map[schema.GroupVersionKind][]string{
	ours(kindHSMCluster): {v1alpha1.Group + "/hsmcluster", v1alpha1.RootFinalizer}, // controllers/hsmcluster.Finalizer, which is above this package
	ours(kindIAMUser):    {v1alpha1.Group + "/access-keys"},                        // controllers/iamuser.Finalizer
	ours("KMSKey"):       {kms.Finalizer},
	core(kindSecret):     {v1alpha1.RootFinalizer}, // of an HSMCluster that is the root
}

// handsOf compares the hands that an object is in with those of the backup. Owners have other UIDs in another cluster, and are compared by their groups, kinds and names. Namespaces are no
// part of this: who has them in hand is the cluster's administrator's to say.
func handsOf(o, live *unstructured.Unstructured) (h Held, there bool) {
	if o.GroupVersionKind() == core(kindNamespace) {
		return h, false
	}
	h = Held{Name: nameOf(o), BeingDeleted: live.GetDeletionTimestamp() != nil}
	var paths []string // from the last to the first, so that taking one off moves no other that is to be taken off
	accounted := ownersOf(o)
	for i, owner := range slices.Backward(live.GetOwnerReferences()) {
		if slices.Contains(accounted, ownerOf(owner)) || isPrimary(live, owner) {
			continue
		}
		h.Owners = append(h.Owners, owner.Kind+" "+owner.Name)
		paths = append(paths, fmt.Sprintf("/metadata/ownerReferences/%d", i))
	}
	own := ownFinalizers[o.GroupVersionKind()]
	for i, name := range slices.Backward(live.GetFinalizers()) {
		if slices.Contains(own, name) || slices.Contains(o.GetFinalizers(), name) {
			continue
		}
		h.Finalizers = append(h.Finalizers, name)
		paths = append(paths, fmt.Sprintf("/metadata/finalizers/%d", i))
	}
	slices.Reverse(h.Owners)
	slices.Reverse(h.Finalizers)
	if len(paths) > 0 {
		h.Command = releasing(live, paths)
	}
	return h, h.BeingDeleted || len(paths) > 0
}

// isPrimary tells of an owner of a replica that it is its primary, which its controller makes it.
func isPrimary(live *unstructured.Unstructured, owner metav1.OwnerReference) bool {
	primary, _, _ := unstructured.NestedString(live.Object, "spec", "replicaOf", "name")
	return live.GroupVersionKind() == ours(kindSecret) && primary != "" && ownerOf(owner) == ownedBy{v1alpha1.Group, kindSecret, primary}
}

// ownedBy is what an owner is in any cluster.
type ownedBy struct{ group, kind, name string }

func ownerOf(o metav1.OwnerReference) ownedBy {
	gv, _ := schema.ParseGroupVersion(o.APIVersion)
	return ownedBy{gv.Group, o.Kind, o.Name}
}

func ownersOf(o *unstructured.Unstructured) (out []ownedBy) {
	for _, owner := range o.GetOwnerReferences() {
		out = append(out, ownerOf(owner))
	}
	return out
}

// releasing is a command that takes what is at some paths off an object, as it was read: a patch of JSON that another write makes void.
// https://datatracker.ietf.org/doc/html/rfc6902
func releasing(live *unstructured.Unstructured, paths []string) string {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value string `json:"value,omitempty"`
	}
	patch := []operation{{"test", "/metadata/resourceVersion", live.GetResourceVersion()}}
	for _, path := range paths {
		patch = append(patch, operation{Op: "remove", Path: path})
	}
	text, _ := json.Marshal(patch) // of texts alone, which cannot fail
	of := strings.ToLower(live.GetKind())
	if group := live.GroupVersionKind().Group; group != "" {
		of += "." + group
	}
	return fmt.Sprintf("kubectl patch %s %s -n %s --type=json -p='%s'", of, live.GetName(), live.GetNamespace(), text)
}

// noteHands notes the owners and finalizers of an object in what a backup has of it: owners without UIDs, which are of one cluster.
func noteHands(o, out *unstructured.Unstructured) {
	var owners []any
	for _, owner := range o.GetOwnerReferences() {
		if owner.Kind != "" && owner.Name != "" {
			owners = append(owners, map[string]any{"apiVersion": owner.APIVersion, "kind": owner.Kind, "name": owner.Name})
		}
	}
	if len(owners) > 0 {
		_ = unstructured.SetNestedSlice(out.Object, owners, "metadata", "ownerReferences") // it has a name, and so metadata
	}
	if finalizers := o.GetFinalizers(); len(finalizers) > 0 {
		out.SetFinalizers(finalizers)
	}
}
