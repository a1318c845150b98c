package v1alpha1_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// conditioned is a kind with conditions.
type conditioned interface {
	client.Object
	GetConditions() []metav1.Condition
	SetConditions([]metav1.Condition)
}

var _ = Describe("Before any controller has seen it, an object's status", func() {
	for kind, read := range map[string]conditioned{key: &v1alpha1.KMSKey{}, secret: &v1alpha1.Secret{}} {
		spec := map[string]string{key: "{}", secret: with("uuid: {}", "")}[kind]

		It("of a "+kind+" is Ready=Unknown and Reconciling, of a generation that is none, so that kubectl wait waits", func() {
			o := object(kind, "status-default", spec)
			Expect(strict.Create(ctx, o)).To(Succeed())
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(o), read)).To(Succeed())
			Expect(read.GetConditions()).To(HaveLen(2))
			for conditionType, status := range map[string]metav1.ConditionStatus{
				v1alpha1.ConditionReady: metav1.ConditionUnknown, v1alpha1.ConditionReconciling: metav1.ConditionTrue,
			} {
				c := meta.FindStatusCondition(read.GetConditions(), conditionType)
				Expect(c).To(And(HaveField("Status", status), HaveField("Reason", v1alpha1.ReasonPending), HaveField("Message", Not(BeEmpty()))))
			}
			observed, found, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
			Expect(found).To(BeTrue())
			Expect(observed).To(Equal(int64(-1)))
		})

		It("of a "+kind+" is not what its maker writes there, nor does a change of the spec change it", func() {
			o := object(kind, "status-forged", spec)
			o.Object["status"] = map[string]any{"observedGeneration": int64(1), "arn": "arn:forged"}
			Expect(strict.Create(ctx, o)).To(Succeed())
			Expect(o.Object["status"]).To(HaveKeyWithValue("observedGeneration", int64(-1)))
			Expect(o.Object["status"]).NotTo(HaveKey("arn"))
			Expect(o.GetGeneration()).To(Equal(int64(1)))

			Expect(unstructured.SetNestedField(o.Object, "changed", "spec", "description")).To(Succeed())
			Expect(unstructured.SetNestedField(o.Object, "arn:forged", "status", "arn")).To(Succeed())
			Expect(strict.Update(ctx, o)).To(Succeed())
			Expect(o.Object["status"]).NotTo(HaveKey("arn"))
			Expect(o.GetGeneration()).To(Equal(int64(2)))
		})

		It("of a "+kind+" gives way to a controller's, which changes neither spec nor generation", func() {
			o := object(kind, "status-written", spec)
			Expect(strict.Create(ctx, o)).To(Succeed())
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(o), read)).To(Succeed())
			read.SetConditions([]metav1.Condition{{
				Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded, LastTransitionTime: metav1.NewTime(time.Unix(1, 0)),
			}})
			Expect(cp.Client.Status().Update(ctx, read)).To(Succeed())
			Expect(read.GetConditions()).To(HaveLen(1), "the default must not come back")
			Expect(read.GetGeneration()).To(Equal(int64(1)))
		})
	}

	It("is none for an Envelope, which is all spec", func() {
		o := object("Envelope", "statusless", envelope)
		Expect(strict.Create(ctx, o)).To(Succeed())
		Expect(o.Object).NotTo(HaveKey("status"))
	})
})

// samples reads the objects of the samples in order, each moved out of the way of other specs' namespace.
func samples(namespace string) []*unstructured.Unstructured {
	GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(environment.Root(), "config", "samples", "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	var out []*unstructured.Unstructured
	for _, file := range files {
		text, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
			o := &unstructured.Unstructured{Object: map[string]any{}}
			err := decoder.Decode(&o.Object)
			if errors.Is(err, io.EOF) {
				break
			}
			Expect(err).NotTo(HaveOccurred(), file)
			if o.GetKind() == "Namespace" {
				o.SetName(namespace)
			} else {
				o.SetNamespace(namespace)
			}
			out = append(out, o)
		}
	}
	return out
}

var _ = Describe("A sample", func() {
	It("is applied as it is, and applied again changes nothing, also when a controller has written status", func() {
		Expect(client.IgnoreAlreadyExists(cp.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "samples"}}))).To(Succeed())
		// apply is what kubectl apply --server-side does, without force: a conflict would be an error.
		apply := func(o *unstructured.Unstructured) *unstructured.Unstructured {
			GinkgoHelper()
			applied := o.DeepCopy()
			c := client.WithFieldValidation(cp.Client, metav1.FieldValidationStrict)
			Expect(c.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner("kubectl"))).To(Succeed(), o.GetName())
			return applied
		}
		kinds := map[string]int{}
		for _, o := range samples("samples") {
			kinds[o.GetKind()]++
			first := apply(o)
			if o.GroupVersionKind().Group == v1alpha1.Group {
				wrote, err := json.Marshal(o.Object["spec"])
				Expect(err).NotTo(HaveOccurred())
				Expect(json.Marshal(first.Object["spec"])).To(Equal(wrote), "%s: a default was added", o.GetName())
				stored := first.DeepCopy()
				Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(o), stored)).To(Succeed())
				stored.Object["status"] = map[string]any{"observedGeneration": int64(1), "arn": "arn:x"}
				Expect(cp.Client.Status().Update(ctx, stored)).To(Succeed())
				first = stored
			}
			second := apply(o)
			Expect(second.GetResourceVersion()).To(Equal(first.GetResourceVersion()), "%s %s was written again", o.GetKind(), o.GetName())
			Expect(second.GetGeneration()).To(Equal(first.GetGeneration()))
		}
		Expect(kinds).To(And(HaveKey("Namespace"), HaveKey(key), HaveKey(secret)))
	})

	It("shows every field of a spec that there is", func() {
		shown := map[string]bool{}
		var note func(kind, path string, value any)
		note = func(kind, path string, value any) {
			shown[kind+" "+path] = true
			switch v := value.(type) {
			case map[string]any:
				for name, child := range v {
					note(kind, path+"."+name, child)
				}
			case []any:
				for _, child := range v {
					note(kind, path+"[]", child)
				}
			}
		}
		for _, o := range samples("samples") {
			note(o.GetKind(), "spec", o.Object["spec"])
		}
		for _, m := range markers() {
			if m.kind == authority && strings.HasPrefix(m.path, "spec.revoked") { // there is no serial number before something was issued
				continue
			}
			if m.kind == tree && m.path == "spec.filter.label" { // no version has a label before the API gave it one
				continue
			}
			// The members of a nested password are those of the password beside it.
			nested := strings.HasPrefix(m.path, "spec.generate.json.password.")
			// A Parameter's generator and restarts are a Secret's, whose samples show them.
			nested = nested || m.kind == parameter && (strings.HasPrefix(m.path, "spec.generate.") || strings.HasPrefix(m.path, "spec.target.restart[]."))
			if strings.HasPrefix(m.path, "spec") && m.kind != "Envelope" && !nested {
				Expect(shown).To(HaveKey(m.kind+" "+m.path), "no sample has this field")
			}
		}
	})
})
