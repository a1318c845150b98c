#!/usr/bin/env bash
# Makes sure that there are the databases whose passwords the tests rotate: it installs what is missing if it may, and else says what it is.
# The servers that their packages start are stopped again: tests start their own.
set -euo pipefail
lacking() {
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || echo postgresql
  command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || echo mariadb-server
  command -v redis-server >/dev/null || echo redis-server
}
missing=$(lacking)
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "[databases] installing" $missing "..."
  # policy-rc.d keeps the packages from starting a server of the machine's. https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
  policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; }
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >/dev/null || true
  missing=$(lacking)
fi
if [ -n "$missing" ]; then
  echo "missing:" $missing "(the tests rotate passwords of real databases). On Debian or Ubuntu: apt-get install -y" $missing >&2
  exit 1
fi
