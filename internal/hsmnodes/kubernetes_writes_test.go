package hsmnodes_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/test/environment"
)

// roles are what config/rbac gives the manager, bound to a user instead of its service account.
func roles(user string) {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(environment.Root(), "config", "rbac", "role.yaml"))
	Expect(err).NotTo(HaveOccurred())
	subject := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		role := &rbacv1.Role{} // a ClusterRole has the same fields here
		err := documents.Decode(role)
		if errors.Is(err, io.EOF) {
			return
		}
		Expect(err).NotTo(HaveOccurred())
		if role.Kind == "ClusterRole" {
			Expect(cp.Client.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: role.ObjectMeta, Rules: role.Rules})).To(Succeed())
			Expect(cp.Client.Create(ctx, &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: subject, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			})).To(Succeed())
			continue
		}
		Expect(cp.Client.Create(ctx, role)).To(Succeed())
		Expect(cp.Client.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: role.Namespace, Name: role.Name}, Subjects: subject, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		})).To(Succeed())
	}
}

// all that a cluster's nodes run as.
func all() []client.Object {
	return []client.Object{&corev1.Secret{}, &corev1.Service{}, &policyv1.PodDisruptionBudget{}, &networkingv1.NetworkPolicy{}, &appsv1.StatefulSet{}}
}

var _ = Describe("Nodes in Kubernetes", func() {
	cluster := func(id string) hsmnodes.Cluster {
		return hsmnodes.Cluster{ID: id, Owner: "bank/vault", Size: 2, FIPS: true, SoftHSM: true}
	}
	over := func(c client.Client) *hsmnodes.Kubernetes {
		return &hsmnodes.Kubernetes{Client: c, Live: cp.Client, Namespace: environment.OperatorNamespace, Image: "i:1", Now: func() time.Time { return now }}
	}
	there := func(id string) (kinds int) {
		GinkgoHelper()
		for _, obj := range all() {
			err := cp.Client.Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: id}, obj)
			if err == nil {
				kinds++
				continue
			}
			Expect(apierrors.IsNotFound(err)).To(BeTrue())
		}
		return kinds
	}

	It("need no more rights than the manager is given, and those are of Strongroom's own namespace", func() {
		config, err := cp.AddUser("manager")
		Expect(err).NotTo(HaveOccurred())
		roles("manager")
		limited, err := client.New(config, client.Options{Scheme: cp.Client.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		c := cluster("cluster-rightsaaaaa")
		k := &hsmnodes.Kubernetes{Client: limited, Live: limited, Namespace: environment.OperatorNamespace, Image: "i:1", Now: time.Now}
		Eventually(func() error { _, err := k.Apply(ctx, c, files()); return err }, "10s").Should(Succeed(), "an authorizer hears of roles by a watch")
		certificate, _, err := k.Certificate(ctx, c)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(certificate)).To(Equal("certificate"))
		c.Size = 3
		_, err = k.Apply(ctx, c, files())
		Expect(err).NotTo(HaveOccurred())
		Expect(k.Remove(ctx, c)).To(Succeed())
		Expect(there(c.ID)).To(BeZero())
		Expect(k.Erase(ctx, c)).To(Succeed())

		Expect(cp.Namespace(ctx, "tenant", nil)).To(Succeed())
		elsewhere := &hsmnodes.Kubernetes{Client: limited, Live: limited, Namespace: "tenant", Image: "i:1", Now: time.Now}
		_, err = elsewhere.Apply(ctx, c, files())
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		Expect(err.Error()).NotTo(ContainSubstring("CANARY"))
	})

	It("whose tokens are erased leave no claim of theirs, and every claim of others", func() {
		claim := func(name, of string) *corev1.PersistentVolumeClaim {
			GinkgoHelper()
			pvc := &corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Namespace: environment.OperatorNamespace, Name: name, Labels: map[string]string{"strongroom.dev/hsm-cluster": of}},
				Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}}},
			}
			Expect(cp.Client.Create(ctx, pvc)).To(Succeed())
			return pvc
		}
		going := func(pvc *corev1.PersistentVolumeClaim) bool {
			GinkgoHelper()
			err := cp.Client.Get(ctx, client.ObjectKeyFromObject(pvc), pvc)
			Expect(client.IgnoreNotFound(err)).NotTo(HaveOccurred())
			return err != nil || !pvc.DeletionTimestamp.IsZero() // Kubernetes keeps one that a pod uses
		}
		const id = "cluster-erasedaaaaa"
		first, last := claim("data-"+id+"-0", id), claim("data-"+id+"-9", id)
		planted, longer := claim("data-"+id+"-1", "cluster-othersaaaaa"), claim("data-"+id+"-0-copy", id)
		for range 2 {
			Expect(over(cp.Client).Erase(ctx, cluster(id))).To(Succeed())
		}
		Expect([]bool{going(first), going(last)}).To(HaveEach(true))
		Expect([]bool{going(planted), going(longer)}).To(HaveEach(false))
	})

	It("whose manager dies at any write are whole after the next pass, and never are pods without their files", func() {
		for _, after := range []bool{false, true} {
			for n := 1; n <= len(all()); n++ {
				faulty := &environment.FaultyClient{Client: cp.Client}
				k, c := over(faulty), cluster("cluster-dies"+string(rune('a'+n))+map[bool]string{false: "before", true: "afterr"}[after])
				faulty.FailAt(n, after)
				_, err := k.Apply(ctx, c, files())
				Expect(err).To(MatchError(environment.ErrInjected))
				Expect(err.Error()).To(ContainSubstring(c.ID))
				done := n
				if !after {
					done--
				}
				Expect(there(c.ID)).To(Equal(done))
				if done == 0 {
					Expect(there(c.ID)).To(BeZero())
				} else {
					read(c.ID, &corev1.Secret{})
				}
				faulty.FailAt(0, false)
				nodes, err := k.Apply(ctx, c, files())
				Expect(err).NotTo(HaveOccurred())
				Expect(nodes).To(HaveLen(2))
				Expect(faulty.Writes()).To(Equal(len(all())), "what failed is not remembered as done")
				Expect(there(c.ID)).To(Equal(len(all())))
				_, err = k.Apply(ctx, c, files())
				Expect(err).NotTo(HaveOccurred())
				Expect(faulty.Writes()).To(Equal(len(all())), "a second time writes nothing")
			}
		}
	})

	It("whose manager dies at any write of a removal are gone after the next one", func() {
		for n := 1; n <= len(all()); n++ {
			faulty := &environment.FaultyClient{Client: cp.Client}
			k, c := over(faulty), cluster("cluster-removed"+string(rune('a'+n))+"aaa")
			_, err := k.Apply(ctx, c, files())
			Expect(err).NotTo(HaveOccurred())
			faulty.FailAt(n, n%2 == 0)
			Expect(k.Remove(ctx, c)).To(MatchError(environment.ErrInjected))
			faulty.FailAt(0, false)
			Expect(k.Remove(ctx, c)).To(Succeed())
			Expect(there(c.ID)).To(BeZero())
			_, err = k.Apply(ctx, c, files())
			Expect(err).NotTo(HaveOccurred())
			Expect(there(c.ID)).To(Equal(len(all())), "a removal is not remembered as an apply")
		}
	})

	It("are renewed in place by whatever a cluster may change, and a new PIN or certificate does not wait", func() {
		k, c := over(cp.Client), cluster("cluster-changesaaaa")
		k.Libraries = anyToken("/opt/lib.so")
		apply := func(f *hsmnodes.Files) {
			GinkgoHelper()
			_, err := k.Apply(ctx, c, f)
			Expect(err).NotTo(HaveOccurred())
		}
		apply(files())
		uid := read(c.ID, &appsv1.StatefulSet{}).UID
		for _, change := range []func(){
			func() { c.Size = 10 }, func() { c.Size = 1 }, func() { c.FIPS = false }, func() { k.Image = "i:2" },
			func() { c.SoftHSM, c.Library, c.TokenLabel = false, "/opt/lib.so", "theirs" },
		} {
			change()
			apply(files())
		}
		set := read(c.ID, &appsv1.StatefulSet{})
		Expect(set.UID).To(Equal(uid))
		Expect(set.Spec.Template.Spec.Containers[0].Image).To(Equal("i:2"))
		Expect(read(c.ID, &networkingv1.NetworkPolicy{}).Spec.PolicyTypes).To(ConsistOf(networkingv1.PolicyTypeIngress), "another library may call out")
		renewed := files()
		renewed.Certificate = []byte("renewed")
		generation := set.Generation
		apply(renewed)
		Expect(read(c.ID, &corev1.Secret{}).Data).To(HaveKeyWithValue("tls.crt", []byte("renewed")))
		Expect(read(c.ID, &appsv1.StatefulSet{}).Generation).To(Equal(generation), "pods are not restarted for a certificate: they read it again")
	})

	It("keep their volumes when the storage class changes: that is said, and their files are written all the same", func() {
		k, c := over(cp.Client), cluster("cluster-storageaaaa")
		_, err := k.Apply(ctx, c, files())
		Expect(err).NotTo(HaveOccurred())
		k.StorageClass = "other"
		renewed := files()
		renewed.Certificate = []byte("renewed")
		_, err = k.Apply(ctx, c, renewed)
		Expect(err).NotTo(HaveOccurred())
		Expect(k.Notice(c)).To(And(ContainSubstring("the default storage class"), ContainSubstring(`"other"`)))
		Expect(read(c.ID, &corev1.Secret{}).Data).To(HaveKeyWithValue("tls.crt", []byte("renewed")))
	})

	It("are applied for many clusters at once, each with its own files", func() {
		k := over(cp.Client)
		var everyone sync.WaitGroup
		ids := []string{"cluster-atonceaaaaa", "cluster-atoncebbbbb", "cluster-atonceccccc", "cluster-atonceddddd"}
		for _, id := range ids {
			for range 2 {
				everyone.Go(func() {
					defer GinkgoRecover()
					f := files()
					f.Certificate = []byte(id)
					nodes, err := k.Apply(ctx, cluster(id), f)
					Expect(err).NotTo(HaveOccurred())
					Expect(nodes[0].Name).To(Equal(id + "-0"))
				})
			}
		}
		everyone.Wait()
		for _, id := range ids {
			Expect(read(id, &corev1.Secret{}).Data).To(HaveKeyWithValue("tls.crt", []byte(id)))
		}
	})

	It("are the cluster's that made them: another of the same id neither changes nor removes them", func() {
		k, c := over(cp.Client), cluster("cluster-collidesaaa")
		_, err := k.Apply(ctx, c, files())
		Expect(err).NotTo(HaveOccurred())
		was := read(c.ID, &corev1.Secret{})
		other := c
		other.Owner, other.Size = "attacker/col", 1
		theirs := files()
		theirs.Certificate = []byte("theirs")
		for _, host := range []*hsmnodes.Kubernetes{k, over(cp.Client)} { // also one that has written nothing yet
			_, err = host.Apply(ctx, other, theirs)
			Expect(err).To(MatchError(And(ContainSubstring(c.ID), ContainSubstring("attacker/col"), Not(ContainSubstring("bank/vault")))))
			Expect(host.Remove(ctx, other)).To(Succeed(), "it has none, and may go")
			Expect(there(c.ID)).To(Equal(len(all())))
		}
		Expect(read(c.ID, &corev1.Secret{}).ResourceVersion).To(Equal(was.ResourceVersion))
		Expect(k.Remove(ctx, c)).To(Succeed())
		_, err = k.Apply(ctx, other, theirs)
		Expect(err).NotTo(HaveOccurred(), "the id is free")
	})

	It("show their PINs in the one core Secret alone", func() {
		k, c := over(cp.Client), cluster("cluster-canaryaaaaa")
		_, err := k.Apply(ctx, c, files())
		Expect(err).NotTo(HaveOccurred())
		for _, obj := range all()[1:] {
			read(c.ID, obj)
			text, err := clientText(obj)
			Expect(err).NotTo(HaveOccurred())
			Expect(text).NotTo(ContainSubstring("CANARY"))
		}
		secret := read(c.ID, &corev1.Secret{})
		Expect(secret.Data).To(HaveLen(5))
		Expect(secret.Labels).To(HaveKeyWithValue("strongroom.dev/hsm-cluster", c.ID))
		Expect(secret.Labels).NotTo(HaveKey("strongroom.dev/managed"), "the manager's cache would hold it")
	})
})

func clientText(obj client.Object) (string, error) {
	text, err := json.Marshal(obj)
	return string(text), err
}
