package operator_test

import (
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"strongroom.dev/strongroom/internal/loopback"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

func TestOperator(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "Operator")
}

var (
	cp        *environment.ControlPlane
	namespace string
)

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
})

var _ = BeforeEach(func(ctx SpecContext) {
	var err error
	namespace, err = cp.NewNamespace(ctx)
	Expect(err).NotTo(HaveOccurred())
})

// run starts an operator that is ended after the spec.
func run(ctx SpecContext, o operator.Options) *environment.Operator {
	GinkgoHelper()
	op, err := environment.RunOperator(ctx, rest.CopyConfig(cp.Config), o)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(op.Stop)
	return op
}

// address is one of loopback that nobody listens on.
func address() string {
	GinkgoHelper()
	free, err := loopback.FreeAddress()
	Expect(err).NotTo(HaveOccurred())
	return free
}
