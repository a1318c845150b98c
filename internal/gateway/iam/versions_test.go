package iam_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"k8s.io/apimachinery/pkg/types"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func verb(name string) string { return strings.ReplaceAll(read, "Get*", name) }

func newPolicy(name string) *string {
	GinkgoHelper()
	made, err := admin.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: &name, PolicyDocument: s(verb("A"))})
	Expect(err).NotTo(HaveOccurred())
	Expect(*made.Policy.DefaultVersionId).To(Equal("v1"))
	return made.Policy.Arn
}

func newVersion(policy *string, action string, asDefault bool) (string, error) {
	made, err := admin.CreatePolicyVersion(ctx, &sdk.CreatePolicyVersionInput{PolicyArn: policy, PolicyDocument: s(verb(action)), SetAsDefault: asDefault})
	if err != nil {
		return "", err
	}
	Expect(made.PolicyVersion.IsDefaultVersion).To(Equal(asDefault))
	return *made.PolicyVersion.VersionId, nil
}

// versions are the ids as they are listed, the default with a star.
func versions(policy *string) (out []string) {
	GinkgoHelper()
	pages := sdk.NewListPolicyVersionsPaginator(admin, &sdk.ListPolicyVersionsInput{PolicyArn: policy, MaxItems: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		Expect(err).NotTo(HaveOccurred())
		for _, v := range page.Versions {
			id := *v.VersionId
			if v.IsDefaultVersion {
				id += "*"
			}
			out = append(out, id)
		}
	}
	return out
}

// are waits until the replica has seen what was written.
func are(policy *string, want ...string) {
	GinkgoHelper()
	Eventually(func() []string { return versions(policy) }, "2s").Should(Equal(want))
}

// seen waits until a policy's controller has written its versions down: what kubectl changes before that has never been a version.
func seen(name string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		policy := object(name, &v1alpha1.IAMPolicy{})
		g.Expect(policy.Status.DefaultVersionID).NotTo(BeEmpty())
		g.Expect(policy.Status.ObservedGeneration).To(Equal(policy.Generation))
	}).Should(Succeed())
}

func documentOf(policy *string, id string) string {
	GinkgoHelper()
	got, err := admin.GetPolicyVersion(ctx, &sdk.GetPolicyVersionInput{PolicyArn: policy, VersionId: &id})
	Expect(err).NotTo(HaveOccurred())
	return plain(got.PolicyVersion.Document)
}

func byKubectl(name, action string) {
	GinkgoHelper()
	patch := `{"spec":{"document":` + verb(action) + `}}`
	o := &v1alpha1.IAMPolicy{}
	o.Namespace, o.Name = namespace, name
	Expect(cp.Client.Patch(ctx, o, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
}

var _ = Describe("A version of a managed policy", func() {
	setDefault := func(policy *string, id string) error {
		_, err := admin.SetDefaultPolicyVersion(ctx, &sdk.SetDefaultPolicyVersionInput{PolicyArn: policy, VersionId: &id})
		return err
	}
	remove := func(policy *string, id string) error {
		_, err := admin.DeletePolicyVersion(ctx, &sdk.DeletePolicyVersionInput{PolicyArn: policy, VersionId: &id})
		return err
	}

	It("is one of five, has a number that does not come again, and is in force when it is the default", func() {
		policy := newPolicy("versioned")
		for i, action := range []string{"B", "C", "D", "E"} {
			Expect(newVersion(policy, action, i == 1)).To(Equal([]string{"v2", "v3", "v4", "v5"}[i]))
		}
		are(policy, "v5", "v4", "v3*", "v2", "v1")
		_, err := newVersion(policy, "F", true)
		Expect(code(err)).To(Equal("LimitExceeded"))
		Expect(message(err)).To(Equal("A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version."))
		Expect(documentOf(policy, "v2")).To(MatchJSON(verb("B")))
		Expect(object("versioned", &v1alpha1.IAMPolicy{}).Spec.Document.Raw).To(MatchJSON(verb("C")))

		Expect(code(remove(policy, "v3"))).To(Equal("DeleteConflict"))
		Expect(message(remove(policy, "v3"))).To(Equal("Cannot delete the default version of a policy."))
		Expect(remove(policy, "v5")).To(Succeed())
		Expect(code(remove(policy, "v5"))).To(Equal("NoSuchEntity"))
		Expect(newVersion(policy, "G", false)).To(Equal("v6"), "v5 does not come back")
		Expect(setDefault(policy, "v1")).To(Succeed())
		are(policy, "v6", "v4", "v3", "v2", "v1*")
		Expect(object("versioned", &v1alpha1.IAMPolicy{}).Spec.Document.Raw).To(MatchJSON(verb("A")))
		Expect(message(setDefault(policy, "v5"))).To(Equal("Policy " + *policy + " version v5 does not exist or is not attachable."))
		got, err := admin.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: policy})
		Expect(err).NotTo(HaveOccurred())
		Expect(*got.Policy.DefaultVersionId).To(Equal("v1"))
	})

	It("is made by kubectl too, and the one before can be had back; Git's document makes no third", func() {
		policy := newPolicy("by-git")
		are(policy, "v1*")
		seen("by-git")
		byKubectl("by-git", "B")
		are(policy, "v2*", "v1")
		for range 3 {
			Expect(setDefault(policy, "v1")).To(Succeed())
			are(policy, "v2", "v1*")
			byKubectl("by-git", "B") // as a GitOps tool does
			are(policy, "v2*", "v1")
		}
		for _, action := range []string{"C", "D", "E", "F"} {
			byKubectl("by-git", action)
			Eventually(func() []string { return versions(policy) }, "2s").Should(HaveLen(min(5, 2+int(action[0]-'B'))))
			Eventually(func() string { return object("by-git", &v1alpha1.IAMPolicy{}).Status.DefaultVersionID }).Should(Equal("v" + string('1'+action[0]-'A')))
		}
		are(policy, "v6*", "v5", "v4", "v3", "v2")
	})

	It("of the same document as another is told apart", func() {
		policy := newPolicy("twins")
		Expect(newVersion(policy, "A", true)).To(Equal("v2"))
		are(policy, "v2*", "v1")
		Expect(setDefault(policy, "v1")).To(Succeed())
		are(policy, "v2", "v1*")
		Expect(remove(policy, "v2")).To(Succeed())
		are(policy, "v1*")
	})

	It("keeps its policy from being deleted, unless it is the default", func() {
		policy := newPolicy("kept")
		Expect(newVersion(policy, "B", false)).To(Equal("v2"))
		removePolicy := func() error {
			_, err := admin.DeletePolicy(ctx, &sdk.DeletePolicyInput{PolicyArn: policy})
			return err
		}
		are(policy, "v2", "v1*")
		Expect(code(removePolicy())).To(Equal("DeleteConflict"))
		Expect(message(removePolicy())).To(HavePrefix("This policy has more than one version."))
		Expect(remove(policy, "v2")).To(Succeed())
		Eventually(removePolicy, "1s").Should(Succeed())
	})

	It("brings a policy back that kubectl broke", func() {
		policy := newPolicy("broken-once")
		are(policy, "v1*")
		seen("broken-once")
		o := &v1alpha1.IAMPolicy{}
		o.Namespace, o.Name = namespace, "broken-once"
		Expect(cp.Client.Patch(ctx, o, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"document":{"Statement":1}}}`)))).To(Succeed())
		are(policy, "v2*", "v1")
		Expect(setDefault(policy, "v1")).To(Succeed())
		are(policy, "v1*")
		Expect(newVersion(policy, "B", false)).To(Equal("v3"), "the malformed one had a number")
	})

	It("of a policy that every account has is v1, and cannot be changed", func() {
		Expect(versions(s(readOnly))).To(Equal([]string{"v1*"}))
		Expect(documentOf(s(readOnly), "v1")).To(ContainSubstring("iam:Get"))
		_, err := newVersion(s(readOnly), "A", true)
		Expect(err).To(HaveOccurred())
		Expect(setDefault(s(readOnly), "v1")).NotTo(Succeed())
	})

	It("is refused if its document is malformed or too long", func() {
		policy := newPolicy("strict")
		for document, want := range map[string]string{`{"Statement":1}`: "MalformedPolicyDocument", verb(strings.Repeat("x", 6144)): "LimitExceeded"} {
			_, err := admin.CreatePolicyVersion(ctx, &sdk.CreatePolicyVersionInput{PolicyArn: policy, PolicyDocument: &document})
			Expect(code(err)).To(Equal(want))
		}
	})
})
