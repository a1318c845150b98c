package v1alpha1_test

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// bound is a keyword of a schema: a value that just fits it, one that just does not, and what the refusal says besides
// the field's name.
type bound struct {
	keyword string
	cases   func(m marker, limit int64) (fits, over any, says string)
}

var bounds = []bound{
	{"maximum", func(_ marker, n int64) (any, any, string) {
		return n, n + 1, fmt.Sprintf("less than or equal to %d", n)
	}},
	{"minimum", func(_ marker, n int64) (any, any, string) {
		return n, n - 1, fmt.Sprintf("greater than or equal to %d", n)
	}},
	{"maxLength", func(m marker, n int64) (any, any, string) {
		return filler(m.kind, m.path, int(n)), filler(m.kind, m.path, int(n)) + strings.Repeat("x", 4), fmt.Sprint(n)
	}},
	{"minLength", func(m marker, n int64) (any, any, string) {
		fits := filler(m.kind, m.path, int(n))
		if m.schema["format"] == "byte" {
			fits = strings.Repeat("x", 4) // the least base64
		}
		if m.path == "spec.rotation.schedule" {
			fits = "rate(1 day)" // the least that its rules let through
		}
		return fits, filler(m.kind, m.path, int(n-1)), fmt.Sprintf("at least %d", n)
	}},
	{"maxItems", func(m marker, n int64) (any, any, string) {
		list := make([]any, n+1)
		for i := range list {
			list[i] = item(m.kind, m.path, i, marker{m.kind, m.path + "[]", nil}.at())
		}
		return list[:n], list, fmt.Sprint(n)
	}},
	{"maxProperties", func(_ marker, n int64) (any, any, string) {
		fits, over := map[string]any{}, map[string]any{"over": "x"}
		for i := range n {
			fits[fmt.Sprint("k", i)], over[fmt.Sprint("k", i)] = "x", "x"
		}
		return fits, over, fmt.Sprint(n)
	}},
	{"minProperties", func(m marker, n int64) (any, any, string) {
		if m.schema["properties"] != nil { // it has fields of its own
			return m.at(), map[string]any{}, fmt.Sprintf("at least %d", n)
		}
		return map[string]any{"k": "x"}, map[string]any{}, fmt.Sprintf("at least %d", n)
	}},
}

// Every bound of every field is tried at its edge and just over it, as the generated CRDs have it, so that a bound that is
// added is tried without anybody thinking of it.
var _ = Describe("A bound", func() {
	tried := 0
	for _, m := range markers() {
		for _, b := range bounds {
			limit, found := m.schema[b.keyword]
			if !found || m.kind == "IAMGroup" && m.path == "spec.managedPolicyArns" && b.keyword == "maxItems" {
				continue // a rule of groups lets ten through: rules_test.go
			}
			tried++
			It(fmt.Sprintf("of %s %s, %s %v, lets its edge through and nothing over it", m.kind, m.path, b.keyword, limit), func() {
				n, isNumber := limit.(int64)
				if !isNumber {
					n = int64(limit.(float64))
				}
				fits, over, says := b.cases(m, n)
				Expect(m.try(fits)).To(Succeed())
				Expect(m.try(over)).To(MatchError(And(ContainSubstring(m.field()), ContainSubstring(says))))
			})
		}
	}
	It("is found in the CRDs at all", func() { Expect(tried).To(BeNumerically(">", 70)) })
})

var _ = Describe("An enumeration", func() {
	for _, m := range markers() {
		values, found, _ := unstructured.NestedStringSlice(m.schema, "enum")
		if !found || slices.Contains(dependent, m.kind+" "+m.path) {
			continue
		}
		It(fmt.Sprintf("of %s %s lets each of its values through and names them when it refuses another", m.kind, m.path), func() {
			for _, value := range values {
				Expect(m.try(value)).To(Succeed(), value)
			}
			for _, other := range []string{"Other", strings.ToLower(values[0]), ""} {
				if slices.Contains(values, other) {
					continue
				}
				err := m.try(other)
				Expect(err).To(MatchError(ContainSubstring(m.field())), other)
				for _, value := range values {
					Expect(err.Error()).To(ContainSubstring(value))
				}
			}
		})
	}
})

var _ = Describe("A required field", func() {
	for _, m := range markers() {
		required, found, _ := unstructured.NestedStringSlice(m.schema, "required")
		if !found || m.path == "" { // a whole spec is in validation_test.go
			continue
		}
		for _, name := range required {
			It(fmt.Sprintf("%s of %s %s is asked for by name", name, m.kind, m.path), func() {
				field := marker{m.kind, m.path + "." + name, nil}
				Expect(field.at()).NotTo(BeNil(), "no object of whole has it: add it")
				Expect(field.try(nil)).To(MatchError(And(ContainSubstring(field.field()), ContainSubstring("Required"))))
			})
		}
	}
})

var _ = Describe("A field that is not required", func() {
	for _, m := range markers() {
		properties, found, _ := unstructured.NestedMap(m.schema, "properties")
		required, _, _ := unstructured.NestedStringSlice(m.schema, "required")
		if !found || !strings.HasPrefix(m.path, "spec") || (m.path == "spec.target.restart[].selector" || m.path == "spec.allowedNamespaces") {
			continue
		}
		for name := range properties {
			if slices.Contains(required, name) || slices.Contains(oneOf, m.path+"."+name) || slices.Contains(dependent, m.kind+" "+m.path+"."+name) {
				continue
			}
			It(fmt.Sprintf("%s of %s %s can be left out", name, m.kind, m.path), func() {
				Expect(marker{m.kind, m.path + "." + name, nil}.try(nil)).To(Succeed())
			})
		}
	}
})

// dependent are the fields whose values depend on others'; rules_test.go has their cases.
var dependent = []string{
	"CertificateAuthority spec.type", "CertificateAuthority spec.authorityRef", "Certificate spec.domainName", "Certificate spec.authorityRef",
	"Certificate spec.target.creationPolicy",
	"Parameter spec.policies[].type", "Parameter spec.policies[].timestamp", "Parameter spec.policies[].before", "Parameter spec.policies[].after",
	"Parameter spec.policies[].unit",
}

// oneOf are the fields of which exactly one is set; rules_test.go has their cases.
var oneOf = []string{
	"spec.generate", "spec.valueFrom", "spec.generate.password", "spec.generate.json", "spec.generate.bytes", "spec.generate.uuid",
	"spec.target.restart[].name", "spec.target.restart[].selector", "spec.target.configMap", "spec.target.secret",
	"spec.target.sources[].secretRef", "spec.target.sources[].parameterRef",
}

var _ = Describe("A list that is a set", func() {
	for _, m := range markers() {
		if m.schema["x-kubernetes-list-type"] != "set" {
			continue
		}
		It(fmt.Sprintf("of %s %s refuses a duplicate", m.kind, m.path), func() {
			one := item(m.kind, m.path, 1, nil)
			Expect(m.try([]any{one, one})).To(MatchError(And(ContainSubstring(m.field()+"[1]"), ContainSubstring("Duplicate"))))
		})
	}
})

var _ = Describe("A list that is a map", func() {
	for _, m := range markers() {
		keys, _, _ := unstructured.NestedStringSlice(m.schema, "x-kubernetes-list-map-keys")
		if len(keys) == 0 {
			continue
		}
		It(fmt.Sprintf("of %s %s refuses two items with one %s", m.kind, m.path, keys[0]), func() {
			one := item(m.kind, m.path, 1, marker{m.kind, m.path + "[]", nil}.at())
			Expect(m.try([]any{one, one})).To(MatchError(And(ContainSubstring(m.field()+"[1]"), ContainSubstring("Duplicate"))))
		})
	}
})
