package chart_test

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	sigsyaml "sigs.k8s.io/yaml"

	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("The chart's README", func() {
	It("names every value, and none that there is not", func() {
		chart := filepath.Join(environment.Root(), "charts", "strongroom")
		text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
		Expect(err).NotTo(HaveOccurred())
		var values map[string]any
		Expect(sigsyaml.Unmarshal(text, &values)).To(Succeed())
		readme, err := os.ReadFile(filepath.Join(chart, "README.md"))
		Expect(err).NotTo(HaveOccurred())

		named := map[string]bool{}
		for _, line := range strings.Split(string(readme), "\n") {
			cells := strings.Split(line, "|")
			if len(cells) < 4 {
				continue
			}
			for i, part := range strings.Split(cells[1], "`") {
				if i%2 == 1 {
					named[part] = true
				}
			}
		}
		delete(named, "value")
		for name, value := range values {
			members, nested := value.(map[string]any)
			if !nested || named[name] || len(members) == 0 {
				Expect(named).To(HaveKey(name))
				continue
			}
			for member := range members {
				Expect(named).To(Or(HaveKey(name+"."+member), HaveKey(name)))
			}
		}
		for name := range named {
			var at any = values
			for _, part := range strings.Split(name, ".") {
				members, ok := at.(map[string]any)
				Expect(ok).To(BeTrue(), name)
				Expect(members).To(HaveKey(part), name)
				at = members[part]
			}
		}
	})
})

var _ = Describe("The port of metrics", func() {
	It("is not that of the probes", func() {
		_, err := run(helm, "template", "strongroom", "charts/strongroom", "--set", "metrics.port=8081")
		Expect(err).To(MatchError(ContainSubstring("metrics")))
	})
})
