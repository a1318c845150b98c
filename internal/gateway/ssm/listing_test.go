package ssm_test

import (
	"context"
	"fmt"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/ssm"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// listed counts the Parameters that lists of the cache have answered.
type listed struct {
	client.Client
	lists, entries int
}

func (l *listed) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	err := l.Client.List(ctx, list, options...)
	if all, is := list.(*v1alpha1.ParameterList); is {
		l.lists++
		l.entries += len(all.Items)
	}
	return err
}

var _ = Describe("A long list", func() {
	var counted *listed
	// over serves by a replica that has told no page yet.
	over := func() {
		counted = &listed{Client: world.Services.Parameters.Client}
		replica := *world.Services.Parameters
		replica.Client, replica.Listings = counted, &parameterstore.Listings{}
		service = ssm.New(ssm.Dependencies{Parameters: &replica})
	}
	var want []string
	BeforeEach(func() {
		want = thirteen()
		for _, name := range want {
			mustPut(name, "v")
		}
		mustPut("/q/other", "v")
		over()
	})

	It("is read once for all its pages", func() {
		Expect(all(pagesDescribed, 3, func() {})).To(Equal(append(want, "/q/other")))
		Expect(counted.lists).To(Equal(1))
		counted.lists = 0
		Expect(all(pagesByPath, 2, func() {})).To(Equal(append(want, "/q/other")))
		Expect(counted.lists).To(Equal(1))
	})

	It("of a path reads what is below that path and nothing else", func() {
		for i := range 20 {
			mustPut(fmt.Sprintf("/r/s/t/%d", i), "v")
		}
		for path, below := range map[string]int{"/p": 13, "/q": 1, "/r/s": 20, "/r/s/t": 20, "/none": 0, "/": 34} {
			counted.entries = 0
			out, err := byPath(path, recursively)
			Expect(err).NotTo(HaveOccurred())
			Expect(out.Parameters).To(HaveLen(min(below, 10)), path)
			Expect(counted.entries).To(Equal(below), path)
		}
	})

	It("goes on at another replica, and after a minute, as at this one", func() {
		Expect(all(pagesByPath, 4, over)).To(Equal(append(want, "/q/other")))
		over()
		Expect(all(pagesByPath, 4, func() { advance(2 * time.Minute) })).To(Equal(append(want, "/q/other")))
		Expect(counted.lists).To(Equal(4))
	})

	It("leaves out what was deleted or has expired since its first page, and fills its pages", func() {
		mustPut("/p/02x", "v", policed(inOneHour()))
		first, token, err := pagesByPath(ptr.To[int32](2), nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(first).To(Equal([]string{"/p/00", "/p/01"}))
		must[sdk.DeleteParameterOutput]("DeleteParameter", &sdk.DeleteParameterInput{Name: ptr.To("/p/03")})
		counted.lists = 0
		second, _, err := pagesByPath(ptr.To[int32](3), token)
		Expect(err).NotTo(HaveOccurred())
		Expect(second).To(Equal([]string{"/p/02", "/p/02x", "/p/04"}))
		Expect(counted.lists).To(BeZero())
		advance(59 * time.Second)
		expired := onlyNamed("/p/02x")
		world.Update(expired, func() {
			expired.Spec.Policies[0].Timestamp = world.Clock.Now().Add(-time.Second).UTC().Format(time.RFC3339)
		})
		second, _, err = pagesByPath(ptr.To[int32](3), token)
		Expect(err).NotTo(HaveOccurred())
		Expect(second).To(Equal([]string{"/p/02", "/p/04", "/p/05"}))
	})

	It("has what its first page has found new, whoever has listed it before", func() {
		_, _, err := pagesByPath(ptr.To[int32](10), nil)
		Expect(err).NotTo(HaveOccurred())
		mustPut("/p/99", "v")
		Expect(all(pagesByPath, 10, func() {})).To(ContainElement("/p/99"))
	})

	It("of one account is none of another's", func() {
		_, token, err := pagesByPath(ptr.To[int32](2), nil)
		Expect(err).NotTo(HaveOccurred())
		call := callOf(administrator, "GetParametersByPath")
		call.Identity.Namespace = world.NewNamespace()
		out, err := invoke(call, &sdk.GetParametersByPathInput{Path: ptr.To("/"), Recursive: ptr.To(true), NextToken: token})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.(*sdk.GetParametersByPathOutput).Parameters).To(BeEmpty())
	})
})

// onlyNamed is the Parameter of a name in AWS.
func onlyNamed(name string) *v1alpha1.Parameter {
	GinkgoHelper()
	p, err := world.Services.Parameters.Declared(ctx, world.Namespace, home, name)
	Expect(err).NotTo(HaveOccurred())
	Expect(p).NotTo(BeNil())
	return p.DeepCopy()
}
