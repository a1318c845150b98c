package ssm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	sdksecrets "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secretstypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// shortestVersionID is the length of the shortest id of a secret's version. What is shorter behind the colon of a reference is a stage.
const shortestVersionID = 32

// reference is the secret that a parameter's name refers to, false if it refers to none.
func reference(id *parameterstore.ID) (secret string, is bool) {
	secret, is = strings.CutPrefix(id.Name, parameterstore.ReferencePrefix)
	return secret, is && secret != "" && id.Account == ""
}

// referenced reads a secret as a parameter: whoever asks must be allowed to read it by Secrets Manager, too, whose own operation this is.
func (a *api) referenced(ctx context.Context, call *gateway.Call, id *parameterstore.ID, decrypt bool) (*types.Parameter, error) {
	secret, _ := reference(id)
	if !decrypt {
		return nil, parameterstore.Invalid("WithDecryption flag must be True for retrieving a Secret Manager secret.")
	}
	in := &sdksecrets.GetSecretValueInput{SecretId: &secret}
	switch {
	case len(id.Selector) >= shortestVersionID:
		in.VersionId = &id.Selector
	case id.Selector != "":
		in.VersionStage = &id.Selector
	}
	inner := *call
	inner.Service, inner.Operation, inner.Resources = "secretsmanager", a.SecretValue.Name, nil
	answer, err := a.SecretValue.Invoke(ctx, &inner, in)
	call.Resources = append(call.Resources, inner.Resources...)
	if err != nil {
		return nil, referenceError(id, err)
	}
	found := answer.(*sdksecrets.GetSecretValueOutput)
	if found.SecretString == nil {
		clear(found.SecretBinary)
		return nil, parameterstore.Invalid("The secret " + secret + " is binary: a parameter is text. Read it with GetSecretValue.")
	}
	source, err := sourceResult(found)
	if err != nil {
		return nil, err
	}
	out := &types.Parameter{
		ARN: found.ARN, Name: ptr.To(parameterstore.ReferencePrefix + secret), Type: types.ParameterTypeSecureString, DataType: ptr.To(dataType),
		Value: found.SecretString, SourceResult: &source, LastModifiedDate: found.CreatedDate,
	}
	if id.Selector != "" {
		out.Selector = ptr.To(":" + id.Selector)
	}
	return out, nil
}

// sourceResult is the answer of Secrets Manager in its own JSON, where times are seconds.
func sourceResult(found *sdksecrets.GetSecretValueOutput) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		ARN, Name     *string
		VersionID     *string `json:"VersionId"`
		SecretString  *string
		VersionStages []string
		CreatedDate   json.Number
	}{
		found.ARN, found.Name, found.VersionId, found.SecretString, found.VersionStages,
		json.Number(fmt.Sprintf("%.3f", float64(found.CreatedDate.UnixMilli())/1000)),
	})
	text := strings.TrimSuffix(out.String(), "\n")
	clear(out.Bytes())
	if err != nil {
		return "", fmt.Errorf("encoding the answer of Secrets Manager: %w", err)
	}
	return text, nil
}

// referenceError is an error of Secrets Manager as Systems Manager tells it. What is a failure of the service stays one.
func referenceError(id *parameterstore.ID, err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorFault() == smithy.FaultServer {
		return err
	}
	var none *secretstypes.ResourceNotFoundException
	if errors.As(err, &none) {
		return &types.ParameterNotFound{Message: ptr.To("An error occurred (ParameterNotFound) when referencing Secrets Manager: Secret " +
			strings.TrimPrefix(id.Name, "/") + " not found.")}
	}
	code := api.ErrorCode()
	out := &smithy.GenericAPIError{Code: "ValidationException", Fault: smithy.FaultClient}
	if code == "AccessDeniedException" {
		out.Code = code
	}
	out.Message = "An error occurred (" + code + ") when referencing Secrets Manager: " + api.ErrorMessage()
	return out
}
