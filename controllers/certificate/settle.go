package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/acm"
	"strongroom.dev/strongroom/internal/service/acmpca"
)

// retryRenewal is how soon a renewal that is due and has to wait is looked at again. The authority is watched.
const retryRenewal = time.Hour

var (
	errNoSource      = errors.New("there is no certificate yet: import one with ImportCertificate, or set spec.authorityRef or spec.importFrom")
	errExpired       = errors.New("the certificate has expired, and what is imported is not renewed here; import its successor")
	errAuthorityEnds = errors.New("it is time to renew the certificate, and a new one would end no later, since its authority ends")
)

// settle makes sure that there is a certificate in force: issued, renewed when it is time, or imported.
func (r *Reconciler) settle(ctx context.Context, p *pass) (err error) {
	switch {
	case p.certificate.Spec.AuthorityRef != nil:
		err = r.issue(ctx, p)
	case p.certificate.Spec.ImportFrom != nil:
		err = r.importFrom(ctx, p)
	case p.chain() == nil:
		err = fault.Waiting(v1alpha1.ReasonNoCertificate, errNoSource)
	default:
		p.certificate.Status.RenewalTime = nil // whatever it was before, nothing renews it now
	}
	if p.settled = err == nil; p.settled && p.certificate.Spec.AuthorityRef == nil {
		return p.inTime()
	}
	return err
}

// inTime tells that what was imported has expired, and looks again when it will have: nothing else would say so. The fault says Expired.
func (p *pass) inTime() error {
	ends := p.chain()[0].NotAfter
	if !ends.After(p.now) {
		return fault.Stalled(v1alpha1.ReasonExpired, fmt.Errorf("%w: it ended at %s", errExpired, ends.UTC().Format(time.RFC3339)))
	}
	p.lookAgain(max(ends.Sub(p.now), time.Second))
	return nil
}

// issue has the authority issue, if there is a reason to.
func (r *Reconciler) issue(ctx context.Context, p *pass) error {
	ca, err := r.Certificates.Authorities.ByName(ctx, p.certificate.Namespace, p.certificate.Spec.AuthorityRef.Name)
	if err != nil {
		return err
	}
	if ca.Status.NotAfter == nil || ca.Status.ARN == "" {
		return fault.Waiting(v1alpha1.ReasonAuthorityNotReady, fmt.Errorf("the CertificateAuthority %s has no certificate yet", ca.Name))
	}
	in, err := r.input(ctx, p, ca)
	if err != nil {
		return err
	}
	d := decide(in)
	if d.waits {
		p.lookAgain(retryRenewal)
		return fault.Waiting(v1alpha1.ReasonAuthorityNotReady, fmt.Errorf("%w at %s", errAuthorityEnds, in.authorityEnds.UTC().Format(time.RFC3339)))
	}
	if d.trigger == triggerNone {
		p.plan(d.at)
		return nil
	}
	version, bundle, made, err := r.Certificates.Issue(ctx, p.certificate, ca, p.subject(), p.index.Last()+1)
	if err != nil {
		return err
	}
	p.index = p.index.Add(version)
	p.bundle.Key.Wipe()
	if p.bundle = bundle; !made { // an earlier attempt's
		if err := r.open(ctx, p); err != nil {
			return err
		}
	}
	p.certificate.Status.Type, p.certificate.Status.AuthorityARN, p.certificate.Status.ImportedFrom = v1alpha1.CertificatePrivate, ca.Status.ARN, ""
	leaf := p.chain()[0]
	p.plan(pki.RenewalTime(leaf.NotBefore, leaf.NotAfter, in.renewBefore, in.seed))
	return nil
}

// input is what the decision to issue needs to know.
func (r *Reconciler) input(ctx context.Context, p *pass, ca *v1alpha1.CertificateAuthority) (in input, err error) {
	want, err := acm.NamesOf(p.certificate)
	if err != nil {
		return in, err
	}
	in = input{
		wantNames: slices.Sorted(slices.Values(want.Texts())), wantAlgorithm: string(acm.AlgorithmOf(p.certificate)), wantAuthority: ca.Status.ARN,
		authority: p.certificate.Status.AuthorityARN, authorityEnds: ca.Status.NotAfter.Time,
		renewBefore: acmpca.Duration(p.certificate.Spec.RenewBefore, 0),
		requested:   p.requested(), handled: p.certificate.Status.LastHandledRotateAt, seed: string(p.certificate.UID), now: p.now,
	}
	if p.chain() == nil {
		return in, nil
	}
	leaf := p.chain()[0]
	algorithm, _ := pki.AlgorithmOf(leaf.PublicKey)
	in.has, in.notBefore, in.notAfter, in.algorithm = true, leaf.NotBefore, leaf.NotAfter, string(algorithm)
	in.names = slices.Sorted(slices.Values(pki.NamesOf(leaf).Texts()))
	serial := pki.FormatSerial(leaf.SerialNumber)
	if p.found { // status does not speak of this one: it was handled by whoever made it, and who issued it is asked of the authority
		in.handled, in.authority = in.requested, ""
		issued, err := r.Certificates.Authorities.Issued(ctx, ca, serial)
		if err != nil && !errors.Is(err, acmpca.ErrNotIssued) {
			return in, err
		}
		if err == nil && issued.Chain[0].Equal(leaf) {
			in.authority = ca.Status.ARN
			p.certificate.Status.Type, p.certificate.Status.AuthorityARN, p.certificate.Status.ImportedFrom = v1alpha1.CertificatePrivate, ca.Status.ARN, ""
		}
	}
	in.revoked, err = r.Certificates.Authorities.IsRevoked(ctx, ca, serial)
	return in, err
}

// plan notes when the certificate is to be renewed.
func (p *pass) plan(at time.Time) {
	renewal := metav1.NewTime(at).Rfc3339Copy()
	p.certificate.Status.RenewalTime = &renewal
	p.lookAgain(max(at.Sub(p.now), time.Second))
}

// lookAgain asks for another pass after d, or sooner if something else asks for it.
func (p *pass) lookAgain(d time.Duration) {
	if p.requeue == 0 || d < p.requeue {
		p.requeue = d
	}
}

// requested is the rotate annotation as status echoes it.
func (p *pass) requested() string {
	return conditions.Echo(p.certificate.Annotations[v1alpha1.RotateAnnotation])
}

// importFrom takes key and certificate from a core Secret: once, or whenever they differ from those in force. It is read live and by name.
func (r *Reconciler) importFrom(ctx context.Context, p *pass) error {
	source := p.certificate.Spec.ImportFrom
	follows := source.Policy == v1alpha1.ImportFollow
	p.certificate.Status.RenewalTime = nil
	if !follows && !p.wantsImport() {
		p.imported()
		return nil
	}
	if err := imports.Check(ctx, r.Client, p.certificate); err != nil {
		return err
	}
	bundle, labelled, err := r.source(ctx, p)
	if err != nil {
		return err
	}
	defer bundle.Key.Wipe()
	if follows && !labelled {
		p.lookAgain(imports.FollowInterval)
	}
	return r.importIfOther(ctx, p, bundle)
}

// wantsImport tells whether what is imported once is to be imported now: there is none, it is asked for, or spec names another source than
// that of the one in force.
func (p *pass) wantsImport() bool {
	asked := p.requested() != "" && p.requested() != p.certificate.Status.LastHandledRotateAt
	other := p.certificate.Status.ImportedFrom != p.certificate.Spec.ImportFrom.SecretRef.Name
	return p.chain() == nil || !p.found && (asked || other)
}

// importIfOther takes a source's key and certificate unless they are those in force.
func (r *Reconciler) importIfOther(ctx context.Context, p *pass, bundle pki.Bundle) error {
	if !sameBundle(&bundle, &p.bundle) {
		follows := p.certificate.FollowedSource() != ""
		if wait := imports.Hold(p.index, p.now); follows && p.chain() != nil && wait > 0 {
			p.lookAgain(wait)
			return nil
		}
		if err := r.take(ctx, p, bundle); err != nil {
			return err
		}
	}
	p.imported()
	return nil
}

// take stores what was imported as the next version.
func (r *Reconciler) take(ctx context.Context, p *pass, bundle pki.Bundle) error {
	key, err := r.Certificates.Key(ctx, p.certificate)
	if err != nil {
		return err
	}
	version, made, err := r.Certificates.Put(ctx, p.subject(), key, p.index.Last()+1, bundle)
	if err != nil {
		return err
	}
	p.index = p.index.Add(version)
	p.bundle.Key.Wipe()
	if !made { // an earlier attempt's
		return r.open(ctx, p)
	}
	p.bundle = pki.Bundle{Key: secretbytes.Copy(bundle.Key.Reveal()), Chain: bundle.Chain}
	return nil
}

func (p *pass) imported() {
	p.certificate.Status.Type, p.certificate.Status.AuthorityARN = v1alpha1.CertificateImported, ""
	p.certificate.Status.ImportedFrom = p.certificate.Spec.ImportFrom.SecretRef.Name
}

func sameBundle(a, b *pki.Bundle) bool {
	return a.Key.Equal(b.Key) && len(a.Chain) == len(b.Chain) && slices.EqualFunc(a.Chain, b.Chain, func(x, y *x509.Certificate) bool { return x.Equal(y) })
}

// source reads what is imported. labelled tells that its changes are watched.
func (r *Reconciler) source(ctx context.Context, p *pass) (bundle pki.Bundle, labelled bool, err error) {
	name := p.certificate.Spec.ImportFrom.SecretRef.Name
	read, err := imports.Reader{Live: r.Live, Reserved: r.Projector.Reserved}.Read(ctx, p.certificate.Namespace, name, "spec.importFrom", corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	if err != nil {
		return bundle, false, err
	}
	defer read.Wipe()
	bundle, err = acm.ParseImport(read.Data[corev1.TLSCertKey], read.Data[corev1.TLSPrivateKeyKey], read.Data[corev1.ServiceAccountRootCAKey], p.now)
	if err != nil {
		return bundle, false, fmt.Errorf("core Secret %s: %w", name, err)
	}
	return bundle, read.Labelled, nil
}
