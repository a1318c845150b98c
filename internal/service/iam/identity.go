// Package iam is the use cases of AWS IAM and STS over IAMUser, IAMRole, IAMGroup and IAMPolicy objects: who a credential is, and
// which policies have a say in what it asks. What it answers comes from the cache, with policies compiled once a change.
package iam

import (
	"errors"
	"time"

	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// IdentityType is CloudTrail's userIdentity.type.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
type IdentityType string

// The types of identities.
const (
	// TypeIAMUser: a user's own access key, or a session that GetSessionToken made of it.
	TypeIAMUser IdentityType = "IAMUser"
	// TypeAssumedRole: a session of a role.
	TypeAssumedRole IdentityType = "AssumedRole"
	// TypeWebIdentityUser: the caller of AssumeRoleWithWebIdentity, who has no credential yet.
	TypeWebIdentityUser IdentityType = "WebIdentityUser"
	// TypeUnknown: the caller of an unsigned operation.
	TypeUnknown IdentityType = "Unknown"
)

// Identity is an authenticated caller. It is immutable and may be shared by requests.
type Identity struct {
	Type IdentityType
	// Principal is what policies know the caller by.
	Principal iam.Principal
	// Namespace is the account's.
	Namespace string
	// UserID is the unique id: AIDA… of a user, AROA…:SESSION of a session.
	UserID string
	// Name of the user or role, and of the session.
	Name, SessionName string
	// AccessKeyID of the credential, empty for a caller without.
	AccessKeyID string
	// Identity, Boundary and Session are what iam.Policies wants of them.
	Identity []*iam.Policy
	Boundary *iam.Policy
	Session  []*iam.Policy
	// Tags of the principal, with those of the session over them: aws:PrincipalTag/KEY. Keys are in lower case. Each has
	// one value, but for tags of a manifest whose keys differ in the case of letters beyond ASCII alone, which AWS IAM refuses: then it has that of each, see iam.TagValues.
	Tags map[string][]string
	// TransitiveTags are those of the session's tags that a role that is assumed from it has too, in their own case.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_role-chaining
	TransitiveTags map[string]string
	// Issued and Expires are when a session's credentials were made and end; zero for a user's own access key.
	Issued, Expires time.Time
	// SourceIdentity of the session, if one was set.
	SourceIdentity string
}

// Credential is an access key whose signature is to be checked.
type Credential struct {
	Identity *Identity
	// Secret is the secret access key. It belongs to the service: read it only until the next call, and do not wipe it.
	Secret secretbytes.Bytes
}

var (
	// ErrUnknownAccessKey says that nobody has the access key, or that it is inactive, or the session's role is gone.
	ErrUnknownAccessKey = errors.New("the security token included in the request is invalid")
	// ErrExpiredToken says that the session is over.
	ErrExpiredToken = errors.New("the security token included in the request is expired")
)
