package kms_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
)

var _ = It("kms:ReEncryptOnSameKey tells whether a ciphertext stays under its key, however that is named", func() {
	key, other := createKey(admin()), createKey(admin())
	alias(admin(), "alias/shop", *key.KeyId)
	blob := encrypt(admin(), *key.KeyId, "x", nil)
	who := func(value string) *caller {
		return user(world.Namespace, `{"Effect":"Allow","Action":"kms:ReEncrypt*","Resource":"*","Condition":{"Bool":{"kms:ReEncryptOnSameKey":"`+value+`"}}}`)
	}
	for destination, same := range map[string]bool{*key.KeyId: true, *key.Arn: true, "alias/shop": true, *other.KeyId: false} {
		for _, source := range []*string{nil, key.KeyId} {
			in := &awskms.ReEncryptInput{SourceKeyId: source, CiphertextBlob: blob, DestinationKeyId: &destination}
			Expect(invoke(who("true"), "ReEncrypt", in) == nil).To(Equal(same), destination)
			Expect(invoke(who("false"), "ReEncrypt", in) == nil).To(Equal(!same), destination)
		}
	}
	denied(who("true"), "ReEncrypt", &awskms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: s(absent)})
})
