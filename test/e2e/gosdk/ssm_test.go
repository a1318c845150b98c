package gosdk_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go/middleware"

	gateway "strongroom.dev/strongroom/internal/gateway/ssm"
)

// succeeded notes the operations that a client was answered without an error.
type succeeded struct {
	mu         sync.Mutex
	operations []string
}

func (s *succeeded) note(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Succeeded", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
		middleware.InitializeOutput, middleware.Metadata, error,
	) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		if err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.operations = append(s.operations, awsmiddleware.GetOperationName(ctx))
		}
		return out, metadata, err
	}), middleware.After)
}

func parameters(t *testing.T, of *succeeded) *ssm.Client {
	t.Helper()
	return ssm.NewFromConfig(loaded(t), func(o *ssm.Options) { o.APIOptions = append(o.APIOptions, of.note) })
}

// must is an answer, which is expected.
func must[O any](t *testing.T) func(*O, error) *O {
	return func(out *O, err error) *O {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func TestEachOperationOfTheParameterStoreIsAnsweredAsTheSDKUnderstandsIt(t *testing.T) {
	var asked succeeded
	client := parameters(t, &asked)
	name, secret := aws.String("/go/app/level"), aws.String("/go/app/db/password")
	livesThrough(t, client, name, secret)
	isListed(t, client)
	isTagged(t, client, name)
	isShared(t, client, name)
	hasSettings(t, client)

	deleted := must[ssm.DeleteParametersOutput](t)(client.DeleteParameters(t.Context(), &ssm.DeleteParametersInput{Names: []string{*secret, "/go/none"}}))
	if !slices.Equal(deleted.DeletedParameters, []string{*secret}) || !slices.Equal(deleted.InvalidParameters, []string{"/go/none"}) {
		t.Errorf("%v, %v", deleted.DeletedParameters, deleted.InvalidParameters)
	}
	must[ssm.DeleteParameterOutput](t)(client.DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: name}))
	var none *ssmtypes.ParameterNotFound
	if _, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: name}); !errors.As(err, &none) {
		t.Errorf("a parameter that was deleted: %v", err)
	}
	for _, operation := range gateway.New(gateway.Dependencies{}).Operations {
		if !slices.Contains(asked.operations, operation.Name) {
			t.Errorf("%s was not answered once", operation.Name)
		}
	}
}

// livesThrough makes two parameters, with two versions of the first, and reads them by all that names a version.
func livesThrough(t *testing.T, client *ssm.Client, name, secret *string) {
	t.Helper()
	put := must[ssm.PutParameterOutput](t)
	first := put(client.PutParameter(t.Context(), &ssm.PutParameterInput{
		Name: name, Value: aws.String("info"), Type: ssmtypes.ParameterTypeString, Tier: ssmtypes.ParameterTierAdvanced, Description: aws.String("ä"),
	}))
	second := put(client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: name, Value: aws.String("debug"), Overwrite: aws.Bool(true)}))
	put(client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: secret, Value: aws.String("hush"), Type: ssmtypes.ParameterTypeSecureString}))
	if first.Version != 1 || first.Tier != ssmtypes.ParameterTierAdvanced || second.Version != 2 {
		t.Errorf("%+v, %+v", first, second)
	}
	var exists *ssmtypes.ParameterAlreadyExists
	if _, err := client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: name, Value: aws.String("x"), Type: ssmtypes.ParameterTypeString}); !errors.As(err, &exists) {
		t.Errorf("put without overwrite: %v", err)
	}
	labelled := must[ssm.LabelParameterVersionOutput](t)(client.LabelParameterVersion(t.Context(), &ssm.LabelParameterVersionInput{
		Name: name, ParameterVersion: aws.Int64(1), Labels: []string{"stable", "aws-is-none"},
	}))
	if labelled.ParameterVersion != 1 || !slices.Equal(labelled.InvalidLabels, []string{"aws-is-none"}) {
		t.Errorf("%+v", labelled)
	}
	for selector, want := range map[string]string{"": "debug", ":1": "info", ":stable": "info", ":2": "debug"} {
		got := must[ssm.GetParameterOutput](t)(client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String(*name + selector)})).Parameter
		if aws.ToString(got.Value) != want || aws.ToString(got.Selector) != selector || time.Since(aws.ToTime(got.LastModifiedDate)).Abs() > time.Hour {
			t.Errorf("%s%s: %+v", *name, selector, got)
		}
	}
	history := must[ssm.GetParameterHistoryOutput](t)(client.GetParameterHistory(t.Context(), &ssm.GetParameterHistoryInput{Name: name})).Parameters
	if len(history) != 2 || !slices.Equal(history[0].Labels, []string{"stable"}) || aws.ToString(history[1].Value) != "debug" || aws.ToString(history[1].Description) != "ä" {
		t.Errorf("%+v", history)
	}
	unlabelled := must[ssm.UnlabelParameterVersionOutput](t)(client.UnlabelParameterVersion(t.Context(), &ssm.UnlabelParameterVersionInput{
		Name: name, ParameterVersion: aws.Int64(1), Labels: []string{"stable", "other"},
	}))
	if !slices.Equal(unlabelled.RemovedLabels, []string{"stable"}) || !slices.Equal(unlabelled.InvalidLabels, []string{"other"}) {
		t.Errorf("%+v", unlabelled)
	}
	several := must[ssm.GetParametersOutput](t)(client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{*secret, "/go/none"}, WithDecryption: aws.Bool(true)}))
	if len(several.Parameters) != 1 || aws.ToString(several.Parameters[0].Value) != "hush" || !slices.Equal(several.InvalidParameters, []string{"/go/none"}) {
		t.Errorf("%+v", several)
	}
}

// isListed reads both parameters by the paginators, an entry a page.
func isListed(t *testing.T, client *ssm.Client) {
	t.Helper()
	want := []string{"/go/app/db/password", "/go/app/level"}
	var got []string
	pages := ssm.NewGetParametersByPathPaginator(client, &ssm.GetParametersByPathInput{Path: aws.String("/go"), Recursive: aws.Bool(true), MaxResults: aws.Int32(1)})
	for pages.HasMorePages() {
		for _, p := range must[ssm.GetParametersByPathOutput](t)(pages.NextPage(t.Context())).Parameters {
			got = append(got, *p.Name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("by path: %v", got)
	}
	got = nil
	described := ssm.NewDescribeParametersPaginator(client, &ssm.DescribeParametersInput{MaxResults: aws.Int32(1), ParameterFilters: []ssmtypes.ParameterStringFilter{
		{Key: aws.String("Path"), Option: aws.String("Recursive"), Values: []string{"/go"}},
	}})
	for described.HasMorePages() {
		for _, p := range must[ssm.DescribeParametersOutput](t)(described.NextPage(t.Context())).Parameters {
			got = append(got, *p.Name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("described: %v", got)
	}
}

func isTagged(t *testing.T, client *ssm.Client, name *string) {
	t.Helper()
	of := ssmtypes.ResourceTypeForTaggingParameter
	tags := func() []ssmtypes.Tag {
		return must[ssm.ListTagsForResourceOutput](t)(client.ListTagsForResource(t.Context(), &ssm.ListTagsForResourceInput{ResourceType: of, ResourceId: name})).TagList
	}
	must[ssm.AddTagsToResourceOutput](t)(client.AddTagsToResource(t.Context(), &ssm.AddTagsToResourceInput{
		ResourceType: of, ResourceId: name, Tags: []ssmtypes.Tag{{Key: aws.String("team"), Value: aws.String("shop")}},
	}))
	if got := tags(); len(got) != 1 || *got[0].Key != "team" || *got[0].Value != "shop" {
		t.Errorf("%+v", got)
	}
	must[ssm.RemoveTagsFromResourceOutput](t)(client.RemoveTagsFromResource(t.Context(), &ssm.RemoveTagsFromResourceInput{ResourceType: of, ResourceId: name, TagKeys: []string{"team"}}))
	if got := tags(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func isShared(t *testing.T, client *ssm.Client, name *string) {
	t.Helper()
	arn := must[ssm.GetParameterOutput](t)(client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: name})).Parameter.ARN
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"ssm:GetParameter","Resource":"*"}]}`
	put := must[ssm.PutResourcePolicyOutput](t)(client.PutResourcePolicy(t.Context(), &ssm.PutResourcePolicyInput{ResourceArn: arn, Policy: &policy}))
	has := func() []ssmtypes.GetResourcePoliciesResponseEntry {
		return must[ssm.GetResourcePoliciesOutput](t)(client.GetResourcePolicies(t.Context(), &ssm.GetResourcePoliciesInput{ResourceArn: arn})).Policies
	}
	if got := has(); len(got) != 1 || *got[0].PolicyId != *put.PolicyId || *got[0].PolicyHash != *put.PolicyHash {
		t.Errorf("%+v", got)
	}
	must[ssm.DeleteResourcePolicyOutput](t)(client.DeleteResourcePolicy(t.Context(), &ssm.DeleteResourcePolicyInput{ResourceArn: arn, PolicyId: put.PolicyId, PolicyHash: put.PolicyHash}))
	if got := has(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func hasSettings(t *testing.T, client *ssm.Client) {
	t.Helper()
	id := aws.String("/ssm/parameter-store/high-throughput-enabled")
	is := func() string {
		return aws.ToString(must[ssm.GetServiceSettingOutput](t)(client.GetServiceSetting(t.Context(), &ssm.GetServiceSettingInput{SettingId: id})).ServiceSetting.SettingValue)
	}
	must[ssm.UpdateServiceSettingOutput](t)(client.UpdateServiceSetting(t.Context(), &ssm.UpdateServiceSettingInput{SettingId: id, SettingValue: aws.String("true")}))
	if got := is(); got != "true" {
		t.Error(got)
	}
	reset := must[ssm.ResetServiceSettingOutput](t)(client.ResetServiceSetting(t.Context(), &ssm.ResetServiceSettingInput{SettingId: id}))
	if got := is(); got != "false" || aws.ToString(reset.ServiceSetting.SettingValue) != "false" {
		t.Errorf("%s, %+v", got, reset.ServiceSetting)
	}
}
