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

const (
	// A followed source that changes all the time, as in a circle by way of somebody else's controller, makes maximumImports
	// versions in importPeriod and no more.
	maximumImports = 5
	importPeriod   = time.Minute
	// maximumChain is the number of core Secrets that are looked at for a cycle.
	maximumChain = 64
)

var errCycle = errors.New("a cycle")

var errSourceNotFound = errors.New("the import source does not exist")

// importValue makes a version of the source's value: once, or whenever it differs from the current one. The source is
// read live and by name.
func (r *Reconciler) importValue(ctx context.Context, p *pass) error {
	source := p.secret.Spec.ValueFrom
	follows := source.Policy == v1alpha1.ImportFollow
	if !follows && !p.wantsImport() {
		return nil
	}
	if err := r.checkCycle(ctx, p); err != nil {
		return err
	}
	value, labelled, err := r.sourceValue(ctx, p.secret.Namespace, source.SecretKeyRef)
	if err != nil {
		return err
	}
	defer value.Wipe()
	if err := secretsmanager.CheckValue(value); err != nil {
		return err
	}
	if follows && !labelled {
		p.lookAgain(followInterval)
	}
	return r.importIfOther(ctx, p, value)
}

// wantsImport tells whether a value that is imported once is to be imported now: there is none, it is asked for, or spec names
// another source than the current value's.
func (p *pass) wantsImport() bool {
	_, hasCurrent := p.index.ByStage(versions.Current)
	asked := p.requested() != "" && p.requested() != p.secret.Status.LastHandledRotateAt
	return !hasCurrent || asked || p.importedFrom != sourceOf(p.secret)
}

// importIfOther makes a version of a value unless the current one has it.
func (r *Reconciler) importIfOther(ctx context.Context, p *pass, value secretbytes.Bytes) error {
	why := triggerFirst
	if current, ok := p.index.ByStage(versions.Current); ok {
		stored, err := r.Secrets.Versions().Value(ctx, p.subject(), current)
		if err != nil {
			return err
		}
		defer stored.Wipe()
		if stored.Equal(value) {
			p.importedFrom = sourceOf(p.secret)
			return nil
		}
		follows := p.secret.Spec.ValueFrom.Policy == v1alpha1.ImportFollow
		if wait := holdImport(p.index, p.now); follows && wait > 0 {
			p.lookAgain(wait)
			return nil
		}
		why = triggerImported
	}
	if err := r.put(ctx, p, value, why); err != nil {
		return err
	}
	p.importedFrom = sourceOf(p.secret)
	return nil
}

// holdImport is how long the next import of a followed source has to wait, 0 if it may be made now.
func holdImport(ix versions.Index, now time.Time) time.Duration {
	if len(ix) < maximumImports {
		return 0
	}
	return max(0, ix[len(ix)-maximumImports].Created.Add(importPeriod).Sub(now))
}

// sourceOf names the source of an imported value, as status does.
func sourceOf(secret *v1alpha1.Secret) string {
	if secret.Spec.ValueFrom == nil {
		return ""
	}
	ref := secret.Spec.ValueFrom.SecretKeyRef
	return ref.Name + "/" + ref.Key
}

// checkCycle says whether the followed source is made of this secret, directly or by way of others: each change would then
// make another, for ever. It asks the cache alone. What is imported once makes no circle.
func (r *Reconciler) checkCycle(ctx context.Context, p *pass) error {
	if p.secret.Spec.ValueFrom.Policy != v1alpha1.ImportFollow {
		return nil
	}
	seen := map[string]bool{}
	next := []string{p.secret.Spec.ValueFrom.SecretKeyRef.Name}
	for len(next) > 0 && len(seen) < maximumChain {
		source := next[0]
		next = next[1:]
		if source == p.targetName() {
			return fault.Stalled(v1alpha1.ReasonCycle, fmt.Errorf("%w: core Secret %s is made of this secret's own target %s; "+
				"follow another source, or use policy Once", errCycle, p.secret.Spec.ValueFrom.SecretKeyRef.Name, p.targetName()))
		}
		if seen[source] {
			continue
		}
		seen[source] = true
		makers, err := r.having(ctx, p.secret.Namespace, TargetIndex, source)
		if err != nil {
			return err
		}
		for i := range makers {
			if from := makers[i].Spec.ValueFrom; from != nil && from.Policy == v1alpha1.ImportFollow {
				next = append(next, from.SecretKeyRef.Name)
			}
		}
	}
	return nil
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
