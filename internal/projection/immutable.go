package projection

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
)

// Kubernetes lets nobody change the data of an immutable core Secret: another content is another object. To delete the old one and make the
// new one under its name would leave a gap in which no pod starts, and pods that run would keep the old one. So each content has a name of its
// own, and the former core Secrets stay until no pod names them.
// https://kubernetes.io/docs/concepts/configuration/secret/#secret-immutable

const (
	// retention is how long a core Secret stays at least after another has taken its place: somebody may be about to name it.
	retention = 10 * time.Minute
	// longestRetentionCheck is how often one that stays in use is looked for in the end.
	longestRetentionCheck = 6 * time.Hour
	// maximumRetained is the number of those that status names.
	maximumRetained = 64
)

// Retained is a core Secret that another has taken the place of.
type Retained struct {
	Name string
	// Since is when the other did.
	Since time.Time
}

// immutableName is the name of the core Secret for one content and type: the name that the owner gave it, and a part of a digest under the
// installation's own key, so that the name tells nothing of the content.
func immutableName(ring *keyring.Keyring, t *Target, digest string) string {
	return t.Name + "-" + ring.Digest("immutable", []byte(digest), []byte(t.secretType()))[:10]
}

func (t *Target) immutable() *bool {
	if !t.Immutable {
		return nil
	}
	yes := true
	return &yes
}

func isImmutable(s *corev1.Secret) bool { return s.Immutable != nil && *s.Immutable }

// isSuccession tells that there may be more core Secrets of the owner's than the one that status names.
func (f *Former) isSuccession() bool { return f != nil && (f.Immutable || len(f.Retained) > 0) }

// succeeds tells that what is shown takes the place of former core Secrets without a gap: it is immutable, or they were.
func (s *Showing) succeeds() bool {
	return s.Target != nil && !s.Target.ConfigMap && (s.Target.Immutable || s.Former.isSuccession())
}

// succeed has workloads use the core Secret that is there now, and removes former ones that nothing uses any more.
//
// Crash-safe: the new core Secret is written before; a former one is found by who controls it, not by status alone, and goes after its
// retention and a look at who uses it. Until status names it as a former one, its retention has not begun.
func (p *Projector) succeed(ctx context.Context, s *Showing, shown *Shown) error {
	var contested error
	others, err := p.others(ctx, s)
	if err != nil {
		return err
	}
	if len(others) > 0 || !s.knows() {
		base, foreign, err := p.ownBase(ctx, s)
		if err != nil {
			return err
		}
		contested = foreign
		switched, err := p.switchReferences(ctx, s, append(slices.Clone(others), base...))
		shown.Restarted = append(shown.Restarted, switched...)
		if err != nil {
			return err
		}
	}
	due := slices.DeleteFunc(slices.Clone(others), func(name string) bool { return s.Now.Sub(s.since(name)) < retention })
	var used map[string]bool
	if len(due) > 0 {
		if used, err = p.used(ctx, s.Namespace); err != nil {
			return err
		}
	}
	for _, name := range others {
		if slices.Contains(due, name) && !used[name] {
			if err := p.Remove(ctx, s.Namespace, name, s.Owner); err != nil {
				return fmt.Errorf("removing core Secret %s, which nothing uses any more: %w", name, err)
			}
			continue
		}
		shown.Retained = append(shown.Retained, Retained{Name: name, Since: s.since(name)})
	}
	shown.Retained = shown.Retained[:min(len(shown.Retained), maximumRetained)]
	shown.LookAgain = checkAgain(shown.Retained, s.Now)
	return contested
}

// ownBase is the name that the user wrote, for which workloads are given the core Secret of today: empty if a core Secret of that name is somebody
// else's, which workloads that name it mean. The conflict says so.
func (p *Projector) ownBase(ctx context.Context, s *Showing) (base []string, contested, err error) {
	if s.base == "" || len(s.Restart) == 0 { // there is nobody to switch
		return nil, nil, nil
	}
	there := &metav1.PartialObjectMetadata{}
	there.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err = p.Live.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: s.base}, there)
	if apierrors.IsNotFound(err) {
		return []string{s.base}, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading core Secret %s: %w", s.base, err)
	}
	controller := metav1.GetControllerOfNoCopy(there)
	if controller != nil && (controller.UID == s.Owner.UID || there.Annotations[v1alpha1.SubjectAnnotation] == s.Owner.ARN && isOwner(controller, s.Owner)) {
		return []string{s.base}, nil, nil
	}
	return nil, fault.Contested(v1alpha1.ReasonConflict, fmt.Errorf("%w: there is a core Secret %s/%s that is somebody else's, and workloads that name it keep it: "+
		"give the target another name, or delete that core Secret", errConflict, s.Namespace, s.base)), nil
}

// since is when a former core Secret became one: now, if status does not know it yet.
func (s *Showing) since(name string) time.Time {
	if s.Former != nil {
		for _, r := range s.Former.Retained {
			if r.Name == name {
				return r.Since
			}
		}
	}
	return s.Now
}

// checkAgain is when to look at former core Secrets again: when the retention of the youngest is over, and then ever more rarely.
func checkAgain(retained []Retained, now time.Time) time.Duration {
	if len(retained) == 0 {
		return 0
	}
	youngest := retained[0].Since
	for _, r := range retained {
		if r.Since.After(youngest) {
			youngest = r.Since
		}
	}
	age := max(now.Sub(youngest), 0)
	if age < retention {
		return retention - age + time.Second
	}
	return min(age, longestRetentionCheck)
}

// others are the core Secrets that the owner controls besides the one that is shown, in the order of their names.
func (p *Projector) others(ctx context.Context, s *Showing) ([]string, error) {
	var list corev1.SecretList
	err := p.Client.List(ctx, &list, client.InNamespace(s.Namespace), client.MatchingLabels{v1alpha1.ManagedLabel: v1alpha1.ManagedProjection},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking for former core Secrets: %w", err)
	}
	var out []string
	for i := range list.Items {
		one := &list.Items[i]
		controller := metav1.GetControllerOfNoCopy(one)
		if controller != nil && controller.UID == s.Owner.UID && (s.Target == nil || one.Name != s.Target.Name) {
			out = append(out, strings.Clone(one.Name))
		}
	}
	slices.Sort(out)
	return out, nil
}

// removeAll removes all core Secrets of the owner's, which wants none.
func (p *Projector) removeAll(ctx context.Context, s *Showing) error {
	others, err := p.others(ctx, s)
	if err != nil {
		return err
	}
	for _, name := range others {
		if err := p.Remove(ctx, s.Namespace, name, s.Owner); err != nil {
			return fmt.Errorf("removing the former core Secret %s: %w", name, err)
		}
	}
	return nil
}
