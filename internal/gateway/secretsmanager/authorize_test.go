package secretsmanager_test

import (
	"reflect"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// inputs are one input an operation, of a secret's name or of none.
var inputs = map[string]func(id *string) any{
	"BatchGetSecretValue": func(id *string) any { return &sdk.BatchGetSecretValueInput{SecretIdList: []string{*id}} },
	"CreateSecret": func(id *string) any {
		return &sdk.CreateSecretInput{Name: id, ClientRequestToken: token(), SecretString: id}
	},
	"DeleteResourcePolicy": func(id *string) any { return &sdk.DeleteResourcePolicyInput{SecretId: id} },
	"GetResourcePolicy":    func(id *string) any { return &sdk.GetResourcePolicyInput{SecretId: id} },
	"PutResourcePolicy": func(id *string) any {
		return &sdk.PutResourcePolicyInput{SecretId: id, ResourcePolicy: ptr.To(lettingAccount(account))}
	},
	"ValidateResourcePolicy": func(id *string) any {
		return &sdk.ValidateResourcePolicyInput{SecretId: id, ResourcePolicy: ptr.To(lettingAccount(account))}
	},
	"DeleteSecret":         func(id *string) any { return &sdk.DeleteSecretInput{SecretId: id} },
	"DescribeSecret":       func(id *string) any { return &sdk.DescribeSecretInput{SecretId: id} },
	"GetRandomPassword":    func(*string) any { return &sdk.GetRandomPasswordInput{} },
	"GetSecretValue":       func(id *string) any { return &sdk.GetSecretValueInput{SecretId: id} },
	"ListSecretVersionIds": func(id *string) any { return &sdk.ListSecretVersionIdsInput{SecretId: id} },
	"ListSecrets":          func(*string) any { return &sdk.ListSecretsInput{} },
	"PutSecretValue": func(id *string) any {
		return &sdk.PutSecretValueInput{SecretId: id, ClientRequestToken: token(), SecretString: id}
	},
	"ReplicateSecretToRegions": func(id *string) any {
		return &sdk.ReplicateSecretToRegionsInput{SecretId: id, AddReplicaRegions: []types.ReplicaRegionType{{Region: ptr.To(environment.OtherRegion)}}}
	},
	"RemoveRegionsFromReplication": func(id *string) any {
		return &sdk.RemoveRegionsFromReplicationInput{SecretId: id, RemoveReplicaRegions: []string{environment.OtherRegion}}
	},
	"StopReplicationToReplica": func(id *string) any { return &sdk.StopReplicationToReplicaInput{SecretId: id} },
	"CancelRotateSecret":       func(id *string) any { return &sdk.CancelRotateSecretInput{SecretId: id} },
	"RestoreSecret":            func(id *string) any { return &sdk.RestoreSecretInput{SecretId: id} },
	"RotateSecret": func(id *string) any {
		return &sdk.RotateSecretInput{SecretId: id, ClientRequestToken: token(), RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: ptr.To[int64](1)}}
	},
	"TagResource": func(id *string) any {
		return &sdk.TagResourceInput{SecretId: id, Tags: []types.Tag{{Key: id, Value: id}}}
	},
	"UntagResource": func(id *string) any { return &sdk.UntagResourceInput{SecretId: id, TagKeys: []string{"a"}} },
	"UpdateSecret": func(id *string) any {
		return &sdk.UpdateSecretInput{SecretId: id, ClientRequestToken: token(), Description: id}
	},
	"UpdateSecretVersionStage": func(id *string) any {
		return &sdk.UpdateSecretVersionStageInput{SecretId: id, VersionStage: ptr.To("x"), MoveToVersionId: token()}
	},
}

func invokeAny(who caller, operation string, in any) error {
	GinkgoHelper()
	for i := range service.Operations {
		if service.Operations[i].Name == operation {
			_, err := service.Operations[i].Invoke(ctx, who.call(operation), in)
			return err
		}
	}
	Fail("there is no operation " + operation)
	return nil
}

func message(err error) string {
	GinkgoHelper()
	Expect(err).To(HaveOccurred())
	return err.Error()
}

var _ = Describe("A caller without permission", func() {
	It("is told the same by every operation, whether the secret is there, was deleted, or never was", func() {
		there, gone := create("abc", "value"), create("def", "value")
		_, err := remove("def", nil, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(service.Operations).To(HaveLen(len(inputs)))
		for _, op := range service.Operations {
			told := map[string]bool{}
			for _, id := range []string{"abc", "def", "ghi"} {
				err := invokeAny(stranger, op.Name, inputs[op.Name](&id))
				Expect(message(err)).To(ContainSubstring("AccessDeniedException"), op.Name)
				told[strings.ReplaceAll(message(err), id, "NAME")] = true
			}
			Expect(told).To(HaveLen(1), op.Name)
			if _, byID := reflect.TypeOf(inputs[op.Name](ptr.To("x"))).Elem().FieldByName("SecretId"); !byID {
				continue
			}
			told = map[string]bool{}
			for _, arn := range []string{*there.ARN, *gone.ARN, strings.Replace(*there.ARN, "abc", "ghi", 1)} {
				err := invokeAny(stranger, op.Name, inputs[op.Name](&arn))
				told[strings.ReplaceAll(message(err), arn, "ARN")] = true
			}
			Expect(told).To(HaveLen(1), op.Name)
		}
	})

	It("is told AWS's words", func() {
		create("abc", "value")
		err := invokeAny(stranger, "GetSecretValue", inputs["GetSecretValue"](ptr.To("abc")))
		be(err, "AccessDeniedException", "User: arn:aws:iam::"+account+":user/tester is not authorized to perform: secretsmanager:GetSecretValue "+
			"on resource: abc because no identity-based policy allows the secretsmanager:GetSecretValue action")
	})

	It("changes nothing", func() {
		made := create("abc", "value")
		before := object(*made.ARN)
		for name, input := range inputs {
			_ = invokeAny(stranger, name, input(ptr.To("abc")))
		}
		Expect(object(*made.ARN)).To(Equal(before))
	})

	It("of another account is refused, whatever the own policies say", func() {
		for _, arn := range []string{"arn:aws:secretsmanager:us-east-1:999999999999:secret:abc-AbCdEf", "arn:aws:secretsmanager:us-east-1:999999999999:secret:abc"} {
			err := invokeAny(administrator, "GetSecretValue", inputs["GetSecretValue"](&arn))
			Expect(message(err)).To(And(ContainSubstring("AccessDeniedException"), ContainSubstring("no resource-based policy")))
		}
	})
})

var _ = Describe("A policy", func() {
	read := func(who caller, in *sdk.GetSecretValueInput) error {
		GinkgoHelper()
		_, err := do[sdk.GetSecretValueOutput](who, "GetSecretValue", in)
		return err
	}
	secrets := func() string { return "arn:aws:secretsmanager:us-east-1:" + account + ":secret:" }

	It("speaks of secrets by pattern, of those that are there and of those that are not", func() {
		create("prod/shop/db", "value")
		for _, pattern := range []string{"prod/shop/*", "prod/shop/db-??????", "prod/shop/db*", "*"} {
			who := allowed("secretsmanager:GetSecretValue", secrets()+pattern)
			Expect(read(who, &sdk.GetSecretValueInput{SecretId: ptr.To("prod/shop/db")})).To(Succeed(), pattern)
		}
		for _, pattern := range []string{"prod/shop/*", "prod/shop/no-??????"} {
			who := allowed("secretsmanager:GetSecretValue", secrets()+pattern)
			be(read(who, &sdk.GetSecretValueInput{SecretId: ptr.To("prod/shop/no")}), "ResourceNotFoundException",
				"Secrets Manager can't find the specified secret.")
		}
		who := allowed("secretsmanager:GetSecretValue", secrets()+"prod/shop/db")
		Expect(read(who, &sdk.GetSecretValueInput{SecretId: ptr.To("prod/shop/db")})).To(MatchError(ContainSubstring("AccessDenied")),
			"an ARN has six more characters")
	})

	It("lets a secret be made under a prefix and no other", func() {
		who := allowed("secretsmanager:CreateSecret", secrets()+"prod/*")
		_, err := do[sdk.CreateSecretOutput](who, "CreateSecret", &sdk.CreateSecretInput{Name: ptr.To("prod/a"), ClientRequestToken: token()})
		Expect(err).NotTo(HaveOccurred())
		_, err = do[sdk.CreateSecretOutput](who, "CreateSecret", &sdk.CreateSecretInput{Name: ptr.To("dev/a"), ClientRequestToken: token()})
		be(err, "AccessDeniedException", "User: arn:aws:iam::"+account+":user/tester is not authorized to perform: secretsmanager:CreateSecret "+
			"on resource: dev/a because no identity-based policy allows the secretsmanager:CreateSecret action")
	})

	It("asks for stages and versions", func() {
		made := create("db", "value")
		who := allowed("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"secretsmanager:VersionStage":"AWSCURRENT"}}`)
		Expect(read(who, &sdk.GetSecretValueInput{SecretId: ptr.To("db")})).To(Succeed())
		Expect(read(who, &sdk.GetSecretValueInput{SecretId: ptr.To("db"), VersionStage: ptr.To("AWSPREVIOUS")})).To(MatchError(ContainSubstring("AccessDenied")))
		who = allowed("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"secretsmanager:VersionId":"`+*made.VersionId+`"}}`)
		Expect(read(who, &sdk.GetSecretValueInput{SecretId: ptr.To("db"), VersionId: made.VersionId})).To(Succeed())
		who = allowed("secretsmanager:GetSecretValue", "*", `{"ArnEquals":{"secretsmanager:SecretId":"`+*made.ARN+`"}}`)
		Expect(read(who, &sdk.GetSecretValueInput{SecretId: ptr.To("db")})).To(Succeed())
	})

	It("asks for tags, of the secret and of the request", func() {
		tags := []types.Tag{{Key: ptr.To("Team"), Value: ptr.To("shop")}}
		create("db", "value", func(in *sdk.CreateSecretInput) { in.Tags = tags })
		for _, key := range []string{"aws:ResourceTag/Team", "secretsmanager:ResourceTag/team"} {
			who := allowed("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"`+key+`":"shop"}}`)
			Expect(read(who, &sdk.GetSecretValueInput{SecretId: ptr.To("db")})).To(Succeed())
			who = allowed("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"`+key+`":"bank"}}`)
			Expect(read(who, &sdk.GetSecretValueInput{SecretId: ptr.To("db")})).To(MatchError(ContainSubstring("AccessDenied")))
		}
		who := allowed("secretsmanager:*", "*", `{"StringEquals":{"aws:RequestTag/Team":"shop"},"ForAllValues:StringEquals":{"aws:TagKeys":["Team"]}}`)
		make := func(tags ...types.Tag) error {
			_, err := do[sdk.CreateSecretOutput](who, "CreateSecret",
				&sdk.CreateSecretInput{Name: ptr.To("new"), ClientRequestToken: token(), Tags: tags})
			return err
		}
		Expect(make()).To(MatchError(ContainSubstring("AccessDenied")))
		Expect(make(tags[0], types.Tag{Key: ptr.To("Other"), Value: ptr.To("x")})).To(MatchError(ContainSubstring("AccessDenied")))
		Expect(make(tags[0])).To(Succeed())
	})

	It("asks all tags of a secret whose keys differ in case alone", func() {
		create("db", "value", func(in *sdk.CreateSecretInput) { in.Tags = []types.Tag{{Key: ptr.To("Team"), Value: ptr.To("shop")}} })
		tag := func(key, value string) {
			GinkgoHelper()
			must[sdk.TagResourceOutput](administrator, "TagResource",
				&sdk.TagResourceInput{SecretId: ptr.To("db"), Tags: []types.Tag{{Key: &key, Value: &value}}})
		}
		shop := func() error {
			return read(allowed("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"secretsmanager:ResourceTag/Team":"shop"}}`), &sdk.GetSecretValueInput{SecretId: ptr.To("db")})
		}
		bank := func() error {
			return read(allowed("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"aws:ResourceTag/Team":"bank"}}`), &sdk.GetSecretValueInput{SecretId: ptr.To("db")})
		}
		Expect(shop()).To(Succeed())
		tag("team", "bank")
		Expect(shop()).To(MatchError(ContainSubstring("AccessDenied")))
		Expect(bank()).To(MatchError(ContainSubstring("AccessDenied")))
		tag("Team", "bank") // after the other: the order in which they were put on is nothing to policies
		Expect(bank()).To(Succeed())
		Expect(shop()).To(MatchError(ContainSubstring("AccessDenied")))
	})

	It("asks how a secret is deleted", func() {
		create("db", "value")
		who := allowed("secretsmanager:DeleteSecret", "*", `{"Bool":{"secretsmanager:ForceDeleteWithoutRecovery":"false"},"NumericGreaterThanEquals":{"secretsmanager:RecoveryWindowInDays":"10"}}`)
		try := func(days *int64, force *bool) error {
			_, err := do[sdk.DeleteSecretOutput](who, "DeleteSecret",
				&sdk.DeleteSecretInput{SecretId: ptr.To("db"), RecoveryWindowInDays: days, ForceDeleteWithoutRecovery: force})
			return err
		}
		Expect(try(nil, ptr.To(true))).To(MatchError(ContainSubstring("AccessDenied")))
		Expect(try(ptr.To[int64](7), ptr.To(false))).To(MatchError(ContainSubstring("AccessDenied")))
		Expect(try(ptr.To[int64](10), ptr.To(false))).To(Succeed())
	})
})

var _ = Describe("A secret under a customer's key", func() {
	var key *v1alpha1.KMSKey
	BeforeEach(func() {
		key = world.ReadyKey("mine", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/mine"} })
	})
	make := func(name, id string) *sdk.CreateSecretOutput {
		GinkgoHelper()
		return create(name, "value", func(in *sdk.CreateSecretInput) { in.KmsKeyId = &id })
	}

	It("is named by id, ARN or alias, and says so", func() {
		for name, id := range map[string]string{
			"a": key.Status.KeyID, "b": key.Status.ARN, "c": "alias/mine", "d": "arn:aws:kms:us-east-1:" + account + ":alias/mine",
		} {
			made := make(name, id)
			Expect(object(*made.ARN).Spec.KMSKeyRef).To(HaveValue(HaveField("Name", "mine")), id)
			Expect(describe(name).KmsKeyId).To(HaveValue(Equal(key.Status.ARN)))
		}
		Expect(describe(*make("e", "alias/aws/secretsmanager").ARN).KmsKeyId).To(BeNil())
		for _, id := range []string{"alias/none", "00000000-0000-4000-8000-000000000000", "arn:aws:kms:us-east-1:999999999999:key/" + key.Status.KeyID} {
			_, err := do[sdk.CreateSecretOutput](administrator, "CreateSecret",
				&sdk.CreateSecretInput{Name: ptr.To("f"), ClientRequestToken: token(), SecretString: ptr.To("x"), KmsKeyId: &id})
			Expect(err).To(MatchError(And(ContainSubstring("InvalidParameterException"), ContainSubstring("no KMS key"))), id)
		}
	})

	It("is read and written by who may use the key by way of Secrets Manager, in the secret's context", func() {
		made := make("db", "alias/mine")
		secretsOnly := allowed("secretsmanager:*", "*")
		read := func(more ...caller) error {
			_, err := invoke[sdk.GetSecretValueOutput](secretsOnly.call("GetSecretValue", more...), &sdk.GetSecretValueInput{SecretId: ptr.To("db")})
			return err
		}
		be(read(), "AccessDeniedException", "Access to KMS is not allowed")
		Expect(read(allowed("kms:Decrypt", key.Status.ARN))).To(Succeed())
		Expect(read(allowed("kms:GenerateDataKey", key.Status.ARN))).NotTo(Succeed())
		for condition, holds := range map[string]bool{
			`{"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"}}`:   true,
			`{"StringEquals":{"kms:ViaService":"secretsmanager.eu-west-1.amazonaws.com"}}`:   false,
			`{"StringEquals":{"kms:EncryptionContext:SecretARN":"` + *made.ARN + `"}}`:       true,
			`{"StringEquals":{"kms:EncryptionContext:SecretVersionId":"` + *token() + `"}}`:  false,
			`{"ForAnyValue:StringEquals":{"kms:EncryptionContextKeys":["SecretVersionId"]}}`: true,
			`{"StringEquals":{"kms:CallerAccount":"` + account + `"}}`:                       true,
		} {
			err := read(allowed("kms:Decrypt", "*", condition))
			Expect(err == nil).To(Equal(holds), condition)
		}
		write := func(more ...caller) error {
			_, err := invoke[sdk.PutSecretValueOutput](secretsOnly.call("PutSecretValue", more...),
				&sdk.PutSecretValueInput{SecretId: ptr.To("db"), ClientRequestToken: token(), SecretString: ptr.To("new")})
			return err
		}
		be(write(), "AccessDeniedException", "Access to KMS is not allowed")
		Expect(write(allowed("kms:GenerateDataKey", "*"))).To(Succeed())
		_, err := do[sdk.CreateSecretOutput](secretsOnly, "CreateSecret",
			&sdk.CreateSecretInput{Name: ptr.To("new"), ClientRequestToken: token(), SecretString: ptr.To("x"), KmsKeyId: ptr.To("alias/mine")})
		be(err, "AccessDeniedException", "Access to KMS is not allowed")
		be(getError("new"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	})

	It("is neither read nor written against the word of the key's own policy", func() {
		make("db", "alias/mine")
		statement := func(text string) *v1alpha1.PolicyDocument {
			d := &v1alpha1.PolicyDocument{}
			d.Raw = []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"kms:*","Resource":"*"}` + text + `]}`)
			return d
		}
		policy := func(text string) {
			world.Update(key, func() { key.Spec.Policy = statement(text) })
			world.ReconcileKey(key)
		}
		read := func() error {
			_, err := do[sdk.GetSecretValueOutput](administrator, "GetSecretValue", &sdk.GetSecretValueInput{SecretId: ptr.To("db")})
			return err
		}
		policy("")
		Expect(read()).To(Succeed())
		policy(`,{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}`)
		be(read(), "AccessDeniedException", "Access to KMS is not allowed")
		policy(`,{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"StringNotEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"}}}`)
		Expect(read()).To(Succeed())
		policy(`,{"Effect":"Deny","Principal":"*","Action":"kms:GenerateDataKey","Resource":"*"}`)
		Expect(read()).To(Succeed())
		_, err := do[sdk.PutSecretValueOutput](administrator, "PutSecretValue",
			&sdk.PutSecretValueInput{SecretId: ptr.To("db"), ClientRequestToken: token(), SecretString: ptr.To("x")})
		be(err, "AccessDeniedException", "Access to KMS is not allowed")
	})

	It("that signs encrypts no secret, in AWS's words", func() {
		signing := world.ReadyKey("signing", func(k *v1alpha1.KMSKey) {
			k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
		})
		_, err := do[sdk.CreateSecretOutput](administrator, "CreateSecret",
			&sdk.CreateSecretInput{Name: ptr.To("signed"), ClientRequestToken: token(), SecretString: ptr.To("x"), KmsKeyId: &signing.Status.ARN})
		be(err, "EncryptionFailure", "Secrets Manager can't encrypt the protected secret text using the provided KMS key. "+
			"Check that the KMS key is available, enabled, and not in an invalid state.")
		be(getError("signed"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		make("db", "alias/mine")
		_, err = do[sdk.UpdateSecretOutput](administrator, "UpdateSecret", &sdk.UpdateSecretInput{
			SecretId: ptr.To("db"), ClientRequestToken: token(), KmsKeyId: &signing.Status.ARN,
		})
		Expect(err).To(MatchError(ContainSubstring("EncryptionFailure")))
		Expect(getError("db")).To(Succeed(), "it is what it was")
	})

	It("that is disabled is neither read nor written, in AWS's words", func() {
		make("db", "alias/mine")
		world.Update(key, func() { key.Spec.Enabled = ptr.To(false) })
		world.ReconcileKey(key)
		be(getError("db"), "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key.")
		_, err := do[sdk.PutSecretValueOutput](administrator, "PutSecretValue",
			&sdk.PutSecretValueInput{SecretId: ptr.To("db"), ClientRequestToken: token(), SecretString: ptr.To("x")})
		Expect(err).To(MatchError(ContainSubstring("EncryptionFailure")))
	})
})

// lettingAccount is a resource policy that leaves everything to an account.
func lettingAccount(id string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + id + `"},"Action":"secretsmanager:*","Resource":"*"}]}`
}
