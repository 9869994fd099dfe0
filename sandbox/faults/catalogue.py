"""The catalogue of faults: an entry of `FAULTS` is a fault's parameters and its effect."""

import math
from collections.abc import Mapping
from typing import Final

from sandbox.faults import false_webhooks, parameters
from sandbox.faults.behavior import AnswerPlan, PollPlan, SubmitPlan, WebhookPlan
from sandbox.faults.download_faults import OF_DOWNLOADS
from sandbox.faults.kinds import FaultKind
from sandbox.faults.odd_results import KINDS, odd
from sandbox.faults.parameters import SECONDS, SECONDS_MAX, STATUS, Parameter
from sandbox.refusals import RETRY_FORMS, SHAPES
from sandbox.statuses import Ending, Status

#: Maximum deliveries of one webhook.
COPIES_MAX: Final = 100
#: Maximum bytes that a fault may add to an answer.
SWELLING_MAX: Final = 50_000_000
#: Maximum zeros after an image, or in a video.
PADDING_MAX: Final = 2 * 1024**3
#: How the provider says that a submit made nothing because it has too much to do.
SHEDDING: Final = "The service is over capacity and temporarily shedding requests"
#: The image link in a forged webhook: an address that no service should be led to.
FORGED_SAMPLE: Final = "http://169.254.169.254/latest/meta-data/"
#: Statuses that a fault can end a task with.
ENDINGS: Final = (Status.REQUEST_MODERATED, Status.CONTENT_MODERATED, Status.ERROR)
ENDS: Final = (Status.READY, *ENDINGS)


def _refuse(plan: AnswerPlan, **answer: object) -> None:
    plan.refusal = answer


def _shed_submit(plan: SubmitPlan, retry_after: int | None) -> None:
    plan.refusal = {"status": 503, "body": {"detail": SHEDDING}, "retry_after": retry_after}


def _delay(plan: AnswerPlan, seconds: float) -> None:
    plan.wait = seconds


def _trickle(plan: AnswerPlan, seconds: float) -> None:
    plan.spread = seconds


def _cut_answer(plan: SubmitPlan, seconds: float) -> None:
    plan.cut, plan.cut_lead = True, seconds


def _fail_answer(plan: SubmitPlan, **answer: object) -> None:
    plan.failure = answer


def _odd_answer(plan: SubmitPlan, shape: str) -> None:
    plan.shape = shape


def _early_webhook(plan: SubmitPlan) -> None:
    plan.instant = True


def _route_submit(plan: SubmitPlan, region: str) -> None:
    plan.region = region


def _delay_generation(plan: SubmitPlan, seconds: float) -> None:
    plan.generation_wait = seconds


def _end_task(plan: SubmitPlan, status: str, details: object) -> None:
    told = details if isinstance(details, dict) else None
    plan.ending = Ending(Status(status), told)


def _hide_task(plan: PollPlan, seconds: float | None) -> None:
    plan.hidden = math.inf if seconds is None else seconds


def _odd_poll_status(plan: PollPlan, status: int) -> None:
    plan.status = status


def _error_poll(plan: PollPlan, text: str) -> None:
    plan.error = text


def _odd_poll_result(plan: PollPlan, kind: str) -> None:
    plan.odd = kind


def _redirect_poll(plan: PollPlan) -> None:
    plan.redirect = True


def _swell_poll(plan: PollPlan, size: int) -> None:
    plan.swelling = size


def _drop_webhook(plan: WebhookPlan) -> None:
    plan.copies = 0


def _duplicate_webhook(plan: WebhookPlan, copies: int) -> None:
    plan.copies = min(plan.copies, 1) * copies


def _delay_webhook(plan: WebhookPlan, seconds: float) -> None:
    plan.wait = seconds


def _reorder_webhook(plan: WebhookPlan, seconds: float) -> None:
    plan.yielding = seconds


def _unknown_status(plan: WebhookPlan, text: str) -> None:
    plan.delivery.body["status"] = text


def _no_result(plan: WebhookPlan) -> None:
    plan.delivery.body.pop("result", None)


def _odd_result(plan: WebhookPlan, kind: str) -> None:
    plan.delivery.body["result"] = odd(plan.delivery.body.get("result"), kind)


def _pad_picture(plan: SubmitPlan, **padding: int) -> None:
    plan.padding = padding["bytes"]


def _append_picture(plan: SubmitPlan, pictures: int) -> None:
    plan.pictures = 1 + pictures


_ANSWER: Final[Mapping[str, Parameter]] = {
    "status": STATUS,
    "body": Parameter(object),
    "retry_after": Parameter(int, 0, SECONDS_MAX),
    "retry_form": Parameter(str, options=RETRY_FORMS),
}
_SECONDS: Final[Mapping[str, Parameter]] = {"seconds": SECONDS}
_SECONDS_OR_NONE: Final = Parameter(float, 0, SECONDS_MAX)
_TEXT: Final = Parameter(str, required=True)
_ODD: Final = Parameter(str, required=True, options=KINDS)

_OF_SUBMITS: Final[Mapping[str, FaultKind]] = {
    "refuse_submit": FaultKind(SubmitPlan, _refuse, _ANSWER),
    "shed_submit": FaultKind(SubmitPlan, _shed_submit, {"retry_after": _ANSWER["retry_after"]}),
    "fail_answer": FaultKind(SubmitPlan, _fail_answer, _ANSWER),
    "odd_answer": FaultKind(
        SubmitPlan, _odd_answer, {"shape": Parameter(str, required=True, options=SHAPES)}
    ),
    "delay_answer": FaultKind(SubmitPlan, _delay, _SECONDS),
    "trickle_answer": FaultKind(SubmitPlan, _trickle, _SECONDS),
    "cut_answer": FaultKind(
        SubmitPlan, _cut_answer, {"seconds": Parameter(float, 0, SECONDS_MAX, default=0.0)}
    ),
    "early_webhook": FaultKind(SubmitPlan, _early_webhook),
    "route_submit": FaultKind(SubmitPlan, _route_submit, {"region": _TEXT}),
    "delay_generation": FaultKind(SubmitPlan, _delay_generation, _SECONDS),
    "end_task": FaultKind(
        SubmitPlan,
        _end_task,
        {
            "status": Parameter(str, required=True, options=ENDINGS),
            "details": Parameter(object),
        },
    ),
    "pad_picture": FaultKind(
        SubmitPlan, _pad_picture, {"bytes": Parameter(int, 1, PADDING_MAX, default=65_536)}
    ),
    "append_picture": FaultKind(
        SubmitPlan, _append_picture, {"pictures": Parameter(int, 1, 9, default=1)}
    ),
}
_OF_POLLS: Final[Mapping[str, FaultKind]] = {
    "hide_task": FaultKind(PollPlan, _hide_task, {"seconds": _SECONDS_OR_NONE}),
    "error_poll": FaultKind(
        PollPlan, _error_poll, {"text": parameters.text("Invalid or corrupted image input")}
    ),
    "odd_poll_status": FaultKind(PollPlan, _odd_poll_status, {"status": STATUS}),
    "refuse_poll": FaultKind(PollPlan, _refuse, _ANSWER),
    "delay_poll": FaultKind(PollPlan, _delay, _SECONDS),
    "trickle_poll": FaultKind(PollPlan, _trickle, _SECONDS),
    "odd_poll_result": FaultKind(PollPlan, _odd_poll_result, {"kind": _ODD}),
    "redirect_poll": FaultKind(PollPlan, _redirect_poll),
    "swell_poll": FaultKind(
        PollPlan, _swell_poll, {"size": Parameter(int, 1, SWELLING_MAX, default=5_000_000)}
    ),
}
_OF_WEBHOOKS: Final[Mapping[str, FaultKind]] = {
    "drop_webhook": FaultKind(WebhookPlan, _drop_webhook),
    "duplicate_webhook": FaultKind(
        WebhookPlan, _duplicate_webhook, {"copies": Parameter(int, 1, COPIES_MAX, default=2)}
    ),
    "delay_webhook": FaultKind(WebhookPlan, _delay_webhook, _SECONDS),
    "reorder_webhook": FaultKind(
        WebhookPlan, _reorder_webhook, {"seconds": Parameter(float, 0, SECONDS_MAX, default=5.0)}
    ),
    "forge_webhook": FaultKind(
        WebhookPlan,
        false_webhooks.forge,
        {"secret": parameters.text("forged-secret"), "sample": parameters.text(FORGED_SAMPLE)},
    ),
    "progress_webhook": FaultKind(
        WebhookPlan, false_webhooks.report_progress, {"text": parameters.text("processing")}
    ),
    "webhook_of_another_task": FaultKind(
        WebhookPlan,
        false_webhooks.tell_of_another_task,
        {"status": Parameter(str, default="Ready", options=ENDS)},
    ),
    "unknown_status": FaultKind(WebhookPlan, _unknown_status, {"text": _TEXT}),
    "no_result": FaultKind(WebhookPlan, _no_result),
    "odd_result": FaultKind(WebhookPlan, _odd_result, {"kind": _ODD}),
}
FAULTS: Final[Mapping[str, FaultKind]] = {
    **_OF_SUBMITS,
    **_OF_POLLS,
    **_OF_WEBHOOKS,
    **OF_DOWNLOADS,
}
