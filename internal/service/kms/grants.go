package kms

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/grants"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/principals"
)

// The cache indexes of KMSGrants.
const (
	// GrantKeyIndex finds them by the name of their KMSKey.
	GrantKeyIndex = "kms-key"
	// GranteeIndex finds them by the name of their KMSKey and their grantee: see granteeValue.
	GranteeIndex = "grantee"
	// GrantSelectorIndex finds them by the name of their KMSKey, their grantee and their selector: see grants.Selectors.
	GrantSelectorIndex = "grant-selector"
	// GrantPageIndex finds them by the name of their KMSKey, their grantee or none, and the part of all ids that theirs is in: see pageValue.
	GrantPageIndex = "grant-page"
	// GrantIDIndex finds them by their id.
	GrantIDIndex = "grant-id"
	// RetiringIndex finds them by their retiring principal, in all namespaces.
	RetiringIndex = "retiring-principal"
)

// granteeValue is a value of GranteeIndex.
func granteeValue(key, grantee string) string { return key + " " + grantee }

// selectorValue is a value of GrantSelectorIndex.
func selectorValue(key, grantee, selector string) string { return key + " " + grantee + " " + selector }

// GrantIndexes are the functions of the cache indexes of KMSGrants.
func GrantIndexes() map[string]client.IndexerFunc {
	indexAll := func(values func(*v1alpha1.KMSGrant) []string) client.IndexerFunc {
		return func(obj client.Object) []string {
			if g, ok := obj.(*v1alpha1.KMSGrant); ok {
				return values(g)
			}
			return nil
		}
	}
	index := func(value func(*v1alpha1.KMSGrant) string) client.IndexerFunc {
		return indexAll(func(g *v1alpha1.KMSGrant) []string {
			return slices.DeleteFunc([]string{value(g)}, func(v string) bool { return v == "" })
		})
	}
	return map[string]client.IndexerFunc{
		GrantKeyIndex: index(func(g *v1alpha1.KMSGrant) string { return g.Spec.KMSKeyRef.Name }),
		GranteeIndex:  index(func(g *v1alpha1.KMSGrant) string { return granteeValue(g.Spec.KMSKeyRef.Name, g.Spec.GranteePrincipal) }),
		GrantSelectorIndex: index(func(g *v1alpha1.KMSGrant) string {
			grant := GrantOf(g)
			return selectorValue(g.Spec.KMSKeyRef.Name, g.Spec.GranteePrincipal, grant.Selector())
		}),
		GrantPageIndex: indexAll(func(g *v1alpha1.KMSGrant) []string {
			key, part := g.Spec.KMSKeyRef.Name, partOf(GrantID(g))
			return []string{pageValue(key, "", part), pageValue(key, g.Spec.GranteePrincipal, part)}
		}),
		GrantIDIndex:     index(GrantID),
		RetiringIndex:    index(func(g *v1alpha1.KMSGrant) string { return g.Spec.RetiringPrincipal }),
		principals.Index: principals.IndexValues,
	}
}

// GrantID is a grant's id in AWS KMS, 64 hexadecimal digits: its name if that is one, so that it is known before anything is written and is the
// same in a rebuilt cluster, and made of the object's UID otherwise.
func GrantID(g *v1alpha1.KMSGrant) string {
	if raw, err := hex.DecodeString(g.Name); err == nil && len(raw) == sha256.Size {
		return g.Name
	}
	sum := sha256.Sum256([]byte("KMSGrant\n" + string(g.UID)))
	return hex.EncodeToString(sum[:])
}

// GrantOf is what a KMSGrant allows.
func GrantOf(g *v1alpha1.KMSGrant) grants.Grant {
	out := grants.Grant{Operations: make([]grants.Operation, len(g.Spec.Operations))}
	for i, operation := range g.Spec.Operations {
		out.Operations[i] = grants.Operation(operation)
	}
	if c := g.Spec.Constraints; c != nil {
		out.Equals, out.Subset = c.EncryptionContextEquals, c.EncryptionContextSubset
	}
	return out
}

// IssuingAccount is the account that a grant of a key was made by.
func IssuingAccount(g *v1alpha1.KMSGrant, key *v1alpha1.KMSKey) string {
	if g.Spec.IssuingAccount != "" {
		return g.Spec.IssuingAccount
	}
	return arn.Account(key.Status.ARN)
}

// inForce tells whether a grant is of a key, and is not on its way out.
func inForce(g *v1alpha1.KMSGrant, key *v1alpha1.KMSKey) bool {
	return g.Namespace == key.Namespace && g.Spec.KMSKeyRef.Name == key.Name && g.DeletionTimestamp.IsZero() &&
		(g.Spec.KeyID == "" || g.Spec.KeyID == key.Status.KeyID)
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmsgrants,verbs=get;list;watch

// Wanted is what a grant is asked to allow.
type Wanted struct {
	// Operation, and the encryption context of one that has any.
	Operation grants.Operation
	Context   map[string]string
	// Child is the grant that CreateGrant is to make; nil for other operations.
	Child *grants.Grant
}

// Grantees are whom the grants of a key allow what is wanted, of those that may be the principal that asks. Shown are grants that the request has
// tokens of: this replica's cache may not have them yet. The time grows with the grants of this key for this principal whose constraints the encryption
// context meets or nearly meets, and with all of the principal's if constraints do not speak of the operation.
func (s *Service) Grantees(ctx context.Context, key *v1alpha1.KMSKey, who iam.Principal, shown []v1alpha1.KMSGrant, wanted Wanted) ([]iam.Grantee, error) {
	var out []iam.Grantee
	add := func(found []v1alpha1.KMSGrant) {
		for i := range found {
			if g := &found[i]; inForce(g, key) && allows(g, &wanted) {
				out = append(out, granteeOf(g))
			}
		}
	}
	add(shown)
	selectors, all := grants.Selectors(wanted.Operation, wanted.Context)
	for _, name := range namesOf(who) {
		fields := []client.MatchingFields{{GranteeIndex: granteeValue(key.Name, name)}}
		if !all && wanted.Child == nil {
			fields = fields[:0]
			for _, selector := range selectors {
				fields = append(fields, client.MatchingFields{GrantSelectorIndex: selectorValue(key.Name, name, selector)})
			}
		}
		for _, matching := range fields {
			found, err := s.grants(ctx, client.InNamespace(key.Namespace), matching)
			if err != nil {
				return nil, err
			}
			add(found)
		}
	}
	return out, nil
}

// Granting is Grantees as a question of permission asks for them, by the action as policies name it; nil for a key that is not there.
func (s *Service) Granting(ctx context.Context, key *v1alpha1.KMSKey, who iam.Principal, shown []v1alpha1.KMSGrant, wanted Wanted) func(action string) ([]iam.Grantee, error) {
	if key == nil {
		return nil
	}
	return func(action string) ([]iam.Grantee, error) {
		wanted.Operation = grants.Operation(strings.TrimPrefix(action, "kms:"))
		return s.Grantees(ctx, key, who, shown, wanted)
	}
}

// namesOf are the ARNs by which a grant may name a principal.
func namesOf(who iam.Principal) []string {
	names := []string{who.ARN, who.RoleARN, "arn:" + arn.Partition + ":iam::" + who.Account + ":root"}
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

func allows(g *v1alpha1.KMSGrant, wanted *Wanted) bool {
	grant := GrantOf(g)
	if wanted.Child != nil {
		return grant.Covers(wanted.Child)
	}
	return grant.Allows(wanted.Operation, wanted.Context)
}

func granteeOf(g *v1alpha1.KMSGrant) iam.Grantee {
	return iam.Grantee{ARN: g.Spec.GranteePrincipal, UniqueID: principals.BoundOfGrant(g, g.Spec.GranteePrincipal)}
}

// Retirers are who may retire a grant: its retiring principal, its grantee if it allows that, and the account that it was made by, which leaves
// it to its IAM policies.
// https://docs.aws.amazon.com/kms/latest/developerguide/grant-delete.html
func Retirers(g *v1alpha1.KMSGrant, key *v1alpha1.KMSKey) []iam.Grantee {
	out := []iam.Grantee{{ARN: "arn:" + arn.Partition + ":iam::" + IssuingAccount(g, key) + ":root"}}
	if retiring := g.Spec.RetiringPrincipal; retiring != "" {
		out = append(out, iam.Grantee{ARN: retiring, UniqueID: principals.BoundOfGrant(g, retiring)})
	}
	if grant := GrantOf(g); grant.Allows(grants.RetireGrant, nil) {
		out = append(out, granteeOf(g))
	}
	return out
}

// GrantsOfKey are a key's grants, in the order of their ids. They are the cache's own: read them only.
func (s *Service) GrantsOfKey(ctx context.Context, key *v1alpha1.KMSKey) ([]v1alpha1.KMSGrant, error) {
	found, err := s.grants(ctx, client.InNamespace(key.Namespace), client.MatchingFields{GrantKeyIndex: key.Name})
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(g v1alpha1.KMSGrant) bool { return !inForce(&g, key) })
	sortGrants(found)
	return found, nil
}

// FindGrant is the grant of a key that has an id, nil if there is none. It is the cache's own: read it only.
func (s *Service) FindGrant(ctx context.Context, key *v1alpha1.KMSKey, id string) (*v1alpha1.KMSGrant, error) {
	found, err := s.grants(ctx, client.InNamespace(key.Namespace), client.MatchingFields{GrantIDIndex: id})
	for i := range found {
		if inForce(&found[i], key) {
			return &found[i], err
		}
	}
	return nil, err
}

// Retirable are the grants that name a retiring principal, of keys of all accounts in a region, each with its key, in the order of their ids. They
// are the cache's own: read them only.
func (s *Service) Retirable(ctx context.Context, region, principal string) ([]GrantOnKey, error) {
	found, err := s.grants(ctx, client.MatchingFields{RetiringIndex: principal})
	if err != nil {
		return nil, err
	}
	var out []GrantOnKey
	for i := range found {
		key, err := s.keyOfGrant(ctx, &found[i])
		if err != nil {
			return nil, err
		}
		if key != nil && arn.Region(key.Status.ARN) == region {
			out = append(out, GrantOnKey{&found[i], key})
		}
	}
	slices.SortFunc(out, func(a, b GrantOnKey) int { return strings.Compare(GrantID(a.Grant), GrantID(b.Grant)) })
	return out, nil
}

// GrantOnKey is a grant with its key.
type GrantOnKey struct {
	Grant *v1alpha1.KMSGrant
	Key   *v1alpha1.KMSKey
}

// keyOfGrant is the key of a grant, nil if there is none that it is in force for.
func (s *Service) keyOfGrant(ctx context.Context, g *v1alpha1.KMSGrant) (*v1alpha1.KMSKey, error) {
	key := &v1alpha1.KMSKey{}
	name := client.ObjectKey{Namespace: g.Namespace, Name: g.Spec.KMSKeyRef.Name}
	err := s.Reader.Get(ctx, name, key, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading KMSKey %s: %w", name.Name, err)
	}
	if err != nil || key.Status.ARN == "" || Gone(key) || !inForce(g, key) {
		return nil, nil
	}
	s.asOfNow(key)
	// A namespace that has lost its account id to an older one, or has another now, has no key in that account any more.
	owner, err := account.Namespace(ctx, s.Reader, arn.Account(key.Status.ARN))
	if err != nil || owner != key.Namespace {
		return nil, err
	}
	return key, nil
}

// grants lists grants from the cache, without waiting for this process's writes: those of the API are seen before they are answered.
func (s *Service) grants(ctx context.Context, options ...client.ListOption) ([]v1alpha1.KMSGrant, error) {
	var found v1alpha1.KMSGrantList
	if err := s.Reader.List(ctx, &found, append(options, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)...); err != nil {
		return nil, fmt.Errorf("looking for KMSGrants: %w", err)
	}
	return found.Items, nil
}
