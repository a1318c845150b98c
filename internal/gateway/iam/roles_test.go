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

// newRole makes a role that everybody of the account may take.
func newRole(name string, change ...func(*sdk.CreateRoleInput)) *types.Role {
	GinkgoHelper()
	in := &sdk.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: s(everybody)}
	for _, c := range change {
		c(in)
	}
	made, err := admin.CreateRole(ctx, in)
	Expect(err).NotTo(HaveOccurred())
	return made.Role
}

func getRole(name string) *types.Role {
	GinkgoHelper()
	got, err := admin.GetRole(ctx, &sdk.GetRoleInput{RoleName: &name})
	Expect(err).NotTo(HaveOccurred())
	return got.Role
}

var _ = Describe("A role of the API", func() {
	It("is there for kubectl with everything that the request said, and answers what AWS answers when it said nothing", func() {
		made := newRole("full-role", func(in *sdk.CreateRoleInput) {
			in.Path, in.Description, in.MaxSessionDuration = s("/team/shop/"), s("all of it"), aws.Int32(43200)
			in.PermissionsBoundary, in.Tags = s(readOnly), []types.Tag{{Key: s("Team"), Value: s("shop")}}
		})
		Expect(*made.Arn).To(Equal("arn:aws:iam::" + account + ":role/team/shop/full-role"))
		Expect(*made.RoleId).To(MatchRegexp("^AROA[A-Z0-9]{17}$"))
		Expect(made.PermissionsBoundary).To(Equal(&types.AttachedPermissionsBoundary{
			PermissionsBoundaryArn: s(readOnly), PermissionsBoundaryType: types.PermissionsBoundaryAttachmentTypePolicy,
		}))
		stored := object("full-role", &v1alpha1.IAMRole{})
		Expect(stored.Spec.Path).To(Equal("/team/shop/"))
		Expect(stored.Spec.Description).To(Equal("all of it"))
		Expect(stored.Spec.MaxSessionDuration).To(BeEquivalentTo(43200))
		Expect(stored.Spec.PermissionsBoundary).To(Equal(readOnly))
		Expect(stored.Spec.Tags).To(Equal([]v1alpha1.Tag{{Key: "Team", Value: "shop"}}))
		Expect(*getRole("FULL-Role").RoleId).To(Equal(*made.RoleId), "names are found whatever their case")

		plainest := newRole("plainest")
		Expect(*plainest.MaxSessionDuration).To(BeEquivalentTo(3600))
		Expect(*plainest.Path).To(Equal("/"))
		Expect(plainest.Description).To(BeNil())
		Expect(plainest.PermissionsBoundary).To(BeNil())
		Expect(plainest.Tags).To(BeNil())
		Expect(object("plainest", &v1alpha1.IAMRole{}).Spec.Path).To(BeEmpty(), "nothing is written that was not said")
	})

	It("gets another description and duration, each alone, and keeps what is not named", func() {
		newRole("changing", func(in *sdk.CreateRoleInput) { in.Description, in.MaxSessionDuration = s("first"), aws.Int32(7200) })
		_, err := admin.UpdateRole(ctx, &sdk.UpdateRoleInput{RoleName: s("changing"), MaxSessionDuration: aws.Int32(3600)})
		Expect(err).NotTo(HaveOccurred())
		Expect(*getRole("changing").Description).To(Equal("first"))
		Expect(*getRole("changing").MaxSessionDuration).To(BeEquivalentTo(3600))
		_, err = admin.UpdateRole(ctx, &sdk.UpdateRoleInput{RoleName: s("changing"), Description: s("second")})
		Expect(err).NotTo(HaveOccurred())
		updated, err := admin.UpdateRoleDescription(ctx, &sdk.UpdateRoleDescriptionInput{RoleName: s("changing"), Description: s("third")})
		Expect(err).NotTo(HaveOccurred())
		Expect(*updated.Role.Description).To(Equal("third"))
		Expect(*updated.Role.MaxSessionDuration).To(BeEquivalentTo(3600))
		Expect(*getRole("changing").Description).To(Equal("third"))
	})

	DescribeTable("is refused with", func(change func(*sdk.CreateRoleInput), wantCode, says string) {
		in := &sdk.CreateRoleInput{RoleName: s("refused"), AssumeRolePolicyDocument: s(everybody)}
		change(in)
		_, err := admin.CreateRole(ctx, in)
		Expect(code(err)).To(Equal(wantCode), "%v", err)
		Expect(message(err)).To(ContainSubstring(says))
		_, err = admin.GetRole(ctx, &sdk.GetRoleInput{RoleName: s("refused")})
		Expect(code(err)).To(Equal("NoSuchEntity"), "and nothing is made")
	},
		Entry("a session that is shorter than an hour", func(in *sdk.CreateRoleInput) { in.MaxSessionDuration = aws.Int32(3599) },
			"ValidationError", "greater than or equal to 3600"),
		Entry("one that is longer than twelve", func(in *sdk.CreateRoleInput) { in.MaxSessionDuration = aws.Int32(43201) },
			"ValidationError", "less than or equal to 43200"),
		Entry("a name with a slash", func(in *sdk.CreateRoleInput) { in.RoleName = s("a/b") }, "ValidationError", "roleName"),
		Entry("a name that is too long", func(in *sdk.CreateRoleInput) { in.RoleName = s(strings.Repeat("r", 65)) }, "ValidationError", "less than or equal to 64"),
		Entry("a path without its last slash", func(in *sdk.CreateRoleInput) { in.Path = s("/team") }, "ValidationError", "path"),
		Entry("a boundary that is not there", func(in *sdk.CreateRoleInput) { in.PermissionsBoundary = policyARN("absent") },
			"NoSuchEntity", "does not exist or is not attachable"),
		Entry("a boundary of another account", func(in *sdk.CreateRoleInput) { in.PermissionsBoundary = s("arn:aws:iam::000000000001:policy/p") },
			"NoSuchEntity", "does not exist or is not attachable"),
		Entry("two tags whose keys differ in case", func(in *sdk.CreateRoleInput) {
			in.Tags = []types.Tag{{Key: s("Team"), Value: s("a")}, {Key: s("TEAM"), Value: s("b")}}
		}, "InvalidInput", "Duplicate tag keys found"),
		Entry("a trust policy with a resource", func(in *sdk.CreateRoleInput) {
			in.AssumeRolePolicyDocument = s(strings.Replace(everybody, `"Principal"`, `"Resource":"*","Principal"`, 1))
		}, "MalformedPolicyDocument", "Syntax errors in policy"),
		Entry("a trust policy that is no JSON", func(in *sdk.CreateRoleInput) { in.AssumeRolePolicyDocument = s("{") }, "MalformedPolicyDocument", ""),
		Entry("a trust policy that is too long", func(in *sdk.CreateRoleInput) {
			in.AssumeRolePolicyDocument = s(longTrust())
		}, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 4096"),
	)

	It("has at most fifty tags, which list page by page in the order of their keys, and go one by one", func() {
		newRole("tagged-role")
		var tags []types.Tag
		for i := range 50 {
			tags = append(tags, types.Tag{Key: s(fmt.Sprintf("key-%02d", 49-i)), Value: s("v")})
		}
		_, err := admin.TagRole(ctx, &sdk.TagRoleInput{RoleName: s("tagged-role"), Tags: tags})
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.TagRole(ctx, &sdk.TagRoleInput{RoleName: s("tagged-role"), Tags: []types.Tag{{Key: s("one-more"), Value: s("v")}}})
		Expect(code(err)).To(Equal("LimitExceeded"))
		Expect(message(err)).To(Equal("Cannot exceed quota for TagsPerEntity: 50"))
		_, err = admin.TagRole(ctx, &sdk.TagRoleInput{RoleName: s("tagged-role"), Tags: []types.Tag{{Key: s("KEY-00"), Value: s("over")}}})
		Expect(err).NotTo(HaveOccurred(), "a tag that is there is put over, at the limit too")

		var listed []string
		var marker *string
		for {
			out, err := admin.ListRoleTags(ctx, &sdk.ListRoleTagsInput{RoleName: s("tagged-role"), MaxItems: aws.Int32(20), Marker: marker})
			Expect(err).NotTo(HaveOccurred())
			for _, t := range out.Tags {
				listed = append(listed, *t.Key)
			}
			if marker = out.Marker; !out.IsTruncated {
				break
			}
		}
		Expect(listed).To(HaveLen(50))
		Expect(listed[0]).To(Equal("KEY-00"))
		Expect(listed[49]).To(Equal("key-49"))

		_, err = admin.UntagRole(ctx, &sdk.UntagRoleInput{RoleName: s("tagged-role"), TagKeys: append(listed[2:], "never-there")})
		Expect(err).NotTo(HaveOccurred())
		Expect(getRole("tagged-role").Tags).To(ConsistOf(
			types.Tag{Key: s("KEY-00"), Value: s("over")}, types.Tag{Key: s("key-01"), Value: s("v")},
		))
	})

	It("has policies of its own, up to 10,240 characters together, and is deleted without them alone", func() {
		newRole("policied")
		put := func(name, document string) error {
			_, err := admin.PutRolePolicy(ctx, &sdk.PutRolePolicyInput{RoleName: s("policied"), PolicyName: &name, PolicyDocument: &document})
			return err
		}
		Expect(put("zebra", read)).To(Succeed())
		Expect(put("ant", long(10_240-len(read)))).To(Succeed(), "exactly as much as there may be")
		Expect(code(put("one-more", read))).To(Equal("LimitExceeded"))
		Expect(message(put("one-more", read))).To(Equal("Maximum policy size of 10240 bytes exceeded for role policied"))
		Expect(put("ant", strings.ReplaceAll(read, "Get", "List"))).To(Succeed(), "one of its name is put over")
		Expect(put("one-more", read)).To(Succeed())

		names, err := admin.ListRolePolicies(ctx, &sdk.ListRolePoliciesInput{RoleName: s("policied")})
		Expect(err).NotTo(HaveOccurred())
		Expect(names.PolicyNames).To(Equal([]string{"ant", "one-more", "zebra"}))
		got, err := admin.GetRolePolicy(ctx, &sdk.GetRolePolicyInput{RoleName: s("policied"), PolicyName: s("ant")})
		Expect(err).NotTo(HaveOccurred())
		Expect(plain(got.PolicyDocument)).To(ContainSubstring("iam:List*"))
		_, err = admin.GetRolePolicy(ctx, &sdk.GetRolePolicyInput{RoleName: s("policied"), PolicyName: s("Ant")})
		Expect(message(err)).To(Equal("The role policy with name Ant cannot be found."), "names of inline policies are told apart by case")

		remove := func() error {
			_, err := admin.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: s("policied")})
			return err
		}
		for _, name := range names.PolicyNames {
			Expect(message(remove())).To(Equal("Cannot delete entity, must delete policies first."))
			_, err = admin.DeleteRolePolicy(ctx, &sdk.DeleteRolePolicyInput{RoleName: s("policied"), PolicyName: &name})
			Expect(err).NotTo(HaveOccurred())
		}
		_, err = admin.DeleteRolePolicy(ctx, &sdk.DeleteRolePolicyInput{RoleName: s("policied"), PolicyName: s("ant")})
		Expect(code(err)).To(Equal("NoSuchEntity"))
		Expect(remove()).To(Succeed())
	})

	It("has a boundary that is put, put over and taken away; one that never had one loses none", func() {
		newRole("bounded")
		put := func(policy *string) error {
			_, err := admin.PutRolePermissionsBoundary(ctx, &sdk.PutRolePermissionsBoundaryInput{RoleName: s("bounded"), PermissionsBoundary: policy})
			return err
		}
		Expect(put(s(readOnly))).To(Succeed())
		Expect(put(s("arn:aws:iam::aws:policy/AdministratorAccess"))).To(Succeed())
		Expect(*getRole("bounded").PermissionsBoundary.PermissionsBoundaryArn).To(HaveSuffix("AdministratorAccess"))
		Expect(code(put(policyARN("absent")))).To(Equal("NoSuchEntity"))
		Expect(getRole("bounded").PermissionsBoundary).NotTo(BeNil(), "a refusal leaves it")
		for range 2 {
			_, err := admin.DeleteRolePermissionsBoundary(ctx, &sdk.DeleteRolePermissionsBoundaryInput{RoleName: s("bounded")})
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(getRole("bounded").PermissionsBoundary).To(BeNil())
	})

	It("is listed by path, without the tags and the boundary that AWS leaves out of lists", func() {
		for _, name := range []string{"list-b", "list-a", "list-c"} {
			newRole(name, func(in *sdk.CreateRoleInput) {
				in.Path, in.Tags, in.PermissionsBoundary = s("/listed/"+name+"/"), []types.Tag{{Key: s("k"), Value: s("v")}}, s(readOnly)
			})
		}
		names := func(prefix string) (out []string) {
			listed, err := admin.ListRoles(ctx, &sdk.ListRolesInput{PathPrefix: &prefix})
			Expect(err).NotTo(HaveOccurred())
			for _, r := range listed.Roles {
				Expect(r.Tags).To(BeNil())
				Expect(r.PermissionsBoundary).To(BeNil())
				out = append(out, *r.RoleName)
			}
			return out
		}
		Expect(names("/listed/")).To(Equal([]string{"list-a", "list-b", "list-c"}))
		Expect(names("/listed/list-b/")).To(Equal([]string{"list-b"}))
		Expect(names("/listed/nobody/")).To(BeEmpty())
		first, err := admin.ListRoles(ctx, &sdk.ListRolesInput{PathPrefix: s("/listed/"), MaxItems: aws.Int32(2)})
		Expect(err).NotTo(HaveOccurred())
		Expect(first.IsTruncated).To(BeTrue())
		for _, other := range []*sdk.ListRolesInput{{}, {PathPrefix: s("/")}, {PathPrefix: s("/listed/x")}} {
			other.Marker = first.Marker
			_, err := admin.ListRoles(ctx, other)
			Expect(code(err)).To(Equal("ValidationError"), "a marker is of the prefix that it was made for")
		}
		_, err = admin.ListUsers(ctx, &sdk.ListUsersInput{PathPrefix: s("/listed/"), Marker: first.Marker})
		Expect(code(err)).To(Equal("ValidationError"))
		rest, err := admin.ListRoles(ctx, &sdk.ListRolesInput{PathPrefix: s("/listed/"), MaxItems: aws.Int32(2), Marker: first.Marker})
		Expect(err).NotTo(HaveOccurred())
		Expect(rest.IsTruncated).To(BeFalse())
		Expect(*rest.Roles[0].RoleName).To(Equal("list-c"))
	})
})

// long is a policy of as many characters as AWS counts, which are those that are no white space.
func long(characters int) string {
	const frame = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:","Resource":"*"}]}`
	return strings.Replace(frame, "iam:", "iam:"+strings.Repeat("x", characters-len(frame)), 1)
}

// longTrust is a trust policy of 4,097 characters.
func longTrust() string {
	const frame = `{"Version":"2012-10-17","Statement":[{"Sid":"","Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
	return strings.Replace(frame, `"Sid":"`, `"Sid":"`+strings.Repeat("x", 4097-len(frame)), 1)
}
