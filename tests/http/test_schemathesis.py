"""The service does what its OpenAPI document says, tried by a program that knows nothing else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.options import StackOptions
from stack.stack import Stack
from tests.timing import FAST, FAST_SANDBOX

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Run the product by itself, with an account that rests: no job that is made up is made."""
    with Stack(StackOptions(relay_variables=FAST, sandbox_variables=FAST_SANDBOX)) as running:
        with running.redis() as redis:
            redis.set("pool:default:paused", "a test", ex=3600)
        yield running


def run(stack: Stack, directory: Path, *more: str) -> None:
    """Run schemathesis, with a key and all checks, and assert that it finds nothing."""
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "run",
        f"{stack.service_url}/openapi.json",
        "--header", f"Authorization: Bearer {stack.api_key}",
        "--checks", "all",
        "--max-examples", "25",
        "--seed", "1",
        "--continue-on-failure",
        "--no-color",
        *more,
    ]  # fmt: skip
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.http.schema_hooks"}
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_the_document_is_kept(stack: Stack, tmp_path: Path) -> None:
    """All checks of schemathesis end without a failure, calls that follow on others included."""
    run(
        stack,
        tmp_path,
        # A DELETE of a job cancels it: its record stays, and shows that.
        "--exclude-checks", "use_after_free",
        # These streams do not end (see below, and tests/http/test_event_schemas.py).
        "--exclude-operation-id", "watch_job",
        "--exclude-operation-id", "watch_all",
        "--phases", "examples,coverage,fuzzing,stateful",
    )  # fmt: skip


def test_the_document_is_kept_where_a_stream_is_refused(stack: Stack, tmp_path: Path) -> None:
    """What should be refused is, as described: a stream that begins instead would never end."""
    run(
        stack,
        tmp_path,
        "--include-operation-id", "watch_job",
        "--include-operation-id", "watch_all",
        "--mode", "negative",
        "--phases", "coverage,fuzzing",
        "--request-timeout", "30",
    )  # fmt: skip
