package iam_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"strongroom.dev/strongroom/api/v1alpha1"
)

const readOnly = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"

var _ = Describe("A user", func() {
	It("that the API makes is there for kubectl, with the ARN and the id that were answered", func() {
		made, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("alice"), Path: s("/team/"), Tags: []types.Tag{{Key: s("team"), Value: s("shop")}}})
		Expect(err).NotTo(HaveOccurred())
		Expect(*made.User.Arn).To(Equal("arn:aws:iam::" + account + ":user/team/alice"))
		Expect(*made.User.UserId).To(MatchRegexp(`^AIDA[A-Z2-7]{17}$`))
		Eventually(func(g Gomega) {
			user := object("alice", &v1alpha1.IAMUser{})
			g.Expect(user.Status.ARN).To(Equal(*made.User.Arn))
			g.Expect(user.Status.UniqueID).To(Equal(*made.User.UserId))
		}).Should(Succeed())
		got, err := admin.GetUser(ctx, &sdk.GetUserInput{UserName: s("ALICE")}) // names differ by more than case
		Expect(err).NotTo(HaveOccurred())
		Expect(got.User).To(Equal(made.User))
		Expect(got.User.Tags).To(Equal([]types.Tag{{Key: s("team"), Value: s("shop")}}))
	})

	It("may have a name that is none in Kubernetes", func() {
		name := "Bob+Alice=ok,really.@home_1"
		_, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: &name})
		Expect(err).NotTo(HaveOccurred())
		got, err := admin.GetUser(ctx, &sdk.GetUserInput{UserName: &name})
		Expect(err).NotTo(HaveOccurred())
		Expect(*got.User.UserName).To(Equal(name))
		Expect(*got.User.Path).To(Equal("/"))
		_, err = admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s(strings.ToLower(name))})
		Expect(code(err)).To(Equal("EntityAlreadyExists"))
	})

	It("is there once", func() {
		_, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("once")})
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("once")})
		Expect(code(err)).To(Equal("EntityAlreadyExists"))
		Expect(message(err)).To(Equal("User with name once already exists."))
	})

	It("that is not there is told of in AWS's words", func() {
		_, err := admin.GetUser(ctx, &sdk.GetUserInput{UserName: s("nobody")})
		Expect(code(err)).To(Equal("NoSuchEntity"))
		Expect(message(err)).To(Equal("The user with name nobody cannot be found."))
	})

	It("is the caller when none is named", func() {
		got, err := admin.GetUser(ctx, &sdk.GetUserInput{})
		Expect(err).NotTo(HaveOccurred())
		Expect(*got.User.UserName).To(Equal("admin"))
	})

	It("is listed page by page, in the order of names, and by path", func() {
		for _, name := range []string{"p3", "p1", "p2"} {
			_, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: &name, Path: s("/pages/")})
			Expect(err).NotTo(HaveOccurred())
		}
		var names []string
		pages := sdk.NewListUsersPaginator(admin, &sdk.ListUsersInput{PathPrefix: s("/pages/"), MaxItems: aws.Int32(2)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			Expect(err).NotTo(HaveOccurred())
			for _, u := range page.Users {
				names = append(names, *u.UserName)
			}
		}
		Expect(names).To(Equal([]string{"p1", "p2", "p3"}))
	})

	It("is deleted when it has nothing any more, and what it has is named", func() {
		_, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("leaver")})
		Expect(err).NotTo(HaveOccurred())
		key, err := admin.CreateAccessKey(ctx, &sdk.CreateAccessKeyInput{UserName: s("leaver")})
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.AttachUserPolicy(ctx, &sdk.AttachUserPolicyInput{UserName: s("leaver"), PolicyArn: s(readOnly)})
		Expect(err).NotTo(HaveOccurred())
		remove := func() error {
			_, err := admin.DeleteUser(ctx, &sdk.DeleteUserInput{UserName: s("leaver")})
			return err
		}
		Expect(message(remove())).To(Equal("Cannot delete entity, must delete access keys first."))
		_, err = admin.DeleteAccessKey(ctx, &sdk.DeleteAccessKeyInput{UserName: s("leaver"), AccessKeyId: key.AccessKey.AccessKeyId})
		Expect(err).NotTo(HaveOccurred())
		Expect(message(remove())).To(Equal("Cannot delete entity, must detach all policies first."))
		_, err = admin.DetachUserPolicy(ctx, &sdk.DetachUserPolicyInput{UserName: s("leaver"), PolicyArn: s(readOnly)})
		Expect(err).NotTo(HaveOccurred())
		Expect(remove()).To(Succeed())
		Expect(code(remove())).To(Equal("NoSuchEntity"))
	})

	It("has tags, which are put over and taken away whatever their case", func() {
		_, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("tagged")})
		Expect(err).NotTo(HaveOccurred())
		put := func(key, value string) {
			_, err := admin.TagUser(ctx, &sdk.TagUserInput{UserName: s("tagged"), Tags: []types.Tag{{Key: &key, Value: &value}}})
			Expect(err).NotTo(HaveOccurred())
		}
		put("Team", "a")
		put("team", "b")
		put("cost", "1")
		_, err = admin.UntagUser(ctx, &sdk.UntagUserInput{UserName: s("tagged"), TagKeys: []string{"COST"}})
		Expect(err).NotTo(HaveOccurred())
		tags, err := admin.ListUserTags(ctx, &sdk.ListUserTagsInput{UserName: s("tagged")})
		Expect(err).NotTo(HaveOccurred())
		Expect(tags.Tags).To(Equal([]types.Tag{{Key: s("team"), Value: s("b")}}))
	})
})

var _ = Describe("An access key", func() {
	It("that the API makes works at once, and not after it is made inactive, and again, and not after it is deleted", func() {
		_, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("worker")})
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: s("worker"), PolicyName: s("read"), PolicyDocument: s(read)})
		Expect(err).NotTo(HaveOccurred())
		made, err := admin.CreateAccessKey(ctx, &sdk.CreateAccessKeyInput{UserName: s("worker")})
		Expect(err).NotTo(HaveOccurred())
		id := made.AccessKey.AccessKeyId
		worker := clientOf(*id, *made.AccessKey.SecretAccessKey)
		use := func() string {
			_, err := worker.GetUser(ctx, &sdk.GetUserInput{})
			return code(err)
		}
		Expect(use()).To(BeEmpty())
		for _, status := range []types.StatusType{types.StatusTypeInactive, types.StatusTypeActive} {
			_, err = admin.UpdateAccessKey(ctx, &sdk.UpdateAccessKeyInput{UserName: s("worker"), AccessKeyId: id, Status: status})
			Expect(err).NotTo(HaveOccurred())
			want := map[types.StatusType]string{types.StatusTypeInactive: "InvalidClientTokenId", types.StatusTypeActive: ""}[status]
			Eventually(use, "1s").Should(Equal(want))
			listed, err := admin.ListAccessKeys(ctx, &sdk.ListAccessKeysInput{UserName: s("worker")})
			Expect(err).NotTo(HaveOccurred())
			Expect(listed.AccessKeyMetadata).To(HaveLen(1))
			Expect(listed.AccessKeyMetadata[0].Status).To(Equal(status))
		}
		_, err = admin.DeleteAccessKey(ctx, &sdk.DeleteAccessKeyInput{UserName: s("worker"), AccessKeyId: id})
		Expect(err).NotTo(HaveOccurred())
		Eventually(use, "1s").Should(Equal("InvalidClientTokenId"))
		_, err = admin.DeleteAccessKey(ctx, &sdk.DeleteAccessKeyInput{UserName: s("worker"), AccessKeyId: id})
		Expect(code(err)).To(Equal("NoSuchEntity"))
	})

	It("is one of two at most", func() {
		_, err := admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("greedy")})
		Expect(err).NotTo(HaveOccurred())
		for range 2 {
			_, err = admin.CreateAccessKey(ctx, &sdk.CreateAccessKeyInput{UserName: s("greedy")})
			Expect(err).NotTo(HaveOccurred())
		}
		_, err = admin.CreateAccessKey(ctx, &sdk.CreateAccessKeyInput{UserName: s("greedy")})
		Expect(code(err)).To(Equal("LimitExceeded"))
		Expect(message(err)).To(Equal("Cannot exceed quota for AccessKeysPerUser: 2"))
	})
})

var _ = Describe("A role", func() {
	It("goes through its life", func() {
		made, err := admin.CreateRole(ctx, &sdk.CreateRoleInput{
			RoleName: s("Deploy"), AssumeRolePolicyDocument: s(everybody), Description: s("deploys"), MaxSessionDuration: aws.Int32(7200),
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(*made.Role.Arn).To(Equal("arn:aws:iam::" + account + ":role/Deploy"))
		Expect(plain(made.Role.AssumeRolePolicyDocument)).To(MatchJSON(everybody))
		_, err = admin.UpdateRole(ctx, &sdk.UpdateRoleInput{RoleName: s("Deploy"), Description: s("deploys more")})
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.UpdateAssumeRolePolicy(ctx, &sdk.UpdateAssumeRolePolicyInput{
			RoleName: s("Deploy"), PolicyDocument: s(strings.ReplaceAll(everybody, `"*"`, `"123456789012"`)),
		})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func(g Gomega) {
			got, err := admin.GetRole(ctx, &sdk.GetRoleInput{RoleName: s("Deploy")})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(*got.Role.Description).To(Equal("deploys more"))
			g.Expect(*got.Role.MaxSessionDuration).To(Equal(int32(7200)))
			g.Expect(plain(got.Role.AssumeRolePolicyDocument)).To(ContainSubstring("123456789012"))
		}, "1s").Should(Succeed())
		_, err = admin.PutRolePolicy(ctx, &sdk.PutRolePolicyInput{RoleName: s("Deploy"), PolicyName: s("read"), PolicyDocument: s(read)})
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: s("Deploy")})
		Expect(code(err)).To(Equal("DeleteConflict"))
		_, err = admin.DeleteRolePolicy(ctx, &sdk.DeleteRolePolicyInput{RoleName: s("Deploy"), PolicyName: s("read")})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error {
			_, err = admin.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: s("Deploy")})
			return err
		}, "1s").Should(Succeed())
	})

	It("is not made of a malformed trust policy", func() {
		_, err := admin.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: s("Broken"), AssumeRolePolicyDocument: s(read)})
		Expect(code(err)).To(Equal("MalformedPolicyDocument"))
	})
})

var _ = Describe("A managed policy", func() {
	It("is attached, listed, changed and deleted", func() {
		made, err := admin.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: s("Readers"), PolicyDocument: s(read)})
		Expect(err).NotTo(HaveOccurred())
		policy := made.Policy.Arn
		Expect(*policy).To(Equal("arn:aws:iam::" + account + ":policy/Readers"))
		_, err = admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("reader")})
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.AttachUserPolicy(ctx, &sdk.AttachUserPolicyInput{UserName: s("reader"), PolicyArn: policy})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func(g Gomega) {
			attached, err := admin.ListAttachedUserPolicies(ctx, &sdk.ListAttachedUserPoliciesInput{UserName: s("reader")})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(attached.AttachedPolicies).To(Equal([]types.AttachedPolicy{{PolicyArn: policy, PolicyName: s("Readers")}}))
			entities, err := admin.ListEntitiesForPolicy(ctx, &sdk.ListEntitiesForPolicyInput{PolicyArn: policy})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(entities.PolicyUsers).To(HaveLen(1))
			g.Expect(*entities.PolicyUsers[0].UserName).To(Equal("reader"))
		}, "1s").Should(Succeed())
		_, err = admin.DeletePolicy(ctx, &sdk.DeletePolicyInput{PolicyArn: policy})
		Expect(message(err)).To(Equal("Cannot delete a policy attached to entities."))

		changed, err := admin.CreatePolicyVersion(ctx, &sdk.CreatePolicyVersionInput{
			PolicyArn: policy, PolicyDocument: s(strings.ReplaceAll(read, "Get", "List")), SetAsDefault: true,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(*changed.PolicyVersion.VersionId).To(Equal("v2"))
		Eventually(func(g Gomega) {
			version, err := admin.GetPolicyVersion(ctx, &sdk.GetPolicyVersionInput{PolicyArn: policy, VersionId: s("v2")})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(plain(version.PolicyVersion.Document)).To(ContainSubstring("iam:List*"))
		}, "1s").Should(Succeed())
		_, err = admin.DeletePolicyVersion(ctx, &sdk.DeletePolicyVersionInput{PolicyArn: policy, VersionId: s("v1")})
		Expect(err).NotTo(HaveOccurred())

		_, err = admin.DetachUserPolicy(ctx, &sdk.DetachUserPolicyInput{UserName: s("reader"), PolicyArn: policy})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error {
			_, err := admin.DeletePolicy(ctx, &sdk.DeletePolicyInput{PolicyArn: policy})
			return err
		}, "1s").Should(Succeed())
	})

	It("that every account has is read and attached, and not changed", func() {
		got, err := admin.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: s(readOnly)})
		Expect(err).NotTo(HaveOccurred())
		Expect(*got.Policy.PolicyName).To(Equal("IAMReadOnlyAccess"))
		_, err = admin.DeletePolicy(ctx, &sdk.DeletePolicyInput{PolicyArn: s(readOnly)})
		Expect(err).To(HaveOccurred())
		listed, err := admin.ListPolicies(ctx, &sdk.ListPoliciesInput{Scope: types.PolicyScopeTypeAws})
		Expect(err).NotTo(HaveOccurred())
		Expect(len(listed.Policies)).To(BeNumerically(">", 10))
	})

	It("that is not there cannot be attached", func() {
		for _, policy := range []string{"arn:aws:iam::aws:policy/Nothing", "arn:aws:iam::" + account + ":policy/Nothing"} {
			_, err := admin.AttachUserPolicy(ctx, &sdk.AttachUserPolicyInput{UserName: s("admin"), PolicyArn: &policy})
			Expect(code(err)).To(Equal("NoSuchEntity"), policy)
		}
	})
})

var _ = Describe("A user without permission", func() {
	It("is told the same of what is there and of what is not, and can give itself nothing", func() {
		nobody := newUser("nobody-at-all")
		told := func(name string) string {
			_, err := nobody.GetUser(ctx, &sdk.GetUserInput{UserName: &name})
			Expect(code(err)).To(Equal("AccessDenied"))
			return strings.ReplaceAll(message(err), name, "NAME")
		}
		Expect(told("admin")).To(Equal(told("not-there")))
		_, err := nobody.AttachUserPolicy(ctx, &sdk.AttachUserPolicyInput{UserName: s("nobody-at-all"), PolicyArn: s("arn:aws:iam::aws:policy/AdministratorAccess")})
		Expect(code(err)).To(Equal("AccessDenied"))
		_, err = nobody.CreateAccessKey(ctx, &sdk.CreateAccessKeyInput{UserName: s("admin")})
		Expect(code(err)).To(Equal("AccessDenied"))
	})
})

var _ = Describe("A delegate", func() {
	It("who must leave a boundary where it is cannot take it away, nor change what is behind it", func() {
		limit := "arn:aws:iam::" + account + ":policy/Limit"
		_, err := admin.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: s("Limit"), PolicyDocument: s(read)})
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("limited"), PermissionsBoundary: &limit})
		Expect(err).NotTo(HaveOccurred())
		delegate := newUser("delegate", "arn:aws:iam::aws:policy/IAMFullAccess")
		_, err = admin.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: s("delegate"), PolicyName: s("not-behind-the-limit"), PolicyDocument: s(
			`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":["iam:DeleteUserPermissionsBoundary","iam:PutUserPolicy"],"Resource":"*",` +
				`"Condition":{"StringEquals":{"iam:PermissionsBoundary":"` + limit + `"}}}}`)})
		Expect(err).NotTo(HaveOccurred())
		remove := func() error {
			_, err := delegate.DeleteUserPermissionsBoundary(ctx, &sdk.DeleteUserPermissionsBoundaryInput{UserName: s("limited")})
			return err
		}
		Consistently(func() string { return code(remove()) }, "300ms").Should(Equal("AccessDenied"))
		_, err = delegate.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: s("limited"), PolicyName: s("x"), PolicyDocument: s(read)})
		Expect(code(err)).To(Equal("AccessDenied"))
		_, err = delegate.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("unlimited")})
		Expect(err).NotTo(HaveOccurred())
		_, err = delegate.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: s("unlimited"), PolicyName: s("x"), PolicyDocument: s(read)})
		Expect(err).NotTo(HaveOccurred())
	})

	It("who may not tag cannot choose tags for whom it makes", func() {
		maker := newUser("maker", "arn:aws:iam::aws:policy/IAMFullAccess")
		_, err := admin.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: s("maker"), PolicyName: s("no-tags"), PolicyDocument: s(
			`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":["iam:TagUser","iam:TagRole"],"Resource":"*"}}`)})
		Expect(err).NotTo(HaveOccurred())
		tags := []types.Tag{{Key: s("team"), Value: s("security")}}
		Eventually(func() string {
			_, err := maker.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("chosen"), Tags: tags})
			return code(err)
		}, "1s").Should(Equal("AccessDenied"))
		_, err = maker.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: s("chosen"), AssumeRolePolicyDocument: s(everybody), Tags: tags})
		Expect(code(err)).To(Equal("AccessDenied"))
		_, err = maker.CreateUser(ctx, &sdk.CreateUserInput{UserName: s("chosen-without")})
		Expect(err).NotTo(HaveOccurred())
	})
})

var _ = Describe("A simulation", func() {
	It("works out a page alone, however many questions there are", func() {
		many := make([]string, 1000)
		for i := range many {
			many[i] = fmt.Sprintf("arn:aws:s3:::bucket/%d", i)
		}
		in := &sdk.SimulateCustomPolicyInput{
			PolicyInputList: []string{read}, ActionNames: []string{"iam:GetUser", "iam:GetRole"}, ResourceArns: many, MaxItems: aws.Int32(900),
		}
		var places []string
		pages := sdk.NewSimulateCustomPolicyPaginator(admin, in)
		for pages.HasMorePages() {
			// Of answers this large some end in the client's own "use of closed network connection", after which the SDK asks again by default.
			page, err := pages.NextPage(ctx, func(o *sdk.Options) { o.RetryMaxAttempts = 5 })
			Expect(err).NotTo(HaveOccurred())
			for _, r := range page.EvaluationResults {
				places = append(places, *r.EvalActionName+*r.EvalResourceName)
			}
		}
		Expect(places).To(HaveLen(2000))
		Expect(places[999]).To(Equal("iam:GetUser" + many[999]))
		Expect(places[1000]).To(Equal("iam:GetRole" + many[0]))
	})

	It("decides as a real request would be decided", func() {
		out, err := admin.SimulateCustomPolicy(ctx, &sdk.SimulateCustomPolicyInput{
			PolicyInputList: []string{read, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"iam:GetUser","Resource":"*"}}`},
			ActionNames:     []string{"iam:GetRole", "iam:GetUser", "kms:Encrypt"},
		})
		Expect(err).NotTo(HaveOccurred())
		var decisions []string
		for _, r := range out.EvaluationResults {
			decisions = append(decisions, *r.EvalActionName+" "+string(r.EvalDecision))
		}
		Expect(decisions).To(Equal([]string{"iam:GetRole allowed", "iam:GetUser explicitDeny", "kms:Encrypt implicitDeny"}))
	})

	It("knows of a user what a request of the user's would have, and names what it does not know", func() {
		newUser("in-the-know")
		document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:Get*","Resource":"arn:aws:iam::*:user/${aws:username}"},` +
			`{"Effect":"Deny","Action":"iam:ListRoles","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},` +
			`{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}`
		_, err := admin.PutUserPolicy(ctx, &sdk.PutUserPolicyInput{UserName: s("in-the-know"), PolicyName: s("p"), PolicyDocument: &document})
		Expect(err).NotTo(HaveOccurred())
		user := "arn:aws:iam::" + account + ":user/in-the-know"
		simulate := func(action, resource string, known ...types.ContextEntry) types.EvaluationResult {
			out, err := admin.SimulatePrincipalPolicy(ctx, &sdk.SimulatePrincipalPolicyInput{
				PolicySourceArn: &user, ActionNames: []string{action}, ResourceArns: []string{resource}, ContextEntries: known,
			})
			Expect(err).NotTo(HaveOccurred())
			return out.EvaluationResults[0]
		}
		Eventually(func() types.PolicyEvaluationDecisionType { return simulate("iam:GetUser", user).EvalDecision }, "2s").
			Should(Equal(types.PolicyEvaluationDecisionTypeAllowed), "as GetUser of oneself is")
		Expect(simulate("iam:GetUser", user+"2").EvalDecision).To(Equal(types.PolicyEvaluationDecisionTypeImplicitDeny))
		Expect(simulate("iam:ListRoles", "*").EvalDecision).To(Equal(types.PolicyEvaluationDecisionTypeExplicitDeny))
		unknown := simulate("iam:ListUsers", "*")
		Expect(unknown.EvalDecision).To(Equal(types.PolicyEvaluationDecisionTypeImplicitDeny))
		Expect(unknown.MissingContextValues).To(Equal([]string{"aws:sourceip"}))
		given := simulate("iam:ListUsers", "*", types.ContextEntry{
			ContextKeyName: s("aws:SourceIp"), ContextKeyType: types.ContextKeyTypeEnumIp, ContextKeyValues: []string{"10.1.2.3"},
		})
		Expect(given.EvalDecision).To(Equal(types.PolicyEvaluationDecisionTypeAllowed))
		Expect(given.MissingContextValues).To(BeEmpty())
	})

	It("of organizations is refused, since there are none", func() {
		_, err := admin.SimulateCustomPolicy(ctx, &sdk.SimulateCustomPolicyInput{
			PolicyInputList: []string{read}, ActionNames: []string{"iam:GetRole"},
			OrderedOrganizationPolicyInputList: []types.OrderedOrganizationPolicyType{{ServiceControlPolicyInputList: []string{read}}},
		})
		Expect(code(err)).To(Equal("InvalidInput"))
	})

	It("of a user takes what the user has", func() {
		newUser("simulated", readOnly)
		out, err := admin.SimulatePrincipalPolicy(ctx, &sdk.SimulatePrincipalPolicyInput{
			PolicySourceArn: s("arn:aws:iam::" + account + ":user/simulated"), ActionNames: []string{"iam:GetUser", "iam:CreateUser"},
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.EvaluationResults[0].EvalDecision).To(Equal(types.PolicyEvaluationDecisionTypeAllowed))
		Expect(out.EvaluationResults[1].EvalDecision).To(Equal(types.PolicyEvaluationDecisionTypeImplicitDeny))
	})
})
