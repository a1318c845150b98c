package secretsmanager

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/core/generate"
	"strongroom.dev/strongroom/internal/gateway"
)

func (a *api) getRandomPassword(_ context.Context, _ *gateway.Call, in *sdk.GetRandomPasswordInput, _ struct{}) (*sdk.GetRandomPasswordOutput, error) {
	password := generate.Password{
		Length: ptr.Deref(in.PasswordLength, generate.DefaultPasswordLength), ExcludeCharacters: deref(in.ExcludeCharacters),
		ExcludeNumbers: deref(in.ExcludeNumbers), ExcludePunctuation: deref(in.ExcludePunctuation),
		ExcludeUppercase: deref(in.ExcludeUppercase), ExcludeLowercase: deref(in.ExcludeLowercase),
		IncludeSpace: deref(in.IncludeSpace), RequireEachIncludedType: in.RequireEachIncludedType,
	}
	if err := password.Validate(); err != nil {
		return nil, invalidParameter(err.Error())
	}
	value, err := password.Generate(a.Secrets.Random)
	if err != nil {
		return nil, err
	}
	defer value.Wipe()
	return &sdk.GetRandomPasswordOutput{RandomPassword: ptr.To(string(value.Reveal()))}, nil
}
