package certificateauthority

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/acmpca"
)

const (
	// defaultExpiration of a revocation list in days.
	defaultExpiration = 7
	// The keys of the target.
	keyCertificate = "ca.crt"
	keyList        = "ca.crl"
)

// publish makes the next revocation list when something was revoked, when half of the last one's time is over, when certificate or target are
// others, or when the last one is not in the target any more, and shows it. Records of certificates that have expired go. Without a signer
// nothing is signed, and what there is stays shown.
//
// What is revoked within a second of the last list is gathered for the next one, so that a thousand revocations at once are not a thousand lists.
//
// The list's number is the time in seconds, or one more than the last: so it grows even if status was lost.
//
// Crash-safe: target first, records of what has expired second, status third; a pass that ends between makes a list with another number.
func (r *Reconciler) publish(ctx context.Context, p *pass) error {
	last, err := r.shownList(ctx, p)
	if err != nil {
		return err
	}
	if until := p.gathering(last); until > 0 {
		p.lookAgain(until)
		return r.show(ctx, p, p.ca.Status.CRL, last)
	}
	all, expired, err := r.Authorities.Revoked(ctx, p.identified())
	if err != nil {
		return err
	}
	next := planned(p, all)
	if p.signer == nil || !next.due && (last != nil || p.ca.Spec.Target == nil) {
		p.lookAgain(next.renewal(p.ca).Sub(p.now))
		return r.show(ctx, p, next.former, last)
	}
	err = r.renew(ctx, p, next, last)
	if err != nil && fault.Of(err).Reason != v1alpha1.ReasonRevocationListTooLarge {
		return err
	}
	for _, e := range next.over(expired) {
		if gone := r.Authorities.Store.Delete(ctx, e); gone != nil {
			return fault.Join(err, gone)
		}
	}
	p.lookAgain(next.renewal(p.ca).Sub(p.now))
	return err
}

// renew signs the next list and shows it. One that does not fit leaves the last one that does, until it expires. The fault says
// RevocationListTooLarge.
func (r *Reconciler) renew(ctx context.Context, p *pass, next *plan, last []byte) error {
	text, err := r.fitted(p, next)
	if err == nil {
		err = tooLarge(p, next, text, r.show(ctx, p, next.status, text))
	}
	if err != nil && fault.Of(err).Reason == v1alpha1.ReasonRevocationListTooLarge {
		err = fault.Join(err, r.show(ctx, p, next.former, last))
	}
	return err
}

// show has the ConfigMap shown, tells of what nobody asked for, and notes in status what is shown. A list of nil is none.
func (r *Reconciler) show(ctx context.Context, p *pass, status *v1alpha1.CertificateRevocationListStatus, list []byte) error {
	showing := projection.Showing{
		Owner:     projection.Owner{Kind: own.Name, Name: p.ca.Name, UID: p.ca.UID, ARN: p.arn},
		Namespace: p.ca.Namespace, Generation: p.ca.Generation, Now: p.now, Wanted: wanted(p, status, list),
	}
	if former := p.before.Status.Projection; former != nil {
		showing.Former = &projection.Former{ConfigMap: true, Name: former.Name, Keys: former.Keys, Digest: former.Digest}
	}
	if p.ca.Spec.Target != nil {
		data := map[string]secretbytes.Bytes{keyCertificate: secretbytes.Own([]byte(pemOf(p.chain)))}
		if list != nil {
			data[keyList] = secretbytes.Copy(list)
		}
		showing.Target = &projection.Target{ConfigMap: true, Name: p.ca.Spec.Target.Name, Fixed: true, Data: data}
	}
	shown, err := r.Projector.Show(ctx, &showing)
	r.reporter().TellShown(p.ca, &shown, err)
	if !shown.Done {
		return err
	}
	p.ca.Status.Projection, p.ca.Status.CRL = nil, status
	if showing.Target != nil {
		p.ca.Status.Projection = &v1alpha1.ProjectionStatus{Name: showing.Target.Name, Keys: shown.Keys, Digest: shown.Digest}
	}
	return err
}

// wanted tells what is shown from what is to be shown next. A list that is signed again since somebody changed the target is the same.
func wanted(p *pass, status *v1alpha1.CertificateRevocationListStatus, list []byte) string {
	what := pki.FormatSerial(p.chain[0].SerialNumber)
	if status != nil && list != nil {
		what += "/" + status.Digest + "/" + status.NextUpdate.UTC().Format(time.RFC3339)
	}
	return what
}

// fitted signs the list and gives it in PEM, so that it fits into the target; nil without a target. If it does not, entries of certificates
// that have expired leave it at once, which is told. The fault says RevocationListTooLarge if that is not enough.
func (r *Reconciler) fitted(p *pass, next *plan) ([]byte, error) {
	if p.ca.Spec.Target == nil {
		return nil, nil
	}
	text, err := r.signed(p, next)
	room := r.room() - len(pemOf(p.chain))
	if err != nil || len(text) <= room {
		return text, err
	}
	whole := next.entries
	next.entries = slices.DeleteFunc(slices.Clone(whole), func(e acmpca.Revocation) bool { return !stays(e, p.now) })
	if text, err = r.signed(p, next); err != nil {
		return nil, err
	}
	if len(text) > room {
		err := outgrown(p, next, text, fmt.Sprintf("which takes %d beside the certificates", room))
		next.entries = whole // none of them has left
		return nil, err
	}
	if gone := len(whole) - len(next.entries); gone > 0 {
		r.reporter().Tell(p.ca, shortened(gone))
	}
	return text, nil
}

// outgrown says what it means that a list does not fit, and what to do.
func outgrown(p *pass, next *plan, text []byte, why string) error {
	return fault.Stalled(v1alpha1.ReasonRevocationListTooLarge, fmt.Errorf("the revocation list has %d bytes for %d certificates, too many for ConfigMap %s, "+
		"%s: the last list that fits stays there, if there is one, until it expires, and lacks what was revoked since. Create another CertificateAuthority, "+
		"with certificates of a shorter validity, and have them issued by it; what expires leaves this list", len(text), len(next.entries), p.ca.Spec.Target.Name, why))
}

// tooLarge tells whether the API server, or etcd, does not take a list that should fit. The text is etcd's, which the API server passes on.
func tooLarge(p *pass, next *plan, text []byte, err error) error {
	if err != nil && text != nil && (apierrors.IsRequestEntityTooLargeError(err) || strings.Contains(err.Error(), "request is too large")) {
		return outgrown(p, next, text, "as this cluster answers")
	}
	return err
}

// shortened tells that entries left a list sooner than RFC 5280 has it, section 3.3.
func shortened(count int) outcome.Happening {
	return outcome.Happening{
		Type: "Warning", Reason: v1alpha1.ReasonRevocationListShortened, Action: "Publish",
		Note: fmt.Sprintf("the revocation list did not fit into its target: %d certificates that have expired left it before a list after their end had them", count),
	}
}

// maximumConfigMap is what Kubernetes takes as the data of a ConfigMap, in bytes.
// https://kubernetes.io/docs/concepts/configuration/configmap/#motivation
const maximumConfigMap = 1 << 20

// room is how much data a target takes. Keys do not count.
func (r *Reconciler) room() int {
	if r.MaximumTarget > 0 {
		return r.MaximumTarget
	}
	return maximumConfigMap
}

// signed signs a list, in PEM, and notes its digest.
func (r *Reconciler) signed(p *pass, next *plan) ([]byte, error) {
	authority, err := r.Authorities.AuthorityOf(p.ca, p.chain, p.signer)
	if err != nil {
		return nil, err
	}
	list, err := authority.SignList(next.list())
	if err != nil {
		return nil, err
	}
	text := pki.ListPEM(list)
	next.status.Revoked, next.status.SHA256 = int64(len(next.entries)), sha256Of(text)
	return text, nil
}

func sha256Of(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func targetOf(ca *v1alpha1.CertificateAuthority) string {
	if ca.Spec.Target == nil {
		return ""
	}
	return ca.Spec.Target.Name
}

func expirationOf(ca *v1alpha1.CertificateAuthority) time.Duration {
	days := int32(defaultExpiration)
	if ca.Spec.CRL != nil && ca.Spec.CRL.ExpirationInDays != 0 {
		days = ca.Spec.CRL.ExpirationInDays
	}
	return time.Duration(days) * 24 * time.Hour
}

func second(t time.Time) metav1.Time { return metav1.NewTime(t).Rfc3339Copy() }
