package cloudhsm

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm"
	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/store"
)

var (
	errRootSyntax = errors.New("this is no root of trust")
	// errNotSetUp is a root that is not there yet.
	errNotSetUp = errors.New("the root of trust is not set up yet")
	errDeleted  = errors.New("the root of trust is being deleted")
)

// rootSyntax has DNS names, as Kubernetes has them: a namespace's and an object's.
var rootSyntax = regexp.MustCompile(`^hsm:([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)$`)

// ParseRoot reads hsm:NAMESPACE/NAME.
func ParseRoot(text string) (types.NamespacedName, error) {
	m := rootSyntax.FindStringSubmatch(text)
	if m == nil {
		return types.NamespacedName{}, fmt.Errorf("%w: %.300q; give hsm:NAMESPACE/NAME of an HSMCluster", errRootSyntax, text)
	}
	return types.NamespacedName{Namespace: m[1], Name: m[2]}, nil
}

// RootProvider is an HSMCluster as the root of trust: the keyring's domain keys are wrapped by the cluster's own domain key. It is an unseal.Provider.
//
// There is no circle: what the cluster needs to run is in core Secrets of Strongroom's namespace, in volumes, and in the HSMCluster, and nothing of that in an
// Envelope. Its controller works while the keyring is sealed.
type RootProvider struct {
	// Clusters has the connections.
	Clusters *Clusters
	// HSMCluster that is the root.
	HSMCluster types.NamespacedName
}

// Name implements unseal.Provider.
func (p *RootProvider) Name() string { return store.RootHSM(p.HSMCluster.Namespace, p.HSMCluster.Name) }

// Remote implements unseal.Remote.
func (p *RootProvider) Remote() {}

// Find implements unseal.Provider. It waits for nobody: a cluster that cannot be asked yet is an error that says what is missing.
//
// The first domain key is wrapped when all nodes serve, and so when all have the key that wraps it.
func (p *RootProvider) Find(ctx context.Context, first bool) (keyring.Root, error) {
	hc, err := p.read(ctx, first)
	if err != nil {
		return nil, err
	}
	if len(hc.Status.DomainKeys) == 0 || len(Endpoints(hc)) == 0 || first && hc.Status.State != v1alpha1.HSMClusterActive {
		return nil, fmt.Errorf("%w: %w: HSMCluster %s is %s: %s", keyring.ErrSealed, errNotSetUp, p.HSMCluster, stateInWords(hc), readyMessage(hc))
	}
	cluster, err := p.Clusters.Connect(ctx, p.HSMCluster, Endpoints(hc))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", keyring.ErrSealed, err)
	}
	return &hsmRoot{name: p.Name(), hc: hc, operators: p.Clusters.Namespace, wraps: hsmclient.NewRoot(p.Name(), cluster)}, nil
}

func (p *RootProvider) read(ctx context.Context, first bool) (*v1alpha1.HSMCluster, error) {
	hc := &v1alpha1.HSMCluster{}
	err := p.Clusters.Live.Get(ctx, p.HSMCluster, hc)
	switch {
	case apierrors.IsNotFound(err) && first:
		return nil, fmt.Errorf("%w: %w: HSMCluster %s does not exist: apply it, and this manager lets its nodes run", keyring.ErrSealed, errNotSetUp, p.HSMCluster)
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: HSMCluster %s, the root of trust, does not exist: restore core Secret %s/%s and the volumes of its nodes from a backup, and then apply it",
			keyring.ErrSealed, p.HSMCluster, p.Clusters.Namespace, CredentialsName(ClusterID(p.HSMCluster.Namespace, p.HSMCluster.Name)))
	case err != nil:
		return nil, fmt.Errorf("reading HSMCluster %s, the root of trust: %w", p.HSMCluster, err)
	}
	return hc, nil
}

func stateInWords(hc *v1alpha1.HSMCluster) string {
	if hc.Status.State == "" {
		return "not looked at yet"
	}
	return string(hc.Status.State)
}

func readyMessage(hc *v1alpha1.HSMCluster) string {
	if c := meta.FindStatusCondition(hc.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Message
	}
	return "its controller has not said anything yet"
}

// Claim implements unseal.Provider: it puts the finalizer on the core Secret with the PINs, and on the HSMCluster.
//
// Crash-safe: each patch is whole or not at all, and is repeated at each start. Both are there before the first domain key is wrapped.
func (p *RootProvider) Claim(ctx context.Context) error {
	credentials := types.NamespacedName{Namespace: p.Clusters.Namespace, Name: CredentialsName(ClusterID(p.HSMCluster.Namespace, p.HSMCluster.Name))}
	if err := p.Clusters.claim(ctx, corev1.SchemeGroupVersion.WithKind("Secret"), credentials); err != nil {
		return err
	}
	return p.Clusters.claim(ctx, v1alpha1.SchemeGroupVersion.WithKind("HSMCluster"), p.HSMCluster)
}

// claim reads and writes metadata alone: the PINs are not needed for it.
func (c *Clusters) claim(ctx context.Context, kind schema.GroupVersionKind, name types.NamespacedName) error {
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(kind)
	if err := c.Live.Get(ctx, name, obj); err != nil {
		return fmt.Errorf("claiming %s %s as the root of trust: %w", kind.Kind, name, err)
	}
	if controllerutil.ContainsFinalizer(obj, v1alpha1.RootFinalizer) {
		return nil
	}
	if obj.GetDeletionTimestamp() != nil {
		return fmt.Errorf("%w: %s %s", errDeleted, kind.Kind, name)
	}
	before := obj.DeepCopy()
	controllerutil.AddFinalizer(obj, v1alpha1.RootFinalizer)
	if err := c.Direct.Patch(ctx, obj, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("claiming %s %s as the root of trust: %w", kind.Kind, name, err)
	}
	return nil
}

// Wraps tells whether a domain key of the keyring is wrapped by a cluster, by the cache.
func (c *Clusters) Wraps(ctx context.Context, name types.NamespacedName) (bool, error) {
	var list v1alpha1.EnvelopeList
	if err := c.Reader.List(ctx, &list, client.InNamespace(c.Namespace), client.MatchingFields{store.OwnerIndex: store.OwnerKey(store.KeyringOwner)}, client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("looking for domain keys that %s wraps: %w", name, err)
	}
	for i := range list.Items {
		if root, _ := store.RootOf(list.Items[i].Spec.KeyARN); root == store.RootHSM(name.Namespace, name.Name) {
			return true, nil
		}
	}
	return false, nil
}

// Claimed tells whether an HSMCluster was claimed as the root of trust.
func Claimed(hc *v1alpha1.HSMCluster) bool {
	return controllerutil.ContainsFinalizer(hc, v1alpha1.RootFinalizer)
}

// IsRoot tells whether an HSMCluster is, or may be, the root of trust: it was claimed as such, or wraps a domain key.
func (c *Clusters) IsRoot(ctx context.Context, hc *v1alpha1.HSMCluster) (bool, error) {
	if Claimed(hc) {
		return true, nil
	}
	return c.Wraps(ctx, client.ObjectKeyFromObject(hc))
}

// hsmRoot is a cluster as it was when it was found.
type hsmRoot struct {
	name      string
	hc        *v1alpha1.HSMCluster
	operators string
	wraps     keyring.Root
}

func (r *hsmRoot) Name() string { return r.name }

// Protected is keyring.Protector's.
func (r *hsmRoot) Protected() (bool, string) {
	message := fmt.Sprintf("The root of trust is a domain key in HSMCluster %s/%s: a copy of etcd opens nothing. Whoever can read core Secret %s/%s and reach a node can use it",
		r.hc.Namespace, r.hc.Name, r.operators, CredentialsName(r.hc.Status.ClusterID))
	if r.hc.Spec.SoftHSM != nil {
		message += ", and whoever has that and a volume of a node has it: SoftHSM is not hardware"
	}
	return true, message
}

func (r *hsmRoot) Wrap(ctx context.Context, key secretbytes.Bytes, aad keyring.Context) ([]byte, error) {
	return r.wraps.Wrap(ctx, key, aad)
}

func (r *hsmRoot) Unwrap(ctx context.Context, wrapped []byte, aad keyring.Context) (secretbytes.Bytes, error) {
	key, err := r.wraps.Unwrap(ctx, wrapped, aad)
	if errors.Is(err, hsm.ErrInvalidCiphertext) {
		err = fmt.Errorf("%w; restore its Envelope from a backup", err)
	}
	return key, err
}

// Identify implements unseal.Identifier: EPOCH:KEY-CHECK-VALUE.
func (r *hsmRoot) Identify(wrapped []byte) string {
	sealed, err := hsm.ParseSealed(hsm.KindWrapped, wrapped)
	if err != nil {
		return ""
	}
	for _, k := range r.hc.Status.DomainKeys {
		if k.Epoch == sealed.Epoch {
			return strconv.FormatInt(k.Epoch, 10) + ":" + k.KeyCheckValue
		}
	}
	return ""
}

// Check implements unseal.Identifier.
func (r *hsmRoot) Check(identity string) error {
	epoch, value, _ := strings.Cut(identity, ":")
	for _, k := range r.hc.Status.DomainKeys {
		if strconv.FormatInt(k.Epoch, 10) == epoch && k.KeyCheckValue == value {
			return nil
		}
	}
	return fmt.Errorf("%w: the domain key of epoch %s with key check value %s, which HSMCluster %s/%s does not have any more: bring back core Secret %s/%s and the volumes of its nodes",
		keyring.ErrOtherRoot, epoch, value, r.hc.Namespace, r.hc.Name, r.operators, CredentialsName(r.hc.Status.ClusterID))
}
