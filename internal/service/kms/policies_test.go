package kms_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/service/kms"
)

const account = "111122223333"

// keyWith is a key of an account with a policy, or with none if it is empty.
func keyWith(uid, policy string, aliases ...string) *v1alpha1.KMSKey {
	k := &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid), Generation: 1}, Spec: v1alpha1.KMSKeySpec{Aliases: aliases},
		Status: v1alpha1.KMSKeyStatus{ARN: arn.KMSKey("us-east-1", account, keyID)},
	}
	if policy != "" {
		k.Spec.Policy = &v1alpha1.PolicyDocument{}
		k.Spec.Policy.Raw = []byte(policy)
	}
	return k
}

// allowedBy asks a key's policy alone, of a principal whose own policies allow everything.
func allowedBy(t *testing.T, policy *iam.Policy, principal, action string, context iam.Context) bool {
	t.Helper()
	everything, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`), iam.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return iam.Evaluate(&iam.Request{
		Principal: iam.Principal{Account: arn.Account(principal), ARN: principal}, Action: action, Resource: arn.KMSKey("us-east-1", account, keyID), Context: context,
	}, &iam.Policies{Identity: []*iam.Policy{everything}, Resource: policy, ResourceAccount: account, ResourceMustAllow: true}).Allowed()
}

// allowedByAccount is allowedBy for a key of any account.
func allowedByAccount(t *testing.T, policy *iam.Policy, owner, principal string) bool {
	t.Helper()
	everything, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`), iam.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return iam.Evaluate(&iam.Request{
		Principal: iam.Principal{Account: arn.Account(principal), ARN: principal}, Action: "kms:Decrypt", Resource: arn.KMSKey("us-east-1", owner, keyID), Context: iam.Map{},
	}, &iam.Policies{Identity: []*iam.Policy{everything}, Resource: policy, ResourceAccount: owner, ResourceMustAllow: true}).Allowed()
}

const alice, mallory = "arn:aws:iam::" + account + ":user/alice", "arn:aws:iam::999999999999:user/mallory"

func TestAKeyWithoutAPolicyIsTheAccountsAndNobodyElses(t *testing.T) {
	s := &kms.Service{}
	key := keyWith("u", "")
	for principal, want := range map[string]bool{alice: true, mallory: false} {
		if got := allowedBy(t, s.Policy(key), principal, "kms:Decrypt", iam.Map{}); got != want {
			t.Errorf("%s: %t", principal, got)
		}
	}
	if s.Policy(key) == nil || !strings.Contains(kms.PolicyDocument(key), "Enable IAM User Permissions") || !json.Valid([]byte(kms.PolicyDocument(key))) {
		t.Errorf("%s", kms.PolicyDocument(key))
	}
}

// A policy that cannot be read may have held a Deny, so it lets nobody in, and certainly not everybody.
func TestAPolicyThatCannotBeReadLetsNobodyIn(t *testing.T) {
	for _, malformed := range []string{"{", "[]", `"x"`, `{}x`, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*"}]}`} {
		s := &kms.Service{Policies: kms.NewPolicyCache(0)}
		key := keyWith("u", malformed)
		policy, err := kms.ParsePolicy([]byte(malformed))
		if err == nil && policy != nil {
			continue // AWS takes a statement without a resource, which is inert
		}
		if allowedBy(t, s.Policy(key), alice, "kms:Decrypt", iam.Map{}) {
			t.Errorf("%s lets alice in", malformed)
		}
		if kms.PolicyDocument(key) != malformed {
			t.Errorf("GetKeyPolicy shows %s and not what is there", kms.PolicyDocument(key))
		}
	}
}

func TestTheKeyOfAServiceIsUsedByWayOfThatServiceAlone(t *testing.T) {
	s := &kms.Service{}
	key := keyWith("u", "", "alias/mine", "alias/aws/secretsmanager")
	if !kms.Managed(key) || kms.Managed(keyWith("u", "", "alias/aws")) || kms.Managed(keyWith("u", "", "alias/awsome", "alias/x/alias/aws/")) {
		t.Error("a key of a service is told by its alias")
	}
	via := func(service string) iam.Context {
		return &kms.Conditions{Key: key, CallerAccount: account, ViaService: service}
	}
	for name, tt := range map[string]struct {
		principal, action string
		context           iam.Context
		want              bool
	}{
		"the account, by way of the service":         {alice, "kms:Decrypt", via("secretsmanager.us-east-1.amazonaws.com"), true},
		"the account, to make a data key":            {alice, "kms:GenerateDataKeyWithoutPlaintext", via("secretsmanager.us-east-1.amazonaws.com"), true},
		"the account, by way of another service":     {alice, "kms:Decrypt", via("ssm.us-east-1.amazonaws.com"), false},
		"the account, by the service elsewhere":      {alice, "kms:Decrypt", via("secretsmanager.eu-west-1.amazonaws.com"), false},
		"the account, by itself":                     {alice, "kms:Decrypt", via(""), false},
		"the account, to look":                       {alice, "kms:DescribeKey", via(""), true},
		"the account, to change it":                  {alice, "kms:PutKeyPolicy", via("secretsmanager.us-east-1.amazonaws.com"), false},
		"the account, to delete it":                  {alice, "kms:ScheduleKeyDeletion", via(""), false},
		"the account, to sign":                       {alice, "kms:Sign", via("secretsmanager.us-east-1.amazonaws.com"), false},
		"another account, by way of the service":     {mallory, "kms:Decrypt", &kms.Conditions{Key: key, CallerAccount: "999999999999", ViaService: "secretsmanager.us-east-1.amazonaws.com"}, false},
		"another account, that looks":                {mallory, "kms:DescribeKey", &kms.Conditions{Key: key, CallerAccount: "999999999999"}, false},
		"a service that is not in the caller's name": {alice, "kms:Decrypt", &kms.Conditions{Key: key, CallerAccount: "999999999999", ViaService: "secretsmanager.us-east-1.amazonaws.com"}, false},
	} {
		if got := allowedBy(t, s.Policy(key), tt.principal, tt.action, tt.context); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	own := keyWith("u", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+mallory+`"},"Action":"kms:*","Resource":"*"}]}`, "alias/aws/ssm")
	if allowedBy(t, s.Policy(own), mallory, "kms:Decrypt", iam.Map{}) || strings.Contains(kms.PolicyDocument(own), mallory) {
		t.Error("whoever makes the key first says who may use it")
	}
	own.Spec.Aliases, own.Name = nil, "aws-ssm"
	if !kms.Managed(own) || allowedBy(t, s.Policy(own), mallory, "kms:Decrypt", iam.Map{}) {
		t.Error("it is that key by its name, too, by which its service finds it")
	}
	own.Name = "aws-prod"
	if kms.Managed(own) || !allowedBy(t, s.Policy(own), mallory, "kms:Decrypt", iam.Map{}) {
		t.Error("a key of another name is its maker's")
	}
}

func TestTheKeyOfAServiceIsOfOneKindAlone(t *testing.T) {
	disabled, never := false, &v1alpha1.KeyRotation{}
	for name, tt := range map[string]struct {
		change func(*v1alpha1.KMSKeySpec)
		said   string
	}{
		"as it is made":     {func(s *v1alpha1.KMSKeySpec) { s.Rotation = &v1alpha1.KeyRotation{Enabled: true} }, ""},
		"of another region": {func(s *v1alpha1.KMSKeySpec) { s.Region = "eu-west-1" }, ""},
		"disabled":          {func(s *v1alpha1.KMSKeySpec) { s.Enabled = &disabled }, ""},
		"imported":          {func(s *v1alpha1.KMSKeySpec) { s.Origin = v1alpha1.KeyOriginExternal }, "origin"},
		"in a module": {func(s *v1alpha1.KMSKeySpec) {
			s.Origin, s.CustomKeyStoreRef = v1alpha1.KeyOriginCloudHSM, &v1alpha1.CustomKeyStoreReference{Name: "vault"}
		}, "origin"},
		"of several regions":       {func(s *v1alpha1.KMSKeySpec) { s.MultiRegion = true }, "multiRegion"},
		"one that signs":           {func(s *v1alpha1.KMSKeySpec) { s.KeySpec, s.KeyUsage = "ECC_NIST_P256", v1alpha1.KeyUsageSignVerify }, "keySpec"},
		"one of RSA that encrypts": {func(s *v1alpha1.KMSKeySpec) { s.KeySpec, s.KeyUsage = "RSA_2048", v1alpha1.KeyUsageEncryptDecrypt }, "keySpec"},
	} {
		key := keyWith("u", "", "alias/aws/ssm")
		key.Status.KeyState = v1alpha1.KeyStateEnabled
		tt.change(&key.Spec)
		err := kms.CheckManaged(key)
		if (err != nil) != (tt.said != "") || err != nil && !strings.Contains(err.Error(), "its "+tt.said) {
			t.Errorf("%s: %v", name, err)
		}
		if tt.said != "" && tt.said != "keySpec" && (kms.CheckUsable(key, keys.GenerateDataKey) == nil || kms.CheckUsable(key, keys.Decrypt) != nil) {
			t.Errorf("%s: it is for what it has encrypted, and nothing new", name)
		}
		key.Spec.Aliases = nil
		if err := kms.CheckManaged(key); err != nil {
			t.Errorf("%s is nobody's business of any other key: %v", name, err)
		}
	}
	key := keyWith("u", "", "alias/aws/ssm")
	for _, r := range []*v1alpha1.KeyRotation{nil, never} {
		if key.Spec.Rotation = r; *kms.RotationOf(key) != (v1alpha1.KeyRotation{Enabled: true}) {
			t.Errorf("%v: AWS rotates its managed keys each year", r)
		}
	}
	key.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90}
	if *kms.RotationOf(key) != *key.Spec.Rotation {
		t.Error("more often is no harm")
	}
	if key = keyWith("u", ""); kms.RotationOf(key) != nil {
		t.Error("any other key is rotated as its spec says")
	}
}

func TestACompiledPolicyIsThatOfTheKeysLatestGeneration(t *testing.T) {
	s := &kms.Service{Policies: kms.NewPolicyCache(4)}
	policy := func(principal string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"kms:*","Resource":"*"}]}`
	}
	key := keyWith("u", policy(alice))
	first := s.Policy(key)
	if s.Policy(key) != first {
		t.Error("it is compiled twice")
	}
	key.Spec.Policy.Raw, key.Generation = []byte(policy(mallory)), 2
	if allowedBy(t, s.Policy(key), alice, "kms:Decrypt", iam.Map{}) || !allowedBy(t, s.Policy(key), mallory, "kms:Decrypt", iam.Map{}) {
		t.Error("the former policy counts still")
	}
	other := keyWith("v", policy(alice))
	other.Generation = 2
	if allowedBy(t, s.Policy(other), mallory, "kms:Decrypt", iam.Map{}) {
		t.Error("another key's policy counts, of one generation")
	}
	for i := range 100 { // more than the cache holds
		s.Policy(keyWith(fmt.Sprint(i), policy(alice)))
	}
	if !allowedBy(t, s.Policy(key), mallory, "kms:Decrypt", iam.Map{}) || allowedBy(t, s.Policy(key), alice, "kms:Decrypt", iam.Map{}) {
		t.Error("what was dropped is compiled anew")
	}
	key.Spec.Policy, key.Generation = nil, 3
	if !allowedBy(t, s.Policy(key), alice, "kms:Decrypt", iam.Map{}) || allowedBy(t, s.Policy(key), mallory, "kms:Decrypt", iam.Map{}) {
		t.Error("a policy that is taken away leaves AWS's default")
	}
}

// Whoever may ask about keys by ARN can make up any number of accounts.
func TestAccountsThatHaveNoKeyTakeNoPlaceInTheCache(t *testing.T) {
	s := &kms.Service{Policies: kms.NewPolicyCache(4)}
	key := keyWith("u", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}`)
	without := keyWith("v", "")
	first, second := s.Policy(key), s.Policy(without)
	for i := range 100 {
		made := fmt.Sprintf("%012d", i)
		of := s.DefaultPolicy(made)
		if root := "arn:aws:iam::" + made + ":user/a"; !allowedByAccount(t, of, made, root) || allowedByAccount(t, of, made, alice) {
			t.Fatalf("the default policy of %s is not that account's", made)
		}
	}
	if s.Policy(key) != first || s.Policy(without) != second {
		t.Error("made-up accounts have pushed out the policies of keys")
	}
	if s.DefaultPolicy(account) != second {
		t.Error("the default policy of an account that has a key is compiled anew")
	}
	if none := (&kms.Service{}).DefaultPolicy(account); !allowedByAccount(t, none, account, alice) {
		t.Error("without a cache there is no policy")
	}
}

// Most of what is asked about is of accounts that there are: a key that is not there costs no compilation each time.
func TestTheDefaultPolicyOfAnAccountThatIsAskedAboutIsCompiledOnce(t *testing.T) {
	s := &kms.Service{Policies: kms.NewPolicyCache(4)}
	first := s.DefaultPolicy(account)
	if !allowedByAccount(t, first, account, alice) || s.DefaultPolicy(account) != first {
		t.Error("it is compiled twice")
	}
	for i := range 100 {
		s.DefaultPolicy(fmt.Sprintf("%012d", i))
	}
	again := s.DefaultPolicy(account)
	if !allowedByAccount(t, again, account, alice) || allowedByAccount(t, again, account, mallory) {
		t.Error("what was dropped is compiled anew, as it was")
	}
	if of := s.Policy(keyWith("u", "")); s.DefaultPolicy(account) != of {
		t.Error("an account's first key has another default policy than its account")
	}
}

func TestACacheOfPoliciesIsForMany(t *testing.T) {
	s := &kms.Service{Policies: kms.NewPolicyCache(8)}
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 200 {
				principal := fmt.Sprintf("arn:aws:iam::%s:user/u%d", account, (worker+i)%16)
				key := keyWith(principal, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+principal+`"},"Action":"kms:*","Resource":"*"}]}`)
				if !allowedBy(t, s.Policy(key), principal, "kms:Decrypt", iam.Map{}) {
					t.Errorf("%s is not let in by its own key", principal)
				}
			}
		})
	}
	wait.Wait()
}

func TestAKeyPolicyHasAtMost32KiB(t *testing.T) {
	of := func(length int) []byte {
		text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}`
		return []byte(text + strings.Repeat(" ", length-len(text)))
	}
	if _, err := kms.ParsePolicy(of(32 << 10)); err != nil {
		t.Error(err)
	}
	if _, err := kms.ParsePolicy(of(32<<10 + 1)); err == nil {
		t.Error("one byte more is taken")
	}
}
