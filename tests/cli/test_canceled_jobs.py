"""Cancels from the command line, while the provider works on the job."""

import json
import uuid
from collections.abc import Callable
from typing import Any

from fluxrelay.cli.exits import Exit
from stack.stack import Stack
from tests.cli.conftest import SMALL, Cli
from tests.client.test_canceled_jobs import NEVER
from tests.conftest import Eventually


def shown(cli: Cli, job_id: str) -> dict[str, Any]:
    """Return a job as JSON shows it."""
    job: dict[str, Any] = json.loads(cli("get", job_id, "--json").out)
    return job


def test_what_a_discarded_task_cost_is_shown(
    cli: Cli, relay: Stack, faults: Callable[..., None], eventually: Eventually
) -> None:
    """The cancel of a job that the provider works on is done at once; its cost comes later."""
    mark = uuid.uuid4().hex
    faults(drop_webhook={"match": mark})
    job_id = cli("submit", mark, *SMALL).out.strip()
    poll = f"poll:{job_id}"
    with relay.redis() as redis:
        eventually(lambda: bool(redis.zscore("due", poll)))
        redis.zadd("due", {poll: NEVER})

        canceled = cli("cancel", job_id)

        redis.zadd("due", {poll: 0}, xx=True)
        eventually(lambda: not redis.hexists(f"job:{job_id}", "discarding"))
    assert (canceled.code, "canceled" in canceled.out) == (Exit.DONE, True)
    job = shown(cli, job_id)
    assert job["status"] == "canceled"
    assert (job["provider"]["discarded"], job["provider"]["cost"]) == (True, 4)


def test_a_result_that_is_being_stored_is_not_canceled(
    cli: Cli, faults: Callable[..., None], eventually: Eventually
) -> None:
    """It is too late: that is 7, told by the service's own words."""
    mark = uuid.uuid4().hex
    faults(refuse_download={"match": mark, "status": 503})
    job_id = cli("submit", mark, *SMALL).out.strip()
    eventually(lambda: shown(cli, job_id)["status"] == "storing")

    refused = cli("cancel", job_id)

    assert (refused.code, "being stored" in refused.err) == (Exit.REFUSED, True)
    faults()
    eventually(lambda: shown(cli, job_id)["status"] == "succeeded")
