package secretsmanager

import (
	"context"
	"strconv"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

func (a *api) resolveDescribe(ctx context.Context, call *gateway.Call, in *sdk.DescribeSecretInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, allowDeleted: true, allowReplica: true})
}

func (a *api) describeSecret(ctx context.Context, _ *gateway.Call, _ *sdk.DescribeSecretInput, t target) (*sdk.DescribeSecretOutput, error) {
	one, err := a.listed(t)
	if err != nil {
		return nil, decryption(err)
	}
	e := a.entry(ctx, one)
	replicas, err := a.replicas(ctx, one.Secret)
	if err != nil {
		return nil, err
	}
	return &sdk.DescribeSecretOutput{
		ARN: e.ARN, Name: e.Name, Description: e.Description, KmsKeyId: e.KmsKeyId, CreatedDate: e.CreatedDate,
		LastChangedDate: e.LastChangedDate, LastRotatedDate: e.LastRotatedDate, NextRotationDate: e.NextRotationDate,
		RotationEnabled: e.RotationEnabled, RotationLambdaARN: e.RotationLambdaARN, RotationRules: e.RotationRules, DeletedDate: e.DeletedDate, Tags: e.Tags,
		VersionIdsToStages: e.SecretVersionsToStages, PrimaryRegion: e.PrimaryRegion, ReplicationStatus: replicas,
	}, nil
}

// listed is what there is of a target, be it scheduled for deletion or not.
func (a *api) listed(t target) (secretsmanager.Listed, error) {
	if t.tombstone != nil {
		return a.Secrets.Buried(t.tombstone)
	}
	return secretsmanager.Listed{Secret: t.secret, ARN: t.arn}, nil
}

// entry is what ListSecrets says of a secret, and DescribeSecret too.
func (a *api) entry(ctx context.Context, one secretsmanager.Listed) types.SecretListEntry {
	s := one.Secret
	out := types.SecretListEntry{
		ARN: &one.ARN, Name: ptr.To(s.AWSName()), CreatedDate: ptr.To(secretsmanager.CreatedOf(s)),
		LastChangedDate: ptr.To(secretsmanager.ChangedOf(s)), KmsKeyId: a.keyID(ctx, s), Tags: awsTags(s.Spec.Tags), PrimaryRegion: a.primaryRegion(s),
	}
	if s.Spec.Description != "" {
		out.Description = &s.Spec.Description
	}
	if !one.Deleted.IsZero() {
		out.DeletedDate = &one.Deleted
	}
	out.SecretVersionsToStages = secretsmanager.Stages(s)
	r := s.Spec.Rotation
	if r == nil {
		return out
	}
	out.RotationEnabled, out.RotationRules = ptr.To(r.IsEnabled()), rulesOf(r)
	if f := r.ByFunction(); f != nil {
		out.RotationLambdaARN = ptr.To(arn.Function(arn.Region(one.ARN), arn.Account(one.ARN), f.ServiceRef.Name))
	}
	if r.IsEnabled() { // AWS tells neither of one that is turned off
		out.LastRotatedDate, out.NextRotationDate = dateOf(lastRotated(s)), dateOf(s.Status.NextRotationTime)
	}
	return out
}

// lastRotated is when a secret was rotated last; nothing while its first version is in force, of which status tells when it was made.
func lastRotated(s *v1alpha1.Secret) *metav1.Time {
	for i := range s.Status.Versions {
		if v := &s.Status.Versions[i]; v.VersionID == s.Status.CurrentVersionID && v.Sequence > 1 {
			return s.Status.LastRotatedTime
		}
	}
	return nil
}

// keyID is the ARN of the key that a secret names; nothing for the account's own.
func (a *api) keyID(ctx context.Context, s *v1alpha1.Secret) *string {
	return a.namedKeyID(ctx, s.Namespace, s.Spec.KMSKeyRef)
}

func (a *api) namedKeyID(ctx context.Context, namespace string, ref *v1alpha1.LocalReference) *string {
	if ref == nil || ref.Name == secretsmanager.DefaultKeyName {
		return nil
	}
	key, err := a.Secrets.KMS.ByName(ctx, namespace, ref.Name)
	if err != nil || key.Status.ARN == "" {
		return &ref.Name // a key that is gone is told by the name that the secret has for it
	}
	return &key.Status.ARN
}

// rulesOf is a schedule as AWS tells it, nil if there is none; a rate in days has both forms.
func rulesOf(r *v1alpha1.SecretRotation) *types.RotationRulesType {
	if r.Schedule == "" {
		return nil
	}
	out := &types.RotationRulesType{ScheduleExpression: &r.Schedule}
	if r.Duration != "" {
		out.Duration = &r.Duration
	}
	if rate, ok := strings.CutPrefix(r.Schedule, "rate("); ok && strings.Contains(rate, " day") {
		number, _, _ := strings.Cut(rate, " ")
		if days, err := strconv.ParseInt(number, 10, 64); err == nil {
			out.AutomaticallyAfterDays = &days
		}
	}
	return out
}

func dateOf(t *metav1.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return ptr.To(t.UTC())
}

func awsTags(tags []v1alpha1.Tag) []types.Tag {
	var out []types.Tag
	for i := range tags {
		out = append(out, types.Tag{Key: &tags[i].Key, Value: &tags[i].Value})
	}
	return out
}
