package envelope

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/versions"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func stored(sequence int64, age time.Duration) v1alpha1.Envelope {
	return v1alpha1.Envelope{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("v%d", sequence), CreationTimestamp: metav1.NewTime(now.Add(-age))},
		Spec: v1alpha1.EnvelopeSpec{
			Class: v1alpha1.EnvelopeSecretVersion, Subject: "arn", Version: fmt.Sprintf("v%d", sequence), Sequence: sequence,
		},
	}
}

func tombstone(expiresIn time.Duration) v1alpha1.Envelope {
	expires := metav1.NewTime(now.Add(expiresIn))
	return v1alpha1.Envelope{
		ObjectMeta: metav1.ObjectMeta{Name: "tombstone"},
		Spec:       v1alpha1.EnvelopeSpec{Class: v1alpha1.EnvelopeTombstone, Subject: "arn", Version: "tombstone", ExpireTime: &expires},
	}
}

func owner(arn string, sequences ...int64) *object {
	o := &object{arn: arn}
	for _, n := range sequences {
		o.index = o.index.Add(versions.Version{ID: fmt.Sprintf("v%d", n), Sequence: n, Stages: []string{versions.Current}})
	}
	return o
}

func TestAnARNInStatusCountsWhereSomethingElseSpeaksForIt(t *testing.T) {
	const uid = "11111111-2222-3333-4444-555555555555"
	certificate, theirs := arn.Certificate("r", "1", uid), arn.Certificate("r", "1", "66666666-2222-3333-4444-555555555555")
	secret := arn.Secret("r", "1", "db", arn.Suffix(uid))
	version := func(subject string, class v1alpha1.EnvelopeClass) v1alpha1.Envelope {
		return v1alpha1.Envelope{Spec: v1alpha1.EnvelopeSpec{Class: class, Subject: subject}}
	}
	record := version(theirs, v1alpha1.EnvelopeIssuedCertificate)
	record.Spec.ExpireTime = &metav1.Time{Time: now}
	for name, tt := range map[string]struct {
		status, subject string
		envelopes       []v1alpha1.Envelope
		takes           bool
	}{
		"another's, and these are made of its UID":    {theirs, certificate, []v1alpha1.Envelope{version(theirs, v1alpha1.EnvelopePrivateKey)}, true},
		"a secret's, and these are made of its UID":   {"other", secret, []v1alpha1.Envelope{version("other", v1alpha1.EnvelopeSecretVersion)}, true},
		"one under which it has nothing":              {theirs, "these", []v1alpha1.Envelope{version("these", v1alpha1.EnvelopePrivateKey)}, true},
		"one under which it has a tombstone":          {theirs, "these", []v1alpha1.Envelope{version(theirs, v1alpha1.EnvelopeTombstone)}, true},
		"one under which there is a record":           {theirs, "these", []v1alpha1.Envelope{record}, true},
		"one under which it has versions":             {theirs, "these", []v1alpha1.Envelope{version(theirs, v1alpha1.EnvelopePrivateKey)}, false},
		"one that is made of its UID":                 {certificate, "these", nil, false},
		"a secret's that is made of its UID":          {secret, "these", nil, false},
		"a parameter's that ends as a secret's would": {arn.Parameter("r", "1", "db-"+arn.Suffix(uid)), "these", nil, true},
		"none":  {"", "these", nil, true},
		"these": {"these", "these", nil, true},
	} {
		o := (&object{arn: tt.status, uid: uid}).weigh(tt.envelopes)
		if got := o.mayTake(tt.subject); got != tt.takes {
			t.Errorf("%s: %t", name, got)
		}
		if d := decide(input{now: now, object: o, subject: tt.subject, envelopes: []v1alpha1.Envelope{stored(1, 0)}}); d.entomb == tt.takes {
			t.Errorf("%s: a tombstone %t", name, d.entomb)
		}
	}
	if (*object)(nil).weigh(nil).mayTake("these") {
		t.Error("one that is gone takes something over")
	}
}

func TestATombstoneOfAnEarlierDeletionMakesRoomForThisOnes(t *testing.T) {
	old, recent := tombstone(-time.Hour), tombstone(time.Hour)
	old.Spec.CreatedTime, recent.Spec.CreatedTime = metav1.NewTime(now.Add(-9*time.Hour)), metav1.NewTime(now.Add(-time.Hour))
	for name, tt := range map[string]struct {
		born      time.Time
		envelopes []v1alpha1.Envelope
		undone    int
		entomb    bool
		deleted   int
	}{
		"of before the object was created":     {now.Add(-2 * time.Hour), []v1alpha1.Envelope{old, stored(1, 0)}, 1, true, 0},
		"of the second of the object's making": {recent.Spec.CreatedTime.Time, []v1alpha1.Envelope{recent, stored(1, 0)}, 1, true, 0},
		"of its own deletion":                  {now.Add(-2 * time.Hour), []v1alpha1.Envelope{recent, stored(1, 0)}, 0, false, 0},
		"one of each":                          {now.Add(-2 * time.Hour), []v1alpha1.Envelope{old, recent, stored(1, 0)}, 0, false, 0},
		"where no deletion was seen":           {time.Time{}, []v1alpha1.Envelope{old, stored(1, 0)}, 0, false, 2},
		"of before, and nothing is left to it": {now.Add(-2 * time.Hour), []v1alpha1.Envelope{old}, 1, false, 0},
	} {
		d := decide(input{now: now, born: tt.born, subject: "arn", envelopes: tt.envelopes})
		if len(d.undone) != tt.undone || d.entomb != tt.entomb || len(d.delete) != tt.deleted {
			t.Errorf("a tombstone %s: %+v", name, d)
		}
	}
}

func TestWhatBecomesOfEnvelopes(t *testing.T) {
	tests := []struct {
		name      string
		object    *object
		envelopes []v1alpha1.Envelope
		keyInUse  bool
		entomb    bool
		deleted   []string
		wait      time.Duration
	}{
		{"those that the index names stay", owner("arn", 1, 2), []v1alpha1.Envelope{stored(1, time.Hour*9), stored(2, time.Hour*9)}, false, false, nil, 0},
		{"the next one is in flight and stays, however old", owner("arn", 1), []v1alpha1.Envelope{stored(1, 0), stored(2, time.Hour*9)}, false, false, nil, 0},
		{"an old one that the index does not name goes after an hour", owner("arn", 2), []v1alpha1.Envelope{stored(1, time.Hour), stored(2, 0)}, false, false, []string{"v1"}, 0},
		{"and is waited for until then", owner("arn", 2), []v1alpha1.Envelope{stored(1, 20*time.Minute), stored(2, 0)}, false, false, nil, 40 * time.Minute},
		{"an empty index names none and loses none", owner("arn"), []v1alpha1.Envelope{stored(1, time.Hour*9)}, false, false, nil, 0},
		{"an owner without an ARN loses none", owner(""), []v1alpha1.Envelope{stored(1, time.Hour*9), tombstone(-time.Hour)}, false, false, nil, 0},
		{"the tombstone of an object that is back goes", owner("arn", 1), []v1alpha1.Envelope{stored(1, 0), tombstone(time.Hour)}, false, false, []string{"tombstone"}, 0},
		{"those of an object that is gone get a tombstone", nil, []v1alpha1.Envelope{stored(1, 0)}, false, true, nil, 0},
		{"as do those of an object that is another secret now", owner("other", 1), []v1alpha1.Envelope{stored(1, 0)}, false, true, nil, 0},
		{"with a tombstone they wait", nil, []v1alpha1.Envelope{stored(1, 0), tombstone(time.Hour)}, false, false, nil, time.Hour},
		{"at its end they go, the tombstone last", nil, []v1alpha1.Envelope{tombstone(0), stored(1, 0), stored(2, 0)}, false, false, []string{"v1", "v2", "tombstone"}, 0},
		{"of two tombstones the later one counts", nil, []v1alpha1.Envelope{tombstone(-time.Hour), tombstone(time.Hour), stored(1, 0)}, false, false, nil, time.Hour},
		{"key material that is needed never goes", nil, []v1alpha1.Envelope{tombstone(-time.Hour), stored(1, 0)}, true, false, nil, time.Hour},
		{"a tombstone alone goes at its end", nil, []v1alpha1.Envelope{tombstone(-time.Hour)}, true, false, []string{"tombstone"}, 0},
		{"nothing wants nothing", nil, nil, false, false, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := decide(input{now: now, object: tt.object, subject: "arn", envelopes: tt.envelopes, keyInUse: tt.keyInUse})
			var deleted []string
			for _, e := range d.delete {
				deleted = append(deleted, e.Name)
			}
			if d.entomb != tt.entomb || !slices.Equal(deleted, tt.deleted) || d.wait != tt.wait {
				t.Errorf("entomb %t, delete %v, wait %s", d.entomb, deleted, d.wait)
			}
		})
	}
}

// A part that stays would come back as an older value: an erasure that has begun is gone on with, by whoever sees it.
func TestWhereOneIsCondemnedAllGoWhateverIsKnownOfTheOwner(t *testing.T) {
	fresh := func(n int64) v1alpha1.Envelope { // as a request stores it
		e := stored(n, time.Hour)
		e.Spec.CreatedTime = e.CreationTimestamp
		return e
	}
	marked := func(at string, change ...func(*v1alpha1.Envelope)) v1alpha1.Envelope {
		e := fresh(2)
		e.Annotations = map[string]string{v1alpha1.CondemnedAnnotation: at}
		for _, c := range change {
			c(&e)
		}
		return e
	}
	at := now.Format(time.RFC3339)
	backup := func(e *v1alpha1.Envelope) {
		e.CreationTimestamp = metav1.NewTime(now)
		e.Spec.CreatedTime = metav1.NewTime(now.Add(-48 * time.Hour))
	}
	for name, tt := range map[string]struct {
		in      input
		deleted []string
		entomb  bool
	}{
		"with no tombstone yet":                  {input{envelopes: []v1alpha1.Envelope{fresh(1), marked(at)}}, []string{"v1", "v2"}, false},
		"within the window of a tombstone":       {input{envelopes: []v1alpha1.Envelope{fresh(1), marked(at), tombstone(time.Hour)}}, []string{"v1", "v2", "tombstone"}, false},
		"by a mark that does not say when":       {input{envelopes: []v1alpha1.Envelope{fresh(1), marked("x")}, born: now}, []string{"v1", "v2"}, false},
		"but not by one that an object outlived": {input{envelopes: []v1alpha1.Envelope{fresh(1), marked(at)}, born: now.Add(time.Minute)}, nil, true},
		"but not by one that a backup held":      {input{envelopes: []v1alpha1.Envelope{fresh(1), marked(at, backup)}}, nil, true},
		"but not by one older than the tombstone": {input{envelopes: []v1alpha1.Envelope{fresh(1), marked(now.Add(-time.Hour).Format(time.RFC3339)), func() v1alpha1.Envelope {
			e := tombstone(time.Hour)
			e.Spec.CreatedTime = metav1.NewTime(now)
			return e
		}()}}, nil, false},
		"but not a key that something is under":   {input{envelopes: []v1alpha1.Envelope{fresh(1), marked(at)}, keyInUse: true}, nil, true},
		"but not what a backup brought meanwhile": {input{envelopes: []v1alpha1.Envelope{func() v1alpha1.Envelope { e := stored(1, 0); backup(&e); return e }(), marked(at)}}, []string{"v2"}, false},
	} {
		tt.in.now, tt.in.subject = now, "arn"
		d := decide(tt.in)
		var deleted []string
		for _, e := range d.delete {
			deleted = append(deleted, e.Name)
		}
		if !slices.Equal(deleted, tt.deleted) || d.entomb != tt.entomb {
			t.Errorf("%s: delete %v, entomb %t", name, deleted, d.entomb)
		}
	}
}

func TestAForgedTombstoneHoldsAndHidesNothing(t *testing.T) {
	with := func(uid string, e v1alpha1.Envelope, change ...func(*v1alpha1.Envelope)) v1alpha1.Envelope {
		e.UID = types.UID(uid)
		for _, c := range change {
			c(&e)
		}
		return e
	}
	forged, genuine := with("forged", tombstone(1000000*time.Hour)), with("genuine", tombstone(time.Hour))
	over := with("forged", tombstone(-time.Hour))
	late := with("forged", tombstone(time.Hour), func(e *v1alpha1.Envelope) { e.Spec.CreatedTime = metav1.NewTime(now.Add(time.Hour)) })
	marked := stored(2, 0)
	marked.Spec.CreatedTime = marked.CreationTimestamp
	marked.Annotations = map[string]string{v1alpha1.CondemnedAnnotation: now.Format(time.RFC3339)}
	for name, tt := range map[string]struct {
		envelopes    []v1alpha1.Envelope
		entomb       bool
		undone, gone int
		wait         time.Duration
	}{
		"alone it goes":                               {envelopes: []v1alpha1.Envelope{forged}, undone: 1},
		"beside what was deleted it makes room":       {envelopes: []v1alpha1.Envelope{forged, stored(1, 0)}, undone: 1, entomb: true},
		"one that is over ends no window":             {envelopes: []v1alpha1.Envelope{over, stored(1, 0)}, undone: 1, entomb: true},
		"beside a genuine one that counts":            {envelopes: []v1alpha1.Envelope{forged, genuine, stored(1, 0)}, undone: 1, wait: time.Hour},
		"it does not take back that all is condemned": {envelopes: []v1alpha1.Envelope{late, marked}, gone: 2},
	} {
		d := decide(input{now: now, subject: "arn", envelopes: tt.envelopes, forged: map[types.UID]bool{"forged": true}})
		if d.entomb != tt.entomb || len(d.undone) != tt.undone || len(d.delete) != tt.gone || d.wait != tt.wait {
			t.Errorf("%s: entomb %t, undone %d, delete %d, wait %s", name, d.entomb, len(d.undone), len(d.delete), d.wait)
		}
	}
}

func TestABackupThatIsRestoredRightAfterADeletionWithoutAWindowIsKept(t *testing.T) {
	for name, tt := range map[string]struct {
		made, age time.Duration // when the Envelope was made after the deletion, and how much older its version is
		kept      bool
	}{
		"what was deleted":                       {-time.Hour, 0, false},
		"what was deleted and a backup's itself": {-time.Hour, 24 * time.Hour, false},
		"what a request stores late":             {time.Second, 2 * time.Second, false},
		"what a slow request stores late":        {time.Second, restoredAge, false},
		"what a backup brings back":              {time.Second, restoredAge + time.Second, true},
	} {
		e := stored(1, -tt.made)
		e.Spec.CreatedTime = metav1.NewTime(e.CreationTimestamp.Add(-tt.age))
		d := decide(input{now: now.Add(2 * time.Second), deleted: now, forced: true, subject: "arn", envelopes: []v1alpha1.Envelope{e}})
		if d.entomb != tt.kept || len(d.delete) == 0 != tt.kept {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
