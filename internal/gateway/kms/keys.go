package kms

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	list "strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/service/kms"
)

func (o *operations) keys() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("CreateKey", o.creating, o.createKey),
		gateway.Op("DescribeKey", on(o, func(in *awskms.DescribeKeyInput) asked { return using(in.KeyId, kms.Conditions{}, in.GrantTokens) }),
			o.describeKey, gateway.ReadOnly),
		gateway.Op("ListKeys", everything[awskms.ListKeysInput], o.listKeys, gateway.ReadOnly),
		gateway.Op("EnableKey", on(o, func(in *awskms.EnableKeyInput) asked { return asked{keyID: in.KeyId} }), o.enableKey),
		gateway.Op("DisableKey", on(o, func(in *awskms.DisableKeyInput) asked {
			return asked{keyID: in.KeyId, conditions: kms.Conditions{UnusedDays: o.UnusedDays}}
		}), o.disableKey),
		gateway.Op("UpdateKeyDescription", on(o, func(in *awskms.UpdateKeyDescriptionInput) asked { return asked{keyID: in.KeyId} }),
			o.updateKeyDescription),
	}
}

// creating is CreateKey's Resolve: policies may ask for what the key is to be.
func (o *operations) creating(_ context.Context, call *gateway.Call, in *awskms.CreateKeyInput) (gateway.Resource[[]v1alpha1.Tag], error) {
	tags, err := newTagsOf(in.Tags)
	if err != nil {
		return gateway.Resource[[]v1alpha1.Tag]{}, err
	}
	conditions := iam.Map{
		"kms:keyspec":                        {specOf(in)},
		"kms:keyusage":                       {usageOf(in)},
		"kms:keyorigin":                      {cmp.Or(string(in.Origin), "AWS_KMS")},
		"kms:multiregion":                    {boolean(aws.ToBool(in.MultiRegion))},
		"kms:bypasspolicylockoutsafetycheck": {boolean(in.BypassPolicyLockoutSafetyCheck)},
	}
	if aws.ToBool(in.MultiRegion) {
		conditions["kms:multiregionkeytype"] = []string{string(kms.MultiRegionPrimary)}
	}
	return gateway.Resource[[]v1alpha1.Tag]{ARN: "*", Value: tags, Context: &kms.Conditions{
		CallerAccount: call.Account(), RequestTags: tags, More: conditions,
	}}, nil
}

func boolean(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func (o *operations) createKey(ctx context.Context, call *gateway.Call, in *awskms.CreateKeyInput, tags []v1alpha1.Tag) (
	*awskms.CreateKeyOutput, error,
) {
	if err := cmp.Or(known(in.Origin), creatable(in)); err != nil {
		return nil, err
	}
	spec := v1alpha1.KMSKeySpec{
		Description: aws.ToString(in.Description), Tags: tags,
		KeySpec: v1alpha1.KeySpec(specOf(in)), KeyUsage: v1alpha1.KeyUsage(usageOf(in)), Region: call.Region,
		MultiRegion: aws.ToBool(in.MultiRegion),
	}
	if in.Origin == types.OriginTypeExternal {
		spec.Origin = v1alpha1.KeyOriginExternal
	}
	if err := o.inStore(ctx, call, in, &spec); err != nil {
		return nil, err
	}
	key := kms.New(call.Namespace(), spec)
	keyARN := arn.KMSKey(call.Region, call.Account(), key.Name)
	if in.Policy != nil {
		var err error
		if key.Spec.Policy, err = checkedPolicy(call, keyARN, *in.Policy, in.BypassPolicyLockoutSafetyCheck, &kms.Conditions{
			Key: key, CallerAccount: call.Account(),
		}); err != nil {
			return nil, err
		}
	}
	if len(tags) > 0 { // https://docs.aws.amazon.com/kms/latest/developerguide/tag-permissions.html
		err := call.Authorize(gateway.Question{Action: "kms:TagResource", Resource: keyARN, Context: &kms.Conditions{
			Key: key, CallerAccount: call.Account(), RequestTags: tags,
		}})
		if err != nil {
			return nil, err
		}
	}
	made, err := o.Create(ctx, key)
	if err != nil {
		return nil, answer(nil, err)
	}
	metadata, err := o.described(ctx, made)
	return &awskms.CreateKeyOutput{KeyMetadata: metadata}, err
}

// specOf is the key spec that is asked for, by either of its names.
func specOf(in *awskms.CreateKeyInput) string {
	return cmp.Or(string(in.KeySpec), string(in.CustomerMasterKeySpec), string(v1alpha1.KeySpecSymmetricDefault)) //nolint:staticcheck // see creatable
}

// usageOf is the key usage that is asked for.
func usageOf(in *awskms.CreateKeyInput) string {
	return cmp.Or(string(in.KeyUsage), string(v1alpha1.KeyUsageEncryptDecrypt))
}

// creatable tells whether there are such keys.
func creatable(in *awskms.CreateKeyInput) error {
	switch {
	case in.KeySpec != "" && in.CustomerMasterKeySpec != "": //nolint:staticcheck // older SDKs and Terraform send the old name
		return validation("You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.")
	case !keys.Spec(specOf(in)).Known():
		return unknownSpec("KeySpec", specOf(in))
	case keys.Spec(specOf(in)).CheckApproved() != nil:
		return notApproved(keys.Spec(specOf(in)).CheckApproved())
	case in.XksKeyId != nil:
		return unsupported("External key stores are not supported.")
	case (in.CustomKeyStoreId != nil) != (in.Origin == types.OriginTypeAwsCloudhsm):
		return validation("A key in a custom key store has CustomKeyStoreId and Origin AWS_CLOUDHSM, and any other key has neither.")
	case in.CustomKeyStoreId != nil && !kms.ModuleHas(keys.Spec(specOf(in)), keys.Usage(usageOf(in))):
		return unsupported("KeyUsage %s of KeySpec %s is not supported in a custom key store.", usageOf(in), specOf(in))
	case aws.ToBool(in.MultiRegion) && in.Origin == types.OriginTypeAwsCloudhsm:
		return unsupported("Multi-Region keys are not supported in a custom key store.")
	}
	return usable(keys.Spec(specOf(in)), in.KeyUsage)
}

// known tells whether keys have an origin.
func known(origin types.OriginType) error {
	if origin == types.OriginTypeExternalKeyStore {
		return unsupported("Origin %s is not supported: AWS_KMS, EXTERNAL and AWS_CLOUDHSM are.", origin)
	}
	return nil
}

// usable tells whether keys of a spec can be for that.
func usable(spec keys.Spec, usage types.KeyUsageType) error {
	switch {
	case usage == "" && spec == keys.SymmetricDefault, spec.Allows(keys.Usage(usage)):
		return nil
	case usage == "":
		return validation("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
	}
	return validation("KeyUsage %s is not compatible with KeySpec %s", usage, spec)
}

func (o *operations) describeKey(ctx context.Context, _ *gateway.Call, _ *awskms.DescribeKeyInput, t target) (*awskms.DescribeKeyOutput, error) {
	metadata, err := o.described(ctx, t.key)
	return &awskms.DescribeKeyOutput{KeyMetadata: metadata}, err
}

// algorithms that a key works by. All but those of its usage are nil.
type algorithms struct {
	signing    []types.SigningAlgorithmSpec
	encryption []types.EncryptionAlgorithmSpec
	mac        []types.MacAlgorithmSpec
	agreement  []types.KeyAgreementAlgorithmSpec
	kem        []types.EncapsulationAlgorithmSpec
}

func algorithmsOf(key *v1alpha1.KMSKey) (out algorithms) {
	spec := kms.SpecOf(key)
	switch kms.UsageOf(key) {
	case keys.SignVerify:
		for _, algorithm := range spec.SigningAlgorithms() {
			out.signing = append(out.signing, types.SigningAlgorithmSpec(algorithm))
		}
	case keys.EncryptDecrypt:
		for _, algorithm := range spec.EncryptionAlgorithms() {
			out.encryption = append(out.encryption, types.EncryptionAlgorithmSpec(algorithm))
		}
	case keys.GenerateVerifyMac:
		out.mac = []types.MacAlgorithmSpec{types.MacAlgorithmSpec(spec.MacAlgorithm())}
	case keys.KeyAgreement:
		out.agreement = []types.KeyAgreementAlgorithmSpec{keys.ECDH}
	case keys.EncapsulateDecapsulate:
		for _, algorithm := range spec.EncapsulationAlgorithms() {
			out.kem = append(out.kem, types.EncapsulationAlgorithmSpec(algorithm))
		}
	}
	return out
}

// metadata is a key as AWS describes it, by itself: see described.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_KeyMetadata.html
func (o *operations) metadata(key *v1alpha1.KMSKey) *types.KeyMetadata {
	state, spec, does := kms.StateFor(key, keys.DescribeKey), kms.SpecOf(key), algorithmsOf(key)
	m := &types.KeyMetadata{
		KeyId: &key.Status.KeyID, Arn: &key.Status.ARN, AWSAccountId: aws.String(arn.Account(key.Status.ARN)),
		CreationDate: aws.Time(key.CreationTimestamp.UTC()), Description: &key.Spec.Description,
		Enabled: state == v1alpha1.KeyStateEnabled, KeyState: types.KeyState(state), KeyManager: types.KeyManagerTypeCustomer,
		KeySpec: types.KeySpec(spec), CustomerMasterKeySpec: types.CustomerMasterKeySpec(spec), //nolint:staticcheck // AWS answers it too
		KeyUsage: types.KeyUsageType(kms.UsageOf(key)), Origin: types.OriginType(cmp.Or(key.Spec.Origin, v1alpha1.KeyOriginKMS)), MultiRegion: &key.Spec.MultiRegion,
		SigningAlgorithms: does.signing, EncryptionAlgorithms: does.encryption, MacAlgorithms: does.mac, KeyAgreementAlgorithms: does.agreement,
		EncapsulationAlgorithms: does.kem,
	}
	if at := key.Status.DeletionTime; at != nil && kms.Scheduled(key) {
		m.DeletionDate = aws.Time(at.UTC())
	}
	if kms.InModule(key) {
		store := cloudhsm.KeyStoreOf(key)
		m.CloudHsmClusterId, m.CustomKeyStoreId = aws.String(cloudhsm.ClusterID(store.Namespace, store.Name)), aws.String(cloudhsm.KeyStoreID(store.Namespace, store.Name))
	}
	if kms.External(key) {
		o.describeImport(m, key)
	}
	if kms.Managed(key) {
		m.KeyManager = types.KeyManagerTypeAws
	}
	if material, ok := kms.CurrentMaterial(key); ok && spec.Rotates() {
		m.CurrentKeyMaterialId = &material.ID
	}
	return m
}

func (o *operations) listKeys(ctx context.Context, call *gateway.Call, in *awskms.ListKeysInput, _ target) (*awskms.ListKeysOutput, error) {
	all, err := o.Of(ctx, call.Namespace(), call.Account(), call.Region)
	if err != nil {
		return nil, answer(nil, err)
	}
	page, err := paged(o, list.Of(call, in), all, func(k *v1alpha1.KMSKey) string { return k.Status.KeyID }, in.Marker, in.Limit, 100, 1000)
	if err != nil {
		return nil, err
	}
	out := &awskms.ListKeysOutput{Keys: make([]types.KeyListEntry, 0, len(page.items)), Truncated: page.truncated, NextMarker: page.next}
	for i := range page.items {
		out.Keys = append(out.Keys, types.KeyListEntry{KeyId: &page.items[i].Status.KeyID, KeyArn: &page.items[i].Status.ARN})
	}
	return out, nil
}

func (o *operations) enableKey(ctx context.Context, _ *gateway.Call, _ *awskms.EnableKeyInput, t target) (*awskms.EnableKeyOutput, error) {
	return &awskms.EnableKeyOutput{}, o.change(ctx, t.key, keys.EnableKey, func(k *v1alpha1.KMSKey) { k.Spec.Enabled = nil })
}

func (o *operations) disableKey(ctx context.Context, _ *gateway.Call, _ *awskms.DisableKeyInput, t target) (*awskms.DisableKeyOutput, error) {
	return &awskms.DisableKeyOutput{}, o.change(ctx, t.key, keys.DisableKey, func(k *v1alpha1.KMSKey) { k.Spec.Enabled = aws.Bool(false) })
}

func (o *operations) updateKeyDescription(ctx context.Context, _ *gateway.Call, in *awskms.UpdateKeyDescriptionInput, t target) (
	*awskms.UpdateKeyDescriptionOutput, error,
) {
	return &awskms.UpdateKeyDescriptionOutput{}, o.change(ctx, t.key, keys.UpdateKeyDescription, func(k *v1alpha1.KMSKey) {
		k.Spec.Description = aws.ToString(in.Description)
	})
}

// change changes a key if its state lets it: also the state that a faster writer left.
func (o *operations) change(ctx context.Context, key *v1alpha1.KMSKey, operation keys.Operation, change func(*v1alpha1.KMSKey)) error {
	_, err := o.Change(ctx, key, func(k *v1alpha1.KMSKey) error {
		if err := stateError(k, operation); err != nil {
			return err
		}
		change(k)
		return nil
	})
	return answer(key, err)
}
