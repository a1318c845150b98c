package kmskey

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const (
	none      = v1alpha1.RotationType("")
	onDemand  = v1alpha1.RotationOnDemand
	automatic = v1alpha1.RotationAutomatic
)

// The numbers are AWS's: 25 rotations on demand, periods of 90 to 2,560 days, 365 where none is named.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RotateKeyOnDemand.html
// https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKeyRotation.html
func TestWhenKeyMaterialIsMade(t *testing.T) {
	daysAgo := func(n int) time.Time { return now.AddDate(0, 0, -n) }
	for _, tt := range []struct {
		name     string
		in       rotationInput
		make     bool
		rotation v1alpha1.RotationType
		next     time.Time // within an hour after; zero for none
		fails    bool
	}{
		{"a new key gets its first", rotationInput{enabled: true}, true, none, time.Time{}, false},
		{"also if it is disabled", rotationInput{}, true, none, time.Time{}, false},
		{"also if a rotation is asked for, which that is", rotationInput{enabled: true, requested: "a"}, true, none, time.Time{}, false},
		{"and then waits for a whole period", rotationInput{enabled: true, periodInDays: 90}, true, none, now.AddDate(0, 0, 90), false},
		{"a key with one needs no more", rotationInput{hasMaterial: true, enabled: true, last: daysAgo(9999)}, false, none, time.Time{}, false},

		{"a request is met", rotationInput{hasMaterial: true, enabled: true, requested: "a"}, true, onDemand, time.Time{}, false},
		{"once", rotationInput{hasMaterial: true, enabled: true, requested: "a", handled: "a"}, false, none, time.Time{}, false},
		{"a new value is a new request", rotationInput{hasMaterial: true, enabled: true, requested: "b", handled: "a"}, true, onDemand, time.Time{}, false},
		{"an annotation that was taken away asks for nothing", rotationInput{hasMaterial: true, enabled: true, handled: "a"}, false, none, time.Time{}, false},
		{"a disabled key waits with it", rotationInput{hasMaterial: true, requested: "a"}, false, none, time.Time{}, false},
		{"the 25th is met", rotationInput{hasMaterial: true, enabled: true, requested: "a", onDemand: 24}, true, onDemand, time.Time{}, false},
		{"the 26th is not", rotationInput{hasMaterial: true, enabled: true, requested: "a", onDemand: 25}, false, none, time.Time{}, true},
		{"nor any after", rotationInput{hasMaterial: true, enabled: true, requested: "a", onDemand: 26}, false, none, time.Time{}, true},
		{"25 that were met are no fault", rotationInput{hasMaterial: true, enabled: true, requested: "a", handled: "a", onDemand: 25}, false, none, time.Time{}, false},
		{"nor are they in a disabled key", rotationInput{hasMaterial: true, requested: "a", onDemand: 25}, false, none, time.Time{}, false},

		{"an asymmetric key gets its first", rotationInput{fixed: true, enabled: true, requested: "a", periodInDays: 90}, true, none, time.Time{}, false},
		{"and no other, however long a period is over", rotationInput{fixed: true, hasMaterial: true, enabled: true, periodInDays: 90, last: daysAgo(900)}, false, none, time.Time{}, false},
		{"and refuses a request", rotationInput{fixed: true, hasMaterial: true, enabled: true, requested: "a"}, false, none, time.Time{}, true},
		{"also of a disabled key", rotationInput{fixed: true, hasMaterial: true, requested: "a"}, false, none, time.Time{}, true},

		{"the shortest period is not over", rotationInput{hasMaterial: true, enabled: true, periodInDays: 90, last: daysAgo(90).Add(time.Second)}, false, none, now.Add(time.Second), false},
		{"the shortest period is over", rotationInput{hasMaterial: true, enabled: true, periodInDays: 90, last: daysAgo(90).Add(-time.Hour)}, true, automatic, now.AddDate(0, 0, 90), false},
		{"the longest is not over", rotationInput{hasMaterial: true, enabled: true, periodInDays: 2560, last: daysAgo(2559)}, false, none, now.AddDate(0, 0, 1), false},
		{"the longest is over", rotationInput{hasMaterial: true, enabled: true, periodInDays: 2560, last: daysAgo(2561)}, true, automatic, now.AddDate(0, 0, 2560), false},
		{"a period long over makes one, not one a period", rotationInput{hasMaterial: true, enabled: true, periodInDays: 90, last: daysAgo(900)}, true, automatic, now.AddDate(0, 0, 90), false},
		{"a disabled key is not rotated, and says no time", rotationInput{hasMaterial: true, periodInDays: 90, last: daysAgo(900)}, false, none, time.Time{}, false},
		{"a request and a period at once make one, and it is not counted as on demand", rotationInput{hasMaterial: true, enabled: true, requested: "a", periodInDays: 90, last: daysAgo(900)}, true, automatic, now.AddDate(0, 0, 90), false},
		{"a period is not in the way of 25 requests that were met", rotationInput{hasMaterial: true, enabled: true, requested: "a", handled: "a", onDemand: 25, periodInDays: 90, last: daysAgo(91)}, true, automatic, now.AddDate(0, 0, 90), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.now, tt.in.seed = now, "seed"
			got, err := decideRotation(tt.in)
			if (err != nil) != tt.fails || got.make != tt.make || got.rotation != tt.rotation {
				t.Fatalf("make %t, %q, %v", got.make, got.rotation, err)
			}
			reason := errTooManyRotations
			if tt.in.fixed {
				reason = errNotRotated
			}
			if tt.fails && (!errors.Is(err, reason) || !strings.Contains(err.Error(), v1alpha1.RotateAnnotation)) {
				t.Errorf("it does not say what to do: %v", err)
			}
			if tt.next.IsZero() != got.next.IsZero() || got.next.Before(tt.next) || got.next.Sub(tt.next) >= time.Hour {
				t.Errorf("next at %s, not in the hour after %s", got.next, tt.next)
			}
		})
	}
}

// Whatever the time of day, a key that was rotated because its period was over is not due again before the next one is.
func TestARotationIsNeverFollowedByAnother(t *testing.T) {
	for hours := range 24 * 7 {
		in := rotationInput{hasMaterial: true, enabled: true, periodInDays: 90, seed: fmt.Sprint(hours)}
		in.last, in.now = now, now.AddDate(0, 0, 90).Add(time.Duration(hours)*time.Hour)
		first, err := decideRotation(in)
		if err != nil || hours > 0 && !first.make {
			t.Fatalf("after %d hours: %+v, %v", hours, first, err)
		}
		if !first.make {
			continue
		}
		in.last = in.now
		second, err := decideRotation(in)
		if err != nil || second.make || !second.next.Equal(first.next) {
			t.Fatalf("after %d hours: again %+v, %v; it said %s", hours, second, err, first.next)
		}
	}
}

func TestTheStateOfAKey(t *testing.T) {
	for _, tt := range []struct {
		enabled     *bool
		materials   int
		unavailable bool
		want        v1alpha1.KeyState
	}{
		{nil, 0, false, v1alpha1.KeyStateCreating},
		{ptr.To(false), 0, false, v1alpha1.KeyStateCreating},
		{nil, 1, false, v1alpha1.KeyStateEnabled},
		{ptr.To(true), 3, false, v1alpha1.KeyStateEnabled},
		{ptr.To(false), 1, false, v1alpha1.KeyStateDisabled},
		{nil, 1, true, v1alpha1.KeyStateUnavailable},
		{ptr.To(false), 1, true, v1alpha1.KeyStateUnavailable},
	} {
		key := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{Enabled: tt.enabled}}
		key.Status.KeyMaterials = make([]v1alpha1.KeyMaterial, tt.materials)
		if got := kms.State(key, tt.unavailable); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// material is the index entry of a sequence number, with an id that tells its place.
func material(sequence int64, rotation v1alpha1.RotationType) v1alpha1.KeyMaterial {
	return v1alpha1.KeyMaterial{ID: fmt.Sprint(sequence), Sequence: sequence, RotationType: rotation}
}

func TestARebuiltIndexIsInOrderAndItsLastIsCurrent(t *testing.T) {
	all := []v1alpha1.KeyMaterial{
		material(1, none), material(2, onDemand), material(3, automatic), material(4, onDemand), material(12, automatic),
	}
	for rotated := range all {
		status := v1alpha1.KMSKeyStatus{OnDemandRotations: 99, KeyMaterials: slices.Clone(all)}
		status.KeyMaterials = append(status.KeyMaterials[rotated:], status.KeyMaterials[:rotated]...)
		for i := range status.KeyMaterials { // each Envelope's entry says CURRENT
			status.KeyMaterials[i].State = v1alpha1.KeyMaterialCurrent
		}
		kms.SortMaterials(&status)
		if status.OnDemandRotations != 2 {
			t.Errorf("%d rotations on demand", status.OnDemandRotations)
		}
		for i, m := range status.KeyMaterials {
			last := i == len(all)-1
			if m.ID != all[i].ID || (m.State == v1alpha1.KeyMaterialCurrent) != last {
				t.Errorf("from %d: %d is %s, %s", rotated, i, m.ID, m.State)
			}
		}
	}
	empty := v1alpha1.KMSKeyStatus{}
	kms.SortMaterials(&empty)
	if len(empty.KeyMaterials) != 0 {
		t.Error("an empty index got an entry")
	}
}

const (
	oldARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	newARN = "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321"
)

// kept makes an Envelope of a subject, created so many days ago.
func kept(class v1alpha1.EnvelopeClass, subject string, sequence int64, daysAgo int) v1alpha1.Envelope {
	e := v1alpha1.Envelope{Spec: v1alpha1.EnvelopeSpec{
		Class: class, Subject: subject, Sequence: sequence, Version: fmt.Sprint(sequence),
		CreatedTime: metav1.NewTime(now.AddDate(0, 0, -daysAgo)),
	}}
	if class == v1alpha1.EnvelopeTombstone {
		e.Spec.ExpireTime = &metav1.Time{Time: now.AddDate(0, 0, 30-daysAgo)}
	}
	return e
}

func TestTheWaitingPeriod(t *testing.T) {
	const day = 24 * time.Hour
	for days, want := range map[int32]time.Duration{0: 30 * day, 7: 7 * day, 13: 13 * day, 30: 30 * day} {
		key := &v1alpha1.KMSKey{Spec: v1alpha1.KMSKeySpec{Deletion: &v1alpha1.KeyDeletion{PendingWindowInDays: days}}}
		if got := kms.PendingWindow(key); got != want {
			t.Errorf("%d days: %s", days, got)
		}
	}
	if got := kms.PendingWindow(&v1alpha1.KMSKey{}); got != 30*day {
		t.Errorf("without a spec: %s", got)
	}
}

func TestTheHoldersOfAKeyAreNamedOnceAndNotWithoutEnd(t *testing.T) {
	holders := func(names ...string) (out []v1alpha1.Envelope) {
		for _, name := range names {
			out = append(out, v1alpha1.Envelope{Spec: v1alpha1.EnvelopeSpec{Owner: v1alpha1.EnvelopeOwner{Kind: "Secret", Name: name}}})
		}
		return out
	}
	for _, tt := range []struct {
		of   []v1alpha1.Envelope
		want string
	}{
		{holders("db"), "Secret/db"},
		{holders("web", "db", "web", "db"), "Secret/db, Secret/web"},
		{holders("e", "d", "c", "b", "a"), "Secret/a, Secret/b, Secret/c, Secret/d, Secret/e"},
		{holders("f", "e", "d", "c", "b", "a"), "Secret/a, Secret/b, Secret/c, Secret/d, Secret/e, and 1 more"},
		{holders("a", "b", "c", "d", "e", "f", "g", "g", "h"), "Secret/a, Secret/b, Secret/c, Secret/d, Secret/e, and 3 more"},
	} {
		if got := upToFive(ownersOf(tt.of)); got != tt.want {
			t.Errorf("%s, not %s", got, tt.want)
		}
	}
}
