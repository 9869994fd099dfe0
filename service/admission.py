"""Accepts a job, checking its body on the event loop or in a thread, by its size."""

from typing import Final

from service.body.json_scanner import ScannedBody
from service.intake.intake import Accepted, Parse
from service.intake.job_request import parse_job
from service.state import State

#: Largest body, in bytes, that is checked on the event loop. A typical one has some hundred bytes
#: and takes 0.1 ms, less than a thread costs; the worst case of this size takes about 1 ms.
_QUICK: Final = 8192


async def accept_job(
    state: State, tenant: str, scanned: ScannedBody, key: str | None, parse: Parse = parse_job
) -> Accepted:
    """Accept one job, as `Intake.accept` does."""
    intake = state["intake"]
    if len(scanned.skeleton) <= _QUICK and not scanned.files:
        checked = intake.check(tenant, scanned, key, parse)
    else:
        checked = await state["intake_threads"].run(intake.check, tenant, scanned, key, parse)
    return await intake.accept(checked)
