package secret

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestARotatorIsTestedWhenItIsNewAndAgainWhenItFailed(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	last := func(ago time.Duration, attempts int32) *v1alpha1.RotationTestStatus {
		return &v1alpha1.RotationTestStatus{Configuration: "c", VersionID: "v", Time: metav1.NewTime(now.Add(-ago)), Attempts: attempts}
	}
	for name, tt := range map[string]struct {
		in   testInput
		want testDecision
	}{
		"one that is new":                                           {testInput{able: true}, testDecision{due: true}},
		"one that is new, while it cannot be":                       {testInput{}, testDecision{}},
		"another than was tested":                                   {testInput{able: true, configuration: "other", last: last(0, 0)}, testDecision{due: true}},
		"one that RotateSecret wants tested":                        {testInput{able: true, last: &v1alpha1.RotationTestStatus{}}, testDecision{due: true}},
		"one that passed":                                           {testInput{able: true, last: last(0, 0)}, testDecision{}},
		"one that passed, with another value since":                 {testInput{able: true, current: "other", last: last(0, 0)}, testDecision{}},
		"one that passed, though somebody asks":                     {testInput{able: true, asked: true, last: last(0, 0)}, testDecision{}},
		"one that failed, before its time":                          {testInput{able: true, last: last(30*time.Second, 1)}, testDecision{at: now.Add(30 * time.Second)}},
		"one that failed, at its time":                              {testInput{able: true, last: last(time.Minute, 1)}, testDecision{due: true}},
		"one that failed four times":                                {testInput{able: true, last: last(time.Minute, 4)}, testDecision{at: now.Add(7 * time.Minute)}},
		"one that failed a million times":                           {testInput{able: true, last: last(time.Minute, 1_000_000)}, testDecision{at: now.Add(6*time.Hour - time.Minute)}},
		"one that failed, when somebody asks":                       {testInput{able: true, asked: true, last: last(0, 3)}, testDecision{due: true}},
		"one that failed, when another value was put":               {testInput{able: true, current: "other", last: last(0, 3)}, testDecision{due: true}},
		"one that failed, in the time of a clock that was set back": {testInput{able: true, last: last(-time.Hour, 1)}, testDecision{due: true}},
		"one that was refused, before its time":                     {testInput{able: true, refused: true, last: last(5*time.Minute, 1)}, testDecision{at: now.Add(10 * time.Minute)}},
		"one that was refused twice":                                {testInput{able: true, refused: true, last: last(5*time.Minute, 2)}, testDecision{at: now.Add(25 * time.Minute)}},
		"one that was refused a million times":                      {testInput{able: true, refused: true, last: last(0, 1_000_000)}, testDecision{at: now.Add(6 * time.Hour)}},
		"one that passed, and is logged in with again":              {testInput{able: true, repeated: true, last: last(8*time.Hour, 0)}, testDecision{due: true}},
		"one that passed, before its time, though somebody asks":    {testInput{able: true, repeated: true, asked: true, current: "other", last: last(4*time.Hour-time.Second, 0)}, testDecision{at: now.Add(3*time.Hour + 50*time.Minute + 6*time.Second)}},
		"one that failed and rotates now":                           {testInput{last: last(time.Hour, 3)}, testDecision{}},
	} {
		in := tt.in
		in.now = now
		if in.configuration == "" {
			in.configuration = "c"
		}
		if in.current == "" {
			in.current = "v"
		}
		if got := decideTest(in); got != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Ten thousand that were tested at one instant, as by an upgrade, are never tested at one instant again.
func TestLoginsBetweenRotationsAreSpread(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	perMinute := map[time.Duration]int{}
	for i := range 10_000 {
		at := decideTest(testInput{
			able: true, repeated: true, configuration: "c", now: now, seed: fmt.Sprint("uid-", i),
			last: &v1alpha1.RotationTestStatus{Configuration: "c", Time: metav1.NewTime(now)},
		}).at
		wait := at.Sub(now)
		if wait < 4*time.Hour || wait >= 8*time.Hour {
			t.Fatalf("after %s", wait)
		}
		perMinute[wait.Truncate(time.Minute)]++
	}
	for minute, n := range perMinute {
		if n > 90 { // 42 on average; by chance one of 240 minutes has over 90 once in a billion times
			t.Errorf("%d in the minute after %s", n, minute)
		}
	}
}

func TestDriftIsHealedByAnAdminIfTheVersionHasLoggedInBefore(t *testing.T) {
	drifted := func(change func(*driftInput)) driftInput {
		in := driftInput{drifted: true, admin: true, current: "v2", passed: "v2", now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
		change(&in)
		return in
	}
	for name, tt := range map[string]struct {
		change func(*driftInput)
		heals  bool
	}{
		"as it is when nothing is said":            {func(*driftInput) {}, true},
		"by policy Heal":                           {func(in *driftInput) { in.policy = v1alpha1.DriftHeal }, true},
		"by policy Report":                         {func(in *driftInput) { in.policy = v1alpha1.DriftReport }, false},
		"by policy Ignore":                         {func(in *driftInput) { in.policy = v1alpha1.DriftIgnore }, false},
		"without an admin":                         {func(in *driftInput) { in.admin = false }, false},
		"of a version that never logged in":        {func(in *driftInput) { in.passed = "" }, false},
		"of another than has logged in":            {func(in *driftInput) { in.passed = "v1" }, false},
		"where a login failed for another reason":  {func(in *driftInput) { in.drifted = false }, false},
		"that was healed a short time ago":         {func(in *driftInput) { in.healed = in.now.Add(-23 * time.Hour) }, false},
		"that was healed by a clock ahead of ours": {func(in *driftInput) { in.healed = in.now.Add(time.Hour) }, false},
		"that was healed a day ago":                {func(in *driftInput) { in.healed = in.now.Add(-24 * time.Hour) }, true},
	} {
		if in := drifted(tt.change); in.heals() != tt.heals {
			t.Errorf("%s: %t", name, !tt.heals)
		}
	}
}

func TestAConfigurationIsWhatRotatesAndNotWhen(t *testing.T) {
	of := func(changes ...func(*v1alpha1.SecretRotation)) string {
		r := &v1alpha1.SecretRotation{
			Schedule: "rate(1 day)", Postgres: &v1alpha1.DatabaseRotator{AdminSecretRef: &v1alpha1.LocalReference{Name: "admin"}},
		}
		for _, change := range changes {
			change(r)
		}
		return configurationOf(r)
	}
	no := false
	for name, change := range map[string]func(*v1alpha1.SecretRotation){
		"the schedule":   func(r *v1alpha1.SecretRotation) { r.Schedule = "rate(2 days)" },
		"the window":     func(r *v1alpha1.SecretRotation) { r.Duration = "2h" },
		"what of drift":  func(r *v1alpha1.SecretRotation) { r.Postgres.DriftPolicy = v1alpha1.DriftReport },
		"whether it may": func(r *v1alpha1.SecretRotation) { r.Enabled = &no },
	} {
		if of(change) != of() {
			t.Errorf("%s makes it another", name)
		}
	}
	all := map[string]string{"nothing": of()}
	for name, change := range map[string]func(*v1alpha1.SecretRotation){
		"the engine":   func(r *v1alpha1.SecretRotation) { r.MySQL, r.Postgres = r.Postgres, nil },
		"the strategy": func(r *v1alpha1.SecretRotation) { r.Strategy = v1alpha1.RotationAlternatingUsers },
		"the admin":    func(r *v1alpha1.SecretRotation) { r.Postgres.AdminSecretRef.Name = "other" },
		"TLS": func(r *v1alpha1.SecretRotation) {
			r.Postgres.TLS = &v1alpha1.DatabaseTLS{Mode: v1alpha1.DatabaseTLSRequire}
		},
		"a function": func(r *v1alpha1.SecretRotation) {
			r.Postgres, r.Function = nil, &v1alpha1.FunctionRotator{ServiceRef: v1alpha1.ServiceReference{Name: "f"}}
		},
	} {
		digest := of(change)
		if len(digest) > 64 {
			t.Errorf("%s: %d characters", name, len(digest))
		}
		for other, is := range all {
			if is == digest {
				t.Errorf("%s and %s are one configuration", name, other)
			}
		}
		all[name] = digest
	}
	r := &v1alpha1.SecretRotation{Schedule: "rate(1 day)", Enabled: &no, Postgres: &v1alpha1.DatabaseRotator{}}
	before := r.DeepCopy()
	if configurationOf(r); !reflect.DeepEqual(r, before) {
		t.Error("to take the digest changes the object")
	}
}
