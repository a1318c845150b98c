package iam_test

import (
	"maps"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	gatewayiam "strongroom.dev/strongroom/internal/gateway/iam"
)

// operation is a request of an operation about the user, role or group, or the managed policy, of a name.
type operation struct {
	// about is the kind of what it is about, empty if that is nothing in particular.
	about string
	do    func(c *sdk.Client, name string) error
}

func err2[T any](_ T, err error) error { return err }

func policyARN(name string) *string { return s("arn:aws:iam::" + account + ":policy/" + name) }

// operations are all that are served. A new one fails the first test below until it is here.
var operations = map[string]operation{
	"CreateUser": {"", func(c *sdk.Client, n string) error {
		return err2(c.CreateUser(ctx, &sdk.CreateUserInput{UserName: &n}))
	}},
	"DeleteUser": {"user", func(c *sdk.Client, n string) error {
		return err2(c.DeleteUser(ctx, &sdk.DeleteUserInput{UserName: &n}))
	}},
	"GetUser":   {"user", func(c *sdk.Client, n string) error { return err2(c.GetUser(ctx, &sdk.GetUserInput{UserName: &n})) }},
	"ListUsers": {"", func(c *sdk.Client, _ string) error { return err2(c.ListUsers(ctx, &sdk.ListUsersInput{})) }},
	"ListUserTags": {"user", func(c *sdk.Client, n string) error {
		return err2(c.ListUserTags(ctx, &sdk.ListUserTagsInput{UserName: &n}))
	}},
	"TagUser": {"user", func(c *sdk.Client, n string) error {
		return err2(c.TagUser(ctx, &sdk.TagUserInput{UserName: &n, Tags: []types.Tag{{Key: s("k"), Value: s("v")}}}))
	}},
	"UntagUser": {"user", func(c *sdk.Client, n string) error {
		return err2(c.UntagUser(ctx, &sdk.UntagUserInput{UserName: &n, TagKeys: []string{"k"}}))
	}},
	"CreateAccessKey": {"user", func(c *sdk.Client, n string) error {
		return err2(c.CreateAccessKey(ctx, &sdk.CreateAccessKeyInput{UserName: &n}))
	}},
	"DeleteAccessKey": {"user", func(c *sdk.Client, n string) error {
		return err2(c.DeleteAccessKey(ctx, &sdk.DeleteAccessKeyInput{UserName: &n, AccessKeyId: s("AKIAAAAAAAAAAAAAAAAA")}))
	}},
	"UpdateAccessKey": {"user", func(c *sdk.Client, n string) error {
		return err2(c.UpdateAccessKey(ctx, &sdk.UpdateAccessKeyInput{UserName: &n, AccessKeyId: s("AKIAAAAAAAAAAAAAAAAA"), Status: "Inactive"}))
	}},
	"ListAccessKeys": {"user", func(c *sdk.Client, n string) error {
		return err2(c.ListAccessKeys(ctx, &sdk.ListAccessKeysInput{UserName: &n}))
	}},
	"AttachUserPolicy": {"user", func(c *sdk.Client, n string) error {
		return err2(c.AttachUserPolicy(ctx, &sdk.AttachUserPolicyInput{UserName: &n, PolicyArn: s(readOnly)}))
	}},
	"DetachUserPolicy": {"user", func(c *sdk.Client, n string) error {
		return err2(c.DetachUserPolicy(ctx, &sdk.DetachUserPolicyInput{UserName: &n, PolicyArn: s(readOnly)}))
	}},
	"ListAttachedUserPolicies": {"user", func(c *sdk.Client, n string) error {
		return err2(c.ListAttachedUserPolicies(ctx, &sdk.ListAttachedUserPoliciesInput{UserName: &n}))
	}},
	"PutUserPolicy": {"user", func(c *sdk.Client, n string) error {
		return err2(c.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: &n, PolicyName: s("p"), PolicyDocument: s(read)}))
	}},
	"DeleteUserPolicy": {"user", func(c *sdk.Client, n string) error {
		return err2(c.DeleteUserPolicy(ctx, &sdk.DeleteUserPolicyInput{UserName: &n, PolicyName: s("p")}))
	}},
	"GetUserPolicy": {"user", func(c *sdk.Client, n string) error {
		return err2(c.GetUserPolicy(ctx, &sdk.GetUserPolicyInput{UserName: &n, PolicyName: s("p")}))
	}},
	"ListUserPolicies": {"user", func(c *sdk.Client, n string) error {
		return err2(c.ListUserPolicies(ctx, &sdk.ListUserPoliciesInput{UserName: &n}))
	}},
	"PutUserPermissionsBoundary": {"user", func(c *sdk.Client, n string) error {
		return err2(c.PutUserPermissionsBoundary(ctx, &sdk.PutUserPermissionsBoundaryInput{UserName: &n, PermissionsBoundary: s(readOnly)}))
	}},
	"DeleteUserPermissionsBoundary": {"user", func(c *sdk.Client, n string) error {
		return err2(c.DeleteUserPermissionsBoundary(ctx, &sdk.DeleteUserPermissionsBoundaryInput{UserName: &n}))
	}},
	"CreateRole": {"", func(c *sdk.Client, n string) error {
		return err2(c.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: &n, AssumeRolePolicyDocument: s(everybody)}))
	}},
	"DeleteRole": {"role", func(c *sdk.Client, n string) error {
		return err2(c.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: &n}))
	}},
	"GetRole":   {"role", func(c *sdk.Client, n string) error { return err2(c.GetRole(ctx, &sdk.GetRoleInput{RoleName: &n})) }},
	"ListRoles": {"", func(c *sdk.Client, _ string) error { return err2(c.ListRoles(ctx, &sdk.ListRolesInput{})) }},
	"ListRoleTags": {"role", func(c *sdk.Client, n string) error {
		return err2(c.ListRoleTags(ctx, &sdk.ListRoleTagsInput{RoleName: &n}))
	}},
	"TagRole": {"role", func(c *sdk.Client, n string) error {
		return err2(c.TagRole(ctx, &sdk.TagRoleInput{RoleName: &n, Tags: []types.Tag{{Key: s("k"), Value: s("v")}}}))
	}},
	"UntagRole": {"role", func(c *sdk.Client, n string) error {
		return err2(c.UntagRole(ctx, &sdk.UntagRoleInput{RoleName: &n, TagKeys: []string{"k"}}))
	}},
	"UpdateAssumeRolePolicy": {"role", func(c *sdk.Client, n string) error {
		return err2(c.UpdateAssumeRolePolicy(ctx, &sdk.UpdateAssumeRolePolicyInput{RoleName: &n, PolicyDocument: s(everybody)}))
	}},
	"UpdateRole": {"role", func(c *sdk.Client, n string) error {
		return err2(c.UpdateRole(ctx, &sdk.UpdateRoleInput{RoleName: &n, Description: s("d")}))
	}},
	"UpdateRoleDescription": {"role", func(c *sdk.Client, n string) error {
		return err2(c.UpdateRoleDescription(ctx, &sdk.UpdateRoleDescriptionInput{RoleName: &n, Description: s("d")}))
	}},
	"AttachRolePolicy": {"role", func(c *sdk.Client, n string) error {
		return err2(c.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: &n, PolicyArn: s(readOnly)}))
	}},
	"DetachRolePolicy": {"role", func(c *sdk.Client, n string) error {
		return err2(c.DetachRolePolicy(ctx, &sdk.DetachRolePolicyInput{RoleName: &n, PolicyArn: s(readOnly)}))
	}},
	"ListAttachedRolePolicies": {"role", func(c *sdk.Client, n string) error {
		return err2(c.ListAttachedRolePolicies(ctx, &sdk.ListAttachedRolePoliciesInput{RoleName: &n}))
	}},
	"PutRolePolicy": {"role", func(c *sdk.Client, n string) error {
		return err2(c.PutRolePolicy(ctx, &sdk.PutRolePolicyInput{RoleName: &n, PolicyName: s("p"), PolicyDocument: s(read)}))
	}},
	"DeleteRolePolicy": {"role", func(c *sdk.Client, n string) error {
		return err2(c.DeleteRolePolicy(ctx, &sdk.DeleteRolePolicyInput{RoleName: &n, PolicyName: s("p")}))
	}},
	"GetRolePolicy": {"role", func(c *sdk.Client, n string) error {
		return err2(c.GetRolePolicy(ctx, &sdk.GetRolePolicyInput{RoleName: &n, PolicyName: s("p")}))
	}},
	"ListRolePolicies": {"role", func(c *sdk.Client, n string) error {
		return err2(c.ListRolePolicies(ctx, &sdk.ListRolePoliciesInput{RoleName: &n}))
	}},
	"PutRolePermissionsBoundary": {"role", func(c *sdk.Client, n string) error {
		return err2(c.PutRolePermissionsBoundary(ctx, &sdk.PutRolePermissionsBoundaryInput{RoleName: &n, PermissionsBoundary: s(readOnly)}))
	}},
	"DeleteRolePermissionsBoundary": {"role", func(c *sdk.Client, n string) error {
		return err2(c.DeleteRolePermissionsBoundary(ctx, &sdk.DeleteRolePermissionsBoundaryInput{RoleName: &n}))
	}},
	"CreateGroup": {"", func(c *sdk.Client, n string) error {
		return err2(c.CreateGroup(ctx, &sdk.CreateGroupInput{GroupName: &n}))
	}},
	"DeleteGroup": {"group", func(c *sdk.Client, n string) error {
		return err2(c.DeleteGroup(ctx, &sdk.DeleteGroupInput{GroupName: &n}))
	}},
	"GetGroup":   {"group", func(c *sdk.Client, n string) error { return err2(c.GetGroup(ctx, &sdk.GetGroupInput{GroupName: &n})) }},
	"ListGroups": {"", func(c *sdk.Client, _ string) error { return err2(c.ListGroups(ctx, &sdk.ListGroupsInput{})) }},
	"UpdateGroup": {"group", func(c *sdk.Client, n string) error {
		return err2(c.UpdateGroup(ctx, &sdk.UpdateGroupInput{GroupName: &n, NewPath: s("/moved/")}))
	}},
	"AddUserToGroup": {"group", func(c *sdk.Client, n string) error {
		return err2(c.AddUserToGroup(ctx, &sdk.AddUserToGroupInput{GroupName: &n, UserName: s("admin")}))
	}},
	"RemoveUserFromGroup": {"group", func(c *sdk.Client, n string) error {
		return err2(c.RemoveUserFromGroup(ctx, &sdk.RemoveUserFromGroupInput{GroupName: &n, UserName: s("admin")}))
	}},
	"ListGroupsForUser": {"user", func(c *sdk.Client, n string) error {
		return err2(c.ListGroupsForUser(ctx, &sdk.ListGroupsForUserInput{UserName: &n}))
	}},
	"AttachGroupPolicy": {"group", func(c *sdk.Client, n string) error {
		return err2(c.AttachGroupPolicy(ctx, &sdk.AttachGroupPolicyInput{GroupName: &n, PolicyArn: s(readOnly)}))
	}},
	"DetachGroupPolicy": {"group", func(c *sdk.Client, n string) error {
		return err2(c.DetachGroupPolicy(ctx, &sdk.DetachGroupPolicyInput{GroupName: &n, PolicyArn: s(readOnly)}))
	}},
	"ListAttachedGroupPolicies": {"group", func(c *sdk.Client, n string) error {
		return err2(c.ListAttachedGroupPolicies(ctx, &sdk.ListAttachedGroupPoliciesInput{GroupName: &n}))
	}},
	"PutGroupPolicy": {"group", func(c *sdk.Client, n string) error {
		return err2(c.PutGroupPolicy(ctx, &sdk.PutGroupPolicyInput{GroupName: &n, PolicyName: s("p"), PolicyDocument: s(read)}))
	}},
	"DeleteGroupPolicy": {"group", func(c *sdk.Client, n string) error {
		return err2(c.DeleteGroupPolicy(ctx, &sdk.DeleteGroupPolicyInput{GroupName: &n, PolicyName: s("p")}))
	}},
	"GetGroupPolicy": {"group", func(c *sdk.Client, n string) error {
		return err2(c.GetGroupPolicy(ctx, &sdk.GetGroupPolicyInput{GroupName: &n, PolicyName: s("p")}))
	}},
	"ListGroupPolicies": {"group", func(c *sdk.Client, n string) error {
		return err2(c.ListGroupPolicies(ctx, &sdk.ListGroupPoliciesInput{GroupName: &n}))
	}},
	"CreatePolicy": {"", func(c *sdk.Client, n string) error {
		return err2(c.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: &n, PolicyDocument: s(read)}))
	}},
	"DeletePolicy": {"policy", func(c *sdk.Client, n string) error {
		return err2(c.DeletePolicy(ctx, &sdk.DeletePolicyInput{PolicyArn: policyARN(n)}))
	}},
	"GetPolicy": {"policy", func(c *sdk.Client, n string) error {
		return err2(c.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: policyARN(n)}))
	}},
	"ListPolicies": {"", func(c *sdk.Client, _ string) error { return err2(c.ListPolicies(ctx, &sdk.ListPoliciesInput{})) }},
	"ListEntitiesForPolicy": {"policy", func(c *sdk.Client, n string) error {
		return err2(c.ListEntitiesForPolicy(ctx, &sdk.ListEntitiesForPolicyInput{PolicyArn: policyARN(n)}))
	}},
	"CreatePolicyVersion": {"policy", func(c *sdk.Client, n string) error {
		return err2(c.CreatePolicyVersion(ctx, &sdk.CreatePolicyVersionInput{PolicyArn: policyARN(n), PolicyDocument: s(read)}))
	}},
	"DeletePolicyVersion": {"policy", func(c *sdk.Client, n string) error {
		return err2(c.DeletePolicyVersion(ctx, &sdk.DeletePolicyVersionInput{PolicyArn: policyARN(n), VersionId: s("v1")}))
	}},
	"GetPolicyVersion": {"policy", func(c *sdk.Client, n string) error {
		return err2(c.GetPolicyVersion(ctx, &sdk.GetPolicyVersionInput{PolicyArn: policyARN(n), VersionId: s("v1")}))
	}},
	"ListPolicyVersions": {"policy", func(c *sdk.Client, n string) error {
		return err2(c.ListPolicyVersions(ctx, &sdk.ListPolicyVersionsInput{PolicyArn: policyARN(n)}))
	}},
	"SetDefaultPolicyVersion": {"policy", func(c *sdk.Client, n string) error {
		return err2(c.SetDefaultPolicyVersion(ctx, &sdk.SetDefaultPolicyVersionInput{PolicyArn: policyARN(n), VersionId: s("v1")}))
	}},
	"SimulateCustomPolicy": {"", func(c *sdk.Client, _ string) error {
		return err2(c.SimulateCustomPolicy(ctx, &sdk.SimulateCustomPolicyInput{ActionNames: []string{"iam:GetUser"}, PolicyInputList: []string{read}}))
	}},
	"SimulatePrincipalPolicy": {"", func(c *sdk.Client, n string) error {
		return err2(c.SimulatePrincipalPolicy(ctx, &sdk.SimulatePrincipalPolicyInput{
			ActionNames: []string{"iam:GetUser"}, PolicySourceArn: s("arn:aws:iam::" + account + ":user/" + n),
		}))
	}},
}

// everything is each object of the account with its resource version.
func everything() map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	for _, list := range []client.ObjectList{
		&v1alpha1.IAMUserList{}, &v1alpha1.IAMRoleList{}, &v1alpha1.IAMGroupList{}, &v1alpha1.IAMPolicyList{}, &v1alpha1.EnvelopeList{},
	} {
		Expect(cp.Client.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		for _, obj := range objectsOf(list) {
			out[strings.Join([]string{kindOf(obj), obj.GetName()}, "/")] = obj.GetResourceVersion()
		}
	}
	return out
}

func objectsOf(list client.ObjectList) (out []client.Object) {
	switch l := list.(type) {
	case *v1alpha1.IAMUserList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	case *v1alpha1.IAMRoleList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	case *v1alpha1.IAMGroupList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	case *v1alpha1.IAMPolicyList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	case *v1alpha1.EnvelopeList:
		for i := range l.Items {
			out = append(out, &l.Items[i])
		}
	}
	return out
}

func kindOf(obj client.Object) string {
	switch obj.(type) {
	case *v1alpha1.IAMUser:
		return "user"
	case *v1alpha1.IAMRole:
		return "role"
	case *v1alpha1.IAMGroup:
		return "group"
	case *v1alpha1.IAMPolicy:
		return "policy"
	}
	return "envelope"
}

// one makes a user, a role, a group and a managed policy of a name.
func one(name string) {
	GinkgoHelper()
	for _, operation := range []string{"CreateUser", "CreateRole", "CreateGroup", "CreatePolicy"} {
		Expect(operations[operation].do(admin, name)).To(Succeed(), operation)
	}
	Eventually(func(g Gomega) { // until the controllers have nothing more to write
		g.Expect(object(name, &v1alpha1.IAMUser{}).Status.ARN).NotTo(BeEmpty())
		g.Expect(object(name, &v1alpha1.IAMRole{}).Status.ARN).NotTo(BeEmpty())
		g.Expect(object(name, &v1alpha1.IAMGroup{}).Status.ARN).NotTo(BeEmpty())
		g.Expect(object(name, &v1alpha1.IAMPolicy{}).Status.ARN).NotTo(BeEmpty())
	}).Should(Succeed())
}

var _ = Describe("Every operation", func() {
	It("that is served is in the table of these tests", func() {
		served := []string{}
		for _, o := range gatewayiam.New(gatewayiam.Dependencies{}).Operations {
			served = append(served, o.Name)
		}
		var tested []string
		for name := range operations {
			tested = append(tested, name)
		}
		Expect(tested).To(ConsistOf(served))
		Expect(len(served)).To(Equal(66))
	})

	It("is refused to who has no permission in the same words whether what it is about is there or not, and changes nothing", func() {
		one("guarded")
		nobody := newUser("nobody-in-the-table")
		before := everything()
		for name, o := range operations {
			told := func(of string) string {
				err := o.do(nobody, of)
				Expect(code(err)).To(Equal("AccessDenied"), "%s of %s: %v", name, of, err)
				return strings.ReplaceAll(message(err), of, "NAME")
			}
			there, missing := told("guarded"), told("absentee")
			Expect(there).To(Equal(missing), name)
			Expect(there).To(ContainSubstring("user/nobody-in-the-table is not authorized to perform: iam:"+name), "who and what")
		}
		Expect(everything()).To(Equal(before))
	})

	It("about something that is not there says so with its name, and makes nothing", func() {
		words := map[string]string{
			"user": "The user with name absentee cannot be found.", "role": "The role with name absentee cannot be found.",
			"group":  "The group with name absentee cannot be found.",
			"policy": "Policy arn:aws:iam::" + account + ":policy/absentee does not exist or is not attachable.",
		}
		before := everything()
		for name, o := range operations {
			if o.about == "" {
				continue
			}
			err := o.do(admin, "absentee")
			Expect(code(err)).To(Equal("NoSuchEntity"), "%s: %v", name, err)
			Expect(message(err)).To(Equal(words[o.about]), name)
		}
		Expect(everything()).To(Equal(before))
	})

	It("that makes something is refused for a name that is taken, whatever its case", func() {
		one("twice")
		before := everything()
		for operation, text := range map[string]string{
			"CreateUser": "User with name %s already exists.", "CreateRole": "Role with name %s already exists.",
			"CreateGroup": "Group with name %s already exists.", "CreatePolicy": "A policy called %s already exists. Duplicate names are not allowed.",
		} {
			for _, name := range []string{"twice", "TWICE", "Twice"} {
				err := operations[operation].do(admin, name)
				Expect(code(err)).To(Equal("EntityAlreadyExists"), "%s %s: %v", operation, name, err)
				Expect(message(err)).To(Equal(strings.ReplaceAll(text, "%s", name)))
			}
		}
		Expect(everything()).To(Equal(before))
	})

	It("that only reads changes nothing", func() {
		one("read-only")
		for _, name := range []string{"PutUserPolicy", "PutRolePolicy", "PutGroupPolicy"} { // so that there is one to get
			Expect(operations[name].do(admin, "read-only")).To(Succeed(), name)
		}
		Eventually(func() error { return operations["GetUserPolicy"].do(admin, "read-only") }, "1s").Should(Succeed())
		var settled map[string]string
		Eventually(func() bool { // until the controllers have seen the policies
			last := settled
			settled = everything()
			return maps.Equal(last, settled)
		}, "10s", "300ms").Should(BeTrue())
		for name, o := range operations {
			if strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List") || strings.HasPrefix(name, "Simulate") {
				Expect(o.do(admin, "read-only")).To(Succeed(), name)
			}
		}
		Expect(everything()).To(Equal(settled))
	})
})
