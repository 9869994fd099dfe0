"""What a caller sends is forgotten with its request, however long it is."""

import tracemalloc

import pytest

from core.settings.settings import Settings
from service.http.problems import Problem
from service.intake.job_request import parse_job

#: Characters; with one beyond the basic plane, each takes four bytes.
_LONG = 900_000
_BODIES = 20


@pytest.mark.parametrize("last", ["x", "\N{GRINNING FACE}"])
def test_a_callback_url_that_is_far_too_long_is_not_remembered(
    settings: Settings, last: str
) -> None:
    """Verdicts on URLs are kept for the next job; a body's worth of characters is not."""

    def refuse(number: int) -> None:
        url = f"https://{number}.example.com/" + "x" * _LONG + last
        body = {"model": "flux-pro-1.1", "input": {"prompt": "p"}, "callback": {"url": url}}
        with pytest.raises(Problem):
            parse_job(body, settings)

    tracemalloc.start()
    try:
        for number in range(_BODIES):
            refuse(number)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < _LONG
