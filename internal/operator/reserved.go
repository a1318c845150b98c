package operator

import (
	"regexp"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/serving"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/unseal"
)

// reserved are the core Secrets and ConfigMaps that Strongroom itself works with, namespace being its own. None is anybody's target, be it there
// yet or not: who makes one first would have it taken for Strongroom's. Core Secrets of access keys have names of their users' and a label instead.
func reserved(namespace string) []projection.Reserved {
	only := func(name string) *regexp.Regexp { return regexp.MustCompile("^" + regexp.QuoteMeta(name) + "$") }
	return []projection.Reserved{
		{Namespace: namespace, Name: only(unseal.RootSecretName), What: "Strongroom's root of trust"},
		{Namespace: namespace, Name: only(serving.AuthoritySecretName), What: "the authority of Strongroom's gateway"},
		{Namespace: namespace, Name: cloudhsm.CredentialsPattern, What: "what Strongroom keeps for an HSMCluster"},
		{ConfigMap: true, Name: only(v1alpha1.GatewayConfigMap), What: "what pods know Strongroom's gateway by"},
		{ConfigMap: true, Name: only(parameterstore.SettingsName), What: "the service settings of the account, which the API and those who write ConfigMaps set"},
	}
}
