package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// followInterval is how often a followed source is read that is not labelled to be watched.
const followInterval = 5 * time.Minute

var errSourceNotFound = errors.New("the import source does not exist")

// importValue makes a version of the source's value: once, or whenever it differs from the current one. The source is
// read live and by name.
func (r *Reconciler) importValue(ctx context.Context, p *pass) error {
	source := p.secret.Spec.ValueFrom
	current, hasCurrent := p.index.ByStage(versions.Current)
	requested := p.secret.Annotations[v1alpha1.RotateAnnotation]
	asked := requested != "" && requested != p.secret.Status.LastHandledRotateAt
	if hasCurrent && source.Policy != v1alpha1.ImportFollow && !asked {
		return nil
	}
	value, labelled, err := r.sourceValue(ctx, p.secret.Namespace, source.SecretKeyRef)
	if err != nil {
		return err
	}
	defer value.Wipe()
	if err := secretsmanager.CheckValue(value); err != nil {
		return err
	}
	if source.Policy == v1alpha1.ImportFollow && !labelled {
		p.lookAgain(followInterval)
	}
	why := triggerFirst
	if hasCurrent {
		stored, err := r.Secrets.Value(ctx, p.secret.Namespace, p.arn, current)
		if err != nil {
			return err
		}
		defer stored.Wipe()
		if stored.Equal(value) {
			return nil
		}
		why = triggerImported
	}
	return r.put(ctx, p, value, why)
}

func (r *Reconciler) sourceValue(ctx context.Context, namespace string, ref v1alpha1.SecretKeyReference) (
	value secretbytes.Bytes, labelled bool, err error,
) {
	source := &corev1.Secret{}
	err = r.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, source)
	if apierrors.IsNotFound(err) {
		return value, false, fault.Waiting(v1alpha1.ReasonSourceNotFound,
			fmt.Errorf("%w: core Secret %s; create it, or name another in spec.valueFrom", errSourceNotFound, ref.Name))
	}
	if err != nil {
		return value, false, fmt.Errorf("reading import source %s: %w", ref.Name, err)
	}
	data, ok := source.Data[ref.Key]
	if !ok {
		return value, false, fault.Waiting(v1alpha1.ReasonSourceNotFound,
			fmt.Errorf("%w: core Secret %s has no key %s", errSourceNotFound, ref.Name, ref.Key))
	}
	return secretbytes.Own(data), source.Labels[v1alpha1.ManagedLabel] == v1alpha1.ManagedSource, nil
}
