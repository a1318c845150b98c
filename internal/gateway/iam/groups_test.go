package iam_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func newGroup(name string) *types.Group {
	GinkgoHelper()
	made, err := admin.CreateGroup(ctx, &sdk.CreateGroupInput{GroupName: &name})
	Expect(err).NotTo(HaveOccurred())
	return made.Group
}

func join(user, group string) error {
	_, err := admin.AddUserToGroup(ctx, &sdk.AddUserToGroupInput{UserName: &user, GroupName: &group})
	return err
}

func leave(user, group string) error {
	_, err := admin.RemoveUserFromGroup(ctx, &sdk.RemoveUserFromGroupInput{UserName: &user, GroupName: &group})
	return err
}

// members of a group, by pages of two.
func members(group string) (out []string) {
	GinkgoHelper()
	pages := sdk.NewGetGroupPaginator(admin, &sdk.GetGroupInput{GroupName: &group, MaxItems: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		Expect(err).NotTo(HaveOccurred())
		for _, u := range page.Users {
			out = append(out, *u.UserName)
		}
	}
	return out
}

var _ = Describe("A group", func() {
	It("that the API makes is there for kubectl, with the ARN and the id that were answered", func() {
		made, err := admin.CreateGroup(ctx, &sdk.CreateGroupInput{GroupName: s("Developers"), Path: s("/division/")})
		Expect(err).NotTo(HaveOccurred())
		Expect(*made.Group.Arn).To(Equal("arn:aws:iam::" + account + ":group/division/Developers"))
		Expect(*made.Group.GroupId).To(MatchRegexp(`^AGPA[A-Z2-7]{17}$`))
		Eventually(func(g Gomega) {
			var groups v1alpha1.IAMGroupList
			g.Expect(cp.Client.List(ctx, &groups)).To(Succeed())
			var arns []string
			for i := range groups.Items {
				arns = append(arns, groups.Items[i].Status.ARN+" "+groups.Items[i].Status.UniqueID)
			}
			g.Expect(arns).To(ContainElement(*made.Group.Arn + " " + *made.Group.GroupId))
		}).Should(Succeed())
		_, err = admin.CreateGroup(ctx, &sdk.CreateGroupInput{GroupName: s("developers")})
		Expect(code(err)).To(Equal("EntityAlreadyExists"))
		Expect(message(err)).To(Equal("Group with name developers already exists."))
		listed, err := admin.ListGroups(ctx, &sdk.ListGroupsInput{PathPrefix: s("/division/")})
		Expect(err).NotTo(HaveOccurred())
		Expect(listed.Groups).To(Equal([]types.Group{*made.Group}))
	})

	It("that is not there is told of in AWS's words", func() {
		_, err := admin.GetGroup(ctx, &sdk.GetGroupInput{GroupName: s("none")})
		Expect(code(err)).To(Equal("NoSuchEntity"))
		Expect(message(err)).To(Equal("The group with name none cannot be found."))
		newGroup("lonely")
		Expect(message(join("nobody", "lonely"))).To(Equal("The user with name nobody cannot be found."))
	})

	It("has users, who join once and leave once, and are told page by page", func() {
		newGroup("readers")
		for _, name := range []string{"g3", "g1", "g2"} {
			_, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: &name})
			Expect(err).NotTo(HaveOccurred())
			Expect(join(name, "readers")).To(Succeed())
			Expect(join(name, "Readers")).To(Succeed(), "to be in it already is no error")
		}
		Eventually(func() []string { return members("readers") }, "1s").Should(Equal([]string{"g1", "g2", "g3"}))
		Expect(object("g1", &v1alpha1.IAMUser{}).Spec.Groups).To(Equal([]string{"readers"}))
		Expect(leave("g2", "readers")).To(Succeed())
		Expect(leave("g2", "readers")).To(Succeed())
		Eventually(func() []string { return members("readers") }, "1s").Should(Equal([]string{"g1", "g3"}))
		groups, err := admin.ListGroupsForUser(ctx, &sdk.ListGroupsForUserInput{UserName: s("g1")})
		Expect(err).NotTo(HaveOccurred())
		Expect(groups.Groups).To(HaveLen(1))
		Expect(*groups.Groups[0].GroupName).To(Equal("readers"))
	})

	It("gets another name and path, and keeps its users and its id; the former name is free", func() {
		was := newGroup("before")
		newGroup("taken")
		_, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("stays")})
		Expect(err).NotTo(HaveOccurred())
		Expect(join("stays", "before")).To(Succeed())
		_, err = admin.UpdateGroup(ctx, &sdk.UpdateGroupInput{GroupName: s("before"), NewGroupName: s("Taken")})
		Expect(code(err)).To(Equal("EntityAlreadyExists"))
		_, err = admin.UpdateGroup(ctx, &sdk.UpdateGroupInput{GroupName: s("before"), NewGroupName: s("After"), NewPath: s("/new/")})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func(g Gomega) {
			got, err := admin.GetGroup(ctx, &sdk.GetGroupInput{GroupName: s("After")})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(*got.Group.Arn).To(Equal("arn:aws:iam::" + account + ":group/new/After"))
			g.Expect(*got.Group.GroupId).To(Equal(*was.GroupId))
			g.Expect(got.Users).To(HaveLen(1))
		}, "1s").Should(Succeed())
		again := newGroup("before")
		Expect(*again.GroupId).NotTo(Equal(*was.GroupId))
		Expect(members("before")).To(BeEmpty())
	})

	It("is deleted when it has nothing any more, and what it has is named; so is a user", func() {
		newGroup("leaving")
		_, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("member")})
		Expect(err).NotTo(HaveOccurred())
		Expect(join("member", "leaving")).To(Succeed())
		_, err = admin.PutGroupPolicy(ctx, &sdk.PutGroupPolicyInput{GroupName: s("leaving"), PolicyName: s("read"), PolicyDocument: s(read)})
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.AttachGroupPolicy(ctx, &sdk.AttachGroupPolicyInput{GroupName: s("leaving"), PolicyArn: s(readOnly)})
		Expect(err).NotTo(HaveOccurred())
		remove := func() error {
			_, err := admin.DeleteGroup(ctx, &sdk.DeleteGroupInput{GroupName: s("leaving")})
			return err
		}
		Eventually(func() string { return message(remove()) }, "1s").Should(Equal("Cannot delete entity, must delete policies first."))
		_, err = admin.DeleteGroupPolicy(ctx, &sdk.DeleteGroupPolicyInput{GroupName: s("leaving"), PolicyName: s("read")})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() string { return message(remove()) }, "1s").Should(Equal("Cannot delete entity, must detach all policies first."))
		_, err = admin.DetachGroupPolicy(ctx, &sdk.DetachGroupPolicyInput{GroupName: s("leaving"), PolicyArn: s(readOnly)})
		Expect(err).NotTo(HaveOccurred())
		const users = "Cannot delete entity, must remove users from group first."
		Eventually(func() string { return message(remove()) }, "1s").Should(Equal(users))
		Eventually(func() string {
			_, err := admin.DeleteUser(ctx, &sdk.DeleteUserInput{UserName: s("member")})
			return code(err) + ": " + message(err)
		}, "1s").Should(Equal("DeleteConflict: " + users))
		Expect(leave("member", "leaving")).To(Succeed())
		Expect(remove()).To(Succeed())
		Eventually(func() string { return code(remove()) }, "1s").Should(Equal("NoSuchEntity"))
	})

	It("is one of ten at most that a user is in, and has ten managed policies at most", func() {
		_, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("joiner")})
		Expect(err).NotTo(HaveOccurred())
		for i := range 11 {
			newGroup(fmt.Sprint("ten-", i))
		}
		for i := range 10 {
			Expect(join("joiner", fmt.Sprint("ten-", i))).To(Succeed())
		}
		Expect(message(join("joiner", "ten-10"))).To(Equal("Cannot exceed quota for GroupsPerUser: 10"))
		attach := func(i int) error {
			name := fmt.Sprint("Ten", i)
			made, err := admin.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: &name, PolicyDocument: s(read)})
			Expect(err).NotTo(HaveOccurred())
			_, err = admin.AttachGroupPolicy(ctx, &sdk.AttachGroupPolicyInput{GroupName: s("ten-0"), PolicyArn: made.Policy.Arn})
			return err
		}
		for i := range 10 {
			Expect(attach(i)).To(Succeed())
		}
		Expect(message(attach(10))).To(Equal("Cannot exceed quota for PoliciesPerGroup: 10"))
	})
})

var _ = Describe("A group's policies", func() {
	It("are put, read, listed and deleted, up to 5,120 characters together", func() {
		newGroup("policed")
		put := func(name, document string) error {
			_, err := admin.PutGroupPolicy(ctx, &sdk.PutGroupPolicyInput{GroupName: s("policed"), PolicyName: &name, PolicyDocument: &document})
			return err
		}
		Expect(put("read", read)).To(Succeed())
		Expect(code(put("broken", `{"Statement":1}`))).To(Equal("MalformedPolicyDocument"))
		long := strings.Replace(read, "iam:Get*", "iam:"+strings.Repeat("x", 5120-len(read)+4), 1) // 5,120 alone
		Expect(message(put("long", long))).To(Equal("Maximum policy size of 5120 bytes exceeded for group policed"))
		Eventually(func(g Gomega) {
			got, err := admin.GetGroupPolicy(ctx, &sdk.GetGroupPolicyInput{GroupName: s("policed"), PolicyName: s("read")})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(plain(got.PolicyDocument)).To(MatchJSON(read))
			g.Expect(*got.GroupName).To(Equal("policed"))
		}, "1s").Should(Succeed())
		names, err := admin.ListGroupPolicies(ctx, &sdk.ListGroupPoliciesInput{GroupName: s("policed")})
		Expect(err).NotTo(HaveOccurred())
		Expect(names.PolicyNames).To(Equal([]string{"read"}))
		_, err = admin.DeleteGroupPolicy(ctx, &sdk.DeleteGroupPolicyInput{GroupName: s("policed"), PolicyName: s("other")})
		Expect(message(err)).To(Equal("The group policy with name other cannot be found."))
		_, err = admin.AttachGroupPolicy(ctx, &sdk.AttachGroupPolicyInput{GroupName: s("policed"), PolicyArn: s("arn:aws:iam::aws:policy/Nothing")})
		Expect(code(err)).To(Equal("NoSuchEntity"))
	})

	It("count as attachments of a managed policy, and keep it from being deleted", func() {
		newGroup("holder")
		made, err := admin.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: s("Held"), PolicyDocument: s(read)})
		Expect(err).NotTo(HaveOccurred())
		policy := made.Policy.Arn
		_, err = admin.AttachGroupPolicy(ctx, &sdk.AttachGroupPolicyInput{GroupName: s("holder"), PolicyArn: policy})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func(g Gomega) {
			got, err := admin.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: policy})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(*got.Policy.AttachmentCount).To(Equal(int32(1)))
			for filter, want := range map[types.EntityType]int{"": 1, types.EntityTypeGroup: 1, types.EntityTypeUser: 0, types.EntityTypeRole: 0} {
				entities, err := admin.ListEntitiesForPolicy(ctx, &sdk.ListEntitiesForPolicyInput{PolicyArn: policy, EntityFilter: filter})
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(entities.PolicyGroups).To(HaveLen(want), "%s", filter)
			}
		}, "1s").Should(Succeed())
		_, err = admin.DeletePolicy(ctx, &sdk.DeletePolicyInput{PolicyArn: policy})
		Expect(message(err)).To(Equal("Cannot delete a policy attached to entities."))
		attached, err := admin.ListAttachedGroupPolicies(ctx, &sdk.ListAttachedGroupPoliciesInput{GroupName: s("holder")})
		Expect(err).NotTo(HaveOccurred())
		Expect(attached.AttachedPolicies).To(Equal([]types.AttachedPolicy{{PolicyArn: policy, PolicyName: s("Held")}}))
	})

	It("are what its users may do from the next request on, a Deny too, and simulations say the same", func() {
		member := newUser("in-group")
		use := func() string {
			_, err := member.GetUser(ctx, &sdk.GetUserInput{})
			return code(err)
		}
		simulated := func(source string) string {
			out, err := admin.SimulatePrincipalPolicy(ctx, &sdk.SimulatePrincipalPolicyInput{PolicySourceArn: &source, ActionNames: []string{"iam:GetUser"}})
			if err != nil {
				return code(err)
			}
			return string(out.EvaluationResults[0].EvalDecision)
		}
		userARN, groupARN := "arn:aws:iam::"+account+":user/in-group", "arn:aws:iam::"+account+":group/workers"
		Expect(use()).To(Equal("AccessDenied"))
		newGroup("workers")
		Expect(join("in-group", "workers")).To(Succeed())
		Expect(use()).To(Equal("AccessDenied"))
		_, err := admin.PutGroupPolicy(ctx, &sdk.PutGroupPolicyInput{GroupName: s("workers"), PolicyName: s("read"), PolicyDocument: s(read)})
		Expect(err).NotTo(HaveOccurred())
		Eventually(use, "1s").Should(BeEmpty())
		Eventually(func() string { return simulated(groupARN) }).Should(Equal("allowed"))
		Expect(simulated(userARN)).To(Equal("allowed"))

		deny := strings.Replace(read, "Allow", "Deny", 1)
		_, err = admin.PutGroupPolicy(ctx, &sdk.PutGroupPolicyInput{GroupName: s("workers"), PolicyName: s("no"), PolicyDocument: s(deny)})
		Expect(err).NotTo(HaveOccurred())
		Eventually(use, "1s").Should(Equal("AccessDenied"))
		Expect(simulated(userARN)).To(Equal("explicitDeny"))
		Expect(simulated(groupARN)).To(Equal("explicitDeny"))
		Expect(leave("in-group", "workers")).To(Succeed())
		Eventually(func() string { return simulated(userARN) }, "1s").Should(Equal("implicitDeny"))
		Expect(simulated("arn:aws:iam::" + account + ":group/none")).To(Equal("NoSuchEntity"))
	})

	It("that are malformed leave its users nothing, and so does a group that kubectl deletes", func() {
		member := newUser("unlucky", readOnly)
		use := func() string {
			_, err := member.GetUser(ctx, &sdk.GetUserInput{})
			return code(err)
		}
		newGroup("breaking")
		Expect(join("unlucky", "breaking")).To(Succeed())
		Consistently(use, "200ms").Should(BeEmpty())
		group := object("breaking", &v1alpha1.IAMGroup{})
		group.Spec.Policies = []v1alpha1.InlinePolicy{{Name: "broken", Document: v1alpha1.PolicyDocument{JSON: apiextensionsv1.JSON{Raw: []byte(`{"Statement":1}`)}}}}
		Expect(cp.Client.Update(ctx, group)).To(Succeed())
		Eventually(use, "1s").Should(Equal("AccessDenied"))
		_, err := admin.DeleteGroupPolicy(ctx, &sdk.DeleteGroupPolicyInput{GroupName: s("breaking"), PolicyName: s("broken")})
		Expect(err).NotTo(HaveOccurred())
		Eventually(use, "1s").Should(BeEmpty())
		reason := func() string {
			ready := meta.FindStatusCondition(object("unlucky", &v1alpha1.IAMUser{}).Status.Conditions, v1alpha1.ConditionReady)
			return ready.Reason
		}
		Eventually(reason).Should(Equal(v1alpha1.ReasonSucceeded))
		Expect(cp.Client.Delete(ctx, group)).To(Succeed())
		Eventually(use, "1s").Should(Equal("AccessDenied"))
		Eventually(reason).Should(Equal(v1alpha1.ReasonGroupNotFound), "the user's controller sees the group go")
		newGroup("breaking")
		Eventually(use, "1s").Should(BeEmpty())
		Eventually(reason).Should(Equal(v1alpha1.ReasonSucceeded))
	})
})

var _ = Describe("Who may do something to one group", func() {
	It("cannot make it another by its name", func() {
		limited := newUser("renamer")
		newGroup("mine")
		_, err := admin.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: s("renamer"), PolicyName: s("mine"), PolicyDocument: s(
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*Group","Resource":"arn:aws:iam::*:group/mine*"}}`)})
		Expect(err).NotTo(HaveOccurred())
		rename := func(to string) string {
			_, err := limited.UpdateGroup(ctx, &sdk.UpdateGroupInput{GroupName: s("mine"), NewGroupName: &to})
			return code(err)
		}
		Eventually(func() string { return rename("mine") }, "1s").Should(BeEmpty())
		Expect(rename("admins")).To(Equal("AccessDenied"))
		_, err = limited.AddUserToGroup(ctx, &sdk.AddUserToGroupInput{UserName: s("renamer"), GroupName: s("not-mine")})
		Expect(code(err)).To(Equal("AccessDenied"))
		Expect(rename("mine-too")).To(BeEmpty())
	})
})
