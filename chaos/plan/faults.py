"""Faults of the provider that can happen to a job, as faults of the sandbox (see its README)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.plan.time_scale import DOUBT, SUBMIT_TIMEOUT

_AWAY: Final = 503
_Faults = Mapping[str, Mapping[str, Any]]

#: Longer than the provider's timeout.
_TOO_LATE: Final = SUBMIT_TIMEOUT + 1.5
#: Longer than a doubt: the job is submitted again although the first submit created a task.
_PAST_DOUBT: Final = DOUBT * 2.5
#: Bytes added to a video, which is then stored in several parts.
_IN_PARTS: Final = 70 * 1024 * 1024
#: Groups of faults that can happen to drafts and to videos only.
OF_DRAFTS: Final = "bundle"
OF_VIDEOS: Final = "video"
_TO_BUNDLE: Final = {"role": "draft_cache"}


@dataclass(frozen=True)
class JobFault:
    """A fault that can happen to a job.

    Attributes:
        group: A job gets at most one of each group.
        always: Sandbox faults for every task of the job; without prompt and `times` yet.
        once: Sandbox faults that end after `times`; a permanent one would let no job succeed.
        most: Maximum of `times`.
        ends: The failure that the job must end with; None: it must still succeed.
        weight: Its relative frequency.
        lead: Seconds between the cut request and the creation of the task.
        unnamed: The provider accepts the job without a task id: only the webhook identifies it.
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
    def in_doubt(self) -> bool:
        """Whether it leaves open if the provider accepted a submit."""
        refused = self.once.get("refuse_submit", {})
        broken = any(name.endswith("_answer") and name != "odd_answer" for name in self.once)
        return broken or refused == {"status": _AWAY}


_WEBHOOK: Final = {
    "webhook-dropped": JobFault("webhook", {"drop_webhook": {}}, weight=2),
    "webhook-doubled": JobFault("webhook", {"duplicate_webhook": {"copies": 3}}, weight=2),
    "webhook-late": JobFault("webhook", {"delay_webhook": {"seconds": _TOO_LATE}}, weight=2),
    "webhook-reordered": JobFault("webhook", {"reorder_webhook": {"seconds": 3}}, weight=2),
    "webhook-early": JobFault("webhook", {"early_webhook": {}}, weight=2),
    "webhook-forged": JobFault("webhook", {"forge_webhook": {"secret": "forged-secret"}}, weight=2),
    "webhook-unsigned": JobFault("webhook", {"forge_webhook": {"secret": ""}}),
    "webhook-progress": JobFault("webhook", {"progress_webhook": {}}),
    "webhook-unknown": JobFault("webhook", {"unknown_status": {"text": "Brewing"}}),
    "webhook-empty": JobFault("webhook", {"no_result": {}}),
    "task-hidden": JobFault("webhook", {"hide_task": {"seconds": 6}, "drop_webhook": {}}),
    "task-not-yet-found": JobFault("webhook", {"drop_webhook": {}}, {"hide_task": {}}, most=3),
    "poll-as-error": JobFault(
        "webhook", {"drop_webhook": {}, "odd_poll_status": {"status": _AWAY}}
    ),
    "poll-refused": JobFault(
        "webhook", {"drop_webhook": {}}, {"refuse_poll": {"status": 503}}, most=2
    ),
}
#: Results with a bad link or an undocumented form; all of them must be stored.
_ODD: Final = {
    **{
        f"link-{kind}": JobFault("webhook", {"odd_result": {"kind": kind}}, weight=0.5)
        for kind in ("dead", "foreign", "malformed", "userinfo", "list", "empty")
    },
    "link-fresh": JobFault(
        "webhook", {"odd_result": {"kind": "dead"}, "odd_poll_result": {"kind": "fresh"}}
    ),
    "poll-listed": JobFault(
        "webhook", {"drop_webhook": {}, "odd_poll_result": {"kind": "list"}}, weight=0.5
    ),
    "poll-unusable": JobFault(
        "webhook", {"drop_webhook": {}}, {"odd_poll_result": {"kind": "two"}}, most=2, weight=0.5
    ),
    "poll-redirected": JobFault(
        "webhook", {"drop_webhook": {}}, {"redirect_poll": {}}, most=2, weight=0.5
    ),
}
_SUBMIT: Final = {
    "answer-cut": JobFault("submit", once={"cut_answer": {}}),
    "made-after-cut": JobFault("submit", once={"cut_answer": {"seconds": 1.5}}, lead=1.5),
    "answer-late": JobFault("submit", once={"delay_answer": {"seconds": _TOO_LATE}}),
    "answer-trickled": JobFault(
        "submit", once={"trickle_answer": {"seconds": _TOO_LATE}}, unnamed=True
    ),
    "answer-numbered": JobFault("submit", once={"odd_answer": {"shape": "number_id"}}),
    "answer-by-url": JobFault("submit", once={"odd_answer": {"shape": "polling_url"}}),
    "answer-elsewhere": JobFault("submit", once={"odd_answer": {"shape": "foreign_url"}}),
    "submit-shed": JobFault("submit", once={"shed_submit": {}}, most=2),
    "submit-unpaid": JobFault("submit", once={"refuse_submit": {"status": 402}}, weight=0.5),
    "answer-failed": JobFault("submit", once={"fail_answer": {"status": 502}}),
    "submit-refused": JobFault("submit", once={"refuse_submit": {"status": _AWAY}}, weight=0.5),
    "submit-busy": JobFault("submit", once={"refuse_submit": {"status": 429}}, most=2),
}
#: These delay or need the webhook, so they exclude other webhook faults.
_DOUBT: Final = {
    "answer-unnamed": JobFault(
        "webhook", once={"odd_answer": {"shape": "nothing"}}, unnamed=True, weight=0.5
    ),
    "answer-a-page": JobFault(
        "webhook", once={"odd_answer": {"shape": "html"}}, unnamed=True, weight=0.5
    ),
    "cut-and-silent": JobFault(
        "webhook", {"delay_webhook": {"seconds": _PAST_DOUBT}}, {"cut_answer": {}}
    ),
    "late-and-silent": JobFault(
        "webhook",
        {"delay_webhook": {"seconds": _PAST_DOUBT}},
        {"delay_answer": {"seconds": _TOO_LATE}},
        weight=0.5,
    ),
}
_CUT: Final = {"cut_download": {"bytes": 2000}}
_DOWNLOAD: Final = {
    "download-truncated": JobFault("download", once={"truncate_download": {}}, most=2),
    "download-corrupt": JobFault("download", once={"corrupt_download": {}}, most=2),
    "download-stalled": JobFault("download", once={"stall_download": {"seconds": 3}}),
    "download-slow": JobFault("download", once={"trickle_download": {"seconds": 4}}),
    "download-html": JobFault("download", once={"html_download": {}}, most=2),
    "download-refused": JobFault("download", once={"refuse_download": {"status": 503}}, most=2),
    "download-redirected": JobFault("download", once={"redirect_download": {"hops": 5}}, most=3),
    "download-gzipped": JobFault("download", once={"encode_download": {}}, most=2),
    "download-encoded": JobFault("download", once={"encode_download": {"encoding": "br"}}),
    "picture-padded": JobFault("download", {"pad_picture": {"bytes": 5000}}),
    "picture-followed": JobFault("download", {"append_picture": {}}),
    "download-missing": JobFault("download", once={"refuse_download": {"status": 404}}),
    # Of a bundle, nobody could tell: its bytes have no form, and the answer has no checksum.
    "download-short": JobFault("download", once={"shorten_download": {"role": "sample"}}, most=2),
    "download-cut": JobFault("download", once=_CUT, most=3),
    **{
        f"download-cut-range-{kind}": JobFault(
            "download", {"odd_range": {"kind": kind}}, _CUT, most=2, weight=0.5
        )
        for kind in ("ignored", "refused", "shifted", "changed")
    },
}
#: Faults that only the bundle of a draft meets; the video beside it is sent as it should be.
_BUNDLE: Final = {
    "bundle-listed": JobFault(OF_DRAFTS, {"odd_poll_result": {"kind": "bundle_list"}}),
    "bundle-dead": JobFault(OF_DRAFTS, once={"odd_poll_result": {"kind": "dead_bundle"}}, most=4),
    "bundle-missing": JobFault(OF_DRAFTS, once={"refuse_download": {"status": 404, **_TO_BUNDLE}}),
    "bundle-cut": JobFault(OF_DRAFTS, once={"cut_download": {"bytes": 2000, **_TO_BUNDLE}}, most=3),
    "bundle-truncated": JobFault(OF_DRAFTS, once={"truncate_download": _TO_BUNDLE}, most=2),
    "bundle-corrupt": JobFault(OF_DRAFTS, once={"corrupt_download": _TO_BUNDLE}, most=2),
    "bundle-html": JobFault(OF_DRAFTS, once={"html_download": _TO_BUNDLE}, most=2),
    "bundle-stalled": JobFault(
        OF_DRAFTS, once={"stall_download": {"seconds": 3, **_TO_BUNDLE}}, weight=0.5
    ),
}
_VIDEO: Final = {"video-large": JobFault(OF_VIDEOS, {"pad_picture": {"bytes": _IN_PARTS}})}
_ENDING: Final = {
    "slow": JobFault("ending", {"delay_generation": {"seconds": 3}}),
    "request-moderated": JobFault(
        "ending", {"end_task": {"status": "Request Moderated"}}, ends="request_moderated"
    ),
    "content-moderated": JobFault(
        "ending", {"end_task": {"status": "Content Moderated"}}, ends="content_moderated"
    ),
    "task-failed": JobFault("ending", {"end_task": {"status": "Error"}}, ends="provider_error"),
    "rejected": JobFault("ending", {"refuse_submit": {"status": 400}}, ends="provider_rejected"),
}
JOB_FAULTS: Final[Mapping[str, JobFault]] = {
    **_WEBHOOK,
    **_ODD,
    **_SUBMIT,
    **_DOUBT,
    **_DOWNLOAD,
    **_BUNDLE,
    **_VIDEO,
    **_ENDING,
}

#: Probability that a job gets a fault of each group.
CHANCES: Final = {
    "webhook": 0.30,
    "submit": 0.05,
    "download": 0.12,
    "ending": 0.05,
    OF_DRAFTS: 0.40,
    OF_VIDEOS: 0.03,
}


def prompt_marker(job_fault: str) -> str:
    """Return the marker in a prompt that triggers a fault."""
    return f"<{job_fault}>"
