package iam

import (
	"errors"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestTheAPIServersAnswerIsBelievedForOurAudienceAndServiceAccountsAlone(t *testing.T) {
	now := time.Unix(1000, 0)
	accepted := func(user string, audiences ...string) authenticationv1.TokenReviewStatus {
		return authenticationv1.TokenReviewStatus{Authenticated: true, Audiences: audiences, User: authenticationv1.UserInfo{Username: user}}
	}
	for name, c := range map[string]struct {
		status authenticationv1.TokenReviewStatus
		want   error
	}{
		"a service account":         {accepted("system:serviceaccount:shop:app", TokenAudience), nil},
		"no audiences":              {accepted("system:serviceaccount:shop:app"), ErrTokenAudience},
		"another audience":          {accepted("system:serviceaccount:shop:app", "else"), ErrTokenAudience},
		"a user":                    {accepted("alice", TokenAudience), ErrTokenSubject},
		"a service account unnamed": {accepted("system:serviceaccount:shop:", TokenAudience), ErrTokenSubject},
		"not authenticated":         {authenticationv1.TokenReviewStatus{}, ErrTokenRejected},
	} {
		who, err := reviewed(&tokenClaims{Expires: 2000}, &c.status, now)
		if !errors.Is(err, c.want) || err == nil && who.Subject() != "system:serviceaccount:shop:app" {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	if _, err := reviewed(&tokenClaims{Expires: 1000}, &authenticationv1.TokenReviewStatus{}, now); !errors.Is(err, ErrTokenExpired) {
		t.Errorf("an expired token: %v", err)
	}
}

func TestARoleNamesServiceAccountsOfItsNamespaceOrInFull(t *testing.T) {
	role := &v1alpha1.IAMRole{}
	role.Namespace = "shop"
	role.Spec.ServiceAccounts = []v1alpha1.ServiceAccountReference{"app", "other/job"}
	for who, want := range map[WebIdentity]bool{
		{Namespace: "shop", ServiceAccount: "app"}: true, {Namespace: "other", ServiceAccount: "job"}: true,
		{Namespace: "other", ServiceAccount: "app"}: false, {Namespace: "shop", ServiceAccount: "job"}: false,
	} {
		if got := TrustsServiceAccount(role, &who); got != want {
			t.Errorf("%+v: %v", who, got)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("e30.eyJhdWQiOlsiYSJdLCJleHAiOjF9.x")
	f.Add("e30.eyJhdWQiOiJhIn0.x")
	f.Fuzz(func(t *testing.T, token string) {
		if c, err := parseToken(token); (c == nil) != (err != nil) || err != nil && !errors.Is(err, ErrTokenMalformed) {
			t.Fatalf("%+v, %v", c, err)
		}
	})
}
