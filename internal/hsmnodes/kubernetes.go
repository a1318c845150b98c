package hsmnodes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	fieldOwner = client.FieldOwner("strongroom-hsmcluster")
	// reapply is how often what runs is written again although nothing changed, which undoes what others changed.
	reapply = 10 * time.Minute

	certificateKey, keyKey, authorityKey, pinKey, soPINKey = "tls.crt", "tls.key", "ca.crt", "pin", "so-pin"
)

// Kubernetes runs nodes as the pods of a StatefulSet in Strongroom's own namespace, whichever the HSMCluster's is: who may use a
// cluster can so neither read its PINs nor enter its pods.
type Kubernetes struct {
	// Client writes without a cache, and Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// Namespace is Strongroom's own.
	Namespace string
	// Image of the nodes.
	Image string
	// StorageClass of the volumes with tokens; the default class if it is empty. It counts for clusters that are made from then on.
	StorageClass string
	// Libraries of the image that nodes of other HSMs than SoftHSM may load, and for whom: see ParseLibraries.
	Libraries []Library
	// Now is the clock.
	Now func() time.Time

	mu      sync.Mutex
	applied map[string]applied
	notices map[string]string
}

var errOtherCluster = errors.New("the nodes of that id are another HSMCluster's")

type applied struct {
	digest string
	at     time.Time
}

var (
	_ Host    = (*Kubernetes)(nil)
	_ Noticer = (*Kubernetes)(nil)
)

// +kubebuilder:rbac:groups=apps,namespace=strongroom-system,resources=statefulsets,verbs=get;create;patch;delete
// +kubebuilder:rbac:groups="",namespace=strongroom-system,resources=services,verbs=create;patch;delete
// +kubebuilder:rbac:groups="",namespace=strongroom-system,resources=secrets,verbs=get;create;patch;delete
// +kubebuilder:rbac:groups="",namespace=strongroom-system,resources=persistentvolumeclaims,verbs=get;delete
// +kubebuilder:rbac:groups=policy,namespace=strongroom-system,resources=poddisruptionbudgets,verbs=create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,namespace=strongroom-system,resources=networkpolicies,verbs=create;patch;delete

// Module implements Host. The files of an image cannot be seen from here, so SoftHSM's paths alone are known to be one.
func (k *Kubernetes) Module(library string) string { return module(library, k.Libraries, areSoftHSM) }

// Names implements Host.
func (k *Kubernetes) Names(c Cluster) []string {
	return []string{fmt.Sprintf("*.%s.%s.svc", c.ID, k.Namespace)}
}

// Certificate implements Host.
func (k *Kubernetes) Certificate(ctx context.Context, c Cluster) (certificate, key []byte, err error) {
	var secret corev1.Secret
	err = k.Live.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: c.ID}, &secret)
	if err != nil {
		return nil, nil, client.IgnoreNotFound(err)
	}
	return secret.Data[certificateKey], secret.Data[keyKey], nil
}

// others tells whether the nodes of that id are another cluster's: tenants choose the names that an id is a hash of. The core Secret tells for all: it is
// written first and removed last.
func (k *Kubernetes) others(ctx context.Context, c Cluster) (bool, error) {
	var secret corev1.Secret
	if err := k.Live.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: c.ID}, &secret); err != nil {
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return false, fmt.Errorf("looking whose the nodes of %s are: %w", c.ID, err)
	}
	owner, said := secret.Annotations[ownerKey]
	return said && owner != c.Owner, nil // an earlier version did not say
}

// Apply implements Host. The core Secret comes first, since pods wait for it. Another cluster's nodes of the same id are left as they are.
func (k *Kubernetes) Apply(ctx context.Context, c Cluster, f *Files) ([]Node, error) {
	if err := checkLibrary(c, k.Libraries); err != nil {
		return nil, err
	}
	others, err := k.others(ctx, c)
	if err != nil {
		return nil, err
	}
	if others {
		return nil, fmt.Errorf("%w: %s is not of %s", errOtherCluster, c.ID, c.Owner)
	}
	secret := v1.Secret(c.ID, k.Namespace).WithLabels(labels(c)).WithAnnotations(map[string]string{ownerKey: c.Owner}).WithData(map[string][]byte{
		certificateKey: f.Certificate, keyKey: f.Key, authorityKey: f.Authority, pinKey: f.PIN.Reveal(), soPINKey: f.SOPIN.Reveal(),
	})
	set := k.statefulSet(c, f.SOPIN.Len() > 0)
	if err := k.keepClaims(ctx, c, set); err != nil {
		return nil, err
	}
	configurations := []runtime.ApplyConfiguration{secret}
	for _, obj := range []any{k.service(c), k.disruptionBudget(c), k.networkPolicy(c), set} {
		ac, err := unstructuredOf(obj)
		if err != nil {
			return nil, err
		}
		configurations = append(configurations, ac)
	}
	if err := k.applyAll(ctx, c, configurations); err != nil {
		return nil, err
	}
	var nodes []Node
	for number := range c.Size {
		pod := c.ID + "-" + strconv.Itoa(number)
		nodes = append(nodes, Node{Name: pod, Address: fmt.Sprintf("%s.%s.%s.svc:%d", pod, c.ID, k.Namespace, port)})
	}
	return nodes, nil
}

// keepClaims gives a StatefulSet the claims of the one that there is: Kubernetes does not let them change, and the volumes that there are would not change with them.
func (k *Kubernetes) keepClaims(ctx context.Context, c Cluster, set *appsv1.StatefulSet) error {
	there := &appsv1.StatefulSet{}
	err := k.Live.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: c.ID}, there)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading what the nodes of %s run as: %w", c.ID, err)
	}
	notice := ""
	if err == nil && len(there.Spec.VolumeClaimTemplates) > 0 {
		wanted, kept := storageClass(set), storageClass(there)
		ours, theirs := set.Spec.VolumeClaimTemplates[0], there.Spec.VolumeClaimTemplates[0]
		if wanted != kept || !maps.Equal(ours.Labels, theirs.Labels) || !equality.Semantic.DeepDerivative(ours.Spec, theirs.Spec) {
			set.Spec.VolumeClaimTemplates = there.Spec.VolumeClaimTemplates
		}
		if wanted != kept {
			notice = fmt.Sprintf("the volumes with its tokens keep %s, and --hsm-storage-class, which is %s, counts for HSMClusters that are made from then on", kept, wanted)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.notices == nil {
		k.notices = map[string]string{}
	}
	k.notices[c.ID] = notice
	return nil
}

// storageClass is that of a StatefulSet's volumes, for people.
func storageClass(set *appsv1.StatefulSet) string {
	if name := ptr.Deref(set.Spec.VolumeClaimTemplates[0].Spec.StorageClassName, ""); name != "" {
		return "storage class " + strconv.Quote(name)
	}
	return "the default storage class"
}

// Notice implements Noticer.
func (k *Kubernetes) Notice(c Cluster) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.notices[c.ID]
}

// applyAll writes all objects, unless they are as they were written last, not long ago.
func (k *Kubernetes) applyAll(ctx context.Context, c Cluster, configurations []runtime.ApplyConfiguration) error {
	hash := sha256.New()
	for _, ac := range configurations {
		if err := json.NewEncoder(hash).Encode(ac); err != nil {
			return fmt.Errorf("encoding what nodes run as: %w", err)
		}
	}
	now := applied{hex.EncodeToString(hash.Sum(nil)), k.Now()}
	k.mu.Lock()
	last := k.applied[c.ID]
	k.mu.Unlock()
	if age := now.at.Sub(last.at); last.digest == now.digest && age >= 0 && age < reapply {
		return nil
	}
	for _, ac := range configurations {
		if err := k.Client.Apply(ctx, ac, fieldOwner, client.ForceOwnership); err != nil {
			return fmt.Errorf("applying what the nodes of %s run as: %w", c.ID, err)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.applied == nil {
		k.applied = map[string]applied{}
	}
	k.applied[c.ID] = now
	return nil
}

// Erase implements Host: it deletes the claims of the volumes, if they are of this cluster. Kubernetes lets them go when the last pod has ended.
func (k *Kubernetes) Erase(ctx context.Context, c Cluster) error {
	for number := range maximumNodes {
		claim := &corev1.PersistentVolumeClaim{}
		err := k.Live.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: "data-" + c.ID + "-" + strconv.Itoa(number)}, claim)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err == nil && claim.Labels[clusterKey] == c.ID {
			err = client.IgnoreNotFound(k.Client.Delete(ctx, claim, client.Preconditions{UID: &claim.UID}))
		}
		if err != nil {
			return fmt.Errorf("erasing the tokens of %s: %w", c.ID, err)
		}
	}
	return nil
}

// Allows implements Host.
func (k *Kubernetes) Allows(c Cluster) error { return checkLibrary(c, k.Libraries) }

// Stop implements Host. What Remove deletes first and what it deletes last tell whether there is anything.
func (k *Kubernetes) Stop(ctx context.Context, c Cluster) error {
	for _, obj := range []client.Object{&appsv1.StatefulSet{}, &corev1.Secret{}} {
		err := k.Live.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: c.ID}, obj)
		if err == nil {
			return k.Remove(ctx, c)
		}
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("looking whether nodes of %s run: %w", c.ID, err)
		}
	}
	return nil
}

// Remove implements Host. The volumes stay, and so do the cluster's authority and PINs. A cluster whose id is another's has no nodes: nothing is removed.
func (k *Kubernetes) Remove(ctx context.Context, c Cluster) error {
	if others, err := k.others(ctx, c); err != nil || others {
		return err
	}
	k.mu.Lock()
	delete(k.applied, c.ID)
	delete(k.notices, c.ID)
	k.mu.Unlock()
	meta := metav1.ObjectMeta{Namespace: k.Namespace, Name: c.ID}
	for _, obj := range []client.Object{
		&appsv1.StatefulSet{ObjectMeta: meta}, &corev1.Service{ObjectMeta: meta}, &policyv1.PodDisruptionBudget{ObjectMeta: meta},
		&networkingv1.NetworkPolicy{ObjectMeta: meta}, &corev1.Secret{ObjectMeta: meta},
	} {
		if err := k.Client.Delete(ctx, obj); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting what the nodes of %s run as: %w", c.ID, err)
		}
	}
	return nil
}
