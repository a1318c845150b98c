package ssm_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
)

// paged lists one page of what there is and returns the names on it, or the numbers of versions.
type paged func(most *int32, token *string) ([]string, *string, error)

func pagesByPath(most *int32, token *string) ([]string, *string, error) {
	out, err := byPath("/", recursively, func(in *sdk.GetParametersByPathInput) { in.MaxResults, in.NextToken = most, token })
	if err != nil {
		return nil, nil, err
	}
	return names(out.Parameters), out.NextToken, nil
}

func pagesDescribed(most *int32, token *string) ([]string, *string, error) {
	out, err := do[sdk.DescribeParametersOutput](administrator, "DescribeParameters", &sdk.DescribeParametersInput{MaxResults: most, NextToken: token})
	if err != nil {
		return nil, nil, err
	}
	return described(out), out.NextToken, nil
}

func pagesOfHistory(most *int32, token *string) ([]string, *string, error) {
	out, err := do[sdk.GetParameterHistoryOutput](administrator, "GetParameterHistory",
		&sdk.GetParameterHistoryInput{Name: ptr.To("history"), MaxResults: most, NextToken: token})
	if err != nil {
		return nil, nil, err
	}
	var numbers []string
	for i := range out.Parameters {
		numbers = append(numbers, fmt.Sprint(out.Parameters[i].Version))
	}
	return numbers, out.NextToken, nil
}

func described(out *sdk.DescribeParametersOutput) (all []string) {
	for i := range out.Parameters {
		all = append(all, *out.Parameters[i].Name)
	}
	return all
}

// all reads page after page; between is called after each.
func all(list paged, most int32, between func()) (out []string) {
	GinkgoHelper()
	var token *string
	for range 100 {
		page, next, err := list(&most, token)
		Expect(err).NotTo(HaveOccurred())
		Expect(len(page)).To(BeNumerically("<=", most))
		out = append(out, page...)
		if token = next; token == nil {
			return out
		}
		Expect(page).NotTo(BeEmpty())
		between()
	}
	Fail("the pages do not end")
	return nil
}

func thirteen() (all []string) {
	for i := range 13 {
		all = append(all, fmt.Sprintf("/p/%02d", i))
	}
	return all
}

var _ = Describe("Pages", func() {
	It("of every size together are the list, each entry once and in order", func() {
		want := thirteen()
		for _, name := range slices.Backward(want) {
			mustPut(name, "v")
		}
		for _, most := range []int32{1, 2, 5, 10} {
			Expect(all(pagesByPath, most, func() {})).To(Equal(want), "GetParametersByPath by %d", most)
			Expect(all(pagesDescribed, most, func() {})).To(Equal(want), "DescribeParameters by %d", most)
		}
		Expect(all(pagesDescribed, 13, func() {})).To(Equal(want), "a page that is just full is the last")
		page, next, err := pagesByPath(nil, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(page).To(HaveLen(10), "GetParametersByPath shows ten if nothing is said")
		Expect(next).NotTo(BeNil())
		page, next, err = pagesDescribed(nil, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(page).To(HaveLen(13), "DescribeParameters shows fifty if nothing is said")
		Expect(next).To(BeNil())
	})

	It("of a history come in the order of numbers, also past the tenth", func() {
		mustPut("history", "1")
		want := []string{"1"}
		for n := 2; n <= 12; n++ {
			mustPut("history", fmt.Sprint(n), overwrite)
			want = append(want, fmt.Sprint(n))
		}
		Expect(all(pagesOfHistory, 5, func() {})).To(Equal(want))
		Expect(all(pagesOfHistory, 1, func() {})).To(Equal(want))
	})

	It("show each entry that stays once, whatever is made, overwritten and deleted meanwhile", func() {
		stay := thirteen()
		for _, name := range stay {
			mustPut(name, "v")
		}
		round := 0
		disturb := func() { // before, among and behind the entries
			round++
			mustPut(fmt.Sprintf("/a/%02d", round), "new")
			mustPut(fmt.Sprintf("/p/%02d-new", round), "new")
			mustPut(fmt.Sprintf("/z/%02d", round), "new")
			mustPut(stay[round%len(stay)], "again", overwrite)
			must[sdk.DeleteParameterOutput]("DeleteParameter", &sdk.DeleteParameterInput{Name: ptr.To(fmt.Sprintf("/a/%02d", round))})
		}
		for _, list := range []paged{pagesByPath, pagesDescribed} {
			got := all(list, 3, disturb)
			Expect(slices.IsSorted(got)).To(BeTrue(), "%v", got)
			Expect(slices.Compact(slices.Clone(got))).To(Equal(got), "an entry came twice")
			Expect(slices.DeleteFunc(got, func(n string) bool { return !slices.Contains(stay, n) })).To(Equal(stay))
			for n := 1; n <= round; n++ {
				must[sdk.DeleteParametersOutput]("DeleteParameters", &sdk.DeleteParametersInput{
					Names: []string{fmt.Sprintf("/p/%02d-new", n), fmt.Sprintf("/z/%02d", n)},
				})
			}
			round = 0
		}
	})

	It("are whole while others write without a pause", func() {
		stay := thirteen()
		for _, name := range stay {
			mustPut(name, "v")
		}
		stop := make(chan struct{})
		var writers sync.WaitGroup
		for w := range 3 {
			writers.Go(func() {
				defer GinkgoRecover()
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					name := fmt.Sprintf("/p/%02d-%d", n%13, w)
					mustPut(name, "v")
					must[sdk.DeleteParameterOutput]("DeleteParameter", &sdk.DeleteParameterInput{Name: &name})
				}
			})
		}
		for range 10 {
			got := all(pagesDescribed, 4, func() {})
			Expect(slices.DeleteFunc(got, func(n string) bool { return !slices.Contains(stay, n) })).To(Equal(stay))
		}
		close(stop)
		writers.Wait()
	})

	It("are cut by tokens that no other list takes, and that tell nothing which the page did not show", func() {
		for _, name := range []string{"/p/a", "/p/b", "/p/secret-name"} {
			mustPut(name, "v")
		}
		mustPut("history", "1")
		mustPut("history", "2", overwrite)
		one := ptr.To(int32(1))
		tokens := map[string]*string{}
		for name, list := range map[string]paged{"path": pagesByPath, "described": pagesDescribed, "history": pagesOfHistory} {
			_, next, err := list(one, nil)
			Expect(err).NotTo(HaveOccurred())
			Expect(next).NotTo(BeNil(), name)
			text, err := base64.RawURLEncoding.DecodeString(*next)
			Expect(err).NotTo(HaveOccurred())
			Expect(string(text)).NotTo(ContainSubstring("secret-name"))
			tokens[name] = next
		}
		for of, list := range map[string]paged{"path": pagesByPath, "described": pagesDescribed, "history": pagesOfHistory} {
			for name, token := range tokens {
				_, _, err := list(one, token)
				if of == name {
					Expect(err).NotTo(HaveOccurred())
					continue
				}
				be(err, "InvalidNextToken")
			}
		}
		_, err := byPath("/p", func(in *sdk.GetParametersByPathInput) { in.NextToken = tokens["path"] })
		be(err, "InvalidNextToken")
	})

	It("are of the filters that the first one had, and may be of another size", func() {
		for _, name := range []string{"/f/a", "/f/b", "/f/c"} {
			mustPut(name, "v")
		}
		texts := []types.ParameterStringFilter{{Key: ptr.To("Type"), Values: []string{"String"}}}
		secrets := []types.ParameterStringFilter{{Key: ptr.To("Type"), Values: []string{"SecureString"}}}
		by := func(filters []types.ParameterStringFilter, most int32, token *string) (*sdk.GetParametersByPathOutput, error) {
			return byPath("/f", func(in *sdk.GetParametersByPathInput) {
				in.ParameterFilters, in.MaxResults, in.NextToken = filters, &most, token
			})
		}
		of := func(filters []types.ParameterStringFilter, most int32, token *string) (*sdk.DescribeParametersOutput, error) {
			return do[sdk.DescribeParametersOutput](administrator, "DescribeParameters", &sdk.DescribeParametersInput{ParameterFilters: filters, MaxResults: &most, NextToken: token})
		}
		path, err := by(texts, 1, nil)
		Expect(err).NotTo(HaveOccurred())
		whole, err := of(texts, 1, nil)
		Expect(err).NotTo(HaveOccurred())
		for _, other := range [][]types.ParameterStringFilter{nil, secrets} {
			_, err = by(other, 1, path.NextToken)
			be(err, "InvalidNextToken")
			_, err = of(other, 1, whole.NextToken)
			be(err, "InvalidNextToken")
		}
		_, err = byPath("/f", recursively, func(in *sdk.GetParametersByPathInput) { in.ParameterFilters, in.NextToken = texts, path.NextToken })
		be(err, "InvalidNextToken")
		rest, err := by(texts, 10, path.NextToken)
		Expect(err).NotTo(HaveOccurred())
		Expect(names(rest.Parameters)).To(Equal([]string{"/f/b", "/f/c"}))
		more, err := of(texts, 10, whole.NextToken)
		Expect(err).NotTo(HaveOccurred())
		Expect(described(more)).To(Equal([]string{"/f/b", "/f/c"}))
	})

	DescribeTable("are not cut by what is no token", func(token string) {
		mustPut("history", "1")
		for _, list := range []paged{pagesByPath, pagesDescribed, pagesOfHistory} {
			_, _, err := list(nil, &token)
			be(err, "InvalidNextToken")
		}
	},
		Entry("nothing", ""), Entry("no base64", "!!!"), Entry("padding", "cGFyYW1ldGVycw=="), Entry("text", "bm9uZQ"),
		Entry("zero bytes", "AAAA"), Entry("a long one", strings.Repeat("QUFB", 5000)),
		Entry("the beginning of a good one", base64.RawURLEncoding.EncodeToString([]byte("parameter"))),
	)
})

var _ = Describe("DescribeParameters", func() {
	var keyARN string
	BeforeEach(func() {
		keyARN = world.ReadyKey("mine").Status.ARN
		mustPut("/a/x", "v", func(in *sdk.PutParameterInput) {
			in.Description, in.AllowedPattern = ptr.To("what it is for"), ptr.To("v")
			in.Tags = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("shop")}, {Key: ptr.To("stage"), Value: ptr.To("")}}
		})
		mustPut("/a/b/list", "a,b", func(in *sdk.PutParameterInput) {
			in.Type, in.Tier = types.ParameterTypeStringList, types.ParameterTierAdvanced
			in.Tags = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("bank")}}
		})
		mustPut("own", "hush", secure)
		mustPut("theirs", "hush", secure, func(in *sdk.PutParameterInput) { in.KeyId = &keyARN })
	})
	list := func(filters ...types.ParameterStringFilter) ([]string, error) {
		out, err := do[sdk.DescribeParametersOutput](administrator, "DescribeParameters", &sdk.DescribeParametersInput{ParameterFilters: filters})
		if err != nil {
			return nil, err
		}
		return described(out), nil
	}

	It("tells everything of a parameter but its value", func() {
		out := must[sdk.DescribeParametersOutput]("DescribeParameters", &sdk.DescribeParametersInput{})
		Expect(out.Parameters).To(HaveLen(4))
		by := map[string]types.ParameterMetadata{}
		for _, p := range out.Parameters {
			by[*p.Name] = p
			Expect(*p.ARN).To(Equal(arnOf(*p.Name)))
			Expect(p.Version).To(Equal(int64(1)))
			Expect(*p.LastModifiedDate).To(Equal(*mustGet(*p.Name).LastModifiedDate))
			Expect(*p.DataType).To(Equal("text"))
		}
		Expect(*by["/a/x"].Description).To(Equal("what it is for"))
		Expect(*by["/a/x"].AllowedPattern).To(Equal("v"))
		Expect(by["/a/x"].KeyId).To(BeNil())
		Expect(by["/a/b/list"].Tier).To(Equal(types.ParameterTierAdvanced))
		Expect(*by["own"].KeyId).To(Equal("alias/aws/ssm"))
		Expect(*by["theirs"].KeyId).To(Equal(keyARN))
	})

	DescribeTable("lists by filters", func(want []string, filters ...types.ParameterStringFilter) {
		Expect(list(filters...)).To(Equal(want))
	},
		Entry("a name with and without its slash", []string{"own"}, filter("Name", "", "/own")),
		Entry("a name, whole", nil, filter("Name", "Equals", "ow")),
		Entry("names by their beginning", []string{"/a/b/list", "/a/x"}, filter("Name", "BeginsWith", "a/")),
		Entry("names by a part", []string{"theirs"}, filter("Name", "Contains", "eir")),
		Entry("a level", []string{"/a/x"}, filter("Path", "", "/a")),
		Entry("a level and all below", []string{"/a/b/list", "/a/x"}, filter("Path", "Recursive", "/a/")),
		Entry("two paths", []string{"/a/b/list", "/a/x"}, filter("Path", "OneLevel", "/a", "/a/b")),
		Entry("types", []string{"own", "theirs"}, filter("Type", "", "SecureString")),
		Entry("a tier", []string{"/a/b/list"}, filter("Tier", "", "Advanced")),
		Entry("tiers by their beginning", []string{"/a/b/list"}, filter("Tier", "BeginsWith", "Adv")),
		Entry("a tag by the beginning of its value", []string{"/a/x"}, filter("tag:team", "BeginsWith", "sh")),
		Entry("a tag by the beginnings of two values", []string{"/a/b/list", "/a/x"}, filter("tag:team", "BeginsWith", "sh", "ba")),
		Entry("a tag by a beginning that none has", nil, filter("tag:team", "BeginsWith", "hop")),
		Entry("the data type by its beginning", []string{"/a/b/list", "/a/x", "own", "theirs"}, filter("DataType", "BeginsWith", "te")),
		Entry("the data type", []string{"/a/b/list", "/a/x", "own", "theirs"}, filter("DataType", "", "text")),
		Entry("a data type that none has", nil, filter("DataType", "", "aws:ec2:image")),
		Entry("a tag by its key", []string{"/a/b/list", "/a/x"}, filter("tag:team", "")),
		Entry("a tag by its value", []string{"/a/x"}, filter("tag:team", "", "shop")),
		Entry("a tag with an empty value", []string{"/a/x"}, filter("tag:stage", "Equals", "")),
		Entry("a tag of another case, which is another", nil, filter("tag:Team", "")),
		Entry("two filters", []string{"/a/x"}, filter("tag:team", ""), filter("Type", "", "String")),
	)

	It("lists by key, also one that is gone", func() {
		Expect(list(filter("KeyId", "", keyARN))).To(Equal([]string{"theirs"}))
		Expect(list(filter("KeyId", "", "alias/aws/ssm"))).To(Equal([]string{"own"}))
	})

	It("takes the older Filters, and not both", func() {
		older := []types.ParametersFilter{{Key: types.ParametersFilterKeyType, Values: []string{"StringList"}}}
		out := must[sdk.DescribeParametersOutput]("DescribeParameters", &sdk.DescribeParametersInput{Filters: older})
		Expect(described(out)).To(Equal([]string{"/a/b/list"}))
		_, err := do[sdk.DescribeParametersOutput](administrator, "DescribeParameters", &sdk.DescribeParametersInput{
			Filters: older, ParameterFilters: []types.ParameterStringFilter{filter("Name", "", "x")},
		})
		be(err, "ValidationException")
	})

	It("shows none that is shared, since none is", func() {
		out := must[sdk.DescribeParametersOutput]("DescribeParameters", &sdk.DescribeParametersInput{Shared: ptr.To(true)})
		Expect(out.Parameters).To(BeEmpty())
	})

	DescribeTable("checks filters", func(code string, f types.ParameterStringFilter) {
		_, err := list(f)
		be(err, code)
	},
		Entry("a label", "InvalidFilterKey", filter("Label", "", "x")), Entry("a key of nobody's", "InvalidFilterKey", filter("name", "", "x")),
		Entry("a path by its beginning", "InvalidFilterOption", filter("Path", "BeginsWith", "/x")),
		Entry("a type by a part", "InvalidFilterOption", filter("Type", "Contains", "x")), Entry("a tier by a part", "InvalidFilterOption", filter("Tier", "Contains", "x")),
		Entry("a tag by a part", "InvalidFilterOption", filter("tag:team", "Contains", "x")),
		Entry("a path without its slash", "ValidationException", filter("Path", "", "/a", "b")), Entry("an empty level", "ValidationException", filter("Path", "", "/h//x")),
		Entry("a path of AWS's own", "ValidationException", filter("Path", "", "/AWS")), Entry("a path with what no name has", "ValidationException", filter("Path", "", "/#")),
		Entry("a type that is none", "InvalidFilterOption", filter("Type", "", "String", "Nope")), Entry("a tier that is none", "InvalidFilterOption", filter("Tier", "", "Foo")),
		Entry("a name without a value", "InvalidFilterValue", filter("Name", "Equals")),
	)

	It("has each filter once, and no more than a parameter can have", func() {
		_, err := list(filter("Name", "", "a"), filter("Type", "", "String"), filter("Name", "", "b"))
		be(err, "InvalidFilterKey")
		Expect(err).To(MatchError(ContainSubstring("duplicated in the request: Name")))
		_, err = list(filter("tag:a", "", "x"), filter("tag:b", "", "x"))
		Expect(err).NotTo(HaveOccurred())
		many := make([]types.ParameterStringFilter, 61)
		for i := range many {
			many[i] = filter(fmt.Sprintf("tag:%d", i), "", "x")
		}
		_, err = list(many...)
		be(err, "ValidationException")
	})
})
