package kms_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/service/kms"
)

func TestThePeriodOfAutomaticRotation(t *testing.T) {
	for name, tt := range map[string]struct {
		spec *v1alpha1.KeyRotation
		want int
	}{
		"none":                    {nil, 0},
		"off":                     {&v1alpha1.KeyRotation{}, 0},
		"off, with a period":      {&v1alpha1.KeyRotation{PeriodInDays: 90}, 0},
		"on, as AWS's default":    {&v1alpha1.KeyRotation{Enabled: true}, 365},
		"on, with the shortest":   {&v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90}, 90},
		"on, with the longest":    {&v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 2560}, 2560},
		"on, with one in between": {&v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 400}, 400},
	} {
		if got := kms.RotationPeriod(tt.spec); got != tt.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// turnedOn notes since when automatic rotation is on.
func turnedOn(at time.Time) func(*v1alpha1.KMSKey) {
	return func(k *v1alpha1.KMSKey) { k.Status.RotationEnabledTime = ptr.To(metav1.NewTime(at)) }
}

// rotating is a key of a UID that rotates every 90 days since its material was made, and of which nobody noted since when.
func rotating(made time.Time, changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	key := &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{UID: "u"}, Spec: v1alpha1.KMSKeySpec{Rotation: &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90}},
		Status: v1alpha1.KMSKeyStatus{KeyMaterials: []v1alpha1.KeyMaterial{{Sequence: 1, State: v1alpha1.KeyMaterialCurrent, CreatedTime: metav1.NewTime(made)}}, NextRotationTime: &metav1.Time{}},
	}
	for _, change := range changes {
		change(key)
	}
	return key
}

func TestTheNextRotationIsTheOneOfTheSpecAsItIs(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	month := now.AddDate(0, 0, -30)
	for name, tt := range map[string]struct {
		key  *v1alpha1.KMSKey
		from time.Time // a period before the rotation; zero for none
		days int
	}{
		"of a key that rotates": {rotating(month), month, 90},
		"with AWS's period":     {rotating(month, func(k *v1alpha1.KMSKey) { k.Spec.Rotation.PeriodInDays = 0 }), month, 365},
		"of a service, whatever its spec says": {rotating(month, func(k *v1alpha1.KMSKey) {
			k.Name, k.Spec.Rotation = "aws-ssm", nil
		}), month, 365},
		"of an old key that the controller does not know to be turned on": {rotating(now.AddDate(-9, 0, 0), func(k *v1alpha1.KMSKey) {
			k.Status.NextRotationTime = nil
		}), now, 90},
		"of an old key that was turned on since":         {rotating(now.AddDate(-9, 0, 0), turnedOn(month)), month, 90},
		"of one that was turned on and rotated since":    {rotating(now.AddDate(-9, 0, 0), turnedOn(now.AddDate(-1, 0, 0)), again(month, v1alpha1.RotationAutomatic)), month, 90},
		"of one that was turned on after it had rotated": {rotating(now.AddDate(-9, 0, 0), turnedOn(month), again(now.AddDate(-1, 0, 0), v1alpha1.RotationAutomatic)), month, 90},
		"of one that was rotated on demand since":        {rotating(now.AddDate(-9, 0, 0), turnedOn(month), again(now, v1alpha1.RotationOnDemand)), month, 90},
		"that is due":                   {rotating(now.AddDate(-1, 0, 0)), now.AddDate(-1, 0, 0), 90},
		"after one on demand":           {rotating(month, again(now, v1alpha1.RotationOnDemand)), month, 90},
		"after an automatic one":        {rotating(month, again(now, v1alpha1.RotationAutomatic)), now, 90},
		"that is turned off":            {rotating(month, func(k *v1alpha1.KMSKey) { k.Spec.Rotation.Enabled = false }), time.Time{}, 0},
		"without a word of it":          {rotating(month, func(k *v1alpha1.KMSKey) { k.Spec.Rotation = nil }), time.Time{}, 0},
		"of a disabled key":             {rotating(month, func(k *v1alpha1.KMSKey) { k.Spec.Enabled = ptr.To(false) }), time.Time{}, 0},
		"of a key that is scheduled":    {rotating(month, func(k *v1alpha1.KMSKey) { k.Spec.Deletion = &v1alpha1.KeyDeletion{Scheduled: true} }), time.Time{}, 0},
		"of an asymmetric key":          {rotating(month, func(k *v1alpha1.KMSKey) { k.Spec.KeySpec = v1alpha1.KeySpecECCNISTP256 }), time.Time{}, 0},
		"of a key of imported material": {rotating(month, func(k *v1alpha1.KMSKey) { k.Spec.Origin = v1alpha1.KeyOriginExternal }), time.Time{}, 0},
		"of a key in an HSM cluster":    {rotating(month, inCluster), time.Time{}, 0},
		"of a key without material":     {rotating(month, func(k *v1alpha1.KMSKey) { k.Status.KeyMaterials = nil }), time.Time{}, 0},
	} {
		got := kms.NextRotation(tt.key, now)
		if tt.from.IsZero() {
			if !got.IsZero() {
				t.Errorf("%s: %s", name, got)
			}
			continue
		}
		if first := tt.from.AddDate(0, 0, tt.days); got.Before(first) || !got.Before(first.Add(time.Hour)) {
			t.Errorf("%s: %s, not within an hour of %s", name, got, first)
		}
	}
}

// again adds a material that became current at a time.
func again(at time.Time, why v1alpha1.RotationType) func(*v1alpha1.KMSKey) {
	return func(k *v1alpha1.KMSKey) {
		k.Status.KeyMaterials = append(k.Status.KeyMaterials, v1alpha1.KeyMaterial{
			Sequence: 2, State: v1alpha1.KeyMaterialCurrent, CreatedTime: metav1.NewTime(at), RotationType: why,
		})
	}
}

func TestAKeyRotatesSoonFromTwentyMinutesBeforeUntilItHas(t *testing.T) {
	made := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	key := rotating(made)
	next := kms.NextRotation(key, made)
	for before, want := range map[time.Duration]bool{
		24 * time.Hour: false, 20*time.Minute + time.Second: false, 20 * time.Minute: true, time.Second: true, 0: true, -time.Hour: true, -400 * 24 * time.Hour: true,
	} {
		if got := kms.RotatesSoon(key, next.Add(-before)); got != want {
			t.Errorf("%s before: %t", before, got)
		}
	}
	key.Spec.Rotation.Enabled = false
	if kms.RotatesSoon(key, next) {
		t.Error("a key rotates soon whose rotation is off")
	}
}

// inCluster has a key generated and used in an HSMCluster.
func inCluster(k *v1alpha1.KMSKey) {
	k.Spec.Origin, k.Spec.CustomKeyStoreRef = v1alpha1.KeyOriginCloudHSM, &v1alpha1.CustomKeyStoreReference{Name: "vault"}
}

func TestSinceWhenRotationIsOnIsNotedOnce(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 999, time.UTC)
	whole, old := now.Truncate(time.Second), now.AddDate(-1, 0, 0)
	for name, tt := range map[string]struct {
		key  *v1alpha1.KMSKey
		want time.Time
	}{
		"that is off":                                     {rotating(old, func(k *v1alpha1.KMSKey) { k.Spec.Rotation = nil }), time.Time{}},
		"that was on":                                     {rotating(old, turnedOn(old), func(k *v1alpha1.KMSKey) { k.Spec.Rotation.Enabled = false }), time.Time{}},
		"of a key that is never rotated":                  {rotating(old, turnedOn(old), inCluster), time.Time{}},
		"that is noted":                                   {rotating(old, turnedOn(whole.Add(-time.Hour))), whole.Add(-time.Hour)},
		"that is noted, of a disabled key":                {rotating(old, turnedOn(old), func(k *v1alpha1.KMSKey) { k.Spec.Enabled = ptr.To(false) }), old},
		"that is noted, with another period":              {rotating(old, turnedOn(old), func(k *v1alpha1.KMSKey) { k.Spec.Rotation.PeriodInDays = 2560 }), old},
		"of a key of before there was a note":             {rotating(old), old.Truncate(time.Second)},
		"of a key that is new":                            {rotating(old, func(k *v1alpha1.KMSKey) { k.Status = v1alpha1.KMSKeyStatus{} }), whole},
		"of a key that was made without, and now has it":  {rotating(old, func(k *v1alpha1.KMSKey) { k.Status.NextRotationTime = nil }), whole},
		"of a service's key, which nobody has to turn on": {rotating(old, func(k *v1alpha1.KMSKey) { k.Name, k.Spec.Rotation, k.Status = "aws-ssm", nil, v1alpha1.KMSKeyStatus{} }), whole},
	} {
		if got := kms.RotationEnabledSince(tt.key, now); !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestARotationOnDemandThatIsWaitedForBeganWhenItWasAskedFor(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 5, time.UTC)
	asked := func(value string, more ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
		return rotating(now, append(more, func(k *v1alpha1.KMSKey) { k.Annotations = map[string]string{v1alpha1.RotateAnnotation: value} })...)
	}
	handled := func(value string) func(*v1alpha1.KMSKey) {
		return func(k *v1alpha1.KMSKey) { k.Status.LastHandledRotateAt = value }
	}
	imported := func(k *v1alpha1.KMSKey) { k.Spec.Origin = v1alpha1.KeyOriginExternal }
	long := "2026-11-25T12:00:00Z/" + strings.Repeat("x", 2000)
	at := now.Truncate(time.Second)
	for name, tt := range map[string]struct {
		key  *v1alpha1.KMSKey
		want time.Time
	}{
		"nobody asked":                       {rotating(now), time.Time{}},
		"an API request":                     {asked("2026-11-25T12:00:00Z/request"), at},
		"an annotation that is a time":       {asked("2026-11-25T13:00:00+01:00"), at},
		"an annotation that is none":         {asked("now"), time.Time{}},
		"one that was met, and the next":     {asked("2026-11-25T12:00:00Z/b", handled("2026-11-25T11:00:00Z/a")), at},
		"it was met":                         {asked("2026-11-25T12:00:00Z/a", handled("2026-11-25T12:00:00Z/a")), time.Time{}},
		"a long one that was met":            {asked(long, handled(conditions.Echo(long))), time.Time{}},
		"a long one":                         {asked(long), at},
		"it is not going to be met":          {asked("2026-11-25T12:00:00Z/a", func(k *v1alpha1.KMSKey) { k.Status.OnDemandRotations = kms.MaximumOnDemandRotations }), time.Time{}},
		"there is nothing that was imported": {asked("2026-11-25T12:00:00Z/a", imported), time.Time{}},
		"there is something that was imported": {asked("2026-11-25T12:00:00Z/a", imported, func(k *v1alpha1.KMSKey) {
			k.Status.KeyMaterials[0].State = v1alpha1.KeyMaterialPendingRotation
		}), at},
	} {
		if got := kms.OnDemandRotationStart(tt.key); !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	first := kms.RequestedRotation(rotating(now), now, "a")
	if want := "2026-11-25T12:00:00Z/a"; first != want {
		t.Errorf("asked by %q, want %q", first, want)
	}
	if got, want := kms.RequestedRotation(asked(first), now.Add(time.Hour), "b"), "2026-11-25T12:00:00Z/b"; got != want {
		t.Errorf("asked again by %q, want %q", got, want)
	}
	if got, want := kms.RequestedRotation(asked(first, handled(first)), now.Add(time.Hour), "b"), "2026-11-25T13:00:00Z/b"; got != want {
		t.Errorf("asked after it was met by %q, want %q", got, want)
	}
}

func FuzzTheStartOfARotationIsATimeOrNone(f *testing.F) {
	for _, value := range []string{"", "now", "2026-11-25T12:00:00Z", "2026-11-25T12:00:00Z/a", "/", "9999-12-31T23:59:59+23:59/"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		key := rotating(time.Unix(0, 0), func(k *v1alpha1.KMSKey) { k.Annotations = map[string]string{v1alpha1.RotateAnnotation: value} })
		start := kms.OnDemandRotationStart(key)
		if text, _, _ := strings.Cut(value, "/"); !start.IsZero() && len(text) < len("2026-11-25T12:00:00Z") {
			t.Errorf("%q began %s", value, start)
		}
		if asked := kms.RequestedRotation(key, time.Unix(0, 0), "r"); !strings.HasSuffix(asked, "/r") {
			t.Errorf("after %q it is asked for by %q", value, asked)
		}
	})
}
