package passes

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
)

func denying(t *testing.T, keys ...string) *iam.Policy {
	t.Helper()
	conditions := make([]string, 0, len(keys))
	for _, key := range keys {
		conditions = append(conditions, fmt.Sprintf(`%q:"x"`, key))
	}
	p, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{`+strings.Join(conditions, ",")+`}}}]}`), iam.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPoliciesWithKeysThatThereAreNotGetAConditionUntilTheyAreCorrected(t *testing.T) {
	var of []metav1.Condition
	TellStrangeKeys(&of, 1, nil, denying(t, "kms:ViaService", "ssm:None"))
	if len(of) != 0 {
		t.Fatalf("%+v", of)
	}
	TellStrangeKeys(&of, 2, denying(t, "kms:ViaServise", "kms:Via"), nil, denying(t, "kms:via", "kms:KeySpecs"))
	c := meta.FindStatusCondition(of, v1alpha1.ConditionUnknownConditionKey)
	if c == nil || c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonUnknownConditionKey || c.ObservedGeneration != 2 ||
		!strings.Contains(c.Message, "kms:keyspecs, kms:via, kms:viaservise. ") {
		t.Fatalf("%+v", c)
	}
	TellStrangeKeys(&of, 3)
	if len(of) != 0 {
		t.Fatalf("%+v", of)
	}
}

func TestAMessageOfStrangeKeysIsShort(t *testing.T) {
	var keys []string
	for i := range 50 {
		keys = append(keys, fmt.Sprintf("kms:%02d%s", i, strings.Repeat("ä", 3000)))
	}
	if text := strangeMessage(keys); len(text) > 600 || !utf8.ValidString(text) || !strings.Contains(text, "and 47 more") {
		t.Errorf("%d bytes: %.700s", len(text), text)
	}
}
