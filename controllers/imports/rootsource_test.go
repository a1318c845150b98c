package imports_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("What Strongroom itself works with", func() {
	read := func(namespace, name string) error {
		source, err := imports.Reader{Live: world.Services.Live, Reserved: world.Services.Projector.Reserved}.Read(ctx, namespace, name, "spec.valueFrom", "root")
		Expect(source.Data).To(BeEmpty())
		return err
	}

	DescribeTable("is no source in its own namespace, be it there or not",
		func(name, what string) {
			err := read(environment.OperatorNamespace, name)
			Expect(err).To(MatchError(And(ContainSubstring("core Secret "+name+" is "+what), ContainSubstring("name another in spec.valueFrom"))))
			Expect(fault.Of(err)).To(And(HaveField("Reason", v1alpha1.ReasonConflict), HaveField("Stalled", true)))
		},
		Entry("the root of trust, which is there", "strongroom-root", "Strongroom's root of trust"),
		Entry("the gateway's authority", "strongroom-gateway-ca", "the authority of Strongroom's gateway"),
		Entry("an HSMCluster's PINs", "cluster-abcdefghijk", "what Strongroom keeps for an HSMCluster"),
		Entry("an HSMCluster's authority", "cluster-abcdefghijk-authority", "what Strongroom keeps for an HSMCluster"),
		Entry("a token's PINs", "pkcs11-token-abcdefghijklmnopqrstuvwx", "what Strongroom keeps for an HSMCluster"),
	)

	It("is another's by these names in another namespace", func() {
		Expect(world.ControlPlane.Client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "strongroom-root"}, Data: map[string][]byte{"root": []byte("theirs")},
		})).To(Succeed())
		source, err := imports.Reader{Live: world.Services.Live, Reserved: world.Services.Projector.Reserved}.Read(ctx, world.Namespace, "strongroom-root", "spec.valueFrom", "root")
		Expect(err).NotTo(HaveOccurred())
		Expect(source.Data).To(HaveKeyWithValue("root", []byte("theirs")))
	})
})
