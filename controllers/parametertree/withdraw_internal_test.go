package parametertree

import (
	"slices"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

func TestAKeyIsOrphanedWhenItCanBeNoLivingParametersAnyMore(t *testing.T) {
	below := func(path string) func(*v1alpha1.Parameter) []string {
		return func(p *v1alpha1.Parameter) []string {
			return []string{parameterstore.DataKey(path, v1alpha1.KeyDotted, p.AWSName())}
		}
	}
	any := func(p *v1alpha1.Parameter) []string { return parameterstore.DataKeys(p.AWSName()) }
	for name, tt := range map[string]struct {
		keys, living, want []string
		of                 func(*v1alpha1.Parameter) []string
	}{
		"nothing is shown": {nil, []string{"/p/a"}, nil, below("/p")},
		"all are there":    {[]string{"a", "q.b"}, []string{"/p/a", "/p/q/b"}, nil, below("/p")},
		"one is gone":      {[]string{"a", "q.b"}, []string{"/p/a"}, []string{"q.b"}, below("/p")},
		"all are gone":     {[]string{"a", "b"}, nil, []string{"a", "b"}, below("/p")},
		"a neighbour of another level is no reason":   {[]string{"b"}, []string{"/p/q/b"}, []string{"b"}, below("/p")},
		"but may be one if the spec is not known":     {[]string{"b"}, []string{"/p/q/b"}, nil, any},
		"by whatever format":                          {[]string{"Q_MAX_SIZE", "P_Q_MAX_SIZE", "max-size", "GONE"}, []string{"/p/q/max-size"}, []string{"GONE"}, any},
		"a name that only ends like it is none of it": {[]string{"b"}, []string{"/p/ab"}, []string{"b"}, any},
	} {
		var living []*v1alpha1.Parameter
		for _, n := range tt.living {
			living = append(living, &v1alpha1.Parameter{Spec: v1alpha1.ParameterSpec{Name: n}})
		}
		if got := orphaned(tt.keys, living, tt.of); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestAParameterIsToldByItsRegionAndItsNameHoweverThatIsWritten(t *testing.T) {
	if tell("us-east-1", "/a") != tell("us-east-1", "a") {
		t.Error("x and /x are one name")
	}
	told := map[string]string{}
	for _, at := range [][2]string{{"us-east-1", "a"}, {"eu-west-1", "a"}, {"us-east-1", "b"}, {"us-east-1", "a/b"}, {"us-east-1", "A"}} {
		text := tell(at[0], at[1])
		if other, taken := told[text]; taken || len(text) != 8 {
			t.Errorf("%v is told as %q, as %s is", at, text, other)
		}
		told[text] = at[1]
	}
}
