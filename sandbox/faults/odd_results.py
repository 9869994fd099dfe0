"""Results told otherwise than documented: links that are no good, and other shapes."""

import secrets
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

#: Where a foreign link leads: a host that nobody has.
FOREIGN: Final = "https://images.example/sample.jpeg?sig=foreign"


def _dead(link: str) -> str:
    """Return a link whose signature is wrong, which the host answers with 403."""
    head, _, tail = link.rpartition("sig=")
    return f"{head}sig=dead{tail[4:]}"


def _with_credentials(link: str) -> str:
    parts = urlsplit(link)
    return parts._replace(netloc=f"user:secret@{parts.netloc}").geturl()


#: What is told as `sample`, by what is wrong with it.
_LINKS: Final[Mapping[str, Callable[[str], object]]] = {
    "dead": _dead,
    "foreign": lambda _link: FOREIGN,
    "malformed": lambda link: urlsplit(link).path,
    "userinfo": _with_credentials,
    "fresh": lambda link: f"{link}&fresh={secrets.token_hex(4)}",
    "list": lambda link: [link],
    "object": lambda link: {"url": link},
    "empty": lambda _link: "",
    "two": lambda link: [link, _dead(link)],
}
#: What is told as the whole result.
_RESULTS: Final[Mapping[str, Callable[[str], object]]] = {
    "samples": lambda link: {"samples": [link]},
    "text": lambda link: link,
    "null": lambda _link: None,
}
KINDS: Final = (*_LINKS, *_RESULTS)


def odd(result: object, kind: str) -> object:
    """Return a result as a fault has it told; what is not ready has none."""
    if not isinstance(result, dict):
        return result
    link = str(result["sample"])
    if kind in _RESULTS:
        return _RESULTS[kind](link)
    return {**result, "sample": _LINKS[kind](link)}
