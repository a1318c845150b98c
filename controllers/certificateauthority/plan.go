package certificateauthority

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/service/acmpca"
)

// plan is the revocation list that would be the next one.
type plan struct {
	// former is the last list, nil for none; status is the next one's.
	former, status *v1alpha1.CertificateRevocationListStatus
	// entries are what is on the next one.
	entries []acmpca.Revocation
	// due tells that it is time for it, or that something else is to be on it.
	due bool
}

// planned decides what the next list has and whether it is time for it. One that takes the place of a list which somebody removed from the
// target expires when that one does.
func planned(p *pass, all []acmpca.Revocation) *plan {
	former := p.ca.Status.CRL
	next := &plan{former: former}
	var last time.Time
	if former != nil {
		last = former.ThisUpdate.Time
	}
	for _, e := range all {
		if stays(e, last) {
			next.entries = append(next.entries, e)
		}
	}
	next.due = former == nil || former.Digest != digestOf(p, next.entries) || !p.now.Before(next.renewal(p.ca))
	next.status = &v1alpha1.CertificateRevocationListStatus{
		Number: p.now.Unix(), ThisUpdate: second(p.now), NextUpdate: second(p.now.Add(expirationOf(p.ca))), Revoked: int64(len(next.entries)),
		Digest: digestOf(p, slices.DeleteFunc(slices.Clone(next.entries), func(e acmpca.Revocation) bool { return !stays(e, p.now) })),
	}
	if former != nil {
		next.status.Number = max(next.status.Number, former.Number+1)
	}
	if !next.due {
		next.status.NextUpdate, next.status.Digest = former.NextUpdate, former.Digest
	}
	return next
}

// gatherTime is how long after a list the next one waits for more to be on it, and the most that a revocation waits for its list: the first after a
// quiet time waits for nothing. It is the unit of thisUpdate, so that no two lists have the same.
const gatherTime = time.Second

// gathering is how long revocations are still gathered for the list that follows one, nil for none; 0 for no longer. Of a list from the future, which
// a clock that was set back leaves, nothing waits for the next.
func gathering(former *v1alpha1.CertificateRevocationListStatus, now time.Time) time.Duration {
	if former == nil || now.Before(former.ThisUpdate.Time) {
		return 0
	}
	return max(0, former.ThisUpdate.Add(gatherTime).Sub(now))
}

// gathering is how long the next list waits for more to be on it, which it does not if the last one is not shown where it should be.
func (p *pass) gathering(last []byte) time.Duration {
	if last == nil && p.ca.Spec.Target != nil {
		return 0
	}
	return gathering(p.ca.Status.CRL, p.now)
}

// clockSkew is how much clocks of those who revoke, list and verify may differ.
const clockSkew = time.Hour

// stays tells whether a revocation is on the list that follows one of a time, zero for none: until one list that was made after the
// certificate's end has had it.
// https://www.rfc-editor.org/rfc/rfc5280#section-3.3
func stays(e acmpca.Revocation, last time.Time) bool { return !e.Expires.Add(clockSkew).Before(last) }

// renewal is when the next list is made though nothing has changed.
func (l *plan) renewal(ca *v1alpha1.CertificateAuthority) time.Time {
	list := l.status
	if list == nil {
		list = l.former
	}
	if list == nil {
		return time.Time{}
	}
	return list.NextUpdate.Add(-expirationOf(ca) / 2)
}

// list is what is signed.
func (l *plan) list() pki.List {
	out := pki.List{Number: big.NewInt(l.status.Number), ThisUpdate: l.status.ThisUpdate.Time, NextUpdate: l.status.NextUpdate.Time}
	for _, e := range l.entries {
		out.Revoked = append(out.Revoked, e.Revoked)
	}
	return out
}

// over are those records of expired certificates that are good for nothing any more: all but the revocations that are on this list.
func (l *plan) over(expired []*v1alpha1.Envelope) []*v1alpha1.Envelope {
	return slices.DeleteFunc(slices.Clone(expired), func(e *v1alpha1.Envelope) bool {
		return slices.ContainsFunc(l.entries, func(on acmpca.Revocation) bool { return on.Envelope == e })
	})
}

// digestOf is a digest of what is on a list, by whom, and where it is shown.
func digestOf(p *pass, entries []acmpca.Revocation) string {
	var serials []string
	for _, e := range entries {
		serials = append(serials, pki.FormatSerial(e.Serial)+string(e.Reason))
	}
	slices.Sort(serials)
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %s", serials, pki.FormatSerial(p.chain[0].SerialNumber), targetOf(p.ca), expirationOf(p.ca)))
	return hex.EncodeToString(sum[:16])
}

// shownList is the list in the target, in PEM, if it is the one that status knows. Lists are kept nowhere else: another one is signed in the
// place of one that is lost.
func (r *Reconciler) shownList(ctx context.Context, p *pass) ([]byte, error) {
	former, shown := p.ca.Status.CRL, p.ca.Status.Projection
	if former == nil || former.SHA256 == "" || shown == nil || shown.Name != targetOf(p.ca) {
		return nil, nil
	}
	config := &corev1.ConfigMap{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: p.ca.Namespace, Name: shown.Name}, config, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading ConfigMap %s: %w", shown.Name, err)
	}
	if text := []byte(config.Data[keyList]); sha256Of(text) == former.SHA256 {
		return text, nil
	}
	return nil, nil
}
