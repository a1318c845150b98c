package kms

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	list "strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/service/kms"
)

// An operation on an alias needs its permission twice: of the alias, which the caller's policies give, and of each key
// concerned, which the key's policy has a say in.
// https://docs.aws.amazon.com/kms/latest/developerguide/alias-access.html
func (o *operations) aliases() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("CreateAlias", alias(func(in *awskms.CreateAliasInput) *string { return in.AliasName }), o.createAlias),
		gateway.Op("UpdateAlias", alias(func(in *awskms.UpdateAliasInput) *string { return in.AliasName }), o.updateAlias),
		gateway.Op("DeleteAlias", alias(func(in *awskms.DeleteAliasInput) *string { return in.AliasName }), o.deleteAlias),
		gateway.Op("ListAliases", everything[awskms.ListAliasesInput], o.listAliases, gateway.ReadOnly),
	}
}

// alias makes the Resolve of an operation on an alias.
func alias[I any](name func(*I) *string) gateway.Resolve[I, kms.Ref] {
	return func(_ context.Context, call *gateway.Call, in *I) (gateway.Resource[kms.Ref], error) {
		alias := aws.ToString(name(in))
		ref := kms.Ref{Namespace: call.Namespace(), Account: call.Account(), Region: call.Region, Alias: alias}
		r := gateway.Resource[kms.Ref]{ARN: ref.ARN(), Value: ref, Context: &kms.Conditions{CallerAccount: call.Account()}}
		switch {
		case !strings.HasPrefix(alias, aliasPrefix) || alias == aliasPrefix:
			return r, validation("Invalid identifier")
		case strings.HasPrefix(alias, "alias/aws/"):
			r.Missing = &smithy.GenericAPIError{Code: "NotAuthorizedException", Message: "Aliases that begin with alias/aws/ are reserved", Fault: smithy.FaultClient}
		case strings.Trim(alias, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-") != "":
			return r, &types.InvalidAliasNameException{Message: aws.String("An alias name has letters, digits, slashes, underscores and dashes")}
		}
		return r, nil
	}
}

// aliasTarget finds the key that an alias is to name.
func (o *operations) aliasTarget(ctx context.Context, call *gateway.Call, keyID *string, ref kms.Ref, action keys.Operation) (*v1alpha1.KMSKey, error) {
	if id := aws.ToString(keyID); strings.HasPrefix(id, aliasPrefix) || strings.Contains(id, ":"+aliasPrefix) {
		return nil, validation("Aliases must refer to keys. Not aliases")
	}
	return o.aliasKey(ctx, call, asked{keyID: keyID}, ref, action)
}

func (o *operations) createAlias(ctx context.Context, call *gateway.Call, in *awskms.CreateAliasInput, ref kms.Ref) (*awskms.CreateAliasOutput, error) {
	key, err := o.aliasTarget(ctx, call, in.TargetKeyId, ref, keys.CreateAlias)
	if err == nil {
		err = stateError(key, keys.CreateAlias)
	}
	if err == nil {
		err = o.CreateAlias(ctx, key, ref.Alias)
	}
	if err != nil {
		return nil, aliasError(ref, key, err)
	}
	return &awskms.CreateAliasOutput{}, nil
}

func (o *operations) updateAlias(ctx context.Context, call *gateway.Call, in *awskms.UpdateAliasInput, ref kms.Ref) (*awskms.UpdateAliasOutput, error) {
	current, err := o.aliasKey(ctx, call, asked{keyID: &ref.Alias, how: anyName}, ref, keys.UpdateAlias)
	if err != nil {
		return nil, err
	}
	key, err := o.aliasTarget(ctx, call, in.TargetKeyId, ref, keys.UpdateAlias)
	if err == nil {
		err = stateError(key, keys.UpdateAlias)
	}
	if err == nil {
		err = interchangeable(current, key)
	}
	if err == nil {
		err = o.UpdateAlias(ctx, key, ref.Alias)
	}
	if err != nil {
		return nil, aliasError(ref, key, err)
	}
	return &awskms.UpdateAliasOutput{}, nil
}

// interchangeable refuses to move an alias to a key that cannot do what its current one does: who uses the alias would find another
// type of key behind it.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateAlias.html
func interchangeable(current, key *v1alpha1.KMSKey) error {
	if kms.UsageOf(current) != kms.UsageOf(key) || kms.SpecOf(current).Symmetric() != kms.SpecOf(key).Symmetric() {
		return validation("The alias names a key of key usage %s and key spec %s, and %s has key usage %s and key spec %s: an alias is moved between keys of "+
			"one type, symmetric or asymmetric, and usage. Delete the alias and create it anew to have it name another type.",
			kms.UsageOf(current), kms.SpecOf(current), key.Status.ARN, kms.UsageOf(key), kms.SpecOf(key))
	}
	return nil
}

func (o *operations) deleteAlias(ctx context.Context, call *gateway.Call, _ *awskms.DeleteAliasInput, ref kms.Ref) (*awskms.DeleteAliasOutput, error) {
	key, err := o.aliasKey(ctx, call, asked{keyID: &ref.Alias, how: anyName}, ref, keys.DeleteAlias)
	if err == nil {
		err = o.DeleteAlias(ctx, key, ref.Alias)
	}
	if err != nil {
		return nil, aliasError(ref, key, err)
	}
	return &awskms.DeleteAliasOutput{}, nil
}

// aliasKey is a permitted key that an operation on an alias concerns. kms:RequestAlias is not for these operations.
func (o *operations) aliasKey(ctx context.Context, call *gateway.Call, a asked, ref kms.Ref, action keys.Operation) (*v1alpha1.KMSKey, error) {
	key, err := o.permitted(ctx, call, a, string(action))
	if err == nil && key.Namespace != call.Namespace() {
		return nil, missing(ref)
	}
	return key, err
}

func aliasError(ref kms.Ref, key *v1alpha1.KMSKey, err error) error {
	switch {
	case errors.Is(err, kms.ErrAliasExists):
		return &types.AlreadyExistsException{Message: aws.String("An alias with the name " + ref.ARN() + " already exists")}
	case errors.Is(err, kms.ErrTooManyAliases):
		return &types.LimitExceededException{Message: aws.String("A key has at most 50 aliases.")}
	}
	return answer(key, err)
}

func (o *operations) listAliases(ctx context.Context, call *gateway.Call, in *awskms.ListAliasesInput, _ target) (*awskms.ListAliasesOutput, error) {
	all, err := o.Of(ctx, call.Namespace(), call.Account(), call.Region)
	if err != nil {
		return nil, answer(nil, err)
	}
	if in.KeyId != nil {
		ref, err := parseRef(call, *in.KeyId, idOnly)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(k v1alpha1.KMSKey) bool { return k.Status.ARN != ref.ARN() })
		if len(all) == 0 {
			return nil, missing(ref)
		}
	}
	entries := entriesOf(all, call)
	p, err := paged(o, list.Of(call, in), entries, func(e *types.AliasListEntry) string { return *e.AliasName }, in.Marker, in.Limit, 50, 100)
	if err != nil {
		return nil, err
	}
	return &awskms.ListAliasesOutput{Aliases: p.items, Truncated: p.truncated, NextMarker: p.next}, nil
}

// entriesOf are the aliases of keys, in order. One that several keys claim is the oldest one's, as everywhere.
func entriesOf(all []v1alpha1.KMSKey, call *gateway.Call) []types.AliasListEntry {
	slices.SortFunc(all, func(a, b v1alpha1.KMSKey) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	entries := []types.AliasListEntry{}
	seen := map[string]bool{}
	for i := range all {
		for _, alias := range all[i].Spec.Aliases {
			if seen[alias] {
				continue
			}
			seen[alias] = true
			ref := kms.Ref{Account: call.Account(), Region: call.Region, Alias: alias}
			entries = append(entries, types.AliasListEntry{
				AliasName: aws.String(alias), AliasArn: aws.String(ref.ARN()), TargetKeyId: &all[i].Status.KeyID,
			})
		}
	}
	slices.SortFunc(entries, func(a, b types.AliasListEntry) int { return cmp.Compare(*a.AliasName, *b.AliasName) })
	return entries
}
