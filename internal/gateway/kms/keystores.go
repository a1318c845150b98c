package kms

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	list "strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

// keyStores are the operations on custom key stores, each of which is an HSMCluster. Policies have no resource for them, as in AWS.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-store-overview.html
func (o *operations) keyStores() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("CreateCustomKeyStore", everything[awskms.CreateCustomKeyStoreInput], o.createCustomKeyStore),
		gateway.Op("DescribeCustomKeyStores", everything[awskms.DescribeCustomKeyStoresInput], o.describeCustomKeyStores, gateway.ReadOnly),
		gateway.Op("ConnectCustomKeyStore", everything[awskms.ConnectCustomKeyStoreInput], o.connectCustomKeyStore),
		gateway.Op("DisconnectCustomKeyStore", everything[awskms.DisconnectCustomKeyStoreInput], o.disconnectCustomKeyStore),
		gateway.Op("UpdateCustomKeyStore", everything[awskms.UpdateCustomKeyStoreInput], o.updateCustomKeyStore),
		gateway.Op("DeleteCustomKeyStore", everything[awskms.DeleteCustomKeyStoreInput], o.deleteCustomKeyStore),
	}
}

// external refuses a request that speaks of an external key store.
func external(kind types.CustomKeyStoreType, connectivity types.XksProxyConnectivityType, credential *types.XksProxyAuthenticationCredentialType, members ...*string) error {
	cloudHSM := kind == "" || kind == types.CustomKeyStoreTypeAwsCloudhsm
	if !cloudHSM || connectivity != "" || credential != nil || slices.ContainsFunc(members, func(m *string) bool { return m != nil }) {
		return unsupported("External key stores are not supported: CustomKeyStoreType AWS_CLOUDHSM is.")
	}
	return nil
}

// createCustomKeyStore also needs cloudhsm:DescribeClusters, as in AWS. Nobody logs in by KeyStorePassword: nodes know callers by certificates. It is taken, since every client
// sends it, and neither used nor kept.
// https://docs.aws.amazon.com/kms/latest/developerguide/authorize-key-store.html
func (o *operations) createCustomKeyStore(ctx context.Context, call *gateway.Call, in *awskms.CreateCustomKeyStoreInput, _ target) (
	*awskms.CreateCustomKeyStoreOutput, error,
) {
	err := external(in.CustomKeyStoreType, in.XksProxyConnectivity, in.XksProxyAuthenticationCredential,
		in.XksProxyUriEndpoint, in.XksProxyUriPath, in.XksProxyVpcEndpointServiceName, in.XksProxyVpcEndpointServiceOwner)
	if err != nil {
		return nil, err
	}
	if in.CloudHsmClusterId == nil || in.TrustAnchorCertificate == nil {
		return nil, validation("CloudHsmClusterId and TrustAnchorCertificate are required for a custom key store of type AWS_CLOUDHSM.")
	}
	if err := call.Authorize(gateway.Question{Action: "cloudhsm:DescribeClusters", Resource: "*"}); err != nil {
		return nil, err
	}
	hc, err := o.stores.Find(ctx, call.Namespace(), call.Region, *in.CloudHsmClusterId)
	if err != nil {
		return nil, err
	}
	if hc == nil {
		return nil, clusterNotFound(*in.CloudHsmClusterId)
	}
	if err := o.stores.CreateKeyStore(ctx, hc, *in.CustomKeyStoreName, *in.TrustAnchorCertificate); err != nil {
		return nil, storeAnswer(err)
	}
	return &awskms.CreateCustomKeyStoreOutput{CustomKeyStoreId: aws.String(cloudhsm.KeyStoreID(hc.Namespace, hc.Name))}, nil
}

func (o *operations) describeCustomKeyStores(ctx context.Context, call *gateway.Call, in *awskms.DescribeCustomKeyStoresInput, _ target) (
	*awskms.DescribeCustomKeyStoresOutput, error,
) {
	if in.CustomKeyStoreId != nil && in.CustomKeyStoreName != nil {
		return nil, validation("You can specify CustomKeyStoreId or CustomKeyStoreName, and not both.")
	}
	all, err := o.stores.KeyStores(ctx, call.Namespace(), call.Region)
	if err != nil {
		return nil, err
	}
	id := func(hc **v1alpha1.HSMCluster) string { return cloudhsm.KeyStoreID((*hc).Namespace, (*hc).Name) }
	if named := cmp.Or(in.CustomKeyStoreId, in.CustomKeyStoreName); named != nil {
		all = slices.DeleteFunc(all, func(hc *v1alpha1.HSMCluster) bool {
			return in.CustomKeyStoreId != nil && id(&hc) != *named || in.CustomKeyStoreName != nil && cloudhsm.KeyStoreName(hc) != *named
		})
		if len(all) == 0 {
			return nil, storeNotFound("Custom key store '" + *named + "' does not exist")
		}
	}
	slices.SortFunc(all, func(a, b *v1alpha1.HSMCluster) int { return cmp.Compare(id(&a), id(&b)) })
	page, err := paged(o, list.Of(call, in), all, id, in.Marker, in.Limit, 100, 1000)
	if err != nil {
		return nil, err
	}
	out := &awskms.DescribeCustomKeyStoresOutput{CustomKeyStores: make([]types.CustomKeyStoresListEntry, 0, len(page.items)), Truncated: page.truncated, NextMarker: page.next}
	for _, hc := range page.items {
		out.CustomKeyStores = append(out.CustomKeyStores, shownStore(hc))
	}
	return out, nil
}

// shownStore is a custom key store in AWS's words. CreationDate is left out: it is not kept.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CustomKeyStoresListEntry.html
func shownStore(hc *v1alpha1.HSMCluster) types.CustomKeyStoresListEntry {
	out := types.CustomKeyStoresListEntry{
		CustomKeyStoreId: aws.String(cloudhsm.KeyStoreID(hc.Namespace, hc.Name)), CustomKeyStoreName: aws.String(cloudhsm.KeyStoreName(hc)),
		CloudHsmClusterId: aws.String(cloudhsm.ClusterID(hc.Namespace, hc.Name)), CustomKeyStoreType: types.CustomKeyStoreTypeAwsCloudhsm,
		ConnectionState: types.ConnectionStateType(cloudhsm.ConnectionOf(hc)),
	}
	if hc.Status.TrustAnchorCertificate != "" {
		out.TrustAnchorCertificate = &hc.Status.TrustAnchorCertificate
	}
	if cloudhsm.ConnectionOf(hc) == cloudhsm.ConnectionFailed {
		out.ConnectionErrorCode = types.ConnectionErrorCodeTypeInsufficientCloudhsmHsms
	}
	return out
}

// withStore carries out a change of a custom key store of the caller's own account.
func (o *operations) withStore(ctx context.Context, call *gateway.Call, id *string, change func(context.Context, *v1alpha1.HSMCluster) error) error {
	hc, err := o.stores.OwnKeyStore(ctx, call.Namespace(), call.Region, aws.ToString(id))
	if err == nil {
		err = change(ctx, hc)
	}
	return storeAnswer(err)
}

func (o *operations) connectCustomKeyStore(ctx context.Context, call *gateway.Call, in *awskms.ConnectCustomKeyStoreInput, _ target) (
	*awskms.ConnectCustomKeyStoreOutput, error,
) {
	return &awskms.ConnectCustomKeyStoreOutput{}, o.withStore(ctx, call, in.CustomKeyStoreId, o.stores.ConnectKeyStore)
}

func (o *operations) disconnectCustomKeyStore(ctx context.Context, call *gateway.Call, in *awskms.DisconnectCustomKeyStoreInput, _ target) (
	*awskms.DisconnectCustomKeyStoreOutput, error,
) {
	return &awskms.DisconnectCustomKeyStoreOutput{}, o.withStore(ctx, call, in.CustomKeyStoreId, o.stores.DisconnectKeyStore)
}

func (o *operations) deleteCustomKeyStore(ctx context.Context, call *gateway.Call, in *awskms.DeleteCustomKeyStoreInput, _ target) (
	*awskms.DeleteCustomKeyStoreOutput, error,
) {
	return &awskms.DeleteCustomKeyStoreOutput{}, o.withStore(ctx, call, in.CustomKeyStoreId, o.stores.DeleteKeyStore)
}

// updateCustomKeyStore gives a store another name. Its cluster stays: no two clusters have the same keys.
func (o *operations) updateCustomKeyStore(ctx context.Context, call *gateway.Call, in *awskms.UpdateCustomKeyStoreInput, _ target) (
	*awskms.UpdateCustomKeyStoreOutput, error,
) {
	err := external("", in.XksProxyConnectivity, in.XksProxyAuthenticationCredential,
		in.XksProxyUriEndpoint, in.XksProxyUriPath, in.XksProxyVpcEndpointServiceName, in.XksProxyVpcEndpointServiceOwner)
	if err != nil {
		return nil, err
	}
	return &awskms.UpdateCustomKeyStoreOutput{}, o.withStore(ctx, call, in.CustomKeyStoreId, func(ctx context.Context, hc *v1alpha1.HSMCluster) error {
		if err := o.stays(ctx, call, hc, in.CloudHsmClusterId); err != nil {
			return err
		}
		name := cmp.Or(in.NewCustomKeyStoreName, aws.String(cloudhsm.KeyStoreName(hc)))
		return o.stores.RenameKeyStore(ctx, hc, *name)
	})
}

// stays refuses another cluster for a store than it is in.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateCustomKeyStore.html#API_UpdateCustomKeyStore_Errors
func (o *operations) stays(ctx context.Context, call *gateway.Call, hc *v1alpha1.HSMCluster, asked *string) error {
	cluster := cloudhsm.ClusterID(hc.Namespace, hc.Name)
	if asked == nil || *asked == cluster {
		return nil
	}
	other, err := o.stores.Find(ctx, call.Namespace(), call.Region, *asked)
	switch {
	case err != nil:
		return err
	case other == nil:
		return clusterNotFound(*asked)
	}
	return &types.CloudHsmClusterNotRelatedException{Message: aws.String("The cluster '" + *asked + "' has not the keys of '" + cluster + "'.")}
}

// inStore lets a key that is made be in a custom key store.
func (o *operations) inStore(ctx context.Context, call *gateway.Call, in *awskms.CreateKeyInput, spec *v1alpha1.KMSKeySpec) error {
	if in.CustomKeyStoreId == nil {
		return nil
	}
	hc, err := o.stores.UsableKeyStore(ctx, call.Namespace(), call.Region, *in.CustomKeyStoreId)
	if err != nil {
		return storeAnswer(err)
	}
	spec.Origin, spec.CustomKeyStoreRef = v1alpha1.KeyOriginCloudHSM, &v1alpha1.CustomKeyStoreReference{Name: hc.Name}
	if hc.Namespace != call.Namespace() {
		spec.CustomKeyStoreRef.Namespace = hc.Namespace
	}
	return nil
}

func storeNotFound(message string) error {
	return &types.CustomKeyStoreNotFoundException{Message: aws.String(message)}
}

func clusterNotFound(id string) error {
	return &types.CloudHsmClusterNotFoundException{Message: aws.String("The cluster '" + id + "' does not exist in this account and region.")}
}

// storeErrors are AWS's errors for the use cases'.
var storeErrors = []struct {
	err  error
	made func(message *string) error
}{
	{cloudhsm.ErrKeyStoreNotFound, func(m *string) error { return &types.CustomKeyStoreNotFoundException{Message: m} }},
	{cloudhsm.ErrGone, func(m *string) error { return &types.CustomKeyStoreNotFoundException{Message: m} }},
	{cloudhsm.ErrNameInUse, func(m *string) error { return &types.CustomKeyStoreNameInUseException{Message: m} }},
	{cloudhsm.ErrClusterInUse, func(m *string) error { return &types.CloudHsmClusterInUseException{Message: m} }},
	{cloudhsm.ErrNoHSMs, func(m *string) error { return &types.CloudHsmClusterInvalidConfigurationException{Message: m} }},
	{cloudhsm.ErrClusterNotActive, func(m *string) error { return &types.CloudHsmClusterNotActiveException{Message: m} }},
	{cloudhsm.ErrDeleting, func(m *string) error { return &types.CloudHsmClusterNotActiveException{Message: m} }},
	{cloudhsm.ErrTrustAnchor, func(m *string) error { return &types.IncorrectTrustAnchorException{Message: m} }},
	{cloudhsm.ErrHasKeys, func(m *string) error { return &types.CustomKeyStoreHasCMKsException{Message: m} }},
	{cloudhsm.ErrNotConnected, func(m *string) error { return &types.CustomKeyStoreInvalidStateException{Message: m} }},
	{cloudhsm.ErrNotDisconnected, func(m *string) error { return &types.CustomKeyStoreInvalidStateException{Message: m} }},
	{cloudhsm.ErrConnectionFailed, func(m *string) error { return &types.CustomKeyStoreInvalidStateException{Message: m} }},
}

// storeAnswer turns a use case's error into AWS's, as answer does.
func storeAnswer(err error) error {
	var known smithy.APIError
	if err == nil || errors.As(err, &known) {
		return err
	}
	for _, e := range storeErrors {
		if errors.Is(err, e.err) {
			return e.made(aws.String(err.Error()))
		}
	}
	return err
}
