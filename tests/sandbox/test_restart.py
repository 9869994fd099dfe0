"""A killed sandbox loses no paid task: the next process with the same ledger goes on."""

from __future__ import annotations

import hashlib
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox.conftest import FreePorts, Receiver, RunningSandbox, StartSandbox


def kill(sandbox: RunningSandbox) -> None:
    """Stop the process at once."""
    sandbox.process.kill()
    sandbox.process.wait(5)


def test_finished_tasks_keep_results_and_pictures(
    start_sandbox: StartSandbox, free_ports: FreePorts, tmp_path: Path, receiver: Receiver
) -> None:
    """Results, addresses, bytes and the ledger's pages are those of before the kill."""
    (port,) = free_ports(1)
    settings = {"PORT": port, "LEDGER": tmp_path / "ledger.jsonl"}
    first = start_sandbox(**settings)
    ids = [
        first.create("flux-pro-1.1", prompt="Ländle \U0001f30a", seed=7),
        first.create("flux-kontext-pro", prompt="x", webhook_url=receiver.url, webhook_secret="s"),
        first.create("flux-2-pro", prompt="moderate-content"),
    ]
    polled = [first.ended(task_id) for task_id in ids]
    first.deliveries(ids[1], 1)
    bytes_before = first.client.get(polled[0]["result"]["sample"]).content
    first.submit(prompt=5)
    before = first.ledger()
    kill(first)
    second = start_sandbox(**settings)
    assert [second.poll(task_id).json() for task_id in ids] == polled
    after = second.ledger()
    for page in before["tasks"]:
        # The asking is not kept; each was asked once since.
        page["polls"] = {"global": 1}
    assert after["tasks"] == before["tasks"]
    assert after["rejections"] == before["rejections"]
    assert second.client.get(polled[0]["result"]["sample"]).content == bytes_before
    assert hashlib.sha256(bytes_before).hexdigest() == after["tasks"][0]["sha256"]
    statuses = [page["status"] for page in before["tasks"]]
    assert statuses == ["Ready", "Ready", "Content Moderated"]
    assert second.credits() == 100_000 - 4 - 4


def test_running_tasks_start_over(
    start_sandbox: StartSandbox, tmp_path: Path, receiver: Receiver
) -> None:
    """A task that was running when the process was killed ends all the same, without a webhook."""
    path = tmp_path / "ledger.jsonl"
    first = start_sandbox(LEDGER=path, GENERATION_SECONDS=1)
    task_id = first.create(prompt="cut short", webhook_url=receiver.url, webhook_secret="hush")
    kill(first)
    assert "hush" not in path.read_text()
    second = start_sandbox(LEDGER=path)
    assert second.ended(task_id)["status"] == "Ready"
    page = second.entry(task_id)
    assert (page["webhook_url"], page["deliveries"]) == (receiver.url, [])
    assert second.ledger()["active_now"] == 0
    assert second.create(prompt="next") != task_id
    assert second.ledger()["tasks"][0]["id"] == task_id
    assert receiver.webhooks == []


def test_a_picture_does_not_depend_on_the_new_detail(
    start_sandbox: StartSandbox, free_ports: FreePorts, tmp_path: Path
) -> None:
    """A changed SANDBOX_IMAGE_SIDE is for new pictures only."""
    (port,) = free_ports(1)
    path = tmp_path / "ledger.jsonl"
    first = start_sandbox(PORT=port, LEDGER=path, IMAGE_SIDE=64)
    ended = first.finished(prompt="same")
    kill(first)
    second = start_sandbox(PORT=port, LEDGER=path, IMAGE_SIDE=200)
    data = second.client.get(ended["result"]["sample"]).content
    assert hashlib.sha256(data).hexdigest() == second.entry(ended["id"])["sha256"]


def test_a_line_cut_off_by_a_kill_is_passed_over(
    start_sandbox: StartSandbox, tmp_path: Path
) -> None:
    """What was whole before and what is written after are both read."""
    path = tmp_path / "ledger.jsonl"
    first = start_sandbox(LEDGER=path)
    task_id = first.finished(prompt="whole")["id"]
    kill(first)
    with path.open("a") as file:
        file.write('{"at": "2026-01-01T00:00:00Z", "event": "crea')
    second = start_sandbox(LEDGER=path)
    later = second.finished(prompt="later")["id"]
    kill(second)
    assert "cannot be read" in second.log.read_text()
    third = start_sandbox(LEDGER=path)
    assert [each["id"] for each in third.ledger()["tasks"]] == [task_id, later]


def test_the_key_beside_the_ledger_is_the_owners_alone(
    start_sandbox: StartSandbox, tmp_path: Path
) -> None:
    """Its file has no rights for others; a key that is set leaves no file."""
    start_sandbox(LEDGER=tmp_path / "kept.jsonl")
    assert stat.S_IMODE((tmp_path / "kept.jsonl.key").stat().st_mode) == 0o600
    start_sandbox(LEDGER=tmp_path / "set.jsonl", SIGNING_KEY="0123456789abcdef")
    assert not (tmp_path / "set.jsonl.key").exists()


def test_a_set_key_signs_over_processes(start_sandbox: StartSandbox, free_ports: FreePorts) -> None:
    """Without a ledger the address is still genuine, but nothing lies there any more."""
    (port,) = free_ports(1)
    first = start_sandbox(PORT=port, SIGNING_KEY="0123456789abcdef")
    url = first.sample(prompt="gone")
    kill(first)
    assert (
        start_sandbox(PORT=port, SIGNING_KEY="0123456789abcdef").client.get(url).status_code == 404
    )


def test_set_credits_stay(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    """What an account was given, less what it has spent since, is there after a restart."""
    path = tmp_path / "ledger.jsonl"
    first = start_sandbox(LEDGER=path)
    first.client.post("/sandbox/credits", json={"credits": 10})
    first.finished(prompt="four credits")
    kill(first)
    assert start_sandbox(LEDGER=path).credits() == 6
