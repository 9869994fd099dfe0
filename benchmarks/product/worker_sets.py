"""Sets of worker processes that take turns on one deployment."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.probes import subprocesses
from benchmarks.product.deployment import Deployment
from stack.servers.fluxrelay import ROLES
from stack.servers.process import ManagedProcess, stop_all, wait_all_ready

#: The queues, each of which needs a worker.
QUEUES: Final = tuple(role for role in ROLES if role != "sweep")


@contextmanager
def ours(deployment: Deployment, each: int = 1) -> Iterator[list[ManagedProcess]]:
    """Run the product's own workers, so many per queue."""
    workers = [
        deployment.worker(queue, number) for number in range(1, each + 1) for queue in QUEUES
    ]
    with _running(workers):
        yield workers


@contextmanager
def stock(
    deployment: Deployment, kind: str, counts: dict[str, int]
) -> Iterator[list[ManagedProcess]]:
    """Run RQ's own workers of a kind (`fork` or `simple`), so many per queue."""
    workers = [
        subprocesses.process(
            f"{kind}.{queue}.{number}",
            ["benchmarks.floors.stock_worker", kind, queue],
            deployment.stack.directory / "logs" / f"{kind}.{queue}.{number}.log",
            lambda process: '"worker.ready"' in process.output(),
            deployment.environment,
        )
        for queue, count in counts.items()
        for number in range(1, count + 1)
    ]
    with _running(workers):
        yield workers


@contextmanager
def _running(workers: list[ManagedProcess]) -> Iterator[None]:
    try:
        for process in workers:
            process.start()
        wait_all_ready(workers)
        yield
    finally:
        stop_all(workers)
