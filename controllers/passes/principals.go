package passes

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/principals"
)

// PolicyPrincipals is an object with a policy that names principals.
type PolicyPrincipals struct {
	Object client.Object
	// Policy as it is in spec, nil for an object without, and compiled, nil for one that cannot be read.
	Policy   *v1alpha1.PolicyDocument
	Compiled *iam.Policy
	// Binding and Conditions are of its status.
	Binding    **v1alpha1.PolicyBinding
	Conditions *[]metav1.Condition
}

// BindPrincipals settles in status whom a policy's ARNs mean, and says of whom another is there now. A policy that cannot be read binds
// nobody, and is in force for nobody: the one before it stays bound, for when it comes back.
func BindPrincipals(ctx context.Context, reader client.Reader, n PolicyPrincipals) error {
	if n.Policy != nil && n.Compiled == nil {
		return nil
	}
	if n.Policy == nil {
		*n.Binding = nil
		meta.RemoveStatusCondition(n.Conditions, v1alpha1.ConditionPrincipalReplaced)
		return nil
	}
	named := n.Compiled.Principals()
	now, err := principals.Find(ctx, reader, named)
	if err != nil {
		return err
	}
	after, replaced := principals.Bind(*n.Binding, principals.Digest(n.Object, n.Policy.Raw), named, now)
	*n.Binding = after
	if len(replaced) == 0 {
		meta.RemoveStatusCondition(n.Conditions, v1alpha1.ConditionPrincipalReplaced)
		return nil
	}
	conditions.Set(n.Conditions, n.Object.GetGeneration(), v1alpha1.ConditionPrincipalReplaced, metav1.ConditionTrue, v1alpha1.ReasonAnotherPrincipal,
		replacedMessage(replaced))
	return nil
}

// Binding is when a pass settles whom the resource policy of an object means that may have been deleted and applied again.
type Binding struct {
	PolicyPrincipals
	// Known tells that the object has versions, Suspended that its pass ends before those of a deleted one can come back.
	Known, Suspended bool
	// Buried is the binding that the tombstone of the deleted object keeps, if its versions may come back: see sealed.Versions.
	Buried func(context.Context) (*v1alpha1.PolicyBinding, error)
}

// BindFirst is BindPrincipals as the first step of a pass, so that nothing leaves a changed policy to whoever is made under a name. Of an object that
// may yet be restored the step that restores it does it: it may have been bound before. One that is suspended gets no further than this step, so here
// it has the binding that the tombstone keeps: whoever is made again under a name is not let in by suspending what is applied again.
func BindFirst(ctx context.Context, reader client.Reader, b Binding) error {
	switch {
	case b.Known:
	case !b.Suspended:
		return nil
	case *b.Binding == nil && b.Policy != nil:
		kept, err := b.Buried(ctx)
		if err != nil {
			return err
		}
		*b.Binding = principals.Rebound(b.Object, b.Policy, nil, kept)
	}
	return BindPrincipals(ctx, reader, b.PolicyPrincipals)
}

// Understood says whether parse understands a resource policy, which there need not be. Its object does all else; by the AWS API, a policy that is not understood lets nobody in.
func Understood(document *v1alpha1.PolicyDocument, parse func([]byte) (*iam.Policy, error)) error {
	if document == nil {
		return nil
	}
	if _, err := parse(document.Raw); err != nil {
		return fault.Stalled(v1alpha1.ReasonMalformedPolicyDocument, fmt.Errorf("spec.resourcePolicy: %w", err))
	}
	return nil
}

// replacedMessage names the first few.
func replacedMessage(replaced []string) string {
	const most = 3
	more := ""
	if len(replaced) > most {
		more = fmt.Sprintf(" and %d more", len(replaced)-most)
		replaced = replaced[:most]
	}
	return "Deleted and made again since the policy is as it is, and so allowed nothing by it: " + strings.Join(replaced, ", ") + more +
		". To trust who is there now, change the policy, its Id or a Sid for example, or annotation " + principals.SavedAnnotation
}

// OfPrincipal asks for a pass over the objects of a kind whose policies may name a user or role that appeared. The cache must have
// principals.Index of the kind.
func OfPrincipal(reader client.Reader, list func() client.ObjectList) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) (out []reconcile.Request) {
		asking := principals.Asking(obj)
		if asking == "" {
			return nil
		}
		all := list()
		if err := reader.List(ctx, all, client.MatchingFields{principals.Index: asking}, client.UnsafeDisableDeepCopy); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "listing whose policies name a principal")
			return nil
		}
		_ = meta.EachListItem(all, func(item runtime.Object) error {
			if o, ok := item.(client.Object); ok {
				out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)})
			}
			return nil
		})
		return out
	})
}

// PrincipalAppeared lets a user or role through that has an ARN since now. Those that are there when a manager starts are looked at by
// the passes over what names them.
var PrincipalAppeared = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return principals.Asking(e.ObjectOld) != principals.Asking(e.ObjectNew)
	},
	DeleteFunc:  func(event.DeleteEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}
