package parameterstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// claimant is a Parameter that claims a name, made so many minutes after others.
func claimant(object, name string, minutes int) v1alpha1.Parameter {
	p := v1alpha1.Parameter{}
	p.Name, p.Spec.Name = object, name
	p.CreationTimestamp = metav1.NewTime(time.Date(2026, 11, 30, 3, minutes, 0, 0, time.UTC))
	return p
}

func TestOfThoseThatATreeReachesTheEldestHasTheNameAndAllAreInTheOrderOfTheirNames(t *testing.T) {
	all := []v1alpha1.Parameter{
		claimant("late", "/a/x", 9), claimant("early", "/a/x", 1), claimant("before", "/a/c", 5), claimant("deep", "/a/b/c", 1), claimant("beside", "/ab", 1),
		claimant("path", "/a", 1), claimant("younger", "top", 7), claimant("elder", "/top", 2), claimant("going", "/a/going", 1), claimant("abroad", "/a/abroad", 1),
	}
	all[8].DeletionTimestamp = ptr.To(metav1.NewTime(time.Date(2026, 11, 30, 4, 0, 0, 0, time.UTC)))
	all[9].Spec.Region = "eu-west-1"
	for name, tt := range map[string]struct {
		tree Tree
		want []string
	}{
		"the next level":         {Tree{path: "/a"}, []string{"before", "early"}},
		"all levels":             {Tree{path: "/a", recursive: true}, []string{"deep", "before", "early"}},
		"the top":                {Tree{path: "/"}, []string{"path", "beside", "elder"}},
		"all":                    {Tree{path: "/", recursive: true}, []string{"path", "deep", "before", "early", "beside", "elder"}},
		"a path without anybody": {Tree{path: "/none", recursive: true}, nil},
	} {
		var got []string
		for _, p := range (&Service{Region: "us-east-1"}).eldest(all, "us-east-1", &tt.tree) {
			got = append(got, p.Name)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// A pass over a tree of a few in a namespace of thousands, which whoever changes a parameter has made each second for each tree.
func BenchmarkEldestOfAFewAmongThousands(b *testing.B) {
	var all []v1alpha1.Parameter
	for n := range 4_000 {
		all = append(all, claimant(fmt.Sprint("p", n), fmt.Sprintf("/many/%04d", n*7%4_000), 0))
	}
	few, service := &Tree{path: "/few"}, &Service{Region: "us-east-1"}
	for b.Loop() {
		service.eldest(all, "us-east-1", few)
	}
}
