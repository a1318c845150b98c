package iam_test

import (
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam/managed"
)

func newUserOf(name string) {
	GinkgoHelper()
	Expect(operations["CreateUser"].do(admin, name)).To(Succeed())
}

// policyNames are the names of all pages of a list.
func policyNames(in sdk.ListPoliciesInput) (out []string) {
	GinkgoHelper()
	pages := sdk.NewListPoliciesPaginator(admin, &in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		Expect(err).NotTo(HaveOccurred())
		for _, p := range page.Policies {
			Expect(p.Description).To(BeNil(), "AWS leaves it out of lists")
			out = append(out, *p.PolicyName)
		}
	}
	return out
}

var _ = Describe("The managed policies", func() {
	It("are listed by scope, path and attachment, each once over small pages", func() {
		for name, path := range map[string]string{"scoped-a": "/scope/one/", "scoped-b": "/scope/two/", "scoped-c": "/scope/two/"} {
			_, err := admin.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: &name, Path: &path, PolicyDocument: s(read), Description: s("text")})
			Expect(err).NotTo(HaveOccurred())
		}
		newUserOf("scope-user")
		attached := s("arn:aws:iam::" + account + ":policy/scope/two/scoped-b")
		_, err := admin.AttachUserPolicy(ctx, &sdk.AttachUserPolicyInput{UserName: s("scope-user"), PolicyArn: attached})
		Expect(err).NotTo(HaveOccurred())

		Expect(policyNames(sdk.ListPoliciesInput{PathPrefix: s("/scope/")})).To(Equal([]string{"scoped-a", "scoped-b", "scoped-c"}))
		Expect(policyNames(sdk.ListPoliciesInput{PathPrefix: s("/scope/two/"), MaxItems: aws.Int32(1)})).To(Equal([]string{"scoped-b", "scoped-c"}))
		Expect(policyNames(sdk.ListPoliciesInput{PathPrefix: s("/scope/"), OnlyAttached: true})).To(Equal([]string{"scoped-b"}))
		Expect(policyNames(sdk.ListPoliciesInput{PathPrefix: s("/scope/"), Scope: types.PolicyScopeTypeAws})).To(BeEmpty())
		local := policyNames(sdk.ListPoliciesInput{Scope: types.PolicyScopeTypeLocal, MaxItems: aws.Int32(2)})
		Expect(local).To(ContainElements("scoped-a", "scoped-b", "scoped-c"))
		Expect(local).NotTo(ContainElement("AdministratorAccess"))
		aws := policyNames(sdk.ListPoliciesInput{Scope: types.PolicyScopeTypeAws, MaxItems: aws.Int32(3)})
		Expect(aws).To(HaveLen(len(managed.ARNs())))
		Expect(policyNames(sdk.ListPoliciesInput{})).To(ConsistOf(append(aws, local...)), "both, if none is named")

		got, err := admin.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: attached})
		Expect(err).NotTo(HaveOccurred())
		Expect(*got.Policy.Description).To(Equal("text"))
		Expect(*got.Policy.AttachmentCount).To(BeEquivalentTo(1))
		Expect(*got.Policy.PolicyId).To(MatchRegexp("^ANPA[A-Z0-9]{17}$"))
		Expect(got.Policy.IsAttachable).To(BeTrue())
	})

	It("tell to whom they are attached, of one kind or of all", func() {
		one("keeper")
		policy := policyARN("keeper")
		for _, attach := range []func() error{
			func() error {
				return err2(admin.AttachUserPolicy(ctx, &sdk.AttachUserPolicyInput{UserName: s("keeper"), PolicyArn: policy}))
			},
			func() error {
				return err2(admin.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: s("keeper"), PolicyArn: policy}))
			},
			func() error {
				return err2(admin.AttachGroupPolicy(ctx, &sdk.AttachGroupPolicyInput{GroupName: s("keeper"), PolicyArn: policy}))
			},
		} {
			Expect(attach()).To(Succeed())
			Expect(attach()).To(Succeed(), "once more is no error")
		}
		count := func(filter types.EntityType) [3]int {
			out, err := admin.ListEntitiesForPolicy(ctx, &sdk.ListEntitiesForPolicyInput{PolicyArn: policy, EntityFilter: filter})
			Expect(err).NotTo(HaveOccurred())
			return [3]int{len(out.PolicyUsers), len(out.PolicyRoles), len(out.PolicyGroups)}
		}
		Expect(count("")).To(Equal([3]int{1, 1, 1}))
		Expect(count(types.EntityTypeUser)).To(Equal([3]int{1, 0, 0}))
		Expect(count(types.EntityTypeRole)).To(Equal([3]int{0, 1, 0}))
		Expect(count(types.EntityTypeGroup)).To(Equal([3]int{0, 0, 1}))
		got, err := admin.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: policy})
		Expect(err).NotTo(HaveOccurred())
		Expect(*got.Policy.AttachmentCount).To(BeEquivalentTo(3))
	})

	It("are attached to a role or user twenty-five at most, and one that is not attached is not detached", func() {
		one("full")
		for i := range 25 {
			name := "quota-" + string(rune('a'+i))
			Expect(operations["CreatePolicy"].do(admin, name)).To(Succeed())
			Expect(err2(admin.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: s("full"), PolicyArn: policyARN(name)}))).To(Succeed())
		}
		_, err := admin.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: s("full"), PolicyArn: s(readOnly)})
		Expect(code(err)).To(Equal("LimitExceeded"))
		Expect(message(err)).To(Equal("Cannot exceed quota for PoliciesPerRole: 25"))
		Expect(err2(admin.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: s("full"), PolicyArn: policyARN("quota-a")}))).To(Succeed(),
			"one that is attached already is no more")
		_, err = admin.DetachRolePolicy(ctx, &sdk.DetachRolePolicyInput{RoleName: s("full"), PolicyArn: s(readOnly)})
		Expect(message(err)).To(Equal("Policy " + readOnly + " was not found."))

		var names []string
		pages := sdk.NewListAttachedRolePoliciesPaginator(admin, &sdk.ListAttachedRolePoliciesInput{RoleName: s("full"), MaxItems: aws.Int32(10)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			Expect(err).NotTo(HaveOccurred())
			for _, p := range page.AttachedPolicies {
				names = append(names, *p.PolicyName)
			}
		}
		Expect(names).To(HaveLen(25))
		Expect(names[0]).To(Equal("quota-a"))
		Expect(names[24]).To(Equal("quota-y"))
	})

	DescribeTable("are refused with", func(in sdk.CreatePolicyInput, wantCode, says string) {
		in.PolicyName = s("refused-policy")
		_, err := admin.CreatePolicy(ctx, &in)
		Expect(code(err)).To(Equal(wantCode), "%v", err)
		Expect(message(err)).To(ContainSubstring(says))
		Expect(code(operations["GetPolicy"].do(admin, "refused-policy"))).To(Equal("NoSuchEntity"), "and nothing is made")
	},
		Entry("tags, which nobody would keep", sdk.CreatePolicyInput{PolicyDocument: s(read), Tags: []types.Tag{{Key: s("k"), Value: s("v")}}},
			"InvalidInput", "keeps no tags of managed policies"),
		Entry("a principal, which is a resource policy's", sdk.CreatePolicyInput{PolicyDocument: s(everybody)}, "MalformedPolicyDocument", "Principal"),
		Entry("a document that is no JSON, where it is wrong", sdk.CreatePolicyInput{PolicyDocument: s(`{"Version":"2012-10-17",}`)},
			"MalformedPolicyDocument", "Syntax errors in policy: "),
		Entry("an action without a service", sdk.CreatePolicyInput{PolicyDocument: s(strings.Replace(read, "iam:Get*", "Get*", 1))},
			"MalformedPolicyDocument", ""),
		Entry("one character too many", sdk.CreatePolicyInput{PolicyDocument: s(long(6145))}, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144"),
		Entry("a path of two slashes", sdk.CreatePolicyInput{PolicyDocument: s(read), Path: s("//")}, "ValidationError", "path"),
	)

	It("may have as many characters as AWS counts, white space apart", func() {
		spaced := strings.ReplaceAll(long(6144), ",", ",\n\t  ")
		Expect(err2(admin.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: s("longest"), PolicyDocument: &spaced}))).To(Succeed())
	})

	It("are found by their whole ARN alone: with another path, account or form they are not there", func() {
		_, err := admin.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: s("pathed"), Path: s("/team/"), PolicyDocument: s(read)})
		Expect(err).NotTo(HaveOccurred())
		get := func(arn string) string {
			_, err := admin.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: &arn})
			return code(err)
		}
		Expect(get("arn:aws:iam::" + account + ":policy/team/pathed")).To(BeEmpty())
		for _, arn := range []string{
			"arn:aws:iam::" + account + ":policy/pathed", "arn:aws:iam::" + account + ":policy/Team/pathed",
			"arn:aws:iam::000000000001:policy/team/pathed", "arn:aws:iam::aws:policy/team/pathed", "arn:aws:iam::" + account + ":role/team/pathed",
		} {
			Expect(get(arn)).To(Equal("NoSuchEntity"), arn)
		}
		Expect(get("arn:aws:iam::what:policy/team/pathed")).To(Equal("InvalidInput"))
	})
})

var _ = Describe("A user's policies and boundary", func() {
	It("are put, read and taken away through the API and by kubectl alike", func() {
		newUserOf("both-ways")
		_, err := admin.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: s("both-ways"), PolicyName: s("api"), PolicyDocument: s(read)})
		Expect(err).NotTo(HaveOccurred())
		u := object("both-ways", &v1alpha1.IAMUser{})
		Expect(u.Spec.Policies).To(HaveLen(1))
		Expect(string(u.Spec.Policies[0].Document.Raw)).To(MatchJSON(read))
		more := u.Spec.Policies[0]
		more.Name = "kubectl"
		Eventually(func() error { // the controller writes it too
			u = object("both-ways", &v1alpha1.IAMUser{})
			u.Spec.Policies, u.Spec.PermissionsBoundary = append(u.Spec.Policies, more), readOnly
			return cp.Client.Update(ctx, u)
		}).Should(Succeed())
		Eventually(func(g Gomega) {
			names, err := admin.ListUserPolicies(ctx, &sdk.ListUserPoliciesInput{UserName: s("both-ways")})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(names.PolicyNames).To(Equal([]string{"api", "kubectl"}))
			got, err := admin.GetUser(ctx, &sdk.GetUserInput{UserName: s("both-ways")})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got.User.PermissionsBoundary).NotTo(BeNil())
		}, "2s").Should(Succeed())
		_, err = admin.DeleteUserPolicy(ctx, &sdk.DeleteUserPolicyInput{UserName: s("both-ways"), PolicyName: s("kubectl")})
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.DeleteUserPermissionsBoundary(ctx, &sdk.DeleteUserPermissionsBoundaryInput{UserName: s("both-ways")})
		Expect(err).NotTo(HaveOccurred())
		u = object("both-ways", &v1alpha1.IAMUser{})
		Expect(u.Spec.Policies).To(HaveLen(1))
		Expect(u.Spec.PermissionsBoundary).To(BeEmpty())
	})

	It("are at most 2,048 characters together", func() {
		newUserOf("wordy")
		put := func(name, document string) error {
			return err2(admin.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: s("wordy"), PolicyName: &name, PolicyDocument: &document}))
		}
		Expect(put("a", long(2048-len(read)))).To(Succeed())
		Expect(put("b", read)).To(Succeed())
		Expect(message(put("c", read))).To(Equal("Maximum policy size of 2048 bytes exceeded for user wordy"))
		Expect(put("a", read)).To(Succeed())
		Expect(put("c", read)).To(Succeed())
	})

	It("are all there after sixteen writers have put one each at once", func() {
		newUserOf("contended")
		var group sync.WaitGroup
		errs := make([]error, 16)
		for i := range errs {
			group.Go(func() {
				name := "p-" + string(rune('a'+i))
				for range 20 { // AWS's SDKs try again after ConcurrentModification
					if errs[i] = err2(admin.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: s("contended"), PolicyName: &name, PolicyDocument: s(read)})); code(errs[i]) != "ConcurrentModification" {
						return
					}
				}
			})
		}
		group.Wait()
		for _, err := range errs {
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(object("contended", &v1alpha1.IAMUser{}).Spec.Policies).To(HaveLen(16))
	})
})
