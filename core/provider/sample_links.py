"""Finds the links in the provider's results, and describes unusable results.

The image or video is documented as the string `result.sample`. Proxies and other API versions have
been seen to send other shapes, so any shape that contains exactly one link is accepted.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.provider.catalogue.entry import BUNDLE_ROLE

#: Keys that may hold the link to the image or video; others are ignored.
_NAMES: Final = (
    *("sample", "samples", "url", "urls", "image", "images", "image_url", "image_urls"),
    *("output", "outputs", "file", "files", "video", "videos", "video_url", "video_urls"),
)
#: Keys that may hold the link to a draft's bundle.
_BUNDLES: Final = ("draft_cache", "draft_caches")
_MOST_BUNDLES: Final = 8
_LINK: Final = re.compile(r"https?://", re.IGNORECASE)
_LONGEST_LINK: Final = 16_384  # characters
_DEEPEST: Final = 4
_MOST_SHOWN: Final = 8  # keys or items
_LONGEST_SHAPE: Final = 300  # characters
_KEY: Final = re.compile(r"[A-Za-z0-9_ .-]{1,40}")
#: Longest JSON of the provider's details that is kept whole, and longest entry kept beyond that; in
#: characters.
_KEPT: Final = 4096
_KEPT_ENTRY: Final = 500
_TYPES: Final = {str: "str", bool: "bool", int: "int", float: "float", type(None): "null"}


def link_of(body: Mapping[str, Any]) -> str | None:
    """Return the link of a result's image or video; None if there is none, or more than one.

    Args:
        body: A webhook body or a `get_result` response.
    """
    result = body.get("result") or {name: body.get(name) for name in ("sample", "samples")}
    sample = result_of(body).get("sample")
    stated = sample.strip() if isinstance(sample, str) and len(sample) <= _LONGEST_LINK else ""
    links = {stated} if _LINK.match(stated) else set(_links(result))
    if len(links) == 1:
        return links.pop()
    # Not a URL: the result exists, and the provider must be asked for it again.
    return stated or None


def more_links_of(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the links of a result's further files by their role.

    A second bundle of a draft, which no document rules out, has the role `draft_cache_2`.
    """
    result = result_of(body)
    values = [result.get(name) for name in _BUNDLES]
    links = list(dict.fromkeys(link for value in values for link in _links(value, any_name=True)))
    roles = [BUNDLE_ROLE, *(f"{BUNDLE_ROLE}_{number}" for number in range(2, _MOST_BUNDLES + 1))]
    return dict(zip(roles, links, strict=False))


def result_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the result object, unwrapping a list of one; empty if there is none."""
    result = body.get("result")
    if isinstance(result, list) and len(result) == 1:
        result = result[0]
    return result if isinstance(result, Mapping) else {}


def _links(value: Any, depth: int = 0, *, any_name: bool = False) -> Iterator[str]:
    """Yield all links under keys that may hold a result's link, or under any."""
    if isinstance(value, str) and len(value) <= _LONGEST_LINK and _LINK.match(value.strip()):
        yield value.strip()
    elif depth == _DEEPEST:
        return
    elif isinstance(value, list):
        for item in value:
            yield from _links(item, depth + 1, any_name=any_name)
    elif isinstance(value, Mapping):
        for name in value if any_name else _NAMES:
            yield from _links(value.get(name), depth + 1, any_name=any_name)


def shape_of(body: Mapping[str, Any]) -> str:
    """Describe a result by keys and types alone, without values: `{"sample": ["str", "str"]}`."""
    return json.dumps(_shape(body.get("result")))[:_LONGEST_SHAPE]


def _shape(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str | int | float | None):
        return _TYPES[type(value)] if value != "" else "empty str"
    if depth == _DEEPEST:
        return "..."
    if isinstance(value, list):
        more = ["..."] if len(value) > _MOST_SHOWN else []
        return [_shape(item, depth + 1) for item in value[:_MOST_SHOWN]] + more
    shown = list(value.items())[:_MOST_SHOWN]
    shape = {key if _KEY.fullmatch(key) else "?": _shape(item, depth + 1) for key, item in shown}
    return shape | ({"...": "..."} if len(value) > _MOST_SHOWN else {})


def bounded(details: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the provider's details, truncated if they are too large to keep."""
    try:
        if details is None or len(json.dumps(details)) <= _KEPT:
            return details
    except RecursionError:
        return {"error": "nested too deeply to be shown"}
    kept: dict[str, Any] = {}
    for key, value in details.items():
        text = value if isinstance(value, str) else json.dumps(value)
        short = value if len(text) <= _KEPT_ENTRY else f"{text[:_KEPT_ENTRY]}..."
        if len(json.dumps(kept | {key[:_KEPT_ENTRY]: short})) > _KEPT:
            break
        kept[key[:_KEPT_ENTRY]] = short
    return kept
