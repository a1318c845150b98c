package imports

import (
	"cmp"
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// parametersOfTree are the core Secrets that the parameters of a tree follow. Which of them the tree shows at the moment, by labels and age,
// is not looked at: that may change.
func parametersOfTree(ctx context.Context, cache client.Reader, f Follower, tree *v1alpha1.ParameterTree, name string) ([]string, error) {
	chosen, err := parameterstore.TreeOf(&tree.Spec)
	if err != nil { // it shows nothing, and says so itself
		return nil, nil
	}
	var list v1alpha1.ParameterList
	err = cache.List(ctx, &list, client.InNamespace(tree.Namespace), client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil {
		return nil, fmt.Errorf("looking for the parameters of a tree: %w", err)
	}
	_, isParameter := f.(*v1alpha1.Parameter)
	var out []string
	for i := range list.Items {
		p := &list.Items[i]
		if p.FollowedSource() == "" || elsewhere(tree, p) || !chosen.Selects(p) {
			continue
		}
		if isParameter && p.Name == f.GetName() {
			return nil, fault.Stalled(v1alpha1.ReasonCycle, fmt.Errorf("%w: core Secret %s is made of this object's own value, which ParameterTree %s "+
				"shows in it; follow another source, use policy Once, or exclude the parameter from the tree", errCycle, name, tree.Name))
		}
		out = append(out, p.FollowedSource())
	}
	return out, nil
}

// elsewhere tells that a parameter is of another region than a tree, as far as both say: in spec, or else by the ARN in status.
func elsewhere(tree *v1alpha1.ParameterTree, p *v1alpha1.Parameter) bool {
	of := cmp.Or(tree.Spec.Region, arn.Region(tree.Status.ARN))
	in := cmp.Or(p.Spec.Region, arn.Region(p.Status.ARN))
	return of != "" && in != "" && of != in
}
