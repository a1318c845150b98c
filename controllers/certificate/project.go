package certificate

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
)

const kind = "Certificate"

// project shows the certificate in force in the target, and restarts what the target names if it is another than at the last time.
func (r *Reconciler) project(ctx context.Context, p *pass) error {
	former := p.former.Projection
	if former != nil && former.Name != p.certificate.TargetName() {
		if err := r.Projector.Remove(ctx, p.certificate.Namespace, former.Name, p.owner()); err != nil {
			return fmt.Errorf("removing the former target %s: %w", former.Name, err)
		}
	}
	spec := p.certificate.Spec.Target
	if spec == nil {
		p.certificate.Status.Projection = nil
		return nil
	}
	t := p.target(dataOf(p.bundle))
	defer func() {
		for _, v := range t.Data {
			v.Wipe()
		}
	}()
	return fault.Join(projection.ValidateRestart(spec.Restart), r.show(ctx, p, t))
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

// show writes the target and then, if the data is other than what status knows, restarts workloads. Status is written after both, so a pass
// that ends between them restarts again with the same token, which restarts nothing twice.
func (r *Reconciler) show(ctx context.Context, p *pass, t *projection.Target) error {
	ring, err := r.Keyring.Get()
	if err != nil {
		return err
	}
	former := p.former.Projection
	digest := ring.Digest("projection", digestParts(t, p.arn)...)
	changed := former == nil || former.Digest != digest || former.Name != t.Name
	outcome, err := r.Projector.Project(ctx, t)
	if err != nil {
		return err
	}
	if former != nil && !changed && outcome != projection.Unchanged {
		r.event(p.certificate, eventHealed(t.Name))
	}
	found := outcome != projection.Created && t.TakesWhatIsThere()
	if changed && (former != nil || found) {
		if err := r.restart(ctx, p, digest); err != nil {
			return err
		}
	}
	p.certificate.Status.Projection = &v1alpha1.ProjectionStatus{Name: t.Name, Keys: t.Keys(), Digest: digest}
	return nil
}

// restart restarts the workloads that the target names, with a token that is a function of the data.
func (r *Reconciler) restart(ctx context.Context, p *pass, digest string) error {
	targets := p.certificate.Spec.Target.Restart
	if len(targets) == 0 {
		return nil
	}
	current, _ := p.index.ByStage(versions.Current)
	restarted, err := r.Projector.Restart(ctx, projection.Restart{
		Namespace: p.certificate.Namespace, SecretName: p.owner().Field(), Token: current.ID + "." + digest[:8], Targets: targets,
	})
	if err == nil && len(restarted) > 0 {
		r.event(p.certificate, eventRestarted(restarted))
	}
	return err
}

func (p *pass) owner() projection.Owner {
	return projection.Owner{Kind: kind, Name: p.certificate.Name, UID: p.certificate.UID, ARN: p.arn}
}

func (p *pass) target(data map[string]secretbytes.Bytes) *projection.Target {
	t := &projection.Target{
		Namespace: p.certificate.Namespace, Name: p.certificate.TargetName(), Type: string(corev1.SecretTypeTLS),
		Policy: p.certificate.Spec.Target.CreationPolicy, Data: data, Owner: p.owner(),
	}
	if former := p.former.Projection; former != nil && former.Name == t.Name {
		t.FormerKeys = former.Keys
	}
	return t
}

// digestParts is the data in a fixed order.
func digestParts(t *projection.Target, arn string) [][]byte {
	parts := [][]byte{[]byte(arn), []byte(t.Name), []byte(strings.Join(t.Keys(), "\x00"))}
	for _, k := range t.Keys() {
		parts = append(parts, t.Data[k].Reveal())
	}
	return parts
}
