package parameter_test

import (
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/test/environment"
)

func accountOf(p *v1alpha1.Parameter) string { return arn.DeriveAccount(p.Namespace) }

func requestFor(p *v1alpha1.Parameter) ctrl.Request { return environment.Request(p) }
