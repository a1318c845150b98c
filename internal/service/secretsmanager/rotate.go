package secretsmanager

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/schedule"
	"strongroom.dev/strongroom/internal/core/versions"
)

// Rules are when a secret rotates.
type Rules struct {
	// Schedule is rate(…) or cron(…), empty to leave it; Duration that of its window, empty for the schedule's own.
	Schedule, Duration string
}

// RotateInput is a rotation that a request asks for, or how it is to come.
type RotateInput struct {
	// Secret as it was found. It is not changed.
	Secret *v1alpha1.Secret
	// Token is the ClientRequestToken, and the id of the version that the rotation makes.
	Token string
	// Function is the name of the rotation function's Service, empty to leave it.
	Function string
	// Rules replace the schedule and its window; nil leaves them.
	Rules *Rules
	// Later has the schedule begin the rotation: what rotates is tested now.
	Later bool
}

// Rotate writes how a secret rotates into its spec and begins a rotation, which the controller carries out.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
//
// Crash-safe: spec first, which may be written twice; then the token into status, on the condition that nobody else has changed the object,
// which is the commit: from then on the controller goes on with it whatever dies. The token that has begun a rotation, or made a version,
// begins none again.
func (s *Service) Rotate(ctx context.Context, in RotateInput) error {
	secret, err := s.Change(ctx, in.Secret, func(spec *v1alpha1.SecretSpec) error { return configure(spec, &in) })
	if apierrors.IsInvalid(err) {
		return invalidParameter("The rotation can't be configured so: the Secret would not be valid.")
	}
	if err != nil {
		return err
	}
	if in.Later {
		return s.testAgain(ctx, secret)
	}
	defer turn(secret)()
	for range maximumTries {
		ix, err := s.Versions().Resume(ctx, s.SubjectOf(secret), IndexOf(secret))
		if err != nil {
			return err
		}
		if begun, err := begins(secret, ix, in.Token); begun || err != nil {
			return err
		}
		prune := s.Versions().LetGo(ctx, s.SubjectOf(secret), Record(&secret.Status, s.ARNOf(secret), ix, s.Now()))
		secret.Status.Rotation = &v1alpha1.RotationStatus{VersionID: in.Token, StartedTime: metav1.NewTime(s.Now()).Rfc3339Copy()}
		switch err := s.writeStatus(ctx, secret); {
		case err == nil:
			return prune(ctx)
		case !apierrors.IsConflict(err):
			return err
		}
		if secret, err = s.stillOn(ctx, secret, &in); err != nil {
			return err
		}
	}
	return errContended
}

// stillOn is a secret as it is now, whose rotation is turned on again if another request has cancelled it meanwhile: what is begun would be given up.
func (s *Service) stillOn(ctx context.Context, secret *v1alpha1.Secret, in *RotateInput) (*v1alpha1.Secret, error) {
	secret, err := s.latest(ctx, secret)
	if err != nil || secret.Spec.Rotation == nil || secret.Spec.Rotation.IsEnabled() {
		return secret, err
	}
	return s.Change(ctx, secret, func(spec *v1alpha1.SecretSpec) error { return configure(spec, in) })
}

// testAgain has the controller test what rotates a secret, as AWS does when no rotation begins. One that was never tested, or not as it is now,
// is tested without being asked. Crash-safe: it is one write, which may be made twice.
func (s *Service) testAgain(ctx context.Context, secret *v1alpha1.Secret) error {
	defer turn(secret)()
	for range maximumTries {
		if secret.Status.RotationTest == nil || secret.Status.RotationTest.Configuration == "" {
			return nil
		}
		secret = secret.DeepCopy()
		secret.Status.RotationTest.Configuration = ""
		err := s.writeStatus(ctx, secret)
		if !apierrors.IsConflict(err) {
			return err
		}
		if secret, err = s.latest(ctx, secret); err != nil {
			return err
		}
	}
	return errContended
}

// begins says whether a token has begun a rotation before, and if not, whether one may begin now.
func begins(secret *v1alpha1.Secret, ix versions.Index, token string) (begun bool, err error) {
	inProgress := InProgress(secret, ix)
	if _, made := ix.ByID(token); made || inProgress && secret.Status.Rotation.VersionID == token {
		return true, nil
	}
	if _, pending := Pending(secret, ix); inProgress || pending {
		return false, invalidRequest("A previous rotation isn't complete. That rotation will be reattempted.")
	}
	if _, has := ix.ByStage(versions.Current); !has && (!secret.Spec.Rotation.MakesVersions() || secret.Spec.Sealed != "") {
		return false, invalidRequest("You can't rotate this secret because it has no value yet.")
	}
	return false, nil
}

// configure changes a spec as a request wants it. Rotation is on afterwards.
func configure(spec *v1alpha1.SecretSpec, in *RotateInput) error {
	if err := checkRotator(spec, in.Function); err != nil {
		return err
	}
	if spec.Rotation == nil {
		if in.Function == "" && in.Rules == nil {
			return nil // a generator's value, which rotates when it is asked to
		}
		spec.Rotation = &v1alpha1.SecretRotation{}
	}
	r := spec.Rotation
	if !r.IsEnabled() {
		r.Enabled = nil
	}
	if in.Function != "" && (r.Function == nil || r.Function.ServiceRef.Name != in.Function) {
		r.Function = &v1alpha1.FunctionRotator{ServiceRef: v1alpha1.ServiceReference{Name: in.Function}}
	}
	return in.Rules.apply(r)
}

// checkRotator says whether a secret has anything to rotate by, and whether a function that is named may make its values.
func checkRotator(spec *v1alpha1.SecretSpec, function string) error {
	switch {
	case function == "" && (spec.Rotation.Rotator() || spec.Generate != nil):
	case function == "":
		return noFunction()
	case spec.Generate != nil || spec.ValueFrom != nil:
		return invalidRequest("You can't rotate this secret by a Lambda function because its value comes from spec.generate or spec.valueFrom " +
			"of the Secret. Take that out of the Secret, or leave RotationLambdaARN out.")
	case spec.Rotation.Database() != nil || spec.Rotation.ByJob() != nil:
		return invalidRequest("You can't rotate this secret by a Lambda function because spec.rotation of the Secret names a rotator. " +
			"Leave RotationLambdaARN out.")
	}
	return nil
}

func noFunction() error {
	return invalidRequest("No Lambda rotation function ARN is associated with this secret.")
}

// apply puts rules into a spec. Those that never come true, or whose windows overlap, are InvalidParameterException.
func (r *Rules) apply(to *v1alpha1.SecretRotation) error {
	if r == nil {
		return nil
	}
	if r.Schedule != "" {
		to.Schedule = r.Schedule
	}
	to.Duration = r.Duration
	if to.Schedule == "" {
		return invalidParameter("You must specify either AutomaticallyAfterDays or ScheduleExpression in RotationRules.")
	}
	if _, err := schedule.NewPlan(to.Schedule, to.Duration); err != nil {
		return invalidParameter("Invalid RotationRules: " + err.Error())
	}
	return nil
}

// Days is the schedule of AutomaticallyAfterDays.
func Days(n int64) string {
	if n == 1 {
		return "rate(1 day)"
	}
	return fmt.Sprintf("rate(%d days)", n)
}

// CancelRotation turns a secret's rotation off, and gives up the one that is in progress. It returns the id of that one's version, empty if
// there is none. AWSPENDING stays on a version that was made.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CancelRotateSecret.html
//
// Crash-safe: the spec is the commit; if this ends before status is written, the controller does that.
func (s *Service) CancelRotation(ctx context.Context, secret *v1alpha1.Secret) (versionID string, err error) {
	secret, err = s.Change(ctx, secret, func(spec *v1alpha1.SecretSpec) error {
		if spec.Rotation == nil {
			return noFunction()
		}
		spec.Rotation.Enabled = ptr.To(false)
		return nil
	})
	if err != nil {
		return "", err
	}
	defer turn(secret)()
	for range maximumTries {
		if secret.Status.Rotation == nil || secret.Spec.Rotation.IsEnabled() { // the latter was turned on again meanwhile: the rotation is one that was asked for after this
			return versionID, nil
		}
		versionID = secret.Status.Rotation.VersionID
		secret.Status.Rotation = nil
		if err := s.writeStatus(ctx, secret); !apierrors.IsConflict(err) {
			return versionID, err
		}
		if secret, err = s.latest(ctx, secret); err != nil {
			return versionID, err
		}
	}
	return "", errContended
}
