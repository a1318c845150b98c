package kms_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
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

// rotating is a key of a UID that rotates every 90 days since its material was made.
func rotating(made time.Time, changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	key := &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{UID: "u"}, Spec: v1alpha1.KMSKeySpec{Rotation: &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90}},
		Status: v1alpha1.KMSKeyStatus{KeyMaterials: []v1alpha1.KeyMaterial{{Sequence: 1, State: v1alpha1.KeyMaterialCurrent, CreatedTime: metav1.NewTime(made)}}},
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
