package parameterstore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/parameterpolicy"
	"strongroom.dev/strongroom/internal/fault"
)

// forcedByExpiration is the value of ForceDeleteAnnotation on a parameter that is deleted since it has expired.
const forcedByExpiration = "Expiration"

var errPolicy = errors.New("a policy in spec.policies cannot be read; until it can, the parameter does not expire")

// PoliciesOf are the policies of a Parameter as they are decided on.
func PoliciesOf(p *v1alpha1.Parameter) []parameterpolicy.Policy {
	out := make([]parameterpolicy.Policy, 0, len(p.Spec.Policies))
	for i := range p.Spec.Policies {
		of := &p.Spec.Policies[i]
		out = append(out, parameterpolicy.Policy{
			Type: parameterpolicy.Type(of.Type), Timestamp: of.Timestamp, Count: int(of.Before + of.After), Unit: parameterpolicy.Unit(of.Unit),
		})
	}
	return out
}

// asWritten is a time that a spec takes as a request has it: spec.policies has the same pattern.
var asWritten = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$`)

// SpecPolicies are policies as a spec has them. A time that AWS takes and RFC 3339 does not is written as that does.
func SpecPolicies(policies []parameterpolicy.Policy) []v1alpha1.ParameterPolicy {
	out := make([]v1alpha1.ParameterPolicy, 0, len(policies))
	for i := range policies {
		p := &policies[i]
		made := v1alpha1.ParameterPolicy{
			Type: v1alpha1.ParameterPolicyType(p.Type), Timestamp: p.Timestamp, Unit: v1alpha1.ParameterPolicyUnit(p.Unit),
		}
		switch p.Type {
		case parameterpolicy.Expiration:
			if !asWritten.MatchString(p.Timestamp) {
				t, _ := parameterpolicy.ParseTime(p.Timestamp) // it was checked
				made.Timestamp = t.Format(time.RFC3339Nano)
			}
		case parameterpolicy.ExpirationNotification:
			made.Before = int32(p.Count)
		case parameterpolicy.NoChangeNotification:
			made.After = int32(p.Count)
		}
		out = append(out, made)
	}
	return out
}

// Expiry is when a Parameter expires, nil if it does not.
func Expiry(p *v1alpha1.Parameter) *time.Time {
	if len(p.Spec.Policies) == 0 {
		return nil
	}
	at, err := parameterpolicy.Expiry(PoliciesOf(p))
	if err != nil || at.IsZero() {
		return nil
	}
	return &at
}

// Expired tells that a Parameter's time has passed: its value is for nobody, be it deleted yet or not.
func Expired(p *v1alpha1.Parameter, now time.Time) bool {
	at := Expiry(p)
	return at != nil && !now.Before(*at)
}

// Withheld tells that status says that a Parameter has expired and is kept.
func Withheld(p *v1alpha1.Parameter) bool {
	for i := range p.Status.Policies {
		if p.Status.Policies[i].Status == string(parameterpolicy.Failed) {
			return true
		}
	}
	return false
}

// Decide says what the policies of a Parameter ask for. modified is when the latest version was made, zero if there is none.
func Decide(p *v1alpha1.Parameter, modified, now time.Time) parameterpolicy.Decision {
	if len(p.Spec.Policies) == 0 {
		return parameterpolicy.Decision{}
	}
	f := parameterpolicy.Facts{Policies: PoliciesOf(p), Modified: modified, Created: p.CreationTimestamp.Time, Now: now}
	for i := range p.Status.Policies {
		s := &p.Status.Policies[i]
		f.Recorded = append(f.Recorded, parameterpolicy.State{
			Type: parameterpolicy.Type(s.Type), Due: ptr.Deref(s.DueTime, metav1.Time{}).Time, Status: parameterpolicy.Status(s.Status),
		})
	}
	return parameterpolicy.Decide(f)
}

// RecordPolicies puts what was decided into status. Writing that status commits it.
func RecordPolicies(p *v1alpha1.Parameter, states []parameterpolicy.State) {
	p.Status.Policies = nil
	for i := range states {
		s := v1alpha1.ParameterPolicyState{Type: v1alpha1.ParameterPolicyType(states[i].Type), Status: string(states[i].Status)}
		if due := states[i].Due; !due.IsZero() {
			at := metav1.NewTime(due).Rfc3339Copy()
			s.DueTime = &at
		}
		p.Status.Policies = append(p.Status.Policies, s)
	}
}

// CheckPolicies says whether the policies of a Parameter can be read. The fault says InvalidPolicy.
func CheckPolicies(p *v1alpha1.Parameter) error {
	if err := parameterpolicy.Check(PoliciesOf(p)); err != nil {
		return fault.Stalled(v1alpha1.ReasonInvalidPolicy, fmt.Errorf("%w: %w", errPolicy, err))
	}
	return nil
}

// PolicyError is AWS's error for policies that are wrong, with its texts.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html#API_PutParameter_Errors
func PolicyError(err error) error {
	switch {
	case errors.Is(err, parameterpolicy.ErrType):
		return &types.InvalidPolicyTypeException{Message: ptr.To("The policy type isn't supported. Parameter Store supports the following policy " +
			"types: Expiration, ExpirationNotification, and NoChangeNotification.")}
	case errors.Is(err, parameterpolicy.ErrAttribute):
		return &types.InvalidPolicyAttributeException{Message: ptr.To("A policy attribute or its value is invalid: " + err.Error() + ".")}
	case errors.Is(err, parameterpolicy.ErrTooMany):
		return &types.PoliciesLimitExceededException{Message: ptr.To("You specified more than the maximum number of allowed policies for the " +
			"parameter. The maximum is 10.")}
	case errors.Is(err, parameterpolicy.ErrConflict):
		return &types.IncompatiblePolicyException{Message: ptr.To("There is a conflict in the policies specified for this parameter. You can't, for " +
			"example, specify two Expiration policies for a parameter. Review your policies, and try again.")}
	}
	return Invalid("Invalid policies input: a JSON array of policies is expected.")
}

// checkPolicies says whether a spec may have the policies that it has.
func checkPolicies(spec *v1alpha1.ParameterSpec) error {
	if (len(spec.Policies) > 0 || spec.ResourcePolicy != nil) && (spec.Tier == "" || spec.Tier == v1alpha1.TierStandard) {
		return Invalid("Parameter policies are supported only for parameters of the advanced tier. To use policies, set the tier to Advanced " +
			"or Intelligent-Tiering.")
	}
	return nil
}

// alive says whether a request can put a version of a parameter that is there: not of one that has expired, unless it sets another expiry.
func (in *PutInput) alive(p *v1alpha1.Parameter, now time.Time) error {
	if in.Policies != nil && Expired(&v1alpha1.Parameter{Spec: v1alpha1.ParameterSpec{Policies: *in.Policies}}, now) {
		return PolicyError(fmt.Errorf("%w: the timestamp is in the past", parameterpolicy.ErrAttribute))
	}
	if p == nil || !Expired(p, now) {
		return nil
	}
	made := len(p.Status.Versions) > 0 // for the API, a parameter without a version is none, and this request makes it
	switch {
	case in.Policies != nil && (in.Overwrite || !made):
		return nil
	case !made && Withheld(p) && p.Annotations[v1alpha1.SubjectAnnotation] != "": // what an interrupted request left, with policies that were its own
		in.Policies = &[]v1alpha1.ParameterPolicy{}
		return nil
	case p.Spec.Suspend:
		return Invalid("The parameter has expired by its Expiration policy, and is kept since Parameter " + p.Name + " is suspended (spec.suspend). Set another " +
			"with Policies and Overwrite, change spec.policies, or let it be deleted by taking spec.suspend away.")
	case !Withheld(p):
		return contended() // it is being deleted
	}
	return Invalid("The parameter has expired by its Expiration policy. Set another with Policies and Overwrite, or change spec.policies of Parameter " +
		p.Name + ".")
}

// Expire deletes a parameter whose time has passed, with all its versions, as Delete does. It tells whether it was deleted: not if its
// policy is another by now, or somebody deleted it first. Until has told of the expiry of p that it has passed by the API server's clock, too.
//
// Crash-safe: as Delete. The decision is made again of what the API server has, and both writes are on the condition that nobody has changed that,
// so a policy that was changed meanwhile keeps the parameter. A later expiry keeps it even if it has passed by this clock: nobody has asked the API server of that one.
func (s *Service) Expire(ctx context.Context, p *v1alpha1.Parameter) (deleted bool, err error) {
	checked := Expiry(p)
	err = s.remove(ctx, p, forcedByExpiration, func(live *v1alpha1.Parameter) bool {
		at := Expiry(live)
		return checked != nil && at != nil && !at.After(*checked) && Decide(live, modified(live), s.Now()).Delete
	})
	switch {
	case errors.Is(err, errSpared):
		return false, s.Spare(ctx, p)
	case IsNotFound(err):
		return false, nil
	}
	return err == nil, err
}

// Spare takes the mark off a parameter that an expiry left which is not to be carried out any more, so that a later deletion by Kubernetes has its
// recovery window.
func (s *Service) Spare(ctx context.Context, p *v1alpha1.Parameter) error {
	_, err := s.Change(ctx, p, func(*v1alpha1.ParameterSpec) error { return nil })
	if IsNotFound(err) {
		return nil
	}
	return err
}

// Expiring tells that an expiry has marked a parameter and not deleted it yet.
func Expiring(p *v1alpha1.Parameter) bool {
	return p.Annotations[v1alpha1.ForceDeleteAnnotation] == forcedByExpiration
}

func modified(p *v1alpha1.Parameter) time.Time {
	latest, _ := LatestOf(p)
	return latest.Created
}
