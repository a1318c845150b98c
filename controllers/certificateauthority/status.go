package certificateauthority

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/sealed"
)

// summarise puts what this pass came to into status and ends it. Writing status is the commit point of new certificates.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	prune := r.Authorities.Versions().LetGo(ctx, p.subject(), p.commit())
	p.ca.Status.ObservedGeneration = p.ca.Generation
	quiet := []string{v1alpha1.ReasonKeyUnusable, v1alpha1.ReasonAuthorityNotReady} // the key tells it, or the authority above
	if errors.Is(err, kms.ErrBeingDeleted) {                                        // by mistake perhaps, and there is a way to keep it
		quiet = quiet[1:]
	}
	return r.reporter().End(ctx, &outcome.Pass{
		Before: p.before, Object: p.ca, Err: err, Message: acmpca.MessageInForce, Requeue: p.requeue,
		Committed: prune,
		Quiet:     quiet,
	})
}

func (r *Reconciler) reporter() outcome.Reporter {
	return outcome.Reporter{Client: r.Client, Events: r.Events, Now: r.Now}
}

// commit puts the facts of this pass into status and returns the versions that the index let go.
func (p *pass) commit() versions.Index {
	status := &p.ca.Status
	status.LastHandledReconcileAt = conditions.Echo(p.ca.Annotations[v1alpha1.ReconcileAnnotation])
	if !p.indexed {
		return nil
	}
	if p.certified || p.found {
		status.LastHandledRotateAt = p.requested()
	}
	kept, gone := sealed.Staged(p.index)
	status.ARN = p.arn
	status.Versions = sealed.ListOf(kept)
	if p.keyARN != "" {
		status.KMSKeyARN = p.keyARN
	}
	if p.chain != nil {
		p.describe()
	}
	return gone
}

// describe puts what the certificate says into status.
func (p *pass) describe() {
	status, c := &p.ca.Status, p.chain[0]
	status.Certificate, status.CertificateChain = pemOf(p.chain[:1]), pemOf(p.chain[1:])
	status.Serial = pki.FormatSerial(c.SerialNumber)
	begin, end := metav1.NewTime(c.NotBefore).Rfc3339Copy(), metav1.NewTime(c.NotAfter).Rfc3339Copy()
	at := metav1.NewTime(pki.RenewalTime(c.NotBefore, c.NotAfter, acmpca.Duration(p.ca.Spec.RenewBefore, 0), string(p.ca.UID))).Rfc3339Copy()
	status.NotBefore, status.NotAfter, status.RenewalTime = &begin, &end, &at
}
