"""Creates and checks the AWS session; the only module that does."""

import os
import re
from typing import Final
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, InvalidRegionError, ProfileNotFound
from botocore.utils import validate_region_name

_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_FILES: Final = (
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CA_BUNDLE",
)  # fmt: skip
_UNREADABLE: Final = "one of them, or the profile, has a value that the AWS SDK cannot parse"
_CREDENTIALS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")


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


def credentials_problem() -> str | None:
    """Return a problem if the AWS SDK finds no credentials; None if it does."""
    try:
        if aws_session().get_credentials():
            return None
    except BotoCoreError:  # reported by `aws_problems`
        return None
    except ValueError:  # botocore parses numbers lazily
        return f"AWS_*: {_UNREADABLE}"
    return "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: not set, and the AWS SDK finds none elsewhere"


def aws_problems() -> list[str]:
    """Return what prevents the SDK from creating an S3 client, one line each."""
    given = {name: os.environ.get(name, "").strip() for name in (*_ENDPOINTS, *_FILES, *_REGIONS)}
    found = [
        f"{name}: must be an http:// or https:// URL with a host, and no user, query or #"
        for name in _ENDPOINTS
        if given[name] and not _is_endpoint(given[name])
    ]
    found += [
        f"{name}: cannot be read: {reason}"
        for name in _FILES
        if given[name] and (reason := _unreadable(given[name]))
    ]
    found += [
        f"{name}: holds a blank, a line break or another character that no header can hold"
        for name in _CREDENTIALS
        if not re.fullmatch(r"[!-~]*", os.environ.get(name, "").strip())
    ]
    for name in _REGIONS:
        try:
            if given[name]:
                validate_region_name(given[name])
        except InvalidRegionError:
            found.append(f"{name}: is not a region name such as eu-central-1")
    try:
        session = aws_session()
        if not found:
            session.client("s3")
    except ProfileNotFound:
        files = "neither AWS_CONFIG_FILE nor AWS_SHARED_CREDENTIALS_FILE, nor the usual files,"
        found.append(f"AWS_PROFILE: {files} have a profile of that name")
    except (BotoCoreError, ValueError) as error:
        # No values in the message: a profile's endpoint may contain a password.
        words = str(error) if isinstance(error, BotoCoreError) else _UNREADABLE
        found.append(f"AWS_*: the AWS SDK cannot create a client: {words}")
    return found


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        plain = not parts.query and not parts.fragment and "@" not in parts.netloc
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and plain
        )
    except ValueError:
        return False


def _unreadable(path: str) -> str | None:
    try:
        with open(os.path.expanduser(path), "rb"):  # noqa: PTH111, PTH123 - as botocore does it
            return None
    except OSError as error:
        return error.strerror
