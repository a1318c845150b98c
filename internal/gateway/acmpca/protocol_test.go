package acmpca_test

import (
	"errors"

	sdk "github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/schemas"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	codec "strongroom.dev/strongroom/internal/gateway/awsjson"
	"strongroom.dev/strongroom/test/environment"
)

// The SDK's own protocol here is RPC v2 in CBOR, so that all other specs of this package are of that one.
var _ = Describe("The API", func() {
	It("is the same in awsJson, which SDKs spoke before", func() {
		Expect(admin.Options().Protocol.ID().Name).To(Equal("rpcv2Cbor"))
		inJSON := sdk.NewFromConfig(door.Config(environment.Region, `"Action":"*","Resource":"*"`), func(o *sdk.Options) { o.Protocol = awsjson.New11(schemas.ACMPrivateCA) })
		made := active()
		described := func(client *sdk.Client) string {
			GinkgoHelper()
			out, err := client.DescribeCertificateAuthority(ctx, &sdk.DescribeCertificateAuthorityInput{CertificateAuthorityArn: &made})
			Expect(err).NotTo(HaveOccurred())
			return string(codec.Append(nil, out)) // the SDK gives times in another zone
		}
		Expect(described(inJSON)).To(Equal(described(admin)))
		nothing := &sdk.DescribeCertificateAuthorityInput{CertificateAuthorityArn: ptr.To(made[:len(made)-36] + "00000000-0000-4000-8000-000000000000")}
		inOne, inOther := second(inJSON.DescribeCertificateAuthority(ctx, nothing)), second(admin.DescribeCertificateAuthority(ctx, nothing))
		var one, other *types.ResourceNotFoundException
		Expect(errors.As(inOne, &one)).To(BeTrue(), "%v", inOne)
		Expect(errors.As(inOther, &other)).To(BeTrue(), "%v", inOther)
		Expect(*one.Message).To(Equal(*other.Message))
	})
})
