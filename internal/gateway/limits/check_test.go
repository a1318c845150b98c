package limits

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func operation(t testing.TB, service, name string) *Operation {
	t.Helper()
	s, err := For(service)
	if err != nil {
		t.Fatal(err)
	}
	o, ok := s.Operation(name)
	if !ok {
		t.Fatalf("%s has no operation %s", service, name)
	}
	return o
}

func TestARequestIsToldWhatIsWrongWithItInAWSsWords(t *testing.T) {
	for _, c := range []struct {
		name, service, operation string
		input                    any
		want                     string // empty: nothing
	}{
		{"a request that is right has nothing wrong with it", "kms", "Encrypt",
			&kms.EncryptInput{KeyId: aws.String("alias/a"), Plaintext: []byte("p")}, ""},
		{"a member that is required and missing is null", "kms", "DescribeKey", &kms.DescribeKeyInput{},
			"1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null"},
		{"two violations are counted, and joined by semicolons", "kms", "Encrypt", &kms.EncryptInput{},
			"2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null; " +
				"Value null at 'plaintext' failed to satisfy constraint: Member must not be null"},
		{"a blob is not shown, and has its length in bytes", "kms", "Encrypt",
			&kms.EncryptInput{KeyId: aws.String("k"), Plaintext: make([]byte, 4097)},
			"1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096"},
		{"an empty blob was sent", "kms", "Encrypt", &kms.EncryptInput{KeyId: aws.String("k"), Plaintext: []byte{}},
			"1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"an enum shows what it takes", "kms", "Encrypt",
			&kms.EncryptInput{KeyId: aws.String("k"), Plaintext: []byte("p"), EncryptionAlgorithm: "ROT13"},
			"1 validation error detected: Value 'ROT13' at 'encryptionAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: " +
				"[SYMMETRIC_DEFAULT, RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, SM2PKE]"},
		{"a member of an entry has its number in the path", "kms", "TagResource",
			&kms.TagResourceInput{KeyId: aws.String("k"), Tags: []kmstypes.Tag{
				{TagKey: aws.String("a"), TagValue: aws.String("b")},
				{TagKey: aws.String(strings.Repeat("x", 129)), TagValue: aws.String("")},
			}},
			"1 validation error detected: Value '" + strings.Repeat("x", 129) + "' at 'tags.2.member.tagKey' failed to satisfy constraint: " +
				"Member must have length less than or equal to 128"},
		{"a pattern is shown as AWS writes it", "iam", "TagUser",
			&iam.TagUserInput{UserName: aws.String("u"), Tags: []iamtypes.Tag{{Key: aws.String("k"), Value: aws.String("D&T")}}},
			"1 validation error detected: Value 'D&T' at 'tags.1.member.value' failed to satisfy constraint: " +
				`Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*`},
		{"a number is shown with its limit", "kms", "ListKeys", &kms.ListKeysInput{Limit: aws.Int32(0)},
			"1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"entries of a list of names are told of the list, with all that an entry must be", "iam", "UntagUser",
			&iam.UntagUserInput{UserName: aws.String("u"), TagKeys: []string{"ok", "D&T"}},
			"1 validation error detected: Value '[ok, D&T]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: " +
				"[Member must have length less than or equal to 128, Member must have length greater than or equal to 1, " +
				`Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+, Member must not be null]`},
		{"a secret is not shown", "secretsmanager", "CreateSecret",
			&secretsmanager.CreateSecretInput{Name: aws.String("n"), SecretString: aws.String(strings.Repeat("s", 65537))},
			"1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536"},
		{"a grant token, which the model doesn't flag, is not shown", "kms", "RetireGrant",
			&kms.RetireGrantInput{GrantToken: aws.String("")},
			"1 validation error detected: Value at 'grantToken' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"a member with a lower-case name is found", "sts", "AssumeRole",
			&sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111122223333:role/r"), RoleSessionName: aws.String("a b")},
			"1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: " +
				`Member must satisfy regular expression pattern: [\w+=,.@-]*`},
		{"two constraints of one value are two violations, the pattern's first", "iam", "CreateUser", &iam.CreateUserInput{UserName: aws.String("")},
			`2 validation errors detected: Value '' at 'userName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]+; ` +
				"Value '' at 'userName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := operation(t, c.service, c.operation).Check(c.input).Err()
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func BenchmarkCheckOfAKMSEncrypt(b *testing.B) {
	o := operation(b, "kms", "Encrypt")
	input := &kms.EncryptInput{
		KeyId:               aws.String("arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
		Plaintext:           make([]byte, 32),
		EncryptionContext:   map[string]string{"a": "b", "c": "d"},
		EncryptionAlgorithm: kmstypes.EncryptionAlgorithmSpecSymmetricDefault,
		GrantTokens:         []string{"token"},
	}
	b.ReportAllocs()
	for b.Loop() {
		if o.Check(input) != nil {
			b.Fatal("violations")
		}
	}
}
