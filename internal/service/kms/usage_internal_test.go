package kms

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func notedAt(at time.Time) *v1alpha1.KeyLastUsage {
	return &v1alpha1.KeyLastUsage{Operation: "Encrypt", Time: metav1.NewTime(at)}
}

func TestAUseIsWrittenIfItIsMuchLaterThanTheNotedOneOrTheLastThingThatAProcessKnows(t *testing.T) {
	for name, tt := range map[string]struct {
		noted *v1alpha1.KeyLastUsage
		use   time.Time
		ends  bool
		want  bool
	}{
		"the first":            {nil, noon, false, true},
		"the first at the end": {nil, noon, true, true},
		"one that another replica has noted just now": {notedAt(noon), noon.Add(29 * time.Minute), false, false},
		"one after half of the interval":              {notedAt(noon), noon.Add(30 * time.Minute), false, true},
		"one at the end that is a second later":       {notedAt(noon), noon.Add(time.Second), true, true},
		"one at the end of the same second":           {notedAt(noon), noon.Add(999 * time.Millisecond), true, false},
		"one that is earlier":                         {notedAt(noon), noon.Add(-time.Hour), false, false},
		"one at the end that is earlier":              {notedAt(noon), noon.Add(-time.Hour), true, false},
	} {
		if got := worthNoting(tt.noted, tt.use, tt.ends); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The three cases are those of AWS's documentation.
func TestTheDaysWithoutAUseAreWholeOnesSinceTheLastUseOrSinceUsesAreNoted(t *testing.T) {
	const day = 24 * time.Hour
	key := func(made, tracked time.Time, last *v1alpha1.KeyLastUsage) *v1alpha1.KMSKey {
		k := keyOf("1")
		k.CreationTimestamp, k.Status.LastUsage = metav1.NewTime(made), last
		if !tracked.IsZero() {
			k.Status.UsageTrackedSince = new(metav1.NewTime(tracked))
		}
		return k
	}
	for name, tt := range map[string]struct {
		key  *v1alpha1.KMSKey
		want int
	}{
		"used now":                         {key(noon.Add(-99*day), noon.Add(-99*day), notedAt(noon)), 0},
		"used almost a day ago":            {key(noon.Add(-99*day), noon.Add(-99*day), notedAt(noon.Add(time.Second-day))), 0},
		"used 29.9 days ago":               {key(noon.Add(-99*day), noon.Add(-99*day), notedAt(noon.Add(-30*day+2*time.Hour))), 29},
		"used 30 days ago":                 {key(noon.Add(-99*day), noon.Add(-99*day), notedAt(noon.Add(-30*day))), 30},
		"never, made while uses are noted": {key(noon.Add(-5*day), noon.Add(-99*day), nil), 5},
		"never, made before uses were":     {key(noon.Add(-99*day), noon.Add(-18*day), nil), 18},
		"never, and nobody has looked":     {key(noon.Add(-7*day), time.Time{}, nil), 7},
		"never, made by a clock ahead":     {key(noon.Add(time.Hour), time.Time{}, nil), 0},
	} {
		s := &Service{Now: func() time.Time { return noon }}
		if got := s.UnusedDays(tt.key); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
	s := &Service{Now: func() time.Time { return noon }, Usages: NewUsages(noon.Add(-50 * day))}
	old := key(noon.Add(-99*day), time.Time{}, nil)
	if got := s.UnusedDays(old); got != 50 {
		t.Errorf("a key that is older than this process: %d", got)
	}
	s.Used(old, Usage{Operation: keys.Encrypt, Time: noon.Add(-2 * day)})
	if got := s.UnusedDays(old); got != 2 {
		t.Errorf("a use that is not written yet: %d", got)
	}
}

func keyOf(uid string) *v1alpha1.KMSKey {
	return &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "k", UID: types.UID(uid)}}
}

func TestTheLatestUseOfAKeyIsKeptWhateverTheirOrder(t *testing.T) {
	u := NewUsages(noon)
	for _, minutes := range []int{1, 3, 2} {
		u.note(keyOf("a"), Usage{Operation: keys.Decrypt, Time: noon.Add(time.Duration(minutes) * time.Minute), EventID: fmt.Sprint(minutes)})
	}
	u.note(keyOf("b"), Usage{Operation: keys.Sign, Time: noon})
	if got, ok := u.of(keyOf("a")); !ok || got.EventID != "3" {
		t.Errorf("%+v, %v", got, ok)
	}
	if got, ok := u.of(keyOf("b")); !ok || got.Operation != keys.Sign {
		t.Errorf("%+v, %v", got, ok)
	}
	if _, ok := u.of(keyOf("c")); ok {
		t.Error("a key that was not used")
	}
}

func TestAUseWhileOneIsWrittenIsNotForgotten(t *testing.T) {
	u := NewUsages(noon)
	u.note(keyOf("a"), Usage{Time: noon})
	written := u.all()["a"]
	u.note(keyOf("a"), Usage{Time: noon.Add(time.Minute)})
	u.forget("a", written)
	if got, ok := u.of(keyOf("a")); !ok || !got.Time.Equal(noon.Add(time.Minute)) {
		t.Errorf("%+v, %v", got, ok)
	}
	u.forget("a", u.all()["a"])
	if _, ok := u.of(keyOf("a")); ok {
		t.Error("what is written is kept")
	}
}

func TestUsesAreNotedByManyAtOnce(t *testing.T) {
	u := NewUsages(noon)
	var wait sync.WaitGroup
	for n := range 8 {
		wait.Go(func() {
			for m := range 200 {
				u.note(keyOf(fmt.Sprint(m%10)), Usage{Time: noon.Add(time.Duration(n*200+m) * time.Second)})
				u.all()
			}
		})
	}
	wait.Wait()
	if len(u.all()) != 10 {
		t.Errorf("%d keys", len(u.all()))
	}
	if got, _ := u.of(keyOf("9")); !got.Time.Equal(noon.Add(1599 * time.Second)) {
		t.Errorf("the last was at %s", got.Time)
	}
}

func TestAServiceWithoutUsagesNotesNothing(t *testing.T) {
	s := &Service{Now: func() time.Time { return noon }}
	s.Used(keyOf("a"), Usage{Time: noon})
	if last, _ := s.LastUsage(keyOf("a")); last != nil {
		t.Errorf("%+v", last)
	}
	if err := s.WriteUsages(t.Context(), true); err != nil {
		t.Error(err)
	}
}

func TestTheLastUseIsTheLaterOfWhatIsNotedAndWhatIsSeenAndTrackingBeginsWithTheKeyAtTheEarliest(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	for name, tt := range map[string]struct {
		noted, seen, tracked, made *int
		last, since                int
	}{
		"never":                              {nil, nil, nil, new(0), -1, 0},
		"noted":                              {new(5), nil, new(1), new(1), 5, 1},
		"seen":                               {nil, new(6), nil, new(-100), 6, -10},
		"seen after what is noted":           {new(5), new(6), new(2), new(1), 6, 2},
		"noted by another after what I saw":  {new(7), new(6), new(2), new(1), 7, 2},
		"made after this process had begun":  {nil, nil, nil, new(3), -1, 3},
		"noted before this process had":      {nil, nil, new(-50), new(-100), -1, -50},
		"noted before it was made, restored": {nil, nil, new(-50), new(-20), -1, -20},
	} {
		s := &Service{Usages: NewUsages(at(-10))}
		key := keyOf("a")
		key.CreationTimestamp = metav1.NewTime(at(*tt.made))
		if tt.noted != nil {
			key.Status.LastUsage = notedAt(at(*tt.noted))
		}
		if tt.tracked != nil {
			TrackUsage(key, at(*tt.tracked))
			TrackUsage(key, at(99)) // the first counts
		}
		if tt.seen != nil {
			s.Used(key, Usage{Time: at(*tt.seen)})
		}
		last, since := s.LastUsage(key)
		if (last == nil) != (tt.last < 0) || last != nil && !last.Time.Equal(at(tt.last)) {
			t.Errorf("%s: %+v", name, last)
		}
		if !since.Equal(at(tt.since)) {
			t.Errorf("%s: since %s", name, since)
		}
	}
}

func FuzzAChangeOfThePrimaryIsReadOrIsNone(f *testing.F) {
	f.Add(`{"from":"a","to":"b","rotation":{"enabled":true},"replicaRegions":[{"region":"eu-west-1"}]}`)
	f.Add(`{"from":"a","to":"a"}`)
	f.Add(`{"from":"c","to":"d"}`)
	f.Add(`{"from":`)
	f.Fuzz(func(t *testing.T, text string) {
		key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Name: "a", Annotations: map[string]string{v1alpha1.PrimaryUpdateAnnotation: text}}}
		if Updating(key) {
			t.Error("a key of one region")
		}
		key.Spec.MultiRegion = true
		u, ok := UpdateOf(key)
		if ok && (u.From == "" || u.To == "" || u.From == u.To || u.From != "a" && u.To != "a" || len(text) > maximumUpdateText) {
			t.Errorf("%+v", u)
		}
		if !ok && (u.From != "" && u.From != "a" && u.To == "a") {
			t.Errorf("%+v", u)
		}
	})
}

func TestAChangeOfThePrimaryGivesTheNewOneTheRegionsOfTheFormerWithItsOwnInTheirPlace(t *testing.T) {
	key := func(name, region string, regions ...string) *v1alpha1.KMSKey {
		k := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Name: name}}
		k.Status.ARN = "arn:aws:kms:" + region + ":111122223333:key/mrk-1"
		for _, r := range regions {
			region, name, _ := strings.Cut(r, "=")
			k.Spec.ReplicaRegions = append(k.Spec.ReplicaRegions, v1alpha1.KeyReplicaRegion{Region: region, Name: name})
		}
		return k
	}
	from := key("a", "us-east-1", "eu-west-1", "ap-south-1", "sa-east-1=s")
	from.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90}
	u := updateTo(from, key("b", "eu-west-1"))
	want := []v1alpha1.KeyReplicaRegion{{Region: "ap-south-1", Name: "a-ap-south-1"}, {Region: "sa-east-1", Name: "s"}, {Region: "us-east-1", Name: "a"}}
	if u.From != "a" || u.To != "b" || *u.Rotation != *from.Spec.Rotation || !slices.Equal(u.ReplicaRegions, want) {
		t.Errorf("%+v", u)
	}
	early := PrimaryUpdate{From: "a", To: "b", ReplicaRegions: []v1alpha1.KeyReplicaRegion{{Region: "ap-south-1"}, {Region: "us-east-1"}}}
	if got := early.named("us-east-1"); got[0].Name != "a-ap-south-1" || got[1].Name != "a" || early.ReplicaRegions[0].Name != "" {
		t.Errorf("a change that began before there were names: %+v", got)
	}
	if len(from.Spec.ReplicaRegions) != 3 || from.Spec.ReplicaRegions[1].Name != "" || from.Spec.ReplicaRegions[0].Region != "eu-west-1" {
		t.Errorf("the former primary is changed: %v", from.Spec.ReplicaRegions)
	}
}
