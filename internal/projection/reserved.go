package projection

import (
	"errors"
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

// Reserved are core Secrets or ConfigMaps that are no target by any policy, be they there or not: whoever may write Parameters may not write them. Nor may they read
// the core Secrets among them, which are no source of a value.
type Reserved struct {
	// ConfigMap tells that they are ConfigMaps.
	ConfigMap bool
	// Namespace that they are in; every one if it is empty.
	Namespace string
	// Name is what their names match, from begin to end.
	Name *regexp.Regexp
	// What they are, for people.
	What string
}

// trustAnchors are the ConfigMaps by which the pods of a namespace know the API server.
// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-token-volume
var trustAnchors = Reserved{ConfigMap: true, Name: regexp.MustCompile(`^kube-root-ca\.crt$`), What: "what pods know the API server by"}

var errReserved = errors.New("the target is never to be had")

// CheckName refuses a target whose name is reserved. The fault says Conflict, and is Stalled: no other policy and no waiting helps.
func (p *Projector) CheckName(t *Target) error {
	if trustAnchors.has(t) {
		return trustAnchors.refuse(t)
	}
	for i := range p.Reserved {
		if p.Reserved[i].has(t) {
			return p.Reserved[i].refuse(t)
		}
	}
	return nil
}

// ReservedSecret says what a core Secret is that is reserved by its namespace and name, empty if it is none.
func ReservedSecret(reserved []Reserved, namespace, name string) string {
	for i := range reserved {
		if r := &reserved[i]; r.names(false, namespace, name) {
			return r.What
		}
	}
	return ""
}

func (r *Reserved) has(t *Target) bool { return r.names(t.ConfigMap, t.Namespace, t.Name) }

func (r *Reserved) names(configMap bool, namespace, name string) bool {
	return r.ConfigMap == configMap && (r.Namespace == "" || r.Namespace == namespace) && r.Name.MatchString(name)
}

func (r *Reserved) refuse(t *Target) error {
	return fault.Stalled(v1alpha1.ReasonConflict, fmt.Errorf("%w: %s is %s; name another target", errReserved, t.what(), r.What))
}

// control are the types of core Secrets that mean something to the control plane or to who installs programs: who writes one acts for it.
// https://kubernetes.io/docs/concepts/configuration/secret/#secret-types
var control = map[corev1.SecretType]bool{
	corev1.SecretTypeServiceAccountToken: true, corev1.SecretTypeBootstrapToken: true, "helm.sh/release.v1": true,
}

// untouchable says why a core Secret that exists is no target by any policy, empty if it may be one.
func untouchable(existing *corev1.Secret) string {
	switch {
	case existing.Labels[v1alpha1.AccessKeyIDLabel] != "":
		return "it is Strongroom's own: an IAMUser's access key is handed out in it; name another target"
	case control[existing.Type]:
		return fmt.Sprintf("its type is %s, which is not written for anybody; name another target", existing.Type)
	}
	return ""
}
