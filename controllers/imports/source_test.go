package imports

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/fault"
)

func TestTheSourceOfWhatComesBackIsTheOneThatItWasDeletedWith(t *testing.T) {
	text := func(spec any) []byte {
		b, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	from := &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: "a", Key: "k"}}
	sealed := v1alpha1.SealedSource + sealing.Digest("srs1.AAAA")
	for name, tt := range map[string]struct {
		spec []byte
		want string
	}{
		"a sealed value of a Parameter":                  {text(v1alpha1.ParameterSpec{Sealed: "srs1.AAAA"}), sealed},
		"a sealed value of a Secret":                     {text(v1alpha1.SecretSpec{Sealed: "srs1.AAAA"}), sealed},
		"an imported value of a Parameter":               {text(v1alpha1.ParameterSpec{ValueFrom: from}), "a/k"},
		"an imported value of a Secret":                  {text(v1alpha1.SecretSpec{ValueFrom: from}), "a/k"},
		"a value of the API":                             {text(v1alpha1.ParameterSpec{}), ""},
		"a generated value":                              {text(v1alpha1.SecretSpec{Generate: &v1alpha1.SecretGenerator{}}), ""},
		"a spec that is not known, since no manager ran": {nil, "now"},
		"a spec that cannot be read":                     {[]byte("{"), "now"},
	} {
		if got := Former(tt.spec, "now"); got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestASealedValueThatIsAnothersIsToBeSealedAgainAndAllElseIsTriedAgain(t *testing.T) {
	invalid := SealedFault(fmt.Errorf("opening: %w", sealing.ErrInvalid), "parameter")
	f := fault.Of(invalid)
	if !f.Stalled || f.Reason != v1alpha1.ReasonSealedInvalid || !strings.Contains(invalid.Error(), "for this parameter's name and namespace") {
		t.Errorf("%+v", f)
	}
	other := errors.New("the key is not there")
	if got := SealedFault(other, "secret"); !errors.Is(got, other) || got.Error() != other.Error() {
		t.Errorf("%v", got)
	}
}
