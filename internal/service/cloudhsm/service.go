package cloudhsm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

const (
	// KeyIndex is the cache index of KMSKeys by the HSMCluster that they are in, as NAMESPACE/NAME, in all namespaces.
	KeyIndex = "key-store"
	// MaximumHSMs of one cluster, by the schema's limit.
	MaximumHSMs = 10
	// RequestAnnotation keeps of a request to the CloudHSM API what has no meaning here, to be told back: see Request.
	RequestAnnotation = v1alpha1.Group + "/cloudhsm-request"

	// fieldOwner is kms.FieldOwner, of a package that imports this one.
	fieldOwner = client.FieldOwner("strongroom-gateway")
	// attempts of an optimistic write before its conflict is the answer.
	attempts = 16
)

var (
	// ErrGone says that the HSMCluster was deleted meanwhile.
	ErrGone = errors.New("the cluster was deleted meanwhile")
	// ErrRegion says that HSMClusters are in the operator's home region alone.
	ErrRegion = errors.New("clusters are in the home region alone")
	// ErrDeleting says that the cluster is being deleted.
	ErrDeleting = errors.New("the cluster is being deleted")
	// ErrTooManyHSMs says that the cluster has MaximumHSMs.
	ErrTooManyHSMs = errors.New("a cluster has at most 10 HSMs")
	// ErrClusterQuota says that an account has as many clusters as it may.
	ErrClusterQuota = errors.New("the account has as many clusters as it may")
	// ErrHSMQuota says that an account has as many HSMs in all its clusters as it may.
	ErrHSMQuota = errors.New("the account has as many HSMs in all its clusters as it may")
	// ErrHSMNotFound says that the cluster has no such HSM.
	ErrHSMNotFound = errors.New("the cluster has no such HSM")
	// ErrRoot says that the last HSM of the keyring's root of trust stays: without it, the next start of a manager is sealed.
	ErrRoot = errors.New("the cluster is the keyring's root of trust, and keeps one HSM")
	// ErrNotLast says that HSMs go in the reverse order of their numbers: the volume of the last is the one that the next gets.
	ErrNotLast = errors.New("HSMs are deleted in the reverse order of their creation")
	// ErrHasHSMs says that a cluster has HSMs, those that are still ending included.
	ErrHasHSMs = errors.New("the cluster has HSMs")
	// ErrHasKeys says that KMSKeys are in a cluster.
	ErrHasKeys = errors.New("KMS keys are in the cluster")

	errContended = errors.New("the HSMCluster is being changed by others all the time; try again")
)

// Service is the use cases of AWS CloudHSM over HSMClusters, and those of AWS KMS over the custom key stores that they are.
type Service struct {
	// Client reads from a cache with KeyIndex of KMSKeys, shows its own writes to its reads, and writes. Live reads from the API server.
	Client client.Client
	Live   client.Reader
	// Namespace is Strongroom's own.
	Namespace string
	// Region is the operator's own, which all HSMClusters are in.
	Region string
	// Quotas of each account; AWS's defaults where they are 0.
	Quotas Quotas

	// counting is held from when an account's clusters or HSMs are counted until there is one more.
	counting sync.Mutex
}

// Quotas are how much an account may have in a region. They hold who asks by the AWS API; those with manifests are held by a ResourceQuota, and what they made counts here.
// https://docs.aws.amazon.com/cloudhsm/latest/userguide/limits.html
type Quotas struct {
	// Clusters is AWS's 4 by default, those that were deleted and can be had back included, and HSMs, in all clusters together, 6.
	Clusters, HSMs int
}

// The quotas that an account of AWS begins with.
const (
	DefaultClusters = 4
	DefaultHSMs     = 6
)

// held is what a namespace has of its quotas.
type held struct {
	// clusters that are there, and deleted ones whose tokens are kept, since they can be had back.
	clusters, deleted int
	// hsms are those of all clusters but one.
	hsms int
}

// count reads what a namespace has, and HSMs in other clusters than one: from the API server, so that what another replica made counts. A cluster that was deleted and can be had back counts as one, as long as its
// volumes and its PINs are kept: who makes clusters and deletes them again would otherwise fill Strongroom's namespace. Its HSMs do not run, and do not count.
func (s *Service) count(ctx context.Context, namespace, except string) (held, error) {
	var list v1alpha1.HSMClusterList
	if err := s.Live.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return held{}, fmt.Errorf("counting HSMClusters: %w", err)
	}
	there, h := map[string]bool{}, held{clusters: len(list.Items)}
	for i := range list.Items {
		there[list.Items[i].Name] = true
		if list.Items[i].Name != except {
			h.hsms += int(list.Items[i].Spec.Size)
		}
	}
	retired, err := retiredIn(ctx, s.Live, s.Namespace, namespace) // after those that are there: one that goes meanwhile is in either
	for _, name := range retired {
		if !there[name] {
			h.deleted++
		}
	}
	return h, err
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=hsmclusters,verbs=create;delete

// Request is what a caller of the CloudHSM API asked for that nodes have no use for: where they run is Kubernetes's to say. Clients that compare what
// there is with what they asked for, as Terraform does, are told it back.
type Request struct {
	// HSMType is that of CreateCluster.
	HSMType string `json:"hsmType,omitempty"`
	// SubnetIDs are those of CreateCluster.
	SubnetIDs []string `json:"subnetIds,omitempty"`
	// AvailabilityZones are those of CreateHsm, by the number of the HSM.
	AvailabilityZones []string `json:"availabilityZones,omitempty"`
}

// RequestOf reads a cluster's annotation. One that cannot be read is none: anybody may have written it, and nothing depends on it.
func RequestOf(hc *v1alpha1.HSMCluster) Request {
	var r Request
	if err := json.Unmarshal([]byte(hc.Annotations[RequestAnnotation]), &r); err != nil {
		return Request{}
	}
	return r
}

func (r *Request) annotate(hc *v1alpha1.HSMCluster) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding the annotation %s: %w", RequestAnnotation, err)
	}
	metav1.SetMetaDataAnnotation(&hc.ObjectMeta, RequestAnnotation, string(text))
	return nil
}

// List lists the clusters of a namespace, which is an account, and region, from the cache alone. They are the cache's own: read them only.
func (s *Service) List(ctx context.Context, namespace, region string) ([]*v1alpha1.HSMCluster, error) {
	if region != s.Region {
		return nil, nil
	}
	return s.list(ctx, client.InNamespace(namespace))
}

func (s *Service) list(ctx context.Context, options ...client.ListOption) ([]*v1alpha1.HSMCluster, error) {
	var list v1alpha1.HSMClusterList
	if err := s.Client.List(ctx, &list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("listing HSMClusters: %w", err)
	}
	out := make([]*v1alpha1.HSMCluster, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, &list.Items[i])
	}
	return out, nil
}

// Find finds the cluster of a namespace and region by its id, and nil if there is none. It has its id before its controller has looked: that derives
// from its name. It is the cache's own: read it only.
func (s *Service) Find(ctx context.Context, namespace, region, id string) (*v1alpha1.HSMCluster, error) {
	all, err := s.List(ctx, namespace, region)
	if err != nil {
		return nil, err
	}
	for _, hc := range all {
		if ClusterID(hc.Namespace, hc.Name) == id {
			return hc, nil
		}
	}
	return nil, nil
}

// CreateInput is a cluster that a request makes.
type CreateInput struct {
	Namespace, Region string
	// Mode is FIPS if it is empty.
	Mode v1alpha1.HSMMode
	// Request is what is told back.
	Request
	// Tags of the cluster.
	Tags []v1alpha1.Tag
}

// Create makes a cluster of SoftHSM without HSMs: another PKCS#11 library needs a manifest. Its name is new, so that it takes no earlier cluster's tokens over.
// It wraps ErrRegion or ErrClusterQuota.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_CreateCluster.html
//
// Crash-safe: it is one write. As in AWS, who repeats it makes another cluster. Of requests to several replicas at once, one each may be over the quota.
func (s *Service) Create(ctx context.Context, in CreateInput) (*v1alpha1.HSMCluster, error) {
	if in.Region != s.Region {
		return nil, fmt.Errorf("%w, which is %s", ErrRegion, s.Region)
	}
	hc := &v1alpha1.HSMCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: in.Namespace, Name: "cloudhsm-" + string(uuid.NewUUID())},
		Spec:       v1alpha1.HSMClusterSpec{Mode: in.Mode, SoftHSM: &v1alpha1.SoftHSM{}, Tags: in.Tags},
	}
	if err := in.annotate(hc); err != nil {
		return nil, err
	}
	s.counting.Lock()
	defer s.counting.Unlock()
	h, err := s.count(ctx, in.Namespace, "")
	if err != nil {
		return nil, err
	}
	switch most := cmp.Or(s.Quotas.Clusters, DefaultClusters); {
	case h.clusters+h.deleted < most:
	case h.deleted > 0:
		return nil, fmt.Errorf("%w: %d, of which %d are deleted and can be had back until %d days after that", ErrClusterQuota, most, h.deleted, int(RecoveryWindow.Hours()/24))
	default:
		return nil, fmt.Errorf("%w: %d", ErrClusterQuota, most)
	}
	if err := s.Client.Create(ctx, hc, fieldOwner); err != nil {
		return nil, fmt.Errorf("creating HSMCluster %s: %w", hc.Name, err)
	}
	return hc, nil
}

// Delete deletes a cluster without HSMs that no KMSKey is in. It wraps ErrHasHSMs, ErrHasKeys or ErrGone. The volumes and the PINs stay, as docs/hsmcluster.md says.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_DeleteCluster.html
//
// Crash-safe: it is one write, of the object as it was looked at. A KMSKey that comes meanwhile holds the finalizer.
func (s *Service) Delete(ctx context.Context, hc *v1alpha1.HSMCluster) (*v1alpha1.HSMCluster, error) {
	for range attempts {
		if !hc.DeletionTimestamp.IsZero() {
			return hc, nil
		}
		if n := len(HSMs(hc)); n > 0 {
			return nil, fmt.Errorf("%w: %d", ErrHasHSMs, n)
		}
		keys, err := s.Keys(ctx, hc, "")
		if err != nil {
			return nil, err
		}
		if keys > 0 {
			return nil, fmt.Errorf("%w: %d", ErrHasKeys, keys)
		}
		err = s.Client.Delete(ctx, hc, client.Preconditions{UID: &hc.UID, ResourceVersion: &hc.ResourceVersion})
		switch {
		case err == nil:
			deleted := hc.DeepCopy()
			now := metav1.Now()
			deleted.DeletionTimestamp = &now
			return deleted, nil
		case apierrors.IsConflict(err):
			if hc, err = s.again(ctx, hc); err != nil {
				return nil, err
			}
		case apierrors.IsNotFound(err):
			return nil, ErrGone
		default:
			return nil, fmt.Errorf("deleting HSMCluster %s: %w", hc.Name, err)
		}
	}
	return nil, errContended
}

// Change changes a cluster for a caller of the AWS API. change gets a copy, and a later one if somebody else was faster; its error ends it, and is returned as
// it is. It wraps ErrGone or ErrDeleting.
//
// Crash-safe: it is one optimistic write, which is done or not.
func (s *Service) Change(ctx context.Context, hc *v1alpha1.HSMCluster, change func(*v1alpha1.HSMCluster) error) (*v1alpha1.HSMCluster, error) {
	before := hc.DeepCopy()
	for range attempts {
		if !before.DeletionTimestamp.IsZero() {
			return nil, ErrDeleting
		}
		after := before.DeepCopy()
		if err := change(after); err != nil {
			return nil, err
		}
		if equality.Semantic.DeepEqual(before, after) {
			return after, nil
		}
		err := s.Client.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), fieldOwner)
		switch {
		case err == nil:
			return after, nil
		case apierrors.IsConflict(err):
			if before, err = s.again(ctx, hc); err != nil {
				return nil, err
			}
		case apierrors.IsNotFound(err):
			return nil, ErrGone
		default:
			return nil, fmt.Errorf("changing HSMCluster %s: %w", hc.Name, err)
		}
	}
	return nil, errContended
}

// again reads a cluster that somebody else has changed.
func (s *Service) again(ctx context.Context, hc *v1alpha1.HSMCluster) (*v1alpha1.HSMCluster, error) {
	now := &v1alpha1.HSMCluster{}
	err := s.Live.Get(ctx, client.ObjectKeyFromObject(hc), now)
	switch {
	case apierrors.IsNotFound(err), err == nil && now.UID != hc.UID:
		return nil, ErrGone
	case err != nil:
		return nil, fmt.Errorf("reading HSMCluster %s: %w", hc.Name, err)
	}
	return now, nil
}
