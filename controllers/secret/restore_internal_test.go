package secret

import (
	"encoding/json"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestTheSourceOfARestoredValueIsTheOneOfTheSpecThatWasDeleted(t *testing.T) {
	spec := func(s v1alpha1.SecretSpec) []byte {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	imported := spec(v1alpha1.SecretSpec{ValueFrom: &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: "a", Key: "k"}}})
	for name, tt := range map[string]struct {
		spec []byte
		want string
	}{
		"it was imported":         {imported, "a/k"},
		"it was generated":        {spec(v1alpha1.SecretSpec{Generate: &v1alpha1.SecretGenerator{}}), ""},
		"nobody knows":            {nil, "b/k"},
		"what is kept is no spec": {[]byte("{"), "b/k"},
	} {
		if got := formerSource(tt.spec, "b/k"); got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
