// The AWS SDK for JavaScript v3, unmodified, against the gateway: all that it needs is in the environment.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import * as kmsSDK from '@aws-sdk/client-kms';
import * as secretsSDK from '@aws-sdk/client-secrets-manager';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromTokenFile } from '@aws-sdk/credential-providers';

const kms = new kmsSDK.KMS({ maxAttempts: 2 });
const secrets = new secretsSDK.SecretsManager({ maxAttempts: 2 });
const same = (want, got, description) => {
  assert.deepStrictEqual(got, want, description);
  console.log(`ok  JavaScript: ${description}`);
};
const raises = async (type, description, call) => {
  await assert.rejects(call, (e) => {
    assert.ok(e instanceof type, `${description}: ${e.name}: ${e.message}`);
    assert.equal(e.$metadata.httpStatusCode, 400);
    assert.ok(e.$metadata.requestId);
    return true;
  });
  console.log(`ok  JavaScript: ${description}`);
};

const { KeyMetadata: made } = await kms.createKey({ Description: 'js' });
const key = { KeyId: made.KeyId };
same([true, false], [made.Enabled, made.MultiRegion], 'what is false is there and false');
same(undefined, made.DeletionDate, 'what is absent is undefined');
assert.ok(made.CreationDate instanceof Date && Math.abs(Date.now() - made.CreationDate) < 600_000, 'CreationDate is a time');
await kms.disableKey(key);
same(false, (await kms.describeKey(key)).KeyMetadata.Enabled, 'KeyMetadata.Enabled is false after disableKey');
await raises(kmsSDK.DisabledException, 'a disabled key', () => kms.encrypt({ ...key, Plaintext: Buffer.from('x') }));
await kms.enableKey(key);
const Plaintext = Uint8Array.from({ length: 256 }, (_, i) => i);
const { CiphertextBlob } = await kms.encrypt({ ...key, Plaintext, EncryptionContext: { a: 'ä' } });
same([...Plaintext], [...(await kms.decrypt({ CiphertextBlob, EncryptionContext: { a: 'ä' } })).Plaintext], 'any bytes come back');
await raises(kmsSDK.InvalidCiphertextException, 'a ciphertext of another context', () => kms.decrypt({ CiphertextBlob }));
await raises(kmsSDK.NotFoundException, 'a key that is not there', () => kms.describeKey({ KeyId: randomUUID() }));
same([], (await kms.listAliases(key)).Aliases, 'an empty list is there and empty');
for (const n of [0, 1, 2]) await kms.createAlias({ AliasName: `alias/js/${n}`, TargetKeyId: made.KeyId });
let pages = [];
for await (const page of kmsSDK.paginateListAliases({ client: kms, pageSize: 2 }, key)) pages.push(page.Aliases.length);
same([2, 1], pages, 'listAliases has pages');

const token = randomUUID();
const binary = { Name: 'js/binary', SecretBinary: Uint8Array.of(0, 255), ClientRequestToken: token };
same(token, (await secrets.createSecret(binary)).VersionId, "the token is the version's id");
same(token, (await secrets.createSecret(binary)).VersionId, 'createSecret with the same token is done once');
await raises(secretsSDK.ResourceExistsException, 'the same token for another value', () =>
  secrets.createSecret({ ...binary, SecretBinary: Uint8Array.of(1) }));
const got = await secrets.getSecretValue({ SecretId: 'js/binary' });
same([[0, 255], undefined], [[...got.SecretBinary], got.SecretString], 'a binary secret is bytes, and no string');
await secrets.createSecret({ Name: 'js/empty', Tags: [{ Key: 'team', Value: '' }] });
same([{ Key: 'team', Value: '' }], (await secrets.describeSecret({ SecretId: 'js/empty' })).Tags, 'an empty value of a tag is there and empty');
await raises(secretsSDK.ResourceNotFoundException, 'a secret without a value', () => secrets.getSecretValue({ SecretId: 'js/empty' }));
await secrets.createSecret({ Name: 'js/third', SecretString: 'x' });
pages = [];
const filter = { Filters: [{ Key: 'name', Values: ['js/'] }] };
for await (const page of secretsSDK.paginateListSecrets({ client: secrets, pageSize: 2 }, filter)) pages.push(page.SecretList.length);
same([2, 1], pages, 'listSecrets has pages');

const { E2E_ROLE_ARN: roleArn, E2E_TOKEN_FILE: webIdentityTokenFile, E2E_SHOP_VALUE: value } = process.env;
const credentials = fromTokenFile({ roleArn, webIdentityTokenFile, roleSessionName: 'js' });
const { Arn } = await new STSClient({ credentials }).send(new GetCallerIdentityCommand({}));
assert.match(Arn, /^arn:aws:sts::\d{12}:assumed-role\/shop\/js$/);
const pod = new secretsSDK.SecretsManager({ credentials });
same(value, (await pod.getSecretValue({ SecretId: 'prod/shop/db' })).SecretString, "a service account's token reads what its role may");
await assert.rejects(pod.getSecretValue({ SecretId: 'prod/other' }), { name: 'AccessDeniedException' });
console.log('ok  JavaScript: and no other secret');
