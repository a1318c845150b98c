package parameterstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
)

// A field of spec that a request may change, by its name in a manifest.
type field struct {
	name string
	of   func(*v1alpha1.ParameterSpec) any
}

var fields = []field{
	{"allowedPattern", func(s *v1alpha1.ParameterSpec) any { return s.AllowedPattern }},
	{"description", func(s *v1alpha1.ParameterSpec) any { return s.Description }},
	{"kmsKeyRef", func(s *v1alpha1.ParameterSpec) any { return s.KMSKeyRef }},
	{"policies", func(s *v1alpha1.ParameterSpec) any { return s.Policies }},
	{"tier", func(s *v1alpha1.ParameterSpec) any { return s.Tier }},
}

// changedFields are the names of the fields in which two specs differ.
func changedFields(a, b *v1alpha1.ParameterSpec) (names []string) {
	for _, f := range fields {
		if !equality.Semantic.DeepEqual(f.of(a), f.of(b)) {
			names = append(names, f.name)
		}
	}
	return names
}

// checkDeclared refuses a request that would change what a manifest says: a value may be put beside it, and what Git declares wins. A parameter that requests alone
// have made and changed has no such fields. Who manages a field is not in the cache, and is read from the API server, only if a request changes one.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
func (s *Service) checkDeclared(ctx context.Context, in *PutInput, p *v1alpha1.Parameter) error {
	wanted := p.Spec.DeepCopy()
	if err := in.change(wanted, p.Status.Tier); err != nil {
		return err
	}
	changed := changedFields(&p.Spec, wanted)
	if len(changed) == 0 {
		return nil
	}
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("Parameter"))
	if err := s.Store.Live.Get(ctx, client.ObjectKeyFromObject(p), live); err != nil {
		return client.IgnoreNotFound(err) // whoever deleted it is found by the write
	}
	declared := declaredOf(live.ManagedFields, changed)
	if len(declared) == 0 {
		return nil
	}
	return Invalid(fmt.Sprintf("The manifest of this parameter has its %s (spec of Parameter %s), which wins. Change it there, or leave it out of the request.",
		strings.Join(declared, ", "), p.Name))
}

// declaredOf are those of fields of spec that somebody else than Strongroom manages. What was restored is declared when its manifest is applied again.
func declaredOf(managed []metav1.ManagedFieldsEntry, names []string) []string {
	others := fieldpath.NewSet()
	for _, entry := range managed {
		if entry.Manager == FieldOwner || entry.Manager == store.RestoreFieldOwner || entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		set := &fieldpath.Set{}
		if err := set.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())); err != nil {
			continue // what is no set of fields declares none
		}
		others = others.Union(set)
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		spec := others.WithPrefix(fieldpath.PathElement{FieldName: ptr.To("spec")})
		return !spec.Has(fieldpath.MakePathOrDie(name)) && spec.WithPrefix(fieldpath.PathElement{FieldName: &name}).Empty()
	})
}
