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
		values, ok := k.call.Identity.Tags[tag]
		return values, ok
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
	read, global := globals[key]
	if !global {
		return "", false
	}
	return read(k.call), true
}

// globals reads the global keys of a request.
var globals = map[string]func(*Call) string{
	"aws:principalarn":     func(c *Call) string { return principalARN(c.Identity.Principal) },
	"aws:principalaccount": func(c *Call) string { return c.Account() },
	"aws:principaltype":    func(c *Call) string { return principalType(c.Identity.Principal) },
	"aws:userid":           func(c *Call) string { return c.Identity.UserID },
	"aws:username":         username,
	"aws:sourceidentity":   func(c *Call) string { return c.Identity.SourceIdentity },
	"aws:tokenissuetime":   issued,
	"aws:multifactorauthpresent": func(c *Call) string {
		if c.Identity.Issued.IsZero() {
			return "" // AWS has it in temporary credentials alone
		}
		return "false"
	},
	"aws:sourceip":              func(c *Call) string { return c.SourceIP.Unmap().String() },
	"aws:securetransport":       func(*Call) string { return "true" }, // there is no other listener
	"aws:requestedregion":       func(c *Call) string { return c.Region },
	"aws:currenttime":           func(c *Call) string { return c.Time.UTC().Format(time.RFC3339) },
	"aws:epochtime":             func(c *Call) string { return strconv.FormatInt(c.Time.Unix(), 10) },
	"aws:principalisawsservice": func(*Call) string { return "false" },
	"aws:viaawsservice":         func(*Call) string { return "false" },
}

// ContextOf are the global keys of a request that an identity would make at a time, as far as they are known before it is made: all but
// where it comes from and what region it is for.
func ContextOf(c *Call) iam.Map {
	out := iam.Map{}
	for key, read := range globals {
		if key == "aws:sourceip" || key == "aws:requestedregion" {
			continue
		}
		if value := read(c); value != "" {
			out[key] = []string{value}
		}
	}
	for tag, values := range c.Identity.Tags {
		out[principalTag+tag] = values
	}
	return out
}

// principalARN of a session is that of its role.
func principalARN(p iam.Principal) string {
	if p.RoleARN != "" {
		return p.RoleARN
	}
	return p.ARN
}

// username is a user's; a session has none.
func username(c *Call) string {
	if c.Identity.Principal.RoleARN != "" {
		return ""
	}
	return c.Identity.Name
}

func issued(c *Call) string {
	if c.Identity.Issued.IsZero() {
		return ""
	}
	return c.Identity.Issued.UTC().Format(time.RFC3339)
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
