package certificate

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/projection"
)

const kind = "Certificate"

// project shows the certificate in force in the target, and restarts what the target names if it is another than at the last time.
func (r *Reconciler) project(ctx context.Context, p *pass) error {
	current, _ := p.index.ByStage(versions.Current)
	showing := projection.Showing{
		Owner:     projection.Owner{Kind: kind, Name: p.certificate.Name, UID: p.certificate.UID, ARN: p.arn},
		Namespace: p.certificate.Namespace, Generation: p.certificate.Generation, Version: current.ID, Now: p.now,
	}
	if former := p.former.Projection; former != nil {
		showing.Former = &projection.Former{Name: former.Name, Keys: former.Keys, Digest: former.Digest}
	}
	if spec := p.certificate.Spec.Target; spec != nil {
		showing.Target = &projection.Target{
			Name: p.certificate.TargetName(), Type: string(corev1.SecretTypeTLS), Policy: spec.CreationPolicy, Whole: true, Data: dataOf(p.bundle),
		}
		showing.Restart = spec.Restart
	}
	return r.show(ctx, p, &showing)
}

// terminate takes a certificate out of force that was deleted, while finalizers of others hold its object. What it had is controllers/envelope's.
func (r *Reconciler) terminate(ctx context.Context, c *v1alpha1.Certificate) (ctrl.Result, error) {
	before := c.DeepCopy()
	owner := projection.Owner{Kind: kind, Name: c.Name, UID: c.UID, ARN: c.Status.ARN}
	var former []*projection.Former
	if shown := c.Status.Projection; shown != nil {
		former = append(former, &projection.Former{Name: shown.Name})
	}
	if c.Spec.Target != nil { // a status that was lost does not know what is shown
		former = append(former, &projection.Former{Name: c.TargetName()})
	}
	if err := r.Projector.Collect(ctx, c, owner, former...); err != nil {
		return outcome.Again(err)
	}
	c.Status.Projection = nil
	return r.reporter().Terminating(ctx, before, c)
}

// show has it shown, tells of what nobody asked for, and notes in status what is shown.
func (r *Reconciler) show(ctx context.Context, p *pass, showing *projection.Showing) error {
	shown, err := r.Projector.Show(ctx, showing)
	r.reporter().TellShown(p.certificate, &shown, err)
	if shown.Done {
		p.certificate.Status.Projection = nil
	}
	if shown.Done && showing.Target != nil {
		p.certificate.Status.Projection = &v1alpha1.ProjectionStatus{Name: showing.Target.Name, Keys: shown.Keys, Digest: shown.Digest}
	}
	return err
}

// dataOf is what a workload reads: the certificate and those between it and the root, the key, and the root if it is known.
func dataOf(b pki.Bundle) map[string]secretbytes.Bytes {
	served, last := b.Chain, b.Chain[len(b.Chain)-1]
	data := map[string]secretbytes.Bytes{corev1.TLSPrivateKeyKey: pki.KeyPEM(b.Key)}
	if pki.IsRoot(last) {
		data[corev1.ServiceAccountRootCAKey] = secretbytes.Own(pki.CertificatesPEM(b.Chain[len(b.Chain)-1:]))
		if len(b.Chain) > 1 {
			served = b.Chain[:len(b.Chain)-1]
		}
	}
	data[corev1.TLSCertKey] = secretbytes.Own(pki.CertificatesPEM(served))
	return data
}
