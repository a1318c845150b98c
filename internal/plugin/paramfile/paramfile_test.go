package paramfile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/plugin/paramfile"
)

type entry = paramfile.Entry

func TestAFilesParametersAreReadAsTheyAreWritten(t *testing.T) {
	for name, tt := range map[string]struct {
		format paramfile.Format
		text   string
		want   []entry
	}{
		"no line":                    {paramfile.Env, "", nil},
		"lines":                      {paramfile.Env, "A=1\nB=two words\n", []entry{{Name: "A", Value: "1"}, {Name: "B", Value: "two words"}}},
		"no line break at the end":   {paramfile.Env, "A=1", []entry{{Name: "A", Value: "1"}}},
		"comments and empty lines":   {paramfile.Env, "# c\n\n  # d\nA=1 # e\nB=1#f\n", []entry{{Name: "A", Value: "1"}, {Name: "B", Value: "1#f"}}},
		"export":                     {paramfile.Env, "export A=1\nexported=2", []entry{{Name: "A", Value: "1"}, {Name: "exported", Value: "2"}}},
		"spaces around it":           {paramfile.Env, "  A = 1  \n", []entry{{Name: "A", Value: "1"}}},
		"a value with equals":        {paramfile.Env, "A=b=c", []entry{{Name: "A", Value: "b=c"}}},
		"single quotation marks":     {paramfile.Env, `A=' $x \n # "' # c`, []entry{{Name: "A", Value: ` $x \n # "`}}},
		"double quotation marks":     {paramfile.Env, `A="a\n\"b\" \$c \\ \x \t"`, []entry{{Name: "A", Value: "a\n\"b\" $c \\ \\x \t"}}},
		"a value of several lines":   {paramfile.Env, "A='a\nb'\nB=\"c\nd\"\nC=1", []entry{{Name: "A", Value: "a\nb"}, {Name: "B", Value: "c\nd"}, {Name: "C", Value: "1"}}},
		"a reference stands for it":  {paramfile.Env, "A=$HOME/x\nB=\"${A}\"", []entry{{Name: "A", Value: "$HOME/x"}, {Name: "B", Value: "${A}"}}},
		"line breaks of Windows":     {paramfile.Env, "\ufeffA=1\r\nB=2\r\n", []entry{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}}},
		"names with dots":            {paramfile.Env, "a.b-c=1", []entry{{Name: "a.b-c", Value: "1"}}},
		"an object":                  {paramfile.JSON, `{"a":"x","b":{"c":{"d":"y"}}}`, []entry{{Name: "a", Value: "x"}, {Name: "b/c/d", Value: "y"}}},
		"numbers and truth values":   {paramfile.JSON, `{"a":1.50,"b":true,"c":12345678901234567890}`, []entry{{Name: "a", Value: "1.50"}, {Name: "b", Value: "true"}, {Name: "c", Value: "12345678901234567890"}}},
		"a list":                     {paramfile.JSON, `{"a":["x",1,false]}`, []entry{{Name: "a", Value: "x,1,false", List: true}}},
		"escapes":                    {paramfile.JSON, `{"a":"\ud83d\ude00\/\n"}`, []entry{{Name: "a", Value: "😀/\n"}}},
		"no member":                  {paramfile.JSON, `{}`, nil},
		"a path in a name":           {paramfile.JSON, `{"a/b":"x"}`, []entry{{Name: "a/b", Value: "x"}}},
		"YAML":                       {paramfile.YAML, "a: x\nb:\n  c: y\n  d: [1, two]\n", []entry{{Name: "a", Value: "x"}, {Name: "b/c", Value: "y"}, {Name: "b/d", Value: "1,two", List: true}}},
		"scalars as they are":        {paramfile.YAML, "a: 0640\nb: 1e3\nc: yes\nd: 2026-11-24\ne: '1'\n", []entry{{Name: "a", Value: "0640"}, {Name: "b", Value: "1e3"}, {Name: "c", Value: "yes"}, {Name: "d", Value: "2026-11-24"}, {Name: "e", Value: "1"}}},
		"a block":                    {paramfile.YAML, "a: |\n  x\n  y\n", []entry{{Name: "a", Value: "x\ny\n"}}},
		"keys that are no text":      {paramfile.YAML, "1: x\ntrue: y\n", []entry{{Name: "1", Value: "x"}, {Name: "true", Value: "y"}}},
		"an object of a kind":        {paramfile.YAML, "kind: ConfigMap\nname: x\n", []entry{{Name: "kind", Value: "ConfigMap"}, {Name: "name", Value: "x"}}},
		"a ConfigMap":                {paramfile.YAML, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {b: '2', a: '1'}\n", []entry{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}},
		"a Secret":                   {paramfile.YAML, "apiVersion: v1\nkind: Secret\ndata: {a: eA==, b: eQ==}\nstringData: {b: z}\n", []entry{{Name: "a", Value: "x", Secret: true}, {Name: "b", Value: "z", Secret: true}}},
		"a Secret as JSON":           {paramfile.JSON, `{"apiVersion":"v1","kind":"Secret","data":{"a":"eA=="}}`, []entry{{Name: "a", Value: "x", Secret: true}}},
		"manifests":                  {paramfile.YAML, "apiVersion: v1\nkind: ConfigMap\ndata: {a: '1'}\n---\napiVersion: v1\nkind: Secret\nstringData: {b: x}\n", []entry{{Name: "a", Value: "1"}, {Name: "b", Value: "x", Secret: true}}},
		"a list of manifests":        {paramfile.YAML, "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, data: {a: '1'}}\n- {apiVersion: v1, kind: Secret, stringData: {b: x}}\n", []entry{{Name: "a", Value: "1"}, {Name: "b", Value: "x", Secret: true}}},
		"what kubectl prints beside": {paramfile.YAML, "apiVersion: v1\nkind: ConfigMap\nmetadata: {managedFields: [{manager: x}], labels: {a: b}}\ndata: {a: '1'}\nimmutable: true\n", []entry{{Name: "a", Value: "1"}}},
	} {
		got, err := paramfile.Parse(tt.format, []byte(tt.text))
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestWhatCannotBeImportedIsRefusedByPlaceAndNeverByValue(t *testing.T) {
	const canary = "canary"
	deep := strings.Repeat(`{"a":`, 20) + `"` + canary + `"` + strings.Repeat("}", 20)
	for name, tt := range map[string]struct {
		format paramfile.Format
		text   string
		says   string
	}{
		"no equals sign":             {paramfile.Env, "A=1\ncanary\n", "line 2"},
		"no key":                     {paramfile.Env, "=canary", "line 1"},
		"marks that do not end":      {paramfile.Env, "A='canary\n\n", "line 1: A"},
		"text behind marks":          {paramfile.Env, "B='x\ny'\nA='canary'canary", "line 3: A"},
		"a key with a space":         {paramfile.Env, "A B=canary", "entry 1: a name has"},
		"an empty value":             {paramfile.Env, "A=\nB=canary", "A: a parameter's value"},
		"a key twice":                {paramfile.Env, "A=1\nA=canary", "A: it is there twice"},
		"no JSON":                    {paramfile.JSON, `{"a":canary}`, "no JSON"},
		"JSON that goes on":          {paramfile.JSON, `{"a":"canary"}x`, "no JSON"},
		"JSON that ends":             {paramfile.JSON, `{"a":"canary"`, "no JSON"},
		"a member twice":             {paramfile.JSON, `{"a":"1","a":"canary"}`, "no JSON, or a member is there twice"},
		"null":                       {paramfile.JSON, `{"a":{"b":null,"c":"canary"}}`, "a/b: it has no value"},
		"a list of lists":            {paramfile.JSON, `{"a":[["canary"]]}`, "a: a list has texts"},
		"a list of null":             {paramfile.JSON, `{"a":[null,"canary"]}`, "a: a list has texts"},
		"a comma in a list":          {paramfile.JSON, `{"a":["x,canary"]}`, "a: an item of a list has no comma"},
		"an empty list":              {paramfile.JSON, `{"a":[]}`, "a: a parameter's value"},
		"a text":                     {paramfile.JSON, `"canary"`, "no object"},
		"a list at the top":          {paramfile.JSON, `["canary"]`, "no object"},
		"nothing":                    {paramfile.JSON, ``, "no JSON"},
		"the rest of a broken value": {paramfile.Env, "A=b\nc2Vj+canary==", "entry 2: a name has"},
		"an empty name":              {paramfile.JSON, `{"":"canary"}`, "entry 1: a name has"},
		"a name with a slash before": {paramfile.JSON, `{"b":"1","/a":"canary"}`, ": a name has"},
		"one name by two ways":       {paramfile.JSON, `{"a/b":"1","a":{"b":"canary"}}`, "a/b: it is there twice"},
		"deep objects":               {paramfile.JSON, deep, "15 levels"},
		"many levels in a name":      {paramfile.JSON, `{"` + strings.Repeat("a/", 15) + `a":"canary"}`, "15 levels"},
		"no YAML":                    {paramfile.YAML, "a: [canary", "no YAML"},
		"a YAML text":                {paramfile.YAML, "canary", "no object"},
		"an alias":                   {paramfile.YAML, "a: &x canary\nb: *x\n", "aliases"},
		"a merge":                    {paramfile.YAML, "a: &x {c: canary}\nb:\n  <<: *x\n", "aliases"},
		"a YAML null":                {paramfile.YAML, "b: canary\na:\n", "line 2: a: it has no value"},
		"a YAML key twice":           {paramfile.YAML, "a: 1\na: canary\n", "twice"},
		"a YAML list of objects":     {paramfile.YAML, "a:\n- b: canary\n", "line 2: a: a list has texts"},
		"a key that is an object":    {paramfile.YAML, "? {a: b}\n: canary\n", "line 1: a key is a text"},
		"deep YAML":                  {paramfile.YAML, deep, "15 levels"},
		"two documents":              {paramfile.YAML, "a: 1\n---\nb: canary\n", "document 2"},
		"binary data of a ConfigMap": {paramfile.YAML, "apiVersion: v1\nkind: ConfigMap\nbinaryData: {a: Y2FuYXJ5}\n", "a: it is no text"},
		"binary data of a Secret":    {paramfile.YAML, "apiVersion: v1\nkind: Secret\ndata: {a: /w==}\n", "a: it is no text"},
		"data that is no base64":     {paramfile.YAML, "apiVersion: v1\nkind: Secret\ndata: {a: 'canary!'}\n", "a: it is no text"},
		"data that is no text":       {paramfile.YAML, "apiVersion: v1\nkind: ConfigMap\ndata: {a: [canary]}\n", "manifest cannot be read"},
		"a list of others":           {paramfile.YAML, "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, canary: 1}]\n", "no object"},
		"an unknown format":          {"toml", "canary", "no such format"},
		"a file that is too long":    {paramfile.Env, "A=canary" + strings.Repeat("x", paramfile.MaximumSize), "bytes"},
		"too many lines":             {paramfile.Env, manyLines(), "10000"},
		"too many members":           {paramfile.JSON, manyMembers(), "10000"},
		"too many members of YAML":   {paramfile.YAML, manyMembers(), "10000"},
	} {
		got, err := paramfile.Parse(tt.format, []byte(tt.text))
		if err == nil {
			t.Errorf("%s is taken: %v", name, got)
			continue
		}
		if !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), canary) && !strings.Contains(tt.says, canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyLines() string {
	var out strings.Builder
	for i := range paramfile.MaximumEntries + 1 {
		fmt.Fprintf(&out, "A%d=1\n", i)
	}
	return out.String()
}

func manyMembers() string {
	members := make([]string, 0, paramfile.MaximumEntries+1)
	for i := range paramfile.MaximumEntries + 1 {
		members = append(members, fmt.Sprintf(`"a%d":"1"`, i))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func TestAFormatIsThatOfTheFilesName(t *testing.T) {
	for name, want := range map[string]paramfile.Format{
		"a.env": paramfile.Env, "/x/.env": paramfile.Env, ".env.prod": paramfile.Env, "a.json": paramfile.JSON, "a.yaml": paramfile.YAML, "b/c.yml": paramfile.YAML,
		"a": "", "a.txt": "", "-": "", "env": "",
	} {
		got, err := paramfile.FormatOf(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWhatIsWrittenIsReadAsTheSame(t *testing.T) {
	part := rapid.StringMatching(`[a-zA-Z0-9_.-]{1,8}`)
	value := rapid.OneOf(rapid.StringN(1, 40, -1), rapid.StringOfN(rapid.SampledFrom([]rune("'\"\\$`#\n\t =ab")), 1, 12, -1))
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(part, 1, 8, func(s string) string { return s }).Draw(t, "names")
		slices.Sort(names)
		var entries, nested []entry
		for i, name := range names {
			text := strings.ReplaceAll(value.Draw(t, "value"), "\r", "r")
			entries = append(entries, entry{Name: name, Value: text})
			if i%2 == 0 {
				name += "/" + part.Draw(t, "level")
			}
			nested = append(nested, entry{Name: name, Value: text})
		}
		got, err := paramfile.Parse(paramfile.Env, paramfile.WriteEnv(entries))
		if err != nil || !slices.Equal(got, entries) {
			t.Fatalf("env: %v, %v", got, err)
		}
		for _, format := range []paramfile.Format{paramfile.JSON, paramfile.YAML} {
			text, err := paramfile.WriteNested(format, nested)
			if err != nil {
				t.Fatal(err)
			}
			got, err := paramfile.Parse(format, text)
			slices.SortFunc(got, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
			want := slices.Clone(nested)
			slices.SortFunc(want, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s: %v, want %v, %v", format, got, want, err)
			}
		}
	})
}

func TestAListIsWrittenAsOneAndReadAsOne(t *testing.T) {
	entries := []entry{{Name: "a/b", Value: "x,,y", List: true}, {Name: "a/c", Value: "z", List: true}}
	for _, format := range []paramfile.Format{paramfile.JSON, paramfile.YAML} {
		text, err := paramfile.WriteNested(format, entries)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := paramfile.Parse(format, text); err != nil || !slices.Equal(got, entries) {
			t.Errorf("%s: %v, %v", format, got, err)
		}
	}
}

func TestANameThatIsALevelTooHasNoPlaceInAnObject(t *testing.T) {
	for _, names := range [][]string{{"a", "a/b"}, {"a/b", "a"}, {"a/b", "a/b/c"}, {"a", "a"}} {
		var entries []entry
		for _, name := range names {
			entries = append(entries, entry{Name: name, Value: "canary"})
		}
		if text, err := paramfile.WriteNested(paramfile.JSON, entries); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v: %s, %v", names, text, err)
		}
	}
}

func TestAManifestHasTheKeysAndIsReadAgain(t *testing.T) {
	for kind, secret := range map[string]bool{"ConfigMap": false, "Secret": true} {
		entries := []entry{{Name: "A", Value: "yes", Secret: secret}, {Name: "b.c", Value: "line\nline\n", Secret: secret}}
		text, err := paramfile.WriteManifest(kind, "shop", entries)
		if err != nil || !strings.Contains(string(text), "name: shop") {
			t.Fatal(string(text), err)
		}
		if got, err := paramfile.Parse(paramfile.YAML, text); err != nil || !slices.Equal(got, entries) {
			t.Errorf("%s: %v, %v", kind, got, err)
		}
		if _, err := paramfile.WriteManifest(kind, "shop", append(entries, entries[0])); err == nil {
			t.Errorf("%s: a key is there twice", kind)
		}
	}
}

func FuzzNoFileIsTooOddToRead(f *testing.F) {
	for _, seed := range []string{
		"A=1\nB='x\ny'", `{"a":{"b":[1,"x"]}}`, "a: &x [*x]", "apiVersion: v1\nkind: List\nitems: [{}]", "? [a]\n: b", "A=\"\\", "---\n---\n", "{\"a\":\"\\ud800\"}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range []paramfile.Format{paramfile.Env, paramfile.JSON, paramfile.YAML} {
			entries, err := paramfile.Parse(format, []byte(text))
			if err != nil {
				continue
			}
			for _, e := range entries {
				if e.Name == "" || e.Value == "" || strings.HasPrefix(e.Name, "/") || strings.Count(e.Name, "/") > 14 {
					t.Errorf("%s: %+v", format, e)
				}
			}
		}
	})
}
