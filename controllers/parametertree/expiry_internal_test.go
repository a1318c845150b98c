package parametertree

import (
	"fmt"
	"testing"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

func TestATreeIsLookedAtAgainWhenTheFirstOfWhatItShowsExpires(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		at, want time.Duration
		expires  []time.Duration
	}{
		"nothing expires, and nothing else asks":  {0, 0, nil},
		"nothing expires":                         {time.Minute, time.Minute, nil},
		"one expires":                             {0, time.Hour, []time.Duration{time.Hour}},
		"the sooner of two":                       {0, time.Minute, []time.Duration{time.Hour, time.Minute}},
		"something else asks sooner":              {time.Second, time.Second, []time.Duration{time.Hour}},
		"something else asks later":               {2 * time.Hour, time.Hour, []time.Duration{time.Hour}},
		"one has expired since the pass began":    {0, time.Second, []time.Duration{-time.Minute}},
		"one expires at once, and not in no time": {time.Hour, time.Second, []time.Duration{time.Millisecond}},
	} {
		p := &pass{now: now, members: map[string]parameterstore.Member{"without": {Parameter: &v1alpha1.Parameter{}}}}
		for i, in := range tt.expires {
			p.members[fmt.Sprint(i)] = parameterstore.Member{Parameter: &v1alpha1.Parameter{Spec: v1alpha1.ParameterSpec{
				Policies: []v1alpha1.ParameterPolicy{{Type: "Expiration", Timestamp: now.Add(in).Format(time.RFC3339Nano)}},
			}}}
		}
		if got := lookAgain(tt.at, p); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
