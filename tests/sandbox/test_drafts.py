"""Drafts: their bundles, and what is rendered from them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.movies import read_movie

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox.conftest import FreePorts, RunningSandbox, StartSandbox, WaitFor

VIDEO = "flux-3-video"
DRAFT = {
    "mode": "t2v", "prompt": "waves roll in", "duration": 7, "draft": True,
    "aspect_ratio": "9:16", "generate_audio": False,
}  # fmt: skip


def drafted(sandbox: RunningSandbox, **body: object) -> Any:
    """Run a draft to its end; return the poll's body."""
    return sandbox.finished(VIDEO, **{**DRAFT, **body})


def enhanced(sandbox: RunningSandbox, draft_cache: str, **body: object) -> Any:
    """Have a draft rendered in full quality; return the poll's body."""
    return sandbox.finished(VIDEO, mode="draft_enhance", draft_cache=draft_cache, **body)


def bundle(sandbox: RunningSandbox, draft: Any) -> bytes:
    """Return the bytes of a draft's bundle."""
    return sandbox.client.get(draft["result"]["draft_cache"]).content


def test_a_draft_has_a_bundle_besides_its_video(sandbox: RunningSandbox) -> None:
    """Both are in the result and in the ledger, where each has its own facts and downloads."""
    draft = drafted(sandbox)
    result, entry = draft["result"], sandbox.entry(draft["id"])

    data = bundle(sandbox, draft)

    assert result["draft_caches"] == [result["draft_cache"]]
    sample, cache = entry["artifacts"]
    assert (sample["role"], sample["url"]) == ("sample", result["sample"])
    assert (cache["role"], cache["url"]) == ("draft_cache", result["draft_cache"])
    assert (sample["bytes"], sample["sha256"]) == (entry["bytes"], entry["sha256"])
    assert (cache["bytes"], cache["content_type"]) == (len(data), "application/octet-stream")
    counts = [each["downloads"] for each in sandbox.entry(draft["id"])["artifacts"]]
    assert counts == [0, 1]
    assert sandbox.entry(draft["id"])["downloads"] == 0


def test_a_video_that_is_no_draft_has_no_bundle(sandbox: RunningSandbox) -> None:
    """Its result names the video alone."""
    ended = drafted(sandbox, draft=False)

    assert not {"draft_cache", "draft_caches"} & set(ended["result"])
    assert [each["role"] for each in sandbox.entry(ended["id"])["artifacts"]] == ["sample"]


@pytest.mark.parametrize("by_url", [True, False])
def test_an_enhanced_draft_is_the_same_video_in_another_size(
    sandbox: RunningSandbox, by_url: bool
) -> None:
    """Prompt, seed, length, ratio and sound are the draft's, the resolution is that asked for."""
    draft = drafted(sandbox)
    data = base64.b64encode(bundle(sandbox, draft)).decode()

    ended = enhanced(sandbox, draft["result"]["draft_cache"] if by_url else data, resolution="qhd")

    told = {key: ended["result"][key] for key in ("prompt", "seed")}
    assert told == {key: draft["result"][key] for key in ("prompt", "seed")}
    assert "draft_cache" not in ended["result"]
    made = read_movie(sandbox.client.get(ended["result"]["sample"]).content)
    assert (made.seconds, made.tracks["vide"].size, set(made.tracks)) == (7, (128, 256), {"vide"})


def test_what_the_inputs_of_a_draft_determined_is_kept(sandbox: RunningSandbox) -> None:
    """A draft that ends at its last keyframe is as long when it is enhanced."""
    frames = [[0, "https://example.com/a.png"], [8.5, "https://example.com/b.png"]]
    auto = {"duration": "auto", "aspect_ratio": "auto"}
    draft = drafted(sandbox, mode="i2v", keyframes=frames, **auto)

    ended = enhanced(sandbox, draft["result"]["draft_cache"])

    entries = [sandbox.entry(each["id"]) for each in (draft, ended)]
    assert [entry["seconds"] for entry in entries] == [9, 9]
    assert [entry["width"] / entry["height"] for entry in entries] == [2, 2]


def test_a_bundle_that_is_not_whole_or_not_ours_ends_the_task(sandbox: RunningSandbox) -> None:
    """One that is changed, cut off, of nobody or no bundle at all is an Error."""
    data = bundle(sandbox, drafted(sandbox))
    changed = data[:100] + bytes([data[100] ^ 1]) + data[101:]

    for bad in (changed, data[:-1], data + b"\0", b"FLUX-SANDBOX-DRAFT\n", b"x" * 500, b""):
        ended = enhanced(sandbox, base64.b64encode(bad).decode())
        assert ended["status"] == "Error"
        assert ended["details"] == {"error": "Invalid or expired draft cache"}
    assert enhanced(sandbox, "%%% not base64")["status"] == "Error"


def test_a_link_to_a_bundle_must_be_genuine_and_alive(
    start_sandbox: StartSandbox, wait_for: WaitFor
) -> None:
    """A forged and an expired link end the task; one to elsewhere is taken unread."""
    brief = start_sandbox(TIME_SCALE=0.0005)
    url = drafted(brief)["result"]["draft_cache"]

    assert enhanced(brief, url.replace("sig=", "sig=x"))["status"] == "Error"
    wait_for(lambda: brief.client.get(url).status_code == 403)
    assert enhanced(brief, url)["status"] == "Error"
    assert enhanced(brief, "https://example.com/draft_cache.bin")["status"] == "Ready"


def test_a_draft_outlives_a_restart(
    start_sandbox: StartSandbox, free_ports: FreePorts, tmp_path: Path
) -> None:
    """The next process with the same ledger has the same files, and enhances the bundle."""
    (port,) = free_ports(1)
    settings = {"PORT": port, "LEDGER": tmp_path / "ledger.jsonl"}
    first = start_sandbox(**settings)
    draft = drafted(first)
    data, before = bundle(first, draft), first.entry(draft["id"])
    video = first.client.get(draft["result"]["sample"]).content
    first.process.kill()
    first.process.wait(5)

    second = start_sandbox(**settings)

    counts = [each["downloads"] for each in second.entry(draft["id"])["artifacts"]]
    assert counts == [1, 1]
    assert second.entry(draft["id"])["artifacts"][1]["sha256"] == before["artifacts"][1]["sha256"]
    assert bundle(second, draft) == data
    assert second.client.get(draft["result"]["sample"]).content == video
    ended = enhanced(second, base64.b64encode(data).decode())
    assert ended["result"]["seed"] == draft["result"]["seed"]
