package iam

import (
	"bytes"
	"context"
	"encoding/json/jsontext"
	"errors"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
)

// MaximumPolicyVersions of a managed policy.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html#version-limits
const MaximumPolicyVersions = 5

var (
	// ErrTooManyVersions says that a policy has MaximumPolicyVersions.
	ErrTooManyVersions = errors.New("the policy has as many versions as can be")
	// ErrNoVersion says that a policy has no version of an id.
	ErrNoVersion = errors.New("the policy has no such version")
	// ErrDefaultVersion says that the default version is to be deleted.
	ErrDefaultVersion = errors.New("the version is the policy's default")
)

// PolicyVersions are the versions of one managed policy.
type PolicyVersions struct {
	// Default is the id of the one that is in force: spec.document.
	Default string
	// Kept are at most MaximumPolicyVersions, the eldest first.
	Kept []v1alpha1.PolicyVersion
	// last is the number of the newest that there ever was.
	last int64
}

// VersionsOf are a policy's versions as its specification has them now, whether or not its controller has seen that.
//
// What is in force is spec.document and nothing else: status only says what it is called. If the version that status has as the default is
// another document, spec was changed: to that of another version, the newest such, or else to a new version. So a manifest that
// is applied again and again after each change by the API goes between two versions and makes no others. Of too many the eldest goes
// that is not the default, since kubectl cannot be told to delete one first.
func VersionsOf(policy *v1alpha1.IAMPolicy, now time.Time) PolicyVersions {
	status := &policy.Status
	v := PolicyVersions{Default: status.DefaultVersionID, Kept: slices.Clone(status.Versions), last: status.LastVersion}
	if current := v.Find(v.Default); current != nil && sameDocument(&current.Document, &policy.Spec.Document) {
		return v
	}
	for _, version := range slices.Backward(v.Kept) {
		if sameDocument(&version.Document, &policy.Spec.Document) {
			v.Default = version.VersionID
			return v
		}
	}
	if len(v.Kept) == 0 {
		// Without a status, the number of changes that spec has had: after a status was lost, most numbers do not come again.
		v.last = max(v.last, policy.Generation-1)
		now = policy.CreationTimestamp.Time
	}
	v.Default = v.add(policy.Spec.Document, now).VersionID
	if len(v.Kept) > MaximumPolicyVersions {
		v.Kept = slices.Delete(v.Kept, 0, 1) // the default is the last
	}
	return v
}

// Find is the version of an id, nil if there is none. It belongs to v.
func (v *PolicyVersions) Find(id string) *v1alpha1.PolicyVersion {
	for i := range v.Kept {
		if v.Kept[i].VersionID == id {
			return &v.Kept[i]
		}
	}
	return nil
}

func (v *PolicyVersions) add(document v1alpha1.PolicyDocument, now time.Time) v1alpha1.PolicyVersion {
	v.last++
	made := v1alpha1.PolicyVersion{
		VersionID: "v" + strconv.FormatInt(v.last, 10), CreatedTime: metav1.NewTime(now.Truncate(time.Second)), Document: document,
	}
	v.Kept = append(v.Kept, made)
	return made
}

// record puts versions into a status.
func (v *PolicyVersions) record(policy *v1alpha1.IAMPolicy) {
	policy.Status.DefaultVersionID, policy.Status.Versions, policy.Status.LastVersion = v.Default, v.Kept, v.last
}

// RecordVersion writes a policy's versions into its status, as VersionsOf tells them. spec.document must be a policy and within its
// quota: what is not is in force for nobody, and no version.
func RecordVersion(policy *v1alpha1.IAMPolicy, now time.Time) {
	v := VersionsOf(policy, now)
	v.record(policy)
}

// sameDocument compares as JSON: the order of members and white space do not count.
func sameDocument(a, b *v1alpha1.PolicyDocument) bool {
	if bytes.Equal(a.Raw, b.Raw) { // as the API server stores both
		return true
	}
	x, y := jsontext.Value(bytes.Clone(a.Raw)), jsontext.Value(bytes.Clone(b.Raw))
	return x.Canonicalize() == nil && y.Canonicalize() == nil && bytes.Equal(x, y)
}

// CreatePolicyVersion adds a version to a policy, and makes it the default if it is asked to. The document is a policy and within its quota.
// It fails with ErrTooManyVersions and ErrGone.
//
// Crash-safe: the version is written first, into status, and is a version like others from then on; spec.document, which brings it into
// force, second.
func (s *Service) CreatePolicyVersion(ctx context.Context, policy *v1alpha1.IAMPolicy, document v1alpha1.PolicyDocument, asDefault bool) (
	*v1alpha1.PolicyVersion, error,
) {
	var made v1alpha1.PolicyVersion
	err := s.changeVersions(ctx, policy, func(v *PolicyVersions) error {
		if len(v.Kept) >= MaximumPolicyVersions {
			return ErrTooManyVersions
		}
		made = v.add(document, s.Now())
		if asDefault {
			v.Default = made.VersionID
		}
		return nil
	}, nil)
	if err == nil && asDefault {
		err = s.SetDefaultPolicyVersion(ctx, policy, made.VersionID)
	}
	return &made, err
}

// DeletePolicyVersion deletes a version of a policy that is not the default. It fails with ErrNoVersion, ErrDefaultVersion and
// ErrGone. Atomic: one write of status.
func (s *Service) DeletePolicyVersion(ctx context.Context, policy *v1alpha1.IAMPolicy, id string) error {
	return s.changeVersions(ctx, policy, func(v *PolicyVersions) error {
		switch {
		case v.Find(id) == nil:
			return ErrNoVersion
		case v.Default == id:
			return ErrDefaultVersion
		}
		v.Kept = slices.DeleteFunc(v.Kept, func(version v1alpha1.PolicyVersion) bool { return version.VersionID == id })
		return nil
	}, nil)
}

// SetDefaultPolicyVersion brings a version of a policy into force. It fails with ErrNoVersion and ErrGone.
//
// Crash-safe: status says first which of several versions of one document is meant; spec.document is written second, and is the
// commit. Between the two, status names a version that spec is not, and VersionsOf believes spec.
func (s *Service) SetDefaultPolicyVersion(ctx context.Context, policy *v1alpha1.IAMPolicy, id string) error {
	var document v1alpha1.PolicyDocument
	return s.changeVersions(ctx, policy, func(v *PolicyVersions) error {
		version := v.Find(id)
		if version == nil {
			return ErrNoVersion
		}
		v.Default, document = id, version.Document
		return nil
	}, &document)
}

// changeVersions reads a policy anew, changes its versions, and writes them if it is still as it was read; otherwise it begins again.
// Then it writes spec.document, if one is given and it is another.
func (s *Service) changeVersions(ctx context.Context, policy *v1alpha1.IAMPolicy, change func(*PolicyVersions) error, document *v1alpha1.PolicyDocument) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		live := &v1alpha1.IAMPolicy{}
		if err := s.Live.Get(ctx, client.ObjectKeyFromObject(policy), live); err != nil {
			return err
		}
		if live.UID != policy.UID || !live.DeletionTimestamp.IsZero() {
			return ErrGone
		}
		v := VersionsOf(live, s.Now())
		if err := change(&v); err != nil {
			return err
		}
		if err := s.writeVersions(ctx, live, &v); err != nil {
			return err
		}
		if document == nil || sameDocument(document, &live.Spec.Document) {
			return nil
		}
		live.Spec.Document = *document
		return s.Client.Update(ctx, live, client.FieldOwner(FieldOwner))
	})
	if apierrors.IsNotFound(err) {
		return ErrGone
	}
	return err
}

func (s *Service) writeVersions(ctx context.Context, live *v1alpha1.IAMPolicy, v *PolicyVersions) error {
	before := live.Status.DeepCopy()
	v.record(live)
	if !usable(&live.Spec.Document) { // it has a number, which does not come again, and is not kept
		live.Status.Versions = slices.DeleteFunc(live.Status.Versions, func(version v1alpha1.PolicyVersion) bool {
			return sameDocument(&version.Document, &live.Spec.Document)
		})
	}
	if slices.EqualFunc(before.Versions, live.Status.Versions, func(a, b v1alpha1.PolicyVersion) bool { return a.VersionID == b.VersionID }) &&
		before.DefaultVersionID == live.Status.DefaultVersionID && before.LastVersion == live.Status.LastVersion {
		return nil
	}
	return s.Client.Status().Update(ctx, live, client.FieldOwner(FieldOwner))
}

// usable tells whether a document is a managed policy and within its quota.
func usable(document *v1alpha1.PolicyDocument) bool {
	_, err := iam.Parse(document.Raw, iam.Identity)
	return err == nil && iam.Size(document.Raw) <= iam.MaximumManagedPolicy
}
