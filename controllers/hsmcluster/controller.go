// Package hsmcluster reconciles HSMClusters: it lets their nodes run, initialises tokens, brings the domain keys to all of them, and says
// how they are.
package hsmcluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/conditions"
	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

// Finalizer keeps a deleted HSMCluster until no KMSKey is in it.
const Finalizer = v1alpha1.Group + "/hsmcluster"

// resync is how often a cluster in which nothing happens is looked at whole. Health is looked at every few seconds besides.
const resync = 10 * time.Minute

// Reconciler reconciles HSMClusters.
type Reconciler struct {
	// Client reads from the cache and writes. Live reads core Secrets.
	Client client.Client
	Live   client.Reader
	// Clusters has credentials and connections.
	Clusters *cloudhsm.Clusters
	// Host is where nodes run, nil if the manager was not told.
	Host hsmnodes.Host
	// Events tells users what happened.
	Events events.EventRecorder
	// Now is the clock.
	Now func() time.Time

	// erasures is Sweep's alone.
	erasures erasures
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=hsmclusters,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=strongroom.dev,resources=hsmclusters/status,verbs=update

// pass is what one reconciliation knows.
type pass struct {
	cluster, before *v1alpha1.HSMCluster
	now             time.Time

	credentials *cloudhsm.Credentials
	// nodes that run, and the client that asks them.
	nodes  []hsmnodes.Node
	client *hsmclient.Cluster
	// health is nil before nodes were asked.
	health *hsmclient.Health
	// renewal is when the nodes' certificate must be renewed.
	renewal time.Time
	// notice is what people should know of the nodes and is no failure.
	notice string
	// refused tells that the operator does not let nodes run.
	refused bool
	// created tells that this pass made the first domain key.
	created bool
	// root tells that the cluster is, or may be, the keyring's root of trust, and wraps that it wraps a domain key of the keyring's.
	root, wraps bool
}

// Reconcile makes one pass over an HSMCluster. All that it writes to the object is the finalizer first and status at the end.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	hc := &v1alpha1.HSMCluster{}
	if err := r.Client.Get(ctx, req.NamespacedName, hc); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	p := &pass{cluster: hc, before: hc.DeepCopy(), now: r.Now()}
	if !hc.DeletionTimestamp.IsZero() {
		return r.delete(ctx, p)
	}
	if err := r.finalizer(ctx, p); err != nil {
		return outcome.Again(err)
	}
	defer p.wipe()
	err := fault.Join(r.run(ctx, p), p.selector())
	return r.summarise(ctx, p, err)
}

// selector says whether spec.allowedNamespaces is a label selector, which its schema does not. Until it is, nobody else is let in, and the nodes are
// looked after as often as ever. The fault says InvalidSelector.
func (p *pass) selector() error {
	if _, err := metav1.LabelSelectorAsSelector(p.cluster.Spec.AllowedNamespaces); err != nil {
		invalid := fault.Of(fault.Stalled(v1alpha1.ReasonInvalidSelector, fmt.Errorf("spec.allowedNamespaces: %w; its operators are In and NotIn, with values, "+
			"and Exists and DoesNotExist, without", err)))
		invalid.RetryAfter = min(invalid.RetryAfter, p.requeue())
		return invalid
	}
	return nil
}

func (p *pass) wipe() {
	if p.credentials != nil {
		p.credentials.Wipe()
	}
}

// finalizer puts the finalizer on before there is anything that it protects.
func (r *Reconciler) finalizer(ctx context.Context, p *pass) error {
	if controllerutil.ContainsFinalizer(p.cluster, Finalizer) {
		return nil
	}
	before := p.cluster.DeepCopy()
	controllerutil.AddFinalizer(p.cluster, Finalizer)
	if err := r.Client.Patch(ctx, p.cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("adding the finalizer: %w", err)
	}
	p.before = p.cluster.DeepCopy()
	return nil
}

// run is the order of steps. It does not begin as passes of other kinds do, by awaiting the keyring: the cluster may be what unseals that.
func (r *Reconciler) run(ctx context.Context, p *pass) error {
	if err := passes.Run(ctx, p, r.rootOfTrust, r.permit, r.identify, r.runNodes); err != nil || len(p.nodes) == 0 {
		return err
	}
	return passes.Run(ctx, p, r.initialise, r.health) // which ask nodes
}

// summarise puts what this pass came to into status and ends it.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	status := &p.cluster.Status
	status.LastHandledReconcileAt = conditions.Echo(p.cluster.Annotations[v1alpha1.ReconcileAnnotation])
	status.ObservedGeneration = p.cluster.Generation
	status.ClusterID = cloudhsm.ClusterID(p.cluster.Namespace, p.cluster.Name)
	status.Nodes = nodesOf(p)
	status.State = stateOf(status)
	if (p.cluster.Spec.Size == 0 || p.refused) && len(status.Nodes) == 0 {
		status.State = stateWithoutNodes(status)
	}
	available(p.cluster)
	sayRoot(p)
	return r.reporter().End(ctx, &outcome.Pass{
		Before: p.before, Object: p.cluster, Err: err, Requeue: p.requeue(),
		Message: served(len(status.Nodes), p.notice),
		Committed: func(context.Context) error {
			if p.created {
				r.Events.Eventf(p.cluster, nil, corev1.EventTypeNormal, v1alpha1.ReasonCreated, "Initialize", "%s has its domain key, made in node %s", status.ClusterID, p.nodes[0].Name)
			}
			if p.notice != "" && !strings.Contains(readyMessage(p.before), p.notice) {
				r.Events.Eventf(p.cluster, nil, corev1.EventTypeWarning, v1alpha1.ReasonStorageClassKept, "Apply", "%s: %s", status.ClusterID, p.notice)
			}
			if p.becameRoot() {
				r.Events.Eventf(p.cluster, nil, corev1.EventTypeNormal, v1alpha1.ConditionRootOfTrust, "Claim", "%s is the keyring's root of trust", status.ClusterID)
			}
			return nil
		},
	})
}

func (p *pass) requeue() time.Duration {
	if p.renewal.IsZero() {
		return resync
	}
	return max(min(resync, p.renewal.Sub(p.now)), time.Second)
}

func (r *Reconciler) reporter() outcome.Reporter {
	return outcome.Reporter{Client: r.Client, Events: r.Events, Now: r.Now}
}
