package parameterstore

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/internal/store"
)

func TestAFieldIsDeclaredIfSomebodyElseManagesIt(t *testing.T) {
	entry := func(manager, subresource, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const both = `{"f:spec":{".":{},"f:description":{},"f:kmsKeyRef":{"f:name":{}}},"f:metadata":{"f:annotations":{"f:tier":{}}}}`
	asked := []string{"allowedPattern", "description", "kmsKeyRef", "tier"}
	for name, tt := range map[string]struct {
		managed []metav1.ManagedFieldsEntry
		want    []string
	}{
		"by nobody":                        {nil, nil},
		"by a manifest":                    {[]metav1.ManagedFieldsEntry{entry("kubectl-client-side-apply", "", both)}, []string{"description", "kmsKeyRef"}},
		"by one of several":                {[]metav1.ManagedFieldsEntry{entry(FieldOwner, "", both), entry("argocd", "", `{"f:spec":{"f:tier":{}}}`)}, []string{"tier"}},
		"by requests":                      {[]metav1.ManagedFieldsEntry{entry(FieldOwner, "", both)}, nil},
		"by a restore":                     {[]metav1.ManagedFieldsEntry{entry(store.RestoreFieldOwner, "", both)}, nil},
		"by a manifest after a restore":    {[]metav1.ManagedFieldsEntry{entry(store.RestoreFieldOwner, "", both), entry("kubectl", "", both)}, []string{"description", "kmsKeyRef"}},
		"in a status, which declares none": {[]metav1.ManagedFieldsEntry{entry("manager", "status", both)}, nil},
		"as a whole, and no field of it":   {[]metav1.ManagedFieldsEntry{entry("kubectl", "", `{"f:spec":{".":{}}}`)}, nil},
		"by what is no set of fields":      {[]metav1.ManagedFieldsEntry{entry("kubectl", "", `{"f:`), {Manager: "kubectl"}}, nil},
	} {
		if got := declaredOf(tt.managed, asked); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
