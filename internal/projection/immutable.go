package projection

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	// maximumRetained is the number of those that there may be before the next content waits, and that status names: of those that are in use.
	maximumRetained = 64
	// suffixLength is that of the part of a digest, in hexadecimal digits, which tells one content's name from another's.
	suffixLength = 10
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
	return t.Name + "-" + ring.Digest("immutable", []byte(digest), []byte(t.secretType()))[:suffixLength]
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
// retention and a look at who uses it. Until status names it as a former one, its retention has not begun. Workloads are switched before
// status knows the new one, and again by each pass until it does, which changes nothing twice.
func (p *Projector) succeed(ctx context.Context, s *Showing, shown *Shown) error {
	var contested error
	owned, err := p.owned(ctx, s)
	if err != nil {
		return err
	}
	former := dated(owned, s.Former, s.Target.Name, s.Now)
	changes := len(former) > 0 || !s.knows()
	if changes || s.switches() && p.looks.due(s.contender(), s.Now) {
		foreign, err := p.switchWorkloads(ctx, s, shown, former)
		if err != nil {
			return err
		}
		if changes { // whoever looks now and then says nothing that the next pass would not
			contested = foreign
		}
	}
	if former, err = p.sweep(ctx, s, former); err != nil {
		return err
	}
	shown.Retained = youngest(former)
	if shown.LookAgain = checkAgain(shown.Retained, s.Now); shown.LookAgain == 0 && s.switches() {
		shown.LookAgain = longestRetentionCheck
	}
	return contested
}

// switchWorkloads has those that name a former core Secret name the one that is there now. contested says whose the name without a suffix is, if it is somebody else's.
func (p *Projector) switchWorkloads(ctx context.Context, s *Showing, shown *Shown, former []Retained) (contested, err error) {
	base, contested, err := p.ownBase(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, r := range former {
		base = append(base, r.Name)
	}
	switched, err := p.switchReferences(ctx, s, base)
	if len(switched) > 0 {
		p.restarts.note(s.contender(), s.Target.Name, s.Now)
	}
	shown.Restarted = append(shown.Restarted, switched...)
	if err != nil {
		return nil, err
	}
	p.looks.note(s.contender(), s.Now)
	return contested, nil
}

// sweep removes former core Secrets whose retention is over and that nothing uses, and returns the others.
func (p *Projector) sweep(ctx context.Context, s *Showing, former []Retained) (left []Retained, err error) {
	due := func(r Retained) bool { return s.Now.Sub(r.Since) >= retention }
	var used map[string]bool
	if slices.ContainsFunc(former, due) {
		if used, err = p.used(ctx, s.Namespace); err != nil {
			return nil, err
		}
	}
	for _, r := range former {
		if !due(r) || used[r.Name] {
			left = append(left, r)
			continue
		}
		if err := p.Remove(ctx, s.Namespace, r.Name, s.Owner); err != nil {
			return nil, fmt.Errorf("removing core Secret %s, which nothing uses any more: %w", r.Name, err)
		}
	}
	return left, nil
}

// youngest are the former core Secrets that status names, in the order of their names: where there are more than it can have, those that another took the
// place of last, since the date of the others is to be known without it (see dated).
func youngest(former []Retained) []Retained {
	out := slices.Clone(former)
	slices.SortStableFunc(out, func(a, b Retained) int { return b.Since.Compare(a.Since) })
	out = out[:min(len(out), maximumRetained)]
	slices.SortFunc(out, func(a, b Retained) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// ownBase is the name that the user wrote, for which workloads are given the core Secret of today: empty if a core Secret of that name is somebody
// else's, which workloads that name it mean. The conflict says so.
func (p *Projector) ownBase(ctx context.Context, s *Showing) (base []string, contested, err error) {
	if s.base == "" || len(s.Restart) == 0 { // there is nobody to switch
		return nil, nil, nil
	}
	there, err := p.coreSecretNow(ctx, s.Namespace, s.base)
	if err != nil {
		return nil, nil, err
	}
	if there == nil {
		return []string{s.base}, nil, nil
	}
	controller := metav1.GetControllerOfNoCopy(there)
	if controller != nil && (controller.UID == s.Owner.UID || there.Annotations[v1alpha1.SubjectAnnotation] == s.Owner.ARN && isOwner(controller, s.Owner)) {
		return []string{s.base}, nil, nil
	}
	return nil, fault.Contested(v1alpha1.ReasonConflict, fmt.Errorf("%w: there is a core Secret %s/%s that is somebody else's, and workloads that name it keep it: "+
		"give the target another name, or delete that core Secret", errConflict, s.Namespace, s.base)), nil
}

// ownedSecret is a core Secret of the owner's, as it is there.
type ownedSecret struct {
	name    string
	created time.Time
}

// dated are those of an owner's core Secrets, oldest first, that are not the current one, and since when: by status, which knows the one before as the current one. One that
// status does not name, since it was lost or names as many as it can, became a former one when the next was made; if there is none, now.
func dated(owned []ownedSecret, former *Former, current string, now time.Time) (out []Retained) {
	for at, one := range owned {
		if one.name == current {
			continue
		}
		since := now
		known := -1
		if former != nil {
			known = slices.IndexFunc(former.Retained, func(r Retained) bool { return r.Name == one.name })
		}
		switch {
		case known >= 0:
			since = former.Retained[known].Since
		case former != nil && former.Name == one.name: // until now
		case at+1 < len(owned) && owned[at+1].created.Before(now):
			since = owned[at+1].created
		}
		out = append(out, Retained{Name: one.name, Since: since})
	}
	return out
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

// owned are the core Secrets that the owner controls, oldest first.
func (p *Projector) owned(ctx context.Context, s *Showing) ([]ownedSecret, error) {
	var list corev1.SecretList
	err := p.Client.List(ctx, &list, client.InNamespace(s.Namespace), client.MatchingLabels{v1alpha1.ManagedLabel: v1alpha1.ManagedProjection},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking for former core Secrets: %w", err)
	}
	var out []ownedSecret
	for i := range list.Items {
		one := &list.Items[i]
		if controller := metav1.GetControllerOfNoCopy(one); controller != nil && controller.UID == s.Owner.UID {
			out = append(out, ownedSecret{strings.Clone(one.Name), one.CreationTimestamp.Time})
		}
	}
	slices.SortFunc(out, func(a, b ownedSecret) int {
		return cmp.Or(a.created.Compare(b.created), strings.Compare(a.name, b.name))
	})
	return out, nil
}

// removeAll removes all core Secrets of the owner's, which wants none.
func (p *Projector) removeAll(ctx context.Context, s *Showing) error {
	owned, err := p.owned(ctx, s)
	if err != nil {
		return err
	}
	for _, one := range owned {
		if s.Target != nil && one.name == s.Target.Name {
			continue
		}
		if err := p.Remove(ctx, s.Namespace, one.name, s.Owner); err != nil {
			return fmt.Errorf("removing the former core Secret %s: %w", one.name, err)
		}
	}
	return nil
}
