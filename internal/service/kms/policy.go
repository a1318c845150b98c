package kms

import (
	"slices"
	"strings"

	"k8s.io/utils/lru"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/principals"
)

// DefaultPolicyCacheSize is how many compiled policies a PolicyCache holds when nothing else is said.
const DefaultPolicyCacheSize = 16384

// askedCacheSize is how many default policies a PolicyCache holds of accounts that requests have named: those of the accounts that there are, and a few.
const askedCacheSize = 1024

// PolicyCache holds compiled resource policies, of each key or secret the latest, and of each account that has a key with it the default one. It is safe
// for concurrent use.
type PolicyCache struct {
	entries *lru.Cache
	// asked are the default policies of accounts that requests have named, which may be made up: they take the place of one another alone.
	asked *lru.Cache
}

// NewPolicyCache makes a cache of at most so many policies; 0 is DefaultPolicyCacheSize.
func NewPolicyCache(size int) *PolicyCache {
	if size <= 0 {
		size = DefaultPolicyCacheSize
	}
	return &PolicyCache{entries: lru.New(size), asked: lru.New(min(size, askedCacheSize))}
}

type compiledPolicy struct {
	generation int64
	// digest is of the policy that bound is of: a policy that has changed is cached before its principals are bound, too.
	digest string
	bound  []v1alpha1.BoundPrincipal
	policy *iam.Policy
}

// Use returns the policy of an id at a generation, as a binding has it, and compiles it when it has none. A nil cache compiles each time.
func (c *PolicyCache) Use(id string, generation int64, binding *v1alpha1.PolicyBinding, compile func() *iam.Policy) *iam.Policy {
	if c == nil {
		return compile()
	}
	digest := ""
	if binding != nil {
		digest = binding.PolicyDigest
	}
	bound := principals.Of(binding)
	if found, ok := c.entries.Get(id); ok {
		if entry := found.(compiledPolicy); entry.generation == generation && entry.digest == digest && slices.Equal(entry.bound, bound) {
			return entry.policy
		}
	}
	policy := compile()
	c.entries.Add(id, compiledPolicy{generation, digest, bound, policy})
	return policy
}

// useDefault returns the default policy of an account that a request has named. A nil cache compiles each time.
func (c *PolicyCache) useDefault(account string) *iam.Policy {
	if c == nil {
		return compile(defaultPolicy(account))
	}
	for _, cache := range []*lru.Cache{c.entries, c.asked} {
		if found, ok := cache.Get(account); ok {
			return found.(compiledPolicy).policy
		}
	}
	policy := compile(defaultPolicy(account))
	c.asked.Add(account, compiledPolicy{policy: policy})
	return policy
}

// ParsePolicy compiles a key policy of at most 32 KiB. Its error is an *iam.SyntaxError, which tells where the mistake is.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
func ParsePolicy(document []byte) (*iam.Policy, error) { return iam.Parse(document, iam.Key) }

// nobody is the policy of a key whose own is malformed: it allows nothing.
var nobody = &iam.Policy{}

// Policy is a key's policy, compiled once for each of its generations. A malformed one allows nobody anything. That of a key of Strongroom's own is not its spec's to say.
func (s *Service) Policy(key *v1alpha1.KMSKey) *iam.Policy {
	account, region := arn.Account(key.Status.ARN), arn.Region(key.Status.ARN)
	switch service := managedFor(key); {
	case service != "":
		return s.Policies.Use(key.Status.ARN, 0, nil, func() *iam.Policy {
			return compile(managedPolicy(account, region, service))
		})
	case key.Spec.Policy != nil:
		binding := key.Status.PolicyBinding
		return s.Policies.Use(string(key.UID), key.Generation, binding, func() *iam.Policy {
			return principals.Bound(compile(string(key.Spec.Policy.Raw)), binding, principals.Digest(key, key.Spec.Policy.Raw))
		})
	}
	return s.Policies.Use(account, 0, nil, func() *iam.Policy { return compile(defaultPolicy(account)) })
}

// DefaultPolicy is the compiled policy of keys that name none: what a key that is not there would have. The account may be made up by who asks: what is kept
// of it takes no place of a policy that a key has.
func (s *Service) DefaultPolicy(account string) *iam.Policy { return s.Policies.useDefault(account) }

func compile(document string) *iam.Policy {
	policy, err := ParsePolicy([]byte(document))
	if err != nil {
		return nobody
	}
	return policy
}

// PolicyDocument is a key's policy as text.
func PolicyDocument(key *v1alpha1.KMSKey) string {
	account, region := arn.Account(key.Status.ARN), arn.Region(key.Status.ARN)
	if service := managedFor(key); service != "" {
		return managedPolicy(account, region, service)
	}
	if key.Spec.Policy != nil {
		return string(key.Spec.Policy.Raw)
	}
	return defaultPolicy(account)
}

// defaultPolicy lets the account itself do everything, which leaves it to the account's IAM policies. The text is AWS's.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
func defaultPolicy(account string) string {
	return strings.ReplaceAll(`{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::ACCOUNT:root"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`, "ACCOUNT", account)
}
