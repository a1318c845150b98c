package unseal

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/store"
)

// Provider is where a root of trust is. It is safe for concurrent use.
type Provider interface {
	// Name of the root, which the Envelopes of domain keys have: CoreSecret, or hsm:NAMESPACE/NAME. It never changes.
	Name() string
	// Find answers the root as it is now. On a first run it may make it, and must not answer one that is still being made.
	Find(ctx context.Context, first bool) (keyring.Root, error)
	// Claim makes the root be kept for as long as a domain key may be wrapped by it. It comes before the first is, and is repeated at each start.
	Claim(ctx context.Context) error
}

// Remote is what a Provider may also be: one whose root may go away while the manager runs, so that it is looked after.
type Remote interface{ Remote() }

// Identifier is what a root may also be: one with several keys.
type Identifier interface {
	// Identify says which of its keys wrapped.
	Identify(wrapped []byte) string
	// Check fails with keyring.ErrOtherRoot if the key that Identify said is not there, or is another now.
	Check(identity string) error
}

// SyntaxOf is how --root names a root.
func SyntaxOf(root string) string {
	if root == CoreSecretProvider {
		return CoreSecretSyntax
	}
	return root
}

// checkRoot fails if a domain key was wrapped by another root than the one of that name: it would open nothing, and what the other one is must be told
// instead of what this one lacks.
func checkRoot(root string, stored []v1alpha1.Envelope) error {
	for i := range stored {
		if by, _ := store.RootOf(stored[i].Spec.KeyARN); by != root {
			return fmt.Errorf("%w: %w: the domain key of epoch %d (Envelope %s/%s) is wrapped by %s, and this manager's root of trust is %s: start it with --root=%s; "+
				"the root of an installation cannot be changed yet, and nothing was changed",
				keyring.ErrSealed, keyring.ErrOtherRoot, stored[i].Spec.Sequence, stored[i].Namespace, stored[i].Name, SyntaxOf(by), SyntaxOf(root), SyntaxOf(by))
		}
	}
	return nil
}

// checkKeys fails if a domain key was wrapped by another key of the root than it has now.
func checkKeys(root keyring.Root, stored []v1alpha1.Envelope) error {
	identifier, ok := root.(Identifier)
	if !ok {
		return nil
	}
	for i := range stored {
		if _, identity := store.RootOf(stored[i].Spec.KeyARN); identity != "" {
			if err := identifier.Check(identity); err != nil {
				return fmt.Errorf("%w: the domain key of epoch %d (Envelope %s/%s): %w", keyring.ErrSealed, stored[i].Spec.Sequence, stored[i].Namespace, stored[i].Name, err)
			}
		}
	}
	return nil
}

// checkOtherRoots fails on a first run if there is another root, which is one of an installation whose domain keys are not here: they may be on their way
// from a backup, and a new one would be in their place.
func (u *Unsealer) checkOtherRoots(ctx context.Context, root string) error {
	var clusters v1alpha1.HSMClusterList
	if err := u.Live.List(ctx, &clusters); err != nil {
		return fmt.Errorf("looking for HSMClusters: %w", err)
	}
	for i := range clusters.Items {
		hc := &clusters.Items[i]
		if name := store.RootHSM(hc.Namespace, hc.Name); controllerutil.ContainsFinalizer(hc, v1alpha1.RootFinalizer) && name != root {
			return fmt.Errorf("%w: HSMCluster %s/%s is the root of trust of an installation (finalizer %s) whose domain keys are missing, and this manager's is %s: restore the Envelopes "+
				"from a backup and start with --root=%s; to begin anew with another root, take that finalizer away", keyring.ErrSealed, hc.Namespace, hc.Name, v1alpha1.RootFinalizer, SyntaxOf(root), name)
		}
	}
	if root == CoreSecretProvider {
		return nil
	}
	err := u.Live.Get(ctx, types.NamespacedName{Namespace: u.Namespace, Name: RootSecretName}, &corev1.Secret{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for another root: %w", err)
	}
	return fmt.Errorf("%w: core Secret %s/%s is the root of trust of an installation whose domain keys are missing, and this manager's is %s: restore the Envelopes from a backup and start with "+
		"--root=%s; to begin anew with %s, delete that core Secret", keyring.ErrSealed, u.Namespace, RootSecretName, root, CoreSecretSyntax, root)
}

// provider is the one that was given, or a core Secret.
func (u *Unsealer) provider() Provider {
	if u.Provider != nil {
		return u.Provider
	}
	return &coreSecret{client: u.Client, live: u.Live, namespace: u.Namespace, random: u.Random}
}

var _ Provider = (*coreSecret)(nil)

// Name implements Provider.
func (c *coreSecret) Name() string { return CoreSecretProvider }

// Claim implements Provider: there is nobody to tell.
func (c *coreSecret) Claim(context.Context) error { return nil }

// Find implements Provider.
func (c *coreSecret) Find(ctx context.Context, first bool) (keyring.Root, error) {
	root, err := c.load(ctx)
	if !errors.Is(err, errNoRoot) {
		return root, err
	}
	if !first {
		return nil, fmt.Errorf("%w: core Secret %s/%s is missing; restore it from a backup", keyring.ErrSealed, c.namespace, RootSecretName)
	}
	if err := c.create(ctx); err != nil {
		return nil, err
	}
	return c.load(ctx)
}
