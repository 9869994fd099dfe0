"""What a problem document tells its reader to do."""

import pytest
from starlette.requests import Request

from core.errors import StoreUnavailable
from service.http.problems import unavailable


@pytest.mark.parametrize(
    ("method", "path", "could_be_two"),
    [
        ("POST", "/v1/jobs", True),
        ("POST", "/v1/flux-pro-1.1", True),
        ("POST", "/v1/batches", True),
        ("POST", "/v1/jobs/01a1feec/cancel", False),
        ("POST", "/v1/jobs/cancel", False),
        ("POST", "/v1/batches/01a1ff02/cancel", False),
        ("POST", "/v1/batches/01a1ff02/retry", False),
        ("POST", "/v1/callbacks/replay", False),
        ("POST", "/v1/callbacks/test", False),
        ("POST", "/webhooks/bfl/01a1feec", False),
        ("POST", "/v1/jobs/01a1feec/retry", False),
        ("DELETE", "/v1/jobs/01a1feec", False),
        ("GET", "/v1/jobs/01a1feec", False),
    ],
)
def test_only_what_creates_a_job_needs_a_key(method: str, path: str, *, could_be_two: bool) -> None:
    """Where Redis is away, whoever asks something of a job that exists just asks again."""
    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}

    problem = unavailable(Request(scope | {"server": ("h", 80)}), StoreUnavailable("Redis"))

    assert ("Idempotency-Key" in problem.detail) is could_be_two
    assert problem.headers["retry-after"]
