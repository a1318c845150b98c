package secret

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/principals"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

func TestWhatSecretsAreFoundBy(t *testing.T) {
	full := &v1alpha1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec: v1alpha1.SecretSpec{
			Name: "prod/db", KMSKeyRef: &v1alpha1.LocalReference{Name: "key"},
			ValueFrom: &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: "source", Key: "k"}},
			Target: &v1alpha1.SecretTarget{Name: "shown", Sources: []v1alpha1.TargetSource{
				{Alias: "a", SecretRef: &v1alpha1.LocalReference{Name: "db"}}, {Alias: "b", ParameterRef: &v1alpha1.LocalReference{Name: "db"}}, {Alias: "c"},
			}},
		},
	}
	full.Spec.ReplicaOf = &v1alpha1.PrimarySecret{Name: "main", Region: "us-east-1"}
	full.Spec.ResourcePolicy = &v1alpha1.PolicyDocument{}
	full.Spec.ResourcePolicy.Raw = []byte(`{"Statement":{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:user/staff/Ada",
		"arn:aws:sts::111122223333:assumed-role/app/pod","111122223333"]},"Action":"*","Resource":"*"}}`)
	plain := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Spec: v1alpha1.SecretSpec{Target: &v1alpha1.SecretTarget{}}}
	bare := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "db"}}
	for _, tt := range []struct {
		index                   string
		ofFull, ofPlain, ofBare []string
	}{
		{secretsmanager.NameIndex, []string{"prod/db"}, nil, nil}, // whose own name it is has no entry
		{KeyIndex, []string{"key"}, []string{"aws-secretsmanager"}, []string{"aws-secretsmanager"}},
		{SourceIndex, []string{"source"}, nil, nil},
		{TargetIndex, []string{"shown"}, nil, nil},
		{TargetSourceIndex, []string{"Secret/db", "Parameter/db"}, nil, nil},
		{secretsmanager.ReplicaIndex, []string{"main"}, nil, nil},
		{principals.Index, []string{"role/111122223333/app", "user/111122223333/ada"}, nil, nil},
	} {
		index := Indexes()[tt.index]
		if index == nil {
			t.Errorf("there is no index %s", tt.index)
			continue
		}
		for name, c := range map[string]struct {
			of   client.Object
			want []string
		}{
			"with every field": {full, tt.ofFull}, "with a target alone": {plain, tt.ofPlain}, "without a target": {bare, tt.ofBare},
			"of another kind": {&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "db"}}, nil},
		} {
			if got := index(c.of); !slices.Equal(got, c.want) {
				t.Errorf("%s of an object %s: %v, want %v", tt.index, name, got, c.want)
			}
		}
	}
	if len(Indexes()) != 7 {
		t.Errorf("there are %d indexes: give the new one a case", len(Indexes()))
	}
}

func TestACoreSecretConcernsThoseThatWriteItAndThoseThatReadIt(t *testing.T) {
	for label, want := range map[string][]string{
		"":                         {TargetIndex, SourceIndex},
		v1alpha1.ManagedProjection: {TargetIndex, SourceIndex}, // one Secret's projection may be another's source
		v1alpha1.ManagedSource:     {SourceIndex},
		"nonsense":                 {TargetIndex, SourceIndex},
	} {
		core := &corev1.Secret{}
		if label != "" {
			core.Labels = map[string]string{v1alpha1.ManagedLabel: label}
		}
		if got := coreSecretIndexes(core); !slices.Equal(got, want) {
			t.Errorf("label %q: %v", label, got)
		}
	}
}

// simulate looks at a secret of a plan every step from a first rotation on, as the controller would, and lists when it is
// rotated.
func simulate(t *testing.T, rotation *v1alpha1.SecretRotation, seed string, first time.Time, step, length time.Duration) []time.Time {
	t.Helper()
	var rotated []time.Time
	last := first
	for now := first; now.Before(first.Add(length)); now = now.Add(step) {
		got, err := decideRotation(rotationInput{hasCurrent: true, generated: true, rotation: rotation, last: last, now: now, seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		if !got.next.After(now) {
			t.Fatalf("at %s the next rotation, %s, is not in the future", now, got.next)
		}
		if got.trigger == triggerScheduled {
			last = now
			rotated = append(rotated, now)
		}
	}
	return rotated
}

// The windows are worked out by hand. AWS rotates once in each window that it finds open.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
func TestASecretRotatesOnceInEachOfItsWindows(t *testing.T) {
	first := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) // a Tuesday
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	for _, tt := range []struct {
		schedule, duration string
		opens              []time.Time
		begins             time.Duration
	}{
		{"cron(0 4 * * ? *)", "2h", []time.Time{at(25, 4), at(26, 4), at(27, 4), at(28, 4), at(29, 4), at(30, 4)}, time.Hour},
		{"cron(0 4,16 ? * WED,THU *)", "", []time.Time{at(25, 4), at(25, 16), at(26, 4), at(26, 16)}, 30 * time.Minute},
		{"cron(0 22 L * ? *)", "2h", []time.Time{at(30, 22)}, time.Hour},
		{"cron(0 0 ? * SUN *)", "", []time.Time{at(29, 0)}, 30 * time.Minute},
	} {
		for n := range 5 {
			seed := fmt.Sprint("uid-", n)
			rotated := simulate(t, &v1alpha1.SecretRotation{Schedule: tt.schedule, Duration: tt.duration}, seed, first, 7*time.Minute, 7*24*time.Hour-12*time.Hour)
			if len(rotated) != len(tt.opens) {
				t.Errorf("%s, %s: rotated at %v", tt.schedule, seed, rotated)
				continue
			}
			for i, when := range rotated {
				if when.Before(tt.opens[i]) || !when.Before(tt.opens[i].Add(tt.begins+7*time.Minute)) {
					t.Errorf("%s: rotated at %s, which is not within the first %s from %s on", tt.schedule, when, tt.begins, tt.opens[i])
				}
			}
		}
	}
}

func TestARateKeepsItsDistance(t *testing.T) {
	first := time.Date(2026, 11, 24, 12, 34, 56, 0, time.UTC)
	for schedule, rate := range map[string]time.Duration{"rate(4 hours)": 4 * time.Hour, "rate(1 day)": 24 * time.Hour, "rate(10 days)": 240 * time.Hour} {
		rotated := simulate(t, &v1alpha1.SecretRotation{Schedule: schedule}, "uid", first, 5*time.Minute, 31*24*time.Hour)
		if want := int(31 * 24 * time.Hour / rate); len(rotated) < want-2 || len(rotated) > want {
			t.Errorf("%s: %d rotations in 31 days, about %d are due", schedule, len(rotated), want)
		}
		for i := 1; i < len(rotated); i++ {
			if apart := rotated[i].Sub(rotated[i-1]); apart < rate-time.Hour || apart > rate+2*time.Hour {
				t.Errorf("%s: %s apart", schedule, apart)
			}
		}
	}
}

func TestAWindowThatPassedIsNotMadeUpFor(t *testing.T) {
	in := rotationInput{
		hasCurrent: true, generated: true, seed: "uid",
		rotation: &v1alpha1.SecretRotation{Schedule: "cron(0 4 * * ? *)", Duration: "1h"},
		last:     time.Date(2026, 11, 1, 4, 10, 0, 0, time.UTC),
	}
	for now, want := range map[time.Time]trigger{
		time.Date(2026, 11, 24, 3, 59, 59, 0, time.UTC): triggerNone,
		time.Date(2026, 11, 24, 4, 30, 0, 0, time.UTC):  triggerScheduled,
		time.Date(2026, 11, 24, 4, 59, 59, 0, time.UTC): triggerScheduled,
		time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC):   triggerNone,
		time.Date(2026, 11, 24, 23, 0, 0, 0, time.UTC):  triggerNone,
	} {
		in.now = now
		got, err := decideRotation(in)
		if err != nil || got.trigger != want {
			t.Errorf("at %s: %q, %v", now, got.trigger, err)
		}
		if want == triggerNone && (got.next.Hour() != 4 || got.next.Minute() >= 30) {
			t.Errorf("at %s the next is %s", now, got.next)
		}
	}
}

func TestARequestWinsOverTheScheduleAndCountsAsItsRotation(t *testing.T) {
	in := rotationInput{
		hasCurrent: true, generated: true, requested: "b", handled: "a", seed: "uid",
		rotation: &v1alpha1.SecretRotation{Schedule: "cron(0 4 * * ? *)"},
		last:     time.Date(2026, 11, 23, 4, 10, 0, 0, time.UTC), now: time.Date(2026, 11, 24, 4, 45, 0, 0, time.UTC),
	}
	got, err := decideRotation(in)
	if err != nil || got.trigger != triggerRequested || got.next.Day() != 25 {
		t.Fatalf("%+v, %v", got, err)
	}
	in.handled, in.last = "b", in.now
	if again, err := decideRotation(in); err != nil || again.trigger != triggerNone || !again.next.Equal(got.next) {
		t.Errorf("once more: %+v, %v", again, err)
	}
}

func TestTheTimeOfALookIsTheNearestThatIsAskedFor(t *testing.T) {
	p := &pass{secret: &v1alpha1.Secret{}, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	p.scheduled(rotationDecision{})
	if p.requeue != 0 || p.secret.Status.NextRotationTime != nil {
		t.Errorf("without a schedule: %s, %v", p.requeue, p.secret.Status.NextRotationTime)
	}
	p.scheduled(rotationDecision{next: p.now.Add(time.Hour)})
	p.lookAgain(5 * time.Minute)
	p.lookAgain(10 * time.Minute)
	if p.requeue != 5*time.Minute || !p.secret.Status.NextRotationTime.Equal(&metav1.Time{Time: p.now.Add(time.Hour)}) {
		t.Errorf("%s, %v", p.requeue, p.secret.Status.NextRotationTime)
	}
	late := &pass{secret: &v1alpha1.Secret{}, now: p.now}
	late.scheduled(rotationDecision{next: p.now.Add(time.Millisecond)})
	if late.requeue != time.Second {
		t.Errorf("a rotation that is nearly due is looked for after %s, which would be a busy loop", late.requeue)
	}
}

func TestRecoveryWindows(t *testing.T) {
	for days, want := range map[int32]time.Duration{0: 720 * time.Hour, 7: 168 * time.Hour, 30: 720 * time.Hour} {
		s := &v1alpha1.Secret{Spec: v1alpha1.SecretSpec{Deletion: &v1alpha1.SecretDeletion{RecoveryWindowInDays: days}}}
		if got := secretsmanager.RecoveryWindow(s); got != want {
			t.Errorf("%d days: %s", days, got)
		}
	}
	if got := secretsmanager.RecoveryWindow(&v1alpha1.Secret{}); got != 720*time.Hour { // AWS's default is 30 days
		t.Errorf("none: %s", got)
	}
}
