"""Callbacks of jobs and batches on the command line: chosen, listed, sent again, tried out."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fluxrelay.cli.exits import Exit
from stack.receiver import Answer, CallbackReceiver
from tests.cli.conftest import SMALL, Cli
from tests.conftest import Eventually


@pytest.fixture
def gone() -> Iterator[CallbackReceiver]:
    """Run a receiver that wants no callback, so that the first attempt is the last."""
    with CallbackReceiver() as receiver:
        receiver.script(then=Answer(410))
        yield receiver


def types(receiver: CallbackReceiver) -> list[str]:
    """Return the types of what a receiver has got."""
    return [json.loads(callback.body)["type"] for callback in receiver.callbacks]


def test_a_job_tells_what_was_chosen(
    cli: Cli, receiver: CallbackReceiver, faults: Callable[..., None]
) -> None:
    """`--event` may be repeated; what the service does not know is refused by its name."""
    mark = uuid.uuid4().hex
    faults(delay_generation={"match": mark, "seconds": 60})
    these = ("submit", mark, *SMALL, "--callback", receiver.url)

    job_id = cli(*these, "--event", "job.generating", "--event", "job.canceled").out.strip()
    receiver.wait_for(lambda _: True, timeout_seconds=60)
    cli("cancel", job_id)
    receiver.wait_for(lambda _: True, count=2, timeout_seconds=60)

    assert types(receiver) == ["job.generating", "job.canceled"]
    assert "which may be billed" in cli("get", job_id).out
    refused = cli(*these, "--event", "job.genrating")
    assert (refused.code, "callback.events" in refused.err) == (Exit.USAGE, True)


def test_a_batch_tells_of_its_end_and_of_its_jobs(
    cli: Cli, receiver: CallbackReceiver, tmp_path: Path
) -> None:
    """The batch has a callback of its own, and each job one for the events that were chosen."""
    lines = ["custom_id,prompt,width,height", "bad,fail-generation,256,256", "good,x,256,256"]
    (tmp_path / "some.csv").write_text("\n".join(lines), encoding="utf-8")
    these = ("batch", "some.csv", "-m", "flux-pro-1.1", "--new")
    urls = ("--callback", receiver.url, "--job-callback", receiver.url)

    cli(*these, *urls, "--event", "job.failed")
    receiver.wait_for(lambda _: True, count=2, timeout_seconds=60)

    assert sorted(types(receiver)) == ["batch.completed", "job.failed"]
    refused = cli(*these, *urls[:2], "--event", "job.failed")
    assert (refused.code, "--job-callback" in refused.err) == (Exit.USAGE, True)


def test_attempts_are_listed_and_callbacks_sent_again(
    cli: Cli, gone: CallbackReceiver, eventually: Eventually
) -> None:
    """A callback that was given up is listed, and replayed with others, or sent again alone."""
    job_id = cli("submit", "x", *SMALL, "--callback", gone.url).out.strip()

    def attempts(*filters: str) -> list[dict[str, Any]]:
        done = cli("callbacks", "list", "--job", job_id, *filters, "--json")
        found: list[dict[str, Any]] = json.loads(done.out)["attempts"]
        return found

    def given_up() -> bool:
        callback = json.loads(cli("get", job_id, "--json").out)["callback"]
        return callback is not None and callback["state"] == "dead"

    eventually(given_up)
    first = attempts("--outcome", "failed", "--event", "job.succeeded")[-1]
    assert first["status"] == 410
    row = cli("callbacks", "list", "--job", job_id).out.splitlines()[1].split()
    assert row[1:5] == ["job.succeeded", job_id, "✗", "410"]
    assert cli("callbacks", "list", "--job", job_id, "--until", first["at"]).err == (
        "There are none.\n"
    )

    gone.script()
    replayed = cli("callbacks", "replay", "--since", first["at"])
    assert (replayed.code, "sent again" in replayed.out) == (Exit.DONE, True)
    eventually(lambda: len(attempts("--outcome", "delivered")) == 1)
    resent = cli("callbacks", "resend", job_id, "--json")
    assert json.loads(resent.out)["jobs"][0]["id"] == job_id
    eventually(lambda: len(attempts("--outcome", "delivered")) == 2)
    assert len(attempts("--limit", "2")) == 2
    none = cli("callbacks", "replay", "--since", "2099-01-01T00:00:00Z", "--json")
    assert json.loads(none.out) == {"replayed": 0}


def test_the_callback_of_a_batch_is_sent_again(
    cli: Cli, gone: CallbackReceiver, tmp_path: Path, eventually: Eventually
) -> None:
    """It is found among the batches with a dead one, the dead letters, and by its attempts."""
    (tmp_path / "one.csv").write_text("prompt,width,height\nA fox,256,256\n", encoding="utf-8")
    these = ("batch", "one.csv", "-m", "flux-pro-1.1", "--new", "--json", "--callback", gone.url)
    batch_id = json.loads(cli(*these).out)["id"]

    eventually(lambda: batch_id in cli("list", "--batches", "--callback", "dead").out)
    assert "dead after " in cli("get", "--batch", batch_id).out
    (letter,) = [
        row
        for row in cli("dead-letters", "list", "--kind", "batch", "--limit", "1000").out.split("\n")
        if batch_id in row
    ]
    assert f"{gone.url}: 410" in letter
    gone.script()
    again = cli("callbacks", "resend", "--batch", batch_id)
    assert (again.code, batch_id in again.out) == (Exit.DONE, True)

    def outcomes() -> set[str]:
        found = cli("callbacks", "list", "--of-batch", batch_id, "--json").out
        return {attempt["outcome"] for attempt in json.loads(found)["attempts"]}

    eventually(lambda: outcomes() == {"delivered", "failed"})


def test_a_receiver_is_tried_out(
    cli: Cli, receiver: CallbackReceiver, gone: CallbackReceiver
) -> None:
    """The exit code says whether it took the sample; a URL that none may have is refused."""
    taken = cli("callbacks", "test", receiver.url, "--event", "job.failed")
    assert (taken.code, taken.out.startswith("✓ delivered: 204 in ")) == (Exit.DONE, True)
    assert types(receiver) == ["job.failed"]
    refused = cli("callbacks", "test", gone.url, "--json")
    assert (refused.code, json.loads(refused.out)["status"]) == (Exit.FAILED, 410)
    gone.go_down()
    away = cli("callbacks", "test", gone.url)
    assert (away.code, away.out.startswith("✗ not delivered: ConnectError")) == (Exit.FAILED, True)
    wrong = cli("callbacks", "test", "no-url")
    assert (wrong.code, wrong.out) == (Exit.USAGE, "")
