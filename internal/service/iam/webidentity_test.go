package iam

import (
	"context"
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
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

func TestATokenIsThreePartsOfWhichTheSecondSaysWhatItIs(t *testing.T) {
	part := base64.RawURLEncoding.EncodeToString
	token := func(claims string) string { return "e30." + part([]byte(claims)) + ".x" }
	for name, c := range map[string]struct {
		token string
		want  *tokenClaims
	}{
		"one audience":      {token(`{"iss":"https://a","aud":"b","exp":12.5}`), &tokenClaims{Issuer: "https://a", Audience: audience{"b"}, Expires: 12.5}},
		"several audiences": {token(`{"aud":["b","c"]}`), &tokenClaims{Audience: audience{"b", "c"}}},
		"nothing":           {token(`{}`), &tokenClaims{}},
		"empty":             {"", nil},
		"two parts":         {"e30.e30", nil},
		"four parts":        {"e30.e30.e30.e30", nil},
		"padded":            {"e30.e30=.x", nil},
		"no JSON":           {"e30." + part([]byte("{")) + ".x", nil},
		"a number":          {token(`{"aud":1}`), nil},
		"an audience twice": {token(`{"aud":"a","aud":"` + TokenAudience + `"}`), nil},
		"too long":          {token(`{}`) + strings.Repeat("x", MaximumWebIdentityToken), nil},
	} {
		got, err := parseToken(c.token)
		if !reflect.DeepEqual(got, c.want) || (c.want == nil) != errors.Is(err, ErrTokenMalformed) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// The service has nothing to ask: whoever comes to that fails.
func TestATokenThatCannotBeOursIsRefusedWithoutAsking(t *testing.T) {
	s := &Service{Now: func() time.Time { return time.Unix(1000, 0) }}
	token := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
	}
	for claims, want := range map[string]error{
		`{"aud":"else","exp":2000}`:                   ErrTokenAudience,
		`{"exp":2000}`:                                ErrTokenAudience,
		`{"aud":"` + TokenAudience + `.","exp":2000}`: ErrTokenAudience,
		`{"aud":"` + TokenAudience + `","exp":1000}`:  ErrTokenExpired,
		`{"aud":"` + TokenAudience + `","exp":999.5}`: ErrTokenExpired,
		`{"aud":"` + TokenAudience + `","nbf":1061}`:  ErrTokenRejected,
		`{"aud":"` + TokenAudience + `","sub":"a"}`:   ErrTokenSubject,
	} {
		if _, err := s.ReviewToken(t.Context(), token(claims)); !errors.Is(err, want) {
			t.Errorf("%s: %v, not %v", claims, err, want)
		}
	}
	if _, err := s.ReviewToken(t.Context(), "a.b"); !errors.Is(err, ErrTokenMalformed) {
		t.Errorf("%v", err)
	}
}

func TestReviewsAreBoundedAndWhoWaitsMayGiveUp(t *testing.T) {
	for range cap(reviews) {
		reviews <- struct{}{}
	}
	defer func() {
		for range cap(reviews) {
			<-reviews
		}
	}()
	s := &Service{Now: func() time.Time { return time.Unix(1000, 0) }, Cache: NewCache(nil)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"aud":"`+TokenAudience+`","sub":"system:serviceaccount:shop:app"}`)) + ".x"
	if _, err := s.ReviewToken(ctx, token); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), token) {
		t.Errorf("%v", err)
	}
}

func TestAProviderIsTheIssuerWithoutItsScheme(t *testing.T) {
	who := &WebIdentity{Namespace: "shop", ServiceAccount: "app", Issuer: "https://kubernetes.default.svc"}
	if who.Provider() != "kubernetes.default.svc" || who.ProviderARN("123456789012") != "arn:aws:iam::123456789012:oidc-provider/kubernetes.default.svc" ||
		who.Subject() != "system:serviceaccount:shop:app" {
		t.Errorf("%+v", who)
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
