"""Sets of worker processes that take turns on one stage."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.probes import subprocesses
from benchmarks.product.deployment import Stage
from stack.servers.fluxrelay import ROLES
from stack.servers.process import ManagedProcess, stop_all, wait_all_ready

#: The queues, each of which needs a worker.
QUEUES: Final = tuple(role for role in ROLES if role != "sweep")


@contextmanager
def ours(stage: Stage, each: int = 1) -> Iterator[list[ManagedProcess]]:
    """Run the product's own workers, so many per queue."""
    crew = [stage.worker(queue, number) for number in range(1, each + 1) for queue in QUEUES]
    with _running(crew):
        yield crew


@contextmanager
def stock(stage: Stage, kind: str, counts: dict[str, int]) -> Iterator[list[ManagedProcess]]:
    """Run RQ's own workers of a kind (`fork` or `simple`), so many per queue."""
    crew = [
        subprocesses.process(
            f"{kind}.{queue}.{number}",
            ["benchmarks.floors.stock_worker", kind, queue],
            stage.stack.directory / "logs" / f"{kind}.{queue}.{number}.log",
            lambda process: '"worker.ready"' in process.output(),
            stage.environment,
        )
        for queue, count in counts.items()
        for number in range(1, count + 1)
    ]
    with _running(crew):
        yield crew


@contextmanager
def _running(crew: list[ManagedProcess]) -> Iterator[None]:
    try:
        for process in crew:
            process.start()
        wait_all_ready(crew)
        yield
    finally:
        stop_all(crew)
