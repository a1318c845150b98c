package iam

import (
	"context"
	"encoding/base64"
	"encoding/json/v2"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// TokenAudience is the audience that a service account's token must have, as the SDKs' and EKS's tokens have it.
const TokenAudience = "sts.amazonaws.com"

// MaximumWebIdentityToken is the longest token of a service account that is looked at, in bytes: AWS's limit.
const MaximumWebIdentityToken = 20000

var (
	// ErrTokenMalformed says that a web identity token is not a JWT.
	ErrTokenMalformed = errors.New("the token is not a JSON Web Token")
	// ErrTokenExpired says that it is over.
	ErrTokenExpired = errors.New("the token is expired")
	// ErrTokenAudience says that it is for somebody else.
	ErrTokenAudience = errors.New("the token has another audience than " + TokenAudience)
	// ErrTokenRejected says that the API server did not make it, or takes it no longer: its pod or service account is gone.
	ErrTokenRejected = errors.New("the API server does not accept the token")
	// ErrTokenSubject says that it is not a service account's.
	ErrTokenSubject = errors.New("the token is not a service account's")
)

// WebIdentity is whose a token is, by the word of the API server.
type WebIdentity struct {
	// Namespace and ServiceAccount are its subject.
	Namespace, ServiceAccount string
	// Issuer of the token, such as https://kubernetes.default.svc.cluster.local.
	Issuer string
}

// Subject is the token's: system:serviceaccount:NAMESPACE:NAME.
func (w *WebIdentity) Subject() string {
	return subjectPrefix + w.Namespace + ":" + w.ServiceAccount
}

// Provider is the issuer as ARNs and condition keys have it: without https://.
func (w *WebIdentity) Provider() string { return strings.TrimPrefix(w.Issuer, "https://") }

// ProviderARN is the identity provider that a trust policy of an account names as Federated.
// https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html
func (w *WebIdentity) ProviderARN(account string) string {
	return "arn:aws:iam::" + account + ":oidc-provider/" + w.Provider()
}

const subjectPrefix = "system:serviceaccount:"

// tokenClaims are what a token says of itself. Nothing of it is believed before the API server has accepted the token; before
// that it only chooses between words of a refusal.
type tokenClaims struct {
	Issuer   string   `json:"iss"`
	Audience audience `json:"aud"`
	Expires  float64  `json:"exp"`
	Begins   float64  `json:"nbf"`
	Subject  string   `json:"sub"`
}

// audience is one or several.
type audience []string

// UnmarshalJSON reads "a" and ["a"].
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

func parseToken(token string) (*tokenClaims, error) {
	parts := strings.Split(token, ".")
	if len(token) > MaximumWebIdentityToken || len(parts) != 3 {
		return nil, ErrTokenMalformed
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, ErrTokenMalformed
	}
	c := &tokenClaims{}
	if err := json.Unmarshal(payload, c); err != nil {
		return nil, ErrTokenMalformed
	}
	return c, nil
}

// ReviewToken asks the API server whose a service account's token is, with one TokenReview for the audience TokenAudience. The
// API server looks whether the token's service account, and the pod that it is bound to, are there still. A token that cannot
// be one of its own is refused without asking, by what it says of itself and by its signature, and so is one that was refused within refusalAge.
//
// It fails with ErrTokenMalformed, ErrTokenExpired, ErrTokenAudience, ErrTokenRejected and ErrTokenSubject; any other error says
// that the API server could not be asked. No error quotes the token.
func (s *Service) ReviewToken(ctx context.Context, token string) (*WebIdentity, error) {
	claims, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	if err := claims.foreign(s.Now()); err != nil {
		return nil, err
	}
	if err := s.Cache.tokens.before(token, claims.Issuer, s.Now()); err != nil {
		return nil, err
	}
	if err := s.unsigned(ctx, token); err != nil {
		return nil, err
	}
	select { // whoever calls here is nobody yet: the API server is not asked for more at once
	case reviews <- struct{}{}:
		defer func() { <-reviews }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the review of a token: %w", ctx.Err())
	}
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{TokenAudience}}}
	if err := s.Tokens.Create(ctx, review); err != nil {
		return nil, fmt.Errorf("asking the API server for the review of a token: %w", err)
	}
	who, err := reviewed(claims, &review.Status, s.Now())
	s.Cache.tokens.learn(token, claims.Issuer, err)
	return who, err
}

// aheadOfUs is how far the API server's clock may be ahead of this one.
const aheadOfUs = time.Minute

// foreign is why a token is not one of a service account for TokenAudience now, by its own word: nobody needs to be asked. A nil
// error says nothing of whether it is.
func (c *tokenClaims) foreign(now time.Time) error {
	switch {
	case !slices.Contains(c.Audience, TokenAudience):
		return ErrTokenAudience
	case c.Expires > 0 && float64(now.Unix()) >= c.Expires:
		return ErrTokenExpired
	case c.Begins > float64(now.Add(aheadOfUs).Unix()):
		return ErrTokenRejected
	case !strings.HasPrefix(c.Subject, subjectPrefix):
		return ErrTokenSubject
	}
	return nil
}

// reviews bounds the TokenReviews that are asked for at once.
var reviews = make(chan struct{}, 16)

// reviewed reads the API server's answer.
func reviewed(claims *tokenClaims, status *authenticationv1.TokenReviewStatus, now time.Time) (*WebIdentity, error) {
	if !status.Authenticated {
		if claims.Expires > 0 && float64(now.Unix()) >= claims.Expires {
			return nil, ErrTokenExpired
		}
		return nil, ErrTokenRejected
	}
	// An authenticator that knows no audiences answers none, and may have accepted a token for somebody else.
	if !slices.Contains(status.Audiences, TokenAudience) {
		return nil, ErrTokenAudience
	}
	subject, ok := strings.CutPrefix(status.User.Username, subjectPrefix)
	namespace, name, two := strings.Cut(subject, ":")
	if !ok || !two || namespace == "" || name == "" {
		return nil, ErrTokenSubject
	}
	return &WebIdentity{Namespace: namespace, ServiceAccount: name, Issuer: claims.Issuer}, nil
}

// TrustsServiceAccount tells whether a role's spec.serviceAccounts names a service account. The role's trust policy may say more.
func TrustsServiceAccount(role *v1alpha1.IAMRole, who *WebIdentity) bool {
	for _, reference := range role.Spec.ServiceAccounts {
		namespace, name, ok := strings.Cut(string(reference), "/")
		if !ok {
			namespace, name = role.Namespace, string(reference)
		}
		if namespace == who.Namespace && name == who.ServiceAccount {
			return true
		}
	}
	return false
}
