package hsmnodes_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/test/environment"
)

func TestHSMNodes(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "HSM nodes")
}

var (
	ctx  = context.Background()
	cp   *environment.ControlPlane
	host *hsmnodes.Kubernetes
	now  = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
)

var _ = BeforeSuite(func() {
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	host = &hsmnodes.Kubernetes{
		Client: cp.Client, Live: cp.Client, Namespace: environment.OperatorNamespace, Image: "registry.example/strongroom-hsm:1", StorageClass: "fast",
		Now: func() time.Time { return now },
	}
})

func files() *hsmnodes.Files {
	return &hsmnodes.Files{
		Certificate: []byte("certificate"), Key: []byte("key"), Authority: []byte("ca"),
		PIN: secretbytes.Copy([]byte("pin-CANARY")), SOPIN: secretbytes.Copy([]byte("officer-CANARY")),
	}
}

func read[T client.Object](name string, obj T) T {
	GinkgoHelper()
	Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: name}, obj)).To(Succeed())
	return obj
}

var _ = Describe("Nodes in Kubernetes", func() {
	c := hsmnodes.Cluster{ID: "cluster-aaaaaaaaaaa", Owner: "bank/vault", Size: 3, FIPS: true, SoftHSM: true}

	It("are what the API server takes, and are removed but for their volumes", func() {
		nodes, err := host.Apply(ctx, c, files())
		Expect(err).NotTo(HaveOccurred())
		Expect(nodes).To(HaveLen(3))
		Expect(nodes[2]).To(Equal(hsmnodes.Node{Name: c.ID + "-2", Address: c.ID + "-2." + c.ID + ".strongroom-system.svc:8445"}))
		Expect(host.Names(c)).To(Equal([]string{"*." + c.ID + ".strongroom-system.svc"}))

		set := read(c.ID, &appsv1.StatefulSet{})
		Expect(set.Annotations).To(HaveKeyWithValue("strongroom.dev/hsmcluster", "bank/vault"))
		Expect(*set.Spec.Replicas).To(Equal(int32(3)))
		Expect(set.Spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted).To(Equal(appsv1.RetainPersistentVolumeClaimRetentionPolicyType))
		Expect(*set.Spec.VolumeClaimTemplates[0].Spec.StorageClassName).To(Equal("fast"))
		pod := set.Spec.Template.Spec
		Expect(*pod.AutomountServiceAccountToken).To(BeFalse())
		Expect(*pod.SecurityContext.RunAsNonRoot).To(BeTrue())
		Expect(pod.SecurityContext.SeccompProfile.Type).To(Equal(corev1.SeccompProfileTypeRuntimeDefault))
		for _, container := range append(pod.InitContainers, pod.Containers...) {
			Expect(*container.SecurityContext.ReadOnlyRootFilesystem).To(BeTrue())
			Expect(*container.SecurityContext.AllowPrivilegeEscalation).To(BeFalse())
			Expect(container.SecurityContext.Capabilities.Drop).To(ConsistOf(corev1.Capability("ALL")))
			Expect(container.Args).NotTo(ContainElement(ContainSubstring("CANARY")))
		}
		Expect(pod.Containers[0].Args).To(ContainElements("--cluster="+c.ID, "--token-label=strongroom", "--so-pin-file=/run/strongroom-hsm/so-pin"))
		Expect(pod.Containers[0].Env).To(ContainElement(corev1.EnvVar{Name: "GODEBUG", Value: "fips140=on"}))
		Expect(pod.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution[0].PodAffinityTerm.TopologyKey).To(Equal("topology.kubernetes.io/zone"))

		service := read(c.ID, &corev1.Service{})
		Expect(service.Spec.ClusterIP).To(Equal("None"))
		Expect(service.Spec.PublishNotReadyAddresses).To(BeTrue())
		Expect(read(c.ID, &policyv1.PodDisruptionBudget{}).Spec.MaxUnavailable.IntValue()).To(Equal(1))
		policy := read(c.ID, &networkingv1.NetworkPolicy{})
		Expect(policy.Spec.PolicyTypes).To(ConsistOf(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress))
		Expect(policy.Spec.Ingress[0].Ports[0].Port.IntValue()).To(Equal(8445))
		Expect(read(c.ID, &corev1.Secret{}).Data).To(HaveKeyWithValue("pin", []byte("pin-CANARY")))

		certificate, key, err := host.Certificate(ctx, c)
		Expect(err).NotTo(HaveOccurred())
		Expect([]string{string(certificate), string(key)}).To(Equal([]string{"certificate", "key"}))

		Expect(host.Remove(ctx, c)).To(Succeed())
		Expect(host.Remove(ctx, c)).To(Succeed(), "it can be repeated")
		err = cp.Client.Get(ctx, client.ObjectKeyFromObject(set), set)
		Expect(apierrors.IsNotFound(err)).To(BeTrue())
	})

	It("are written again only if something is new, or after a while", func() {
		c := c
		c.ID = "cluster-bbbbbbbbbbb"
		apply := func() string {
			GinkgoHelper()
			_, err := host.Apply(ctx, c, files())
			Expect(err).NotTo(HaveOccurred())
			return read(c.ID, &appsv1.StatefulSet{}).ResourceVersion
		}
		first := apply()
		set := read(c.ID, &appsv1.StatefulSet{})
		five := int32(5)
		set.Spec.Replicas = &five
		Expect(cp.Client.Update(ctx, set)).To(Succeed())
		Expect(apply()).To(Equal(set.ResourceVersion))
		now = now.Add(11 * time.Minute)
		Expect(apply()).NotTo(Equal(set.ResourceVersion))
		Expect(*read(c.ID, &appsv1.StatefulSet{}).Spec.Replicas).To(Equal(int32(3)), "what others changed is undone")
		c.Size = 2
		Expect(apply()).NotTo(Equal(first))
		Expect(*read(c.ID, &appsv1.StatefulSet{}).Spec.Replicas).To(Equal(int32(2)))
	})

	It("keep the storage class that they were made with, and all else follows what is wanted", func() {
		c := c
		c.ID = "cluster-classaaaaaa"
		on := func(class, image string) *hsmnodes.Kubernetes {
			return &hsmnodes.Kubernetes{Client: cp.Client, Live: cp.Client, Namespace: environment.OperatorNamespace, Image: image, StorageClass: class, Now: time.Now}
		}
		first := on("fast", "i:1")
		_, err := first.Apply(ctx, c, files())
		Expect(err).NotTo(HaveOccurred())
		Expect(first.Notice(c)).To(BeEmpty())
		_, err = first.Apply(ctx, c, files())
		Expect(err).NotTo(HaveOccurred())
		Expect(first.Notice(c)).To(BeEmpty())
		for class, says := range map[string]string{
			"slow": `keep storage class "fast", and --hsm-storage-class, which is storage class "slow", counts for`,
			"":     `keep storage class "fast", and --hsm-storage-class, which is the default storage class, counts for`,
			"fast": "",
		} {
			k := on(class, "i:"+class+"2")
			c.Size++
			_, err := k.Apply(ctx, c, files())
			Expect(err).NotTo(HaveOccurred(), "Kubernetes lets no claim template change")
			set := read(c.ID, &appsv1.StatefulSet{})
			Expect(*set.Spec.VolumeClaimTemplates[0].Spec.StorageClassName).To(Equal("fast"))
			Expect(set.Spec.Template.Spec.Containers[0].Image).To(Equal("i:" + class + "2"))
			Expect(*set.Spec.Replicas).To(BeEquivalentTo(c.Size))
			if says == "" {
				Expect(k.Notice(c)).To(BeEmpty())
			} else {
				Expect(k.Notice(c)).To(ContainSubstring(says))
			}
		}
		k := on("slow", "i:3")
		_, err = k.Apply(ctx, c, files())
		Expect(err).NotTo(HaveOccurred())
		Expect(k.Remove(ctx, c)).To(Succeed())
		Expect(k.Notice(c)).To(BeEmpty())
	})

	It("of a library that the operator does not let them load are not made", func() {
		f := files()
		for _, library := range []string{"/run/strongroom-hsm/pin", "/usr/lib/softhsm/libsofthsm2.so.new", "/usr/lib/softhsm//libsofthsm2.so"} {
			c := hsmnodes.Cluster{ID: "cluster-refusedaaaa", Owner: "bank/vendor", Size: 1, Library: library, TokenLabel: "theirs"}
			_, err := host.Apply(ctx, c, f)
			Expect(err).To(MatchError(hsmnodes.ErrLibraryNotAllowed), library)
			Expect(err).To(MatchError(And(ContainSubstring(library+", token theirs"), ContainSubstring("--hsm-libraries"))))
			Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: c.ID}, &corev1.Secret{}))).To(BeTrue())
		}
	})

	It("of a library that is taken from them are stopped, once, and run as before when they may load it again", func() {
		c := hsmnodes.Cluster{ID: "cluster-takenaaaaaa", Owner: "bank/vendor", Size: 2, Library: "/opt/lib.so", TokenLabel: "theirs"}
		counted := &environment.FaultyClient{Client: cp.Client}
		k := &hsmnodes.Kubernetes{Client: counted, Live: cp.Client, Namespace: environment.OperatorNamespace, Image: "i:1", Libraries: anyToken("/opt/lib.so"), Now: func() time.Time { return now }}
		Expect(k.Allows(c)).To(Succeed())
		_, err := k.Apply(ctx, c, files())
		Expect(err).NotTo(HaveOccurred())

		for _, left := range []client.Object{nil, &appsv1.StatefulSet{}, &corev1.Secret{}} { // what a crash in the middle leaves, or somebody takes away
			k.Libraries = nil
			Expect(k.Allows(c)).To(MatchError(hsmnodes.ErrLibraryNotAllowed))
			if left != nil {
				left.SetNamespace(environment.OperatorNamespace)
				left.SetName(c.ID)
				Expect(cp.Client.Delete(ctx, left)).To(Succeed())
			}
			Expect(k.Stop(ctx, c)).To(Succeed())
			for _, obj := range all() {
				Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: c.ID}, obj))).To(BeTrue(), "%T", obj)
			}
			counted.FailAt(0, false)
			Expect(k.Stop(ctx, c)).To(Succeed())
			Expect(counted.Log()).To(BeEmpty(), "it writes though nothing runs")

			k.Libraries = anyToken("/opt/lib.so")
			nodes, err := k.Apply(ctx, c, files())
			Expect(err).NotTo(HaveOccurred())
			Expect(nodes).To(HaveLen(2))
			Expect(*read(c.ID, &appsv1.StatefulSet{}).Spec.Replicas).To(Equal(int32(2)))
		}
	})

	It("of another library may call out, and clone nothing without the security officer's PIN", func() {
		c := hsmnodes.Cluster{ID: "cluster-ccccccccccc", Owner: "bank/vendor", Size: 1, Library: "/opt/lib.so", TokenLabel: "theirs"}
		f := files()
		f.SOPIN = secretbytes.Bytes{}
		host.Libraries = anyToken("/opt/lib.so")
		DeferCleanup(func() { host.Libraries = nil })
		_, err := host.Apply(ctx, c, f)
		Expect(err).NotTo(HaveOccurred())
		Expect(read(c.ID, &networkingv1.NetworkPolicy{}).Spec.PolicyTypes).To(ConsistOf(networkingv1.PolicyTypeIngress))
		arguments := read(c.ID, &appsv1.StatefulSet{}).Spec.Template.Spec.Containers[0].Args
		Expect(arguments).To(ContainElements("--library=/opt/lib.so", "--token-label=theirs"))
		Expect(arguments).NotTo(ContainElement(HavePrefix("--so-pin-file")))
	})
})
