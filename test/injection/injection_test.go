// Package injection_test proves what pods that ask for it get from the admission policy in config/injection, on a real API
// server, and that an AWS SDK with no more than that is the pod's IAMRole at a real gateway.
package injection_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

func TestInjection(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "Injection into pods")
}

var (
	ctx       = context.Background()
	cp        *environment.ControlPlane
	namespace string
)

var _ = BeforeSuite(func() {
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	apply(read("config", "injection", "policy.yaml"))
	// The API server's own watch of policies is what is waited for.
	Eventually(func(g Gomega) {
		probe := pod("probe", "probe", corev1.Container{Name: "app"})
		probe.Namespace = "default"
		g.Expect(cp.Client.Create(ctx, probe, client.DryRunAll)).To(Succeed())
		g.Expect(probe.Spec.Volumes).NotTo(BeEmpty())
	}).Should(Succeed())
})

var _ = BeforeEach(func() {
	var err error
	namespace, err = cp.NewNamespace(ctx)
	Expect(err).NotTo(HaveOccurred())
})

// read parses a file of manifests.
func read(path ...string) []*unstructured.Unstructured {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(append([]string{environment.Root()}, path...)...))
	Expect(err).NotTo(HaveOccurred())
	return parse(text)
}

func parse(text []byte) []*unstructured.Unstructured {
	GinkgoHelper()
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := map[string]any{}
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return out
		}
		Expect(err).NotTo(HaveOccurred())
		out = append(out, &unstructured.Unstructured{Object: object})
	}
}

func apply(objects []*unstructured.Unstructured) {
	GinkgoHelper()
	strict := client.WithFieldValidation(cp.Client, metav1.FieldValidationStrict)
	for _, o := range objects {
		Expect(strict.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("test"), client.ForceOwnership)).
			To(Succeed(), o.GetKind()+" "+o.GetName())
	}
}

// pod asks for injection. Its containers all have an image.
func pod(name, account string, containers ...corev1.Container) *corev1.Pod {
	for i := range containers {
		containers[i].Image = "shop"
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{v1alpha1.InjectLabel: "true"}},
		Spec:       corev1.PodSpec{ServiceAccountName: account, Containers: containers},
	}
}

func create(p *corev1.Pod) *corev1.Pod {
	GinkgoHelper()
	Expect(cp.Client.Create(ctx, p)).To(Succeed())
	return p
}

func plain(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }

func fromConfigMap(name, key string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "strongroom-gateway-ca"}, Key: key,
	}}}
}

const folder = "/var/run/secrets/strongroom.dev"

// injected is what a container gets that has none of it, for a role's ARN.
func injected(role string) []corev1.EnvVar {
	return []corev1.EnvVar{
		fromConfigMap("STRONGROOM_ACCOUNT_ID", "account-id"),
		fromConfigMap("AWS_ENDPOINT_URL", "endpoint-url"),
		fromConfigMap("AWS_ENDPOINT_URL_STS", "endpoint-url"),
		fromConfigMap("AWS_REGION", "region"),
		fromConfigMap("AWS_DEFAULT_REGION", "region"),
		plain("AWS_ROLE_ARN", role),
		plain("AWS_WEB_IDENTITY_TOKEN_FILE", folder+"/token"),
		plain("AWS_CA_BUNDLE", folder+"/ca.crt"),
		plain("NODE_EXTRA_CA_CERTS", folder+"/ca.crt"),
		{Name: "AWS_ROLE_SESSION_NAME", ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"},
		}},
	}
}

const ownRole = "arn:aws:iam::$(STRONGROOM_ACCOUNT_ID):role/"

var mount = corev1.VolumeMount{Name: "strongroom-identity", MountPath: folder, ReadOnly: true}

var volume = corev1.Volume{Name: "strongroom-identity", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
	DefaultMode: ptr.To[int32](0o644),
	Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "sts.amazonaws.com", ExpirationSeconds: ptr.To[int64](3600), Path: "token"}},
		{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: "strongroom-gateway-ca"},
			Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
		}},
	},
}}}

// names are those of variables, in their order.
func names(env []corev1.EnvVar) []string {
	out := make([]string, 0, len(env))
	for _, e := range env {
		out = append(out, e.Name)
	}
	return out
}
