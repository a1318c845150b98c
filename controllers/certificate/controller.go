// Package certificate reconciles Certificates: it has them issued, renewed with a fresh key or imported, keeps each key together with its
// certificate in one Envelope, and projects them into native Secrets of type kubernetes.io/tls.
//
// A pass changes nothing but through its steps, in this order, each of which can be repeated: the authority's record, Envelope, projection,
// restarts, status. The status holds the index of versions, so writing it commits; a pass that ends before finds the Envelope and goes on
// with it.
package certificate

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/acm"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

// Reconciler reconciles Certificates.
type Reconciler struct {
	// Client reads from the cache and writes. Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// Certificates stores and reads keys with their certificates, and has them issued.
	Certificates *acm.Service
	// Keyring makes digests.
	Keyring *keyring.Holder
	// Projector writes targets.
	Projector *projection.Projector
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=certificates,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=certificates/status,verbs=update

// pass is what one reconciliation knows.
type pass struct {
	certificate *v1alpha1.Certificate
	// before is the object as it was read, and former its status.
	before *v1alpha1.Certificate
	former *v1alpha1.CertificateStatus
	now    time.Time

	arn   string
	index versions.Index
	// indexed tells that index is known, so that it may be committed; settled that the step settle is done.
	indexed, settled bool
	// found tells that the version in force was found and not made: resumed or restored.
	found bool
	// bundle is the version in force; its key is wiped at the end.
	bundle pki.Bundle
	// requeue is when to look again, 0 for never.
	requeue time.Duration
}

func (p *pass) subject() sealed.Subject {
	return sealed.Subject{Namespace: p.certificate.Namespace, Name: p.certificate.Name, ARN: p.arn, Reading: store.Reading(p.certificate)}
}

// chain is the certificate in force and those above it; nil if there is none.
func (p *pass) chain() []*x509.Certificate { return p.bundle.Chain }

// Reconcile makes one pass over a Certificate.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	c := &v1alpha1.Certificate{}
	if found, err := passes.Begin(ctx, r.Keyring, r.Client, req, c); !found {
		if err == nil {
			acm.ForgetTurn(req.Namespace, req.Name) // no key is made any more
			r.Projector.Forget(req.Namespace, projection.Owner{Kind: kind, Name: req.Name})
		}
		return ctrl.Result{}, err
	}
	if store.BeingDeleted(c) {
		acm.ForgetTurn(req.Namespace, req.Name)
		return r.terminate(ctx, c)
	}
	before := c.DeepCopy()
	p := &pass{certificate: c, before: before, former: &before.Status, now: r.Now()}
	err := r.run(ctx, p)
	p.bundle.Key.Wipe()
	return r.summarise(ctx, p, err)
}

// run is the order of steps. What there is is shown and healed even if it could not be renewed.
func (r *Reconciler) run(ctx context.Context, p *pass) error {
	if p.certificate.Spec.Suspend {
		return passes.ErrSuspended
	}
	if err := passes.Run(ctx, p, r.identify, r.restore, r.owns, r.resume, r.open); err != nil {
		return err
	}
	p.indexed = true
	err := r.settle(ctx, p)
	if err != nil && p.chain() == nil {
		return err
	}
	return fault.Join(err, r.project(ctx, p))
}

// identify settles the certificate's account and ARN. An ARN that status holds stays, since ciphertexts are bound to it.
func (r *Reconciler) identify(ctx context.Context, p *pass) error {
	id, err := account.Resolve(ctx, r.Client, p.certificate.Namespace)
	if err != nil {
		return err
	}
	p.arn = p.certificate.Status.ARN
	if p.arn != "" && !arn.IsCertificate(p.arn, r.Certificates.RegionOf(p.certificate), arn.Account(p.arn)) {
		return fmt.Errorf("%w: status.arn is no certificate's; remove it there (--subresource=status) to have it rebuilt", store.ErrTampered)
	}
	if p.arn == "" {
		p.arn = r.Certificates.NewARN(p.certificate, id)
		return nil // without it, what status lists says nothing: restore finds both
	}
	p.index = acm.IndexOf(p.certificate)
	return nil
}

// restore brings back the index of a certificate that has none: it was deleted and is applied again within its recovery window, or its
// status was lost.
func (r *Reconciler) restore(ctx context.Context, p *pass) error {
	if len(p.index) > 0 {
		return nil
	}
	region, id := r.Certificates.RegionOf(p.certificate), arn.Account(p.arn)
	restored, err := r.Certificates.Versions().Restore(ctx, sealed.Lost{
		Namespace: p.certificate.Namespace, Name: p.certificate.Name, Reading: store.Reading(p.certificate), Created: p.certificate.CreationTimestamp.Time,
		Mine: func(subject string) bool { return arn.IsCertificate(subject, region, id) },
	})
	if err != nil || restored.ARN == "" {
		return err
	}
	p.arn, p.index, p.found = restored.ARN, restored.Index, true
	if restored.Deleted {
		r.reporter().Tell(p.certificate, outcome.Restored(p.arn, len(p.index)))
	}
	return nil
}

// owns refuses an ARN that is another's, as which nothing is read, issued or shown.
func (r *Reconciler) owns(ctx context.Context, p *pass) error {
	return r.Certificates.CheckARN(ctx, p.certificate, p.arn)
}

// resume commits, in this pass, the versions whose Envelopes earlier passes made before they ended.
func (r *Reconciler) resume(ctx context.Context, p *pass) error {
	ix, err := r.Certificates.Versions().Resume(ctx, p.subject(), p.index)
	p.found = p.found || len(ix) > len(p.index)
	p.index = ix
	return err
}

// open reads the version in force.
func (r *Reconciler) open(ctx context.Context, p *pass) (err error) {
	if current, found := p.index.ByStage(versions.Current); found {
		p.bundle, err = r.Certificates.Bundle(ctx, p.subject(), current)
	}
	return err
}
