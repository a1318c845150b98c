package parameter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/parameterpolicy"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// policyAction is the action of the events of policies: AWS's detail-type of such an event.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html
const policyAction = "ParameterStorePolicyAction"

// longestPlan is how far ahead another pass is asked for, so that a clock that was set is noticed.
const longestPlan = 24 * time.Hour

// changedAgain is how soon a pass is made again over a parameter that was changed before it could be deleted.
const changedAgain = 200 * time.Millisecond

// tolerance is how far the clocks of a manager and of an API server may be apart without a word.
const tolerance = time.Minute

var errSkewed = errors.New("the parameter has expired by one clock and not by the other, so nothing is deleted, and it is not served")

var errExpired = errors.New("the parameter had expired when its Expiration was set, or when it was applied again: its value is neither served nor " +
	"shown, and nothing was deleted; set a later timestamp in spec.policies, or delete the object")

// modified is when the latest version was made, as the pass knows it.
func (p *pass) modified() time.Time {
	latest, _ := parameterstore.Latest(p.index)
	return latest.Created
}

// expire deletes a parameter whose time has passed, or withholds it. It is the first step once the versions are known, so that nothing is made of
// a parameter that is for nobody any more.
func (r *Reconciler) expire(ctx context.Context, p *pass) (over bool, err error) {
	d := parameterstore.Decide(p.parameter, p.modified(), p.now)
	if parameterstore.Expiring(p.parameter) && !d.Delete {
		if err := r.Parameters.Spare(ctx, p.parameter); err != nil {
			return true, err
		}
	}
	if !d.Expired {
		return false, nil
	}
	if !d.Delete {
		return true, fault.Join(fault.Stalled(v1alpha1.ReasonExpired, errExpired), r.withdraw(ctx, p))
	}
	if waits, err := r.waits(ctx, p); waits || err != nil {
		return true, err
	}
	// What shows it goes first: a target that others share has nobody behind the object to take it away. A target that is somebody else's by now holds nothing up, and a parameter that is spared after all is
	// shown again by the next pass.
	if err := r.withdraw(ctx, p); err != nil && !fault.Of(err).Stalled {
		return true, err
	}
	if p.deleted, err = r.Parameters.Expire(ctx, p.parameter); p.deleted {
		at := parameterstore.Expiry(p.parameter)
		r.reporter().Tell(p.parameter, happening(v1alpha1.ReasonExpiration, fmt.Sprintf("%s expired at %s by its Expiration policy and was deleted with %d versions",
			p.parameter.AWSName(), at.Format(time.RFC3339), len(p.index))))
	}
	if err == nil && !p.deleted {
		p.again = changedAgain
	}
	return true, err
}

// waits compares the clock by which the parameter has expired with the API server's. One that is a little ahead waits in silence, and one that is far ahead
// is told: a wrong clock must delete nothing, and take nothing from workloads.
func (r *Reconciler) waits(ctx context.Context, p *pass) (bool, error) {
	until, err := r.Parameters.Until(ctx, *parameterstore.Expiry(p.parameter))
	switch {
	case err != nil:
		return true, err
	case until > tolerance:
		return true, fault.Stalled(v1alpha1.ReasonClockSkewed, fmt.Errorf("%w: it is %s by the manager's clock, and expires in %s by the API server's; set the clocks right",
			errSkewed, p.now.UTC().Format(time.RFC3339), until.Round(time.Second)))
	case until > 0:
		p.again = until
	}
	return until > 0, nil
}

// rest is all that is done about a Parameter that is suspended: what has expired is shown no more, though it is not deleted. An expiry was promised before,
// and holding changes must not be a way to keep a value.
func (r *Reconciler) rest(ctx context.Context, p *pass) error {
	p.arn, p.index = p.parameter.Status.ARN, parameterstore.IndexOf(p.parameter)
	at := parameterstore.Expiry(p.parameter)
	if at == nil {
		return passes.ErrSuspended
	}
	if p.now.Before(*at) {
		p.plan = min(max(at.Sub(p.now), time.Second), longestPlan)
		return passes.ErrSuspended
	}
	if shown, err := r.mayBeShown(ctx, p); !shown || err != nil {
		return cmp.Or(err, passes.ErrSuspended)
	}
	if waits, err := r.waits(ctx, p); waits || err != nil {
		return cmp.Or(err, passes.ErrSuspended)
	}
	if err := r.withdraw(ctx, p); err != nil {
		return err
	}
	return passes.ErrSuspended
}

// mayBeShown tells whether there is something to withdraw: by status or, if that was lost, by what the cache has in the place of the target.
func (r *Reconciler) mayBeShown(ctx context.Context, p *pass) (bool, error) {
	if p.former.Projection != nil {
		return true, nil
	}
	showing := r.showing(p)
	at := formerAt(p.parameter)
	if at == nil {
		return false, nil
	}
	return r.Projector.MayShow(ctx, p.parameter.Namespace, showing.Owner, at)
}

// formerAt is the target as spec has it, nil for none: what may be shown for all that a status which was lost knows.
func formerAt(parameter *v1alpha1.Parameter) *projection.Former {
	at, _ := placeOf(parameter)
	if at.kind == "" {
		return nil
	}
	return &projection.Former{ConfigMap: at.kind == kindConfigMap, Name: at.name, Keys: []string{at.key}}
}

// withdraw removes what shows the parameter. Its value is not opened.
func (r *Reconciler) withdraw(ctx context.Context, p *pass) error {
	showing := r.showing(p)
	if showing.Former == nil { // a status that was lost does not know what is shown
		showing.Former = formerAt(p.parameter)
	}
	return r.show(ctx, p, &showing, place{})
}

// notify makes the events that are due, puts what has become of the policies into status, and says when to look again.
//
// Crash-safe: the events come before the status that says that they were made, so one is made twice rather than not at all; Kubernetes counts
// an event that is the same as one.
func (r *Reconciler) notify(p *pass) {
	d := parameterstore.Decide(p.parameter, p.modified(), p.now)
	for _, at := range d.Notices {
		r.reporter().Tell(p.parameter, notice(p.parameter, &d.States[at], p.modified()))
	}
	states := d.Made()
	parameterstore.RecordPolicies(p.parameter, states)
	setNoticed(p.parameter, states, parameterpolicy.ExpirationNotification, v1alpha1.ConditionExpiring, v1alpha1.ReasonExpirationNotification, d.Expired)
	setNoticed(p.parameter, states, parameterpolicy.NoChangeNotification, v1alpha1.ConditionUnchanged, v1alpha1.ReasonNoChangeNotification, d.Expired)
	if !d.Next.IsZero() {
		p.plan = min(max(d.Next.Sub(p.now), time.Second), longestPlan)
	}
}

// setNoticed puts the condition of a type of notification into status while one of it was made.
func setNoticed(p *v1alpha1.Parameter, states []parameterpolicy.State, of parameterpolicy.Type, condition, reason string, expired bool) {
	for i := range states {
		if states[i].Type == of && states[i].Status == parameterpolicy.Finished && !expired {
			conditions.Set(&p.Status.Conditions, p.Generation, condition, metav1.ConditionTrue, reason, noticed(p, of))
			return
		}
	}
	meta.RemoveStatusCondition(&p.Status.Conditions, condition)
}

// noticed is the message of a notification, the same for as long as it is true.
func noticed(p *v1alpha1.Parameter, of parameterpolicy.Type) string {
	if of == parameterpolicy.ExpirationNotification {
		return fmt.Sprintf("The parameter expires at %s and is then deleted: set a later Expiration to keep it", parameterstore.Expiry(p).Format(time.RFC3339))
	}
	return "The parameter has had no new version for the time of its NoChangeNotification: put one"
}

func notice(p *v1alpha1.Parameter, s *parameterpolicy.State, modified time.Time) outcome.Happening {
	if s.Type == parameterpolicy.ExpirationNotification {
		return happening(v1alpha1.ReasonExpirationNotification, fmt.Sprintf("%s expires at %s by its Expiration policy", p.AWSName(),
			parameterstore.Expiry(p).Format(time.RFC3339)))
	}
	return happening(v1alpha1.ReasonNoChangeNotification, fmt.Sprintf("%s has not been changed since %s", p.AWSName(), modified.UTC().Format(time.RFC3339)))
}

func happening(reason, note string) outcome.Happening {
	return outcome.Happening{Type: corev1.EventTypeWarning, Reason: reason, Action: policyAction, Note: "Parameter Store Policy Action: " + note}
}

// planned is a result with the pass that the policies ask for, whatever else asks for one.
func (p *pass) planned(result ctrl.Result, err error) (ctrl.Result, error) {
	if err == nil && p.plan > 0 && (result.RequeueAfter == 0 || p.plan < result.RequeueAfter) {
		result.RequeueAfter = p.plan
	}
	return result, err
}
