"""Parses the text of settings; a `ValueError` states what is allowed.

No message repeats the text of a secret.
"""

import errno
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from core.security.address_rules import Network
from core.security.host_names import ascii_name
from core.storage.object_keys import template_problem

#: Most resubmits of a job after doubtful submits; each may be paid for.
MOST_RESUBMITS = 3
#: Seconds (ten years); low enough that Redis can represent sums in milliseconds.
LONGEST_DURATION = 315_360_000
#: Keys of metadata by whose values jobs can be listed.
MOST_INDEXED_KEYS = 8
_METADATA_KEY = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: S3 user guide, bucket naming rules, as the SDK checks them; other servers allow capitals.
_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,63}")
_SLOTS = "must look like 24,flux-kontext-max=6 with numbers above 0"
_Value = TypeVar("_Value")


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
    #: Model -> the model of `by_model` whose limit it shares.
    shared: Mapping[str, str] = field(default_factory=dict)


def names(value: str) -> tuple[str, ...]:
    """Comma-separated names."""
    return tuple(items(value))


def metadata_keys(value: str) -> tuple[str, ...]:
    """Comma-separated keys of metadata, by whose values jobs can be listed."""
    keys = tuple(dict.fromkeys(_each(items(value), _metadata_key)))
    if len(keys) > MOST_INDEXED_KEYS:
        raise ValueError(f"must be at most {MOST_INDEXED_KEYS} keys: each costs memory per job")
    return keys


def _metadata_key(item: str) -> str:
    if not _METADATA_KEY.fullmatch(item):
        raise ValueError("must be 1 to 64 letters, digits, dots, hyphens or underscores")
    return item


def secret(value: str) -> Secret:
    """A secret; it is sent in an HTTP header, which limits its characters."""
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be printable ASCII characters in one line")
    return Secret(value)


def base_url(value: str) -> str:
    """An http(s) URL with a host and without query; trailing slashes are dropped."""
    parts = url_parts(value)
    problems = []
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        problems.append("must not contain a blank, a line break or a control character")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        problems.append("must be an http:// or https:// URL with a host and no query")
    elif ":" not in parts.hostname and ascii_name(parts.hostname) is None:
        problems.append("its host is not a valid name")
    if parts.port == 0:
        problems.append("the port must not be 0")
    if "@" in parts.netloc:
        problems.append("must not contain a user name or password")
    if problems:
        raise ManyProblems(problems)
    return value.rstrip("/")


def base_urls(value: str) -> tuple[str, ...]:
    """Comma-separated URLs."""
    return _each(items(value), base_url)


def whole_number(value: str) -> int:
    """Digits alone: not 1e6, 1_000 or 2.0, which one program reads and the next one does not."""
    if not (value.isascii() and value.isdigit()):
        raise ValueError("must be a whole number, in digits alone")
    return int(value)


def slot_limits(value: str) -> SlotLimits:
    """`24,flux-kontext-max=6`: the total first, then models."""
    first, *others = items(value) or [""]
    total, limits, problems = _positive(first), dict[str, int](), list[str]()
    if not total:
        problems.append(f"{_SLOTS}: entry 1 is no total")
    for number, item in enumerate(others, start=2):
        model, _, text = (part.strip() for part in item.partition("="))
        count = _positive(text)
        if not model or not count:
            problems.append(f"{_SLOTS}: entry {number} is no model=number")
        elif total and count > total:
            problems.append(f"entry {number} allows {model} more than the total, {total}")
        elif model in limits:
            problems.append(f"entry {number} limits {model} again")
        else:
            limits[model] = count
    if problems:
        raise ManyProblems(problems)
    return SlotLimits(total, limits)


def _positive(text: str) -> int:
    """Return a whole number above 0; 0 if the text is anything else."""
    try:
        return whole_number(text)
    except ValueError:
        return 0


def host_suffixes(value: str) -> tuple[str, ...]:
    """Comma-separated hosts; a leading dot means every host below."""
    return _each(items(value), _host_suffix)


def _host_suffix(item: str) -> str:
    host = item.lower()
    name = host.removeprefix(".")
    if ascii_name(name) != name or name.endswith("."):
        allowed = "a host name such as delivery.bfl.ai, or .bfl.ai for all below it"
        raise ValueError(f"must be {allowed}, without a scheme, a port or a *")
    return host


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
    return _each(items(value), _network)


def _network(item: str) -> Network:
    try:
        return ip_network(item)
    except ValueError:
        pass
    try:
        meant = f"; write {ip_network(item, strict=False)}"  # bits beside the network's
    except ValueError:
        meant = ""
    raise ValueError(f"must be a network such as 10.0.0.0/8 or fd00::/8{meant}")


def _each(items: Sequence[str], read: Callable[[str], _Value]) -> tuple[_Value, ...]:
    """Read the items of a list; all problems are told, with the number where there are several."""
    values, problems = list[_Value](), list[str]()
    for number, item in enumerate(items, start=1):
        start = f"entry {number} " if len(items) > 1 else ""
        try:
            values.append(read(item))
        except ManyProblems as error:
            problems += [f"{start}{problem}" for problem in error.problems]
        except ValueError as error:
            problems.append(f"{start}{error}")
    if problems:
        raise ManyProblems(problems)
    return tuple(values)


def file_text(path: str, longest: int) -> str:
    """Return a file's text, without a byte order mark, as some editors write it.

    Raises:
        OSError: It cannot be read, or should not: reading a pipe waits for its writer, and a device
            may never end.
        UnicodeDecodeError: It is no text in UTF-8.
    """
    file = regular_file(path)
    with file.open("rb") as opened:
        raw = opened.read(longest + 1)
    if len(raw) > longest:
        raise OSError(errno.EFBIG, f"larger than {longest} bytes")
    return raw.decode("utf-8-sig")


def regular_file(path: str) -> Path:
    """Return the path of a file that can be opened without waiting.

    Raises:
        OSError: It is a pipe, a device, a folder or the like.
    """
    file = Path(path)
    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "not a regular file")
    return file


def in_quotes(value: str) -> bool:
    """Return whether a value is in quotes, which a shell takes off and an env file may not."""
    return len(value) > 1 and value[0] == value[-1] and value[0] in "'\""


def items(value: str) -> list[str]:
    """Return the items of a comma-separated list that are not blank."""
    return [item.strip() for item in value.split(",") if item.strip()]


def url_parts(value: str) -> SplitResult:
    """Split a URL; error messages do not repeat it, because it may contain a password.

    Raises:
        ValueError: It is no URL.
    """
    try:
        parts = urlsplit(value)
        _ = parts.port  # validated on access
    except ValueError:
        raise ValueError("is not a URL; a password in it must be percent-encoded") from None
    return parts
