"""The one place where an AWS session is made of the environment."""

import os

import boto3


def aws_session() -> boto3.Session:
    """Return a session of this process's environment.

    `AWS_REGION`, which other SDKs read and boto3 does not, goes before `AWS_DEFAULT_REGION` and
    before the profile's region. An `AWS_` variable that is empty counts as not set: it is taken
    away, for botocore reads these variables in many places, and in some an empty one is a value.

    Raises:
        botocore.exceptions.BotoCoreError: The environment names what there is not, such as an
            unknown profile.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        if not os.environ[name].strip():
            del os.environ[name]
    return boto3.Session(region_name=os.environ.get("AWS_REGION"))
