package secret

import (
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// targetSources are the values of TargetSourceIndex.
func targetSources(obj client.Object) []string {
	s, ok := obj.(*v1alpha1.Secret)
	if !ok {
		return nil
	}
	var out []string
	for _, source := range s.TargetSources() {
		switch {
		case source.SecretRef != nil:
			out = append(out, own.Name+"/"+source.SecretRef.Name)
		case source.ParameterRef != nil:
			out = append(out, parameterstore.OwnerKind+"/"+source.ParameterRef.Name)
		}
	}
	return out
}

// sourceOfTarget looks for the Secrets whose targets are made of an object of a kind.
func sourceOfTarget(kind string) func(client.Object) []passes.Lookup {
	return func(obj client.Object) []passes.Lookup {
		return []passes.Lookup{{Index: TargetSourceIndex, Value: kind + "/" + obj.GetName()}}
	}
}

// valueChanged lets those events of an object through by which a target that is made of it becomes another: its two newest versions are
// others, which one write of its status commits, or it is going. What there is at the start is looked at by its own pass.
func valueChanged[T client.Object](values func(T) [2]string) predicate.Funcs {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(T)
			after, ok2 := e.ObjectNew.(T)
			return ok1 && ok2 && (values(before) != values(after) || before.GetUID() != after.GetUID() ||
				before.GetDeletionTimestamp().IsZero() != after.GetDeletionTimestamp().IsZero())
		},
	}
}

// secretValues and parameterValues are the ids of the two newest versions, the ARN, without which none is known, whether they are withheld, and until when they are for anybody.
func secretValues(s *v1alpha1.Secret) (out [2]string) {
	for i := range s.Status.Versions {
		v := &s.Status.Versions[i]
		for at, stage := range []string{v1alpha1.StageCurrent, v1alpha1.StagePrevious} {
			if slices.Contains(v.Stages, stage) {
				out[at] = s.Status.ARN + " " + v.VersionID
			}
		}
	}
	return out
}

func parameterValues(p *v1alpha1.Parameter) (out [2]string) {
	all := p.Status.Versions
	end := ""
	if expiry := parameterstore.Expiry(p); expiry != nil {
		end = expiry.String()
	}
	for at := range min(len(all), 2) {
		out[at] = fmt.Sprint(p.Status.ARN, " ", all[len(all)-1-at].Version, " ", parameterstore.Withheld(p), " ", end)
	}
	return out
}
