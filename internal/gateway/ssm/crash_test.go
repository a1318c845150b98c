package ssm_test

import (
	"errors"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/ssm"
	"strongroom.dev/strongroom/test/environment"
)

// codeOf is that of an error of AWS's, and empty for none.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Every write of an operation is made to fail in turn, before it is done and after it, as if the process had died there. The request
// made again by the client must then come to the same end, with a pass of the controllers in between or without.
var _ = Describe("A crash at any write", func() {
	var writes *environment.FaultyClient
	working := func() {
		service = ssm.New(ssm.Dependencies{Parameters: world.Services.Parameters})
	}
	BeforeEach(func() { _, writes = world.Faulty() })
	// crash carries out an operation that dies at the nth write, and tells whether it came so far.
	crash := func(n int, after bool, do func() error) bool {
		GinkgoHelper()
		writes.FailAt(n, after)
		service = ssm.New(ssm.Dependencies{Parameters: world.ParametersOver(writes)})
		err := do()
		working()
		if writes.Writes() < n {
			Expect(err).NotTo(HaveOccurred())
			return false
		}
		Expect(errors.Is(err, environment.ErrInjected)).To(BeTrue(), "%v", err)
		return true
	}
	pass := func(name string) {
		GinkgoHelper()
		advance(10 * time.Second) // a request that is making a parameter is left alone for a moment
		p := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
		_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		world.Sweep("Parameter", name)
	}
	remove := func(name string) {
		GinkgoHelper()
		must[sdk.DeleteParameterOutput]("DeleteParameter", &sdk.DeleteParameterInput{Name: &name})
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(BeEmpty(), "an Envelope is left over")
	}

	for _, after := range []bool{false, true} {
		where := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[after]
		for _, between := range []bool{false, true} {
			where := where + map[bool]string{false: "", true: ", with a pass of the controllers in between"}[between]

			It("of a first PutParameter, "+where+", leaves one version of that value, whoever asks again", func() {
				made := func() error { _, err := put("a", "v", secure); return err }
				for n := 1; ; n++ {
					if !crash(n, after, made) {
						Expect(n).To(Equal(4), "a new parameter has three writes")
						remove("a")
						return
					}
					if between {
						pass("a")
					}
					err := made()
					if err != nil { // the first request stored it, and who asks again is told so, as in AWS
						be(err, "ParameterAlreadyExists")
					}
					pass("a")
					Expect(mustGet("a").Version).To(Equal(int64(1)), "write %d", n)
					Expect(*mustGet("a").Value).To(Equal("v"))
					Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(1))
					remove("a")
				}
			})

			It("of an overwriting PutParameter, "+where+", loses no value and shows none before its time", func() {
				made := func() error {
					_, err := put("a", "two", overwrite, func(in *sdk.PutParameterInput) { in.Description = ptr.To("d") })
					return err
				}
				for n := 1; ; n++ {
					mustPut("a", "one")
					if !crash(n, after, made) {
						Expect(n).To(Equal(4), "another value and description have three writes")
						remove("a")
						return
					}
					Expect(*mustGet("a").Value).To(BeElementOf("one", "two"))
					if between {
						pass("a")
						Expect(*mustGet("a").Value).To(BeElementOf("one", "two"))
					}
					Expect(made()).To(Succeed())
					Expect(*mustGet("a:1").Value).To(Equal("one"))
					latest := mustGet("a")
					Expect(*latest.Value).To(Equal("two"))
					Expect(latest.Version).To(BeNumerically("<=", 3), "a request that is made twice makes two versions at most")
					Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(int(latest.Version)))
					remove("a")
				}
			})

			It("of LabelParameterVersion and AddTagsToResource, "+where+", is mended by asking again", func() {
				labels := func() error { _, err := label("a", 1, "l"); return err }
				tags := func() error {
					_, err := do[sdk.AddTagsToResourceOutput](administrator, "AddTagsToResource", &sdk.AddTagsToResourceInput{
						ResourceType: parameterType, ResourceId: ptr.To("a"), Tags: []types.Tag{{Key: ptr.To("k"), Value: ptr.To("v")}},
					})
					return err
				}
				mustPut("a", "v")
				for _, ask := range []func() error{labels, tags} {
					Expect(crash(1, after, ask)).To(BeTrue())
					if between {
						pass("a")
					}
					Expect(ask()).To(Succeed())
					Expect(crash(2, after, ask)).To(BeFalse(), "it is one write")
				}
				Expect(labelled("a")).To(Equal([][]string{{"l"}}))
				remove("a")
			})

			It("of DeleteParameter, "+where+", ends with the parameter gone, and the next of the name at version 1", func() {
				deleted := func() error {
					_, err := do[sdk.DeleteParameterOutput](administrator, "DeleteParameter", &sdk.DeleteParameterInput{Name: ptr.To("a")})
					return err
				}
				for n := 1; ; n++ {
					mustPut("a", "1")
					mustPut("a", "2", overwrite)
					if !crash(n, after, deleted) {
						Expect(n).To(Equal(7), "the mark and the object, and for each version a mark and the Envelope")
						Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(BeEmpty())
						return
					}
					if err := deleted(); err != nil {
						be(err, "ParameterNotFound")
					}
					_, err := get("a", true)
					be(err, "ParameterNotFound")
					if between {
						_, err = put("a", "new")
						Expect(codeOf(err)).To(BeElementOf("", "TooManyUpdates"), "what is left is neither taken over nor in the way for ever")
						if err == nil {
							Expect(mustGet("a").Version).To(Equal(int64(1)))
							remove("a")
						}
					}
					for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) { // the manager's, which saw how it was deleted
						world.Remove(&e)
					}
					Expect(mustPut("a", "new").Version).To(Equal(int64(1)))
					Expect(*mustGet("a").Value).To(Equal("new"))
					remove("a")
				}
			})
		}
	}
})
