package kms

import (
	"context"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

func (o *operations) macs() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("GenerateMac", on(o, func(in *awskms.GenerateMacInput) asked {
			return using(in.KeyId, macConditions(in.MacAlgorithm), in.GrantTokens)
		}), tracked(o, keys.GenerateMac, o.generateMac), gateway.ReadOnly),
		gateway.Op("VerifyMac", on(o, func(in *awskms.VerifyMacInput) asked {
			return using(in.KeyId, macConditions(in.MacAlgorithm), in.GrantTokens)
		}), tracked(o, keys.VerifyMac, o.verifyMac), gateway.ReadOnly),
	}
}

// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-mac-algorithm
func macConditions(algorithm types.MacAlgorithmSpec) kms.Conditions {
	return kms.Conditions{More: iam.Map{"kms:macalgorithm": {string(algorithm)}}}
}

func (o *operations) generateMac(ctx context.Context, _ *gateway.Call, in *awskms.GenerateMacInput, t target) (*awskms.GenerateMacOutput, error) {
	if err := authenticable(t.key, keys.GenerateMac, in.MacAlgorithm, in.Message); err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	code, err := o.GenerateMac(ctx, t.key, keys.MacAlgorithm(in.MacAlgorithm), in.Message)
	if err != nil {
		return nil, answer(t.key, err)
	}
	return &awskms.GenerateMacOutput{KeyId: &t.key.Status.ARN, Mac: code, MacAlgorithm: in.MacAlgorithm}, nil
}

// verifyMac never answers false: a code that is not valid is an error, as AWS has it.
func (o *operations) verifyMac(ctx context.Context, _ *gateway.Call, in *awskms.VerifyMacInput, t target) (*awskms.VerifyMacOutput, error) {
	err := authenticable(t.key, keys.VerifyMac, in.MacAlgorithm, in.Message)
	if err == nil {
		err = o.VerifyMac(ctx, t.key, keys.MacAlgorithm(in.MacAlgorithm), in.Message, in.Mac)
	}
	if err == nil {
		err = dryRun(in.DryRun)
	}
	if err != nil {
		return nil, answer(t.key, err)
	}
	return &awskms.VerifyMacOutput{KeyId: &t.key.Status.ARN, MacAlgorithm: in.MacAlgorithm, MacValid: true}, nil
}

// authenticable checks what GenerateMac and VerifyMac have in common, after the permission.
func authenticable(key *v1alpha1.KMSKey, operation keys.Operation, algorithm types.MacAlgorithmSpec, message []byte) error {
	if err := common(key, operation, nil); err != nil {
		return err
	}
	if spec := kms.SpecOf(key); spec.CheckMac(keys.MacAlgorithm(algorithm)) != nil {
		return incompatible(string(algorithm), spec)
	}
	if len(message) > keys.MaxMessage {
		return validation("1 validation error detected: Value at 'message' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", keys.MaxMessage)
	}
	return nil
}
