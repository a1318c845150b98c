package kms

import (
	"cmp"
	"strconv"
	"strings"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
)

// Conditions are the condition keys that AWS KMS adds to a request. Nothing is worked out that no policy asks for.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
type Conditions struct {
	// Key is asked about, nil if it is not there; of a key that is being made it is what was asked for.
	Key *v1alpha1.KMSKey
	// CallerAccount is the account id of who asks.
	CallerAccount string
	// Alias that the request names the key by, as alias/NAME; empty if it does not.
	Alias string
	// EncryptionContext of a cryptographic operation.
	EncryptionContext map[string]string
	// ViaService is the host name of the service that asks on the caller's behalf, such as secretsmanager.us-east-1.amazonaws.com;
	// empty for a request of the caller's own.
	ViaService string
	// RequestTags are the tags that the request sets, and RequestTagKeys the keys of those that it takes away.
	RequestTags    []v1alpha1.Tag
	RequestTagKeys []string
	// UnusedDays tells how long a key has not been used, of operations that would end its use; nil for others.
	UnusedDays func(*v1alpha1.KMSKey) int
	// More are the condition keys of one operation, in lower case; it may be nil.
	More iam.Map
}

const (
	contextKey  = "kms:encryptioncontext:"
	resourceTag = "aws:resourcetag/"
	requestTag  = "aws:requesttag/"
)

// Values implements iam.Context.
func (c *Conditions) Values(key string) ([]string, bool) {
	if strings.HasPrefix(key, "aws:") {
		return c.tags(key)
	}
	if name, ok := strings.CutPrefix(key, contextKey); ok {
		return c.contextValues(name)
	}
	switch key {
	case "kms:calleraccount":
		return one(c.CallerAccount)
	case "kms:viaservice":
		return one(c.ViaService)
	case "kms:requestalias":
		return one(c.Alias)
	case "kms:encryptioncontextkeys":
		names := make([]string, 0, len(c.EncryptionContext))
		for name := range c.EncryptionContext {
			names = append(names, name)
		}
		return names, len(names) > 0
	}
	if values, ok := c.More[key]; ok {
		return values, true
	}
	return c.ofKey(key)
}

// ofKey is what the key itself says.
func (c *Conditions) ofKey(key string) ([]string, bool) {
	if c.Key == nil {
		return nil, false
	}
	switch key {
	case "kms:keyspec", "kms:customermasterkeyspec": // the latter are their former names
		return one(string(SpecOf(c.Key)))
	case "kms:keyusage", "kms:customermasterkeyusage":
		return one(string(UsageOf(c.Key)))
	case "kms:keyorigin":
		return one(string(cmp.Or(c.Key.Spec.Origin, v1alpha1.KeyOriginKMS)))
	case "kms:multiregion":
		return one(strconv.FormatBool(c.Key.Spec.MultiRegion))
	case "kms:multiregionkeytype":
		return one(string(MultiRegionTypeOf(c.Key)))
	case "kms:resourcealiases":
		return c.Key.Spec.Aliases, len(c.Key.Spec.Aliases) > 0
	case "kms:trailingdayswithoutkeyusage":
		if c.UnusedDays != nil {
			return one(strconv.Itoa(c.UnusedDays(c.Key)))
		}
	}
	return nil, false
}

// contextValues are the values of an encryption context's key. Condition keys have no case and contexts have, see
// AmbiguousContext.
func (c *Conditions) contextValues(name string) (values []string, found bool) {
	for key, value := range c.EncryptionContext {
		if strings.ToLower(key) == name {
			values = append(values, value)
		}
	}
	return values, len(values) > 0
}

// AmbiguousContext tells whether an encryption context has keys that differ in case alone. To a policy they are one condition
// key, so that the value of one could let in what the other's forbids: such a context is to be refused before it is asked about.
func AmbiguousContext(ec map[string]string) bool {
	if len(ec) < 2 {
		return false
	}
	folded := make(map[string]struct{}, len(ec))
	for name := range ec {
		folded[strings.ToLower(name)] = struct{}{}
	}
	return len(folded) < len(ec)
}

func (c *Conditions) tags(key string) (values []string, found bool) {
	if name, ok := strings.CutPrefix(key, resourceTag); ok {
		if c.Key == nil {
			return nil, false
		}
		return tagValues(c.Key.Spec.Tags, name)
	}
	if name, ok := strings.CutPrefix(key, requestTag); ok {
		return tagValues(c.RequestTags, name)
	}
	if key != "aws:tagkeys" {
		return nil, false
	}
	values = c.RequestTagKeys
	for i := range c.RequestTags {
		values = append(values[:len(values):len(values)], c.RequestTags[i].Key)
	}
	return values, len(values) > 0
}

func tagValues(tags []v1alpha1.Tag, name string) (values []string, found bool) {
	return iam.TagValues(tags, name, func(t *v1alpha1.Tag) (key, value string) { return t.Key, t.Value })
}

func one(value string) ([]string, bool) {
	if value == "" {
		return nil, false
	}
	return []string{value}, true
}
