package store

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
)

// The cache indexes of Envelopes.
const (
	// OwnerIndex finds them by the object they belong to, as KIND/NAME.
	OwnerIndex = "owner"
	// KeyIndex finds them by the ARN of the key that encrypts them.
	KeyIndex = "key"
)

var (
	// ErrMissing says that the Envelope of a version is not there.
	ErrMissing = errors.New("the Envelope is missing")
	// ErrTampered says that an Envelope is not what it should be, or does not open.
	ErrTampered = errors.New("the Envelope was tampered with")
)

// Store reads Envelopes from a cache and writes them to the API server.
type Store struct {
	// Client reads from a cache that has OwnerIndex and KeyIndex, and shows it its own writes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=envelopes,verbs=get;list;watch;create;patch;delete

// Create makes an Envelope. If there is one of that class, subject and sequence already, it returns that one: an earlier
// attempt made it. It wraps ErrCondemned if that one is about to be erased. Atomic: the API server makes all of it or nothing.
func (s *Store) Create(ctx context.Context, e *v1alpha1.Envelope) (*v1alpha1.Envelope, error) {
	err := s.Client.Create(ctx, e)
	if !apierrors.IsAlreadyExists(err) {
		if err != nil {
			return nil, fmt.Errorf("creating Envelope %s: %w", e.Name, err)
		}
		return e, nil
	}
	existing := &v1alpha1.Envelope{}
	if err := s.Live.Get(ctx, client.ObjectKeyFromObject(e), existing); err != nil {
		return nil, fmt.Errorf("reading Envelope %s: %w", e.Name, err)
	}
	if Condemned(existing) || BeingDeleted(existing) {
		return nil, fmt.Errorf("%w: Envelope %s", ErrCondemned, e.Name)
	}
	return existing, nil
}

// Get reads the Envelope of one version of an owner's subject from the cache. It wraps ErrMissing if there is none, and
// ErrTampered if it is not that version's, or another owner's. It is the cache's own: read it only.
//
// What an Envelope holds never changes, and one that the cache has as it was before it was rewrapped opens as well, so one that the cache has is right, and a
// read waits for this process's writes only when it has none.
func (s *Store) Get(ctx context.Context, namespace string, class v1alpha1.EnvelopeClass, owner v1alpha1.EnvelopeOwner,
	subject string, v versions.Version,
) (*v1alpha1.Envelope, error) {
	e := &v1alpha1.Envelope{}
	key := client.ObjectKey{Namespace: namespace, Name: Name(class, subject, v.Sequence)}
	err := s.Client.Get(ctx, key, e, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil && apierrors.IsNotFound(err) {
		err = s.Client.Get(ctx, key, e, client.UnsafeDisableDeepCopy)
	}
	switch {
	case err != nil && apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: %s of version %s; restore it from a backup", ErrMissing, key.Name, v.ID)
	case err != nil:
		return nil, fmt.Errorf("reading Envelope %s: %w", key.Name, err)
	case e.Spec.Class == class && isOf(e, owner, subject, v): // and so it is under its own name, which is worked out no second time
		return e, nil
	}
	if err := CheckIdentity(e, owner, subject, v); err != nil {
		return nil, err
	}
	return e, nil
}

// isOf is what CheckIdentity says of an Envelope whose name is that of its spec.
func isOf(e *v1alpha1.Envelope, owner v1alpha1.EnvelopeOwner, subject string, v versions.Version) bool {
	return e.Spec.Subject == subject && e.Spec.Owner == owner && e.Spec.Sequence == v.Sequence && e.Spec.Version == v.ID
}

// OfOwner lists the Envelopes of an object from the cache, in no order. They are the cache's own: read them only.
func (s *Store) OfOwner(ctx context.Context, namespace string, owner v1alpha1.EnvelopeOwner) ([]v1alpha1.Envelope, error) {
	return s.list(ctx, namespace, OwnerIndex, OwnerKey(owner))
}

// OfKey lists the Envelopes of a namespace that a key encrypts, from the cache, in no order. They are the cache's own: read
// them only.
func (s *Store) OfKey(ctx context.Context, namespace, keyARN string) ([]v1alpha1.Envelope, error) {
	return s.list(ctx, namespace, KeyIndex, keyARN)
}

// Indexed lists the Envelopes of a namespace that any of the cache's indexes finds, in no order. They are the cache's own: read
// them only.
func (s *Store) Indexed(ctx context.Context, namespace, index, value string) ([]v1alpha1.Envelope, error) {
	return s.list(ctx, namespace, index, value)
}

func (s *Store) list(ctx context.Context, namespace, index, value string) ([]v1alpha1.Envelope, error) {
	var found v1alpha1.EnvelopeList
	err := s.Client.List(ctx, &found, client.InNamespace(namespace), client.MatchingFields{index: value}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing Envelopes by %s: %w", index, err)
	}
	return found.Items, nil
}

// Delete removes an Envelope if it is as it was read: nobody has taken it over or marked it since, which is a conflict. So whoever finds that nothing needs it must have read it before it looks. For those of an object
// that is gone there is Erase. One that is gone already is no error, and neither is one that was rewrapped since.
func (s *Store) Delete(ctx context.Context, e *v1alpha1.Envelope) error {
	return s.asRead(ctx, e, func(e *v1alpha1.Envelope) error {
		object := &v1alpha1.Envelope{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name, UID: e.UID}}
		err := s.Client.Delete(ctx, object, client.Preconditions{UID: &e.UID, ResourceVersion: &e.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting Envelope %s: %w", e.Name, err)
		}
		return nil
	})
}

// IndexOwner lists the values of OwnerIndex.
func IndexOwner(obj client.Object) []string {
	if e, ok := obj.(*v1alpha1.Envelope); ok {
		return []string{OwnerKey(e.Spec.Owner)}
	}
	return nil
}

// IndexKey lists the values of KeyIndex.
func IndexKey(obj client.Object) []string {
	if e, ok := obj.(*v1alpha1.Envelope); ok {
		return []string{e.Spec.KeyARN}
	}
	return nil
}

// OwnerKey is the value of OwnerIndex of an owner.
func OwnerKey(owner v1alpha1.EnvelopeOwner) string { return owner.Kind + "/" + owner.Name }
