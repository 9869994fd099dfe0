"""A task from submit to its end, and the book of all tasks with the number of active ones."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sandbox.requests.clips import Clip
from sandbox.requests.validation import Request
from sandbox.settings import Slots
from sandbox.statuses import STAGES, Ending, Status
from sandbox.tasks.results import Artifact, Role

#: Larger images count as this many megapixels.
MOST_PIXELS: Final = 10**15
#: What a model that expands prompts adds to one.
EXPANSION: Final = "\n\n| region | content |\n|---|---|\n| whole | as described |"


class SlotsFullError(Exception):
    """The account has as many active tasks as it may have."""


@dataclass
class Task:
    """One generation. Times are Unix seconds."""

    id: str
    #: Sequence number in the order of submits, from 0.
    number: int
    #: First 8 hex digits of the SHA-256 of the account's key.
    account: str
    request: Request
    #: The request body without secrets and base64, for the ledger.
    shown: Mapping[str, object]
    seed: int
    #: Width and height of the image or video in pixels.
    size: tuple[int, int]
    generation_seconds: float
    created_at: float
    #: The region that runs it, and the name of the host that accepted it.
    region: str | None = None
    host: str = "global"
    #: Megapixels of the input images.
    input_mp: float = 0.0
    #: The outcome, if it is decided before the image is drawn.
    ending: Ending | None = None
    #: Whether it passes through the statuses Reasoning and Generating.
    staged: bool = False
    #: Length and sound of the video; None: it makes an image.
    clip: Clip | None = None
    #: Number of images in its file, one after the other, and of zeros after them.
    pictures: int = 1
    padding: int = 0
    #: Minimum bytes of the file.
    file_bytes: int = 0
    #: Longest side in pixels at which it is drawn; None: full size.
    detail_side: int | None = None
    #: Whether its webhook is lost because an earlier process held the secret.
    muted: bool = False
    status: Status = Status.PENDING
    finished_at: float | None = None
    details: dict[str, object] | None = None
    #: The files of its result, once it is ready.
    artifacts: tuple[Artifact, ...] = ()
    deliveries: list[dict[str, object]] = field(default_factory=list)
    #: Number of complete downloads by role.
    downloads: Counter[str] = field(default_factory=Counter)
    #: Number of get_result requests for it, by host.
    polls: Counter[str] = field(default_factory=Counter)

    @property
    def sample(self) -> Artifact | None:
        """The image or video, once it is ready."""
        return self.artifact(Role.SAMPLE)

    @property
    def has_draft_cache(self) -> bool:
        """Whether its result has a bundle for a rendering in full quality."""
        return self.clip is not None and self.request.is_draft

    def artifact(self, role: str) -> Artifact | None:
        """Return the file of this role, if the result has it."""
        return next((each for each in self.artifacts if each.role == role), None)

    def progress(self, now: float) -> float | None:
        """Return the progress from 0 to 1, or None once the task has ended."""
        if self.status is not Status.PENDING:
            return None
        if not self.generation_seconds:
            return 0.99
        share = (now - self.created_at) / self.generation_seconds
        return round(min(max(share, 0.0), 0.99), 2)

    def status_at(self, now: float) -> Status:
        """Return the status that get_result reports: the stage, while the task runs."""
        done = self.progress(now)
        if done is None or not self.staged:
            return self.status
        return next(status for share, status in STAGES if done < share)

    @property
    def output_mp(self) -> float:
        """Megapixels of the image, with two decimals as in the API."""
        width, height = self.size
        # A request may name sides that no image can have, even beyond all floats.
        return round(min(width * height, MOST_PIXELS) / 1_000_000, 2)

    def result(self) -> dict[str, object] | None:
        """Return the `result` of a task that is ready, None otherwise."""
        if self.sample is None or self.finished_at is None:
            return None
        sample, duration = self.sample.url, self.finished_at - self.created_at
        if self.request.model.expands_prompt:
            prompt = f"{self.request.prompt}{EXPANSION}"
            return {"sample": sample, "prompt": prompt, "duration": duration}
        result = {
            "sample": sample,
            "prompt": self.request.prompt,
            "seed": self.seed,
            "start_time": self.created_at,
            "end_time": self.finished_at,
            "duration": duration,
        }
        bundle = self.artifact(Role.DRAFT_CACHE)
        if bundle is None:
            return result
        return {**result, "draft_cache": bundle.url, "draft_caches": [bundle.url]}


class TaskBook:
    """All tasks since the start. Used from the event loop only."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._tasks: dict[str, Task] = {}
        self._by_token: dict[str, Task] = {}
        self._active: Counter[tuple[str, str]] = Counter()
        #: Credits that each account has spent, running tasks included.
        self.charged: defaultdict[str, float] = defaultdict(float)
        self.active_now = 0
        self.active_most = 0
        self.active_most_by_account: dict[str, int] = {}
        self.active_most_by_model = dict.fromkeys(slots.by_model, 0)

    def __iter__(self) -> Iterator[Task]:
        """Iterate over the tasks, oldest first."""
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)

    def require_slot(self, account: str, model: str) -> None:
        """Check that one more task may become active; `model` is what it is limited as.

        Raises:
            SlotsFullError: The account, or a limited model, has reached its limit.
        """
        if self._of_account(account) >= self._slots.total:
            raise SlotsFullError(f"{self._slots.total} active tasks")
        limit = self._slots.by_model.get(model)
        if limit is not None and self._active[account, model] >= limit:
            raise SlotsFullError(f"{limit} active {model} tasks")

    def add(self, task: Task) -> None:
        """Add a new task as active, and charge it."""
        model = task.request.model.limited_as
        self._tasks[task.id] = task
        self.charged[task.account] += task.request.model.price
        self._active[task.account, model] += 1
        self.active_now += 1
        self.active_most = max(self.active_most, self.active_now)
        most = self.active_most_by_account.get(task.account, 0)
        self.active_most_by_account[task.account] = max(most, self._of_account(task.account))
        if model in self.active_most_by_model:
            now = self._active[task.account, model]
            self.active_most_by_model[model] = max(self.active_most_by_model[model], now)

    def finish(self, task: Task, status: Status, now: float) -> None:
        """End a task, which frees its slot. A ready task already has its files."""
        task.status = status
        task.finished_at = now
        task.request = task.request.without_files()
        self._active[task.account, task.request.model.limited_as] -= 1
        self.active_now -= 1
        if status is not Status.READY:
            self.charged[task.account] -= task.request.model.price
        if task.sample is not None:
            self._by_token[task.sample.token] = task

    def active(self) -> list[Task]:
        """Return the tasks that have not ended."""
        return [task for task in self if task.finished_at is None]

    def find(self, task_id: str) -> Task | None:
        """Return the task with this id, if any."""
        return self._tasks.get(task_id)

    def find_by_token(self, token: str) -> Task | None:
        """Return the task whose result has this token, if any."""
        return self._by_token.get(token)

    def _of_account(self, account: str) -> int:
        return sum(count for (holder, _), count in self._active.items() if holder == account)


def new_task_id(*, numeric: bool = False) -> str:
    """Return an id in the provider's form, or as the digits of a number."""
    made = uuid.uuid4()
    return str(made.int) if numeric else str(made)
