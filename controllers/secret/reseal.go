package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
)

// reseal answers the annotation strongroom.dev/reseal: spec.sealed anew, for the newest material of a key, so that the former material, or the
// former key, is not needed any more to read what is in Git. The text goes into status and not into spec, which is Git's. It changes no
// version, so nothing about it fails the pass: what stands in its way is said beside it.
func (r *Reconciler) reseal(ctx context.Context, p *pass) {
	asked, ok := p.secret.Annotations[v1alpha1.ResealAnnotation]
	if !ok || p.secret.Spec.Sealed == "" {
		p.secret.Status.Resealed = p.madeBefore()
		return
	}
	if p.isResealed() { // what was made is needed until it is committed that it came
		p.lookAgain(time.Second)
		return
	}
	status := v1alpha1.ResealedStatus{Source: imports.NameOf(p.secret.Spec.Sealed, nil), Key: conditions.Echo(asked)}
	from, to, err := r.resealingKeys(ctx, p, asked)
	if err == nil {
		status.Key = to.Name
		if was := p.secret.Status.Resealed; was != nil && was.Source == status.Source && was.Key == status.Key && kms.SealedForCurrent(to, was.Sealed) {
			return // sealing is never the same twice, so each pass would write
		}
		status.Sealed, err = r.KMS.Reseal(ctx, from, to, p.sealingScope(), p.secret.Spec.Sealed)
	}
	if err != nil {
		status.Message = fault.Message(imports.SealedFault(err, sealedKind))
	} else {
		status.Digest = sealing.Digest(status.Sealed)
	}
	p.secret.Status.Resealed = &status
}

// madeBefore is what is kept of a text that was made, until it comes in spec or another does.
func (p *pass) madeBefore() *v1alpha1.ResealedStatus {
	made := p.secret.Status.Resealed
	if made == nil || made.Digest == "" || made.Source != p.secret.Status.ImportedFrom {
		return nil
	}
	return &v1alpha1.ResealedStatus{Source: made.Source, Digest: made.Digest}
}

// isResealed tells that spec.sealed is the text that was made here of the one which the value was imported from. It has the same value, which
// was opened already: to open it again would take the place of what was put since.
// What counts is what is committed, so that a pass that fails after this leaves it true.
func (p *pass) isResealed() bool {
	made := p.secret.Status.Resealed
	return made != nil && made.Digest != "" && made.Source == p.secret.Status.ImportedFrom && made.Digest == sealing.Digest(p.secret.Spec.Sealed)
}

// resealingKeys are the key that the value is sealed for, and the one that it shall be sealed for.
func (r *Reconciler) resealingKeys(ctx context.Context, p *pass, asked string) (from, to *v1alpha1.KMSKey, err error) {
	from, err = r.KMS.SealedFor(ctx, p.secret.Namespace, p.secret.Spec.Sealed)
	if err != nil || asked == "" || asked == from.Name {
		return from, from, err
	}
	to = &v1alpha1.KMSKey{}
	err = r.Client.Get(ctx, client.ObjectKey{Namespace: p.secret.Namespace, Name: asked}, to)
	if apierrors.IsNotFound(err) || err == nil && kms.Gone(to) {
		err = fmt.Errorf("%w: the annotation %s names KMSKey %s", errNoResealingKey, v1alpha1.ResealAnnotation, asked)
	}
	return from, to, err
}

var errNoResealingKey = errors.New("there is no such key in this namespace")
