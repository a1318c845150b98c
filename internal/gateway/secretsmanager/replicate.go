package secretsmanager

import (
	"context"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

const replicateAction = SigningName + ":ReplicateSecretToRegions"

func (a *api) resolveReplicate(ctx context.Context, call *gateway.Call, in *sdk.ReplicateSecretToRegionsInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, keys: conditionKeys{
		addRegions: in.AddReplicaRegions, forceOverwrite: ptr.To(in.ForceOverwriteReplicaSecret),
	}})
}

func (a *api) replicateSecretToRegions(ctx context.Context, call *gateway.Call, in *sdk.ReplicateSecretToRegionsInput, t target) (
	*sdk.ReplicateSecretToRegionsOutput, error,
) {
	if err := a.mayCopy(ctx, call, t); err != nil {
		return nil, err
	}
	regions, err := a.addedRegions(ctx, call, replication{
		namespace: t.secret.Namespace, arn: t.arn, versionID: t.secret.Status.CurrentVersionID, add: in.AddReplicaRegions,
	})
	if err != nil {
		return nil, err
	}
	secret, err := a.Secrets.Replicate(ctx, t.secret, regions, in.ForceOverwriteReplicaSecret)
	if err != nil {
		return nil, err
	}
	out := &sdk.ReplicateSecretToRegionsOutput{ARN: &t.arn}
	out.ReplicationStatus, err = a.replicas(ctx, secret)
	return out, err
}

// mayCopy asks whether the caller may read the values that the replicas will have, now and later: it may let others read them there. They are those
// of all versions with a stage, and what is put under the secret's key from now on.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicateSecretToRegions.html
func (a *api) mayCopy(ctx context.Context, call *gateway.Call, t target) error {
	asked := map[string]bool{}
	for _, v := range secretsmanager.IndexOf(t.secret) {
		if len(v.Stages) == 0 {
			continue // deprecated: it stays here
		}
		found, err := a.Secrets.Versions().Fetch(ctx, a.Secrets.SubjectOf(t.secret), v)
		if err != nil {
			return decryption(err)
		}
		asked[found.Key.Status.ARN] = true
		if err := a.useKey(ctx, call, found.Key, kmsDecrypt, t.arn, v.ID); err != nil {
			return err
		}
	}
	key, err := a.Secrets.AwaitKey(ctx, t.secret)
	if err != nil || asked[key.Status.ARN] {
		return encryption(err)
	}
	return a.useKey(ctx, call, key, kmsDecrypt, t.arn, t.secret.Status.CurrentVersionID)
}

// replication is what a request asks of a secret of a namespace. The version stands in the encryption context that policies see.
type replication struct {
	namespace, arn, versionID string
	add                       []types.ReplicaRegionType
}

// addedRegions checks the regions of a request, and whether the caller may encrypt under the keys that it names for them.
func (a *api) addedRegions(ctx context.Context, call *gateway.Call, r replication) ([]secretsmanager.AddedRegion, error) {
	out := make([]secretsmanager.AddedRegion, 0, len(r.add))
	seen := make(map[string]bool, len(r.add))
	for i := range r.add {
		region := deref(r.add[i].Region)
		if region == arn.Region(r.arn) || !a.Secrets.Serves(region) || seen[region] {
			return nil, secretsmanager.InvalidReplicaRegion()
		}
		seen[region] = true
		added := secretsmanager.AddedRegion{Region: region, KeyNamed: r.add[i].KmsKeyId != nil}
		key, err := a.Secrets.KeyByID(ctx, r.namespace, region, arn.Account(r.arn), deref(r.add[i].KmsKeyId))
		if err != nil {
			return nil, err
		}
		if !key.Default {
			if err := a.mayEncryptReplica(ctx, call, key, inRegion(r.arn, region), r.versionID); err != nil {
				return nil, err
			}
			added.Key = &v1alpha1.LocalReference{Name: key.Key.Name}
		}
		out = append(out, added)
	}
	return out, nil
}

// mayEncryptReplica asks for both permissions that AWS documents for the key of a replica.
func (a *api) mayEncryptReplica(ctx context.Context, call *gateway.Call, key secretsmanager.NamedKey, replicaARN, versionID string) error {
	if err := a.askKey(ctx, call, key.Key, key.ARN, kmsEncrypt, replicaARN, versionID); err != nil {
		return err
	}
	return a.mayUse(ctx, call, key, replicaARN, versionID)
}

// inRegion is an ARN in another region.
func inRegion(of, region string) string {
	parts := strings.SplitN(of, ":", 5)
	if len(parts) == 5 {
		parts[3] = region
	}
	return strings.Join(parts, ":")
}

func (a *api) resolveRemoveRegions(ctx context.Context, call *gateway.Call, in *sdk.RemoveRegionsFromReplicationInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId})
}

func (a *api) removeRegionsFromReplication(ctx context.Context, _ *gateway.Call, in *sdk.RemoveRegionsFromReplicationInput, t target) (
	*sdk.RemoveRegionsFromReplicationOutput, error,
) {
	secret, err := a.Secrets.RemoveRegions(ctx, t.secret, in.RemoveReplicaRegions)
	if err != nil {
		return nil, err
	}
	out := &sdk.RemoveRegionsFromReplicationOutput{ARN: &t.arn}
	out.ReplicationStatus, err = a.replicas(ctx, secret)
	return out, err
}

func (a *api) resolveStopReplication(ctx context.Context, call *gateway.Call, in *sdk.StopReplicationToReplicaInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, allowReplica: true})
}

func (a *api) stopReplicationToReplica(ctx context.Context, _ *gateway.Call, _ *sdk.StopReplicationToReplicaInput, t target) (
	*sdk.StopReplicationToReplicaOutput, error,
) {
	return &sdk.StopReplicationToReplicaOutput{ARN: &t.arn}, a.Secrets.Promote(ctx, t.secret)
}

// replicas is how far the replicas of a secret are, by their objects: more recent than what its status says.
func (a *api) replicas(ctx context.Context, secret *v1alpha1.Secret) ([]types.ReplicationStatusType, error) {
	if len(secret.Spec.ReplicaRegions) == 0 {
		return nil, nil
	}
	found, err := a.Secrets.Replicas(ctx, secret)
	if err != nil {
		return nil, err
	}
	out := make([]types.ReplicationStatusType, 0, len(secret.Spec.ReplicaRegions))
	for i := range secret.Spec.ReplicaRegions {
		listed := &secret.Spec.ReplicaRegions[i]
		var replica *v1alpha1.Secret
		for j := range found {
			if a.Secrets.RegionOf(&found[j]) == listed.Region {
				replica = &found[j]
			}
		}
		state, message := secretsmanager.StateOf(secret, replica, secretsmanager.Noted(secret, listed.Region))
		key := a.namedKeyID(ctx, secret.Namespace, listed.KMSKeyRef)
		if key == nil {
			key = ptr.To(secretsmanager.DefaultKeyAlias)
		}
		out = append(out, types.ReplicationStatusType{Region: &listed.Region, KmsKeyId: key, Status: types.StatusType(state), StatusMessage: given(&message)})
	}
	return out, nil
}

// primaryRegion is the region in which a secret that is replicated is written, nil for one that is not.
func (a *api) primaryRegion(secret *v1alpha1.Secret) *string {
	if !secretsmanager.IsReplica(secret) && len(secret.Spec.ReplicaRegions) == 0 {
		return nil
	}
	return ptr.To(a.Secrets.PrimaryRegion(secret))
}
