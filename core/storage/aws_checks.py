"""Checks the `AWS_` variables and the profile before a process starts; connects nowhere.

The SDK reports one problem at a time, some only at the first request, and reads some mistakes as
something else: every boolean but `true` as false. All of them are reported at once here, each with
the name of its variable.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.configloader import raw_config_parse
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES, DEFAULT_S3_CONFIG_VARS
from botocore.exceptions import BotoCoreError, ConfigParseError, InvalidRegionError, ProfileNotFound
from botocore.utils import ensure_boolean, validate_region_name

from core.storage.aws_session import aws_session

_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
#: With the path that is read if the variable is not set.
_PROFILE_FILES: Final = {
    "AWS_CONFIG_FILE": "~/.aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
}
#: The first that is set names the profile.
_PROFILES: Final = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
_FILES: Final = (*_PROFILE_FILES, "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE")
_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_CREDENTIALS: Final = (*_KEYS, "AWS_SESSION_TOKEN")
_REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
#: The SDK's name of a setting -> the words that it may be; case does not matter.
_WORDS: Final = {
    "retry_mode": ("legacy", "standard", "adaptive"),
    "defaults_mode": ("legacy", "standard", "in-region", "cross-region", "mobile", "auto"),
    "request_checksum_calculation": ("when_supported", "when_required"),
    "response_checksum_validation": ("when_supported", "when_required"),
    "sts_regional_endpoints": ("legacy", "regional"),
    "us_east_1_regional_endpoint": ("legacy", "regional"),
    "account_id_endpoint_mode": ("preferred", "disabled", "required"),
    "ec2_metadata_service_endpoint_mode": ("ipv4", "ipv6"),
}
#: What the SDK itself compares exactly.
_EXACT: Final = ("retry_mode", "ec2_metadata_service_endpoint_mode")
_UNREADABLE: Final = "one of them, or the profile, has a value that the AWS SDK cannot parse"
_NO_ENDPOINT: Final = "must be an http:// or https:// URL with a host, and no user, query or #"
_NO_REGION: Final = "is not a region name such as eu-central-1"


def credentials_problem() -> str | None:
    """Return a problem if the AWS SDK finds no credentials; None if it does."""
    if len([name for name in _KEYS if _text(name)]) == 1:  # reported by `aws_problems`
        return None
    try:
        if aws_session().get_credentials():
            return None
    except (BotoCoreError, ValueError):  # reported by `aws_problems`
        return None
    return f"{', '.join(_KEYS)}: not set, and the AWS SDK finds none elsewhere"


def aws_problems() -> list[str]:
    """Return what prevents the SDK from working as it was told, one line each."""
    found: dict[str, str] = {}  # the first problem of each variable
    for name, problem in (*_variable_problems(), *_credentials_problems(), *_file_problems()):
        found.setdefault(name, problem)
    # What is known to be wrong would hide the rest.
    hidden = {*found}
    for part, whole in ((_PROFILE_FILES, _PROFILES), (_CREDENTIALS, _CREDENTIALS)):
        hidden |= {*whole} if hidden & {*part} else set()
    with _without(hidden):
        return [*(f"{name}: {problem}" for name, problem in found.items()), *_sdk_problems()]


def s3_endpoint() -> str:
    """Return where S3 is, as far as the variables tell; a profile may name another place."""
    region = _text("AWS_REGION") or _text("AWS_DEFAULT_REGION") or "us-east-1"
    given = (endpoint for name in _ENDPOINTS if (endpoint := _text(name)))
    return next(given, f"https://s3.{region}.amazonaws.com")


def _sdk_problems() -> list[str]:
    try:
        session = aws_session()
        found = _profile_problems(session)
        if not found:
            session.client("s3")
    except ProfileNotFound:
        name = next(name for name in _PROFILES if _text(name))
        files = "neither AWS_CONFIG_FILE nor AWS_SHARED_CREDENTIALS_FILE, nor the usual files,"
        with _without({*_PROFILES}):
            return [f"{name}: {files} have a profile of that name", *_sdk_problems()]
    except ConfigParseError:  # reported by `_file_problems`
        return []
    except (BotoCoreError, ValueError) as error:
        # No values in the message: a profile's endpoint may contain a password.
        words = str(error) if isinstance(error, BotoCoreError) else _UNREADABLE
        return [f"AWS_*: the AWS SDK cannot create a client: {words}"]
    return found


def _variable_problems() -> Iterator[tuple[str, str]]:
    for name, value in sorted(os.environ.items()):
        if name.startswith("AWS_") and re.fullmatch(r"(['\"]).*\1", value.strip()):
            yield name, "is in quotes, which count as part of the value; leave them out"
    for name in _ENDPOINTS:
        if not _is_endpoint(_text(name)):
            yield name, _NO_ENDPOINT
    for name in _REGIONS:
        if not _is_region(_text(name)):
            yield name, _NO_REGION
    for setting, (_, variables, _, kind) in _sdk_settings():
        for name in [variables] if isinstance(variables, str) else variables or ():
            if problem := _value_problem(setting, kind, _text(name)):
                yield name, problem


def _credentials_problems() -> Iterator[tuple[str, str]]:
    given = [name for name in _KEYS if _text(name)]
    if len(given) == 1:
        (missing,) = {*_KEYS} - {*given}
        yield missing, f"is not set, but {given[0]} is"
    for name in _CREDENTIALS:
        if not re.fullmatch(r"[!-~]*", _text(name)):
            yield (
                name,
                "holds a blank, a line break or another character that no header can hold",
            )


def _file_problems() -> Iterator[tuple[str, str]]:
    for name in _FILES:
        if _text(name) and (reason := _unreadable(_text(name))):
            yield name, f"cannot be read: {reason}"
        elif name in _PROFILE_FILES:
            path = os.path.expanduser(_text(name) or _PROFILE_FILES[name])  # noqa: PTH111 - as botocore does it
            try:
                if Path(path).is_file():
                    raw_config_parse(path)
            except ConfigParseError:
                yield name, f"{path} is not an INI file of profiles"


def _profile_problems(session: boto3.Session) -> list[str]:
    """Return what is wrong with the profile's values; a profile overrides no variable."""
    values: Mapping[str, Any] = session._session.get_scoped_config()  # noqa: SLF001 - boto3 has no way to it
    found = []
    if not _is_endpoint(values.get("endpoint_url", "")):
        found.append(f"endpoint_url {_NO_ENDPOINT}")
    if not _is_region(values.get("region", "")):
        found.append(f"region {_NO_REGION}")
    if (bundle := values.get("ca_bundle")) and (reason := _unreadable(bundle)):
        found.append(f"ca_bundle cannot be read: {reason}")
    for setting, (names, _, _, kind) in _sdk_settings():
        for name in [names] if isinstance(names, str) else names or ():
            value = values.get(name) if isinstance(name, str) else None
            if isinstance(value, str) and (problem := _value_problem(setting, kind, value)):
                found.append(f"{name} {problem}")
    start = f"AWS_CONFIG_FILE: profile {session.profile_name}: "
    return [start + problem for problem in found]


def _sdk_settings() -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Return the SDK's own list: name; names in a profile, variables, default, kind."""
    yield from BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    yield from DEFAULT_S3_CONFIG_VARS.items()


def _value_problem(setting: str, kind: object, value: str) -> str | None:
    if not value:
        return None
    words = ("true", "false") if kind is ensure_boolean else _WORDS.get(setting)
    given = value if setting in _EXACT else value.lower()
    if words and given not in words:
        return f"must be {', '.join(words[:-1])} or {words[-1]}"
    if kind is int and not (value.isascii() and value.isdigit() and int(value)):
        return "must be a whole number above 0, in digits alone"
    return None


def _text(name: str) -> str:
    return os.environ.get(name, "").strip()


def _is_region(text: str) -> bool:
    try:
        if text:
            validate_region_name(text)
    except InvalidRegionError:
        return False
    return True


def _is_endpoint(text: str) -> bool:
    if not text:
        return True
    try:
        parts = urlsplit(text)
        plain = not parts.query and not parts.fragment and "@" not in parts.netloc
        is_http = parts.scheme in ("http", "https")
        return is_http and bool(parts.hostname) and parts.port != 0 and plain
    except ValueError:
        return False


def _unreadable(path: str) -> str | None:
    full = os.path.expanduser(path)  # noqa: PTH111 - as botocore does it
    if full != os.devnull and os.path.exists(full) and not os.path.isfile(full):  # noqa: PTH110, PTH113 - names of files
        return "not a regular file"  # opening a pipe would wait for its writer
    try:
        with open(full, "rb"):  # noqa: PTH123 - a name of a file
            return None
    except OSError as error:
        return error.strerror


@contextmanager
def _without(names: set[str]) -> Iterator[None]:
    """Take variables out of the environment for a while."""
    taken = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)
