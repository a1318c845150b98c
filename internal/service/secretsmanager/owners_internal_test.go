package secretsmanager

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// TestWhoOwnsAReplicaIsToldInOneWay to all that ask: whether it was taken up by its primary, whether somebody else holds it, and whether a deletion without a window counts.
func TestWhoOwnsAReplicaIsToldInOneWay(t *testing.T) {
	primary := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "db", UID: "now"}}
	of := func(version, kind, name string, uid types.UID) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: version, Kind: kind, Name: name, UID: uid}
	}
	group := v1alpha1.SchemeGroupVersion.String()
	its := of(group, "Secret", "db", "now")
	for name, tt := range map[string]struct {
		replicaOf string
		owners    []metav1.OwnerReference
		// taken is what OwnedBy says, held what foreign does, and forced what IsForced does of one that is to go without a window.
		taken, held, forced bool
	}{
		"its primary": {"db", []metav1.OwnerReference{its}, true, false, true},
		"nobody":      {"db", nil, false, false, true},
		"the primary of its name that there was before":         {"db", []metav1.OwnerReference{of(group, "Secret", "db", "former")}, false, false, true},
		"its primary and somebody else":                         {"db", []metav1.OwnerReference{its, of("v1", "ConfigMap", "db", "1")}, true, true, false},
		"a core Secret of the primary's name":                   {"db", []metav1.OwnerReference{of("v1", "Secret", "db", "now")}, false, true, false},
		"another kind with the primary's name and UID":          {"db", []metav1.OwnerReference{of(group, "KMSKey", "db", "now")}, false, true, false},
		"another Secret, with the primary's UID":                {"db", []metav1.OwnerReference{of(group, "Secret", "other", "now")}, false, true, false},
		"the primary of what is a replica no more":              {"", []metav1.OwnerReference{its}, false, true, false},
		"nobody, and it is no replica":                          {"", nil, false, false, true},
		"a Secret of another version of Strongroom's own group": {"db", []metav1.OwnerReference{of(v1alpha1.Group+"/v9", "Secret", "db", "now")}, false, true, false},
	} {
		s := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{OwnerReferences: tt.owners}}
		if tt.replicaOf != "" {
			s.Spec.ReplicaOf = &v1alpha1.PrimarySecret{Name: tt.replicaOf, Region: "us-east-1"}
		}
		if got := OwnedBy(s, primary); got != tt.taken {
			t.Errorf("%s: taken up: %t", name, got)
		}
		if got := foreign(s); got != tt.held {
			t.Errorf("%s: held by somebody else: %t", name, got)
		}
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.ForceDeleteAnnotation, "true")
		if got := IsForced(s); got != tt.forced {
			t.Errorf("%s: goes without a window: %t", name, got)
		}
	}
}
