package kms

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestAWSKMSHasAConditionKey(t *testing.T) {
	for key, want := range map[string]bool{
		"kms:viaservice": true, "kms:encryptioncontext:app": true, "kms:encryptioncontext:": false, "kms:encryptioncontext": false, "kms:encryptioncontextkeys": true,
		"kms:recipientattestation:pcr0": true, "kms:recipientattestation:": false, "kms:recipientattestation:imagesha384": true,
		"kms:viaservices": false, "kms:": false, "": false, "viaservice": false, "aws:viaservice": false, "kms:ViaService": false,
	} {
		if got := HasConditionKey(key); got != want {
			t.Errorf("%q: %t", key, got)
		}
	}
	for key := range conditionKeys {
		if key != strings.ToLower(key) || !strings.HasPrefix(key, "kms:") {
			t.Errorf("%q is never looked for", key)
		}
	}
}

// A key that is set, and missing in the list, would be told to be misspelt.
func TestEachConditionKeyThatARequestHasIsInTheList(t *testing.T) {
	key := regexp.MustCompile(`"(kms:[a-z]+)"`)
	found := 0
	for _, pattern := range []string{"*.go", "../../gateway/kms/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || file == "conditionkeys.go" {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range key.FindAllStringSubmatch(string(text), -1) {
				if found++; !HasConditionKey(m[1]) {
					t.Errorf("%s sets %s", file, m[1])
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("%d keys were found: is this the place where they are set?", found)
	}
}
