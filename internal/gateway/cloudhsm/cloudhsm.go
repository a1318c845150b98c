// Package cloudhsm is AWS CloudHSM's API (version 2) over the service of the same name. It finds what a request is about, says what policies are asked,
// and translates; what is done is the service's.
//
// A cluster that the API makes has SoftHSM, and initialises itself when it gets its first HSM: there is no InitializeCluster to call, and nobody's certificate to sign.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/Welcome.html
package cloudhsm

import (
	"context"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudhsmv2/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

const (
	// ModelName is the service's name among AWS's models.
	ModelName = "cloudhsmv2"
	// SigningName is the service's name in signatures and in the actions of policies.
	SigningName = "cloudhsm"
)

// Dependencies are what the operations stand on.
type Dependencies struct {
	// Clusters carries out what is permitted.
	Clusters *cloudhsm.Service
}

// api is the operations' receiver.
type api struct{ Dependencies }

// New makes the service.
func New(d Dependencies) gateway.Service {
	a := &api{d}
	return gateway.Service{Name: ModelName, Operations: []gateway.Operation{
		gateway.Op("CreateCluster", resolveCreate, a.createCluster),
		gateway.Op("CreateHsm", on(a, func(in *sdk.CreateHsmInput) asked { return asked{id: in.ClusterId} }), a.createHsm),
		gateway.Op("DeleteCluster", on(a, func(in *sdk.DeleteClusterInput) asked { return asked{id: in.ClusterId} }), a.deleteCluster),
		gateway.Op("DeleteHsm", none[sdk.DeleteHsmInput], a.deleteHsm),
		gateway.Op("DescribeClusters", none[sdk.DescribeClustersInput], a.describeClusters, gateway.ReadOnly),
		gateway.Op("ListTags", on(a, func(in *sdk.ListTagsInput) asked { return asked{id: in.ResourceId} }), a.listTags, gateway.ReadOnly),
		gateway.Op("TagResource", on(a, func(in *sdk.TagResourceInput) asked { return asked{id: in.ResourceId, tags: tagsOf(in.TagList)} }), a.tagResource),
		gateway.Op("UntagResource", on(a, func(in *sdk.UntagResourceInput) asked { return asked{id: in.ResourceId, tagKeys: in.TagKeyList} }), a.untagResource),
	}}
}

// none is the resource of an operation that policies have none for, as in AWS.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudhsm.html
func none[I any](context.Context, *gateway.Call, *I) (gateway.Resource[struct{}], error) {
	return gateway.Resource[struct{}]{ARN: "*"}, nil
}

// asked is what an operation asks about a cluster.
type asked struct {
	id *string
	// tags and tagKeys of the request.
	tags    []v1alpha1.Tag
	tagKeys []string
}

// target is the cluster that a request is about.
type target = *v1alpha1.HSMCluster

// on makes the Resolve of an operation on a cluster. What is there and what is not differ in Missing alone, and in what policies see of a cluster: its tags.
func on[I any](a *api, ask func(*I) asked) gateway.Resolve[I, target] {
	return func(ctx context.Context, call *gateway.Call, in *I) (gateway.Resource[target], error) {
		given := ask(in)
		id := ptr.Deref(given.id, "")
		keys := &conditionKeys{Keys: tags.Keys{Request: given.tags}, tagKeys: given.tagKeys}
		out := gateway.Resource[target]{ARN: arn.HSMCluster(call.Region, call.Account(), id), Context: keys, Missing: notFound(id)}
		if strings.HasPrefix(id, "backup-") { // there are none
			out.ARN = arn.HSMBackup(call.Region, call.Account(), id)
			return out, nil
		}
		hc, err := a.Clusters.Find(ctx, call.Namespace(), call.Region, id)
		if err == nil && hc != nil {
			out.Value, out.Missing, keys.Resource = hc, nil, hc.Spec.Tags
		}
		return out, err
	}
}

// conditionKeys is the condition keys of one request. UntagResource has tag keys without values.
type conditionKeys struct {
	tags.Keys
	tagKeys []string
}

// Values implements iam.Context.
func (k *conditionKeys) Values(key string) ([]string, bool) {
	if key == "aws:tagkeys" && k.tagKeys != nil {
		return k.tagKeys, true
	}
	return k.Keys.Values(key)
}

func tagsOf(in []types.Tag) (out []v1alpha1.Tag) {
	for i := range in {
		out = append(out, v1alpha1.Tag{Key: ptr.Deref(in[i].Key, ""), Value: ptr.Deref(in[i].Value, "")})
	}
	return out
}
