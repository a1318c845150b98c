package limits

import (
	"strconv"
	"strings"

	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// alsoSensitive are what the models don't flag and yet nothing may show, with the reason. A key is SERVICE:SHAPE, for
// every member of that type, or SERVICE:STRUCTURE.MEMBER.
var alsoSensitive = map[string]string{
	// CloudTrail's own records of KMS leave all of them out:
	// https://docs.aws.amazon.com/kms/latest/developerguide/logging-using-cloudtrail.html
	"kms:CiphertextType": "ciphertexts, wrapped key material and import tokens open with the right to use the key; a MAC is proof by itself",
	"kms:GrantTokenType": "whoever shows a grant token has the grant before it is effective everywhere",

	"sts:tokenType":            "the session token, the third part of temporary credentials",
	"sts:tokenCodeType":        "a one-time code of an MFA device",
	"sts:contextAssertionType": "an assertion that its bearer is taken at",
	"sts:decodedMessageType":   "was encrypted to keep the request's context from who made it",

	"cloudhsmv2:PreCoPassword": "the password of a new HSM's first officer",
}

// Direction says which of an operation's two structures is meant.
type Direction int

// The two structures of an operation.
const (
	Input Direction = iota
	Output
)

// Sensitive says whether a value must not be shown, in logs and audit records alike: it, or something that it is in, is
// flagged by AWS's model or listed here with a reason. The path is a violation's: members by their names (the first
// letter in either case), entries of lists as "3.member", and of maps as "key" or "value", joined by dots; for example
// tags.1.member.tagKey. The empty path is the whole structure, which is shown member by member and is not sensitive
// by itself. What is not known (a service, an operation, a member) is sensitive.
func Sensitive(service, operation string, d Direction, path string) bool {
	s, err := For(service)
	if err != nil {
		return true
	}
	o, ok := s.Operation(operation)
	if !ok {
		return true
	}
	if d == Output {
		return o.Output.sensitive(path)
	}
	return o.Input.sensitive(path)
}

func (s *Shape) sensitive(path string) bool {
	for path != "" {
		var m *Member
		if m, path = s.step(path); m == nil || m.Sensitive {
			return true
		}
		s = m.Shape
	}
	return false
}

// step takes one member off a path. Nil if there is no such member.
func (s *Shape) step(path string) (*Member, string) {
	name, rest, _ := strings.Cut(path, ".")
	switch s.Type {
	case table.Structure:
		for _, m := range s.Members {
			if lowerFirst(m.Name) == lowerFirst(name) || m.Wire == name {
				return m, rest
			}
		}
	case table.List:
		if _, err := strconv.ParseUint(name, 10, 32); err == nil {
			name, rest, _ = strings.Cut(rest, ".")
		}
		if name == "member" {
			return s.Element, rest
		}
	case table.Map:
		switch name {
		case "key":
			return s.Key, rest
		case "value":
			return s.Value, rest
		}
	}
	return nil, ""
}
