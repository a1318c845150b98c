package cloudhsm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

const (
	// RecoveryWindow is how long the credentials and the tokens of a deleted cluster that had a domain key stay. It is the longest waiting period of a deleted KMSKey: none
	// that could be applied again outlives what it opens with.
	RecoveryWindow = 30 * 24 * time.Hour

	// retiredLabel is on the core Secret of a deleted cluster, and deleteAfterAnnotation says until when it stays. With erasingAnnotation there is no way back.
	retiredLabel          = v1alpha1.Group + "/hsmcluster-retired"
	deleteAfterAnnotation = v1alpha1.Group + "/delete-after"
	erasingAnnotation     = v1alpha1.Group + "/erasing"
)

var errErasing = errors.New("its tokens are being erased, since the recovery window of its deletion is over")

// Retired is a deleted cluster whose credentials are still there.
type Retired struct {
	// Name of the HSMCluster that there was.
	Name types.NamespacedName
	// DeleteAfter is the end of its recovery window.
	DeleteAfter time.Time
	// Erasing tells that its tokens may be gone already.
	Erasing bool

	secret *metav1.PartialObjectMetadata
}

// Retire says what is to become of a cluster's credentials when its HSMCluster goes: those of one that never had a domain key open nothing, and are to be erased at once together with
// the tokens. Others get a recovery window. There is nothing to erase if there are none, if they are another cluster's, or if they are the root's.
//
// Crash-safe: it is one optimistic write, and can be repeated.
func (c *Clusters) Retire(ctx context.Context, hc *v1alpha1.HSMCluster) (erase *Retired, err error) {
	secret, err := c.credentialsOf(ctx, client.ObjectKeyFromObject(hc))
	if err != nil || secret == nil {
		return nil, err
	}
	if len(hc.Status.DomainKeys) == 0 && secret.Annotations[domainKeysAnnotation] == "" {
		return &Retired{Name: client.ObjectKeyFromObject(hc), secret: secret}, nil
	}
	if _, marked := secret.Labels[retiredLabel]; marked {
		return nil, nil
	}
	return nil, c.change(ctx, secret, func(m *metav1.PartialObjectMetadata) {
		metav1.SetMetaDataLabel(&m.ObjectMeta, retiredLabel, "true")
		metav1.SetMetaDataAnnotation(&m.ObjectMeta, deleteAfterAnnotation, c.Now().Add(RecoveryWindow).UTC().Format(time.RFC3339))
	})
}

// credentialsOf reads the metadata of a cluster's credentials; nil if there is nothing that may be taken away.
func (c *Clusters) credentialsOf(ctx context.Context, name types.NamespacedName) (*metav1.PartialObjectMetadata, error) {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := c.Live.Get(ctx, types.NamespacedName{Namespace: c.Namespace, Name: CredentialsName(ClusterID(name.Namespace, name.Name))}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the credentials of HSMCluster %s: %w", name, err)
	}
	if secret.Annotations[ClusterAnnotation] != name.String() || slices.Contains(secret.Finalizers, v1alpha1.RootFinalizer) {
		return nil, nil
	}
	return secret, nil
}

func (c *Clusters) change(ctx context.Context, secret *metav1.PartialObjectMetadata, change func(*metav1.PartialObjectMetadata)) error {
	before := secret.DeepCopy()
	change(secret)
	if err := c.Direct.Patch(ctx, secret, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("marking core Secret %s: %w", secret.Name, err)
	}
	return nil
}

// revive takes the mark of a deletion away: the HSMCluster was applied again within its window.
func (c *Clusters) revive(ctx context.Context, name types.NamespacedName) error {
	secret, err := c.credentialsOf(ctx, name)
	if err != nil || secret == nil {
		return err
	}
	if secret.Annotations[erasingAnnotation] != "" {
		return fmt.Errorf("HSMCluster %s: %w; it is made anew when they are gone", name, errErasing)
	}
	return c.change(ctx, secret, func(m *metav1.PartialObjectMetadata) {
		delete(m.Labels, retiredLabel)
		delete(m.Annotations, deleteAfterAnnotation)
	})
}

// Retirees are the deleted clusters whose recovery window is over and that nobody applied again. It reads from the API server. Those of which that cannot be told are in the error, and keep no others from being found.
func (c *Clusters) Retirees(ctx context.Context) (out []Retired, err error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := c.Live.List(ctx, list, client.InNamespace(c.Namespace), client.HasLabels{retiredLabel}); err != nil {
		return nil, fmt.Errorf("listing the credentials of deleted HSMClusters: %w", err)
	}
	for i := range list.Items {
		r, over := retiredOf(&list.Items[i], c.Now())
		if !over {
			continue
		}
		keep, failed := c.inUse(ctx, r)
		if err = errors.Join(err, failed); failed == nil && !keep {
			out = append(out, r)
		}
	}
	return out, err
}

// retiredIn are the names of a namespace's deleted clusters whose credentials, in Strongroom's own namespace, are kept.
func retiredIn(ctx context.Context, live client.Reader, own, namespace string) (names []string, err error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := live.List(ctx, list, client.InNamespace(own), client.HasLabels{retiredLabel}); err != nil {
		return nil, fmt.Errorf("listing the credentials of deleted HSMClusters: %w", err)
	}
	for i := range list.Items {
		of, name, _ := strings.Cut(list.Items[i].Annotations[ClusterAnnotation], "/")
		if of == namespace && list.Items[i].Name == CredentialsName(ClusterID(of, name)) {
			names = append(names, name)
		}
	}
	return names, nil
}

// retiredOf reads the mark of a core Secret, and tells whether its window is over. One that is not as it was written is left alone.
func retiredOf(secret *metav1.PartialObjectMetadata, now time.Time) (Retired, bool) {
	namespace, name, _ := strings.Cut(secret.Annotations[ClusterAnnotation], "/")
	end, err := time.Parse(time.RFC3339, secret.Annotations[deleteAfterAnnotation])
	r := Retired{
		Name: types.NamespacedName{Namespace: namespace, Name: name}, DeleteAfter: end, Erasing: secret.Annotations[erasingAnnotation] != "", secret: secret,
	}
	own := secret.Name == CredentialsName(ClusterID(namespace, name)) && !slices.Contains(secret.Finalizers, v1alpha1.RootFinalizer)
	return r, err == nil && own && !now.Before(end)
}

// inUse tells whether an HSMCluster of the name is there, unless its tokens may be gone already, or a domain key of the keyring is wrapped by it.
func (c *Clusters) inUse(ctx context.Context, r Retired) (bool, error) {
	if r.Erasing {
		return false, nil
	}
	if wraps, err := c.Wraps(ctx, r.Name); err != nil || wraps {
		return true, err
	}
	err := c.Live.Get(ctx, r.Name, &v1alpha1.HSMCluster{})
	if err != nil && !apierrors.IsNotFound(err) {
		return true, fmt.Errorf("reading HSMCluster %s: %w", r.Name, err)
	}
	return err == nil, nil
}

// Erase takes a cluster's credentials away, after its tokens.
//
// Crash-safe: from the first write on there is no way back, so whoever comes next erases what is left, the core Secret last. It fails with a conflict, and erases nothing, if the HSMCluster was
// applied again meanwhile, whose first write is to the same core Secret.
func (c *Clusters) Erase(ctx context.Context, r *Retired, tokens func(context.Context) error) error {
	if !r.Erasing && !r.DeleteAfter.IsZero() {
		if err := c.change(ctx, r.secret, func(m *metav1.PartialObjectMetadata) {
			metav1.SetMetaDataAnnotation(&m.ObjectMeta, erasingAnnotation, "true")
		}); err != nil {
			return err
		}
	}
	if err := tokens(ctx); err != nil {
		return err
	}
	err := c.Direct.Delete(ctx, r.secret, client.Preconditions{UID: &r.secret.UID, ResourceVersion: &r.secret.ResourceVersion})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the credentials of HSMCluster %s: %w", r.Name, err)
	}
	return nil
}
