package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func doc(text string) (d v1alpha1.PolicyDocument) {
	d.Raw = []byte(`{"Id":"` + text + `"}`)
	return d
}

// versioned is a policy whose spec is a document, and whose status has versions such as "v1=a v2=b", and a default.
func versioned(spec, versions, byDefault string, last int64) *v1alpha1.IAMPolicy {
	p := &v1alpha1.IAMPolicy{Spec: v1alpha1.IAMPolicySpec{Document: doc(spec)}}
	p.Generation, p.CreationTimestamp = 1, metav1.Unix(1000, 0)
	p.Status.DefaultVersionID, p.Status.LastVersion = byDefault, last
	for _, v := range strings.Fields(versions) {
		id, text, _ := strings.Cut(v, "=")
		p.Status.Versions = append(p.Status.Versions, v1alpha1.PolicyVersion{VersionID: id, CreatedTime: metav1.Unix(1500, 0), Document: doc(text)})
	}
	return p
}

func shown(v PolicyVersions) string {
	var out []string
	for _, version := range v.Kept {
		text := strings.TrimSuffix(strings.TrimPrefix(string(version.Document.Raw), `{"Id":"`), `"}`)
		star := map[bool]string{true: "*"}[version.VersionID == v.Default]
		out = append(out, version.VersionID+star+"="+text)
	}
	return fmt.Sprint(strings.Join(out, " "), " ", v.last)
}

func TestTheVersionInForceIsTheOneThatSpecIs(t *testing.T) {
	for name, c := range map[string]struct {
		policy *v1alpha1.IAMPolicy
		want   string
	}{
		"a new policy":                    {versioned("a", "", "", 0), "v1*=a 1"},
		"nothing changed":                 {versioned("b", "v1=a v2=b", "v2", 2), "v1=a v2*=b 2"},
		"spec is new":                     {versioned("c", "v1=a v2=b", "v2", 2), "v1=a v2=b v3*=c 3"},
		"spec is new, a number was taken": {versioned("c", "v1=a v2=b", "v2", 7), "v1=a v2=b v8*=c 8"},
		"spec is an older one again":      {versioned("a", "v1=a v2=b", "v2", 2), "v1*=a v2=b 2"},
		"twins, the default is one":       {versioned("a", "v1=a v2=a", "v1", 2), "v1*=a v2=a 2"},
		"twins, the default is neither":   {versioned("a", "v1=a v2=a v3=b", "v3", 3), "v1=a v2*=a v3=b 3"},
		"the default is no version":       {versioned("a", "v1=a", "v9", 9), "v1*=a 9"},
		"a crash before spec was written": {versioned("a", "v1=a v2=b", "v2", 2), "v1*=a v2=b 2"},
		"five and a new one":              {versioned("f", "v1=a v2=b v3=c v4=d v5=e", "v1", 5), "v2=b v3=c v4=d v5=e v6*=f 6"},
		"status without versions":         {versioned("a", "", "v4", 4), "v5*=a 5"},
	} {
		before := c.policy.DeepCopy()
		if got := shown(VersionsOf(c.policy, time.Unix(2000, 0))); got != c.want {
			t.Errorf("%s: %s, not %s", name, got, c.want)
		}
		if fmt.Sprint(before) != fmt.Sprint(c.policy) {
			t.Errorf("%s: the policy itself was changed", name)
		}
	}
}

func TestAPolicyWithoutAStatusHasTheNumberOfItsChanges(t *testing.T) {
	p := versioned("a", "", "", 0)
	p.Generation = 7
	v := VersionsOf(p, time.Unix(2000, 0))
	if shown(v) != "v7*=a 7" || !v.Kept[0].CreatedTime.Equal(&p.CreationTimestamp) {
		t.Errorf("%s, made at %s", shown(v), v.Kept[0].CreatedTime)
	}
}

func TestANewVersionIsMadeNowToTheSecond(t *testing.T) {
	v := VersionsOf(versioned("b", "v1=a", "v1", 1), time.Unix(2000, 999))
	if got := v.Kept[1].CreatedTime; !got.Equal(new(metav1.Unix(2000, 0))) {
		t.Errorf("%s", got)
	}
}

func TestDocumentsAreComparedAsJSON(t *testing.T) {
	raw := func(text string) (d v1alpha1.PolicyDocument) { d.Raw = []byte(text); return d }
	for text, same := range map[string]bool{
		`{"a":1,"b":[1,2]}`: true, ` { "b" : [1, 2], "a" : 1 } `: true, `{"a":1,"b":[2,1]}`: false, `{"a":1}`: false, `{`: false, ``: false,
	} {
		a, b := raw(`{"a":1,"b":[1,2]}`), raw(text)
		if sameDocument(&a, &b) != same || sameDocument(&b, &a) != same {
			t.Errorf("%s: the same is not %t", text, same)
		}
	}
}

// Whatever is done, the default is kept and is spec's document, ids do not come twice, there are five at most, and to look again changes
// nothing.
func TestVersionsHoldTheirLawsThroughAnyLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := versioned("a", "", "", 0)
		given := map[string]string{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			p.Generation++
			p.Spec.Document = doc(rapid.StringMatching("[a-h]").Draw(t, "document"))
			v := VersionsOf(p, time.Unix(2000, 0))
			if rapid.Bool().Draw(t, "by API") && len(v.Kept) < MaximumPolicyVersions {
				v.add(doc(rapid.StringMatching("[a-h]").Draw(t, "version")), time.Unix(3000, 0))
			}
			v.record(p)
			again := VersionsOf(p, time.Unix(4000, 0))
			current := again.Find(again.Default)
			if shown(again) != shown(v) || current == nil || !sameDocument(&current.Document, &p.Spec.Document) || len(v.Kept) > MaximumPolicyVersions {
				t.Fatalf("%s, then %s", shown(v), shown(again))
			}
			for _, version := range v.Kept {
				if was, ok := given[version.VersionID]; ok && was != string(version.Document.Raw) {
					t.Fatalf("%s was %s and is %s", version.VersionID, was, version.Document.Raw)
				}
				given[version.VersionID] = string(version.Document.Raw)
			}
			if !slices.IsSortedFunc(v.Kept, func(a, b v1alpha1.PolicyVersion) int { return len(a.VersionID) - len(b.VersionID) }) {
				t.Fatalf("%s", shown(v))
			}
		}
	})
}
