"""The provider accounts: host, slots, models and region of each.

A job uses the first account, in configured order, that has a free slot and serves its model. A job
pinned to a region only uses accounts of that region.
"""

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.text_values import SlotLimits, base_url, slot_limits

#: The account of `BFL_API_KEY`, if no others are configured.
DEFAULT_ACCOUNT: Final = "default"
_FIELDS: Final = ("name", "url", "region", "slots", "models", "poll_urls")
_NAME_CHARACTERS: Final = frozenset(string.ascii_lowercase + string.digits + "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account on one host."""

    name: str
    #: The API's base URL.
    url: str
    slots: SlotLimits
    #: The region in which it keeps data; None if the host may choose.
    region: str | None = None
    #: The models it serves; None for all.
    models: frozenset[str] | None = None
    #: Further hosts of the same account that may know a task.
    poll_urls: tuple[str, ...] = ()

    def serves(self, model: str, region: str | None) -> bool:
        """Return whether it may run a job of this model, pinned to this region or to none."""
        return (self.models is None or model in self.models) and region in (None, self.region)

    @property
    def key_variable(self) -> str:
        """The environment variable that holds its API key."""
        if self.name == DEFAULT_ACCOUNT:
            return "BFL_API_KEY"
        return "BFL_API_KEY_" + self.name.upper().replace("-", "_")


def accounts(value: str) -> tuple[Account, ...]:
    """Parse `FLUXRELAY_ACCOUNTS`: a JSON array of objects.

    Raises:
        ValueError: It is invalid; the message says where.
    """
    try:
        entries = json.loads(value)
    except ValueError:
        raise ValueError("must be a JSON array of accounts") from None
    if not isinstance(entries, list) or not entries:
        raise ValueError("must be a JSON array of at least one account")
    found = tuple(_account(number, entry) for number, entry in enumerate(entries, start=1))
    variables = [account.key_variable for account in found]
    if len(set(variables)) != len(variables):
        raise ValueError("two accounts have the same name")
    return found


def _account(number: int, entry: Any) -> Account:
    if not isinstance(entry, dict) or set(entry) - set(_FIELDS):
        raise ValueError(f"account {number} must be an object with {', '.join(_FIELDS)}")
    try:
        return Account(
            name=_word(entry, "name") or "",
            url=base_url(str(entry.get("url", "https://api.bfl.ai"))),
            slots=slot_limits(str(entry.get("slots", "24,flux-kontext-max=6"))),
            region=_word(entry, "region"),
            models=_models(entry),
            poll_urls=tuple(base_url(url) for url in _texts(entry, "poll_urls")),
        )
    except ValueError as error:
        raise ValueError(f"account {number}: {error}") from None


def _word(entry: Mapping[str, Any], name: str) -> str | None:
    word = entry.get(name)
    if word is None and name != "name":
        return None
    if not isinstance(word, str) or not word or set(word) - _NAME_CHARACTERS:
        raise ValueError(f"{name} must consist of lower-case letters, digits and -")
    return word


def _models(entry: Mapping[str, Any]) -> frozenset[str] | None:
    return frozenset(_texts(entry, "models")) if "models" in entry else None


def _texts(entry: Mapping[str, Any], name: str) -> list[str]:
    texts = entry.get(name, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} must be an array of texts")
    return texts
