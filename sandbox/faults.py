"""The faults there are: an entry of `FAULTS` is a fault's parameters and what it changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sandbox.plans import DownloadPlan, SubmitPlan, WebhookPlan

#: Longest delay in seconds that a fault may ask for.
DELAY_MAX: Final = 3600
#: Deliveries of one webhook that a fault may ask for.
COPIES_MAX: Final = 100


@dataclass(frozen=True)
class Parameter:
    """One parameter of a fault: its type, and the least and most it may be."""

    kind: type
    least: float = 0
    most: float = 0
    default: object = None
    required: bool = False

    def accepts(self, value: object) -> bool:
        """Whether the value is of the type and within the bounds."""
        if self.kind is object:
            return True
        if self.kind is str:
            return isinstance(value, str)
        number = isinstance(value, int if self.kind is int else int | float)
        return (
            number and not isinstance(value, bool) and self.least <= float(str(value)) <= self.most
        )

    def describe(self) -> str:
        """Say what the parameter may be."""
        names: dict[type, str] = {object: "any JSON", str: "text", int: "whole number"}
        name = names.get(self.kind, "number")
        return name if self.kind in {object, str} else f"{name} {self.least} to {self.most}"


@dataclass(frozen=True)
class FaultKind:
    """What a fault is called, what it takes, and how it edits the plan it belongs to."""

    plan: type[SubmitPlan | WebhookPlan | DownloadPlan]
    #: Called with the plan and the parameters; the plan is of the type above.
    edit: Callable[..., None]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


_SECONDS: Final = Parameter(float, 0, DELAY_MAX, required=True)
_STATUS: Final = Parameter(int, 400, 599, required=True)


def _refuse_submit(plan: SubmitPlan, **parameters: object) -> None:
    plan.refusal = parameters


def _delay_answer(plan: SubmitPlan, seconds: float) -> None:
    plan.wait = seconds


def _cut_answer(plan: SubmitPlan) -> None:
    plan.cut = True


def _early_webhook(plan: SubmitPlan) -> None:
    plan.instant = True


def _drop_webhook(plan: WebhookPlan) -> None:
    plan.copies = 0


def _duplicate_webhook(plan: WebhookPlan, copies: int) -> None:
    plan.copies = min(plan.copies, 1) * copies


def _delay_webhook(plan: WebhookPlan, seconds: float) -> None:
    plan.wait = seconds


def _unknown_status(plan: WebhookPlan, text: str) -> None:
    plan.body["status"] = text


def _no_result(plan: WebhookPlan) -> None:
    plan.body.pop("result", None)


def _truncate_download(plan: DownloadPlan, fraction: float) -> None:
    plan.fraction = fraction


def _refuse_download(plan: DownloadPlan, status: int) -> None:
    plan.status = status


def _html_download(plan: DownloadPlan) -> None:
    plan.html = True


FAULTS: Final[Mapping[str, FaultKind]] = {
    "refuse_submit": FaultKind(
        SubmitPlan,
        _refuse_submit,
        {"status": _STATUS, "body": Parameter(object), "retry_after": Parameter(int, 0, DELAY_MAX)},
    ),
    "delay_answer": FaultKind(SubmitPlan, _delay_answer, {"seconds": _SECONDS}),
    "cut_answer": FaultKind(SubmitPlan, _cut_answer),
    "early_webhook": FaultKind(SubmitPlan, _early_webhook),
    "drop_webhook": FaultKind(WebhookPlan, _drop_webhook),
    "duplicate_webhook": FaultKind(
        WebhookPlan, _duplicate_webhook, {"copies": Parameter(int, 1, COPIES_MAX, default=2)}
    ),
    "delay_webhook": FaultKind(WebhookPlan, _delay_webhook, {"seconds": _SECONDS}),
    "unknown_status": FaultKind(
        WebhookPlan, _unknown_status, {"text": Parameter(str, required=True)}
    ),
    "no_result": FaultKind(WebhookPlan, _no_result),
    "truncate_download": FaultKind(
        DownloadPlan, _truncate_download, {"fraction": Parameter(float, 0, 0.99, default=0.5)}
    ),
    "refuse_download": FaultKind(DownloadPlan, _refuse_download, {"status": _STATUS}),
    "html_download": FaultKind(DownloadPlan, _html_download),
}
