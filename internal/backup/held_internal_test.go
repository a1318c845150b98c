package backup

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
)

func TestInWhoseHandsAnObjectIsThatNobodyHasAccountedFor(t *testing.T) {
	owner := func(apiVersion, kind, name, uid string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: name, UID: types.UID(uid)}
	}
	shop, theirs := owner("apps/v1", "Deployment", "shop", "1"), owner("v1", "ConfigMap", "theirs", "2")
	const strongroom = "strongroom.dev/v1alpha1"
	type in struct {
		owners     []metav1.OwnerReference
		finalizers []string
		replicaOf  string
	}
	for name, tt := range map[string]struct {
		kind               schema.GroupVersionKind
		backup, live       in
		owners, finalizers []string
		patch              string // what is removed, by its end
	}{
		"nobody's":                     {kind: ours("Secret")},
		"the same owner's as before":   {kind: ours("Secret"), backup: in{owners: []metav1.OwnerReference{shop}}, live: in{owners: []metav1.OwnerReference{shop}}},
		"of another UID and version":   {kind: ours("Secret"), backup: in{owners: []metav1.OwnerReference{shop}}, live: in{owners: []metav1.OwnerReference{owner("apps/v2", "Deployment", "shop", "9")}}},
		"of an owner that is gone now": {kind: ours("Secret"), backup: in{owners: []metav1.OwnerReference{shop}, finalizers: []string{"example.com/a"}}},
		"an owner's of another group": {
			kind: ours("Secret"), backup: in{owners: []metav1.OwnerReference{shop}}, live: in{owners: []metav1.OwnerReference{owner("example.com/v1", "Deployment", "shop", "1")}},
			owners: []string{"Deployment shop"}, patch: `{"op":"remove","path":"/metadata/ownerReferences/0"}`,
		},
		"an owner's of another name": {
			kind: ours("Secret"), backup: in{owners: []metav1.OwnerReference{shop}}, live: in{owners: []metav1.OwnerReference{owner("apps/v1", "Deployment", "shop2", "1")}},
			owners: []string{"Deployment shop2"}, patch: `{"op":"remove","path":"/metadata/ownerReferences/0"}`,
		},
		"a planted owner's beside the one of before": {
			kind: ours("Secret"), backup: in{owners: []metav1.OwnerReference{shop}}, live: in{owners: []metav1.OwnerReference{shop, theirs}},
			owners: []string{"ConfigMap theirs"}, patch: `{"op":"remove","path":"/metadata/ownerReferences/1"}`,
		},
		"two planted owners' and finalizers'": {
			kind: ours("Parameter"), live: in{owners: []metav1.OwnerReference{theirs, shop}, finalizers: []string{"example.com/a", "example.com/b"}},
			owners: []string{"ConfigMap theirs", "Deployment shop"}, finalizers: []string{"example.com/a", "example.com/b"},
			patch: `{"op":"remove","path":"/metadata/ownerReferences/1"},{"op":"remove","path":"/metadata/ownerReferences/0"},` +
				`{"op":"remove","path":"/metadata/finalizers/1"},{"op":"remove","path":"/metadata/finalizers/0"}`,
		},
		"a finalizer's of before":          {kind: ours("Secret"), backup: in{finalizers: []string{"example.com/a"}}, live: in{finalizers: []string{"example.com/a"}}},
		"a key's own":                      {kind: ours("KMSKey"), live: in{finalizers: []string{kms.Finalizer}}},
		"a user's own":                     {kind: ours("IAMUser"), live: in{finalizers: []string{"strongroom.dev/access-keys"}}},
		"an HSMCluster's own":              {kind: ours("HSMCluster"), live: in{finalizers: []string{v1alpha1.RootFinalizer, "strongroom.dev/hsmcluster"}}},
		"an HSMCluster's, of core Secrets": {kind: core("Secret"), live: in{finalizers: []string{v1alpha1.RootFinalizer}}},
		"a key's, on a Secret, where nobody takes it off": {
			kind: ours("Secret"), live: in{finalizers: []string{kms.Finalizer}}, finalizers: []string{kms.Finalizer}, patch: `{"op":"remove","path":"/metadata/finalizers/0"}`,
		},
		"that which makes orphans": {
			kind: ours("Secret"), live: in{finalizers: []string{metav1.FinalizerOrphanDependents}}, finalizers: []string{"orphan"}, patch: `{"op":"remove","path":"/metadata/finalizers/0"}`,
		},
		"a replica's primary": {kind: ours("Secret"), live: in{owners: []metav1.OwnerReference{owner(strongroom, "Secret", "primary", "3")}, replicaOf: "primary"}},
		"another Secret, of a replica": {
			kind: ours("Secret"), live: in{owners: []metav1.OwnerReference{owner(strongroom, "Secret", "other", "3")}, replicaOf: "primary"},
			owners: []string{"Secret other"}, patch: `{"op":"remove","path":"/metadata/ownerReferences/0"}`,
		},
		"a Secret, of none": {
			kind: ours("Secret"), live: in{owners: []metav1.OwnerReference{owner(strongroom, "Secret", "", "3")}},
			owners: []string{"Secret "}, patch: `{"op":"remove","path":"/metadata/ownerReferences/0"}`,
		},
		"an Envelope's Secret": {
			kind: ours("Envelope"), live: in{owners: []metav1.OwnerReference{owner(strongroom, "Secret", "db", "3")}},
			owners: []string{"Secret db"}, patch: `{"op":"remove","path":"/metadata/ownerReferences/0"}`,
		},
		"a namespace's": {kind: core("Namespace"), live: in{owners: []metav1.OwnerReference{theirs}, finalizers: []string{"example.com/a"}}},
	} {
		object := func(of in) *unstructured.Unstructured {
			o := &unstructured.Unstructured{Object: map[string]any{}}
			o.SetGroupVersionKind(tt.kind)
			o.SetNamespace("shop")
			o.SetName("db")
			o.SetResourceVersion("7")
			o.SetOwnerReferences(of.owners)
			o.SetFinalizers(of.finalizers)
			if of.replicaOf != "" {
				o.Object["spec"] = map[string]any{"replicaOf": map[string]any{"name": of.replicaOf}}
			}
			return o
		}
		h, there := handsOf(portable(object(tt.backup)), object(tt.live))
		if there != (tt.patch != "") || !slices.Equal(h.Owners, tt.owners) || !slices.Equal(h.Finalizers, tt.finalizers) {
			t.Errorf("%s: %t, %+v", name, there, h)
		}
		if tt.patch != "" && !strings.HasSuffix(h.Command, ` -n shop --type=json -p='[{"op":"test","path":"/metadata/resourceVersion","value":"7"},`+tt.patch+`]'`) || tt.patch == "" && h.Command != "" {
			t.Errorf("%s: %s", name, h.Command)
		}
	}
}

func TestTheCommandNamesTheKindAndNothingThatSomebodyWrote(t *testing.T) {
	for kind, want := range map[schema.GroupVersionKind]string{
		ours("Secret"): "kubectl patch secret.strongroom.dev db -n shop ", core("Secret"): "kubectl patch secret db -n shop ", ours("Envelope"): "kubectl patch envelope.strongroom.dev db -n shop ",
	} {
		live := &unstructured.Unstructured{Object: map[string]any{}}
		live.SetGroupVersionKind(kind)
		live.SetNamespace("shop")
		live.SetName("db")
		live.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "'; evil", UID: "'; evil"}})
		h, _ := handsOf(bare(live), live)
		if !strings.HasPrefix(h.Command, want) || strings.Contains(h.Command, "evil") {
			t.Errorf("%s: %s", kind, h.Command)
		}
	}
}

func TestAnObjectThatIsBeingDeletedIsTold(t *testing.T) {
	live := &unstructured.Unstructured{Object: map[string]any{}}
	live.SetGroupVersionKind(ours("KMSKey"))
	live.SetName("db")
	live.SetFinalizers([]string{kms.Finalizer})
	if h, there := handsOf(bare(live), live); there {
		t.Errorf("before: %+v", h)
	}
	live.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
	if h, there := handsOf(bare(live), live); !there || !h.BeingDeleted || h.Command != "" || h.Name != "KMSKey db" {
		t.Errorf("then: %t, %+v", there, h)
	}
}
