"""The operator's command for dead letters, run as people run it."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from stack.receiver import Answer, CallbackReceiver
from stack.stack import Stack
from tests import forked_programs
from tests.http.batch_calls import accepted, item, show
from tests.http.conftest import Caller, SandboxDesk
from worker.__main__ import main


@dataclass(frozen=True)
class Done:
    """How a run of the command ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def command(
    relay: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Return a function that runs the command in a worker's environment."""

    def run(*arguments: str, **variables: str) -> Done:
        environment = relay.processes["worker.submit"].environment | variables
        capsys.readouterr()
        with monkeypatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            code = main(["dead-letters", *arguments])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def dead(api: Caller, sandbox: SandboxDesk, command: Run) -> list[str]:
    """Have three jobs fail, and nothing else be listed; return their ids."""
    for kind in ("job", "callback", "batch"):  # also what other tests have left
        command("dismiss", "--kind", kind, "--all", "--limit", "1000")
    mark = uuid.uuid4().hex
    loud = {"status": "Error", "details": {"error": "bell \x07"}}
    sandbox.faults(end_task={"match": mark, **loud})
    ids = [api.create(f"fails {mark} {number}") for number in range(3)]
    ended = [api.ended(job_id) for job_id in ids]
    sandbox.faults()
    return [job["id"] for job in sorted(ended, key=lambda job: str(job["ended_at"]))]


def ids(done: Done) -> list[str]:
    """Return the jobs and batches of a list that was printed as JSON."""
    assert done.returncode == 0, done.stderr
    letters = json.loads(done.stdout)["dead_letters"]
    return [(letter["job"] or letter["batch"])["id"] for letter in letters]


def test_as_a_process(relay: Stack) -> None:
    """It is a command of `python -m worker`, which prints and ends."""
    environment = relay.processes["worker.submit"].environment
    done = forked_programs.run(
        ["worker", "dead-letters", "list", "--tenant", "nobody"], environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "There are none.\n", "")


def test_list(dead: list[str], command: Run) -> None:
    """As a table and as JSON, filtered and bounded, with the cursor to go on with."""
    table = command("list")
    assert table.returncode == 0
    assert [job_id in table.stdout for job_id in dead] == [True] * 3
    assert "provider_error" in table.stdout
    assert "bell ?" in table.stdout

    assert set(ids(command("list", "--json"))) == set(dead)
    assert ids(command("list", "--json", "--code", "lost")) == []
    assert ids(command("list", "--json", "--tenant", "nobody")) == []
    assert "none" in command("list", "--kind", "callback", "--tenant", "nobody").stdout
    first = json.loads(command("list", "--json", "--limit", "2").stdout)
    assert first["dead_letters"][0]["tenant"] == "demo"
    rest = ids(command("list", "--json", "--cursor", first["next_cursor"]))
    assert [letter["job"]["id"] for letter in first["dead_letters"]] + rest == ids(
        command("list", "--json")
    )
    assert f"--cursor '{first['next_cursor']}'" in command("list", "--limit", "2").stdout


def test_retry(dead: list[str], command: Run, api: Caller) -> None:
    """One by its id, then all others, a bounded number per call; each becomes a job that ends."""
    one = command("retry", "--id", dead[0])
    assert (one.returncode, one.stdout.split()[0]) == (0, dead[0])
    some = command("retry", "--all", "--code", "provider_error", "--limit", "1")
    assert (some.returncode, "there are more" in some.stdout) == (0, True)
    assert command("retry", "--all").returncode == 0

    assert ids(command("list", "--json", "--kind", "job")) == []
    for job_id in dead:
        new: Any = api.ended(api.job(job_id)["retried_as"])
        assert (new["status"], new["retry_of"]) == ("succeeded", job_id)


def test_an_empty_id_names_no_job(dead: list[str], command: Run) -> None:
    """`--id "$UNSET"` does nothing, least of all to every job that is listed."""
    for action, what in (
        (["retry"], "job"),
        (["callback"], "job or batch"),
        (["dismiss", "--kind", "job"], "job"),
        (["dismiss", "--kind", "batch"], "batch"),
    ):
        done = command(*action, "--id", "")
        said = f"There is no such {what}.\n"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", said)

    assert ids(command("list", "--json", "--kind", "job")) == dead


def test_callback(command: Run, api: Caller, receiver: CallbackReceiver) -> None:
    """A callback that was given up is listed and sent again; a delivered one can be sent again."""
    receiver.script(Answer(410))
    job_id = api.create("told in the end", callback={"url": receiver.url})

    def state() -> str:
        return str(api.job(job_id)["callback"]["state"])

    api.eventually(lambda: state() == "dead")
    assert ids(command("list", "--json", "--kind", "callback")) == [job_id]
    assert "the last: 410" in command("list", "--kind", "callback").stdout

    assert command("callback", "--all").returncode == 0
    api.eventually(lambda: state() == "delivered")
    assert ids(command("list", "--json", "--kind", "callback")) == []
    assert command("callback", "--id", job_id).returncode == 0
    api.eventually(lambda: len(receiver.callbacks) == 3 and state() == "delivered")

    told = api.job(job_id)["callback"]
    assert [attempt["status"] for attempt in told["log"]] == [410, 204, 204]
    assert len({callback.headers["webhook-id"] for callback in receiver.callbacks}) == 1


def test_the_callback_of_a_batch(command: Run, api: Caller, receiver: CallbackReceiver) -> None:
    """It is listed with its batch, sent again with the others or by its id, and dismissed."""
    command("dismiss", "--kind", "batch", "--all", "--limit", "1000")
    receiver.script(then=Answer(410))
    batch = accepted(api, {"items": [item("a")], "callback": {"url": receiver.url}})["id"]

    def state() -> str:
        return str(show(api, batch)["callback"]["state"])

    api.eventually(lambda: state() == "dead")
    assert ids(command("list", "--json", "--kind", "batch")) == [batch]
    assert "the last: 410" in command("list", "--kind", "batch").stdout
    receiver.script()
    assert f"{batch} callback is sent again" in command("callback", "--all").stdout
    api.eventually(lambda: state() == "delivered")
    assert ids(command("list", "--json", "--kind", "batch")) == []
    receiver.script(then=Answer(410))
    assert command("callback", "--id", batch).returncode == 0
    api.eventually(lambda: state() == "dead")
    assert command("retry", "--id", batch).returncode == 1

    assert "dismissed" in command("dismiss", "--kind", "batch", "--id", batch).stdout
    assert ids(command("list", "--json", "--kind", "batch")) == []


def test_what_cannot_be_done(dead: list[str], command: Run, api: Caller) -> None:
    """Exit codes tell the ends apart, and standard error says why."""
    good = api.create("a good one")
    api.ended(good)
    refused = command("retry", "--id", good)
    assert (refused.returncode, "only a failed job" in refused.stderr) == (1, True)
    assert command("callback", "--id", dead[0]).returncode == 1
    assert command("retry", "--id", "nobody").returncode == 1
    assert command("retry").returncode == 2
    assert command("list", "--limit", "0").returncode == 2
    assert command("list", "--cursor", "x").returncode == 2
    wrong = command("list", FLUXRELAY_SLOTS="none")
    assert (wrong.returncode, "FLUXRELAY_SLOTS" in wrong.stderr) == (2, True)
    away = command("list", FLUXRELAY_REDIS_URL="redis://127.0.0.1:1/0")
    assert (away.returncode, "Redis" in away.stderr) == (3, True)
