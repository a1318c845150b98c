package kms

import (
	"cmp"
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

func (o *operations) replicas() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("ReplicateKey", o.replicating, o.replicateKey),
		gateway.Op("UpdatePrimaryRegion", on(o, func(in *awskms.UpdatePrimaryRegionInput) asked {
			return asked{keyID: in.KeyId, conditions: toRegion(in.PrimaryRegion)}
		}), o.updatePrimaryRegion),
	}
}

// toRegion are the condition keys of a change of the primary.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-primary-region
func toRegion(region *string) kms.Conditions {
	return kms.Conditions{More: iam.Map{"kms:primaryregion": {aws.ToString(region)}}}
}

func (o *operations) replicating(ctx context.Context, call *gateway.Call, in *awskms.ReplicateKeyInput) (gateway.Resource[target], error) {
	if _, err := newTagsOf(in.Tags); err != nil {
		return gateway.Resource[target]{}, err
	}
	return o.resource(ctx, call, asked{keyID: in.KeyId, conditions: kms.Conditions{More: iam.Map{
		"kms:replicaregion":                  {aws.ToString(in.ReplicaRegion)},
		"kms:bypasspolicylockoutsafetycheck": {boolean(in.BypassPolicyLockoutSafetyCheck)},
	}}})
}

// replicateKey needs kms:ReplicateKey of the primary, for which the operation has asked, and in the replica's region kms:CreateKey, and kms:TagResource of the
// replica if it gets tags.
// https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-auth.html
func (o *operations) replicateKey(ctx context.Context, call *gateway.Call, in *awskms.ReplicateKeyInput, t target) (*awskms.ReplicateKeyOutput, error) {
	region, tags := aws.ToString(in.ReplicaRegion), mustTags(in.Tags)
	spec := v1alpha1.KMSKeySpec{
		Description: aws.ToString(in.Description), Tags: tags, MultiRegion: true, KeySpec: t.key.Spec.KeySpec, KeyUsage: t.key.Spec.KeyUsage, Origin: t.key.Spec.Origin,
		ReplicaOf: &v1alpha1.PrimaryKey{Name: t.key.Name, Region: call.Region},
	}
	replicaARN := kms.ReplicaARN(t.key, region)
	if err := mayCreateReplica(call, replicaARN, region, tags, &v1alpha1.KMSKey{Spec: spec}, in.BypassPolicyLockoutSafetyCheck); err != nil {
		return nil, err
	}
	if err := o.replicable(t.key, region); err != nil {
		return nil, err
	}
	if in.Policy != nil {
		var err error
		if spec.Policy, err = checkedPolicy(call, replicaARN, *in.Policy, in.BypassPolicyLockoutSafetyCheck, &kms.Conditions{
			Key: &v1alpha1.KMSKey{Spec: spec}, CallerAccount: call.Account(),
		}); err != nil {
			return nil, err
		}
	}
	replica, err := o.Replicate(ctx, t.key, region, spec, func(k *v1alpha1.KMSKey) error { return o.replicable(k, region) })
	if errors.Is(err, kms.ErrReplicaExists) {
		return nil, &types.AlreadyExistsException{Message: aws.String("The key " + t.key.Status.KeyID + " already exists in the region " + region + ".")}
	}
	if err != nil {
		return nil, answer(t.key, err)
	}
	metadata, err := o.described(ctx, replica)
	return &awskms.ReplicateKeyOutput{ReplicaKeyMetadata: metadata, ReplicaPolicy: aws.String(kms.PolicyDocument(replica)), ReplicaTags: in.Tags}, err
}

// mustTags are the tags of a request that replicating has read before.
func mustTags(in []types.Tag) []v1alpha1.Tag {
	tags, _ := tagsOf(in)
	return tags
}

// mayCreateReplica asks for what the replica's region would be asked for if the key were made there.
func mayCreateReplica(call *gateway.Call, replicaARN, region string, tags []v1alpha1.Tag, replica *v1alpha1.KMSKey, bypass bool) error {
	there := *call
	there.Region = region
	err := there.Authorize(gateway.Question{Action: "kms:CreateKey", Resource: "*", Context: &kms.Conditions{
		CallerAccount: call.Account(), RequestTags: tags, More: iam.Map{
			"kms:keyspec": {string(kms.SpecOf(replica))}, "kms:keyusage": {string(kms.UsageOf(replica))}, "kms:keyorigin": {string(cmp.Or(replica.Spec.Origin, v1alpha1.KeyOriginKMS))},
			"kms:multiregion": {"true"}, "kms:multiregionkeytype": {string(kms.MultiRegionReplica)}, "kms:bypasspolicylockoutsafetycheck": {boolean(bypass)},
		},
	}})
	if err != nil || len(tags) == 0 {
		return err
	}
	return there.Authorize(gateway.Question{Action: "kms:TagResource", Resource: replicaARN, Context: &kms.Conditions{
		Key: replica, CallerAccount: call.Account(), RequestTags: tags,
	}})
}

// replicable tells whether a key can have a replica in a region now.
func (o *operations) replicable(key *v1alpha1.KMSKey, region string) error {
	switch {
	case kms.MultiRegionTypeOf(key) != kms.MultiRegionPrimary:
		return unsupported("%s is not a multi-Region primary key.", key.Status.ARN)
	case region == arn.Region(key.Status.ARN):
		return validation("The replica region %s is the region of the primary key.", region)
	case !o.Serves(region):
		return validation("The region %s is not served here.", region)
	}
	return stateError(key, keys.ReplicateKey)
}

// updatePrimaryRegion needs kms:UpdatePrimaryRegion of the primary, for which the operation has asked, and of the replica.
func (o *operations) updatePrimaryRegion(ctx context.Context, call *gateway.Call, in *awskms.UpdatePrimaryRegionInput, t target) (
	*awskms.UpdatePrimaryRegionOutput, error,
) {
	region := aws.ToString(in.PrimaryRegion)
	if err := yieldable(t.key, region); err != nil {
		return nil, err
	}
	there := *call
	there.Region = region
	replica, err := o.permitted(ctx, &there, asked{keyID: &t.key.Status.KeyID, conditions: toRegion(in.PrimaryRegion)}, "UpdatePrimaryRegion")
	_, missed := errors.AsType[*types.NotFoundException](err)
	switch {
	case missed, err == nil && (replica == nil || !o.IsReplicaOf(replica, t.key) || !kms.Replicates(t.key, region, replica)): // one that is not listed gets no material that it lacks
		return nil, notFound("Key '%s' has no replica in the region %s", t.key.Status.ARN, region)
	case err != nil:
		return nil, err
	}
	if err := stateError(replica, keys.UpdatePrimaryRegion); err != nil {
		return nil, err
	}
	err = o.UpdatePrimary(ctx, t.key, replica, func(k *v1alpha1.KMSKey) error { return yieldable(k, region) })
	return &awskms.UpdatePrimaryRegionOutput{}, answer(t.key, err)
}

// yieldable tells whether a key can give being the primary to its replica in a region now.
func yieldable(key *v1alpha1.KMSKey, region string) error {
	switch {
	case kms.MultiRegionTypeOf(key) != kms.MultiRegionPrimary:
		return unsupported("%s is not a multi-Region primary key.", key.Status.ARN)
	case region == arn.Region(key.Status.ARN):
		return unsupported("%s is the primary key already.", key.Status.ARN)
	}
	return stateError(key, keys.UpdatePrimaryRegion)
}

// described is metadata with what the keys of other regions say of a multi-Region key.
func (o *operations) described(ctx context.Context, key *v1alpha1.KMSKey) (*types.KeyMetadata, error) {
	m := o.metadata(key)
	if !key.Spec.MultiRegion {
		return m, nil
	}
	related, err := o.Related(ctx, key)
	if err != nil {
		return nil, answer(key, err)
	}
	c := &types.MultiRegionConfiguration{MultiRegionKeyType: types.MultiRegionKeyType(kms.MultiRegionTypeOf(key)), ReplicaKeys: []types.MultiRegionKey{}}
	for i := range related {
		one := types.MultiRegionKey{Arn: &related[i].Status.ARN, Region: aws.String(arn.Region(related[i].Status.ARN))}
		if kms.IsReplica(&related[i]) {
			c.ReplicaKeys = append(c.ReplicaKeys, one)
		} else {
			c.PrimaryKey = &one
		}
	}
	m.MultiRegionConfiguration = c
	if m.KeyState == types.KeyStatePendingReplicaDeletion {
		m.PendingDeletionWindowInDays = aws.Int32(int32(kms.PendingWindow(key).Hours() / 24))
	}
	return m, nil
}
