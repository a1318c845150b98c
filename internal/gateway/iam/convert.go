package iam

import (
	"bytes"
	"encoding/json/jsontext"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	coreiam "strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/iam"
)

// document parses a policy that is put, and gives it as it is stored.
func document(text *string, t coreiam.Type) (v1alpha1.PolicyDocument, error) {
	var out v1alpha1.PolicyDocument
	raw := []byte(deref(text))
	if _, err := coreiam.Parse(raw, t); err != nil {
		return out, malformed(err)
	}
	out.JSON = apiextensionsv1.JSON{Raw: raw}
	return out, nil
}

// encoded is a document as answers have it: compact JSON, encoded as in a URL (RFC 3986). The API server keeps members in the order
// of their names.
func encoded(d *v1alpha1.PolicyDocument) *string {
	if d == nil || len(d.Raw) == 0 {
		return nil
	}
	compact := jsontext.Value(bytes.Clone(d.Raw))
	if err := compact.Compact(); err != nil {
		return nil // the API server stores no other
	}
	return ptr.To(strings.ReplaceAll(url.QueryEscape(string(compact)), "+", "%20"))
}

func checkSize(size, maximum int, what string) error {
	if size > maximum {
		return limit("Maximum policy size of " + itoa(maximum) + " bytes exceeded for " + what)
	}
	return nil
}

func tagsOf(tags []types.Tag) []v1alpha1.Tag {
	out := make([]v1alpha1.Tag, 0, len(tags))
	for _, t := range tags {
		out = append(out, v1alpha1.Tag{Key: deref(t.Key), Value: deref(t.Value)})
	}
	return out
}

func tagsTo(tags []v1alpha1.Tag) []types.Tag {
	out := make([]types.Tag, 0, len(tags))
	for _, t := range tags {
		out = append(out, types.Tag{Key: ptr.To(t.Key), Value: ptr.To(t.Value)})
	}
	return out
}

// checkTags refuses two tags of one key, which differ by more than case.
func checkTags(tags []types.Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		key := strings.ToLower(deref(t.Key))
		if seen[key] {
			return invalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[key] = true
	}
	return nil
}

// tagged adds tags, over those of the same keys.
func tagged(have []v1alpha1.Tag, more []types.Tag) ([]v1alpha1.Tag, error) {
	out := slices.Clone(have)
	for _, t := range tagsOf(more) {
		at := slices.IndexFunc(out, func(o v1alpha1.Tag) bool { return strings.EqualFold(o.Key, t.Key) })
		if at >= 0 {
			out[at] = t
		} else {
			out = append(out, t)
		}
	}
	const most = 50
	if len(out) > most {
		return nil, limit("Cannot exceed quota for TagsPerEntity: 50")
	}
	return out, nil
}

func untagged(have []v1alpha1.Tag, keys []string) []v1alpha1.Tag {
	return slices.DeleteFunc(slices.Clone(have), func(t v1alpha1.Tag) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return strings.EqualFold(key, t.Key) })
	})
}

func created(e iam.Entity) *time.Time { return ptr.To(e.GetCreationTimestamp().UTC()) }

func boundary(p *v1alpha1.Permissions) *types.AttachedPermissionsBoundary {
	if p.PermissionsBoundary == "" {
		return nil
	}
	return &types.AttachedPermissionsBoundary{
		PermissionsBoundaryArn: ptr.To(p.PermissionsBoundary), PermissionsBoundaryType: types.PermissionsBoundaryAttachmentTypePolicy,
	}
}

func userTo(account string, u *v1alpha1.IAMUser) *types.User {
	out := &types.User{
		Arn: ptr.To(iam.ARNOf(account, u)), CreateDate: created(u), Path: ptr.To(u.AWSPath()), UserId: ptr.To(iam.UniqueIDOf(u)),
		UserName: ptr.To(u.AWSName()), PermissionsBoundary: boundary(&u.Spec.Permissions),
	}
	if len(u.Spec.Tags) > 0 {
		out.Tags = tagsTo(u.Spec.Tags)
	}
	return out
}

// defaultMaxSessionDuration in seconds.
const defaultMaxSessionDuration = 3600

func roleTo(account string, r *v1alpha1.IAMRole) *types.Role {
	out := &types.Role{
		Arn: ptr.To(iam.ARNOf(account, r)), CreateDate: created(r), Path: ptr.To(r.AWSPath()), RoleId: ptr.To(iam.UniqueIDOf(r)),
		RoleName: ptr.To(r.AWSName()), AssumeRolePolicyDocument: encoded(r.Spec.AssumeRolePolicy), Description: text(r.Spec.Description),
		MaxSessionDuration: ptr.To(max(r.Spec.MaxSessionDuration, defaultMaxSessionDuration)), PermissionsBoundary: boundary(&r.Spec.Permissions),
	}
	if len(r.Spec.Tags) > 0 {
		out.Tags = tagsTo(r.Spec.Tags)
	}
	return out
}

func groupTo(account string, g *v1alpha1.IAMGroup) *types.Group {
	return &types.Group{
		Arn: ptr.To(iam.ARNOf(account, g)), CreateDate: created(g), Path: ptr.To(g.AWSPath()), GroupId: ptr.To(iam.UniqueIDOf(g)), GroupName: ptr.To(g.AWSName()),
	}
}
