"""Two replicas at two ports serve the same accounts.

replicas.py both PORT PORT: what is written through one is there through it at once, and through the other within a second.
replicas.py alone PORT NAME: one serves reads and writes while the other is dead.
"""

import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(service, port, **credentials):
    return boto3.client(service, endpoint_url=f"https://127.0.0.1:{port}", verify=os.environ["AWS_CA_BUNDLE"],
                        config=Config(region_name="us-east-1", retries={"max_attempts": 0}), **credentials)


def within_a_second(description, read, want):
    written = time.monotonic()
    while True:
        started = time.monotonic()
        try:
            got = read()
        except ClientError as e:
            got = e.response["Error"]["Code"]
        if got == want:
            print(f"ok  replicas: {description}, after {1000 * (started - written):.0f} ms")
            return
        assert started - written < 1, f"{description}: after a second it is {got!r}, not {want!r}"
        time.sleep(0.01)


def value(secrets, name):
    return secrets.get_secret_value(SecretId=name)["SecretString"]


def both(ports):
    for here, there in (ports, ports[::-1]):
        name = f"replicas/{here}"
        written, other = client("secretsmanager", here), client("secretsmanager", there)
        written.create_secret(Name=name, SecretString="first")
        assert value(written, name) == "first", "a write is not visible at once through the replica that took it"
        within_a_second("a new secret is visible through the other", lambda: value(other, name), "first")
        for n in range(5):
            written.put_secret_value(SecretId=name, SecretString=f"{n}")
            assert value(written, name) == f"{n}", "a write is not visible at once through the replica that took it"
            within_a_second("a new version is visible through the other", lambda: value(other, name), f"{n}")
        written.delete_secret(SecretId=name, RecoveryWindowInDays=7)
        within_a_second("a deletion is visible through the other", lambda: value(other, name), "InvalidRequestException")
        kms, elsewhere = client("kms", here), client("kms", there)
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        within_a_second("the other decrypts under a new key", lambda: elsewhere.decrypt(CiphertextBlob=blob)["Plaintext"], b"x")
        kms.disable_key(KeyId=key)
        within_a_second("the other refuses a disabled key",
                        lambda: elsewhere.encrypt(KeyId=key, Plaintext=b"x") and "", "DisabledException")
        session = client("sts", here).get_session_token()["Credentials"]
        temporary = dict(aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
                         aws_session_token=session["SessionToken"])
        assert client("kms", there, **temporary).list_keys()["Keys"], "a session of one replica is not valid at the other"
        print("ok  replicas: a session of one is valid at the other")
    client("secretsmanager", ports[0]).create_secret(Name="replicas/kept", SecretString="kept")


def alone(port, name):
    secrets = client("secretsmanager", port)
    assert value(secrets, "replicas/kept") == "kept"
    secrets.create_secret(Name="replicas/" + name, SecretString="alone")
    assert value(secrets, "replicas/" + name) == "alone"


if sys.argv[1] == "both":
    both([int(port) for port in sys.argv[2:]])
else:
    alone(int(sys.argv[2]), sys.argv[3])
