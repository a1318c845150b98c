// Package imports is how values are taken from core Secrets of others, whatever the kind that takes them: how they are read, how often
// one that is followed may make another version, and that nothing follows what is made of itself.
package imports

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
)

// FollowInterval is how often a followed source is read that is not labelled to be watched.
const FollowInterval = 5 * time.Minute

const (
	// A followed source that changes all the time, as in a circle by way of somebody else's controller, makes maximumImports
	// versions in importPeriod and no more.
	maximumImports = 5
	importPeriod   = time.Minute
)

var (
	errSourceNotFound = errors.New("the import source does not exist")
	errReserved       = errors.New("the import source is never to be had")
)

// Source is a core Secret that was read.
type Source struct {
	// Data has the keys that were asked for, in the clear. The reader wipes it.
	Data map[string][]byte
	// Labelled tells that its changes are watched.
	Labelled bool
}

// Wipe overwrites the data.
func (s Source) Wipe() {
	for _, v := range s.Data {
		clear(v)
	}
}

// Reader reads sources.
type Reader struct {
	// Live reads from the API server, since the cache has only labelled core Secrets, and no values.
	Live client.Reader
	// Reserved are never sources: those that are never targets.
	Reserved []projection.Reserved
}

// Read reads a core Secret by name. The fault says SourceNotFound if it is not there or lacks one of the keys; field is where the object names it.
//
// What Strongroom itself works with is read for nobody, be it there or not, and the fault says Conflict: whoever may write Parameters or Secrets in its own namespace
// would have the root of trust, and so all of every account. Nor is the core Secret of an IAMUser's access key: they would have the
// credentials of an administrator of the API, and a copy would outlive the key's own core Secret, which goes with it.
func (r Reader) Read(ctx context.Context, namespace, name, field string, keys ...string) (Source, error) {
	if what := projection.ReservedSecret(r.Reserved, namespace, name); what != "" {
		return Source{}, fault.Stalled(v1alpha1.ReasonConflict, fmt.Errorf("%w: core Secret %s is %s; name another in %s", errReserved, name, what, field))
	}
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return Source{}, fault.Waiting(v1alpha1.ReasonSourceNotFound,
			fmt.Errorf("%w: core Secret %s; create it, or name another in %s", errSourceNotFound, name, field))
	}
	if err != nil {
		return Source{}, fmt.Errorf("reading import source %s: %w", name, err)
	}
	if secret.Labels[v1alpha1.AccessKeyIDLabel] != "" {
		Source{Data: secret.Data}.Wipe()
		return Source{}, fault.Stalled(v1alpha1.ReasonConflict, fmt.Errorf("%w: core Secret %s is Strongroom's own: an IAMUser's access key is handed out in it; name another in %s, "+
			"and mount that core Secret itself", errReserved, name, field))
	}
	source := Source{Data: secret.Data, Labelled: secret.Labels[v1alpha1.ManagedLabel] == v1alpha1.ManagedSource}
	for _, key := range keys {
		if _, has := secret.Data[key]; !has {
			source.Wipe()
			return Source{}, fault.Waiting(v1alpha1.ReasonSourceNotFound, fmt.Errorf("%w: core Secret %s has no key %s", errSourceNotFound, name, key))
		}
	}
	return source, nil
}

// Hold is how long the next import of a followed source has to wait, 0 if it may be made now. The first versions of all are free. An
// index that keeps fewer than maximumImports, as that of a Certificate does, is held to the same rate over a part of the period.
func Hold(ix versions.Index, now time.Time) time.Duration {
	if ix.Last() < maximumImports {
		return 0
	}
	count := min(len(ix), maximumImports)
	return max(0, ix[len(ix)-count].Created.Add(importPeriod*time.Duration(count)/maximumImports).Sub(now))
}
