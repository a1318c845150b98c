package kms

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

const aliasPrefix = "alias/"

// naming is how an operation lets keys be named.
type naming uint8

const (
	// idOnly: key id or key ARN, of the caller's account.
	idOnly naming = iota
	// idAnywhere: key id or key ARN, of any account.
	idAnywhere
	// anyName: key id, key ARN, alias name or alias ARN, of any account.
	anyName
)

// parseRef reads a KeyId. Its errors tell of the text alone.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
func parseRef(call *gateway.Call, text string, how naming) (kms.Ref, error) {
	ref := kms.Ref{Namespace: call.Namespace(), Account: call.Account(), Region: call.Region}
	name, isAlias := text, strings.HasPrefix(text, aliasPrefix)
	if strings.HasPrefix(text, "arn:") {
		account, region := arn.Account(text), arn.Region(text)
		if !strings.HasPrefix(text, "arn:"+arn.Partition+":") || arn.Service(text) != "kms" || arn.ValidateAccount(account) != nil {
			return ref, &types.InvalidArnException{Message: aws.String("Invalid arn " + text)}
		}
		if region != call.Region {
			return ref, notFound("Invalid arn %s", region)
		}
		if account != ref.Account {
			ref.Account, ref.Namespace = account, ""
		}
		name = arn.Resource(text)
		id, isKey := strings.CutPrefix(name, "key/")
		isAlias = strings.HasPrefix(name, aliasPrefix)
		switch {
		case isKey:
			name = id
		case !isAlias:
			return ref, &types.InvalidArnException{Message: aws.String("Invalid arn " + text)}
		case how != anyName:
			return ref, &types.InvalidArnException{Message: aws.String("Key Aliases are not supported for this operation.")}
		}
	}
	if isAlias && how == anyName {
		ref.Alias = name
		return ref, nil
	}
	if _, err := keys.ParseKeyID(name); err != nil {
		return ref, notFound("Invalid keyId '%s'", name)
	}
	ref.KeyID = name
	return ref, nil
}
