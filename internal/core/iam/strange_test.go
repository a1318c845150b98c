package iam_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/iam"
)

func conditional(conditions ...string) string {
	statements := make([]string, 0, len(conditions))
	for _, c := range conditions {
		statements = append(statements, fmt.Sprintf(`{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":%s}`, c))
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func TestAPolicyTellsTheKeysThatAServiceDoesNotHave(t *testing.T) {
	has := func(key string) bool {
		return key == "kms:viaservice" || strings.HasPrefix(key, "kms:encryptioncontext:")
	}
	for name, tt := range map[string]struct {
		policy string
		want   []string
	}{
		"none":                     {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, nil},
		"a key that there is":      {conditional(`{"StringEquals":{"kms:ViaService":"x"}}`), nil},
		"in any case":              {conditional(`{"StringEquals":{"KMS:VIASERVICE":"x"}}`), nil},
		"one of a context":         {conditional(`{"StringEquals":{"kms:EncryptionContext:app":"x"}}`), nil},
		"one that is misspelt":     {conditional(`{"StringEquals":{"kms:ViaServise":"x"}}`), []string{"kms:viaservise"}},
		"with another operator":    {conditional(`{"ForAllValues:StringNotLikeIfExists":{"kms:ViaServise":"x"}}`), []string{"kms:viaservise"}},
		"several times":            {conditional(`{"StringEquals":{"kms:B":"x","kms:A":"x"}}`, `{"Null":{"kms:b":"true"}}`), []string{"kms:a", "kms:b"}},
		"of other services":        {conditional(`{"StringEquals":{"ssm:None":"x","aws:None":"x","kmsx:None":"x","secretsmanager:kms:none":"x"}}`), nil},
		"beside one that there is": {conditional(`{"StringEquals":{"kms:ViaService":"x","kms:EncryptionContextt:app":"x"}}`), []string{"kms:encryptioncontextt:app"}},
	} {
		p, err := iam.Parse([]byte(tt.policy), iam.Identity)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := p.StrangeKeys("kms", has); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
