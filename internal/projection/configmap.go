package projection

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;patch;delete

// The rules of who owns a target, what is in sync and what may be overwritten are those of core Secrets: a ConfigMap is looked at as
// if it was one. What is written is a ConfigMap.

// cached reads a target from the cache, with digests for values.
func (p *Projector) cached(ctx context.Context, t *Target) (*corev1.Secret, error) {
	view, err := read(ctx, p.Client, t)
	if err == nil && t.ConfigMap {
		for key, value := range view.Data {
			view.Data[key] = p.Digester.Digest(key, value)
		}
	}
	return view, err
}

// live reads a target from the API server.
func (p *Projector) live(ctx context.Context, t *Target) (*corev1.Secret, error) {
	return read(ctx, p.Live, t)
}

func read(ctx context.Context, from client.Reader, t *Target) (*corev1.Secret, error) {
	key := client.ObjectKey{Namespace: t.Namespace, Name: t.Name}
	if !t.ConfigMap {
		secret := &corev1.Secret{}
		return secret, from.Get(ctx, key, secret)
	}
	config := &corev1.ConfigMap{}
	err := from.Get(ctx, key, config)
	return viewOf(config), err
}

// viewOf is a ConfigMap as a core Secret. Keys of binary data are there too, since a key is in one of the two.
func viewOf(config *corev1.ConfigMap) *corev1.Secret {
	view := &corev1.Secret{ObjectMeta: config.ObjectMeta, Data: make(map[string][]byte, len(config.Data))}
	for key, value := range config.Data {
		view.Data[key] = []byte(value)
	}
	for key, value := range config.BinaryData {
		view.Data[key] = value
	}
	return view
}

// object is what is written for a core Secret: itself, or the ConfigMap in its place.
func (t *Target) object(secret *corev1.Secret) client.Object {
	if !t.ConfigMap {
		return secret
	}
	config := &corev1.ConfigMap{ObjectMeta: secret.ObjectMeta}
	if len(secret.Data) > 0 {
		config.Data = make(map[string]string, len(secret.Data))
	}
	for key, value := range secret.Data {
		config.Data[key] = string(value)
	}
	return config
}

func (t *Target) appliedConfigMap(existing *corev1.Secret) runtime.ApplyConfiguration {
	ac := corev1ac.ConfigMap(t.Name, t.Namespace).
		WithUID(existing.UID). // never makes another object than the one that was judged
		WithLabels(map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedProjection})
	for key, value := range t.Data {
		ac.WithData(map[string]string{key: string(value.Reveal())})
	}
	if t.policy() != v1alpha1.CreationPolicyMerge {
		ac.WithAnnotations(map[string]string{v1alpha1.SubjectAnnotation: t.Owner.ARN}).
			WithOwnerReferences(metav1ac.OwnerReference().
				WithAPIVersion(v1alpha1.SchemeGroupVersion.String()).WithKind(t.Owner.kind()).
				WithName(t.Owner.Name).WithUID(t.Owner.UID).WithController(true))
	}
	return ac
}

// what names a target for people.
func (t *Target) what() string {
	if t.ConfigMap {
		return "ConfigMap " + t.Name
	}
	return "core Secret " + t.Name
}

// RemoveConfigMap is Remove for a ConfigMap.
func (p *Projector) RemoveConfigMap(ctx context.Context, namespace, name string, keys []string, owner Owner) error {
	t := &Target{ConfigMap: true, Namespace: namespace, Name: name, Owner: owner, Policy: v1alpha1.CreationPolicyMerge, FormerKeys: keys}
	live, err := p.live(ctx, t)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if controller := metav1.GetControllerOf(live); controller != nil && controller.UID == owner.UID {
		err := p.Client.Delete(ctx, t.object(live), client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion})
		return client.IgnoreNotFound(err)
	}
	return p.takeOut(ctx, t, live) // merged into: the keys that this owner alone has written go
}
