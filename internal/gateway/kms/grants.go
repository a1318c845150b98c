package kms

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/grants"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	list "strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/principals"
)

func (o *operations) grants() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("CreateGrant", o.creatingGrant, o.createGrant),
		gateway.Op("ListGrants", on(o, func(in *awskms.ListGrantsInput) asked {
			return asked{keyID: in.KeyId, how: idAnywhere, conditions: kms.Conditions{More: notForService}}
		}), o.listGrants, gateway.ReadOnly),
		gateway.Op("ListRetirableGrants", o.retirable, o.listRetirableGrants, gateway.ReadOnly),
		gateway.Op("RetireGrant", o.retiring, o.retireGrant),
		gateway.Op("RevokeGrant", on(o, func(in *awskms.RevokeGrantInput) asked {
			return asked{keyID: in.KeyId, how: idAnywhere, conditions: kms.Conditions{More: notForService}}
		}), o.revokeGrant),
	}
}

// notForService are the condition keys of requests about grants that no AWS service makes: none does here.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-grant-is-for-aws-resource
var notForService = iam.Map{"kms:grantisforawsresource": {"false"}}

// shown are the grants that a request has tokens of. A token of a grant that is gone shows nothing, and is no error.
// https://docs.aws.amazon.com/kms/latest/developerguide/using-grant-token.html
func (o *operations) shown(ctx context.Context, tokens []string) ([]v1alpha1.KMSGrant, error) {
	var out []v1alpha1.KMSGrant
	for _, token := range tokens {
		found, err := o.openGrantToken(ctx, token)
		if err != nil {
			return nil, err
		}
		if found.Grant != nil {
			out = append(out, *found.Grant)
		}
	}
	return out, nil
}

func (o *operations) openGrantToken(ctx context.Context, token string) (kms.TokenGrant, error) {
	found, err := o.OpenGrantToken(ctx, token)
	if errors.Is(err, kms.ErrGrantToken) {
		return found, &types.InvalidGrantTokenException{Message: aws.String("The grant token is not valid.")}
	}
	return found, answer(nil, err)
}

// grantTarget is the grant that an operation is permitted, and its key.
type grantTarget struct {
	key   *v1alpha1.KMSKey
	grant *v1alpha1.KMSGrant
}

// proposed is the grant that CreateGrant is to make.
type proposed struct {
	target
	spec v1alpha1.KMSGrantSpec
}

// creatingGrant is CreateGrant's Resolve: policies may ask for what the grant is to be.
func (o *operations) creatingGrant(ctx context.Context, call *gateway.Call, in *awskms.CreateGrantInput) (gateway.Resource[proposed], error) {
	spec, err := grantSpec(call, in)
	if err != nil {
		return gateway.Resource[proposed]{}, err
	}
	child := kms.GrantOf(&v1alpha1.KMSGrant{Spec: spec})
	r, err := o.resource(ctx, call, asked{
		keyID: in.KeyId, how: idAnywhere, tokens: in.GrantTokens, child: &child, conditions: grantConditions(&spec, &child),
	})
	if err != nil {
		return gateway.Resource[proposed]{}, err
	}
	return gateway.Resource[proposed]{
		ARN: r.ARN, Named: r.Named, Account: r.Account, Policy: r.Policy, MustAllow: r.MustAllow, Grants: r.Grants, Context: r.Context,
		Unknown: r.Unknown, Missing: r.Missing, Value: proposed{r.Value, spec},
	}, nil
}

// grantConditions are the condition keys of CreateGrant. The encryption context is that of the constraint.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
func grantConditions(spec *v1alpha1.KMSGrantSpec, grant *grants.Grant) kms.Conditions {
	more := iam.Map{"kms:granteeprincipal": {spec.GranteePrincipal}}
	for key, values := range notForService {
		more[key] = values
	}
	if spec.RetiringPrincipal != "" {
		more["kms:retiringprincipal"] = []string{spec.RetiringPrincipal}
	}
	for _, operation := range grant.Operations {
		more["kms:grantoperations"] = append(more["kms:grantoperations"], string(operation))
	}
	conditions := kms.Conditions{EncryptionContext: grant.Subset, More: more}
	if grant.Subset != nil {
		more["kms:grantconstrainttype"] = append(more["kms:grantconstrainttype"], "EncryptionContextSubset")
	}
	if grant.Equals != nil {
		more["kms:grantconstrainttype"] = append(more["kms:grantconstrainttype"], "EncryptionContextEquals")
		conditions.EncryptionContext = grant.Equals // which is all that a request can have
	}
	return conditions
}

// grantSpec is the grant that is asked for.
func grantSpec(call *gateway.Call, in *awskms.CreateGrantInput) (spec v1alpha1.KMSGrantSpec, err error) {
	switch {
	case in.GranteeServicePrincipal != nil || in.RetiringServicePrincipal != nil:
		return spec, unsupported("Service principals are not supported: no AWS service uses keys of its own accord here.")
	case in.GranteePrincipal == nil:
		return spec, validation("GranteePrincipal or GranteeServicePrincipal is required.")
	}
	spec = v1alpha1.KMSGrantSpec{Name: aws.ToString(in.Name), IssuingAccount: call.Account()}
	if spec.GranteePrincipal, err = principalOf(in.GranteePrincipal); err != nil {
		return spec, err
	}
	if spec.RetiringPrincipal, err = principalOf(in.RetiringPrincipal); err != nil {
		return spec, err
	}
	had := map[types.GrantOperation]bool{}
	for _, operation := range in.Operations {
		if !had[operation] {
			spec.Operations = append(spec.Operations, v1alpha1.GrantOperation(operation))
		}
		had[operation] = true
	}
	if c := in.Constraints; c != nil {
		if c.SourceArn != nil {
			return spec, unsupported("The constraint SourceArn is not supported: no request is made on behalf of a resource here.")
		}
		if len(c.EncryptionContextEquals)+len(c.EncryptionContextSubset) > 0 {
			spec.Constraints = &v1alpha1.GrantConstraints{
				EncryptionContextEquals: pairsOf(c.EncryptionContextEquals), EncryptionContextSubset: pairsOf(c.EncryptionContextSubset),
			}
		}
	}
	return spec, nil
}

// pairsOf is a constraint, nil for one without a pair, which constrains nothing.
func pairsOf(pairs map[string]string) map[string]string {
	if len(pairs) == 0 {
		return nil
	}
	return pairs
}

// principalOf is the ARN that a request names a principal by, empty for none.
func principalOf(value *string) (string, error) {
	if value == nil {
		return "", nil
	}
	name, err := grants.Principal(*value)
	if err != nil {
		return "", invalidPrincipal(*value)
	}
	return name, nil
}

func invalidPrincipal(name string) error {
	return &types.InvalidArnException{Message: aws.String("ARN does not refer to a valid principal: " + name)}
}

func (o *operations) createGrant(ctx context.Context, _ *gateway.Call, in *awskms.CreateGrantInput, p proposed) (*awskms.CreateGrantOutput, error) {
	if err := stateError(p.key, keys.CreateGrant); err != nil {
		return nil, err
	}
	grant := kms.GrantOf(&v1alpha1.KMSGrant{Spec: p.spec})
	if err := grant.Check(kms.SpecOf(p.key), kms.UsageOf(p.key)); err != nil {
		return nil, validation("%s", err)
	}
	uniqueIDs, err := o.principalsNow(ctx, &p.spec)
	if err != nil {
		return nil, answer(p.key, err)
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	made, err := o.CreateGrant(ctx, p.key, p.spec, uniqueIDs)
	if errors.Is(err, kms.ErrTooManyGrants) {
		return nil, &types.LimitExceededException{Message: aws.String("The key has as many grants as a key can have.")}
	}
	if err != nil {
		return nil, answer(p.key, err)
	}
	token, err := o.GrantToken(made, p.key.Status.ARN)
	return &awskms.CreateGrantOutput{GrantId: aws.String(kms.GrantID(made)), GrantToken: &token}, answer(p.key, err)
}

// principalsNow are the unique ids of the users and roles that a grant names, and fails unless all are there, as AWS KMS wants it. An account is not
// looked for: it need not be one of Strongroom's.
func (o *operations) principalsNow(ctx context.Context, spec *v1alpha1.KMSGrantSpec) (map[string]string, error) {
	named := principals.OfGrant(&v1alpha1.KMSGrant{Spec: *spec})
	found, err := principals.Find(ctx, o.Reader, named)
	if err != nil {
		return nil, err
	}
	for _, name := range named {
		if found[name] == "" {
			return nil, invalidPrincipal(name)
		}
	}
	return found, nil
}

// The limits of a page of grants.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListGrants.html
const (
	usualGrants = 50
	mostGrants  = 100
)

func (o *operations) listGrants(ctx context.Context, call *gateway.Call, in *awskms.ListGrantsInput, t target) (*awskms.ListGrantsOutput, error) {
	if in.GranteeServicePrincipal != nil {
		return nil, validation("GranteeServicePrincipal is for callers that are service principals.")
	}
	grantee, err := principalOf(in.GranteePrincipal)
	if err != nil {
		return nil, err
	}
	found, err := o.grantsToList(ctx, call, in, t.key, grantee)
	if err != nil {
		return nil, err
	}
	var listed []kms.GrantOnKey
	for i := range found {
		listed = append(listed, kms.GrantOnKey{Grant: &found[i], Key: t.key})
	}
	return o.grantPage(list.Of(call, in), listed, in.Marker, in.Limit)
}

// grantsToList are the grants that a request asks for, one more than the longest page at most.
func (o *operations) grantsToList(ctx context.Context, call *gateway.Call, in *awskms.ListGrantsInput, key *v1alpha1.KMSKey, grantee string) ([]v1alpha1.KMSGrant, error) {
	if in.GrantId != nil {
		if err := checkGrantID(*in.GrantId); err != nil {
			return nil, err
		}
		found, err := o.FindGrant(ctx, key, *in.GrantId)
		if found == nil || err != nil || grantee != "" && found.Spec.GranteePrincipal != grantee {
			return nil, answer(key, err)
		}
		return []v1alpha1.KMSGrant{*found}, nil
	}
	after := ""
	if in.Marker != nil {
		var err error
		if after, err = o.openMarker(list.Of(call, in), *in.Marker); err != nil {
			return nil, err
		}
	}
	all, err := o.GrantsAfter(ctx, key, grantee, after, mostGrants+1)
	return all, answer(key, err)
}

func (o *operations) grantPage(of string, all []kms.GrantOnKey, marker *string, limit *int32) (*awskms.ListGrantsOutput, error) {
	page, err := paged(o, of, all, func(g *kms.GrantOnKey) string { return kms.GrantID(g.Grant) }, marker, limit, usualGrants, mostGrants)
	if err != nil {
		return nil, err
	}
	out := &awskms.ListGrantsOutput{Grants: make([]types.GrantListEntry, 0, len(page.items)), Truncated: page.truncated, NextMarker: page.next}
	for i := range page.items {
		out.Grants = append(out.Grants, grantEntry(page.items[i].Grant, page.items[i].Key))
	}
	return out, nil
}

// grantEntry is a grant as AWS lists it.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantListEntry.html
func grantEntry(g *v1alpha1.KMSGrant, key *v1alpha1.KMSKey) types.GrantListEntry {
	out := types.GrantListEntry{
		KeyId: &key.Status.ARN, GrantId: aws.String(kms.GrantID(g)), CreationDate: aws.Time(g.CreationTimestamp.UTC()),
		GranteePrincipal: &g.Spec.GranteePrincipal, IssuingAccount: aws.String("arn:" + arn.Partition + ":iam::" + kms.IssuingAccount(g, key) + ":root"),
	}
	if g.Spec.Name != "" {
		out.Name = &g.Spec.Name
	}
	if g.Spec.RetiringPrincipal != "" {
		out.RetiringPrincipal = &g.Spec.RetiringPrincipal
	}
	for _, operation := range g.Spec.Operations {
		out.Operations = append(out.Operations, types.GrantOperation(operation))
	}
	if c := g.Spec.Constraints; c != nil {
		out.Constraints = &types.GrantConstraints{EncryptionContextEquals: c.EncryptionContextEquals, EncryptionContextSubset: c.EncryptionContextSubset}
	}
	return out
}

func (o *operations) revokeGrant(ctx context.Context, _ *gateway.Call, in *awskms.RevokeGrantInput, t target) (*awskms.RevokeGrantOutput, error) {
	if err := stateError(t.key, keys.RevokeGrant); err != nil {
		return nil, err
	}
	grant, err := o.FindGrant(ctx, t.key, aws.ToString(in.GrantId))
	if err != nil {
		return nil, answer(t.key, err)
	}
	if grant == nil {
		return nil, noGrant(aws.ToString(in.GrantId))
	}
	return &awskms.RevokeGrantOutput{}, o.endGrant(ctx, grant, in.DryRun)
}

func (o *operations) endGrant(ctx context.Context, grant *v1alpha1.KMSGrant, dry *bool) error {
	if err := dryRun(dry); err != nil {
		return err
	}
	return answer(nil, o.DeleteGrant(ctx, grant))
}

// noGrant is the answer about a grant that is not there, or cannot be: a grant's id is 64 hexadecimal digits.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RevokeGrant.html#API_RevokeGrant_Errors
func noGrant(id string) error {
	if err := checkGrantID(id); err != nil {
		return err
	}
	return notFound("Grant ID '%s' does not exist", id)
}

func checkGrantID(id string) error {
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != sha256.Size {
		return &types.InvalidGrantIdException{Message: aws.String("GrantId must be 64 hexadecimal digits.")}
	}
	return nil
}
