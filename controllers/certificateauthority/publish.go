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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/fault"
)

const (
	// defaultExpiration of a revocation list in days.
	defaultExpiration = 7
	// The keys of the target.
	keyCertificate = "ca.crt"
	keyList        = "ca.crl"

	fieldOwner = v1alpha1.Group + "/certificateauthority"
)

// publish makes the next revocation list when something was revoked, when half of the last one's time is over, or when certificate or
// target are others, and shows it. Records of certificates that have expired go.
//
// The list's number is the time in seconds, or one more than the last: so it grows even if status was lost.
func (r *Reconciler) publish(ctx context.Context, p *pass) error {
	ca := p.identified()
	revoked, expired, err := r.Authorities.Revoked(ctx, ca)
	if err != nil {
		return err
	}
	digest := digestOf(p, revoked)
	half := time.Duration(expirationOf(p.ca)) * 12 * time.Hour
	former := p.ca.Status.CRL
	if former != nil && former.Digest == digest && p.now.Before(former.ThisUpdate.Add(half)) {
		p.lookAgain(former.ThisUpdate.Add(half).Sub(p.now))
		return nil
	}
	next := &v1alpha1.CertificateRevocationListStatus{
		Number: p.now.Unix(), ThisUpdate: metav1.NewTime(p.now).Rfc3339Copy(), NextUpdate: metav1.NewTime(p.now.Add(2 * half)).Rfc3339Copy(),
		Revoked: int64(len(revoked)), Digest: digest,
	}
	if former != nil {
		next.Number = max(next.Number, former.Number+1)
	}
	if err := r.show(ctx, p, next, revoked); err != nil {
		return err
	}
	for _, e := range expired { // after the list that had them still
		if err := r.Authorities.Store.Delete(ctx, e); err != nil {
			return err
		}
	}
	p.ca.Status.CRL = next
	p.lookAgain(half)
	return nil
}

func expirationOf(ca *v1alpha1.CertificateAuthority) int32 {
	if ca.Spec.CRL == nil || ca.Spec.CRL.ExpirationInDays == 0 {
		return defaultExpiration
	}
	return ca.Spec.CRL.ExpirationInDays
}

// digestOf is a digest of what is on a list, by whom, and where it is shown.
func digestOf(p *pass, revoked []pki.Revoked) string {
	var serials []string
	for _, r := range revoked {
		serials = append(serials, pki.FormatSerial(r.Serial)+string(r.Reason))
	}
	slices.Sort(serials)
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d", serials, pki.FormatSerial(p.chain[0].SerialNumber), targetOf(p.ca), expirationOf(p.ca)))
	return hex.EncodeToString(sum[:16])
}

func targetOf(ca *v1alpha1.CertificateAuthority) string {
	if ca.Spec.Target == nil {
		return ""
	}
	return ca.Spec.Target.Name
}

// show signs the list and writes the ConfigMap. Crash-safe: one write, and the next pass makes a list with another number.
func (r *Reconciler) show(ctx context.Context, p *pass, next *v1alpha1.CertificateRevocationListStatus, revoked []pki.Revoked) error {
	if p.ca.Spec.Target == nil {
		return nil
	}
	authority, err := r.Authorities.AuthorityOf(p.ca, p.chain, p.signer)
	if err != nil {
		return err
	}
	list, err := authority.SignList(pki.List{
		Number: big.NewInt(next.Number), ThisUpdate: next.ThisUpdate.Time, NextUpdate: next.NextUpdate.Time, Revoked: revoked,
	})
	if err != nil {
		return err
	}
	name := targetOf(p.ca)
	existing := &corev1.ConfigMap{}
	err = r.Direct.Get(ctx, client.ObjectKey{Namespace: p.ca.Namespace, Name: name}, existing)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading ConfigMap %s: %w", name, err)
	}
	if owner := metav1.GetControllerOf(existing); err == nil && (owner == nil || owner.UID != p.ca.UID && (owner.Kind != "CertificateAuthority" || owner.Name != p.ca.Name)) {
		return fault.Contested(v1alpha1.ReasonConflict, fmt.Errorf("ConfigMap %s is somebody else's; delete it, or name another target", name))
	}
	config := corev1ac.ConfigMap(name, p.ca.Namespace).
		WithData(map[string]string{keyCertificate: pemOf(p.chain), keyList: string(pki.ListPEM(list))}).
		WithOwnerReferences(metav1ac.OwnerReference().WithAPIVersion(v1alpha1.SchemeGroupVersion.String()).WithKind("CertificateAuthority").
			WithName(p.ca.Name).WithUID(p.ca.UID).WithController(true))
	if err == nil {
		config.WithUID(existing.UID) // never another than the one that was looked at
	}
	if err := r.Direct.Apply(ctx, config, client.FieldOwner(fieldOwner), client.ForceOwnership); err != nil {
		if apierrors.IsConflict(err) {
			return fault.Contested(v1alpha1.ReasonConflict, fmt.Errorf("writing ConfigMap %s: %w", name, err))
		}
		return fmt.Errorf("writing ConfigMap %s: %w", name, err)
	}
	return nil
}
