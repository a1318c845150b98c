"""boto3, unmodified, against the gateway: typed errors, members that are false, empty and absent, pages, idempotency."""

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
presigned()
same("AKIA", boto3.Session().get_credentials().access_key[:4], "the credentials are the environment's")
same(sts.get_caller_identity()["Account"], sts.get_access_key_info(AccessKeyId=os.environ["AWS_ACCESS_KEY_ID"])["Account"],
     "get_access_key_info tells the account")
session = sts.get_session_token(DurationSeconds=900)["Credentials"]
temporary = boto3.client("secretsmanager", aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
                         aws_session_token=session["SessionToken"], **endpoint)
same("text", temporary.get_secret_value(SecretId="boto3/binary")["SecretString"], "a session of get_session_token reads as its user")
