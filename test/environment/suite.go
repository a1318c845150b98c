package environment

import (
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
)

// Specs runs a suite's specs by its name. What they expect in the end is looked for every 20 ms for 10 s, unless they say otherwise.
func Specs(t *testing.T, name string) {
	t.Helper()
	gomega.RegisterFailHandler(ginkgo.Fail)
	gomega.SetDefaultEventuallyTimeout(10 * time.Second)
	gomega.SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	ginkgo.RunSpecs(t, name)
}
