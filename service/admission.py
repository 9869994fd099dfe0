"""Takes a job in, with its work where it holds up nobody: on the event loop, or in a thread."""

from typing import Final

from service.body.json_scanner import ScannedBody
from service.intake.intake import Accepted, Parse
from service.intake.job_request import parse_job
from service.state import State

#: Bytes of a body that is checked on the event loop. A usual one has some hundred and takes a tenth
#: of a millisecond, less than a thread costs; the worst of this size take about one.
_QUICK: Final = 8192


async def take_in(
    state: State, tenant: str, scanned: ScannedBody, key: str | None, parse: Parse = parse_job
) -> Accepted:
    """Accept one job, as `Intake.accept` does."""
    intake = state["intake"]
    if len(scanned.skeleton) <= _QUICK and not scanned.images:
        checked = intake.check(tenant, scanned, key, parse)
    else:
        checked = await state["intake_threads"].run(intake.check, tenant, scanned, key, parse)
    return await intake.accept(checked)
