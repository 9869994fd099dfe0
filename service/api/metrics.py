"""`GET /metrics`: metrics in Prometheus text format.

Most are of the deployment, from Redis. Those of requests that wait are of the process that answers.
"""

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

from core.operations.callbacks.attempts import Outcome
from core.operations.metrics import (
    BATCHES_ACCEPTED,
    BATCHES_COMPLETED,
    CALLBACK_KINDS,
    DISCARDED,
    MARGIN_BOUNDS,
    REGENERATIONS,
    RESUBMITS,
    MetricsSnapshot,
    callback_counter,
    take_snapshot,
)
from service.state import State
from service.watch.waiters import Kind

_ENDED: Final = "ended:"


async def show_metrics(request: Request[State]) -> Response:
    """Return all metrics."""
    state = request.state
    snapshot = await run_in_threadpool(take_snapshot, state["store"], state["settings"].accounts)
    registry = CollectorRegistry()
    registry.register(_Collector(snapshot))
    registry.register(_OfThisProcess(state))
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
            ("fluxrelay_batches_accepted", BATCHES_ACCEPTED, "Batches answered with 202."),
            ("fluxrelay_batches_completed", BATCHES_COMPLETED, "Batches that are completed."),
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
        attempts = CounterMetricFamily(
            "fluxrelay_callback_attempts", "Attempts at callbacks.", labels=["kind", "outcome"]
        )
        for kind in CALLBACK_KINDS:
            for outcome in Outcome:
                number = counters.get(callback_counter(kind, outcome), 0)
                attempts.add_metric([kind, outcome], number)
        yield attempts

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
            ("batches_running", "Batches that are not completed.", snapshot.batches_running),
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


class _OfThisProcess(Collector):
    """Shows the requests that wait in this process."""

    def __init__(self, state: State) -> None:
        self._waiters = state["hub"].waiters
        self._tests = state["callback_tests"]
        self._refusals = state["refusals"]

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, zeros included."""
        waiting = GaugeMetricFamily(
            "fluxrelay_waiting_requests", "Requests that wait in this process.", labels=["kind"]
        )
        for kind in Kind:
            waiting.add_metric([kind], self._waiters.counts[kind])
        waiting.add_metric(["callback_test"], self._tests.taken)
        yield waiting
        yield GaugeMetricFamily(
            "fluxrelay_waiting_requests_allowed",
            "Requests that may wait in this process for jobs and events.",
            value=self._waiters.most,
        )
        refused = CounterMetricFamily(
            "fluxrelay_requests_refused",
            "Requests that a limit of this process turned away.",
            labels=["limit"],
        )
        for limit, number in sorted(self._refusals.counts.items()):
            refused.add_metric([limit], number)
        yield refused
