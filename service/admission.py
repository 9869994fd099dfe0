"""Takes a job in on the threads that suit it: what waits for S3 has its own."""

from service.intake import Accepted, Parse
from service.scanner import ScannedBody
from service.schemas import parse_job
from service.state import State


async def take_in(
    state: State, tenant: str, scanned: ScannedBody, key: str | None, parse: Parse = parse_job
) -> Accepted:
    """Accept one job, as `Intake.accept` does.

    While S3 is silent, images wait for it and hold their threads; jobs without any have others.
    """
    intake = state["intake"]
    taken = await state["intake_threads"].run(intake.accept, tenant, scanned, key, parse)
    if isinstance(taken, Accepted):
        return taken
    return await state["image_threads"].run(intake.accept_checked, taken)
