package hsmnodes

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestALibraryIsForStrongroomsOwnNamespaceUnlessItIsBoundToAnother(t *testing.T) {
	got, err := ParseLibraries([]string{"/opt/a.so", "/opt/a.so=payments@bank", "/opt/a.so=*@shop", "/opt/b-1.2+x.so=t._-9@*", "/opt/a.so"}, "own")
	want := []Library{{"/opt/a.so", "*", "own"}, {"/opt/a.so", "payments", "bank"}, {"/opt/a.so", "*", "shop"}, {"/opt/b-1.2+x.so", "t._-9", "*"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := ParseLibraries(DefaultLibraries, "own"); err != nil || slices.ContainsFunc(got, func(l Library) bool { return l.Namespace != "own" }) {
		t.Errorf("the default ones: %v, %v", got, err)
	}
}

func TestABindingThatIsNotWholeIsRefused(t *testing.T) {
	for _, entry := range []string{
		"", "a.so", "/", "/opt/../a.so", "/opt//a.so", "/opt/a.so/", "/opt/a.so=", "/opt/a.so=payments", "/opt/a.so=payments@", "/opt/a.so=@bank", "/opt/a.so=@", "/opt/a.so@bank",
		"/opt/*.so", "/opt/a.so=pay*@bank", "/opt/a.so=payments@bank@shop", "/opt/a.so=payments@Bank", "/opt/a.so=payments@bank/x", "/opt/a.so=payments@-bank", "/opt/a.so=a b@bank",
		"/opt/a.so=" + strings.Repeat("x", 33) + "@bank", "/opt/a.so=x@" + strings.Repeat("n", 64), "/opt/a.so=a=b@bank", "a.so=x@bank",
	} {
		if got, err := ParseLibraries([]string{"/opt/good.so", entry}, "own"); !errors.Is(err, errLibrarySyntax) || !strings.Contains(err.Error(), entry) {
			t.Errorf("%q: %v, %v", entry, got, err)
		}
	}
}

func FuzzABindingLetsNobodyInWhomItDoesNotName(f *testing.F) {
	for _, entry := range []string{"/a.so", "/a.so=x@bank", "/a.so=*@*", "/a.so=x@", "=@", "/a.so=x@bank,/a.so=y@shop"} {
		f.Add(entry)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		libraries, err := ParseLibraries([]string{entry}, "own")
		if err != nil {
			return
		}
		err = checkLibrary(Cluster{Owner: "stranger/c", Library: libraries[0].Path, TokenLabel: "x"}, libraries)
		if err == nil && !strings.HasSuffix(entry, "@*") && !strings.HasSuffix(entry, "@stranger") {
			t.Errorf("%q lets a stranger in", entry)
		}
	})
}

func TestATenantNamesTheTokensThatAreBoundToItsNamespaceAndLearnsOfNoOther(t *testing.T) {
	libraries, err := ParseLibraries([]string{"/opt/a.so", "/opt/a.so=payments@bank", "/opt/a.so=hidden@victim", "/opt/hidden.so=*@victim", "/opt/b.so=*@bank", "/opt/c.so=open@*"}, "own")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		owner, library, label string
		allowed               bool
		says                  string
	}{
		"its own":                              {"bank/c", "/opt/a.so", "payments", true, ""},
		"any token of a library of its own":    {"bank/c", "/opt/b.so", "whatever", true, ""},
		"a token that is for all":              {"stranger/c", "/opt/c.so", "open", true, ""},
		"any token, from Strongroom's own":     {"own/c", "/opt/a.so", "hidden", true, ""},
		"another's token":                      {"bank/c", "/opt/a.so", "hidden", false, "/opt/a.so with tokenLabel payments, /opt/b.so, /opt/c.so with tokenLabel open: name one"},
		"another's library":                    {"bank/c", "/opt/hidden.so", "x", false, "/opt/hidden.so=x@bank"},
		"its own label of another's library":   {"bank/c", "/opt/hidden.so", "payments", false, ""},
		"a label in other letters":             {"bank/c", "/opt/a.so", "Payments", false, ""},
		"a label that begins like its own":     {"bank/c", "/opt/a.so", "payments2", false, ""},
		"a namespace that begins like another": {"bank2/c", "/opt/a.so", "payments", false, ""},
		"a cluster that is named like one":     {"stranger/bank", "/opt/a.so", "payments", false, ""},
		"a star of its own":                    {"stranger/c", "/opt/a.so", "*", false, ""},
		"an owner that nobody named":           {"", "/opt/a.so", "payments", false, ""},
	} {
		err := checkLibrary(Cluster{Owner: tt.owner, Library: tt.library, TokenLabel: tt.label}, libraries)
		if (err == nil) != tt.allowed || err != nil && (!errors.Is(err, ErrLibraryNotAllowed) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && tt.label != "hidden" && tt.library != "/opt/hidden.so" && strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: it tells of another's: %v", name, err)
		}
	}
	if err := checkLibrary(Cluster{Owner: "stranger/c", SoftHSM: true}, nil); err != nil {
		t.Errorf("softHSM needs no entry: %v", err)
	}
}

func TestPathsThatLeadToOneModuleAreOneLibraryAndTheFirstOfThemStandsForIt(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(in("a.so"), []byte("a"), 0o600), os.WriteFile(in("other.so"), []byte("a"), 0o600), os.Symlink("a.so", in("link.so")), os.Symlink("link.so", in("far.so")), os.Link(in("a.so"), in("hard.so"))); err != nil {
		t.Fatal(err)
	}
	list := func(paths ...string) (out []Library) {
		for _, p := range paths {
			out = append(out, Library{Path: p, TokenLabel: anyone, Namespace: anyone})
		}
		return out
	}
	local := &Local{Libraries: list(in("gone.so"), in("link.so"), in("a.so"), in("far.so"), in("hard.so"), in("other.so"))}
	pods := &Kubernetes{Libraries: list(append([]string{in("link.so"), in("a.so")}, DefaultLibraries...)...)}
	for name, tt := range map[string]struct {
		host         interface{ Module(library string) string }
		library, one string
	}{
		"the first":                               {local, in("link.so"), in("link.so")},
		"what it links to":                        {local, in("a.so"), in("link.so")},
		"a link to a link":                        {local, in("far.so"), in("link.so")},
		"another name of the file":                {local, in("hard.so"), in("link.so")},
		"another file of the same content":        {local, in("other.so"), in("other.so")},
		"one that is not there":                   {local, in("gone.so"), in("gone.so")},
		"one that is neither there nor in it":     {local, in("never.so"), in("never.so")},
		"SoftHSM by another path, in an image":    {pods, DefaultLibraries[1], softHSMLibrary},
		"SoftHSM, in an image":                    {pods, softHSMLibrary, softHSMLibrary},
		"another library's link, in an image":     {pods, in("a.so"), in("a.so")},
		"none, as a cluster of SoftHSM names one": {local, "", ""},
	} {
		if got := tt.host.Module(tt.library); got != tt.one {
			t.Errorf("%s: %s", name, got)
		}
	}
}
