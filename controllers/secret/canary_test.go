package secret_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// canaries are values that are nowhere but where they belong. None is a part of another.
const (
	firstCanary  = "canary-Zq7Rk2wPx9-first"
	secondCanary = "canary-Ty4Hn8sLd3-second"
)

// forms are a text as it could be written: as it is, in hexadecimal, and in base64 in each of its three positions, without the
// characters at the ends that depend on what is beside it.
func forms(text string) []string {
	out := []string{text, hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text)))}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for shift := range 3 {
			encoded := encoding.EncodeToString(append(make([]byte, shift), text...))
			out = append(out, encoded[4:len(encoded)-4])
		}
	}
	return out
}

// leaks lists the forms of the canaries that are in a text.
func leaks(text string) (found []string) {
	for _, canary := range []string{firstCanary, secondCanary} {
		for _, form := range forms(canary) {
			if strings.Contains(text, form) {
				found = append(found, form)
			}
		}
	}
	return found
}

// dump is everything of a kind that the API server has, by namespace and name.
func dump(list client.ObjectList, objects func() []client.Object) map[string]string {
	GinkgoHelper()
	Expect(cp.Client.List(ctx, list)).To(Succeed())
	out := map[string]string{}
	for _, o := range objects() {
		text, err := json.Marshal(o)
		Expect(err).NotTo(HaveOccurred())
		out[o.GetNamespace()+"/"+o.GetName()] = string(text)
	}
	return out
}

func each[T any, P interface {
	*T
	client.Object
}](items *[]T) func() []client.Object {
	return func() (out []client.Object) {
		for i := range *items {
			out = append(out, P(&(*items)[i]))
		}
		return out
	}
}

// everything is the whole of the API server's objects that the operator writes or could write.
func everything() map[string]map[string]string {
	GinkgoHelper()
	var (
		core       corev1.SecretList
		maps       corev1.ConfigMapList
		secrets    v1alpha1.SecretList
		keys       v1alpha1.KMSKeyList
		sealed     v1alpha1.EnvelopeList
		deploys    appsv1.DeploymentList
		oldEvents  corev1.EventList
		events     eventsv1.EventList
		namespaces corev1.NamespaceList
	)
	return map[string]map[string]string{
		"core Secret": dump(&core, each(&core.Items)), "ConfigMap": dump(&maps, each(&maps.Items)), "Secret": dump(&secrets, each(&secrets.Items)),
		"KMSKey": dump(&keys, each(&keys.Items)), "Envelope": dump(&sealed, each(&sealed.Items)), "Deployment": dump(&deploys, each(&deploys.Items)),
		"core Event": dump(&oldEvents, each(&oldEvents.Items)), "Event": dump(&events, each(&events.Items)), "Namespace": dump(&namespaces, each(&namespaces.Items)),
	}
}

var _ = Describe("A value", func() {
	It("is found in every form by the search of this test", func() {
		for _, text := range []string{
			firstCanary, "x" + firstCanary + "y", base64.StdEncoding.EncodeToString([]byte("a" + firstCanary + "b")),
			base64.RawURLEncoding.EncodeToString([]byte("ab" + secondCanary)), base64.StdEncoding.EncodeToString([]byte(`{"password":"` + secondCanary + `"}`)),
			hex.EncodeToString([]byte(secondCanary)),
		} {
			Expect(leaks(text)).NotTo(BeEmpty(), text)
		}
		Expect(leaks("canary")).To(BeEmpty())
	})

	It("is in its source and its projection and nowhere else, whatever goes wrong", func() {
		var mu sync.Mutex
		var said []string
		note := func(text string) { mu.Lock(); said = append(said, text); mu.Unlock() }
		// Verbosity 4 is --log-level=debug; from 8 on, Kubernetes' client logs whole bodies.
		logged := log.IntoContext(context.WithoutCancel(ctx), funcr.New(func(prefix, args string) { note(prefix + args) }, funcr.Options{Verbosity: 4}))
		faulty, writes := env.Faulty()
		pass := func(s *v1alpha1.Secret) {
			GinkgoHelper()
			if _, err := faulty.Secret.Reconcile(logged, environment.Request(s)); err != nil {
				note(err.Error())
			}
			refresh(s)
			seen(s)
			text, err := json.Marshal(s)
			Expect(err).NotTo(HaveOccurred())
			note(string(text)) // the status of every moment
		}
		source := coreSecret("source", map[string]string{"password": `{"password":"` + firstCanary + `","user":"u"}`})
		create(source)
		s := environmentSecret("db", importFrom("source", v1alpha1.ImportFollow), workloads("db"))
		create(s)
		for n := 1; n <= 3; n++ {
			writes.FailAt(n, n%2 == 0)
			pass(s)
		}
		writes.FailAt(0, false)
		pass(s)
		Expect(projected("db")).To(HaveKeyWithValue("password", firstCanary))

		for _, text := range []string{
			`{{ .password.x }}`, `{{ .nothing }}`, `{{ fromJson .password }}`, `{{ b64dec .password }}`, `{{ index .password 999 }}`, `{{ lt .password 1 }}`,
			`{{ range .password }}{{ end }}`, `{{ join "," .password }}`,
		} {
			update(s, func() { template("value", text)(s) })
			pass(s)
			Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonInvalidTemplate), text)
		}
		for _, secretType := range []string{"kubernetes.io/tls", "kubernetes.io/dockerconfigjson"} {
			update(s, func() {
				s.Spec.Target = &v1alpha1.SecretTarget{Name: "typed-" + strings.TrimPrefix(secretType, "kubernetes.io/"), Type: secretType,
					Template: &v1alpha1.TargetTemplate{Data: map[string]string{".dockerconfigjson": "{{ .password }}"}}}
			})
			pass(s)
			Expect(condition(s, v1alpha1.ConditionReady).Status).To(BeEquivalentTo("False"), secretType)
		}
		update(s, func() {
			s.Spec.Target = &v1alpha1.SecretTarget{Template: &v1alpha1.TargetTemplate{Data: map[string]string{"value": both}}}
		})
		pass(s)
		for _, value := range []string{secondCanary, strings.Repeat(secondCanary, 4000), "", secondCanary} { // the second is too long, the third is empty
			source.Data = map[string][]byte{"password": []byte(value)}
			Expect(cp.Client.Update(ctx, source)).To(Succeed())
			env.Clock.Advance(time.Minute)
			pass(s)
		}
		Expect(projected("db")["value"]).To(HavePrefix(secondCanary + ","))
		e := envelopes(v1alpha1.EnvelopeSecretVersion)[0]
		remove(&e)
		pass(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonEnvelopeMissing))

		for kind, objects := range everything() {
			for name, text := range objects {
				if kind == "core Secret" && (name == namespace+"/source" || name == namespace+"/db") {
					Expect(leaks(text)).NotTo(BeEmpty(), "the search finds nothing at all")
					continue
				}
				Expect(leaks(text)).To(BeEmpty(), "%s %s", kind, name)
			}
		}
		remove(s)
		entomb(env, "db")
		for _, tombstone := range envelopes(v1alpha1.EnvelopeTombstone) {
			text, _ := json.Marshal(tombstone)
			Expect(leaks(string(text))).To(BeEmpty())
		}
		happened := faulty.DrainEvents()
		Expect(happened).NotTo(BeEmpty())
		Expect(len(said)).To(BeNumerically(">", 20))
		for _, text := range append(said, happened...) {
			Expect(leaks(text)).To(BeEmpty(), text)
		}
	})
})
