# What the transcripts of AWS clients say. It is sourced, after instance.sh.
# shellcheck shell=bash

# Debian's own, where it is Debian: other installations may come first in the PATH, and are newer than most people's.
aws_cli=/usr/bin/aws python=/usr/bin/python3
[ -x "$aws_cli" ] || aws_cli=$(type -P aws) # the program, and not the function below
"$python" -c 'import boto3' 2>/dev/null || python=python3

# No answer is paged, nothing is taken from the user's own configuration or from the machine that a test runs on.
export AWS_PAGER= AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true AWS_MAX_ATTEMPTS=2

# aws ARGUMENTS...: the CLI at the gateway. Debian's is older than AWS_ENDPOINT_URL, so it has the endpoint as an argument.
aws() { "$aws_cli" --endpoint-url "$AWS_ENDPOINT_URL" --ca-bundle "$AWS_CA_BUNDLE" --output text "$@"; }

# is WANT GOT DESCRIPTION
is() {
  [ "$2" = "$1" ] || fail "$3: it is \"$2\", not \"$1\""
  ok "$3"
}

# refused ERROR-TEXT DESCRIPTION COMMAND...: the command fails, and its error is of this text to the letter.
refused() {
  local want=$1 description=$2 got
  shift 2
  ! got=$("$@" 2>&1) || fail "$description: it is not refused, and says: $got"
  got=$(sed '/^$/d' <<<"$got")
  [ "$got" = "$want" ] || fail "$description: it says
$got
which is not
$want"
  ok "$description"
}

# an_error CODE OPERATION MESSAGE: how the CLI shows an error.
an_error() { echo "An error occurred ($1) when calling the $2 operation: $3"; }

# with_key ID-OF-KEY SECRET COMMAND...: the command as another user.
with_key() {
  local id=$1 secret=$2
  shift 2
  AWS_ACCESS_KEY_ID=$id AWS_SECRET_ACCESS_KEY=$secret "$@"
}

# secret_of NAMESPACE NAME ENTRY: an entry of a core Secret.
secret_of() { kubectl get secret -n "$1" "$2" -o "jsonpath={.data.$3}" | base64 -d; }
