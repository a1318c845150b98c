package projection

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// An object that was deleted and applied again has another UID and an empty status, and its core Secrets went with the one before. Workloads still
// name one of those, which nothing but its name tells any more.

// maximumEarlier is how many such names are asked about in a pass: whoever writes workloads decides how many there are. Others are left as they are.
const maximumEarlier = 64

// hasImmutableForm tells whether a name is one that immutableName may have made of a base.
func hasImmutableForm(base, name string) bool {
	suffix, begins := strings.CutPrefix(name, base+"-")
	return begins && base != "" && len(suffix) == suffixLength && strings.Trim(suffix, "0123456789abcdef") == ""
}

// origins are the names that workloads are switched from, true, and those that were asked about and are left.
type origins struct {
	names map[string]bool
	asked int
}

func originsOf(s *Showing, others []string) *origins {
	out := &origins{names: map[string]bool{}}
	for _, name := range others {
		out.names[name] = true
	}
	out.names[s.Target.Name] = false
	return out
}

// addEarlier adds the names that a pod's spec has of core Secrets of an earlier incarnation. What has such a name and is somebody else's, or was orphaned on
// purpose, is left to those who name it. One that somebody makes between the look and the switch is not seen; the workload then has the owner's, which it was to have.
func (p *Projector) addEarlier(ctx context.Context, s *Showing, podSpec map[string]any, from *origins) error {
	var candidates []string
	renameReferences(podSpec, func(name string) string {
		if hasImmutableForm(s.base, name) {
			candidates = append(candidates, name)
		}
		return name
	})
	for _, name := range candidates {
		if _, known := from.names[name]; known || from.asked >= maximumEarlier {
			continue
		}
		there, err := p.coreSecretNow(ctx, s.Namespace, name)
		if err != nil {
			return err
		}
		from.names[name] = there == nil || isIncarnation(there, s.Owner)
		from.asked++
	}
	return nil
}

// isIncarnation tells whether a core Secret is controlled by an owner, or by an object of the same kind and name, which is no more: there is one at a time,
// and Kubernetes deletes what an earlier one controls.
func isIncarnation(there metav1.Object, owner Owner) bool {
	controller := metav1.GetControllerOfNoCopy(there)
	return controller != nil && (controller.UID == owner.UID || isOwner(controller, owner))
}

// coreSecretNow is the metadata of a core Secret as the API server has it, nil if there is none.
func (p *Projector) coreSecretNow(ctx context.Context, namespace, name string) (*metav1.PartialObjectMetadata, error) {
	there := &metav1.PartialObjectMetadata{}
	there.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := p.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, there)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading core Secret %s: %w", name, err)
	}
	return there, nil
}

// switches tells that there may be workloads to switch.
func (s *Showing) switches() bool { return s.Target.Immutable && len(s.Restart) > 0 }

// looks remember when workloads were looked at for each owner. A workload that names an earlier core Secret may come later than the one that it is to have: from a manifest that is applied again, for
// example. So each is looked at now and then, though nothing changes. It is lost with the process, and the first pass after that looks at nothing, so that a start costs no request for each object. Its zero
// value is ready.
type looks struct {
	mu    sync.Mutex
	of    map[contender]time.Time
	swept time.Time
}

// due tells that it is time to look. A clock that was set back begins anew.
func (l *looks) due(who contender, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, known := l.of[who]
	if known && !last.After(now) {
		return now.Sub(last) >= longestRetentionCheck
	}
	l.set(who, now)
	return false
}

// note remembers a look that has done all that was to do.
func (l *looks) note(who contender, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(who, now)
}

// set forgets those, too, that were not looked at for long: they are gone. It looks for them now and then.
func (l *looks) set(who contender, now time.Time) {
	if l.of == nil {
		l.of = map[contender]time.Time{}
	}
	if since := now.Sub(l.swept); since < 0 || since >= longestRetentionCheck {
		maps.DeleteFunc(l.of, func(_ contender, last time.Time) bool { return now.Sub(last) > 2*longestRetentionCheck })
		l.swept = now
	}
	l.of[who] = now
}
