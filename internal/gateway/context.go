package gateway

import (
	"strconv"
	"strings"
	"time"

	"strongroom.dev/strongroom/internal/core/iam"
)

// keys is the Context of one question: the global condition keys, and the service's behind them.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
type keys struct {
	call    *Call
	service iam.Context
}

const principalTag = "aws:principaltag/"

// Values implements iam.Context. Nothing is worked out that no policy asks for.
func (k keys) Values(key string) (values []string, found bool) {
	if tag, ok := strings.CutPrefix(key, principalTag); ok {
		value, ok := k.call.Identity.Tags[tag]
		return []string{value}, ok
	}
	if value, global := k.global(key); global {
		return []string{value}, value != ""
	}
	if k.service == nil {
		return nil, false
	}
	return k.service.Values(key)
}

// global is a global key's value, empty if the request lacks it. The second result tells whether it is a global key at all:
// a service cannot set those.
func (k keys) global(key string) (value string, global bool) {
	id := k.call.Identity
	switch key {
	case "aws:principalarn":
		if id.Principal.RoleARN != "" {
			return id.Principal.RoleARN, true // a session's is that of its role
		}
		return id.Principal.ARN, true
	case "aws:principalaccount":
		return id.Principal.Account, true
	case "aws:principaltype":
		return principalType(id.Principal), true
	case "aws:userid":
		return id.UserID, true
	case "aws:username":
		if id.Principal.RoleARN != "" {
			return "", true
		}
		return id.Name, true
	case "aws:sourceidentity":
		return id.SourceIdentity, true
	case "aws:tokenissuetime":
		if id.Issued.IsZero() {
			return "", true
		}
		return id.Issued.UTC().Format(time.RFC3339), true
	case "aws:sourceip":
		return k.call.SourceIP.Unmap().String(), true
	case "aws:securetransport":
		return "true", true
	case "aws:requestedregion":
		return k.call.Region, true
	case "aws:currenttime":
		return k.call.Time.UTC().Format(time.RFC3339), true
	case "aws:epochtime":
		return strconv.FormatInt(k.call.Time.Unix(), 10), true
	case "aws:principalisawsservice", "aws:viaawsservice":
		return "false", true
	}
	return "", false
}

func principalType(p iam.Principal) string {
	switch {
	case p.RoleARN != "":
		return "AssumedRole"
	case strings.HasSuffix(p.ARN, ":root"):
		return "Account"
	}
	return "User"
}

// Context is the condition keys of a request: the global ones, and a service's behind them.
func (c *Call) Context(service iam.Context) iam.Context { return c.context(service) }

func (c *Call) context(service iam.Context) iam.Context { return keys{call: c, service: service} }
