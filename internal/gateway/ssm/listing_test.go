package ssm_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
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

// replica is one that has told no page yet, and what it lists.
type replica struct {
	service gateway.Service
	counted *listed
}

func replicaOf() replica {
	counted := &listed{Client: world.Services.Parameters.Client}
	parameters := *world.Services.Parameters
	parameters.Client, parameters.Listings = counted, &parameterstore.Listings{}
	return replica{ssm.New(ssm.Dependencies{Parameters: &parameters}), counted}
}

var _ = Describe("A long list", func() {
	var counted *listed
	// over serves by a replica that has told no page yet.
	over := func() {
		fresh := replicaOf()
		counted, service = fresh.counted, fresh.service
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

	It("has what its first page has found new at every replica, whatever that has listed before, and each lists it once more at most", func() {
		here, there := replicaOf(), replicaOf()
		for _, list := range []paged{pagesByPath, pagesDescribed} {
			service = there.service
			_, _, err := list(ptr.To[int32](2), nil)
			Expect(err).NotTo(HaveOccurred())
			late := fmt.Sprintf("/p/late-%d", there.counted.lists)
			mustPut(late, "v")
			want = append(want, late)
			here.counted.lists, there.counted.lists = 0, 0
			service = here.service
			pages := 0
			got := all(list, 2, func() { // by turns
				if service = there.service; pages%2 == 1 {
					service = here.service
				}
				pages++
			})
			Expect(got).To(Equal(append(slices.Clone(want), "/q/other")))
			Expect([]int{here.counted.lists, there.counted.lists}).To(Equal([]int{1, 1}), "%d pages", pages)
		}
	})

	It("goes on by turns without another list for each page where its newest entry was deleted", func() {
		here, there := replicaOf(), replicaOf()
		service = here.service
		first, token, err := pagesByPath(ptr.To[int32](2), nil)
		Expect(err).NotTo(HaveOccurred())
		must[sdk.DeleteParameterOutput]("DeleteParameter", &sdk.DeleteParameterInput{Name: ptr.To("/q/other")})
		here.counted.lists, there.counted.lists = 0, 0
		got := first
		for turn := 0; token != nil; turn++ {
			Expect(turn).To(BeNumerically("<", 10))
			if service = there.service; turn%2 == 1 {
				service = here.service
			}
			var more []string
			more, token, err = pagesByPath(ptr.To[int32](2), token)
			Expect(err).NotTo(HaveOccurred())
			got = append(got, more...)
		}
		Expect(got).To(Equal(want))
		Expect([]int{here.counted.lists, there.counted.lists}).To(Equal([]int{0, 1}))
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
