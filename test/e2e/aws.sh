# The AWS CLI as the administrator of account (namespace) default. It is sourced by clients.sh.
# shellcheck shell=bash

account=$(aws sts get-caller-identity --query Account)
[[ $account =~ ^[0-9]{12}$ ]] || fail "the account's id is $account"
is "arn:aws:iam::$account:user/administrator" "$(aws sts get-caller-identity --query Arn)" "sts get-caller-identity names the administrator"

# KMS
key=$(aws kms create-key --description shop --query KeyMetadata.KeyId)
key_arn=arn:aws:kms:us-east-1:$account:key/$key
is "$key_arn	shop	True	Enabled	CUSTOMER" \
  "$(aws kms describe-key --key-id "$key" --query 'KeyMetadata.[Arn,Description,Enabled,KeyState,KeyManager]')" "kms describe-key tells what create-key made"
grep -q "$key_arn" <<<"$(aws kms list-keys)" || fail "kms list-keys lacks the key"
ok "kms list-keys lists it"
kubectl wait --for=condition=Ready "kmskey/$key" --timeout=10s >/dev/null
grep -q "kmskey.strongroom.dev/$key *True *Enabled *$key" <<<"$(kubectl get strongroom -A)" || fail "the key is not in kubectl get strongroom"
ok "kubectl get strongroom -A lists the key that the API made"

aws kms create-alias --alias-name alias/shop --target-key-id "$key"
is "arn:aws:kms:us-east-1:$account:alias/shop	$key" \
  "$(aws kms list-aliases --query "Aliases[?AliasName=='alias/shop'].[AliasArn,TargetKeyId]")" "kms list-aliases lists the alias"
printf 'attack at dawn' >"$work/plaintext"
# `base64 -d` and fileb:// because the CLI's version 2 takes and gives blobs as base64.
aws kms encrypt --key-id alias/shop --plaintext "fileb://$work/plaintext" --encryption-context purpose=test --query CiphertextBlob | base64 -d >"$work/blob"
decrypt() { aws kms decrypt --ciphertext-blob "fileb://$work/blob" "$@"; }
is "attack at dawn" "$(decrypt --encryption-context purpose=test --query Plaintext | base64 -d)" "kms decrypt gives what kms encrypt took"
is "$key_arn" "$(decrypt --encryption-context purpose=test --query KeyId)" "kms decrypt names the key by its ARN"
refused "$(an_error InvalidCiphertextException Decrypt "")" "kms decrypt with another context" decrypt --encryption-context purpose=other
other=$(aws kms create-key --query KeyMetadata.KeyId)
refused "$(an_error IncorrectKeyException Decrypt "The key ID in the request does not identify a CMK that can perform this operation.")" \
  "kms decrypt with another key" decrypt --encryption-context purpose=test --key-id "$other"

aws kms generate-data-key --key-id alias/shop --key-spec AES_256 --query '[Plaintext,CiphertextBlob]' >"$work/data-key"
data_key=$(cut -f1 <"$work/data-key")
cut -f2 <"$work/data-key" | base64 -d >"$work/blob"
is 32 "$(base64 -d <<<"$data_key" | wc -c)" "kms generate-data-key gives 32 bytes"
is "$data_key" "$(decrypt --query Plaintext)" "kms decrypt gives the data key"

refused "$(an_error NotFoundException DescribeKey "Alias arn:aws:kms:us-east-1:$account:alias/none is not found.")" \
  "kms describe-key of an alias that is not there" aws kms describe-key --key-id alias/none
aws kms update-alias --alias-name alias/shop --target-key-id "$other"
is "$other" "$(aws kms describe-key --key-id alias/shop --query KeyMetadata.KeyId)" "kms update-alias points the alias at another key"
aws kms delete-alias --alias-name alias/shop
is "" "$(aws kms list-aliases --query "Aliases[?AliasName=='alias/shop'].[AliasArn]")" "kms delete-alias takes it away"
aws kms disable-key --key-id "$other"
refused "$(an_error DisabledException Encrypt "arn:aws:kms:us-east-1:$account:key/$other is disabled.")" "kms encrypt with a disabled key" \
  aws kms encrypt --key-id "$other" --plaintext "fileb://$work/plaintext"

# Keys of the other usages, with openssl on the other side
codes=$(aws kms create-key --key-spec HMAC_256 --key-usage GENERATE_VERIFY_MAC --query KeyMetadata.KeyId)
mac=$(aws kms generate-mac --key-id "$codes" --message "fileb://$work/plaintext" --mac-algorithm HMAC_SHA_256 --query Mac)
base64 -d <<<"$mac" >"$work/mac"
verify_mac() { aws kms verify-mac --key-id "$codes" --message "fileb://$1" --mac-algorithm HMAC_SHA_256 --mac "fileb://$work/mac" --query MacValid; }
is True "$(verify_mac "$work/plaintext")" "kms verify-mac knows the code that kms generate-mac made"
printf 'attack at noon' >"$work/other"
grep -q KMSInvalidMacException <<<"$(verify_mac "$work/other" 2>&1)" || fail "kms verify-mac takes a code of another message"
ok "kms verify-mac refuses it for another message"
dropbox=$(aws kms create-key --key-spec RSA_2048 --key-usage ENCRYPT_DECRYPT --query KeyMetadata.KeyId)
aws kms get-public-key --key-id "$dropbox" --query PublicKey | base64 -d >"$work/dropbox.der"
openssl pkeyutl -encrypt -pubin -keyform DER -inkey "$work/dropbox.der" -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -in "$work/plaintext" -out "$work/sealed"
is "attack at dawn" "$(aws kms decrypt --key-id "$dropbox" --encryption-algorithm RSAES_OAEP_SHA_256 --ciphertext-blob "fileb://$work/sealed" --query Plaintext | base64 -d)" \
  "kms decrypt opens what openssl encrypted by the public key"
aws kms generate-data-key-pair --key-id "$key" --key-pair-spec ECC_NIST_P256 --query '[PrivateKeyPlaintext,PublicKey]' >"$work/pair"
cut -f1 <"$work/pair" | base64 -d >"$work/pair.der"
is "$(cut -f2 <"$work/pair")" "$(openssl pkey -inform DER -in "$work/pair.der" -pubout -outform DER | base64 -w0)" \
  "kms generate-data-key-pair gives two halves that fit, by openssl's word"

# A deletion, and its cancelling
is PendingDeletion "$(aws kms schedule-key-deletion --key-id "$codes" --pending-window-in-days 7 --query KeyState)" "kms schedule-key-deletion begins the waiting period"
refused "$(an_error KMSInvalidStateException VerifyMac "arn:aws:kms:us-east-1:$account:key/$codes is pending deletion.")" "a key that waits does nothing" verify_mac "$work/plaintext"
grep -q "kmskey.strongroom.dev/$codes *True *PendingDeletion" <<<"$(kubectl get strongroom -A)" || fail "kubectl does not show that the key is pending deletion"
ok "kubectl get strongroom -A shows that it waits"
aws kms cancel-key-deletion --key-id "$codes" >/dev/null
aws kms enable-key --key-id "$codes"
is True "$(verify_mac "$work/plaintext")" "a key whose deletion was cancelled and that was enabled does what it did"

# Secrets Manager
value=hunter2-of-the-transcript
manage() { aws secretsmanager "$@"; }
read_secret() { manage get-secret-value --secret-id "${1:-MySecret}" --query SecretString; }
secret_arn=$(manage create-secret --name MySecret --secret-string "$value" --query ARN)
[[ $secret_arn =~ ^arn:aws:secretsmanager:us-east-1:$account:secret:MySecret-[A-Za-z0-9]{6}$ ]] || fail "the secret's ARN is $secret_arn"
is "$value" "$(read_secret)" "secretsmanager get-secret-value gives what create-secret took"
is "$value" "$(read_secret "$secret_arn")" "so it does by the ARN"
refused "$(an_error ResourceExistsException CreateSecret "The operation failed because the secret MySecret already exists.")" \
  "secretsmanager create-secret twice" manage create-secret --name MySecret --secret-string other
manage put-secret-value --secret-id MySecret --secret-string "$value-3" >/dev/null
is "$value-3" "$(read_secret)" "secretsmanager put-secret-value makes the current version"
is "$value" "$(manage get-secret-value --secret-id MySecret --version-stage AWSPREVIOUS --query SecretString)" "the one before is AWSPREVIOUS"
is "MySecret	2" "$(manage describe-secret --secret-id MySecret --query '[Name,length(VersionIdsToStages)]')" "secretsmanager describe-secret tells its versions"
is "$secret_arn" "$(manage list-secrets --filters Key=name,Values=MySecret --query 'SecretList[].ARN')" "secretsmanager list-secrets lists it"
grep -q 'secret.strongroom.dev/mysecret-[a-z0-9]* *True' <<<"$(kubectl get strongroom -A)" || fail "the secret is not in kubectl get strongroom"
ok "kubectl get strongroom -A lists the secret that the API made"
refused "$(an_error ResourceNotFoundException GetSecretValue "Secrets Manager can't find the specified secret.")" \
  "secretsmanager get-secret-value of a secret that is not there" read_secret Nothing

manage delete-secret --secret-id MySecret --recovery-window-in-days 7 >/dev/null
refused "$(an_error InvalidRequestException GetSecretValue "You can't perform this operation on the secret because it was marked for deletion.")" \
  "a deleted secret is not read" read_secret
is "" "$(manage list-secrets --filters Key=name,Values=MySecret --query 'SecretList[].ARN')" "a deleted secret is not listed"
manage restore-secret --secret-id MySecret >/dev/null
is "$value-3" "$(read_secret)" "secretsmanager restore-secret brings it back"
manage delete-secret --secret-id MySecret --force-delete-without-recovery >/dev/null
refused "$(an_error ResourceNotFoundException GetSecretValue "Secrets Manager can't find the specified secret.")" "a secret that was deleted by force is gone" read_secret

# Who asks
refused "$(an_error InvalidSignatureException ListSecrets "Credential should be scoped to a valid region, not 'us-west-2'. Served here: us-east-1, eu-west-1.")" \
  "a region that is not served" manage list-secrets --region us-west-2
is "" "$(manage list-secrets --region eu-west-1 --query 'SecretList[].ARN')" "another region that is served has secrets of its own"
refused "$(an_error SignatureDoesNotMatch GetCallerIdentity "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")" \
  "a wrong secret access key" with_key "$AWS_ACCESS_KEY_ID" wrong aws sts get-caller-identity
refused "$(an_error UnrecognizedClientException ListKeys "The security token included in the request is invalid.")" \
  "an access key that is not there" with_key AKIAIOSFODNN7EXAMPLE wrong aws kms list-keys
