package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
)

// Change changes the spec of a secret and returns it as it is then. Crash-safe: it is one write, on the condition that nobody
// else has changed the object since it was read. An error of change is returned as it is.
func (s *Service) Change(ctx context.Context, secret *v1alpha1.Secret, change func(*v1alpha1.SecretSpec) error) (*v1alpha1.Secret, error) {
	return s.changeObject(ctx, secret, func(live *v1alpha1.Secret) error { return change(&live.Spec) })
}

// changeObject is Change of a spec with the annotations that belong to it.
func (s *Service) changeObject(ctx context.Context, secret *v1alpha1.Secret, change func(*v1alpha1.Secret) error) (*v1alpha1.Secret, error) {
	defer turn(secret)()
	for range maximumTries {
		live, err := s.latest(ctx, secret)
		if err != nil {
			return nil, err
		}
		before := live.DeepCopy()
		if err := change(live); err != nil {
			return nil, err
		}
		if equality.Semantic.DeepEqual(before, live) {
			return live, nil
		}
		err = s.Client.Update(ctx, live, client.FieldOwner(FieldOwner))
		switch {
		case err == nil:
			return live, nil
		case apierrors.IsNotFound(err): // it was deleted since it was read
			return nil, NotFound()
		case !apierrors.IsConflict(err):
			return nil, fmt.Errorf("changing Secret %s: %w", secret.Name, err)
		}
	}
	return nil, errContended
}

// MaximumTags of one secret.
const MaximumTags = 50

// Tag puts tags on a secret, over those of the same keys.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_TagResource.html
func (s *Service) Tag(ctx context.Context, secret *v1alpha1.Secret, tags []v1alpha1.Tag) error {
	_, err := s.Change(ctx, secret, func(spec *v1alpha1.SecretSpec) error {
		for _, tag := range tags {
			at := slices.IndexFunc(spec.Tags, func(t v1alpha1.Tag) bool { return t.Key == tag.Key })
			if at < 0 {
				spec.Tags = append(spec.Tags, tag)
				continue
			}
			spec.Tags[at] = tag
		}
		if len(spec.Tags) > MaximumTags {
			return invalidParameter("A secret can have at most 50 tags.")
		}
		return nil
	})
	return err
}

// Untag takes tags from a secret. Keys that it has not are no error.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UntagResource.html
func (s *Service) Untag(ctx context.Context, secret *v1alpha1.Secret, keys []string) error {
	_, err := s.Change(ctx, secret, func(spec *v1alpha1.SecretSpec) error {
		spec.Tags = slices.DeleteFunc(spec.Tags, func(t v1alpha1.Tag) bool { return slices.Contains(keys, t.Key) })
		return nil
	})
	return err
}

// MoveStage moves a staging label between a secret's versions, or takes it away. Crash-safe: it is one write of status, as in
// commit.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
func (s *Service) MoveStage(ctx context.Context, secret *v1alpha1.Secret, stage, from, to string) error {
	defer turn(secret)()
	secret = secret.DeepCopy()
	for range maximumTries {
		ix, err := s.Versions().Resume(ctx, s.SubjectOf(secret), IndexOf(secret))
		if err != nil {
			return err
		}
		if stage == versions.Pending && to == "" && from != "" && from == Begun(secret, ix) { // of a version that is not stored: the rotation is given up
			secret.Status.Rotation = nil
			err = s.writeStatus(ctx, secret)
		} else {
			err = s.move(ctx, secret, ix, stage, from, to)
		}
		if !apierrors.IsConflict(err) {
			return err
		}
		if secret, err = s.latest(ctx, secret); err != nil {
			return err
		}
	}
	return errContended
}

// move commits an index in which a label has moved.
func (s *Service) move(ctx context.Context, secret *v1alpha1.Secret, ix versions.Index, stage, from, to string) error {
	moved, err := ix.Move(stage, from, to)
	if err != nil {
		return stageError(ix, stage, from, to, err)
	}
	Changed(&secret.Status, s.Now())
	return s.commit(ctx, secret, moved)
}

// stageError is AWS's error of a label that cannot be moved so.
func stageError(ix versions.Index, stage, from, to string, err error) error {
	switch holder, _ := ix.ByStage(stage); {
	case errors.Is(err, versions.ErrHeld):
		return invalidParameter("The parameter RemoveFromVersionId can't be empty. Staging label " + stage + " is currently attached to " +
			"version " + holder.ID + ", so you must explicitly reference that version in RemoveFromVersionId.")
	case errors.Is(err, versions.ErrNotHeld):
		return invalidParameter("The staging label " + stage + " isn't attached to version " + from + ", which RemoveFromVersionId names.")
	case errors.Is(err, versions.ErrNeeded):
		return invalidParameter("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
	case errors.Is(err, versions.ErrTooMany):
		return limitExceeded("A version of a secret can have at most 20 staging labels.")
	case errors.Is(err, versions.ErrUnknown) && to != "":
		return noValueOfVersion(to)
	}
	return invalidParameter("You must provide MoveToVersionId or RemoveFromVersionId.")
}
