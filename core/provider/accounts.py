"""The provider accounts: host, slots, models and region of each.

A job uses the first account, in configured order, that has a free slot and serves its model. A job
pinned to a region only uses accounts of that region.
"""

import json
import string
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from core.provider.catalogue.entry import Model
from core.text_values import ManyProblems, SlotLimits, base_url, slot_limits

#: The account of `BFL_API_KEY`, if no others are configured.
DEFAULT_ACCOUNT: Final = "default"
_FIELDS: Final = ("name", "url", "region", "slots", "models", "poll_urls")
_MUST_BE: Final = f"must be an object with {', '.join(_FIELDS)}"
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

    def limit_of(self, model: str) -> str | None:
        """Return the model after which its limit is named, if it has one besides the total."""
        name = self.slots.shared.get(model, model)
        return name if name in self.slots.by_model else None

    def serves(self, model: str, region: str | None) -> bool:
        """Return whether it may run a job of this model, pinned to this region or to none."""
        return (self.models is None or model in self.models) and region in (None, self.region)

    @property
    def key_variable(self) -> str:
        """The environment variable that holds its API key."""
        if self.name == DEFAULT_ACCOUNT:
            return "BFL_API_KEY"
        return "BFL_API_KEY_" + self.name.upper().replace("-", "_")


def with_known_limits(account: Account, models: Collection[Model]) -> Account:
    """Return the account with the limits that the catalogue knows and its setting does not name.

    Args:
        account: As it is set.
        models: All known models.
    """
    limits: dict[str, int] = {}
    for model in models:
        name = model.lane or model.name
        if model.active_limit:
            limits[name] = min(model.active_limit, limits.get(name, account.slots.total))
    limits |= account.slots.by_model
    shared = {model.name: model.lane for model in models if model.lane in limits}
    return replace(account, slots=SlotLimits(account.slots.total, limits, shared))


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
    found: list[Account] = []
    problems: list[str] = []
    for number, entry in enumerate(entries, start=1):
        try:
            found.append(_account(entry))
            if found[-1].key_variable in {account.key_variable for account in found[:-1]}:
                raise ValueError("two accounts have the same name")  # noqa: TRY301 - beside the rest
        except ManyProblems as error:
            problems += [f"account {number}: {problem}" for problem in error.problems]
        except ValueError as error:
            problems.append(f"account {number}: {error}")
    if problems:
        raise ManyProblems(problems)
    return tuple(found)


def _account(entry: Any) -> Account:
    """Read one account; all mistakes in it are told at once."""
    if not isinstance(entry, dict):
        raise ManyProblems([_MUST_BE])
    problems: list[str] = []
    if unknown := sorted(set(entry) - set(_FIELDS)):
        problems.append(f"{_MUST_BE}, but has {', '.join(unknown)}")
    readers: dict[str, Callable[[], Any]] = {
        "name": lambda: _word(entry, "name") or "",
        "url": lambda: base_url(str(entry.get("url", "https://api.bfl.ai"))),
        "slots": lambda: slot_limits(str(entry.get("slots", "24,flux-kontext-max=6"))),
        "region": lambda: _word(entry, "region"),
        "models": lambda: _models(entry),
        "poll_urls": lambda: tuple(base_url(url) for url in _texts(entry, "poll_urls")),
    }
    values: dict[str, Any] = {}
    for name, read in readers.items():
        try:
            values[name] = read()
        except ManyProblems as error:
            problems += [f"{name} {problem}" for problem in error.problems]
        except ValueError as error:
            problems.append(f"{name} {error}")
    if problems:
        raise ManyProblems(problems)
    return Account(**values)


def _word(entry: Mapping[str, Any], name: str) -> str | None:
    word = entry.get(name)
    if word is None and name != "name":
        return None
    if not isinstance(word, str) or not word or set(word) - _NAME_CHARACTERS:
        raise ValueError("must consist of lower-case letters, digits and -")
    return word


def _models(entry: Mapping[str, Any]) -> frozenset[str] | None:
    return frozenset(_texts(entry, "models")) if "models" in entry else None


def _texts(entry: Mapping[str, Any], name: str) -> list[str]:
    texts = entry.get(name, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("must be an array of texts")
    return texts
