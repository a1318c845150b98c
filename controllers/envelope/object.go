package envelope

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/kmskey"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/acm"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

const (
	kindSecret = "Secret"
	kindKMSKey = "KMSKey"

	kindCertificate = "Certificate"
	kindAuthority   = "CertificateAuthority"
	kindParameter   = parameterstore.OwnerKind

	// secretsService is the service in the ARN of a secret, the only one that ends with what derives from a UID without being it.
	secretsService = "secretsmanager"
)

// object is what matters of an owner, whatever its kind.
type object struct {
	arn       string
	index     versions.Index
	window    time.Duration
	tombstone store.Tombstone
	// doubtful tells that nothing but status speaks for the ARN: see weigh.
	doubtful bool
	// uid is the object's, and born when one was created that was deleted.
	uid  types.UID
	born time.Time
	// forced tells that a deleted object is not to be had back, and late until when a version of its ARN that has no object goes
	// with it; late is zero before the first pass.
	forced bool
	late   time.Time
	// deleted is when its deletion was seen.
	deleted time.Time
}

// maximumWindow is the recovery window where the object's own is not known.
const maximumWindow = 30 * 24 * time.Hour

// lateWrites is how long after a deletion without a window its versions can still be stored: by a request that began before it. A
// minute is more than such a request has left. What a backup brings back in that time is told from it by its age.
const lateWrites = time.Minute

// ofKind is an empty object of an owner's kind, nil if that is none of ours.
func ofKind(kind string) client.Object {
	switch kind {
	case kindSecret:
		return &v1alpha1.Secret{}
	case kindKMSKey:
		return &v1alpha1.KMSKey{}
	case kindCertificate:
		return &v1alpha1.Certificate{}
	case kindAuthority:
		return &v1alpha1.CertificateAuthority{}
	case kindParameter:
		return &v1alpha1.Parameter{}
	}
	return nil
}

// mayTake tells whether an owner takes over what a subject left, or has: it is there, and is that subject, or has not said yet which it is, or says that it is another one and may be
// that subject all the same.
func (o *object) mayTake(subject string) bool {
	return o != nil && (o.arn == "" || o.arn == subject || o.doubtful || o.isMadeOf(subject))
}

// isMadeOf tells whether an ARN is made of the object's UID, so that it is the object's, whatever status says.
func (o *object) isMadeOf(subject string) bool {
	return o.uid != "" && (arn.IsMadeOf(subject, string(o.uid)) || arn.Service(subject) == secretsService && strings.HasSuffix(subject, "-"+arn.Suffix(string(o.uid))))
}

// weigh looks what speaks for the ARN in an owner's status, which is anybody's who may write that: it is made of the owner's UID, or there are versions under it. If nothing does, what
// there is under others may be the owner's own, and is not that of one that is gone. It is asked of all Envelopes of the owner.
func (o *object) weigh(envelopes []v1alpha1.Envelope) *object {
	if o == nil || o.arn == "" {
		return o
	}
	o.doubtful = !o.isMadeOf(o.arn) && !slices.ContainsFunc(envelopes, func(e v1alpha1.Envelope) bool {
		return e.Spec.Class != v1alpha1.EnvelopeTombstone && !isRecord(&e) && e.Spec.Subject == o.arn
	})
	return o
}

// now is the owner as the API server has it, weighed by its Envelopes.
func (r *Reconciler) now(ctx context.Context, owner Owner) (*object, error) {
	live, err := r.object(ctx, r.Store.Live, owner)
	if live == nil || err != nil {
		return nil, err
	}
	envelopes, err := r.left(ctx, owner)
	return live.weigh(envelopes), err
}

// object reads the owner, from the cache or the API server. It is nil if there is none, or it is gone.
func (r *Reconciler) object(ctx context.Context, from client.Reader, owner Owner, options ...client.GetOption) (*object, error) {
	obj := ofKind(owner.Kind)
	if obj == nil {
		return &object{}, nil // not an owner of ours to judge: nothing is decided
	}
	err := from.Get(ctx, client.ObjectKey{Namespace: owner.Namespace, Name: owner.Name}, obj, options...)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading %s %s: %w", owner.Kind, owner.Name, err)
	}
	if err != nil || store.Gone(obj) {
		return nil, nil
	}
	return identify(obj), nil
}

// identify takes an object of any kind, without its tombstone.
func identify(obj client.Object) *object {
	out := statusOf(obj)
	if out != nil {
		out.uid = obj.GetUID()
	}
	return out
}

func statusOf(obj client.Object) *object {
	switch o := obj.(type) {
	case *v1alpha1.Secret:
		return &object{arn: o.Status.ARN, index: secretsmanager.IndexOf(o), window: secretsmanager.RecoveryWindow(o)}
	case *v1alpha1.KMSKey:
		return &object{arn: o.Status.ARN, index: kmskey.IndexOf(o), window: kms.PendingWindow(o)}
	case *v1alpha1.Certificate:
		return &object{arn: o.Status.ARN, index: acm.IndexOf(o), window: acm.RecoveryWindow(o)}
	case *v1alpha1.CertificateAuthority:
		return &object{arn: o.Status.ARN, index: acmpca.IndexOf(o), window: acmpca.RecoveryWindow(o)}
	case *v1alpha1.Parameter:
		return &object{arn: o.Status.ARN, index: parameterstore.IndexOf(o), window: parameterstore.RecoveryWindow(o)}
	}
	return nil
}

// lastWords is identify with the tombstone that an object leaves.
func lastWords(obj client.Object) *object {
	last := identify(obj)
	last.born = obj.GetCreationTimestamp().Time
	switch o := obj.(type) {
	case *v1alpha1.Secret:
		last.tombstone = secretsmanager.TombstoneOf(o)
		last.forced = secretsmanager.IsForced(o)
	case *v1alpha1.Parameter:
		last.tombstone = parameterstore.TombstoneOf(o)
		last.forced = parameterstore.IsForced(o)
	case *v1alpha1.KMSKey:
		last.tombstone = store.Tombstone{Spec: store.SpecOf(o.Spec), Index: last.index, KeyID: o.Status.KeyID}
	case *v1alpha1.Certificate:
		last.tombstone = store.Tombstone{Spec: store.SpecOf(o.Spec), Index: last.index}
		last.forced = acm.IsForced(o)
	case *v1alpha1.CertificateAuthority:
		last.tombstone = store.Tombstone{Spec: store.SpecOf(o.Spec), Index: last.index}
	}
	return last
}

// seen is the last state of an owner whose deletion was seen, if it was of that subject or had not settled on one.
func (r *Reconciler) seen(owner Owner, subject string) *object {
	value, _ := r.deleted.Load(owner)
	if last, ok := value.(*object); ok && (last.arn == subject || last.arn == "") {
		return last
	}
	return nil
}

// lastState is what is known of a deleted object: the state that its deletion showed, if a manager saw it, or else what
// its Envelopes tell. One that took nothing over, such as a Parameter that was applied as one of another type, has changed nothing of what the
// tombstone of the one before it says, but that the window begins anew.
func (r *Reconciler) lastState(owner Owner, subject string, group []v1alpha1.Envelope) *object {
	if last := r.seen(owner, subject); last != nil && len(last.index) > 0 {
		return last
	}
	var all []versions.Version
	for i := range group {
		if e := &group[i]; e.Spec.Class != v1alpha1.EnvelopeTombstone && !isRecord(e) {
			all = append(all, store.Version(&group[i]))
		}
	}
	ix := versions.Rebuild(all)
	if former, ok := r.formerWords(group, ix.Last()); ok {
		return &object{arn: subject, window: maximumWindow, tombstone: former}
	}
	return &object{arn: subject, window: maximumWindow, tombstone: store.Tombstone{Index: ix}}
}

// formerWords are what the newest tombstone among Envelopes says, if it opens and no version is newer.
func (r *Reconciler) formerWords(group []v1alpha1.Envelope, newest int64) (store.Tombstone, bool) {
	var former *v1alpha1.Envelope
	for i := range group {
		e := &group[i]
		if e.Spec.Class == v1alpha1.EnvelopeTombstone && e.Spec.Sequence >= newest && (former == nil || e.Spec.Sequence > former.Spec.Sequence) {
			former = e
		}
	}
	if former == nil {
		return store.Tombstone{}, false
	}
	content, err := store.OpenTombstone(r.Keyring, former)
	return content, err == nil
}
