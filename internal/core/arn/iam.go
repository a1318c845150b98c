package arn

import (
	"crypto/sha256"
	"encoding/base32"
)

// IAMUser is the ARN of a user of an account. The path begins and ends with a slash: / for none.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
func IAMUser(account, path, name string) string { return iam(account, "user"+path+name) }

// IAMRole is the ARN of a role of an account. The path begins and ends with a slash: / for none.
func IAMRole(account, path, name string) string { return iam(account, "role"+path+name) }

// IAMGroup is the ARN of a group of an account. The path begins and ends with a slash: / for none.
func IAMGroup(account, path, name string) string { return iam(account, "group"+path+name) }

// IAMPolicy is the ARN of a managed policy of an account. The path begins and ends with a slash: / for none.
func IAMPolicy(account, path, name string) string { return iam(account, "policy"+path+name) }

// AWSAccount stands for the account id in the ARNs of the policies that every account has: arn:aws:iam::aws:policy/NAME.
const AWSAccount = "aws"

// iam makes an ARN of IAM, which has no region.
func iam(account, resource string) string { return join("iam", "", account, resource) }

// IDPrefix is the first four letters of an IAM object's unique id.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
type IDPrefix string

// The prefixes of unique ids.
const (
	UserID   IDPrefix = "AIDA"
	RoleID   IDPrefix = "AROA"
	GroupID  IDPrefix = "AGPA"
	PolicyID IDPrefix = "ANPA"
)

// uniqueIDLength is how many characters follow the prefix, of 5 bits each.
const uniqueIDLength = 17

// UniqueID is an IAM object's unique id: the prefix and 17 characters of A-Z2-7. They derive from the Kubernetes object's UID,
// which is random and new for each object: a crash before the id is stored changes nothing, and an object that is made again
// under its name has another.
func UniqueID(prefix IDPrefix, uid string) string {
	sum := sha256.Sum256([]byte("iam-unique-id\x00" + string(prefix) + "\x00" + uid))
	return string(prefix) + base32.StdEncoding.EncodeToString(sum[:])[:uniqueIDLength]
}
