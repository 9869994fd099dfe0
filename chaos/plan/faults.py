"""What may befall a job at the provider, as faults of the sandbox (see its README)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.plan.time_scale import DOUBT, SUBMIT_TIMEOUT

_AWAY: Final = 503
_Faults = Mapping[str, Mapping[str, Any]]

#: Longer than the provider may take to answer.
_TOO_LATE: Final = SUBMIT_TIMEOUT + 1.5
#: Longer than a doubt lasts: the submit is repeated although the first one was made.
_PAST_DOUBT: Final = DOUBT * 2.5


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble.

    Attributes:
        group: A job gets at most one of each group.
        always: Faults for every task of the job; they name no prompt and no `times` yet.
        once: Faults that are over after `times`, as one that never ends would let no job through.
        most: The most that `times` may be.
        ends: The failure that the job must end with; None: it must succeed all the same.
        weight: How often it is drawn, compared with the others.
        lead: Seconds after the request was cut off at which the task is made.
        unnamed: The provider says yes and does not name the task: only its webhook can.
    """

    group: str
    always: _Faults = field(default_factory=dict)
    once: _Faults = field(default_factory=dict)
    most: int = 1
    ends: str | None = None
    weight: float = 1.0
    lead: float = 0.0
    unnamed: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether it leaves open if the provider took a submit."""
        refused = self.once.get("refuse_submit", {})
        broken = any(name.endswith("_answer") and name != "odd_answer" for name in self.once)
        return broken or refused == {"status": _AWAY}


_SHED: Final = "The model is over capacity and temporarily shedding requests"

_WEBHOOK: Final = {
    "webhook-dropped": Trouble("webhook", {"drop_webhook": {}}, weight=2),
    "webhook-doubled": Trouble("webhook", {"duplicate_webhook": {"copies": 3}}, weight=2),
    "webhook-late": Trouble("webhook", {"delay_webhook": {"seconds": _TOO_LATE}}, weight=2),
    "webhook-reordered": Trouble("webhook", {"reorder_webhook": {"seconds": 3}}, weight=2),
    "webhook-early": Trouble("webhook", {"early_webhook": {}}, weight=2),
    "webhook-forged": Trouble("webhook", {"forge_webhook": {"secret": "forged-secret"}}, weight=2),
    "webhook-unsigned": Trouble("webhook", {"forge_webhook": {"secret": ""}}),
    "webhook-progress": Trouble("webhook", {"progress_webhook": {}}),
    "webhook-unknown": Trouble("webhook", {"unknown_status": {"text": "Brewing"}}),
    "webhook-empty": Trouble("webhook", {"no_result": {}}),
    "task-hidden": Trouble("webhook", {"hide_task": {"seconds": 6}, "drop_webhook": {}}),
    "poll-refused": Trouble(
        "webhook", {"drop_webhook": {}}, {"refuse_poll": {"status": 503}}, most=2
    ),
}
#: Results that are told under a bad link, or otherwise than documented; all must be stored.
_ODD: Final = {
    **{
        f"link-{kind}": Trouble("webhook", {"odd_result": {"kind": kind}}, weight=0.5)
        for kind in ("dead", "foreign", "malformed", "userinfo", "list", "empty")
    },
    "link-fresh": Trouble(
        "webhook", {"odd_result": {"kind": "dead"}, "odd_poll_result": {"kind": "fresh"}}
    ),
    "poll-listed": Trouble(
        "webhook", {"drop_webhook": {}, "odd_poll_result": {"kind": "list"}}, weight=0.5
    ),
    "poll-unusable": Trouble(
        "webhook", {"drop_webhook": {}}, {"odd_poll_result": {"kind": "two"}}, most=2, weight=0.5
    ),
    "poll-redirected": Trouble(
        "webhook", {"drop_webhook": {}}, {"redirect_poll": {}}, most=2, weight=0.5
    ),
}
_SUBMIT: Final = {
    "answer-cut": Trouble("submit", once={"cut_answer": {}}),
    "made-after-cut": Trouble("submit", once={"cut_answer": {"seconds": 1.5}}, lead=1.5),
    "answer-late": Trouble("submit", once={"delay_answer": {"seconds": _TOO_LATE}}),
    "answer-trickled": Trouble(
        "submit", once={"trickle_answer": {"seconds": _TOO_LATE}}, unnamed=True
    ),
    "answer-numbered": Trouble("submit", once={"odd_answer": {"shape": "number_id"}}),
    "answer-by-url": Trouble("submit", once={"odd_answer": {"shape": "polling_url"}}),
    "answer-elsewhere": Trouble("submit", once={"odd_answer": {"shape": "foreign_url"}}),
    "submit-shed": Trouble(
        "submit", once={"refuse_submit": {"status": _AWAY, "body": {"detail": _SHED}}}, most=2
    ),
    "answer-failed": Trouble("submit", once={"fail_answer": {"status": 502}}),
    "submit-refused": Trouble("submit", once={"refuse_submit": {"status": _AWAY}}, weight=0.5),
    "submit-busy": Trouble("submit", once={"refuse_submit": {"status": 429}}, most=2),
}
#: These have the webhook come late, or need it, so they leave no room for another trouble with it.
_DOUBT: Final = {
    "answer-unnamed": Trouble(
        "webhook", once={"odd_answer": {"shape": "nothing"}}, unnamed=True, weight=0.5
    ),
    "answer-a-page": Trouble(
        "webhook", once={"odd_answer": {"shape": "html"}}, unnamed=True, weight=0.5
    ),
    "cut-and-silent": Trouble(
        "webhook", {"delay_webhook": {"seconds": _PAST_DOUBT}}, {"cut_answer": {}}
    ),
    "late-and-silent": Trouble(
        "webhook",
        {"delay_webhook": {"seconds": _PAST_DOUBT}},
        {"delay_answer": {"seconds": _TOO_LATE}},
        weight=0.5,
    ),
}
_DOWNLOAD: Final = {
    "download-truncated": Trouble("download", once={"truncate_download": {}}, most=2),
    "download-corrupt": Trouble("download", once={"corrupt_download": {}}, most=2),
    "download-stalled": Trouble("download", once={"stall_download": {"seconds": 3}}),
    "download-slow": Trouble("download", once={"trickle_download": {"seconds": 4}}),
    "download-html": Trouble("download", once={"html_download": {}}, most=2),
    "download-refused": Trouble("download", once={"refuse_download": {"status": 503}}, most=2),
    "download-redirected": Trouble("download", once={"redirect_download": {"hops": 5}}, most=3),
    "download-gzipped": Trouble("download", once={"encode_download": {}}, most=2),
    "download-encoded": Trouble("download", once={"encode_download": {"encoding": "br"}}),
    "picture-padded": Trouble("download", {"pad_picture": {"bytes": 5000}}),
    "picture-followed": Trouble("download", {"append_picture": {}}),
    "download-missing": Trouble("download", once={"refuse_download": {"status": 404}}),
}
_ENDING: Final = {
    "slow": Trouble("ending", {"delay_generation": {"seconds": 3}}),
    "request-moderated": Trouble(
        "ending", {"end_task": {"status": "Request Moderated"}}, ends="request_moderated"
    ),
    "content-moderated": Trouble(
        "ending", {"end_task": {"status": "Content Moderated"}}, ends="content_moderated"
    ),
    "task-failed": Trouble("ending", {"end_task": {"status": "Error"}}, ends="provider_error"),
    "rejected": Trouble("ending", {"refuse_submit": {"status": 400}}, ends="provider_rejected"),
}
TROUBLES: Final[Mapping[str, Trouble]] = {
    **_WEBHOOK,
    **_ODD,
    **_SUBMIT,
    **_DOUBT,
    **_DOWNLOAD,
    **_ENDING,
}

#: How likely a job is to get one of each group.
CHANCES: Final = {"webhook": 0.30, "submit": 0.05, "download": 0.12, "ending": 0.05}


def mark(trouble: str) -> str:
    """Return what stands in a prompt to which a trouble is to happen."""
    return f"<{trouble}>"
