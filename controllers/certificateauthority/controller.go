// Package certificateauthority reconciles CertificateAuthorities: it makes their KMSKey if there is none, has their certificate issued and
// renewed, revokes, and makes revocation lists.
//
// A pass changes nothing but through its steps, in this order, each of which can be repeated: key, Envelope of the certificate, revocations,
// the ConfigMap, status. The status holds the index of certificates, so writing it commits.
package certificateauthority

import (
	"context"
	"crypto"
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
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

// Reconciler reconciles CertificateAuthorities.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Authorities issues and revokes.
	Authorities *acmpca.Service
	// Projector writes the ConfigMaps of targets, which take MaximumTarget bytes of data: 1 MiB if it is 0.
	Projector     *projection.Projector
	MaximumTarget int
	// Keyring opens certificates.
	Keyring *keyring.Holder
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=certificateauthorities,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=certificateauthorities/status,verbs=update

// pass is what one reconciliation knows.
type pass struct {
	ca     *v1alpha1.CertificateAuthority
	before *v1alpha1.CertificateAuthority
	now    time.Time

	arn   string
	index versions.Index
	// indexed tells that index is known, so that it may be committed; certified that the step certify is done.
	indexed, certified bool
	// found tells that the version in force was found and not made: resumed or restored.
	found bool
	// chain is the certificate in force and those above it; nil if it is not known.
	chain []*x509.Certificate
	// keyARN is the KMSKey's, and signer what signs.
	keyARN string
	signer crypto.Signer
	// requeue is when to look again, 0 for never.
	requeue time.Duration
}

func (p *pass) subject() sealed.Subject {
	return sealed.Subject{Namespace: p.ca.Namespace, Name: p.ca.Name, ARN: p.arn, Reading: store.Reading(p.ca)}
}

// Reconcile makes one pass over a CertificateAuthority.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ca := &v1alpha1.CertificateAuthority{}
	if found, err := passes.Living(ctx, r.Keyring, r.Client, req, ca); !found {
		if err == nil {
			r.Projector.Forget(req.Namespace, projection.Owner{Kind: own.Name, Name: req.Name})
		}
		return ctrl.Result{}, err
	}
	p := &pass{ca: ca, before: ca.DeepCopy(), now: r.Now()}
	return r.summarise(ctx, p, r.run(ctx, p))
}

func (r *Reconciler) run(ctx context.Context, p *pass) error {
	if err := passes.Run(ctx, p, r.identify, r.restore, r.owns, r.resume); err != nil {
		return err
	}
	p.indexed = true
	err := passes.Run(ctx, p, r.key, r.certify)
	if err != nil && p.chain == nil {
		return err
	}
	if err != nil && fault.Of(err).Reason != v1alpha1.ReasonRevoked {
		p.signer = nil // nothing is revoked or signed, and what there is stays shown
		return fault.Join(err, r.publish(ctx, p))
	}
	unknown := r.revoke(ctx, p) // one that is revoked itself issues nothing, and still tells what of it not to trust
	if err = fault.Join(err, unknown); unknown != nil && fault.Of(unknown).Reason != v1alpha1.ReasonNotIssued {
		return err
	}
	return fault.Join(err, r.publish(ctx, p)) // one entry that cannot be revoked holds no other up
}

// identify settles the authority's account and ARN. An ARN that status holds stays, since Envelopes are bound to it.
func (r *Reconciler) identify(ctx context.Context, p *pass) error {
	id, err := account.Resolve(ctx, r.Client, p.ca.Namespace)
	if err != nil {
		return err
	}
	p.arn = p.ca.Status.ARN
	if p.arn != "" && !arn.IsCertificateAuthority(p.arn, r.Authorities.RegionOf(p.ca), arn.Account(p.arn)) {
		return fmt.Errorf("%w: status.arn is no authority's; remove it there (--subresource=status) to have it rebuilt", store.ErrTampered)
	}
	if p.arn == "" {
		p.arn = r.Authorities.NewARN(p.ca, id)
		return nil // without it, what status lists says nothing: restore finds both
	}
	p.index = acmpca.IndexOf(p.ca)
	return nil
}

// restore brings back the index of an authority that has none: it was deleted and is applied again within its recovery window, or its
// status was lost.
func (r *Reconciler) restore(ctx context.Context, p *pass) error {
	if len(p.index) > 0 {
		return nil
	}
	region, id := r.Authorities.RegionOf(p.ca), arn.Account(p.arn)
	restored, err := r.Authorities.Versions().Restore(ctx, sealed.Lost{
		Namespace: p.ca.Namespace, Name: p.ca.Name, Reading: store.Reading(p.ca), Created: p.ca.CreationTimestamp.Time,
		Mine: func(subject string) bool { return arn.IsCertificateAuthority(subject, region, id) },
	})
	if err != nil || restored.ARN == "" {
		return err
	}
	p.arn, p.index, p.found = restored.ARN, restored.Index, true
	if restored.Deleted {
		r.reporter().Tell(p.ca, outcome.Restored(p.arn, len(p.index)))
	}
	return nil
}

// owns refuses an ARN that is another's, as which nothing is read, issued or shown.
func (r *Reconciler) owns(ctx context.Context, p *pass) error {
	return r.Authorities.CheckARN(ctx, p.ca, p.arn)
}

// resume commits, in this pass, the certificates whose Envelopes earlier passes made before they ended.
func (r *Reconciler) resume(ctx context.Context, p *pass) error {
	ix, err := r.Authorities.Versions().Resume(ctx, p.subject(), p.index)
	p.found = p.found || len(ix) > len(p.index)
	p.index = ix
	return err
}
