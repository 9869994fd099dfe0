"""`GET /metrics`: metrics in Prometheus text format."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from core.operations.metrics import (
    DISCARDED,
    MARGIN_BOUNDS,
    REGENERATIONS,
    RESUBMITS,
    MetricsSnapshot,
    take_snapshot,
)
from service.state import State

_ENDED: Final = "ended:"


async def show_metrics(request: Request[State]) -> Response:
    """Return all metrics of the deployment; every process returns the same."""
    state = request.state
    snapshot = await run_in_threadpool(take_snapshot, state["store"], state["settings"].accounts)
    registry = CollectorRegistry()
    registry.register(_Collector(snapshot))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Collector(Collector):
    """Converts a snapshot into Prometheus metrics."""

    def __init__(self, snapshot: MetricsSnapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, zeros included."""
        yield from self._counters()
        yield self._margin()
        yield from self._gauges()

    def _counters(self) -> Iterator[Metric]:
        counters = self._snapshot.counters
        for name, counter, text in (
            ("fluxrelay_jobs_accepted", "accepted", "Jobs accepted, items of batches included."),
            ("fluxrelay_batches_accepted", "batches:accepted", "Batches answered with 202."),
            ("fluxrelay_batches_completed", "batches:completed", "Batches that are completed."),
            (
                "fluxrelay_resubmits",
                RESUBMITS,
                "Submits repeated after a doubt; may be paid twice.",
            ),
            ("fluxrelay_regenerations", REGENERATIONS, "Results made, and paid for, again."),
            (
                "fluxrelay_tasks_discarded",
                DISCARDED,
                "Tasks that ended after their job; their results were thrown away.",
            ),
        ):
            yield CounterMetricFamily(name, text, value=counters.get(counter, 0))
        ended = CounterMetricFamily(
            "fluxrelay_jobs_ended", "Jobs that ended.", labels=["status", "code"]
        )
        for counter, value in sorted(counters.items()):
            if counter.startswith(_ENDED):
                status, _, code = counter.removeprefix(_ENDED).partition(":")
                ended.add_metric([status, code], value)
        yield ended

    def _margin(self) -> Metric:
        counters = self._snapshot.counters
        buckets: list[tuple[str, float]] = []
        total = 0.0
        for bound in (*MARGIN_BOUNDS, "inf"):
            total += counters.get(f"margin:{bound}", 0)
            buckets.append(("+Inf" if bound == "inf" else str(bound), total))
        return HistogramMetricFamily(
            "fluxrelay_result_margin_seconds",
            "Time left on a result's link when it was stored.",
            buckets=buckets,
            sum_value=counters.get("margin:sum", 0),
        )

    def _gauges(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        held = {pool: slots[0] for pool, slots in snapshot.slots.items()}
        allowed = {pool: slots[1] for pool, slots in snapshot.slots.items()}
        for name, text, label, values in (
            ("backlog_jobs", "Jobs that wait for a slot.", "lane", snapshot.backlog),
            ("slots_held", "Slots held.", "pool", held),
            ("slots_allowed", "Slots there are.", "pool", allowed),
            ("slots_ceiling", "Slots granted at most, now.", "pool", snapshot.ceilings),
            (
                "account_pause_seconds",
                "Time until the account is granted slots again.",
                "pool",
                snapshot.pauses,
            ),
            ("tasks_waiting", "Tasks that no worker has taken yet.", "queue", snapshot.tasks),
            (
                "breaker_open",
                "1 while it is left alone or tried.",
                "breaker",
                snapshot.open_breakers,
            ),
        ):
            gauge = GaugeMetricFamily(f"fluxrelay_{name}", text, labels=[label])
            for value_of, value in values.items():
                gauge.add_metric([value_of], value)
            yield gauge
        for name, text, number in (
            ("staged_items", "Items of batches that are no jobs yet.", snapshot.staged),
            ("due_overdue", "Due times that passed.", snapshot.overdue),
            ("dead_letters", "What failed and may be sent again.", snapshot.dead_letters),
        ):
            yield GaugeMetricFamily(f"fluxrelay_{name}", text, value=number)
        yield GaugeMetricFamily(
            "fluxrelay_due_overdue_seconds",
            "Age of the oldest due time that passed; grows when no sweep runs.",
            value=snapshot.overdue_seconds,
        )
