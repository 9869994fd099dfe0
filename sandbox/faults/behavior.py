"""How things go: each plan starts out well-behaved, and faults edit it. Times are in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.statuses import Ending


@dataclass(frozen=True)
class Circumstances:
    """What a fault can be chosen by; what is not known yet is empty."""

    host: str
    account: str = ""
    model: str = ""
    prompt: str = ""
    task: str = ""


@dataclass
class AnswerPlan:
    """How a request is answered."""

    #: Answered instead of doing anything: `status`, `body`, `retry_after`.
    refusal: Mapping[str, object] | None = None
    wait: float = 0.0
    #: The answer's bytes come one after the other over so long a time.
    spread: float = 0.0


@dataclass
class SubmitPlan(AnswerPlan):
    """How a submit is answered, `wait` after the task was made, and how the task will run."""

    cut: bool = False
    #: How long after the cut the task is made.
    cut_lead: float = 0.0
    instant: bool = False
    #: Answered although the task was made.
    failure: Mapping[str, object] | None = None
    #: How the answer of a task that was made is misshapen (`sandbox.answers.SHAPES`).
    shape: str | None = None
    #: The region that a submit to the global host goes to.
    region: str | None = None
    generation_wait: float = 0.0
    ending: Ending | None = None
    #: So many pictures are in the file, one behind the other, and then so many zeros.
    pictures: int = 1
    padding: int = 0


@dataclass
class PollPlan(AnswerPlan):
    """How get_result answers. The task cannot be found until so long after its submit."""

    hidden: float = 0.0
    #: Answered with 422 and a task that failed for this reason.
    error: str | None = None
    #: How the result is told otherwise than documented (`sandbox.faults.odd_results`).
    odd: str | None = None
    redirect: bool = False
    #: Bytes that the details are larger by.
    swelling: int = 0


@dataclass
class Letter:
    """One delivery to the webhook's receiver; `forged` says that it is not ours."""

    body: dict[str, object]
    secret: str | None
    forged: bool = False


@dataclass
class WebhookPlan:
    """How a webhook is delivered, `wait` before the first attempt."""

    letter: Letter
    copies: int = 1
    wait: float = 0.0
    #: How long it waits at most to be overtaken by another task's webhook.
    yielding: float = 0.0
    before: list[Letter] = field(default_factory=list)
    after: list[Letter] = field(default_factory=list)


@dataclass
class DownloadPlan:
    """How a picture is handed out."""

    status: int = 200
    html: bool = False
    #: So much of it comes, then `stall` of silence, then the connection breaks.
    fraction: float = 1.0
    stall: float = 0.0
    #: So many bits are wrong.
    flips: int = 0
    #: So many redirects lead to it, with this status; `elsewhere` is where they lead instead.
    hops: int = 0
    redirect: int = 302
    elsewhere: str = ""
    #: The content coding that it comes in.
    encoding: str = ""
    spread: float = 0.0
