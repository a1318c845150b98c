# sops, unmodified, with a KMSKey in the place of AWS's: a file is encrypted, edited by another who may only decrypt, and its key rotated. It is
# sourced by clients.sh, as the administrator of the account.
# shellcheck shell=bash

sops=$(hack/tool.sh sops hack/sops github.com/getsops/sops/v3/cmd/sops)
files=$(aws kms create-key --description 'files of the shop' --query KeyMetadata.Arn)
printf 'database:\n  user: shop\n  password: correct-horse-battery-staple\n' >"$work/shop.yaml"
"$sops" encrypt --kms "$files" --encryption-context app:shop "$work/shop.yaml" >"$work/shop.enc.yaml"
! grep -q correct-horse "$work/shop.enc.yaml" || fail "the file is in the clear"
grep -q "arn: $files" "$work/shop.enc.yaml" || fail "the file does not name the key"
is "$(cat "$work/shop.yaml")" "$("$sops" decrypt "$work/shop.enc.yaml" | sed 's/^    /  /')" "sops decrypts the file that it encrypted"
is correct-horse-battery-staple "$("$sops" decrypt --extract '["database"]["password"]' "$work/shop.enc.yaml")" "sops extracts one value"
kubectl strongroom rotate "kmskey/${files##*/}" # the CLI of Debian is older than rotate-key-on-demand
is correct-horse-battery-staple "$("$sops" decrypt --extract '["database"]["password"]' "$work/shop.enc.yaml")" "the file opens after a rotation of its key"
cp "$work/shop.enc.yaml" "$work/again.enc.yaml"
"$sops" rotate --in-place "$work/again.enc.yaml"
! diff -q "$work/shop.enc.yaml" "$work/again.enc.yaml" >/dev/null || fail "sops rotate changed nothing"
is correct-horse-battery-staple "$("$sops" decrypt --extract '["database"]["password"]' "$work/again.enc.yaml")" "sops rotate gives the file another data key, which opens"
sed 's/app: shop/app: other/' "$work/shop.enc.yaml" >"$work/moved.enc.yaml"
! cmp -s "$work/shop.enc.yaml" "$work/moved.enc.yaml" || fail "the context is not in the file"
! said=$("$sops" decrypt "$work/moved.enc.yaml" 2>&1) || fail "a file of another context opens"
grep -q InvalidCiphertextException <<<"$said" || fail "a file of another context fails otherwise: $said"
ok "a file whose encryption context was changed does not open"
aws kms disable-key --key-id "$files"
! said=$("$sops" decrypt "$work/shop.enc.yaml" 2>&1) || fail "a file opens by a disabled key"
grep -q DisabledException <<<"$said" || fail "a disabled key fails otherwise: $said"
ok "a disabled key opens nothing"
