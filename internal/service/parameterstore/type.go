package parameterstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/sealed"
)

// A parameter's type cannot be changed. The schema sees to that for an object that is there; one that is deleted and made again may have another, and
// takes no version over then: what was encrypted under a KMSKey would be plain text to whoever reads by the object's type.

var errOtherType = errors.New("the versions that are kept of the deleted Parameter of this name are of another type")

// otherType says of what type they are, as far as that is known, and of what type the object is.
type otherType struct{ kept, wanted string }

// Error says what to do. Both ways are open to whoever may apply and delete the object.
func (e *otherType) Error() string {
	return fmt.Sprintf("%s: %s, and not %s. Delete this Parameter and apply it as %s, which brings them back; or delete it with the annotation "+
		v1alpha1.ForceDeleteAnnotation+": \"true\", which erases them for good, and apply it again", errOtherType, e.kept, e.wanted, e.kept)
}

// Unwrap is what all of them are.
func (e *otherType) Unwrap() error { return errOtherType }

// plain is what versions are whose Envelopes no KMSKey encrypts: which of the two types the last spec alone says.
const plain = string(v1alpha1.ParameterString) + " or " + string(v1alpha1.ParameterStringList)

// TypeOf is the type of a version: that of the Parameter, but SecureString of whatever is encrypted under a KMSKey, be that there or not.
func TypeOf(p *v1alpha1.Parameter, found sealed.Version) v1alpha1.ParameterType {
	if found.Key != nil || found.Envelope != nil && len(found.Envelope.Spec.EncryptedDataKey) > 0 {
		return v1alpha1.ParameterSecureString
	}
	return p.Spec.Type
}

// fits says whether a Parameter of a type may take over versions: a SecureString those that are encrypted under a KMSKey and no others, and another type those that are not, if it
// is that of the last spec. The fault says TypeMismatch.
func fits(objectType string, stored []*v1alpha1.Envelope, former []byte) error {
	secure := string(v1alpha1.ParameterSecureString)
	other := slices.ContainsFunc(stored, func(e *v1alpha1.Envelope) bool {
		return (len(e.Spec.EncryptedDataKey) > 0) != (objectType == secure)
	})
	was := typeOfSpec(former)
	switch {
	case objectType != secure && other:
		return mismatched(secure, objectType)
	case objectType != secure && was != "" && was != secure && was != objectType, other && was != "" && was != secure:
		return mismatched(was, objectType)
	case other:
		return mismatched(plain, objectType)
	}
	return nil
}

func mismatched(kept, wanted string) error {
	return fault.Contested(v1alpha1.ReasonTypeMismatch, &otherType{kept, wanted})
}

// typeOfSpec is the type that a spec as JSON has; empty if that is not known.
func typeOfSpec(spec []byte) string {
	var former struct {
		Type string `json:"type"`
	}
	if len(spec) == 0 || json.Unmarshal(spec, &former) != nil {
		return ""
	}
	return former.Type
}

// checkType says whether an object, be it there or about to be made, may take over what is kept under its name and ARN, in the words of the API.
func (s *Service) checkType(ctx context.Context, p *v1alpha1.Parameter, subject string) error {
	lost := LostOf(p, subject)
	if lost.Created.IsZero() {
		lost.Created = s.Now()
	}
	return typeError(s.Versions().Fits(ctx, lost))
}

// Returns tells whether versions may come back to a Parameter whose status has none: it was deleted and is applied again within its recovery window, as what it was, or its status was lost. It reads
// what is cached, and takes nothing.
func (s *Service) Returns(ctx context.Context, p *v1alpha1.Parameter) (bool, error) {
	lost := LostOf(p, "")
	lost.Mine = func(subject string) bool { return IsOwn(p, subject) } // status may have no ARN yet
	return s.Versions().Returns(ctx, lost)
}

// typeError is AWS's error of a put whose type is another than that of the versions that are kept. Any other error it returns as it is.
func typeError(err error) error {
	var other *otherType
	if !errors.As(err, &other) {
		return err
	}
	return &types.HierarchyTypeMismatchException{Message: ptr.To("Parameter Store doesn't support changing a parameter type. The versions that are kept of the deleted " +
		"parameter of this name are of type " + other.kept + ": put it as that, which brings them back, or create a new, unique parameter.")}
}
