"""Creates the AWS session; the only module that does."""

import os

import boto3


def aws_session() -> boto3.Session:
    """Return a session from this process's environment.

    `AWS_REGION`, which other SDKs read and boto3 does not, takes precedence over
    `AWS_DEFAULT_REGION` and the profile's region. Empty `AWS_` variables are removed: botocore
    reads them in many places and treats some empty ones as values. Whitespace around a value, such
    as the newline at the end of a file, is stripped.

    Raises:
        botocore.exceptions.BotoCoreError: The environment refers to something missing, such as an
            unknown profile.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        value = os.environ.pop(name).strip()
        if value:
            os.environ[name] = value
    return boto3.Session(region_name=os.environ.get("AWS_REGION"))
