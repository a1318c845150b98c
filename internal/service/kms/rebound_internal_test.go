package kms

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/service/principals"
)

// A request that comes between the change of a policy and its binding has the policy compiled for whoever has the name. What was compiled
// then must not be used once it is bound: whoever is made again under the name would be let in.
func TestAPolicyThatWasUsedBeforeItWasBoundIsUsedAsItIsBoundAfterwards(t *testing.T) {
	const bob = "arn:aws:iam::444455556666:user/bob"
	policy := func(id string) []byte {
		return []byte(`{"Version":"2012-10-17","Id":"` + id + `","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + bob + `"},"Action":"kms:*","Resource":"*"}]}`)
	}
	s := &Service{Policies: NewPolicyCache(0)}
	key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{UID: "u", Generation: 1}}
	key.Status.ARN = "arn:aws:kms:us-east-1:111122223333:key/1"
	bind := func() {
		key.Status.PolicyBinding, _ = principals.Bind(key.Status.PolicyBinding, principals.Digest(key, key.Spec.Policy.Raw), []string{bob},
			map[string]string{bob: "AIDAOLD"})
	}
	allowed := func(id string) bool {
		request := &iam.Request{
			Principal: iam.Principal{Account: "444455556666", ARN: bob, UniqueID: id}, Action: "kms:Decrypt", Resource: key.Status.ARN, Context: iam.Map{},
		}
		return iam.Evaluate(request, &iam.Policies{Resource: s.Policy(key), ResourceAccount: "444455556666", ResourceMustAllow: true}).Allowed()
	}
	key.Spec.Policy = &v1alpha1.PolicyDocument{}
	key.Spec.Policy.Raw = policy("one")
	bind()
	if !allowed("AIDAOLD") || allowed("AIDANEW") {
		t.Fatal("a bound policy trusts another than it is bound to")
	}
	key.Generation, key.Spec.Policy.Raw = 2, policy("two")
	_ = allowed("AIDAOLD") // compiles it
	bind()
	if !allowed("AIDAOLD") || allowed("AIDANEW") {
		t.Error("the policy that was compiled before it was bound is used still")
	}
}
