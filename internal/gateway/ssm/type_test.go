package ssm_test

import (
	"encoding/base64"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// buried puts a SecureString under a key, and has kubectl delete it.
func buried(name, value, key string) *v1alpha1.Parameter {
	GinkgoHelper()
	mustPut(name, value, keyed(key))
	var list v1alpha1.ParameterList
	Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
	Expect(list.Items).To(HaveLen(1))
	p := &list.Items[0]
	world.Remove(p)
	Eventually(func() int {
		world.Sweep("Parameter", p.Name)
		return len(world.Envelopes(v1alpha1.EnvelopeTombstone))
	}).Should(Equal(1))
	stone := world.Envelopes(v1alpha1.EnvelopeTombstone)[0]
	world.Seen(&stone)
	return p
}

// disguise makes a String that has a deleted SecureString's version, as an earlier release did, and puts a value of its own behind that.
func disguise(former *v1alpha1.Parameter) {
	GinkgoHelper()
	p := environment.Parameter(world.Namespace, former.Name, func(p *v1alpha1.Parameter) {
		p.Spec.Name, p.Spec.Value, p.Spec.Target = former.Spec.Name, "", nil
	})
	world.Create(p)
	world.Refresh(p)
	p.Status.ARN, p.Status.Version, p.Status.Versions = former.Status.ARN, former.Status.Version, former.Status.Versions
	Expect(world.ControlPlane.Client.Status().Update(ctx, p)).To(Succeed())
	world.Seen(p)
	mustPut(former.AWSName(), "plain", overwrite)
	world.Refresh(p)
	world.Seen(p)
}

var _ = Describe("A SecureString that kubectl has deleted", func() {
	var (
		key    *v1alpha1.KMSKey
		former *v1alpha1.Parameter
	)
	const name = "/pub/cust"
	BeforeEach(func() {
		key = world.ReadyKey("mine")
		former = buried(name, "hush", key.Status.KeyID)
	})
	mallory := allowed("ssm:*", "*")

	It("is not put again as another type, and no object is made", func() {
		for _, of := range []types.ParameterType{types.ParameterTypeString, types.ParameterTypeStringList} {
			_, err := do[sdk.PutParameterOutput](mallory, "PutParameter", &sdk.PutParameterInput{Name: ptr.To(name), Value: ptr.To("mine"), Type: of})
			be(err, "HierarchyTypeMismatchException")
			Expect(err).To(MatchError(And(ContainSubstring("SecureString"), ContainSubstring("create a new, unique parameter"))))
		}
		var list v1alpha1.ParameterList
		Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
		Expect(list.Items).To(BeEmpty())
	})

	It("is not put into an object either that is of another type", func() {
		p := environment.Parameter(world.Namespace, former.Name, func(p *v1alpha1.Parameter) {
			p.Spec.Name, p.Spec.Value, p.Spec.Target = former.Spec.Name, "", nil
		})
		world.Create(p)
		_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(p)
		world.Seen(p)
		_, err = put(name, "mine")
		be(err, "HierarchyTypeMismatchException")
		_, err = get(name, true)
		be(err, "ParameterNotFound")
	})

	It("comes back with its versions when it is put as what it was", func() {
		Expect(mustPut(name, "hush again", keyed(key.Status.KeyID)).Version).To(Equal(int64(2)))
		Expect(*mustGet(name + ":1").Value).To(Equal("hush"))
	})

	It("and that a String had taken over is a SecureString still to whoever reads it", func() {
		ciphertext := base64.StdEncoding.EncodeToString(world.Envelopes(v1alpha1.EnvelopeParameterVersion)[0].Spec.Ciphertext)
		disguise(former)
		old, now := name+":1", name
		for _, who := range []caller{mallory, administrator} {
			out, err := do[sdk.GetParameterOutput](who, "GetParameter", &sdk.GetParameterInput{Name: &old})
			Expect(err).NotTo(HaveOccurred())
			Expect(*out.Parameter.Value).To(Equal(ciphertext))
			Expect(out.Parameter.Type).To(Equal(types.ParameterTypeSecureString))
			all, err := do[sdk.GetParameterHistoryOutput](who, "GetParameterHistory", &sdk.GetParameterHistoryInput{Name: &now})
			Expect(err).NotTo(HaveOccurred())
			Expect(all.Parameters).To(HaveLen(2))
			Expect(*all.Parameters[0].Value).To(Equal(ciphertext))
			Expect(all.Parameters[0].Type).To(Equal(types.ParameterTypeSecureString))
			Expect(*all.Parameters[1].Value).To(Equal("plain"))
			Expect(all.Parameters[1].Type).To(Equal(types.ParameterTypeString))
		}
		_, err := do[sdk.GetParameterOutput](mallory, "GetParameter", &sdk.GetParameterInput{Name: &old, WithDecryption: ptr.To(true)})
		be(err, "AccessDeniedException")
		_, err = do[sdk.GetParametersOutput](mallory, "GetParameters", &sdk.GetParametersInput{Names: []string{old}, WithDecryption: ptr.To(true)})
		be(err, "AccessDeniedException")
		_, err = do[sdk.GetParameterHistoryOutput](mallory, "GetParameterHistory", &sdk.GetParameterHistoryInput{Name: &now, WithDecryption: ptr.To(true)})
		be(err, "AccessDeniedException")
		out, err := do[sdk.GetParameterOutput](mallory+","+by("kms:Decrypt", key, name), "GetParameter",
			&sdk.GetParameterInput{Name: &old, WithDecryption: ptr.To(true)})
		Expect(err).NotTo(HaveOccurred())
		Expect(*out.Parameter.Value).To(Equal("hush"))
		Expect(*mustGet(name).Value).To(Equal("plain"))
	})
})
