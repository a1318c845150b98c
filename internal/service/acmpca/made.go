package acmpca

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"reflect"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
)

// An authority without kmsKeyRef expects a key that was made for it. Whoever may make KMSKeys, and no authorities, could have made one of that name before: with a
// policy by which they sign what the authority never sees, in an HSM of theirs, or with an owner that takes it along. Nothing that such an object says of itself
// tells it from one that was made here, for they can write it, too. So the key that is made bears a proof that nobody else can make.

// NewKey is the KMSKey that is made for an authority whose status has its ARN.
func (s *Service) NewKey(ca *v1alpha1.CertificateAuthority) (*v1alpha1.KMSKey, error) {
	proof, err := s.proof(ca.Namespace, ca.KMSKeyName(), ca.Status.ARN)
	if err != nil {
		return nil, err
	}
	return &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ca.Namespace, Name: ca.KMSKeyName(),
			Annotations: map[string]string{v1alpha1.AuthorityAnnotation: ca.Status.ARN, v1alpha1.AuthorityMACAnnotation: proof},
		},
		Spec: v1alpha1.KMSKeySpec{
			Description: "Key of the CertificateAuthority " + ca.Name,
			KeySpec:     keySpecs[AlgorithmOf(ca)], KeyUsage: v1alpha1.KeyUsageSignVerify, Region: ca.Spec.Region,
			Policy: policyFor(ca.Status.ARN),
		},
	}, nil
}

// policyFor is the policy of a key that is made for the authority of an ARN.
func policyFor(authority string) *v1alpha1.PolicyDocument {
	return &v1alpha1.PolicyDocument{JSON: apiextensionsv1.JSON{Raw: []byte(keyPolicy(arn.Account(authority), arn.Region(authority)))}}
}

// proof is what AuthorityMACAnnotation has of a key. It says nothing about the object's UID, so that it is good in a cluster that was restored from a backup, where
// the domain key is the same.
func (s *Service) proof(namespace, key, authority string) (string, error) {
	ring, err := s.Keyring.Get()
	if err != nil {
		return "", err
	}
	return ring.Digest("acm-pca key", []byte(namespace), []byte(key), []byte(authority)), nil
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys,verbs=create

// createKey makes an authority's key. Crash-safe: it is one write, and the object bears its proof from the first, so that the next pass knows it.
func (s *Service) createKey(ctx context.Context, ca *v1alpha1.CertificateAuthority) error {
	key, err := s.NewKey(ca)
	if err != nil {
		return err
	}
	err = s.Client.Create(ctx, key, client.FieldOwner(v1alpha1.Group+"/certificateauthority"))
	if err != nil && !apierrors.IsAlreadyExists(err) { // whose that one is, the next pass sees
		return fmt.Errorf("creating KMSKey %s: %w", ca.KMSKeyName(), err)
	}
	return fault.Waiting(v1alpha1.ReasonKeyUnusable, fmt.Errorf("the authority's KMSKey %s is being made", ca.KMSKeyName()))
}

// checkChosen refuses a key to an authority that names none and expects one that is made, unless it was made here or is the authority's already: who may write
// KMSKeys and no authorities could have it sign with a key of theirs. What the KMSKey says, certificateAuthorityRef too, is no consent of who wrote the authority; by
// kmsKeyRef its author has chosen the key. An authority that is certified keeps the key of its certificate, whatever that is. The fault says KeyMismatch.
func (s *Service) checkChosen(ca *v1alpha1.CertificateAuthority, key *v1alpha1.KMSKey, certified bool) error {
	if certified || ca.Spec.KMSKeyRef != nil {
		return nil
	}
	const remedy = "Delete the KMSKey, or create the authority under another name, to have a key made; or create it with that kmsKeyRef"
	if kms.External(key) {
		return fault.Stalled(v1alpha1.ReasonKeyMismatch, fmt.Errorf("KMSKey %s has the origin EXTERNAL, and whoever imported its key material has the private key, too: an authority "+
			"signs with such a key only if its kmsKeyRef names it. "+remedy, key.Name))
	}
	if holder := key.Status.CertificateAuthority; holder != nil && holder.ARN == ca.Status.ARN {
		return nil
	}
	proof, err := s.proof(key.Namespace, key.Name, key.Annotations[v1alpha1.AuthorityAnnotation])
	if err != nil {
		return err
	}
	if why := notMade(key, proof); why != "" {
		return fault.Stalled(v1alpha1.ReasonKeyMismatch, fmt.Errorf("KMSKey %s %s, and whoever made or changed it may sign with it, too: an authority takes such a key only if "+
			"its kmsKeyRef names it. "+remedy, key.Name, why))
	}
	return nil
}

// notMade says why a key is none that was made here, with that proof, and that nobody but an authority could have signed with since; empty if it is one. A proof can
// be copied to another KMSKey of the name, by who deletes the first, and so it counts only with all that keeps others from signing, until an authority
// has had the key: that its status says, which nobody else writes. Who changes a key later looks after it, and is trusted with it.
func notMade(key *v1alpha1.KMSKey, proof string) string {
	has := key.Annotations[v1alpha1.AuthorityMACAnnotation]
	switch {
	case subtle.ConstantTimeCompare([]byte(has), []byte(proof)) != 1:
		return "is there already and was not made for a CertificateAuthority by Strongroom"
	case key.Status.CertificateAuthority != nil:
		return ""
	case len(key.OwnerReferences) > 0:
		return "was given owners, with which it would be deleted"
	case key.Spec.Origin == v1alpha1.KeyOriginCloudHSM || key.Spec.CustomKeyStoreRef != nil:
		return "is in an HSMCluster, where no key is made"
	case key.Spec.MultiRegion || key.Spec.ReplicaOf != nil:
		return "is a multi-Region key"
	case !samePolicy(key.Spec.Policy, policyFor(key.Annotations[v1alpha1.AuthorityAnnotation])):
		return "has another policy than it was made with"
	}
	return ""
}

// samePolicy tells whether two policies are one JSON value: the API server keeps no white space.
func samePolicy(a, b *v1alpha1.PolicyDocument) bool {
	if a == nil || b == nil {
		return a == b
	}
	var one, other any
	return json.Unmarshal(a.Raw, &one) == nil && json.Unmarshal(b.Raw, &other) == nil && reflect.DeepEqual(one, other)
}
