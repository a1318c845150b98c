package iam

import (
	"context"
	"encoding/base64"
	"encoding/json/v2"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/accesskey"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// The limits of sessions.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	// MaximumToken is the longest session token, in bytes. AWS's own grow to about half of it.
	MaximumToken = 8 << 10
	// MaximumSessionPolicy is the longest inline session policy, in characters.
	MaximumSessionPolicy = 2048
	// MaximumSessionPolicyARNs is how many managed policies may limit a session.
	MaximumSessionPolicyARNs = 10
	// MaximumSessionTags is how many tags a session may have, those of its caller's that are transitive included.
	MaximumSessionTags = 50
)

var (
	// ErrPackedPolicyTooLarge says that the session's policies and tags do not fit into a token.
	ErrPackedPolicyTooLarge = errors.New("the total packed size of the session policies and session tags is over the limit")
	// ErrSessionPolicy says that a session policy is malformed, or too long, or not there. It is AWS's MalformedPolicyDocument.
	ErrSessionPolicy = errors.New("the session policy cannot be used")
)

// claims are what a token says of its session, besides its access key id, which it is sealed to, and its secret. They are
// readable by Strongroom alone.
type claims struct {
	Kind      kind      `json:"k"`
	Namespace string    `json:"ns"`
	Object    string    `json:"o"`
	UID       types.UID `json:"u"`
	// Key is the user's access key that a session of GetSessionToken was made with.
	Key        string            `json:"ak,omitempty"`
	Name       string            `json:"n,omitempty"`
	Issued     int64             `json:"i"`
	Expires    int64             `json:"e"`
	Policy     string            `json:"p,omitempty"`
	PolicyARNs []string          `json:"pa,omitempty"`
	Tags       map[string]string `json:"t,omitempty"`
	Transitive []string          `json:"tt,omitempty"`
	Source     string            `json:"s,omitempty"`
}

// SessionRequest is a session of a role to make. Who may have it is decided before.
type SessionRequest struct {
	Role *v1alpha1.IAMRole
	// Name of the session.
	Name string
	// Duration from now.
	Duration time.Duration
	// Policy is an inline session policy, empty for none; PolicyARNs are managed ones.
	Policy     string
	PolicyARNs []string
	// Tags of the session, and the keys of those that are transitive.
	Tags       map[string]string
	Transitive []string
	// SourceIdentity, empty for none.
	SourceIdentity string
}

// Session is a new session's credentials.
type Session struct {
	AccessKeyID string
	// Secret is the secret access key. The caller wipes it.
	Secret  secretbytes.Bytes
	Token   string
	Expires time.Time
	// ARN and ID of the session: arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION and AROA…:SESSION.
	ARN, ID string
	// Packed is how much of a token's greatest length is used, in percent.
	Packed int32
}

// SessionARN is the ARN of a role's session.
func SessionARN(role *v1alpha1.IAMRole, session string) string {
	return "arn:aws:sts::" + arn.Account(role.Status.ARN) + ":assumed-role/" + role.AWSName() + "/" + session
}

// IssueSession makes a session of a role. Nothing is stored: the token holds all of the session, so that every replica can tell
// what it is. A session ends with its time, and with the role: a role that is made again under the name does not have it. To
// end all sessions of a role that were made before some time, give it a policy that denies everything where
// aws:TokenIssueTime is before it, as AWS's own console does.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
//
// It fails with ErrSessionPolicy and ErrPackedPolicyTooLarge, and keyring.ErrSealed.
func (s *Service) IssueSession(ctx context.Context, r *SessionRequest) (*Session, error) {
	if err := s.checkSessionPolicies(ctx, r); err != nil {
		return nil, err
	}
	now := s.Now()
	c := &claims{
		Kind: roleKind, Namespace: r.Role.Namespace, Object: r.Role.Name, UID: r.Role.UID,
		Name: r.Name, Issued: now.Unix(), Expires: now.Add(r.Duration).Unix(),
		Policy: r.Policy, PolicyARNs: r.PolicyARNs, Tags: r.Tags, Transitive: r.Transitive, Source: r.SourceIdentity,
	}
	session, err := s.seal(arn.Account(r.Role.Status.ARN), c)
	if err != nil {
		return nil, err
	}
	session.ARN, session.ID = SessionARN(r.Role, r.Name), r.Role.Status.UniqueID+":"+r.Name
	return session, nil
}

// ErrNoUser says that a session was asked for who is not a user with an access key of its own.
var ErrNoUser = errors.New("only a user with an access key has such sessions")

// IssueUserSession makes a session of the user that an identity is, as GetSessionToken does. It may do what the user may, and
// ends with the user, and with the access key that it was made with: AWS lets it live on after that key, which is of no use but
// to whoever stole it. It fails with ErrNoUser.
func (s *Service) IssueUserSession(ctx context.Context, id *Identity, duration time.Duration) (*Session, error) {
	if id.Type != TypeIAMUser || !id.Issued.IsZero() {
		return nil, ErrNoUser
	}
	user, err := s.userByARN(ctx, id.Namespace, id.Principal.ARN)
	if err != nil {
		return nil, err
	}
	if user == nil || activeKey(user, id.AccessKeyID) == nil {
		return nil, ErrNoUser
	}
	now := s.Now()
	return s.seal(id.Principal.Account, &claims{
		Kind: userKind, Namespace: user.Namespace, Object: user.Name, UID: user.UID, Key: id.AccessKeyID,
		Issued: now.Unix(), Expires: now.Add(duration).Unix(),
	})
}

func (s *Service) checkSessionPolicies(ctx context.Context, r *SessionRequest) error {
	if n := utf8.RuneCountInString(r.Policy); n > MaximumSessionPolicy {
		return fmt.Errorf("%w: it has %d characters and the limit is %d", ErrSessionPolicy, n, MaximumSessionPolicy)
	}
	if len(r.PolicyARNs) > MaximumSessionPolicyARNs {
		return fmt.Errorf("%w: there are %d managed policies and the limit is %d", ErrSessionPolicy, len(r.PolicyARNs), MaximumSessionPolicyARNs)
	}
	if len(r.Tags) > MaximumSessionTags {
		return fmt.Errorf("%w: there are %d session tags and the limit is %d", ErrPackedPolicyTooLarge, len(r.Tags), MaximumSessionTags)
	}
	if r.Policy != "" {
		if _, err := iam.Parse([]byte(r.Policy), iam.Identity); err != nil {
			return fmt.Errorf("%w: %w", ErrSessionPolicy, err)
		}
	}
	for _, arn := range r.PolicyARNs {
		policy, err := s.managed(ctx, r.Role.Namespace, arn, &permissions{})
		if err != nil {
			return err
		}
		if policy == nil {
			return fmt.Errorf("%w: the role's account has no usable policy %s", ErrSessionPolicy, arn)
		}
	}
	return nil
}

// tokenBinding ties a token to its access key id, and to what it is.
func tokenBinding(accessKeyID string) keys.Context {
	return keys.Context{"purpose": "sts-session", "accessKeyId": accessKeyID}
}

// seal makes an access key and the token that holds its session. The plaintext is the secret and then the claims, so that no
// JSON encoder sees the secret.
func (s *Service) seal(account string, c *claims) (*Session, error) {
	ring, err := s.Keyring.Get()
	if err != nil {
		return nil, err
	}
	id, err := accesskey.New(s.Random, accesskey.Temporary, account)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(c, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("writing a session token: %w", err)
	}
	secret, err := accesskey.NewSecret(s.Random)
	if err != nil {
		return nil, err
	}
	var plaintext secretbytes.Bytes
	secretbytes.Do(func() { plaintext = secretbytes.Own(slices.Concat(secret.Reveal(), body)) })
	defer plaintext.Wipe()
	sealed, err := ring.Seal(keys.KindSessionToken, tokenBinding(id), plaintext)
	if err != nil {
		secret.Wipe()
		if errors.Is(err, keys.ErrTooLarge) {
			err = ErrPackedPolicyTooLarge
		}
		return nil, err
	}
	token := tokenEncoding.EncodeToString(sealed)
	if len(token) > MaximumToken {
		secret.Wipe()
		return nil, fmt.Errorf("%w: the token would have %d bytes and the limit is %d", ErrPackedPolicyTooLarge, len(token), MaximumToken)
	}
	return &Session{
		AccessKeyID: id, Secret: secret, Token: token, Expires: time.Unix(c.Expires, 0).UTC(),
		Packed: int32((len(token)*100 + MaximumToken - 1) / MaximumToken),
	}, nil
}

// tokenEncoding is strict: one session has one token, and not several that differ in bits that mean nothing.
var tokenEncoding = base64.StdEncoding.Strict()

// open reads a token. Whatever is wrong with it is ErrUnknownAccessKey: it is not from here, or not whole, or another key's.
func (s *Service) open(accessKeyID, token string) (c *claims, secret secretbytes.Bytes, err error) {
	if strings.ContainsAny(token, "\r\n") { // which the decoder skips
		return nil, secret, ErrUnknownAccessKey
	}
	sealed, err := tokenEncoding.DecodeString(token)
	if err != nil {
		return nil, secret, ErrUnknownAccessKey
	}
	plaintext, err := s.Keyring.Open(keys.KindSessionToken, tokenBinding(accessKeyID), sealed)
	if errors.Is(err, keyring.ErrSealed) {
		return nil, secret, err
	}
	if err != nil || plaintext.Len() <= accesskey.SecretLength {
		return nil, secret, ErrUnknownAccessKey
	}
	defer plaintext.Wipe()
	c = &claims{}
	if err := json.Unmarshal(plaintext.Reveal()[accesskey.SecretLength:], c); err != nil {
		return nil, secret, ErrUnknownAccessKey
	}
	secretbytes.Do(func() { secret = secretbytes.Copy(plaintext.Reveal()[:accesskey.SecretLength]) })
	return c, secret, nil
}

// session looks the session of a token up.
func (s *Service) session(ctx context.Context, accessKeyID, token string) (*known, error) {
	c, secret, err := s.open(accessKeyID, token)
	if err != nil {
		return nil, err
	}
	if now := s.Now().Unix(); now >= c.Expires {
		return nil, ErrExpiredToken
	}
	switch c.Kind {
	case roleKind:
		return s.roleSession(ctx, accessKeyID, c, secret)
	case userKind:
		return s.userSession(ctx, accessKeyID, c, secret)
	}
	return nil, ErrUnknownAccessKey
}

func (s *Service) roleSession(ctx context.Context, accessKeyID string, c *claims, secret secretbytes.Bytes) (*known, error) {
	role := &v1alpha1.IAMRole{}
	if err := s.owner(ctx, roleKind, c, role); err != nil {
		return nil, err
	}
	if owned, err := s.owns(ctx, role.Namespace, role.Status.ARN); !owned || err != nil {
		return nil, unknownOr(err)
	}
	p, err := s.permissions(ctx, roleKind, role, &role.Spec.Permissions)
	if err != nil {
		return nil, err
	}
	if err := s.limit(ctx, role.Namespace, p, c); err != nil {
		return nil, err
	}
	identity := p.identity()
	identity.Type = TypeAssumedRole
	identity.Principal.Account = arn.Account(role.Status.ARN)
	identity.Principal.ARN, identity.Principal.RoleARN = SessionARN(role, c.Name), role.Status.ARN
	identity.Namespace, identity.Name, identity.SessionName = role.Namespace, role.AWSName(), c.Name
	identity.Principal.UniqueID = UniqueIDOf(role)
	identity.UserID = role.Status.UniqueID + ":" + c.Name
	identity.Tags = principalTags(role.Spec.Tags, c.Tags)
	identity.TransitiveTags = c.transitive()
	identity.SourceIdentity = c.Source
	identity.timed(accessKeyID, c)
	return s.know(identity, secret, p, sourceOf(roleKind, role)), nil
}

func (s *Service) userSession(ctx context.Context, accessKeyID string, c *claims, secret secretbytes.Bytes) (*known, error) {
	user := &v1alpha1.IAMUser{}
	if err := s.owner(ctx, userKind, c, user); err != nil {
		return nil, err
	}
	if activeKey(user, c.Key) == nil {
		return nil, ErrUnknownAccessKey
	}
	if owned, err := s.owns(ctx, user.Namespace, user.Status.ARN); !owned || err != nil {
		return nil, unknownOr(err)
	}
	p, err := s.permissions(ctx, userKind, user, &user.Spec.Permissions)
	if err != nil {
		return nil, err
	}
	identity := userIdentity(user, p)
	identity.timed(accessKeyID, c)
	return s.know(identity, secret, p, sourceOf(userKind, user)), nil
}

// owner reads the role or user of a session. One that is being deleted, and another under its name, is none.
func (s *Service) owner(ctx context.Context, k kind, c *claims, obj client.Object) error {
	key := client.ObjectKey{Namespace: c.Namespace, Name: c.Object}
	err := s.Client.Get(ctx, key, obj, shared...)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the owner of a session, %s: %w", key, err)
	}
	if err != nil {
		s.Cache.documents.Remove(documentKey{kind: k, name: key})
		return ErrUnknownAccessKey
	}
	if obj.GetUID() != c.UID || obj.GetDeletionTimestamp() != nil {
		return ErrUnknownAccessKey
	}
	return nil
}

func unknownOr(err error) error {
	if err != nil {
		return err
	}
	return ErrUnknownAccessKey
}

func (id *Identity) timed(accessKeyID string, c *claims) {
	id.AccessKeyID = strings.Clone(accessKeyID)
	id.Issued, id.Expires = time.Unix(c.Issued, 0).UTC(), time.Unix(c.Expires, 0).UTC()
}

// transitive are the tags that go on to the next role.
func (c *claims) transitive() map[string]string {
	out := maps.Clone(c.Tags)
	maps.DeleteFunc(out, func(key, _ string) bool {
		return !slices.ContainsFunc(c.Transitive, func(t string) bool { return strings.EqualFold(t, key) })
	})
	return out
}

func lowered(tags map[string]string) map[string][]string {
	out := make(map[string][]string, len(tags))
	for key, value := range tags {
		out[strings.ToLower(key)] = []string{value}
	}
	return out
}
