"""Parses the text of settings; a `ValueError` states what is allowed.

No message repeats the text of a secret.
"""

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_network
from urllib.parse import SplitResult, parse_qsl, urlsplit

from core.security.address_rules import Network
from core.security.host_names import ascii_name
from core.storage.object_keys import INPUT_PREFIX, PROBE_PREFIX, template_problem

#: Most resubmits of a job after doubtful submits; each may be paid for.
MOST_RESUBMITS = 3
#: Seconds (ten years); low enough that Redis can represent sums in milliseconds.
LONGEST_DURATION = 315_360_000
_SHORTEST_MASTER = 32  # characters
_SHORTEST_API_KEY = 16  # characters
#: S3 user guide, bucket naming rules, as the SDK checks them; other servers allow capitals.
_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,63}")
#: Allowed options of a Redis URL; others of redis-py would change how replies are read.
_REDIS_OPTIONS = (
    "db", "username", "password", "client_name", "socket_timeout", "socket_connect_timeout",
    "socket_keepalive", "health_check_interval",
)  # fmt: skip


#: Value of a proxy setting: use the proxy variables of the environment.
ENVIRONMENT = "environment"


class ManyProblems(ValueError):
    """A value with several problems.

    Args:
        problems: All problems, one line each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Secret:
    """A text that is not shown in logs, tracebacks or pages."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """Most active tasks: in total, and per model (which count towards both)."""

    total: int
    by_model: Mapping[str, int] = field(default_factory=dict)


def names(value: str) -> tuple[str, ...]:
    """Comma-separated names."""
    return tuple(_items(value))


def secret(value: str) -> Secret:
    """A secret; it is sent in an HTTP header, which limits its characters."""
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be printable ASCII characters in one line")
    return Secret(value)


def base_url(value: str) -> str:
    """An http(s) URL with a host and without query; trailing slashes are dropped."""
    parts = _url_parts(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http:// or https:// URL with a host and no query")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user name or password")
    return value.rstrip("/")


def base_urls(value: str) -> tuple[str, ...]:
    """Comma-separated URLs."""
    return tuple(base_url(item) for item in _items(value))


def redis_url(value: str) -> Secret:
    """A Redis URL; hidden because it may contain a password."""
    parts = _url_parts(value)
    is_socket = parts.scheme == "unix"
    place = parts.path if is_socket else parts.hostname
    if parts.scheme not in ("redis", "rediss", "unix") or not place:
        raise ValueError("must be a redis://, rediss:// or unix:// URL")
    if parts.fragment or "#" in value:
        raise ValueError("must not contain #; in a password write %23")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if any(name not in _REDIS_OPTIONS and not name.startswith("ssl_") for name in options):
        raise ValueError(f"allowed options are ssl_... and {', '.join(_REDIS_OPTIONS)}")
    database = "" if is_socket else parts.path.removeprefix("/")
    numbers = {text for text in (database, options.get("db", "")) if text}
    if any(not (text.isascii() and text.isdigit()) for text in numbers) or len(numbers) > 1:
        raise ValueError("the database must be one number, as in redis://host:6379/0")
    if parts.port == 0:
        raise ValueError("the port must not be 0")
    has_password = parts.password or options.get("password")
    if (parts.username or options.get("username")) and not has_password:
        raise ValueError("has a user name without password; without user: redis://:password@host")
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
        parts = _url_parts(value)
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


def whole_number(value: str) -> int:
    """Digits alone: not 1e6, 1_000 or 2.0, which one program reads and the next one does not."""
    if not (value.isascii() and value.isdigit()):
        raise ValueError("must be a whole number, in digits alone")
    return int(value)


def slot_limits(value: str) -> SlotLimits:
    """`24,flux-kontext-max=6`: the total first, then models."""
    total, *others = _items(value) or [""]
    pairs = (item.partition("=") for item in others)
    try:
        limits = {model.strip(): whole_number(count.strip()) for model, _, count in pairs}
        limits_ok = all(count > 0 and model for model, count in limits.items())
        if not limits_ok or whole_number(total) < 1:
            raise ValueError  # noqa: TRY301 - one message for all mistakes
    except ValueError:
        raise ValueError("must look like 24,flux-kontext-max=6 with numbers above 0") from None
    return SlotLimits(whole_number(total), limits)


def host_suffixes(value: str) -> tuple[str, ...]:
    """Comma-separated hosts; a leading dot means every host below."""
    hosts = tuple(item.lower() for item in _items(value))
    for host in hosts:
        name = host.removeprefix(".")
        if ascii_name(name) != name or name.endswith("."):
            allowed = "host names such as delivery.bfl.ai, or .bfl.ai for all below it"
            raise ValueError(f"must be {allowed}, without a scheme, a port or a *")
    return hosts


def master_secrets(value: str) -> tuple[Secret, ...]:
    """One or more secrets, newest first, each too long to guess."""
    masters = _items(value)
    if not masters or any(len(master) < _SHORTEST_MASTER for master in masters):
        raise ValueError(f"each secret must have at least {_SHORTEST_MASTER} characters")
    return tuple(Secret(master) for master in masters)


def api_keys(value: str) -> Mapping[str, str]:
    """`name:key,…` -> SHA-256 of the key (hex) to name; the keys themselves are not kept.

    A name may have two keys, so that a caller can switch from one to the other.
    """
    names: dict[str, str] = {}
    for number, item in enumerate(_items(value), start=1):
        name, _, key = item.partition(":")
        allowed = string.ascii_letters + string.digits + "-_."
        if not name or set(name) - set(allowed):
            raise ValueError("must look like name:key,name:key; names of letters, digits, - _ .")
        if not name.strip(".") or f"{name.lower()}/" in (INPUT_PREFIX, PROBE_PREFIX):
            # The name replaces {tenant} in object keys.
            raise ValueError(f"the name of key {number} cannot be part of an object key")
        if len(key) < _SHORTEST_API_KEY or not key.isascii():
            raise ValueError(
                f"key {number} must have at least {_SHORTEST_API_KEY} ASCII characters"
            )
        digest = sha256(key.encode()).hexdigest()
        if names.get(digest, name) != name:
            raise ValueError(f"key {number} is also given to another name")
        names[digest] = name
    if not names:
        raise ValueError("contains no key")
    return names


def bucket(value: str) -> str:
    """A bucket's name."""
    if not _BUCKET.fullmatch(value):
        raise ValueError("must be 3 to 63 letters, digits, dots, hyphens or underscores")
    return value


def key_template(value: str) -> str:
    """A key template that gives every job its own key."""
    problem = template_problem(value)
    if problem:
        raise ValueError(problem)
    if "job_id" not in [part[1] for part in string.Formatter().parse(value)]:
        raise ValueError("must contain {job_id}, or jobs would share a key")
    return value


def resubmits(value: str) -> int:
    """A whole number from 0 to the most allowed resubmits."""
    if value not in {str(count) for count in range(MOST_RESUBMITS + 1)}:
        raise ValueError(f"must be a whole number from 0 to {MOST_RESUBMITS}")
    return int(value)


def networks(value: str) -> tuple[Network, ...]:
    """Comma-separated CIDR networks."""
    try:
        return tuple(ip_network(item) for item in _items(value))
    except ValueError:
        raise ValueError("must be networks such as 10.0.0.0/8,fd00::/8") from None


def _items(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _url_parts(value: str) -> SplitResult:
    """Split a URL; error messages do not repeat it, because it may contain a password."""
    try:
        parts = urlsplit(value)
        _ = parts.port  # validated on access
    except ValueError:
        raise ValueError("is not a URL; a password in it must be percent-encoded") from None
    return parts
