// Package secretsmanager is AWS Secrets Manager's API over the service of the same name. It finds what a request is about,
// says what policies are asked, and translates; what is done is the service's.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html
package secretsmanager

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// SigningName is the service's name in signatures and in the actions of policies.
const SigningName = "secretsmanager"

// Dependencies are what the operations stand on.
type Dependencies struct {
	// Secrets carries out what is permitted.
	Secrets *secretsmanager.Service
}

// api is the operations' receiver.
type api struct {
	Dependencies
	// get is GetSecretValue, which BatchGetSecretValue carries out for each secret.
	get gateway.Operation
}

// New makes the service.
func New(d Dependencies) gateway.Service {
	a := &api{Dependencies: d}
	a.get = gateway.Op("GetSecretValue", a.resolveGet, a.getSecretValue, gateway.ReadOnly)
	return gateway.Service{Name: SigningName, Operations: []gateway.Operation{
		gateway.Op("BatchGetSecretValue", none[sdk.BatchGetSecretValueInput], a.batchGetSecretValue, gateway.ReadOnly),
		gateway.Op("CancelRotateSecret", a.resolveCancelRotate, a.cancelRotateSecret),
		gateway.Op("CreateSecret", a.resolveCreate, a.createSecret),
		gateway.Op("DeleteResourcePolicy", a.resolveDeletePolicy, a.deleteResourcePolicy),
		gateway.Op("DeleteSecret", a.resolveDelete, a.deleteSecret),
		gateway.Op("DescribeSecret", a.resolveDescribe, a.describeSecret, gateway.ReadOnly),
		gateway.Op("GetRandomPassword", none[sdk.GetRandomPasswordInput], a.getRandomPassword, gateway.ReadOnly),
		gateway.Op("GetResourcePolicy", a.resolveGetPolicy, a.getResourcePolicy, gateway.ReadOnly),
		a.get,
		gateway.Op("ListSecretVersionIds", a.resolveVersions, a.listSecretVersionIds, gateway.ReadOnly),
		gateway.Op("ListSecrets", none[sdk.ListSecretsInput], a.listSecrets, gateway.ReadOnly),
		gateway.Op("PutResourcePolicy", a.resolvePutPolicy, a.putResourcePolicy),
		gateway.Op("PutSecretValue", a.resolvePut, a.putSecretValue),
		gateway.Op("RemoveRegionsFromReplication", a.resolveRemoveRegions, a.removeRegionsFromReplication),
		gateway.Op("ReplicateSecretToRegions", a.resolveReplicate, a.replicateSecretToRegions),
		gateway.Op("RestoreSecret", a.resolveRestore, a.restoreSecret),
		gateway.Op("RotateSecret", a.resolveRotate, a.rotateSecret),
		gateway.Op("StopReplicationToReplica", a.resolveStopReplication, a.stopReplicationToReplica),
		gateway.Op("TagResource", a.resolveTag, a.tagResource),
		gateway.Op("UntagResource", a.resolveUntag, a.untagResource),
		gateway.Op("UpdateSecret", a.resolveUpdate, a.updateSecret),
		gateway.Op("UpdateSecretVersionStage", a.resolveStage, a.updateSecretVersionStage),
		gateway.Op("ValidateResourcePolicy", a.resolveValidate, a.validateResourcePolicy, gateway.ReadOnly),
	}}
}

// target is what a request is about: a secret that is there or scheduled for deletion.
type target struct {
	secret    *v1alpha1.Secret
	tombstone *v1alpha1.Envelope
	arn       string
}

// named is a SecretId with what a policy may ask of the request.
type named struct {
	given *string
	// allowDeleted: the operation also works on a secret that is scheduled for deletion.
	allowDeleted bool
	// allowReplica: the operation also works on a replica, which is written at its primary alone.
	allowReplica bool
	keys         conditionKeys
}

// find makes the resource of a request, in the caller's account or, by its ARN, in another. What is there and what is not differ in
// Missing alone, and in what policies see of a secret: its tags, its function and its own policy. A denial is told in the words of what is
// not there, if that would be denied too.
func (a *api) find(ctx context.Context, call *gateway.Call, n named) (gateway.Resource[target], error) {
	var out gateway.Resource[target]
	id, err := secretsmanager.ParseID(deref(n.given))
	if err != nil {
		return out, err
	}
	found, err := a.Secrets.Find(ctx, call.Namespace(), call.Region, call.Account(), &id)
	if err != nil {
		return out, err
	}
	out.Named, out.Account = id.Given, id.Account
	keys := &n.keys
	out.Unknown = func() gateway.Question {
		absent := *keys
		absent.tags, absent.function, absent.primaryRegion, absent.secretID = nil, "", "", id.PolicyARN(call.Region, call.Account())
		return gateway.Question{Resource: absent.secretID, Named: id.Given, ResourceAccount: id.Account, Context: &absent}
	}
	switch {
	case found.Secret != nil:
		out.Value = target{secret: found.Secret, arn: a.Secrets.ARNOf(found.Secret)}
		out.Policy = a.Secrets.Policy(found.Secret)
		keys.tags = found.Secret.Spec.Tags
		keys.functionOf(found.Secret, out.Value.arn)
		keys.primaryRegion = a.Secrets.PrimaryRegion(found.Secret)
		if !n.allowReplica && secretsmanager.IsReplica(found.Secret) {
			out.Missing = secretsmanager.OnReplica()
		}
	case found.Tombstone != nil:
		out.Value = target{tombstone: found.Tombstone, arn: found.Tombstone.Spec.Subject}
		if buried, err := a.Secrets.Exhume(found.Tombstone); err == nil { // one that does not open fails every operation but force
			keys.tags, out.Policy = buried.Spec.Tags, secretsmanager.EntombedPolicy(buried)
			keys.primaryRegion = a.Secrets.PrimaryRegion(buried)
		}
		if !n.allowDeleted {
			out.Missing = secretsmanager.MarkedForDeletion()
		}
	default:
		out.Missing = secretsmanager.NotFound()
		out.Value.arn = id.PolicyARN(call.Region, call.Account())
	}
	out.ARN = out.Value.arn
	keys.secretID = out.ARN
	out.Context = keys
	return out, nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
