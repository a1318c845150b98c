package cloudhsm

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudhsmv2/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

// resolveCreate is CreateCluster's Resolve: policies may ask for the tags. What it makes has its ARN when it is made.
func resolveCreate(_ context.Context, _ *gateway.Call, in *sdk.CreateClusterInput) (gateway.Resource[struct{}], error) {
	return gateway.Resource[struct{}]{ARN: "*", Context: &conditionKeys{Keys: tags.Keys{Request: tagsOf(in.TagList)}}}, nil
}

// creatable says whether a cluster can be made so.
func creatable(in *sdk.CreateClusterInput) error {
	switch {
	case in.SourceBackupId != nil:
		return invalid("SourceBackupId is not supported: there are no backups.")
	case in.BackupRetentionPolicy != nil:
		return invalid("BackupRetentionPolicy is not supported: there are no backups.")
	case in.NetworkType != "" && in.NetworkType != types.NetworkTypeIpv4:
		return invalid("NetworkType is not supported: the addresses of HSMs are Kubernetes's.")
	}
	return nil
}

func (a *api) createCluster(ctx context.Context, call *gateway.Call, in *sdk.CreateClusterInput, _ struct{}) (*sdk.CreateClusterOutput, error) {
	if err := creatable(in); err != nil {
		return nil, err
	}
	asked := tagsOf(in.TagList)
	if err := tags.Check(asked); err != nil {
		return nil, answer("", err)
	}
	if len(asked) > 0 {
		err := call.Authorize(gateway.Question{
			Action: SigningName + ":TagResource", Resource: "*", Context: &conditionKeys{Keys: tags.Keys{Request: asked}},
		})
		if err != nil {
			return nil, err
		}
	}
	made, err := a.Clusters.Create(ctx, cloudhsm.CreateInput{
		Namespace: call.Namespace(), Region: call.Region, Mode: v1alpha1.HSMMode(in.Mode), Tags: asked,
		Request: cloudhsm.Request{HSMType: ptr.Deref(in.HsmType, ""), SubnetIDs: in.SubnetIds},
	})
	if err != nil {
		return nil, answer("", err)
	}
	return &sdk.CreateClusterOutput{Cluster: ptr.To(shown(made, call.Region))}, nil
}

func (a *api) deleteCluster(ctx context.Context, call *gateway.Call, in *sdk.DeleteClusterInput, hc target) (*sdk.DeleteClusterOutput, error) {
	deleted, err := a.Clusters.Delete(ctx, hc)
	if err != nil {
		return nil, answer(*in.ClusterId, err)
	}
	return &sdk.DeleteClusterOutput{Cluster: ptr.To(shown(deleted, call.Region))}, nil
}

func (a *api) createHsm(ctx context.Context, call *gateway.Call, in *sdk.CreateHsmInput, hc target) (*sdk.CreateHsmOutput, error) {
	if in.IpAddress != nil {
		return nil, invalid("IpAddress is not supported: the addresses of HSMs are Kubernetes's.")
	}
	made, err := a.Clusters.CreateHSM(ctx, hc, *in.AvailabilityZone)
	if err != nil {
		return nil, answer(*in.ClusterId, err)
	}
	return &sdk.CreateHsmOutput{Hsm: ptr.To(shownHSM(hc, made, subnets(hc, call.Region)))}, nil
}

// deleteHsm has no resource for policies, as in AWS: so it looks for the cluster after permission.
func (a *api) deleteHsm(ctx context.Context, call *gateway.Call, in *sdk.DeleteHsmInput, _ struct{}) (*sdk.DeleteHsmOutput, error) {
	if in.HsmId == nil {
		return nil, invalid("HsmId is needed: HSMs have no network interfaces of AWS.")
	}
	hc, err := a.Clusters.Find(ctx, call.Namespace(), call.Region, *in.ClusterId)
	if err != nil {
		return nil, err
	}
	if hc == nil {
		return nil, notFound(*in.ClusterId)
	}
	if err := a.Clusters.DeleteHSM(ctx, hc, *in.HsmId); err != nil {
		return nil, answer(*in.ClusterId, err)
	}
	return &sdk.DeleteHsmOutput{HsmId: in.HsmId}, nil
}

func (a *api) tagResource(ctx context.Context, _ *gateway.Call, in *sdk.TagResourceInput, hc target) (*sdk.TagResourceOutput, error) {
	asked := tagsOf(in.TagList)
	if err := tags.Check(asked); err != nil {
		return nil, answer(*in.ResourceId, err)
	}
	_, err := a.Clusters.Change(ctx, hc, func(c *v1alpha1.HSMCluster) (err error) {
		c.Spec.Tags, err = tags.Put(c.Spec.Tags, asked)
		return err
	})
	return &sdk.TagResourceOutput{}, answer(*in.ResourceId, err)
}

func (a *api) untagResource(ctx context.Context, _ *gateway.Call, in *sdk.UntagResourceInput, hc target) (*sdk.UntagResourceOutput, error) {
	var off []tags.Taken
	for _, key := range in.TagKeyList {
		off = append(off, tags.Taken{Key: key})
	}
	_, err := a.Clusters.Change(ctx, hc, func(c *v1alpha1.HSMCluster) error {
		c.Spec.Tags = tags.Take(c.Spec.Tags, off)
		return nil
	})
	return &sdk.UntagResourceOutput{}, answer(*in.ResourceId, err)
}
