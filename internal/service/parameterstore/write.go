package parameterstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// commit writes an index into status, unless it is there. The write carries the resource version that was read, so of two writers
// one commits, and the other gets a conflict and starts over. size is that of the latest value, 0 if it is not known.
func (s *Service) commit(ctx context.Context, p *v1alpha1.Parameter, ix versions.Index, size int) error {
	subject := s.ARNOf(p)
	if p.Status.ARN == subject && sameIndex(IndexOf(p), ix) {
		return nil
	}
	before := p.Status.Version
	prune := s.Versions().LetGo(ctx, s.SubjectOf(p), Record(p, subject, ix, size))
	announce(p, before)
	RecordPolicies(p, Decide(p, modified(p), s.Now()).States)
	if err := s.Client.Status().Update(ctx, p, client.FieldOwner(FieldOwner)); err != nil {
		return fmt.Errorf("writing status of Parameter %s: %w", p.Name, err)
	}
	return prune(ctx)
}

func sameIndex(a, b versions.Index) bool {
	return slices.EqualFunc(a, b, func(x, y versions.Version) bool {
		return x.Sequence == y.Sequence && slices.Equal(x.Stages, y.Stages)
	})
}

// MessageInForce is the message of a Parameter that is Ready.
const MessageInForce = "The parameter is in force"

var errNotShown = errors.New("a new version was put; the target does not show it yet")

// announce keeps the conditions right at every moment: another value is not in force until the target shows it, which the
// controller does. Without a target it is in force with this write.
func announce(p *v1alpha1.Parameter, before int64) {
	status := &p.Status
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	byAPI := p.Spec.Value == "" && p.Spec.Generate == nil && p.Spec.ValueFrom == nil && p.Spec.Sealed == ""
	switch {
	case p.Spec.Suspend || status.Version == before:
	case p.Spec.Target != nil:
		conditions.Summarise(&status.Conditions, p.Generation, fault.Waiting(v1alpha1.ReasonProgressing, errNotShown), "", "")
	case ready == nil || ready.Reason == v1alpha1.ReasonNoValue || ready.Reason == v1alpha1.ReasonPending && byAPI:
		conditions.Summarise(&status.Conditions, p.Generation, nil, v1alpha1.ReasonSucceeded, MessageInForce)
		status.ObservedGeneration = p.Generation
	}
}

// latest reads a Parameter as it is, for a write. One that is another object by now, or being deleted, is NotFound.
func (s *Service) latest(ctx context.Context, p *v1alpha1.Parameter) (*v1alpha1.Parameter, error) {
	live := &v1alpha1.Parameter{}
	err := s.Store.Live.Get(ctx, client.ObjectKeyFromObject(p), live)
	switch {
	case apierrors.IsNotFound(err) || err == nil && (live.UID != p.UID || !live.DeletionTimestamp.IsZero()):
		return nil, NotFound("")
	case err != nil:
		return nil, fmt.Errorf("reading Parameter %s: %w", p.Name, err)
	}
	return live, nil
}

// Change changes the spec of a parameter and returns it as it is then. Crash-safe: it is one write, on the condition that nobody
// else has changed the object since it was read. An error of change is returned as it is.
func (s *Service) Change(ctx context.Context, p *v1alpha1.Parameter, change func(*v1alpha1.ParameterSpec) error) (*v1alpha1.Parameter, error) {
	return s.changeObject(ctx, p, func(live *v1alpha1.Parameter) error { return change(&live.Spec) })
}

// changeObject is Change of spec and annotations.
func (s *Service) changeObject(ctx context.Context, p *v1alpha1.Parameter, change func(*v1alpha1.Parameter) error) (*v1alpha1.Parameter, error) {
	for range maximumTries {
		live, err := s.latest(ctx, p)
		if err != nil {
			return nil, err
		}
		before := live.DeepCopy()
		if err := change(live); err != nil {
			return nil, err
		}
		interrupted := live.Annotations[v1alpha1.ForceDeleteAnnotation] == forcedByRequest || Expiring(live)
		if !interrupted && equality.Semantic.DeepEqual(before, live) {
			return live, nil
		}
		if interrupted { // the parameter lives on, and a later deletion by Kubernetes has its window
			delete(live.Annotations, v1alpha1.ForceDeleteAnnotation)
		}
		err = s.Client.Update(ctx, live, client.FieldOwner(FieldOwner))
		switch {
		case err == nil:
			return live, nil
		case !apierrors.IsConflict(err):
			return nil, fmt.Errorf("changing Parameter %s: %w", p.Name, err)
		}
	}
	return nil, contended()
}

// Tag puts tags on a parameter, over those of the same keys.
func (s *Service) Tag(ctx context.Context, p *v1alpha1.Parameter, tags []v1alpha1.Tag) error {
	_, err := s.Change(ctx, p, func(spec *v1alpha1.ParameterSpec) error {
		for _, tag := range tags {
			at := slices.IndexFunc(spec.Tags, func(t v1alpha1.Tag) bool { return t.Key == tag.Key })
			if at < 0 {
				spec.Tags = append(spec.Tags, tag)
				continue
			}
			spec.Tags[at] = tag
		}
		if len(spec.Tags) > MaximumTags {
			return &types.TooManyTagsError{}
		}
		return nil
	})
	return err
}

// Untag takes tags from a parameter. Keys that it has not are no error.
func (s *Service) Untag(ctx context.Context, p *v1alpha1.Parameter, keys []string) error {
	_, err := s.Change(ctx, p, func(spec *v1alpha1.ParameterSpec) error {
		spec.Tags = slices.DeleteFunc(spec.Tags, func(t v1alpha1.Tag) bool { return slices.Contains(keys, t.Key) })
		return nil
	})
	return err
}

// Label puts labels on a version, the latest if it is 0, and returns its number and the labels that can be none.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_LabelParameterVersion.html
func (s *Service) Label(ctx context.Context, p *v1alpha1.Parameter, version int64, labels []string) (number int64, invalid []string, err error) {
	err = s.relabel(ctx, p, func(ix versions.Index) (versions.Index, error) {
		if number = version; number == 0 {
			number = ix.Last()
		}
		labelled, refused, err := ix.Label(versions.Number(number), labels)
		invalid = refused
		return labelled, err
	})
	return number, invalid, labelError(p, version, err)
}

// Unlabel takes labels from a version, and returns those that it had and those that it had not.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_UnlabelParameterVersion.html
func (s *Service) Unlabel(ctx context.Context, p *v1alpha1.Parameter, version int64, labels []string) (removed, invalid []string, err error) {
	err = s.relabel(ctx, p, func(ix versions.Index) (out versions.Index, err error) {
		out, removed, invalid, err = ix.Unlabel(versions.Number(version), labels)
		return out, err
	})
	return removed, invalid, labelError(p, version, err)
}

func labelError(p *v1alpha1.Parameter, version int64, err error) error {
	switch {
	case errors.Is(err, versions.ErrUnknown):
		return versionNotFound(p.AWSName(), versions.Number(version))
	case errors.Is(err, versions.ErrTooManyLabels):
		return &types.ParameterVersionLabelLimitExceeded{Message: ptr.To("A parameter version can have a maximum of 10 labels.")}
	}
	return err
}

// relabel changes the labels in an index. Crash-safe: it is one write of status, as in commit.
func (s *Service) relabel(ctx context.Context, p *v1alpha1.Parameter, change func(versions.Index) (versions.Index, error)) error {
	p = p.DeepCopy()
	for range maximumTries {
		ix, err := s.Versions().Resume(ctx, s.SubjectOf(p), IndexOf(p))
		if err != nil {
			return err
		}
		if ix, err = change(ix); err != nil {
			return err
		}
		if err = s.commit(ctx, p, ix, 0); !apierrors.IsConflict(err) {
			return err
		}
		if p, err = s.latest(ctx, p); err != nil {
			return err
		}
	}
	return contended()
}

// Delete deletes a parameter with all its versions, at once, as AWS does: there is no way back.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameter.html
//
// Crash-safe: the object says that it goes without recovery before it does, so the controller of Envelopes deletes what this leaves. Finalizers may hold the object from then on, and
// nothing else: what it had is erased before this returns.
func (s *Service) Delete(ctx context.Context, p *v1alpha1.Parameter) error {
	return s.remove(ctx, p, forcedByRequest, func(*v1alpha1.Parameter) bool { return true })
}

// errSpared says that a parameter is not to be deleted after all.
var errSpared = errors.New("the parameter is not to be deleted any more")

// remove deletes a parameter for as long as that is wanted, by what the API server has of it. mark is the value of ForceDeleteAnnotation, beside which nobody else is the owner.
func (s *Service) remove(ctx context.Context, p *v1alpha1.Parameter, mark string, wanted func(*v1alpha1.Parameter) bool) error {
	for range maximumTries {
		live, err := s.latest(ctx, p)
		if err != nil {
			return err
		}
		if !wanted(live) {
			return errSpared
		}
		envelopes, err := s.Store.OfOwner(ctx, p.Namespace, Owner(p.Name))
		if err != nil {
			return err
		}
		if orphaned := store.TakeAlong(live); orphaned || !IsForced(live) {
			store.Disown(live, nil)
			if !IsForced(live) { // the user's own mark stays
				metav1.SetMetaDataAnnotation(&live.ObjectMeta, v1alpha1.ForceDeleteAnnotation, mark)
			}
			err = s.Client.Update(ctx, live, client.FieldOwner(FieldOwner))
		}
		if err == nil {
			err = s.Client.Delete(ctx, live, client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion})
		}
		switch {
		case apierrors.IsNotFound(err):
			return NotFound("")
		case err == nil:
			return s.erase(ctx, live, envelopes)
		case !apierrors.IsConflict(err):
			return fmt.Errorf("deleting Parameter %s: %w", p.Name, err)
		}
	}
	return contended()
}

// erase deletes the Envelopes that a parameter had before it was deleted, unless an object of its name is back that may have taken them over. Those of a parameter that was made under the name since are not among them.
func (s *Service) erase(ctx context.Context, p *v1alpha1.Parameter, envelopes []v1alpha1.Envelope) error {
	subject := s.ARNOf(p)
	envelopes = slices.DeleteFunc(slices.Clone(envelopes), func(e v1alpha1.Envelope) bool { return e.Spec.Subject != subject })
	return s.eraseGone(ctx, p, envelopes)
}

// eraseGone erases Envelopes of a parameter that was deleted: all of them, or none. A conflict is the controller of Envelopes, which is about them too: it ends what one of the two has begun, as
// store.Erase says, and nobody takes over what is left until then.
func (s *Service) eraseGone(ctx context.Context, p *v1alpha1.Parameter, envelopes []v1alpha1.Envelope) error {
	_, err := s.Store.Erase(ctx, &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}}, envelopes, s.Now())
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}
