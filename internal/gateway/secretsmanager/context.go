package secretsmanager

import (
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway/tags"
)

// conditionKeys is the condition keys of one request. Nothing is worked out that no policy asks for.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
type conditionKeys struct {
	// secretID is the secret's ARN.
	secretID string
	// name, description and key of CreateSecret and UpdateSecret.
	name, description, keyID, keyARN *string
	versionID, versionStage          *string
	// force and window of DeleteSecret.
	force  *bool
	window *int64
	// blockPublic of PutResourcePolicy.
	blockPublic *bool
	// functionARN is that of RotateSecret, modifyRules whether it has rules, and immediately whether it begins at once.
	functionARN              *string
	modifyRules, immediately *bool
	// function is the ARN of the function that the secret has.
	function string
	// primaryRegion is the region in which the secret is written, empty if it is not there.
	primaryRegion string
	// addRegions of CreateSecret and ReplicateSecretToRegions, and whether they may overwrite.
	addRegions     []types.ReplicaRegionType
	forceOverwrite *bool
	// tags are those of the secret; requestTags those of the request; tagKeys those that it takes away.
	tags        []v1alpha1.Tag
	requestTags []types.Tag
	tagKeys     []string
}

const (
	own         = "secretsmanager:"
	resourceTag = "aws:resourcetag/"
	requestTag  = "aws:requesttag/"
)

// Values implements iam.Context.
func (k *conditionKeys) Values(key string) ([]string, bool) {
	switch {
	case strings.HasPrefix(key, own):
		return k.ofService(key[len(own):])
	case strings.HasPrefix(key, resourceTag):
		return tags.Values(k.tags, key[len(resourceTag):])
	case strings.HasPrefix(key, requestTag):
		return iam.TagValues(k.requestTags, key[len(requestTag):], func(t *types.Tag) (key, value string) { return deref(t.Key), deref(t.Value) })
	case key == "aws:tagkeys":
		return k.keysOfTags()
	}
	return nil, false
}

func (k *conditionKeys) ofService(key string) ([]string, bool) {
	if name, ok := strings.CutPrefix(key, "resourcetag/"); ok {
		return tags.Values(k.tags, name)
	}
	switch key {
	case "secretid":
		return []string{k.secretID}, k.secretID != ""
	case "name":
		return one(k.name)
	case "description":
		return one(k.description)
	case "kmskeyid":
		return one(k.keyID)
	case "kmskeyarn":
		return one(k.keyARN)
	case "versionid":
		return one(k.versionID)
	case "versionstage":
		return one(k.versionStage)
	case "blockpublicpolicy":
		return oneBool(k.blockPublic)
	case "forcedeletewithoutrecovery":
		return oneBool(k.force)
	case "recoverywindowindays":
		return oneInt(k.window)
	}
	if values, known := k.ofReplication(key); known {
		return values, true
	}
	return k.ofRotation(key)
}

// ofReplication are the keys of replication.
func (k *conditionKeys) ofReplication(key string) ([]string, bool) {
	switch key {
	case "secretprimaryregion":
		return []string{k.primaryRegion}, k.primaryRegion != ""
	case "forceoverwritereplicasecret":
		return oneBool(k.forceOverwrite)
	case "addreplicaregions":
		regions := make([]string, 0, len(k.addRegions))
		for i := range k.addRegions {
			regions = append(regions, deref(k.addRegions[i].Region))
		}
		return regions, len(regions) > 0
	}
	return nil, false
}

// ofRotation are the keys of RotateSecret, and of the function that a secret has.
func (k *conditionKeys) ofRotation(key string) ([]string, bool) {
	switch key {
	case "rotationlambdaarn":
		return one(k.functionARN)
	case "resource/allowrotationlambdaarn":
		return []string{k.function}, k.function != ""
	case "modifyrotationrules":
		return oneBool(k.modifyRules)
	case "rotateimmediately":
		return oneBool(k.immediately)
	}
	return nil, false
}

func one(value *string) ([]string, bool) {
	if value == nil {
		return nil, false
	}
	return []string{*value}, true
}

func oneInt(value *int64) ([]string, bool) {
	if value == nil {
		return nil, false
	}
	return []string{strconv.FormatInt(*value, 10)}, true
}

func oneBool(value *bool) ([]string, bool) {
	if value == nil {
		return nil, false
	}
	return []string{strconv.FormatBool(*value)}, true
}

// functionOf notes the rotation function that a secret has.
func (k *conditionKeys) functionOf(secret *v1alpha1.Secret, secretARN string) {
	if f := secret.Spec.Rotation.ByFunction(); f != nil {
		k.function = arn.Function(arn.Region(secretARN), arn.Account(secretARN), f.ServiceRef.Name)
	}
}

func (k *conditionKeys) keysOfTags() ([]string, bool) {
	if k.requestTags == nil && k.tagKeys == nil {
		return nil, false
	}
	out := append([]string(nil), k.tagKeys...)
	for i := range k.requestTags {
		out = append(out, deref(k.requestTags[i].Key))
	}
	return out, true
}
