package acmpca

import (
	"cmp"
	"context"
	"fmt"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
)

// A key is one authority's for good, as in AWS, where it is made with the authority and goes with it. Two that shared one, and the subject, would be
// one issuer to whoever verifies: what the second issues is good under the first, which has no record of it and cannot revoke it. Whose a key
// is, its status says, which the authorities' controller writes before it makes a certificate; a status that is lost is made anew from the certificates.

// ownership is what the decision whose a key is depends on, from the point of view of one authority.
type ownership struct {
	// arn and name of the authority.
	arn, name string
	// named is the one that the key's spec names, empty for none.
	named string
	// byName tells that the key is called as the authority's is if its spec names none.
	byName bool
	// holder is the one that the key's status names, or that the key was made for; nil for none.
	holder *v1alpha1.KeyAuthority
	// holderGone tells that it neither is there nor had a certificate. It is asked for only of one that is not certified.
	holderGone func() (bool, error)
	// eldest is the one with the oldest certificate for the key, nil for none. It is asked for only without a holder.
	eldest func() (*v1alpha1.KeyAuthority, error)
}

// decide tells whose the key is, and nobody's if it is not for authorities: naming a key in kmsKeyRef is no right to it, since who may write
// CertificateAuthorities would sign with every key, and keep it from all else. free tells that it is the authority's if it takes the key: by a
// write to the key's status.
func (o *ownership) decide() (whose v1alpha1.KeyAuthority, free bool, err error) {
	me := v1alpha1.KeyAuthority{ARN: o.arn, Name: o.name}
	switch {
	case o.named != "" && o.named != o.name:
		return v1alpha1.KeyAuthority{Name: o.named}, false, nil
	case o.holder != nil && o.holder.ARN == o.arn:
		return *o.holder, false, nil
	case o.named != "":
		return me, true, nil
	}
	if o.holder != nil {
		gone := false
		if !o.holder.Certified {
			gone, err = o.holderGone()
		}
		if err != nil || !gone {
			return *o.holder, false, err
		}
	}
	return o.unheld(me)
}

// unheld is decide for a key that no authority holds.
func (o *ownership) unheld(me v1alpha1.KeyAuthority) (whose v1alpha1.KeyAuthority, free bool, err error) {
	eldest, err := o.eldest()
	switch {
	case err != nil:
		return v1alpha1.KeyAuthority{}, false, err
	case eldest != nil && eldest.ARN != o.arn:
		return *eldest, false, nil
	case eldest == nil && o.holder == nil && !o.byName:
		return v1alpha1.KeyAuthority{}, false, nil
	}
	return me, true, nil
}

func (s *Service) ownership(ctx context.Context, ca *v1alpha1.CertificateAuthority, key *v1alpha1.KMSKey) *ownership {
	o := &ownership{arn: ca.Status.ARN, name: ca.Name, byName: key.Name == "ca-"+ca.Name, holder: key.Status.CertificateAuthority}
	if made := key.Annotations[v1alpha1.AuthorityAnnotation]; made != "" && o.holder == nil {
		o.holder = &v1alpha1.KeyAuthority{ARN: made, Name: made}
		if there, err := s.Find(ctx, key.Namespace, arn.Account(made), made); err == nil && there != nil {
			o.holder.Name = there.Name
		}
	}
	if key.Spec.CertificateAuthorityRef != nil {
		o.named = key.Spec.CertificateAuthorityRef.Name
	}
	o.eldest = func() (*v1alpha1.KeyAuthority, error) { return s.eldest(ctx, key) }
	o.holderGone = func() (bool, error) {
		there, err := s.Find(ctx, key.Namespace, arn.Account(o.holder.ARN), o.holder.ARN)
		return there == nil, err
	}
	return o
}

// eldest is the authority that has had a certificate for a key for the longest time, be it there or deleted and in its recovery window.
func (s *Service) eldest(ctx context.Context, key *v1alpha1.KMSKey) (*v1alpha1.KeyAuthority, error) {
	found, err := s.certificatesFor(ctx, key)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	first := found[0]
	for _, e := range found[1:] {
		if cmp.Or(e.Spec.CreatedTime.Compare(first.Spec.CreatedTime.Time), cmp.Compare(e.Spec.Subject, first.Spec.Subject)) < 0 {
			first = e
		}
	}
	return &v1alpha1.KeyAuthority{ARN: first.Spec.Subject, Name: first.Spec.Owner.Name, Certified: true}, nil
}

// checkOwner tells whether an authority may sign with a key. The fault says KeyInUse, or AuthorityNotReady of one that is about to be given the key.
// It asks the cache alone, and nothing at all if the key's status names the authority.
func (s *Service) checkOwner(ctx context.Context, ca *v1alpha1.CertificateAuthority, key *v1alpha1.KMSKey) error {
	whose, free, err := s.ownership(ctx, ca, key).decide()
	switch {
	case err != nil:
		return err
	case !free && whose.ARN == ca.Status.ARN:
		return nil
	case !free:
		return inUse(key, whose)
	case key.Status.CertificateAuthority != nil:
		return fault.Waiting(v1alpha1.ReasonAuthorityNotReady, fmt.Errorf("%w: KMSKey %s is about to become that of %s", errAuthorityNotReady, key.Name, ca.Name))
	}
	return nil
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys/status,verbs=update

// take makes a key an authority's own, or notes that it has a certificate for it. The fault says KeyInUse. key is changed to what was written, and must
// not be the cache's own.
//
// Crash-safe: it is one write for the resource version that the decision was made of, so that of two the API server lets one.
func (s *Service) take(ctx context.Context, ca *v1alpha1.CertificateAuthority, key *v1alpha1.KMSKey, certified bool) error {
	whose, free, err := s.ownership(ctx, ca, key).decide()
	switch {
	case err != nil:
		return err
	case !free && whose.ARN != ca.Status.ARN:
		return inUse(key, whose)
	case !free && (whose.Certified || !certified):
		return nil
	}
	key.Status.CertificateAuthority = &v1alpha1.KeyAuthority{ARN: ca.Status.ARN, Name: ca.Name, Certified: certified}
	if err := s.Client.Status().Update(ctx, key); err != nil {
		return fmt.Errorf("making KMSKey %s that of CertificateAuthority %s: %w", key.Name, ca.Name, err)
	}
	return nil
}

// Keep notes that an authority has a certificate for its key, which is then its own for good. The fault says KeyNotFound or KeyInUse.
//
// Crash-safe: the pass that finds the certificate of one that died before makes the note.
func (s *Service) Keep(ctx context.Context, ca *v1alpha1.CertificateAuthority) error {
	key, err := s.KMS.ByName(ctx, ca.Namespace, ca.KMSKeyName())
	if err != nil {
		return err
	}
	return s.take(ctx, ca, key, true)
}

func inUse(key *v1alpha1.KMSKey, whose v1alpha1.KeyAuthority) error {
	if whose == (v1alpha1.KeyAuthority{}) {
		return fault.Stalled(v1alpha1.ReasonKeyInUse, fmt.Errorf("KMSKey %s was not made for a CertificateAuthority: create one whose kmsKeyRef names no KMSKey that is "+
			"there already, or none, and its key is made. Who looks after this KMSKey can give it to an authority, and to nothing else, by spec.certificateAuthorityRef of the KMSKey",
			key.Name))
	}
	return fault.Stalled(v1alpha1.ReasonKeyInUse, fmt.Errorf("KMSKey %s belongs to the CertificateAuthority %s, and no other signs with it: create one with a key "+
		"of its own. Who looks after the KMSKey can give it to another, also when that one is gone, by spec.certificateAuthorityRef of the KMSKey", key.Name, whose.Name))
}
