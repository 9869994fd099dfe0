"""Undocumented forms of results: unusable links and other JSON shapes."""

import secrets
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

#: The host of a foreign link, which nobody owns.
FOREIGN: Final = "https://images.example/sample.jpeg?sig=foreign"


def _dead(link: str) -> str:
    """Return a link with a wrong signature, which the host answers with 403."""
    head, _, tail = link.rpartition("sig=")
    return f"{head}sig=dead{tail[4:]}"


def _with_credentials(link: str) -> str:
    parts = urlsplit(link)
    return parts._replace(netloc=f"user:secret@{parts.netloc}").geturl()


#: Values of `sample`, by kind of defect.
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
#: Values of the whole result.
_RESULTS: Final[Mapping[str, Callable[[str], object]]] = {
    "samples": lambda link: {"samples": [link]},
    "text": lambda link: link,
    "null": lambda _link: None,
}
#: What is told of a draft's bundle; a result without one stays as it is.
_BUNDLES: Final[Mapping[str, Callable[[str], dict[str, object]]]] = {
    "bundle_list": lambda link: {"draft_caches": [link]},
    "dead_bundle": lambda link: {"draft_cache": _dead(link), "draft_caches": [_dead(link)]},
    "no_bundle": lambda _link: {},
}
KINDS: Final = (*_LINKS, *_RESULTS, *_BUNDLES)


def odd(result: object, kind: str) -> object:
    """Return a result in a fault's odd form; None if the task is not ready."""
    if not isinstance(result, dict):
        return result
    link = str(result["sample"])
    if kind in _BUNDLES:
        if "draft_cache" not in result:
            return result
        rest = {key: value for key, value in result.items() if not key.startswith("draft_")}
        return rest | _BUNDLES[kind](str(result["draft_cache"]))
    if kind in _RESULTS:
        return _RESULTS[kind](link)
    return {**result, "sample": _LINKS[kind](link)}
