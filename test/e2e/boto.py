"""boto3, unmodified, against the gateway: typed errors, members that are false, empty and absent, pages, idempotency."""

import concurrent.futures
import os
import ssl
import urllib.error
import urllib.request
import uuid

import boto3
from botocore.config import Config

config = Config(region_name="us-east-1", retries={"max_attempts": 1})
endpoint = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"], "verify": os.environ["AWS_CA_BUNDLE"], "config": config}
kms = boto3.client("kms", **endpoint)
secrets = boto3.client("secretsmanager", **endpoint)
sts = boto3.client("sts", **endpoint)
# Of 32 who make a parameter at once some are told TooManyUpdates, which SDKs answer by asking again.
ssm = boto3.client("ssm", endpoint_url=endpoint["endpoint_url"], verify=endpoint["verify"],
                   config=Config(region_name="us-east-1", retries={"mode": "standard", "max_attempts": 10}, max_pool_connections=32))


def same(want, got, description):
    assert got == want, f"{description}: {got!r}, want {want!r}"
    print("ok  boto3:", description)


def raises(error, code, description, call, **arguments):
    try:
        call(**arguments)
    except error as e:
        same((code, 400), (e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]), description)
        assert e.response["ResponseMetadata"]["RequestId"], "there is no request id"
        return
    raise AssertionError(description + ": nothing is raised")


def keys():
    made = kms.create_key(Description="boto3")["KeyMetadata"]
    key = made["KeyId"]
    same((True, False), (made["Enabled"], made["MultiRegion"]), "what is false is there and false")
    same(False, "DeletionDate" in made or "ValidTo" in made, "what is absent is absent")
    kms.disable_key(KeyId=key)
    state = kms.describe_key(KeyId=key)["KeyMetadata"]
    same((False, "Disabled"), (state["Enabled"], state["KeyState"]), "Enabled is False after disable_key")
    raises(kms.exceptions.DisabledException, "DisabledException", "a disabled key", kms.encrypt, KeyId=key, Plaintext=b"x")
    kms.enable_key(KeyId=key)
    blob = kms.encrypt(KeyId=key, Plaintext=bytes(range(256)), EncryptionContext={"a": "ä"})["CiphertextBlob"]
    same(bytes(range(256)), kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "ä"})["Plaintext"], "any bytes come back")
    raises(kms.exceptions.InvalidCiphertextException, "InvalidCiphertextException", "a ciphertext of another context", kms.decrypt, CiphertextBlob=blob)
    raises(kms.exceptions.NotFoundException, "NotFoundException", "a key that is not there", kms.describe_key, KeyId=str(uuid.uuid4()))
    same([], kms.list_aliases(KeyId=key)["Aliases"], "an empty list is there and empty")
    for n in range(3):
        kms.create_alias(AliasName=f"alias/boto3/{n}", TargetKeyId=key)
    pages = list(kms.get_paginator("list_aliases").paginate(KeyId=key, PaginationConfig={"PageSize": 2}))
    same([2, 1], [len(page["Aliases"]) for page in pages], "list_aliases has pages")
    same([True, False], [page["Truncated"] for page in pages], "Truncated is True, and then False")
    raises(kms.exceptions.AlreadyExistsException, "AlreadyExistsException", "an alias twice", kms.create_alias,
           AliasName="alias/boto3/0", TargetKeyId=key)


def values():
    token = str(uuid.uuid4())
    made = secrets.create_secret(Name="boto3/binary", SecretBinary=b"\x00\xff", ClientRequestToken=token)
    same(token, made["VersionId"], "the token is the version's id")
    same(token, secrets.create_secret(Name="boto3/binary", SecretBinary=b"\x00\xff", ClientRequestToken=token)["VersionId"],
         "create_secret with the same token is done once")
    raises(secrets.exceptions.ResourceExistsException, "ResourceExistsException", "the same token for another value", secrets.create_secret,
           Name="boto3/binary", SecretBinary=b"other", ClientRequestToken=token)
    got = secrets.get_secret_value(SecretId="boto3/binary")
    same((b"\x00\xff", False), (got["SecretBinary"], "SecretString" in got), "a binary secret is bytes, and no string")
    token = str(uuid.uuid4())
    for _ in range(2):
        put = secrets.put_secret_value(SecretId="boto3/binary", SecretString="text", ClientRequestToken=token)
        same((token, ["AWSCURRENT"]), (put["VersionId"], put["VersionStages"]), "put_secret_value with the same token is done once")
    got = secrets.get_secret_value(SecretId="boto3/binary")
    same(("text", False), (got["SecretString"], "SecretBinary" in got), "a string is a string, and no bytes")
    described = secrets.describe_secret(SecretId="boto3/binary")
    same(2, len(described["VersionIdsToStages"]), "there are two versions")
    same(False, "DeletedDate" in described or "RotationRules" in described, "what a secret has not is absent")
    secrets.create_secret(Name="boto3/empty")
    raises(secrets.exceptions.ResourceNotFoundException, "ResourceNotFoundException", "a secret without a value", secrets.get_secret_value,
           SecretId="boto3/empty")
    secrets.create_secret(Name="boto3/third", SecretString="x", Tags=[{"Key": "team", "Value": ""}])
    same([{"Key": "team", "Value": ""}], secrets.describe_secret(SecretId="boto3/third")["Tags"], "an empty value of a tag is there and empty")
    pages = list(secrets.get_paginator("list_secrets").paginate(
        Filters=[{"Key": "name", "Values": ["boto3/"]}], PaginationConfig={"PageSize": 2}))
    same([2, 1], [len(page["SecretList"]) for page in pages], "list_secrets has pages")
    same([True, False], ["NextToken" in page for page in pages], "NextToken is there, and then absent")


def parameters():
    put = ssm.put_parameter(Name="/boto3/a", Value="1", Type="String", Description="")
    same((1, "Standard"), (put["Version"], put["Tier"]), "put_parameter tells the version and the tier")
    raises(ssm.exceptions.ParameterAlreadyExists, "ParameterAlreadyExists", "a parameter twice", ssm.put_parameter, Name="/boto3/a", Value="2", Type="String")
    same(2, ssm.put_parameter(Name="/boto3/a", Value="2", Overwrite=True)["Version"], "an overwrite needs no type")
    got = ssm.get_parameter(Name="/boto3/a:1")["Parameter"]
    same(("1", ":1", False), (got["Value"], got["Selector"], "SourceResult" in got), "a version is selected by its number")
    raises(ssm.exceptions.ParameterNotFound, "ParameterNotFound", "a parameter that is not there", ssm.get_parameter, Name="/boto3/none")
    raises(ssm.exceptions.ParameterVersionNotFound, "ParameterVersionNotFound", "a version that is not there", ssm.get_parameter, Name="/boto3/a:9")
    raises(ssm.exceptions.HierarchyTypeMismatchException, "HierarchyTypeMismatchException", "another type", ssm.put_parameter,
           Name="/boto3/a", Value="2", Type="SecureString", Overwrite=True)
    raises(ssm.exceptions.ClientError, "ValidationException", "an empty value", ssm.put_parameter, Name="/boto3/empty", Value="", Type="String")
    ssm.put_parameter(Name="/boto3/secure", Value="hidden ä", Type="SecureString")
    same(True, ssm.get_parameter(Name="/boto3/secure")["Parameter"]["Value"] != "hidden ä", "a SecureString is its ciphertext")
    same("hidden ä", ssm.get_parameter(Name="/boto3/secure", WithDecryption=True)["Parameter"]["Value"], "and its value with decryption")
    for n in range(25):
        ssm.put_parameter(Name=f"/boto3/many/{n:02}", Value=str(n), Type="String", Tags=[{"Key": "n", "Value": str(n % 2)}])
    pages = list(ssm.get_paginator("get_parameters_by_path").paginate(Path="/boto3/many"))
    same([10, 10, 5], [len(page["Parameters"]) for page in pages], "get_parameters_by_path has pages of ten")
    same([f"/boto3/many/{n:02}" for n in range(25)], [p["Name"] for page in pages for p in page["Parameters"]], "in the order of names")
    odd = ssm.describe_parameters(ParameterFilters=[{"Key": "tag:n", "Values": ["1"]}, {"Key": "Path", "Values": ["/boto3/many"]}])["Parameters"]
    same(12, len(odd), "describe_parameters filters by tags and path")
    many = ssm.get_parameters(Names=["/boto3/a", "/boto3/none", "/boto3/secure"])
    same((["/boto3/a", "/boto3/secure"], ["/boto3/none"]), ([p["Name"] for p in many["Parameters"]], many["InvalidParameters"]), "get_parameters tells what is not there")
    names = [f"/boto3/many/{n:02}" for n in range(10)]
    deleted = ssm.delete_parameters(Names=names)
    same((names, []), (deleted["DeletedParameters"], deleted["InvalidParameters"]), "delete_parameters deletes ten")

    def write(n):
        return ssm.put_parameter(Name="/boto3/race", Value=str(n), Type="String", Overwrite=True)["Version"]
    with concurrent.futures.ThreadPoolExecutor(32) as writers:
        same(list(range(1, 33)), sorted(writers.map(write, range(32))), "32 writers at once end with 32 consecutive versions")
    history = [p for page in ssm.get_paginator("get_parameter_history").paginate(Name="/boto3/race") for p in page["Parameters"]]
    same(({str(n) for n in range(32)}, list(range(1, 33))), ({p["Value"] for p in history}, [p["Version"] for p in history]), "and nothing is lost")


def presigned():
    """As aws-iam-authenticator and Vault have others prove who they are: a URL of get_caller_identity, which somebody else opens."""
    trusted = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    me = sts.get_caller_identity()["Arn"]
    for method in "GET", "POST":
        url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod=method)
        for body in [None, b""] if method == "POST" else [None]:
            request = urllib.request.Request(url, method=method, data=body)
            with urllib.request.urlopen(request, context=trusted) as answer:
                same((200, True), (answer.status, me in answer.read().decode()), f"a presigned {method} of get_caller_identity, body {body!r}")
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="POST")
    for what, request in {
        "by another method": urllib.request.Request(url, method="GET"),
        "with a body that nobody signed": urllib.request.Request(url, method="POST", data=b"Action=GetSessionToken&Version=2011-06-15"),
        "for another action": urllib.request.Request(url.replace("GetCallerIdentity", "GetSessionToken"), method="POST"),
    }.items():
        try:
            urllib.request.urlopen(request, context=trusted)
        except urllib.error.HTTPError as e:
            same((403, True), (e.code, "<Code>SignatureDoesNotMatch</Code>" in e.read().decode()), "a presigned URL " + what)
        else:
            raise AssertionError("a presigned URL was taken " + what)


keys()
values()
parameters()
presigned()
same("AKIA", boto3.Session().get_credentials().access_key[:4], "the credentials are the environment's")
same(sts.get_caller_identity()["Account"], sts.get_access_key_info(AccessKeyId=os.environ["AWS_ACCESS_KEY_ID"])["Account"],
     "get_access_key_info tells the account")
session = sts.get_session_token(DurationSeconds=900)["Credentials"]
temporary = boto3.client("secretsmanager", aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
                         aws_session_token=session["SessionToken"], **endpoint)
same("text", temporary.get_secret_value(SecretId="boto3/binary")["SecretString"], "a session of get_session_token reads as its user")
