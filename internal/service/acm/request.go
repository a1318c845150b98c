package acm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/service/idempotent"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

// tokenWindow is how long the token of a request counts.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html
const tokenWindow = time.Hour

// ownKey is the account's own key for certificates, as Key makes it.
var ownKey = kms.OwnKey{
	Name: DefaultKeyName, Alias: DefaultKeyAlias, Description: "Default key that protects the private keys of Certificates when no other key is named",
	Owner: v1alpha1.Group + "/certificate",
}

// ErrGone says that the Certificate was deleted meanwhile.
var ErrGone = errors.New("the Certificate was deleted meanwhile")

// RequestInput is a certificate that a request asks for.
type RequestInput struct {
	Namespace, Region string
	// Token of the request, empty for none.
	Token string
	// DomainName and SubjectAlternativeNames are its names; which is named twice counts once.
	DomainName              string
	SubjectAlternativeNames []string
	// KeyAlgorithm is RSA_2048 if empty.
	KeyAlgorithm v1alpha1.CertificateKeyAlgorithm
	// Authority is the name of the CertificateAuthority that issues.
	Authority string
	// Tags of the certificate.
	Tags []v1alpha1.Tag
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=certificates,verbs=create;patch;delete

// Request makes a Certificate, or finds the one that the same token has made for the same first name within an hour. Its controller has it
// issued. It wraps idempotent.ErrTokenReused.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html
//
// Crash-safe: it is one write, under a name that derives from the token.
func (s *Service) Request(ctx context.Context, in RequestInput) (*v1alpha1.Certificate, error) {
	c := &v1alpha1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: in.Namespace},
		Spec: v1alpha1.CertificateSpec{
			DomainName: in.DomainName, SubjectAlternativeNames: furtherNames(in.DomainName, in.SubjectAlternativeNames), KeyAlgorithm: in.KeyAlgorithm,
			AuthorityRef: &v1alpha1.LocalReference{Name: in.Authority}, Tags: in.Tags, Region: s.otherRegion(in.Region),
		},
	}
	return s.make(ctx, in.Region, in.Token, in.DomainName, c)
}

// furtherNames are the names beside the first, each once.
func furtherNames(first string, names []string) []string {
	seen := map[string]bool{strings.ToLower(first): true}
	var out []string
	for _, name := range names {
		if folded := strings.ToLower(name); !seen[folded] {
			seen[folded] = true
			out = append(out, name)
		}
	}
	return out
}

// otherRegion is a region for a spec, which leaves out the operator's own.
func (s *Service) otherRegion(region string) string {
	if region == s.Region {
		return ""
	}
	return region
}

func (s *Service) make(ctx context.Context, region, token, text string, c *v1alpha1.Certificate) (*v1alpha1.Certificate, error) {
	maker := idempotent.Maker{Client: s.Client, Store: s.Store, Random: s.Random, Now: s.Now, Window: tokenWindow}
	made, err := maker.Make(ctx, &idempotent.Request{
		Kind: ownerKind, Text: text, Region: region, Token: token, Object: c, Existing: &v1alpha1.Certificate{},
		Same: func(existing client.Object) bool { // with a target, for example, it would show the private key
			return equality.Semantic.DeepEqual(existing.(*v1alpha1.Certificate).Spec, c.Spec)
		},
	})
	if err != nil {
		return nil, err
	}
	return made.(*v1alpha1.Certificate), nil
}

// ImportNew makes a Certificate of a key with its certificate that came from elsewhere. Its name begins with the certificate's first one.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_ImportCertificate.html
//
// Crash-safe: the object comes first, then Import. What a crash leaves is a Certificate without a version, which can be deleted.
func (s *Service) ImportNew(ctx context.Context, namespace, account, region string, tags []v1alpha1.Tag, bundle pki.Bundle) (*v1alpha1.Certificate, error) {
	c := &v1alpha1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace},
		Spec:       v1alpha1.CertificateSpec{Tags: tags, Region: s.otherRegion(region)},
	}
	if _, err := s.AwaitKey(ctx, c); err != nil { // nothing is begun that could not be ended
		return nil, err
	}
	text := bundle.Chain[0].Subject.CommonName
	if names := pki.NamesOf(bundle.Chain[0]).Texts(); len(names) > 0 {
		text = names[0]
	}
	made, err := s.make(ctx, region, "", text, c)
	if err != nil {
		return nil, err
	}
	return s.Import(ctx, made, account, bundle)
}

// AwaitKey is Key for a caller that cannot come back later: it waits for an account's own key that is being made.
func (s *Service) AwaitKey(ctx context.Context, c *v1alpha1.Certificate) (*v1alpha1.KMSKey, error) {
	return s.KMS.AwaitKeyOrOwn(ctx, c.Namespace, c.Spec.KMSKeyRef, ownKey)
}

// Renew asks the controller to renew a certificate with a fresh key. The mark is another for each request.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_RenewCertificate.html
func (s *Service) Renew(ctx context.Context, c *v1alpha1.Certificate, mark string) error {
	return s.Change(ctx, c, func(c *v1alpha1.Certificate) error {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.RotateAnnotation, mark)
		return nil
	})
}

// Change changes a certificate's spec or annotations. change gets a copy, and a later one if somebody else was faster; its error ends it,
// and is returned as it is. It wraps ErrGone.
//
// Crash-safe: it is one optimistic write, which is done or not.
func (s *Service) Change(ctx context.Context, c *v1alpha1.Certificate, change func(*v1alpha1.Certificate) error) error {
	before := c.DeepCopy()
	for range maximumTries {
		after := before.DeepCopy()
		if err := change(after); err != nil {
			return err
		}
		if equality.Semantic.DeepEqual(before, after) {
			return nil
		}
		err := s.Client.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), kms.FieldOwner)
		switch {
		case err == nil:
			return nil
		case apierrors.IsNotFound(err):
			return ErrGone
		case !apierrors.IsConflict(err):
			return fmt.Errorf("changing Certificate %s: %w", c.Name, err)
		}
		if before, err = s.latest(ctx, c); err != nil {
			return err
		}
	}
	return errContended
}

// latest reads a certificate as it is. It wraps ErrGone.
func (s *Service) latest(ctx context.Context, c *v1alpha1.Certificate) (*v1alpha1.Certificate, error) {
	live := &v1alpha1.Certificate{}
	err := s.Store.Live.Get(ctx, client.ObjectKeyFromObject(c), live)
	if apierrors.IsNotFound(err) || err == nil && live.UID != c.UID {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("reading Certificate %s: %w", c.Name, err)
	}
	return live, nil
}

// Delete deletes a certificate. check sees it as it is then, and its error ends it. It wraps ErrGone.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_DeleteCertificate.html
//
// Crash-safe: it is one write, on the condition that nobody else has changed the object, behind one that changes nothing of the certificate. Its Envelopes stay for the recovery window, which
// is the controller of Envelopes' to end.
func (s *Service) Delete(ctx context.Context, c *v1alpha1.Certificate, check func(*v1alpha1.Certificate) error) error {
	for range maximumTries {
		live, err := s.latest(ctx, c)
		if err != nil {
			return err
		}
		if err := check(live); err != nil {
			return err
		}
		if before := live.DeepCopy(); store.TakeAlong(live) {
			err = s.Client.Patch(ctx, live, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), kms.FieldOwner)
		}
		if err == nil {
			err = s.Client.Delete(ctx, live, client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion})
		}
		switch {
		case err == nil:
			return nil
		case apierrors.IsNotFound(err):
			return ErrGone
		case !apierrors.IsConflict(err):
			return fmt.Errorf("deleting Certificate %s: %w", c.Name, err)
		}
	}
	return errContended
}
