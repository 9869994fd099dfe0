"""Slots: how many tasks may be active at the provider at a time, and who gets the next one.

The provider allows an account so many active tasks, and fewer of some models, which count in both
(BFL API guide: 24, and 6 for flux-kontext-max). A slot is held from the grant until the provider
is done, which is longer than any task of ours runs; each holder has a lease, so that a lost one
does not keep its slot. Jobs wait in lanes: one for every model with a limit of its own, one for
all others. Freeing and granting is one step, in `core/lua/prelude.lua`.
"""

from collections.abc import Mapping
from typing import Any, Final

from core.catalogue import Model
from core.parsing import SlotLimits

#: The pool of the account in `BFL_API_KEY`.
DEFAULT_POOL: Final = "default"
_COMMON_LANE: Final = "any"


def lane_of(model: str, limits: SlotLimits, models: Mapping[str, Model]) -> str:
    """Return the lane in which a job of this model waits.

    Args:
        model: The model's name.
        limits: The account's limits.
        models: The catalogue, which says whose limit it shares.
    """
    shared = models[model].lane if model in models else ""
    lane = shared or model
    return lane if lane in limits.by_model else _COMMON_LANE


def pools(limits: SlotLimits) -> list[dict[str, Any]]:
    """Return the pools as the scripts read them: name, limit, and lanes with their own limits."""
    lanes: list[dict[str, Any]] = [{"name": _COMMON_LANE}]
    lanes += [{"name": model, "limit": limit} for model, limit in limits.by_model.items()]
    return [{"name": DEFAULT_POOL, "limit": limits.total, "lanes": lanes}]
