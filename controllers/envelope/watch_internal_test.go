package envelope

import (
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func secretOf(arn string, sequences ...int64) *v1alpha1.Secret {
	s := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}}
	s.Spec.Name = "prod/db"
	s.Spec.Deletion = &v1alpha1.SecretDeletion{RecoveryWindowInDays: 7}
	s.Status.ARN = arn
	for _, n := range sequences {
		s.Status.Versions = append(s.Status.Versions, v1alpha1.SecretVersion{VersionID: string(rune('a' + n)), Sequence: n})
	}
	return s
}

var db = Owner{kindSecret, "shop", "db"}

// drained takes all requests out of a queue.
func drained(q workqueue.TypedRateLimitingInterface[Owner]) (out []Owner) {
	for q.Len() > 0 {
		owner, _ := q.Get()
		out = append(out, owner)
		q.Done(owner)
	}
	return out
}

// Each look at an owner lists its Envelopes, so an update asks for one only if it can leave an Envelope unnamed.
func TestWhichUpdatesOfAnOwnerAreLookedAt(t *testing.T) {
	for name, tt := range map[string]struct {
		before, after *v1alpha1.Secret
		asks          bool
	}{
		"a resync":               {secretOf("arn", 1), secretOf("arn", 1), false},
		"a new version":          {secretOf("arn", 1), secretOf("arn", 1, 2), false},
		"a version let go":       {secretOf("arn", 1, 2), secretOf("arn", 2), true},
		"an index that was lost": {secretOf("arn", 1), secretOf("arn"), true},
		"a first ARN":            {secretOf(""), secretOf("arn", 1), true},
		"another ARN":            {secretOf("arn", 1), secretOf("other", 1), true},
	} {
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[Owner]())
		r := &Reconciler{Now: time.Now}
		r.ofOwner(kindSecret).Update(t.Context(), event.UpdateEvent{ObjectOld: tt.before, ObjectNew: tt.after}, q)
		var want []Owner
		if tt.asks {
			want = []Owner{db}
		}
		if got := drained(q); !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWhatADeletionShowedIsWhatTheTombstoneKeeps(t *testing.T) {
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[Owner]())
	r := &Reconciler{Now: time.Now}
	r.ofOwner(kindSecret).Delete(t.Context(), event.DeleteEvent{Object: secretOf("arn", 1, 2)}, q)
	if got := drained(q); !slices.Equal(got, []Owner{db}) {
		t.Fatalf("asked for %v", got)
	}
	group := []v1alpha1.Envelope{stored(1, 0), stored(2, 0), stored(3, 0)}
	for name, tt := range map[string]struct {
		owner   Owner
		subject string
		window  time.Duration
		index   int
		spec    bool
	}{
		"the one that was seen":               {db, "arn", 7 * 24 * time.Hour, 2, true},
		"another secret of the name":          {db, "other", maximumWindow, 3, false},
		"one of the name elsewhere":           {Owner{kindSecret, "other", "db"}, "arn", maximumWindow, 3, false},
		"one of the name and of another kind": {Owner{kindKMSKey, "shop", "db"}, "arn", maximumWindow, 3, false},
		"one that went while no manager ran":  {Owner{kindSecret, "shop", "web"}, "arn", maximumWindow, 3, false},
	} {
		last := r.lastState(tt.owner, tt.subject, group)
		if last.window != tt.window || len(last.tombstone.Index) != tt.index || (len(last.tombstone.Spec) > 0) != tt.spec {
			t.Errorf("%s: window %s, %d versions, spec %s", name, last.window, len(last.tombstone.Index), last.tombstone.Spec)
		}
	}
}

// An index that was lost when its object was deleted tells nothing: the Envelopes do.
func TestADeletionThatShowedNoIndexIsNotTrusted(t *testing.T) {
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[Owner]())
	r := &Reconciler{Now: time.Now}
	r.ofOwner(kindSecret).Delete(t.Context(), event.DeleteEvent{Object: secretOf("arn")}, q)
	old := tombstone(time.Hour)
	last := r.lastState(db, "arn", []v1alpha1.Envelope{stored(2, 0), old, stored(1, 0)})
	if last.window != maximumWindow || len(last.tombstone.Index) != 2 || last.tombstone.Index.Last() != 2 {
		t.Errorf("%+v", last)
	}
}

func TestAnEnvelopeAsksForItsOwner(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	live := secretOf("arn", 1, 3)
	live.Namespace, live.Name = "shop", "live"
	r := &Reconciler{Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(live).Build()}
	of := func(kind, name string, class v1alpha1.EnvelopeClass, changes ...func(*v1alpha1.Envelope)) client.Object {
		e := &v1alpha1.Envelope{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "any"},
			Spec:       v1alpha1.EnvelopeSpec{Class: class, Owner: v1alpha1.EnvelopeOwner{Kind: kind, Name: name}, Subject: "arn"},
		}
		for _, change := range changes {
			change(e)
		}
		return e
	}
	version := func(id string, sequence int64) func(*v1alpha1.Envelope) {
		return func(e *v1alpha1.Envelope) { e.Spec.Version, e.Spec.Sequence = id, sequence }
	}
	asked := []Owner{{"Secret", "shop", "live"}}
	for name, tt := range map[string]struct {
		object client.Object
		want   []Owner
	}{
		"a version":      {of("Secret", "db", v1alpha1.EnvelopeSecretVersion), []Owner{db}},
		"a tombstone":    {of("Secret", "db", v1alpha1.EnvelopeTombstone), []Owner{db}},
		"key material":   {of("KMSKey", "key", v1alpha1.EnvelopeKeyMaterial), []Owner{{"KMSKey", "shop", "key"}}},
		"a domain key":   {of("Keyring", "strongroom", v1alpha1.EnvelopeDomainKey), nil},
		"something else": {secretOf("arn"), nil},

		"one that its live owner names":         {of("Secret", "live", v1alpha1.EnvelopeSecretVersion, version(live.Status.Versions[0].VersionID, 1)), nil},
		"one in flight":                         {of("Secret", "live", v1alpha1.EnvelopeSecretVersion, version("next", 4)), nil},
		"one that its live owner does not name": {of("Secret", "live", v1alpha1.EnvelopeSecretVersion, version("stray", 2)), asked},
		"one of an earlier ARN of its owner's": {of("Secret", "live", v1alpha1.EnvelopeSecretVersion, version("next", 4),
			func(e *v1alpha1.Envelope) { e.Spec.Subject = "earlier" }), asked},
		"a tombstone of a live owner": {of("Secret", "live", v1alpha1.EnvelopeTombstone, version("tombstone", 3)), asked},
		"one that is being deleted": {of("Secret", "live", v1alpha1.EnvelopeSecretVersion, version("next", 4),
			func(e *v1alpha1.Envelope) { e.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }), asked},
	} {
		if got := r.ofEnvelope(t.Context(), tt.object); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestEnvelopesAreJudgedByTheirSubject(t *testing.T) {
	mine, other := stored(1, 0), stored(1, 0)
	other.Spec.Subject = "other"
	groups := bySubject([]v1alpha1.Envelope{mine, other, stored(2, 0)})
	if len(groups) != 2 || len(groups["arn"]) != 2 || len(groups["other"]) != 1 {
		t.Errorf("%v", groups)
	}
}
