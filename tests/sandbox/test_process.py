"""The process: its settings, its end, its ledger file and its log."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from sandbox.settings import Settings, SettingsError
from tests import forked_programs

if TYPE_CHECKING:
    from tests.sandbox.conftest import FreePorts, Receiver, RunningSandbox, StartSandbox

ROOT = Path(__file__).parents[2]
KEYS = {"SANDBOX_API_KEYS": "sandbox-key-1"}


def test_bad_settings_stop_the_start_with_all_problems() -> None:
    """Exit code 2, one line per bad variable."""
    bad = {
        "SANDBOX_API_KEYS": "short",
        "SANDBOX_PORT": "70000",
        "SANDBOX_PUBLIC_URL": "nowhere",
        "SANDBOX_SLOTS": "24,flux-none=6",
        "SANDBOX_GENERATION_SECONDS": "2-1",
        "SANDBOX_TIME_SCALE": "0",
        "SANDBOX_WEBHOOK_SHAPE": "round",
        "SANDBOX_IMAGE_SIDE": "-1",
        "SANDBOX_VIDEO_SCALE": "0",
        "SANDBOX_FILE_BYTES": "sound=5",
        "SANDBOX_REGIONS": "global:1",
        "SANDBOX_STAGES": "some",
        "SANDBOX_CREDITS": "-1",
        "SANDBOX_SIGNING_KEY": "short",
    }
    ended = forked_programs.run(["sandbox"], {"PATH": os.environ["PATH"], **bad})
    assert ended.returncode == 2
    assert {line.partition(":")[0] for line in ended.stderr.splitlines()} == set(bad)


@pytest.mark.parametrize(
    "regions", ["eu", "eu:", "eu:1,eu:2", "eu:1,us:1", "eu:8090", "eu:99999", "e u:5", ":5"]
)
def test_bad_regions_are_refused(regions: str) -> None:
    """Each region has a name and a port of its own."""
    with pytest.raises(SettingsError, match="SANDBOX_REGIONS"):
        Settings.from_env({**KEYS, "SANDBOX_REGIONS": regions})


@pytest.mark.parametrize("sizes", ["5", "image", "image=", "image=-1", "image=3000000000", "x=1"])
def test_bad_file_sizes_are_refused(sizes: str) -> None:
    """Each is a number of bytes, at most two GiB, for images or for videos."""
    with pytest.raises(SettingsError, match="SANDBOX_FILE_BYTES"):
        Settings.from_env({**KEYS, "SANDBOX_FILE_BYTES": sizes})


@pytest.mark.parametrize("variable", ["SANDBOX_PORT", "SANDBOX_REGIONS"])
def test_a_port_in_use_stops_the_start(
    sandbox: RunningSandbox, free_ports: FreePorts, variable: str
) -> None:
    """Exit code 2 and the variable's name, for the global port and for a region's."""
    (free,) = free_ports(1)
    taken = str(urlsplit(sandbox.url).port)
    ports = {"SANDBOX_PORT": taken}
    if variable == "SANDBOX_REGIONS":
        ports = {"SANDBOX_PORT": str(free), "SANDBOX_REGIONS": f"eu:{taken}"}
    ended = forked_programs.run(["sandbox"], {"PATH": os.environ["PATH"], **KEYS, **ports})
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{variable}:")


def test_a_key_is_required() -> None:
    """An empty environment lacks exactly the API keys."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["SANDBOX_API_KEYS"]


def test_a_ledger_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    """A ledger in a missing folder is a settings problem: exit code 2 and its name."""
    ended = forked_programs.run(
        ["sandbox"],
        {"PATH": os.environ["PATH"], **KEYS, "SANDBOX_LEDGER": str(tmp_path / "no" / "l")},
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("SANDBOX_LEDGER:")


def test_the_defaults_are_the_providers() -> None:
    """24 slots, of which 6 for Kontext Max and 5 for videos, real time, its own addresses."""
    settings = Settings.from_env(KEYS)
    assert settings.slots.total == 24
    assert settings.slots.by_model == {"flux-kontext-max": 6, "flux-3-video": 5}
    assert (settings.time_scale, settings.public_url) == (1.0, "http://127.0.0.1:8090")
    assert settings.generation_seconds == (1.0, 1.0)


def test_the_public_url_leads_all_addresses(start_sandbox: StartSandbox) -> None:
    """Polling and picture addresses start with the configured address."""
    public = start_sandbox(PUBLIC_URL="http://flux.example:9999/")
    body = public.submit(prompt="public").json()
    assert body["polling_url"].startswith("http://flux.example:9999/v1/get_result?id=")
    sample = public.ended(body["id"])["result"]["sample"]
    assert sample.startswith("http://flux.example:9999/results/")


def submit_until_cut(sandbox: RunningSandbox, webhook_url: str) -> None:
    """Submit a task whose answer waits for a webhook that is never answered."""
    with contextlib.suppress(httpx.HTTPError):
        sandbox.submit(prompt="hanging", webhook_url=webhook_url)


def test_sigterm_ends_it_in_the_middle_of_work(
    start_sandbox: StartSandbox, receiver: Receiver
) -> None:
    """Running tasks, an unanswered webhook and an open connection do not hold it for 3 s."""
    busy = start_sandbox(GENERATION_SECONDS=600)
    receiver.answering.clear()
    busy.create(prompt="running", webhook_url=receiver.url)
    busy.set_faults(early_webhook={})
    hanging = threading.Thread(target=submit_until_cut, args=(busy, receiver.url))
    hanging.start()
    receiver.wait(1)
    busy.process.terminate()
    assert busy.process.wait(60) == 0
    hanging.join()


def test_the_ledger_file_survives_a_kill(
    start_sandbox: StartSandbox, receiver: Receiver, tmp_path: Path
) -> None:
    """After SIGKILL the file tells of every task, its end, its delivery and its download."""
    path = tmp_path / "ledger.jsonl"
    killed = start_sandbox(LEDGER=path)
    task_id = killed.create(prompt="evidence", webhook_url=receiver.url, webhook_secret="hush")
    killed.deliveries(task_id, 1)
    entry = killed.entry(task_id)
    killed.client.get(entry["sample_url"])
    killed.submit(prompt=5)
    killed.process.kill()
    killed.process.wait(60)
    events = [json.loads(line) for line in path.read_text().splitlines()]
    names = [event["event"] for event in events]
    assert names == ["started", "created", "finished", "delivery", "download", "rejected"]
    assert events[1]["task"]["id"] == task_id
    assert events[2]["task"]["sha256"] == entry["sha256"]
    assert events[3]["delivery"]["status"] == 200
    assert events[5]["status"] == 422
    start_sandbox(LEDGER=path)
    assert len(path.read_text().splitlines()) == len(events) + 1


def test_the_log_has_a_line_per_request_and_delivery_and_no_secret(
    sandbox: RunningSandbox, receiver: Receiver
) -> None:
    """Keys, webhook secrets, prompts and signatures stay out of the log."""
    body = {"prompt": "unlogged words", "webhook_url": receiver.url, "webhook_secret": "hush-hush"}
    task_id = sandbox.create(**body)
    sandbox.deliveries(task_id, 1)
    sandbox.client.get(sandbox.entry(task_id)["sample_url"])
    sandbox.client.get("/sandbox/healthz")
    log = sandbox.log.read_text()
    assert "POST /v1/flux-pro-1.1 200" in log
    assert f"webhook task={task_id} attempt=1 status=200" in log
    for secret in ("sandbox-key-1", "hush-hush", "unlogged words", "sig="):
        assert secret not in log


def test_the_ledger_shows_an_accepted_request_without_base64(sandbox: RunningSandbox) -> None:
    """An image stands there by length and digest, an unknown field as it was sent."""
    task_id = sandbox.create(
        "flux-kontext-pro", prompt="look", input_image="aGVsbG8=", extra=["kept"]
    )
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert sandbox.entry(task_id)["request"] == {
        "prompt": "look",
        "input_image": {"bytes": 5, "sha256": digest},
        "extra": ["kept"],
    }
    assert sandbox.client.get("/sandbox/ledger/nobody").status_code == 404
