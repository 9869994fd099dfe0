"""Slots: how many tasks may be active at the provider at a time, and who gets the next one.

The provider allows an account so many active tasks, and fewer of some models, which count in both
(BFL API guide: 24, and 6 for flux-kontext-max). Each account is a pool. A slot is held from the
grant until the provider is done, which is longer than any task of ours runs; each holder has a
lease, so that a lost one does not keep its slot. Jobs wait in lanes, and a pool serves those lanes
whose jobs it may make. Freeing and granting is one step, in `core/redis/lua/prelude.lua`.
"""

from collections.abc import Sequence
from typing import Any, Final

from core.provider.accounts import Account

_COMMON: Final = "any"


def lane_of(model: str, region: str | None, accounts: Sequence[Account]) -> str:
    """Return the lane in which a job waits.

    All models share one, but for those that some account limits or does not serve; and jobs that
    are pinned to a region do not wait with others.
    """
    return _lane(model if model in _special_models(accounts) else _COMMON, region)


def pools(accounts: Sequence[Account]) -> list[dict[str, Any]]:
    """Return the pools as the scripts read them: name, limit, and lanes with their own limits."""
    return [
        {"name": account.name, "limit": account.slots.total, "lanes": _lanes(account, accounts)}
        for account in accounts
    ]


def _lanes(account: Account, accounts: Sequence[Account]) -> list[dict[str, Any]]:
    lanes: list[dict[str, Any]] = []
    for model in (_COMMON, *_special_models(accounts)):
        for region in dict.fromkeys((None, account.region)):
            # Models that some account names are not in the common lane.
            serves = account.models is None if model == _COMMON else account.serves(model, region)
            if serves:
                lane: dict[str, Any] = {"name": _lane(model, region)}
                if model in account.slots.by_model:
                    lane |= {"limit": account.slots.by_model[model], "model": model}
                lanes.append(lane)
    return lanes


def _special_models(accounts: Sequence[Account]) -> list[str]:
    """Return the models that are not the same to every account."""
    limited = {model for account in accounts for model in account.slots.by_model}
    named = {model for account in accounts for model in account.models or ()}
    return sorted(limited | named)


def _lane(model: str, region: str | None) -> str:
    return f"{model}@{region}" if region else model
