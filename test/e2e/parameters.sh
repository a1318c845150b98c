# The Parameter Store by the AWS CLI, and files into it and out of it by `strongroom params`. It is sourced by clients.sh.
# shellcheck shell=bash

ssm() { aws ssm "$@"; }
parameter() { ssm get-parameter --name "$1" --query Parameter.Value "${@:2}"; }

is "1	Standard" "$(ssm put-parameter --name /e2e/app/log-level --type String --value info --query '[Version,Tier]')" "ssm put-parameter makes version 1"
is "arn:aws:ssm:us-east-1:$account:parameter/e2e/app/log-level	info	text" \
  "$(ssm get-parameter --name /e2e/app/log-level --query 'Parameter.[ARN,Value,DataType]')" "ssm get-parameter gives it by its name"
refused "$(an_error ParameterAlreadyExists PutParameter "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")" \
  "ssm put-parameter twice" ssm put-parameter --name /e2e/app/log-level --type String --value debug
is 2 "$(ssm put-parameter --name /e2e/app/log-level --value debug --overwrite --query Version)" "with --overwrite it makes version 2"
is "debug info" "$(parameter /e2e/app/log-level) $(parameter /e2e/app/log-level:1)" "the latest is told, and the first by its number"
ssm label-parameter-version --name /e2e/app/log-level --parameter-version 1 --labels stable >/dev/null
is info "$(parameter /e2e/app/log-level:stable)" "and by its label"
is "1	info	stable
2	debug" "$(ssm get-parameter-history --name /e2e/app/log-level --query 'Parameters[].[Version,Value,Labels[0]]' | sed 's/\tNone$//')" "ssm get-parameter-history tells both"
ssm unlabel-parameter-version --name /e2e/app/log-level --parameter-version 1 --labels stable >/dev/null
refused "$(an_error ParameterVersionNotFound GetParameter "Systems Manager could not find version stable of /e2e/app/log-level. Verify the version and try again.")" \
  "a label that was taken away names nothing" parameter /e2e/app/log-level:stable

hidden=hunter2-of-the-parameters
ssm put-parameter --name /e2e/app/db/password --type SecureString --value "$hidden" >/dev/null
[ "$(parameter /e2e/app/db/password)" != "$hidden" ] || fail "a SecureString is told without decryption"
is "$hidden" "$(parameter /e2e/app/db/password --with-decryption)" "a SecureString is told with --with-decryption, and its ciphertext without"
is "alias/aws/ssm" "$(ssm describe-parameters --parameter-filters Key=Type,Values=SecureString Key=Path,Option=Recursive,Values=/e2e --query 'Parameters[].KeyId')" \
  "ssm describe-parameters names its key"
is "/e2e/app/log-level" "$(ssm get-parameters-by-path --path /e2e/app --query 'Parameters[].Name')" "ssm get-parameters-by-path has the next level"
is "/e2e/app/db/password	/e2e/app/log-level" "$(ssm get-parameters-by-path --path /e2e --recursive --query 'Parameters[].Name')" "and all levels with --recursive, in the order of names"
is "/e2e/app/log-level	/e2e/none" "$(ssm get-parameters --names /e2e/app/log-level /e2e/none --query '[Parameters[0].Name,InvalidParameters[0]]')" \
  "ssm get-parameters tells those that are not there"
ssm add-tags-to-resource --resource-type Parameter --resource-id /e2e/app/log-level --tags Key=team,Value=shop
is "team	shop" "$(ssm list-tags-for-resource --resource-type Parameter --resource-id /e2e/app/log-level --query 'TagList[].[Key,Value]')" "ssm add-tags-to-resource tags it"
ssm remove-tags-from-resource --resource-type Parameter --resource-id /e2e/app/log-level --tag-keys team
is "" "$(ssm list-tags-for-resource --resource-type Parameter --resource-id /e2e/app/log-level --query 'TagList[].[Key,Value]')" "ssm remove-tags-from-resource takes the tag away"
refused "$(an_error ParameterPatternMismatchException PutParameter "Parameter value, cannot be validated against allowedPattern: ^[0-9]+\$")" \
  "a value that the pattern does not allow" ssm put-parameter --name /e2e/app/port --type String --value http --allowed-pattern '^[0-9]+$'
refused "$(an_error HierarchyLevelLimitExceededException PutParameter "A parameter can have at most 15 levels in its hierarchy.")" \
  "a path of 16 levels" ssm put-parameter --name /1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16 --type String --value x

# Settings, policies, sharing, secrets by reference
tier=/ssm/parameter-store/default-parameter-tier
is "Standard	Default" "$(ssm get-service-setting --setting-id $tier --query 'ServiceSetting.[SettingValue,Status]')" "ssm get-service-setting tells the default tier"
ssm update-service-setting --setting-id $tier --setting-value Advanced
is Advanced "$(ssm put-parameter --name /e2e/app/advanced --type String --value x --query Tier)" "ssm update-service-setting changes that of new parameters"
ssm reset-service-setting --setting-id $tier >/dev/null
is Standard "$(ssm put-parameter --name /e2e/app/standard --type String --value x --query Tier)" "and ssm reset-service-setting changes it back"
ends=$(date -u -d '+1 day' +%Y-%m-%dT%H:%M:%SZ)
ssm put-parameter --name /e2e/app/advanced --overwrite --value y --policies "[{\"Type\":\"Expiration\",\"Version\":\"1.0\",\"Attributes\":{\"Timestamp\":\"$ends\"}}]" >/dev/null
is "Expiration	Pending" "$(ssm describe-parameters --parameter-filters Key=Name,Values=/e2e/app/advanced --query 'Parameters[].Policies[].[PolicyType,PolicyStatus]')" "an Expiration waits for its time"
shared=arn:aws:ssm:us-east-1:$account:parameter/e2e/app/advanced
ssm put-resource-policy --resource-arn "$shared" --query PolicyId --policy \
  '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":["ssm:GetParameter","ssm:GetParameters"],"Resource":"*"}]}' >"$work/policy"
is y "$(as_owner ssm get-parameter --name "$shared" --query Parameter.Value)" "another account reads a parameter that is shared with it by its ARN"
hash=$(ssm get-resource-policies --resource-arn "$shared" --query 'Policies[0].PolicyHash')
ssm delete-resource-policy --resource-arn "$shared" --policy-id "$(cat "$work/policy")" --policy-hash "$hash"
refused "$(an_error AccessDeniedException GetParameter "User: arn:aws:iam::123456789012:user/owner is not authorized to perform: ssm:GetParameter on resource: $shared because no resource-based policy allows the ssm:GetParameter action")" \
  "and no more when the policy is gone" as_owner ssm get-parameter --name "$shared"
manage create-secret --name e2e/referenced --secret-string "$hidden" >/dev/null
is "$hidden" "$(parameter /aws/reference/secretsmanager/e2e/referenced --with-decryption)" "a secret is read by way of a parameter"

# Files
cat >"$work/settings.yaml" <<YAML
log-level: warn
db:
  host: db.example.com
  password: $hidden
YAML
strongroom_params() { "$work/strongroom" params "$@"; }
is "create	/e2e/files/db/host	String
create	/e2e/files/db/password	SecureString
create	/e2e/files/log-level	String" \
  "$(strongroom_params import "$work/settings.yaml" --path /e2e/files --secure='**/password' --dry-run | awk '/^(create|update)/ {print $1 "\t" $2 "\t" $3}' | sort)" \
  "strongroom params import --dry-run says what it would do"
is "" "$(ssm get-parameters-by-path --path /e2e/files --recursive --query 'Parameters[].Name')" "and does nothing"
strongroom_params import "$work/settings.yaml" --path /e2e/files --secure='**/password' >"$work/out" 2>"$work/said"
is "3 created, 0 updated, 0 unchanged" "$(tail -n 1 "$work/said")" "strongroom params import writes them"
! grep -qF "$hidden" "$work/out" "$work/said" || fail "the import shows a SecureString"
is "db.example.com	$hidden	warn" \
  "$(ssm get-parameters-by-path --path /e2e/files --recursive --with-decryption --query 'Parameters[].Value')" \
  "the API reads what was imported"
is "0 created, 0 updated, 3 unchanged" "$(strongroom_params import "$work/settings.yaml" --path /e2e/files --secure='**/password' 2>&1 >/dev/null | tail -n 1)" "the same file again changes nothing"
sed -i 's/warn/error/' "$work/settings.yaml"
code=0
strongroom_params import "$work/settings.yaml" --path /e2e/files --secure='**/password' >"$work/out" 2>&1 || code=$?
is "1 warn" "$code $(parameter /e2e/files/log-level)" "another value is refused without --overwrite"
strongroom_params import "$work/settings.yaml" --path /e2e/files --secure='**/password' --overwrite >/dev/null
is error "$(parameter /e2e/files/log-level)" "and written with it"
is "DB_HOST=db.example.com
LOG_LEVEL=error" "$(strongroom_params export --path /e2e/files 2>/dev/null)" "strongroom params export prints an environment, without SecureStrings"
for format in env json yaml secret; do
  strongroom_params export --path /e2e/files -o "$format" --with-decryption >"$work/exported.$format" 2>/dev/null || fail "export as $format"
done
strongroom_params export --path /e2e/files -o configmap >"$work/exported.configmap" 2>/dev/null
! strongroom_params export --path /e2e/files -o configmap --with-decryption >>"$work/exported.configmap" 2>/dev/null || fail "a ConfigMap is exported with decryption"
! grep -qF "$hidden" "$work/exported.configmap" || fail "a ConfigMap has a SecureString"
strongroom_params import "$work/exported.json" --path /e2e/again --secure='**/password' >/dev/null
is "$hidden" "$(parameter /e2e/again/db/password --with-decryption)" "what export printed as JSON is imported below another path"
code=0
with_key "${clerk[@]}" "$work/strongroom" params export --path /e2e/files >"$work/out" 2>/dev/null || code=$?
[ "$code" != 0 ] || fail "export works without a key that is good"
is "" "$(cat "$work/out")" "who may not read exports nothing"

# A tree
kubectl apply -f - >/dev/null <<'MANIFEST'
apiVersion: strongroom.dev/v1alpha1
kind: ParameterTree
metadata: {name: e2e, namespace: default}
spec:
  path: /e2e/files
  recursive: true
  filter: {types: [String]}
  keys: {format: UpperSnake}
  target: {configMap: {name: e2e-settings}}
MANIFEST
kubectl wait --for=condition=Ready -n default parametertree/e2e --timeout=30s >/dev/null
is "db.example.com error" "$(kubectl get configmap -n default e2e-settings -o 'jsonpath={.data.DB_HOST} {.data.LOG_LEVEL}')" "a ParameterTree shows what was imported"
is "/e2e/files/log-level" "$(ssm delete-parameters --names /e2e/files/log-level --query 'DeletedParameters[0]')" "ssm delete-parameters deletes"
gone_from_tree() { [ -z "$(kubectl get configmap -n default e2e-settings -o 'jsonpath={.data.LOG_LEVEL}')" ]; }
eventually 30 "and its key leaves the tree" gone_from_tree
ssm delete-parameter --name /e2e/files/db/host
refused "$(an_error ParameterNotFound GetParameter "")" "a parameter that was deleted is gone" parameter /e2e/files/db/host
