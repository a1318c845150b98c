package secretsmanager

import (
	"context"
	"fmt"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/gateway"
	pages "strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// pageSize is how many entries a list shows that names no number.
const pageSize = 100

// none is the resource of operations that have none.
func none[I any](context.Context, *gateway.Call, *I) (gateway.Resource[struct{}], error) {
	return gateway.Resource[struct{}]{ARN: "*"}, nil
}

func (a *api) listSecrets(ctx context.Context, call *gateway.Call, in *sdk.ListSecretsInput, _ struct{}) (*sdk.ListSecretsOutput, error) {
	found, err := a.filtered(ctx, call, in.Filters, deref(in.IncludePlannedDeletion))
	if err != nil {
		return nil, err
	}
	key := func(one *secretsmanager.Listed) string { return sortKey(in.SortBy, one) }
	shown, next, err := paged(found, pages.Of(call, in), key, listedARN, in.NextToken, int(ptr.Deref(in.MaxResults, pageSize)), in.SortOrder == types.SortOrderTypeDesc)
	if err != nil {
		return nil, err
	}
	out := &sdk.ListSecretsOutput{SecretList: make([]types.SecretListEntry, 0, len(shown)), NextToken: next}
	for i := range shown {
		out.SecretList = append(out.SecretList, a.entry(ctx, shown[i]))
	}
	return out, nil
}

// filtered lists the secrets that filters let through.
func (a *api) filtered(ctx context.Context, call *gateway.Call, filters []types.Filter, deleted bool) ([]secretsmanager.Listed, error) {
	all, err := a.Secrets.List(ctx, call.Namespace(), call.Region, deleted)
	if err != nil {
		return nil, err
	}
	found := all[:0]
	for i := range all {
		if matches(filters, all[i].Secret, deref(a.primaryRegion(all[i].Secret))) {
			found = append(found, all[i])
		}
	}
	return found, nil
}

func listedARN(one *secretsmanager.Listed) string { return one.ARN }

// sortKey is what a list is sorted by: the date of creation if nothing is said.
func sortKey(by types.SortByType, one *secretsmanager.Listed) string {
	switch by {
	case types.SortByTypeName:
		return one.Secret.AWSName()
	case types.SortByTypeLastChangedDate:
		return secretsmanager.ChangedOf(one.Secret).Format(time.RFC3339)
	}
	return secretsmanager.CreatedOf(one.Secret).Format(time.RFC3339)
}

func (a *api) resolveVersions(ctx context.Context, call *gateway.Call, in *sdk.ListSecretVersionIdsInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, allowDeleted: true, allowReplica: true})
}

// listSecretVersionIds shows the oldest version first. Deprecated versions, without a label, are shown on demand.
func (a *api) listSecretVersionIds(ctx context.Context, call *gateway.Call, in *sdk.ListSecretVersionIdsInput, t target) (
	*sdk.ListSecretVersionIdsOutput, error,
) {
	one, err := a.listed(t)
	if err != nil {
		return nil, decryption(err)
	}
	all := secretsmanager.IndexOf(one.Secret)
	found := all[:0]
	for _, v := range all {
		if len(v.Stages) > 0 || deref(in.IncludeDeprecated) {
			found = append(found, v)
		}
	}
	key, id := func(v *version) string { return fmt.Sprintf("%020d", v.Sequence) }, func(v *version) string { return v.ID }
	shown, next, err := paged(found, pages.Of(call, in), key, id, in.NextToken, int(ptr.Deref(in.MaxResults, pageSize)), false)
	if err != nil {
		return nil, err
	}
	out := &sdk.ListSecretVersionIdsOutput{
		ARN: &t.arn, Name: ptr.To(one.Secret.AWSName()), NextToken: next, Versions: make([]types.SecretVersionsListEntry, 0, len(shown)),
	}
	for i := range shown {
		v := &shown[i]
		out.Versions = append(out.Versions, types.SecretVersionsListEntry{
			VersionId: &v.ID, VersionStages: v.Stages, CreatedDate: &v.Created, KmsKeyIds: a.keyIDs(ctx, one, *v),
		})
	}
	return out, nil
}

// keyIDs names the key of a version as AWS does; nothing if the version or its key is gone.
func (a *api) keyIDs(ctx context.Context, one secretsmanager.Listed, v version) []string {
	of := sealed.Subject{Namespace: one.Secret.Namespace, Name: one.Secret.Name, ARN: one.ARN}
	found, err := a.Secrets.Versions().Fetch(ctx, of, v)
	switch {
	case err != nil:
		return nil
	case secretsmanager.IsDefaultKey(found.Key):
		return []string{"DefaultEncryptionKey"}
	}
	return []string{found.Key.Status.ARN}
}
