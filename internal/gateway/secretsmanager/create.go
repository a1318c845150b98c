package secretsmanager

import (
	"context"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// creation is what CreateSecret is about: a name, be it taken or not, and the key.
type creation struct {
	name string
	key  secretsmanager.NamedKey
}

func (a *api) resolveCreate(ctx context.Context, call *gateway.Call, in *sdk.CreateSecretInput) (gateway.Resource[creation], error) {
	var out gateway.Resource[creation]
	name := deref(in.Name)
	if err := secretsmanager.CheckName(name); err != nil {
		return out, err
	}
	out.Value.name, out.Named = name, name
	id := secretsmanager.ID{Name: name}
	out.ARN = id.PolicyARN(call.Region, call.Account())
	out.Made = func(made any) string { return deref(made.(*sdk.CreateSecretOutput).ARN) }
	keys := &conditionKeys{
		secretID: out.ARN, name: in.Name, description: in.Description, keyID: in.KmsKeyId, requestTags: in.Tags,
		tags:       tagsOf(in.Tags), // AWS asks for the tags that the secret will have
		addRegions: in.AddReplicaRegions, forceOverwrite: ptr.To(in.ForceOverwriteReplicaSecret),
	}
	key, err := a.Secrets.KeyByID(ctx, call.Namespace(), call.Region, call.Account(), deref(in.KmsKeyId))
	if err != nil {
		return out, err
	}
	if out.Value.key = key; key.ARN != "" {
		keys.keyARN = &key.ARN
	}
	out.Context = keys
	return out, nil
}

func (a *api) createSecret(ctx context.Context, call *gateway.Call, in *sdk.CreateSecretInput, c creation) (*sdk.CreateSecretOutput, error) {
	if err := checkToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	if deref(in.Type) != "" {
		return nil, invalidParameter("Managed external secrets (Type) are not supported.")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := c.mayBesides(call, in); err != nil {
		return nil, err
	}
	value, err := valueOf(in.SecretString, in.SecretBinary)
	if err != nil {
		return nil, err
	}
	input := secretsmanager.CreateInput{
		Namespace: call.Namespace(), Account: call.Account(), Region: call.Region, Name: c.name, Token: *in.ClientRequestToken,
		Description: deref(in.Description), Tags: tagsOf(in.Tags), ForceOverwrite: in.ForceOverwriteReplicaSecret, WithValue: value != nil,
	}
	if value != nil {
		defer value.Bytes.Wipe()
	}
	if !c.key.Default {
		if err := a.mayUse(ctx, call, c.key, c.secretARN(call), input.Token); err != nil {
			return nil, err
		}
		if len(in.AddReplicaRegions) > 0 { // which will have the value, and those that follow it, under keys of their own
			if err := a.useKey(ctx, call, c.key.Key, kmsDecrypt, c.secretARN(call), input.Token); err != nil {
				return nil, err
			}
		}
		input.KeyName = c.key.Key.Name
	}
	input.ReplicaRegions, err = a.addedRegions(ctx, call, replication{
		namespace: call.Namespace(), arn: c.secretARN(call), versionID: input.Token, add: in.AddReplicaRegions,
	})
	if err != nil {
		return nil, err
	}
	return a.create(ctx, call, input, value)
}

// mayBesides asks for what a request needs beside CreateSecret itself: a secret with tags, or with replicas.
func (c creation) mayBesides(call *gateway.Call, in *sdk.CreateSecretInput) error {
	if len(in.Tags) > 0 {
		err := call.Authorize(gateway.Question{
			Action: SigningName + ":TagResource", Resource: c.secretARN(call), Named: c.name,
			Context: &conditionKeys{secretID: c.secretARN(call), requestTags: in.Tags, tags: tagsOf(in.Tags)},
		})
		if err != nil {
			return err
		}
	}
	if len(in.AddReplicaRegions) == 0 {
		return nil
	}
	return call.Authorize(gateway.Question{
		Action: replicateAction, Resource: c.secretARN(call), Named: c.name,
		Context: &conditionKeys{
			secretID: c.secretARN(call), tags: tagsOf(in.Tags), primaryRegion: call.Region,
			addRegions: in.AddReplicaRegions, forceOverwrite: ptr.To(in.ForceOverwriteReplicaSecret),
		},
	})
}

// secretARN is what the secret's ARN is before its last characters are known.
func (c creation) secretARN(call *gateway.Call) string {
	id := secretsmanager.ID{Name: c.name}
	return id.PolicyARN(call.Region, call.Account())
}

// create makes the secret, and its first version if there is a value.
func (a *api) create(ctx context.Context, call *gateway.Call, input secretsmanager.CreateInput, value *secretsmanager.Value) (
	*sdk.CreateSecretOutput, error,
) {
	secret, err := a.Secrets.Create(ctx, input)
	if err != nil {
		return nil, encryption(err)
	}
	out := &sdk.CreateSecretOutput{ARN: ptr.To(a.Secrets.ARNOf(secret)), Name: &input.Name}
	if value != nil {
		v, err := a.put(ctx, call, secretsmanager.PutValueInput{Secret: secret, Token: input.Token, Value: *value}, a.Secrets.CreateValue)
		if err != nil {
			return nil, err
		}
		out.VersionId = &v.ID
	}
	out.ReplicationStatus, err = a.replicas(ctx, secret)
	return out, err
}

// checkTags says whether tags are as AWS allows them.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_TagResource.html
func checkTags(tags []types.Tag) error {
	seen := make(map[string]bool, len(tags))
	for i := range tags {
		key := deref(tags[i].Key)
		folded := strings.ToLower(key) // policies ask for tags whatever their case
		switch {
		case key == "" || len(key) > 128 || len(deref(tags[i].Value)) > 256:
			return invalidParameter("A tag has a key of 1 to 128 characters and a value of at most 256.")
		case reserved(key):
			return invalidParameter("Tag keys can't begin with aws:.")
		case seen[folded]:
			return invalidParameter("Duplicate tag keys found. Tag keys must be unique.")
		}
		seen[folded] = true
	}
	if len(tags) > secretsmanager.MaximumTags {
		return invalidParameter("A secret can have at most 50 tags.")
	}
	return nil
}

func reserved(key string) bool { return len(key) >= 4 && strings.EqualFold(key[:4], "aws:") }

func tagsOf(tags []types.Tag) []v1alpha1.Tag {
	out := make([]v1alpha1.Tag, 0, len(tags))
	for i := range tags {
		out = append(out, v1alpha1.Tag{Key: deref(tags[i].Key), Value: deref(tags[i].Value)})
	}
	return out
}
