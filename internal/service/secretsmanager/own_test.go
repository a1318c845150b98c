package secretsmanager_test

import (
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

func TestAnARNIsASecretsOwnByNameAndRegion(t *testing.T) {
	const id = "111122223333"
	for _, tt := range []struct {
		name, region, subject string
		own                   bool
	}{
		{"prod/a", "", arn.Secret("us-east-1", id, "prod/a", "abcdef"), true},
		{"prod/a", "", arn.Secret("eu-west-1", id, "prod/a", "abcdef"), true},
		{"prod/a", "eu-west-1", arn.Secret("eu-west-1", id, "prod/a", "abcdef"), true},
		{"prod/a", "eu-west-1", arn.Secret("us-east-1", id, "prod/a", "abcdef"), false},
		{"prod/a", "", arn.Secret("us-east-1", id, "prod/b", "abcdef"), false},
		{"prod/a", "", arn.Secret("us-east-1", id, "prod/a-b", "abcdef"), false},
		{"prod/a", "", arn.Parameter("us-east-1", id, "/prod/a"), false},
		{"prod/a", "", "", false},
		{"prod/a", "", "no ARN", false},
	} {
		secret := &v1alpha1.Secret{Spec: v1alpha1.SecretSpec{Name: tt.name, Region: tt.region}}
		if got := secretsmanager.IsOwn(secret, tt.subject); got != tt.own {
			t.Errorf("%q of %s in %q: %t, want %t", tt.subject, tt.name, tt.region, got, tt.own)
		}
		s := &secretsmanager.Service{Region: "us-east-1"}
		secret.Status.ARN = tt.subject
		want := ""
		if tt.own {
			want = tt.subject
		}
		if got := s.ARNOf(secret); got != want {
			t.Errorf("the API takes %q of a status to be %q, want %q", tt.subject, got, want)
		}
	}
}
