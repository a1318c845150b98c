package plugin

import (
	"fmt"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// clusterFlags say which cluster and namespace a command is about, as kubectl's do.
type clusterFlags struct{ kubeconfig, context, namespace string }

func (f *clusterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "path of the kubeconfig; KUBECONFIG or ~/.kube/config if it is left out")
	flags.StringVar(&f.context, "context", "", "context of the kubeconfig; its current one if it is left out")
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace; that of the context if it is left out")
}

// connect makes a client of the cluster, and says which namespace is meant.
func (f *clusterFlags) connect() (cluster client.Client, namespace string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context})
	namespace = f.namespace
	if namespace == "" {
		if namespace, _, err = loaded.Namespace(); err != nil {
			return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
		}
	}
	config, err := loaded.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS = -1 // the API server knows best how much it can do
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, "", err
	}
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, "", err
	}
	if err := authenticationv1.AddToScheme(scheme); err != nil {
		return nil, "", err
	}
	cluster, err = client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, "", fmt.Errorf("connecting to the cluster: %w", err)
	}
	return cluster, namespace, nil
}
