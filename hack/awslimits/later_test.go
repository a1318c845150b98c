package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/gateway/limits/table"
)

// old is a model of before.
const old = `{
"metadata": {"apiVersion": "2014-11-01", "protocol": "json", "jsonVersion": "1.1", "targetPrefix": "T", "endpointPrefix": "kms", "serviceId": "KMS"},
"operations": {"Put": {"input": {"shape": "PutRequest"}, "errors": ["Gone"]}},
"shapes": {
	"PutRequest": {"type": "structure", "required": ["Name"], "members": {"Name": {"shape": "Name"}, "Colour": {"shape": "Colour"}}},
	"Name": {"type": "string", "min": 1, "max": 8},
	"Colour": {"type": "string", "enum": ["RED", "GREEN"]},
	"Names": {"type": "list", "member": {"shape": "Name"}},
	"Gone": {"type": "structure", "members": {"message": {"shape": "Name"}}, "exception": true, "error": {"code": "Gone", "httpStatusCode": 400}}
}}`

func withLater(t *testing.T, operations, shapes string) (*model, string, error) {
	t.Helper()
	m, err := parse([]byte(old))
	if err != nil {
		t.Fatal(err)
	}
	source, err := m.add(fmt.Appendf(nil, `{"source": "the SDK", "operations": {%s}, "shapes": {%s}}`, operations, shapes))
	return m, source, err
}

func TestWhatIsNewIsAddedAtTheEndOfWhatTheModelHas(t *testing.T) {
	m, source, err := withLater(t, `"Get": {"input": {"shape": "GetRequest"}, "errors": ["Gone"]}`, `
		"GetRequest": {"type": "structure", "required": ["Shape"], "members": {"Shape": {"shape": "Shape"}}},
		"Shape": {"type": "string", "enum": ["ROUND"]},
		"Colour": {"type": "string", "enum": ["BLUE", "AMBER"]},
		"PutRequest": {"type": "structure", "members": {"Shape": {"shape": "Shape"}, "Again": {"shape": "Name"}}}`)
	if err != nil || source != "the SDK" {
		t.Fatal(source, err)
	}
	made, err := m.table("kms")
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(made.Operations)); !slices.Equal(got, []string{"Get", "Put"}) {
		t.Errorf("operations %v", got)
	}
	if got := made.Shapes["Colour"].Enum; !slices.Equal(got, []string{"RED", "GREEN", "BLUE", "AMBER"}) {
		t.Errorf("values %v", got)
	}
	var names []string
	for _, member := range made.Shapes["PutRequest"].Members {
		names = append(names, fmt.Sprint(member.Name, " ", member.Required))
	}
	if !slices.Equal(names, []string{"Name true", "Colour false", "Shape false", "Again false"}) {
		t.Errorf("members %v", names)
	}
	if got := made.Shapes["GetRequest"].Members; len(got) != 1 || !got[0].Required {
		t.Errorf("members of what is new: %v", got)
	}
}

func TestWhatIsNotNewIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ operations, shapes, says string }{
		"an operation of the model":         {`"Put": {"input": {"shape": "PutRequest"}}`, ``, "operation Put: the model has it: take it out"},
		"a value of the model":              {``, `"Colour": {"type": "string", "enum": ["BLUE", "RED"]}`, "shape Colour: the model has the value RED"},
		"a value twice":                     {``, `"Colour": {"type": "string", "enum": ["BLUE", "BLUE"]}`, "shape Colour: the model has the value BLUE"},
		"a member of the model":             {``, `"PutRequest": {"type": "structure", "members": {"Name": {"shape": "Name"}}}`, "shape PutRequest: the model has the member Name"},
		"a member that is required":         {``, `"PutRequest": {"type": "structure", "required": ["A"], "members": {"A": {"shape": "Name"}}}`, "members that are not required"},
		"another limit":                     {``, `"Name": {"type": "string", "max": 9}`, "nothing can be added to it but values"},
		"a limit beside a value":            {``, `"Colour": {"type": "string", "max": 9, "enum": ["BLUE"]}`, "nothing can be added to it but values"},
		"a value of no enumeration":         {``, `"Name": {"type": "string", "enum": ["A"]}`, "it is no enumeration in the model"},
		"a member of no structure":          {``, `"Names": {"type": "list", "members": {"A": {"shape": "Name"}}}`, "it is no structure in the model"},
		"a list of something else":          {``, `"Names": {"type": "list", "member": {"shape": "Colour"}}`, "nothing can be added to it but values"},
		"another type":                      {``, `"Colour": {"type": "structure", "members": {"A": {"shape": "Name"}}}`, "it is a string in the model, and not a structure"},
		"nothing at all":                    {``, `"Name": {"type": "string"}`, "nothing is added to it: take it out"},
		"what is not known of shape":        {``, `"New": {"type": "string", "longest": 9}`, "New"},
		"what is not known of an operation": {`"Get": {"speed": 1}`, ``, "Get"},
	} {
		if _, _, err := withLater(t, c.operations, c.shapes); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, file := range map[string]string{
		"no source": `{"operations": {}}`, "the metadata": `{"source": "x", "metadata": {}}`, "no JSON": `{`, "a name twice": `{"source": "x", "shapes": {"A": {}, "A": {}}}`,
	} {
		m, err := parse([]byte(old))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.add([]byte(file)); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

func TestAShapeThatNothingHasIsFoundWhenTheTableIsMade(t *testing.T) {
	m, _, err := withLater(t, ``, `"PutRequest": {"type": "structure", "members": {"Shape": {"shape": "Shape"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.table("kms"); err == nil || !strings.Contains(err.Error(), "shape Shape is missing") {
		t.Error(err)
	}
}

func TestOnlyServicesThatAreServedHaveLaterFilesAndTheTablesSaySo(t *testing.T) {
	files, err := fs.Glob(laterFiles, "later/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		service, ok := strings.CutSuffix(strings.TrimPrefix(file, "later/"), ".json")
		if !ok || !slices.Contains(services, service) {
			t.Errorf("%s is of no service", file)
		}
	}
	m := &model{Operations: map[string]operation{}, Shapes: map[string]shape{}}
	if said, err := addLater(m, "sts"); said != "" || err != nil {
		t.Errorf("%q, %v", said, err)
	}
}

// The table that the gateway reads was made with the file.
func TestTheTableOfKMSHasWhatCameLater(t *testing.T) {
	data, err := os.ReadFile("../../internal/gateway/limits/tables/kms.json")
	if err != nil {
		t.Fatal(err)
	}
	made, err := table.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	m := &model{Operations: map[string]operation{}, Shapes: map[string]shape{
		"DataKeyPairSpec": {Type: "string", Enum: []string{"x"}}, "KeySpec": {Type: "string", Enum: []string{"x"}}, "KeyUsageType": {Type: "string", Enum: []string{"x"}},
		"GrantOperation": {Type: "string", Enum: []string{"x"}}, "KeyLastUsageTrackingOperation": {Type: "string", Enum: []string{"x"}},
		"KeyMetadata": {Type: "structure"}, "GetPublicKeyResponse": {Type: "structure"},
	}}
	said, err := addLater(m, "kms")
	if err != nil || said == "" || !strings.HasSuffix(made.Source, said) || !strings.HasPrefix(made.Source, source) {
		t.Errorf("the table's source is %q, and the file's %q: %v", made.Source, said, err)
	}
	for name := range m.Operations {
		if _, ok := made.Operations[name]; !ok {
			t.Errorf("the table has no operation %s: make it again", name)
		}
	}
	for name, s := range m.Shapes {
		has := made.Shapes[name]
		for _, value := range s.Enum {
			if value != "x" && !slices.Contains(has.Enum, value) {
				t.Errorf("the table has no value %s of %s: make it again", value, name)
			}
		}
		for _, n := range s.Members {
			if !slices.ContainsFunc(has.Members, func(m table.Member) bool { return m.Name == n.name && m.Shape == n.Shape }) {
				t.Errorf("the table has no member %s of %s: make it again", n.name, name)
			}
		}
	}
}
