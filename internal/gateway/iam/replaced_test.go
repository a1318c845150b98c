package iam_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awssecrets "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func policyDocument(text string) *v1alpha1.PolicyDocument {
	return &v1alpha1.PolicyDocument{JSON: apiextensionsv1.JSON{Raw: []byte(text)}}
}

// remove deletes an object as kubectl does, and waits until it is gone.
func remove(obj client.Object) {
	GinkgoHelper()
	Expect(cp.Client.Delete(ctx, obj)).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj.DeepCopyObject().(client.Object)))
	}).Should(BeTrue())
}

func userOf(name string) *v1alpha1.IAMUser {
	return &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

var _ = Describe("A user who is made again under the name of one who was trusted", func() {
	const trust = `{"Version":"2012-10-17","Statement":{"Sid":"VERSION","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:user/NAME"},"Action":"sts:AssumeRole"}}`
	trusting := func(name, version string) *v1alpha1.PolicyDocument {
		return policyDocument(strings.NewReplacer("NAME", name, "VERSION", version).Replace(trust))
	}
	assume := func(c *sdk.Client, role string) func() string {
		s := awssts.New(awssts.Options{Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: transport, RetryMaxAttempts: 1, Credentials: c.Options().Credentials})
		return func() string {
			_, err := s.AssumeRole(ctx, &awssts.AssumeRoleInput{RoleArn: ptrTo("arn:aws:iam::" + account + ":role/" + role), RoleSessionName: ptrTo("session")})
			return code(err)
		}
	}
	newRole := func(name string, policy *v1alpha1.PolicyDocument) *v1alpha1.IAMRole {
		r := &v1alpha1.IAMRole{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.IAMRoleSpec{AssumeRolePolicy: policy}}
		Expect(cp.Client.Create(ctx, r)).To(Succeed())
		return r
	}
	bound := func(r *v1alpha1.IAMRole) func() []v1alpha1.BoundPrincipal {
		return func() []v1alpha1.BoundPrincipal {
			object(r.Name, r)
			if r.Status.Trust == nil {
				return nil
			}
			return r.Status.Trust.Principals
		}
	}

	It("may not assume the role, until its trust policy is another", func() {
		r := newRole("replaced", trusting("replaced", "one")) // before there is a user: manifests come in any order
		first := newUser("replaced")
		Eventually(bound(r)).Should(HaveLen(1))
		Eventually(assume(first, "replaced")).Should(BeEmpty())
		id := r.Status.Trust.Principals[0].UniqueID
		Expect(id).To(Equal(object("replaced", &v1alpha1.IAMUser{}).Status.UniqueID))

		remove(userOf("replaced"))
		second := newUser("replaced")
		Consistently(assume(second, "replaced"), "1s").Should(Equal("AccessDenied"))
		Eventually(func() string {
			object("replaced", r)
			if c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionPrincipalReplaced); c != nil && c.Status == metav1.ConditionTrue {
				return c.Message
			}
			return ""
		}).Should(And(ContainSubstring(":user/replaced."), ContainSubstring("change the policy")))
		Expect(meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue(), "the role is in force for all others")
		Expect(r.Status.Trust.Principals[0].UniqueID).To(Equal(id))

		// A change of anything else trusts nobody anew.
		r.Spec.Description = "another"
		Expect(cp.Client.Update(ctx, r)).To(Succeed())
		Consistently(assume(second, "replaced"), "500ms").Should(Equal("AccessDenied"))
		object("replaced", r)
		r.Spec.AssumeRolePolicy = trusting("replaced", "two")
		Expect(cp.Client.Update(ctx, r)).To(Succeed())
		Eventually(assume(second, "replaced")).Should(BeEmpty())
		Eventually(func() bool {
			object("replaced", r)
			return meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionPrincipalReplaced) == nil
		}).Should(BeTrue())
	})

	It("may assume it if the role is made again too, as when all of a namespace is applied again", func() {
		r := newRole("again", trusting("again", "one"))
		newUser("again")
		Eventually(bound(r)).Should(HaveLen(1))
		remove(userOf("again"))
		remove(r)
		second := newUser("again") // in the other order
		r = newRole("again", trusting("again", "one"))
		Eventually(assume(second, "again")).Should(BeEmpty())
		Eventually(bound(r)).Should(HaveLen(1))
		Expect(r.Status.Trust.Principals[0].UniqueID).To(Equal(object("again", &v1alpha1.IAMUser{}).Status.UniqueID))
	})

	It("may not read a secret whose resource policy named the one before, until the policy is another", func() {
		policy := func(id string) *v1alpha1.PolicyDocument {
			return policyDocument(`{"Version":"2012-10-17","Id":"` + id + `","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` +
				account + `:user/successor"},"Action":"secretsmanager:DescribeSecret","Resource":"*"}}`)
		}
		secret := &v1alpha1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "named-secret"},
			Spec:       v1alpha1.SecretSpec{Generate: &v1alpha1.SecretGenerator{UUID: &v1alpha1.UUIDGenerator{}}, ResourcePolicy: policy("one")},
		}
		Expect(cp.Client.Create(ctx, secret)).To(Succeed()) // before there is a user: manifests come in any order
		describe := func(c *sdk.Client) func() string {
			k := awssecrets.New(awssecrets.Options{Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: transport, RetryMaxAttempts: 1, Credentials: c.Options().Credentials})
			return func() string {
				_, err := k.DescribeSecret(ctx, &awssecrets.DescribeSecretInput{SecretId: &secret.Name})
				return code(err)
			}
		}
		principals := func() []v1alpha1.BoundPrincipal {
			if object("named-secret", secret); secret.Status.PolicyBinding == nil {
				return nil
			}
			return secret.Status.PolicyBinding.Principals
		}
		first := newUser("successor")
		Eventually(describe(first)).Should(BeEmpty())
		Eventually(principals).Should(HaveLen(1))
		remove(userOf("successor"))
		second := newUser("successor")
		Consistently(describe(second), "1s").Should(Equal("AccessDeniedException"))
		Eventually(func() bool {
			return meta.IsStatusConditionTrue(object("named-secret", secret).Status.Conditions, v1alpha1.ConditionPrincipalReplaced)
		}).Should(BeTrue())
		secret.Spec.ResourcePolicy = policy("two")
		Expect(cp.Client.Update(ctx, secret)).To(Succeed())
		Eventually(describe(second)).Should(BeEmpty())
	})

	It("may not use a key whose policy named the one before, and is told what everybody is told", func() {
		key := &v1alpha1.KMSKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "named"},
			Spec: v1alpha1.KMSKeySpec{Policy: policyDocument(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` +
				account + `:user/keyuser"},"Action":"kms:*","Resource":"*"}}`)},
		}
		Expect(cp.Client.Create(ctx, key)).To(Succeed())
		describe := func(c *sdk.Client) func() string {
			k := awskms.New(awskms.Options{Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: transport, RetryMaxAttempts: 1, Credentials: c.Options().Credentials})
			return func() string {
				_, err := k.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &object("named", key).Status.ARN})
				return code(err)
			}
		}
		first := newUser("keyuser")
		Eventually(describe(first)).Should(BeEmpty())
		Eventually(func() *v1alpha1.PolicyBinding { return object("named", key).Status.PolicyBinding }).ShouldNot(BeNil())
		Eventually(func() []v1alpha1.BoundPrincipal { return object("named", key).Status.PolicyBinding.Principals }).Should(HaveLen(1))
		remove(userOf("keyuser"))
		second := newUser("keyuser")
		Consistently(describe(second), "1s").Should(Equal("AccessDeniedException"))
		Eventually(func() bool {
			return meta.IsStatusConditionTrue(object("named", key).Status.Conditions, v1alpha1.ConditionPrincipalReplaced)
		}).Should(BeTrue())
	})

	It("may assume the role when its trust policy is saved again, as it was, and not before", func() {
		r := newRole("saved", trusting("saved", "one"))
		newUser("saved")
		Eventually(bound(r)).Should(HaveLen(1))
		old := r.Status.Trust.Principals[0].UniqueID
		remove(userOf("saved"))
		second := newUser("saved")
		Consistently(assume(second, "saved"), "500ms").Should(Equal("AccessDenied"))
		// A manifest that is applied again is no save: it says nothing new.
		object("saved", r)
		r.Labels = map[string]string{"applied": "again"}
		Expect(cp.Client.Update(ctx, r)).To(Succeed())
		Consistently(assume(second, "saved"), "500ms").Should(Equal("AccessDenied"))

		text := string(trusting("saved", "one").Raw)
		Expect(err2(admin.UpdateAssumeRolePolicy(ctx, &sdk.UpdateAssumeRolePolicyInput{RoleName: ptrTo("saved"), PolicyDocument: &text}))).To(Succeed())
		Eventually(assume(second, "saved")).Should(BeEmpty())
		Eventually(func() string { return bound(r)()[0].UniqueID }).ShouldNot(Equal(old))
		Eventually(func() *metav1.Condition {
			return meta.FindStatusCondition(object("saved", r).Status.Conditions, v1alpha1.ConditionPrincipalReplaced)
		}).Should(BeNil())
		// It means the second one from now on, and no third.
		remove(userOf("saved"))
		Consistently(assume(newUser("saved"), "saved"), "500ms").Should(Equal("AccessDenied"))
	})

	It("may not use a key whose policy could not be read meanwhile, and may when the policy is saved again", func() {
		text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"kms:PutKeyPolicy","Resource":"*"},` +
			`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:user/keysaved"},"Action":"kms:DescribeKey","Resource":"*"}]}`
		key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "saved"}, Spec: v1alpha1.KMSKeySpec{Policy: policyDocument(text)}}
		Expect(cp.Client.Create(ctx, key)).To(Succeed())
		newUser("keysaved")
		binding := func() []v1alpha1.BoundPrincipal {
			if b := object("saved", key).Status.PolicyBinding; b != nil {
				return b.Principals
			}
			return nil
		}
		Eventually(binding).Should(HaveLen(1))
		before := binding()
		malformed := func(want metav1.ConditionStatus) {
			GinkgoHelper()
			Eventually(func() metav1.ConditionStatus {
				c := meta.FindStatusCondition(object("saved", key).Status.Conditions, v1alpha1.ConditionReady)
				if c == nil || c.ObservedGeneration != key.Generation {
					return ""
				}
				return c.Status
			}).Should(Equal(want))
		}
		key.Spec.Policy = policyDocument(`{"Version":"2012-10-17","Statement":{"Effect":"Perhaps"}}`)
		Expect(cp.Client.Update(ctx, key)).To(Succeed())
		malformed(metav1.ConditionFalse)
		Expect(binding()).To(Equal(before))
		remove(userOf("keysaved"))
		second := newUser("keysaved")
		describe := func() string {
			k := awskms.New(awskms.Options{Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: transport, RetryMaxAttempts: 1, Credentials: second.Options().Credentials})
			_, err := k.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &object("saved", key).Status.ARN})
			return code(err)
		}
		Expect(describe()).To(Equal("AccessDeniedException"))
		key.Spec.Policy = policyDocument(text)
		Expect(cp.Client.Update(ctx, key)).To(Succeed())
		malformed(metav1.ConditionTrue)
		Consistently(describe, "500ms").Should(Equal("AccessDeniedException"))
		Expect(binding()).To(Equal(before))

		k := awskms.New(awskms.Options{Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: transport, RetryMaxAttempts: 1, Credentials: admin.Options().Credentials})
		_, err := k.PutKeyPolicy(ctx, &awskms.PutKeyPolicyInput{KeyId: &key.Status.ARN, Policy: &text})
		Expect(err).NotTo(HaveOccurred())
		Eventually(describe).Should(BeEmpty())
		Eventually(binding).ShouldNot(Equal(before))
	})
})
