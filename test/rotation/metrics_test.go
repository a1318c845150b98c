package rotation_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	dto "github.com/prometheus/client_model/go"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

// series finds a metric of the manager's registry by the values of its labels, in the order of their names; nil if there is none yet.
func series(name string, values ...string) *dto.Metric {
	GinkgoHelper()
	families, err := ctrlmetrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var got []string
			for _, label := range m.GetLabel() {
				got = append(got, label.GetValue())
			}
			if ok, _ := Equal(values).Match(got); ok {
				return m
			}
		}
	}
	return nil
}

// attempts of rotations with a result.
func attempts(rotator, result string) int {
	GinkgoHelper()
	return int(series("strongroom_rotations_total", result, rotator).GetCounter().GetValue())
}

// durations are the number of rotations that came to their end, and the seconds that they took.
func durations(rotator string) (count uint64, sum float64) {
	GinkgoHelper()
	h := series("strongroom_rotation_duration_seconds", rotator).GetHistogram()
	return h.GetSampleCount(), h.GetSampleSum()
}
