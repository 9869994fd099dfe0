"""Plans of what the sandbox does; faults edit them. Times are in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.statuses import Ending


@dataclass(frozen=True)
class Circumstances:
    """What faults are matched against; unknown values are empty."""

    host: str
    account: str = ""
    model: str = ""
    prompt: str = ""
    task: str = ""
    #: The file of the result that is downloaded.
    role: str = ""


@dataclass
class AnswerPlan:
    """How a request is answered."""

    #: An answer sent instead of any work: `status`, `body`, `retry_after`.
    refusal: Mapping[str, object] | None = None
    wait: float = 0.0
    #: Time over which the answer's bytes are spread.
    spread: float = 0.0


@dataclass
class SubmitPlan(AnswerPlan):
    """How a submit is answered (`wait` after the task was created), and how the task will run."""

    cut: bool = False
    #: Time between the cut and the creation of the task.
    cut_lead: float = 0.0
    instant: bool = False
    #: An error answered although the task was created.
    failure: Mapping[str, object] | None = None
    #: Odd form of the answer of a created task (`sandbox.answers.SHAPES`).
    shape: str | None = None
    #: The region for a submit to the global host.
    region: str | None = None
    generation_wait: float = 0.0
    ending: Ending | None = None
    #: Number of images in the file, one after the other, and of zeros after them.
    pictures: int = 1
    padding: int = 0


@dataclass
class PollPlan(AnswerPlan):
    """How get_result answers. The task cannot be found until this long after its submit."""

    hidden: float = 0.0
    #: Reason of a failed task that is answered with 422.
    error: str | None = None
    #: HTTP status of a task's body.
    status: int = 200
    #: Odd form of the result (`sandbox.faults.odd_results`).
    odd: str | None = None
    redirect: bool = False
    #: Bytes added to the details.
    swelling: int = 0


@dataclass
class Delivery:
    """One delivery to the webhook's receiver; `forged` marks one that is not signed by us."""

    body: dict[str, object]
    secret: str | None
    forged: bool = False


@dataclass
class WebhookPlan:
    """How a webhook is delivered, `wait` before the first attempt."""

    delivery: Delivery
    copies: int = 1
    wait: float = 0.0
    #: Maximum wait for another task's webhook to overtake it.
    yielding: float = 0.0
    before: list[Delivery] = field(default_factory=list)
    after: list[Delivery] = field(default_factory=list)


@dataclass
class DownloadPlan:
    """How a file is sent."""

    status: int = 200
    html: bool = False
    #: Fraction that is sent, and the silence after it, before the connection breaks.
    fraction: float = 1.0
    stall: float = 0.0
    #: Bytes after which the connection breaks.
    cut_after: int | None = None
    #: Fraction of the file that is sent as if it were all of it.
    kept: float = 1.0
    #: What is done about ranges, one of `RANGES`; empty: what they ask for.
    ranges: str = ""
    #: Number of flipped bits.
    flips: int = 0
    #: Number of redirects that lead to it, and their status; `elsewhere` is a target instead of it.
    hops: int = 0
    redirect: int = 302
    elsewhere: str = ""
    #: Its content coding.
    encoding: str = ""
    spread: float = 0.0
