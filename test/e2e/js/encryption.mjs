// The AWS Encryption SDK for JavaScript, unmodified: messages whose data keys are encrypted by KMSKeys, with key commitment and signatures.
import assert from 'node:assert/strict';
import { buildClient, CommitmentPolicy, getClient, KMS as KeyringKMS, KmsKeyringNode } from '@aws-crypto/client-node';
import { KMS } from '@aws-sdk/client-kms';

const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const ok = (description) => console.log(`ok  Encryption SDK: ${description}`);

const kms = new KMS({ maxAttempts: 2 });
const arn = async () => (await kms.createKey({ Description: 'encryption sdk' })).KeyMetadata.Arn;
const [generatorKeyId, second, other] = [await arn(), await arn(), await arn()];
// Without a configuration of its own the keyring's client asks for nothing that is not in the environment.
const clientProvider = getClient(KeyringKMS, { endpoint: process.env.AWS_ENDPOINT_URL });
const context = { purpose: 'test', tenant: 'shop' };
const message = Buffer.from('attack at dawn, '.repeat(10_000)); // many frames

const both = new KmsKeyringNode({ clientProvider, generatorKeyId, keyIds: [second] });
const { result } = await encrypt(both, message, { encryptionContext: context });
assert.ok(!result.includes('attack at dawn'));
for (const [name, keyIds] of [['the key that made the data key', [generatorKeyId]], ['the other key of the keyring', [second]]]) {
  const { plaintext, messageHeader } = await decrypt(new KmsKeyringNode({ clientProvider, keyIds }), result);
  assert.ok(plaintext.equals(message));
  assert.equal(messageHeader.encryptionContext.tenant, 'shop');
  ok(`a message opens by ${name}`);
}
await assert.rejects(decrypt(new KmsKeyringNode({ clientProvider, keyIds: [other] }), result), /unencryptedDataKey/i);
ok('and by no third one');
const damaged = Buffer.from(result);
damaged[damaged.length - 200] ^= 1;
await assert.rejects(decrypt(both, damaged));
ok('a message that was changed does not open');
await kms.disableKey({ KeyId: generatorKeyId });
assert.ok((await decrypt(both, result)).plaintext.equals(message));
ok('while one key is disabled the message opens by the other');
