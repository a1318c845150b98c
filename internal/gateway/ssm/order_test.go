package ssm_test

import (
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/test/environment"
)

// request is one of an operation about a parameter of a name.
type request struct {
	operation string
	ask       func(who caller, name string) error
	// missing is the code for a parameter that is not there; nothing if that is no error.
	missing string
}

func ask[O, I any](operation, missing string, in func(name string) *I) request {
	return request{operation, func(who caller, name string) error {
		_, err := do[O](who, operation, in(name))
		return err
	}, missing}
}

const parameterType = types.ResourceTypeForTaggingParameter

// requests are one of each operation that is about a parameter; DescribeParameters and the operations on settings are about none, and
// those on resource policies are in resourcepolicy_test.go.
var requests = []request{
	ask[sdk.AddTagsToResourceOutput]("AddTagsToResource", "InvalidResourceId", func(n string) *sdk.AddTagsToResourceInput {
		return &sdk.AddTagsToResourceInput{ResourceType: parameterType, ResourceId: &n, Tags: []types.Tag{{Key: ptr.To("k"), Value: ptr.To("v")}}}
	}),
	ask[sdk.RemoveTagsFromResourceOutput]("RemoveTagsFromResource", "InvalidResourceId", func(n string) *sdk.RemoveTagsFromResourceInput {
		return &sdk.RemoveTagsFromResourceInput{ResourceType: parameterType, ResourceId: &n, TagKeys: []string{"k"}}
	}),
	ask[sdk.ListTagsForResourceOutput]("ListTagsForResource", "InvalidResourceId", func(n string) *sdk.ListTagsForResourceInput {
		return &sdk.ListTagsForResourceInput{ResourceType: parameterType, ResourceId: &n}
	}),
	ask[sdk.GetParameterOutput]("GetParameter", "ParameterNotFound", func(n string) *sdk.GetParameterInput {
		return &sdk.GetParameterInput{Name: &n}
	}),
	ask[sdk.GetParameterHistoryOutput]("GetParameterHistory", "ParameterNotFound", func(n string) *sdk.GetParameterHistoryInput {
		return &sdk.GetParameterHistoryInput{Name: &n}
	}),
	ask[sdk.GetParametersOutput]("GetParameters", "", func(n string) *sdk.GetParametersInput {
		return &sdk.GetParametersInput{Names: []string{n}}
	}),
	ask[sdk.GetParametersByPathOutput]("GetParametersByPath", "", func(n string) *sdk.GetParametersByPathInput {
		return &sdk.GetParametersByPathInput{Path: &n}
	}),
	ask[sdk.LabelParameterVersionOutput]("LabelParameterVersion", "ParameterNotFound", func(n string) *sdk.LabelParameterVersionInput {
		return &sdk.LabelParameterVersionInput{Name: &n, Labels: []string{"l"}}
	}),
	ask[sdk.UnlabelParameterVersionOutput]("UnlabelParameterVersion", "ParameterNotFound", func(n string) *sdk.UnlabelParameterVersionInput {
		return &sdk.UnlabelParameterVersionInput{Name: &n, ParameterVersion: ptr.To(int64(1)), Labels: []string{"l"}}
	}),
	ask[sdk.PutParameterOutput]("PutParameter", "", func(n string) *sdk.PutParameterInput {
		return &sdk.PutParameterInput{Name: &n, Value: ptr.To("v"), Type: types.ParameterTypeString, Overwrite: ptr.To(true)}
	}),
	ask[sdk.DeleteParameterOutput]("DeleteParameter", "ParameterNotFound", func(n string) *sdk.DeleteParameterInput {
		return &sdk.DeleteParameterInput{Name: &n}
	}),
	ask[sdk.DeleteParametersOutput]("DeleteParameters", "", func(n string) *sdk.DeleteParametersInput {
		return &sdk.DeleteParametersInput{Names: []string{n}}
	}),
}

var _ = Describe("Every operation", func() {
	It("is in the table of this file, but for those that are about no parameter, or its resource policy", func() {
		var served, asked []string
		for _, op := range service.Operations {
			served = append(served, op.Name)
		}
		for _, r := range requests {
			asked = append(asked, r.operation)
		}
		Expect(append(asked, "DescribeParameters", "GetServiceSetting", "ResetServiceSetting", "UpdateServiceSetting",
			"PutResourcePolicy", "GetResourcePolicies", "DeleteResourcePolicy")).To(ConsistOf(served))
	})

	It("tells whoever may not ask the same, be the parameter there or not", func() {
		mustPut("/there/a", "v")
		for _, r := range requests {
			told := map[string]bool{}
			for _, name := range []string{"/there/a", "/none/a"} {
				err := r.ask(stranger, name)
				be(err, "AccessDeniedException")
				Expect(err).To(MatchError(ContainSubstring("is not authorized to perform: ssm:"+r.operation)), r.operation)
				told[strings.ReplaceAll(err.Error(), name, "NAME")] = true
			}
			Expect(told).To(HaveLen(1), "%s tells what there is: %v", r.operation, told)
		}
		_, err := do[sdk.DescribeParametersOutput](stranger, "DescribeParameters", &sdk.DescribeParametersInput{})
		be(err, "AccessDeniedException")
	})

	It("tells whoever may ask that a parameter is not there, in the words of its own errors", func() {
		for _, r := range requests {
			if r.operation == "PutParameter" {
				continue
			}
			err := r.ask(allowed("ssm:"+r.operation, arnOf("/none/a")), "/none/a")
			if r.missing == "" {
				Expect(err).NotTo(HaveOccurred(), r.operation)
				continue
			}
			be(err, r.missing)
		}
	})

	It("is permitted by the parameter's ARN, in whatever way the request names it, and by no other's", func() {
		for _, r := range requests {
			mustPut("/may/a", "v", overwrite)
			action := "ssm:" + r.operation
			be(r.ask(allowed(action, arnOf("/may/b")), "/may/a"), "AccessDeniedException")
			be(r.ask(allowed("ssm:Describe*", arnOf("/may/a")), "/may/a"), "AccessDeniedException")
			Expect(r.ask(allowed(action, arnOf("/may/a")), "/may/a")).To(Succeed(), r.operation)
			if r.operation == "PutParameter" || r.operation == "GetParametersByPath" {
				continue // those take no ARN, as in AWS
			}
			mustPut("/may/a", "v", overwrite)
			Expect(r.ask(allowed(action, arnOf("/may/a")), arnOf("/may/a"))).To(Succeed(), r.operation)
		}
	})

	It("on a parameter as a whole does not take the name of one of its versions for it", func() {
		for _, r := range requests {
			mustPut("versioned", "v", overwrite)
			err := r.ask(administrator, "versioned:1")
			switch r.operation {
			case "GetParameter", "GetParameters":
				Expect(err).NotTo(HaveOccurred(), r.operation)
			case "DeleteParameters": // tells it with those that are not there
				Expect(err).NotTo(HaveOccurred())
			case "PutParameter", "GetParametersByPath":
				be(err, "ValidationException")
			default:
				be(err, r.missing)
			}
			Expect(*mustGet("versioned").Value).To(Equal("v"), "%s changed it", r.operation)
		}
		history := must[sdk.GetParameterHistoryOutput]("GetParameterHistory", &sdk.GetParameterHistoryInput{Name: ptr.To("versioned")})
		for _, v := range history.Parameters {
			Expect(v.Labels).To(BeEmpty())
		}
	})

	It("finds no parameter that has been declared and has no value yet", func() {
		p := environment.Parameter(world.Namespace, "declared", func(p *v1alpha1.Parameter) { p.Spec.Value = "" })
		world.Create(p)
		_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(p)
		world.Seen(p)
		for _, r := range requests {
			if r.missing != "" {
				be(r.ask(administrator, "declared"), r.missing)
			}
		}
		Expect(must[sdk.DescribeParametersOutput]("DescribeParameters", &sdk.DescribeParametersInput{}).Parameters).To(BeEmpty())
		Expect(mustPut("declared", "v").Version).To(Equal(int64(1)))
	})
})

var _ = Describe("Several names", func() {
	It("are answered in the order of the request, with all that are none told by name, wherever they stand", func() {
		for _, name := range []string{"a", "/b/c", "d"} {
			mustPut(name, "v")
		}
		for _, in := range [][]string{{"a b", "/b/c", "none", "a", "d:1", "d:x"}, {"/b/c", "a b", "a", "none", "d:1", "d:x"}} {
			out := must[sdk.GetParametersOutput]("GetParameters", &sdk.GetParametersInput{Names: in})
			Expect(names(out.Parameters)).To(Equal([]string{"/b/c", "a", "d"}))
			Expect(out.InvalidParameters).To(ConsistOf("a b", "none", "d:x"))
		}
		_, err := do[sdk.GetParametersOutput](administrator, "GetParameters", &sdk.GetParametersInput{Names: []string{"a b", "c d"}})
		be(err, "ValidationException")
	})

	It("need each its permission before anything is done", func() {
		for _, name := range []string{"a", "b"} {
			mustPut(name, "v")
		}
		for _, in := range [][]string{{"a", "b"}, {"b", "a"}, {"a b", "a", "b"}} {
			_, err := do[sdk.DeleteParametersOutput](allowed("ssm:DeleteParameters", arnOf("a")), "DeleteParameters", &sdk.DeleteParametersInput{Names: in})
			be(err, "AccessDeniedException")
		}
		Expect(*mustGet("a").Value).To(Equal("v"), "one was deleted though the other was not to be")
		out, err := do[sdk.DeleteParametersOutput](allowed("ssm:DeleteParameters", arnOf("*")), "DeleteParameters",
			&sdk.DeleteParametersInput{Names: []string{"a", "a:1", "b", "none", "a b"}})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.DeletedParameters).To(Equal([]string{"a", "b"}))
		Expect(out.InvalidParameters).To(ConsistOf("a:1", "none", "a b"))
	})

	It("are each in the audit record, with the account that they are of", func() {
		mustPut("a", "v")
		mustPut("b", "v")
		call := callOf(administrator, "GetParameters")
		_, err := invoke(call, &sdk.GetParametersInput{Names: []string{"a", "b", "none"}})
		Expect(err).NotTo(HaveOccurred())
		var recorded []string
		for _, r := range call.Resources {
			recorded = append(recorded, r.ARN)
			Expect(r.Account).To(Equal(account))
		}
		Expect(recorded).To(Equal([]string{arnOf("a"), arnOf("b"), arnOf("none")}))
	})
})

var _ = Describe("Conditions of policies", func() {
	It("can ask for the tags that a request sets, for their keys, and for those that it takes away", func() {
		mustPut("a", "v", func(in *sdk.PutParameterInput) { in.Tags = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("shop")}} })
		add := func(who caller, key, value string) error {
			_, err := do[sdk.AddTagsToResourceOutput](who, "AddTagsToResource", &sdk.AddTagsToResourceInput{
				ResourceType: parameterType, ResourceId: ptr.To("a"), Tags: []types.Tag{{Key: &key, Value: &value}},
			})
			return err
		}
		stage := allowed("ssm:AddTagsToResource", "*", `{"StringEquals":{"aws:RequestTag/stage":["dev","prod"]}}`)
		Expect(add(stage, "stage", "dev")).To(Succeed())
		Expect(add(stage, "STAGE", "prod")).To(Succeed(), "keys of tags have no case in policies")
		be(add(stage, "stage", "other"), "AccessDeniedException")
		be(add(stage, "team", "dev"), "AccessDeniedException")
		keys := allowed("ssm:*", "*", `{"ForAllValues:StringEquals":{"aws:TagKeys":["stage"]}}`)
		Expect(add(keys, "stage", "x")).To(Succeed())
		be(add(keys, "team", "x"), "AccessDeniedException")
		remove := func(key string) error {
			_, err := do[sdk.RemoveTagsFromResourceOutput](keys, "RemoveTagsFromResource", &sdk.RemoveTagsFromResourceInput{
				ResourceType: parameterType, ResourceId: ptr.To("a"), TagKeys: []string{key},
			})
			return err
		}
		be(remove("team"), "AccessDeniedException")
		Expect(remove("stage")).To(Succeed())
		for _, prefix := range []string{"aws", "ssm"} {
			who := allowed("ssm:GetParameter", "*", `{"StringEquals":{"`+prefix+`:ResourceTag/team":"shop"}}`)
			_, err := do[sdk.GetParameterOutput](who, "GetParameter", &sdk.GetParameterInput{Name: ptr.To("a")})
			Expect(err).NotTo(HaveOccurred(), prefix)
		}
	})

	It("on tags hold for a new parameter by those that it is to have, which need a permission of their own", func() {
		in := func(team string) *sdk.PutParameterInput {
			return &sdk.PutParameterInput{
				Name: ptr.To("new-" + team), Value: ptr.To("v"), Type: types.ParameterTypeString,
				Tags: []types.Tag{{Key: ptr.To("team"), Value: &team}},
			}
		}
		put := allowed("ssm:PutParameter", "*", `{"StringEquals":{"aws:RequestTag/team":"shop"}}`)
		tag := allowed("ssm:AddTagsToResource", "*", `{"StringEquals":{"aws:ResourceTag/team":"shop"}}`)
		_, err := do[sdk.PutParameterOutput](put, "PutParameter", in("shop"))
		be(err, "AccessDeniedException")
		_, err = do[sdk.PutParameterOutput](put+","+tag, "PutParameter", in("bank"))
		be(err, "AccessDeniedException")
		_, err = do[sdk.PutParameterOutput](put+","+tag, "PutParameter", in("shop"))
		Expect(err).NotTo(HaveOccurred())
	})

	It("on a declared parameter's tags hold for its first value too", func() {
		p := environment.Parameter(world.Namespace, "guarded", func(p *v1alpha1.Parameter) {
			p.Spec.Value, p.Spec.Tags = "", []v1alpha1.Tag{{Key: "guarded", Value: "yes"}}
		})
		world.Create(p)
		_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(p)
		world.Seen(p)
		who := allowed("ssm:PutParameter", "*") + `,{"Effect":"Deny","Action":"ssm:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/guarded":"yes"}}}`
		_, err = do[sdk.PutParameterOutput](who, "PutParameter", &sdk.PutParameterInput{Name: ptr.To("guarded"), Value: ptr.To("v"), Type: types.ParameterTypeString})
		be(err, "AccessDeniedException")
	})

	It("tell overwriting from making and recursion from one level, also where the request leaves them out", func() {
		create := allowed("ssm:PutParameter", "*", `{"StringEquals":{"ssm:Overwrite":"false"}}`)
		level := allowed("ssm:GetParametersByPath", "*", `{"StringEquals":{"ssm:Recursive":"false"}}`)
		for i, said := range []*bool{nil, ptr.To(false), ptr.To(true)} {
			_, err := do[sdk.PutParameterOutput](create, "PutParameter",
				&sdk.PutParameterInput{Name: ptr.To(fmt.Sprint("n", i)), Value: ptr.To("v"), Type: types.ParameterTypeString, Overwrite: said})
			_, recursive := do[sdk.GetParametersByPathOutput](level, "GetParametersByPath", &sdk.GetParametersByPathInput{Path: ptr.To("/"), Recursive: said})
			Expect([]bool{err == nil, recursive == nil}).To(HaveEach(i < 2), "%d", i)
		}
	})
})

var _ = Describe("Whoever may put parameters and not their policies", func() {
	It("puts none, neither with a request nor to a parameter that has some, by a Deny as AWS's guide has it", func() {
		_, err := do[sdk.PutParameterOutput](allowed("ssm:PutParameter", "*"), "PutParameter", &sdk.PutParameterInput{
			Name: ptr.To("policed"), Value: ptr.To("v"), Type: types.ParameterTypeString, Tier: types.ParameterTierAdvanced, Policies: ptr.To("[" + twentyDays + "]"),
		})
		Expect(err).NotTo(HaveOccurred())
		who := allowed("ssm:PutParameter", "*") + `,{"Effect":"Deny","Action":"ssm:PutParameter","Resource":"*","Condition":{"StringEquals":{"ssm:Policies":"true"}}}`
		for name, policies := range map[string]*string{"plain": nil, "new": ptr.To("[" + twentyDays + "]"), "policed": nil} {
			_, err := do[sdk.PutParameterOutput](who, "PutParameter", &sdk.PutParameterInput{
				Name: &name, Value: ptr.To("w"), Type: types.ParameterTypeString, Tier: types.ParameterTierAdvanced, Overwrite: ptr.To(true), Policies: policies,
			})
			if name == "plain" {
				Expect(err).NotTo(HaveOccurred())
				continue
			}
			be(err, "AccessDeniedException")
		}
	})
})

// invoke carries out the operation of a call.
func invoke(call *gateway.Call, in any) (any, error) {
	GinkgoHelper()
	for i := range service.Operations {
		if service.Operations[i].Name == call.Operation {
			return service.Operations[i].Invoke(ctx, call, in)
		}
	}
	Fail("there is no operation " + call.Operation)
	return nil, nil
}
