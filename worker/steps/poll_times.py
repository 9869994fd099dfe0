"""When a task is asked about: at its model's own times, or else at those of the settings."""

from typing import Final

from core.jobs.job import Job
from core.jobs.status import Step
from worker.deps import Deps
from worker.steps import doubts

_LONGEST_WAIT: Final = 15.0  # seconds between two polls of one job, if its model names no time
_GROWTH: Final = 1.3
_MOST_GROWTHS: Final = 30
#: Whatever a model asks for, a result is polled for several times while its link lives.
_POLLS_PER_LINK: Final = 4


def first_wait(job: Job, deps: Deps) -> float:
    """Return the seconds from a submit to the first poll, which also comes if a webhook does not.

    A video takes half a minute at least, so earlier polls would be for nothing.
    """
    model = deps.settings.models.get(job.request.model)
    own = _within_life((model and model.first_poll_seconds) or 0.0, job, deps)
    if doubts.has_webhook(job, deps):
        return max(own, deps.settings.webhook_overdue_seconds)
    return own or deps.settings.poll_interval_seconds


def next_wait(job: Job, deps: Deps) -> float:
    """Return the seconds to the next poll; they grow with each poll."""
    model = deps.settings.models.get(job.request.model)
    own = _within_life((model and model.poll_seconds) or 0.0, job, deps)
    tries = min(job.tries.get(Step.POLL, 0), _MOST_GROWTHS)
    wait = (own or deps.settings.poll_interval_seconds) * _GROWTH**tries
    return min(wait, max(own, _LONGEST_WAIT))


def _within_life(seconds: float, job: Job, deps: Deps) -> float:
    return min(seconds, deps.link_seconds(job) / _POLLS_PER_LINK)
