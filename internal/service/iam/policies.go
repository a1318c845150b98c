package iam

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/iam/managed"
	"strongroom.dev/strongroom/internal/service/principals"
)

// A principal of whom one policy cannot be read, or is not there, may do nothing at all: any policy may hold a Deny, and to
// evaluate the others without it could allow what it denies. The same goes for a boundary and for a session's policies. AWS has
// no such state, since it takes no malformed document and lets no attached policy be deleted; here a manifest may bring it
// about, and its object says what is wrong.
var nothing = func() *iam.Policy {
	policy, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Sid":"PolicyCannotBeRead","Effect":"Deny","Action":"*","Resource":"*"}}`), iam.Identity)
	if err != nil {
		panic(err) // it is a constant
	}
	return policy
}()

// documentKey names the object of compiled policies.
type documentKey struct {
	kind kind
	name client.ObjectKey
}

// compiled are the policies of one object, as it was in one generation.
type compiled struct {
	uid        types.UID
	generation int64
	// policies are the inline policies of a user, role or group, or the one of an IAMPolicy; nil if one is malformed.
	policies []*iam.Policy
	// trust of a role. nil and no error if it has none.
	trust    *iam.Policy
	trustErr error
	broken   bool
}

// compile is the compiled policies of an object: once for each of its generations.
func (s *Service) compile(k kind, obj client.Object, make func(*compiled)) *compiled {
	key := documentKey{kind: k, name: client.ObjectKeyFromObject(obj)}
	if found, ok := s.Cache.documents.Get(key); ok {
		c := found.(*compiled)
		if c.uid == obj.GetUID() && c.generation == obj.GetGeneration() {
			return c
		}
	}
	c := &compiled{uid: obj.GetUID(), generation: obj.GetGeneration()}
	make(c)
	s.Cache.documents.Add(key, c, documentAge)
	return c
}

func (c *compiled) inline(policies []v1alpha1.InlinePolicy) {
	for i := range policies {
		c.add(policies[i].Document.Raw)
	}
}

func (c *compiled) add(document []byte) {
	policy, err := iam.Parse(document, iam.Identity)
	if err != nil {
		c.broken, c.policies = true, nil
	}
	if !c.broken {
		c.policies = append(c.policies, policy)
	}
}

func (s *Service) compileRole(role *v1alpha1.IAMRole) *compiled {
	return s.compile(roleKind, role, func(c *compiled) {
		c.inline(role.Spec.Policies)
		if role.Spec.AssumeRolePolicy != nil {
			c.trust, c.trustErr = iam.Parse(role.Spec.AssumeRolePolicy.Raw, iam.Trust)
		}
	})
}

// ErrMalformedTrust says that a role's trust policy cannot be read. Nobody may assume the role.
var ErrMalformedTrust = errors.New("the role's trust policy is malformed")

// TrustPolicy is a role's compiled trust policy, nil if it has none, bound to those whom it named first. It wraps ErrMalformedTrust.
func (s *Service) TrustPolicy(role *v1alpha1.IAMRole) (*iam.Policy, error) {
	c := s.compileRole(role)
	if c.trustErr != nil {
		return nil, fmt.Errorf("%w: role %s/%s: %w", ErrMalformedTrust, role.Namespace, role.Name, c.trustErr)
	}
	if c.trust == nil {
		return nil, nil
	}
	return principals.Bound(c.trust, role.Status.Trust, principals.Digest(role, role.Spec.AssumeRolePolicy.Raw)), nil
}

// permissions are what a principal's policies come to.
type permissions struct {
	policies []*iam.Policy
	boundary *iam.Policy
	session  []*iam.Policy
	// sources are the IAMPolicies and IAMGroups among them.
	sources []source
	// broken: one cannot be read.
	broken bool
	// incomplete: one is not there.
	incomplete bool
}

func (p *permissions) identity() *Identity {
	return &Identity{Identity: p.policies, Boundary: p.boundary, Session: p.session}
}

// permissions puts the policies of a user or role together: its own, those of the groups that a user is in, and its boundary.
func (s *Service) permissions(ctx context.Context, k kind, owner client.Object, spec *v1alpha1.Permissions) (*permissions, error) {
	p := &permissions{}
	if err := s.identityPolicies(ctx, k, owner, &spec.IdentityPolicies, p); err != nil {
		return nil, err
	}
	if user, ok := owner.(*v1alpha1.IAMUser); ok {
		if err := s.groupPolicies(ctx, user, p); err != nil {
			return nil, err
		}
	}
	if spec.PermissionsBoundary != "" {
		boundary, err := s.managed(ctx, owner.GetNamespace(), spec.PermissionsBoundary, p)
		if err != nil {
			return nil, err
		}
		p.broken = p.broken || boundary == nil
		p.boundary = boundary
	}
	p.close()
	return p, nil
}

// identityPolicies adds the policies of one user, role or group.
func (s *Service) identityPolicies(ctx context.Context, k kind, owner client.Object, spec *v1alpha1.IdentityPolicies, p *permissions) error {
	var own *compiled
	if role, ok := owner.(*v1alpha1.IAMRole); ok {
		own = s.compileRole(role)
	} else {
		own = s.compile(k, owner, func(c *compiled) { c.inline(spec.Policies) })
	}
	p.policies = append(p.policies, own.policies...)
	p.broken = p.broken || own.broken
	for _, arn := range spec.ManagedPolicyARNs {
		policy, err := s.managed(ctx, owner.GetNamespace(), arn, p)
		if err != nil {
			return err
		}
		p.broken = p.broken || policy == nil
		p.policies = append(p.policies, policy)
	}
	return nil
}

// close denies everything if one of the policies cannot be read.
func (p *permissions) close() {
	if p.broken {
		p.policies = []*iam.Policy{nothing}
	}
}

// managed is a managed policy of a namespace's account, or of those that every account has; nil if there is none, or it is
// being deleted or malformed.
func (s *Service) managed(ctx context.Context, namespace, arn string, p *permissions) (*iam.Policy, error) {
	if builtin, ok := managed.ByARN(arn); ok {
		return builtin.Compiled, nil
	}
	var found v1alpha1.IAMPolicyList
	err := s.Client.List(ctx, &found, client.InNamespace(namespace), client.MatchingFields{ARNIndex: arn}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking for the policy %s: %w", arn, err)
	}
	for i := range found.Items {
		object := &found.Items[i]
		if !object.DeletionTimestamp.IsZero() {
			continue
		}
		p.sources = append(p.sources, sourceOf(policyKind, object))
		c := s.compile(policyKind, object, func(c *compiled) { c.add(object.Spec.Document.Raw) })
		if c.broken {
			return nil, nil
		}
		return c.policies[0], nil
	}
	p.incomplete = true
	return nil, nil
}

// limit adds a session's own policies.
func (s *Service) limit(ctx context.Context, namespace string, p *permissions, c *claims) error {
	broken := false
	if c.Policy != "" {
		policy, err := iam.Parse([]byte(c.Policy), iam.Identity)
		broken = err != nil
		p.session = append(p.session, policy)
	}
	for _, arn := range c.PolicyARNs {
		policy, err := s.managed(ctx, namespace, arn, p)
		if err != nil {
			return err
		}
		broken = broken || policy == nil
		p.session = append(p.session, policy)
	}
	if broken {
		p.session = []*iam.Policy{nothing}
	}
	return nil
}

// principalTags are a principal's tags with a session's over them, by keys in lower case.
func principalTags(own []v1alpha1.Tag, session map[string]string) map[string][]string {
	tags := tagMap(own)
	maps.Copy(tags, lowered(session))
	return tags
}
