package page_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	coreiam "strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/page"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// asking is a call of an operation, as AWS writes it: service:operation.
func asking(action string, change ...func(*gateway.Call)) *gateway.Call {
	service, operation, _ := strings.Cut(action, ":")
	call := &gateway.Call{
		Service: service, Operation: operation, Region: "us-east-1",
		Identity: &serviceiam.Identity{Principal: coreiam.Principal{Account: "111122223333"}},
	}
	for _, c := range change {
		c(call)
	}
	return call
}

func filter(key string, values ...string) types.ParameterStringFilter {
	return types.ParameterStringFilter{Key: &key, Values: values}
}

func TestAListIsTheSameHoweverItsPagesAreAskedFor(t *testing.T) {
	for action, lists := range map[string][2]any{
		"ssm:DescribeParameters": {
			&ssm.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{filter("Type", "String")}},
			&ssm.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{filter("Type", "String")}, NextToken: ptr.To("x"), MaxResults: ptr.To[int32](5)},
		},
		"kms:ListAliases": {&kms.ListAliasesInput{KeyId: ptr.To("k")}, &kms.ListAliasesInput{KeyId: ptr.To("k"), Marker: ptr.To("m"), Limit: ptr.To[int32](1)}},
		"iam:ListUsers":   {&iam.ListUsersInput{PathPrefix: ptr.To("/a/")}, &iam.ListUsersInput{PathPrefix: ptr.To("/a/"), Marker: ptr.To("m"), MaxItems: ptr.To[int32](1)}},
		"cloudhsm:DescribeClusters": {
			&cloudhsmv2.DescribeClustersInput{Filters: map[string][]string{"states": {"ACTIVE"}, "clusterIds": {"a", "b"}}},
			&cloudhsmv2.DescribeClustersInput{Filters: map[string][]string{"clusterIds": {"a", "b"}, "states": {"ACTIVE"}}},
		},
	} {
		one, same := page.Of(asking(action), lists[0]), page.Of(asking(action), lists[1])
		if one != same || len(one) != 22 {
			t.Errorf("%s: %s and %s", action, one, same)
		}
	}
	in := &ssm.DescribeParametersInput{NextToken: ptr.To("x")}
	if page.Of(asking("ssm:DescribeParameters"), in); in.NextToken == nil {
		t.Error("the input has changed")
	}
}

func TestAListIsAnotherByWhoAsksAndByEachFilter(t *testing.T) {
	const action = "ssm:GetParametersByPath"
	seen := map[string]string{}
	note := func(name, of string) {
		if before, is := seen[of]; is {
			t.Errorf("%s is the same list as %s", name, before)
		}
		seen[of] = name
	}
	path := func(change ...func(*ssm.GetParametersByPathInput)) *ssm.GetParametersByPathInput {
		in := &ssm.GetParametersByPathInput{Path: ptr.To("/a")}
		for _, c := range change {
			c(in)
		}
		return in
	}
	note("the list", page.Of(asking(action), path()))
	note("another account's", page.Of(asking(action, func(c *gateway.Call) { c.Identity.Principal.Account = "999999999999" }), path()))
	note("another region's", page.Of(asking(action, func(c *gateway.Call) { c.Region = "eu-west-1" }), path()))
	note("another operation's", page.Of(asking("ssm:DescribeParameters"), path()))
	note("another service's", page.Of(asking("kms:GetParametersByPath"), path()))
	note("of another path", page.Of(asking(action), path(func(in *ssm.GetParametersByPathInput) { in.Path = ptr.To("/b") })))
	note("of all levels", page.Of(asking(action), path(func(in *ssm.GetParametersByPathInput) { in.Recursive = ptr.To(true) })))
	for name, filters := range map[string][]types.ParameterStringFilter{
		"a type": {filter("Type", "String")}, "another type": {filter("Type", "StringList")}, "two types": {filter("Type", "String", "StringList")},
		"a label": {filter("Label", "String")}, "both": {filter("Type", "String"), filter("Label", "x")}, "a value of two": {filter("Type", "String,StringList")},
		"a value that is no text": {filter("Type", "\xff")},
	} {
		note("filtered by "+name, page.Of(asking(action), path(func(in *ssm.GetParametersByPathInput) { in.ParameterFilters = filters })))
	}
}
