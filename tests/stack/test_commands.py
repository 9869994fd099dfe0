"""The commands as people run them: what they print, how they end, what they leave behind."""

import argparse
import hashlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from core.media.mp4 import Video, read_video
from stack.servers.fluxrelay import ROLES, SOURCE_ROOT

Eventually = Callable[..., None]

#: Valkey, SeaweedFS, the sandbox, the service and one worker per role.
ALL_PROCESSES = 4 + len(ROLES)


@contextmanager
def _command(
    *arguments: str, output: Path, temporary: Path, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    temporary.mkdir(exist_ok=True)
    shown = {"TMPDIR": str(temporary), "COLUMNS": "80", "PYTHONUNBUFFERED": "1"}
    with (
        output.open("wb") as stream,
        subprocess.Popen(
            [sys.executable, "-m", "stack", *arguments],
            cwd=SOURCE_ROOT,
            env={**os.environ, **shown, **variables},
            stdout=stream,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def _are_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() for process in processes)


def test_the_demo_proves_its_job_and_leaves_nothing_behind(
    tmp_path: Path, eventually: Eventually
) -> None:
    """It exits 0, every check holds, nothing stays, also when a signal comes while it stops."""
    output, pictures, temporary = tmp_path / "out", tmp_path / "pictures", tmp_path / "tmp"
    with _command("demo", "--output", str(pictures), output=output, temporary=temporary) as demo:
        eventually(lambda: "signature verified" in output.read_text(), 60)
        eventually(lambda: len(_children(demo)) < ALL_PROCESSES)
        demo.send_signal(signal.SIGTERM)
        code = demo.wait(timeout=60)
    text = output.read_text()
    assert code == 0, text
    assert text.count("✓") == 6
    assert "✗" not in text
    for word in ("queued", "generating", "succeeded", "callback received", "s3://fluxrelay/"):
        assert word in text
    (picture,) = pictures.iterdir()
    with Image.open(picture) as opened:
        opened.load()
        assert opened.size == (1024, 768)
    assert list(temporary.iterdir()) == []


def test_the_video_demo_saves_a_video_and_tells_its_facts(tmp_path: Path) -> None:
    """It exits 0, every check holds, and the saved file is the video that was asked for."""
    output, videos = tmp_path / "out", tmp_path / "videos"
    arguments = ("demo", "video", "--output", str(videos))
    with _command(*arguments, output=output, temporary=tmp_path / "tmp") as demo:
        code = demo.wait(timeout=120)
    text = output.read_text()
    assert code == 0, text
    assert text.count("✓") == 7
    assert "✗" not in text
    (path,) = videos.iterdir()
    data = path.read_bytes()
    video = read_video(io.BytesIO(data), len(data))
    assert video == Video(5.0, 24.0, 1280, 736, ("video", "audio"))
    for fact in (
        *("flux-3-video", "s3://fluxrelay/", "callback received", "signature verified"),
        f"1280 x 736 pixels, MP4, {len(data):,} bytes",
        "5 s, 24 frames per second, tracks: video, audio",
        hashlib.sha256(data).hexdigest(),
    ):
        assert fact in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(
    tmp_path: Path, eventually: Eventually, number: signal.Signals
) -> None:
    """A signal in the middle of the start ends every process and removes the data."""
    temporary = tmp_path / "tmp"
    with _command("demo", output=tmp_path / "out", temporary=temporary) as demo:
        eventually(lambda: len(_children(demo)) >= 3)
        children = _children(demo)
        demo.send_signal(number)
        assert demo.wait(timeout=60) == 128 + number
    assert _are_gone(children)
    assert list(temporary.iterdir()) == []


def test_a_demo_killed_with_sigkill_leaves_no_process(
    tmp_path: Path, eventually: Eventually
) -> None:
    """Even when it can do nothing any more, the kernel ends what it started."""
    with _command("demo", output=tmp_path / "out", temporary=tmp_path / "tmp") as demo:
        eventually(lambda: len(_children(demo)) >= 3)
        children = _children(demo)
        demo.kill()
        demo.wait(timeout=60)
    eventually(lambda: _are_gone(children))


def test_up_takes_a_job_restarts_what_dies_and_stops_on_sigterm(
    tmp_path: Path, eventually: Eventually
) -> None:
    """The printed curl is a job; a killed worker comes back; nothing stays; the data does."""
    output, directory = tmp_path / "out", tmp_path / "kept"
    arguments = ("up", "--directory", str(directory))
    with _command(*arguments, output=output, temporary=tmp_path / "tmp") as up:
        eventually(lambda: "Running." in output.read_text() or up.poll() is not None, 60)
        text = output.read_text()
        assert "Running." in text, text
        assert "fail-generation" in text
        job_id = _paste(text, "Post a job")["id"]
        eventually(lambda: _paste(text, "Read it", job_id)["status"] == "succeeded")
        children = _children(up)
        (worker,) = [child for child in children if child.cmdline()[-1:] == [ROLES[1]]]
        worker.kill()
        eventually(lambda: "worker.collect is ready again" in output.read_text())
        children += _children(up)
        up.send_signal(signal.SIGTERM)
        assert up.wait(timeout=60) == 128 + signal.SIGTERM
    assert _are_gone(children)
    assert {"logs", "seaweedfs", "valkey"} <= {path.name for path in directory.iterdir()}


@contextmanager
def _up(directory: Path, eventually: Eventually, **variables: str) -> Iterator[str]:
    """Run `up` until the test is done with it; return what it has printed."""
    output, temporary = directory.with_suffix(".out"), directory.with_suffix(".tmp")
    arguments = ("up", "--directory", str(directory))
    with _command(*arguments, output=output, temporary=temporary, **variables) as up:
        eventually(lambda: "Running." in output.read_text() or up.poll() is not None, 60)
        yield output.read_text()
        up.send_signal(signal.SIGTERM)
        up.wait(timeout=60)
    temporary.rmdir()


def test_keys_and_links_of_the_last_run_go_on_working(
    tmp_path: Path, eventually: Eventually
) -> None:
    """Started again, it has the same address and key, and takes links of before; jobs are listed.

    Jobs are listed by the metadata that the pages use, or by what the environment says.
    """
    directory = tmp_path / "kept"
    with _up(directory, eventually) as text, _client(text) as client:
        job = {"prompt": "A red fox", "width": 256, "height": 256}
        task = client.post("/v1/flux-pro-1.1", json=job).json()
        poll = f"/v1/get_result?id={task['id']}"
        eventually(lambda: client.get(poll).json()["status"] == "Ready")
        link = client.get(poll).json()["result"]["sample"]
        presigned = client.get(f"/v1/jobs/{task['id']}/image").headers["location"]
        assert client.get("/v1/jobs?metadata.order=1042").json()["jobs"] == []
    exported = _exported(text)

    settings = {"FLUXRELAY_INDEXED_METADATA": "shop", "FLUXRELAY_INDEX": "x"}
    settings |= {"FLUXRELAY_REDIS_URL": "redis://127.0.0.1:1"}
    with _up(directory, eventually, **settings) as text, _client(text) as client:
        assert _exported(text) == exported
        for address in (link, presigned):
            answer = httpx.get(address, trust_env=False, timeout=60)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert client.get("/v1/jobs?metadata.shop=1042").json()["jobs"] == []
        assert "Ignored: FLUXRELAY_REDIS_URL (it starts its own Valkey)." in text
        assert "FLUXRELAY_INDEX: no " in text


def _exported(text: str) -> dict[str, str]:
    """Return the variables that a person is told to export."""
    return dict(re.findall(r"(FLUXRELAY_(?:URL|KEY))=(\S+)", text))


def _client(text: str) -> httpx.Client:
    """Return a client with the address and the key that were printed."""
    told = _exported(text)
    return httpx.Client(
        base_url=told["FLUXRELAY_URL"],
        headers={"x-key": told["FLUXRELAY_KEY"]},
        trust_env=False,
        timeout=60,
    )


def _paste(text: str, heading: str, job_id: str = "") -> dict[str, str]:
    """Do what the printed curl would: its words are split as a shell splits them."""
    match = re.search(rf"{heading}.*?\n(curl .*?)\n\n", text, re.DOTALL)
    assert match is not None, text
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-H", dest="headers", action="append")
    parser.add_argument("-d", dest="body")
    command = match[1].replace("\\\n", "").replace("JOB_ID", job_id)
    curl = parser.parse_args(shlex.split(command)[1:])
    headers = dict(header.split(": ") for header in curl.headers)
    with httpx.Client(trust_env=False, headers=headers, timeout=60) as client:
        answer = client.request("POST" if curl.body else "GET", curl.url, content=curl.body)
    answer.raise_for_status()
    body: dict[str, str] = answer.json()
    return body
