package iamrole_test

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func ids(p *v1alpha1.IAMPolicy) (out []string) {
	for _, v := range p.Status.Versions {
		out = append(out, v.VersionID)
	}
	return out
}

var _ = Describe("An IAMPolicy's versions", func() {
	doc := func(n int) v1alpha1.PolicyDocument {
		return document(strings.Replace(allow, "kms:*", fmt.Sprint("kms:A", n), 1))
	}

	It("are each document that it has had, at most five, and the default is the one in spec", func() {
		p := policy("reader", allow)
		p.Spec.Document = doc(1)
		world.Create(p)
		policyIs(p, v1alpha1.ReasonSucceeded)
		Expect(ids(p)).To(Equal([]string{"v1"}))
		Expect(p.Status.Versions[0].CreatedTime.Time).To(BeTemporally("==", p.CreationTimestamp.Time))
		for n := 2; n <= 7; n++ {
			world.Clock.Advance(time.Minute)
			world.Update(p, func() { p.Spec.Document = doc(n) })
			policyIs(p, v1alpha1.ReasonSucceeded)
			Expect(p.Status.DefaultVersionID).To(Equal(fmt.Sprint("v", n)))
			Expect(p.Status.Versions[len(p.Status.Versions)-1].Document.Raw).To(MatchJSON(p.Spec.Document.Raw))
		}
		Expect(ids(p)).To(Equal([]string{"v3", "v4", "v5", "v6", "v7"}))
		version := p.ResourceVersion
		policyIs(p, v1alpha1.ReasonSucceeded)
		Expect(p.ResourceVersion).To(Equal(version), "a second pass changes nothing")
	})

	It("do not count what is no policy, and stay as they were", func() {
		p := policy("reader", allow)
		world.Create(p)
		policyIs(p, v1alpha1.ReasonSucceeded)
		world.Update(p, func() { p.Spec.Document = document(`{"Statement":1}`) })
		policyIs(p, v1alpha1.ReasonMalformedPolicyDocument)
		Expect(ids(p)).To(Equal([]string{"v1"}))
		world.Update(p, func() { p.Spec.Document = document(allow) })
		policyIs(p, v1alpha1.ReasonSucceeded)
		Expect(ids(p)).To(Equal([]string{"v1"}))
	})

	It("are in force with a condition key that there is not, which the policy says until it is corrected", func() {
		unknown := func(p *v1alpha1.IAMPolicy) *metav1.Condition {
			return meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionUnknownConditionKey)
		}
		fenced := func(key string) v1alpha1.PolicyDocument {
			return document(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"` + key + `":"x"}}}]}`)
		}
		p := policy("reader", allow)
		p.Spec.Document = fenced("kms:ViaServise")
		world.Create(p)
		policyIs(p, v1alpha1.ReasonSucceeded)
		Expect(unknown(p)).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Message", ContainSubstring("kms:viaservise"))))
		version := p.ResourceVersion
		policyIs(p, v1alpha1.ReasonSucceeded)
		Expect(p.ResourceVersion).To(Equal(version), "a second pass changes nothing")
		world.Update(p, func() { p.Spec.Document = fenced("kms:ViaService") })
		policyIs(p, v1alpha1.ReasonSucceeded)
		Expect(unknown(p)).To(BeNil())
	})

	It("begin anew when the status is lost, with a number that spec's changes had not reached", func() {
		p := policy("reader", allow)
		world.Create(p)
		policyIs(p, v1alpha1.ReasonSucceeded)
		world.Update(p, func() { p.Spec.Document = doc(2) })
		world.Update(p, func() { p.Spec.Document = doc(3) })
		p.Status = v1alpha1.IAMPolicyStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, p)).To(Succeed())
		world.Seen(p)
		policyIs(p, v1alpha1.ReasonSucceeded)
		Expect(ids(p)).To(Equal([]string{"v3"}))
	})
})

var _ = Describe("An IAMRole with two tags that differ in case alone", func() {
	It("is refused if that is of ASCII, and says so otherwise until one is gone", func() {
		r := role("tagged", func(spec *v1alpha1.IAMRoleSpec) { spec.Tags = []v1alpha1.Tag{{Key: "Team"}, {Key: "team"}} })
		Expect(world.ControlPlane.Client.Create(ctx, r)).To(MatchError(ContainSubstring("two tags have one key")))
		r = role("tagged", func(spec *v1alpha1.IAMRoleSpec) { spec.Tags = []v1alpha1.Tag{{Key: "Größe"}, {Key: "GRÖßE"}} })
		world.Create(r)
		is(r, v1alpha1.ReasonDuplicateTagKeys, `"Größe" and "GRÖßE"`)
		world.Update(r, func() { r.Spec.Tags = r.Spec.Tags[:1] })
		is(r, v1alpha1.ReasonSucceeded)
	})
})
