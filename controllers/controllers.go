// Package controllers is the registry of Strongroom's controllers: what they need, what they index, and their list.
package controllers

import (
	"fmt"
	"maps"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"k8s.io/client-go/tools/events"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/certificate"
	"strongroom.dev/strongroom/controllers/certificateauthority"
	"strongroom.dev/strongroom/controllers/envelope"
	"strongroom.dev/strongroom/controllers/hsmcluster"
	"strongroom.dev/strongroom/controllers/iamgroup"
	"strongroom.dev/strongroom/controllers/iamobject"
	"strongroom.dev/strongroom/controllers/iampolicy"
	"strongroom.dev/strongroom/controllers/iamrole"
	"strongroom.dev/strongroom/controllers/iamuser"
	"strongroom.dev/strongroom/controllers/injection"
	keyringcontroller "strongroom.dev/strongroom/controllers/keyring"
	"strongroom.dev/strongroom/controllers/kmsgrant"
	"strongroom.dev/strongroom/controllers/kmskey"
	"strongroom.dev/strongroom/controllers/parameter"
	"strongroom.dev/strongroom/controllers/parametertree"
	"strongroom.dev/strongroom/controllers/secret"
	"strongroom.dev/strongroom/controllers/workqueue"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/acm"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/principals"
	"strongroom.dev/strongroom/internal/service/rotation"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

// reportingController is the name under which events are reported.
const reportingController = v1alpha1.Group + "/manager"

// Services are what controllers share.
type Services struct {
	// Client reads from the cache and writes. Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// Namespace is Strongroom's own.
	Namespace string
	// Region is the one that ARNs name.
	Region string
	// GatewayURL is the address of the gateway for pods; empty if there is no gateway.
	GatewayURL string
	Store      *store.Store
	Keyring    *keyring.Holder
	KMS        *kms.Service
	Secrets    *secretsmanager.Service
	// Certificates and Authorities issue.
	Certificates *acm.Service
	Authorities  *acmpca.Service
	Parameters   *parameterstore.Service
	IAM          *serviceiam.Service
	Projector    *projection.Projector
	// HSM is the connections to HSM nodes.
	HSM *cloudhsm.Clusters
	// CloudHSM is the use cases of clusters and of custom key stores.
	CloudHSM *cloudhsm.Service
	// HSMNodes is where they run, nil if the manager was not told.
	HSMNodes hsmnodes.Host
	// DomainKeys are the stored domain keys.
	DomainKeys keyringcontroller.DomainKeys
	// RootProtection says where the root of trust is.
	RootProtection func() (protected bool, message string)
	// SQLServerRotation lets Secrets rotate credentials of SQL Server, whose driver trusts the server with the process's memory.
	SQLServerRotation bool
	// Now is the clock.
	Now func() time.Time
}

// Options are the settings of all controllers.
type Options struct {
	// Concurrency is the number of objects of a kind that are reconciled at once. Of one namespace it is all but one of them, at most.
	Concurrency int
}

// Index is the cache indexes of one kind.
type Index struct {
	Object    client.Object
	Functions map[string]client.IndexerFunc
}

// Indexes lists the cache indexes that the controllers and services need.
func Indexes() []Index {
	return []Index{
		{&v1alpha1.Secret{}, secret.Indexes()},
		{&v1alpha1.Parameter{}, parameter.Indexes()},
		{&v1alpha1.ParameterTree{}, parametertree.Indexes()},
		{&v1alpha1.KMSGrant{}, kmsgrant.Indexes()},
		{&v1alpha1.KMSKey{}, kmskey.Indexes()},
		{&v1alpha1.Certificate{}, certificate.Indexes()},
		{&v1alpha1.CertificateAuthority{}, certificateauthority.Indexes()},
		{&v1alpha1.Envelope{}, map[string]client.IndexerFunc{
			store.OwnerIndex: store.IndexOwner, store.KeyIndex: store.IndexKey, kms.MaterialIndex: kms.IndexMaterial,
			secretsmanager.TombstoneIndex: secretsmanager.IndexTombstone,
			parameterstore.TombstoneIndex: parameterstore.IndexTombstone,
			acmpca.CertificateIndex:       acmpca.IndexCertificate,
			acmpca.RevocationIndex:        acmpca.IndexRevocation,
		}},
		{&v1alpha1.IAMGroup{}, iamIndexes()},
		{&v1alpha1.IAMPolicy{}, iamIndexes()},
		{&v1alpha1.IAMRole{}, iamIndexes(injection.Indexes(), map[string]client.IndexerFunc{principals.Index: principals.IndexValues})},
		{&v1alpha1.IAMUser{}, iamIndexes(map[string]client.IndexerFunc{
			serviceiam.AccessKeyIndex: serviceiam.IndexAccessKey, serviceiam.GroupIndex: serviceiam.IndexGroup,
		})},
	}
}

// iamIndexes are those that all of IAM's kinds have, and more.
func iamIndexes(more ...map[string]client.IndexerFunc) map[string]client.IndexerFunc {
	out := iamobject.Indexes()
	out[serviceiam.ARNIndex] = serviceiam.IndexARN
	for _, functions := range more {
		maps.Copy(out, functions)
	}
	return out
}

// NewSecret makes the reconciler of Secrets.
func NewSecret(s Services, recorder events.EventRecorder) *secret.Reconciler {
	return &secret.Reconciler{
		Client: s.Client, Live: s.Live, Region: s.Region, Secrets: s.Secrets, KMS: s.KMS, Parameters: s.Parameters, Store: s.Store,
		Rotations: &rotation.Service{Secrets: s.Secrets, Client: s.Client, Live: s.Live, Jobs: s.Client, SQLServer: s.SQLServerRotation}, Slots: fairshare.New(concurrentRotations, s.Now),
		Keyring: s.Keyring, Projector: s.Projector, Events: recorder, Now: s.Now,
	}
}

// concurrentRotations is how many rotations talk to servers at once. Each may wait for a server's timeout.
const concurrentRotations = 4

// NewParameter makes the reconciler of Parameters.
func NewParameter(s Services, recorder events.EventRecorder) *parameter.Reconciler {
	return &parameter.Reconciler{
		Client: s.Client, Live: s.Live, Parameters: s.Parameters, Keyring: s.Keyring, Projector: s.Projector, Events: recorder, Now: s.Now,
	}
}

// NewParameterTree makes the reconciler of ParameterTrees.
func NewParameterTree(s Services, recorder events.EventRecorder) *parametertree.Reconciler {
	return &parametertree.Reconciler{
		Client: s.Client, Parameters: s.Parameters, Keyring: s.Keyring, Projector: s.Projector, Events: recorder, Now: s.Now,
	}
}

// NewKMSKey makes the reconciler of KMSKeys.
func NewKMSKey(s Services, recorder events.EventRecorder) *kmskey.Reconciler {
	return &kmskey.Reconciler{
		Client: s.Client, Region: s.Region, KMS: s.KMS, Authorities: s.Authorities, Store: s.Store, Keyring: s.Keyring,
		RootProtection: s.RootProtection, Events: recorder, Now: s.Now,
	}
}

// NewKeyring makes the reconciler of the Keyring.
func NewKeyring(s Services, recorder events.EventRecorder) *keyringcontroller.Reconciler {
	return &keyringcontroller.Reconciler{
		Client: s.Client, Namespace: s.Namespace, Store: s.Store, Keyring: s.Keyring, DomainKeys: s.DomainKeys, Events: recorder, Now: s.Now,
	}
}

// NewKMSGrant makes the reconciler of KMSGrants.
func NewKMSGrant(s Services, recorder events.EventRecorder) *kmsgrant.Reconciler {
	return &kmsgrant.Reconciler{Client: s.Client, KMS: s.KMS, Events: recorder, Now: s.Now}
}

// NewHSMCluster makes the reconciler of HSMClusters.
func NewHSMCluster(s Services, recorder events.EventRecorder) *hsmcluster.Reconciler {
	return &hsmcluster.Reconciler{Client: s.Client, Live: s.Live, Clusters: s.HSM, Host: s.HSMNodes, Events: recorder, Now: s.Now}
}

// NewCertificate makes the reconciler of Certificates.
func NewCertificate(s Services, recorder events.EventRecorder) *certificate.Reconciler {
	return &certificate.Reconciler{
		Client: s.Client, Live: s.Live, Certificates: s.Certificates, Keyring: s.Keyring, Projector: s.Projector, Events: recorder, Now: s.Now,
	}
}

// NewCertificateAuthority makes the reconciler of CertificateAuthorities.
func NewCertificateAuthority(s Services, recorder events.EventRecorder) *certificateauthority.Reconciler {
	return &certificateauthority.Reconciler{
		Client: s.Client, Authorities: s.Authorities, Projector: s.Projector, Keyring: s.Keyring, Events: recorder, Now: s.Now,
	}
}

// NewEnvelope makes the reconciler of Envelopes.
func NewEnvelope(s Services) *envelope.Reconciler {
	return &envelope.Reconciler{Client: s.Client, Store: s.Store, Keyring: s.Keyring, Now: s.Now}
}

// NewIAMGroup makes the reconciler of IAMGroups.
func NewIAMGroup(s Services, recorder events.EventRecorder) *iamgroup.Reconciler {
	return &iamgroup.Reconciler{Client: s.Client, Events: recorder}
}

// NewIAMPolicy makes the reconciler of IAMPolicies.
func NewIAMPolicy(s Services, recorder events.EventRecorder) *iampolicy.Reconciler {
	return &iampolicy.Reconciler{Client: s.Client, Events: recorder, Now: s.Now}
}

// NewIAMRole makes the reconciler of IAMRoles.
func NewIAMRole(s Services, recorder events.EventRecorder) *iamrole.Reconciler {
	return &iamrole.Reconciler{Client: s.Client, Events: recorder}
}

// NewIAMUser makes the reconciler of IAMUsers.
func NewIAMUser(s Services, recorder events.EventRecorder) *iamuser.Reconciler {
	return &iamuser.Reconciler{
		Client: s.Client, Live: s.Live, Store: s.Store, IAM: s.IAM, Digester: s.Projector.Digester, Events: recorder, Now: s.Now,
	}
}

// NewInjection makes the reconciler of what pods read which take on roles.
func NewInjection(s Services) *injection.Reconciler {
	return &injection.Reconciler{Client: s.Client, Namespace: s.Namespace, Region: s.Region, EndpointURL: s.GatewayURL}
}

// Setup registers all controllers with a manager. Those of objects in namespaces take turns between these.
func Setup(mgr ctrl.Manager, s Services, o Options) error {
	recorder := mgr.GetEventRecorder(reportingController)
	queues, err := workqueue.NewMetrics(ctrlmetrics.Registry)
	if err != nil {
		return err
	}
	options := controller.Options{MaxConcurrentReconciles: o.Concurrency, NewQueue: workqueue.ByNamespace(o.Concurrency, queues)}
	all := []struct {
		kind  string
		setup func(ctrl.Manager, controller.Options) error
	}{
		{"KMSKey", NewKMSKey(s, recorder).SetupWithManager},
		{"Keyring", NewKeyring(s, recorder).SetupWithManager},
		{"KMSGrant", NewKMSGrant(s, recorder).SetupWithManager},
		{"Secret", NewSecret(s, recorder).SetupWithManager},
		{"Parameter", NewParameter(s, recorder).SetupWithManager},
		{"ParameterTree", NewParameterTree(s, recorder).SetupWithManager},
		{"CertificateAuthority", NewCertificateAuthority(s, recorder).SetupWithManager},
		{"Certificate", NewCertificate(s, recorder).SetupWithManager},
		{"HSMCluster", NewHSMCluster(s, recorder).SetupWithManager},
		{"IAMPolicy", NewIAMPolicy(s, recorder).SetupWithManager},
		{"IAMGroup", NewIAMGroup(s, recorder).SetupWithManager},
		{"IAMRole", NewIAMRole(s, recorder).SetupWithManager},
		{"IAMUser", NewIAMUser(s, recorder).SetupWithManager},
	}
	for _, c := range all {
		if err := c.setup(mgr, options); err != nil {
			return fmt.Errorf("setting up the %s controller: %w", c.kind, err)
		}
	}
	if s.GatewayURL != "" { // a whole namespace has one pass, so that no queue has two of it
		if err := NewInjection(s).SetupWithManager(mgr, controller.Options{MaxConcurrentReconciles: o.Concurrency}); err != nil {
			return fmt.Errorf("setting up the injection controller: %w", err)
		}
	}
	err = NewEnvelope(s).SetupWithManager(mgr, controller.TypedOptions[envelope.Owner]{
		MaxConcurrentReconciles: 1, NewQueue: workqueue.New(1, func(o envelope.Owner) string { return o.Namespace }, queues),
	})
	if err != nil {
		return fmt.Errorf("setting up the Envelope controller: %w", err)
	}
	return nil
}
