package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// gatewayFlags say where the AWS API is, and as whom it is called.
type gatewayFlags struct {
	cluster        clusterFlags
	endpoint       string
	caBundle       string
	region         string
	profile        string
	serviceAccount string
	roleARN        string
	audience       string
	timeout        time.Duration
}

func (f *gatewayFlags) add(cmd *cobra.Command) {
	f.cluster.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.endpoint, "endpoint-url", "", "URL of Strongroom's gateway; AWS_ENDPOINT_URL or the profile's if it is left out")
	flags.StringVar(&f.caBundle, "ca-bundle", "", "file with the authority of the gateway's certificate; AWS_CA_BUNDLE if it is left out")
	flags.StringVar(&f.region, "region", "", "region; AWS_REGION or the profile's if it is left out")
	flags.StringVar(&f.profile, "profile", "", "profile of ~/.aws; AWS_PROFILE if it is left out")
	flags.StringVar(&f.serviceAccount, "service-account", "", "service account of the namespace to assume --role-arn as")
	flags.StringVar(&f.roleARN, "role-arn", "", "ARN of the role to assume as --service-account")
	flags.StringVar(&f.audience, "audience", "sts.amazonaws.com", "audience of the service account's token")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "how long to wait for the answer")
	cmd.MarkFlagsRequiredTogether("service-account", "role-arn")
}

// errNoEndpoint keeps a secret's name from AWS itself, where a forgotten variable would send it.
var errNoEndpoint = errors.New("it is not known where the gateway is: give --endpoint-url or set AWS_ENDPOINT_URL, for example to https://localhost:8443 beside `kubectl port-forward`")

// errIgnored: the SDK would ask AWS itself, whatever endpoint is given.
var errIgnored = errors.New("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, or ignore_configured_endpoint_urls of the profile, has endpoints ignored: unset it")

// endpointURL is where the gateway is: as the flag says, or else the environment or the profile.
func (f *gatewayFlags) endpointURL(ctx context.Context, options []func(*config.LoadOptions) error) (string, error) {
	if f.endpoint != "" {
		return f.endpoint, nil
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...) // which asks nobody anything
	if err != nil {
		return "", fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if endpoint := aws.ToString(loaded.BaseEndpoint); endpoint != "" {
		return endpoint, nil
	}
	return "", errNoEndpoint
}

// config is the AWS SDK's, for the gateway alone.
func (f *gatewayFlags) config(ctx context.Context) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{config.WithEC2IMDSClientEnableState(imds.ClientDisabled)}
	if f.region != "" {
		options = append(options, config.WithRegion(f.region))
	}
	if f.profile != "" {
		options = append(options, config.WithSharedConfigProfile(f.profile))
	}
	if f.caBundle != "" {
		pem, err := os.ReadFile(f.caBundle)
		if err != nil {
			return aws.Config{}, fmt.Errorf("--ca-bundle: %w", err)
		}
		options = append(options, config.WithCustomCABundle(bytes.NewReader(pem)))
	}
	endpoint, err := f.endpointURL(ctx, options)
	if err != nil {
		return aws.Config{}, err
	}
	// Given so, it is the endpoint of STS too, which web identities and the roles of profiles are asked for at.
	loaded, err := config.LoadDefaultConfig(ctx, append(options, config.WithBaseEndpoint(endpoint))...)
	switch {
	case err != nil:
		return loaded, fmt.Errorf("reading the AWS configuration: %w", err)
	case aws.ToString(loaded.BaseEndpoint) != endpoint:
		return loaded, errIgnored
	case loaded.Region == "":
		return loaded, errors.New("the region is not known: give --region or set AWS_REGION")
	}
	if f.roleARN != "" {
		if err := f.assume(&loaded); err != nil {
			return loaded, err
		}
	}
	if _, err := loaded.Credentials.Retrieve(ctx); err != nil {
		return loaded, fmt.Errorf("there are no credentials: give --service-account with --role-arn, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: %w", err)
	}
	return loaded, nil
}

// assume takes the credentials of the role, by a token that the API server gives for the service account.
func (f *gatewayFlags) assume(loaded *aws.Config) error {
	cluster, namespace, err := f.cluster.connect()
	if err != nil {
		return err
	}
	token := serviceAccountToken{cluster: cluster, audience: f.audience, timeout: f.timeout, account: &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: f.serviceAccount},
	}}
	loaded.Credentials = stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(*loaded), f.roleARN, token, func(o *stscreds.WebIdentityRoleOptions) {
		o.RoleSessionName = "kubectl-strongroom"
	})
	return nil
}

// serviceAccountToken asks the API server for a token, which lives for ten minutes: the shortest that there is.
// https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
type serviceAccountToken struct {
	cluster  client.Client
	account  *corev1.ServiceAccount
	audience string
	timeout  time.Duration
}

// GetIdentityToken implements stscreds.IdentityTokenRetriever.
func (t serviceAccountToken) GetIdentityToken() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), t.timeout)
	defer cancel()
	seconds := int64(600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{t.audience}, ExpirationSeconds: &seconds}}
	if err := t.cluster.SubResource("token").Create(ctx, t.account, request); err != nil {
		return nil, fmt.Errorf("asking for a token of service account %s/%s: %w", t.account.Namespace, t.account.Name, err)
	}
	return []byte(request.Status.Token), nil
}
