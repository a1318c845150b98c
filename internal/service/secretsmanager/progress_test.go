package secretsmanager_test

import (
	"fmt"
	"slices"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// with is a Secret with versions v1, v2, … under these stages.
func with(stages ...[]string) *v1alpha1.Secret {
	s := &v1alpha1.Secret{}
	for i, held := range stages {
		s.Status.Versions = append(s.Status.Versions, v1alpha1.SecretVersion{VersionID: fmt.Sprint("v", i+1), Sequence: int64(i + 1), Stages: held})
	}
	return s
}

// rotating is the Secret while a rotation brings a version in, and under test while a copy of it is tested with.
func rotating(s *v1alpha1.Secret, id string) *v1alpha1.Secret {
	s.Status.Rotation = &v1alpha1.RotationStatus{VersionID: id}
	return s
}

func underTest(s *v1alpha1.Secret, id string) *v1alpha1.Secret {
	s.Status.RotationTest = &v1alpha1.RotationTestStatus{PendingVersionID: id}
	return s
}

var (
	current = []string{"AWSCURRENT"}
	pending = []string{"AWSPENDING"}
	both    = []string{"AWSCURRENT", "AWSPENDING"}
)

func TestAVersionIsBroughtInIfItIsPendingAndNotForATest(t *testing.T) {
	for name, tt := range map[string]struct {
		secret *v1alpha1.Secret
		want   string
	}{
		"none of no versions":                      {with(), ""},
		"none of one that is in force":             {with(current), ""},
		"the pending one":                          {with(current, pending), "v2"},
		"a first one":                              {with(pending), "v1"},
		"none that is in force already":            {with(nil, both), ""},
		"none that is there for a test":            {underTest(with(current, pending), "v2"), ""},
		"one that was put while another is tested": {underTest(with(current, nil, pending), "v2"), "v3"},
		"one after a test has ended":               {underTest(with(current, pending), ""), "v2"},
	} {
		v, is := secretsmanager.Pending(tt.secret, secretsmanager.IndexOf(tt.secret))
		if v.ID != tt.want || is != (tt.want != "") {
			t.Errorf("%s: %q, %t", name, v.ID, is)
		}
	}
}

func TestReplicasHaveWhatIsBroughtInWhenItIsInForce(t *testing.T) {
	for name, tt := range map[string]struct {
		secret *v1alpha1.Secret
		// has are the stages of v1, v2, … at the replicas.
		has [][]string
	}{
		"a version in force":                       {with(current), [][]string{current}},
		"one that a rotation brings in":            {rotating(with(current, pending), "v2"), [][]string{current, nil}},
		"one that was put and nothing brings in":   {with(current, pending), [][]string{current, pending}},
		"one that was put beside a rotation":       {rotating(with(current, pending), "v3"), [][]string{current, pending}},
		"one that has come in and keeps its label": {rotating(with(nil, both), "v2"), [][]string{nil, both}},
		"a copy for a test":                        {underTest(with(current, pending), "v2"), [][]string{current, nil}},
		"one that was put beside a copy":           {underTest(with(current, nil, pending), "v2"), [][]string{current, nil, pending}},
	} {
		before := tt.secret.DeepCopy()
		ix := secretsmanager.Replicated(tt.secret)
		if len(ix) != len(tt.has) {
			t.Fatalf("%s: %v", name, ix)
		}
		for i, v := range ix {
			if !slices.Equal(v.Stages, tt.has[i]) {
				t.Errorf("%s: %s has %v", name, v.ID, v.Stages)
			}
		}
		for i := range before.Status.Versions {
			if !slices.Equal(before.Status.Versions[i].Stages, tt.secret.Status.Versions[i].Stages) {
				t.Errorf("%s: the primary is changed", name)
			}
		}
	}
}
