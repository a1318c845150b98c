package kms

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	list "strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/service/kms"
)

// maximumTags of one key.
const maximumTags = 50

func (o *operations) tags() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("TagResource", o.tagging, o.tagResource),
		gateway.Op("UntagResource", on(o, func(in *awskms.UntagResourceInput) asked {
			return asked{keyID: in.KeyId, conditions: kms.Conditions{RequestTagKeys: in.TagKeys}}
		}), o.untagResource),
		gateway.Op("ListResourceTags", on(o, func(in *awskms.ListResourceTagsInput) asked { return asked{keyID: in.KeyId} }),
			o.listResourceTags, gateway.ReadOnly),
	}
}

func (o *operations) tagging(ctx context.Context, call *gateway.Call, in *awskms.TagResourceInput) (gateway.Resource[target], error) {
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return gateway.Resource[target]{}, err
	}
	return o.resource(ctx, call, asked{keyID: in.KeyId, conditions: kms.Conditions{RequestTags: tags}})
}

func (o *operations) tagResource(ctx context.Context, _ *gateway.Call, in *awskms.TagResourceInput, t target) (*awskms.TagResourceOutput, error) {
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	_, err = o.Change(ctx, t.key, func(k *v1alpha1.KMSKey) error {
		if err := stateError(k, keys.TagResource); err != nil {
			return err
		}
		for _, tag := range tags {
			at := slices.IndexFunc(k.Spec.Tags, func(t v1alpha1.Tag) bool { return t.Key == tag.Key })
			if at < 0 {
				k.Spec.Tags = append(k.Spec.Tags, tag)
				continue
			}
			k.Spec.Tags[at] = tag
		}
		if len(k.Spec.Tags) > maximumTags {
			return &types.LimitExceededException{Message: aws.String("A key has at most 50 tags.")}
		}
		return nil
	})
	return &awskms.TagResourceOutput{}, answer(t.key, err)
}

func (o *operations) untagResource(ctx context.Context, _ *gateway.Call, in *awskms.UntagResourceInput, t target) (*awskms.UntagResourceOutput, error) {
	if slices.ContainsFunc(in.TagKeys, reserved) {
		return nil, reservedTag()
	}
	return &awskms.UntagResourceOutput{}, o.change(ctx, t.key, keys.UntagResource, func(k *v1alpha1.KMSKey) {
		k.Spec.Tags = slices.DeleteFunc(k.Spec.Tags, func(t v1alpha1.Tag) bool { return slices.Contains(in.TagKeys, t.Key) })
	})
}

func (o *operations) listResourceTags(_ context.Context, call *gateway.Call, in *awskms.ListResourceTagsInput, t target) (
	*awskms.ListResourceTagsOutput, error,
) {
	all := slices.Clone(t.key.Spec.Tags)
	slices.SortFunc(all, func(a, b v1alpha1.Tag) int { return cmp.Compare(a.Key, b.Key) })
	p, err := paged(o, list.Of(call, in), all, func(t *v1alpha1.Tag) string { return t.Key }, in.Marker, in.Limit, 50, 50)
	if err != nil {
		return nil, err
	}
	out := &awskms.ListResourceTagsOutput{Tags: make([]types.Tag, 0, len(p.items)), Truncated: p.truncated, NextMarker: p.next}
	for i := range p.items {
		out.Tags = append(out.Tags, types.Tag{TagKey: &p.items[i].Key, TagValue: &p.items[i].Value})
	}
	return out, nil
}

// reserved tells whether a tag key is one of AWS's own, which nobody sets or takes away.
func reserved(key string) bool { return strings.HasPrefix(strings.ToLower(key), "aws:") }

func reservedTag() error {
	return &types.TagException{Message: aws.String("Tag keys cannot start with aws:")}
}

// newTagsOf reads the tags of a request that makes a key. TagResource has LimitExceededException for too many, of those that are there and its own.
func newTagsOf(in []types.Tag) ([]v1alpha1.Tag, error) {
	if len(in) > maximumTags {
		return nil, &types.TagException{Message: aws.String("Too many tags")}
	}
	return tagsOf(in)
}

// tagsOf reads the tags of a request.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Tag.html
func tagsOf(in []types.Tag) ([]v1alpha1.Tag, error) {
	var out []v1alpha1.Tag
	for _, t := range in {
		key := aws.ToString(t.TagKey)
		switch {
		case reserved(key):
			return nil, reservedTag()
		case slices.ContainsFunc(out, func(t v1alpha1.Tag) bool { return strings.EqualFold(t.Key, key) }):
			return nil, &types.TagException{Message: aws.String("Duplicate tag keys")}
		}
		out = append(out, v1alpha1.Tag{Key: key, Value: aws.ToString(t.TagValue)})
	}
	return out, nil
}
