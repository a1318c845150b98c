package ssm

import (
	"context"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// resolveSetting is the service setting that a request names, by its id or its ARN. Another account's is nobody's to see.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetServiceSetting.html
func resolveSetting(call *gateway.Call, given *string) (gateway.Resource[string], error) {
	id, region, account := deref(given), call.Region, call.Account()
	if parts := strings.SplitN(id, ":", 6); parts[0] == "arn" {
		if len(parts) != 6 || parts[1] != arn.Partition || parts[2] != "ssm" || arn.ValidateAccount(parts[4]) != nil || !strings.HasPrefix(parts[5], "servicesetting/") {
			return gateway.Resource[string]{}, parameterstore.Invalid("Invalid service setting ARN: " + id)
		}
		region, account, id = parts[3], parts[4], strings.TrimPrefix(parts[5], "servicesetting")
	}
	r := gateway.Resource[string]{ARN: arn.ServiceSetting(region, account, id), Named: deref(given), Value: id}
	if account != call.Account() {
		r.Account = account
	}
	if !parameterstore.IsSetting(id) || region != call.Region || r.Account != "" {
		r.Missing = &types.ServiceSettingNotFound{Message: ptr.To("The specified service setting was not found. Either the service name or the setting " +
			"has not been provisioned by the AWS service team.")}
	}
	return r, nil
}

func (a *api) resolveGetSetting(_ context.Context, call *gateway.Call, in *sdk.GetServiceSettingInput) (gateway.Resource[string], error) {
	return resolveSetting(call, in.SettingId)
}

func (a *api) getServiceSetting(ctx context.Context, call *gateway.Call, _ *sdk.GetServiceSettingInput, id string) (*sdk.GetServiceSettingOutput, error) {
	out, err := a.setting(ctx, call, id)
	return &sdk.GetServiceSettingOutput{ServiceSetting: out}, err
}

func (a *api) resolveUpdateSetting(_ context.Context, call *gateway.Call, in *sdk.UpdateServiceSettingInput) (gateway.Resource[string], error) {
	return resolveSetting(call, in.SettingId)
}

func (a *api) updateServiceSetting(ctx context.Context, call *gateway.Call, in *sdk.UpdateServiceSettingInput, id string) (
	*sdk.UpdateServiceSettingOutput, error,
) {
	return &sdk.UpdateServiceSettingOutput{}, a.Parameters.UpdateSetting(ctx, call.Namespace(), call.Region, id, deref(in.SettingValue))
}

func (a *api) resolveResetSetting(_ context.Context, call *gateway.Call, in *sdk.ResetServiceSettingInput) (gateway.Resource[string], error) {
	return resolveSetting(call, in.SettingId)
}

func (a *api) resetServiceSetting(ctx context.Context, call *gateway.Call, _ *sdk.ResetServiceSettingInput, id string) (*sdk.ResetServiceSettingOutput, error) {
	if err := a.Parameters.ResetSetting(ctx, call.Namespace(), call.Region, id); err != nil {
		return nil, err
	}
	out, err := a.setting(ctx, call, id)
	return &sdk.ResetServiceSettingOutput{ServiceSetting: out}, err
}

// setting is one as AWS tells it. Who changed it is not told, but that AWS's System did if nobody has.
func (a *api) setting(ctx context.Context, call *gateway.Call, id string) (*types.ServiceSetting, error) {
	is, err := a.Parameters.Setting(ctx, call.Namespace(), call.Region, id)
	if err != nil {
		return nil, err
	}
	out := &types.ServiceSetting{
		SettingId: &is.ID, SettingValue: &is.Value, ARN: ptr.To(arn.ServiceSetting(call.Region, call.Account(), id)),
		Status: ptr.To("Default"), LastModifiedUser: ptr.To("System"),
	}
	if is.Customized {
		out.Status, out.LastModifiedUser = ptr.To("Customized"), nil
	}
	if !is.Modified.IsZero() {
		out.LastModifiedDate = &is.Modified
	}
	return out, nil
}
