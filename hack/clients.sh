#!/usr/bin/env bash
# Makes sure that there are the AWS clients that tests drive, and openssl, which judges what is issued and signed: it installs what is missing if it may, and else says what it is.
set -euo pipefail
lacking() {
  # Debian's own CLI where it is Debian: others in the PATH are of another version, with other words.
  if command -v apt-get >/dev/null; then
    [ -x /usr/bin/aws ] || echo awscli
  else
    command -v aws >/dev/null || echo awscli
  fi
  for program in node:nodejs npm:npm openssl:openssl; do
    command -v "${program%:*}" >/dev/null || echo "${program#*:}"
  done
  /usr/bin/python3 -c 'import boto3' 2>/dev/null || python3 -c 'import boto3' 2>/dev/null || echo python3-boto3
}
missing=$(lacking)
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "[clients] installing" $missing "..."
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >/dev/null || true
  missing=$(lacking)
fi
if [ -n "$missing" ]; then
  echo "missing:" $missing "(the tests drive AWS's own clients). On Debian or Ubuntu: apt-get install -y" $missing >&2
  exit 1
fi
