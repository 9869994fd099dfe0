"""Slots: how many tasks may be active at the provider, and who gets the next one.

The provider limits the active tasks of an account, with a lower limit for some models, which may
share one; their tasks count towards both (BFL API guide: 24, and 6 for flux-kontext-max). Each
account is a pool. A slot is held from its grant until the provider is done, which is longer than
any of our tasks runs, so each slot has a lease: a lost holder cannot keep it. Jobs wait in lanes; a
pool serves the lanes whose jobs it can run. Freeing and granting are one step, in
`core/redis/lua/prelude.lua`.
"""

from collections.abc import Sequence
from typing import Any, Final

from core.provider.accounts import Account

_COMMON: Final = "any"


def lane_of(model: str, region: str | None, accounts: Sequence[Account]) -> str:
    """Return the lane in which a job waits.

    All models share one lane, except models that some account limits or does not serve. Models with
    a common limit share a lane as well, if the same accounts serve them. Jobs pinned to a region
    have lanes of their own.
    """
    special, shared = _special_models(accounts), _shared_limits(accounts)
    names = (model, shared.get(model, model))
    return _lane(next((name for name in names if name in special), _COMMON), region)


def pools(accounts: Sequence[Account]) -> list[dict[str, Any]]:
    """Return the pools as the scripts read them: name, limit, and lanes with their limits."""
    return [
        {"name": account.name, "limit": account.slots.total, "lanes": _lanes(account, accounts)}
        for account in accounts
    ]


def _lanes(account: Account, accounts: Sequence[Account]) -> list[dict[str, Any]]:
    lanes: list[dict[str, Any]] = []
    for model in (_COMMON, *_special_models(accounts)):
        for region in dict.fromkeys((None, account.region)):
            # Models named by any account are not in the common lane.
            serves = account.models is None if model == _COMMON else account.serves(model, region)
            if serves:
                lane: dict[str, Any] = {"name": _lane(model, region)}
                if limit := account.limit_of(model):
                    lane |= {"limit": account.slots.by_model[limit], "model": limit}
                lanes.append(lane)
    return lanes


def _special_models(accounts: Sequence[Account]) -> list[str]:
    """Return the models after which lanes are named: those that accounts treat differently."""
    limited = {model for account in accounts for model in account.slots.by_model}
    named = {model for account in accounts for model in account.models or ()}
    # An account may serve some of the models that share a limit, and not the others.
    apart = {model for model, limit in _shared_limits(accounts).items() if limit in named}
    return sorted(limited | named | apart)


def _shared_limits(accounts: Sequence[Account]) -> dict[str, str]:
    return {model: limit for account in accounts for model, limit in account.slots.shared.items()}


def _lane(model: str, region: str | None) -> str:
    return f"{model}@{region}" if region else model
