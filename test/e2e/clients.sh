#!/usr/bin/env bash
# Unmodified AWS clients against the gateway of an instance of `make run`: the AWS CLI, sops, boto3, the AWS SDK for JavaScript v3, the AWS
# Encryption SDK and aws-sdk-go-v2, and then two replicas.
#
# KUBEBUILDER_ASSETS names the folder of the control plane's programs: `make e2e` sets it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/e2e/instance.sh
. test/e2e/words.sh

build_programs
go test -c -o "$work/gosdk" ./test/e2e/gosdk
echo "[e2e] make run REGIONS=eu-west-1, in a folder of its own"
start_instance --manager "$work/strongroom" --regions eu-west-1
. "$data/env"

echo "[e2e] the AWS CLI: $($aws_cli --version 2>&1)"
. test/e2e/aws.sh
. test/e2e/sops.sh
. test/e2e/accounts.sh
. test/e2e/pods.sh
. test/e2e/plugin.sh
. test/e2e/parameters.sh
export E2E_ROLE_ARN=$role_arn E2E_TOKEN_FILE=$work/token E2E_SHOP_VALUE=$shop_value

echo "[e2e] boto3"
$python test/e2e/boto.py
ok "boto3: see its lines above"

echo "[e2e] the AWS SDK for JavaScript v3"
cp test/e2e/js/package.json test/e2e/js/package-lock.json test/e2e/js/client.mjs test/e2e/js/encryption.mjs "$work"
(cd "$work" && npm ci --no-audit --no-fund --loglevel=error && NODE_EXTRA_CA_CERTS=$AWS_CA_BUNDLE node client.mjs && NODE_EXTRA_CA_CERTS=$AWS_CA_BUNDLE node encryption.mjs)
ok "the AWS SDK for JavaScript, and the AWS Encryption SDK: see their lines above"

echo "[e2e] aws-sdk-go-v2"
STRONGROOM_E2E=1 "$work/gosdk" -test.v -test.count=1
ok "aws-sdk-go-v2: see its lines above"

. test/e2e/audit.sh
. test/e2e/replicas.sh

echo "$passed passed, 0 failed"
