package plugin

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/backup"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/internal/unseal"
	"strongroom.dev/strongroom/test/environment"
)

// offline is an identity in a file, with its recipient.
func offline() (id *age.HybridIdentity, file string) {
	GinkgoHelper()
	id, err := age.GenerateHybridIdentity()
	Expect(err).NotTo(HaveOccurred())
	file = filepath.Join(GinkgoT().TempDir(), "identity.txt")
	Expect(os.WriteFile(file, []byte("# created: today\n"+id.String()+"\n"), 0o600)).To(Succeed())
	return id, file
}

// backedUp takes a backup of the suite's installation.
func backedUp(arguments ...string) (path, identity, out string, objects []*unstructured.Unstructured) {
	GinkgoHelper()
	id, identity := offline()
	path = filepath.Join(GinkgoT().TempDir(), "backup.age")
	out, _, err := runAs(kubeconfig, append([]string{"backup", "-r", id.Recipient().String(), path}, arguments...)...)
	Expect(err).NotTo(HaveOccurred())
	text, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	from, err := backup.NewReader(bytes.NewReader(text), id)
	Expect(err).NotTo(HaveOccurred())
	for {
		o, err := from.Next()
		if errors.Is(err, io.EOF) {
			return path, identity, out, objects
		}
		Expect(err).NotTo(HaveOccurred())
		objects = append(objects, o)
	}
}

// crafted is a backup that somebody made who knows the recipient.
func crafted(header backup.Header, objects ...map[string]any) (path, identity string) {
	GinkgoHelper()
	id, identity := offline()
	var b bytes.Buffer
	w, err := backup.NewWriter(&b, header, id.Recipient())
	Expect(err).NotTo(HaveOccurred())
	for _, o := range objects {
		Expect(w.Add(&unstructured.Unstructured{Object: o})).To(Succeed())
	}
	Expect(w.Close()).To(Succeed())
	path = filepath.Join(GinkgoT().TempDir(), "crafted.age")
	Expect(os.WriteFile(path, b.Bytes(), 0o600)).To(Succeed())
	return path, identity
}

func coreObject(kind, namespace, name string) map[string]any {
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return map[string]any{"apiVersion": "v1", "kind": kind, "metadata": metadata}
}

// domainKeys are those of the suite's installation, as if a namespace were its own.
func domainKeys(namespace string) (out []map[string]any) {
	GinkgoHelper()
	_, _, _, objects := backedUp()
	for _, o := range objects {
		if class, _, _ := unstructured.NestedString(o.Object, "spec", "class"); class == string(v1alpha1.EnvelopeDomainKey) {
			o.SetNamespace(namespace)
			out = append(out, o.Object)
		}
	}
	Expect(out).NotTo(BeEmpty())
	return out
}

// group is an object that means nothing.
func group(namespace, name string) map[string]any {
	return map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "IAMGroup", "metadata": map[string]any{"namespace": namespace, "name": name}, "spec": map[string]any{},
	}
}

// rootOf is a core Secret of a root of trust that is not this installation's.
func rootOf(namespace string) map[string]any {
	o := coreObject("Secret", namespace, unseal.RootSecretName)
	o["data"] = map[string]any{"root": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
	return o
}

var _ = Describe("backup", func() {
	It("writes the installation in the order in which it is made again, for its recipient alone, and says what and how it is known", func() {
		secretAnd("db")
		path, _, out, objects := backedUp()
		order := map[string]int{}
		for i, o := range objects {
			name := o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
			order[name] = i
			Expect(o.GetUID()).To(BeEmpty())
			conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
			Expect(conditions).To(BeEmpty(), name)
			if class, _, _ := unstructured.NestedString(o.Object, "spec", "class"); class != "" {
				order[class] = i
			}
		}
		root, db := "Secret "+environment.OperatorNamespace+"/"+unseal.RootSecretName, "Secret "+namespace+"/db"
		for _, name := range []string{root, db, "KMSKey " + namespace + "/key", "Namespace /" + namespace, "DomainKey", "SecretVersion", "KeyMaterial"} {
			Expect(order).To(HaveKey(name))
		}
		Expect(order[root]).To(BeNumerically("<", order["DomainKey"]))
		Expect(order["DomainKey"]).To(BeNumerically("<", order["SecretVersion"]))
		Expect(order["SecretVersion"]).To(BeNumerically("<", order[db]))

		text, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(Equal(fmt.Sprintf("%s: %d objects written (%s\nsha256:%x\n", path, len(objects), strings.SplitN(strings.SplitN(out, "(", 2)[1], "\n", 2)[0], sha256.Sum256(text))))
		Expect(out).To(MatchRegexp(`\d+ Envelope, .*\d+ KMSKey, `))
		kinds := map[string]int{}
		for _, o := range objects {
			kinds[o.GetAPIVersion()+" "+o.GetKind()]++
		}
		Expect(out).To(And(ContainSubstring(", %d Secret, ", kinds["strongroom.dev/v1alpha1 Secret"]), ContainSubstring(", %d core Secret)", kinds["v1 Secret"])))
		for _, name := range []string{namespace, environment.OperatorNamespace, unseal.RootSecretName} {
			Expect(bytes.Contains(text, []byte(name))).To(BeFalse())
		}
		info, err := os.Stat(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
		left, err := os.ReadDir(filepath.Dir(path))
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(HaveLen(1))
	})

	It("leaves out the root of trust, where it is kept elsewhere, and what is being deleted, but not its values", func() {
		s := secretAnd("db", func(s *v1alpha1.Secret) { s.Finalizers = []string{"test.strongroom.dev/held"} })
		DeferCleanup(func() {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			s.Finalizers = nil
			Expect(cp.Client.Update(ctx, s)).To(Succeed())
		})
		Expect(cp.Client.Delete(ctx, s)).To(Succeed())
		_, _, _, objects := backedUp("--without-root")
		versions := 0
		for _, o := range objects {
			Expect(o.GetName()).NotTo(Equal(unseal.RootSecretName))
			Expect(o.GetNamespace() + o.GetName()).NotTo(Equal(namespace + "db"))
			if class, _, _ := unstructured.NestedString(o.Object, "spec", "class"); class == string(v1alpha1.EnvelopeSecretVersion) && o.GetNamespace() == namespace {
				versions++
			}
		}
		Expect(versions).To(Equal(1))
	})

	It("takes recipients from a file, several at once, and can be piped", func() {
		one, _ := offline()
		two, _ := offline()
		file := filepath.Join(GinkgoT().TempDir(), "recipients.txt")
		Expect(os.WriteFile(file, []byte("# two\n"+two.Recipient().String()+"\n"), 0o600)).To(Succeed())
		out, notes, err := runAs(kubeconfig, "backup", "-r", one.Recipient().String(), "-R", file, "-")
		Expect(err).NotTo(HaveOccurred())
		Expect(notes).To(ContainSubstring(fmt.Sprintf("sha256:%x\n", sha256.Sum256([]byte(out)))))
		for _, id := range []age.Identity{one, two} {
			_, err := backup.NewReader(strings.NewReader(out), id)
			Expect(err).NotTo(HaveOccurred())
		}
	})

	It("says what is wrong, and leaves no file behind", func() {
		id, identity := offline()
		dir := GinkgoT().TempDir()
		path := filepath.Join(dir, "backup.age")
		for want, arguments := range map[string][]string{
			"no recipient: give -r":                                 {path},
			"reading a recipient":                                   {"-r", "age1nonsense", path},
			"no such file or directory":                             {"-R", filepath.Join(dir, "none"), path},
			"no root of trust in namespace " + namespace + "; name": {"-r", id.Recipient().String(), "-n", namespace, path},
			"no domain key in namespace " + namespace + "; name":    {"-r", id.Recipient().String(), "-n", namespace, "--without-root", path},
			identity + " is there already":                          {"-r", id.Recipient().String(), identity},
		} {
			_, _, err := runAs(kubeconfig, append([]string{"backup"}, arguments...)...)
			Expect(err).To(MatchError(ContainSubstring(want)))
		}
		left, err := os.ReadDir(dir)
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(BeEmpty())
	})
})

var _ = Describe("restore", func() {
	It("finds everything there, makes what was deleted since, and does nothing that it does not say", func() {
		s := secretAnd("db")
		path, identity, printed, objects := backedUp()
		digest := printed[strings.Index(printed, "sha256:") : len(printed)-1]
		before := valueOf(s)
		out, _, err := runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(HavePrefix(fmt.Sprintf("%s: 0 objects made; %d objects there already (", path, len(objects))))

		Expect(cp.Client.Delete(ctx, s)).To(Succeed())
		Eventually(func() bool { return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)) }).Should(BeTrue())
		for _, dry := range []string{"--dry-run=true", "--dry-run=false"} {
			out, _, err = runAs(kubeconfig, "restore", "-i", identity, dry, "--digest", digest, path)
			Expect(err).NotTo(HaveOccurred())
			Expect(out).To(MatchRegexp(`^\S+: 1 objects (to be )?made \(1 Secret\); `), dry)
		}
		Eventually(func(g Gomega) {
			g.Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			g.Expect(condition(s, v1alpha1.ConditionReady).Status).To(Equal(metav1.ConditionTrue))
		}, "20s").Should(Succeed())
		Expect(valueOf(s)).To(Equal(before))
		Expect(s.Status.Versions).To(HaveLen(1))
	})

	It("of a backup from the middle of a rewrap finds all that was rewrapped since as it is, and brings back what opens", func() {
		for _, name := range []string{"one", "two"} {
			world.Create(environment.Parameter(namespace, name))
		}
		var versions []v1alpha1.Envelope
		Eventually(func() []v1alpha1.Envelope {
			versions = world.Envelopes(v1alpha1.EnvelopeParameterVersion)
			return versions
		}, "20s").Should(HaveLen(2))
		awaitKeyring()
		_, _, err := runAs(kubeconfig, "rotate", "keyring")
		Expect(err).NotTo(HaveOccurred())
		rewrap := func(e *v1alpha1.Envelope) {
			GinkgoHelper()
			Eventually(func() (bool, error) { // as soon as this process has heard of the rotation
				ring, err := world.Services.Keyring.Get()
				Expect(err).NotTo(HaveOccurred())
				world.Refresh(e)
				return world.Services.Store.Rewrap(ctx, ring, e)
			}, "20s").Should(BeTrue())
			world.Refresh(e)
		}
		rewrap(&versions[0])
		path, identity, _, objects := backedUp()
		inFile := map[string]string{}
		for _, o := range objects {
			key, _, _ := unstructured.NestedString(o.Object, "spec", "keyArn")
			inFile[o.GetName()] = key
		}
		Expect(inFile[versions[0].Name]).NotTo(Equal(inFile[versions[1].Name]), "it is not from the middle")
		former := versions[1].DeepCopy()
		rewrap(&versions[1])
		out, _, err := runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(ContainSubstring(": 0 objects made; "))

		for n := range versions {
			Expect(cp.Client.Delete(ctx, &versions[n])).To(Succeed())
		}
		out, _, err = runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(ContainSubstring("2 objects made (2 Envelope)"))
		for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
			value, err := world.Services.Keyring.Open(keys.KindParameterVersion, store.Binding(&e), e.Spec.Ciphertext)
			Expect(err).NotTo(HaveOccurred())
			Expect(string(value.Reveal())).To(Equal("info"))
			if e.Name == former.Name {
				Expect(e.Spec).To(Equal(former.Spec))
			}
		}
		forged := former.DeepCopy()
		forged.Spec.Version = "9"
		Expect(cp.Client.Delete(ctx, former.DeepCopy())).To(Succeed())
		forged.ResourceVersion, forged.UID, forged.Spec.KeyARN = "", "", versions[0].Spec.KeyARN
		Expect(cp.Client.Create(ctx, forged)).To(Succeed())
		conflicts, _, err := runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).To(MatchError(backup.ErrConflicts), conflicts)
	})

	It("makes a namespace that is gone, as the account that it was", func() {
		ns := world.NewNamespace()
		again := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": ns + "-again", "labels": map[string]any{v1alpha1.AccountIDLabel: "111122223333"}}}
		all := append(domainKeys(environment.OperatorNamespace), group(ns+"-again", "ops"))
		path, identity := crafted(backup.Header{Namespace: environment.OperatorNamespace}, all...)
		for _, dry := range []string{"--dry-run=true", "--dry-run=false"} {
			_, _, err := runAs(kubeconfig, "restore", "-i", identity, dry, path)
			Expect(err).To(MatchError(backup.ErrNoNamespace))
		}
		path, identity = crafted(backup.Header{Namespace: environment.OperatorNamespace}, append(all, again, coreObject("Namespace", "", ns+"-empty"))...)
		_, _, err := runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).NotTo(HaveOccurred())
		made := &corev1.Namespace{}
		Expect(cp.Client.Get(ctx, client.ObjectKey{Name: ns + "-again"}, made)).To(Succeed())
		Expect(made.Labels).To(HaveKeyWithValue(v1alpha1.AccountIDLabel, "111122223333"))
		Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: ns + "-again", Name: "ops"}, &v1alpha1.IAMGroup{})).To(Succeed())
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKey{Name: ns + "-empty"}, made))).To(BeTrue(), "nothing is in it")
	})

	It("makes nothing where a namespace is another account than it was", func() {
		ns := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace, "labels": map[string]any{v1alpha1.AccountIDLabel: "111122224444"}}}
		path, identity := crafted(backup.Header{Namespace: environment.OperatorNamespace}, append(domainKeys(environment.OperatorNamespace), group(namespace, "ops"), ns)...)
		_, notes, err := runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).To(MatchError(backup.ErrConflicts))
		Expect(notes).To(ContainSubstring("other: Namespace " + namespace + "\n"))
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "ops"}, &v1alpha1.IAMGroup{}))).To(BeTrue())
	})

	It("makes no version behind those of an object that has another history by now", func() {
		p := environment.Parameter(namespace, "level")
		Expect(cp.Client.Create(ctx, p)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
			g.Expect(condition(p, v1alpha1.ConditionReady).Status).To(Equal(metav1.ConditionTrue))
		}, "20s").Should(Succeed())
		Expect(p.Status.Version).To(Equal(int64(1)))
		_, _, _, objects := backedUp()
		all := domainKeys(environment.OperatorNamespace)
		for _, o := range objects { // as of a backup of before it was deleted and made again, when it had two versions
			if class, _, _ := unstructured.NestedString(o.Object, "spec", "class"); class == string(v1alpha1.EnvelopeParameterVersion) && o.GetNamespace() == namespace {
				o.SetName(store.Name(v1alpha1.EnvelopeParameterVersion, p.Status.ARN, 2))
				Expect(unstructured.SetNestedField(o.Object, int64(2), "spec", "sequence")).To(Succeed())
				Expect(unstructured.SetNestedField(o.Object, "2", "spec", "version")).To(Succeed())
				all = append(all, o.Object)
			}
		}
		path, identity := crafted(backup.Header{Namespace: environment.OperatorNamespace}, all...)
		_, notes, err := runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).To(MatchError(backup.ErrConflicts))
		Expect(notes).To(ContainSubstring("other: Envelope " + namespace + "/" + store.Name(v1alpha1.EnvelopeParameterVersion, p.Status.ARN, 2) + "\n"))
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(1))
	})

	It("leaves what says something else as it is, tells of it, and makes the rest", func() {
		s := secretAnd("db")
		path, identity, _, _ := backedUp()
		s.Spec.Description = "changed since"
		Expect(cp.Client.Update(ctx, s)).To(Succeed())
		_, notes, err := runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).To(MatchError(backup.ErrConflicts))
		Expect(notes).To(ContainSubstring("other: Secret " + namespace + "/db\n"))
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		Expect(s.Spec.Description).To(Equal("changed since"))
	})

	It("tells of what is there in somebody's hands, with the command that takes it out of them, and fails by nothing of it", func() {
		s := secretAnd("db")
		path, identity, _, _ := backedUp()
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "theirs\x1b[2J", UID: "'; evil"}}
		s.Finalizers = []string{"example.com/held"}
		Expect(cp.Client.Update(ctx, s)).To(Succeed())
		DeferCleanup(func() {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			s.Finalizers, s.OwnerReferences = nil, nil
			Expect(cp.Client.Update(ctx, s)).To(Succeed())
		})
		for range 2 {
			out, notes, err := runAs(kubeconfig, "restore", "-i", identity, path)
			Expect(err).NotTo(HaveOccurred())
			Expect(out).To(ContainSubstring("there already"))
			Expect(notes).To(ContainSubstring("held: Secret " + namespace + "/db: owner ConfigMap theirs [2J, finalizer example.com/held: neither the backup nor Strongroom has put that there; " +
				"if nobody else should have: kubectl patch secret.strongroom.dev db -n " + namespace + ` --type=json -p='[{"op":"test","path":"/metadata/resourceVersion","value":"`))
			Expect(notes).To(And(ContainSubstring(`{"op":"remove","path":"/metadata/ownerReferences/0"},{"op":"remove","path":"/metadata/finalizers/0"}]'`), Not(ContainSubstring("evil"))))
		}
	})

	It("refuses another root of trust before anything is made", func() {
		path, identity := crafted(backup.Header{Namespace: environment.OperatorNamespace, Roots: []string{"x"}},
			append([]map[string]any{rootOf(environment.OperatorNamespace)}, append(domainKeys(environment.OperatorNamespace), group(namespace, "ops"))...)...)
		_, _, err := runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).To(MatchError(backup.ErrOtherRoot))
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "ops"}, &v1alpha1.IAMGroup{}))).To(BeTrue())
	})

	It("makes a root of trust where there is none and no manager that would make its own", func() {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: operator.LeaseName}, Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To("pod"), LeaseDurationSeconds: ptr.To(int32(3600)), RenewTime: ptr.To(metav1.NowMicro()),
		}}
		Expect(cp.Client.Create(ctx, lease)).To(Succeed())
		path, identity := crafted(backup.Header{Namespace: namespace}, append([]map[string]any{rootOf(namespace)}, domainKeys(namespace)...)...)
		root := &corev1.Secret{}
		_, _, err := runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).To(MatchError(backup.ErrRunning))
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: unseal.RootSecretName}, root))).To(BeTrue())

		lease.Spec.RenewTime = ptr.To(metav1.NewMicroTime(time.Now().Add(-2 * time.Hour)))
		Expect(cp.Client.Update(ctx, lease)).To(Succeed())
		_, _, err = runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).NotTo(HaveOccurred())
		Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: unseal.RootSecretName}, root)).To(Succeed())
		Expect(root.Data["root"]).To(HaveLen(32))
	})

	It("refuses a backup without the root of trust where there is none", func() {
		path, identity := crafted(backup.Header{Namespace: namespace, WithoutRoot: true, Roots: []string{namespace + "/" + unseal.RootSecretName}}, domainKeys(namespace)...)
		_, _, err := runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).To(MatchError(backup.ErrNoRoot))
	})

	It("makes no core Secret that is of no root of trust, whoever made the file", func() {
		for _, o := range []map[string]any{coreObject("Secret", namespace, unseal.RootSecretName), coreObject("Secret", environment.OperatorNamespace, "other"),
			coreObject("Secret", environment.OperatorNamespace, "cluster-2345678abcd-authority")} {
			path, identity := crafted(backup.Header{Namespace: environment.OperatorNamespace}, append([]map[string]any{o}, domainKeys(environment.OperatorNamespace)...)...)
			_, _, err := runAs(kubeconfig, "restore", "-i", identity, path)
			Expect(err).To(MatchError(backup.ErrFormat))
			Expect(err).To(MatchError(ContainSubstring("is of no root of trust")))
		}
		path, identity := crafted(backup.Header{Namespace: environment.OperatorNamespace}, map[string]any{
			"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "Envelope", "metadata": map[string]any{"namespace": namespace, "name": "dk"}, "spec": map[string]any{"class": "DomainKey"},
		})
		_, _, err := runAs(kubeconfig, "restore", "-i", identity, path)
		Expect(err).To(MatchError(backup.ErrFormat))
	})

	It("says what is wrong with what it is given", func() {
		path, identity := crafted(backup.Header{Namespace: environment.OperatorNamespace})
		_, stranger := offline()
		for want, arguments := range map[string][]string{
			"no identity: give -i":       {path},
			"no file of age's":           {"-i", path, path},
			"none of the identities":     {"-i", stranger, path},
			"no such file or directory":  {"-i", identity, path + "x"},
			"another file than --digest": {"-i", identity, "--digest", "sha256:" + strings.Repeat("0", 64), path},
			"64 hexadecimal digits":      {"-i", identity, "--digest", "md5:1", path},
			"opening the backup":         {"-i", identity, identity},
		} {
			_, _, err := runAs(kubeconfig, append([]string{"restore"}, arguments...)...)
			Expect(err).To(MatchError(ContainSubstring(want)), "%v", arguments)
			Expect(err.Error()).NotTo(ContainSubstring("AGE-SECRET-KEY"))
		}
	})
})

// valueOf is what a Secret's target shows.
func valueOf(s *v1alpha1.Secret) map[string][]byte {
	GinkgoHelper()
	target := &corev1.Secret{}
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), target)).To(Succeed())
	return target.Data
}
