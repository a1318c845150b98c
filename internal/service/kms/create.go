package kms

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
)

const (
	// Finalizer keeps a deleted KMSKey until nothing is encrypted under it.
	Finalizer = v1alpha1.KeyMaterialFinalizer
	// FieldOwner is the field manager of what is written for callers of the AWS API.
	FieldOwner = client.FieldOwner("strongroom-gateway")
)

// attempts of an optimistic write before its conflict is the answer.
const attempts = 16

// New is a KMSKey as CreateKey asks for it, before it is made: its name is the key id, which is in its ARN.
func New(namespace string, spec v1alpha1.KMSKeySpec) *v1alpha1.KMSKey {
	id := string(uuid.NewUUID())
	if spec.MultiRegion {
		id = keys.MultiRegionID(id)
	}
	return &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: id, Finalizers: []string{Finalizer},
		},
		Spec: spec,
	}
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys,verbs=create;patch
// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys/status,verbs=update

// Create makes a key of New and its first material, so that it works at once for whoever reads through this process. It is the
// cache's own: read it only.
//
// The material is made here and not awaited from the controller: controllers run in one replica of several, which may be busy or
// may be changing, and a key that was answered for must work. Racing with the controller is harmless. Whoever makes the
// material second finds the first one's Envelope, whose name allows one only; and whoever writes status second meets a
// conflict, and finds the index complete. The conditions are left to the controller, which has yet to look: they say Pending.
//
// Crash-safe: the object comes first, then the Envelope, then the index that commits it. What a crash leaves is a key that the
// controller completes. A request that runs out of time leaves none.
func (s *Service) Create(ctx context.Context, key *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	if _, err := s.Keyring.Get(); err != nil { // nothing is begun that could not be ended
		return nil, err
	}
	id, err := account.Resolve(ctx, s.Reader, key.Namespace)
	if err != nil {
		return nil, err
	}
	if err := s.Client.Create(ctx, key, FieldOwner); err != nil {
		return nil, fmt.Errorf("creating KMSKey %s: %w", key.Name, err)
	}
	err = s.establish(ctx, key, id)
	var seen *v1alpha1.KMSKey
	if err == nil {
		seen, err = s.await(ctx, key)
	}
	if err != nil {
		s.giveUp(ctx, key)
		return nil, err
	}
	return seen, nil
}

// cleanUpTimeout is how long a key that was given up is tried to be deleted.
const cleanUpTimeout = 5 * time.Second

// giveUp deletes a new key whose request has run out of time, which its caller is told: it will ask for another. If that fails, or in a crash, the controller
// completes a key that nobody knows of.
func (s *Service) giveUp(ctx context.Context, key *v1alpha1.KMSKey) {
	if ctx.Err() == nil {
		return
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	object := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	if err := s.Client.Delete(within, object, client.Preconditions{UID: &key.UID}); client.IgnoreNotFound(err) != nil {
		log.FromContext(ctx).Error(err, "deleting a KMSKey whose request has run out of time", "namespace", key.Namespace, "name", key.Name)
	}
}

// establish makes the first material of a new key and commits it. Of a key whose material is imported it is the id alone.
func (s *Service) establish(ctx context.Context, key *v1alpha1.KMSKey, account string) error {
	name := client.ObjectKeyFromObject(key)
	var made *v1alpha1.KeyMaterial // once, however often status is written by the controller meanwhile
	for attempt := 1; ; attempt++ {
		if len(key.Status.KeyMaterials) > 0 || key.Status.KeyState == v1alpha1.KeyStatePendingImport {
			return nil // the controller was first
		}
		s.Identify(key, account)
		if !External(key) {
			if made == nil {
				first, err := s.CreateMaterial(ctx, key, key.Status.KeyID, key.Status.ARN, 1, "", keys.AwaitTurn(key.Namespace, string(key.UID)))
				if err != nil {
					return err
				}
				made = &first
			}
			key.Status.KeyMaterials = append(key.Status.KeyMaterials, *made)
			SortMaterials(&key.Status)
		}
		key.Status.KeyState = State(key, false)
		TrackUsage(key, key.CreationTimestamp.Time)
		err := s.Client.Status().Update(ctx, key, FieldOwner)
		if !apierrors.IsConflict(err) || attempt == attempts {
			if err != nil {
				return fmt.Errorf("writing the status of KMSKey %s: %w", name.Name, err)
			}
			return nil
		}
		*key = v1alpha1.KMSKey{}
		if err := s.Live.Get(ctx, name, key); err != nil {
			return fmt.Errorf("reading KMSKey %s: %w", name.Name, err)
		}
	}
}

// Identify gives a key that has none its id and its ARN.
func (s *Service) Identify(key *v1alpha1.KMSKey, account string) {
	if key.Status.KeyID == "" {
		key.Status.KeyID = KeyID(key)
		key.Status.ARN = arn.KMSKey(RegionOf(key, s.Region), account, key.Status.KeyID)
	}
}

// await reads a key when the cache has this process's writes of it, so that every later read has them.
func (s *Service) await(ctx context.Context, key *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	seen := &v1alpha1.KMSKey{}
	if err := s.Reader.Get(ctx, client.ObjectKeyFromObject(key), seen, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("reading KMSKey %s: %w", key.Name, err)
	}
	return seen, nil
}
