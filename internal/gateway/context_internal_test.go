package gateway

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheDocumentationListsEachGlobalConditionKeyAndNoOther(t *testing.T) {
	page, err := os.ReadFile("../../docs/iam.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| global \|.*$`).Find(page)
	var listed []string
	for _, key := range regexp.MustCompile("`([^`]+)`").FindAllSubmatch(row, -1) {
		listed = append(listed, strings.ToLower(string(key[1])))
	}
	slices.Sort(listed)
	want := append(slices.Collect(maps.Keys(globals)), principalTag+"key")
	slices.Sort(want)
	if !slices.Equal(listed, want) {
		t.Errorf("docs/iam.md lists the global keys %q, and there are %q", listed, want)
	}
}
