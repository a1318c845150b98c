package iam

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/core/arn"
	coreiam "strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
)

func (a *api) simulations() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("SimulateCustomPolicy", none[sdk.SimulateCustomPolicyInput], alone(a, a.simulateCustom), gateway.ReadOnly),
		gateway.Op("SimulatePrincipalPolicy", func(_ context.Context, _ *gateway.Call, in *sdk.SimulatePrincipalPolicyInput) (gateway.Resource[struct{}], error) {
			return gateway.Resource[struct{}]{ARN: deref(in.PolicySourceArn)}, nil
		}, alone(a, a.simulatePrincipal), gateway.ReadOnly),
	}
}

// alone carries out one simulation of a user, or of a role's sessions, at a time, and so many of an account, however many users it makes: it
// is work for the caller alone, and as much as is allowed takes long enough that many at once would be felt by all. Who is told to try again
// is told so as AWS does.
func alone[I, O any](a *api, simulate gateway.Handle[I, O, struct{}]) gateway.Handle[I, O, struct{}] {
	return func(ctx context.Context, call *gateway.Call, in *I, none struct{}) (*O, error) {
		who := cmp.Or(call.Identity.Principal.RoleARN, call.Identity.Principal.ARN)
		if !a.simulating.begin(call.Account(), who) {
			return nil, &smithy.GenericAPIError{Code: "Throttling", Message: "Rate exceeded", Fault: smithy.FaultClient}
		}
		defer a.simulating.end(call.Account(), who)
		return simulate(ctx, call, in, none)
	}
}

// simulation is questions to put to policies: by the engine that decides about real requests.
type simulation struct {
	policies  coreiam.Policies
	principal coreiam.Principal
	actions   []string
	resources []string
	context   coreiam.Map
}

// compile parses documents of a request.
func compile(documents []string, t coreiam.Type) ([]*coreiam.Policy, error) {
	out := make([]*coreiam.Policy, 0, len(documents))
	for _, d := range documents {
		policy, err := coreiam.Parse([]byte(d), t)
		if err != nil {
			return nil, invalidInput("Invalid input document: " + err.Error())
		}
		out = append(out, policy)
	}
	return out, nil
}

// more adds the members that both operations have.
func (s *simulation) more(boundaries []string, resourcePolicy *string, resources []string, entries []types.ContextEntry) error {
	bounds, err := compile(boundaries, coreiam.Identity)
	if err != nil {
		return err
	}
	if len(bounds) > 1 {
		return invalidInput("PermissionsBoundaryPolicyInputList has more than one policy.")
	}
	if len(bounds) == 1 {
		s.policies.Boundary = bounds[0]
	}
	if resourcePolicy != nil {
		parsed, err := compile([]string{*resourcePolicy}, coreiam.Resource)
		if err != nil {
			return err
		}
		s.policies.Resource = parsed[0]
	}
	if s.resources = resources; len(resources) == 0 {
		s.resources = []string{"*"}
	}
	s.context = coreiam.Map{}
	for _, e := range entries {
		s.context[strings.ToLower(deref(e.ContextKeyName))] = e.ContextKeyValues
	}
	return nil
}

// run puts a page of the questions, every action to every resource: those alone are worked out that are answered. A marker is the
// number of the first question of its page.
func (s *simulation) run(ctx context.Context, want asked) (results []types.EvaluationResult, truncated bool, next *string, err error) {
	first, total := 0, len(s.actions)*len(s.resources)
	text, behind, err := want.after()
	if err != nil {
		return nil, false, nil, err
	}
	if behind {
		if first, err = strconv.Atoi(text); err != nil || first < 0 || first > total {
			return nil, false, nil, invalid("Invalid Marker.")
		}
	}
	end := min(total, first+want.most())
	if err := s.affordable(first, end); err != nil {
		return nil, false, nil, err
	}
	results = make([]types.EvaluationResult, 0, end-first)
	for i := first; i < end; i++ {
		if err := ctx.Err(); err != nil {
			return nil, false, nil, err
		}
		results = append(results, s.evaluate(s.actions[i/len(s.resources)], s.resources[i%len(s.resources)]))
	}
	if end < total {
		next = want.next(strconv.Itoa(end))
	}
	return results, end < total, next, nil
}

// maximumWork of one page, in steps of coreiam.Work: some tenths of a second. Ten real policies and a hundred questions are a hundredth of it.
const maximumWork = 1 << 27

// affordable counts what a page of the questions costs before the first is asked. Policies, questions and context are the caller's, and
// what one costs is multiplied by how many there are of the others.
func (s *simulation) affordable(first, end int) error {
	each := coreiam.WorkOf(&s.policies, s.context)
	work := int64(0)
	for i := first; i < end; i++ {
		work += each.Of(s.actions[i/len(s.resources)], s.resources[i%len(s.resources)])
		if work > maximumWork {
			return invalidInput(fmt.Sprintf("The simulation is too large: after %d of %d questions (actions times resources of one page) the policies would have "+
				"been compared with more than %d bytes; one question costs %d. Ask with a smaller MaxItems, fewer policies or fewer ContextEntries.",
				i-first, end-first, maximumWork, each.Of(s.actions[i/len(s.resources)], s.resources[i%len(s.resources)])))
		}
	}
	return nil
}

func (s *simulation) evaluate(action, resource string) types.EvaluationResult {
	policies := s.policies
	if of := arn.Account(resource); arn.ValidateAccount(of) == nil {
		policies.ResourceAccount = of
	}
	asked := &noting{Map: s.context, missing: map[string]bool{}}
	decision := coreiam.Evaluate(&coreiam.Request{Principal: s.principal, Action: action, Resource: resource, Context: asked}, &policies)
	return types.EvaluationResult{
		EvalActionName: ptr.To(action), EvalResourceName: ptr.To(resource),
		EvalDecision: types.PolicyEvaluationDecisionType(decision.Reason), MatchedStatements: []types.Statement{},
		MissingContextValues: slices.Sorted(maps.Keys(asked.missing)),
	}
}

// noting notes which keys policies asked for that the simulation does not have: of a real request they may have a value, which may
// decide otherwise.
type noting struct {
	coreiam.Map
	missing map[string]bool
}

// Values implements coreiam.Context.
func (n *noting) Values(key string) ([]string, bool) {
	values, found := n.Map.Values(key)
	if !found {
		n.missing[key] = true
	}
	return values, found
}

func (a *api) simulateCustom(ctx context.Context, call *gateway.Call, in *sdk.SimulateCustomPolicyInput, _ struct{}) (*sdk.SimulateCustomPolicyOutput, error) {
	if len(in.OrderedOrganizationPolicyInputList) > 0 {
		return nil, invalidInput("There are no organizations here: leave OrderedOrganizationPolicyInputList out.")
	}
	s := simulation{actions: in.ActionNames, principal: call.Identity.Principal}
	var err error
	if s.policies.Identity, err = compile(in.PolicyInputList, coreiam.Identity); err != nil {
		return nil, err
	}
	if in.CallerArn != nil {
		s.principal = coreiam.Principal{Account: arn.Account(*in.CallerArn), ARN: *in.CallerArn}
	}
	if err := s.more(in.PermissionsBoundaryPolicyInputList, in.ResourcePolicy, in.ResourceArns, in.ContextEntries); err != nil {
		return nil, err
	}
	results, truncated, next, err := s.run(ctx, ask(call, in, in.Marker, in.MaxItems))
	return &sdk.SimulateCustomPolicyOutput{EvaluationResults: results, IsTruncated: truncated, Marker: next}, err
}

// simulatePrincipal takes the policies that a user, role or group has now, a user with its groups, and those of the request besides.
func (a *api) simulatePrincipal(ctx context.Context, call *gateway.Call, in *sdk.SimulatePrincipalPolicyInput, _ struct{}) (*sdk.SimulatePrincipalPolicyOutput, error) {
	identity, err := a.IAM.IdentityOf(ctx, call.Namespace(), deref(in.PolicySourceArn))
	if err != nil {
		return nil, err
	}
	if identity == nil {
		return nil, noSuchPolicySource(deref(in.PolicySourceArn))
	}
	s := simulation{actions: in.ActionNames, principal: identity.Principal}
	more, err := compile(in.PolicyInputList, coreiam.Identity)
	if err != nil {
		return nil, err
	}
	s.policies.Identity, s.policies.Boundary = append(more, identity.Identity...), identity.Boundary
	boundary := s.policies.Boundary
	if err := s.more(in.PermissionsBoundaryPolicyInputList, in.ResourcePolicy, in.ResourceArns, in.ContextEntries); err != nil {
		return nil, err
	}
	if s.policies.Boundary == nil {
		s.policies.Boundary = boundary
	}
	known := gateway.ContextOf(&gateway.Call{Identity: identity, Time: call.Time, Region: call.Region})
	maps.Copy(known, s.context)
	s.context = known
	results, truncated, next, err := s.run(ctx, ask(call, in, in.Marker, in.MaxItems))
	return &sdk.SimulatePrincipalPolicyOutput{EvaluationResults: results, IsTruncated: truncated, Marker: next}, err
}
