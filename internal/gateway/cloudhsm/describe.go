package cloudhsm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudhsmv2/types"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

const (
	// clustersPage and tagsPage are how many entries a list shows that names no number: the most that it may name.
	clustersPage, tagsPage = 25, 100
	// maximumMessage of a state, in bytes of ASCII.
	maximumMessage = 300
)

// filters are those of DescribeClusters, by name. A cluster passes one if any of the values is its own.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_DescribeClusters.html
var filters = map[string]func(hc *v1alpha1.HSMCluster, value string) bool{
	"clusterIds": func(hc *v1alpha1.HSMCluster, value string) bool {
		return cloudhsm.ClusterID(hc.Namespace, hc.Name) == value
	},
	"states": func(hc *v1alpha1.HSMCluster, value string) bool { return string(cloudhsm.StateNow(hc)) == value },
	"vpcIds": func(*v1alpha1.HSMCluster, string) bool { return false }, // there are no VPCs, so none is in one
}

func checkFilters(in map[string][]string) error {
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if filters[name] == nil {
			return invalid("Unknown filter " + name + ": there are clusterIds, states and vpcIds.")
		}
	}
	return nil
}

func passes(hc *v1alpha1.HSMCluster, in map[string][]string) bool {
	for name, values := range in {
		if !slices.ContainsFunc(values, func(v string) bool { return filters[name](hc, v) }) {
			return false
		}
	}
	return true
}

// digest is 64 bits of SHA-256.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func (a *api) describeClusters(ctx context.Context, call *gateway.Call, in *sdk.DescribeClustersInput, _ struct{}) (*sdk.DescribeClustersOutput, error) {
	if err := checkFilters(in.Filters); err != nil {
		return nil, err
	}
	of := page.Of(call, in)
	after, err := page.After(in.NextToken, of)
	if err != nil {
		return nil, invalid(err.Error())
	}
	all, err := a.Clusters.List(ctx, call.Namespace(), call.Region)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(hc *v1alpha1.HSMCluster) bool { return !passes(hc, in.Filters) })
	at := func(hc **v1alpha1.HSMCluster) page.Place {
		return page.Place{Of: of, ID: cloudhsm.ClusterID((*hc).Namespace, (*hc).Name)}
	}
	found, next, err := page.Cut(all, at, after, int(ptr.Deref(in.MaxResults, clustersPage)), false)
	if err != nil {
		return nil, err
	}
	out := &sdk.DescribeClustersOutput{Clusters: make([]types.Cluster, 0, len(found)), NextToken: next}
	for _, hc := range found {
		out.Clusters = append(out.Clusters, shown(hc, call.Region))
	}
	return out, nil
}

// shown is a cluster in AWS's words. What it does not have is left out: a VPC, a security group, backups.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_Cluster.html
func shown(hc *v1alpha1.HSMCluster, region string) types.Cluster {
	out := types.Cluster{
		ClusterId: ptr.To(cloudhsm.ClusterID(hc.Namespace, hc.Name)), CreateTimestamp: ptr.To(hc.CreationTimestamp.UTC()),
		State: types.ClusterState(cloudhsm.StateNow(hc)), Mode: types.ClusterModeFips, SubnetMapping: subnets(hc, region), HsmType: some(cloudhsm.RequestOf(hc).HSMType),
	}
	if hc.Spec.Mode != "" {
		out.Mode = types.ClusterMode(hc.Spec.Mode)
	}
	if ready := meta.FindStatusCondition(hc.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Status == metav1.ConditionFalse {
		out.StateMessage = some(cut(ready.Message))
	}
	if hc.Status.TrustAnchorCertificate != "" {
		out.Certificates = &types.Certificates{ClusterCertificate: &hc.Status.TrustAnchorCertificate}
	}
	for _, h := range cloudhsm.HSMs(hc) {
		out.Hsms = append(out.Hsms, shownHSM(hc, h, out.SubnetMapping))
	}
	for _, tag := range tags.Sorted(hc.Spec.Tags) {
		out.TagList = append(out.TagList, types.Tag{Key: &tag.Key, Value: &tag.Value})
	}
	return out
}

// shownHSM is a node in AWS's words.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_Hsm.html
func shownHSM(hc *v1alpha1.HSMCluster, h cloudhsm.HSM, subnets map[string]string) types.Hsm {
	return types.Hsm{
		HsmId: ptr.To(h.ID), ClusterId: ptr.To(cloudhsm.ClusterID(hc.Namespace, hc.Name)), State: types.HsmState(h.State), StateMessage: some(h.Message),
		AvailabilityZone: some(h.AvailabilityZone), SubnetId: some(subnets[h.AvailabilityZone]), HsmType: some(cloudhsm.RequestOf(hc).HSMType),
	}
}

// subnets gives those of CreateCluster availability zones in their order, since AWS's answer has one each: a, b, c.
func subnets(hc *v1alpha1.HSMCluster, region string) map[string]string {
	var out map[string]string
	ids := cloudhsm.RequestOf(hc).SubnetIDs
	for i := range ids[:min(len(ids), 'z'-'a'+1)] {
		if out == nil {
			out = map[string]string{}
		}
		out[region+string(rune('a'+i))] = ids[i]
	}
	return out
}

func (a *api) listTags(_ context.Context, call *gateway.Call, in *sdk.ListTagsInput, hc target) (*sdk.ListTagsOutput, error) {
	of := page.Of(call, in)
	after, err := page.After(in.NextToken, of)
	if err != nil {
		return nil, invalid(err.Error())
	}
	// The place of a tag is by the beginning of its key, in hexadecimal digits, so that the token is short and has the order of the keys.
	at := func(tag *v1alpha1.Tag) page.Place {
		return page.Place{Of: of, Key: hex.EncodeToString([]byte(tag.Key[:min(len(tag.Key), 40)])), ID: digest(tag.Key)}
	}
	found, next, err := page.Cut(slices.Clone(hc.Spec.Tags), at, after, int(ptr.Deref(in.MaxResults, tagsPage)), false)
	if err != nil {
		return nil, err
	}
	out := &sdk.ListTagsOutput{TagList: make([]types.Tag, 0, len(found)), NextToken: next}
	for i := range found {
		out.TagList = append(out.TagList, types.Tag{Key: &found[i].Key, Value: &found[i].Value})
	}
	return out, nil
}

// cut makes a condition's message one of AWS's StateMessage, which has one line of at most 300 characters.
func cut(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	return strings.ToValidUTF8(text[:min(len(text), maximumMessage)], "")
}

func some(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
