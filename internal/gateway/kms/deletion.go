package kms

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

func (o *operations) deletions() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("ScheduleKeyDeletion", on(o, func(in *awskms.ScheduleKeyDeletionInput) asked {
			days := fmt.Sprint(*periodOr(in.PendingWindowInDays, kms.MaximumPendingWindowDays))
			return asked{keyID: in.KeyId, conditions: kms.Conditions{
				UnusedDays: o.UnusedDays, More: iam.Map{"kms:schedulekeydeletionpendingwindowindays": {days}},
			}}
		}), o.scheduleKeyDeletion),
		gateway.Op("CancelKeyDeletion", on(o, func(in *awskms.CancelKeyDeletionInput) asked { return asked{keyID: in.KeyId} }),
			o.cancelKeyDeletion),
	}
}

// scheduleKeyDeletion takes AWS's 30 days if it is given none, whatever the window of kubectl's deletions is: what was asked for by the condition
// key is what happens.
func (o *operations) scheduleKeyDeletion(ctx context.Context, _ *gateway.Call, in *awskms.ScheduleKeyDeletionInput, t target) (
	*awskms.ScheduleKeyDeletionOutput, error,
) {
	days := *periodOr(in.PendingWindowInDays, kms.MaximumPendingWindowDays)
	if days < kms.MinimumPendingWindowDays || days > kms.MaximumPendingWindowDays {
		return nil, validation("1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: "+
			"Member must have value between %d and %d", days, kms.MinimumPendingWindowDays, kms.MaximumPendingWindowDays)
	}
	scheduled, err := o.ScheduleDeletion(ctx, t.key, days, func(k *v1alpha1.KMSKey) error { return stateError(k, keys.ScheduleKeyDeletion) })
	if err != nil {
		return nil, answer(t.key, err)
	}
	out := &awskms.ScheduleKeyDeletionOutput{
		KeyId: &t.key.Status.ARN, KeyState: types.KeyState(kms.StateNow(scheduled)), PendingWindowInDays: &days,
	}
	if at := scheduled.Status.DeletionTime; at != nil {
		out.DeletionDate = aws.Time(at.UTC())
	}
	return out, nil
}

// cancelKeyDeletion leaves the key disabled, as AWS does. A KMSKey that was deleted by Kubernetes and is held has no way back here.
func (o *operations) cancelKeyDeletion(ctx context.Context, _ *gateway.Call, _ *awskms.CancelKeyDeletionInput, t target) (
	*awskms.CancelKeyDeletionOutput, error,
) {
	err := o.CancelDeletion(ctx, t.key, func(k *v1alpha1.KMSKey) error {
		if !k.DeletionTimestamp.IsZero() {
			return &types.KMSInvalidStateException{Message: aws.String(k.Status.ARN + " is being deleted as an object of Kubernetes, which only its " +
				"administrator undoes: the condition DeletionBlocked of KMSKey " + k.Name + " says how.")}
		}
		return stateError(k, keys.CancelKeyDeletion)
	})
	if err != nil {
		return nil, answer(t.key, err)
	}
	return &awskms.CancelKeyDeletionOutput{KeyId: &t.key.Status.ARN}, nil
}
