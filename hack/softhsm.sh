#!/usr/bin/env bash
# Makes sure that there is SoftHSM, whose tokens the HSM tests use: it installs what is missing if it may, and else says what it is.
set -euo pipefail
lacking() {
  [ -e /usr/lib/softhsm/libsofthsm2.so ] || echo softhsm2
}
missing=$(lacking)
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "[softhsm] installing $missing ..."
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$missing"; } >/dev/null || true
  missing=$(lacking)
fi
if [ -n "$missing" ]; then
  echo "missing: $missing (the HSM tests use its tokens, by /usr/lib/softhsm/libsofthsm2.so). On Debian or Ubuntu: apt-get install -y $missing" >&2
  exit 1
fi
