package iamobject_test

import (
	"strings"
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/iamobject"
	"strongroom.dev/strongroom/internal/fault"
)

func TestTagsOfAPrincipalDifferByMoreThanCase(t *testing.T) {
	for name, tt := range map[string]struct {
		keys  []string
		alike []string
	}{
		"none":                     {},
		"one":                      {keys: []string{"Team"}},
		"several":                  {keys: []string{"Team", "Teams", "team-a", ""}},
		"in ASCII":                 {keys: []string{"a", "Team", "tEAM"}, alike: []string{`"Team"`, `"tEAM"`}},
		"beyond it":                {keys: []string{"Größe", "x", "GRÖßE"}, alike: []string{`"Größe"`, `"GRÖßE"`}},
		"Greek":                    {keys: []string{"ΟΜΑΔΑ", "ομαδα"}, alike: []string{`"ΟΜΑΔΑ"`, `"ομαδα"`}},
		"that only fold otherwise": {keys: []string{"straße", "STRASSE", "coſt", "cost"}},
	} {
		var tags []v1alpha1.Tag
		for _, key := range tt.keys {
			tags = append(tags, v1alpha1.Tag{Key: key})
		}
		err := iamobject.Tags(tags)
		if (err != nil) != (tt.alike != nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, key := range tt.alike {
			if !strings.Contains(err.Error(), key) || fault.Of(err).Reason != v1alpha1.ReasonDuplicateTagKeys {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
