package kms

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

func (o *operations) usage() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("GetKeyLastUsage", on(o, func(in *awskms.GetKeyLastUsageInput) asked { return asked{keyID: in.KeyId} }), o.getKeyLastUsage, gateway.ReadOnly),
	}
}

// tracked notes that an operation was a use of its key, if it succeeded. A dry run is an error, as a refusal is.
func tracked[I, O any](o *operations, operation keys.Operation, handle gateway.Handle[I, O, target]) gateway.Handle[I, O, target] {
	return func(ctx context.Context, call *gateway.Call, in *I, t target) (*O, error) {
		out, err := handle(ctx, call, in, t)
		if err == nil {
			o.Used(t.key, usageOfCall(call, operation))
		}
		return out, err
	}
}

func usageOfCall(call *gateway.Call, operation keys.Operation) kms.Usage {
	return kms.Usage{Operation: operation, Time: call.Time, EventID: call.EventID, RequestID: call.RequestID}
}

func (o *operations) getKeyLastUsage(_ context.Context, _ *gateway.Call, _ *awskms.GetKeyLastUsageInput, t target) (*awskms.GetKeyLastUsageOutput, error) {
	last, since := o.LastUsage(t.key)
	out := &awskms.GetKeyLastUsageOutput{
		KeyId: &t.key.Status.KeyID, KeyCreationDate: aws.Time(t.key.CreationTimestamp.UTC()), TrackingStartDate: aws.Time(since),
		KeyLastUsage: &types.KeyLastUsageData{},
	}
	if last == nil {
		return out, nil
	}
	out.KeyLastUsage.Operation, out.KeyLastUsage.Timestamp = types.KeyLastUsageTrackingOperation(last.Operation), aws.Time(last.Time)
	if last.EventID != "" {
		out.KeyLastUsage.CloudTrailEventId = &last.EventID
	}
	if last.RequestID != "" {
		out.KeyLastUsage.KmsRequestId = &last.RequestID
	}
	return out, nil
}
