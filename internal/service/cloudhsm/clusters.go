package cloudhsm

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/authority"
	"strongroom.dev/strongroom/internal/core/hsm"
	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/fault"
)

const (
	// checkInterval is how often each cluster's health is looked at.
	checkInterval = 5 * time.Second
	// drain is how long requests may go on over connections that others took the place of.
	drain = time.Minute
	// connectTimeout is how long the credentials of a cluster may take to be read, whoever waits for them.
	connectTimeout = 15 * time.Second
)

var (
	errNotFound = errors.New("the custom key store cannot be used")
	// ErrUnavailable says that no node of the HSMCluster that holds a key serves. It passes when one does.
	ErrUnavailable = errors.New("no node of the HSMCluster serves")
)

// Clusters are this process's connections to the nodes of all HSMClusters. Every replica has its own, since every one serves the gateway.
type Clusters struct {
	// Reader reads HSMClusters and Namespaces from the cache.
	Reader client.Reader
	// Live reads core Secrets from the API server, and Direct writes them, without a cache.
	Live   client.Reader
	Direct client.Client
	// Namespace is Strongroom's own.
	Namespace string
	// Now is the clock of certificates.
	Now func() time.Time
	// Interval between checks; 5 s if it is 0.
	Interval time.Duration

	// connecting is one at a time for each cluster: its credentials are read from the API server, which may take long, and which others do not wait for.
	connecting singleflight.Group

	mu    sync.Mutex
	open  map[types.NamespacedName]*connection
	hears chan event.GenericEvent
}

// connection is one cluster's. It is immutable, but for what the last check said.
type connection struct {
	id        string
	addresses []string
	cluster   *hsmclient.Cluster
	said      string
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=hsmclusters,verbs=get;list;watch

// operatorMaterial renews a certificate when two thirds of its life are over.
type operatorMaterial struct {
	mu      sync.Mutex
	renewal time.Time
	last    *mtls.Material
}

func (m *operatorMaterial) get(id string, a *authority.Authority, now time.Time) (*mtls.Material, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last != nil && now.Before(m.renewal) && now.After(m.last.Certificate.Leaf.NotBefore) {
		return m.last, nil
	}
	certificate, err := a.IssueTo(authority.Identity{
		CommonName: "strongroom-manager", Names: []string{mtls.Name(id, mtls.Operator, "manager").String()}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, now)
	if err != nil {
		return nil, err
	}
	m.last, m.renewal = &mtls.Material{Certificate: *certificate, Authorities: a.Pool()}, authority.RenewalTime(certificate.Leaf)
	return m.last, nil
}

// Connect answers a client of a cluster's nodes at these addresses: the one that there is, or another that takes its place if they changed. Whoever asks at the same time gets the same; who has
// no more time does not take it from those who have.
func (c *Clusters) Connect(ctx context.Context, name types.NamespacedName, addresses []string) (*hsmclient.Cluster, error) {
	if there := c.connected(name, addresses); there != nil {
		return there, nil
	}
	result := c.connecting.DoChan(name.String()+"\n"+strings.Join(addresses, "\n"), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		return c.connect(ctx, name, addresses)
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("connecting to HSMCluster %s: %w", name, ctx.Err())
	case r := <-result:
		cluster, _ := r.Val.(*hsmclient.Cluster)
		return cluster, r.Err
	}
}

// connected is the client that there is for these addresses, nil if there is none.
func (c *Clusters) connected(name types.NamespacedName, addresses []string) *hsmclient.Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	if there := c.open[name]; there != nil && slices.Equal(there.addresses, addresses) {
		return there.cluster
	}
	return nil
}

func (c *Clusters) connect(ctx context.Context, name types.NamespacedName, addresses []string) (*hsmclient.Cluster, error) {
	if there := c.connected(name, addresses); there != nil { // of the one before
		return there, nil
	}
	id := ClusterID(name.Namespace, name.Name)
	credentials, err := c.ReadCredentials(ctx, name)
	if err != nil {
		return nil, err
	}
	defer credentials.Wipe()
	made, err := hsmclient.New(hsmclient.Options{Cluster: id, Addresses: addresses, TLS: c.operator(credentials)})
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", id, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close(name)
	if c.open == nil {
		c.open = map[types.NamespacedName]*connection{}
	}
	c.open[name] = &connection{id: id, addresses: slices.Clone(addresses), cluster: made}
	return made, nil
}

// Close ends the connections to a cluster that is gone.
func (c *Clusters) Close(name types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close(name)
}

func (c *Clusters) close(name types.NamespacedName) {
	if there := c.open[name]; there != nil {
		time.AfterFunc(drain, func() { _ = there.cluster.Close() })
		delete(c.open, name)
	}
}

// KeyStoreOf names the HSMCluster that a KMSKey is in.
func KeyStoreOf(key *v1alpha1.KMSKey) types.NamespacedName {
	ref := key.Spec.CustomKeyStoreRef
	if ref == nil {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: cmp.Or(ref.Namespace, key.Namespace), Name: ref.Name}
}

// Open answers a client of the HSMCluster that a KMSKey is in. The fault says CustomKeyStoreNotFound if there is none, or if it does not allow the
// key's namespace, which is not told apart: who may not use it need not know that it is there. It is ErrUnavailable while the cluster is not set up.
func (c *Clusters) Open(ctx context.Context, key *v1alpha1.KMSKey) (cluster *hsmclient.Cluster, id string, err error) {
	name := KeyStoreOf(key)
	hc := &v1alpha1.HSMCluster{}
	err = c.Reader.Get(ctx, name, hc, client.UnsafeDisableDeepCopy)
	if client.IgnoreNotFound(err) != nil {
		return nil, "", fmt.Errorf("reading HSMCluster %s: %w", name, err)
	}
	if err == nil {
		err = c.allowed(ctx, hc, key.Namespace)
	}
	if apierrors.IsNotFound(err) {
		return nil, "", fault.Stalled(v1alpha1.ReasonCustomKeyStoreNotFound, fmt.Errorf("%w: HSMCluster %s does not exist, or its spec.allowedNamespaces does not "+
			"let namespace %s use it; create it, or let it", errNotFound, name, key.Namespace))
	}
	if err != nil {
		return nil, "", err
	}
	if Disconnected(hc) {
		return nil, "", disconnectedFault(hc)
	}
	switch {
	case len(hc.Status.DomainKeys) == 0:
		return nil, "", Unavailable(name, errors.New("it is not set up yet"))
	case len(hc.Status.Nodes) == 0:
		return nil, "", Unavailable(name, errors.New("none of its nodes runs; its Ready condition says why"))
	}
	cluster, err = c.Connect(ctx, name, Endpoints(hc))
	return cluster, hc.Status.ClusterID, err
}

// NameOf finds the HSMCluster of an id for a namespace, by the cache. It is empty if there is none, or if that does not let the namespace use it, which is not told apart.
func (c *Clusters) NameOf(ctx context.Context, namespace, id string) (types.NamespacedName, error) {
	var list v1alpha1.HSMClusterList
	if err := c.Reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return types.NamespacedName{}, fmt.Errorf("listing HSMClusters: %w", err)
	}
	for i := range list.Items {
		hc := &list.Items[i]
		if ClusterID(hc.Namespace, hc.Name) != id {
			continue
		}
		if err := c.allowed(ctx, hc, namespace); err != nil {
			return types.NamespacedName{}, client.IgnoreNotFound(err)
		}
		return client.ObjectKeyFromObject(hc), nil
	}
	return types.NamespacedName{}, nil
}

// allowed answers NotFound if a namespace may not use a cluster.
func (c *Clusters) allowed(ctx context.Context, hc *v1alpha1.HSMCluster, namespace string) error {
	ns := &corev1.Namespace{}
	if err := c.Reader.Get(ctx, client.ObjectKey{Name: namespace}, ns, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	ok, err := Allows(hc, c.Namespace, namespace, ns.Labels)
	if err == nil && !ok {
		err = apierrors.NewNotFound(v1alpha1.SchemeGroupVersion.WithResource("hsmclusters").GroupResource(), hc.Name)
	}
	return err
}

// Unavailable is the fault of a cluster that nobody can ask.
func Unavailable(name types.NamespacedName, cause error) error {
	return fault.Waiting(v1alpha1.ReasonCustomKeyStoreUnavailable, fmt.Errorf("%w: HSMCluster %s: %w", ErrUnavailable, name, cause))
}

// Failed tells that an operation did not fail for what was asked, but for the nodes.
func Failed(err error) bool {
	for _, e := range []error{hsm.ErrNoNodes, hsm.ErrModule, hsm.ErrNoDomainKey, hsm.ErrUnknownEpoch, hsm.ErrUninitialized, hsm.ErrMismatch, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Endpoints are the addresses of a cluster's nodes.
func Endpoints(hc *v1alpha1.HSMCluster) []string {
	var out []string
	for _, n := range hc.Status.Nodes {
		if n.Endpoint != "" {
			out = append(out, n.Endpoint)
		}
	}
	return out
}

// Changes are heard when the health of a cluster is another than at the last check.
func (c *Clusters) Changes() <-chan event.GenericEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hears == nil {
		c.hears = make(chan event.GenericEvent, 64)
	}
	return c.hears
}

// NeedLeaderElection is false: every replica asks nodes.
func (c *Clusters) NeedLeaderElection() bool { return false }

// Start looks at the health of all clusters every few seconds, until ctx ends. It answers nil.
func (c *Clusters) Start(ctx context.Context) error {
	ticker := time.NewTicker(cmp.Or(c.Interval, checkInterval))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			c.checkAll(ctx)
		}
	}
}

func (c *Clusters) checkAll(ctx context.Context) {
	var list v1alpha1.HSMClusterList
	if err := c.Reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing HSMClusters")
		return
	}
	var all sync.WaitGroup
	for i := range list.Items {
		if hc := &list.Items[i]; len(Endpoints(hc)) > 0 {
			all.Go(func() { c.check(ctx, hc) })
		}
	}
	all.Wait()
}

// check looks at one cluster, and tells if something is new.
func (c *Clusters) check(ctx context.Context, hc *v1alpha1.HSMCluster) {
	name := client.ObjectKeyFromObject(hc)
	cluster, err := c.Connect(ctx, name, Endpoints(hc))
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "connecting to an HSMCluster", "hsmcluster", name)
		return
	}
	said := digest(cluster.Check(ctx))
	c.mu.Lock()
	there := c.open[name]
	news := there != nil && there.cluster == cluster && there.said != said
	if news {
		there.said = said
	}
	hears := c.hears
	c.mu.Unlock()
	if !news || hears == nil {
		return
	}
	select {
	case hears <- event.GenericEvent{Object: &v1alpha1.HSMCluster{ObjectMeta: hc.ObjectMeta}}:
	default: // so many wait that a pass over this one comes too
	}
}

// digest is what of a cluster's health is worth a pass when it changes.
func digest(h hsmclient.Health) string {
	var b strings.Builder
	for _, n := range h.Nodes {
		fmt.Fprintf(&b, "%s %s %s %d\n", n.Address, n.Status.GetState(), hsm.Reason(n.Err), len(n.Status.GetDomainKeys()))
	}
	return b.String()
}
