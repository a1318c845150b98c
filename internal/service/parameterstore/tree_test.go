package parameterstore_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

func TestANameIsUnderThePathsAboveItAlone(t *testing.T) {
	for _, tt := range []struct {
		path, name          string
		oneLevel, recursive bool
		rest                string
	}{
		{"/", "x", true, true, "x"},
		{"", "/x", true, true, "x"},
		{"/", "/a/b", false, true, "a/b"},
		{"/a", "/a/b", true, true, "b"},
		{"/a/", "/a/b", true, true, "b"},
		{"/a", "a", false, false, ""},
		{"/a", "/a", false, false, ""},
		{"/a", "/ab/c", false, false, ""},
		{"/a", "/b/a/c", false, false, ""},
		{"/a/b", "/a/b/c/d", false, true, "c/d"},
		{"/a/b", "/a/B/c", false, false, ""},
	} {
		rest, below := parameterstore.Below(tt.path, tt.name)
		if got := parameterstore.Under(tt.path, tt.name, false); got != tt.oneLevel {
			t.Errorf("%s under %s, one level: %t", tt.name, tt.path, got)
		}
		if got := parameterstore.Under(tt.path, tt.name, true); got != tt.recursive || below != tt.recursive {
			t.Errorf("%s under %s: %t, %t", tt.name, tt.path, got, below)
		}
		if below && rest != tt.rest {
			t.Errorf("%s below %s: %q", tt.name, tt.path, rest)
		}
	}
}

func TestThePathsOfANameAreThoseThatItIsUnder(t *testing.T) {
	for name, want := range map[string][]string{
		"x": {"/"}, "/x": {"/"}, "/a/b": {"/", "/a"}, "/a/b/c": {"/", "/a", "/a/b"},
		strings.Repeat("/a", 15): nil,
	} {
		got := parameterstore.Paths(name)
		if want != nil && !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
		for _, path := range got {
			if !parameterstore.Under(path, name, true) {
				t.Errorf("%s is not under %s", name, path)
			}
		}
		if want == nil && len(got) != 15 {
			t.Errorf("%s: %d paths", name, len(got))
		}
	}
}

func TestAPatternMatchesByLevels(t *testing.T) {
	for _, tt := range []struct {
		pattern        string
		matches, fails []string
	}{
		{"a", []string{"a"}, []string{"b", "aa", "a/a", "x/a", ""}},
		{"*", []string{"a", "a.b-c_d"}, []string{"a/b"}},
		{"db/*", []string{"db/host", "db/"}, []string{"db", "db/a/b", "xdb/a"}},
		{"**", []string{"a", "a/b", "a/b/c"}, nil},
		{"***", []string{"a/b"}, nil},
		{"**/password", []string{"password", "a/password", "a/b/password"}, []string{"xpassword", "a/xpassword", "a/passwords"}},
		{"a/**/b", []string{"a/b", "a/x/b", "a/x/y/b"}, []string{"ab", "a/xb", "x/a/b"}},
		{"a**/b", []string{"a/b", "ax/b", "a/x/b"}, []string{"b", "ab"}},
		{"a*c/**d", []string{"abc/x/d", "ac/d"}, []string{"a/c/d", "abc/x"}},
		{"a.b", []string{"a.b"}, []string{"axb"}},
		{"a+", nil, []string{"a", "aa"}},
	} {
		compiled, err := parameterstore.CompilePattern(tt.pattern)
		if tt.matches == nil && tt.pattern == "a+" {
			if err == nil {
				t.Errorf("%s is taken for a pattern", tt.pattern)
			}
			continue
		}
		if err != nil {
			t.Fatal(tt.pattern, err)
		}
		for _, name := range tt.matches {
			if !compiled.MatchString(name) {
				t.Errorf("%s does not match %s", tt.pattern, name)
			}
		}
		for _, name := range tt.fails {
			if compiled.MatchString(name) {
				t.Errorf("%s matches %s", tt.pattern, name)
			}
		}
	}
}

func FuzzAPatternIsRefusedOrMatchesItself(f *testing.F) {
	for _, seed := range []string{"a", "*", "**/x", "a.*b", "(", "\\", strings.Repeat("*", 300), "é", ""} {
		f.Add(seed)
	}
	allowed := regexp.MustCompile(`^[a-zA-Z0-9_.*/-]+$`)
	f.Fuzz(func(t *testing.T, pattern string) {
		compiled, err := parameterstore.CompilePattern(pattern)
		if ok := len(pattern) <= 256 && allowed.MatchString(pattern); ok != (err == nil) {
			t.Fatalf("%q: %v", pattern, err)
		}
		if err == nil && !compiled.MatchString(strings.ReplaceAll(pattern, "*", "x")) {
			t.Errorf("%q does not match itself", pattern)
		}
	})
}

func parameterOf(name string, kind v1alpha1.ParameterType, tags ...v1alpha1.Tag) *v1alpha1.Parameter {
	return &v1alpha1.Parameter{Spec: v1alpha1.ParameterSpec{Name: name, Type: kind, Tags: tags}}
}

func TestATreeHasWhatAllOfItsFilterLetsThrough(t *testing.T) {
	team := v1alpha1.Tag{Key: "team", Value: "shop"}
	host, password := parameterOf("/p/db/host", v1alpha1.ParameterString, team), parameterOf("/p/db/password", v1alpha1.ParameterSecureString)
	level := parameterOf("/p/level", v1alpha1.ParameterStringList, team, v1alpha1.Tag{Key: "stage", Value: "prod"})
	all := []*v1alpha1.Parameter{host, password, level, parameterOf("/q/x", v1alpha1.ParameterString), parameterOf("/p", v1alpha1.ParameterString)}
	for name, tt := range map[string]struct {
		spec v1alpha1.ParameterTreeSpec
		want []*v1alpha1.Parameter
	}{
		"one level":          {v1alpha1.ParameterTreeSpec{Path: "/p"}, []*v1alpha1.Parameter{level}},
		"all levels":         {v1alpha1.ParameterTreeSpec{Path: "/p", Recursive: true}, []*v1alpha1.Parameter{host, password, level}},
		"all of the account": {v1alpha1.ParameterTreeSpec{Path: "/", Recursive: true}, all},
		"types": {filtered(v1alpha1.ParameterTreeFilter{Types: []v1alpha1.ParameterType{v1alpha1.ParameterString, v1alpha1.ParameterStringList}}),
			[]*v1alpha1.Parameter{host, level}},
		"a tag of any value":     {filtered(v1alpha1.ParameterTreeFilter{Tags: []v1alpha1.ParameterTagFilter{{Key: "team"}}}), []*v1alpha1.Parameter{host, level}},
		"a tag of another value": {filtered(v1alpha1.ParameterTreeFilter{Tags: []v1alpha1.ParameterTagFilter{{Key: "team", Values: []string{"x"}}}}), nil},
		"two tags": {filtered(v1alpha1.ParameterTreeFilter{Tags: []v1alpha1.ParameterTagFilter{{Key: "team"}, {Key: "stage", Values: []string{"test", "prod"}}}}),
			[]*v1alpha1.Parameter{level}},
		"included names":              {filtered(v1alpha1.ParameterTreeFilter{Include: []v1alpha1.ParameterNamePattern{"db/*"}}), []*v1alpha1.Parameter{host, password}},
		"excluded names":              {filtered(v1alpha1.ParameterTreeFilter{Exclude: []v1alpha1.ParameterNamePattern{"**/password"}}), []*v1alpha1.Parameter{host, level}},
		"included and excluded names": {filtered(v1alpha1.ParameterTreeFilter{Include: []v1alpha1.ParameterNamePattern{"db/*"}, Exclude: []v1alpha1.ParameterNamePattern{"db/p*"}}), []*v1alpha1.Parameter{host}},
	} {
		tree, err := parameterstore.TreeOf(&tt.spec)
		if err != nil {
			t.Fatal(name, err)
		}
		got := slices.DeleteFunc(slices.Clone(all), func(p *v1alpha1.Parameter) bool { return !tree.Selects(p) })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %d parameters, want %d", name, len(got), len(tt.want))
		}
	}
}

func filtered(filter v1alpha1.ParameterTreeFilter) v1alpha1.ParameterTreeSpec {
	return v1alpha1.ParameterTreeSpec{Path: "/p", Recursive: true, Filter: &filter}
}

func TestAFilterThatTheSchemaRefusesIsRefusedHereToo(t *testing.T) {
	for name, patterns := range map[string][]v1alpha1.ParameterNamePattern{
		"no pattern": {"["}, "an empty one": {""}, "a long one": {v1alpha1.ParameterNamePattern(strings.Repeat("a", 257))},
		"many": slices.Repeat([]v1alpha1.ParameterNamePattern{"a"}, 33),
	} {
		for _, filter := range []v1alpha1.ParameterTreeFilter{{Include: patterns}, {Exclude: patterns}} {
			spec := filtered(filter)
			if _, err := parameterstore.TreeOf(&spec); err == nil {
				t.Errorf("%s is taken", name)
			}
		}
	}
}

var _ = Describe("The members of a tree", func() {
	valued := func(object, name string, changes ...func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
		GinkgoHelper()
		p := declare(object, name, append(changes, func(p *v1alpha1.Parameter) { p.Spec.Value = "one" })...)
		pass(p)
		return p
	}
	again := func(p *v1alpha1.Parameter) {
		GinkgoHelper()
		world.Update(p, func() { p.Spec.Value = "two" })
		pass(p)
	}
	members := func(spec v1alpha1.ParameterTreeSpec, region string) (names, versions, valueless []string) {
		GinkgoHelper()
		tree, err := parameterstore.TreeOf(&spec)
		Expect(err).NotTo(HaveOccurred())
		found, without, err := service.Members(ctx, world.Namespace, region, tree)
		Expect(err).NotTo(HaveOccurred())
		for _, m := range found {
			names, versions = append(names, m.Parameter.AWSName()), append(versions, m.Version.ID)
		}
		for _, p := range without {
			valueless = append(valueless, p.AWSName())
		}
		return names, versions, valueless
	}
	all := v1alpha1.ParameterTreeSpec{Path: "/p", Recursive: true}

	It("are in the order of their names, each with its latest version, and those without a value apart", func() {
		valued("c", "/p/c")
		valued("a", "/p/z/a")
		again(valued("b", "/p/b"))
		declare("d", "/p/d")
		names, versions, valueless := members(all, home)
		Expect(names).To(Equal([]string{"/p/b", "/p/c", "/p/z/a"}))
		Expect(versions).To(Equal([]string{"2", "1", "1"}))
		Expect(valueless).To(Equal([]string{"/p/d"}))
	})

	It("are not those that have expired", func() {
		valued("a", "/p/a")
		valued("b", "/p/b", func(p *v1alpha1.Parameter) {
			p.Spec.Tier = v1alpha1.TierAdvanced
			p.Spec.Policies = []v1alpha1.ParameterPolicy{{Type: "Expiration", Timestamp: world.Clock.Now().Add(time.Hour).UTC().Format(time.RFC3339)}}
		})
		names, _, _ := members(all, home)
		Expect(names).To(Equal([]string{"/p/a", "/p/b"}))
		world.Clock.Set(world.Clock.Now().Add(2 * time.Hour))
		names, _, valueless := members(all, home)
		Expect(names).To(Equal([]string{"/p/a"}))
		Expect(valueless).To(BeEmpty())
	})

	It("are of one region and namespace", func() {
		valued("a", "/p/a")
		valued("b", "/p/b", func(p *v1alpha1.Parameter) { p.Spec.Region = "eu-west-1" })
		names, _, _ := members(all, "eu-west-1")
		Expect(names).To(Equal([]string{"/p/b"}))
		names, _, _ = members(all, home)
		Expect(names).To(Equal([]string{"/p/a"}))
		tree, err := parameterstore.TreeOf(&all)
		Expect(err).NotTo(HaveOccurred())
		found, _, err := service.Members(ctx, world.NewNamespace(), home, tree)
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(BeEmpty())
	})

	It("have a name once: whoever only claims it is none, and has no say", func() {
		elder := valued("z", "/p/a")
		time.Sleep(1100 * time.Millisecond) // age is in seconds
		declare("a", "/p/a")
		names, _, valueless := members(all, home)
		Expect(names).To(Equal([]string{"/p/a"}))
		Expect(valueless).To(BeEmpty())
		world.Remove(elder)
		_, _, valueless = members(all, home)
		Expect(valueless).To(Equal([]string{"/p/a"}))
	})

	It("are, for a label, those that have it, in the version that has it", func() {
		labelled := valued("a", "/p/a")
		_, _, err := service.Label(ctx, labelled, 1, []string{"stable"})
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(labelled)
		world.Seen(labelled)
		again(labelled)
		valued("b", "/p/b")
		declare("c", "/p/c")
		names, versions, valueless := members(filtered(v1alpha1.ParameterTreeFilter{Label: "stable"}), home)
		Expect(names).To(Equal([]string{"/p/a"}))
		Expect(versions).To(Equal([]string{"1"}))
		Expect(valueless).To(BeEmpty())
	})
})
