package secretsmanager

import (
	"strings"

	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/objectname"
)

// MaximumName is the length of a secret's name.
const MaximumName = 512

// suffixLength is that of the characters at the end of a secret's ARN, with the hyphen before them.
const suffixLength = 7

// UnknownSuffix stands in an ARN for the six characters of a secret that is not there. Policies whose patterns are made for
// those characters (NAME-??????, NAME-*) match it as they match a secret that is there.
const UnknownSuffix = "??????"

// ID is what a request names a secret by: a name, a complete ARN, or an ARN without the six characters at its end.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html#ARN_secretnamehyphen
type ID struct {
	// Given is the request's text.
	Given string
	// ARN is Given if it is a complete ARN. One that ends in a hyphen and six characters is taken for complete.
	ARN string
	// Region and Account of an ARN, complete or not; empty for a name.
	Region, Account string
	// Name of the secret.
	Name string
}

// ParseID reads a SecretId. The error is AWS's ValidationException and tells of the text alone.
func ParseID(given string) (ID, error) {
	id := ID{Given: given, Name: given}
	if strings.HasPrefix(given, "arn:") {
		parts := strings.SplitN(given, ":", 7)
		if len(parts) != 7 || parts[1] != arn.Partition || parts[2] != "secretsmanager" || parts[5] != "secret" ||
			parts[3] == "" || arn.ValidateAccount(parts[4]) != nil {
			return ID{}, InvalidName()
		}
		id.Region, id.Account, id.Name = parts[3], parts[4], parts[6]
		if at := len(id.Name) - suffixLength; at > 0 && isSuffix(id.Name[at:]) {
			id.ARN, id.Name = given, id.Name[:at]
		}
	}
	return id, CheckName(id.Name)
}

// means tells whether the id is of the secret that has an ARN, and not of another one under its name.
func (id *ID) means(found string) bool {
	return (id.ARN == "" || id.ARN == found) && (id.Account == "" || id.Account == arn.Account(found))
}

func isSuffix(s string) bool {
	if s[0] != '-' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !alphanumeric(s[i]) {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// CheckName says whether a text can be the name of a secret, as AWS says it.
func CheckName(name string) error {
	if name == "" || len(name) > MaximumName {
		return InvalidName()
	}
	for i := range len(name) {
		if !alphanumeric(name[i]) && !strings.ContainsRune("/_+=.@-", rune(name[i])) {
			return InvalidName()
		}
	}
	return nil
}

// InvalidName is AWS's error for a text that is no name of a secret.
func InvalidName() error {
	return &smithy.GenericAPIError{
		Code:    "ValidationException",
		Message: "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
		Fault:   smithy.FaultClient,
	}
}

// PolicyARN is the ARN that policies are asked about for a secret that is not there: the complete one that the request
// names, or one of UnknownSuffix.
func (id *ID) PolicyARN(region, account string) string {
	if id.ARN != "" {
		return id.ARN
	}
	if id.Account != "" {
		region, account = id.Region, id.Account
	}
	return arn.Secret(region, account, id.Name, UnknownSuffix)
}

// objectName is metadata.name of a Secret that is made through the API: the AWS name if that is a name for Kubernetes too and
// the region is home, and else one that is derived from both.
func (s *Service) objectName(region, name string) string {
	return objectname.Of("secret", region, name, region == s.Region)
}

// derivedName is an object's name when the first choice is taken.
func derivedName(region, name string) string { return objectname.Derived("secret", region, name) }
