// Package operator puts the manager together: its cache, its client, the unsealer, the services and the controllers.
package operator

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/gateway/serving"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/metrics"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/acm"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/internal/unseal"
)

// Options are the manager's settings. The zero value of each has the default that its comment names.
type Options struct {
	// Namespace is Strongroom's own: the root of trust, the domain keys and the lease are in it. Required.
	Namespace string
	// Region is the home region: that of objects that name none. Required.
	Region string
	// Regions are those that the gateway serves besides the home region.
	Regions []string
	// GatewayBindAddress serves AWS's APIs; "" or "0" serves none.
	GatewayBindAddress string
	// GatewayNames are DNS names and IP addresses in the gateway's certificate, besides those of its Service and of loopback.
	GatewayNames []string
	// GatewayAuthority names the CertificateAuthority that issues the gateway's certificate. Empty for one of the gateway's own.
	GatewayAuthority types.NamespacedName
	// GatewaySourceShare is how much of the gateway's connections, and of the memory for requests that are not authenticated yet,
	// one source address may have, in percent. 25 by default.
	GatewaySourceShare int
	// AuditLog is the file that audit records are appended to; "" or "-" is standard output.
	AuditLog string
	// LeaderElection lets one replica of several run the controllers. Off by default.
	LeaderElection bool
	// MetricsBindAddress serves /metrics; "" or "0" serves none.
	MetricsBindAddress string
	// MetricsInsecure serves metrics over HTTP without authentication, for tests on loopback. Off by default: HTTPS, and
	// TokenReview and SubjectAccessReview for each request.
	MetricsInsecure bool
	// HealthProbeBindAddress serves /healthz and /readyz; "" or "0" serves none.
	HealthProbeBindAddress string
	// PprofBindAddress serves Go's profiles, of which none holds memory's contents; "" or "0" serves none.
	PprofBindAddress string
	// Concurrency is the number of objects of a kind that are reconciled at once, of one namespace all but one at most. 8 by default.
	Concurrency int
	// GracefulShutdownTimeout is how long running passes may take to end. 30 s by default.
	GracefulShutdownTimeout time.Duration
	// HSMImage is the image of HSM nodes, which run as StatefulSets in Namespace; HSMStorageClass is that of their volumes, the cluster's default one if it is
	// empty. Without HSMImage and HSMLocalDirectory, HSMClusters are Stalled.
	HSMImage, HSMStorageClass string
	// HSMLibraries are the PKCS#11 libraries that HSMClusters may name, and for whom, as hsmnodes.ParseLibraries reads them; where SoftHSM is, for
	// Strongroom's own namespace, if it is empty.
	HSMLibraries []string
	// HSMLocalDirectory lets HSM nodes run as processes of this machine, with their tokens in it. For one manager alone.
	HSMLocalDirectory string
	// HSMCommand is the program strongroom with arguments, for HSMLocalDirectory. This program by default.
	HSMCommand func(arguments ...string) *exec.Cmd
	// HSMCheckInterval is how often the health of HSM nodes is looked at. 5 s by default.
	HSMCheckInterval time.Duration
	// CloudHSMQuotas are those of each account in the CloudHSM API; AWS's defaults where they are 0.
	CloudHSMQuotas cloudhsm.Quotas
	// Root of trust: core-secret, which is the default, or hsm:NAMESPACE/NAME of an HSMCluster.
	Root string
	// SQLServerRotation lets Secrets rotate credentials of SQL Server: see rotation.Service.
	SQLServerRotation bool
	// RootGracePeriod is for how long the keyring stays unsealed when an HSMCluster that is its root was last reached. 0 is for as long as the process lives.
	RootGracePeriod time.Duration
	// RootVerifyInterval is how often an HSMCluster that is the root is asked while unsealed. 30 s by default.
	RootVerifyInterval time.Duration
	// Now is the clock. time.Now by default.
	Now func() time.Time
	// ServerTime is the API server's clock. It is asked by default.
	ServerTime func(context.Context) (time.Time, error)
	// SkipControllerNames lets several managers live in one process, as tests do.
	SkipControllerNames bool
	// WithoutControllers leaves the controllers out: tests call Reconcile themselves.
	WithoutControllers bool
}

// LeaseName is the name of the leader election's lease.
const LeaseName = "strongroom-manager"

// Scheme has the kinds that Strongroom reads and writes.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// Operator is a manager and what it runs.
type Operator struct {
	manager.Manager
	// Services are shared by controllers.
	Services controllers.Services
	// Unsealer brings the keyring up.
	Unsealer *unseal.Unsealer
	// Gateway is the listener of AWS's APIs, nil if there is none.
	Gateway *serving.Listener

	// direct has no cache: for kinds that are not worth a watch.
	direct client.Client
}

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=strongroom-system,resources=leases,verbs=get;create;update
// +kubebuilder:rbac:groups="",namespace=strongroom-system,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// New makes an Operator that is ready to start.
func New(cfg *rest.Config, o Options) (*Operator, error) {
	o = o.withDefaults()
	digester := projection.NewDigester()
	mgr, err := ctrl.NewManager(cfg, managerOptions(o, digester))
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	direct, err := client.New(cfg, client.Options{Scheme: mgr.GetScheme(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, fmt.Errorf("making a client without a cache: %w", err)
	}
	op := &Operator{Manager: mgr, direct: direct}
	if err := op.wire(o, digester); err != nil {
		return nil, err
	}
	if err := op.index(); err != nil {
		return nil, err
	}
	if err := op.observe(); err != nil {
		return nil, err
	}
	if err := op.runnables(); err != nil {
		return nil, err
	}
	if !o.WithoutControllers {
		if err := controllers.Setup(mgr, op.Services, controllers.Options{Concurrency: o.Concurrency}); err != nil {
			return nil, err
		}
	}
	if err := op.serve(o); err != nil {
		return nil, err
	}
	if err := metrics.Register(mgr.GetCache(), op.Services.Keyring); err != nil {
		return nil, err
	}
	if err := metrics.RegisterRoot(op.Unsealer.Reached); err != nil {
		return nil, err
	}
	return op, op.probes()
}

// observe has the informers tell of what credentials are made of, and of domain keys.
func (op *Operator) observe() error {
	identities := op.Services.IAM
	observed, err := identities.Cache.Observe(context.Background(), op.GetCache(), identities.Client)
	if err != nil {
		return err
	}
	identities.Client = observed
	return op.observeDomainKeys()
}

// observeDomainKeys has the unsealer told of domain keys that are made after this process has unsealed, by whichever manager.
func (op *Operator) observeDomainKeys() error {
	informer, err := op.GetCache().GetInformer(context.Background(), &v1alpha1.Envelope{}, cache.BlockUntilSynced(false))
	if err == nil {
		_, err = informer.AddEventHandler(toolscache.FilteringResourceEventHandler{
			FilterFunc: func(obj any) bool {
				e, ok := obj.(*v1alpha1.Envelope)
				return ok && e.Spec.Class == v1alpha1.EnvelopeDomainKey && e.Namespace == op.Services.Namespace
			},
			Handler: toolscache.ResourceEventHandlerFuncs{AddFunc: func(any) { op.Unsealer.Changed() }},
		})
	}
	if err != nil {
		return fmt.Errorf("watching the domain keys: %w", err)
	}
	return nil
}

// runnables adds what works in the background.
func (op *Operator) runnables() error {
	all := map[string]manager.Runnable{
		"unsealer": op.Unsealer, "cache of key material": op.Services.KMS.Materials,
		"connections to HSM nodes": op.Services.HSM, "cache of credentials": op.Services.IAM.Cache,
	}
	if local, ok := op.Services.HSMNodes.(*hsmnodes.Local); ok {
		all["HSM nodes of this machine"] = local
	}
	for name, runnable := range all {
		if err := op.Add(runnable); err != nil {
			return fmt.Errorf("adding the %s: %w", name, err)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Concurrency == 0 {
		o.Concurrency = 8
	}
	if o.GracefulShutdownTimeout == 0 {
		o.GracefulShutdownTimeout = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HSMCommand == nil {
		o.HSMCommand = func(arguments ...string) *exec.Cmd { return exec.Command(os.Args[0], arguments...) } //nolint:gosec // this program itself
	}
	if o.MetricsBindAddress == "" {
		o.MetricsBindAddress = "0"
	}
	if o.HealthProbeBindAddress == "" {
		o.HealthProbeBindAddress = "0"
	}
	return o
}

func managerOptions(o Options, digester *projection.Digester) ctrl.Options {
	serving := metricsserver.Options{BindAddress: o.MetricsBindAddress}
	if !o.MetricsInsecure {
		serving.SecureServing = true
		serving.FilterProvider = metrics.WithAccess
	}
	kept := cacheOptions(digester)
	return ctrl.Options{
		Scheme:                 Scheme(),
		Metrics:                serving,
		HealthProbeBindAddress: o.HealthProbeBindAddress,
		PprofBindAddress:       o.PprofBindAddress,
		LeaderElection:         o.LeaderElection,
		LeaderElectionID:       LeaseName, LeaderElectionNamespace: o.Namespace,
		// Safe because the process ends as soon as Start returns: nothing of a former leader goes on.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &o.GracefulShutdownTimeout,
		Cache:                         kept,
		NewCache:                      newStrictCache,
		NewClient:                     newFilteredClient(kept),
		Client: client.Options{Cache: &client.CacheOptions{
			// A pass sees the writes of the pass before it, so none works on an index that is behind.
			EnableReadYourWritesConsistency: ptr.To(true),
		}},
		Controller: config.Controller{
			// A hung request cannot hold a worker.
			ReconciliationTimeout: time.Minute,
			SkipNameValidation:    ptr.To(o.SkipControllerNames),
		},
	}
}

// cacheOptions limits what is watched, and what is kept of it.
func cacheOptions(digester *projection.Digester) cache.Options {
	managed, err := labels.NewRequirement(v1alpha1.ManagedLabel, selection.Exists, nil)
	utilruntime.Must(err)
	return cache.Options{
		ReaderFailOnMissingInformer: true, // an accidental read of another kind is an error, not a cluster-wide watch: strictCache
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {
				Label:     labels.NewSelector().Add(*managed),
				Transform: digester.Transform(),
			},
			&corev1.ConfigMap{}:     {Label: labels.NewSelector().Add(*managed)},
			&batchv1.Job{}:          {Label: labels.NewSelector().Add(*managed), Transform: slimJob},
			&corev1.Namespace{}:     {},
			&v1alpha1.Secret{}:      {Transform: slim},
			&v1alpha1.Parameter{}:   {Transform: slim},
			&v1alpha1.KMSGrant{}:    {},
			&v1alpha1.Keyring{}:     {},
			&v1alpha1.KMSKey{}:      {},
			&v1alpha1.HSMCluster{}:  {},
			&v1alpha1.Certificate{}: {}, &v1alpha1.CertificateAuthority{}: {},
			&v1alpha1.Envelope{}:      {Transform: slim},
			&v1alpha1.ParameterTree{}: {},
			&v1alpha1.IAMUser{}:       {}, &v1alpha1.IAMRole{}: {}, &v1alpha1.IAMGroup{}: {}, &v1alpha1.IAMPolicy{}: {},
		},
	}
}

func (op *Operator) wire(o Options, digester *projection.Digester) error {
	cached, live := op.GetClient(), op.GetAPIReader()
	holder := &keyring.Holder{}
	envelopes := &store.Store{Client: cached, Live: live}
	clusters := &cloudhsm.Clusters{
		Reader: cached, Live: live, Direct: op.direct, Namespace: o.Namespace, Now: o.Now, Interval: o.HSMCheckInterval,
	}
	root, err := rootOf(o, clusters)
	if err != nil {
		return err
	}
	keys := &kms.Service{
		KeyStores: clusters, Reader: cached, Client: cached, Live: live, Region: o.Region, Regions: o.regions(), Store: envelopes, Keyring: holder,
		Now: o.Now, Materials: keyring.NewMaterialCache(0, 0, nil), Policies: kms.NewPolicyCache(0), Usages: kms.NewUsages(o.Now()),
	}
	op.Unsealer = &unseal.Unsealer{
		Client: cached, Live: live, Namespace: o.Namespace, Provider: root, Holder: holder, Now: o.Now, Log: op.GetLogger().WithName("unseal"),
		GracePeriod: o.RootGracePeriod, Verify: o.RootVerifyInterval, Sealed: keys.Materials.Clear,
	}
	holder.RenewWith(op.Unsealer.Renew)
	identities := &serviceiam.Service{
		Client: cached, Live: live, Tokens: op.direct, SigningKeys: serviceiam.KeysOf(op.GetConfig()), Store: envelopes, Keyring: holder, Now: o.Now, Cache: serviceiam.NewCache(o.Now),
	}
	authorities := &acmpca.Service{
		Client: cached, Region: o.Region, KMS: keys, Store: envelopes, Keyring: holder, Now: o.Now,
	}
	nodes, err := op.hsmNodes(o)
	if err != nil {
		return err
	}
	op.Services = controllers.Services{
		Client: cached, Live: live, Namespace: o.Namespace, Region: o.Region, GatewayURL: o.gatewayURL(),
		Store: envelopes, Keyring: holder, KMS: keys, IAM: identities,
		Secrets:        &secretsmanager.Service{Client: cached, Region: o.Region, Regions: o.regions(), KMS: keys, Store: envelopes, Policies: kms.NewPolicyCache(0), Now: o.Now},
		Authorities:    authorities,
		Certificates:   &acm.Service{Client: cached, Region: o.Region, Authorities: authorities, KMS: keys, Store: envelopes, Now: o.Now},
		Parameters:     &parameterstore.Service{Client: cached, Region: o.Region, KMS: keys, Store: envelopes, Policies: kms.NewPolicyCache(0), Now: o.Now, ServerTime: op.serverTime(o), Tiers: &parameterstore.Tiers{}, Listings: &parameterstore.Listings{}, Counts: &parameterstore.Counts{}},
		Projector:      &projection.Projector{Client: cached, Live: live, Digester: digester, Keyring: holder, Reserved: reserved(o.Namespace), Budget: projection.NewBudget(o.Now)},
		HSM:            clusters,
		CloudHSM:       &cloudhsm.Service{Client: cached, Live: live, Namespace: o.Namespace, Region: o.Region, Quotas: o.CloudHSMQuotas},
		HSMNodes:       nodes,
		DomainKeys:     op.Unsealer,
		RootProtection: op.Unsealer.Protection, SQLServerRotation: o.SQLServerRotation,
		Now: o.Now,
	}
	return nil
}

func (op *Operator) serverTime(o Options) func(context.Context) (time.Time, error) {
	if o.ServerTime != nil {
		return o.ServerTime
	}
	return parameterstore.ServerTimeOf(op.direct)
}

// rootOf is where the root of trust is, nil for the unsealer's own default.
func rootOf(o Options, clusters *cloudhsm.Clusters) (unseal.Provider, error) {
	if o.Root == "" || o.Root == unseal.CoreSecretSyntax {
		return nil, nil //nolint:nilnil // the default is the unsealer's
	}
	name, err := cloudhsm.ParseRoot(o.Root)
	if err != nil {
		return nil, err
	}
	return &cloudhsm.RootProvider{Clusters: clusters, HSMCluster: name}, nil
}

// hsmNodes is where HSM nodes run.
func (op *Operator) hsmNodes(o Options) (hsmnodes.Host, error) {
	if len(o.HSMLibraries) == 0 {
		o.HSMLibraries = hsmnodes.DefaultLibraries
	}
	libraries, err := hsmnodes.ParseLibraries(o.HSMLibraries, o.Namespace)
	switch {
	case err != nil:
		return nil, err
	case o.HSMLocalDirectory != "":
		return &hsmnodes.Local{Directory: o.HSMLocalDirectory, Command: o.HSMCommand, Libraries: libraries}, nil
	case o.HSMImage != "":
		return &hsmnodes.Kubernetes{
			Client: op.direct, Live: op.GetAPIReader(), Namespace: o.Namespace, Image: o.HSMImage, StorageClass: o.HSMStorageClass, Libraries: libraries, Now: o.Now,
		}, nil
	}
	return nil, nil //nolint:nilnil // HSMClusters say what was not told
}

// index registers the cache's indexes before anything starts.
func (op *Operator) index() error {
	indexer := op.GetFieldIndexer()
	for _, ix := range controllers.Indexes() {
		for name, fn := range ix.Functions {
			if err := indexer.IndexField(context.Background(), ix.Object, name, fn); err != nil {
				return fmt.Errorf("indexing %T by %s: %w", ix.Object, name, err)
			}
		}
	}
	if err := indexer.IndexField(context.Background(), &corev1.Namespace{}, account.IDIndex, account.Index); err != nil {
		return fmt.Errorf("indexing namespaces: %w", err)
	}
	return nil
}

// probes: alive while the process answers; ready when the cache is filled and the keyring has the domain keys that are in use.
func (op *Operator) probes() error {
	if err := op.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if op.Gateway != nil {
		if err := op.AddReadyzCheck("gateway", op.Gateway.Ready); err != nil {
			return err
		}
	}
	return op.AddReadyzCheck("unsealed", func(r *http.Request) error { return op.Unsealer.Ready(r.Context(), op.Services.Store) })
}
