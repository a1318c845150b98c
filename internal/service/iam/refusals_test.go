package iam

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestATokenThatIsForeignByItsOwnWordNeedNotBeAskedFor(t *testing.T) {
	now := time.Unix(1000, 0)
	good := func() *tokenClaims {
		return &tokenClaims{Audience: audience{"else", TokenAudience}, Expires: 2000, Begins: 1050, Subject: "system:serviceaccount:shop:app"}
	}
	for name, c := range map[string]struct {
		change func(*tokenClaims)
		want   error
	}{
		"one that may be":             {func(*tokenClaims) {}, nil},
		"without an end":              {func(c *tokenClaims) { c.Expires = 0 }, nil},
		"for nobody":                  {func(c *tokenClaims) { c.Audience = nil }, ErrTokenAudience},
		"for somebody else":           {func(c *tokenClaims) { c.Audience = audience{"else"} }, ErrTokenAudience},
		"that is over":                {func(c *tokenClaims) { c.Expires = 1000 }, ErrTokenExpired},
		"that is good in two minutes": {func(c *tokenClaims) { c.Begins = 1120 }, ErrTokenRejected},
		"of a person":                 {func(c *tokenClaims) { c.Subject = "alice" }, ErrTokenSubject},
		"of nobody":                   {func(c *tokenClaims) { c.Subject = "" }, ErrTokenSubject},
	} {
		claims := good()
		c.change(claims)
		if err := claims.foreign(now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// reviewer is an API server that counts what it is asked, and refuses or accepts everything.
type reviewer struct {
	client.Writer
	asked   int
	accepts bool
	err     error
}

func (r *reviewer) Create(_ context.Context, obj client.Object, _ ...client.CreateOption) error {
	r.asked++
	status := &obj.(*authenticationv1.TokenReview).Status
	status.Authenticated, status.Audiences = r.accepts, []string{TokenAudience}
	status.User.Username = "system:serviceaccount:shop:app"
	return r.err
}

// made is a token with an issuer, and a signature of nobody's.
func made(issuer, signature string) string {
	payload := `{"iss":"` + issuer + `","aud":["sts.amazonaws.com"],"exp":5000,"sub":"system:serviceaccount:shop:app"}`
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + signature
}

func TestARefusedTokenIsNotAskedForAgainForAShortTime(t *testing.T) {
	now := time.Unix(1000, 0)
	clock := func() time.Time { return now }
	api := &reviewer{}
	s := &Service{Tokens: api, Now: clock, Cache: NewCache(clock)}
	ask := func(token string, want error, asked int) {
		t.Helper()
		before := api.asked
		if _, err := s.ReviewToken(t.Context(), token); !errors.Is(err, want) {
			t.Errorf("%v", err)
		}
		if got := api.asked - before; got != asked {
			t.Errorf("asked %d times, not %d", got, asked)
		}
	}
	ask(made("us", "a"), ErrTokenRejected, 1)
	ask(made("us", "a"), ErrTokenRejected, 0)
	ask(made("us", "b"), ErrTokenRejected, 1) // another token
	now = now.Add(refusalAge + time.Second)
	ask(made("us", "a"), ErrTokenRejected, 1)
	api.err = errors.New("the API server is away")
	ask(made("us", "c"), api.err, 1)
	api.err, api.accepts = nil, true
	ask(made("us", "c"), nil, 1) // that it could not be asked was no refusal
	ask(made("us", "c"), nil, 1) // nothing but the API server's word of now lets a token pass
}

func TestRefusalsAreBoundedInNumber(t *testing.T) {
	tokens := newTokens(clock(time.Now))
	for i := range maximumRefusals + 100 {
		tokens.learn(strconv.Itoa(i), "us", ErrTokenRejected)
	}
	if n := len(tokens.refused.Keys()); n != maximumRefusals {
		t.Errorf("%d are remembered", n)
	}
}

func TestNothingOfATokenIsRemembered(t *testing.T) {
	one, other := newTokens(clock(time.Now)), newTokens(clock(time.Now))
	if one.name("token") == other.name("token") || one.name("token") == sha256.Sum256([]byte("token")) {
		t.Error("the name of a token is the same elsewhere")
	}
	again := one.name("token")
	if one.name("token") != again || one.name("token") == one.name("other") {
		t.Error("the name of a token is not its own")
	}
}

func TestStrangersAreAskedForAFewTimesASecondOnceTheClustersIssuerIsKnown(t *testing.T) {
	now := time.Unix(1000, 0)
	clock := func() time.Time { return now }
	api := &reviewer{}
	s := &Service{Tokens: api, Now: clock, Cache: NewCache(clock)}
	forged := 0
	forge := func(issuer string, n int) (asked int) {
		before := api.asked
		for range n {
			forged++
			_, _ = s.ReviewToken(t.Context(), made(issuer, strconv.Itoa(forged)))
		}
		return api.asked - before
	}
	if got := forge("them", 20); got != 20 {
		t.Errorf("before an issuer is known %d of 20 were asked for", got)
	}
	api.accepts = true
	if _, err := s.ReviewToken(t.Context(), made("us", "good")); err != nil {
		t.Fatal(err)
	}
	api.accepts = false
	if got := forge("them", 20); got != strangersAtOnce {
		t.Errorf("%d strangers of 20 were asked for", got)
	}
	if got := forge("us", 20); got != 20 {
		t.Errorf("%d of the cluster's own were asked for", got)
	}
	if _, err := s.ReviewToken(t.Context(), made("them", "last")); !errors.Is(err, errStranger) {
		t.Errorf("it is to be told that it may be tried again: %v", err)
	}
	now, api.accepts = now.Add(time.Second), true
	if _, err := s.ReviewToken(t.Context(), made("new", "good")); err != nil { // the cluster has a new issuer
		t.Fatal(err)
	}
	if got := forge("new", 20); got != 20 {
		t.Errorf("%d of 20 of the new issuer were asked for", got)
	}
}
