"""Which settings contradict each other; each pair by itself would be accepted.

Where a process does not read one of them, or it was refused already, nothing is compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.settings.variables import PREFIX


@dataclass(frozen=True, slots=True)
class _Order:
    """Two fields, the smaller value first, and what would happen the other way round."""

    low: str
    high: str
    consequence: str
    may_be_equal: bool = False


_ORDERS: Final = (
    _Order(
        "provider_timeout_seconds", "submit_in_doubt_seconds", "a slow submit would be repeated"
    ),
    _Order(
        "callback_timeout_seconds",
        "watch_seconds",
        "a slow receiver would be called twice at a time",
    ),
    _Order(
        "retry_base_seconds",
        "retry_max_seconds",
        "the first wait would be longer than the longest",
        may_be_equal=True,
    ),
    _Order(
        "callback_retry_base_seconds",
        "callback_give_up_seconds",
        "a callback would be given up before it is sent again",
        may_be_equal=True,
    ),
    _Order(
        "callback_timeout_seconds",
        "callback_give_up_seconds",
        "a callback would be given up during its first attempt",
        may_be_equal=True,
    ),
    _Order(
        "webhook_overdue_seconds",
        "job_deadline_seconds",
        "a job whose webhook is lost would time out before it is polled",
    ),
    _Order(
        "poll_interval_seconds", "job_deadline_seconds", "a job would time out before it is polled"
    ),
    _Order(
        "pool_pause_seconds",
        "max_retry_after_seconds",
        "an account would rest longer without Retry-After than with it",
        may_be_equal=True,
    ),
    _Order(
        "sweep_interval_seconds",
        "watch_seconds",
        "a step that lost its worker would wait for sweep longer than its lease lasts",
        may_be_equal=True,
    ),
    _Order(
        "sweep_interval_seconds",
        "slot_lease_seconds",
        "a slot would wait for sweep longer than its lease lasts",
        may_be_equal=True,
    ),
)


def contradictions(values: Mapping[str, Any]) -> list[str]:
    """Return what contradicts, one line each, with both variables and the remedy.

    Args:
        values: Field of the settings -> value; None if invalid, or meant for another process.
    """
    found = [_told(order) + _fix(order, values) for order in _ORDERS if _is_broken(order, values)]
    doubt = _Order(
        "submit_in_doubt_seconds",
        "job_deadline_seconds",
        "a job would time out before a submit in doubt is repeated",
    )
    if values["max_resubmits"] and _is_broken(doubt, values):
        found.append(f"{_told(doubt)}{_fix(doubt, values)}, or set FLUXRELAY_MAX_RESUBMITS=0")
    return found


def _is_broken(order: _Order, values: Mapping[str, Any]) -> bool:
    low, high = values[order.low], values[order.high]
    if low is None or high is None:
        return False
    return bool(low > high or (low == high and not order.may_be_equal))


def _told(order: _Order) -> str:
    required = "must be at least" if order.may_be_equal else "must be longer than"
    return f"{_variable(order.high)}: {required} {_variable(order.low)}, or {order.consequence}. "


def _fix(order: _Order, values: Mapping[str, Any]) -> str:
    low, high = (f"{values[name]:.12g}" for name in (order.low, order.high))
    return f"They are {high} and {low}: raise {_variable(order.high)} or lower the other"


def _variable(field: str) -> str:
    return PREFIX + field.upper()
