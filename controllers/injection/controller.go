// Package injection keeps, in each namespace whose pods take on IAMRoles, the ConfigMap that such pods read: the gateway's
// authority, its address and region, and the namespace's account id. The admission policy in config/injection refers pods to it.
package injection

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
)

const (
	// fieldOwner of the ConfigMaps, except for the authority in Strongroom's own namespace, which is the gateway's.
	fieldOwner = "strongroom-injection"
	// patience is how long a namespace whose account id is another's waits for a look whether it still is.
	patience = time.Minute
)

// Reconciler reconciles namespaces.
type Reconciler struct {
	// Client reads from the cache, which must have Indexes and account.IDIndex, and writes.
	Client client.Client
	// Namespace is Strongroom's own, where the gateway publishes its authority.
	Namespace string
	// Region is the home region.
	Region string
	// EndpointURL is the gateway's address for pods.
	EndpointURL string
}

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=strongroom.dev,resources=iamroles,verbs=get;list;watch

// Reconcile makes one pass over a namespace. It makes one write at most, the whole of what is wanted, so whoever dies before it
// leaves the next pass the same to do. What pods no longer need stays: some may run, and nothing in it is secret.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	needed, err := r.needed(ctx, req.Name)
	if err != nil || !needed {
		return ctrl.Result{}, err
	}
	authority, err := r.authority(ctx)
	if err != nil || authority == "" {
		return ctrl.Result{}, err // the gateway's publishing it asks for another pass
	}
	id, err := r.account(ctx, req.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	result := ctrl.Result{}
	if id == "" {
		result.RequeueAfter = patience
	}
	return result, r.keep(ctx, req.Name, r.data(req.Name, authority, id))
}

// needed tells whether a namespace is there to stay and has service accounts that a role lists.
func (r *Reconciler) needed(ctx context.Context, name string) (bool, error) {
	var namespace corev1.Namespace
	if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, &namespace, client.UnsafeDisableDeepCopy); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	if !namespace.DeletionTimestamp.IsZero() {
		return false, nil
	}
	var roles v1alpha1.IAMRoleList
	err := r.Client.List(ctx, &roles, client.MatchingFields{NamespaceIndex: name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return false, fmt.Errorf("listing the IAMRoles of service accounts in namespace %s: %w", name, err)
	}
	return len(roles.Items) > 0, nil
}

var errNoAuthority = errors.New("it holds no certificate: the gateway publishes it again when it starts")

// authority is the gateway's, as it published it; empty if it has not yet. What is no certificate would leave the pods of all
// namespaces without the gateway, so it is not passed on.
func (r *Reconciler) authority(ctx context.Context) (string, error) {
	var published corev1.ConfigMap
	key := client.ObjectKey{Namespace: r.Namespace, Name: v1alpha1.GatewayConfigMap}
	if err := r.Client.Get(ctx, key, &published, client.UnsafeDisableDeepCopy); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	text := published.Data[v1alpha1.GatewayAuthorityKey]
	if text != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
		return "", fmt.Errorf("reading key %s of ConfigMap %s: %w", v1alpha1.GatewayAuthorityKey, key, errNoAuthority)
	}
	return text, nil
}

// account is a namespace's account id; empty if its label is none or an older namespace has the id. Then its roles are not in
// force either, and pods that take one wait for the key.
func (r *Reconciler) account(ctx context.Context, name string) (string, error) {
	id, err := account.Resolve(ctx, r.Client, name)
	if errors.Is(err, account.ErrInvalid) || errors.Is(err, account.ErrConflict) {
		ctrl.LoggerFrom(ctx).Info("Pods cannot take on roles of a namespace without an account", "reason", err.Error())
		return "", nil
	}
	return id, err
}

// data is what a namespace's ConfigMap must say.
func (r *Reconciler) data(namespace, authority, account string) map[string]string {
	data := map[string]string{v1alpha1.GatewayEndpointKey: r.EndpointURL, v1alpha1.GatewayRegionKey: r.Region}
	if namespace != r.Namespace {
		data[v1alpha1.GatewayAuthorityKey] = authority // in its own it is the gateway's to write: a copy may be an old one
	}
	if account != "" {
		data[v1alpha1.GatewayAccountKey] = account
	}
	return data
}

// keep applies the ConfigMap if it says anything else. What others added to it is left to them.
func (r *Reconciler) keep(ctx context.Context, namespace string, data map[string]string) error {
	var current corev1.ConfigMap
	key := client.ObjectKey{Namespace: namespace, Name: v1alpha1.GatewayConfigMap}
	if err := r.Client.Get(ctx, key, &current, client.UnsafeDisableDeepCopy); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading ConfigMap %s: %w", key, err)
	}
	if says(current.Data, data) {
		return nil
	}
	want := corev1ac.ConfigMap(v1alpha1.GatewayConfigMap, namespace).
		WithLabels(map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedGateway}).WithData(data)
	if err := r.Client.Apply(ctx, want, client.FieldOwner(fieldOwner), client.ForceOwnership); err != nil {
		return fmt.Errorf("applying ConfigMap %s: %w", key, err)
	}
	return nil
}

// says tells whether a ConfigMap's data is what it must be: each key that is wanted, and no account id that is not.
func says(current, want map[string]string) bool {
	if _, wanted := want[v1alpha1.GatewayAccountKey]; !wanted {
		if _, has := current[v1alpha1.GatewayAccountKey]; has {
			return false
		}
	}
	both := maps.Clone(current)
	maps.DeleteFunc(both, func(key, _ string) bool { _, wanted := want[key]; return !wanted })
	return maps.Equal(both, want)
}

// SetupWithManager registers the controller. The cache must have Indexes, and may have the labelled ConfigMaps alone.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("injection").
		For(&corev1.Namespace{}, relabelled).
		Watches(&v1alpha1.IAMRole{}, r.ofRole()).
		Watches(&corev1.ConfigMap{}, r.ofConfigMap()).
		WithOptions(options).
		Complete(r)
}
