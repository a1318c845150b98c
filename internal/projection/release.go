package projection

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// release gives up all fields that a field manager has: the API server takes out those that nobody else has. What creation and
// patches wrote is made the manager's applied fields first, since an apply gives up nothing else. A death between the two writes
// leaves the data as it was, and applied fields that the next attempt gives up.
func (p *Projector) release(ctx context.Context, live *corev1.Secret, manager string) error {
	has, updated, typed := holdings(live, manager)
	if !has {
		return nil
	}
	if updated {
		if err := p.claimUpdates(ctx, live, manager); err != nil {
			return err
		}
	}
	nothing := corev1ac.Secret(live.Name, live.Namespace).WithUID(live.UID)
	if typed { // a type cannot be taken out
		nothing.WithType(live.Type)
	}
	err := p.Client.Apply(ctx, nothing, client.FieldOwner(manager))
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err), remade(err): // or it is gone
		return nil
	case apierrors.IsInvalid(err): // its type needs the keys, or somebody made it immutable: what is there stays
		return nil
	}
	return fmt.Errorf("leaving core Secret %s: %w", live.Name, err)
}

// claimUpdates makes the fields that a manager has written other than by apply its applied fields. It changes nothing else, and
// fails if the object has changed since it was read.
func (p *Projector) claimUpdates(ctx context.Context, live *corev1.Secret, manager string) error {
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(live, sets.New(manager), manager)
	if err != nil {
		return fmt.Errorf("reading the field managers: %w", err)
	}
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: live.Namespace, Name: live.Name}}
	err = p.Client.Patch(ctx, object, client.RawPatch(types.JSONPatchType, patch), client.FieldOwner(manager))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("leaving core Secret %s: %w", live.Name, err)
	}
	return nil
}

// holdings tells whether a manager has fields of a core Secret, any of them other than by apply, and the type among them.
func holdings(live *corev1.Secret, manager string) (has, updated, typed bool) {
	for _, entry := range live.ManagedFields {
		if entry.Manager != manager {
			continue
		}
		has = true
		updated = updated || entry.Operation == metav1.ManagedFieldsOperationUpdate
		typed = typed || fieldsOf(entry).Type != nil
	}
	return has, updated, typed
}
