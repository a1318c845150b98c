package hsmnodes

import (
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

const (
	port       = 8445
	probePort  = 8081
	clusterKey = v1alpha1.Group + "/hsm-cluster"
	ownerKey   = v1alpha1.Group + "/hsmcluster"
	nobody     = int64(65532)

	dataPath, filesPath = "/var/lib/strongroom-hsm", "/run/strongroom-hsm"
)

func labels(c Cluster) map[string]string {
	return map[string]string{"app.kubernetes.io/name": "strongroom-hsm", "app.kubernetes.io/managed-by": "strongroom", clusterKey: c.ID}
}

func selector(c Cluster) map[string]string { return map[string]string{clusterKey: c.ID} }

func (k *Kubernetes) meta(c Cluster) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: k.Namespace, Name: c.ID, Labels: labels(c), Annotations: map[string]string{ownerKey: c.Owner}}
}

// unstructuredOf is an object as it is applied: without what is not set.
func unstructuredOf(obj any) (runtime.ApplyConfiguration, error) {
	text, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", obj, err)
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(text, &u.Object); err != nil {
		return nil, fmt.Errorf("encoding %T: %w", obj, err)
	}
	unstructured.RemoveNestedField(u.Object, "status")
	return client.ApplyConfigurationFromUnstructured(u), nil
}

// service gives each pod a name, also before it is ready: an uninitialised node must be reached to be initialised.
func (k *Kubernetes) service(c Cluster) *corev1.Service {
	return &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: k.meta(c),
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, PublishNotReadyAddresses: true, Selector: selector(c),
			Ports: []corev1.ServicePort{{Name: "grpc", Port: port, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString("grpc")}},
		},
	}
}

// disruptionBudget lets nodes of Kubernetes be drained one after the other.
func (k *Kubernetes) disruptionBudget(c Cluster) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}, ObjectMeta: k.meta(c),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: selector(c)},
		},
	}
}

// networkPolicy lets pods of Strongroom's namespace in to the API, and nobody else. SoftHSM calls nobody; another library may have to reach its HSM.
func (k *Kubernetes) networkPolicy(c Cluster) *networkingv1.NetworkPolicy {
	policy := &networkingv1.NetworkPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"}, ObjectMeta: k.meta(c),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: selector(c)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From:  []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}},
				Ports: []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To(intstr.FromInt32(port))}},
			}},
		},
	}
	if c.SoftHSM {
		policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
	return policy
}

func (k *Kubernetes) statefulSet(c Cluster, officer bool) *appsv1.StatefulSet {
	claim := corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: labels(c)},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("64Mi")}},
		},
	}
	if k.StorageClass != "" {
		claim.Spec.StorageClassName = &k.StorageClass
	}
	return &appsv1.StatefulSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"}, ObjectMeta: k.meta(c),
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To(int32(c.Size)), ServiceName: c.ID, PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector: &metav1.LabelSelector{MatchLabels: selector(c)},
			// Keys are on the volumes: they stay, whatever happens to the HSMCluster.
			PersistentVolumeClaimRetentionPolicy: &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType, WhenScaled: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{claim},
			Template:             corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels(c)}, Spec: k.pod(c, officer)},
		},
	}
}

func (k *Kubernetes) pod(c Cluster, officer bool) corev1.PodSpec {
	mode := int32(0o440)
	return corev1.PodSpec{
		AutomountServiceAccountToken: ptr.To(false), EnableServiceLinks: ptr.To(false), TerminationGracePeriodSeconds: ptr.To(int64(30)),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(nobody), RunAsGroup: ptr.To(nobody), FSGroup: ptr.To(nobody),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{
				{Weight: 100, PodAffinityTerm: corev1.PodAffinityTerm{LabelSelector: &metav1.LabelSelector{MatchLabels: selector(c)}, TopologyKey: "topology.kubernetes.io/zone"}},
				{Weight: 50, PodAffinityTerm: corev1.PodAffinityTerm{LabelSelector: &metav1.LabelSelector{MatchLabels: selector(c)}, TopologyKey: "kubernetes.io/hostname"}},
			},
		}},
		InitContainers: []corev1.Container{k.directories()},
		Containers:     []corev1.Container{k.container(c, officer)},
		Volumes: []corev1.Volume{
			{Name: "files", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: c.ID, DefaultMode: &mode}}},
		},
	}
}

// directories makes those that the image has, on the volume that covers them.
func (k *Kubernetes) directories() corev1.Container {
	return corev1.Container{
		Name: "directories", Image: k.Image, Command: []string{"mkdir", "-p", "-m", "0700", dataPath + "/tokens", dataPath + "/state"},
		VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: dataPath}}, SecurityContext: confined(), Resources: modest(),
	}
}

func (k *Kubernetes) container(c Cluster, officer bool) corev1.Container {
	library, label := c.module()
	arguments := []string{
		"hsm", "--cluster=" + c.ID, "--library=" + library, "--token-label=" + label, "--state-dir=" + dataPath + "/state",
		"--pin-file=" + filesPath + "/" + pinKey, "--tls-cert-file=" + filesPath + "/" + certificateKey, "--tls-key-file=" + filesPath + "/" + keyKey,
		"--tls-ca-file=" + filesPath + "/" + authorityKey, fmt.Sprintf("--bind-address=:%d", port), fmt.Sprintf("--health-probe-bind-address=:%d", probePort),
	}
	if officer {
		arguments = append(arguments, "--so-pin-file="+filesPath+"/"+soPINKey)
	}
	if !c.SoftHSM {
		arguments = append(arguments, "--shared-token")
	}
	probe := func(path string, delay int32) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("probes")}}, InitialDelaySeconds: delay, PeriodSeconds: 10}
	}
	return corev1.Container{
		Name: "hsm", Image: k.Image, Args: arguments,
		Env: []corev1.EnvVar{{Name: "GODEBUG", Value: c.goDebug()}, {Name: "GOTRACEBACK", Value: "none"}},
		Ports: []corev1.ContainerPort{
			{Name: "grpc", ContainerPort: port, Protocol: corev1.ProtocolTCP}, {Name: "probes", ContainerPort: probePort, Protocol: corev1.ProtocolTCP},
		},
		LivenessProbe: probe("/healthz", 10), ReadinessProbe: probe("/readyz", 2),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "data", MountPath: dataPath}, {Name: "files", MountPath: filesPath, ReadOnly: true},
		},
		SecurityContext: confined(), Resources: modest(),
	}
}

func confined() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func modest() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
	}
}
