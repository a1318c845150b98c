package acm

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/tags"
)

func (a *api) resolveAddTags(ctx context.Context, call *gateway.Call, in *sdk.AddTagsToCertificateInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, in.CertificateArn, in.Tags)
}

func (a *api) addTagsToCertificate(ctx context.Context, _ *gateway.Call, in *sdk.AddTagsToCertificateInput, t target) (*sdk.AddTagsToCertificateOutput, error) {
	asked := tagsOf(in.Tags)
	if err := tags.Check(asked); err != nil {
		return nil, answer(t.arn, err)
	}
	err := a.Certificates.Change(ctx, t.Certificate, func(c *v1alpha1.Certificate) (err error) {
		c.Spec.Tags, err = tags.Put(c.Spec.Tags, asked)
		return err
	})
	return &sdk.AddTagsToCertificateOutput{}, answer(t.arn, err)
}

func (a *api) resolveRemoveTags(ctx context.Context, call *gateway.Call, in *sdk.RemoveTagsFromCertificateInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, in.CertificateArn, in.Tags)
}

func (a *api) removeTagsFromCertificate(ctx context.Context, _ *gateway.Call, in *sdk.RemoveTagsFromCertificateInput, t target) (
	*sdk.RemoveTagsFromCertificateOutput, error,
) {
	var off []tags.Taken
	for i := range in.Tags {
		off = append(off, tags.Taken{Key: deref(in.Tags[i].Key), Value: in.Tags[i].Value})
	}
	err := a.Certificates.Change(ctx, t.Certificate, func(c *v1alpha1.Certificate) error {
		c.Spec.Tags = tags.Take(c.Spec.Tags, off)
		return nil
	})
	return &sdk.RemoveTagsFromCertificateOutput{}, answer(t.arn, err)
}

func (a *api) listTagsForCertificate(_ context.Context, _ *gateway.Call, _ *sdk.ListTagsForCertificateInput, t target) (*sdk.ListTagsForCertificateOutput, error) {
	all := tags.Sorted(t.Spec.Tags)
	out := &sdk.ListTagsForCertificateOutput{Tags: make([]types.Tag, 0, len(all))}
	for i := range all {
		out.Tags = append(out.Tags, types.Tag{Key: &all[i].Key, Value: &all[i].Value})
	}
	return out, nil
}

// mayTag asks for the permission to put tags on what a request makes, and says whether they can be put on.
func mayTag(call *gateway.Call, resource string, in []types.Tag) error {
	if len(in) == 0 {
		return nil
	}
	asked := tagsOf(in)
	if err := tags.Check(asked); err != nil {
		return answer(resource, err)
	}
	return call.Authorize(gateway.Question{
		Action: SigningName + ":AddTagsToCertificate", Resource: resource,
		Context: &conditionKeys{Keys: tags.Keys{Request: asked, Resource: asked}},
	})
}

// tagsOf are the tags of a request; nil for none.
func tagsOf(in []types.Tag) []v1alpha1.Tag {
	var out []v1alpha1.Tag
	for i := range in {
		out = append(out, v1alpha1.Tag{Key: deref(in[i].Key), Value: deref(in[i].Value)})
	}
	return out
}
