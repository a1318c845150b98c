package parameter

import (
	"encoding/json"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/sealing"
)

func TestTheSourceOfAParameterThatComesBackIsTheOneThatItWasDeletedWith(t *testing.T) {
	spec := func(s v1alpha1.ParameterSpec) []byte {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, tt := range map[string]struct {
		spec []byte
		want string
	}{
		"a sealed value":     {spec(v1alpha1.ParameterSpec{Sealed: "srs1.AAAA"}), v1alpha1.SealedSource + sealing.Digest("srs1.AAAA")},
		"an imported value":  {spec(v1alpha1.ParameterSpec{ValueFrom: &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: "a", Key: "k"}}}), "a/k"},
		"a value of the API": {spec(v1alpha1.ParameterSpec{}), ""},
		"a spec that is not known, since no manager ran": {nil, "now"},
		"a spec that cannot be read":                     {[]byte("{"), "now"},
	} {
		if got := formerSource(tt.spec, "now"); got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
