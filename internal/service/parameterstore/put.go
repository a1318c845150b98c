package parameterstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/objectname"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

// PutInput is a version that a request puts, of a parameter that is there or not.
type PutInput struct {
	Namespace, Account, Region string
	// Name of the parameter, as the request writes it.
	Name string
	// Overwrite lets a parameter that is there have another version.
	Overwrite bool
	// Type may be empty for a parameter that is there.
	Type v1alpha1.ParameterType
	// Value is the caller's to wipe.
	Value secretbytes.Bytes
	// Tier, Description, AllowedPattern and KeyName stay as they are if nil. An empty KeyName is the account's own key.
	Tier                                 *v1alpha1.ParameterTier
	Description, AllowedPattern, KeyName *string
	// Policies stay as they are if nil; an empty list takes them away.
	Policies *[]v1alpha1.ParameterPolicy
	// Tags of a new parameter.
	Tags []v1alpha1.Tag
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=parameters,verbs=create;update;delete

// Put makes a version of a parameter, which is made first if it is not there, and returns the parameter as it is then. It asks the
// spec, which is the user's: while that has a value, or follows another one, a version of another value would be replaced at once,
// so it is refused.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
//
// Crash-safe: object, Envelope, and then one write of status, which commits. A parameter without a version does not exist for the
// API, so the request made again goes on with the object; an Envelope that is next in sequence is committed by whoever writes next.
func (s *Service) Put(ctx context.Context, in PutInput) (*v1alpha1.Parameter, versions.Version, error) {
	if err := CheckPut(in.Value.Reveal()); err != nil {
		return nil, versions.Version{}, err
	}
	p, err := s.place(ctx, &in)
	if err != nil {
		return nil, versions.Version{}, err
	}
	if err := check(&p.Spec, p.Status.Tier, in.Value); err != nil {
		return nil, versions.Version{}, valueError(&p.Spec, err)
	}
	var key *v1alpha1.KMSKey
	if p.Spec.Type == v1alpha1.ParameterSecureString {
		if key, err = s.KMS.AwaitKeyOrOwn(ctx, p.Namespace, p.Spec.KMSKeyRef, OwnKey); err != nil {
			return nil, versions.Version{}, err
		}
	}
	var stored versions.Version
	for range maximumTries {
		var ix versions.Index
		ix, stored, err = s.add(ctx, p, addition{Content: sealed.Content{Key: key, Value: in.Value}, stored: stored, overwrite: in.Overwrite})
		if err != nil {
			return nil, stored, typeError(beingErased(err))
		}
		err = s.commit(ctx, p, ix, in.Value.Len())
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return p, stored, err
		}
		of := p
		if p, err = s.latest(ctx, p); err != nil {
			return nil, stored, cmp.Or(s.discard(ctx, of, stored, err), deletedMeanwhile(err))
		}
	}
	return nil, versions.Version{}, contended()
}

// discard deletes the Envelope that a put stored for a parameter that another request deleted: the put is refused, so its value must
// not come back with a parameter of the name. It stays if it may be another's by now: one that another Envelope is behind can be in an
// index that was committed, and a parameter that was made again can have taken it over.
//
// Crash-safe: what this leaves goes with the remains of the deleted parameter.
func (s *Service) discard(ctx context.Context, p *v1alpha1.Parameter, stored versions.Version, why error) error {
	if !IsNotFound(why) {
		return nil
	}
	subject := s.SubjectOf(p)
	e, err := s.Store.Get(ctx, p.Namespace, versionKind.Class, Owner(p.Name), subject.ARN, stored)
	switch {
	case errors.Is(err, store.ErrMissing) || errors.Is(err, store.ErrTampered): // gone, or another's of its number
		return nil
	case err != nil:
		return err
	}
	for _, other := range []client.Object{
		&v1alpha1.Envelope{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: store.Name(versionKind.Class, subject.ARN, stored.Sequence+1)}},
		&v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}},
	} {
		err := s.Store.Live.Get(ctx, client.ObjectKeyFromObject(other), other)
		if there := err == nil && !store.BeingDeleted(other); there || client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return s.eraseGone(ctx, p, []v1alpha1.Envelope{*e})
}

// beingErased is AWS's error about a parameter whose name has what is being erased: it is free when that is gone.
func beingErased(err error) error {
	if errors.Is(err, store.ErrCondemned) {
		return contended()
	}
	return err
}

// deletedMeanwhile is the error of a put whose parameter another request has deleted: made again, it makes the parameter.
func deletedMeanwhile(err error) error {
	if IsNotFound(err) {
		return contended()
	}
	return err
}

// place is the object that the version goes to: the one that is there, changed as the request wants, or a new one.
func (s *Service) place(ctx context.Context, in *PutInput) (*v1alpha1.Parameter, error) {
	p, err := s.Declared(ctx, in.Namespace, in.Region, in.Name)
	if err != nil {
		return nil, err
	}
	if err := in.alive(p, s.Now()); err != nil {
		return nil, err
	}
	if p == nil {
		return s.create(ctx, in)
	}
	if p.Status.ARN == "" { // one that the controller takes up no versions for has none
		if err := s.checkType(ctx, p, arn.Parameter(in.Region, in.Account, p.AWSName())); err != nil {
			return nil, err
		}
	}
	if err := s.mayReplace(in, p); err != nil {
		return nil, err
	}
	if err := s.checkDeclared(ctx, in, p); err != nil {
		return nil, err
	}
	changed, err := s.Change(ctx, p, func(spec *v1alpha1.ParameterSpec) error { // what is refused changes nothing
		if err := in.change(spec, p.Status.Tier); err != nil {
			return err
		}
		if err := check(spec, p.Status.Tier, in.Value); err != nil {
			return valueError(spec, err)
		}
		return nil
	})
	return changed, deletedMeanwhile(err)
}

// mayReplace says whether a request can put a version of a parameter that is there.
func (s *Service) mayReplace(in *PutInput, p *v1alpha1.Parameter) error {
	switch {
	case s.ARNOf(p) == "":
		return contended() // applied a moment ago
	case p.Status.ARN == "" && arn.Account(s.ARNOf(p)) != in.Account:
		return contended() // with the annotation of another account's, which the controller does not heed
	case len(p.Status.Versions) > 0 && !in.Overwrite:
		return alreadyExists()
	case len(p.Status.Versions) > 0 && len(in.Tags) > 0:
		return Invalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove " +
			"overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case in.Type != "" && in.Type != p.Spec.Type:
		return &types.HierarchyTypeMismatchException{Message: ptr.To("Parameter Store doesn't support changing a parameter type. " +
			"The parameter is a " + string(p.Spec.Type) + ": create a new, unique parameter.")}
	}
	return checkSource(p)
}

// DeclaresValue tells whether the manifest of a parameter has its value, or has it follow a source, so that Put refuses another.
func DeclaresValue(p *v1alpha1.Parameter) bool { return checkSource(p) != nil }

// checkSource refuses what spec would overwrite at once.
func checkSource(p *v1alpha1.Parameter) error {
	switch from := p.Spec.ValueFrom; {
	case p.Spec.Value != "":
		return Invalid("The value of this parameter is written in its manifest (spec.value of Parameter " + p.Name + "), which wins. " +
			"Change it there, or take spec.value out.")
	case from != nil && from.Policy == v1alpha1.ImportFollow:
		return Invalid("The value of this parameter follows another one (spec.valueFrom of Parameter " + p.Name + ", with policy Follow), " +
			"which would overwrite it. Change that one, or take valueFrom out.")
	}
	return nil
}

// change is what a request changes of a spec: what it leaves out stays. now is the tier that the parameter is in.
func (in *PutInput) change(spec *v1alpha1.ParameterSpec, now v1alpha1.ParameterTier) error {
	if err := in.changeTier(spec, now); err != nil {
		return err
	}
	if in.Description != nil {
		spec.Description = *in.Description
	}
	if in.AllowedPattern != nil {
		spec.AllowedPattern = *in.AllowedPattern
	}
	switch {
	case in.KeyName == nil || spec.Type != v1alpha1.ParameterSecureString:
	case *in.KeyName == "":
		spec.KMSKeyRef = nil
	default:
		spec.KMSKeyRef = &v1alpha1.LocalReference{Name: *in.KeyName}
	}
	return nil
}

// changeTier is what a request changes of a spec's tier, and of what only an advanced parameter has.
func (in *PutInput) changeTier(spec *v1alpha1.ParameterSpec, now v1alpha1.ParameterTier) error {
	if in.Tier != nil {
		if (spec.Tier == v1alpha1.TierAdvanced || now == v1alpha1.TierAdvanced) && *in.Tier == v1alpha1.TierStandard {
			return Invalid("This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter " +
				"tier to the standard-parameter tier.")
		}
		spec.Tier = *in.Tier
	}
	if in.Policies != nil {
		spec.Policies = *in.Policies
	}
	if now == v1alpha1.TierAdvanced && len(spec.Policies) > 0 {
		advance(spec)
	}
	return checkPolicies(spec)
}

// create makes the object, under a derived name if the first choice is another parameter's.
func (s *Service) create(ctx context.Context, in *PutInput) (*v1alpha1.Parameter, error) {
	subject := arn.Parameter(in.Region, in.Account, in.Name)
	wanted, err := s.wanted(in, subject)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, in, &wanted.Spec); err != nil {
		return nil, err
	}
	canonical, failed := arn.CanonicalParameter(in.Name), alreadyExists()
	for _, object := range []string{
		objectname.Of("parameter", in.Region, canonical, in.Region == s.Region), objectname.Derived("parameter", in.Region, canonical),
	} {
		if err := s.isFree(ctx, in.Namespace, subject, object); err != nil {
			return nil, err
		}
		attempt := wanted.DeepCopy()
		if attempt.Name = object; object != in.Name {
			attempt.Spec.Name = in.Name
		}
		if err := s.checkType(ctx, attempt, subject); err != nil {
			return nil, err
		}
		err := s.Client.Create(ctx, attempt, client.FieldOwner(FieldOwner))
		if err == nil {
			return attempt, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("creating Parameter %s: %w", object, err)
		}
		deleted, err := s.isAnothers(ctx, attempt, in)
		if err != nil {
			return nil, err
		}
		if deleted {
			failed = contended()
		}
	}
	return nil, failed
}

// isFree fails unless an object can have an ARN: while versions of a deleted object of another name have it, or one of that name is being deleted.
func (s *Service) isFree(ctx context.Context, namespace, subject, object string) error {
	if holder, until, err := s.HeldBy(ctx, namespace, subject, object); err != nil || holder != "" {
		return held(holder, until, err)
	}
	if busy, err := s.beingDeleted(ctx, namespace, subject, object); err != nil || busy {
		return cmp.Or(err, contended())
	}
	return nil
}

// prepare sees to what a new parameter needs before it is there: room for it, and a SecureString's key, since a request that ends while it waits for that leaves no
// parameter without a value.
func (s *Service) prepare(ctx context.Context, in *PutInput, spec *v1alpha1.ParameterSpec) error {
	if err := s.checkRoom(ctx, in.Namespace, in.Region, spec.Tier); err != nil || spec.Type != v1alpha1.ParameterSecureString {
		return err
	}
	_, err := s.KMS.AwaitKeyOrOwn(ctx, in.Namespace, spec.KMSKeyRef, OwnKey)
	return err
}

// isAnothers is nil if the name of an object is taken by another parameter, for which there is another name; or by this one's that was deleted, which a finalizer holds.
func (s *Service) isAnothers(ctx context.Context, attempt *v1alpha1.Parameter, in *PutInput) (deleted bool, err error) {
	existing := &v1alpha1.Parameter{}
	err = s.Store.Live.Get(ctx, client.ObjectKeyFromObject(attempt), existing)
	switch {
	case apierrors.IsNotFound(err):
		return false, contended() // deleted a moment ago
	case err != nil:
		return false, fmt.Errorf("reading Parameter %s: %w", attempt.Name, err)
	case store.BeingDeleted(existing):
		return true, nil
	case existing.CanonicalName() == arn.CanonicalParameter(in.Name) && s.RegionOf(existing) == in.Region:
		return false, contended() // made a moment ago
	}
	return false, nil
}

// wanted is the object of a parameter, checked before there is one.
func (s *Service) wanted(in *PutInput, subject string) (*v1alpha1.Parameter, error) {
	if in.Type == "" {
		return nil, Invalid("A parameter type is required when you create a parameter.")
	}
	wanted := &v1alpha1.Parameter{
		ObjectMeta: metav1.ObjectMeta{Namespace: in.Namespace, Annotations: map[string]string{v1alpha1.SubjectAnnotation: subject}},
		Spec:       v1alpha1.ParameterSpec{Type: in.Type, Tags: in.Tags},
	}
	if in.Region != s.Region {
		wanted.Spec.Region = in.Region
	}
	if err := in.change(&wanted.Spec, ""); err != nil {
		return nil, err
	}
	if err := check(&wanted.Spec, "", in.Value); err != nil {
		return nil, valueError(&wanted.Spec, err)
	}
	return wanted, nil
}

func held(holder string, until time.Time, err error) error {
	if err != nil {
		return err
	}
	return Invalid("The versions of a deleted parameter of this name are kept until " + until.Format(time.RFC3339) +
		": apply Parameter " + holder + " again to have it back, or wait.")
}

// patternError is AWS's error for an allowedPattern that is none. Here one may be too large, too, which AWS has no words for.
func patternError(err error) error {
	text := "The request doesn't meet the regular expression requirement."
	if errors.Is(err, errLargePattern) {
		text += fmt.Sprintf(" The repetitions of the pattern, written out, have more than %d instructions.", maximumInstructions)
	}
	return &types.InvalidAllowedPatternException{Message: &text}
}

// valueError is AWS's error for a value that cannot be stored.
func valueError(spec *v1alpha1.ParameterSpec, err error) error {
	var long *tooLong
	switch {
	case errors.Is(err, errMismatch):
		return mismatch(spec.AllowedPattern)
	case errors.Is(err, errPattern), errors.Is(err, errLargePattern):
		return patternError(err)
	case errors.Is(err, errNested):
		return Invalid("Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.")
	case errors.As(err, &long) && long.most == MaximumStandard:
		return Invalid("Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, " +
			"upgrade the parameter to use the advanced-parameter tier. For more information, see " +
			"https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html")
	case errors.As(err, &long):
		return Invalid("Advanced tier parameters support a maximum parameter value of 8192 characters.")
	}
	return Invalid("1 validation error detected: Value at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1")
}
