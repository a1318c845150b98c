package parametertree_test

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// lying is a cache that has one Parameter as it is not at the API server, which the schema would refuse.
type lying struct {
	client.Client
	as *v1alpha1.Parameter
}

func (l *lying) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := l.Client.List(ctx, list, opts...)
	if parameters, ok := list.(*v1alpha1.ParameterList); ok {
		for i := range parameters.Items {
			if parameters.Items[i].Name == l.as.Name {
				parameters.Items[i] = *l.as
			}
		}
	}
	return err
}
