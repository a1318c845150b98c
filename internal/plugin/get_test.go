package plugin

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// secretAnd makes a Secret that AWS knows as prod/NAME, and its key, and waits until it is ready.
func secretAnd(name string, changes ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
	GinkgoHelper()
	Expect(client.IgnoreAlreadyExists(cp.Client.Create(ctx, environment.KMSKey(namespace, "key", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} })))).To(Succeed())
	s := environment.Secret(namespace, name, append(changes, func(s *v1alpha1.Secret) { s.Spec.Name = "prod/" + name })...)
	Expect(cp.Client.Create(ctx, s)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		g.Expect(condition(s, v1alpha1.ConditionReady).Status).To(Equal(metav1.ConditionTrue), condition(s, v1alpha1.ConditionReady).Message)
	}, "20s").Should(Succeed())
	return s
}

var _ = Describe("get", func() {
	It("shows all kinds of a namespace in a table, with ARNs, and none of another namespace", func() {
		s := secretAnd("db")
		out, _, err := run("get")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(HavePrefix("KIND "))
		Expect(out).To(MatchRegexp(`(?m)^Secret +db +True +\w+ +` + s.Status.ARN))
		Expect(out).To(MatchRegexp(`(?m)^KMSKey +key +True +\w+ +arn:aws:kms:`))
		Expect(strings.Count(out, "\n")).To(Equal(3))
		all, _, err := run("get", "-A")
		Expect(err).NotTo(HaveOccurred())
		Expect(all).To(HavePrefix("NAMESPACE "))
		Expect(all).To(MatchRegexp(`(?m)^` + namespace + ` +Secret +db +True`))
	})

	It("finds one object by its name, its name in AWS, its alias and its ARN", func() {
		s := secretAnd("db")
		key := environment.KMSKey(namespace, "key")
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		for _, arguments := range [][]string{
			{"secret", "db"}, {"secret/db"}, {"sms", "prod/db"}, {"secrets/prod/db"}, {"Secret", s.Status.ARN},
			{"kmskey", "alias/shop"}, {"key", key.Status.KeyID}, {"kmskey/" + key.Status.ARN},
		} {
			out, _, err := run(append([]string{"get", "-o", "name"}, arguments...)...)
			Expect(err).NotTo(HaveOccurred(), "%v", arguments)
			Expect(out).To(BeElementOf("secret.strongroom.dev/db\n", "kmskey.strongroom.dev/key\n"), "%v", arguments)
		}
	})

	It("goes by the object's name before a name in AWS that is the same", func() {
		secretAnd("one", func(s *v1alpha1.Secret) { s.Spec.Name = "" })
		other := environment.Secret(namespace, "two", func(s *v1alpha1.Secret) { s.Spec.Name = "one" })
		Expect(cp.Client.Create(ctx, other)).To(Succeed())
		out, _, err := run("get", "secret", "one", "-o", "name")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(Equal("secret.strongroom.dev/one\n"))
	})

	It("writes an object, and a list of objects, as kubectl does", func() {
		s := secretAnd("db")
		for _, format := range []string{"yaml", "json"} {
			out, _, err := run("get", "secret", "db", "-o", format)
			Expect(err).NotTo(HaveOccurred())
			var got v1alpha1.Secret
			Expect(yaml.UnmarshalStrict([]byte(out), &got)).To(Succeed())
			Expect(got.Kind).To(Equal("Secret"))
			Expect(got.APIVersion).To(Equal("strongroom.dev/v1alpha1"))
			Expect(got.UID).To(Equal(s.UID))
			Expect(got.ManagedFields).To(BeEmpty())

			out, _, err = run("get", "secrets", "-o", format)
			Expect(err).NotTo(HaveOccurred())
			var list v1alpha1.SecretList
			Expect(yaml.UnmarshalStrict([]byte(out), &list)).To(Succeed())
			Expect(list.Kind).To(Equal("List"))
			Expect(list.Items).To(HaveLen(1))
			Expect(list.Items[0].Kind).To(Equal("Secret"))
		}
	})

	It("says that there is nothing on the standard error, and answers an empty list", func() {
		out, errs, err := run("get")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(BeEmpty())
		Expect(errs).To(ContainSubstring("none in namespace " + namespace))
		out, _, err = run("get", "-o", "json")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(ContainSubstring(`"items": []`))
	})

	It("shows no command for the terminal that someone wrote into a message", func() {
		s := secretAnd("db")
		base := s.DeepCopy()
		c := condition(s, v1alpha1.ConditionReady)
		c.Message = "\x1b[2Jall is\nwell\u009b"
		s.Status.Conditions = []metav1.Condition{c}
		rows := (&getFlags{}).rows([]found{{kinds[0], s}}, base.CreationTimestamp.Time)
		var out strings.Builder
		Expect(table(&out, rows)).To(Succeed())
		Expect(out.String()).NotTo(MatchRegexp("[\x1b\u009b]"))
		Expect(out.String()).To(ContainSubstring("all is well"))
	})
})

var _ = Describe("what cannot be had", func() {
	DescribeTable("is said, with an exit code of its own", func(code int, says string, arguments ...string) {
		out, _, err := run(arguments...)
		Expect(err).To(MatchError(ContainSubstring(says)))
		Expect(ExitCode(err)).To(Equal(code))
		Expect(out).To(BeEmpty())
	},
		Entry("an object that is not there", ExitNotFound, "has no Secret missing", "get", "secret", "missing"),
		Entry("a name of AWS that is not there", ExitNotFound, "has no Secret prod/missing", "history", "prod/missing"),
		Entry("a name without a kind of what is no Secret", ExitNotFound, "has no Secret /prod/missing; if it is of another kind, give that first, as in: parameter /prod/missing", "history", "/prod/missing"),
		Entry("a rotation of what is not there", ExitNotFound, "has no KMSKey alias/x", "rotate", "kmskey", "alias/x"),
		Entry("a kind that is not there", ExitFailed, `no kind "pods": give one of secret, parameter`, "get", "pods"),
		Entry("a name without a kind", ExitFailed, `no kind "db"`, "get", "db"),
		Entry("a history of a certificate", ExitFailed, "this is for secret, parameter, kmskey", "history", "certificate", "web"),
		Entry("a rotation of an HSMCluster", ExitFailed, "this is for secret, parameter, kmskey, keyring, certificate, certificateauthority", "rotate", "hsm/one"),
		Entry("a format that is not there", ExitFailed, `--output is "xml"`, "get", "-o", "xml"),
		Entry("one name in all namespaces", ExitFailed, "leave --all-namespaces out", "get", "secret", "db", "-A"),
		Entry("too many arguments", ExitFailed, "at most 2", "get", "a", "b", "c"),
		Entry("no argument", ExitFailed, "between 1 and 2", "history"),
		Entry("a value of a key", ExitFailed, "this is for secret, parameter", "reveal", "kmskey/shop"),
	)

	It("is said without a word about kinds to who gave one", func() {
		for _, arguments := range [][]string{{"secret", "missing"}, {"secret/missing"}, {"parameter", "/prod/missing"}} {
			_, _, err := run(append([]string{"history"}, arguments...)...)
			Expect(err).To(MatchError(And(ContainSubstring("has no"), Not(ContainSubstring("kind")))), "%v", arguments)
		}
	})

	It("is denied with another exit code than what is missing", func() {
		nobody, err := cp.AddUser("nobody")
		Expect(err).NotTo(HaveOccurred())
		as := kubeconfigOf(nobody)
		for _, arguments := range [][]string{{"get"}, {"get", "secret", "db"}, {"history", "db"}, {"rotate", "db"}} {
			_, _, err := runAs(as, append(arguments, "-n", namespace)...)
			Expect(err).To(MatchError(ContainSubstring("forbidden")))
			Expect(ExitCode(err)).To(Equal(ExitDenied), "%v", arguments)
		}
	})

	It("is said of a kubeconfig that is not there", func() {
		_, _, err := runAs("/missing", "get")
		Expect(err).To(MatchError(ContainSubstring("/missing")))
	})
})
