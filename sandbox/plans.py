"""How a submit, a webhook and a download go; a plan starts out well-behaved and faults edit it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class SubmitPlan:
    """How a submit is answered. `wait` is in seconds, after the task was made."""

    refusal: Mapping[str, object] | None = None
    wait: float = 0.0
    cut: bool = False
    instant: bool = False


@dataclass
class WebhookPlan:
    """How a webhook is delivered. `wait` is in seconds, before the first attempt."""

    body: dict[str, object]
    copies: int = 1
    wait: float = 0.0


@dataclass
class DownloadPlan:
    """How a picture is handed out. `fraction` of it comes before the connection breaks."""

    status: int = 200
    html: bool = False
    fraction: float = 1.0
