// Package principals says whom a policy's ARNs of users and roles mean. AWS turns them into unique ids when a policy is saved, so that
// whoever is made under the name of one that was deleted inherits no trust. Here a policy is a manifest's, which is not rewritten: the
// ids of those who were there are kept in status, and hold as long as the policy is the same.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
package principals

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
)

// The cache indexes that principals are found by.
const (
	// ARNIndex finds objects of IAM's kinds by status.arn.
	ARNIndex = "arn"
	// NameIndex finds them by their names in AWS IAM, in lower case.
	NameIndex = "iam-name"
	// Index finds IAMRoles, KMSKeys, Secrets and Parameters by the principals that their policies name, and KMSGrants by theirs.
	Index = "principals"
)

// SavedAnnotation of an IAMRole, a KMSKey, a Secret or a Parameter changes each time its policy is saved by the AWS API: that binds the policy anew, though its text
// may be the same, as AWS does. A manifest's owner may set it to any other value to the same end.
const SavedAnnotation = "strongroom.dev/policy-saved"

// Save notes that an object's policy is saved now, by the request of this id.
func Save(of client.Object, requestID string) {
	annotations := maps.Clone(of.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[SavedAnnotation] = requestID
	of.SetAnnotations(annotations)
}

// Digest is of a policy of one object, and of when it was saved. An object that is made again, as by a backup that restores status too, is
// bound anew.
func Digest(of client.Object, document []byte) string {
	text := string(of.GetUID()) + "\n"
	if saved := of.GetAnnotations()[SavedAnnotation]; saved != "" {
		text += strconv.Quote(saved) + "\n" // which no document begins with
	}
	sum := sha256.Sum256(append([]byte(text), document...))
	return hex.EncodeToString(sum[:16])
}

// Of are the principals of a binding, which may be nil.
func Of(b *v1alpha1.PolicyBinding) []v1alpha1.BoundPrincipal {
	if b == nil {
		return nil
	}
	return b.Principals
}

// Bound is a policy with its binding, if that is of this policy.
func Bound(policy *iam.Policy, b *v1alpha1.PolicyBinding, digest string) *iam.Policy {
	if len(Of(b)) == 0 || b.PolicyDigest != digest {
		return policy
	}
	ids := make(map[string]string, len(b.Principals))
	for _, p := range b.Principals {
		ids[p.ARN] = p.UniqueID
	}
	return policy.Bound(ids)
}

// Bind decides whom a policy's ARNs mean from now on, by those who were bound before and those who are there now. An ARN that nobody
// has yet is not bound: the first who has it will be. Replaced are the ARNs that another has now than the one who is bound.
func Bind(before *v1alpha1.PolicyBinding, digest string, named []string, now map[string]string) (after *v1alpha1.PolicyBinding, replaced []string) {
	if len(named) == 0 {
		return nil, nil
	}
	after = &v1alpha1.PolicyBinding{PolicyDigest: digest}
	for _, name := range named {
		id := now[name]
		if before != nil && before.PolicyDigest == digest {
			if i := slices.IndexFunc(before.Principals, func(p v1alpha1.BoundPrincipal) bool { return p.ARN == name }); i >= 0 {
				bound := before.Principals[i].UniqueID
				if id != "" && id != bound {
					replaced = append(replaced, name)
				}
				id = bound
			}
		}
		if id != "" && len(after.Principals) < maximumBound {
			after.Principals = append(after.Principals, v1alpha1.BoundPrincipal{ARN: name, UniqueID: id})
		}
	}
	return after, replaced
}

// maximumBound is how many principals status has room for; a policy of 32 KiB names fewer.
const maximumBound = 1024

// Find is the unique ids of those who have the ARNs now. Users and roles that are being deleted have them no more.
func Find(ctx context.Context, reader client.Reader, named []string) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range named {
		id, err := find(ctx, reader, name)
		if err != nil {
			return nil, fmt.Errorf("looking for the principal %s: %w", name, err)
		}
		if id != "" {
			out[name] = id
		}
	}
	return out, nil
}

func find(ctx context.Context, reader client.Reader, name string) (string, error) {
	_, resource, _ := strings.Cut(name, "::")
	_, resource, _ = strings.Cut(resource, ":")
	kind, rest, _ := strings.Cut(resource, "/")
	switch kind {
	case "user":
		var found v1alpha1.IAMUserList
		err := reader.List(ctx, &found, client.MatchingFields{ARNIndex: name}, client.UnsafeDisableDeepCopy)
		for i := range found.Items {
			if u := &found.Items[i]; u.DeletionTimestamp.IsZero() {
				return arn.UniqueID(arn.UserID, string(u.UID)), nil
			}
		}
		return "", err
	case "role":
		return role(ctx, reader, client.MatchingFields{ARNIndex: name}, arn.Account(name))
	case "assumed-role": // whose ARN lacks the role's path
		session, _, _ := strings.Cut(rest, "/")
		return role(ctx, reader, client.MatchingFields{NameIndex: strings.ToLower(session)}, arn.Account(name))
	}
	return "", nil
}

func role(ctx context.Context, reader client.Reader, by client.MatchingFields, account string) (string, error) {
	var found v1alpha1.IAMRoleList
	err := reader.List(ctx, &found, by, client.UnsafeDisableDeepCopy)
	for i := range found.Items {
		if r := &found.Items[i]; r.DeletionTimestamp.IsZero() && arn.Account(r.Status.ARN) == account {
			return arn.UniqueID(arn.RoleID, string(r.UID)), nil
		}
	}
	return "", err
}

// IndexValues lists the values of Index: the ARNs that an IAMRole's trust policy, a KMSKey's policy or the resource policy of a Secret or
// Parameter names, or a KMSGrant, those of sessions as their roles'.
func IndexValues(obj client.Object) []string {
	if g, ok := obj.(*v1alpha1.KMSGrant); ok {
		return indexedAll(OfGrant(g))
	}
	var policy *v1alpha1.PolicyDocument
	as := iam.Trust
	switch o := obj.(type) {
	case *v1alpha1.IAMRole:
		policy = o.Spec.AssumeRolePolicy
	case *v1alpha1.KMSKey:
		policy, as = o.Spec.Policy, iam.Key
	case *v1alpha1.Secret:
		policy, as = o.Spec.ResourcePolicy, iam.Resource
	case *v1alpha1.Parameter:
		policy, as = o.Spec.ResourcePolicy, iam.Resource
	}
	if policy == nil {
		return nil
	}
	parsed, err := iam.Parse(policy.Raw, as)
	if err != nil {
		return nil
	}
	return indexedAll(parsed.Principals())
}

func indexedAll(named []string) []string {
	var out []string
	for _, name := range named {
		out = append(out, indexed(name))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// OfGrant are the ARNs of users, roles and sessions that a grant names. An account is bound to nobody.
func OfGrant(g *v1alpha1.KMSGrant) []string {
	var out []string
	for _, name := range []string{g.Spec.GranteePrincipal, g.Spec.RetiringPrincipal} {
		if name != "" && !strings.HasSuffix(name, ":root") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// GrantDigest is Digest of a grant, whose spec never changes.
func GrantDigest(g *v1alpha1.KMSGrant) string {
	return Digest(g, []byte(g.Spec.GranteePrincipal+"\n"+g.Spec.RetiringPrincipal))
}

// BoundOfGrant is the unique id that one of a grant's principals means, empty if it means whoever has the ARN.
func BoundOfGrant(g *v1alpha1.KMSGrant, name string) string {
	if b := g.Status.Binding; b != nil && b.PolicyDigest == GrantDigest(g) {
		for _, p := range b.Principals {
			if p.ARN == name {
				return p.UniqueID
			}
		}
	}
	return ""
}

// indexed is a principal without a role's path, which the ARN of a session lacks, and without the session.
func indexed(name string) string {
	account := arn.Account(name)
	_, resource, _ := strings.Cut(name, account+":")
	parts := strings.Split(resource, "/")
	switch {
	case parts[0] == "assumed-role" && len(parts) > 1:
		return "role/" + account + "/" + strings.ToLower(parts[1])
	case len(parts) > 1:
		return parts[0] + "/" + account + "/" + strings.ToLower(parts[len(parts)-1])
	}
	return name
}

// Asking is the value of Index by which those are found whose policies may name a user or role; empty for one without an ARN.
func Asking(obj client.Object) string {
	var name string
	switch o := obj.(type) {
	case *v1alpha1.IAMUser:
		name = o.Status.ARN
	case *v1alpha1.IAMRole:
		name = o.Status.ARN
	}
	if name == "" {
		return ""
	}
	return indexed(name)
}
