package projection

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"
)

func parsed(t *testing.T, text string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryPlaceOfAPodThatNamesACoreSecretIsFound(t *testing.T) {
	spec := parsed(t, `{
		"volumes": [{"name":"a","secret":{"secretName":"volume"}}, {"name":"b","configMap":{"name":"config"}},
			{"name":"c","projected":{"sources":[{"secret":{"name":"projected"}},{"configMap":{"name":"config"}},{"serviceAccountToken":{"path":"t"}}]}}],
		"containers": [{"name":"x","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"variable","key":"k"}}},{"name":"B","value":"variable"},
			{"name":"C","valueFrom":{"configMapKeyRef":{"name":"config","key":"k"}}}],"envFrom":[{"secretRef":{"name":"all"}},{"configMapRef":{"name":"config"}}]}],
		"initContainers": [{"name":"y","envFrom":[{"secretRef":{"name":"init"}}]}],
		"ephemeralContainers": [{"name":"z","envFrom":[{"secretRef":{"name":"ephemeral"}}]}],
		"imagePullSecrets": [{"name":"pull"}], "serviceAccountName": "volume"}`)
	var names []string
	if renameReferences(spec, func(name string) string { names = append(names, name); return name }) {
		t.Error("a look has changed something")
	}
	slices.Sort(names)
	if want := []string{"all", "ephemeral", "init", "projected", "pull", "variable", "volume"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
}

func TestOnlyTheNamesThatAreMeantAreReplacedAndNothingElse(t *testing.T) {
	text := `{"volumes":[{"name":"old","secret":{"secretName":"old","optional":true}},{"name":"o","secret":{"secretName":"old-other"}}],
		"containers":[{"name":"old","image":"old","env":[{"name":"old","value":"old"}],"envFrom":[{"prefix":"old","secretRef":{"name":"old"}}]}]}`
	want := `{"volumes":[{"name":"old","secret":{"secretName":"new","optional":true}},{"name":"o","secret":{"secretName":"old-other"}}],
		"containers":[{"name":"old","image":"old","env":[{"name":"old","value":"old"}],"envFrom":[{"prefix":"old","secretRef":{"name":"new"}}]}]}`
	spec := parsed(t, text)
	rename := func(name string) string {
		if name == "old" {
			return "new"
		}
		return name
	}
	if !renameReferences(spec, rename) || !reflect.DeepEqual(spec, parsed(t, want)) {
		t.Errorf("%v", spec)
	}
	if renameReferences(spec, rename) {
		t.Error("doing it twice changes something")
	}
}

// What others write as a pod template, in kinds that the API server does not check, must not end the program.
func TestAPodOfAnyShapeIsLookedAtWithoutHarm(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"volumes":null}`, `{"volumes":"x"}`, `{"volumes":[null,1,"x",[]]}`, `{"volumes":[{"secret":[]}]}`, `{"volumes":[{"secret":{"secretName":7}}]}`,
		`{"volumes":[{"projected":{"sources":{"secret":{}}}}]}`, `{"containers":{"env":[]}}`, `{"containers":[{"env":{"valueFrom":[]},"envFrom":"x"}]}`, `{"imagePullSecrets":[[]]}`,
	} {
		if renameReferences(parsed(t, text), func(string) string { return "other" }) {
			t.Errorf("%s names a core Secret", text)
		}
	}
}

func FuzzAnyPodIsLookedAt(f *testing.F) {
	f.Add(`{"volumes":[{"secret":{"secretName":"a"}}],"containers":[{"envFrom":[{"secretRef":{"name":"b"}}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var spec map[string]any
		if json.Unmarshal([]byte(text), &spec) != nil {
			return
		}
		renameReferences(spec, func(string) string { return "new" })
		if renameReferences(spec, func(name string) string { return map[string]string{"new": "new"}[name] }) {
			t.Error("a name was left over")
		}
	})
}

func TestFormerCoreSecretsAreLookedAtWhenTheirRetentionIsOverAndThenMoreAndMoreRarely(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	ago := func(all ...time.Duration) (out []Retained) {
		for _, d := range all {
			out = append(out, Retained{Since: now.Add(-d)})
		}
		return out
	}
	for name, tt := range map[string]struct {
		retained []Retained
		want     time.Duration
	}{
		"none":                                 {nil, 0},
		"one of now":                           {ago(0), retention + time.Second},
		"one whose retention is nearly over":   {ago(retention - time.Second), 2 * time.Second},
		"one whose retention is over":          {ago(retention), retention},
		"one that has been in use for an hour": {ago(time.Hour), time.Hour},
		"one that has been in use for a week":  {ago(168 * time.Hour), longestRetentionCheck},
		"the youngest counts":                  {ago(168*time.Hour, time.Hour, 24*time.Hour), time.Hour},
		"of a clock that was set back":         {ago(-time.Hour), retention + time.Second},
	} {
		if got := checkAgain(tt.retained, now); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
