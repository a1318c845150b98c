package table_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// committed are the tables that the program is built with.
func committed(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../tables/*.json")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d tables: %v", len(files), err)
	}
	out := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = data
	}
	return out
}

func TestTheCommittedTablesAreWhatTheirContentIsWrittenAs(t *testing.T) {
	for name, data := range committed(t) {
		read, err := table.Decode(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if read.Service != name {
			t.Errorf("%s is the table of %s", name, read.Service)
		}
		written, err := table.Encode(read)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written, data) {
			t.Errorf("%s is written in another way than it is committed", name)
		}
		if len(data) > table.MaximumSize/2 {
			t.Errorf("%s has %d bytes: the limit of %d is near", name, len(data), table.MaximumSize)
		}
	}
}

// small is a table with one of each.
func small(change func(*table.Table)) *table.Table {
	t := &table.Table{
		Header:     table.Header{Format: table.Format, Service: "shop", Protocol: "json"},
		Operations: map[string]table.Operation{"Sell": {Input: "Sale", Output: "Sale", Errors: []string{"SoldOut"}}, "Close": {}},
		Errors:     map[string]table.Error{"SoldOut": {Code: "SoldOut", Status: 400}},
		Shapes: map[string]table.Shape{
			"Sale": {Type: table.Structure, Members: []table.Member{{Name: "Items", Shape: "Items"}, {Name: "Notes", Shape: "Notes"}}},
			"Text": {Type: table.String, Pattern: "[a-z]*", Expressions: []string{"[a-z]*"}}, "Items": {Type: table.List, Element: &table.Member{Shape: "Text"}},
			"Notes": {Type: table.Map, Key: &table.Member{Shape: "Text"}, Value: &table.Member{Shape: "Text"}},
		},
	}
	if change != nil {
		change(t)
	}
	return t
}

func shape(name string, change func(*table.Shape)) func(*table.Table) {
	return func(t *table.Table) {
		s := t.Shapes[name]
		change(&s)
		t.Shapes[name] = s
	}
}

func TestATableWhoseNamesLeadNowhereIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*table.Table)
		want   string // empty: it is taken
	}{
		"nothing is wrong":                 {nil, ""},
		"an input that is missing":         {func(t *table.Table) { t.Operations["Sell"] = table.Operation{Input: "Gone"} }, "operation Sell: Gone is not a structure"},
		"an output that is a list":         {func(t *table.Table) { t.Operations["Sell"] = table.Operation{Output: "Items"} }, "operation Sell: Items is not a structure"},
		"an error that is missing":         {func(t *table.Table) { t.Operations["Sell"] = table.Operation{Errors: []string{"Gone"}} }, "operation Sell: error Gone is missing"},
		"a type that nobody knows":         {shape("Text", func(s *table.Shape) { s.Type = "text" }), `shape Text: type "text" is not known`},
		"a type that is not said":          {shape("Text", func(s *table.Shape) { s.Type = "" }), `shape Text: type "" is not known`},
		"a list of nothing":                {shape("Items", func(s *table.Shape) { s.Element = nil }), "shape Items: what it holds is missing"},
		"a list of what is missing":        {shape("Items", func(s *table.Shape) { s.Element = &table.Member{Shape: "Gone"} }), `shape Items: shape Gone of member "" is missing`},
		"a map without keys":               {shape("Notes", func(s *table.Shape) { s.Key = nil }), "shape Notes: what it holds is missing"},
		"a map without values":             {shape("Notes", func(s *table.Shape) { s.Value = nil }), "shape Notes: what it holds is missing"},
		"a member of what is missing":      {shape("Sale", func(s *table.Shape) { s.Members[1].Shape = "Gone" }), `shape Sale: shape Gone of member "Notes" is missing`},
		"a member without a name":          {shape("Sale", func(s *table.Shape) { s.Members[1].Name = "" }), "shape Sale: member 1 has no name"},
		"a pattern without an expression":  {shape("Text", func(s *table.Shape) { s.Expressions = nil }), "shape Text: a pattern and its expressions come together"},
		"an expression without a pattern":  {shape("Text", func(s *table.Shape) { s.Pattern = "" }), "shape Text: a pattern and its expressions come together"},
		"a format of another day":          {func(t *table.Table) { t.Format = table.Format + 1 }, "format 2 of the table of limits; this program reads 1"},
		"a format that is not said at all": {func(t *table.Table) { t.Format = 0 }, "format 0 of the table of limits"},
	} {
		data, err := table.Encode(small(tt.change))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = table.Decode(data)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestATableIsReadStrictly(t *testing.T) {
	good, err := table.Encode(small(nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"a member that nobody knows": strings.Replace(string(good), `"format":1`, `"format":1,"more":1`, 1),
		"a member twice":             strings.Replace(string(good), `"format":1`, `"format":1,"format":1`, 1),
		"another type":               strings.Replace(string(good), `"format":1`, `"format":"1"`, 1),
		"half of it":                 string(good[:len(good)/2]),
		"more behind it":             string(good) + "{}",
		"nothing":                    "",
		"one byte too many":          string(good) + strings.Repeat(" ", table.MaximumSize-len(good)+1),
	} {
		if _, err := table.Decode([]byte(data)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := table.Decode([]byte(string(good) + strings.Repeat(" ", table.MaximumSize-len(good)))); err != nil {
		t.Errorf("of the largest size: %v", err)
	}
}

func TestATableThatIsTooLargeIsNotWritten(t *testing.T) {
	large := small(shape("Text", func(s *table.Shape) { s.Enum = []string{strings.Repeat("x", table.MaximumSize)} }))
	if _, err := table.Encode(large); err == nil || !strings.Contains(err.Error(), "the table of shop has") {
		t.Errorf("%v", err)
	}
}

func TestOneLineIsOneFact(t *testing.T) {
	data, err := table.Encode(small(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`"Sell":{`, `"Close":{}`, `"SoldOut":{`, `"Items":{`, `"Notes":{`, `"Sale":{`, `"Text":{`} {
		found := 0
		for l := range strings.Lines(string(data)) {
			if strings.HasPrefix(l, line) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d lines begin with %s", found, line)
		}
	}
	again, err := table.Encode(small(nil))
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("the same table is written in two ways: %v", err)
	}
}

// FuzzDecode: whatever comes, nothing panics, and what is taken is written and read the same.
func FuzzDecode(f *testing.F) {
	good, _ := table.Encode(small(nil))
	f.Add(good)
	f.Add([]byte(`{"format":1,"operations":{"A":{"input":"B"}},"shapes":{"B":{"type":"structure"}},"errors":{}}`))
	f.Add([]byte(`{"format":1,"shapes":{"B":{"type":"list"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := table.Decode(data)
		if err != nil {
			return
		}
		written, err := table.Encode(read)
		if err != nil {
			return // of invalid text, or too large
		}
		again, err := table.Decode(written)
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if once, err := table.Encode(again); err != nil || !bytes.Equal(once, written) {
			t.Fatalf("%s\nbecame\n%s: %v", written, once, err)
		}
	})
}
