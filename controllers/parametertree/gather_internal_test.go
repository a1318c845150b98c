package parametertree

import (
	"fmt"
	"strings"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

func TestAKeyIsWhatComesBehindThePrefixInTheFormat(t *testing.T) {
	for _, tt := range []struct {
		path   string
		keys   *v1alpha1.ParameterTreeKeys
		name   string
		wanted string
	}{
		{"/p", nil, "/p/log-level", "log-level"},
		{"/p", nil, "/p/db/host", "db.host"},
		{"/p", nil, "/p/a.b/c_d", "a.b.c_d"},
		{"/", nil, "x", "x"},
		{"/", nil, "/x/y", "x.y"},
		{"/p/q", &v1alpha1.ParameterTreeKeys{}, "/p/q/r", "r"},
		{"/p/q", &v1alpha1.ParameterTreeKeys{StripPrefix: "/p"}, "/p/q/r", "q.r"},
		{"/p/q", &v1alpha1.ParameterTreeKeys{StripPrefix: "/"}, "/p/q/r", "p.q.r"},
		{"/p", &v1alpha1.ParameterTreeKeys{Format: v1alpha1.KeyDotted}, "/p/a/b", "a.b"},
		{"/p", &v1alpha1.ParameterTreeKeys{Format: v1alpha1.KeyUpperSnake}, "/p/db/max-size", "DB_MAX_SIZE"},
		{"/p", &v1alpha1.ParameterTreeKeys{Format: v1alpha1.KeyUpperSnake}, "/p/a.b_c-D9", "A_B_C_D9"},
		{"/p", &v1alpha1.ParameterTreeKeys{Format: v1alpha1.KeyUpperSnake, StripPrefix: "/"}, "/p/a", "P_A"},
		{"/p", &v1alpha1.ParameterTreeKeys{StripPrefix: "/other"}, "/p/a", "p.a"},
	} {
		spec := &v1alpha1.ParameterTreeSpec{Path: tt.path, Keys: tt.keys}
		if got := keyOf(spec, tt.name); got != tt.wanted {
			t.Errorf("%s below %s with %+v is %s, want %s", tt.name, tt.path, tt.keys, got, tt.wanted)
		}
	}
}

func members(names ...string) (out []parameterstore.Member) {
	for _, name := range names {
		out = append(out, parameterstore.Member{Parameter: &v1alpha1.Parameter{Spec: v1alpha1.ParameterSpec{Name: name, Type: v1alpha1.ParameterString}}})
	}
	return out
}

func ofType(kind v1alpha1.ParameterType, names ...string) []parameterstore.Member {
	out := members(names...)
	for i := range out {
		out[i].Parameter.Spec.Type = kind
	}
	return out
}

func many(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("/p/x%04d", i))
	}
	return names
}

func TestWhatCannotBeShownWholeIsRefusedByName(t *testing.T) {
	inConfigMap := v1alpha1.ParameterTreeSpec{Path: "/p", Target: v1alpha1.ParameterTreeTarget{ConfigMap: &v1alpha1.ParameterTreeConfigMap{}}}
	inSecret := v1alpha1.ParameterTreeSpec{Path: "/p", Target: v1alpha1.ParameterTreeTarget{Secret: &v1alpha1.ParameterTreeSecret{}}}
	snake := inConfigMap
	snake.Keys = &v1alpha1.ParameterTreeKeys{Format: v1alpha1.KeyUpperSnake}
	for name, tt := range map[string]struct {
		spec    v1alpha1.ParameterTreeSpec
		members []parameterstore.Member
		reason  string
		stalled bool
		says    []string
	}{
		"a few":                          {spec: inConfigMap, members: members("/p/a", "/p/b/c")},
		"as many as fit":                 {spec: inConfigMap, members: members(many(1024)...)},
		"one more":                       {inConfigMap, members(many(1025)...), v1alpha1.ReasonTargetTooLarge, true, []string{"1025", "1024"}},
		"none":                           {inConfigMap, nil, v1alpha1.ReasonSourceNotFound, false, []string{"/p"}},
		"lists in a ConfigMap":           {spec: inConfigMap, members: ofType(v1alpha1.ParameterStringList, "/p/a")},
		"a SecureString in a ConfigMap":  {inConfigMap, append(members("/p/a"), ofType(v1alpha1.ParameterSecureString, "/p/b")...), v1alpha1.ReasonSecureStringInConfigMap, true, []string{"/p/b"}},
		"an unknown type in a ConfigMap": {inConfigMap, ofType("Other", "/p/b"), v1alpha1.ReasonSecureStringInConfigMap, true, []string{"/p/b"}},
		"a SecureString in a Secret":     {spec: inSecret, members: ofType(v1alpha1.ParameterSecureString, "/p/b")},
		"many SecureStrings": {
			inConfigMap, ofType(v1alpha1.ParameterSecureString, "/p/a", "/p/b", "/p/c", "/p/d", "/p/e"), v1alpha1.ReasonSecureStringInConfigMap, true,
			[]string{"/p/a, /p/b, /p/c and 2 more"},
		},
		"names of one key":            {snake, members("/p/a-b", "/p/a_b"), v1alpha1.ReasonDuplicateKey, true, []string{"A_B", "/p/a-b", "/p/a_b"}},
		"names that differ in case":   {snake, members("/p/a", "/p/A"), v1alpha1.ReasonDuplicateKey, true, []string{"/p/a", "/p/A"}},
		"levels and dots of one key":  {inConfigMap, members("/p/a.b", "/p/a/b"), v1alpha1.ReasonDuplicateKey, true, []string{"a.b"}},
		"the same names, as they are": {spec: inConfigMap, members: members("/p/a-b", "/p/a_b")},
		"two dots":                    {inConfigMap, members("/p/..", "/p/a"), v1alpha1.ReasonInvalidKey, true, []string{"/p/.."}},
		"two dots at the beginning":   {inConfigMap, members("/p/..a"), v1alpha1.ReasonInvalidKey, true, []string{"/p/..a"}},
		"one dot":                     {inConfigMap, members("/p/."), v1alpha1.ReasonInvalidKey, true, []string{"/p/."}},
		"a long name":                 {inConfigMap, members("/p/" + strings.Repeat("x", 254)), v1alpha1.ReasonInvalidKey, true, []string{"253"}},
		"the longest name":            {spec: inConfigMap, members: members("/p/" + strings.Repeat("x", 253))},
	} {
		out, err := arrange(&tt.spec, tt.members)
		if tt.reason == "" {
			if err != nil || len(out) != len(tt.members) {
				t.Errorf("%s: %d keys, %v", name, len(out), err)
			}
			continue
		}
		if err == nil || out != nil {
			t.Errorf("%s is let through", name)
			continue
		}
		if f := fault.Of(err); f.Reason != tt.reason || f.Stalled != tt.stalled {
			t.Errorf("%s: %s, stalled %t", name, f.Reason, f.Stalled)
		}
		for _, text := range tt.says {
			if !strings.Contains(fault.Message(err), text) {
				t.Errorf("%s: %s does not say %s", name, fault.Message(err), text)
			}
		}
	}
}

func TestARefusedTreeSaysWhatBecomesOfItsTarget(t *testing.T) {
	const stays, leave = "Until then the target stays as it is", ", but for parameters that are gone, which leave it"
	for name, tt := range map[string]struct {
		target v1alpha1.ParameterTreeTarget
		want   string
	}{
		"a ConfigMap":              {v1alpha1.ParameterTreeTarget{ConfigMap: &v1alpha1.ParameterTreeConfigMap{}}, stays + leave},
		"a core Secret":            {v1alpha1.ParameterTreeTarget{Secret: &v1alpha1.ParameterTreeSecret{}}, stays + leave},
		"an immutable core Secret": {v1alpha1.ParameterTreeTarget{Secret: &v1alpha1.ParameterTreeSecret{Immutable: true}}, stays},
	} {
		_, err := arrange(&v1alpha1.ParameterTreeSpec{Path: "/p", Target: tt.target}, nil)
		if got := fault.Message(err); !strings.HasSuffix(got, ". "+tt.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
