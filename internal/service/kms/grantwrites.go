package kms

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/adoption"
	"strongroom.dev/strongroom/internal/service/principals"
)

var (
	// ErrTooManyGrants says that the key has grants.MaximumPerKey.
	ErrTooManyGrants = errors.New("the key has as many grants as it can have")
	// ErrGrantGone says that the grant is not there any more.
	ErrGrantGone = errors.New("the KMSGrant was deleted meanwhile")
)

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmsgrants,verbs=create;delete
// +kubebuilder:rbac:groups=strongroom.dev,resources=kmsgrants/status,verbs=update

// CreateGrant makes a grant of a key for a caller of the AWS API, and returns when every later read through this process sees it. The unique ids
// are those of the users and roles that it names, by their ARNs: it is of these, and not of who has the ARNs later. One with a
// spec.name is made once: whoever asks again for the same gets the one that is there, from whatever replica. It fails with ErrTooManyGrants;
// replicas that reach the limit at the same time may go over it by one each. The answer is the cache's own: read it only.
//
// Crash-safe: the grant is one write, which is done or not, and counts without a status. Whom it means is a second one, before the answer; where
// that is not done, nobody was told of the grant, and the controller does it.
func (s *Service) CreateGrant(ctx context.Context, key *v1alpha1.KMSKey, spec v1alpha1.KMSGrantSpec, uniqueIDs map[string]string) (*v1alpha1.KMSGrant, error) {
	spec.KMSKeyRef.Name, spec.KeyID = key.Name, key.Status.KeyID
	name, err := s.grantName(&spec, uniqueIDs)
	if err != nil {
		return nil, err
	}
	if spec.Name != "" {
		// Asked of the API server: another replica may have revoked it, and who is told of a grant that is gone does not ask again.
		same, err := s.sameGrant(ctx, key.Namespace, name, uniqueIDs)
		if same != nil || err != nil {
			return same, err
		}
	}
	if err := s.roomForGrant(ctx, key); err != nil {
		return nil, err
	}
	grant := &v1alpha1.KMSGrant{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: name, Labels: map[string]string{v1alpha1.GrantKeyIDLabel: key.Status.KeyID},
		},
		Spec: spec,
	}
	err = s.Client.Create(ctx, grant, FieldOwner)
	if apierrors.IsAlreadyExists(err) && spec.Name != "" {
		same, err := s.sameGrant(ctx, key.Namespace, name, uniqueIDs)
		if same == nil && err == nil {
			err = fmt.Errorf("KMSGrant %s: %w", name, ErrGrantGone)
		}
		return same, err
	}
	if err != nil {
		return nil, fmt.Errorf("creating KMSGrant %s: %w", name, err)
	}
	if err := s.bindGrant(ctx, grant, uniqueIDs); err != nil {
		return nil, err
	}
	seen := &v1alpha1.KMSGrant{}
	if err := s.Reader.Get(ctx, client.ObjectKeyFromObject(grant), seen, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("reading KMSGrant %s: %w", name, err)
	}
	return seen, nil
}

// bindGrant writes whom a grant means, unless that is settled, and fails with ErrGrantGone if it is settled otherwise: somebody else has an ARN than had
// it when it was asked for.
func (s *Service) bindGrant(ctx context.Context, grant *v1alpha1.KMSGrant, uniqueIDs map[string]string) error {
	named := principals.OfGrant(grant)
	if len(named) == 0 {
		return nil
	}
	for range attempts {
		if b := grant.Status.Binding; b != nil && b.PolicyDigest == principals.GrantDigest(grant) {
			return boundTo(grant, named, uniqueIDs)
		}
		grant.Status.Binding, _ = principals.Bind(nil, principals.GrantDigest(grant), named, uniqueIDs)
		err := s.Client.Status().Update(ctx, grant, FieldOwner)
		if !apierrors.IsConflict(err) {
			if err != nil {
				err = fmt.Errorf("writing whom KMSGrant %s means: %w", grant.Name, err)
			}
			return err
		}
		// Most likely the controller was faster, which goes by who has the ARNs now.
		uid := grant.UID
		if err := s.Live.Get(ctx, client.ObjectKeyFromObject(grant), grant); err != nil {
			return fmt.Errorf("reading KMSGrant %s: %w", grant.Name, err)
		}
		if grant.UID != uid {
			return fmt.Errorf("KMSGrant %s: %w", grant.Name, ErrGrantGone)
		}
	}
	return fmt.Errorf("writing whom KMSGrant %s means: others change it all the time", grant.Name)
}

func boundTo(grant *v1alpha1.KMSGrant, named []string, uniqueIDs map[string]string) error {
	for _, name := range named {
		if principals.BoundOfGrant(grant, name) != uniqueIDs[name] {
			return fmt.Errorf("KMSGrant %s means another principal of the name %s than is there: %w", grant.Name, name, ErrGrantGone)
		}
	}
	return nil
}

// sameGrant is the grant that was made with the same parameters, by whatever replica, for the same principals; nil if there is none. Its object's name alone is no proof: who may
// write KMSGrants can give it to another.
func (s *Service) sameGrant(ctx context.Context, namespace, name string, uniqueIDs map[string]string) (*v1alpha1.KMSGrant, error) {
	there := &v1alpha1.KMSGrant{}
	err := s.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, there)
	if err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if said, err := s.grantName(&there.Spec, uniqueIDs); err != nil || said != name {
		return nil, fmt.Errorf("KMSGrant %s is another than the one that is asked for: %w", name, errors.Join(err, ErrGrantGone))
	}
	made := &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.GrantKeyIDLabel: there.Spec.KeyID}}}
	if err := adoption.Check(there, made); err != nil { // it would end with something else, or not when it is revoked or its key ends
		return nil, fmt.Errorf("KMSGrant %s: %w: %w", name, err, ErrGrantGone)
	}
	return there, s.bindGrant(ctx, there, uniqueIDs) // whoever made it may have died before
}

// grantName is the name of a new grant's object, which is its id: that of a grant with a name of AWS's is a digest of all that it says and whom it
// means, so that the API server lets one be made, and any other is random.
func (s *Service) grantName(spec *v1alpha1.KMSGrantSpec, uniqueIDs map[string]string) (string, error) {
	if spec.Name == "" {
		random, err := secretbytes.Random(s.Random, sha256.Size)
		if err != nil {
			return "", err
		}
		return hex.EncodeToString(random.Reveal()), nil
	}
	said := spec.DeepCopy()
	slices.Sort(said.Operations)
	text, err := json.Marshal([]any{said, uniqueIDs}) // maps in the order of their keys
	if err != nil {
		return "", fmt.Errorf("encoding the grant: %w", err)
	}
	sum := sha256.Sum256(append([]byte("KMSGrant\n"), text...))
	return hex.EncodeToString(sum[:]), nil
}

// DeleteGrant revokes or retires a grant, and returns when every later read through this process sees that it is gone; other replicas see it as
// soon as their watch has told them. It fails with ErrGrantGone.
//
// Crash-safe: it is one write, of the object that was read and no other.
func (s *Service) DeleteGrant(ctx context.Context, grant *v1alpha1.KMSGrant) error {
	uid := grant.UID
	err := s.Client.Delete(ctx, &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: grant.Namespace, Name: grant.Name}},
		client.Preconditions{UID: &uid})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return ErrGrantGone
	case err != nil:
		return fmt.Errorf("deleting KMSGrant %s: %w", grant.Name, err)
	}
	goneGrants.Add(uid, struct{}{})
	err = s.Reader.Get(ctx, client.ObjectKeyFromObject(grant), &v1alpha1.KMSGrant{}, client.UnsafeDisableDeepCopy)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("waiting for the end of KMSGrant %s: %w", grant.Name, err)
	}
	return nil
}
