package secretsmanager_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// held is a secret with three versions, of which the second one has no stage.
func held() *v1alpha1.Secret {
	return &v1alpha1.Secret{Status: v1alpha1.SecretStatus{Versions: []v1alpha1.SecretVersion{
		{VersionID: "one", Sequence: 1, Stages: []string{versions.Previous, "blue"}},
		{VersionID: "two", Sequence: 2},
		{VersionID: "three", Sequence: 3, Stages: []string{versions.Current}},
	}}}
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func TestAVersionIsChosenByItsIDItsStageOrBoth(t *testing.T) {
	for name, tt := range map[string]struct {
		id, stage, want, code, says string
	}{
		"neither: the current one":              {want: "three"},
		"AWSCURRENT":                            {stage: versions.Current, want: "three"},
		"AWSPREVIOUS":                           {stage: versions.Previous, want: "one"},
		"a stage of one's own":                  {stage: "blue", want: "one"},
		"an id":                                 {id: "one", want: "one"},
		"the id of one without a stage":         {id: "two", want: "two"},
		"both, which agree":                     {id: "one", stage: "blue", want: "one"},
		"both, of which the stage is another's": {"one", versions.Current, "", "InvalidRequestException", "VersionStage that is not associated"},
		"both, of which the stage is nobody's":  {"one", "green", "", "InvalidRequestException", "VersionStage that is not associated"},
		"both, of which the id is nobody's":     {"four", versions.Current, "", "ResourceNotFoundException", "for VersionId: four"},
		"an id that is nobody's":                {"four", "", "", "ResourceNotFoundException", "for VersionId: four"},
		"a stage that is nobody's":              {"", versions.Pending, "", "ResourceNotFoundException", "for staging label: AWSPENDING"},
		"a stage in another case":               {"", "awscurrent", "", "ResourceNotFoundException", "for staging label: awscurrent"},
		"an id in another case":                 {"ONE", "", "", "ResourceNotFoundException", "for VersionId: ONE"},
	} {
		got, err := secretsmanager.Select(held(), tt.id, tt.stage)
		if got.ID != tt.want || code(t, err) != tt.code || err != nil && !contains(err, tt.says) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := secretsmanager.Select(&v1alpha1.Secret{}, "", ""); !contains(err, "can't find the specified secret value for staging label: AWSCURRENT") {
		t.Errorf("a secret without a value: %v", err)
	}
}

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func TestAnIndexGoesIntoStatusAndComesBackOutOfIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ix versions.Index
		at := time.Unix(1_700_000_000, 0).UTC()
		for n := range rapid.Int64Range(1, 60).Draw(t, "versions") {
			at = at.Add(time.Duration(rapid.IntRange(0, 7200).Draw(t, "seconds")) * time.Second)
			stages := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{versions.Current, versions.Pending, "blue"}), 0, 2, rapid.ID).Draw(t, "stages")
			slices.Sort(stages)
			ix = ix.Add(versions.Version{ID: string(rune('a'+n%26)) + time.Duration(n).String(), Sequence: n + 1, Stages: stages, Created: at})
		}
		secret := &v1alpha1.Secret{}
		gone := secretsmanager.Record(&secret.Status, subject, ix, at)
		back := secretsmanager.IndexOf(secret)
		if len(back)+len(gone) != len(ix) || secret.Status.ARN != subject {
			t.Fatalf("%d and %d of %d", len(back), len(gone), len(ix))
		}
		for _, v := range back {
			was, ok := ix.ByID(v.ID)
			if !ok || was.Sequence != v.Sequence || !slices.Equal(was.Stages, v.Stages) || !was.Created.Equal(v.Created) {
				t.Fatalf("%+v was %+v", v, was)
			}
		}
		current, ok := back.ByStage(versions.Current)
		if secret.Status.CurrentVersionID != current.ID || ok != (secret.Status.LastRotatedTime != nil) {
			t.Fatalf("current is %q, and status says %q", current.ID, secret.Status.CurrentVersionID)
		}
		for _, v := range gone {
			if len(v.Stages) > 0 {
				t.Fatalf("%+v goes with its stages", v)
			}
		}
	})
}

func TestTheTimeOfTheLastChangeOnlyGoesForward(t *testing.T) {
	status := &v1alpha1.SecretStatus{}
	noon := time.Date(2026, 5, 1, 12, 0, 0, 999, time.UTC)
	for _, step := range []struct {
		at   time.Time
		want time.Time
	}{
		{noon, noon.Truncate(time.Second)},
		{noon.Add(-time.Hour), noon.Truncate(time.Second)}, // a clock that was set back, or an older version that is taken in
		{noon.Add(100 * time.Millisecond), noon.Truncate(time.Second)},
		{noon.Add(2 * time.Second), noon.Add(2 * time.Second).Truncate(time.Second)},
	} {
		secretsmanager.Changed(status, step.at)
		if !status.LastChangedTime.Time.Equal(step.want) {
			t.Errorf("after %s it is %s, want %s", step.at, status.LastChangedTime, step.want)
		}
	}
}

// An object that was restored, or that a backup brought, is younger than what it holds.
func TestASecretIsAsOldAsItsFirstVersion(t *testing.T) {
	made := metav1.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	before, after := metav1.NewTime(made.Add(-time.Hour)), metav1.NewTime(made.Add(time.Hour))
	for name, tt := range map[string]struct {
		versions []v1alpha1.SecretVersion
		changed  *metav1.Time
		created  time.Time
		latest   time.Time
	}{
		"without a value":                        {nil, nil, made.UTC(), made.UTC()},
		"whose first version came later":         {[]v1alpha1.SecretVersion{{Sequence: 1, CreatedTime: after}}, &after, made.UTC(), after.UTC()},
		"that was restored":                      {[]v1alpha1.SecretVersion{{Sequence: 1, CreatedTime: before}}, &before, before.UTC(), before.UTC()},
		"whose first versions were pruned":       {[]v1alpha1.SecretVersion{{Sequence: 7, CreatedTime: before}}, nil, made.UTC(), made.UTC()},
		"that was changed after it was restored": {[]v1alpha1.SecretVersion{{Sequence: 1, CreatedTime: before}}, &after, before.UTC(), after.UTC()},
	} {
		s := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: made}, Status: v1alpha1.SecretStatus{Versions: tt.versions, LastChangedTime: tt.changed}}
		if got := secretsmanager.CreatedOf(s); !got.Equal(tt.created) {
			t.Errorf("%s was made at %s", name, got)
		}
		if got := secretsmanager.ChangedOf(s); !got.Equal(tt.latest) {
			t.Errorf("%s was changed at %s", name, got)
		}
	}
}

func TestTheRecoveryWindowIs30DaysWhereNoneIsNamed(t *testing.T) {
	day := 24 * time.Hour
	for want, deletion := range map[time.Duration]*v1alpha1.SecretDeletion{
		30 * day: nil, 7 * day: {RecoveryWindowInDays: 7}, 9 * day: {RecoveryWindowInDays: 9},
	} {
		if got := secretsmanager.RecoveryWindow(&v1alpha1.Secret{Spec: v1alpha1.SecretSpec{Deletion: deletion}}); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := secretsmanager.RecoveryWindow(&v1alpha1.Secret{Spec: v1alpha1.SecretSpec{Deletion: &v1alpha1.SecretDeletion{}}}); got != secretsmanager.DefaultRecoveryWindow {
		t.Error(got)
	}
}

func TestAVersionIsRotatedInWhenAWSCURRENTMovesToItAndNotWhenItWasMade(t *testing.T) {
	made := time.Date(2026, 11, 23, 0, 10, 0, 0, time.UTC)
	index := func(current string) versions.Index {
		ix := versions.Index{{ID: "one", Sequence: 1, Created: made}, {ID: "two", Sequence: 2, Created: made.Add(time.Hour)}}
		for i := range ix {
			if ix[i].ID == current {
				ix[i].Stages = []string{versions.Current}
			}
		}
		return ix
	}
	later := made.Add(60 * time.Hour)
	var status v1alpha1.SecretStatus
	for _, step := range []struct {
		what, current string
		now, want     time.Time
	}{
		{"the first, or one after a loss of status, is rotated in when it was made", "one", later, made},
		{"and stays so", "one", later.Add(time.Hour), made},
		{"another is when it comes into force", "two", later.Add(2 * time.Hour), later.Add(2 * time.Hour)},
		{"and stays so too", "two", later.Add(3 * time.Hour), later.Add(2 * time.Hour)},
		{"one that comes back is so again", "one", later.Add(4 * time.Hour), later.Add(4 * time.Hour)},
		{"a clock that was set back is not before the version", "two", made.Add(-time.Hour), made.Add(time.Hour)},
	} {
		secretsmanager.Record(&status, "arn", index(step.current), step.now)
		if !status.LastRotatedTime.Time.Equal(step.want) {
			t.Errorf("%s: %s, not %s", step.what, status.LastRotatedTime.UTC(), step.want)
		}
	}
}
