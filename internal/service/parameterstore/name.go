package parameterstore

import (
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/core/arn"
)

const (
	// maximumARN is the length of a parameter's ARN, and so of its name, in characters.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-parameter-name-constraints.html
	maximumARN = 1011
	// MaximumLevels of a name that is a path.
	MaximumLevels = 15
)

// ID is what a request names a parameter by: a name or an ARN, with a version or a label behind a colon, or without.
type ID struct {
	// Given is the request's text.
	Given string
	// Region and Account of an ARN; empty for a name.
	Region, Account string
	// Name of the parameter, with the slash at its beginning if it has one. Of an ARN, whose names have none, a path gets one.
	Name string
	// Selector is what is behind the colon.
	Selector string
}

// isName tells whether a name is one level, with a slash before it or without, or several with a slash before each. Every request that names a parameter asks it, so it is no regular expression.
func isName(name string) bool {
	levels, slash := strings.CutPrefix(name, "/")
	last := byte('/')
	for i := range len(levels) {
		c := levels[i]
		switch {
		case c == '/' && (!slash || last == '/'):
			return false
		case c != '/' && !isNameCharacter(c):
			return false
		}
		last = c
	}
	return last != '/'
}

func isNameCharacter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
}

// ParseID reads the Name of a request. The error is AWS's ValidationException and tells of the text alone.
func ParseID(given string) (ID, error) {
	id := ID{Given: given}
	rest := given
	if strings.HasPrefix(given, "arn:") {
		parts := strings.SplitN(given, ":", 6)
		if len(parts) != 6 || parts[1] != arn.Partition || parts[2] != "ssm" || parts[3] == "" || arn.ValidateAccount(parts[4]) != nil {
			return id, Invalid("Invalid parameter ARN: " + given)
		}
		name, ok := strings.CutPrefix(parts[5], "parameter/")
		if !ok {
			return id, Invalid("Invalid parameter ARN: " + given)
		}
		id.Region, id.Account, rest = parts[3], parts[4], name
		if path, _, _ := strings.Cut(name, ":"); strings.Contains(path, "/") {
			rest = "/" + name
		}
	}
	var selected bool
	if id.Name, id.Selector, selected = strings.Cut(rest, ":"); selected && (id.Selector == "" || strings.Contains(id.Selector, ":")) {
		return id, Invalid("Invalid parameter selector: " + given)
	}
	if id.refers() {
		return id, nil
	}
	return id, checkCharacters(id.Name)
}

// ReferencePrefix begins the names by which GetParameter and GetParameters read secrets of Secrets Manager; what is behind it has the characters of a secret's name.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/integration-ps-secretsmanager.html
const ReferencePrefix = "/aws/reference/secretsmanager/"

var secretText = regexp.MustCompile(`^[a-zA-Z0-9/_+=.@-]+$`)

// refers tells whether an ID has the name of a secret.
func (id *ID) refers() bool {
	secret, is := strings.CutPrefix(id.Name, ReferencePrefix)
	return is && len(id.Name) <= maximumARN && secretText.MatchString(secret)
}

func checkCharacters(name string) error {
	if !isName(name) || len(name) > maximumARN {
		return Invalid("Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of " +
			"sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_")
	}
	return nil
}

// CheckName says whether a parameter can be made under a name.
func CheckName(region, account, name string) error {
	if !strings.HasPrefix(name, "/") && strings.Contains(name, "/") {
		return Invalid("Parameter name must be a fully qualified name.")
	}
	if err := checkCharacters(name); err != nil {
		return err
	}
	bare := strings.ToLower(strings.TrimPrefix(name, "/"))
	switch {
	case strings.HasPrefix(bare, "aws") && strings.Count(name, "/") > 1:
		return reserved(name)
	case strings.HasPrefix(bare, "aws"), strings.HasPrefix(bare, "ssm"):
		return Invalid("Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).")
	case len(arn.Parameter(region, account, name)) > maximumARN:
		return Invalid("Parameter name: is too long; the parameter's ARN can have at most 1011 characters.")
	case strings.Count(strings.TrimPrefix(name, "/"), "/")+1 > MaximumLevels:
		return &types.HierarchyLevelLimitExceededException{Message: ptr.To("A parameter can have at most 15 levels in its hierarchy.")}
	}
	return nil
}

// ARN is that of the parameter in an account and region, or the one that it names.
func (id *ID) ARN(region, account string) string {
	if id.Account != "" {
		region, account = id.Region, id.Account
	}
	return arn.Parameter(region, account, id.Name)
}
