"""Scenario 6: CPU seconds per whole job, and where they go."""

import threading
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import python_of
from benchmarks.probes import profiling, subprocesses
from benchmarks.probes.context import IMAGE_BYTES, SLOTS, Context
from benchmarks.probes.process_costs import cpu_seconds, spent
from benchmarks.product import alternating
from benchmarks.product.deployment import Deployment
from benchmarks.report.outcome import Outcome, Plot, Row

TITLE = "CPU per whole job"
SECONDS = 300
GOAL = 12.0  # milliseconds
ABOUT = """\
User and system seconds of the service and all workers, by the kernel's count, over the rounds of \
the copies (1.5 MB PNGs), divided by their jobs; then over one round of small results. The floor \
is what the bare copier spent on the same copies. The profiles are of py-spy, 200 samples a \
second, threads that wait left out: the service while jobs are posted over 8 connections, the \
collect worker while it copies 1.5 MB PNGs."""
_SMALL = 100_000
_SERVICE_RULES = (
    ("our log", "core/log.py"),
    ("scripts in Redis, many per fsync", "core/loop_"),
    ("scripts in Redis, many per fsync", "core/redis/scripts.py"),
    ("scripts in Redis, many per fsync", "core/redis/group_commit.py"),
    ("scripts in Redis, many per fsync", "redis/"),
    ("what the scripts are given", "core/redis/transitions.py"),
    ("what the scripts are given", "store.py"),
    ("the socket's own call that sends", "_SelectorSocketTransport.write (asyncio"),
    ("checking the body", "service/intake/job_request.py"),
    ("checking the body", "service/intake/model_parameters.py"),
    ("reading the body", "service/body/request_body.py"),
    ("showing the job", "core/jobs/views.py"),
    ("the rest of our handlers", "service/intake/intake.py"),
    ("the rest of our handlers", "service/api/jobs.py"),
    ("the rest of our handlers", "service/api/webhooks.py"),
    ("threads for blocking calls (anyio)", "anyio/"),
    ("Starlette", "starlette/"),
    ("uvicorn", "uvicorn/"),
)
_COLLECT_RULES = (
    ("S3: our PUTs, botocore, urllib3", "core/storage/object_store.py"),
    ("S3: our PUTs, botocore, urllib3", "core/storage/object_put.py"),
    ("SHA-256 and MD5 of the image", "_digest (worker/clients/download.py)"),
    ("looking whether the image is whole", "_looked_at"),
    ("the temporary file", "tempfile.py"),
    ("download: httpx", "worker/clients/download.py"),
    ("our scripts in Redis", "core/redis/scripts.py"),
    ("our scripts in Redis", "core/redis/store.py"),
    ("our log", "core/log.py"),
    ("the rest of the step", "worker/steps/collect.py"),
    ("the rest of the step", "worker/results/stored_artifacts.py"),
    ("RQ's own books", "rq/"),
    ("RQ's own books", "worker/runtime/rq_worker.py"),
)


def run(context: Context) -> Outcome:
    """Measure it."""
    rounds = alternating.measure(context)
    parts = {name: 1000 * each / rounds.jobs for name, each in rounds.our_cpu.items()}
    small, pictures, notes = _more(context)
    rows = [
        Row(
            what="per job of 1.5 MB",
            ours=sum(parts.values()),
            against=1000 * rounds.bare_cpu / rounds.jobs,
            unit="ms",
            other="bare httpx + boto3",
            goal=f"≤ {GOAL:g} ms",
            met=sum(parts.values()) <= GOAL,
        ),
        Row(
            what=f"per job of {_SMALL // 1000} kB",
            ours=small,
            unit="ms",
            goal=f"≤ {GOAL:g} ms",
            met=small <= GOAL,
        ),
    ]
    table = [["process", "ms per job"], *([name, f"{each:.2f}"] for name, each in parts.items())]
    return Outcome(
        title=TITLE,
        about=ABOUT,
        rows=rows,
        notes=[f"{rounds.jobs} jobs of 1.5 MB.", *notes],
        plots=pictures,
        tables={"Per process, jobs of 1.5 MB": table},
    )


def _more(context: Context) -> tuple[float, list[Plot], list[str]]:
    """Return milliseconds per small job, and the profiles."""
    seconds = context.pick(8.0, 2.0)
    spy = python_of("py-spy", context.peers).with_name("py-spy")
    with Deployment(slots=SLOTS, concurrency=SLOTS) as deployment:
        _finish(deployment, SLOTS, _SMALL)
        count = context.pick(400, 24)
        context.say(f"{count} jobs of {_SMALL:,} bytes")
        before = cpu_seconds(deployment.ours)
        _finish(deployment, count, _SMALL)
        small = 1000 * sum(spent(before, cpu_seconds(deployment.ours)).values()) / count
        context.say("profile of the service while jobs are posted")
        service = _intake_profile(deployment, spy, seconds)
        context.say("profile of the collect worker")
        collect = _collect_profile(deployment, spy, seconds)
    pictures, notes = [], []
    for name, found, rules in (
        ("the service under intake", service, _SERVICE_RULES),
        ("the collect worker", collect, _COLLECT_RULES),
    ):
        largest = profiling.shares(found, rules)[:3]
        notes.append(
            f"Largest costs of {name}: "
            + "; ".join(f"{label} {100 * share:.0f} %" for label, share in largest)
            + "."
        )
        pictures.append(
            Plot(
                kind="flame",
                title=f"Where time goes in {name}",
                x="share of the samples",
                y="calls, outermost at the bottom",
                series=profiling.pruned(profiling.condensed(found)),
            )
        )
    return small, pictures, notes


def _finish(deployment: Deployment, count: int, size: int) -> None:
    deployment.wait_ended(deployment.post(count, f"bytes={size} seconds=0.2-0.6"), 60)


def _intake_profile(deployment: Deployment, spy: Path, seconds: float) -> Any:
    order = deployment.order(f"bytes={IMAGE_BYTES} seconds=0.2-0.6")
    order |= {"seconds": seconds, "connections": 8}
    file = deployment.folder / "service.raw"
    with profiling.recorded(spy, deployment.ours["service"], seconds, file):
        subprocesses.ask("benchmarks.probes.load_generator", order, timeout=seconds + 20)
    return profiling.stacks(file.read_text(encoding="utf-8"))


def _collect_profile(deployment: Deployment, spy: Path, seconds: float) -> Any:
    file = deployment.folder / "collect.raw"  # the intake left work enough
    with profiling.recorded(spy, deployment.ours["worker.collect"], seconds, file):
        threading.Event().wait(seconds)
    return profiling.stacks(file.read_text(encoding="utf-8"))
