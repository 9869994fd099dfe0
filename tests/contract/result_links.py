"""Links of results, good and bad, and what comes of them."""

from datetime import UTC, datetime
from urllib.parse import quote

from core.jobs.status import Status, Step
from core.redis.change import Change
from tests.contract.harness import A, Bench, said
from tests.contract.scripted_server import Script, Wire, answer
from worker.steps.collect import collect
from worker.tasks import run

DEAD = answer(403, b"dead")
MODERATED = said(200, {"id": "t1", "status": "Content Moderated"})
#: Links that must never be called, by kind.
BAD = {
    "foreign": "https://evil.example/image?sig=secret",
    "malformed": "/results/secret",
    "userinfo": "http://user:secret@127.0.0.1:9/image",
}


def named(link: str) -> Script:
    """Have the provider name a link."""
    return said(200, {"id": "t1", "status": "Ready", "result": {"sample": link}})


def living(bench: Bench, name: str, seconds: float) -> str:
    """Return a link that says how long it lives."""
    end = datetime.fromtimestamp(bench.clock.now + seconds, UTC).isoformat()
    return f"{bench.server.url}/{name}?se={quote(end)}"


def answering(bench: Bench, **scripts: Script) -> None:
    """Have the server answer by the last part of the path."""

    def script(wire: Wire) -> None:
        target = bench.server.requests[-1].target.partition("?")[0].rpartition("/")[2]
        scripts.get(target, answer(404, b"{}"))(wire)

    bench.server.script = script


def times_asked(bench: Bench) -> int:
    """Return how often the provider was asked."""
    return sum("get_result" in request.target for request in bench.server.requests)


def store_from(bench: Bench, link: str = "", lives_for: float = 300, **fields: object) -> None:
    """Have a job's result be known, maybe under another link."""
    bench.accept(**fields)
    bench.storing(lives_for)
    if link:
        assert bench.store.change(A, {Status.STORING}, Change(set={"result_url": link}))


def collect_once(bench: Bench) -> None:
    """Run the step, and act on what it ends with."""
    run(Step.COLLECT, collect, A, bench.deps)


def collect_to_the_end(bench: Bench) -> float:
    """Run the step whenever it is due; return the seconds that it took to end the job."""
    began = bench.clock.now
    for _ in range(2000):
        if bench.job.status is not Status.STORING:
            break
        collect_once(bench)
        bench.clock.now += max(bench.due_in(Step.COLLECT) or 0, 0) if bench.job.error is None else 0
    return bench.clock.now - began
