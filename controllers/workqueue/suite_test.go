package workqueue_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/test/environment"
)

func TestWorkQueue(t *testing.T) {
	environment.Specs(t, "Work queue")
}

var (
	ctx = context.Background()
	cp  *environment.ControlPlane
)

var _ = BeforeSuite(func() {
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
})
