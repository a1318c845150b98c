package managed_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/iam/managed"
)

func policy(t *testing.T, name string) *iam.Policy {
	t.Helper()
	p, ok := managed.ByARN("arn:aws:iam::aws:policy/" + name)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	return p.Compiled
}

func TestEveryPolicyCompilesAndIsFoundByItsARN(t *testing.T) {
	if len(managed.ARNs()) < 10 || !slices.IsSorted(managed.ARNs()) {
		t.Errorf("the ARNs are %v", managed.ARNs())
	}
	for _, arn := range managed.ARNs() {
		p, ok := managed.ByARN(arn)
		if !ok || p.ARN != arn || p.Compiled.Statements() == 0 {
			t.Errorf("%s gives %s, %t", arn, p.ARN, ok)
		}
		if size := iam.Size(p.Document); size > iam.MaximumManagedPolicy {
			t.Errorf("%s has the size %d", arn, size)
		}
	}
	for _, other := range []string{"", "arn:aws:iam::aws:policy/Other", "arn:aws:iam::123456789012:policy/AdministratorAccess", "AdministratorAccess"} {
		if p, ok := managed.ByARN(other); ok {
			t.Errorf("%q gives %s", other, p.ARN)
		}
	}
}

func TestTheDocumentationListsEachOfThemAndNoOther(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/iam.md")
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile(`(?s)\n### AWS-managed policies\n.*?\n## `).Find(page)
	var listed []string
	for _, entry := range regexp.MustCompile("(?m)^- `([^`]+)`$").FindAllSubmatch(section, -1) {
		listed = append(listed, "arn:aws:iam::aws:policy/"+string(entry[1]))
	}
	if !slices.Equal(listed, managed.ARNs()) {
		t.Errorf("docs/iam.md lists %q, and there are %q", listed, managed.ARNs())
	}
}

// What each of them is for: what it allows, and what it must not.
func TestEachAllowsWhatItsNameSaysAndNotMore(t *testing.T) {
	for _, tt := range []struct {
		name    string
		allows  []string
		doesNot []string
	}{
		{name: "AdministratorAccess", allows: []string{"kms:Decrypt", "iam:CreateUser", "secretsmanager:GetSecretValue"}},
		{name: "PowerUserAccess", allows: []string{"kms:Decrypt", "secretsmanager:GetSecretValue", "iam:ListRoles"}, doesNot: []string{"iam:CreateUser", "iam:PutRolePolicy"}},
		{name: "ReadOnlyAccess", allows: []string{"kms:DescribeKey", "secretsmanager:ListSecrets", "ssm:GetParameter"},
			doesNot: []string{"kms:Decrypt", "kms:CreateKey", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "ssm:PutParameter", "sts:AssumeRole"}},
		{name: "SecretsManagerReadWrite", allows: []string{"secretsmanager:GetSecretValue", "secretsmanager:CreateSecret", "kms:ListKeys"}, doesNot: []string{"kms:Decrypt", "iam:ListRoles"}},
		{name: "AWSKeyManagementServicePowerUser", allows: []string{"kms:CreateKey", "kms:ListAliases"}, doesNot: []string{"kms:Decrypt", "kms:ScheduleKeyDeletion", "kms:PutKeyPolicy"}},
		{name: "IAMFullAccess", allows: []string{"iam:CreateUser"}, doesNot: []string{"kms:Decrypt", "sts:AssumeRole"}},
		{name: "IAMReadOnlyAccess", allows: []string{"iam:GetRole", "iam:SimulatePrincipalPolicy"}, doesNot: []string{"iam:CreateUser"}},
		{name: "AmazonSSMReadOnlyAccess", allows: []string{"ssm:GetParameter"}, doesNot: []string{"ssm:PutParameter"}},
		{name: "AWSCertificateManagerReadOnly", allows: []string{"acm:DescribeCertificate"}, doesNot: []string{"acm:ExportCertificate"}},
	} {
		ask := func(action string) bool {
			request := iam.Request{
				Principal: iam.Principal{Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/alice"},
				Action:    action, Resource: "arn:aws:kms:us-east-1:123456789012:key/x", Context: iam.Map{},
			}
			return iam.Evaluate(&request, &iam.Policies{Identity: []*iam.Policy{policy(t, tt.name)}}).Allowed()
		}
		for _, action := range tt.allows {
			if !ask(action) {
				t.Errorf("%s does not allow %s", tt.name, action)
			}
		}
		for _, action := range tt.doesNot {
			if ask(action) {
				t.Errorf("%s allows %s", tt.name, action)
			}
		}
	}
}
