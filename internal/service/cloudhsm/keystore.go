package cloudhsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/fault"
)

// ConnectionState is AWS KMS's state of a custom key store.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CustomKeyStoresListEntry.html#KMS-Type-CustomKeyStoresListEntry-ConnectionState
type ConnectionState string

// The states of a custom key store that are in use.
const (
	// Connected: its keys can be made and used, as far as a node serves.
	Connected ConnectionState = "CONNECTED"
	// Connecting: it is to be connected, and the cluster has no domain key yet.
	Connecting ConnectionState = "CONNECTING"
	// ConnectionFailed: it is to be connected, and the cluster has no HSMs.
	ConnectionFailed ConnectionState = "FAILED"
	// NotConnected: spec.customKeyStore.connected is false.
	NotConnected ConnectionState = "DISCONNECTED"
)

// ErrDisconnected says that a key is in a custom key store that is disconnected. It is ErrUnavailable too.
var ErrDisconnected error = disconnected{}

type disconnected struct{}

func (disconnected) Error() string { return "the custom key store is disconnected" }

func (disconnected) Is(target error) bool { return target == ErrUnavailable } //nolint:errorlint // which is what Is is for

var (
	// ErrKeyStoreNotFound says that there is no such custom key store, or that this account may not use it.
	ErrKeyStoreNotFound = errors.New("there is no such custom key store")
	// ErrNameInUse says that another store of the account has the name.
	ErrNameInUse = errors.New("another custom key store has the name")
	// ErrClusterInUse says that the cluster is a custom key store.
	ErrClusterInUse = errors.New("the cluster is a custom key store already")
	// ErrClusterNotActive says that no node of the cluster serves.
	ErrClusterNotActive = errors.New("the cluster is not active")
	// ErrNoHSMs says that the cluster has no HSMs.
	ErrNoHSMs = errors.New("the cluster has no HSMs")
	// ErrTrustAnchor says that a certificate is not that of the cluster's authority.
	ErrTrustAnchor = errors.New("the trust anchor certificate is not the cluster's")
	// ErrNotDisconnected and ErrNotConnected say that the store's state does not permit what was asked.
	ErrNotDisconnected = errors.New("the custom key store is not disconnected")
	ErrNotConnected    = errors.New("the custom key store is not connected")
	// ErrConnectionFailed says that a store must be disconnected before it is connected again.
	ErrConnectionFailed = errors.New("the custom key store could not be connected")
)

// Disconnected tells whether KMSKeys in a cluster must not be used.
func Disconnected(hc *v1alpha1.HSMCluster) bool {
	store := hc.Spec.CustomKeyStore
	return store != nil && !ptr.Deref(store.Connected, true)
}

// disconnectedFault is what a key in such a cluster says, until it is connected again.
func disconnectedFault(hc *v1alpha1.HSMCluster) error {
	return fault.Waiting(v1alpha1.ReasonCustomKeyStoreUnavailable, fmt.Errorf("%w: HSMCluster %s/%s: connect it by ConnectCustomKeyStore, or by spec.customKeyStore.connected",
		ErrDisconnected, hc.Namespace, hc.Name))
}

// KeyStoreName is what AWS KMS calls a cluster.
func KeyStoreName(hc *v1alpha1.HSMCluster) string {
	if hc.Spec.CustomKeyStore != nil {
		return hc.Spec.CustomKeyStore.Name
	}
	return hc.Name
}

// ConnectionOf is the state of the custom key store that a cluster is. As in AWS KMS, one that is connected stays so while no node serves.
func ConnectionOf(hc *v1alpha1.HSMCluster) ConnectionState {
	switch {
	case Disconnected(hc):
		return NotConnected
	case hc.Spec.Size == 0:
		return ConnectionFailed
	case len(hc.Status.DomainKeys) == 0:
		return Connecting
	}
	return Connected
}

// checkActive says whether a cluster can be asked. It wraps ErrNoHSMs or ErrClusterNotActive.
func checkActive(hc *v1alpha1.HSMCluster) error {
	switch {
	case hc.Spec.Size == 0 && len(hc.Status.DomainKeys) > 0:
		return ErrNoHSMs
	case !hc.DeletionTimestamp.IsZero(), !meta.IsStatusConditionTrue(hc.Status.Conditions, v1alpha1.ConditionAvailable):
		return fmt.Errorf("%w: it is %s", ErrClusterNotActive, StateNow(hc))
	}
	return nil
}

// KeyStores lists the HSMClusters that are custom key stores of a namespace, which is an account, and region: those with spec.customKeyStore or with KMSKeys in them, of the
// namespace itself, and of others that let it use them. They are the cache's own: read them only.
func (s *Service) KeyStores(ctx context.Context, namespace, region string) ([]*v1alpha1.HSMCluster, error) {
	if region != s.Region {
		return nil, nil
	}
	all, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	ns := &corev1.Namespace{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: namespace}, ns, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	var out []*v1alpha1.HSMCluster
	for _, hc := range all {
		allowed, err := Allows(hc, s.Namespace, namespace, ns.Labels)
		if err != nil || !allowed {
			continue // one whose selector is malformed is for its own namespace alone, and says so to its keys
		}
		store, err := s.isKeyStore(ctx, hc, namespace)
		if err != nil {
			return nil, err
		}
		if store {
			out = append(out, hc)
		}
	}
	return out, nil
}

// isKeyStore tells whether a cluster is a custom key store in the eyes of a namespace: others' keys tell it nothing.
func (s *Service) isKeyStore(ctx context.Context, hc *v1alpha1.HSMCluster, namespace string) (bool, error) {
	if hc.Spec.CustomKeyStore != nil {
		return true, nil
	}
	if namespace == hc.Namespace {
		namespace = ""
	}
	keys, err := s.Keys(ctx, hc, namespace)
	return keys > 0, err
}

// KeyStore finds a custom key store that a namespace may use. It wraps ErrKeyStoreNotFound. It is the cache's own: read it only.
func (s *Service) KeyStore(ctx context.Context, namespace, region, id string) (*v1alpha1.HSMCluster, error) {
	all, err := s.KeyStores(ctx, namespace, region)
	if err != nil {
		return nil, err
	}
	for _, hc := range all {
		if KeyStoreID(hc.Namespace, hc.Name) == id {
			return hc, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrKeyStoreNotFound, id)
}

// OwnKeyStore finds a custom key store of a namespace's own: it alone may change it. It wraps ErrKeyStoreNotFound.
func (s *Service) OwnKeyStore(ctx context.Context, namespace, region, id string) (*v1alpha1.HSMCluster, error) {
	hc, err := s.KeyStore(ctx, namespace, region, id)
	if err == nil && hc.Namespace != namespace {
		return nil, fmt.Errorf("%w in this account: %s is another account's, which lets this one use it", ErrKeyStoreNotFound, id)
	}
	return hc, err
}

// UsableKeyStore finds the custom key store that a new key is to be in. It wraps ErrKeyStoreNotFound, ErrNotConnected, ErrNoHSMs or ErrClusterNotActive.
func (s *Service) UsableKeyStore(ctx context.Context, namespace, region, id string) (*v1alpha1.HSMCluster, error) {
	hc, err := s.KeyStore(ctx, namespace, region, id)
	if err != nil {
		return nil, err
	}
	if state := ConnectionOf(hc); state == NotConnected || state == Connecting {
		return nil, fmt.Errorf("%w: it is %s", ErrNotConnected, state)
	}
	if hc.Spec.Size == 0 {
		return nil, ErrNoHSMs
	}
	return hc, checkActive(hc)
}

// CreateKeyStore makes an active cluster a custom key store, which is not connected yet. It wraps ErrClusterInUse, ErrNameInUse, ErrNoHSMs, ErrClusterNotActive, ErrTrustAnchor, ErrDeleting or ErrGone.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateCustomKeyStore.html
//
// Crash-safe: it is one optimistic write. Two requests of two replicas can give two stores one name, of which nothing depends.
func (s *Service) CreateKeyStore(ctx context.Context, hc *v1alpha1.HSMCluster, name, trustAnchor string) error {
	if err := s.checkName(ctx, hc, name); err != nil {
		return err
	}
	_, err := s.Change(ctx, hc, func(c *v1alpha1.HSMCluster) error {
		used, err := s.isKeyStore(ctx, c, c.Namespace)
		if err != nil {
			return err
		}
		if used {
			return fmt.Errorf("%w: %s, %q", ErrClusterInUse, KeyStoreID(c.Namespace, c.Name), KeyStoreName(c))
		}
		if err := checkActive(c); err != nil {
			return err
		}
		if err := checkTrustAnchor(c, trustAnchor); err != nil {
			return err
		}
		c.Spec.CustomKeyStore = &v1alpha1.CustomKeyStore{Name: name, Connected: ptr.To(false)}
		return nil
	})
	return err
}

// checkTrustAnchor says whether a certificate in PEM is that of the cluster's own authority.
func checkTrustAnchor(hc *v1alpha1.HSMCluster, text string) error {
	given, err := pki.ParseCertificates([]byte(text))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTrustAnchor, err)
	}
	own, err := pki.ParseCertificates([]byte(hc.Status.TrustAnchorCertificate))
	if err != nil {
		return fmt.Errorf("%w: it has none yet", ErrClusterNotActive)
	}
	if len(given) != 1 || !bytes.Equal(given[0].Raw, own[0].Raw) {
		return ErrTrustAnchor
	}
	return nil
}

// checkName says whether a namespace's store can have a name.
func (s *Service) checkName(ctx context.Context, hc *v1alpha1.HSMCluster, name string) error {
	all, err := s.KeyStores(ctx, hc.Namespace, s.Region)
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.Namespace == hc.Namespace && other.Name != hc.Name && KeyStoreName(other) == name {
			return fmt.Errorf("%w %q: %s", ErrNameInUse, name, KeyStoreID(other.Namespace, other.Name))
		}
	}
	return nil
}

// ConnectKeyStore lets keys in a cluster be made and used. It wraps ErrConnectionFailed, ErrNoHSMs, ErrClusterNotActive, ErrDeleting or ErrGone.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ConnectCustomKeyStore.html
func (s *Service) ConnectKeyStore(ctx context.Context, hc *v1alpha1.HSMCluster) error {
	_, err := s.Change(ctx, hc, func(c *v1alpha1.HSMCluster) error {
		switch ConnectionOf(c) {
		case Connected, Connecting:
			return nil
		case ConnectionFailed:
			return fmt.Errorf("%w: it is %s; disconnect it first", ErrConnectionFailed, ConnectionFailed)
		case NotConnected:
		}
		if c.Spec.Size == 0 {
			return ErrNoHSMs
		}
		if err := checkActive(c); err != nil {
			return err
		}
		c.Spec.CustomKeyStore.Connected = ptr.To(true)
		return nil
	})
	return err
}

// DisconnectKeyStore keeps keys in a cluster from being made and used: in this process at once, and in others when their cache has it. It wraps ErrNotConnected, ErrDeleting or ErrGone.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DisconnectCustomKeyStore.html
func (s *Service) DisconnectKeyStore(ctx context.Context, hc *v1alpha1.HSMCluster) error {
	_, err := s.Change(ctx, hc, func(c *v1alpha1.HSMCluster) error {
		if Disconnected(c) {
			return fmt.Errorf("%w: it is %s", ErrNotConnected, NotConnected)
		}
		c.Spec.CustomKeyStore = &v1alpha1.CustomKeyStore{Name: KeyStoreName(c), Connected: ptr.To(false)}
		return nil
	})
	return err
}

// RenameKeyStore gives a disconnected store another name. It wraps ErrNotDisconnected, ErrNameInUse, ErrDeleting or ErrGone.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateCustomKeyStore.html
func (s *Service) RenameKeyStore(ctx context.Context, hc *v1alpha1.HSMCluster, name string) error {
	if err := s.checkName(ctx, hc, name); err != nil {
		return err
	}
	_, err := s.Change(ctx, hc, func(c *v1alpha1.HSMCluster) error {
		if err := checkDisconnected(c); err != nil {
			return err
		}
		c.Spec.CustomKeyStore.Name = name
		return nil
	})
	return err
}

// DeleteKeyStore makes a disconnected store without keys a cluster alone. It wraps ErrNotDisconnected, ErrHasKeys, ErrDeleting or ErrGone.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DeleteCustomKeyStore.html
//
// Crash-safe: it is one optimistic write. A KMSKey of a manifest that comes meanwhile makes the cluster a store again, which is what its manifest asks for.
func (s *Service) DeleteKeyStore(ctx context.Context, hc *v1alpha1.HSMCluster) error {
	_, err := s.Change(ctx, hc, func(c *v1alpha1.HSMCluster) error {
		keys, err := s.Keys(ctx, c, "")
		if err != nil {
			return err
		}
		if keys > 0 {
			return fmt.Errorf("%w: %d", ErrHasKeys, keys)
		}
		if err := checkDisconnected(c); err != nil {
			return err
		}
		c.Spec.CustomKeyStore = nil
		return nil
	})
	return err
}

func checkDisconnected(hc *v1alpha1.HSMCluster) error {
	if !Disconnected(hc) {
		return fmt.Errorf("%w: it is %s", ErrNotDisconnected, ConnectionOf(hc))
	}
	return nil
}
