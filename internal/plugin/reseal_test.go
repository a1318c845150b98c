package plugin

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("reseal", func() {
	// sealedFor seals as strongroom seal does, by what the KMSKey publishes now.
	sealedFor := func(key, name, value string) string {
		GinkgoHelper()
		k := &v1alpha1.KMSKey{}
		Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: key}, k)).To(Succeed())
		public, err := sealingKeyOf(k)
		Expect(err).NotTo(HaveOccurred())
		text, err := public.Seal(sealing.Scope{
			Kind: "Secret", Account: arn.Account(public.KeyARN), Region: arn.Region(public.KeyARN), Name: name,
		}, secretbytes.Own([]byte(value)))
		Expect(err).NotTo(HaveOccurred())
		return text
	}
	newKey := func(name string) {
		GinkgoHelper()
		k := environment.KMSKey(namespace, name)
		Expect(cp.Client.Create(ctx, k)).To(Succeed())
		Eventually(func() string {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k)).To(Succeed())
			return k.Status.SealingPublicKey
		}, "30s").ShouldNot(BeEmpty())
	}
	apply := func(name, text string) *v1alpha1.Secret {
		GinkgoHelper()
		s := environment.Secret(namespace, name, func(s *v1alpha1.Secret) {
			s.Spec.Generate, s.Spec.Sealed, s.Spec.KMSKeyRef = nil, text, nil
		})
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		Eventually(func() metav1.ConditionStatus {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			return condition(s, v1alpha1.ConditionReady).Status
		}, "30s").Should(Equal(metav1.ConditionTrue))
		return s
	}
	It("finds the primary of multi-Region keys by the id that a value has, and a replica by its own name", func() {
		primary := environment.KMSKey(namespace, "worldwide", func(k *v1alpha1.KMSKey) {
			k.Spec.MultiRegion, k.Spec.ReplicaRegions = true, []v1alpha1.KeyReplicaRegion{{Region: environment.OtherRegion, Name: "a-replica"}}
		})
		replica := environment.KMSKey(namespace, "a-replica", func(k *v1alpha1.KMSKey) { // before its primary in every list
			k.Spec.MultiRegion, k.Spec.Region = true, environment.OtherRegion
			k.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: "worldwide", Region: environment.Region}
		})
		for _, k := range []*v1alpha1.KMSKey{primary, replica} {
			Expect(cp.Client.Create(ctx, k)).To(Succeed())
			Eventually(func() string {
				Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k)).To(Succeed())
				return k.Status.SealingPublicKey
			}, "30s").ShouldNot(BeEmpty())
		}
		text := sealedFor("worldwide", "shared", "hunter2")
		apply("shared", text)
		h, err := sealing.Identify(text)
		Expect(err).NotTo(HaveOccurred())
		for ref, want := range map[string]string{
			keys.FormatKeyID(h.KeyID): "worldwide", primary.Status.KeyID: "worldwide", "worldwide": "worldwide",
			"a-replica": "a-replica", replica.Status.ARN: "a-replica",
		} {
			found, err := findKey(ctx, cp.Client, namespace, ref)
			Expect(err).NotTo(HaveOccurred())
			Expect(found.Name).To(Equal(want), ref)
		}
	})

	manifest := func(texts ...string) string {
		GinkgoHelper()
		path := filepath.Join(GinkgoT().TempDir(), "secrets.yaml")
		Expect(os.WriteFile(path, []byte(strings.Join(texts, "---\n")), 0o640)).To(Succeed())
		return path
	}
	document := func(name, text string) string {
		return "# the shop's " + name + "\napiVersion: strongroom.dev/v1alpha1\nkind: Secret\nmetadata: {name: " + name + "} # as ever\nspec:\n  sealed: " + text + "\n"
	}
	read := func(path string) string {
		GinkgoHelper()
		text, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		return string(text)
	}

	It("puts the new text in place of the former and leaves the rest of the file as it is", func() {
		newKey("first")
		one, two := sealedFor("first", "one", "1"), sealedFor("first", "two", "2")
		first := apply("one", one)
		apply("two", two)
		other := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: \"{{ .b }}\"}\n"
		path := manifest(document("one", one), other, document("two", two))

		out, _, err := run("reseal", "--check", path)
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(BeEmpty())
		_, _, err = run("rotate", "kmskey/first")
		Expect(err).NotTo(HaveOccurred())
		out, _, err = run("reseal", "--check", path)
		Expect(err).To(MatchError(errStale))
		Expect(strings.Count(out, "not sealed for the newest material of KMSKey first")).To(Equal(2))
		Expect(read(path)).To(Equal(strings.Join([]string{document("one", one), other, document("two", two)}, "---\n")))

		out, _, err = run("reseal", path)
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Count(out, "is sealed anew, for KMSKey first")).To(Equal(2))
		found, err := sealedIn([]byte(read(path)))
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(HaveLen(2))
		Expect(read(path)).To(Equal(strings.Join([]string{document("one", found[0].Spec.Sealed), other, document("two", found[1].Spec.Sealed)}, "---\n")))
		info, err := os.Stat(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o640)))
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(first), first)).To(Succeed())
		Expect(first.Annotations).NotTo(HaveKey(v1alpha1.ResealAnnotation))

		_, _, err = run("reseal", "--check", path)
		Expect(err).NotTo(HaveOccurred())
		before := first.Status.CurrentVersionID
		first.Spec.Sealed = found[0].Spec.Sealed
		Expect(cp.Client.Update(ctx, first)).To(Succeed())
		Eventually(func() int64 {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(first), first)).To(Succeed())
			return first.Status.ObservedGeneration
		}, "30s").Should(Equal(first.Generation))
		Expect(condition(first, v1alpha1.ConditionReady).Status).To(Equal(metav1.ConditionTrue))
		Expect(first.Status.CurrentVersionID).To(Equal(before), "the same value is no new version")
	})

	It("seals for another key that is named by its alias", func() {
		newKey("first")
		text := sealedFor("first", "one", "1")
		apply("one", text)
		k := environment.KMSKey(namespace, "second", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/next"} })
		Expect(cp.Client.Create(ctx, k)).To(Succeed())
		Eventually(func() string {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k)).To(Succeed())
			return k.Status.SealingPublicKey
		}, "30s").ShouldNot(BeEmpty())
		path := manifest(document("one", text))
		out, _, err := run("reseal", "--key", "alias/next", path)
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(ContainSubstring("for KMSKey second"))
		found, err := sealedIn([]byte(read(path)))
		Expect(err).NotTo(HaveOccurred())
		h, err := sealing.Identify(found[0].Spec.Sealed)
		Expect(err).NotTo(HaveOccurred())
		public, err := sealingKeyOf(k)
		Expect(err).NotTo(HaveOccurred())
		Expect(public.Seals(h)).To(BeTrue())
	})

	It("leaves the file alone if the cluster has another text, or no such secret", func() {
		newKey("first")
		apply("one", sealedFor("first", "one", "1"))
		text := sealedFor("first", "one", "2")
		_, _, err := run("rotate", "kmskey/first")
		Expect(err).NotTo(HaveOccurred())
		path := manifest(document("one", text))
		_, _, err = run("reseal", path)
		Expect(err).To(MatchError(And(ContainSubstring("apply the file first"), ContainSubstring("/one"))))
		Expect(read(path)).To(Equal(document("one", text)))
		path = manifest(document("nobody", text))
		_, _, err = run("reseal", path)
		Expect(ExitCode(err)).To(Equal(ExitNotFound))
	})

	It("tells what the controller has against it, without waiting, and tidies up", func() {
		newKey("first")
		s := apply("one", sealedFor("first", "one", "1"))
		s.Spec.Sealed = sealedFor("first", "stolen", "2")
		Expect(cp.Client.Update(ctx, s)).To(Succeed())
		_, _, err := run("rotate", "kmskey/first")
		Expect(err).NotTo(HaveOccurred())
		_, _, err = run("reseal", manifest(document("one", s.Spec.Sealed)))
		Expect(err).To(MatchError(ContainSubstring("sealed for another object")))
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		Expect(s.Annotations).NotTo(HaveKey(v1alpha1.ResealAnnotation))
	})

	It("takes no text and no message that an earlier asking has left", func() {
		newKey("first")
		text := sealedFor("first", "one", "1")
		s := apply("one", text)
		// A run that was killed left its annotation, and so a text for the material that was new then.
		s.Annotations = map[string]string{v1alpha1.ResealAnnotation: "first"}
		Expect(cp.Client.Update(ctx, s)).To(Succeed())
		Eventually(func() *v1alpha1.ResealedStatus {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			return s.Status.Resealed
		}, "30s").Should(And(Not(BeNil()), HaveField("Sealed", Not(BeEmpty()))))
		former := s.Status.Resealed.Sealed
		_, _, err := run("rotate", "kmskey/first")
		Expect(err).NotTo(HaveOccurred())
		path := manifest(document("one", text))
		_, _, err = run("reseal", path)
		Expect(err).NotTo(HaveOccurred())
		Expect(read(path)).NotTo(Equal(document("one", former)))
		_, _, err = run("reseal", "--check", path)
		Expect(err).NotTo(HaveOccurred(), "the text is for the newest material")
	})

	It("writes into spec.sealed alone, wherever else the text stands", func() {
		newKey("first")
		text := sealedFor("first", "one", "1")
		apply("one", text)
		_, _, err := run("rotate", "kmskey/first")
		Expect(err).NotTo(HaveOccurred())
		comment, other := "# formerly "+text+"\n", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {was: "+text+"}\n"
		path := manifest(other, comment+document("one", text)+"# "+text+"\n")
		_, _, err = run("reseal", path)
		Expect(err).NotTo(HaveOccurred())
		found, err := sealedIn([]byte(read(path)))
		Expect(err).NotTo(HaveOccurred())
		Expect(found[0].Spec.Sealed).NotTo(Equal(text))
		Expect(read(path)).To(Equal(other + "---\n" + comment + document("one", found[0].Spec.Sealed) + "# " + text + "\n"))
	})

	DescribeTable("refuses a file by its document", func(text, says string) {
		path := manifest(text)
		_, _, err := run("reseal", path)
		Expect(err).To(MatchError(And(ContainSubstring(says), ContainSubstring(path))))
		Expect(read(path)).To(Equal(text))
	},
		Entry("that is no YAML", "a: [", "document 1 is no YAML"),
		Entry("that is no Secret", "apiVersion: strongroom.dev/v1alpha1\nkind: Secret\nspec: 1\n", "document 1 is no Secret"),
		Entry("whose text is in pieces", "apiVersion: strongroom.dev/v1alpha1\nkind: Secret\nmetadata: {name: a}\nspec: {sealed: \"srs1.\\\nabc\"}\n", "write it in one line"),
		Entry("without a name", "apiVersion: strongroom.dev/v1alpha1\nkind: Secret\nspec: {sealed: srs1.abc}\n", "has no metadata.name"),
		Entry("that is a Parameter, whose value it does not seal", "apiVersion: strongroom.dev/v1alpha1\nkind: Parameter\nmetadata: {name: a}\nspec: {type: SecureString, sealed: srs1.abc}\n",
			"seal --kind Parameter"),
		Entry("that is a list, whose Secrets would go unseen", "apiVersion: v1\nkind: List\nitems: [{apiVersion: strongroom.dev/v1alpha1, kind: Secret, metadata: {name: a}, spec: {sealed: srs1.abc}}]\n",
			"write its Secrets as documents of their own"),
		Entry("whose text is none", document("one", "srs1.abc"), "does not open"),
	)

	It("follows a symbolic link and leaves nothing beside the file", func() {
		folder := GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(folder, "file"), []byte("old"), 0o600)).To(Succeed())
		Expect(os.Symlink("file", filepath.Join(folder, "link"))).To(Succeed())
		Expect(replaceFile(filepath.Join(folder, "link"), []byte("new"))).To(Succeed())
		Expect(read(filepath.Join(folder, "file"))).To(Equal("new"))
		entries, err := os.ReadDir(folder)
		Expect(err).NotTo(HaveOccurred())
		Expect(entries).To(HaveLen(2))
	})
})
