"""A job's own deadline: seconds from now or a time, in the body or the header, within a week."""

import re
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from core.jobs.job_ids import new_job_id
from core.settings.settings import Settings
from core.timestamps import milliseconds, unix_time
from service.http.problems import Problem
from service.intake.intake import Intake
from service.intake.job_request import NewJob, parse_job
from service.intake.limits import DEADLINE_PATTERN

BODY: dict[str, Any] = {"model": "flux-pro-1.1", "input": {"prompt": "p"}}
WEEK = 604_800


def ahead(job: NewJob) -> float:
    """Return the seconds to a job's own deadline."""
    assert job.deadline_at is not None
    return job.deadline_at - time.time()


def complaints(settings: Settings, body: dict[str, Any], *header: str) -> list[str]:
    """Return the fields that are refused."""
    with pytest.raises(Problem) as caught:
        parse_job(body, settings, None, header)
    return [error.field for error in caught.value.errors]


@pytest.mark.parametrize("seconds", [5, 5.0, 59.75, 600, WEEK])
def test_seconds_from_now(settings: Settings, seconds: float) -> None:
    """The bounds are among them."""
    job = parse_job(BODY | {"deadline": seconds}, settings)

    assert ahead(job) == pytest.approx(seconds, abs=10)


@pytest.mark.parametrize("hours", [-12, -3.5, 0, 2, 14])
def test_a_time_in_any_zone(settings: Settings, hours: float) -> None:
    """The offset counts, not the zone of this machine."""
    at = datetime.now(UTC) + timedelta(hours=1)
    zone = timezone(timedelta(hours=hours))

    job = parse_job(BODY | {"deadline": at.astimezone(zone).isoformat()}, settings)

    assert ahead(job) == pytest.approx(3600, abs=10)


def test_the_header(settings: Settings) -> None:
    """It stands in place of the field; the same one twice is one."""
    job = parse_job(BODY, settings, None, ["60", "60"])

    assert job.cancel_after == 60
    assert ahead(job) == pytest.approx(60, abs=10)


def test_none(settings: Settings) -> None:
    """The model decides."""
    assert parse_job(BODY, settings).deadline_at is None
    assert parse_job(BODY | {"deadline": None}, settings).deadline_at is None


@pytest.mark.parametrize(
    "given",
    [
        *(4.9, 0, -5, WEEK + 1, 1e300, 10**400, True, [], {}, "", "600", "soon", "2026-01-01"),
        *("2026-11-28T12:00:00", "2001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "x" * 10_000),
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_a_bad_field(settings: Settings, given: object) -> None:
    """What is no number of seconds and no time with its zone, or out of bounds, is refused."""
    assert complaints(settings, BODY | {"deadline": given}) == ["deadline"]


def test_every_whole_number_within_bounds_is_a_header(settings: Settings) -> None:
    """The pattern takes exactly the seconds that the field takes."""
    taken = [
        seconds for seconds in range(WEEK + 1000) if re.fullmatch(DEADLINE_PATTERN, str(seconds))
    ]

    assert taken == list(range(5, WEEK + 1))
    assert parse_job(BODY, settings, None, [str(WEEK)]).cancel_after == WEEK


@pytest.mark.parametrize(
    "given", ["", "4", "604801", "1e3", "5.0", " 60", "-60", "060", "\u0666\u0660"]
)
def test_a_bad_header(settings: Settings, given: str) -> None:
    """Whole seconds in ASCII digits, and nothing else."""
    assert complaints(settings, BODY, given) == ["Cancel-After"]


def test_several_headers(settings: Settings) -> None:
    """Of two values neither is guessed at."""
    assert complaints(settings, BODY, "60", "61") == ["Cancel-After"]


def test_header_and_field(settings: Settings) -> None:
    """One of both, even if they agree."""
    assert complaints(settings, BODY | {"deadline": 60}, "60") == ["deadline"]
    assert complaints(settings, BODY | {"deadline": 60}, "x") == ["Cancel-After"]


def test_the_request_holds_it(settings: Settings) -> None:
    """The record ends then; without one, when the model's jobs end."""
    intake = Intake(settings, None, None, None, None)  # type: ignore[arg-type]  # only makes requests
    own, usual = (
        intake.request(new_job_id(), "demo", job, {})
        for job in (
            NewJob(model="flux-pro-1.1", input={}, deadline_at=2e9 + 0.1234),
            NewJob(model="flux-pro-1.1", input={}),
        )
    )

    assert own.deadline_at == 2e9 + 0.123
    left = usual.deadline_at - usual.created_at
    assert left == pytest.approx(settings.deadline_seconds("flux-pro-1.1"), abs=0.01)


@pytest.mark.parametrize("at", [0.0, 1_750_000_000.123, 4_102_444_800.0])
def test_times_are_read_as_they_are_written(at: float) -> None:
    """What the API shows can be sent back."""
    assert unix_time(milliseconds(at)) == at
