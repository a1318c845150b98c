package ssm_test

import (
	"encoding/base64"
	"errors"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
)

// envelopeOf is the Envelope of the only version of a parameter.
func envelopeOf(name string) *v1alpha1.Envelope {
	GinkgoHelper()
	for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
		if e.Spec.Subject == arnOf(name) {
			return &e
		}
	}
	Fail("there is no Envelope of " + name)
	return nil
}

// unreadable expects AWS's InternalServerError that names a parameter, and tells nothing of how it is kept.
func unreadable(err error, name string) {
	GinkgoHelper()
	var own *types.InternalServerError
	Expect(errors.As(err, &own)).To(BeTrue(), "%v", err)
	Expect(own.ErrorMessage()).To(And(ContainSubstring(" "+name+" "), Not(ContainSubstring("nvelope")), Not(ContainSubstring("version"))))
	Expect(errors.Is(err, store.ErrTampered) || errors.Is(err, store.ErrMissing)).To(BeTrue(), "the cause is lost, which is logged: %v", err)
}

var _ = Describe("A parameter that does not open", func() {
	garble := func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 }
	byName := func(names ...string) (*sdk.GetParametersOutput, error) {
		return do[sdk.GetParametersOutput](administrator, "GetParameters", &sdk.GetParametersInput{Names: names, WithDecryption: ptr.To(true)})
	}
	relabel := func() error {
		_, err := do[sdk.LabelParameterVersionOutput](administrator, "LabelParameterVersion", &sdk.LabelParameterVersionInput{Name: ptr.To("/d/bad"), Labels: []string{"l"}})
		return err
	}

	DescribeTable("is named by whatever has it in its answer, and is mended by another value",
		func(of types.ParameterType, damage func(*v1alpha1.Envelope)) {
			mustPut("/d/a", "1")
			mustPut("/d/bad", "2", func(in *sdk.PutParameterInput) { in.Type = of })
			mustPut("/d/z", "3")
			damage(envelopeOf("/d/bad"))

			_, err := get("/d/bad", true)
			unreadable(err, "/d/bad")
			_, err = byName("/d/a", "/d/bad", "/d/z")
			unreadable(err, "/d/bad")
			_, err = byPath("/d", decrypted)
			unreadable(err, "/d/bad")
			_, err = do[sdk.GetParameterHistoryOutput](administrator, "GetParameterHistory", &sdk.GetParameterHistoryInput{Name: ptr.To("/d/bad"), WithDecryption: ptr.To(true)})
			unreadable(err, "/d/bad")
			found, err := byName("/d/a", "/d/z")
			Expect(err).NotTo(HaveOccurred())
			Expect(names(found.Parameters)).To(Equal([]string{"/d/a", "/d/z"}))
			listed := must[sdk.DescribeParametersOutput]("DescribeParameters", &sdk.DescribeParametersInput{})
			Expect(described(listed)).To(Equal([]string{"/d/a", "/d/bad", "/d/z"}))

			Expect(mustPut("/d/bad", "2+", overwrite, func(in *sdk.PutParameterInput) { in.Type = of }).Version).To(Equal(int64(2)))
			page, err := byPath("/d", decrypted)
			Expect(err).NotTo(HaveOccurred())
			Expect(*page.Parameters[1].Value).To(Equal("2+"))
		},
		Entry("a String, garbled", types.ParameterTypeString, func(e *v1alpha1.Envelope) { world.Exchange(e, garble) }),
		Entry("a SecureString, garbled", types.ParameterTypeSecureString, func(e *v1alpha1.Envelope) { world.Exchange(e, garble) }),
		Entry("a String whose Envelope is gone", types.ParameterTypeString, func(e *v1alpha1.Envelope) { world.Remove(e) }),
	)

	It("since its Envelope is a String's, which no KMSKey encrypts and somebody has put there, is refused to all, decrypted or not, and shows nothing of either value", func() {
		mustPut("/d/bad", "CANARY-plain")
		kept := envelopeOf("/d/bad").DeepCopy()
		must[sdk.DeleteParameterOutput]("DeleteParameter", &sdk.DeleteParameterInput{Name: ptr.To("/d/bad")})
		mustPut("/d/a", "1")
		mustPut("/d/bad", "CANARY-hush", secure)
		Expect(*mustGet("/d/bad").Value).To(Equal("CANARY-hush"))
		planted := world.Exchange(envelopeOf("/d/bad"), func(e *v1alpha1.Envelope) {
			Expect(kept.Spec.Owner).To(Equal(e.Spec.Owner), "it is no Envelope of this parameter")
			e.Spec = kept.Spec
		})
		ciphertext := base64.StdEncoding.EncodeToString(planted.Spec.Ciphertext)
		refused := func(out any, err error) {
			GinkgoHelper()
			unreadable(err, "/d/bad")
			Expect(out).To(BeNil())
			Expect(err.Error()).NotTo(Or(ContainSubstring("CANARY"), ContainSubstring(ciphertext)))
		}
		for _, decrypt := range []bool{true, false} {
			refused(get("/d/bad", decrypt))
			refused(get("/d/bad:1", decrypt))
			refused(do[sdk.GetParametersOutput](administrator, "GetParameters", &sdk.GetParametersInput{Names: []string{"/d/a", "/d/bad"}, WithDecryption: &decrypt}))
			refused(byPath("/d", func(in *sdk.GetParametersByPathInput) { in.WithDecryption = &decrypt }))
			refused(do[sdk.GetParameterHistoryOutput](administrator, "GetParameterHistory", &sdk.GetParameterHistoryInput{Name: ptr.To("/d/bad"), WithDecryption: &decrypt}))
		}

		Expect(mustPut("/d/bad", "CANARY-new", overwrite, secure).Version).To(Equal(int64(2)))
		Expect(*mustGet("/d/bad").Value).To(Equal("CANARY-new"))
		refused(get("/d/bad:1", true))
	})

	It("because of a forged next version is named by what would write one, is read as ever, and is well when that Envelope is deleted", func() {
		mustPut("/d/bad", "1")
		forged := envelopeOf("/d/bad")
		forged.ObjectMeta = metav1.ObjectMeta{Namespace: forged.Namespace, Name: store.Name(v1alpha1.EnvelopeParameterVersion, arnOf("/d/bad"), 2)}
		forged.Spec.Sequence, forged.Spec.Version = 2, "2"
		world.Create(forged)

		_, err := put("/d/bad", "2", overwrite)
		unreadable(err, "/d/bad")
		Expect(err).To(MatchError(And(ContainSubstring(forged.Name), ContainSubstring("delete it"))), "what is logged says what helps")
		unreadable(relabel(), "/d/bad")
		Expect(*mustGet("/d/bad").Value).To(Equal("1"))

		world.Remove(forged)
		Expect(mustPut("/d/bad", "2", overwrite).Version).To(Equal(int64(2)))
		Expect(relabel()).To(Succeed())
	})
})
