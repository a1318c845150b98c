package certificateauthority

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/sealed"
)

// key finds the KMSKey that signs, or has it made.
func (r *Reconciler) key(ctx context.Context, p *pass) error {
	if current, certified := p.index.ByStage(versions.Current); certified {
		chain, err := r.Authorities.ChainOf(ctx, p.subject(), current)
		if err != nil {
			return err
		}
		p.chain = chain
	}
	key, signer, err := r.Authorities.EstablishKey(ctx, p.identified(), p.chain)
	if err != nil {
		return err
	}
	p.keyARN, p.signer = key.Status.ARN, signer
	return nil
}

// renewal is all that the decision to renew an authority's certificate depends on.
type renewal struct {
	notBefore, notAfter time.Time
	renewBefore         time.Duration
	// issuerEnds is when the authority above ends, zero for a root.
	issuerEnds time.Time
	// requested is the rotate annotation, handled its value that was handled last.
	requested, handled string
	seed               string
	now                time.Time
}

// decide is the decision to renew now, and when it will be time. A renewal that would end no later than what there is, since the
// authority above ends, is left until that one was renewed.
func decide(in renewal) (due bool, at time.Time) {
	at = pki.RenewalTime(in.notBefore, in.notAfter, in.renewBefore, in.seed)
	switch {
	case in.requested != "" && in.requested != in.handled:
		return true, at
	case !in.issuerEnds.IsZero() && !in.issuerEnds.After(in.notAfter):
		return false, at
	}
	return !at.After(in.now), at
}

// certify has the authority's certificate issued, or renewed when it is time, with the same key. One that is revoked is issued anew if somebody asks
// and nothing is wrong with its key; otherwise it never is. One below an authority that is revoked is renewed once authorityRef names another. The
// fault says Revoked.
func (r *Reconciler) certify(ctx context.Context, p *pass) error {
	asked := p.chain != nil && p.requested() != "" && p.requested() != p.ca.Status.LastHandledRotateAt
	if err := r.Authorities.CheckRevoked(ctx, p.identified(), p.chain[:min(len(p.chain), 2)]); err != nil && (!asked || fault.Of(err).Reason != v1alpha1.ReasonRevoked) {
		return err // and issue asks for the key
	}
	if p.chain == nil {
		if err := r.issue(ctx, p); err != nil {
			return err
		}
		if err := r.Authorities.Keep(ctx, p.identified()); err != nil {
			return err
		}
	} else if due, _ := r.due(ctx, p); due {
		if err := r.issue(ctx, p); err != nil {
			return err
		}
	}
	p.certified = true
	_, at := r.due(ctx, p)
	p.lookAgain(max(at.Sub(p.now), retryRenewal))
	return r.Authorities.CheckRevoked(ctx, p.identified(), p.chain)
}

// retryRenewal is how soon a renewal that is due and has to wait is looked at again. The authority above is watched.
const retryRenewal = time.Hour

func (r *Reconciler) due(ctx context.Context, p *pass) (bool, time.Time) {
	in := renewal{
		notBefore: p.chain[0].NotBefore, notAfter: p.chain[0].NotAfter, renewBefore: acmpca.Duration(p.ca.Spec.RenewBefore, 0),
		requested: p.requested(), handled: p.ca.Status.LastHandledRotateAt, seed: string(p.ca.UID), now: p.now,
	}
	if p.found || p.certified {
		in.handled = in.requested
	}
	if p.ca.Spec.Type == v1alpha1.CertificateAuthoritySubordinate {
		in.issuerEnds = p.chain[0].NotAfter // as long as nothing is known of the one above, nothing longer can be had
		if above, err := r.Authorities.ByName(ctx, p.ca.Namespace, p.ca.Spec.AuthorityRef.Name); err == nil && above.Status.NotAfter != nil {
			in.issuerEnds = above.Status.NotAfter.Time
		}
	}
	return decide(in)
}

// issue makes the next certificate and makes it the one in force in this pass's index.
func (r *Reconciler) issue(ctx context.Context, p *pass) error {
	// A subordinate's issuer records it under its own ARN; what is certified here is known by this one's.
	chain, err := r.Authorities.Certify(ctx, p.identified(), p.signer)
	if err != nil {
		return err
	}
	v, made, err := r.Authorities.Versions().Put(ctx, p.subject(), sealed.Content{
		Sequence: p.index.Last() + 1, Stages: []string{versions.Current}, Value: acmpca.Marshal(chain),
	})
	if err != nil {
		return err
	}
	p.index = p.index.Add(v)
	if made {
		p.chain = chain
		return nil
	}
	p.chain, err = r.Authorities.ChainOf(ctx, p.subject(), v)
	return err
}

// requested is the rotate annotation as status echoes it.
func (p *pass) requested() string {
	return conditions.Echo(p.ca.Annotations[v1alpha1.RotateAnnotation])
}

// lookAgain asks for another pass after d, or sooner if something else asks for it.
func (p *pass) lookAgain(d time.Duration) {
	if p.requeue == 0 || d < p.requeue {
		p.requeue = d
	}
}

// revoke does what spec.revoked lists and is not done yet.
func (r *Reconciler) revoke(ctx context.Context, p *pass) error {
	ca := p.identified()
	var unknown []string
	for _, entry := range p.ca.Spec.Revoked {
		done, err := r.Authorities.IsRevoked(ctx, ca, entry.Serial)
		if err != nil {
			return err
		}
		if done {
			continue
		}
		switch err := r.Authorities.Revoke(ctx, ca, entry.Serial, reasonOf(entry.Reason)); {
		case errors.Is(err, acmpca.ErrNotIssued):
			unknown = append(unknown, entry.Serial)
		case err != nil && !errors.Is(err, acmpca.ErrRevoked):
			return err
		}
	}
	if len(unknown) > 0 && p.ca.Generation != p.before.Status.RevokedGeneration { // later, what was revoked may have expired
		slices.Sort(unknown)
		return fault.Stalled(v1alpha1.ReasonNotIssued, fmt.Errorf("spec.revoked: %w: %s; take it out, or correct it", acmpca.ErrNotIssued, unknown[0]))
	}
	p.ca.Status.RevokedGeneration = p.ca.Generation
	return nil
}

func reasonOf(reason v1alpha1.RevocationReason) pki.Reason {
	if reason == "" {
		return pki.Unspecified
	}
	return pki.Reason(reason)
}

// identified is the authority with the ARN, index and key of this pass, as services read them.
func (p *pass) identified() *v1alpha1.CertificateAuthority {
	ca := p.ca.DeepCopy()
	ca.Status.ARN = p.arn
	ca.Status.Versions = sealed.ListOf(p.index)
	return ca
}

func pemOf(chain []*x509.Certificate) string { return string(pki.CertificatesPEM(chain)) }
