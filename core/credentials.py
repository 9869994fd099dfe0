"""Parses the settings that hold a secret: keys, and URLs with a password.

No message repeats any of the text but a tenant's name.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import parse_qsl

from core.security.host_names import ascii_name
from core.storage.object_keys import INPUT_PREFIX, PROBE_PREFIX
from core.text_values import ManyProblems, Secret, items, url_parts

_SHORTEST_MASTER = 32  # characters
_SHORTEST_API_KEY = 16  # characters
_TENANT = re.compile(r"[A-Za-z0-9._-]+")
#: Value of a proxy setting: use the proxy variables of the environment.
ENVIRONMENT = "environment"
#: Allowed options of a Redis URL; others of redis-py would change how replies are read.
_REDIS_OPTIONS = (
    "db", "username", "password", "client_name", "socket_timeout", "socket_connect_timeout",
    "socket_keepalive", "health_check_interval",
)  # fmt: skip


def redis_url(value: str) -> Secret:
    """A Redis URL; hidden because it may contain a password."""
    parts = url_parts(value)
    is_socket = parts.scheme == "unix"
    place = parts.path if is_socket else parts.hostname
    if parts.scheme not in ("redis", "rediss", "unix") or not place:
        raise ValueError("must be a redis://, rediss:// or unix:// URL")
    problems = []
    if parts.fragment or "#" in value:
        problems.append("must not contain #; in a password write %23")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if any(name not in _REDIS_OPTIONS and not name.startswith("ssl_") for name in options):
        problems.append(f"allowed options are ssl_... and {', '.join(_REDIS_OPTIONS)}")
    database = "" if is_socket else parts.path.removeprefix("/")
    numbers = {text for text in (database, options.get("db", "")) if text}
    if any(not (text.isascii() and text.isdigit()) for text in numbers) or len(numbers) > 1:
        problems.append("the database must be one number, as in redis://host:6379/0")
    if parts.port == 0:
        problems.append("the port must not be 0")
    has_password = parts.password or options.get("password")
    if (parts.username or options.get("username")) and not has_password:
        hint = "without user: redis://:password@host"
        problems.append(f"has a user name without password; {hint}")
    if problems:
        raise ManyProblems(problems)
    return Secret(value)


def proxy(value: str) -> Secret:
    """A proxy URL, optionally with user name and password, or `environment`."""
    if value == ENVIRONMENT:
        return Secret(value)
    try:
        return proxy_url(value)
    except ManyProblems as error:
        raise ManyProblems(
            [f"{each} (or the word environment)" for each in error.problems]
        ) from None


def proxy_url(value: str) -> Secret:
    """A proxy URL, optionally with user name and password."""
    problems = _proxy_problems(value)
    if problems:
        raise ManyProblems(problems)
    return Secret(value)


def _proxy_problems(value: str) -> list[str]:
    """Return what is wrong with a proxy's URL, without repeating any of it."""
    example = "http://proxy.example:3128"
    if re.search(r"%(?![0-9A-Fa-f]{2})", value) or not re.fullmatch(r"[!-~]*", value):
        return ["a blank or special character in a user name or password must be percent-encoded"]
    try:
        parts = url_parts(value)
    except ValueError:
        return [f"is not a URL such as {example}, or its port is not from 1 to 65535"]
    found = []
    if parts.scheme not in ("http", "https"):
        return [f"must be an http:// or https:// URL such as {example}"]
    if not parts.hostname:
        found.append(f"must name a host, as in {example}")
    elif ":" not in parts.hostname and ascii_name(parts.hostname) is None:
        found.append("its host is not a valid name")
    elif not parts.port:
        found.append(f"must name a port from 1 to 65535, as in {example}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        found.append("must be a URL without a path, query or #")
    return found


def master_secrets(value: str) -> tuple[Secret, ...]:
    """One or more secrets, newest first, each too long to guess."""
    masters = items(value)
    problems = []
    for number, master in enumerate(masters, start=1):
        if len(master) < _SHORTEST_MASTER:
            problems.append(f"secret {number} must have at least {_SHORTEST_MASTER} characters")
        if master in masters[: number - 1]:
            problems.append(f"secret {number} is also secret {masters.index(master) + 1}")
    if not masters:
        problems.append(f"must be a secret of at least {_SHORTEST_MASTER} characters")
    if problems:
        raise ManyProblems(problems)
    return tuple(Secret(master) for master in masters)


def api_keys(value: str) -> Mapping[str, str]:
    """`name:key,…` -> SHA-256 of the key (hex) to name; the keys themselves are not kept.

    A name may have several keys, for applications of their own or while one key replaces another.
    """
    names: dict[str, str] = {}
    numbers: dict[str, int] = {}
    problems: list[str] = []
    for number, item in enumerate(items(value), start=1):
        name, _, key = item.partition(":")
        found = _api_key_problems(name, key)
        digest = sha256(key.encode()).hexdigest()
        if key and (first := numbers.setdefault(digest, number)) != number:
            found.append(f"has the same key as entry {first}")
        problems += [f"{_entry(number, name, key)} {problem}" for problem in found]
        names[digest] = name
    if problems:
        raise ManyProblems(problems)
    if not names:
        raise ValueError("contains no key")
    return names


def _api_key_problems(name: str, key: str) -> list[str]:
    """Return what is wrong with one entry, without the key."""
    found = []
    if not _TENANT.fullmatch(name):
        found.append("must look like name:key, with a name of letters, digits, - _ .")
    elif not name.strip(".") or f"{name.lower()}/" in (INPUT_PREFIX, PROBE_PREFIX):
        # The name replaces {tenant} in object keys.
        found.append("has a name that cannot be part of an object key")
    if len(key) < _SHORTEST_API_KEY or not re.fullmatch(r"[!-~]*", key):
        found.append(f"needs a key of at least {_SHORTEST_API_KEY} ASCII characters, no blanks")
    return found


def _entry(number: int, name: str, key: str) -> str:
    """Return how to tell of an entry; what is as long as a key, or longer, may be one itself."""
    is_name = _TENANT.fullmatch(name) and len(name) < min(_SHORTEST_API_KEY, len(key) + 1)
    return f"entry {number} ({name})" if is_name else f"entry {number}"
