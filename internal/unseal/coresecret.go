package unseal

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	// RootSecretName is the core Secret that holds the software root of trust.
	RootSecretName = "strongroom-root"
	rootSecretKey  = "root"
	rootLength     = 32

	// CoreSecretProvider is the name of this root provider.
	CoreSecretProvider = "CoreSecret"
	// CoreSecretSyntax is how --root names it.
	CoreSecretSyntax = "core-secret"
)

// errNoRoot says that the core Secret does not exist.
var errNoRoot = errors.New("the root key does not exist")

// +kubebuilder:rbac:groups="",namespace=strongroom-system,resources=secrets,verbs=create
// +kubebuilder:rbac:groups="",namespace=strongroom-system,resources=secrets,resourceNames=strongroom-root,verbs=get

// coreSecret keeps the 256-bit root in a core Secret of Strongroom's own namespace. It protects a copy of etcd's
// Envelopes from whoever lacks that Secret, and nothing from whoever can read it.
type coreSecret struct {
	client    client.Client
	live      client.Reader
	namespace string
	random    io.Reader
}

func (c *coreSecret) load(ctx context.Context) (keyring.Root, error) {
	var secret corev1.Secret
	err := c.live.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: RootSecretName}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, errNoRoot
	}
	if err != nil {
		return nil, fmt.Errorf("reading the root key: %w", err)
	}
	root := secretbytes.Own(secret.Data[rootSecretKey])
	if root.Len() != rootLength {
		return nil, fmt.Errorf("%w: key %q of core Secret %s/%s has %d bytes, not %d; restore it from a backup",
			keyring.ErrSealed, rootSecretKey, c.namespace, RootSecretName, root.Len(), rootLength)
	}
	return keyring.NewSoftwareRoot(CoreSecretProvider, root, keyring.WithProtection(false, fmt.Sprintf(
		"The root of trust is core Secret %s/%s: whoever can read it together with Envelopes, or all of etcd, can decrypt "+
			"everything", c.namespace, RootSecretName))), nil
}

// create makes the root. Atomic, and immutable from then on: of two processes that start at once one makes it and the
// other is told AlreadyExists, which is no error, since load then reads the first one's.
func (c *coreSecret) create(ctx context.Context) error {
	root, err := secretbytes.Random(c.random, rootLength)
	if err != nil {
		return err
	}
	defer root.Wipe()
	err = c.client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: RootSecretName},
		Immutable:  ptr.To(true),
		Data:       map[string][]byte{rootSecretKey: root.Reveal()},
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the root key: %w", err)
	}
	return nil
}
