package parameterstore

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/sealed"
)

func TestAParameterTakesOverVersionsOfItsOwnTypeAlone(t *testing.T) {
	keyed, unkeyed := &v1alpha1.Envelope{}, &v1alpha1.Envelope{}
	keyed.Spec.EncryptedDataKey = []byte("data key")
	const none, text, list, secure = "", `{"type":"String"}`, `{"type":"StringList"}`, `{"type":"SecureString"}`
	for _, tt := range []struct {
		name, of string
		stored   []*v1alpha1.Envelope
		former   string
		// kept is the type that the refusal names; empty if there is none.
		kept string
	}{
		{"a SecureString that of a SecureString", "SecureString", []*v1alpha1.Envelope{keyed, keyed}, secure, ""},
		{"a SecureString of which nobody saw the end", "SecureString", []*v1alpha1.Envelope{keyed}, none, ""},
		{"a SecureString whose last spec is not to be read", "SecureString", []*v1alpha1.Envelope{keyed}, "{", ""},
		{"a SecureString whose last spec is that of one that took nothing over", "SecureString", []*v1alpha1.Envelope{keyed}, text, ""},
		{"a String that of a String", "String", []*v1alpha1.Envelope{unkeyed}, text, ""},
		{"a String of which nobody saw the end", "String", []*v1alpha1.Envelope{unkeyed}, none, ""},
		{"a StringList that of a StringList", "StringList", []*v1alpha1.Envelope{unkeyed}, list, ""},
		{"nothing", "String", nil, none, ""},

		{"a String that of a SecureString", "String", []*v1alpha1.Envelope{keyed}, secure, "SecureString"},
		{"a StringList that of a SecureString", "StringList", []*v1alpha1.Envelope{keyed}, secure, "SecureString"},
		{"a String that of a SecureString of which nobody saw the end", "String", []*v1alpha1.Envelope{keyed}, none, "SecureString"},
		{"a String one version of which is encrypted", "String", []*v1alpha1.Envelope{unkeyed, keyed, unkeyed}, text, "SecureString"},
		{"a type of another release what is encrypted", "Other", []*v1alpha1.Envelope{keyed}, none, "SecureString"},
		{"a SecureString that of a String", "SecureString", []*v1alpha1.Envelope{unkeyed}, text, "String"},
		{"a SecureString that of a StringList", "SecureString", []*v1alpha1.Envelope{unkeyed}, list, "StringList"},
		{"a SecureString what is plain, of which nobody saw the end", "SecureString", []*v1alpha1.Envelope{unkeyed}, none, "String or StringList"},
		{"a SecureString one version of which is plain", "SecureString", []*v1alpha1.Envelope{keyed, unkeyed}, secure, "String or StringList"},
		{"a StringList that of a String", "StringList", []*v1alpha1.Envelope{unkeyed}, text, "String"},
		{"a String that of a StringList", "String", []*v1alpha1.Envelope{unkeyed}, list, "StringList"},
	} {
		err := fits(tt.of, tt.stored, []byte(tt.former))
		if tt.kept == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		var f *fault.Fault
		if !errors.As(err, &f) || f.Reason != v1alpha1.ReasonTypeMismatch || !f.Stalled {
			t.Errorf("%s: %v is no TypeMismatch", tt.name, err)
			continue
		}
		for _, want := range []string{tt.kept + ", and not " + tt.of, "apply it as " + tt.kept, v1alpha1.ForceDeleteAnnotation} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q says nothing of %q", tt.name, err, want)
			}
		}
		var api *types.HierarchyTypeMismatchException
		if err := typeError(err); !errors.As(err, &api) || !strings.Contains(api.ErrorMessage(), "of type "+tt.kept+":") {
			t.Errorf("%s: the API says %v", tt.name, err)
		}
	}
}

func TestAnErrorThatIsAboutNoTypeIsToldAsItIs(t *testing.T) {
	for _, err := range []error{nil, errNested, contended()} {
		if got := typeError(err); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestAVersionUnderAKMSKeyIsASecureStringWhateverTheObjectSays(t *testing.T) {
	for _, of := range []v1alpha1.ParameterType{v1alpha1.ParameterString, v1alpha1.ParameterStringList, v1alpha1.ParameterSecureString, ""} {
		p := &v1alpha1.Parameter{Spec: v1alpha1.ParameterSpec{Type: of}}
		if got := TypeOf(p, sealed.Version{Key: &v1alpha1.KMSKey{}}); got != v1alpha1.ParameterSecureString {
			t.Errorf("what is encrypted under a key of a %s is a %s", of, got)
		}
		gone := &v1alpha1.Envelope{Spec: v1alpha1.EnvelopeSpec{EncryptedDataKey: []byte("k")}}
		if got := TypeOf(p, sealed.Version{Envelope: gone}); got != v1alpha1.ParameterSecureString {
			t.Errorf("what is encrypted under a key that is gone of a %s is a %s", of, got)
		}
		if got := TypeOf(p, sealed.Version{Envelope: &v1alpha1.Envelope{}}); got != of {
			t.Errorf("what an Envelope without a key has of a %s is a %s", of, got)
		}
		if got := TypeOf(p, sealed.Version{}); got != of {
			t.Errorf("what no key encrypts of a %s is a %s", of, got)
		}
	}
}
