package secretsmanager

import (
	"context"
	"errors"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/gateway"
	pages "strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// batchSize is how many values one answer has.
const batchSize = 20

// batchGetSecretValue reads each secret as GetSecretValue does, permission included; what is refused is told with the others'
// values.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
func (a *api) batchGetSecretValue(ctx context.Context, call *gateway.Call, in *sdk.BatchGetSecretValueInput, _ struct{}) (
	*sdk.BatchGetSecretValueOutput, error,
) {
	out := &sdk.BatchGetSecretValueOutput{SecretValues: []types.SecretValueEntry{}, Errors: []types.APIErrorType{}}
	ids := in.SecretIdList
	switch byID, byFilter := len(ids) > 0, len(in.Filters) > 0; {
	case byID == byFilter:
		return nil, invalidParameter("You must provide either SecretIdList or Filters, and not both.")
	case byID && (in.MaxResults != nil || in.NextToken != nil):
		return nil, invalidParameter("MaxResults and NextToken go with Filters, not with SecretIdList.")
	case byFilter:
		var err error
		if ids, out.NextToken, err = a.batchPage(ctx, call, in); err != nil {
			return nil, err
		}
	}
	for i := range ids {
		value, err := a.getOne(ctx, call, &ids[i])
		if err == nil {
			out.SecretValues = append(out.SecretValues, *value)
			continue
		}
		var known smithy.APIError
		if !errors.As(err, &known) {
			return nil, err
		}
		out.Errors = append(out.Errors, types.APIErrorType{
			SecretId: &ids[i], ErrorCode: ptr.To(known.ErrorCode()), Message: ptr.To(known.ErrorMessage()),
		})
	}
	return out, nil
}

// batchPage lists the secrets of a page by filters, which needs the permission to list.
func (a *api) batchPage(ctx context.Context, call *gateway.Call, in *sdk.BatchGetSecretValueInput) (ids []string, next *string, err error) {
	if err := call.Authorize(gateway.Question{Action: SigningName + ":ListSecrets", Resource: "*"}); err != nil {
		return nil, nil, err
	}
	found, err := a.filtered(ctx, call, in.Filters, false)
	if err != nil {
		return nil, nil, err
	}
	key := func(one *secretsmanager.Listed) string { return sortKey("", one) }
	shown, next, err := paged(found, pages.Of(call, in), key, listedARN, in.NextToken, int(ptr.Deref(in.MaxResults, batchSize)), false)
	if err != nil {
		return nil, nil, err
	}
	for i := range shown {
		ids = append(ids, shown[i].ARN)
	}
	return ids, next, nil
}

func (a *api) getOne(ctx context.Context, call *gateway.Call, id *string) (*types.SecretValueEntry, error) {
	answer, err := a.get.Invoke(ctx, call, &sdk.GetSecretValueInput{SecretId: id})
	if err != nil {
		return nil, err
	}
	v := answer.(*sdk.GetSecretValueOutput)
	return &types.SecretValueEntry{
		ARN: v.ARN, Name: v.Name, VersionId: v.VersionId, VersionStages: v.VersionStages, CreatedDate: v.CreatedDate,
		SecretString: v.SecretString, SecretBinary: v.SecretBinary,
	}, nil
}
